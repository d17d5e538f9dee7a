"""The session of a run: its folder, runner, progress, timings, and the memory of all its processes."""

from __future__ import annotations

import errno
import fcntl
import os
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import psutil

from corpuscurate.core.errors import DamagedError, OutputError
from corpuscurate.core.run_folder import LOCK
from corpuscurate.core.spec import Spec
from corpuscurate.engine.forgotten import Forgotten
from corpuscurate.engine.ledger.resume import run_tasks
from corpuscurate.engine.manifest import Manifest
from corpuscurate.engine.memory import settling_bytes
from corpuscurate.engine.overview import Tracker
from corpuscurate.engine.progress import Display, Sink
from corpuscurate.engine.task import Runner, Task


@dataclass
class Session:
    """What the steps of a run share. state: the run folder `_run`. seconds: wall time by step. forgotten: documents
    that are left out."""

    spec: Spec
    state: Path
    manifest: Manifest
    runner: Runner
    progress: Display
    seconds: dict[str, float] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    forgotten: Forgotten | None = None
    tracker: Tracker = field(default_factory=lambda: Tracker((), lambda _: None))

    @property
    def memory_bytes(self) -> int:
        """What the settle steps may use, all workers together: `run.memory` less what stands (`engine.memory`)."""
        return settling_bytes(self.spec)

    @property
    def workers(self) -> int:
        """How many tasks run at once."""
        return self.spec.settings.workers

    def tasks(self, title: str, tasks: Sequence[Task], *, largest_first: bool = False) -> list[dict[str, Any]]:
        """Run tasks with progress; results in their order. See `ledger.run_tasks`."""

        sizes = {str(task.home): task.bytes for task in tasks}
        told: dict[str, int] = {}
        tracker = self.tracker

        def beat(name: str, size: int) -> None:
            before = told.get(name, 0)
            told[name] = min(before + size, sizes.get(name, 0))  # sizes of compressed files are estimates
            self.progress.advance(told[name] - before)
            tracker.advance(told[name] - before)

        def finished(task: Task, result: dict[str, Any], is_fresh: bool) -> None:
            rest = task.bytes - told.pop(str(task.home), 0)
            self.progress.advance(rest)
            self.progress.task_done()
            if is_fresh:
                tracker.advance(rest)
            else:
                tracker.resumed(1, task.bytes)
            tracker.task_done(task.bytes, result, fresh=is_fresh)

        def run(left: Sequence[Task], beat: Sink) -> Iterator[tuple[int, dict[str, Any]]]:
            return self.runner.run(left, beat, self.warn)

        damaged: list[DamagedError] = []
        self.progress.start(title, sum(task.bytes for task in tasks), len(tasks))
        tracker.wave(sum(task.bytes for task in tasks))
        try:
            with self.timed(title):
                return run_tasks(tasks, run, finished, beat, largest_first=largest_first, damaged=damaged.append)
        finally:
            self.progress.finish()
            tracker.tell()
            if damaged:
                self.warn(made_again(damaged))

    @contextmanager
    def timed(self, title: str) -> Iterator[None]:
        """Add the wall time of the block to `seconds[title]`."""
        started = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[title] = self.seconds.get(title, 0.0) + time.perf_counter() - started

    def warn(self, text: str) -> None:
        """Show a warning now, and keep it for the report."""
        if text not in self.warnings:
            self.warnings.append(text)
            self.progress.message(f"warning: {text}")


def made_again(damaged: Sequence[DamagedError]) -> str:
    """The warning for damaged files."""
    more = f"; so are {len(damaged) - 1} more files. They are" if len(damaged) > 1 else "; it is"
    return f"{damaged[0]}{more} made again"


@contextmanager
def locked(state: Path) -> Iterator[None]:
    """Lock the run folder for this process: two runs in one folder would undo each other's work. Raises OutputError."""
    state.mkdir(parents=True, exist_ok=True)
    with (state / LOCK).open("a") as file:
        try:
            _lock(file)
        except OSError as error:
            if error.errno not in (errno.EAGAIN, errno.EACCES):
                raise OutputError(
                    f"Cannot lock {state / LOCK}: {error.strerror}. Its file system has no locks, without which two"
                    " runs could spoil each other's work. Choose an output folder on another one."
                ) from error
            raise OutputError(
                f"another corpuscurate is running in {state.parent}. Wait for it, or choose another output folder."
            ) from error
        yield


def _lock(file: IO[str]) -> None:
    """Take the lock of a file for this process, at once or not at all."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno not in (errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOLCK, errno.EINVAL):
            raise
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # Lustre and NFS may have these and not the others


class MemoryWatch:
    """The greatest sum of memory of this process and its children, sampled: proportional (PSS), so that a page which
    processes share counts once; resident where the system does not tell it, and shared pages count in each."""

    def __init__(self, every_seconds: float = 0.5) -> None:
        self.peak_bytes = 0
        self._every = every_seconds
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._loop, daemon=True)

    def __enter__(self) -> MemoryWatch:
        with suppress(RuntimeError):  # no more threads: the peak is not known then, and the run needs it not
            self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        if self._thread.ident is not None:
            self._thread.join()

    def _loop(self) -> None:
        with suppress(psutil.Error, OSError):  # as where /proc is hidden
            self._watch()

    def _watch(self) -> None:
        me = psutil.Process(os.getpid())
        while True:
            total = 0
            for process in [me, *_children(me)]:
                with suppress(psutil.Error):
                    total += proportional(process)
            self.peak_bytes = max(self.peak_bytes, total)
            if self._stop.wait(self._every):
                return


def proportional(process: psutil.Process) -> int:
    """Bytes of a process, pages that it shares divided by their sharers where the system tells."""
    try:
        for line in Path(f"/proc/{process.pid}/smaps_rollup").read_bytes().splitlines():
            if line.startswith(b"Pss:"):
                return int(line.split()[1]) << 10
    except OSError:
        pass  # not Linux, or not ours
    return int(process.memory_info().rss)


def _children(process: psutil.Process) -> list[psutil.Process]:
    with suppress(psutil.Error):
        children: list[psutil.Process] = process.children(recursive=True)
        return children
    return []
