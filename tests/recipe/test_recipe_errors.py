"""Messages are part of the interface: each is compared whole."""

from __future__ import annotations

import pytest
from support.toy_stages import register_toys

from corpuscurate.core.errors import RecipeError
from corpuscurate.recipe.load import Overrides, load_recipe, spec_from_mapping

HEAD = "input: {paths: a}\noutput: {path: o}\n"


@pytest.fixture(autouse=True)
def toys(monkeypatch, tmp_path):
    register_toys(monkeypatch)
    monkeypatch.chdir(tmp_path)


def said(text: str, **overrides) -> list[str]:
    with open("recipe.yaml", "w", encoding="utf-8") as file:  # noqa: PTH123
        file.write(text)
    with pytest.raises(RecipeError) as error:
        load_recipe("recipe.yaml", Overrides(**overrides))
    return str(error.value).splitlines()


QUOTE = " (YAML reads yes, no, on and off as truth values: put the word in quotes if you mean the word)"
STAGES = [
    (
        "- minhash: {threshold: 1.5}",
        "recipe.yaml:4: stages[0].minhash.threshold: 1.5 is not allowed: must be > 0 and <= 1",
    ),
    (
        "- minhash:\n    words: [a]\n    threshold: high",
        "recipe.yaml:6: stages[0].minhash.threshold: 'high' is not allowed: must be a number > 0 and <= 1",
    ),
    (
        "- minhash: {threshhold: 0.9}",
        "recipe.yaml:4: stages[0].minhash.threshhold: unknown key. The nearest names are: threshold, room, mode.",
    ),
    (
        "- minhsh",
        "recipe.yaml:4: stages[0]: unknown stage 'minhsh'. The nearest names are: minhash, length, where."
        " `corpuscurate stages` lists all.",
    ),
    (
        "- lenght:\n    min_words: 5",
        "recipe.yaml:4: stages[0].lenght: unknown stage 'lenght'. The nearest names are: length, minhash, where."
        " `corpuscurate stages` lists all.",
    ),
    (
        "- minhash\n- minhash: {threshold: 0.9}",
        "recipe.yaml:5: stages[1]: 'minhash' is already the name of stages[0]. The same stage twice needs a name,"
        " such as {minhash: {...}, name: minhash_2}",
    ),
    (
        "- length:\n  min_words: 5",
        "recipe.yaml:4: stages[0]: min_words stands beside length: indent the parameters of length under it,"
        " or write `- length: {min_words: ...}`",
    ),
    (
        "- length: {}\n  minhash: {}",
        "recipe.yaml:4: stages[0]: one stage an item, but here are length, minhash; begin each with `- `",
    ),
    ("- name: x", "recipe.yaml:4: stages[0]: no stage stands beside name"),
    (
        "- 5",
        "recipe.yaml:4: stages[0]: a stage must be its name, or its name with a mapping: `- length: {min_words: 50}`",
    ),
    (
        "- length: 5",
        "recipe.yaml:4: stages[0].length: 5 is not allowed: must be a mapping; its keys are"
        " name, mode, min_words, max_words",
    ),
    (
        "- length: {min_words: 5, max_words: 3}",
        "recipe.yaml:4: stages[0].length: min_words (5) is above max_words (3)",
    ),
    (
        "- length: {min_words: 5.0}",
        "recipe.yaml:4: stages[0].length.min_words: 5.0 is not allowed: must be a whole number >= 0 or null",
    ),
    (
        "- length: {min_words: true}",
        "recipe.yaml:4: stages[0].length.min_words: true is not allowed: must be a whole number >= 0 or null" + QUOTE,
    ),
    (
        "- where",
        "recipe.yaml:4: stages[0].where.expression: is missing: the stage where needs it; must be text",
    ),
    (
        "- where: on",
        "recipe.yaml:4: stages[0].where.expression: true is not allowed: must be text" + QUOTE,
    ),
    (
        "- minhash: {words: [a, 5]}",
        "recipe.yaml:4: stages[0].minhash.words[1]: 5 is not allowed: must be text",
    ),
    (
        "- minhash: {bands: 1.5}",
        "recipe.yaml:4: stages[0].minhash.bands: 1.5 is not allowed: must be a whole number or auto",
    ),
    (
        "- minhash: {room: 10KiB}",
        "recipe.yaml:4: stages[0].minhash.room: '10KiB' is not allowed: must be a size such as 512MiB or 8GiB, >= 1MiB",
    ),
    (
        "- minhash: {room: 10 potatoes}",
        "recipe.yaml:4: stages[0].minhash.room: '10 potatoes' is not allowed: expected a size such as 8GiB, 512MiB,"
        " 100MB or a number of bytes",
    ),
    (
        "- {minhash: {name: a}, name: b}",
        "recipe.yaml:4: stages[0].name: name is there twice: here and at stages[0].minhash.name",
    ),
    (
        "- embed: {embedder: {kind: learnt}}",
        "recipe.yaml:4: stages[0].embed.embedder: {kind: learnt} is not allowed: must be a mapping with kind:"
        " one of learned, table. The nearest names are: learned, table.",
    ),
    (
        "- embed: {embedder: {dimensions: 8}}",
        "recipe.yaml:4: stages[0].embed.embedder: {dimensions: 8} is not allowed: must be a mapping with kind:"
        " one of learned, table",
    ),
    (
        "- embed: learned",
        "recipe.yaml:4: stages[0].embed.embedder: 'learned' is not allowed: must be a mapping with kind:"
        " one of learned, table",
    ),
    (
        "- embed:\n    embedder:\n      kind: learned",
        "recipe.yaml:5: stages[0].embed.embedder.dimensions: is missing: embedder needs it;"
        " must be a whole number >= 2 and <= 4096",
    ),
    (
        "- embed:\n    embedder:\n      kind: learned\n      dimensions: 1",
        "recipe.yaml:7: stages[0].embed.embedder.dimensions: 1 is not allowed: must be >= 2 and <= 4096",
    ),
    (
        "- embed:\n    embedder:\n      kind: table\n      path: x\n      pth: y",
        "recipe.yaml:8: stages[0].embed.embedder.pth: unknown key. The nearest names are: path, kind.",
    ),
    (
        "- embed: {embedder: {kind: table, path: x}, weights: [1, 0]}",
        "recipe.yaml:4: stages[0].embed.weights[1]: 0 is not allowed: must be > 0",
    ),
    (
        "- minhash: {mode: dorp}",
        "recipe.yaml:4: stages[0].minhash.mode: 'dorp' is not allowed: must be one of drop, tag",
    ),
]


