"""`optional:` beside a stage: without the file it needs, the run goes on and says what is off."""

from __future__ import annotations

from typing import Annotated

import pytest
from pydantic import BaseModel

from corpuscurate import Pipeline, curate
from corpuscurate.core.errors import InputError, RecipeError
from corpuscurate.core.local_path import FromRecipe, LocalPath, LocalPaths, anchored, missing_files
from corpuscurate.recipe.load import load_recipe, spec_from_mapping

RECIPE = """\
input: {paths: [in.jsonl]}
stages:
  - length: {min_words: 2}
  - fasttext_quality: {model: hq.bin, target: hq}
    optional: https://example.org/hq.bin
  - keep_best: {by: fasttext_quality.score, fraction: 0.5}
    optional: true
output: {path: out}
"""


@pytest.fixture
def recipe(tmp_path):
    def write(text=RECIPE):
        (tmp_path / "recipe.yaml").write_text(text)
        (tmp_path / "in.jsonl").write_text('{"text": "one"}\n{"text": "one two"}\n')
        return tmp_path / "recipe.yaml"

    return write


def test_what_needs_a_missing_file_is_off_and_said_with_where_it_can_be_had(recipe, tmp_path):
    spec = load_recipe(recipe())
    assert [stage.word for stage in spec.stages] == ["length"]
    place = f"{tmp_path}/recipe.yaml"
    assert spec.off == (
        f"{place}:4: stages[1]: fasttext_quality is off: {tmp_path}/hq.bin is not there. It can be had from "
        "https://example.org/hq.bin",
        f"{place}:6: stages[2]: keep_best is off: it reads the column fasttext_quality.score of a stage that is off",
    )
    report = Pipeline.from_recipe(tmp_path / "recipe.yaml").run(workers=1)
    assert report["warnings"][:2] == list(spec.off)
    assert report["documents"]["kept"] == 1


def test_with_its_file_it_is_on(recipe, tmp_path):
    (tmp_path / "hq.bin").write_bytes(b"not a model")
    spec = load_recipe(recipe())
    assert [stage.word for stage in spec.stages] == ["length", "fasttext_quality", "keep_best"]
    assert spec.off == ()
    with pytest.raises(InputError, match=r"hq\.bin"):
        Pipeline.from_recipe(tmp_path / "recipe.yaml").run(workers=1)


@pytest.mark.parametrize("line", ["", "    optional: false\n"])
def test_without_the_key_a_missing_file_is_an_error(recipe, tmp_path, line):
    recipe(RECIPE.replace("    optional: https://example.org/hq.bin\n", line).replace("    optional: true\n", ""))
    with pytest.raises(InputError, match=r"hq\.bin"):
        Pipeline.from_recipe(tmp_path / "recipe.yaml").run(workers=1)


@pytest.mark.parametrize("value", ["3", "''", "[a]", "null", "{a: b}"])
def test_a_wrong_value_is_named_with_its_place(recipe, value):
    path = recipe(RECIPE.replace("optional: true", f"optional: {value}"))
    with pytest.raises(RecipeError, match=r":7: stages\[2\].optional: .* is not allowed: must be true, or where"):
        load_recipe(path)


def test_in_python_a_stage_is_left_out_instead():
    with pytest.raises(RecipeError, match=r"stages\[0\]: optional is for recipes"):
        curate([{"text": "a"}], [{"exact": None, "optional": True}])


def test_from_a_mapping_paths_start_from_the_current_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    stage = {"fasttext_quality": {"model": "hq.bin", "target": "hq"}, "optional": True}
    mapping = {"input": {"paths": ["a"]}, "stages": [stage], "output": {"path": "o"}}
    assert spec_from_mapping(mapping).stages == ()
    (tmp_path / "hq.bin").touch()
    assert len(spec_from_mapping(mapping).stages) == 1


class Inner(BaseModel):
    words: LocalPath | None = None


class Outer(BaseModel):
    model: LocalPath | None = None
    lists: LocalPaths = ()
    either: Annotated[str, FromRecipe(only_existing=True)] = "hub/name"
    plain: str = "nothing"
    inner: Inner = Inner()


def test_paths_in_unions_and_inner_models_are_anchored_and_looked_for(tmp_path):
    (tmp_path / "there").touch()
    assert anchored(Outer(), tmp_path) == {}
    assert missing_files(Outer()) == []
    given = Outer(model="a", lists=("there", "b"), inner=Inner(words="c"))
    whole = given.model_copy(update=dict(anchored(given, tmp_path)))
    assert (whole.model, whole.inner.words) == (f"{tmp_path}/a", f"{tmp_path}/c")
    assert whole.either == "hub/name"
    assert missing_files(whole) == [f"{tmp_path}/a", f"{tmp_path}/b", f"{tmp_path}/c"]
