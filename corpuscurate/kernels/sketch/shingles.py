"""Text to words to shingles: hashes of word n-grams, a chunk at a time, without an object a word.

Three steps, each over a buffer that stays in the cache:
1. `kernels.text.folding`: UTF-8 to case-folded UTF-8 in which every byte outside a word is 0 (no word holds a 0 byte).
2. `_word_borders`: where words begin and end, from bit masks of 64 bytes; `_hash_words`: a 64-bit hash of each word's
   folded bytes.
3. `roll`: T = sum of w[i] P^(k-i) modulo 2^64 over all words so far, of which k is the last, and the hash of each
   window of n words, S = sum of w[i] P^(n-1-i) = T - P^n (T of n words before), mixed.

A word is what `kernels.text.unicode` says, folded as `str.casefold()` folds each character. A document of 1..n-1 words
has one shingle, of all its words; one without words has none.

The hash of a word: its folded bytes in little-endian pieces of 8, each absorbed by h = mix64(h ^ piece), then the rest
with the length (modulo 256) in the top byte. Words up to 7 bytes therefore never collide.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from corpuscurate.kernels.compile import inlined, kernel, uncounted
from corpuscurate.kernels.duplicates.ranks import population
from corpuscurate.kernels.hashing import load64, mix64
from corpuscurate.kernels.simd.bits import inside_words, pack_offsets, packs_bytes, trailing_zeros
from corpuscurate.kernels.simd.lanes import LANES, hash_words
from corpuscurate.kernels.text.folding import BLOCK, FOLDED, Int, fold_chunk
from corpuscurate.kernels.text.unicode import Tables

WINDOW = FOLDED // 2 + 1
"""The most words of one chunk."""
MOST_MADE = WINDOW + 1
"""The most shingles of one chunk."""

GROUP = 12
"""Words of a block of 64 bytes whose borders are written at once where no instruction writes those of all."""
SLACK = 32 + LANES
"""Words for which the buffers have room behind the last."""

WORD_SEED = np.uint64(0x9E3779B97F4A7C15)
BASE = np.uint64(0xD1342543DE82EF95)
"""P of the rolling hash, 5 modulo 8: powers of it stay apart in all but the lowest bits."""
_BASE2, _BASE3, _BASE4 = (np.uint64(pow(int(BASE), e, 1 << 64)) for e in (2, 3, 4))
_STREAM1 = np.uint64(0xA0761D6478BD642F)
_STREAM2 = np.uint64(0xE7037ED1A0B428DB)
_GOLDEN = np.uint64(0x9FB21C651E98DF25)
_ZERO = np.uint64(0)
_ONE = np.uint64(1)


@uncounted
def _word_borders(
    folded: NDArray[np.uint8], size: Int, inside: Int, starts: NDArray[np.uint16], ends: NDArray[np.uint16]
) -> Int:
    """Offsets at which words begin and end among the first `size` bytes. Returns how many begin.

    inside: 1 when a word that began before continues, or ends, at byte 0: then the first start is 0.
    A word that touches `size` ends there. starts, ends: SLACK longer than there can be words; behind the last, LANES
    empty words are written.
    """
    begun = np.uint64(inside)
    ended = _ZERO
    carry = np.uint64(inside)
    starts[0] = 0
    for base in range(0, size, BLOCK):
        bits = inside_words(folded, base)
        if size - base < BLOCK:
            bits &= (_ONE << np.uint64(size - base)) - _ONE
        before = bits << _ONE | carry
        carry = bits >> np.uint64(63)
        first = bits & ~before
        after = before & ~bits
        if packs_bytes():
            pack_offsets(first, base, starts, begun)
            pack_offsets(after, base, ends, ended)
        else:
            _write_offsets(first, after, base, starts[begun:], ends[ended:])
        begun += np.uint64(population(first))
        ended += np.uint64(population(after))
    ends[ended] = size
    for lane in range(np.uint64(LANES)):
        starts[begun + lane] = 0
        ends[begun + lane] = 0
    return np.int64(begun)


@inlined
def _write_offsets(
    first: np.uint64, after: np.uint64, base: Int, starts: NDArray[np.uint16], ends: NDArray[np.uint16]
) -> None:
    """base + the index of each bit of `first` and of `after`, GROUP at once, wanted or not: the processor never
    predicts the end of a loop over the bits of one block, which costs more than writing GROUP."""
    at = _ZERO
    while first | after:
        for _ in range(GROUP):
            starts[at] = base + trailing_zeros(first)
            ends[at] = base + trailing_zeros(after)
            first &= first - _ONE
            after &= after - _ONE
            at += _ONE


class Walk(NamedTuple):
    """The state of a walk through one document, and its buffers. Made by `new_walk`, set to a document by `begin`.

    cursor: int64[6]: next byte, end, state of `fold_chunk`, bytes pending in `folded`, words seen, words of this chunk.
    word: uint64[3]: hash and bytes absorbed of a word cut by the end of the chunk before, and 1 while there is one
    (else WORD_SEED, 0, 0). cut: the same of the word that the end of this chunk cuts.
    rolling: uint64[2]: two hashes of all words so far.
    starts, ends: offsets at which each word begins and ends. long_words: numbers of words of 16 bytes and more.
    words: hashes of the words of the chunk. sums: T before the chunk's words, n of them, and after each of its words.
    shingles: what a call of `next_shingles` made.
    """

    cursor: NDArray[np.int64]
    word: NDArray[np.uint64]
    cut: NDArray[np.uint64]
    rolling: NDArray[np.uint64]
    folded: NDArray[np.uint8]
    starts: NDArray[np.uint16]
    ends: NDArray[np.uint16]
    long_words: NDArray[np.uint64]
    words: NDArray[np.uint64]
    sums: NDArray[np.uint64]
    shingles: NDArray[np.uint64]


@kernel
def _aligned(size: Int, at: Int) -> NDArray[np.uint64]:
    """uint64[size], zeros; element `at` begins a cache line, so that vectors of eight from there on cross none."""
    room = np.zeros(size + 8, np.uint64)
    start = -(np.int64(room.ctypes.data) // 8 + at) % 8
    return room[start : start + size]


@kernel
def new_walk(n: Int) -> Walk:
    """Buffers for shingles of n >= 1 words."""
    return Walk(
        np.zeros(6, np.int64),
        np.zeros(3, np.uint64),
        np.zeros(3, np.uint64),
        np.zeros(2, np.uint64),
        np.empty(FOLDED, np.uint8),
        np.zeros(WINDOW + SLACK, np.uint16),
        np.zeros(WINDOW + SLACK, np.uint16),
        _aligned(WINDOW + SLACK, 0),
        _aligned(WINDOW + SLACK, 0),
        _aligned(n + WINDOW + SLACK, n),
        _aligned(MOST_MADE, 0),
    )


@uncounted
def _set_no_word(word: NDArray[np.uint64]) -> None:
    word[0] = WORD_SEED
    word[1] = 0
    word[2] = 0


@inlined
def begin(start: Int, stop: Int, n: Int, walk: Walk) -> None:
    """Set the walk to the document in bytes start..stop-1."""
    for i in range(np.uint64(2), np.uint64(6)):
        walk.cursor[i] = 0
    walk.cursor[0] = start
    walk.cursor[1] = stop
    _set_no_word(walk.word)
    walk.rolling[0] = _STREAM1
    walk.rolling[1] = _STREAM2
    for i in range(np.uint64(n)):  # nothing is taken away from the first sums
        walk.sums[i] = 0


@uncounted
def _cut(found: Int, size: Int, walk: Walk) -> Int:
    """Take the last of `found` words, which touches the end of the chunk and may go on, out of it. Returns how many
    are left.

    It is absorbed to its last whole 8 bytes, and its rest (at most 7 bytes) is moved to the start of `folded`.
    """
    folded = walk.folded
    word = walk.word
    found -= 1
    i = np.int64(walk.starts[np.uint64(found)])
    whole = (size - i) // 8 * 8
    goes_on = word[2] and not found  # it began before this chunk, too
    walk.cut[0] = _absorb(folded, i, i + whole, word[0] if goes_on else WORD_SEED)
    walk.cut[1] = np.uint64(whole) + (word[1] if goes_on else _ZERO)
    walk.cut[2] = 1
    walk.cursor[3] = size - i - whole
    return found


@inlined
def _absorb(folded: NDArray[np.uint8], i: Int, end: Int, h: np.uint64) -> np.uint64:
    """Take the pieces of 8 bytes from i to end into the hash h of a word."""
    while i < end:
        h = mix64(h ^ load64(folded, i))  # type: ignore[arg-type]
        i += 8
    return h


@inlined
def _tail(folded: NDArray[np.uint8], i: Int, size: Int, length: np.uint64) -> np.uint64:
    """The `size` < 8 bytes from i, below the length of the word."""
    rest = load64(folded, i) & ((_ONE << np.uint64(8 * size)) - _ONE)  # type: ignore[arg-type]
    return rest ^ length << np.uint64(56)


@uncounted
def _hash_long(folded: NDArray[np.uint8], i: Int, end: Int, h: np.uint64, before: np.uint64) -> np.uint64:
    """The hash of a word of which `before` bytes gave h and the others lie from i to end."""
    whole = (end - i) // 8 * 8
    h = _absorb(folded, i, i + whole, h)
    return mix64(h ^ _tail(folded, i + whole, end - i & 7, before + np.uint64(end - i)))


@inlined
def _hash_words(found: Int, walk: Walk) -> None:
    """Hash `found` words into `walk.words`."""
    folded = walk.folded
    starts = walk.starts
    ends = walk.ends
    words = walk.words
    long_words = walk.long_words
    longer = _ZERO
    for k in range(_ZERO, np.uint64(found), np.uint64(LANES)):
        longer = hash_words(folded, starts, ends, k, words, long_words, longer)
    for j in range(longer):
        k = long_words[j]
        words[k] = _hash_long(folded, np.int64(starts[k]), np.int64(ends[k]), WORD_SEED, _ZERO)
    if walk.word[2] and found:
        words[0] = _hash_long(folded, np.int64(starts[0]), np.int64(ends[0]), walk.word[0], walk.word[1])


@inlined
def roll(count: Int, n: Int, power: np.uint64, walk: Walk) -> Int:
    """The shingles that end at the `count` words of `walk.words`; returns how many. power: P^n.

    Four words at once: a sum waits for the one before.
    """
    words = walk.words
    sums = walk.sums
    shingles = walk.shingles
    cursor = walk.cursor
    m = np.uint64(n)
    s = sums[m - _ONE]
    for i in range(_ZERO, np.uint64(count), np.uint64(4)):  # the words behind the last do no harm
        one = words[i]
        two = one * BASE + words[i + _ONE]
        three = two * BASE + words[i + np.uint64(2)]
        four = three * BASE + words[i + np.uint64(3)]
        sums[m + i] = s * BASE + one
        sums[m + i + _ONE] = s * _BASE2 + two
        sums[m + i + np.uint64(2)] = s * _BASE3 + three
        s = s * _BASE4 + four
        sums[m + i + np.uint64(3)] = s
    before: Int = max(0, min(count, n - 1 - cursor[4]))  # words of this chunk that complete no shingle
    cursor[4] += count
    cursor[5] = count
    made = count - before
    skipped = np.uint64(before)  # a signed index makes gathers of these loops
    for i in range(np.uint64(made)):
        shingles[i] = mix64(sums[m + skipped + i] - sums[skipped + i] * power)
    for i in range(m):
        sums[i] = sums[np.uint64(count) + i]
    return made


@inlined
def shingle_of_few(n: Int, walk: Walk) -> None:
    """The only shingle of a document of fewer than n words."""
    walk.shingles[0] = mix64(walk.sums[n - 1])


@inlined
def step(word: np.uint64, first: np.uint64, second: np.uint64) -> tuple[np.uint64, np.uint64]:
    """A word into the two hashes of all words."""
    first = (first << np.uint64(29) | first >> np.uint64(35)) * BASE ^ word
    second = (second << np.uint64(41) | second >> np.uint64(23)) * _GOLDEN + word
    return first, second


@inlined
def hash_next(walk: Walk) -> None:
    """The words of this chunk into the hashes of all words."""
    words = walk.words
    first = walk.rolling[0]
    second = walk.rolling[1]
    for i in range(np.uint64(walk.cursor[5])):
        first, second = step(words[i], first, second)
    walk.rolling[0] = first
    walk.rolling[1] = second


@inlined
def next_words(data: NDArray[np.uint8], t: Tables, walk: Walk) -> Int:
    """Hashes of the next words of the document, in `walk.words`. Returns how many, -1 after the last.

    0 is possible before the end.
    """
    found, size = words_of_chunk(data, t, walk)
    if found >= 0:
        keep_rest(size, walk)
    return found


@inlined
def words_of_chunk(data: NDArray[np.uint8], t: Tables, walk: Walk) -> tuple[Int, Int]:
    """`next_words`, with its chunk still in `walk.folded`: how many words, bytes of the chunk. Then call `keep_rest`.

    A word that the end of the chunk cuts begins at `walk.starts[found]`; walk.word[2] tells whether there is one.
    """
    cursor = walk.cursor
    start = cursor[0]
    stop = cursor[1]
    if start >= stop:
        return np.int64(-1), np.int64(0)
    folded = walk.folded
    start, size, cursor[2] = fold_chunk(data, start, stop, cursor[2], t, cursor[3], folded)
    cursor[0] = start
    found = _word_borders(folded, size, np.int64(walk.word[2]), walk.starts, walk.ends)
    cursor[3] = 0
    _set_no_word(walk.cut)
    if found and walk.ends[np.uint64(found - 1)] == size and start < stop:
        found = _cut(found, size, walk)
    _hash_words(found, walk)
    for j in range(np.uint64(3)):
        walk.word[j] = walk.cut[j]
    return np.int64(found), np.int64(size)


@inlined
def keep_rest(size: Int, walk: Walk) -> None:
    """Move what is not hashed yet of a word that the end of the chunk cuts to the start of `walk.folded`."""
    folded = walk.folded
    rest = np.uint64(size - walk.cursor[3])
    for j in range(np.uint64(walk.cursor[3])):
        folded[j] = folded[rest + j]


@inlined
def next_shingles(data: NDArray[np.uint8], t: Tables, n: Int, power: np.uint64, walk: Walk) -> Int:
    """Hashes of the next word n-grams of the document, in `walk.shingles`. Returns how many, -1 after the last.

    0 is possible before the end. A document of 1..n-1 words yields one shingle, of all its words.
    """
    cursor = walk.cursor
    words = next_words(data, t, walk)
    if words < 0:
        return -1
    made = roll(words, n, power, walk)
    if cursor[0] >= cursor[1] and 0 < cursor[4] < n:
        shingle_of_few(n, walk)
        made = 1
    return made


@inlined
def hash_of_all(walk: Walk, row: Int, out: NDArray[np.uint64]) -> None:
    """A 128-bit hash of the sequence of words that `hash_next` has taken in, to out[:, row]."""
    words = np.uint64(walk.cursor[4])
    out[0, row] = mix64(walk.rolling[0] ^ words)
    out[1, row] = mix64(walk.rolling[1] + words)


@uncounted
def power_of_base(n: Int) -> np.uint64:
    """P^n modulo 2^64."""
    power = _ONE
    for _ in range(n):
        power = power * BASE
    return power
