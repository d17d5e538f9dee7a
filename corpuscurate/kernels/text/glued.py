"""n-grams compared as datatrove does: strings without the spaces, from left to right, n words on after each copy.

Only those are compared that may occur more than once. First, places remain whose next 16 or 24 bytes occur at another
place, too, or whose n words have fewer; this holds for all longer n-grams as well. Of these, each n leaves the places
whose n-gram has the hash of another's: a polynomial over the bytes, so that it is a difference of two sums whatever the
words in between are.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from corpuscurate.kernels.compile import uncounted
from corpuscurate.kernels.simd.words64 import store8
from corpuscurate.kernels.text.bytes8 import head_of, load
from corpuscurate.kernels.text.interning import (
    FIRST_SLOTS,
    clear,
    count_hashes,
    find_repeated,
    hash_bytes,
    same_bytes,
)
from corpuscurate.kernels.text.repetition_scratch import WINDOW_BYTES, Scratch
from corpuscurate.kernels.text.unicode import Int

_0, _1, _3, _32 = np.uint64(0), np.uint64(1), np.uint64(3), np.uint64(32)
_8 = np.uint64(8)
_LOW, _BYTE = np.uint64(0xFFFFFFFF), np.uint64(0xFF)
_FACTOR = np.uint64(0x9E3779B97F4A7C15)


@uncounted
def glue(
    data: NDArray[np.uint8],
    starts: NDArray[np.int64],
    stops: NDArray[np.int64],
    first: Int,
    words: Int,
    s: Scratch,
) -> None:
    """Write the words without what parts them to `s.glued`, and where each begins to `s.at`.

    `s.sums` has the sum of byte * BASE**index of all bytes before each word, `s.inverses` BASE**-index of its first
    byte, modulo 2**64.
    """
    end: Int = 0
    total = _0
    power, inverse = _1, _1
    for i in range(words):
        k = np.uint64(i)
        s.at[k], s.sums[k], s.inverses[k] = end, total, inverse
        begin = starts[np.uint64(first + i)]
        size = stops[np.uint64(first + i)] - begin
        if size <= 8 and begin + 8 <= len(data):  # what is written behind the word is overwritten by the next
            store8(load(data, begin), end, s.glued)  # type: ignore[arg-type]
        else:
            for j in range(size):
                s.glued[np.uint64(end + j)] = data[np.uint64(begin + j)]
        end += size
        while size > 0:
            part = min(size, 8)
            head = head_of(data, begin, part)
            value = _0
            for j in range(8):
                value += (head >> (np.uint64(j) << _3) & _BYTE) * s.powers[0, j]
            total += value * power
            power *= s.powers[0, part]
            inverse *= s.powers[1, part]
            begin += part
            size -= part
    k = np.uint64(words)
    s.at[k], s.sums[k] = end, total
    for j in range(WINDOW_BYTES):
        s.glued[np.uint64(end + j)] = 0


@uncounted
def every_place(size: Int, s: Scratch) -> None:
    """`s.ids.places` are the first `size` words."""
    for place in range(size):
        s.ids.places[np.uint64(place)] = place


@uncounted
def narrow(n: Int, size_bytes: Int, words: Int, size: Int, seed: np.uint64, s: Scratch) -> Int:
    """Of `s.ids.places[:size]` those from which on the first bytes of glued words occur at another one, too, or from
    which on n words have fewer bytes; how many. No other can begin a repeated n-gram, or a longer one. size_bytes: of
    these first bytes."""
    for j in range(size):
        at = s.at[np.uint64(s.ids.places[np.uint64(j)])]
        s.ids.hashes[np.uint64(j)] = hash_bytes(s.glued, at, at + size_bytes, seed) >> _32
    shift = count_hashes(s.ids.hashes, size, s.ids.seen)
    left = _0
    for j in range(size):
        place = np.int64(s.ids.places[np.uint64(j)])
        few = s.at[np.uint64(min(place + n, words))] - s.at[np.uint64(place)] < size_bytes
        s.ids.places[left] = place
        left += np.uint64(few or s.ids.seen[np.uint64(s.ids.hashes[np.uint64(j)]) >> shift] > 1)
    return np.int64(left)


@uncounted
def _may_repeat(n: Int, words: Int, size: Int, s: Scratch) -> Int:
    """The indices of those of `s.ids.places[:size]` whose n-gram may be repeated, `s.ids.picked`; how many."""
    while size and s.ids.places[np.uint64(size - 1)] + n > words:
        size -= 1
    for j in range(size):
        place = np.uint64(s.ids.places[np.uint64(j)])
        value = (s.sums[place + np.uint64(n)] - s.sums[place]) * s.inverses[place]
        s.ids.hashes[np.uint64(j)] = value * _FACTOR >> _32
    return find_repeated(s.ids.hashes, size, s.ids.seen, s.ids.picked)


@uncounted
def glued_repeats(n: Int, words: Int, size: Int, seed: np.uint64, s: Scratch) -> Int:
    """The characters of n-grams that occurred before, from left to right, n words on after each.

    Only those at `s.ids.places[:size]` are looked at.
    """
    size = _may_repeat(n, words, size, s)
    slots = np.uint64(FIRST_SLOTS)
    while np.int64(slots) < 2 * size:
        slots = slots << _1
    clear(s.ids.table, slots)
    mask = slots - _1
    repeated: Int = 0
    next_place: Int = 0
    for j in range(size):
        place = np.int64(s.ids.places[np.uint64(s.ids.picked[np.uint64(j)])])
        if place < next_place:
            continue
        begin, end = s.at[np.uint64(place)], s.at[np.uint64(place + n)]
        key = hash_bytes(s.glued, begin, end, seed) >> _32
        slot = key & mask
        while True:
            value = s.ids.table[slot]
            if value == _0:
                s.ids.table[slot] = key << _32 | np.uint64(place + 1)
                break
            if value >> _32 == key:
                other = (value & _LOW) - _1
                size_bytes = end - begin
                if s.at[other + np.uint64(n)] - s.at[other] == size_bytes and same_bytes(
                    s.glued, s.at[other], begin, size_bytes
                ):
                    repeated += s.chars[np.uint64(place + n)] - s.chars[np.uint64(place)]
                    next_place = place + n
                    break
            slot = (slot + _1) & mask
    return repeated