@pytest.mark.parametrize(("stages", "message"), STAGES)
def test_faults_of_stages(stages, message):
    assert said(f"{HEAD}stages:\n{stages}\n") == [message]


SECTIONS = [
    (
        "input: {paths: a, txt: b}\noutput: {path: o}",
        "recipe.yaml:1: input.txt: unknown key. The nearest names are: text, split_bytes, paths.",
    ),
    (
        "input: {paths: a}\noutput: {path: o}\nstage: []",
        "recipe.yaml:3: stage: unknown key. The nearest names are: stages, input, output.",
    ),
    ("input: {paths: a}", "recipe.yaml:1: output.path: is missing: output needs it; must be text, not empty"),
    (
        "output: {path: o}\ninput: {text: t}",
        "recipe.yaml:2: input.paths: is missing: input needs it; must be a list of texts, at least 1",
    ),
    (
        "input: {paths: a, text: no}\noutput: {path: o}",
        "recipe.yaml:1: input.text: false is not allowed: must be text" + QUOTE,
    ),
    (
        "input: {paths: a}\noutput: {path: o, format: csv}",
        "recipe.yaml:2: output.format: 'csv' is not allowed: must be one of arrow, jsonl, jsonl.gz, jsonl.zst, parquet."
        " The nearest names are: jsonl, jsonl.gz, jsonl.zst.",
    ),
    (
        "input:\n  paths: a\n  format: 3\noutput: {path: o}",
        "recipe.yaml:3: input.format: 3 is not allowed: must be one of arrow, jsonl, parquet, text or null",
    ),
    (
        "input: {paths: a}\noutput: {path: o}\nrun:\n  workers: 0",
        "recipe.yaml:4: run.workers: 0 is not allowed: must be >= 1 and <= 4096",
    ),
    (
        "input: {paths: a}\noutput: {path: o}\nrun:\n  memory: 1MB",
        "recipe.yaml:4: run.memory: '1MB' is not allowed: must be a size such as 512MiB or 8GiB, >= 384MiB",
    ),
    (
        "input: shards\noutput: {path: o}",
        "recipe.yaml:1: input: must be a mapping; its keys are"
        " paths, format, text, id, folder_columns, on_bad_input, max_record_bytes, split_bytes",
    ),
    (
        "input: {paths: a}\noutput: {path: o}\nstages: {minhash: {}}",
        "recipe.yaml:3: stages: must be a list of stages, each on a line that begins with `- `",
    ),
    ("", "recipe.yaml:1: the recipe is empty; its keys are input, stages, output, run"),
    ("- a", "recipe.yaml:1: a recipe must be a mapping; its keys are input, stages, output, run"),
]


