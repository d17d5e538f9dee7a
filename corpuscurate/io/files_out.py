"""Opening output files, and what is said when one cannot be written."""

from __future__ import annotations

import io
from contextlib import suppress
from pathlib import Path
from typing import Any

import xxhash

from corpuscurate.core.durable import leave_cache
from corpuscurate.core.os_errors import explained

BLOCK_BYTES = 2 << 20
"""Of a file that is written: what the system keeps in one piece, which costs half of many."""


class Digested(io.FileIO):
    """A new file, written in blocks. It is digested on the way, so that nobody reads it for that, and leaves the
    system's cache block by block: the next block goes to the memory of the last ones instead of to fresh memory."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, "wb")
        self.digest = xxhash.xxh3_64()
        self._block = memoryview(bytearray(BLOCK_BYTES))
        self._held = 0

    def write(self, data: Any, /) -> int:
        """Append bytes; returns how many: all."""
        left = memoryview(data).cast("B")
        size = len(left)
        while left:
            taken = min(len(left), len(self._block) - self._held)
            self._block[self._held : self._held + taken] = left[:taken]
            self._held += taken
            left = left[taken:]
            if self._held == len(self._block):
                self._put()
                leave_cache(self.fileno())
        return size

    def flush(self) -> None:
        """Hand over what is held back."""
        if not self.closed:
            self._put()
        super().flush()

    def _put(self) -> None:
        block, self._held = self._block[: self._held], 0  # an error is told once
        self.digest.update(block)
        while block:
            block = block[super().write(block) :]


class OutputFile:
    """A new file that is written from start to end; `discard` leaves nothing behind."""

    def __init__(self, path: Path) -> None:
        self.path = path
        with explained(path):
            self.raw = Digested(path)

    def write(self, data: bytes | memoryview) -> None:
        """Append bytes. Raises OutputError."""
        with explained(self.path):
            self.raw.write(data)

    def close(self) -> str:
        """Flush and close; xxh3-64 of the bytes, as `artefact.digest_file` would find it. Raises OutputError."""
        with explained(self.path):
            self.raw.close()  # flushes
        return self.raw.digest.hexdigest()

    def discard(self) -> None:
        """Close whatever was written and remove the file; never raises."""
        with suppress(OSError, ValueError):
            self.raw.close()
        if self.path.is_file():
            with suppress(OSError):
                self.path.unlink()
