"""Text to words to shingles: hashes of word n-grams, a chunk at a time, without an object a word.

Three steps, each over a buffer that stays in the cache:
1. `kernels.folding`: UTF-8 to case-folded UTF-8 in which every byte outside a word is 0 (no word holds a 0 byte).
2. `_hash_words`: the borders of words as bit masks of 64 bytes, then a 64-bit hash of each word's folded bytes.
3. `roll`: the hash of each window of n words, S = sum of w[i] P^(n-1-i) modulo 2^64, mixed.

A word is what `kernels.unicode` says, folded as `str.casefold()` folds each character. A document of 1..n-1 words has
one shingle, of all its words; one without words has none.

The hash of a word: its folded bytes in little-endian pieces of 8, each absorbed by h = mix64(h ^ piece), then the rest
with the length (modulo 256) in the top byte. Words up to 7 bytes therefore never collide.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from corpuscurate.kernels.bits import trailing_zeros
from corpuscurate.kernels.compile import kernel, leaf
from corpuscurate.kernels.folding import BLOCK, FOLDED, Int, fold_chunk
from corpuscurate.kernels.hashing import load64, mix64
from corpuscurate.kernels.unicode import Tables

WINDOW = FOLDED // 2 + 1
"""The most words of one chunk."""

WORD_SEED = np.uint64(0x9E3779B97F4A7C15)
BASE = np.uint64(0xD1342543DE82EF95)
"""P of the rolling hash, 5 modulo 8: powers of it stay apart in all but the lowest bits."""
_STREAM1 = np.uint64(0xA0761D6478BD642F)
_STREAM2 = np.uint64(0xE7037ED1A0B428DB)
_GOLDEN = np.uint64(0x9FB21C651E98DF25)
_SEVENS = np.uint64(0x7F7F7F7F7F7F7F7F)
_EIGHTS = np.uint64(0x8080808080808080)
_GATHER = np.uint64(0x0102040810204080)
_ZERO = np.uint64(0)
_ONE = np.uint64(1)


@leaf
def _word_borders(folded: NDArray[np.uint64], size: Int, inside: Int, out: NDArray[np.int64]) -> Int:
    """Where words begin and end in turn, among the first `size` bytes (a multiple of 64). Returns how many borders.

    inside: 1 when a word that began before goes on, or ends, at byte 0: then the first border is 0, its start here.
    """
    count = 0
    carry = np.uint64(inside)
    if inside:
        out[0] = 0
        count = 1
    for base in range(0, size, BLOCK):
        eight = folded[base >> 3 : (base >> 3) + 8]
        bits = _ZERO
        for j in range(8):
            x = eight[j]
            marked = (((x & _SEVENS) + _SEVENS) | x) & _EIGHTS  # the top bit of every byte that is not 0
            bits |= (marked >> np.uint64(7)) * _GATHER >> np.uint64(56) << np.uint64(8 * j)
        borders = bits ^ (bits << _ONE | carry)
        carry = bits >> np.uint64(63)
        while borders:
            out[count] = base + trailing_zeros(borders)
            count += 1
            borders &= borders - _ONE
    return count


class Walk(NamedTuple):
    """Where a walk through one document stands, and its buffers. Made by `new_walk`, set to a document by `begin`.

    place: int64[5]: next byte, end, state of `fold_chunk`, bytes pending in `folded`, words seen.
    word: uint64[3]: hash and bytes absorbed of a word cut by the end of a chunk, and 1 while there is one.
    rolling: uint64[3]: S of the last n words; two hashes of all words so far.
    words: the n words before, then those of the chunk. shingles: what a call of `next_shingles` made.
    """

    place: NDArray[np.int64]
    word: NDArray[np.uint64]
    rolling: NDArray[np.uint64]
    folded64: NDArray[np.uint64]
    folded: NDArray[np.uint8]
    borders: NDArray[np.int64]
    words: NDArray[np.uint64]
    shingles: NDArray[np.uint64]


@kernel
def new_walk(n: Int) -> Walk:
    """Buffers for shingles of n >= 1 words."""
    folded64 = np.empty(FOLDED // 8, np.uint64)
    return Walk(
        np.zeros(5, np.int64),
        np.zeros(3, np.uint64),
        np.zeros(3, np.uint64),
        folded64,
        folded64.view(np.uint8),
        np.empty(2 * WINDOW + 2, np.int64),
        np.zeros(n + WINDOW, np.uint64),
        np.empty(WINDOW + 1, np.uint64),
    )


@leaf
def begin(start: Int, stop: Int, n: Int, walk: Walk) -> None:
    """Set the walk to the document in bytes start..stop-1."""
    walk.place[:] = 0
    walk.place[0] = start
    walk.place[1] = stop
    walk.word[:] = 0
    walk.rolling[:] = 0
    walk.rolling[1] = _STREAM1
    walk.rolling[2] = _STREAM2
    walk.words[:n] = 0  # so that the first words push nothing out of the sum


@leaf
def _hash_words(count: Int, size: Int, last: Int, n: Int, walk: Walk) -> Int:
    """Hash the words between `count` borders into `walk.words` from n; returns how many.

    size: bytes in `walk.folded`. last: 1 when the document ends here. Otherwise a word that touches the end may go on:
    it is absorbed to its last whole 8 bytes, and its rest (at most 7 bytes) is moved to the start of `folded`.
    """
    folded = walk.folded
    borders = walk.borders
    words = walk.words
    word = walk.word
    found = n
    pending = 0
    resumed = word[2]
    word[2] = 0
    for k in range(0, count, 2):
        i = borders[k]
        end = borders[k + 1] if k + 1 < count else size
        h = WORD_SEED
        length = np.uint64(end - i)
        if resumed:
            resumed = _ZERO
            h = word[0]
            length += word[1]
        while i + 8 <= end:
            h = mix64(h ^ load64(folded, i))
            i += 8
        if end == size and not last:
            pending = end - i
            word[0] = h
            word[1] = length - np.uint64(pending)
            word[2] = 1
            for j in range(pending):
                folded[j] = folded[i + j]
            break
        rest = load64(folded, i) & ((_ONE << np.uint64(8 * (end - i))) - _ONE)
        words[found] = mix64(h ^ rest ^ length << np.uint64(56))
        found += 1
    walk.place[3] = pending
    return found - n


@leaf
def roll(count: Int, n: Int, power: np.uint64, walk: Walk) -> Int:
    """The shingles that end at the `count` words from `walk.words[n]`; returns how many. power: P^n."""
    words = walk.words[: n + count]
    shingles = walk.shingles
    s = walk.rolling[0]
    first = walk.rolling[1]
    second = walk.rolling[2]
    before: Int = max(0, min(count, n - 1 - walk.place[4]))  # words of this chunk that complete no shingle
    for i in range(count):
        word = words[n + i]
        s = s * BASE + word - words[i] * power
        shingles[i] = mix64(s)
        first = (first << np.uint64(29) | first >> np.uint64(35)) * BASE ^ word
        second = (second << np.uint64(41) | second >> np.uint64(23)) * _GOLDEN + word
    walk.rolling[0] = s
    walk.rolling[1] = first
    walk.rolling[2] = second
    walk.place[4] += count
    for i in range(n):
        words[i] = words[count + i]
    if before:
        for i in range(count - before):
            shingles[i] = shingles[before + i]
    return count - before


@leaf
def next_shingles(data: NDArray[np.uint8], t: Tables, n: Int, power: np.uint64, walk: Walk) -> Int:
    """Hashes of the next word n-grams of the document, in `walk.shingles`. Returns how many, -1 after the last.

    0 is possible before the end. A document of 1..n-1 words yields one shingle, of all its words.
    """
    place = walk.place
    start = place[0]
    stop = place[1]
    if start >= stop:
        return -1
    start, size, place[2] = fold_chunk(data, start, stop, place[2], t, place[3], walk.folded)
    place[0] = start
    padded = (size + BLOCK - 1) // BLOCK * BLOCK
    walk.folded[size:padded] = 0
    borders = _word_borders(walk.folded64, padded, np.int64(walk.word[2]), walk.borders)
    words = _hash_words(borders, size, np.int64(start >= stop), n, walk)
    made = roll(words, n, power, walk)
    if start >= stop and 0 < place[4] < n:
        walk.shingles[0] = mix64(walk.rolling[0])
        made = 1
    return made


@leaf
def power_of_base(n: Int) -> np.uint64:
    """P^n modulo 2^64."""
    power = _ONE
    for _ in range(n):
        power = power * BASE
    return power
