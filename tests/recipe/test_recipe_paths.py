"""Paths of a recipe: variables of the environment and `~` are replaced, or refused with file, line and key."""

from __future__ import annotations

from pathlib import Path

import pytest

from corpuscurate import Sink, Source
from corpuscurate.core.errors import RecipeError
from corpuscurate.core.local_path import escaped, expanded
from corpuscurate.recipe.load import Overrides, dump_recipe, load_recipe, spec_from_mapping
from corpuscurate.stages.fasttext_quality import FasttextQuality
from corpuscurate.tools.train.recipe import load_train_recipe


@pytest.fixture(autouse=True)
def environment(monkeypatch, tmp_path):
    monkeypatch.setenv("CORPUS", "/data/corpus")
    monkeypatch.setenv("NAME", "v2")
    monkeypatch.setenv("EMPTY", "")
    monkeypatch.setenv("HOME", "/home/me")
    monkeypatch.delenv("UNSET", raising=False)
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    ("given", "path"),
    [
        ("$CORPUS/a", "/data/corpus/a"),
        ("${CORPUS}/$NAME-${NAME}x", "/data/corpus/v2-v2x"),
        ("s3://bucket/$NAME/*.jsonl", "s3://bucket/v2/*.jsonl"),
        ("~/a", "/home/me/a"),
        ("~", "/home/me"),
        ("a/~/b", "a/~/b"),
        ("$$CORPUS", "$CORPUS"),
        ("$$$CORPUS", "$/data/corpus"),
        ("cost$.jsonl", "cost$.jsonl"),
        ("$5", "$5"),
        ("plain", "plain"),
    ],
)
def test_expanded(given, path):
    assert expanded(given) == path
    assert expanded(escaped(path)) == path


@pytest.mark.parametrize("path", ["$CORPUS", "a$$b", "$$", "./~", "${NAME}", "$", "a/~", "$${"])
def test_escaped_is_the_inverse(path):
    assert expanded(escaped(path)) == path


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("$UNSET/a", "the variable UNSET of the environment is not set. Set it, or write $$ for a dollar sign"),
        ("${EMPTY}/a", "the variable EMPTY of the environment is empty. Set it, or write $$ for a dollar sign"),
        ("${UNSET:-a}", "the variable UNSET:-a of the environment is not set. Set it, or write $$ for a dollar sign"),
        (
            "~nobody-here/a",
            "there is no home folder for ~nobody-here. Write ./~nobody-here for a name that begins with",
        ),
    ],
)
def test_refused(given, said):
    with pytest.raises(ValueError) as error:
        expanded(given)
    assert said in str(error.value)


RECIPE = """input:
  paths: [$CORPUS/*.jsonl, ~/more]
stages:
  - exact: {index: $CORPUS/earlier}
  - minhash: {index: ["~/one", "$NAME"]}
  - fasttext_quality: {model: ~/hq.bin, target: hq}
  - embedding_quality: {head: $CORPUS/head, name: heads}
  - semantic: {embedder: {kind: static, model: "${NAME}/static"}}
output: {path: ~/out/$NAME}
"""


def written(text: str) -> Path:
    path = Path("recipe.yaml").absolute()
    path.write_text(text)
    return path


def test_every_path_of_a_recipe(tmp_path):
    spec = load_recipe(written(RECIPE))
    exact, minhash, fasttext, heads, semantic = spec.stages
    assert spec.source.paths == ("/data/corpus/*.jsonl", "/home/me/more")
    assert spec.sink.path == "/home/me/out/v2"
    assert exact.index == ("/data/corpus/earlier",)
    assert minhash.index == ("/home/me/one", str(tmp_path / "v2"))
    assert (fasttext.model, heads.head) == ("/home/me/hq.bin", "/data/corpus/head")
    assert semantic.embedder.model == str(tmp_path / "v2" / "static")


