"""Fast similarity sketching, from text to signature in one pass: a signature of k values in time O(n + k log k).

Every shingle of a document throws itself into one of k bins, round after round with new hashes, until no bin is empty;
a bin keeps the smallest hash of the first round that reached it. From round k on, all shingles compete for bin
`round - k`, so that after 2 k rounds none is empty. The share of equal values of two signatures estimates the Jaccard
similarity J without bias, with a variance no larger than that of classic MinHash, J (1 - J) / k, and smaller for
documents of few shingles: within a round two bins never stand for one shingle.

The hash of round i is h * a * C^i modulo 2^64, for the 64-bit shingle hash h and an odd multiplier a made from the
seed: for each shingle a multiplicative congruential generator of its own, started at a well-mixed state, which costs
one multiplication a round. Its upper 32 bits choose the bin (times k, shifted by 32). Round 0 keeps the hash itself, a
later round without its lowest 15 bits. A value is the lower 32 bits of what the bin kept: two documents without a
common shingle share one with probability of about 2^-32, however long they are.

A later round asks of every shingle only whether its bin is open, that is, was empty when the round began; the few that
hit one are looked at again.

Source: Dahlgaard, Knudsen, Thorup, "Fast Similarity Sketching", FOCS 2017 (arXiv 1704.04370), algorithm 1.
C: Steele, Vigna, "Computationally easy, spectrally good multipliers", 2021, table 6, 64 bits.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from corpuscurate.kernels.compile import inlined, kernel, uncounted
from corpuscurate.kernels.hashing import mix64
from corpuscurate.kernels.simd.bits import inside_words, packs_numbers
from corpuscurate.kernels.simd.lanes import FEW, LANES, next_hits
from corpuscurate.kernels.sketch.characters import next_ngrams
from corpuscurate.kernels.sketch.minhash import ROWS, transpose
from corpuscurate.kernels.sketch.shingle_sets import sort_distinct
from corpuscurate.kernels.sketch.shingles import MOST_MADE, Walk, begin, hash_of_all, new_walk, power_of_base, step
from corpuscurate.kernels.text.folding import Int
from corpuscurate.kernels.text.unicode import Tables

MOST_VALUES = 1 << 14
"""The most values of a signature, for a document of one shingle costs k log k draws."""
_GAMMA = np.uint64(0x9E3779B97F4A7C15)
_C = np.uint64(0xD1342543DE82EF95)
_EMPTY = np.uint64(0xFFFFFFFFFFFFFFFF)
_ZERO = np.uint64(0)
_ONE = np.uint64(1)
_SHIFT = np.uint64(32)
_LOW_BITS = np.uint64(15)


@uncounted
def multiplier(seed: np.uint64) -> np.uint64:
    """The odd multiplier of a seed."""
    return mix64(seed + _GAMMA) | _ONE


@inlined
def first_round(shingles: NDArray[np.uint64], a: np.uint64, bins: NDArray[np.uint64]) -> None:
    """Round 0 for some shingle hashes, which become h * a in place. bins: uint64[k], all ones where empty."""
    for i in range(np.uint64(len(shingles))):
        shingles[i] = _throw(shingles[i] * a, bins)


@inlined
def _throw(x: np.uint64, bins: NDArray[np.uint64]) -> np.uint64:
    """x into its bin. Returns x."""
    at = (x >> _SHIFT) * np.uint64(len(bins)) >> _SHIFT
    bins[at] = min(bins[at], x)
    return x


@inlined
def _take_in(made: Int, a: np.uint64, walk: Walk, bins: NDArray[np.uint64]) -> None:
    """`first_round` for the walk's shingles and `hash_next` in one, since that waits most of its time."""
    words = walk.words
    shingles = walk.shingles
    first = walk.rolling[0]
    second = walk.rolling[1]
    found = np.uint64(walk.cursor[5])
    both = min(np.uint64(made), found)
    before = found - both
    for i in range(before):
        first, second = step(words[i], first, second)
    for i in range(both):
        shingles[i] = _throw(shingles[i] * a, bins)
        first, second = step(words[before + i], first, second)
    if both < np.uint64(made):  # the only shingle, after a last chunk without words
        shingles[both] = _throw(shingles[both] * a, bins)
    walk.rolling[0] = first
    walk.rolling[1] = second


