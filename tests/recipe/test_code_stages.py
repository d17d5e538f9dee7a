"""Stages from a plain Python file beside the recipe: `- python: my_filters.py:Digits`."""

from __future__ import annotations

import json
import pickle
import sys

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from corpuscurate import Pipeline
from corpuscurate.commands.app import app
from corpuscurate.core.errors import RecipeError
from corpuscurate.core.stage import stage_class, stage_classes
from corpuscurate.core.user_code import load_stage
from corpuscurate.engine.steps import stage_value
from corpuscurate.recipe.load import Overrides, load_recipe, spec_from_mapping, spec_to_mapping

FILTER = '''
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from pydantic import Field

from corpuscurate.core.batch import Batch
from corpuscurate.core.columns import to_numpy
from corpuscurate.core.filter import Filter


class MostDigits(Filter):
    """Documents of digits."""

    measured: ClassVar[Mapping[str, pa.DataType]] = {"digits": pa.int64()}
    max_digits: int | None = Field(3, ge=0)

    def measure(self, batch: Batch) -> Mapping[str, NDArray[Any]]:
        return {"digits": to_numpy(pc.count_substring_regex(batch.text, "[0-9]")).astype(np.int64)}


class Plain:
    pass
'''

FIRST = '''
import numpy as np
import pyarrow as pa

from corpuscurate.core.tables import read_table, table_writer
from corpuscurate.core.corpus import DROPS, Settled
from corpuscurate.core.stage import GlobalStage


class Rest:
    """A work of a global stage travels to workers, too."""

    key = "rest"

    def __init__(self, sketches, documents):
        self.sketches, self.documents = sketches, documents

    def run(self, folder):
        ids = [each for path in self.sketches for each in read_table(path)["doc_id"].to_pylist()]
        rows = [{"doc_id": each, "reason": 1, "value": 0.0} for each in ids[self.documents :]]
        with table_writer(folder / "drops.arrow", DROPS) as writer:
            writer.write_table(pa.Table.from_pylist(rows, DROPS))
        return {}


class Head(GlobalStage):
    """Keeps the first documents."""

    word = "head"
    documents: int = 1

    def rules(self):
        return {"documents": self.documents}

    def sketch_schema(self):
        return pa.schema([("one", pa.int8())])

    def sketch_parameters(self):
        return {}

    def sketch(self, batch):
        return {"one": pa.array(np.ones(len(batch), np.int8))}

    def settle(self, corpus):
        (done,) = corpus.run([Rest(corpus.sketches(), self.documents)], "heads")
        return Settled([done.files["drops.arrow"]])
'''


@pytest.fixture
def folder(tmp_path, monkeypatch):
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "my_filters.py").write_text(FILTER, encoding="utf-8")
    (tmp_path / "code" / "first.py").write_text(FIRST, encoding="utf-8")
    texts = ["one 1", "year 2021", "12 34", "none", "another", "7"]
    lines = "".join(json.dumps({"text": text}) + "\n" for text in texts)
    (tmp_path / "a.jsonl").write_text(lines, encoding="utf-8")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")  # paths start from the recipe
    return tmp_path


def recipe(folder, *stages, workers=1, more=""):
    listed = "".join(f"  - {stage}\n" for stage in stages)
    text = (
        f"input: {{paths: a.jsonl, split_bytes: 30{more}}}\nstages:\n{listed}"
        f"output: {{path: out}}\nrun: {{workers: {workers}}}\n"
    )
    (folder / "recipe.yaml").write_text(text, encoding="utf-8")
    return folder / "recipe.yaml"


def said(path, allow_code=True):
    with pytest.raises(RecipeError) as error:
        load_recipe(path, allow_code=allow_code)
    return str(error.value).replace(f"{path.parent}/", "")


def kept(folder):
    return [
        text for part in sorted((folder / "out" / "data").iterdir()) for text in pq.read_table(part)["text"].to_pylist()
    ]


def test_its_parameters_stand_beside_it(folder):
    path = recipe(folder, "{python: code/my_filters.py:MostDigits, max_digits: 1, mode: tag, name: few}")
    spec = load_recipe(path, Overrides(sets=["stages.few.max_digits=2"]), allow_code=True)
    (stage,) = spec.stages
    assert (stage.max_digits, stage.mode, stage.label, stage.word) == (2, "tag", "few", "most_digits")
    assert pickle.loads(pickle.dumps(stage)) == stage  # noqa: S301
    again = spec_from_mapping(spec_to_mapping(spec), allow_code=True)
    assert again.stages == spec.stages
    assert spec_to_mapping(spec)["stages"] == [
        {"python": f"{folder}/code/my_filters.py:MostDigits", "max_digits": 2, "mode": "tag", "name": "few"}
    ]


