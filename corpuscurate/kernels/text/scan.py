"""Looking for the few bytes that matter, 64 bytes at once, between `start` and `stop` of a buffer.

Blocks may reach behind `stop`, and what stands there does not count; near the end of the buffer bytes are looked at one
by one.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from corpuscurate.kernels.compile import inlined, uncounted
from corpuscurate.kernels.simd.bits import trailing_zeros
from corpuscurate.kernels.simd.classes import (
    HINTS,
    equal,
    hints,
    line_breaks,
    newlines,
    sentence_marks,
    symbols,
)
from corpuscurate.kernels.text.signs import BREAK, TERMINAL, Signs
from corpuscurate.kernels.text.unicode import Int

BLOCK = 64
_REACH = 68
_NEWLINE = 0x0A


@inlined
def next_break(data: NDArray[np.uint8], i: Int, stop: Int, s: Signs) -> Int:
    """The first index from `i` on where a line of `str.splitlines()` ends, or a character begins that may end one; or
    stop."""
    while i < stop and i + BLOCK <= len(data):
        marks = line_breaks(data, i)
        if marks:
            found: Int = i + trailing_zeros(marks)
            return min(found, stop)
        i += BLOCK
    while i < stop and not s.bytes[data[np.uint64(i)]] & BREAK:
        i += 1
    return min(i, stop)


@inlined
def next_mark(data: NDArray[np.uint8], i: Int, stop: Int, s: Signs) -> Int:
    """The first index from `i` on of a TERMINAL character, or of one that may be; or stop."""
    while i < stop and i + BLOCK <= len(data):
        marks = sentence_marks(data, i)
        if marks:
            found: Int = i + trailing_zeros(marks)
            return min(found, stop)
        i += BLOCK
    while i < stop and not s.bytes[data[np.uint64(i)]] & TERMINAL:
        i += 1
    return min(i, stop)


@inlined
def next_newline(data: NDArray[np.uint8], i: Int, stop: Int) -> Int:
    """The index of the first line feed of data[i:stop], or stop."""
    while i < stop and i + BLOCK <= len(data):
        marks = newlines(data, i)
        if marks:
            found: Int = i + trailing_zeros(marks)
            return min(found, stop)
        i += BLOCK
    while i < stop and data[np.uint64(i)] != _NEWLINE:
        i += 1
    return min(i, stop)


@inlined
def next_symbol(data: NDArray[np.uint8], i: Int, stop: Int) -> Int:
    """The index of the first byte of data[i:stop] in SYMBOLS, or stop."""
    while i < stop and i + BLOCK <= len(data):
        marks = symbols(data, i)
        if marks:
            found: Int = i + trailing_zeros(marks)
            return min(found, stop)
        i += BLOCK
    while i < stop and data[np.uint64(i)] not in (0x23, 0x2E, 0xE2):
        i += 1
    return min(i, stop)


@inlined
def copy_run(source: NDArray[np.uint8], start: Int, stop: Int, at: Int, out: NDArray[np.uint8]) -> Int:
    """Copy source[start:stop] to out[at:]; the index behind it."""
    size = np.uint64(stop - start)
    first, target = np.uint64(start), np.uint64(at)
    for k in range(size):
        out[target + k] = source[first + k]
    return at + stop - start


@inlined
def _within(marks: np.uint64, size: Int) -> bool:
    """Whether one of the lowest `size` > 0 bits is set."""
    return bool(marks != 0 and trailing_zeros(marks) < size)


_FIVE = np.array([list(hint.encode()) for hint in HINTS], np.uint8)


@uncounted
def _is_hint(data: NDArray[np.uint8], i: Int) -> bool:
    for row in range(len(_FIVE)):
        k = 0
        while k < 5 and data[i + k] | 0x20 == _FIVE[row, k]:
            k += 1
        if k == 5:
            return True
    return False


@uncounted
def may_hold_phrase(data: NDArray[np.uint8], i: Int, stop: Int) -> bool:
    """Whether data[i:stop] may hold a phrase of `kernels.text.c4`: most texts do not."""
    while i < stop and i + _REACH <= len(data):
        if _within(hints(data, i), stop - i):
            return True
        i += BLOCK
    while i < stop:
        if data[i] == 0xE2 or (i + 5 <= stop and _is_hint(data, i)):
            return True
        i += 1
    return False


@uncounted
def holds(data: NDArray[np.uint8], i: Int, stop: Int, byte: np.uint8) -> bool:
    """Whether data[i:stop] holds the byte."""
    while i < stop and i + BLOCK <= len(data):
        if _within(equal(data, i, byte), stop - i):
            return True
        i += BLOCK
    while i < stop:
        if data[np.uint64(i)] == byte:
            return True
        i += 1
    return False