@inlined
def open_bins(bins: NDArray[np.uint64], is_open: NDArray[np.uint8]) -> Int:
    """Mark the empty bins with 1 in is_open: uint8[`open_length(k)`], 0 elsewhere. Returns how many."""
    empty = 0
    for at in range(np.uint64(len(bins))):
        this = bins[at] == _EMPTY
        is_open[at] = this
        empty += this
    return empty


@uncounted
def open_length(k: Int) -> Int:
    """Required length of `is_open` for k bins."""
    return max(k, FEW)


@uncounted
def later_rounds(
    x: NDArray[np.uint64],
    size: Int,
    empty: Int,
    is_open: NDArray[np.uint8],
    hits: NDArray[np.uint64],
    bins: NDArray[np.uint64],
) -> None:
    """Fill the bins that round 0 left empty.

    x: h * a of the document's `size` >= 1 shingles, which are changed, and LANES more. empty, is_open: as of
    `open_bins`. hits: as long as x.
    """
    if packs_numbers() and len(bins) <= FEW:
        empty = _rounds_of_few(x, size, is_open, hits, bins)
    else:
        empty = _rounds_of_many(x[:size], empty, is_open, hits, bins)
    if empty:
        _fill_one_by_one(x[:size], bins)


@inlined
def _rounds_of_few(
    x: NDArray[np.uint64],
    size: Int,
    is_open: NDArray[np.uint8],
    hits: NDArray[np.uint64],
    bins: NDArray[np.uint64],
) -> Int:
    """The rounds before k, for at most FEW bins: which are open is known from two numbers. Returns 0 when none is."""
    k = np.uint64(len(bins))
    lower = inside_words(is_open, 0)
    upper = inside_words(is_open, 64)
    padded = np.uint64(size + LANES - 1) & ~np.uint64(LANES - 1)
    for i in range(np.uint64(size), padded):
        x[i] = x[0]  # a repeated hash changes nothing
    number = _ONE
    while lower | upper and number < k:
        count = _ZERO
        for i in range(_ZERO, padded, np.uint64(LANES)):
            count = next_hits(x, i, k, lower, upper, hits, count)
        for i in range(count):
            g = hits[i]
            at = (g >> _SHIFT) * k >> _SHIFT
            bins[at] = min(bins[at], g >> _LOW_BITS)
            bit = _ONE << (at & np.uint64(63))
            above = _ZERO - (at >> np.uint64(6))
            lower &= ~bit | above
            upper &= ~(bit & above)
        number += _ONE
    return np.int64(lower | upper)


@inlined
def _rounds_of_many(
    x: NDArray[np.uint64],
    empty: Int,
    is_open: NDArray[np.uint8],
    hits: NDArray[np.uint64],
    bins: NDArray[np.uint64],
) -> Int:
    """The rounds before k. Returns how many bins stay empty."""
    k = np.uint64(len(bins))
    number = 1
    while empty and number < len(bins):
        count = _ZERO
        for i in range(np.uint64(len(x))):  # without branches: which shingle hits an empty bin is chance
            g = x[i] * _C
            x[i] = g
            hits[count] = g
            count += np.uint64(is_open[(g >> _SHIFT) * k >> _SHIFT])
        for i in range(count):
            g = hits[i]
            at = (g >> _SHIFT) * k >> _SHIFT
            before = bins[at]
            empty -= before == _EMPTY
            bins[at] = min(before, g >> _LOW_BITS)
            is_open[at] = 0
        number += 1
    return empty


@uncounted
def _fill_one_by_one(x: NDArray[np.uint64], bins: NDArray[np.uint64]) -> None:
    """The rounds from k on: all shingles compete for one bin each."""
    power = _C
    for at in range(len(bins)):
        if bins[at] == _EMPTY:
            least = _EMPTY
            for i in range(np.uint64(len(x))):
                least = min(least, x[i] * power)
            bins[at] = least >> _LOW_BITS
        power *= _C


class Kept(NamedTuple):
    """The shingles of a document for the rounds after the first, with room for those of a chunk.

    values: uint64[], h * a, and LANES more. scratch: as long. starts: uint32[], as `sort_distinct` needs it.
    """

    values: NDArray[np.uint64]
    scratch: NDArray[np.uint64]
    starts: NDArray[np.uint32]