@pytest.mark.parametrize("workers", [1, 2])
def test_a_run(folder, workers):
    stages = ("python: code/my_filters.py:MostDigits", "{python: code/first.py:Head, documents: 3}")
    path = recipe(folder, *stages, workers=workers)
    report = Pipeline.from_recipe(path, allow_code=True).run()
    assert kept(folder) == ["one 1", "none", "another"]
    dropped = pq.read_table(folder / "out" / "dropped")
    assert dropped["stage"].to_pylist() == ["most_digits", "most_digits", "head"]
    assert [stage["word"] for stage in report["recipe"]["stages"]] == ["most_digits", "head"]


def test_workers_run_what_was_loaded_and_not_what_the_file_holds_now(folder):
    pipeline = Pipeline.from_recipe(recipe(folder, "python: code/my_filters.py:MostDigits", workers=2), allow_code=True)
    (folder / "code" / "my_filters.py").write_text("raise SystemExit('changed')", encoding="utf-8")
    pipeline.run()
    assert kept(folder) == ["one 1", "none", "another", "7"]


def test_a_changed_file_is_another_stage_and_a_moved_one_is_not(folder):
    path = recipe(folder, "python: code/my_filters.py:MostDigits")
    (before,) = load_recipe(path, allow_code=True).stages
    Pipeline.from_recipe(path, allow_code=True).run()
    changed = FILTER.replace("[0-9]", "[0-9a]")
    (folder / "code" / "my_filters.py").write_text(changed, encoding="utf-8")
    (after,) = load_recipe(path, allow_code=True).stages
    assert stage_value(before) != stage_value(after)
    Pipeline.from_recipe(path, allow_code=True).run(overwrite=True)
    assert kept(folder) == ["one 1", "none", "another", "7"]
    (folder / "code" / "my_filters.py").write_text(changed.replace("[0-9a]", "[0-9a-z]"), encoding="utf-8")
    Pipeline.from_recipe(path, allow_code=True).run(overwrite=True)
    assert kept(folder) == ["7"]

    (folder / "moved.py").write_text(changed, encoding="utf-8")
    assert stage_value(load_stage("moved.py:MostDigits", folder)()) == stage_value(after)


def test_a_changed_sketch_is_not_used_again(folder):
    path = recipe(folder, "{python: code/first.py:Head, documents: 2}")
    Pipeline.from_recipe(path, allow_code=True).run()
    assert kept(folder) == ["one 1", "year 2021"]
    (folder / "code" / "first.py").write_text(
        FIRST.replace("ids[self.documents :]", "ids[: -self.documents]"), encoding="utf-8"
    )
    Pipeline.from_recipe(path, allow_code=True).run(overwrite=True)
    assert kept(folder) == ["another", "7"]


def test_it_does_not_take_the_place_of_a_word_in_recipes(folder):
    (folder / "code" / "mine.py").write_text(FIRST.replace('word = "head"', 'word = "exact"'), encoding="utf-8")
    kind = load_stage("code/mine.py:Head", folder)
    assert kind.word == "exact"
    assert stage_class("exact") is not kind
    assert kind not in stage_classes().values()


MALICIOUS = "from pathlib import Path\nPath(__file__).with_suffix('.ran').touch()\n" + FILTER
VERBS = (["check"], ["plan"], ["run"], ["tune", "minhash"], ["tune", "quality"], ["tune", "semantic"])


@pytest.mark.parametrize("verb", VERBS, ids=" ".join)
def test_no_verb_runs_code_without_leave(folder, verb):
    (folder / "code" / "bad.py").write_text(MALICIOUS, encoding="utf-8")
    path = recipe(folder, "normalize", "python: code/bad.py:MostDigits")
    found = CliRunner().invoke(app, [*verb, str(path)])
    assert found.exit_code == 2
    assert not (folder / "code" / "bad.ran").exists()
    assert (
        found.stderr.replace("\n", " ")
        .strip()
        .endswith(
            "recipe.yaml:4: stages[1].python: 'code/bad.py:MostDigits' is code of yours, which runs only where you"
            " allow it: give --allow-code (in Python: allow_code=True) if you trust this recipe and that file"
        )
    )
    assert not (folder / "out").exists()