def test_every_path_that_cannot_be_replaced_is_told_with_its_place():
    text = RECIPE.replace("CORPUS", "UNSET").replace("~/", "~nobody-here/").replace("NAME", "EMPTY")
    with pytest.raises(RecipeError) as error:
        load_recipe(written(text))
    places = [line.split("recipe.yaml:")[1].split(" is not allowed")[0] for line in str(error.value).splitlines()]
    assert [place.rsplit(": ", 1)[0] for place in places] == [
        "2: input.paths",
        "4: stages[0].exact.index",
        "5: stages[1].minhash.index",
        "6: stages[2].fasttext_quality.model",
        "7: stages[3].embedding_quality.head",
        "8: stages[4].semantic.embedder.model",
        "9: output.path",
    ]
    assert "the variable UNSET of the environment is not set" in str(error.value)


def test_a_recipe_and_back():
    sink = {"path": "a$$CORPUS/$NAME"}
    spec = spec_from_mapping({"input": {"paths": ["$$x/*", "./~y"]}, "stages": [], "output": sink})
    assert spec.source.paths == ("$x/*", "./~y")
    assert spec.sink.path == "a$CORPUS/v2"
    again = load_recipe(written(dump_recipe(spec)))
    assert (again.source, again.sink) == (spec.source, spec.sink)


def test_python_takes_paths_as_they_are():
    assert Source(paths="$UNSET/~").paths == ("$UNSET/~",)
    assert Sink(path="$UNSET").path == "$UNSET"
    assert FasttextQuality(model="$UNSET", target="hq").parameters()["model"] == "$UNSET"


def test_the_command_line_takes_them_as_the_shell_gives_them(tmp_path):
    path = written("input: {paths: x}\noutput: {path: y}\n")
    spec = load_recipe(path, Overrides(inputs=["a$UNSET/*"], output="b$UNSET", sets=["input.text=$UNSET"]))
    assert spec.source.paths == (f"{tmp_path}/a$UNSET/*",)
    assert spec.sink.path == f"{tmp_path}/b$UNSET"
    assert spec.source.text == "$UNSET"
    spec = load_recipe(path, Overrides(sets=["input.paths=$CORPUS/a", "output.path=~/b"]))
    assert (spec.source.paths, spec.sink.path) == (("/data/corpus/a",), "/home/me/b")
    with pytest.raises(RecipeError, match=r"--set input.paths=\$UNSET/a: .* UNSET of the environment"):
        load_recipe(path, Overrides(sets=["input.paths=$UNSET/a"]))


def test_files_of_code(tmp_path, monkeypatch):
    (tmp_path / "v2.py").write_text(
        "from corpuscurate.core.filter import Filter\n"
        "class Own(Filter):\n    word = 'own_of_path'\n    def measure(self, batch): return {}\n"
    )
    text = "input: {{paths: x}}\nstages:\n  - python: {}.py:Own\noutput: {{path: y}}\n"
    with pytest.raises(RecipeError, match="Own"):  # found, and judged
        load_recipe(written(text.format("$NAME").replace(":Own", ":NotOwn")), allow_code=True)
    with pytest.raises(RecipeError, match=r"recipe.yaml:3: stages\[0\].python: the variable UNSET"):
        load_recipe(written(text.format("$UNSET")), allow_code=True)


def test_training_recipes(tmp_path):
    text = """input:
  - {paths: $CORPUS/good, label: hq}
  - {paths: ["~/bad"], label: lq}
positive: hq
output: $NAME/model
"""
    found, _ = load_train_recipe(written(text))
    assert [each.paths for each in found.input] == [("/data/corpus/good",), ("/home/me/bad",)]
    assert found.output == "v2/model"
    with pytest.raises(RecipeError) as error:
        load_train_recipe(written(text.replace("$NAME", "$UNSET").replace("$CORPUS", "$UNSET")))
    assert [line.split(" is not")[0].split("recipe.yaml:")[1] for line in str(error.value).splitlines()] == [
        "2: input[0].paths: ['$UNSET/good']" if "['$" in str(error.value) else "2: input[0].paths: '$UNSET/good'",
        "5: output: '$UNSET/model'",
    ]
