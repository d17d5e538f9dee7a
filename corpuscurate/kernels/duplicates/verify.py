"""Verification of candidate buckets: which documents of a bucket are truly similar, and so belong together.

The result is the connected components of the graph of all candidate pairs (two documents in one bucket) that are as
similar as the threshold asks. Pairs that are connected already are not compared. Buckets are taken in the order given
and their documents in keep order, each against the components that the bucket has so far: first against the first
member of each, then against the others. A bucket of copies therefore costs one comparison a document. Where no
documents are similar, the work grows with the square of the bucket: large ones are for
`kernels.duplicates.large_bucket_join`.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from corpuscurate.kernels.compile import kernel, uncounted
from corpuscurate.kernels.duplicates.components import Int, find, union

SIGNATURE = 1
EXACT = 2

COMPARED, VERIFIED, FEW_EQUAL_VALUES, REJECTED, CAPPED_BUCKETS, CAPPED_DOCUMENTS, SKIPPED = range(7)
"""Indices of the counts. FEW_EQUAL_VALUES: rejected on the signatures alone."""
COUNTS = 7


class Sketches(NamedTuple):
    """What candidates are compared by. row: int64[m], the row of each document. signatures: uint32[rows, k].
    set_offsets: int64[rows + 1], sets: uint64[...], sorted distinct shingle hashes (EXACT only)."""

    row: NDArray[np.int64]
    signatures: NDArray[np.uint32]
    set_offsets: NDArray[np.int64]
    sets: NDArray[np.uint64]


class Rule(NamedTuple):
    """How candidates are compared. kind: SIGNATURE or EXACT. threshold: of the similarity. few: signatures with fewer
    equal values are rejected. rows: of a band. budget, budget_each: see `large_bucket_join.join_deltas`."""

    kind: int
    threshold: float
    few: int
    rows: int
    budget: int
    budget_each: int


@uncounted
def equal_values(a: NDArray[np.uint32], b: NDArray[np.uint32]) -> Int:
    """Positions in which two signatures agree."""
    equal = 0
    for j in range(len(a)):
        equal += a[j] == b[j]
    return equal


@uncounted
def intersection(a: NDArray[np.uint64], b: NDArray[np.uint64]) -> Int:
    """Size of the intersection of two sorted sets; without branches that depend on the data."""
    size_a = np.uint64(len(a))
    size_b = np.uint64(len(b))
    i = np.uint64(0)
    j = np.uint64(0)
    both = 0
    while i < size_a and j < size_b:
        x = a[i]
        y = b[j]
        both += x == y
        i += np.uint64(x <= y)
        j += np.uint64(y <= x)
    return both


@uncounted
def exact_similarity(a: NDArray[np.uint64], b: NDArray[np.uint64], threshold: float) -> float:
    """Jaccard similarity of two sorted sets, or -1 where it is below the threshold.

    It is the float64 nearest to intersection / union, so that 4 / 5 equals the threshold 0.8 as it is written: the
    quotient of two whole numbers below 2^50 that is not equal to a short decimal is not rounded to it either.
    """
    smaller = min(len(a), len(b))
    larger = max(len(a), len(b))
    if larger == 0 or smaller / larger < threshold:  # the most it can be
        return -1.0
    both = intersection(a, b)
    similarity = both / (len(a) + len(b) - both)
    return similarity if similarity >= threshold else -1.0


@uncounted
def _met_before(a: NDArray[np.uint32], b: NDArray[np.uint32], band: Int, rows: Int) -> bool:
    """Whether the two agree in an earlier band, so that an earlier bucket had both."""
    for start in range(0, band * rows, rows):
        same = True
        for j in range(start, start + rows):
            if a[j] != b[j]:
                same = False
                break
        if same:
            return True
    return False


@uncounted
def pair_similarity(d: Int, e: Int, s: Sketches, rule: Rule, counts: NDArray[np.int64]) -> float:
    """Similarity of two documents, or -1 below the threshold."""
    a = s.row[d]
    b = s.row[e]
    counts[COMPARED] += 1
    equal = equal_values(s.signatures[a], s.signatures[b])
    if equal < rule.few:
        counts[FEW_EQUAL_VALUES] += 1
        return -1.0
    if rule.kind == EXACT:
        x = s.sets[s.set_offsets[a] : s.set_offsets[a + 1]]
        y = s.sets[s.set_offsets[b] : s.set_offsets[b + 1]]
        similarity = exact_similarity(x, y, rule.threshold)
    else:
        similarity = equal / s.signatures.shape[1]
        if similarity < rule.threshold:
            similarity = -1.0
    if similarity < 0.0:
        counts[REJECTED] += 1
    else:
        counts[VERIFIED] += 1
    return similarity


@uncounted
def _similarity(d: Int, e: Int, band: Int, s: Sketches, rule: Rule, counts: NDArray[np.int64]) -> float:
    """As `pair_similarity`, but -1 where the two were compared before."""
    if _met_before(s.signatures[s.row[d]], s.signatures[s.row[e]], band, rule.rows):
        return -1.0
    return pair_similarity(d, e, s, rule, counts)


@uncounted
def prefilter_members(
    members: NDArray[np.int64],
    offsets: NDArray[np.int64],
    rows: NDArray[np.int64],
    signatures: NDArray[np.uint32],
    few: Int,
    large_bucket: Int,
    out: NDArray[np.bool_],
) -> Int:
    """Mark the documents that have `few` values or more in common with another one of a bucket.

    members, offsets: as in `verify_buckets`, in any order. rows: int64[m], the row of each document in `signatures`.
    large_bucket: all members of larger buckets are marked. out: bool[m], False before. Returns the comparisons.
    """
    compared = 0
    for bucket in range(len(offsets) - 1):
        first = offsets[bucket]
        end = offsets[bucket + 1]
        if end - first > large_bucket:
            for i in range(first, end):
                out[members[i]] = True
            continue
        for i in range(first + 1, end):
            a = members[i]
            for j in range(first, i):
                b = members[j]
                if out[a] and out[b]:
                    continue
                compared += 1
                if equal_values(signatures[rows[a]], signatures[rows[b]]) >= few:
                    out[a] = True
                    out[b] = True
    return compared


@kernel
def verify_buckets(
    members: NDArray[np.int64],
    offsets: NDArray[np.int64],
    bands: NDArray[np.int64],
    s: Sketches,
    rule: Rule,
    covered: NDArray[np.bool_],
    parent: NDArray[np.int64],
    counts: NDArray[np.int64],
    out_a: NDArray[np.int64],
    out_b: NDArray[np.int64],
    out_similarity: NDArray[np.float64],
) -> Int:
    """Join the documents that are similar. Returns the number of edges written: each joined two components.

    members: int64, documents 0..m-1 numbered in keep order, ascending in each bucket offsets[i]..offsets[i+1]-1.
    bands: int64, the band of each bucket, ascending among buckets that may share documents. covered: bool[m], documents
    of which all pairs in a bucket were compared before. parent: int64[m], the components known before; changed. counts:
    int64[COUNTS], added to. out_a, out_b: int64[m], out_similarity: float64[m].
    """
    m = len(parent)
    longest = 0
    for bucket in range(len(offsets) - 1):
        longest = max(longest, offsets[bucket + 1] - offsets[bucket])
    # The components of the current bucket are linked lists of positions in it.
    following = np.empty(longest, np.int64)
    head = np.empty(longest, np.int64)
    tail = np.empty(longest, np.int64)
    dead = np.empty(longest, np.bool_)
    order = np.empty(longest, np.int64)
    list_of = np.empty(m, np.int64)  # by root; valid where stamp is the bucket
    stamp = np.full(m, -1, np.int64)
    edges = 0
    for bucket in range(len(offsets) - 1):
        band = bands[bucket]
        first = offsets[bucket]
        size = offsets[bucket + 1] - first
        lists = 0
        alive = 0  # entries of order, dead ones included
        dying = 0
        for i in range(size):
            d = members[first + i]
            root = find(parent, d)
            own = list_of[root] if stamp[root] == bucket else -1
            for step in range(2):  # first members, then the others
                for at in range(alive):
                    c = order[at]
                    if dead[c] or c == own:
                        continue
                    position = head[c] if step == 0 else following[head[c]]
                    similarity = -1.0
                    while position >= 0:
                        if covered[d] and covered[members[first + position]]:
                            position = -1 if step == 0 else following[position]
                            continue
                        similarity = _similarity(d, members[first + position], band, s, rule, counts)
                        if similarity >= 0.0:
                            break
                        position = -1 if step == 0 else following[position]
                    if similarity >= 0.0:
                        e = members[first + position]
                        out_a[edges] = d
                        out_b[edges] = e
                        out_similarity[edges] = similarity
                        edges += 1
                        root = union(parent, d, e)
                        if own < 0:
                            own = c
                        else:
                            low = min(own, c)
                            high = max(own, c)
                            following[tail[low]] = head[high]
                            tail[low] = tail[high]
                            dead[high] = True
                            dying += 1
                            own = low
            following[i] = -1
            if own < 0:
                own = lists
                head[own] = i
                dead[own] = False
                order[alive] = own
                lists += 1
                alive += 1
            else:
                following[tail[own]] = i
            tail[own] = i
            list_of[root] = own
            stamp[root] = bucket
            if dying > 32 and 2 * dying > alive:
                kept = 0
                for at in range(alive):
                    if not dead[order[at]]:
                        order[kept] = order[at]
                        kept += 1
                alive = kept
                dying = 0
    return edges
