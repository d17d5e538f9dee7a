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
- A list begins with a run of documents that are known to be in one component; it is skipped where that is the
  component of the current document. So a crowd of near-copies costs each of its documents constant work a list.

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

from corpuscurate.kernels.compile import inlined, kernel, uncounted
from corpuscurate.kernels.duplicates.components import Int, find, union
from corpuscurate.kernels.duplicates.deltas import Deltas
from corpuscurate.kernels.duplicates.ranks import population

SLACK = 1e-6
"""Reaches are rounded; filters let through what is this near to the border, and the similarity itself decides."""
CENTRE, MET, FAR, JOINED, CAPPED, SEARCHED, READ, NOTED = range(8)
"""Indices of the work that `join_deltas` counts: comparisons with the centre; comparisons with documents of lists, and
how many of these the bitmaps reject; edges; entries that the budget leaves out; lists searched; their entries read;
entries written."""
WORK = 8


class Lists(NamedTuple):
    """For each element the earlier documents that were noted with it, by falling reach: its entries.

    starts: int64[elements + 1], where the entries of an element begin; there is room for all documents that have it.
    documents: int32[starts[-1]]. left: int32[starts[-1]], elements of that document from this one on: the most that it
    shares with another document whose first shared element this is. length: int32[elements], the entries of each.
    run: int32[elements], how many at the head are known to be in one component."""

    starts: NDArray[np.int64]
    documents: NDArray[np.int32]
    left: NDArray[np.int32]
    length: NDArray[np.int32]
    run: NDArray[np.int32]


class Joined(NamedTuple):
    """What is found. parent: int64[n], components. work: int64[WORK]. a, b: int64[n], similarity: float64[n], edges."""

    parent: NDArray[np.int64]
    work: NDArray[np.int64]
    a: NDArray[np.int64]
    b: NDArray[np.int64]
    similarity: NDArray[np.float64]


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


@uncounted
def _compare(i: Int, j: Int, d: Deltas, threshold: float, values: Int, found: Joined) -> None:
    """Join two documents of different components where they are similar."""
    similarity = _similarity(i, j, d, threshold, values)
    if similarity >= 0.0:
        edge = found.work[JOINED]
        found.work[JOINED] += 1
        found.a[edge] = i
        found.b[edge] = j
        found.similarity[edge] = similarity
        union(found.parent, i, j)


@uncounted
def _compare_with_centre(i: Int, d: Deltas, threshold: float, values: Int, found: Joined) -> None:
    """Step 1: this covers all similar pairs that share no element."""
    if find(found.parent, i) != find(found.parent, 0):
        found.work[CENTRE] += 1
        _compare(i, 0, d, threshold, values, found)


@inlined
def _compare_with_entry(i: Int, j: Int, shared: float, d: Deltas, threshold: float, values: Int, found: Joined) -> None:
    """Compare with a document of a list, if the bitmaps allow that they are similar. shared: the least they share."""
    found.work[MET] += 1
    most = d.distance[i] + d.distance[j] - 2 * shared + SLACK
    if _far_apart(d.bitmaps[i], d.bitmaps[j], most):
        found.work[FAR] += 1
    else:
        _compare(i, j, d, threshold, values, found)


@inlined
def _search_list(
    i: Int,
    root: Int,
    e: Int,
    own_left: Int,
    limit: Int,
    d: Deltas,
    lists: Lists,
    threshold: float,
    values: Int,
    found: Joined,
) -> Int:
    """Step 2 for element e. root: of document i; returned as it is then. own_left: elements of i from this one on."""
    first = lists.starts[e]
    length = np.int64(lists.length[e])
    if length == 0:
        return root
    known = np.int64(lists.run[e])
    read = known if find(found.parent, lists.documents[first]) == root else 0  # skips those of this component
    write = read
    run = read  # entries at the head that are in the component of i
    while read < length:
        j = np.int64(lists.documents[first + read])
        shared = -(d.reach[i] + d.reach[j]) / 2
        if shared > own_left + SLACK:
            break  # i has too few, for all that follow too: their reach is less
        found.work[READ] += 1
        left = lists.left[first + read]
        if shared > left + SLACK:  # j has too few, for all later documents too: their reach is less
            read += 1
            continue
        joined = find(found.parent, j) == root
        if not joined:
            if found.work[MET] >= limit:
                found.work[CAPPED] += length - read
                break
            _compare_with_entry(i, j, shared, d, threshold, values, found)
            root = find(found.parent, i)
            joined = find(found.parent, j) == root
        if joined and run == write:
            run += 1
        lists.documents[first + write] = j
        lists.left[first + write] = left
        read += 1
        write += 1
    lists.run[e] = max(run, known - (read - write))  # components only grow
    if write < read:
        _close_gap(e, read, write, lists)
    return root


