"""A progress bar on stderr, or plain lines where that is no terminal."""

from __future__ import annotations

import sys
import time
from contextlib import suppress
from types import TracebackType
from typing import TYPE_CHECKING, Any, TextIO

from corpuscurate.engine.overview import Overview
from corpuscurate.engine.progress import MENTIONED_BYTES

if TYPE_CHECKING:
    from rich.progress import Progress as Bars
    from rich.progress import TaskID


EVERY_SECONDS = 60.0
"""Between two plain lines, where stderr is no terminal."""


class _State:
    """What is known of the pass that runs."""

    def __init__(self, title: str, total_bytes: int, tasks: int) -> None:
        self.title = title
        self.total_bytes = total_bytes
        self.tasks = tasks
        self.bytes = 0
        self.done = 0
        self.began = time.monotonic()

    @property
    def share(self) -> float:
        """How much is done, 0..1: by bytes where their total is known, by tasks elsewhere."""
        done, total = (self.bytes, self.total_bytes) if self.total_bytes else (self.done, self.tasks)
        return min(1.0, done / total) if total else 0.0

    @property
    def seconds(self) -> float:
        return time.monotonic() - self.began

    def rate(self) -> str:
        """MB/s so far."""
        mentioned = self.bytes >= MENTIONED_BYTES and self.seconds > 0
        return f"{self.bytes / 1e6 / self.seconds:.1f} MB/s" if mentioned else "- MB/s"

    def left(self) -> str:
        """Time left at the pace so far; unknown at the start, and when there was more to read than was thought."""
        known = self.share if self.share < 1 or self.done == self.tasks else 0.0
        return f"{clock(self.seconds * (1 - known) / known)} left" if known else "-:-- left"

    def line(self) -> str:
        """All of it on one line."""
        tasks = f"task {self.done} of {self.tasks}"
        return f"{self.title}: {self.share:4.0%}, {self.rate()}, {tasks}, {clock(self.seconds)}, {self.left()}"