@kernel
def _with_room(size: Int, values: NDArray[np.uint64]) -> Kept:
    """Room for `size` hashes, of which `values` are the first."""
    larger = np.empty(size + LANES, np.uint64)
    for i in range(len(values)):  # not by slices: compiling what they say of shapes that differ takes 1.6 s
        larger[i] = values[i]
    return Kept(larger, np.empty(size + LANES, np.uint64), np.empty(2 * size + 2, np.uint32))


class Bins(NamedTuple):
    """Bins of a document. values: uint64[k]. is_open: of `open_bins`. progress: int64[4]: n-grams so far,
    shingles kept for later rounds, empty bins, and 1 where the document is to be continued."""

    values: NDArray[np.uint64]
    is_open: NDArray[np.uint8]
    progress: NDArray[np.int64]


@inlined
def _walk_document(
    data: NDArray[np.uint8],
    t: Tables,
    unit: Int,
    n: Int,
    power: np.uint64,
    a: np.uint64,
    walk: Walk,
    kept: Kept,
    bins: Bins,
) -> bool:
    """Round 0 of a document from the cursor of its walk on, then the later rounds. Returns False when `kept` must grow
    first, to twice what is kept and a chunk."""
    values = kept.values
    hits = kept.scratch
    all_shingles = walk.shingles
    bin_values = bins.values
    is_open = bins.is_open
    progress = bins.progress
    room = len(values) - LANES
    total = progress[0]
    count = progress[1]
    empty = progress[2]
    made: Int = 0
    while made >= 0:
        if empty and count + MOST_MADE > room:
            count = sort_distinct(values[:count], hits, kept.starts)
            if 2 * count + MOST_MADE > room:
                progress[0] = total
                progress[1] = count
                progress[2] = empty
                return False
        made = next_ngrams(unit, data, t, n, power, walk)
        shingles = all_shingles[: max(0, made)]
        if made >= 0:
            _take_in(made, a, walk, bin_values)
        total += len(shingles)
        if empty:
            empty = open_bins(bin_values, is_open)
            for i in range(np.uint64(len(shingles))):  # a signed index would make it a scatter
                values[np.uint64(count) + i] = shingles[i]
            count += len(shingles)
    if empty and total:
        later_rounds(values, count, empty, is_open, hits, bin_values)
    progress[0] = total
    return True


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
    k = len(out)
    walk = new_walk(n)
    bins = Bins(np.empty(k, np.uint64), np.zeros(open_length(k), np.uint8), np.zeros(4, np.int64))
    kept = _with_room(4 * MOST_MADE, bins.values[:0])
    block = np.empty((ROWS, k), np.uint32)
    row: Int = np.int64(0)
    while row < len(offsets) - 1:
        row = _sign(offsets, data, t, unit, n, seed, row, walk, kept, bins, block, out_shingles, out_words, out)
        count = bins.progress[1]
        kept = _with_room(4 * (count + MOST_MADE), kept.values[:count])
    return len(offsets) - 1


@uncounted
def _sign(
    offsets: NDArray[np.int64],
    data: NDArray[np.uint8],
    t: Tables,
    unit: Int,
    n: Int,
    seed: np.uint64,
    row: Int,
    walk: Walk,
    kept: Kept,
    bins: Bins,
    block: NDArray[np.uint32],
    out_shingles: NDArray[np.uint32],
    out_words: NDArray[np.uint64],
    out: NDArray[np.uint32],
) -> Int:
    """The documents from `row` until the end or until `kept` must grow. Returns the row, which is begun or past the
    last."""
    rows = len(offsets) - 1
    k = len(out)
    a = multiplier(seed)
    power = power_of_base(n)
    values = bins.values
    progress = bins.progress
    while row < rows:
        r = row % ROWS
        if not progress[3]:
            begin(offsets[row], offsets[row + 1], n, walk)
            for at in range(np.uint64(k)):
                values[at] = _EMPTY
            progress[0] = 0
            progress[1] = 0
            progress[2] = k
        progress[3] = 0
        if not _walk_document(data, t, unit, n, power, a, walk, kept, bins):
            progress[3] = 1
            return row
        for at in range(np.uint64(k)):
            block[np.uint64(r), at] = np.uint32(values[at])
        out_shingles[row] = min(progress[0], 0xFFFFFFFF)
        hash_of_all(walk, row, out_words)
        row += 1
        if r == ROWS - 1 or row == rows:
            transpose(block, row - 1 - r, r + 1, out)
    progress[1] = 0
    return row
