"""Progress of a run: the protocol that the engine reports to, and beats from tasks under way."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from corpuscurate.core.beats import EVERY_SECONDS, Sink, beat, begin, connect
from corpuscurate.engine.overview import Overview

__all__ = [
    "EVERY_SECONDS",
    "MENTIONED_BYTES",
    "Display",
    "NoProgress",
    "Progress",
    "Sheltered",
    "Sink",
    "beat",
    "begin",
    "connect",
]

MENTIONED_BYTES = 100_000
"""Size from which a throughput is shown: a smaller pass reads artefacts rather than text."""


class Progress(Protocol):
    """Receives the progress of a run; called from one thread, `start` before the other methods."""

    def start(self, title: str, total_bytes: int, tasks: int) -> None:
        """A pass or a wave of works begins. total_bytes: approximate bytes that it will read; 0: not known."""

    def advance(self, bytes: int) -> None:
        """`bytes` more bytes are done."""

    def task_done(self) -> None:
        """One more task is done."""

    def finish(self) -> None:
        """The pass or the wave has ended."""

    def message(self, text: str) -> None:
        """A message to show at once."""


class Display(Progress, Protocol):
    """Receives the progress of the run as a whole, too. One that has `overview` needs nothing of passes and waves."""

    def overview(self, overview: Overview) -> None:
        """How the run stands; called at every change, many times a second."""


class NoProgress:
    """Ignores all progress."""

    def overview(self, overview: Overview) -> None:
        """Nothing."""

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


LOST = "the progress could not be shown any more"
"""How the warning of a display that failed begins."""


class Sheltered:
    """Passes progress on until that fails, then no more: a display that breaks ends no run.

    on_failure: called once, with what to warn of.
    """

    def __init__(self, progress: Progress, on_failure: Callable[[str], None]) -> None:
        self._progress: Progress = progress
        self._on_failure = on_failure

    def start(self, title: str, total_bytes: int, tasks: int) -> None:
        """See `Progress`."""
        self._try(lambda: self._progress.start(title, total_bytes, tasks))

    def advance(self, bytes: int) -> None:
        """See `Progress`."""
        self._try(lambda: self._progress.advance(bytes))

    def task_done(self) -> None:
        """See `Progress`."""
        self._try(self._progress.task_done)

    def finish(self) -> None:
        """See `Progress`."""
        self._try(self._progress.finish)

    def message(self, text: str) -> None:
        """See `Progress`."""
        self._try(lambda: self._progress.message(text))

    def overview(self, overview: Overview) -> None:
        """See `Display`; a display without it is told of passes and waves alone."""
        show = getattr(self._progress, "overview", None)
        if show is not None:
            self._try(lambda: show(overview))

    def _try(self, show: Callable[[], None]) -> None:
        try:
            show()
        except (Exception, SystemExit) as error:  # a terminal that is gone, a full disk, a defect of the display
            self._progress = NoProgress()
            said = " ".join(str(error).split()) or type(error).__name__
            self._on_failure(f"{LOST} ({said}); the run went on without it")
