"""The n-grams of words that occur more than once in a document, n by n, at the cost of those that are left.

An n-gram can only be repeated where both (n - 1)-grams in it are. So each length looks at the places that the length
before has left (`lengthen`), and most documents have few left after three words. There a byte counts the hashes of each
of its slots: all that are repeated are left, and a few others. Only the few n-grams that matter are then compared by
their words: the most frequent ones (`most_frequent`), since a slot counts at least as many as each of its n-grams, or
all that are left (`keep_repeated`). From there on an n-gram of one word more is the pair of the two in it
(`lengthen_repeated`). No hash decides anything.

Who counts inlines these functions: a call passes some hundred arguments, more than the work on a short document.
A word is a number of 64 bits: if it is shorter than 8 bytes, that of no other, else, with the lowest bit set, its hash.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from corpuscurate.kernels.compile import inlined, uncounted
from corpuscurate.kernels.text.bytes8 import head_of, load, tails_in
from corpuscurate.kernels.text.interning import (
    FULL,
    Ids,
    clear,
    count_hashes,
    hash_bytes,
    same_bytes,
    slots_for,
)
from corpuscurate.kernels.text.unicode import Int

_0, _1, _2, _3, _29, _32, _56, _64 = (np.uint64(number) for number in (0, 1, 2, 3, 29, 32, 56, 64))
_LOW = np.uint64(0xFFFFFFFF)
_BITS63 = np.uint64(0x7FFFFFFFFFFFFFFF)
_FACTOR1 = np.uint64(0x9E3779B97F4A7C15)
_FACTOR2 = np.uint64(0xD6E8FEB86659FD93)
_FACTOR = np.uint64(0xD1342543DE82EF95)


@inlined
def _mix63(key: np.uint64) -> np.uint64:
    """A bijection of 63 bits: odd factors and shifts to the right have their inverses there, too."""
    key = (key ^ key >> _32) * _FACTOR1 & _BITS63
    key = (key ^ key >> _29) * _FACTOR2 & _BITS63
    return key ^ key >> _32


@inlined
def _tails_behind(data: NDArray[np.uint8], start: Int, length: Int) -> Int:
    """How many bytes of data[start:start + length] begin no character, but for the first 8."""
    if length <= 8:
        return np.int64(0)
    tails: Int = 0
    at = start + 8
    while at + 8 < start + length:
        tails += tails_in(load(data, at))
        at += 8
    rest = np.uint64(start + length - at)  # 1 to 8 bytes, the last of at least 9
    return tails + tails_in(load(data, start + length - 8) >> (_64 - (rest << _3)))


@uncounted
def hash_words(
    data: NDArray[np.uint8],
    starts: NDArray[np.int64],
    stops: NDArray[np.int64],
    first: Int,
    size: Int,
    seed: np.uint64,
    words: NDArray[np.uint64],
    chars: NDArray[np.int64],
) -> None:
    """The number of each word data[starts[first + i]:stops[first + i]], i < size, none of which is empty.

    chars: int64[size + 1], the characters of all words before each.
    """
    chars[0] = 0
    for i in range(size):
        k = np.uint64(first + i)
        start, stop = starts[k], stops[k]
        length = stop - start
        long = np.uint64(length > 7)
        head = head_of(data, start, length)
        short = head | np.uint64(length) << _56
        hashed = hash_bytes(data, start, stop, seed)  # always: a branch would often be mispredicted
        key = hashed if long else short
        words[np.uint64(i)] = _mix63((key ^ seed) & _BITS63) << _1 | long
        tails = tails_in(head) + _tails_behind(data, start, length)
        chars[np.uint64(i + 1)] = chars[np.uint64(i)] + length - tails


@inlined
def _hash(words: NDArray[np.uint64], place: Int, n: Int) -> np.uint64:
    """32 bits of the hash of the n-gram at a place."""
    value = words[np.uint64(place)]
    for k in range(1, n):
        value = value * _FACTOR + words[np.uint64(place + k)]
    return np.uint64(value >> _32)


@inlined
def lengthen(n: Int, size: Int, ids: Ids) -> tuple[Int, Int]:
    """From the places of (n - 1)-grams that may be repeated to those of n-grams; how many, and the highest mark.

    The first `size` of `ids.places`; for n = 2 all places of `size` words. `ids.marks` has the count of the slot of
    each, up to MOST: at least as many as there are of the n-gram.
    """
    left = _0
    if n == 2:
        for i in range(size - 1):
            k = np.uint64(i)
            ids.places[k] = i
            ids.hashes[k] = (ids.words[k] * _FACTOR + ids.words[k + _1]) >> _32
        left = np.uint64(max(size - 1, 0))
    else:
        for j in range(size - 1):
            k = np.uint64(j)
            place = ids.places[k]
            ids.places[left] = place
            left += np.uint64(ids.places[k + _1] == place + 1)
        for j in range(left):
            ids.hashes[j] = _hash(ids.words, np.int64(ids.places[j]), n)
    shift = count_hashes(ids.hashes, np.int64(left), ids.seen)
    found = _0
    most = np.uint8(0)
    for j in range(left):
        hash_ = ids.hashes[j]
        mark = ids.seen[np.uint64(hash_) >> shift]
        ids.places[found] = ids.places[j]
        ids.hashes[found] = hash_
        ids.marks[found] = mark
        most = max(most, mark)
        found += np.uint64(mark > 1)
    return np.int64(found), np.int64(most)


@inlined
def _same_word(
    data: NDArray[np.uint8],
    starts: NDArray[np.int64],
    stops: NDArray[np.int64],
    first: Int,
    words: NDArray[np.uint64],
    a: Int,
    b: Int,
) -> bool:
    """Whether the words at places a and b are equal."""
    if words[np.uint64(a)] != words[np.uint64(b)]:
        return False
    if not words[np.uint64(a)] & _1:
        return True
    i, j = np.uint64(first + a), np.uint64(first + b)
    length = stops[i] - starts[i]
    return bool(stops[j] - starts[j] == length and same_bytes(data, starts[i], starts[j], length))


@uncounted
def _number(
    n: Int,
    size: Int,
    slots: np.uint64,
    data: NDArray[np.uint8],
    starts: NDArray[np.int64],
    stops: NDArray[np.int64],
    first: Int,
    ids: Ids,
) -> Int:
    """Number the n-grams at ids.picked[j], j < size, from 0 by appearance; how many distinct ones, or FULL.

    `ids.numbers`, `ids.counts` and `ids.origins` as of `number_strings`. Where the n-gram before equals another, this
    one is first compared with the one behind that, of which the last word is left: copies of text cost no table.
    """
    clear(ids.table, slots)
    mask = slots - _1
    distinct: Int = 0
    room = np.int64(slots >> _1)
    before: Int = -2
    other: Int = -2  # the index of one that equals that of the place before
    for j in range(size):
        place = np.int64(ids.picked[np.uint64(j)])
        behind = other + 1
        found: Int = -1
        if other >= 0 and place == before + 1 and ids.picked[np.uint64(behind)] == ids.picked[np.uint64(other)] + 1:
            last = np.int64(ids.picked[np.uint64(behind)]) + n - 1
            if _same_word(data, starts, stops, first, ids.words, place + n - 1, last):
                found = np.int64(ids.numbers[np.uint64(behind)])
                other = behind
        if found < 0:
            key = _hash(ids.words, place, n)
            slot = key & mask
            while True:
                value = ids.table[slot]
                if value == _0:
                    if distinct == room:
                        return FULL
                    found = distinct
                    ids.counts[np.uint64(found)] = 0
                    ids.origins[np.uint64(found)] = j
                    distinct += 1
                    ids.table[slot] = key << _32 | np.uint64(distinct)
                    other = -2
                    break
                if value >> _32 == key:
                    found = np.int64((value & _LOW) - _1)
                    other = np.int64(ids.origins[np.uint64(found)])
                    origin = np.int64(ids.picked[np.uint64(other)])
                    k: Int = 0
                    while k < n and _same_word(data, starts, stops, first, ids.words, place + k, origin + k):
                        k += 1
                    if k == n:
                        break
                slot = (slot + _1) & mask
        ids.counts[np.uint64(found)] += 1
        ids.numbers[np.uint64(j)] = found
        before = place
    return distinct


@inlined
def _number_picked(
    n: Int,
    size: Int,
    data: NDArray[np.uint8],
    starts: NDArray[np.int64],
    stops: NDArray[np.int64],
    first: Int,
    ids: Ids,
) -> Int:
    slots = slots_for(size)
    while True:
        distinct = _number(n, size, slots, data, starts, stops, first, ids)
        if distinct != FULL:
            return distinct
        slots = min(slots << _2, np.uint64(len(ids.table)))


@inlined
def most_frequent(
    n: Int,
    size: Int,
    highest: Int,
    data: NDArray[np.uint8],
    starts: NDArray[np.int64],
    stops: NDArray[np.int64],
    first: Int,
    ids: Ids,
) -> tuple[Int, Int]:
    """Number n-grams at `ids.picked`, all that occur most often among them; how many places, and how often that is.

    size, highest: what `lengthen` returned. Where no n-gram occurs twice, 1 or 0.
    """
    least = max(highest, 2)
    while True:
        picked = _0
        for j in range(size):
            ids.picked[picked] = ids.places[np.uint64(j)]
            picked += np.uint64(ids.marks[np.uint64(j)] >= least)
        distinct = _number_picked(n, np.int64(picked), data, starts, stops, first, ids)
        most: Int = 0
        for number in range(distinct):
            most = max(most, np.int64(ids.counts[np.uint64(number)]))
        if most >= least or least == 2:
            return np.int64(picked), most
        least = max(most, 2)  # at most MOST, since `highest` is


@inlined
def first_most(size: Int, most: Int, ids: Ids) -> Int:
    """The first of `ids.picked[:size]` whose n-gram occurs `most` times, which one does."""
    j = _0
    while ids.counts[np.uint64(ids.numbers[j])] != most:
        j += _1
    return np.int64(ids.picked[j])


@inlined
def keep_repeated(
    n: Int,
    size: Int,
    data: NDArray[np.uint8],
    starts: NDArray[np.int64],
    stops: NDArray[np.int64],
    first: Int,
    ids: Ids,
) -> Int:
    """Of `ids.places[:size]`, from `lengthen`, leave those whose n-gram is repeated; how many.

    `ids.numbers` are those of the n-grams that are left; `ids.origins` has the place at which each is first met.
    """
    for j in range(size):
        ids.picked[np.uint64(j)] = ids.places[np.uint64(j)]
    distinct = _number_picked(n, size, data, starts, stops, first, ids)
    for number in range(distinct):
        k = np.uint64(number)
        ids.origins[k] = ids.picked[np.uint64(ids.origins[k])]
    left = _0
    for j in range(size):
        number = ids.numbers[np.uint64(j)]
        ids.places[left] = ids.picked[np.uint64(j)]
        ids.numbers[left] = number
        left += np.uint64(ids.counts[np.uint64(number)] > 1)
    return np.int64(left)


@uncounted
def _number_pairs(size: Int, slots: np.uint64, ids: Ids) -> Int:
    """Number the pairs of neighbours among `ids.numbers[:size]`, from 0 by appearance, in `ids.picked`; -1 where the
    places do not follow each other. How many distinct ones, or FULL. `ids.counts` and `ids.origins` as of
    `number_strings`."""
    clear(ids.table, slots)
    mask = slots - _1
    distinct: Int = 0
    room = np.int64(slots >> _1)
    other: Int = -2  # the index of a pair that equals the one before
    for j in range(size):
        k = np.uint64(j)
        if j + 1 == size or ids.places[k + _1] != ids.places[k] + 1:
            ids.picked[k] = -1
            other = -2
            continue
        a, b = ids.numbers[k], ids.numbers[k + _1]
        behind = np.uint64(other + 1)
        if other >= 0 and ids.picked[behind] >= 0 and ids.numbers[behind] == a and ids.numbers[behind + _1] == b:
            number = np.int64(ids.picked[behind])
            ids.counts[np.uint64(number)] += 1
            ids.picked[k] = number
            other += 1
            continue
        key = (np.uint64(a) * _FACTOR1 + np.uint64(b)) * _FACTOR2 >> _32
        slot = key & mask
        while True:
            value = ids.table[slot]
            if value == _0:
                if distinct == room:
                    return FULL
                ids.counts[np.uint64(distinct)] = 1
                ids.origins[np.uint64(distinct)] = j
                ids.picked[k] = distinct
                distinct += 1
                ids.table[slot] = key << _32 | np.uint64(distinct)
                other = -2
                break
            if value >> _32 == key:
                number = np.int64((value & _LOW) - _1)
                other = np.int64(ids.origins[np.uint64(number)])
                if ids.numbers[np.uint64(other)] == a and ids.numbers[np.uint64(other + 1)] == b:
                    ids.counts[np.uint64(number)] += 1
                    ids.picked[k] = number
                    break
            slot = (slot + _1) & mask
    return distinct


@inlined
def lengthen_repeated(size: Int, ids: Ids) -> Int:
    """From the repeated n-grams that `keep_repeated` has left to those of n + 1 words, in the same form; how many."""
    slots = slots_for(size)
    distinct = _number_pairs(size, slots, ids)
    while distinct == FULL:
        slots = min(slots << _2, np.uint64(len(ids.table)))
        distinct = _number_pairs(size, slots, ids)
    for number in range(distinct):
        k = np.uint64(number)
        ids.origins[k] = ids.places[np.uint64(ids.origins[k])]
    left = _0
    for j in range(size):
        number = ids.picked[np.uint64(j)]
        ids.places[left] = ids.places[np.uint64(j)]
        ids.numbers[left] = number
        left += np.uint64(number >= 0 and ids.counts[np.uint64(max(number, 0))] > 1)
    return np.int64(left)


@inlined
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
