"""Beats: what a task under way has done, told to whoever listens in this thread."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

EVERY_SECONDS = 0.25

Sink = Callable[[str, int], None]
"""Called with the name of a task and the bytes that it has read since the last call."""


class _Pulse(threading.local):
    """The state of this thread: the sink of beats, the task under way, bytes not yet reported. A process of a card has
    several tasks under way, each in a thread of its own."""

    def __init__(self) -> None:
        self.sink: Sink | None = None
        self.task = ""
        self.bytes = 0
        self.last = 0.0


_PULSE = _Pulse()


def connect(sink: Sink | None) -> None:
    """Set the sink of this thread's beats."""
    _PULSE.sink = sink


def begin(task: str) -> None:
    """Note that a task begins in this thread."""
    _PULSE.task, _PULSE.bytes, _PULSE.last = task, 0, time.monotonic()


def beat(size: int) -> None:
    """Note that the task has read `size` more bytes. The sink is called a few times a second."""
    if _PULSE.sink is None:
        return
    _PULSE.bytes += size
    now = time.monotonic()
    if now - _PULSE.last >= EVERY_SECONDS:
        _PULSE.sink(_PULSE.task, _PULSE.bytes)
        _PULSE.bytes, _PULSE.last = 0, now
