"""Progress from inside a task: a worker that reads one huge file for an hour still shows that it moves.

Tasks call `beat`; a runner decides where beats go. They are counts for a progress bar and for nothing else.
"""

from __future__ import annotations

import time
from collections.abc import Callable

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
