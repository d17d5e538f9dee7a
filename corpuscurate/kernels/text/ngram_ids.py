"""Numbers for words and for n-grams of words, so that equal numbers are equal texts and no hash decides anything.

An n-gram of k + 1 words is the pair of the two n-grams of k words in it, and it can only be repeated where both are. So
each length looks at the places that the length before has left, and most documents have few left after three words.
The tables are open-addressing, begin small and grow with what is distinct; a seed that differs by process keeps anyone
from writing text whose words collide. Everything is linear in the bytes of a document.
"""

from __future__ import annotations

import secrets
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from corpuscurate.kernels.compile import uncounted
from corpuscurate.kernels.hashing import load64, mix64
from corpuscurate.kernels.text.unicode import Int

SEED = np.uint64(secrets.randbits(64))
FIRST_SLOTS = 1 << 8
_0, _1, _32, _56 = (np.uint64(number) for number in (0, 1, 32, 56))
_LONG = np.uint64(0xFF) << _56
"""On top of the key of a text of 8 bytes or more; shorter ones have their length there, and are their own key."""
_FACTOR = np.uint64(0x9E3779B97F4A7C15)


class Ids(NamedTuple):
    """Memory for documents of up to `size` words; what one leaves here is the next one's to overwrite.

    table: int32[4 * size + FIRST_SLOTS], slots with a number plus 1. keys: uint64[size], of each distinct text or pair.
    origins, counts: int32[size], where each first occurs in `items`, and how often. items: int32[size], the number of
    each word, later of the n-gram that begins at each of `places`: int32[size]. pairs: int32[size].
    """

    table: NDArray[np.int32]
    keys: NDArray[np.uint64]
    origins: NDArray[np.int32]
    counts: NDArray[np.int32]
    items: NDArray[np.int32]
    places: NDArray[np.int32]
    pairs: NDArray[np.int32]


def make_ids(size: int) -> Ids:
    """Memory for documents of at most `size` words."""
    return Ids(
        np.empty(4 * size + FIRST_SLOTS, np.int32),
        np.empty(size, np.uint64),
        *(np.empty(size, np.int32) for _ in range(5)),
    )


@uncounted
def _tail(data: NDArray[np.uint8], start: Int, size: Int) -> np.uint64:
    """Fewer than 8 bytes as a number."""
    if start + 8 <= len(data):
        return load64(data, int(start)) & ((_1 << np.uint64(8 * size)) - _1)
    last = _0
    for k in range(size):
        last |= np.uint64(data[np.uint64(start + k)]) << np.uint64(8 * k)
    return last


@uncounted
def hash_span(data: NDArray[np.uint8], start: Int, stop: Int, seed: np.uint64) -> np.uint64:
    """A hash of data[start:stop], 8 bytes at a time."""
    value = seed ^ np.uint64(stop - start) * _FACTOR
    while start + 8 <= stop:
        value = mix64(value ^ load64(data, int(start)))
        start += 8
    return mix64(value ^ _tail(data, start, stop - start))


@uncounted
def same_span(data: NDArray[np.uint8], a: Int, b: Int, size: Int) -> bool:
    """Whether data[a:a + size] and data[b:b + size] are equal."""
    while size >= 8:
        if load64(data, int(a)) != load64(data, int(b)):
            return False
        a += 8
        b += 8
        size -= 8
    while size > 0:
        if data[np.uint64(a)] != data[np.uint64(b)]:
            return False
        a += 1
        b += 1
        size -= 1
    return True


@uncounted
def _clear(ids: Ids, slots: Int) -> np.uint64:
    for slot in range(slots):
        ids.table[slot] = 0
    return np.uint64(slots - 1)


@uncounted
def _grow(ids: Ids, distinct: Int, slots: Int, seed: np.uint64) -> np.uint64:
    """Enter all distinct keys into a table of so many slots; its mask."""
    mask = _clear(ids, slots)
    for number in range(distinct):
        slot = mix64(ids.keys[np.uint64(number)] ^ seed) & mask
        while ids.table[slot]:
            slot = (slot + _1) & mask
        ids.table[slot] = number + 1
    return mask


