"""Whole lines of a file in one buffer that is used again and again: the ground of the JSON lines reader.

Memory is one buffer of about `block_bytes`, or, for a longer line, twice the longest line that is allowed. What is
longer still is passed over without being held.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from corpuscurate.io.base import HEAD_BYTES, BadRecord, SourceFile, Span
from corpuscurate.io.files import Truncated, open_bytes
from corpuscurate.kernels.json.lines import newline_in

PAD_BYTES = 32
"""What the buffer has beyond the lines: kernels read words past the end, and a last line may need its newline."""
TAIL_BYTES = 1 << 16
"""How much is read at a time of a line that began in the span and goes on behind it."""
BOM = b"\xef\xbb\xbf"
NEWLINE = 10


@dataclass(frozen=True, slots=True)
class LineBlock:
    """Lines data[start:stop], the last byte a newline; at least 16 bytes follow. base: the offset of data[0] in the
    (decompressed) file. unfinished: the file ends without the last newline. Valid until the next block is asked for."""

    data: NDArray[np.uint8]
    start: int
    stop: int
    base: int
    unfinished: bool = False


def too_large(position: int, head: bytes, limit: int) -> BadRecord:
    """The record of a line that is longer than allowed; the same whether it was held in memory or passed over."""
    return BadRecord(position, "too_large", f"the line is longer than max_record_bytes = {limit}", head)


class _Window:
    """A buffer over a stretch of a stream: data[begin:end] holds what was read and not yet used."""

    def __init__(self, reader: BinaryIO, base: int, size: int) -> None:
        self._reader = reader
        self.data = np.empty(size + PAD_BYTES, np.uint8)
        self.base = base
        self.begin = self.end = self.searched = 0
        self.finished = False
        self.truncated: Truncated | None = None

    @property
    def size(self) -> int:
        """How many bytes can be held."""
        return len(self.data) - PAD_BYTES

    @property
    def position(self) -> int:
        """The offset in the file of the first byte that is held."""
        return self.base + self.begin

    @property
    def reached(self) -> int:
        """The offset in the file of the first byte that was not read."""
        return self.base + self.end

    def fill(self, most: int) -> None:
        """Read up to `most` bytes, to the end of the buffer, or to the end of the stream."""
        view = memoryview(self.data)  # type: ignore[arg-type]
        stop = min(self.size, self.end + most)
        try:
            while self.end < stop and not self.finished:
                count = self._reader.readinto(view[self.end : stop])  # type: ignore[attr-defined]
                self.finished = not count
                self.end += count or 0
        except Truncated as error:
            self.finished, self.truncated = True, error

    def newline(self, start: int, stop: int, last: bool = False) -> int:
        """The index of a newline in data[start:stop], or -1."""
        return int(newline_in(self.data, start, max(start, stop), last))

    def drop(self, stop: int) -> None:
        """Let go of what is held before index `stop`, and move the rest to the front."""
        held = self.end - stop
        self.data[:held] = self.data[stop : self.end]
        self.searched = max(0, self.searched - stop)
        self.base += stop
        self.begin, self.end = 0, held

    def grow(self, most: int) -> None:
        """Double the buffer, to `most` bytes at most."""
        data = np.empty(min(2 * self.size, most) + PAD_BYTES, np.uint8)
        data[: self.end] = self.data[: self.end]
        self.data = data

    def head(self) -> bytes:
        """The first bytes that are held."""
        return self.data[self.begin : min(self.end, self.begin + HEAD_BYTES)].tobytes()


class _Lines:
    """The lines that begin in one span."""

    def __init__(self, window: _Window, span: Span, limit: int | None, max_bytes: int) -> None:
        self.window = window
        self.limit = limit
        """Offset behind the span; lines that begin there belong to the next one. None: to the end."""
        self.max_bytes = max_bytes
        self.hold = max(max_bytes, HEAD_BYTES) + 2
        """A line this long without its end is too large: the end has two bytes at most."""
        self.at_start = span.start == 0

    def _fill(self) -> None:
        window = self.window
        ahead = window.size if self.limit is None else self.limit - window.reached
        window.fill(max(ahead, TAIL_BYTES))

    def skip_begun(self, stop: int) -> bool:
        """Pass over the line that began before the span; False where no line begins in it."""
        window = self.window
        while window.reached < stop - 1 and not window.finished:
            window.drop(window.end)
            window.fill(stop - 1 - window.reached)
            found = window.newline(0, window.end)
            if found >= 0:
                window.begin = window.searched = found + 1
                return True
        return False

    def _first(self) -> BadRecord | None:
        """Read the start of the file: a byte order mark, or nothing at all."""
        window = self.window
        self._fill()
        if window.end == 0:
            if window.truncated is not None:
                return None
            return BadRecord(0, "empty_file", "the file is empty", b"", whole_file=True)
        if window.data[:3].tobytes() == BOM and window.end >= 3:
            window.begin = 3
        return None

    def _cut(self) -> tuple[int, bool]:
        """The index behind the last whole line that can be used, and whether the span ends there."""
        window = self.window
        if self.limit is not None and window.reached >= self.limit:
            border = max(window.begin, self.limit - 1 - window.base)
            found = window.newline(max(border, window.searched), window.end)
            if found >= 0:
                return found + 1, True
            stop = min(border, window.end)
        else:
            stop = window.end
        found = window.newline(max(window.begin, min(window.searched, stop)), stop, last=True)
        return found + 1, False

    def blocks(self) -> Iterator[LineBlock | BadRecord]:
        """Blocks of lines, and bad records for what cannot be a line."""
        window = self.window
        empty = self._first() if self.at_start else None
        if empty is not None:
            yield empty
            return
        while True:
            cut, over = self._cut()
            window.searched = window.end
            if cut > window.begin:
                yield LineBlock(window.data, window.begin, cut, window.base)
                if over:
                    return
                window.begin = cut
            if self.limit is not None and window.position >= self.limit:
                return
            if window.finished:
                yield from self._last()
                return
            if window.end - window.begin >= self.hold:
                yield too_large(window.position, window.head(), self.max_bytes)
                if not self._pass_over():
                    return
                continue
            self._make_room()
            self._fill()

    def _make_room(self) -> None:
        window = self.window
        if window.begin:
            window.drop(window.begin)
        if window.end == window.size:
            window.grow(self.hold)

    def _pass_over(self) -> bool:
        """Read to the end of a line that is not held; False where the span ends with it."""
        window = self.window
        while not window.finished:
            window.drop(window.end)
            window.fill(TAIL_BYTES if window.size > TAIL_BYTES else window.size)
            found = window.newline(0, window.end)
            if found >= 0:
                window.begin = window.searched = found + 1
                return self.limit is None or window.position < self.limit
        if window.truncated is not None:
            window.begin = window.end
            return True
        return False

    def _last(self) -> Iterator[LineBlock | BadRecord]:
        """What stands after the last newline of the file."""
        window = self.window
        if window.truncated is not None:
            error = window.truncated
            if window.end - window.begin >= self.hold:
                yield too_large(window.position, window.head(), self.max_bytes)
                window.begin = window.end
            yield BadRecord(window.position, error.reason, error.detail, window.head(), whole_file=True)
        elif window.end > window.begin:
            window.data[window.end] = NEWLINE
            yield LineBlock(window.data, window.begin, window.end + 1, window.base, unfinished=True)


def line_blocks(file: SourceFile, span: Span, block_bytes: int, max_bytes: int) -> Iterator[LineBlock | BadRecord]:
    """The lines that begin in a span, in order, in blocks of about `block_bytes`.

    max_bytes: a line longer than this (without its line end) may come in a block or as a bad record; whoever takes the
    blocks refuses such lines too. A compressed file is one span. Raises InputError when the file cannot be opened.
    """
    plain = file.compression is None
    start = max(0, span.start - 1) if plain else 0
    limit = span.stop if plain else None
    room = max(block_bytes, 64) if limit is None else min(max(block_bytes, 64), limit - start + TAIL_BYTES)
    with open_bytes(file, start) as reader:
        lines = _Lines(_Window(reader, start, room), span, limit, max_bytes)
        if span.start == 0 or lines.skip_begun(span.stop):
            yield from lines.blocks()
