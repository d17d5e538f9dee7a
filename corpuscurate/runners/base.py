"""What every runner offers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from types import TracebackType
from typing import Any, Protocol, Self

from corpuscurate.ledger import Task
from corpuscurate.pulse import Sink


class Runner(Protocol):
    """Runs tasks somewhere. A context manager: leaving it ends what it started."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def run(self, tasks: Sequence[Task], beat: Sink) -> Iterator[tuple[int, dict[str, Any]]]:
        """Run all tasks; yield (place in `tasks`, account) as they finish. The first error ends the rest.

        beat: told what tasks under way have read, in this process and thread.
        """
