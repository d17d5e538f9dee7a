"""How far a run is, on stderr: what the engine tells, and who listens."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    pass

MENTIONED_BYTES = 100_000
"""Below it a pass reads artefacts rather than text, and MB/s would mean nothing."""


class Progress(Protocol):
    """What the engine tells while it works; called from one thread, a `start` before the others."""

    def start(self, title: str, total_bytes: int, tasks: int) -> None:
        """A pass or a settling begins. total_bytes: about how much it will read; 0 where that is not known."""

    def advance(self, bytes: int) -> None:
        """So many more bytes are done."""

    def task_done(self) -> None:
        """One more task is done."""

    def finish(self) -> None:
        """What `start` began has ended."""

    def message(self, text: str) -> None:
        """Something the user should see at once."""


class NoProgress:
    """Says nothing."""

    def start(self, title: str, total_bytes: int, tasks: int) -> None:
        """Nothing."""

    def advance(self, bytes: int) -> None:
        """Nothing."""

    def task_done(self) -> None:
        """Nothing."""

    def finish(self) -> None:
        """Nothing."""

    def message(self, text: str) -> None:
        """Nothing."""


EVERY_SECONDS = 0.25

Sink = Callable[[str, int], None]
"""Called with the name of the task and the bytes read since the last call."""


class _Pulse:
    """The state of this process: where beats go, the task under way, bytes not yet told."""

    def __init__(self) -> None:
        self.sink: Sink | None = None
        self.task = ""
        self.bytes = 0
        self.last = 0.0


_PULSE = _Pulse()


def connect(sink: Sink | None) -> None:
    """Say where the beats of this process go."""
    _PULSE.sink = sink


def begin(task: str) -> None:
    """A task begins in this process."""
    _PULSE.task, _PULSE.bytes, _PULSE.last = task, 0, time.monotonic()


def beat(size: int) -> None:
    """The task has read `size` bytes more. Told on a few times a second."""
    if _PULSE.sink is None:
        return
    _PULSE.bytes += size
    now = time.monotonic()
    if now - _PULSE.last >= EVERY_SECONDS:
        _PULSE.sink(_PULSE.task, _PULSE.bytes)
        _PULSE.bytes, _PULSE.last = 0, now
