"""Opening output files, and what is said when one cannot be written."""

from __future__ import annotations

import errno
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from corpuscurate.errors import OutputError

_BUFFER_BYTES = 1 << 20
_FULL = (errno.ENOSPC, errno.EDQUOT)
_FORBIDDEN = (errno.EACCES, errno.EPERM, errno.EROFS)


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turns an `OSError` of the block into an `OutputError` that says what to do."""
    try:
        yield
    except OutputError:
        raise
    except OSError as error:
        why = error.strerror or " ".join(str(error).split())
        raise OutputError(f"Cannot write {path}: {why}. {_what_to_do(path, error.errno)}") from error


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


def _open(path: Path) -> BinaryIO:
    return path.open("wb", buffering=_BUFFER_BYTES)


class OutputFile:
    """A new file that is written from start to end; `discard` leaves nothing behind."""

    def __init__(self, path: Path) -> None:
        self.path = path
        with explained(path):
            self.raw = _open(path)

    def write(self, data: bytes | memoryview) -> None:
        """Append bytes. Raises OutputError."""
        with explained(self.path):
            self.raw.write(data)

    def close(self) -> None:
        """Flush and close. Raises OutputError."""
        with explained(self.path):
            self.raw.close()

    def discard(self) -> None:
        """Close whatever was written and remove the file; never raises."""
        with suppress(OSError, ValueError):
            self.raw.close()
        if self.path.is_file():
            with suppress(OSError):
                self.path.unlink()
