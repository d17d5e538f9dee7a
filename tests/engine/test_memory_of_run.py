"""How many workers fit into `run.memory`, and what is told of it."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import pytest
from support.engine import digests, write_corpus

from corpuscurate import Pipeline, Settings, Sink, Source
from corpuscurate.core.errors import RecipeError
from corpuscurate.core.spec import Spec
from corpuscurate.core.stage import Resources
from corpuscurate.engine.estimate import plan_spec
from corpuscurate.engine.memory import MIB, fitted, memory_of, models_bytes, settling_bytes
from corpuscurate.engine.session import proportional
from corpuscurate.stages.exact import Exact
from corpuscurate.stages.length import Length

GIB = 1 << 30


class Heavy(Length):
    """A stage with a model of 300 MiB."""

    @property
    def resources(self) -> Resources:
        return Resources(memory_bytes=300 * MIB)


def spec(*stages: Any, **settings: Any) -> Spec:
    return Spec(Source(paths=("in",)), stages or (Exact(),), Sink(path="out"), Settings(**settings))


@pytest.mark.parametrize(
    ("memory", "asked", "got"),
    [
        (384 * MIB, 1, 1),
        (512 * MIB, 1, 1),
        (512 * MIB, 2, 1),
        (GIB, 2, 2),
        (GIB, 64, 3),
        (8 * GIB, 16, 16),
        (64 * GIB, 64, 64),
    ],
)
def test_as_many_workers_run_as_fit_and_fewer_are_told(memory: int, asked: int, got: int) -> None:
    made, told = fitted(spec(memory=memory, workers=asked))
    assert made.settings.workers == got
    assert len(told) == (got < asked)
    assert all(f"{memory // MIB:,} MiB has room for {got} of {asked} workers" in text for text in told)
    found = memory_of(made.settings, models_bytes(made.stages))
    assert found.least <= memory
    assert max(found.phases().values()) == memory >= found.processes + settling_bytes(made)


def test_large_batches_are_cut_before_a_worker_is_left_out() -> None:
    made, told = fitted(spec(memory=GIB, workers=2, batch_bytes=512 * MIB))
    assert (made.settings.workers, told) == (2, [])
    assert MIB <= made.settings.batch_bytes < 512 * MIB


def test_models_count_and_too_little_is_refused_with_what_takes_it() -> None:
    heavy = Heavy(min_words=1, name="heavy")
    assert fitted(spec(heavy, memory=GIB + 100 * MIB, workers=3))[0].settings.workers == 2
    with pytest.raises(RecipeError, match=r"512 MiB is too little.* 684 MiB at least.*300 MiB for the models.*684MiB"):
        fitted(spec(heavy, memory=512 * MIB, workers=1))
    assert fitted(spec(heavy, memory=684 * MIB, workers=1))[0].settings.workers == 1


def test_a_plan_shows_the_sum_by_phase(tmp_path: Path) -> None:
    write_corpus(tmp_path / "in", shards=1)
    made = Spec(Source(paths=("in",)), (Exact(),), Sink(path="out"), Settings(workers=4, memory=GIB), tmp_path)
    plan = plan_spec(made)
    assert plan["workers"] == plan["memory"]["workers"] == 3
    assert "has room for 3 of 4 workers" in plan["warnings"][0]
    phases = plan["memory"]["by_phase"]
    assert list(phases) == ["measure", "settle", "write"]
    assert phases["measure"] == phases["write"] < phases["settle"] == GIB


def test_a_run_with_too_many_workers_says_so_and_makes_the_same_bytes(tmp_path: Path) -> None:
    write_corpus(tmp_path / "in")

    def run(out: str, workers: int) -> dict[str, Any]:
        settings = Settings(workers=workers, memory=512 * MIB)
        return Pipeline(Source(paths=("in",)), (Exact(),), Sink(path=out), settings, tmp_path).run()

    report = run("many", 8)
    assert [text for text in report["warnings"] if "room for 1 of 8 workers" in text]
    assert report["recipe"]["run"]["workers"] == 1
    run("one", 1)
    assert digests(tmp_path / "many") == digests(tmp_path / "one")


@pytest.mark.skipif(not Path("/proc/self/smaps_rollup").exists(), reason="the system does not tell proportional memory")
def test_pages_that_processes_share_count_once() -> None:
    program = "import os, time\nheld = b'x' * (80 << 20)\nchild = os.fork()\nos.write(1, b'ready\\n')\ntime.sleep(60)"
    process = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        assert [process.stdout.readline() for _ in range(2)] == ["ready\n"] * 2
        time.sleep(0.1)
        (child,) = psutil.Process(process.pid).children()
        both = [proportional(psutil.Process(process.pid)), proportional(child)]
        assert 80 * MIB < sum(both) < 120 * MIB
        assert max(both) < 75 * MIB
    finally:
        for each in psutil.Process(process.pid).children():
            each.kill()
        process.kill()
        process.wait()
        process.stdout.close()
