"""Numbers for byte strings, so that equal numbers are equal strings and no hash decides anything.

`find_repeated` tells without a branch which items may occur more than once: a byte counts the hashes of each of its
slots. `number_strings` numbers strings in an open-addressing table, where a string is another only if its bytes are. So
collisions cost time and no more, and the seed, which differs by process, keeps anyone from writing text that collides.

A slot of the table is hash << 32 | number + 1, or 0 where it is free. Each use clears the part that it takes, which is
small for small documents, and begins again with a larger one where that is half full.
"""

from __future__ import annotations

import secrets
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from corpuscurate.kernels.compile import inlined, uncounted
from corpuscurate.kernels.text.bytes8 import head_of, load
from corpuscurate.kernels.text.unicode import Int

SEED = np.uint64(secrets.randbits(64))
"""Of all tables of words, by process: no result depends on it, and no text can be written to collide in them."""
FULL = -1
"""Returned where a table is half full: begin again with a larger one."""
MOST = 255
"""The highest count of a slot of `Ids.seen`: it stands for this or more."""
FIRST_SLOTS = 1 << 4
"""Slots of the smallest table."""
LARGE_SLOTS = 1 << 14
"""Slots of the largest table that has room for all distinct strings from the first: above, tables grow."""
_0, _1, _2, _29, _32 = (np.uint64(number) for number in (0, 1, 2, 29, 32))
_LOW = np.uint64(0xFFFFFFFF)
_FACTOR1 = np.uint64(0x9E3779B97F4A7C15)
_FACTOR2 = np.uint64(0xD6E8FEB86659FD93)


class Ids(NamedTuple):
    """Memory for the strings of one document, words or lines; what one leaves here is the next one's to overwrite.

    As many as strings: words, uint64; hashes, uint32; marks, uint8; places, picked, numbers, counts, origins, int32.
    seen: uint8[], table: uint64[], powers of two. Pages that no document needs stay untouched.
    """

    words: NDArray[np.uint64]
    hashes: NDArray[np.uint32]
    marks: NDArray[np.uint8]
    places: NDArray[np.int32]
    picked: NDArray[np.int32]
    numbers: NDArray[np.int32]
    counts: NDArray[np.int32]
    origins: NDArray[np.int32]
    seen: NDArray[np.uint8]
    table: NDArray[np.uint64]


def make_ids(strings: int) -> Ids:
    """Memory for documents of at most so many strings."""
    return Ids(
        np.empty(strings, np.uint64),
        np.empty(strings, np.uint32),
        np.empty(strings, np.uint8),
        np.empty(strings, np.int32),
        np.empty(strings, np.int32),
        np.empty(strings, np.int32),
        np.empty(strings, np.int32),
        np.empty(strings, np.int32),
        np.empty(1 << int(bits_for(strings)), np.uint8),
        np.empty(1 << max(2 * strings, FIRST_SLOTS).bit_length(), np.uint64),
    )


@inlined
def hash_bytes(data: NDArray[np.uint8], start: Int, stop: Int, seed: np.uint64) -> np.uint64:
    """A hash of data[start:stop]: its length, its first and its last 8 bytes, and what is between in blocks of 8."""
    size = stop - start
    head = head_of(data, start, size)
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
    if head_of(data, a, size) != head_of(data, b, size):
        return False
    at = 8
    while at + 8 < size:
        if load(data, a + at) != load(data, b + at):
            return False
        at += 8
    return bool(size <= 8 or load(data, a + size - 8) == load(data, b + size - 8))


@uncounted
def bits_for(size: Int) -> np.uint64:
    """Bits of a power of two that is at least 64 and 8 times the size: slots of `seen`."""
    bits = np.uint64(6)
    while np.int64(_1 << bits) < 8 * size and bits < np.uint64(31):
        bits += _1
    return bits


@uncounted
def slots_for(size: Int) -> np.uint64:
    """Slots of the table with which to begin."""
    slots = np.uint64(FIRST_SLOTS)
    while np.int64(slots) < 2 * size and slots < np.uint64(LARGE_SLOTS):
        slots = slots << _1
    return slots


@uncounted
def clear(table: NDArray[np.uint64], slots: np.uint64) -> None:
    """Free the slots."""
    for k in range(slots):
        table[k] = 0


@uncounted
def count_hashes(hashes: NDArray[np.uint32], size: Int, seen: NDArray[np.uint8]) -> np.uint64:
    """Count the hashes, up to MOST, in the slots `hash >> shift` of `seen`; the shift."""
    bits = bits_for(size)
    shift = _32 - bits
    for k in range(_1 << bits):
        seen[k] = 0
    for i in range(size):
        slot = np.uint64(hashes[np.uint64(i)]) >> shift
        seen[slot] = min(seen[slot] + 1, MOST)
    return shift


