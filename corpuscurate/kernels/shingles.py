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

from corpuscurate.kernels.bits import inside_words, trailing_zeros
from corpuscurate.kernels.compile import kernel, leaf
from corpuscurate.kernels.folding import BLOCK, FOLDED, Int, fold_chunk
from corpuscurate.kernels.hashing import load64, mix64
from corpuscurate.kernels.unicode import Tables

WINDOW = FOLDED // 2 + 1
"""The most words of one chunk."""
MOST_MADE = WINDOW + 1
"""The most shingles of one chunk."""

WORD_SEED = np.uint64(0x9E3779B97F4A7C15)
_UNMIXED_SEED = np.uint64(0x6B6E53B9D586DB0B)
"""`mix64` of it is WORD_SEED."""
BASE = np.uint64(0xD1342543DE82EF95)
"""P of the rolling hash, 5 modulo 8: powers of it stay apart in all but the lowest bits."""
_STREAM1 = np.uint64(0xA0761D6478BD642F)
_STREAM2 = np.uint64(0xE7037ED1A0B428DB)
_GOLDEN = np.uint64(0x9FB21C651E98DF25)
_ZERO = np.uint64(0)
_ONE = np.uint64(1)


@leaf
def _word_borders(folded: NDArray[np.uint8], size: Int, inside: Int, out: NDArray[np.int64]) -> Int:
    """Where words begin and end in turn, among the first `size` bytes. Returns how many borders.

    inside: 1 when a word that began before goes on, or ends, at byte 0: then the first border is 0, its start here.
    """
    count = _ZERO
    carry = np.uint64(inside)
    if inside:
        out[0] = 0
        count = _ONE
    for base in range(0, size, BLOCK):
        bits = inside_words(folded, base)
        if size - base < BLOCK:
            bits &= (_ONE << np.uint64(size - base)) - _ONE
        borders = bits ^ (bits << _ONE | carry)
        carry = bits >> np.uint64(63)
        while borders:
            out[count] = base + trailing_zeros(borders)
            count += _ONE
            borders &= borders - _ONE
    return np.int64(count)


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
    folded: NDArray[np.uint8]
    borders: NDArray[np.int64]
    words: NDArray[np.uint64]
    shingles: NDArray[np.uint64]


