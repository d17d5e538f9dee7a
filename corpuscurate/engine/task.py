"""A task is a value: a body, the path of its files, a fingerprint. A runner performs tasks."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

from corpuscurate.core import exact_pickle  # noqa: F401  a task may hold any Arrow type
from corpuscurate.core.artefact import attempt, commit, read_commit, remove_task
from corpuscurate.core.errors import DamagedError
from corpuscurate.core.os_errors import system_error
from corpuscurate.engine import progress
from corpuscurate.engine.progress import Sink

DIGESTS = "digests"
"""Key in the value that a body returns: digests, by file name, computed while writing. Not part of the result."""


NAMED = 5
"""Files that `Task.about` names."""


class Body(Protocol):
    """The work of a task: a picklable value."""

    def run(self, folder: Path) -> dict[str, Any]:
        """Write files into the folder; return a JSON-able result, with the key `DIGESTS` if digests are known."""


@dataclass(frozen=True, slots=True)
class Task:
    """A body, the path of its files, and the fingerprint of everything that it depends on.

    home: see `artefact.Artefacts`. bytes: its size for the progress bar. durable: its files are flushed to disk before
    its marker is created. Scratch files are not: most are deleted before the system would have written them, and after
    a crash of the machine the digests show which are lost, so that they are made again. last: the run does not read the
    files again.
    """

    home: Path
    fingerprint: str
    body: Body
    bytes: int = 0
    durable: bool = True
    last: bool = False

    @property
    def about(self) -> str:
        """The input files that the body reads, for messages: the first few names; "" where it reads none."""
        body = self.body
        splits = getattr(body, "splits", None) or [split for split in [getattr(body, "split", None)] if split]
        names = list(dict.fromkeys(file.name for split in splits for file in getattr(split, "files", ())))
        return ", ".join(names[:NAMED]) + (f" and {len(names) - NAMED:,} more files" if len(names) > NAMED else "")


FINGERPRINT, RESULT = "fingerprint", "result"
"""Keys of a task's marker."""


def perform(task: Task) -> dict[str, Any]:
    """Run a task in this process and commit its files; returns its result. Without a commit nothing is left of it."""
    progress.begin(str(task.home))
    try:
        with attempt(task.home) as folder:
            result = task.body.run(folder)
            digests = result.pop(DIGESTS, {})
            marker = {FINGERPRINT: task.fingerprint, RESULT: result}
            first = commit(task.home, folder, marker, digests=digests, durable=task.durable, last=task.last)
    except OSError as error:
        raise system_error(error, task.home.parent.parent) from error
    if first:
        return result
    return finished_result(task) or perform(task)


def finished_result(task: Task, damaged: Callable[[DamagedError], None] | None = None) -> dict[str, Any] | None:
    """The result of a finished task with this fingerprint, or None where it must (again) be done; then nothing is left
    of it.

    Sizes and digests are compared: a disk that lost bytes is noticed here and not one step later. damaged: is told of a
    file that is not what was written.
    """

    def tell(marker: Mapping[str, Any], error: DamagedError) -> None:
        if damaged is not None and marker[FINGERPRINT] == task.fingerprint:
            damaged(error)

    marker = read_commit(task.home, tell)
    if marker is None:
        return None
    if marker[FINGERPRINT] != task.fingerprint:
        remove_task(task.home)
        return None
    result: dict[str, Any] = marker[RESULT]
    return result


def ignore(text: str) -> None:
    """A warning that nobody wants."""


def smaller(task: Task) -> Task:
    """The task with half the text at once, where its body has text at once; its output is the same."""
    make: Callable[[], Body] | None = getattr(task.body, "smaller", None)
    return task if make is None else replace(task, body=make())


class Runner(Protocol):
    """Runs tasks somewhere. A context manager: leaving it ends what it started."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def run(
        self, tasks: Sequence[Task], beat: Sink, warn: Callable[[str], None] = ignore
    ) -> Iterator[tuple[int, dict[str, Any]]]:
        """Run all tasks; yield (index in `tasks`, result) as they finish. The first error ends the rest.

        beat: called with the bytes that tasks under way have read, in this process and thread. warn: of a task that is
        tried again.
        """
