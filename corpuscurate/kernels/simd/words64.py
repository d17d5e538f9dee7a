"""Eight bytes at a time over byte buffers, at any offset.

Why the unsigned indices: Numba lets a signed index count from the end, and the test for that keeps LLVM from joining
eight byte accesses into one. Measured on the unescaping loop: 1.6 GB/s with signed, 12.5 GB/s with unsigned ones.
The searches find zero bytes of a word by carry-free addition (Warren, Hacker's Delight, 2nd ed., 6-1), so that
every mark is exact and the lowest is the first.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from corpuscurate.kernels.compile import uncounted

_LOW = np.uint64(0x7F7F7F7F7F7F7F7F)
HIGH = np.uint64(0x8080808080808080)
_INDEX = np.uint64(0x0001020304050607)
_BYTE = np.uint64(0xFF)
_1, _2, _3, _4, _5, _6, _7 = (np.uint64(k) for k in range(1, 8))
_8, _16, _24, _32, _40, _48, _56 = (np.uint64(8 * k) for k in range(1, 8))


@uncounted
def byte_at(data: NDArray[np.uint8], i: int) -> int:
    """data[i] for i >= 0, as int64."""
    return np.int64(data[np.uint64(i)])  # type: ignore[return-value]


@uncounted
def load8(data: NDArray[np.uint8], i: int) -> np.uint64:
    """Bytes i..i+7 as one uint64, the first one lowest; they must lie inside the buffer."""
    k = np.uint64(i)
    return (
        np.uint64(data[k])
        | (np.uint64(data[k + _1]) << _8)
        | (np.uint64(data[k + _2]) << _16)
        | (np.uint64(data[k + _3]) << _24)
        | (np.uint64(data[k + _4]) << _32)
        | (np.uint64(data[k + _5]) << _40)
        | (np.uint64(data[k + _6]) << _48)
        | (np.uint64(data[k + _7]) << _56)
    )


@uncounted
def store8(word: np.uint64, i: int, out: NDArray[np.uint8]) -> None:
    """Write `word` to out[i:i + 8], the lowest byte first."""
    k = np.uint64(i)
    out[k] = word & _BYTE
    out[k + _1] = (word >> _8) & _BYTE
    out[k + _2] = (word >> _16) & _BYTE
    out[k + _3] = (word >> _24) & _BYTE
    out[k + _4] = (word >> _32) & _BYTE
    out[k + _5] = (word >> _40) & _BYTE
    out[k + _6] = (word >> _48) & _BYTE
    out[k + _7] = (word >> _56) & _BYTE


@uncounted
def nonzero_bytes(word: np.uint64) -> np.uint64:
    """The high bit of each byte that is not zero; the other bits are noise."""
    return ((word & _LOW) + _LOW) | word


@uncounted
def first_mark(marks: np.uint64) -> int:
    """The number (0..7) of the lowest byte of `marks` whose high bit is set; no other bits may be set, and one must."""
    lowest = (marks & (~marks + _1)) >> _7
    return np.int64((lowest * _INDEX) >> _56)  # type: ignore[return-value]


@uncounted
def copy_bytes(source: NDArray[np.uint8], start: int, stop: int, at: int, out: NDArray[np.uint8]) -> int:
    """Copy source[start:stop] to out[at:]; the offset after it."""
    while start + 8 <= stop:
        store8(load8(source, start), at, out)
        start += 8
        at += 8
    while start < stop:
        out[np.uint64(at)] = source[np.uint64(start)]
        start += 1
        at += 1
    return at
