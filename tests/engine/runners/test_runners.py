"""Processes that die: killed runs, killed workers, scripts without a main guard."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from multiprocessing import synchronize
from pathlib import Path
from typing import Any

import psutil
import pytest
from support import forked
from support.engine import digests, write_corpus
from support.forms import FULL

from corpuscurate import Pipeline, Settings, Sink, Source
from corpuscurate.core.batch import Batch
from corpuscurate.core.errors import WorkerError
from corpuscurate.core.stage import Outcome
from corpuscurate.engine.runners.local import LocalRunner
from corpuscurate.engine.task import Task
from corpuscurate.stages.exact import Exact
from corpuscurate.stages.length import Length
from corpuscurate.stages.minhash import MinHash

SCRIPT = """
from pathlib import Path
from corpuscurate import Pipeline, Settings, Sink, Source
from corpuscurate.stages.exact import Exact
from corpuscurate.stages.minhash import MinHash

source = Source(paths=("in/*.jsonl",), id="id", split_bytes=20_000)
made = Pipeline(source, (Exact(), MinHash()), Sink(path="out", part_bytes=20_000), Settings(workers=2))
print(made.run()["documents"]["input"])
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_corpus(tmp_path / "in", shards=8)
    (tmp_path / "script.py").write_text(SCRIPT)
    return tmp_path


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}


@pytest.mark.parametrize(
    ("modules", "long"),
    [(True, True), (False, False), (True, False), (False, True)],
    ids=["all at once", "no main guard", "a file like a module", "a long folder for temporary files"],
)
@pytest.mark.campaign(4)
def test_a_script_may_use_workers(folder: Path, modules: bool, long: bool) -> None:
    """Without a main guard; where the current folder has a file with the name of a module; where the path of a socket
    in the folder for temporary files has more than 108 bytes."""
    script, env = "script.py", environment()
    if modules:
        (folder / "pyarrow.py").write_text("raise SystemExit('the wrong module')")
        (folder / "bin").mkdir()
        script = "bin/script.py"
        (folder / "script.py").rename(folder / script)
    if long:
        env["TMPDIR"] = str(folder / ("scratch-" + "x" * 100))
        Path(env["TMPDIR"]).mkdir()
    command = [sys.executable, script]
    done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "344\n"), done.stderr


def test_a_killed_run_leaves_no_process_and_the_next_one_makes_the_same_bytes(folder: Path) -> None:
    whole = Pipeline(
        Source(paths=("in/*.jsonl",), id="id", split_bytes=20_000),
        (Exact(), MinHash()),
        Sink(path="whole", part_bytes=20_000),
        Settings(workers=1),
        folder,
    )
    whole.run()
    wanted = digests(folder / "whole")
    for wait in (0.0, 0.2, 0.5) if FULL else (0.2,):
        run = subprocess.Popen([sys.executable, "script.py"], cwd=folder, env=environment(), stdout=subprocess.DEVNULL)
        watched = psutil.Process(run.pid)
        deadline = time.monotonic() + 60
        while not list((folder / "out" / "_run").glob("measure-0/*")) and time.monotonic() < deadline:
            time.sleep(0.01)
        time.sleep(wait)
        children = watched.children(recursive=True)
        run.send_signal(signal.SIGKILL)
        run.wait()
        _, alive = psutil.wait_procs(children, timeout=60)  # one that still imports ends after it
        assert alive == []
    done = forked.start(forked.script, "script.py", cwd=folder).wait()
    assert (done.returncode, done.stdout) == (0, "344\n"), done.stderr
    assert digests(folder / "out") == wanted
    assert not list((folder / "out").rglob(".*.tmp"))


class Dies(Length):
    """A stage that ends its process: by the signal `min_words`, or from 100 on with exit code `min_words` - 100."""

    def apply(self, batch: Batch) -> Outcome:
        if self.min_words >= 100:
            os._exit(self.min_words - 100)
        os.kill(os.getpid(), self.min_words)
        return Outcome()


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (signal.SIGKILL, r"was killed \(SIGKILL\) while it worked on {}\. .* memory \(2 workers\).*--workers"),
        (signal.SIGABRT, r"was ended by SIGABRT while it worked on {}\. .*A library crashed.*It is no lack of memory"),
        (107, r"ended with exit code 7 while it worked on {}\. .*A stage or a library ended it"),
        (signal.SIGSEGV, r"was ended by SIGSEGV while it worked on {}\. .*A library crashed.*isolate"),
        (signal.SIGBUS, r"was ended by SIGBUS while it worked on {}\. .*A file was cut while it was read"),
        (signal.SIGUSR1, r"was ended by SIGUSR1 while it worked on {}\. .*Somebody or the system sent"),
    ],
)
@pytest.mark.campaign(2)
def test_a_dead_worker_is_an_error_that_says_why_and_over_what(folder: Path, number: int, words: str) -> None:
    made = run_of(folder, Dies(min_words=int(number), name="dies"), retries=0)
    with pytest.raises(WorkerError, match=words.format(r"in/shard-0\.jsonl")) as said:
        made.run()
    assert "Run again to go on from the finished tasks" in str(said.value)
    assert ("memory" in str(said.value)) == (number in (signal.SIGKILL, signal.SIGABRT, signal.SIGSEGV))
    assert not (folder / "out" / "data").exists()