@pytest.mark.parametrize(("text", "message"), SECTIONS)
def test_faults_of_sections(text, message):
    assert said(text) == [message]


YAML = [
    (
        "input:\n  paths: [a\noutput: {}",
        "recipe.yaml:3: this is not valid YAML: while parsing a flow sequence, expected ',' or ']', but got ':'",
    ),
    (
        "input:\n\tpaths: a",
        "recipe.yaml:2: this is not valid YAML: while scanning for the next token,"
        " found character '\\t' that cannot start any token",
    ),
    ("run: {}\ninput: {}\nrun: {}", "recipe.yaml:3: run: the key is there twice; the first is at recipe.yaml:1"),
    ("on: 3", "recipe.yaml:1: YAML does not read the key on as text; put it in quotes: 'on'"),
    ("[a]: 3", "recipe.yaml:1: a key must be text, not a list or a mapping"),
    ("<<: {a: 1}", "recipe.yaml:1: merge keys (<<) are not allowed in a recipe; write the keys out"),
    (
        "input: !!python/object/apply:os.system [ls]",
        "recipe.yaml:1: input: the YAML tag tag:yaml.org,2002:python/object/apply:os.system is not allowed in a recipe",
    ),
    (
        "input: !!set {a}",
        "recipe.yaml:1: input: the YAML tag tag:yaml.org,2002:set is not allowed in a recipe",
    ),
    ("x: !!int a", "recipe.yaml:1: x: a cannot be read as a number"),
    ("x: " + "9" * 5000, f"recipe.yaml:1: x: {'9' * 37}... cannot be read as a number"),
    ("x: 1e999", "recipe.yaml:1: x: 1e999 cannot be read as a number"),
    (
        "a: 1\n---\nb: 1",
        "recipe.yaml:2: this is not valid YAML: expected a single document in the stream, but found another document",
    ),
    ("a: *b", "recipe.yaml:1: this is not valid YAML: found undefined alias 'b'"),
    (
        "a: '\x01'",
        "recipe.yaml: this is not valid YAML: the character 1 at position 4 is not allowed;"
        " write it as an escape in double quotes",
    ),
    ("[" * 5000, "recipe.yaml: the recipe is too large: nested deeper than 64"),
]


@pytest.mark.parametrize(("text", "message"), YAML, ids=range(len(YAML)))
def test_faults_of_yaml(text, message):
    assert said(text) == [message]


