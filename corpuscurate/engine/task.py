"""A task: a value that names a folder, a fingerprint and a body; and the runner that performs tasks."""

from __future__ import annotations

import errno
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

from corpuscurate.core.artefact import digest_file, whole_folder, write_json
from corpuscurate.core.errors import OutputError
from corpuscurate.core.run_folder import MARKER
from corpuscurate.engine import progress
from corpuscurate.engine.progress import Sink

DIGESTS = "digests"
"""Entry of what a body returns that is not part of the result: digests of files, by name, that it made as it wrote."""


class Body(Protocol):
    """The work of a task: a picklable value."""

    def run(self, folder: Path) -> dict[str, Any]:
        """Fill the folder; return a JSON-able result, and in it `DIGESTS` where the body has any."""


@dataclass(frozen=True, slots=True)
class Task:
    """A body, the folder it makes, the fingerprint of all it depends on, and its size for the progress bar.

    durable: the folder is flushed to disk before it appears. What only this run needs is not: most of it is removed
    before the system would have written it, and after a crash of the machine digests tell what was lost, which is then
    done again. last: the run does not read the folder again.
    """

    final: Path
    fingerprint: str
    body: Body
    bytes: int = 0
    durable: bool = True
    last: bool = False


def perform(task: Task) -> dict[str, Any]:
    """Run a task in this process: the folder appears whole, with its marker, or not at all."""
    progress.begin(str(task.final))
    try:
        with whole_folder(task.final, durable=task.durable, last=task.last) as folder:
            result = task.body.run(folder)
            known = result.pop(DIGESTS, {})
            files = {
                path.name: [path.stat().st_size, known.get(path.name) or digest_file(path)]
                for path in sorted(folder.iterdir())
            }
            marker = {"fingerprint": task.fingerprint, "result": result, "files": files}
            write_json(folder / MARKER, marker, durable=False)  # flushed with the folder
    except OSError as error:
        raise explain_os_error(error, task.final) from error
    return result


def explain_os_error(error: OSError, path: Path) -> OSError:
    """A full disk, a lack of permission or a read-only disk as an OutputError; any other error as it is."""
    if isinstance(error, OutputError):
        return error
    reasons = {
        errno.ENOSPC: "the disk is full. Free some space or choose another output folder, then run again: "
        "what is finished is kept",
        errno.EDQUOT: "the disk quota is used up. Free some space, then run again: what is finished is kept",
        errno.EACCES: "no permission to write there. Change the permission or choose another output folder",
        errno.EPERM: "not allowed to write there. Change the permission or choose another output folder",
        errno.EROFS: "the disk is read-only. Choose another output folder",
    }
    if error.errno not in reasons:
        return error
    where = error.filename if error.filename is not None else path
    return OutputError(f"cannot write {where}: {reasons[error.errno]}.")


class Runner(Protocol):
    """Runs tasks somewhere. A context manager: leaving it ends what it started."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def run(self, tasks: Sequence[Task], beat: Sink) -> Iterator[tuple[int, dict[str, Any]]]:
        """Run all tasks; yield (place in `tasks`, result) as they finish. The first error ends the rest.

        beat: told what tasks under way have read, in this process and thread.
        """
