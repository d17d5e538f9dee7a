"""Runs tasks one after the other in this process: for one worker, little memory and a debugger."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from types import TracebackType
from typing import Any, Self

from corpuscurate.engine.progress import Sink, connect
from corpuscurate.engine.task import Task, perform


class InProcessRunner:
    """A plain loop."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None

    def run(self, tasks: Sequence[Task], beat: Sink) -> Iterator[tuple[int, dict[str, Any]]]:
        """Run the tasks in order."""
        connect(beat)
        try:
            for place, task in enumerate(tasks):
                yield place, perform(task)
        finally:
            connect(None)
