"""Messages for failed writes: the only module that turns an OSError into an OutputError."""

from __future__ import annotations

import errno
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from corpuscurate.core.errors import OutputError

_FULL = (errno.ENOSPC, errno.EDQUOT)
_FORBIDDEN = (errno.EACCES, errno.EPERM, errno.EROFS)


def output_error(error: OSError, path: Path) -> OutputError:
    """The error for `path`, with advice."""
    if isinstance(error, OutputError):
        return error
    why = error.strerror or " ".join(str(error).split())
    return OutputError(f"Cannot write {path}: {why}. {_what_to_do(path, error.errno)}")


def is_about_output(error: OSError) -> bool:
    """Whether an error of unknown origin is one of writing: no space, no permission, a read-only disk."""
    return isinstance(error, OutputError) or error.errno in (*_FULL, *_FORBIDDEN)


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turn an OSError of the block into an OutputError. The block writes nothing but `path`."""
    try:
        yield
    except OSError as error:
        raise output_error(error, path) from error


def _what_to_do(path: Path, number: int | None) -> str:
    if number in _FULL:
        free = ""
        with suppress(OSError):
            free = f" ({shutil.disk_usage(path.parent).free >> 20} MiB free)"
        return (
            f"The disk or quota is full{free}. Make room, then run the same recipe again: what is finished is kept. "
            "Or choose another `output: path:`."
        )
    if number in _FORBIDDEN:
        return "Make the output folder writable for this user, or choose another `output: path:`."
    return "Check the disk and the output folder, then run the same recipe again: what is finished is kept."
