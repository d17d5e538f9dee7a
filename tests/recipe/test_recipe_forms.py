from __future__ import annotations

from pathlib import Path

import pytest
from support.toy_stages import register_toys

from corpuscurate.core.errors import RecipeError
from corpuscurate.recipe.load import Overrides, load_recipe, spec_from_mapping, spec_to_mapping

RECIPE = """\
input:
  paths: [shards/*.jsonl.zst]
  id: id
stages:
  - normalize
  - length: {min_words: 50}
  - where: "lang == 'en'"
  - {minhash: {threshold: 0.9}, name: near}
  - length:
      max_words: 9
      name: long
    mode: tag
  - minhash
output:
  path: out
  format: jsonl.gz
run: {workers: 2, runner: inprocess, memory: 8GiB}
"""


@pytest.fixture(autouse=True)
def toys(monkeypatch):
    return register_toys(monkeypatch)


def write(folder: Path, text: str) -> Path:
    path = folder / "recipe.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_every_form_of_a_stage(tmp_path, toys):
    spec = load_recipe(write(tmp_path, RECIPE))
    assert spec.base == tmp_path
    assert spec.stages == (
        toys["normalize"](),
        toys["length"](min_words=50),
        toys["where"](expression="lang == 'en'"),
        toys["minhash"](threshold=0.9, name="near"),
        toys["length"](max_words=9, name="long", mode="tag"),
        toys["minhash"](),
    )
    assert [stage.label for stage in spec.stages] == ["normalize", "length", "where", "near", "long", "minhash"]
    assert (spec.source.paths, spec.source.text, spec.source.id) == (("shards/*.jsonl.zst",), "text", "id")
    assert (spec.sink.path, spec.sink.format) == ("out", "jsonl.gz")
    assert (spec.settings.workers, spec.settings.runner, spec.settings.memory) == (2, "inprocess", 8 << 30)


def test_a_scalar_goes_to_the_field_the_stage_names_or_to_its_only_required_one(toys):
    mapping = {"input": {"paths": "a"}, "output": {"path": "o"}}
    spec = spec_from_mapping({**mapping, "stages": [{"normalize": "NFKC"}, {"where": "x > 1"}]})
    assert spec.stages == (toys["normalize"](form="NFKC"), toys["where"](expression="x > 1"))


def test_lists_become_tuples_and_whole_numbers_become_floats(toys):
    stages = [{"minhash": {"threshold": 1, "words": ["a", "b"], "bands": 7, "room": "2MiB"}}]
    spec = spec_from_mapping({"input": {"paths": ["a"]}, "stages": stages, "output": {"path": "o"}})
    assert spec.stages == (toys["minhash"](threshold=1.0, words=("a", "b"), bands=7, room=2 << 20),)


def test_no_stages_is_a_copy_of_the_input(tmp_path):
    for stages in ("", "stages:\n", "stages: []\n"):
        spec = load_recipe(write(tmp_path, f"input: {{paths: a}}\n{stages}output: {{path: o}}\n"))
        assert spec.stages == ()


def test_overrides(tmp_path, toys, monkeypatch):
    path = write(tmp_path, RECIPE)
    here = tmp_path / "elsewhere"
    here.mkdir()
    monkeypatch.chdir(here)
    sets = ["stages.near.threshold=1e-1", "stages.minhash.words=[x, 'no']", "input.text=content", "run.retain=all"]
    overrides = Overrides(["x.jsonl", "s3://b/*.parquet"], "result", 3, "local", sets)
    spec = load_recipe(path, overrides)
    assert spec.base == tmp_path
    assert spec.source.paths == (str(here / "x.jsonl"), "s3://b/*.parquet")
    assert spec.sink.path == str(here / "result")
    assert (spec.settings.workers, spec.settings.runner, spec.settings.retain) == (3, "local", "all")
    assert spec.source.text == "content"
    assert spec.stages[3] == toys["minhash"](threshold=0.1, name="near")
    assert spec.stages[5] == toys["minhash"](words=("x", "no"))


def test_set_makes_the_section_it_needs_and_stays_relative_to_the_recipe(tmp_path):
    path = write(tmp_path, "stages: [length]\n")
    spec = load_recipe(path, Overrides(sets=["input.paths=[a]", "output.path=o", "stages.length.min_words=3"]))
    assert (spec.source.paths, spec.sink.path) == (("a",), "o")
    assert spec_to_mapping(spec)["stages"] == [{"length": {"min_words": 3}}]


def test_a_current_folder_with_glob_characters_is_no_pattern(tmp_path, monkeypatch):
    here = tmp_path / "a[1]"
    here.mkdir()
    (here / "there.jsonl").write_text("")
    monkeypatch.chdir(here)
    spec = load_recipe(write(tmp_path, RECIPE), Overrides(inputs=["*.jsonl", "there.jsonl"]))
    assert spec.source.paths == (f"{tmp_path}/a[[]1]/*.jsonl", f"{here}/there.jsonl")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-3", 0.001),
        ("1_000_000", 1_000_000),
        ("0x1F", 31),
        ("-0.5", -0.5),
        (".5", 0.5),
        ("010", "010"),
        ("1:30", "1:30"),
        ("2020-01-01", "2020-01-01"),
        (".inf", ".inf"),
        (".nan", ".nan"),
        ("'no'", "no"),
        ("no", False),
        ("~", None),
        ("=", "="),
        ("<<", "<<"),
        ("!!str 5", "5"),
    ],
)
def test_scalars_are_read_as_written(text, value):
    from corpuscurate.recipe.yaml_tree import parse_yaml

    found = parse_yaml(f"x: {text}", "f").plain()["x"]
    assert found == value
    assert type(found) is type(value)


def test_anchors_are_allowed_in_reason(tmp_path):
    text = "input: {paths: [&a 'x', *a]}\noutput: {path: *a}\n"
    spec = load_recipe(write(tmp_path, text))
    assert (spec.source.paths, spec.sink.path) == (("x", "x"), "x")


def test_a_byte_order_mark_is_no_part_of_the_recipe(tmp_path):
    path = tmp_path / "recipe.yaml"
    path.write_bytes(b"\xef\xbb\xbfinput: {paths: a}\noutput: {path: o}\n")
    assert load_recipe(path).sink.path == "o"


def test_values_that_yaml_cannot_hold_are_named():
    with pytest.raises(RecipeError) as error:
        spec_from_mapping({"input": {"paths": [{1, 2}]}, "output": {"path": "o"}})
    assert str(error.value) == "input.paths[0]: [1, 2] is not a value a recipe can hold (set)"
