"""Messages for errors of the system: the only module that turns an OSError into an OutputError."""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from corpuscurate.core.errors import CorpusCurateError, OutputError

_FULL = (errno.ENOSPC, errno.EDQUOT)
_LITTLE = 64 << 20
"""Free bytes below which a disk counts as the full one."""
_FORBIDDEN = (errno.EACCES, errno.EPERM, errno.EROFS)


def output_error(error: OSError, path: Path) -> OutputError:
    """The error for `path`, with advice."""
    if isinstance(error, OutputError):
        return error
    why = error.strerror or " ".join(str(error).split())
    return OutputError(f"Cannot write {path}: {why}. {_what_to_do(path, error.errno)}")


def system_error(error: OSError, folder: Path) -> OSError:
    """The error to raise for one of unknown origin. folder: of the run, in the output folder or around it.

    It is one of the output where it names a file there. An error that names another file names it still. One that names
    none, such as a write that finds no space, says where there is how much.
    """
    if isinstance(error, CorpusCurateError):
        return error
    named = Path(os.fsdecode(error.filename)) if isinstance(error.filename, str | bytes) else None
    if named is None:
        return _unnamed(error, folder)
    here = Path(os.path.abspath(named))  # noqa: PTH100  (links stay)
    if here.is_relative_to(os.path.abspath(folder)):  # noqa: PTH100
        return output_error(error, named)
    if error.errno not in (*_FULL, *_FORBIDDEN):
        return error
    temporary = here.is_relative_to(tempfile.gettempdir())
    more = " It is in the folder for temporary files, which TMPDIR names." if temporary else ""
    what = f"Its disk or quota is full{_free(here.parent)}. Make room" if error.errno in _FULL else "Allow this user to"
    return OutputError(
        f"Cannot use {named}: {error.strerror}. {what}{' use it' if error.errno in _FORBIDDEN else ''}, then run the"
        f" same recipe again: what is finished is kept.{more}"
    )


def _unnamed(error: OSError, folder: Path) -> OSError:
    if error.errno not in _FULL:
        return error
    places = {"the output folder": folder, "temporary files (TMPDIR)": Path(tempfile.gettempdir())}
    if Path("/dev/shm").is_dir():  # noqa: S108
        places["shared memory"] = Path("/dev/shm")  # noqa: S108
    free = {name: _free_bytes(path) for name, path in places.items()}
    if (free["the output folder"] or 0) < _LITTLE:
        return output_error(error, folder)
    told = ", ".join(f"{path} for {name}: {(free[name] or 0) >> 20} MiB free" for name, path in places.items())
    return OutputError(
        f"Cannot write {folder}, or a file outside it: {error.strerror}. A disk or quota is full ({told}). Make room, "
        "then run the same recipe again: what is finished is kept."
    )


def _free_bytes(path: Path) -> int | None:
    """Free bytes of the disk of a path that may not be there, None where that is not known."""
    for each in (path, *path.parents):
        with suppress(OSError):
            return shutil.disk_usage(each).free
    return None


def _free(path: Path) -> str:
    free = _free_bytes(path)
    return "" if free is None else f" ({free >> 20} MiB free)"


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turn an OSError of the block into an OutputError. The block writes nothing but `path`."""
    try:
        yield
    except OSError as error:
        raise output_error(error, path) from error


def _what_to_do(path: Path, number: int | None) -> str:
    if number in _FULL:
        return (
            f"The disk or quota is full{_free(path.parent)}. Make room, then run the same recipe again: what is "
            "finished is kept. Or choose another `output: path:`."
        )
    if number in _FORBIDDEN:
        return "Make the output folder writable for this user, or choose another `output: path:`."
    return "Check the disk and the output folder, then run the same recipe again: what is finished is kept."
