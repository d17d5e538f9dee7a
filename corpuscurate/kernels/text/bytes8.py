"""Eight bytes of a text as one number, the first one lowest: what they are, without a loop or a branch."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from corpuscurate.kernels.compile import inlined, uncounted
from corpuscurate.kernels.hashing import load64
from corpuscurate.kernels.text.unicode import Int

_0, _1, _3, _6, _7, _56, _64 = (np.uint64(number) for number in (0, 1, 3, 6, 7, 56, 64))
_ALL = np.uint64(0xFFFFFFFFFFFFFFFF)
_ONES, HIGH, _CASE, _FROM_A, _ABOVE_Z, _FROM_0, _ABOVE_9 = (
    np.uint64(0x0101010101010101 * byte)
    for byte in (0x01, 0x80, 0x20, 0x80 - 0x61, 0x80 - 0x7B, 0x80 - 0x30, 0x80 - 0x3A)
)
"""HIGH: the bit of each byte that is not ASCII. Added to ASCII, _FROM_x sets it from x on, _ABOVE_x after x."""


@inlined
def load(data: NDArray[np.uint8], i: Int) -> np.uint64:
    """`load64` at an index of either type of 64-bit integers."""
    return load64(data, i)  # type: ignore[arg-type]


@uncounted
def _few_bytes(data: NDArray[np.uint8], start: Int, size: Int) -> np.uint64:
    """Up to 7 bytes as one uint64, byte by byte: at the end of the buffer."""
    value = _0
    for i in range(size):
        value |= np.uint64(data[np.uint64(start + i)]) << np.uint64(8 * i)
    return value


@inlined
def head_of(data: NDArray[np.uint8], start: Int, size: Int) -> np.uint64:
    """The first 8 bytes of a string as one uint64, with zeros behind a shorter one."""
    if start + 8 > len(data):
        return _few_bytes(data, start, min(size, 8))
    unused = _64 - (np.uint64(min(size, 8)) << _3)
    half = unused >> _1  # twice, since no shift is of 64 bits
    return load(data, start) & (_ALL >> half >> (unused - half))


@inlined
def letters_in(part: np.uint64) -> np.uint64:
    """The high bit of each byte that is A to Z or a to z; all bytes must be ASCII."""
    lower = part | _CASE
    return (lower + _FROM_A) & ~(lower + _ABOVE_Z) & HIGH


@inlined
def digits_in(part: np.uint64) -> np.uint64:
    """The high bit of each byte that is 0 to 9; all bytes must be ASCII."""
    return (part + _FROM_0) & ~(part + _ABOVE_9) & HIGH


@inlined
def tails_in(part: np.uint64) -> Int:
    """How many of 8 bytes begin no character."""
    return np.int64(((part >> _7 & ~(part >> _6) & _ONES) * _ONES) >> _56)
