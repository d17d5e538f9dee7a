"""Compiling ahead: each unit once, by several processes, with a stamp; nothing hangs where a process is gone."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import orjson
import pytest

from corpuscurate.engine.progress import NoProgress
from corpuscurate.engine.runners import compiling
from corpuscurate.engine.runners.warm import NOTHING, units_of, with_compiling
from corpuscurate.recipe.bundled import bundled_recipe
from corpuscurate.tools import warm
from corpuscurate.tools.warm import what_recipes_load


class Told(NoProgress):
    """Notes what is told."""

    def __init__(self) -> None:
        self.total = self.done = 0

    def start(self, title: str, total_bytes: int, tasks: int) -> None:
        self.total += tasks

    def task_done(self) -> None:
        self.done += 1


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(compiling, "cache_folder", lambda: str(tmp_path))
    return tmp_path


def unit(word: str) -> str:
    return orjson.dumps({"stages": [[word, {}]], "formats": [], "column_types": False}).decode()


def test_units_are_the_stages_and_formats_each_once() -> None:
    text = orjson.dumps({"stages": [["a", {"x": 1}], ["b", {}]], "formats": ["jsonl"], "column_types": True}).decode()
    made = units_of(text)
    assert [compiling.unit_name(each) for each in made] == ["a", "b", "jsonl files"]
    assert units_of(NOTHING) == []
    assert orjson.loads(with_compiling(NOTHING, {"processes": 2}))["compile"] == {"processes": 2}


@pytest.mark.parametrize("processes", [1, 3])
def test_each_unit_is_compiled_once_and_never_again(tmp_path: Path, processes: int) -> None:
    units = [unit(f"stage{number}") for number in range(5)]

    def start(how: dict[str, Any]) -> int:
        server = os.fork()
        if not server:
            try:

                def load(each: str) -> None:
                    with (tmp_path / "loaded").open("a") as file:
                        file.write(f"{compiling.unit_name(each)}\n")

                compiling.compile_units(how["units"], how["processes"], Path(how["told"]), load)
            finally:
                os._exit(0)
        return server

    told = Told()
    assert compiling.compile_ahead(units[:3], processes, start, told) == ["stage0", "stage1", "stage2"]
    assert (told.total, told.done) == (3, 3)
    assert compiling.compile_ahead(units, processes, start, Told()) == ["stage3", "stage4"]
    assert compiling.compile_ahead(units, processes, start, Told()) == []
    assert sorted((tmp_path / "loaded").read_text().split()) == [f"stage{number}" for number in range(5)]


def test_a_server_that_is_gone_is_not_waited_for() -> None:
    pid = os.fork()
    if not pid:
        os._exit(0)
    told = Told()
    assert compiling.compile_ahead([unit("a")], 2, lambda _: pid, told) == ["a"], "a zombie"
    os.waitpid(pid, 0)
    assert compiling.compile_ahead([unit("a")], 2, lambda _: pid, told) == ["a"], "no process"
    assert told.done == 0 and not compiling.is_compiled(unit("a"))


def test_a_stamp_is_of_the_kernel_sources(monkeypatch: pytest.MonkeyPatch) -> None:
    before = compiling.stamp_of(unit("a"))
    monkeypatch.setattr(compiling, "module_digests", lambda _: {Path("x"): "other"})
    assert compiling.stamp_of(unit("a")) != before
    monkeypatch.setattr(compiling, "cache_folder", lambda: "")
    assert compiling.stamp_of(unit("a")) is None and not compiling.is_compiled(unit("a"))


def test_recipes_name_their_stages_and_the_formats_of_their_input() -> None:
    one = orjson.loads(what_recipes_load([str(bundled_recipe("demo"))]))
    assert [word for word, _ in one["stages"]][:2] == ["normalize", "length"] and one["formats"] == ["jsonl"]
    every = orjson.loads(what_recipes_load(()))
    assert {"normalize", "minhash", "gopher_quality", "c4_quality"} <= {word for word, _ in every["stages"]}
    assert len(every["stages"]) == len({orjson.dumps(stage) for stage in every["stages"]})


def test_stages_are_settled_over_a_few_documents_once(tmp_path: Path) -> None:
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text("input: {paths: gone/*.jsonl, text: body}\nstages: [{exact: {}}]\noutput: {path: out}\n")
    (unit_of_exact,) = warm._settling(str(recipe), False)
    assert not compiling.is_compiled(unit_of_exact)
    warm._settle_one(str(recipe), unit_of_exact, False)
    assert compiling.is_compiled(unit_of_exact)
    assert warm.settle_ahead([str(recipe)], 2, NoProgress()) == []
    assert [path.name for path in tmp_path.iterdir() if path.is_dir()] == ["compiled"]
