"""Stages and works of a script, a cell or a function run with any number of workers; what cannot be sent is named."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest
from support import forked

ROOT = Path(__file__).parents[3]

OWN = """
import threading
from dataclasses import dataclass
from typing import ClassVar, Mapping
import numpy as np, pyarrow as pa, pyarrow.compute as pc
from pydantic import Field
from corpuscurate import Filter, GlobalStage, Pipeline, Settled, Sink, Source
from corpuscurate.core.columns import to_numpy

HELD = str

def longest():
    return 100

class Own(Filter):
    "Own."
    measured: ClassVar[Mapping[str, pa.DataType]] = {"chars": pa.int64()}
    max_chars: int | None = Field(10, description="most characters", ge=0)
    def measure(self, batch):
        return {"chars": np.minimum(to_numpy(pc.utf8_length(batch.text)).astype(np.int64), longest())}

class Counting(GlobalStage):
    "Keeps all."
    word = "counting"
    def rules(self):
        return {"never": None}
    def sketch_schema(self):
        return pa.schema([("n", pa.int64())])
    def sketch(self, batch):
        return {"n": pa.array(np.zeros(len(batch), np.int64))}
    def settle(self, corpus):
        return Settled([], [], {"works": len(corpus.run([Choose(i, HELD()) for i in range(4)], "choosing"))})

@dataclass(frozen=True)
class Choose:
    i: int
    held: object
    @property
    def key(self):
        return f"choose-{self.i}"
    def run(self, folder):
        (folder / "x").write_text("x")
        return {}
"""
RUN = """
def run():
    stages = [Own(max_chars=9), Counting()]
    return Pipeline(Source(paths=("*.jsonl",)), stages, Sink(path="out")).run(workers=2)
"""
DONE = "{'input': 40, 'kept': 10, 'dropped': 30, 'quarantined': 0}"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for part in range(2):
        lines = "".join(f'{{"text": "{"x" * (5 + i)}{part}"}}\n' for i in range(20))
        (tmp_path / f"{part}.jsonl").write_text(lines.replace(f'x{part}"', 'x"'))
    return tmp_path


def python(folder: Path) -> forked.Done:
    """The script in a process of its own, whose workers come from the server that it came from."""
    return forked.start(forked.script, "s.py", cwd=folder).wait()


def started(folder: Path, *arguments: str, text: str = "") -> subprocess.CompletedProcess[str]:
    """A Python that is started, which starts a fork server for its workers."""
    return subprocess.run(
        [sys.executable, *arguments],
        input=text,
        capture_output=True,
        text=True,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        check=False,
        timeout=300,
    )


@pytest.mark.parametrize("how", ["python -", "with a guard", "a cell", "a script", "a function"])
@pytest.mark.campaign(2)
def test_it_runs_with_two_workers(folder: Path, how: str) -> None:
    code = f"{OWN}{RUN}"
    call = "print(run()['documents'])\n"
    if how == "with a guard":
        call = f"if __name__ == '__main__':\n    {call}"
    if how == "a function":
        code = f"def whole():\n{textwrap.indent(code, '    ')}    return run()\n"
        call = "print(whole()['documents'])\n"
    if how == "a cell":
        code, call = f"print('once')\nexec(compile({code + call!r}, '<ipython-input-1>', 'exec'))\n", ""
    (folder / "s.py").write_text(code + call)
    done: Any
    if how in ("a script", "python -"):
        done = started(folder, "-", text=code + call) if how == "python -" else started(folder, "s.py")
    else:
        done = python(folder)
    assert done.stdout.splitlines()[-1:] == [DONE], done.stderr
    assert done.stdout.count("once") == (how == "a cell")
    assert done.stderr == ""


def test_what_cannot_be_sent_is_named(folder: Path) -> None:
    call = "HELD = threading.Lock\ntry: run()\nexcept Exception as error: print(type(error).__name__, error)\n"
    (folder / "s.py").write_text(OWN + RUN + call)
    done = python(folder)
    assert done.stdout.startswith("WorkerError Choose (of __main__) cannot be sent to a worker process: ")
    assert "lock" in done.stdout
    assert "or give workers=1" in done.stdout
    assert "memory" not in done.stdout


def test_a_module_that_a_worker_cannot_import_is_named(folder: Path) -> None:
    call = f"""
import sys, types
module = types.ModuleType("made_up")
sys.modules["made_up"] = module
exec({OWN + RUN!r}, module.__dict__)
try:
    module.run()
except Exception as error:
    print(type(error).__name__, error)
"""
    (folder / "s.py").write_text(call)
    done = python(folder)
    assert "made_up" in done.stdout
    assert "or give workers=1" in done.stdout


def test_changed_code_is_never_answered_from_an_old_run(folder: Path) -> None:
    run = RUN.replace(".run(workers=2)", ".run(workers=1, overwrite=True)")

    def kept(code: str) -> str:
        (folder / "s.py").write_text(f"{code}{run}print(run()['documents']['kept'])\n")
        done = python(folder)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    assert kept(OWN) == "10"
    assert kept(OWN.replace("return 100", "return 3")) == "40"
    assert kept(OWN) == "10"


@pytest.mark.parametrize("context", ["Pool", "ProcessPoolExecutor"])
@pytest.mark.campaign(2)
def test_inside_a_process_of_a_pool(folder: Path, context: str) -> None:
    code = f"""
import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from corpuscurate import Pipeline, Sink, Source, curate
def job(out):
    return Pipeline(Source(paths=("*.jsonl",)), ["exact"], Sink(path=out)).run(workers=2)["documents"]["input"]
if __name__ == "__main__":
    print(job("here"))  # a fork server runs in the parent
    fork = multiprocessing.get_context("fork")
    if {context!r} == "Pool":
        with fork.Pool(1) as pool:
            print(pool.apply(job, ("there",)))
    else:
        with ProcessPoolExecutor(1, mp_context=fork) as pool:
            print(pool.submit(job, "there").result())
"""
    (folder / "s.py").write_text(code)
    done = started(folder, "s.py") if context == "ProcessPoolExecutor" else python(folder)
    assert done.stdout == "40\n40\n", done.stderr