@uncounted
def number_spans(
    data: NDArray[np.uint8],
    starts: NDArray[np.int64],
    stops: NDArray[np.int64],
    size: Int,
    seed: np.uint64,
    ids: Ids,
) -> Int:
    """Number data[starts[i]:stops[i]] for i < size, equal ones alike, from 0 by appearance, in `ids.items`.

    `ids.places` is then 0 .. size - 1. Returns how many distinct ones there are.
    """
    slots: Int = FIRST_SLOTS
    mask = _clear(ids, slots)
    distinct: Int = 0
    for i in range(size):
        start, stop = starts[np.uint64(i)], stops[np.uint64(i)]
        size_bytes = stop - start
        if size_bytes < 8:
            key = _tail(data, start, size_bytes) | np.uint64(size_bytes) << _56
        else:
            key = hash_span(data, start, stop, seed) | _LONG
        slot = mix64(key ^ seed) & mask
        while True:
            number: Int = np.int64(ids.table[slot]) - 1
            if number < 0:
                ids.table[slot] = distinct + 1
                ids.keys[np.uint64(distinct)] = key
                ids.origins[np.uint64(distinct)] = i
                ids.counts[np.uint64(distinct)] = 1
                number = distinct
                distinct += 1
                if 2 * distinct >= slots:
                    slots *= 2
                    mask = _grow(ids, distinct, slots, seed)
                break
            if ids.keys[np.uint64(number)] == key:
                other = np.uint64(ids.origins[np.uint64(number)])
                if size_bytes < 8 or (
                    stops[other] - starts[other] == size_bytes and same_span(data, starts[other], start, size_bytes)
                ):
                    ids.counts[np.uint64(number)] += 1
                    break
            slot = (slot + _1) & mask
        ids.items[np.uint64(i)] = number
        ids.places[np.uint64(i)] = i
    return distinct


@uncounted
def keep_repeated(size: Int, ids: Ids) -> Int:
    """Of the first `size` places leave those whose item occurs more than once; how many."""
    left: Int = 0
    for j in range(size):
        item = ids.items[np.uint64(j)]
        if ids.counts[np.uint64(item)] > 1:
            ids.places[np.uint64(left)] = ids.places[np.uint64(j)]
            ids.items[np.uint64(left)] = item
            left += 1
    return left


@uncounted
def next_length(size: Int, seed: np.uint64, ids: Ids) -> Int:
    """From the repeated n-grams at the first `size` places to those of one word more; how many.

    Afterwards `ids.origins` has the place at which each number first occurs.
    """
    slots: Int = FIRST_SLOTS
    mask = _clear(ids, slots)
    distinct: Int = 0
    for j in range(size):
        k = np.uint64(j)
        if j + 1 == size or ids.places[k + _1] != ids.places[k] + 1:
            ids.pairs[k] = -1
            continue
        key = np.uint64(ids.items[k]) << _32 | np.uint64(ids.items[k + _1])
        slot = mix64(key ^ seed) & mask
        while True:
            number: Int = np.int64(ids.table[slot]) - 1
            if number < 0:
                ids.table[slot] = distinct + 1
                ids.keys[np.uint64(distinct)] = key
                ids.origins[np.uint64(distinct)] = ids.places[k]
                ids.counts[np.uint64(distinct)] = 1
                number = distinct
                distinct += 1
                if 2 * distinct >= slots:
                    slots *= 2
                    mask = _grow(ids, distinct, slots, seed)
                break
            if ids.keys[np.uint64(number)] == key:
                ids.counts[np.uint64(number)] += 1
                break
            slot = (slot + _1) & mask
        ids.pairs[k] = number
    left: Int = 0
    for j in range(size):
        item = ids.pairs[np.uint64(j)]
        if item >= 0 and ids.counts[np.uint64(item)] > 1:
            ids.places[np.uint64(left)] = ids.places[np.uint64(j)]
            ids.items[np.uint64(left)] = item
            left += 1
    return left


@uncounted
def most_frequent(size: Int, ids: Ids) -> tuple[Int, Int]:
    """Of the repeated n-grams at the first `size` places the place and the count of the most frequent one, of equals
    that which occurs first; (-1, 0) for none."""
    place: Int = -1
    most: Int = 0
    for j in range(size):
        count = np.int64(ids.counts[np.uint64(ids.items[np.uint64(j)])])
        if count > most:
            most = count
            place = np.int64(ids.places[np.uint64(j)])
    return place, most


@uncounted
def covered(n: Int, size: Int, ids: Ids, chars: NDArray[np.int64]) -> Int:
    """The characters of all words in the n-grams at the first `size` places, each word once. chars: int64[words + 1],
    characters of the words before each."""
    total: Int = 0
    end: Int = 0
    for j in range(size):
        place = np.int64(ids.places[np.uint64(j)])
        total += chars[np.uint64(place + n)] - chars[np.uint64(max(place, end))]
        end = place + n
    return total
