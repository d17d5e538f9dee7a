"""What is finished, and what it was made from.

A task's outputs are one folder. It is filled under a temporary name and renamed when it is whole, with its marker
`done.json` inside: fingerprint of everything the outputs depend on, account, and size and digest of each file. What is
there under its final name is finished; whether it is *wanted* is decided by the fingerprint alone.
"""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from corpuscurate import pulse
from corpuscurate.artefact import digest_file, read_json, whole_folder, write_json
from corpuscurate.errors import OutputError

MARKER = "done.json"
BASIS = "basis-"
"""Folders within a global stage's own, of what does not depend on all its parameters (see `stage.Corpus.run`)."""


DIGESTS = "digests"
"""Entry of what a body returns that is not part of the account: digests of files, by name, that it made as it wrote."""


class Body(Protocol):
    """The work of a task: a picklable value."""

    def run(self, folder: Path) -> dict[str, Any]:
        """Fill the folder; return a JSON-able account, and in it `DIGESTS` where the body has any."""


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
    pulse.begin(str(task.final))
    try:
        with whole_folder(task.final, durable=task.durable, last=task.last) as folder:
            account = task.body.run(folder)
            known = account.pop(DIGESTS, {})
            files = {
                path.name: [path.stat().st_size, known.get(path.name) or digest_file(path)]
                for path in sorted(folder.iterdir())
            }
            marker = {"fingerprint": task.fingerprint, "account": account, "files": files}
            write_json(folder / MARKER, marker, durable=False)  # flushed with the folder
    except OSError as error:
        raise explain_os_error(error, task.final) from error
    return account


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


def account_of(task: Task) -> dict[str, Any] | None:
    """The account of a finished task with this fingerprint, or None where it must (again) be done.

    Sizes are compared, and digests too: a disk that lost bytes is noticed here and not one step later.
    """
    try:
        marker = read_json(task.final / MARKER)
    except (OSError, ValueError):
        return None
    if marker["fingerprint"] != task.fingerprint:
        return None
    for name, (size, digest) in marker["files"].items():
        path = task.final / name
        if not path.is_file() or path.stat().st_size != size or digest_file(path) != digest:
            return None
    account: dict[str, Any] = marker["account"]
    return account


def run_tasks(
    tasks: Sequence[Task],
    run: Callable[[Sequence[Task], pulse.Sink], Iterator[tuple[int, dict[str, Any]]]],
    finished: Callable[[Task], None],
    beat: pulse.Sink,
    *,
    largest_first: bool = False,
) -> list[dict[str, Any]]:
    """The accounts of all tasks, in their order; those that are finished are not run again.

    They are begun in their order, so that with one worker the first error of the input is told. largest_first: for few
    large ones, so that in the end no worker waits for another that has just begun.
    """
    accounts = [account_of(task) for task in tasks]
    left = [place for place, account in enumerate(accounts) if account is None]
    if largest_first:
        left.sort(key=lambda place: -tasks[place].bytes)
    for task, account in zip(tasks, accounts, strict=True):
        if account is not None:
            finished(task)
    for place, account in run([tasks[i] for i in left], beat):
        accounts[left[place]] = account
        finished(tasks[left[place]])
    if any(account is None for account in accounts):
        raise RuntimeError("a runner ended without running every task")
    return [account for account in accounts if account is not None]
