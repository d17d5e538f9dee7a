"""The sorted distinct shingle hashes of documents, from their units: what the exact Jaccard similarity is computed
from."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from corpuscurate.kernels.compile import kernel, uncounted
from corpuscurate.kernels.hashing import mix64
from corpuscurate.kernels.sketch.shingles import BASE, WORD_SEED, power_of_base
from corpuscurate.kernels.text.folding import Int

_ZERO = np.uint64(0)
_ONE = np.uint64(1)
_TWO = np.uint64(2)
ROUNDS = 6
"""Passes of exchanges. Of documents of 300 to 5,000 shingles 1 to 70 in a thousand have more hashes in one slot."""
FEW_UNITS = 8
"""Units of a shingle up to which each window is summed anew."""


@uncounted
def _exchange(values: NDArray[np.uint64], first: np.uint64) -> Int:
    """Bring each two neighbours into order, pair by pair from `first`. Returns the pairs. Vector code."""
    pairs = (np.uint64(len(values)) - first) >> _ONE
    for i in range(pairs):
        low = first + _TWO * i
        a = values[low]
        b = values[low + _ONE]
        values[low] = min(a, b)
        values[low + _ONE] = max(a, b)
    return np.int64(pairs)


@uncounted
def _insert_all(values: NDArray[np.uint64], out: NDArray[np.uint64]) -> Int:
    """Insertion sort of what is nearly sorted, without repeats; returns how many there are."""
    left = _ZERO
    for value in values:
        j = left
        while j > _ZERO and out[j - _ONE] > value:
            j -= _ONE
        if j > _ZERO and out[j - _ONE] == value:
            continue
        for k in range(left, j, -1):
            out[np.uint64(k)] = out[np.uint64(k) - _ONE]
        out[j] = value
        left += _ONE
    return np.int64(left)


@uncounted
def sort_distinct(values: NDArray[np.uint64], scratch: NDArray[np.uint64], starts: NDArray[np.uint32]) -> Int:
    """Sort hashes in place and drop repeats; returns how many are left, at the front.

    One scatter by the leading bits: hashes are spread evenly, so about one has the same. Then neighbours are exchanged
    in ROUNDS passes without a branch, which sorts up to ROUNDS hashes with the same leading bits. Only where more have,
    an insertion sort ends it. scratch: as long as values. starts: uint32[2 * len(values) + 2].

    Source: the exchanges are odd-even transposition sort, Habermann 1972, "Parallel neighbor-sort".
    """
    size = np.uint64(len(values))
    if size == _ZERO:
        return 0
    bits = _ONE
    while _ONE << bits < size:
        bits += _ONE
    shift = np.uint64(64) - bits
    buckets = _ONE << bits
    for i in range(buckets):
        starts[i] = 0
    for i in range(size):
        starts[values[i] >> shift] += 1
    total = 0
    for i in range(buckets):
        count = starts[i]
        starts[i] = total
        total += count
    for i in range(size):
        value = values[i]
        at = starts[value >> shift]
        starts[value >> shift] = at + 1
        scratch[np.uint64(at)] = value
    nearly = scratch[:size]
    for i in range(ROUNDS):
        _exchange(nearly, np.uint64(i & 1))
    inversions = 0
    for i in range(size - _ONE):
        inversions += scratch[i] > scratch[i + _ONE]
    if inversions:
        return _insert_all(nearly, values)
    left = _ZERO
    values[_ZERO] = scratch[_ZERO]
    for i in range(_ONE, size):
        left += np.uint64(scratch[i] != scratch[i - _ONE])
        values[left] = scratch[i]
    return np.int64(left + _ONE)


@uncounted
def _shingles(
    units: NDArray[np.uint32], n: Int, power: np.uint64, words: NDArray[np.uint64], out: NDArray[np.uint64]
) -> Int:
    """The hash of each window of n units, repeats included; of all of them where they are fewer. Returns how many.

    The hash is that of `kernels.sketch.shingles`, of hashes of the units. words: uint64[n + len(units)], the first n 0.
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
    if n > FEW_UNITS:
        for i in range(made):
            s = s * BASE + words[m + i + m - _ONE] - words[i + m - _ONE] * power
            out[i] = s
    else:  # all windows side by side: vector code, where a sum that rolls waits for each product
        for i in range(made):
            out[i] = words[m + i]
        for j in range(m + _ONE, m + m):
            for i in range(made):
                out[i] = out[i] * BASE + words[j + i]
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
    starts = np.empty(2 * longest + 2, np.uint32)
    at: Int = out_offsets[0]
    for i in range(len(rows)):
        chosen = units[offsets[rows[i]] : offsets[rows[i] + 1]]
        made = _shingles(chosen, n, power, words, out[at:])
        at += sort_distinct(out[at : at + made], scratch, starts)
        out_offsets[i + 1] = at
    return at