@uncounted
def _close_gap(e: Int, read: Int, write: Int, lists: Lists) -> None:
    """Move the entries from `read` on to `write`."""
    first = lists.starts[e]
    gap = read - write
    length = np.int64(lists.length[e])
    for at in range(first + read, first + length):
        lists.documents[at - gap] = lists.documents[at]
        lists.left[at - gap] = lists.left[at]
    lists.length[e] = length - gap


@uncounted
def _search_lists(i: Int, limit: Int, d: Deltas, lists: Lists, threshold: float, values: Int, found: Joined) -> None:
    """Step 2: compare document i with earlier ones that share one of its first elements."""
    end = d.starts[i + 1]
    least = -(d.reach[i] + d.reach[0]) / 2  # what it shares with any similar document
    root = find(found.parent, i)
    for at in range(d.starts[i], end):
        if end - at + SLACK < least:
            break
        found.work[SEARCHED] += 1
        root = _search_list(i, root, d.elements[at], end - at, limit, d, lists, threshold, values, found)


@uncounted
def _note(i: Int, d: Deltas, lists: Lists, found: Joined) -> None:
    """Step 3: append document i to the lists of its first elements, for later ones."""
    end = d.starts[i + 1]
    least = max(1.0, -d.reach[i])  # what a later document has to share with it
    for at in range(d.starts[i], end):
        if end - at + SLACK < least:
            break
        e = d.elements[at]
        entry = lists.starts[e] + lists.length[e]
        lists.documents[entry] = i
        lists.left[entry] = end - at
        lists.length[e] += 1
        found.work[NOTED] += 1


@uncounted
def _join(d: Deltas, lists: Lists, threshold: float, values: Int, budget: Int, budget_each: Int, found: Joined) -> None:
    for i in range(1, len(d.starts) - 1):
        _compare_with_centre(i, d, threshold, values, found)
        _search_lists(i, budget + budget_each * (i + 1), d, lists, threshold, values, found)
        _note(i, d, lists, found)


@kernel
def join_deltas(
    d: Deltas,
    starts: NDArray[np.int64],
    threshold: float,
    values: Int,
    budget: Int,
    budget_each: Int,
    parent: NDArray[np.int64],
    work: NDArray[np.int64],
    out_a: NDArray[np.int64],
    out_b: NDArray[np.int64],
    out_similarity: NDArray[np.float64],
) -> Int:
    """Join all similar documents in `parent`; returns the edges written, each of which joined two components.

    starts: int64[elements + 1], where the entries of each element begin (as many as documents have it).
    values: 0 for the Jaccard similarity of sets; else the number of values of each signature. budget: comparisons with
    documents of lists, plus `budget_each` for each document taken so far. parent: int64[n], components known before.
    work: int64[WORK], zeros; counts what was done. out_a, out_b, out_similarity: of length n.

    Documents are taken by falling reach. Each goes through three steps: it is compared with the centre, the first one;
    then with the entries of its first elements' lists; then noted there itself.

    Six sets, given by their deltas from the base {1, .., 10}, threshold .75, so k = 1/7:

        set  delta            size  reach  elements that others have, from rare to common
        a    11                 11   .57   11
        b    7                   9   .29   7
        c    2 6                 8  -.86   6 2
        d    2 4 7               7  -2.0   2 7
        e    6 7 11 13          10  -2.6   6 7 11
        f    2 5 8 11 12         9  -3.7   2 11

    - a is the centre.
    - b is similar to a (.82) and joined. Its list, that of 7, is empty. It is noted with 7.
    - c is not similar to a (.73), and its lists are empty. It is noted with 6 (2 left: 6 and 2) and with 2 (1 left).
    - d is not similar to a (.64). To be similar to c it would have to share (.86 + 2.0) / 2 = 1.4 elements with it, but
      from 2 on, c has 1: the entry has expired and is dropped, since later documents need even more. In the list of 7
      stands b, which is similar (.78): joined. A later document has to share 2.0 elements with d, so d is noted with 2
      (2 left), and not with 7 (1 left).
    - e is similar to a (.75): joined. In the list of 6 stands c; their bitmaps differ in 4 bits where 2.6 are allowed.
      The list of 7 begins with a run of 1 document, b, of e's own component: skipped. e is noted with 6 (3 left of the
      2.6 needed), and not with 7.
    - f is not similar to a (.67). It would have to share (3.7 + 2.0) / 2 = 2.9 elements with d in the list of 2, and
      has 2 left: the search of this list stops. With any document it must share (3.7 - .57) / 2 = 1.6, and from 11 on
      it has 1: the search ends. It is noted nowhere.

    So {a, b, d, e} is one component, after 5 comparisons with the centre, 2 with entries, and 3 entries
    read of 9 lists.
    """
    room = starts[-1]
    elements = len(starts) - 1
    lists = Lists(
        starts, np.empty(room, np.int32), np.empty(room, np.int32),
        np.zeros(elements, np.int32), np.zeros(elements, np.int32),
    )  # fmt: skip
    _join(d, lists, threshold, values, budget, budget_each, Joined(parent, work, out_a, out_b, out_similarity))
    return np.int64(work[JOINED])