@pytest.mark.parametrize("verb", [["check"], ["plan"]], ids=" ".join)
def test_a_verb_runs_code_with_leave(folder, verb):
    (folder / "code" / "bad.py").write_text(MALICIOUS, encoding="utf-8")
    path = recipe(folder, "python: code/bad.py:MostDigits")
    found = CliRunner().invoke(app, [*verb, str(path), "--allow-code"])
    assert found.exit_code == 0, found.output
    assert (folder / "code" / "bad.ran").exists()
    assert not (folder / "code" / "__pycache__").exists()  # a stale one would be believed


def test_python_runs_no_code_without_leave(folder):
    (folder / "code" / "bad.py").write_text(MALICIOUS, encoding="utf-8")
    path = recipe(folder, "python: code/bad.py:MostDigits")
    before = set(sys.modules)
    for load in (load_recipe, Pipeline.from_recipe):
        with pytest.raises(RecipeError, match="--allow-code"):
            load(path)
    with pytest.raises(RecipeError, match="--allow-code"):
        spec_from_mapping(
            {"input": {"paths": "a"}, "output": {"path": "o"}, "stages": [{"python": f"{folder}/code/bad.py:D"}]}
        )
    assert not (folder / "code" / "bad.ran").exists()
    assert not any("bad" in name for name in set(sys.modules) - before)


@pytest.mark.parametrize(
    ("stage", "message"),
    [
        (
            "python: code/my_filters.py:MostDigts",
            "stages[0].python: code/my_filters.py has no class 'MostDigts'. Its stages are: MostDigits."
            " The nearest names are: MostDigits.",
        ),
        (
            "python: code/my_filters.py:Plain",
            "stages[0].python: Plain of code/my_filters.py is no stage of its own: it must be a class there, below"
            " StreamingStage, Filter or GlobalStage. Its stages are: MostDigits. The nearest names are: MostDigits.",
        ),
        (
            "python: code/my_filters.py:Filter",
            "stages[0].python: Filter of code/my_filters.py is no stage of its own: it must be a class there, below"
            " StreamingStage, Filter or GlobalStage. Its stages are: MostDigits. The nearest names are: MostDigits.",
        ),
        (
            "python: code/my_filters.py",
            "stages[0].python: 'code/my_filters.py' names no class of a Python file: write FILE.py:CLASS",
        ),
        (
            "python: code/my_filters.so:MostDigits",
            "stages[0].python: 'code/my_filters.so:MostDigits' names no class of a Python file: write FILE.py:CLASS",
        ),
        (
            "python: {path: code/my_filters.py}",
            "stages[0].python: must be FILE.py:CLASS; the parameters of the stage stand beside it",
        ),
        (
            "python: gone.py:A",
            "stages[0].python: gone.py cannot be read (gone.py): No such file or directory",
        ),
        (
            "{python: code/my_filters.py:MostDigits, max_digit: 1}",
            "stages[0].max_digit: unknown key. The nearest names are: max_digits, mode, name.",
        ),
        (
            "{python: code/my_filters.py:MostDigits, max_digits: -1}",
            "stages[0].max_digits: -1 is not allowed: must be a whole number >= 0 or null",
        ),
        (
            "python: code/broken.py:A",
            "stages[0].python: code/broken.py cannot be loaded (line 3): ZeroDivisionError: division by zero",
        ),
        ("python: code/empty.py:A", "stages[0].python: code/empty.py has no class 'A'. It defines no stage."),
    ],
)
def test_errors(folder, stage, message):
    (folder / "code" / "broken.py").write_text("\n\nx = 1 / 0\n", encoding="utf-8")
    (folder / "code" / "empty.py").write_text("", encoding="utf-8")
    assert said(recipe(folder, stage)) == f"recipe.yaml:3: {message}"


def test_a_file_that_was_broken_is_read_anew(folder):
    file = folder / "code" / "my_filters.py"
    file.write_text("class MostDigits(:\n", encoding="utf-8")
    path = recipe(folder, "python: code/my_filters.py:MostDigits")
    assert "code/my_filters.py cannot be loaded: SyntaxError: invalid syntax" in said(path)
    file.write_text(FILTER, encoding="utf-8")
    assert load_recipe(path, allow_code=True).stages[0].max_digits == 3


def test_columns_and_types_are_those_of_any_stage(folder):
    path = recipe(folder, "{python: code/my_filters.py:MostDigits, mode: tag}")
    Pipeline.from_recipe(path, allow_code=True).run()
    (part,) = (folder / "out" / "data").iterdir()
    assert pq.read_schema(part).field("most_digits.digits").type == pa.int64()
