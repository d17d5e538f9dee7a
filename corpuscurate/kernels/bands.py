"""Keys of bands of signature values, and a sieve that lets through the keys that can occur twice."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from corpuscurate.kernels.compile import kernel
from corpuscurate.kernels.hashing import mix64

_TWO = np.uint64(2)
_THREE = np.uint64(3)
_ONE = np.uint64(1)


@kernel
def absorb(column: NDArray[np.uint32], keys: NDArray[np.uint64]) -> int:
    """Take one more signature value into each document's key, in place. Returns the number of documents."""
    for i in range(len(column)):
        keys[i] = mix64(keys[i] ^ np.uint64(column[i]))
    return len(column)


@kernel
def sieve_add(keys: NDArray[np.uint64], table: NDArray[np.uint8]) -> int:
    """Count keys in a table of 2-bit counters that stop at 2; its length is a power of two. Returns len(keys)."""
    mask = np.uint64(4 * len(table) - 1)
    for key in keys:
        slot = key & mask
        at = slot >> _TWO
        shift = (slot & _THREE) << _ONE
        count = np.uint64(table[at]) >> shift & _THREE
        if count < _TWO:
            table[at] = np.uint8(np.uint64(table[at]) + (_ONE << shift))
    return len(keys)


@kernel
def sieve_passes(keys: NDArray[np.uint64], table: NDArray[np.uint8], out: NDArray[np.bool_]) -> int:
    """Which keys may have been counted twice: all that were, and few others. Returns how many pass."""
    mask = np.uint64(4 * len(table) - 1)
    passed = 0
    for i in range(len(keys)):
        slot = keys[i] & mask
        out[i] = (np.uint64(table[slot >> _TWO]) >> ((slot & _THREE) << _ONE) & _THREE) >= _TWO
        passed += out[i]
    return passed
