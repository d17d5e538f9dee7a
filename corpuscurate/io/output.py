"""Opening output files, and what is said when one cannot be written."""

from __future__ import annotations

import errno
import io
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

import xxhash

from corpuscurate.artefact import leave_cache
from corpuscurate.errors import OutputError

BUFFER_BYTES = 1 << 20
FORGET_BYTES = 4 << 20
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


class Digested(io.FileIO):
    """A new file that is digested while it is written, so that nobody reads it for that, and that leaves the system's
    cache piece by piece: each next piece is written to the memory of the last one instead of to fresh memory."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, "wb")
        self.digest = xxhash.xxh3_64()
        self._ahead = 0

    def write(self, data: Any, /) -> int:
        """Append bytes; returns how many."""
        written = super().write(data)
        self.digest.update(memoryview(data)[:written])
        self._ahead += written
        if self._ahead >= FORGET_BYTES:
            leave_cache(self.fileno())
            self._ahead = 0
        return written


class OutputFile:
    """A new file that is written from start to end; `discard` leaves nothing behind."""

    def __init__(self, path: Path) -> None:
        self.path = path
        with explained(path):
            self._file = Digested(path)
            self.raw: BinaryIO = io.BufferedWriter(self._file, BUFFER_BYTES)

    def write(self, data: bytes | memoryview) -> None:
        """Append bytes. Raises OutputError."""
        with explained(self.path):
            self.raw.write(data)

    def close(self) -> str:
        """Flush and close; xxh3-64 of the bytes, as `artefact.digest_file` would find it. Raises OutputError."""
        with explained(self.path):
            self.raw.close()
        return self._file.digest.hexdigest()

    def discard(self) -> None:
        """Close whatever was written and remove the file; never raises."""
        with suppress(OSError, ValueError):
            self.raw.close()
        if self.path.is_file():
            with suppress(OSError):
                self.path.unlink()
