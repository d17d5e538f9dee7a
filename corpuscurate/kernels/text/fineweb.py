"""What FineWeb's own filters (arXiv 2406.17557, section 3.6) count in the lines of documents, in one walk over the
bytes.

Lines are parted by line feeds; blank ones (white space alone) are left out. Characters are code points.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from corpuscurate.kernels.compile import inlined, kernel, uncounted
from corpuscurate.kernels.hashing import mix64
from corpuscurate.kernels.simd.words64 import load8
from corpuscurate.kernels.text.scan import next_newline
from corpuscurate.kernels.text.signs import TERMINAL, Signs, char_before, characters, sign_at, skip_space, trim_end
from corpuscurate.kernels.text.unicode import Int

COUNTS = ("lines", "terminal_lines", "short_lines", "duplicate_characters", "characters", "newlines")
"""What is counted of each document. duplicate_characters: of lines that an earlier line equals. characters: without
line feeds."""

_NEWLINE = 0x0A
_SEED = np.uint64(0x9E3779B97F4A7C15)
_MULTIPLIER = np.uint64(0xD1342543DE82EF95)
_SHIFT, _ONE = np.uint64(32), np.uint64(1)
_FEW = 64


@inlined
def _hash(data: NDArray[np.uint8], i: Int, stop: Int) -> np.uint64:
    """A hash of data[i:stop]: equal ones are compared byte by byte."""
    h = _SEED ^ np.uint64(stop - i)
    while i + 8 <= stop:
        h = (h ^ load8(data, int(i))) * _MULTIPLIER
        h ^= h >> _SHIFT
        i += 8
    rest = np.uint64(0)
    while i < stop:
        rest = rest << np.uint64(8) | np.uint64(data[np.uint64(i)])
        i += 1
    return mix64(h ^ rest)


@uncounted
def _equal_line(data: NDArray[np.uint8], a: Int, b: Int, size: Int, end: Int) -> bool:
    """Whether the line that begins at `a` is data[b : b + size]."""
    stop = a + size
    if stop < end and data[np.uint64(stop)] != _NEWLINE:
        return False
    while a + 8 <= stop:
        if load8(data, int(a)) != load8(data, int(b)):
            return False
        a += 8
        b += 8
    while a < stop:
        if data[np.uint64(a)] != data[np.uint64(b)]:
            return False
        a += 1
        b += 1
    return True


@inlined
def _place(
    data: NDArray[np.uint8], table: NDArray[np.int64], slots: Int, begin: Int, start: Int, stop: Int, end: Int
) -> Int:
    """The slot of the line data[start:stop]: with 1 + where the first equal line of the document begins, or 0."""
    mask = np.uint64(slots - 1)
    slot = _hash(data, start, stop) & mask
    while table[slot] and not _equal_line(data, begin + table[slot] - 1, start, stop - start, end):
        slot = (slot + _ONE) & mask
    return np.int64(slot)


@uncounted
def _refill(
    data: NDArray[np.uint8], old: NDArray[np.int64], slots: Int, begin: Int, end: Int, table: NDArray[np.int64]
) -> Int:
    """Put all lines of a table of `slots` into one of twice as many. Returns how many there are."""
    for k in range(2 * slots):
        table[k] = 0
    count: Int = 0
    for k in range(slots):
        if old[k]:
            start = begin + old[k] - 1
            table[_place(data, table, 2 * slots, begin, start, next_newline(data, start, end), end)] = old[k]
            count += 1
    return count


@kernel
def count_lines(
    offsets: NDArray[np.int64],
    data: NDArray[np.uint8],
    s: Signs,
    ends: Signs,
    strip: bool,
    short: int,
    out: NDArray[np.int64],
) -> int:
    """All COUNTS of each document.

    ends: the characters with TERMINAL that a line may end with; strip: whether the white space at its end is left out
    first. short: the most characters of a short line. out: int64[n, 6]. Returns n.
    """
    table = np.zeros(_FEW, np.int64)
    for row in range(len(offsets) - 1):
        begin = offsets[row]
        end = offsets[row + 1]
        slots: Int = _FEW
        for k in range(_FEW):
            table[k] = 0
        i: Int = begin
        lines: Int = 0
        terminal: Int = 0
        few: Int = 0
        distinct: Int = 0
        duplicate: Int = 0
        newlines: Int = 0
        while i < end:
            stop = next_newline(data, i, end)
            start: Int = i
            newlines += stop < end
            i = stop + 1
            if skip_space(data, start, stop, s) == stop:
                continue
            lines += 1
            last = trim_end(data, start, stop, s) if strip else stop
            terminal += (sign_at(data, char_before(data, last), ends) & TERMINAL) != 0
            size = stop - start
            few += size <= short or (size <= 4 * short and characters(data, start, stop) <= short)
            slot = _place(data, table, slots, begin, start, stop, end)
            if table[slot]:
                duplicate += characters(data, start, stop)
                continue
            table[slot] = start - begin + 1
            distinct += 1
            if 2 * distinct > slots:
                old = table
                if len(table) < 2 * slots:
                    table = np.zeros(2 * slots, np.int64)
                else:
                    old = table[:slots].copy()
                _refill(data, old, slots, begin, end, table)
                slots *= 2
        out[row, 0] = lines
        out[row, 1] = terminal
        out[row, 2] = few
        out[row, 3] = duplicate
        out[row, 4] = characters(data, begin, end) - newlines
        out[row, 5] = newlines
    return len(offsets) - 1
