"""An exact similarity join of many near-copies: each set is given by its difference from one base set.

With `+` for the symmetric difference: for the sets x of a large bucket and any base B, the delta of x is D(x) = x + B,
and |x + y| = |D(x) + D(y)|. Near-copies of one document have small deltas, and what is common to all of them vanishes.
J(x, y) >= t is |D(x) + D(y)| <= k (|x| plus |y|) with k = (1 - t) / (1 + t) in numbers. With the *reach*
r(x) = k |x| - |D(x)| it says: D(x) and D(y) share at least -(r(x) plus r(y)) / 2 elements. Hence:

- Documents are taken by falling reach, the first being the centre c. A pair that need not share anything has
  r(x) plus r(y) >= 0, so both are similar to c itself: comparing everyone with c covers all those pairs.
- All other similar pairs share an element. Elements are ordered by how rare they are; the first that a pair shares
  has at most |D(x)| - (its position in D(x)) shared ones from it on, and likewise in D(y). So only the first, rare
  elements of a delta have to be looked up and noted, and what is noted expires as the reach falls.
- A list is skipped where all its documents are in one component with the current document.

Bitmaps that hold each delta folded to a few words reject most pairs of the rest: their Hamming distance is a lower
bound. Nothing is missed, whatever the base.

Sources: Chaudhuri, Ganti, Kaushik 2006 (prefix filter); Xiao, Wang, Lin, Yu 2008, "Efficient similarity joins for near
duplicate detection" (positions); Ribeiro and Haerder 2011 (expiry); Sandes, Teodoro, Melo 2020 (bitmaps). Base and
reach are our own.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from corpuscurate.kernels.compile import kernel, uncounted
from corpuscurate.kernels.duplicates.components import Int, find, union
from corpuscurate.kernels.duplicates.ranks import population
from corpuscurate.kernels.hashing import mix64

SLACK = 1e-6
"""Reaches are rounded; filters let through what is this near to the border, and the similarity itself decides."""
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


@uncounted
def _far_apart(a: NDArray[np.uint64], b: NDArray[np.uint64], most: float) -> bool:
    """Whether the Hamming distance of two bitmaps exceeds `most`."""
    apart: Int = 0
    for word in range(len(a)):
        apart += population(a[word] ^ b[word])
    return bool(apart > most)


@uncounted
def _similarity(i: Int, j: Int, d: Deltas, threshold: float, values: Int) -> float:
    """Similarity of two documents, or -1 below the threshold. values: of a signature, 0 for sets."""
    at = np.uint64(d.starts[i])
    end = np.uint64(d.starts[i + 1])
    to = np.uint64(d.starts[j])
    stop = np.uint64(d.starts[j + 1])
    both = 0
    while at < end and to < stop:
        x = d.elements[at]
        y = d.elements[to]
        both += x == y
        at += np.uint64(x <= y)
        to += np.uint64(y <= x)
    apart = d.distance[i] + d.distance[j] - 2 * both
    shared = (d.size[i] + d.size[j] - apart) // 2
    similarity = shared / (values if values else d.size[i] + d.size[j] - shared)
    return similarity if similarity >= threshold else -1.0


@kernel
def join_deltas(
    d: Deltas,
    lists: NDArray[np.int64],
    threshold: float,
    values: Int,
    budget: Int,
    budget_each: Int,
    parent: NDArray[np.int64],
    counts: NDArray[np.int64],
    out_a: NDArray[np.int64],
    out_b: NDArray[np.int64],
    out_similarity: NDArray[np.float64],
) -> Int:
    """Join all similar documents in `parent`; returns the edges written, each of which joined two components.

    lists: int64[elements + 1], where the noted documents of each element begin (as many entries as documents have it).
    values: 0 for the Jaccard similarity of sets; else the number of values of each signature. budget: documents met in
    lists, plus `budget_each` for each document taken so far. parent: int64[n], components known before. counts:
    int64[4], added to: compared, verified, rejected, and met in lists but not compared because the budget was used up.
    out_a, out_b, out_similarity: of length n.
    """
    n = len(d.starts) - 1
    noted = np.empty(lists[-1], np.int32)
    left = np.empty(lists[-1], np.int32)  # |D| less the position of the element: shared ones at most, from it on
    filled = np.zeros(len(lists) - 1, np.int32)
    uniform = np.zeros(len(lists) - 1, np.int32)  # documents at the head of the list that are in one component
    edges = 0
    used = 0
    for i in range(n):
        if i > 0 and find(parent, i) != find(parent, 0):
            counts[0] += 1
            similarity = _similarity(i, 0, d, threshold, values)
            if similarity >= 0.0:
                counts[1] += 1
                out_a[edges] = i
                out_b[edges] = 0
                out_similarity[edges] = similarity
                edges += 1
                union(parent, i, 0)
            else:
                counts[2] += 1
        if i == 0:
            continue  # everyone is compared with the centre
        root = find(parent, i)
        alone = d.distance[i] - (d.starts[i + 1] - d.starts[i])  # elements that no other document has
        limit = budget + budget_each * (i + 1)
        limited = False
        for at in range(d.starts[i], d.starts[i + 1]):
            own_left = d.distance[i] - alone - (at - d.starts[i])
            if own_left + SLACK < -(d.reach[i] + d.reach[0]) / 2:
                break
            e = d.elements[at]
            first = lists[e]
            length = np.int64(filled[e])
            if length == 0:
                continue
            head = find(parent, noted[first])
            known = np.int64(uniform[e])
            read = known if head == root else 0
            write = read
            run = read
            in_run = True
            while read < length:
                j = np.int64(noted[first + read])
                need = -(d.reach[i] + d.reach[j]) / 2
                if need > own_left + SLACK:
                    break  # so do all that follow, whose reach is less
                spare = left[first + read]
                if need > spare + SLACK:  # expired: later documents need even more
                    read += 1
                    continue
                other = find(parent, j)
                if other != root:
                    if used >= limit:
                        limited = True
                        break
                    used += 1
                    counts[0] += 1
                    most = d.distance[i] + d.distance[j] - 2 * need + SLACK
                    similarity = -1.0
                    if not _far_apart(d.bitmaps[i], d.bitmaps[j], most):
                        similarity = _similarity(i, j, d, threshold, values)
                    if similarity >= 0.0:
                        counts[1] += 1
                        out_a[edges] = i
                        out_b[edges] = j
                        out_similarity[edges] = similarity
                        edges += 1
                        root = union(parent, i, j)
                        head = find(parent, head)
                        other = root
                    else:
                        counts[2] += 1
                if write == 0:
                    head = other
                in_run = in_run and other == head
                if in_run:
                    run = write + 1
                noted[first + write] = j
                left[first + write] = spare
                read += 1
                write += 1
            if limited:
                counts[3] += length - read
            run = max(run, known - (read - write))  # components only grow
            if write < read:
                while read < length:
                    noted[first + write] = noted[first + read]
                    left[first + write] = left[first + read]
                    read += 1
                    write += 1
                filled[e] = write
            uniform[e] = min(run, np.int64(filled[e]))
        least = max(1.0, -d.reach[i])  # what a later document has to share with it
        for at in range(d.starts[i], d.starts[i + 1]):
            own_left = d.distance[i] - alone - (at - d.starts[i])
            if own_left + SLACK < least:
                break
            e = d.elements[at]
            length = np.int64(filled[e])
            if uniform[e] == length and (length == 0 or find(parent, noted[lists[e]]) == root):
                uniform[e] = length + 1
            noted[lists[e] + length] = i
            left[lists[e] + length] = own_left
            filled[e] = length + 1
    return edges