def test_a_bomb_of_aliases_is_stopped():
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 12)]
    (message,) = said("\n".join(lines))
    assert message.endswith("the recipe is too large: more than 200000 values (aliases count)")


def test_an_alias_of_itself_is_stopped():
    (message,) = said("input: &a [*a]")
    assert message.endswith("the recipe is too large: nested deeper than 64 (aliases count)")


def test_a_file_that_is_no_recipe(tmp_path):
    (tmp_path / "latin.yaml").write_bytes(b"input:\n  paths: caf\xe9\n")
    (tmp_path / "big.yaml").write_bytes(b"# " + b"x" * (4 << 20))
    for name, message in (
        ("latin.yaml", "latin.yaml:2: the recipe is not valid UTF-8: byte 0xe9"),
        ("big.yaml", "big.yaml: the recipe is too large: over 4 MiB"),
        ("none.yaml", "there is no recipe at none.yaml"),
        (".", "the recipe . cannot be read: Is a directory"),
    ):
        with pytest.raises(RecipeError) as error:
            load_recipe(name)
        assert str(error.value) == message


def test_all_faults_are_told_at_once_in_the_order_of_the_file():
    text = "input:\n  paths: a\n  txt: t\nstages:\n  - minhash: {threshold: 2}\n  - foo\nrun: {workers: 0}\n"
    assert [message.split(": ")[0] for message in said(text, output="o", sets=["run.batch_bytes=0"])] == [
        "recipe.yaml:3",
        "recipe.yaml:5",
        "recipe.yaml:6",
        "recipe.yaml:7",
        "--set run.batch_bytes=0",
    ]


SETS = [
    ("stages.near.threshold=1.5", "--set stages.near.threshold=1.5: 1.5 is not allowed: must be > 0 and <= 1"),
    (
        "stages.near.treshold=0.5",
        "--set stages.near.treshold=0.5: unknown key. The nearest names are: threshold, room, mode.",
    ),
    (
        "stages.minhash.threshold=0.5",
        "--set stages.minhash.threshold=0.5: the recipe has no stage 'minhash'. The nearest names are: near, length.",
    ),
    (
        "stages.near=0.5",
        "--set stages.near=0.5: names no parameter; its keys are name, mode, threshold, words, bands, room",
    ),
    (
        "input.text",
        "--set input.text: must be key.path=value, such as stages.minhash.threshold=0.9 or input.text=content",
    ),
    ("inptu.text=a", "--set inptu.text=a: unknown key 'inptu'. The nearest names are: input, run, stages."),
    (
        "input.text=[",
        "--set input.text=[: this is not valid YAML: while parsing a flow node, expected the node"
        " content, but found '<stream end>'",
    ),
    ("input.text.x=1", "--set input.text.x=1: input.text is not a mapping"),
    ("input.text=5", "--set input.text=5: 5 is not allowed: must be text"),
]


@pytest.mark.parametrize(("change", "message"), SETS)
def test_faults_of_set(change, message):
    text = "input: {paths: a, text: t}\noutput: {path: o}\nstages:\n- {minhash: {}, name: near}\n- length\n"
    assert said(text, sets=[change]) == [message]


def test_faults_of_other_overrides():
    assert said(HEAD, workers=0) == ["--workers: 0 is not allowed: must be >= 1 and <= 4096"]
    assert said(HEAD, runner="ray") == ["--runner: 'ray' is not allowed: must be one of local, inprocess"]


def test_values_from_python_are_named_by_path_alone():
    with pytest.raises(RecipeError) as error:
        spec_from_mapping({"input": {"paths": "a"}, "output": {"path": "o"}, "stages": [{"minhash": {"threshold": 2}}]})
    assert str(error.value) == "stages[0].minhash.threshold: 2 is not allowed: must be > 0 and <= 1"
    with pytest.raises(RecipeError) as error:
        spec_from_mapping({"input": {"paths": "a", 5: 6}})
    assert str(error.value) == "input: the key 5 is not text"
