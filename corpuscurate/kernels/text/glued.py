"""n-grams compared as datatrove does: strings without the spaces, from left to right, n words on after each copy."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from corpuscurate.kernels.compile import inlined
from corpuscurate.kernels.simd.words64 import store8
from corpuscurate.kernels.text.interning import bits_for, find_repeated, hash_bytes, load, same_bytes
from corpuscurate.kernels.text.repetition_scratch import FIRST_SLOTS, WINDOW_BYTES, Scratch
from corpuscurate.kernels.text.unicode import Int

_0, _1, _32 = np.uint64(0), np.uint64(1), np.uint64(32)
_LOW = np.uint64(0xFFFFFFFF)


@inlined
def glue(
    data: NDArray[np.uint8],
    starts: NDArray[np.int64],
    stops: NDArray[np.int64],
    first: Int,
    words: Int,
    s: Scratch,
) -> None:
    """Write the words without what parts them to `s.glued`, and where each begins to `s.at`."""
    end: Int = 0
    for i in range(words):
        s.at[np.uint64(i)] = end
        begin = starts[np.uint64(first + i)]
        size = stops[np.uint64(first + i)] - begin
        if size <= 8 and begin + 8 <= len(data):  # what is written behind the word is overwritten by the next
            store8(load(data, begin), end, s.glued)  # type: ignore[arg-type]
        else:
            for k in range(size):
                s.glued[np.uint64(end + k)] = data[np.uint64(begin + k)]
        end += size
    s.at[np.uint64(words)] = end
    for k in range(WINDOW_BYTES):
        s.glued[np.uint64(end + k)] = 0


@inlined
def narrow(n: Int, size_bytes: Int, words: Int, size: Int, seed: np.uint64, s: Scratch) -> Int:
    """Of `s.places[:size]` those from which on the first bytes of glued words occur at another one, too, or from which
    on n words have fewer bytes; how many. No other can begin a repeated n-gram. size_bytes: of these first bytes."""
    for j in range(size):
        at = s.at[np.uint64(s.places[np.uint64(j)])]
        s.hashes[np.uint64(j)] = hash_bytes(s.glued, at, at + size_bytes, seed) >> _32
    find_repeated(s.hashes, size, s.seen, s.chosen)
    shift = _32 - bits_for(size)
    left = _0
    for j in range(size):
        place = np.int64(s.places[np.uint64(j)])
        few = s.at[np.uint64(min(place + n, words))] - s.at[np.uint64(place)] < size_bytes
        s.places[left] = place
        left += np.uint64(few or s.seen[np.uint64(s.hashes[np.uint64(j)]) >> shift] > 1)
    return np.int64(left)


@inlined
def glued_repeats(n: Int, words: Int, size: Int, seed: np.uint64, s: Scratch) -> Int:
    """The characters of n-grams that occurred before, from left to right, n words on after each.

    Only those at `s.places[:size]` are looked at.
    """
    slots = np.uint64(FIRST_SLOTS)
    while np.int64(slots) < 2 * size:
        slots = slots << _1
    for k in range(slots):
        s.table[k] = 0
    mask = slots - _1
    repeated: Int = 0
    next_place: Int = 0
    for j in range(size):
        place = np.int64(s.places[np.uint64(j)])
        if place < next_place:
            continue
        if place + n > words:
            break
        begin, end = s.at[np.uint64(place)], s.at[np.uint64(place + n)]
        key = hash_bytes(s.glued, begin, end, seed) >> _32
        slot = key & mask
        while True:
            value = s.table[slot]
            if value == _0:
                s.table[slot] = key << _32 | np.uint64(place + 1)
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
