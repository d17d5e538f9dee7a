"""The sorted distinct shingle hashes of documents: what the exact Jaccard similarity is computed from."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from corpuscurate.kernels.characters import CHARACTERS, next_ngrams
from corpuscurate.kernels.compile import kernel, leaf
from corpuscurate.kernels.folding import Int
from corpuscurate.kernels.shingles import begin, new_walk, power_of_base
from corpuscurate.kernels.unicode import Tables

_ONE = np.uint64(1)


@leaf
def sort_distinct(values: NDArray[np.uint64], scratch: NDArray[np.uint64], starts: NDArray[np.int64]) -> Int:
    """Sort hashes in place and drop repeats; returns how many are left, at the front.

    One scatter by the leading bits, then an insertion sort: linear for hashes, which are spread evenly.
    scratch: as long as values. starts: int64[>= 2 * len(values) + 2].
    """
    size = len(values)
    bits = 0
    while (1 << bits) < size:
        bits += 1
    shift = np.uint64(63 - bits)  # one bit is taken in two steps below, since a shift by 64 is undefined
    starts[: (1 << bits) + 1] = 0
    for i in range(size):
        starts[np.int64(values[i] >> shift >> _ONE) + 1] += 1
    for i in range(1 << bits):
        starts[i + 1] += starts[i]
    for i in range(size):
        bucket = np.int64(values[i] >> shift >> _ONE)
        scratch[starts[bucket]] = values[i]
        starts[bucket] += 1
    left = 0
    for i in range(size):
        value = scratch[i]
        j = left
        while j > 0 and values[j - 1] > value:
            j -= 1
        if j > 0 and values[j - 1] == value:
            continue
        for k in range(left, j, -1):
            values[k] = values[k - 1]
        values[j] = value
        left += 1
    return left


@kernel
def shingle_sets(
    offsets: NDArray[np.int64],
    data: NDArray[np.uint8],
    t: Tables,
    unit: Int,
    n: Int,
    out_offsets: NDArray[np.int64],
    out: NDArray[np.uint64],
) -> Int:
    """The sorted distinct shingle hashes of each document. Returns how many in all.

    unit: WORDS or CHARACTERS. out_offsets: int64[rows + 1]. out: uint64[`shingle_bound(offsets, unit)`].
    """
    walk = new_walk(n)
    power = power_of_base(n)
    scratch = np.empty(0, np.uint64)
    starts = np.empty(2, np.int64)
    at: Int = 0
    out_offsets[0] = 0
    for row in range(len(offsets) - 1):
        begin(offsets[row], offsets[row + 1], n, walk)
        filled: Int = at
        made = next_ngrams(unit, data, t, n, power, walk)
        while made >= 0:
            out[filled : filled + made] = walk.shingles[:made]
            filled += made
            made = next_ngrams(unit, data, t, n, power, walk)
        if filled - at > len(scratch):
            scratch = np.empty(2 * (filled - at), np.uint64)
            starts = np.empty(4 * (filled - at) + 2, np.int64)
        at += sort_distinct(out[at:filled], scratch, starts)
        out_offsets[row + 1] = at
    return at


@leaf
def shingle_bound(offsets: NDArray[np.int64], unit: Int) -> Int:
    """The most shingles that documents of these lengths can have.

    A word takes a byte, and another parts it from the next (letters of scripts without spaces take three bytes and need
    no separator). A character takes a byte; where folding makes several of one, it had at least two, and there are at
    most three.
    """
    bound = 0
    for row in range(len(offsets) - 1):
        size = offsets[row + 1] - offsets[row]
        bound += size + (size + 1) // 2 if unit == CHARACTERS else (size + 1) // 2
    return bound