@uncounted
def find_repeated(hashes: NDArray[np.uint32], size: Int, seen: NDArray[np.uint8], out: NDArray[np.int32]) -> Int:
    """Which of the hashes may occur more than once: out, ascending; how many. All that do, and some others."""
    shift = count_hashes(hashes, size, seen)
    found = _0
    for i in range(size):
        out[found] = i
        found += np.uint64(seen[np.uint64(hashes[np.uint64(i)]) >> shift] > 1)
    return np.int64(found)


@uncounted
def _hash_ends(
    data: NDArray[np.uint8],
    starts: NDArray[np.int64],
    stops: NDArray[np.int64],
    first: Int,
    size: Int,
    seed: np.uint64,
    hashes: NDArray[np.uint32],
) -> None:
    """32 bits of a hash of the length, the first, the middle and the last 8 bytes of each string: no loop."""
    for i in range(size):
        k = np.uint64(first + i)
        start, stop = starts[k], stops[k]
        length = stop - start
        head = head_of(data, start, length)
        middle = head_of(data, start + (length >> 1), length - (length >> 1))
        tail = head_of(data, max(stop - 8, start), length)
        value = (head ^ seed ^ np.uint64(length)) * _FACTOR1
        value = (value ^ value >> _32 ^ middle) * _FACTOR2
        value = (value ^ value >> _32 ^ tail) * _FACTOR1
        hashes[np.uint64(i)] = value >> _32


@uncounted
def _number_strings(
    data: NDArray[np.uint8],
    starts: NDArray[np.int64],
    stops: NDArray[np.int64],
    first: Int,
    size: Int,
    slots: np.uint64,
    ids: Ids,
) -> Int:
    """Number the strings at ids.places[j], j < size, from 0 by appearance; how many distinct ones, or FULL."""
    clear(ids.table, slots)
    mask = slots - _1
    distinct: Int = 0
    room = np.int64(slots >> _1)
    for j in range(size):
        i = np.int64(ids.places[np.uint64(j)])
        key = np.uint64(ids.hashes[np.uint64(j)])
        start = starts[np.uint64(first + i)]
        length = stops[np.uint64(first + i)] - start
        slot = key & mask
        while True:
            value = ids.table[slot]
            if value == _0:
                if distinct == room:
                    return FULL
                ids.counts[np.uint64(distinct)] = 1
                ids.origins[np.uint64(distinct)] = j
                ids.numbers[np.uint64(j)] = distinct
                distinct += 1
                ids.table[slot] = key << _32 | np.uint64(distinct)
                break
            if value >> _32 == key:
                number = (value & _LOW) - _1
                other = np.uint64(first + ids.places[np.uint64(ids.origins[number])])
                if stops[other] - starts[other] == length and same_bytes(data, starts[other], start, length):
                    ids.counts[number] += 1
                    ids.numbers[np.uint64(j)] = number
                    break
            slot = (slot + _1) & mask
    return distinct


@uncounted
def number_strings(
    data: NDArray[np.uint8],
    starts: NDArray[np.int64],
    stops: NDArray[np.int64],
    first: Int,
    size: Int,
    every: bool,
    seed: np.uint64,
    ids: Ids,
) -> tuple[Int, Int]:
    """Number the strings data[starts[first + i]:stops[first + i]], i < size, equal ones alike, from 0 by appearance.

    every: whether those are numbered, too, that cannot occur more than once. Returns how many are numbered, and how
    many distinct ones there are. `ids.places` has the i of those, ascending, `ids.numbers` their numbers; of each
    number, `ids.counts` has how often it occurs, `ids.origins` the index among the places at which it is first met.
    """
    found: Int = size
    if every:
        for i in range(size):
            ids.places[np.uint64(i)] = i
    else:
        _hash_ends(data, starts, stops, first, size, seed, ids.hashes)
        found = find_repeated(ids.hashes, size, ids.seen, ids.places)
    for j in range(found):
        k = np.uint64(first + ids.places[np.uint64(j)])
        ids.hashes[np.uint64(j)] = hash_bytes(data, starts[k], stops[k], seed) >> _32
    slots = slots_for(found)
    while True:
        distinct = _number_strings(data, starts, stops, first, found, slots, ids)
        if distinct != FULL:
            return found, distinct
        slots = min(slots << _2, np.uint64(len(ids.table)))
