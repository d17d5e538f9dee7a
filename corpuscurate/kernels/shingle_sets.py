"""The sorted distinct shingle hashes of documents, from their units: what the exact Jaccard similarity is computed
from."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from corpuscurate.kernels.compile import kernel, leaf
from corpuscurate.kernels.folding import Int
from corpuscurate.kernels.hashing import mix64
from corpuscurate.kernels.shingles import BASE, WORD_SEED, power_of_base

_ZERO = np.uint64(0)
_ONE = np.uint64(1)


@leaf
def sort_distinct(values: NDArray[np.uint64], scratch: NDArray[np.uint64], starts: NDArray[np.int64]) -> Int:
    """Sort hashes in place and drop repeats; returns how many are left, at the front.

    One scatter by the leading bits, then an insertion sort: linear for hashes, which are spread evenly.
    scratch: as long as values. starts: int64[>= 2 * len(values) + 2].
    """
    size = np.uint64(len(values))
    bits = _ZERO
    while _ONE << bits < size:
        bits += _ONE
    shift = np.uint64(63) - bits  # one bit is taken in two steps below, since a shift by 64 is undefined
    buckets = _ONE << bits
    for i in range(buckets + _ONE):
        starts[i] = 0
    for i in range(size):
        starts[(values[i] >> shift >> _ONE) + _ONE] += 1
    for i in range(buckets):
        starts[i + _ONE] += starts[i]
    for i in range(size):
        value = values[i]
        bucket = value >> shift >> _ONE
        at = starts[bucket]
        starts[bucket] = at + 1
        scratch[np.uint64(at)] = value
    left = _ZERO
    for i in range(size):
        value = scratch[i]
        j = left
        while j > _ZERO and values[j - _ONE] > value:
            j -= _ONE
        if j > _ZERO and values[j - _ONE] == value:
            continue
        for k in range(left, j, -1):
            values[np.uint64(k)] = values[np.uint64(k) - _ONE]
        values[j] = value
        left += _ONE
    return np.int64(left)


@leaf
def _shingles(
    units: NDArray[np.uint32], n: Int, power: np.uint64, words: NDArray[np.uint64], out: NDArray[np.uint64]
) -> Int:
    """The hash of each window of n units, repeats included; of all of them where they are fewer. Returns how many.

    The hash is that of `kernels.shingles`, of hashes of the units. words: uint64[n + len(units)], the first n 0.
    """
    size = np.uint64(len(units))
    if size == 0:
        return 0
    m = np.uint64(n)  # a signed index makes gathers and scatters of these loops
    for i in range(size):
        words[m + i] = mix64(np.uint64(units[i]) ^ WORD_SEED)
    s = _ZERO
    for i in range(min(m - _ONE, size)):
        s = s * BASE + words[m + i]
    if size < m:
        out[0] = mix64(s)
        return 1
    made = size - m + _ONE
    for i in range(made):
        s = s * BASE + words[m + i + m - _ONE] - words[i + m - _ONE] * power
        out[i] = s
    for i in range(made):
        out[i] = mix64(out[i])
    return np.int64(made)


@kernel
def shingle_sets(
    offsets: NDArray[np.int64],
    units: NDArray[np.uint32],
    rows: NDArray[np.int64],
    n: Int,
    out_offsets: NDArray[np.int64],
    out: NDArray[np.uint64],
) -> Int:
    """The sorted distinct shingle hashes of chosen documents. Returns where they end in `out`.

    offsets: int64[documents + 1] into units; rows: which documents. n: units of a shingle. out_offsets: int64[rows +
    1]; the first of them says where in `out` to begin. out: uint64[], long enough for `max(1, units - n + 1)` each.
    """
    power = power_of_base(n)
    longest: Int = 0
    for row in rows:
        longest = max(longest, offsets[row + 1] - offsets[row])
    words = np.zeros(n + longest, np.uint64)
    scratch = np.empty(longest, np.uint64)
    starts = np.empty(2 * longest + 2, np.int64)
    at: Int = out_offsets[0]
    for i in range(len(rows)):
        chosen = units[offsets[rows[i]] : offsets[rows[i] + 1]]
        made = _shingles(chosen, n, power, words, out[at:])
        at += sort_distinct(out[at : at + made], scratch, starts)
        out_offsets[i + 1] = at
    return at
