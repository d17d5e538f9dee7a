"""`settling: greedy`: a document is dropped when it is similar to one that is kept, and for no other reason.

Documents are taken in keep order, and each is compared with the kept documents of its buckets, by band and then in keep
order; the first that is similar drops it. So no document is dropped for its similarity to a dropped one, and there are
no chains. A bucket has a budget of comparisons; those beyond it are skipped and counted.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from corpuscurate.kernels.compile import kernel
from corpuscurate.kernels.duplicates.components import Int
from corpuscurate.kernels.duplicates.verify import (
    CAPPED_BUCKETS,
    CAPPED_DOCUMENTS,
    SKIPPED,
    Rule,
    Sketches,
    pair_similarity,
)

UNVERIFIED = 0
"""A kind of rule: documents that share a bucket count as similar."""


@kernel
def buckets_of_documents(
    members: NDArray[np.int64], offsets: NDArray[np.int64], out_offsets: NDArray[np.int64], out: NDArray[np.int64]
) -> Int:
    """The buckets of each document, ascending. out_offsets: int64[m + 1]; out: int64[len(members)]. Returns m."""
    m = len(out_offsets) - 1
    out_offsets[:] = 0
    for i in range(len(members)):
        out_offsets[members[i] + 1] += 1
    for d in range(m):
        out_offsets[d + 1] += out_offsets[d]
    following = out_offsets[:m].copy()
    for bucket in range(len(offsets) - 1):
        for i in range(offsets[bucket], offsets[bucket + 1]):
            d = members[i]
            out[following[d]] = bucket
            following[d] += 1
    return m


@kernel
def settle_greedily(
    members: NDArray[np.int64],
    offsets: NDArray[np.int64],
    s: Sketches,
    rule: Rule,
    always_kept: Int,
    parent: NDArray[np.int64],
    counts: NDArray[np.int64],
    out_a: NDArray[np.int64],
    out_b: NDArray[np.int64],
    out_similarity: NDArray[np.float64],
) -> Int:
    """Drop documents that are similar to a kept one. Returns how many; each is an edge to the document that dropped it.

    members: int64, documents 0..m-1 numbered in keep order, ascending in each bucket offsets[i]..offsets[i+1]-1, the
    buckets of a document by band; changed. rule: its kind UNVERIFIED, SIGNATURE or EXACT; its budgets are of a bucket.
    always_kept: the number of first documents that are kept in any case.
    parent: int64[m], that of a dropped document becomes the one that dropped it. counts: int64[COUNTS], added to.
    out_a, out_b: int64[m], out_similarity: float64[m].
    """
    m = len(parent)
    starts = np.empty(m + 1, np.int64)
    buckets = np.empty(len(members), np.int64)
    buckets_of_documents(members, offsets, starts, buckets)
    size = len(offsets) - 1
    kept = np.zeros(size, np.int64)  # the kept documents of a bucket are at the front of its members
    used = np.zeros(size, np.int64)
    skipped = np.zeros(size, np.int64)
    met = np.full(m, -1, np.int64)
    edges = 0
    for d in range(m):
        dropped = False
        for i in range(starts[d], starts[d + 1] if d >= always_kept else starts[d]):
            bucket = buckets[i]
            allowed = max(rule.budget - used[bucket], rule.budget_each)
            tried = 0
            for at in range(offsets[bucket], offsets[bucket] + kept[bucket]):
                e = members[at]
                if met[e] == d:
                    continue
                if tried >= allowed:
                    skipped[bucket] += offsets[bucket] + kept[bucket] - at
                    break
                met[e] = d
                tried += 1
                similarity = 0.0 if rule.kind == UNVERIFIED else pair_similarity(d, e, s, rule, counts)
                if similarity >= 0.0:
                    dropped = True
                    parent[d] = e
                    out_a[edges] = d
                    out_b[edges] = e
                    out_similarity[edges] = similarity
                    edges += 1
                    break
            used[bucket] += tried
            if dropped:
                break
        if not dropped:
            for i in range(starts[d], starts[d + 1]):
                bucket = buckets[i]
                members[offsets[bucket] + kept[bucket]] = d
                kept[bucket] += 1
    for bucket in range(size):
        if skipped[bucket]:
            counts[CAPPED_BUCKETS] += 1
            counts[CAPPED_DOCUMENTS] += offsets[bucket + 1] - offsets[bucket]
            counts[SKIPPED] += skipped[bucket]
    return edges
