"""Processes that die: killed runs, killed workers, scripts without a main guard."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import pytest
from support.engine import digests, write_corpus

from corpuscurate import Pipeline, Settings, Sink, Source
from corpuscurate.core.batch import Batch
from corpuscurate.core.errors import WorkerError
from corpuscurate.core.stage import Outcome
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


def test_a_script_without_a_main_guard_may_use_workers(folder: Path) -> None:
    command = [sys.executable, "script.py"]
    done = subprocess.run(command, cwd=folder, env=environment(), capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "344\n"), done.stderr


def test_files_in_the_current_folder_are_not_modules_of_the_workers(folder: Path) -> None:
    (folder / "pyarrow.py").write_text("raise SystemExit('the wrong module')")
    (folder / "bin").mkdir()
    (folder / "script.py").rename(folder / "bin" / "script.py")
    command = [sys.executable, "bin/script.py"]
    done = subprocess.run(command, cwd=folder, env=environment(), capture_output=True, text=True, check=False)
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
    for wait in (0.0, 0.2, 0.5):
        run = subprocess.Popen([sys.executable, "script.py"], cwd=folder, env=environment(), stdout=subprocess.DEVNULL)
        watched = psutil.Process(run.pid)
        deadline = time.monotonic() + 60
        while not list((folder / "out" / "_run").glob("measure-0/*")) and time.monotonic() < deadline:
            time.sleep(0.01)
        time.sleep(wait)
        children = watched.children(recursive=True)
        run.send_signal(signal.SIGKILL)
        run.wait()
        _, alive = psutil.wait_procs(children, timeout=10)
        assert alive == []
    command = [sys.executable, "script.py"]
    done = subprocess.run(command, cwd=folder, env=environment(), capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "344\n"), done.stderr
    assert digests(folder / "out") == wanted
    assert not list((folder / "out").rglob(".*.tmp"))


class Dies(Length):
    """A stage whose process is killed, as by the kernel for want of memory."""

    def apply(self, batch: Batch) -> Outcome:
        os.kill(os.getpid(), signal.SIGKILL)
        return Outcome()


def test_a_killed_worker_is_an_error_that_says_what_to_do(folder: Path) -> None:
    made: Any = Pipeline(
        Source(paths=("in/*.jsonl",)), (Dies(min_words=1, name="dies"),), Sink(path="out"), Settings(workers=2), folder
    )
    with pytest.raises(WorkerError, match=r"a worker process died; most often .* memory \(2 workers\).*--workers"):
        made.run()
    assert not (folder / "out" / "data").exists()
