"""Runs tasks one after the other in this process: for one worker, little memory and a debugger."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from types import TracebackType
from typing import Any, Self

from corpuscurate.engine.progress import Sink, connect
from corpuscurate.engine.runners.deaths import Death, retried
from corpuscurate.engine.task import Task, ignore, perform, smaller


class InProcessRunner:
    """A plain loop."""

    def __init__(self, retries: int = 2) -> None:
        """retries: of a task for which the memory did not suffice, each with less text at once."""
        self._retries = retries

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None

    def run(
        self, tasks: Sequence[Task], beat: Sink, warn: Callable[[str], None] = ignore
    ) -> Iterator[tuple[int, dict[str, Any]]]:
        """Run the tasks in order."""
        connect(beat)
        try:
            for place, task in enumerate(tasks):
                yield place, self._perform(task, warn)
        finally:
            connect(None)

    def _perform(self, task: Task, warn: Callable[[str], None]) -> dict[str, Any]:
        for _ in range(self._retries):
            try:
                return perform(task)
            except MemoryError as error:
                less = smaller(task)
                if less is task:
                    raise
                warn(retried(task, Death(None, error), batch=True))
                task = less
        return perform(task)