@kernel
def new_walk(n: Int) -> Walk:
    """Buffers for shingles of n >= 1 words."""
    return Walk(
        np.zeros(5, np.int64),
        np.zeros(3, np.uint64),
        np.zeros(3, np.uint64),
        np.empty(FOLDED, np.uint8),
        np.empty(2 * WINDOW + 2, np.int64),
        np.zeros(n + WINDOW, np.uint64),
        np.empty(MOST_MADE, np.uint64),
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
    word = walk.word
    resumed = word[2]
    before = word[0]
    length = word[1]
    found = (count + 1) // 2
    borders[count] = size  # the end of the last word, where it is none of the borders
    word[2] = 0
    walk.place[3] = 0
    if found and borders[2 * found - 1] == size and not last:
        found -= 1
        i = borders[2 * found]
        whole = (size - i) // 8 * 8
        continued = resumed and not found
        word[0] = _absorb(folded, i, i + whole, before if continued else WORD_SEED)
        word[1] = np.uint64(whole) + (length if continued else _ZERO)
        word[2] = 1
        walk.place[3] = size - i - whole
    _hash_each(found, folded, borders, walk.shingles, walk.words[n:])
    if resumed and found:
        i = borders[0]
        end = borders[1]
        whole = (end - i) // 8 * 8
        h = _absorb(folded, i, i + whole, before)
        walk.words[n] = mix64(h ^ _rest(folded, i + whole, end) ^ (length + np.uint64(end - i)) << np.uint64(56))
    for j in range(walk.place[3]):
        folded[j] = folded[size - walk.place[3] + j]
    return found


@leaf
def _absorb(folded: NDArray[np.uint8], i: Int, end: Int, h: np.uint64) -> np.uint64:
    """Take the pieces of 8 bytes from i to end into the hash h of a word."""
    while i < end:
        h = mix64(h ^ load64(folded, i))  # type: ignore[arg-type]
        i += 8
    return h


@leaf
def _rest(folded: NDArray[np.uint8], i: Int, end: Int) -> np.uint64:
    """The at most 7 bytes from i to end."""
    return load64(folded, i) & ((_ONE << np.uint64(8 * (end - i))) - _ONE)  # type: ignore[arg-type]


@leaf
def _hash_each(
    count: Int,
    folded: NDArray[np.uint8],
    borders: NDArray[np.int64],
    scratch: NDArray[np.uint64],
    words: NDArray[np.uint64],
) -> None:
    """Hash `count` whole words. Bytes are gathered word by word, without a branch but for 16 and more of them; the
    mixing is left to a second loop, which becomes vector code."""
    for k in range(count):
        i = borders[2 * k]
        end = borders[2 * k + 1]
        length = end - i
        h = WORD_SEED ^ load64(folded, i)
        while i + 16 <= end:
            i += 8
            h = mix64(h) ^ load64(folded, i)
        scratch[k] = h if length >= 8 else _UNMIXED_SEED
        i += 8 if length >= 8 else 0
        words[k] = _rest(folded, i, end) ^ np.uint64(length) << np.uint64(56)
    for k in range(count):
        words[k] = mix64(mix64(scratch[k]) ^ words[k])


@leaf
def roll(count: Int, n: Int, power: np.uint64, walk: Walk) -> Int:
    """The shingles that end at the `count` words from `walk.words[n]`; returns how many. power: P^n."""
    words = walk.words
    shingles = walk.shingles
    s = walk.rolling[0]
    first = walk.rolling[1]
    second = walk.rolling[2]
    before: Int = max(0, min(count, n - 1 - walk.place[4]))  # words of this chunk that complete no shingle
    for i in range(count):
        word = words[n + i]
        s = s * BASE + word - words[i] * power
        shingles[i] = s
        first = (first << np.uint64(29) | first >> np.uint64(35)) * BASE ^ word
        second = (second << np.uint64(41) | second >> np.uint64(23)) * _GOLDEN + word
    walk.rolling[0] = s
    walk.rolling[1] = first
    walk.rolling[2] = second
    walk.place[4] += count
    for i in range(n):
        words[i] = words[count + i]
    made = count - before
    for i in range(made):
        shingles[i] = mix64(shingles[before + i])
    return made


@leaf
def next_words(data: NDArray[np.uint8], t: Tables, n: Int, walk: Walk) -> Int:
    """Hashes of the next words of the document, in `walk.words` from n. Returns how many, -1 after the last.

    0 is possible before the end.
    """
    place = walk.place
    start = place[0]
    stop = place[1]
    if start >= stop:
        return -1
    start, size, place[2] = fold_chunk(data, start, stop, place[2], t, place[3], walk.folded)
    place[0] = start
    borders = _word_borders(walk.folded, size, np.int64(walk.word[2]), walk.borders)
    return _hash_words(borders, size, np.int64(start >= stop), n, walk)


@leaf
def next_shingles(data: NDArray[np.uint8], t: Tables, n: Int, power: np.uint64, walk: Walk) -> Int:
    """Hashes of the next word n-grams of the document, in `walk.shingles`. Returns how many, -1 after the last.

    0 is possible before the end. A document of 1..n-1 words yields one shingle, of all its words.
    """
    place = walk.place
    words = next_words(data, t, n, walk)
    if words < 0:
        return -1
    made = roll(words, n, power, walk)
    if place[0] >= place[1] and 0 < place[4] < n:
        walk.shingles[0] = mix64(walk.rolling[0])
        made = 1
    return made


@leaf
def hash_of_all(walk: Walk, row: Int, out: NDArray[np.uint64]) -> None:
    """A 128-bit hash of the sequence of words that the walk has seen, to out[:, row]."""
    words = np.uint64(walk.place[4])
    out[0, row] = mix64(walk.rolling[1] ^ words)
    out[1, row] = mix64(walk.rolling[2] + words)


@leaf
def power_of_base(n: Int) -> np.uint64:
    """P^n modulo 2^64."""
    power = _ONE
    for _ in range(n):
        power = power * BASE
    return power
