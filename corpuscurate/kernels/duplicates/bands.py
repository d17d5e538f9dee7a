"""Keys of bands of signature values: a sieve for those that can occur twice, and the runs of equal ones."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from corpuscurate.kernels.compile import kernel, uncounted
from corpuscurate.kernels.duplicates.components import Indices, Int
from corpuscurate.kernels.hashing import mix64

_TWO = np.uint64(2)
_THREE = np.uint64(3)
_ONE = np.uint64(1)
_HALF = np.uint64(32)
_DIGIT_BITS = 11
_DIGITS = 6


@uncounted
def absorb(column: NDArray[np.uint32], keys: NDArray[np.uint64]) -> int:
    """Take one more signature value into each document's key, in place. Returns the number of documents."""
    for i in range(len(column)):
        keys[i] = mix64(keys[i] ^ np.uint64(column[i]))
    return len(column)


@uncounted
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


@uncounted
def sieve_passes(keys: NDArray[np.uint64], table: NDArray[np.uint8], out: NDArray[np.bool_]) -> int:
    """Which keys may have been counted twice: all that were, and few others. Returns how many pass."""
    mask = np.uint64(4 * len(table) - 1)
    passed = 0
    for i in range(len(keys)):
        slot = keys[i] & mask
        out[i] = (np.uint64(table[slot >> _TWO]) >> ((slot & _THREE) << _ONE) & _THREE) >= _TWO
        passed += out[i]
    return passed


@uncounted
def shared_keys(keys: NDArray[np.uint64], numbers: Indices, table: NDArray[np.uint8]) -> Int:
    """Move the keys that may have been counted twice, all that were and few others, to the front, with the numbers that
    go with them. Returns how many they are."""
    mask = np.uint64(4 * len(table) - 1)
    passed: Int = 0
    for i in range(len(keys)):
        key = keys[i]
        number = numbers[i]
        slot = key & mask
        keys[passed] = key
        numbers[passed] = number
        passed += np.int64((np.uint64(table[slot >> _TWO]) >> ((slot & _THREE) << _ONE) & _THREE) >= _TWO)
    return passed


@uncounted
def keys_in_range(
    chosen: NDArray[np.bool_], first: Int, key_range: Int, key_ranges: Int, keys: NDArray[np.uint64], out: Indices
) -> Int:
    """Move the chosen keys of a key range, by their upper 32 bits, to the front. Returns how many they are.

    out: the numbers of these; the chosen keys of all ranges are numbered first, first + 1, ...
    """
    number = first
    filled: Int = 0
    for i in range(len(keys)):
        key = keys[i]
        keys[filled] = key
        out[filled] = number
        of = np.int64((key >> _HALF) * np.uint64(key_ranges) >> _HALF)
        filled += np.int64(chosen[i] & (of == key_range))
        number += np.int64(chosen[i])
    return filled


@kernel
def sort_by_key(keys: NDArray[np.uint64], numbers: Indices) -> int:
    """Sort keys and the numbers that go with them by key, in place; stable. Returns len(keys).

    Least significant digit first, 11 bits at a time: linear whatever the keys, a million equal ones included.
    """
    size = len(keys)
    counts = np.zeros((_DIGITS, 1 << _DIGIT_BITS), np.int64)
    mask = np.uint64((1 << _DIGIT_BITS) - 1)
    for i in range(size):
        for digit in range(_DIGITS):
            counts[digit, keys[i] >> np.uint64(digit * _DIGIT_BITS) & mask] += 1
    other_keys = np.empty(size, np.uint64)
    other_numbers = np.empty_like(numbers)
    for digit in range(_DIGITS):  # an even number: what began in `keys` ends there
        starts = counts[digit]
        total = 0
        for value in range(len(starts)):
            count = starts[value]
            starts[value] = total
            total += count
        shift = np.uint64(digit * _DIGIT_BITS)
        for i in range(size):
            at = keys[i] >> shift & mask
            other_keys[starts[at]] = keys[i]
            other_numbers[starts[at]] = numbers[i]
            starts[at] += 1
        keys, other_keys = other_keys, keys
        numbers, other_numbers = other_numbers, numbers
    return size


@uncounted
def runs_of_equal(keys: NDArray[np.uint64], numbers: Indices, out: Indices, out_offsets: Indices) -> int:
    """The numbers of keys that occur twice or more, run after run. Returns how many runs.

    keys: sorted. out: [len(keys)]; out_offsets: [len(keys) // 2 + 1], one more than the runs are filled.
    """
    runs = 0
    filled = 0
    out_offsets[0] = 0
    start = 0
    while start < len(keys):
        end = start + 1
        while end < len(keys) and keys[end] == keys[start]:
            end += 1
        if end - start > 1:
            for i in range(start, end):
                out[filled] = numbers[i]
                filled += 1
            runs += 1
            out_offsets[runs] = filled
        start = end
    return runs
