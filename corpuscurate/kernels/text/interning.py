"""Numbers for what occurs more than once: byte strings, and pairs of numbers.

Two steps. A byte of `seen` for each hash tells without a branch which items may occur twice; they are the few that go
on. These are numbered in an open-addressing table, where an item is another only if its bytes are, or its pair is: so
collisions cost time and no more, nothing depends on a hash, and the seed, which differs by process, keeps anyone from
writing text that collides.

A slot of the table is hash << 32 | number + 1, or 0 where it is free. Each use clears the part that it takes, which is
small for small documents, and begins again with a larger one where that is half full.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from corpuscurate.kernels.compile import inlined, uncounted
from corpuscurate.kernels.hashing import load64
from corpuscurate.kernels.text.unicode import Int

_0, _1, _3, _8, _29, _32, _64 = (np.uint64(number) for number in (0, 1, 3, 8, 29, 32, 64))
_LOW = np.uint64(0xFFFFFFFF)
_ALL = np.uint64(0xFFFFFFFFFFFFFFFF)
_FACTOR1 = np.uint64(0x9E3779B97F4A7C15)
_FACTOR2 = np.uint64(0xD6E8FEB86659FD93)
FULL = -1
"""Returned where a table is half full: begin again with a larger one."""


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
def _head(data: NDArray[np.uint8], start: Int, size: Int) -> np.uint64:
    """The first 8 bytes of a string as one uint64, with zeros behind a shorter one."""
    if start + 8 > len(data):
        return _few_bytes(data, start, min(size, 8))
    unused = _64 - (np.uint64(min(size, 8)) << _3)
    half = unused >> _1  # twice, since no shift is of 64 bits
    return load(data, start) & (_ALL >> half >> (unused - half))


@inlined
def hash_bytes(data: NDArray[np.uint8], start: Int, stop: Int, seed: np.uint64) -> np.uint64:
    """A hash of data[start:stop]: its length, its first and its last 8 bytes, and what is between in blocks of 8."""
    size = stop - start
    head = _head(data, start, size)
    value = (head ^ seed ^ np.uint64(size)) * _FACTOR1
    if size > 16:
        at = start + 8
        while at + 8 < stop:
            value = (value ^ value >> _32 ^ load(data, at)) * _FACTOR2
            at += 8
    tail = load(data, max(stop - 8, 0)) if len(data) >= 8 else head  # read always: a branch would often be mispredicted
    value = (value ^ value >> _32 ^ (tail if size > 8 else head)) * _FACTOR2
    return value ^ value >> _29


@inlined
def same_bytes(data: NDArray[np.uint8], a: Int, b: Int, size: Int) -> bool:
    """Whether data[a:a + size] and data[b:b + size] are the same."""
    if _head(data, a, size) != _head(data, b, size):
        return False
    at = 8
    while at + 8 < size:
        if load(data, a + at) != load(data, b + at):
            return False
        at += 8
    return bool(size <= 8 or load(data, a + size - 8) == load(data, b + size - 8))


@uncounted
def hash_strings(
    data: NDArray[np.uint8],
    starts: NDArray[np.int64],
    stops: NDArray[np.int64],
    first: Int,
    size: Int,
    seed: np.uint64,
    hashes: NDArray[np.uint32],
) -> None:
    """32 bits of the hash of each string data[starts[first + i]:stops[first + i]], i < size."""
    for i in range(size):
        k = np.uint64(first + i)
        hashes[np.uint64(i)] = hash_bytes(data, starts[k], stops[k], seed) >> _32


@uncounted
def hash_pairs(
    places: NDArray[np.int32], items: NDArray[np.int32], size: Int, seed: np.uint64, hashes: NDArray[np.uint32]
) -> None:
    """32 bits of a hash of each pair (items[j], items[j + 1]), j < size; a bare counter where the places do not follow
    each other, which is then met once."""
    for i in range(size - 1):
        j = np.uint64(i)
        value = (np.uint64(items[j]) << _32 | np.uint64(items[j + _1])) ^ seed
        value = (value ^ value >> _32) * _FACTOR1
        value = (value ^ value >> _29) * _FACTOR2
        hashes[j] = value >> _32


@uncounted
def bits_for(size: Int) -> np.uint64:
    """Bits of a power of two that is at least 64 and 8 times the size: slots of `seen`."""
    bits = np.uint64(6)
    while np.int64(_1 << bits) < 8 * size and bits < np.uint64(31):
        bits += _1
    return bits


@uncounted
def find_repeated(hashes: NDArray[np.uint32], size: Int, seen: NDArray[np.uint8], out: NDArray[np.int32]) -> Int:
    """Which of the hashes may occur more than once: out, ascending; how many. All that do, and some others."""
    bits = bits_for(size)
    shift = _32 - bits
    for k in range(_1 << bits):
        seen[k] = 0
    for i in range(size):
        slot = np.uint64(hashes[np.uint64(i)]) >> shift
        seen[slot] = min(seen[slot] + 1, 2)
    found = _0
    for i in range(size):
        out[found] = i
        found += np.uint64(seen[np.uint64(hashes[np.uint64(i)]) >> shift] > 1)
    return np.int64(found)


@uncounted
def _clear(table: NDArray[np.uint64], slots: np.uint64) -> None:
    for k in range(slots):
        table[k] = 0


@uncounted
def number_strings(
    data: NDArray[np.uint8],
    starts: NDArray[np.int64],
    stops: NDArray[np.int64],
    first: Int,
    hashes: NDArray[np.uint32],
    places: NDArray[np.int32],
    size: Int,
    table: NDArray[np.uint64],
    slots: np.uint64,
    numbers: NDArray[np.int32],
    counts: NDArray[np.int32],
    origins: NDArray[np.int32],
) -> Int:
    """Number the strings at places[j], j < size, equal ones alike, from 0 by appearance.

    Returns how many distinct ones there are, or FULL. String i is data[starts[first + i]:stops[first + i]]. slots: of
    the table, a power of two. numbers: int32[size]. counts, origins: int32[distinct], how often each occurs, the j at
    which it is first met.
    """
    _clear(table, slots)
    mask = slots - _1
    distinct: Int = 0
    room = np.int64(slots >> _1)
    for j in range(size):
        i = np.int64(places[np.uint64(j)])
        key = np.uint64(hashes[np.uint64(i)])
        start = starts[np.uint64(first + i)]
        length = stops[np.uint64(first + i)] - start
        slot = key & mask
        while True:
            value = table[slot]
            if value == _0:
                if distinct == room:
                    return FULL
                counts[np.uint64(distinct)] = 1
                origins[np.uint64(distinct)] = j
                numbers[np.uint64(j)] = distinct
                distinct += 1
                table[slot] = key << _32 | np.uint64(distinct)
                break
            if value >> _32 == key:
                number = (value & _LOW) - _1
                other = np.uint64(first + places[np.uint64(origins[number])])
                if stops[other] - starts[other] == length and same_bytes(data, starts[other], start, length):
                    counts[number] += 1
                    numbers[np.uint64(j)] = number
                    break
            slot = (slot + _1) & mask
    return distinct


@uncounted
def number_pairs(
    places: NDArray[np.int32],
    items: NDArray[np.int32],
    chosen: NDArray[np.int32],
    size: Int,
    hashes: NDArray[np.uint32],
    table: NDArray[np.uint64],
    slots: np.uint64,
    numbers: NDArray[np.int32],
    counts: NDArray[np.int32],
    origins: NDArray[np.int32],
) -> Int:
    """Number the pairs (items[j], items[j + 1]) of j in chosen[:size], equal ones alike, from 0 by appearance.

    Returns how many distinct ones there are, or FULL. numbers: int32[size], -1 where the places do not follow each
    other. counts, origins: int32[distinct], how often each occurs, the j at which it is first met.
    """
    _clear(table, slots)
    mask = slots - _1
    distinct: Int = 0
    room = np.int64(slots >> _1)
    for k in range(size):
        j = np.uint64(chosen[np.uint64(k)])
        if places[j + _1] != places[j] + 1:
            numbers[np.uint64(k)] = -1
            continue
        key = np.uint64(hashes[j])
        slot = key & mask
        while True:
            value = table[slot]
            if value == _0:
                if distinct == room:
                    return FULL
                counts[np.uint64(distinct)] = 1
                origins[np.uint64(distinct)] = j
                numbers[np.uint64(k)] = distinct
                distinct += 1
                table[slot] = key << _32 | np.uint64(distinct)
                break
            if value >> _32 == key:
                number = (value & _LOW) - _1
                other = np.uint64(origins[number])
                if items[other] == items[j] and items[other + _1] == items[j + _1]:
                    counts[number] += 1
                    numbers[np.uint64(k)] = number
                    break
            slot = (slot + _1) & mask
    return distinct
