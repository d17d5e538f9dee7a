"""Finds the documents over which worker processes die, and has their tasks done without them.

A task that was given up is cut in halves, and the half that kills a worker again, until single documents are left. A
probe runs the stages over its documents as the task does and leaves nothing. What dies while it is only read has no
document to blame: the error stands.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from types import TracebackType
from typing import Any, Protocol, Self, runtime_checkable

from corpuscurate.core.artefact import remove_attempts
from corpuscurate.core.errors import OutOfMemoryError, WorkerError
from corpuscurate.engine.progress import Sink
from corpuscurate.engine.runners.local import LocalRunner
from corpuscurate.engine.task import Body, Task, ignore

PROBE = "probe"


@runtime_checkable
class Divisible(Protocol):
    """A body that can be tried over some of its documents, numbered from 0."""

    def counting(self) -> Body:
        """A body whose result has the number of documents, `documents`; it runs no stage."""

    def probing(self, first: int, stop: int) -> Body:
        """A body over documents first..stop - 1."""

    def without(self, poisonous: Sequence[tuple[int, str]]) -> Body:
        """The body without these documents, which it sets aside with what they did."""


class IsolatingRunner:
    """A runner in worker processes that sets aside the documents over which they die."""

    def __init__(self, inner: LocalRunner) -> None:
        self.inner = inner

    def __enter__(self) -> Self:
        self.inner.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.inner.__exit__(kind, error, trace)

    def run(
        self, tasks: Sequence[Task], beat: Sink, warn: Callable[[str], None] = ignore
    ) -> Iterator[tuple[int, dict[str, Any]]]:
        """Run the tasks; see `Runner`."""
        try:
            yield from self.inner.run(tasks, beat, warn)
        except (WorkerError, OutOfMemoryError) as error:
            if not error.failed:
                raise
            mended = [self._mended(tasks[index], how, error) for index, how in error.failed]
            for at, result in self.inner.run(mended, beat, warn):
                yield error.failed[at][0], result

    def _mended(self, task: Task, how: str, error: Exception) -> Task:
        """The task without the documents that kill its worker. Raises `error` where none are found."""
        body = task.body
        if not isinstance(body, Divisible):
            raise error
        counted = self._tried([_probe(task, body.counting(), "all")])
        if isinstance(counted[0], str):
            raise error
        found = self._poisonous(task, body, (0, counted[0]["documents"]), how)
        if not found:
            raise error
        return replace(task, body=body.without(sorted(found)))

    def _poisonous(self, task: Task, body: Divisible, rows: tuple[int, int], how: str) -> list[tuple[int, str]]:
        """The documents among rows first..stop - 1, over which a worker dies, and what each did."""
        first, stop = rows
        if stop - first == 1:
            return [(first, how)]
        middle = (first + stop) // 2
        halves = [half for half in ((first, middle), (middle, stop)) if half[0] < half[1]]
        tried = self._tried([_probe(task, body.probing(*half), f"{half[0]}-{half[1]}") for half in halves])
        found: list[tuple[int, str]] = []
        for half, result in zip(halves, tried, strict=True):
            if isinstance(result, str):
                found += self._poisonous(task, body, half, result)
        return found

    def _tried(self, probes: Sequence[Task]) -> list[dict[str, Any] | str]:
        """The result of each probe, or how it died."""
        found: dict[int, dict[str, Any] | str] = {}
        try:
            for at, result in self.inner.run(probes, lambda *_: None, retries=0):
                found[at] = result
        except (WorkerError, OutOfMemoryError) as error:
            if not error.failed:
                raise
            found |= dict(error.failed)
        finally:
            for probe in probes:
                remove_attempts(probe.home)
        return [found[at] for at in range(len(probes))]


def _probe(task: Task, body: Body, what: str) -> Task:
    return Task(task.home.with_name(f"{PROBE}-{task.home.name}-{what}"), task.fingerprint, body, durable=False)
