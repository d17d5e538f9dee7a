"""Fast similarity sketching, from text to signature in one pass: a signature of k values in time O(n + k log k).

Every shingle of a document throws itself into one of k bins, round after round with new hashes, until no bin is empty;
a bin keeps the smallest hash of the first round that reached it. From round k on, all shingles compete for bin
`round - k`, so that after 2 k rounds none is empty. The share of equal values of two signatures estimates the Jaccard
similarity J without bias, with a variance no larger than that of classic MinHash, J (1 - J) / k, and smaller for
documents of few shingles: within a round two bins never stand for one shingle.

The hash of round i is h * a * C^i modulo 2^64, for the 64-bit shingle hash h and an odd multiplier a made from the
seed: for each shingle a multiplicative congruential generator of its own, started at a well-mixed place, which costs
one multiplication a round. Its upper 32 bits choose the bin (times k, shifted by 32). A later round keeps the upper
bits of its hash under its number, so that one comparison tells earlier rounds and smaller hashes. A value is the lower
32 bits of what the bin kept: two documents without a common shingle share one with probability 2^-32 about, however
long they are.

Source: Dahlgaard, Knudsen, Thorup, "Fast Similarity Sketching", FOCS 2017 (arXiv 1704.04370), algorithm 1.
C: Steele, Vigna, "Computationally easy, spectrally good multipliers", 2021, table 6, 64 bits.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from corpuscurate.kernels.characters import next_ngrams
from corpuscurate.kernels.compile import kernel, leaf
from corpuscurate.kernels.folding import Int
from corpuscurate.kernels.hashing import mix64
from corpuscurate.kernels.shingle_sets import sort_distinct
from corpuscurate.kernels.shingles import begin, new_walk, power_of_base
from corpuscurate.kernels.unicode import Tables

MOST_VALUES = 1 << 14
"""The most values of a signature: the number of a round then fits into 15 bits."""
_GAMMA = np.uint64(0x9E3779B97F4A7C15)
_C = np.uint64(0xD1342543DE82EF95)
_EMPTY = np.uint64(0xFFFFFFFFFFFFFFFF)
_ZERO = np.uint64(0)
_ONE = np.uint64(1)
_SHIFT = np.uint64(32)
_HASH_BITS = np.uint64(49)
_ROUND_BITS = np.uint64(15)
_ROUND_ONE = np.uint64(1 << 49)
_ROWS = 16
"""Documents whose signatures are transposed at once: a cache line of uint32."""


@leaf
def multiplier(seed: np.uint64) -> np.uint64:
    """The odd multiplier of a seed."""
    return mix64(seed + _GAMMA) | _ONE


@leaf
def first_round(shingles: NDArray[np.uint64], a: np.uint64, bins: NDArray[np.uint64]) -> None:
    """Round 0 for some shingle hashes, which become h * a in place. bins: uint64[k], all ones where empty."""
    k = np.uint64(len(bins))
    for i in range(len(shingles)):
        x = shingles[i] * a
        shingles[i] = x
        at = (x >> _SHIFT) * k >> _SHIFT
        bins[at] = min(bins[at], x)


@leaf
def _empty_bins(bins: NDArray[np.uint64]) -> Int:
    empty = 0
    for at in range(len(bins)):
        empty += bins[at] == _EMPTY
    return empty


@leaf
def later_rounds(x: NDArray[np.uint64], bins: NDArray[np.uint64], signature: NDArray[np.uint32]) -> None:
    """Fill the bins that round 0 left empty, and write the values. x: all h * a of the document, at least one; they
    are changed."""
    size = len(bins)
    k = np.uint64(size)
    empty = 0
    for at in range(size):  # without branches: which bins are empty is chance
        before = bins[at]
        signature[at] = np.uint32(before)
        is_empty = before == _EMPTY
        empty += is_empty
        bins[at] = _EMPTY if is_empty else _ZERO  # 0: below every key of a later round
    number = 1
    while empty and number < size:
        head = np.uint64(number) << _HASH_BITS
        for i in range(len(x)):
            g = x[i] * _C
            x[i] = g
            slot = (g >> _SHIFT) * k >> _SHIFT
            before = bins[slot]
            empty -= before == _EMPTY
            bins[slot] = min(before, head | g >> _ROUND_BITS)
        number += 1
    if empty:
        _fill_one_by_one(x, bins)
    for at in range(size):
        late = bins[at]
        signature[at] = np.uint32(late) if late else signature[at]


@leaf
def _fill_one_by_one(x: NDArray[np.uint64], bins: NDArray[np.uint64]) -> None:
    """The rounds from k on: all shingles compete for one bin each."""
    power = _C
    for at in range(len(bins)):
        if bins[at] == _EMPTY:
            least = _EMPTY
            for i in range(len(x)):
                least = min(least, x[i] * power)
            bins[at] = least >> _ROUND_BITS | _ROUND_ONE
        power *= _C


@kernel
def _keep(
    x: NDArray[np.uint64], count: Int, kept: NDArray[np.uint64], scratch: NDArray[np.uint64], starts: NDArray[np.int64]
) -> tuple[Int, NDArray[np.uint64], NDArray[np.uint64], NDArray[np.int64]]:
    """Append to the first `count` of `kept`. When it is full, repeats go; when few were repeats, it grows."""
    if count + len(x) > len(kept):
        count = sort_distinct(kept[:count], scratch, starts)
        if 2 * count + len(x) > len(kept):
            size = 4 * (count + len(x))
            larger = np.empty(size, np.uint64)
            larger[:count] = kept[:count]
            kept = larger
            scratch = np.empty(size, np.uint64)
            starts = np.empty(2 * size + 2, np.int64)
    kept[count : count + len(x)] = x
    return count + len(x), kept, scratch, starts


@kernel
def fast_signatures(
    offsets: NDArray[np.int64],
    data: NDArray[np.uint8],
    t: Tables,
    unit: Int,
    n: Int,
    seed: np.uint64,
    out_shingles: NDArray[np.uint32],
    out_words: NDArray[np.uint64],
    out: NDArray[np.uint32],
) -> int:
    """Signatures of documents. Returns their number.

    unit, n: WORDS or CHARACTERS, and how many make a shingle. out_shingles: uint32[rows], n-grams with repeats, at most
    2^32 - 1; 0 = none: the values are all 2^32 - 1 and mean nothing. out_words: uint64[2, rows], a 128-bit hash of the
    sequence of words (or characters): equal ones have equal shingles. out: uint32[k, rows], a row a value,
    1 <= k <= MOST_VALUES.
    """
    rows = len(offsets) - 1
    k = len(out)
    a = multiplier(seed)
    walk = new_walk(n)
    power = power_of_base(n)
    block = np.empty((_ROWS, k), np.uint32)
    bins = np.empty(k, np.uint64)
    kept = np.empty(0, np.uint64)
    scratch = np.empty(0, np.uint64)
    starts = np.empty(2, np.int64)
    for base in range(0, rows, _ROWS):
        size = min(_ROWS, rows - base)
        for r in range(size):
            row = base + r
            begin(offsets[row], offsets[row + 1], n, walk)
            bins[:] = _EMPTY
            total: Int = 0
            count: Int = 0  # shingles kept for later rounds
            empty: Int = k
            made = next_ngrams(unit, data, t, n, power, walk)
            while made >= 0:
                shingles = walk.shingles[:made]
                first_round(shingles, a, bins)
                total += made
                if empty:
                    empty = _empty_bins(bins)
                    if empty:
                        count, kept, scratch, starts = _keep(shingles, count, kept, scratch, starts)
                made = next_ngrams(unit, data, t, n, power, walk)
            if empty and total:
                later_rounds(kept[:count], bins, block[r])
            else:
                for at in range(k):
                    block[r, at] = np.uint32(bins[at])
            out_shingles[row] = min(total, 0xFFFFFFFF)
            words = np.uint64(walk.place[4])
            out_words[0, row] = mix64(walk.rolling[1] ^ words)
            out_words[1, row] = mix64(walk.rolling[2] + words)
        for j in range(k):
            for r in range(size):
                out[j, base + r] = block[r, j]
    return rows
