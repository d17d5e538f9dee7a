"""Sets of near-copies as their differences from one base set: what `kernels.duplicates.large_bucket_join` joins.

The *delta* of a set x is its symmetric difference from the base. The base is any set; a good one makes deltas small.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from corpuscurate.kernels.compile import kernel
from corpuscurate.kernels.duplicates.components import find
from corpuscurate.kernels.hashing import mix64

_ONE = np.uint64(1)
_SIX = np.uint64(6)
_S32 = np.uint64(32)


class Deltas(NamedTuple):
    """n documents by falling reach. starts: int64[n + 1], elements: int32[...], of each document the elements of its
    delta that another one has too, as ranks from rare to common, ascending. distance: int64[n], |D|, the others
    included. size: int64[n], |x|. reach: float64[n]. bitmaps: uint64[n, words]."""

    starts: NDArray[np.int64]
    elements: NDArray[np.int32]
    distance: NDArray[np.int64]
    size: NDArray[np.int64]
    reach: NDArray[np.float64]
    bitmaps: NDArray[np.uint64]


@kernel
def set_distances(
    rows: NDArray[np.int64],
    offsets: NDArray[np.int64],
    sets: NDArray[np.uint64],
    base: NDArray[np.uint64],
    out: NDArray[np.int64],
) -> int:
    """|x + base| of the sorted sets offsets[row]..offsets[row + 1]-1. out: int64[len(rows)]."""
    size_base = np.uint64(len(base))
    for i in range(len(rows)):
        at = np.uint64(offsets[rows[i]])
        end = np.uint64(offsets[rows[i] + 1])
        size = np.int64(end - at)
        j = np.uint64(0)
        both = 0
        while at < end and j < size_base:
            x = sets[at]
            y = base[j]
            both += x == y
            at += np.uint64(x <= y)
            j += np.uint64(y <= x)
        out[i] = size + len(base) - 2 * both
    return len(rows)


@kernel
def set_deltas(
    rows: NDArray[np.int64],
    offsets: NDArray[np.int64],
    sets: NDArray[np.uint64],
    base: NDArray[np.uint64],
    out: NDArray[np.uint64],
) -> int:
    """The deltas of `set_distances`, one after the other. Returns the elements written."""
    n = 0
    for i in range(len(rows)):
        at = offsets[rows[i]]
        end = offsets[rows[i] + 1]
        j = 0
        while at < end or j < len(base):
            if j == len(base) or (at < end and sets[at] < base[j]):
                out[n] = sets[at]
                n += 1
                at += 1
            elif at == end or base[j] < sets[at]:
                out[n] = base[j]
                n += 1
                j += 1
            else:
                at += 1
                j += 1
    return n


@kernel
def signature_distances(
    rows: NDArray[np.int64], signatures: NDArray[np.uint32], base: NDArray[np.uint32], out: NDArray[np.int64]
) -> int:
    """As `set_distances` for signatures as sets of (position, value). base: uint32[k]."""
    for i in range(len(rows)):
        differ = 0
        for j in range(len(base)):
            differ += signatures[rows[i], j] != base[j]
        out[i] = 2 * differ
    return len(rows)


@kernel
def signature_deltas(
    rows: NDArray[np.int64], signatures: NDArray[np.uint32], base: NDArray[np.uint32], out: NDArray[np.uint64]
) -> int:
    """As `set_deltas` for signatures as sets of (position, value)."""
    n = 0
    for i in range(len(rows)):
        for j in range(len(base)):
            if signatures[rows[i], j] != base[j]:
                out[n] = mix64(np.uint64(j) << _S32 | np.uint64(base[j]))
                out[n + 1] = mix64(np.uint64(j) << _S32 | np.uint64(signatures[rows[i], j]))
                n += 2
    return n


@kernel
def fold_bitmaps(starts: NDArray[np.int64], values: NDArray[np.uint64], out: NDArray[np.uint64]) -> int:
    """Flip one bit of the document's bitmap for each element. out: uint64[n, words], 0 before; words a power of two."""
    mask = np.uint64(64 * out.shape[1] - 1)
    for i in range(len(starts) - 1):
        for at in range(starts[i], starts[i + 1]):
            bit = (values[at] >> _S32) & mask
            out[i, bit >> _SIX] ^= _ONE << (bit & np.uint64(63))
    return len(starts) - 1


@kernel
def sort_runs(starts: NDArray[np.int64], elements: NDArray[np.int32]) -> int:
    """Sort each run starts[i]..starts[i + 1]-1 in place."""
    for i in range(len(starts) - 1):
        elements[starts[i] : starts[i + 1]].sort()
    return len(starts) - 1


@kernel
def local_components(nodes: NDArray[np.int64], parent: NDArray[np.int64], out: NDArray[np.int64]) -> int:
    """The components of `parent` among `nodes`, as a union-find over 0..len(nodes)-1: each points to the first of its
    component. Returns how many components there are."""
    roots = np.empty(len(nodes), np.int64)
    for i in range(len(nodes)):
        roots[i] = find(parent, nodes[i])
    order = np.argsort(roots, kind="mergesort")
    found = 0
    for at in range(len(order)):
        if at == 0 or roots[order[at]] != roots[order[at - 1]]:
            first = order[at]
            found += 1
        out[order[at]] = first
    return found