def run_of(folder: Path, stage: Any, workers: int = 2, out: str = "out", **settings: Any) -> Pipeline:
    """A run of one stage over the 8 shards, a task each."""
    source = Source(paths=("in/*.jsonl",), id="id", split_bytes=20_000)
    return Pipeline(source, (stage,), Sink(path=out), Settings(workers=workers, **settings), folder)


class Troubled(Length):
    """A stage with trouble in each batch that has the document `id` of the corpus.

    note: a file of the tries. how: kill (the process) or memory (an error). times: how often; bytes: only in a batch
    with more text than that.
    """

    note: str
    how: str
    times: int = 1_000
    bytes: int = 0
    id: str = "d125"

    def parameters(self) -> dict[str, Any]:
        return {"min_words": self.min_words}

    def apply(self, batch: Batch) -> Outcome:
        path = Path(self.note)
        if batch.id is None or self.id not in batch.id.to_pylist() or batch.text_bytes <= self.bytes:
            return super().apply(batch)
        with path.open("a") as file:
            file.write("x")
        if path.stat().st_size <= self.times:
            if self.how == "memory":
                raise MemoryError
            os.kill(os.getpid(), signal.SIGKILL)
        return super().apply(batch)


def troubled(folder: Path, how: str, **more: Any) -> Troubled:
    return Troubled(min_words=1, name="troubled", note=str(folder / f"note-{how}-{more}"), how=how, **more)


@pytest.mark.parametrize(("how", "workers"), [("kill", 2), ("memory", 2), ("memory", 1)])
def test_a_task_without_luck_is_tried_again_then_with_less_text_at_once(folder: Path, how: str, workers: int) -> None:
    run_of(folder, Length(min_words=1, name="troubled"), workers=1, out="whole").run()
    wanted = digests(folder / "whole")
    report = run_of(folder, troubled(folder, how, times=1), workers).run()
    assert digests(folder / "out") == wanted
    (told,) = [text for text in report["warnings"] if "tried again" in text]
    assert "in/shard-3.jsonl" in told
    assert ("half" in told) == (how == "memory"), "a dead process may have met with a chance"
    stage = troubled(folder, how, bytes=4_000)
    report = run_of(folder, stage, workers, out="small", batch_bytes=16_000, retries=4).run()
    assert digests(folder / "small") == wanted
    assert 1 <= len([text for text in report["warnings"] if "half the text" in text]) <= 4


def test_no_worker_outlives_its_runner(folder: Path) -> None:
    """Leaving the runner waits for them: what a caller does next finds no process and no open file of the run."""
    before = set(multiprocessing.active_children())
    with LocalRunner(3) as runner:
        tasks = [Task(folder / f"{number}", "f", Tells()) for number in range(3)]
        results = [result for _, result in runner.run(tasks, lambda *_: None)]
        begun = set(multiprocessing.active_children()) - before
    assert {each["process"] for each in results} == {process.pid for process in begun}
    assert not any(process.is_alive() for process in begun)
    assert not any(psutil.pid_exists(each["process"]) for each in results)


@dataclass(frozen=True)
class Tells:
    """The work of telling its process."""

    def run(self, _folder: Path) -> dict[str, Any]:
        time.sleep(0.3)  # so that each worker has one
        return {"process": os.getpid()}


def test_a_shard_that_kills_every_worker_is_named_and_the_others_are_finished(folder: Path) -> None:
    stage = troubled(folder, "kill")
    with pytest.raises(WorkerError, match=r"killed \(SIGKILL\) while it worked on in/shard-3\.jsonl, 3 times\. Most"):
        run_of(folder, stage).run()
    assert Path(stage.note).stat().st_size == 3
    assert len(list((folder / "out" / "_run" / "measure-0").glob("*.done.json"))) == 7


def test_memory_that_never_suffices_is_an_error_that_names_the_stage(folder: Path) -> None:
    with pytest.raises(MemoryError, match="out of memory: stage 'troubled'"):
        run_of(folder, troubled(folder, "memory"), workers=1).run()
    with pytest.raises(MemoryError, match=r"stage 'troubled'.* while it worked on in/shard-3\.jsonl, 3 times"):
        run_of(folder, troubled(folder, "memory", times=999)).run()


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (
            OSError(28, "No space left on device"),
            r"processes: No space left on device\. .*/dev/shm.*--workers 1",
        ),
        (OSError(30, "Read-only file system"), r"worker processes: Read-only file system\. .*/dev/shm.*--workers 1"),
        (OSError("AF_UNIX path too long"), r"too long a path .* TMPDIR .*--workers 1"),
    ],
)
def test_what_workers_need_and_do_not_get_is_told(
    folder: Path, monkeypatch: pytest.MonkeyPatch, error: OSError, words: str
) -> None:
    def fails(*_: Any, **__: Any) -> None:
        raise error

    monkeypatch.setattr(synchronize.SemLock, "__init__", fails)
    spec: Any = Pipeline(Source(paths=("in/*.jsonl",)), (Exact(),), Sink(path="out"), Settings(workers=2), folder)
    with pytest.raises(WorkerError, match=words):
        spec.run()