def clock(seconds: float) -> str:
    """Seconds as m:ss or h:mm:ss."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


class RichProgress:
    """A bar on stderr, with MB/s, time left and tasks done; plain lines now and then where stderr is no terminal.

    A context manager: leaving it gives the terminal back, whatever happened.
    """

    def __init__(self, stream: TextIO | None = None, every_seconds: float = EVERY_SECONDS) -> None:
        self._stream = stream or sys.stderr
        self._every = every_seconds
        self._state: _State | None = None
        self._bars: Bars | None = None
        self._bar: TaskID | None = None
        self._said = 0.0
        self._whole: Overview | None = None
        self._say_resumed = True

    def __enter__(self) -> RichProgress:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        bars, self._bars = self._bars, None
        whole, self._whole = self._whole, None
        if whole is not None and error is None:
            with suppress(OSError, ValueError):
                self._close(bars, whole)
        if bars is not None:
            with suppress(OSError, ValueError):  # the terminal is gone
                bars.stop()

    def overview(self, overview: Overview) -> None:
        """One bar for the whole run, or a line a minute. From here on passes and waves are not shown."""
        before, self._whole, self._state = self._whole, overview, None
        if before is None or overview.number != before.number:
            self._say_resumed = True
        if overview.resumed_tasks and self._say_resumed:
            self._say_resumed = False
            self.message(
                f"{overview.phase}: {overview.resumed_tasks:,} tasks were finished before, and are not repeated"
            )
        if not self._stream.isatty():
            if before is None or time.monotonic() - self._said >= self._every:
                self._said = time.monotonic()
                self._print(whole_line(overview))
            return
        if self._bars is None:
            self._bars = _bars(self._stream)
            self._bars.start()
        if self._bar is None:
            self._bar = self._bars.add_task(overview.phase, total=1.0, rate="", left="", tasks="")
        self._bars.update(self._bar, description=overview.phase, completed=overview.share, **_fields(overview))

    def _close(self, bars: Bars | None, whole: Overview) -> None:
        """The whole is done."""
        if bars is not None and self._bar is not None:
            done = {**_fields(whole), "left": f"in {clock(whole.seconds)}"}
            bars.update(self._bar, description="done", completed=1.0, **done)
        else:
            self._print(f"done in {clock(whole.seconds)}: {_counts(whole)}")

    def start(self, title: str, total_bytes: int, tasks: int) -> None:
        """A pass begins: a new bar, or a line. Nothing where the whole run is shown."""
        if self._whole is not None:
            return
        self._state = _State(title, total_bytes, tasks)
        self._said = self._state.began
        if not self._stream.isatty():
            reads = f", {total_bytes / 1e6:.1f} MB to read" if total_bytes >= MENTIONED_BYTES else ""
            self._print(f"{title}: {tasks} {'task' if tasks == 1 else 'tasks'}{reads}")
            return
        if self._bars is None:
            self._bars = _bars(self._stream)
            self._bars.start()
        self._bar = self._bars.add_task(title, total=1.0, rate="", left="", tasks=f"tasks 0/{tasks}")

    def advance(self, bytes: int) -> None:
        """Move the bar."""
        if self._state is not None:
            self._state.bytes += bytes
            self._show()

    def task_done(self) -> None:
        """Count a task."""
        if self._state is not None:
            self._state.done += 1
            self._show()

    def finish(self) -> None:
        """Leave the finished bar standing, or say what it took."""
        state, self._state = self._state, None
        if state is None:
            return
        if self._bars is not None and self._bar is not None:
            took = f"in {clock(state.seconds)}"
            tasks = f"tasks {state.done}/{state.tasks}"
            self._bars.update(self._bar, completed=1.0, rate=state.rate(), left=took, tasks=tasks)
            self._bars.stop_task(self._bar)
            self._bar = None
        else:
            rate = f", {state.rate()}" if state.bytes >= MENTIONED_BYTES else ""
            self._print(f"{state.title}: done in {clock(state.seconds)}{rate}")

    def message(self, text: str) -> None:
        """A line above the bar."""
        if self._bars is not None:
            self._bars.console.print(text, markup=False, highlight=False, soft_wrap=True)
        else:
            self._print(text)

    def _show(self) -> None:
        state = self._state
        if state is None:
            return
        if self._bars is not None and self._bar is not None:
            tasks = f"tasks {state.done}/{state.tasks}"
            self._bars.update(self._bar, completed=state.share, rate=state.rate(), left=state.left(), tasks=tasks)
        elif time.monotonic() - self._said >= self._every:
            self._said = time.monotonic()
            self._print(state.line())

    def _print(self, text: str) -> None:
        print(text, file=self._stream, flush=True)


def _rates(overview: Overview) -> str:
    """Documents/s and MB/s, those of them that can be told."""
    told = []
    if overview.documents_per_second is not None:
        told.append(f"{overview.documents_per_second:,.0f} documents/s")
    if overview.mb_per_second is not None:
        told.append(f"{overview.mb_per_second:.1f} MB/s")
    return ", ".join(told)


def _counts(overview: Overview) -> str:
    return f"{overview.documents:,} documents, {overview.dropped:,} dropped"


def _left(overview: Overview) -> str:
    return "-:-- left" if overview.seconds_left is None else f"{clock(overview.seconds_left)} left"


def _fields(overview: Overview) -> dict[str, Any]:
    return {"rate": _rates(overview), "tasks": _counts(overview), "left": _left(overview)}


def whole_line(overview: Overview) -> str:
    """How a run stands, on one line."""
    phase = f"{overview.phase} ({overview.number} of {overview.phases})"
    told = [f"{overview.share:4.0%} {phase}", _rates(overview), _counts(overview), clock(overview.seconds)]
    return ", ".join(each for each in [*told, _left(overview)] if each)


def _bars(stream: TextIO) -> Bars:
    from rich.console import Console
    from rich.progress import BarColumn, TaskProgressColumn, TextColumn
    from rich.progress import Progress as Bars

    return Bars(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[rate]}", markup=False),
        TextColumn("{task.fields[tasks]}", markup=False),
        TextColumn("{task.fields[left]}", markup=False),
        console=Console(file=stream),
        refresh_per_second=5,
    )
