"""Runs tasks in processes of this machine, forked from the fork server.

A process that dies costs its task alone: the task is tried again in a fresh process, then with less text at once. When
it has failed `retries` times more it is given up, and the other tasks are finished before the error is raised.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import active_children
from types import TracebackType
from typing import Any, Self

from corpuscurate.core.errors import OutOfMemoryError, WorkerError
from corpuscurate.engine.progress import EVERY_SECONDS, Sink
from corpuscurate.engine.runners.deaths import Death, given_up, retried
from corpuscurate.engine.runners.lane import Lane
from corpuscurate.engine.runners.server import start_fork_server, starting
from corpuscurate.engine.runners.surroundings import hidden_main
from corpuscurate.engine.task import Task, ignore, smaller

MOST_GIVEN_UP = 8
"""Tasks that are given up before the others are no longer tried: what kills every task is no bad shard."""


class LocalRunner:
    """Worker processes that live as long as the runner is entered."""

    def __init__(self, workers: int, warm: str = "", retries: int = 2, *, keep: bool = True) -> None:
        """workers: processes. warm: what the fork server loads ahead, see `runners.warm`. retries: of a task. keep:
        whether processes may hold freed memory for a while, see `runners.memory`."""
        self.workers = workers
        self._warm = warm
        self._retries = retries
        self._keep = keep
        self._lanes: list[Lane] = []
        self._others: set[Any] = set()

    def __enter__(self) -> Self:
        context = start_fork_server(self._warm, keep=self._keep)
        self._others = set(active_children())
        with starting():
            self._lanes = [Lane(context, self._keep) for _ in range(self.workers)]
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:  # don't wait for minutes of work that nobody will use
            for process in set(active_children()) - self._others:  # also one whose start was interrupted
                process.terminate()
        lanes, self._lanes = self._lanes, []
        if lanes:
            with ThreadPoolExecutor(len(lanes)) as together:  # each takes a moment
                list(together.map(Lane.close, lanes))

    def run(
        self,
        tasks: Sequence[Task],
        beat: Sink,
        warn: Callable[[str], None] = ignore,
        retries: int | None = None,
    ) -> Iterator[tuple[int, dict[str, Any]]]:
        """Run the tasks; results in the order of finishing. retries: other than the runner's."""
        if not self._lanes:
            raise RuntimeError("enter the runner first: with LocalRunner(2) as runner")
        wave = _Wave(tasks, self._retries if retries is None else retries, warn)
        idle = list(reversed(self._lanes))
        busy: dict[Future[dict[str, Any]], tuple[Lane, int]] = {}
        while True:
            with hidden_main(), starting():
                while idle and (index := wave.next()) is not None:
                    lane = idle.pop()
                    busy[lane.submit(wave.task(index))] = (lane, index)
            if not busy:
                break
            ready, _ = wait(busy, timeout=EVERY_SECONDS, return_when=FIRST_COMPLETED)
            for lane, _ in busy.values():
                lane.hear(beat)
            for future in ready:
                lane, index = busy.pop(future)
                result = wave.result(index, future, lane)
                idle.append(lane)
                if result is not None:
                    yield index, result
        if wave.failed:
            failed = sorted(wave.failed.items())
            told = [(tasks[index], death) for index, death in failed]
            kind = OutOfMemoryError if failed[0][1].error is not None else WorkerError
            error = kind(given_up(told, 1 + wave.retries, self.workers))
            error.failed = tuple((index, death.how()) for index, death in failed)
            raise error


class _Wave:
    """The tasks of one call of `run`: which are next, how often each was tried, which were given up."""

    def __init__(self, tasks: Sequence[Task], retries: int, warn: Callable[[str], None]) -> None:
        self.failed: dict[int, Death] = {}
        self._tasks = list(tasks)
        self.retries = retries
        self._warn = warn
        self._tries = dict.fromkeys(range(len(tasks)), 0)
        self._again: list[int] = []
        self._new = iter(range(len(tasks)))

    def next(self) -> int | None:
        """The index of the task to begin, one that failed before all others."""
        if self._again:
            return self._again.pop(0)
        return None if len(self.failed) >= MOST_GIVEN_UP else next(self._new, None)

    def task(self, index: int) -> Task:
        """The task, with less text at once where it failed before."""
        return self._tasks[index]

    def result(self, index: int, future: Future[dict[str, Any]], lane: Lane) -> dict[str, Any] | None:
        """The result of a task, or None where its process died; then it is tried again or given up."""
        try:
            return future.result()
        except BrokenProcessPool:
            death = Death(lane.replace())
        except MemoryError as error:
            death = Death(None, error)
        self._tries[index] += 1
        if self._tries[index] > self.retries:
            self.failed[index] = death
            return None
        task = self._tasks[index]
        if self._tries[index] > 1 or death.error is not None:
            self._tasks[index] = smaller(task)
        self._warn(retried(task, death, batch=self._tasks[index] is not task))
        self._again.append(index)
        return None
