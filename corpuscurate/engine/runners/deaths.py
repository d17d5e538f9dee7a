"""What is said of a worker process that ended while it worked on a task, and of a task that was given up."""

from __future__ import annotations

import signal
from collections.abc import Sequence
from dataclasses import dataclass

from corpuscurate.engine.task import Task

_AGAIN = "Run again to go on from the finished tasks."


@dataclass(frozen=True, slots=True)
class Death:
    """How an attempt at a task ended. code: exit code of its process, -n: by signal n; None: not known.

    error: of a task whose process had no memory left and goes on."""

    code: int | None
    error: MemoryError | None = None

    def how(self) -> str:
        """The end in a few words: "killed (SIGKILL)"."""
        if self.error is not None:
            return str(self.error)
        if self.code is None:
            return "a worker process died, and nothing tells why"
        if self.code >= 0:
            return f"a worker process ended with exit code {self.code}"
        number = -self.code
        name = signal.Signals(number).name if number in set(signal.Signals) else f"signal {number}"
        by = "was killed (SIGKILL)" if number == signal.SIGKILL else f"was ended by {name}"
        return f"a worker process {by}"

    def advice(self, workers: int) -> str:
        """What it most likely means, and what to do."""
        if self.code is None:
            return _AGAIN
        if self.code >= 0:
            return f"What it said last stands above. A stage or a library ended it. {_AGAIN}"
        number = -self.code
        if number == signal.SIGKILL:
            return (
                f"Most often the machine or the container ran out of memory ({workers} workers). {_AGAIN} Give it fewer"
                " --workers or a lower run.memory."
            )
        if number == signal.SIGBUS:
            return f"A file was cut while it was read, its disk failed, or /dev/shm is full. {_AGAIN}"
        if number in (signal.SIGABRT, signal.SIGSEGV, signal.SIGILL, signal.SIGFPE):
            return (
                "A library crashed. What it said last stands above. It is no lack of memory; a damaged file can be the"
                f" cause. {_AGAIN} Where it happens again, take that file out of the input, or set"
                " `run: {on_task_failure: isolate}` to find the document and quarantine it."
            )
        return f"Somebody or the system sent that signal. {_AGAIN}"


def over_what(task: Task) -> str:
    """ "while it worked on shard-0.jsonl"."""
    return f" while it worked on {task.about}" if task.about else f" in the task {task.home.name}"


def retried(task: Task, death: Death, batch: bool) -> str:
    """The warning for a task that is tried again. batch: with a smaller batch."""
    smaller = ", with half the text at once" if batch else ""
    return f"{death.how()}{over_what(task)}: tried again{smaller}"


def given_up(failed: Sequence[tuple[Task, Death]], tries: int, workers: int) -> str:
    """The message for tasks that failed at each try, the first in their order and how many more."""
    task, death = failed[0]
    times = f", {tries} times" if tries > 1 else ""
    more = f" So it went with {len(failed) - 1:,} more tasks." if len(failed) > 1 else ""
    how = death.how()
    if death.error is not None:  # it says what to do
        return f"{how} It happened{over_what(task)}{times}.{more}"
    return f"{how[0].upper()}{how[1:]}{over_what(task)}{times}.{more} {death.advice(workers)}"
