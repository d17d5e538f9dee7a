"""Coarse components of documents that share buckets, and the assignment of documents and buckets to the parts of a
plan.

Documents in buckets are given by their numbers; `words` and `before` tell the rank of each among them
(`kernels.duplicates.ranks`).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from corpuscurate.kernels.compile import kernel, uncounted
from corpuscurate.kernels.duplicates.components import Indices, Int, union
from corpuscurate.kernels.duplicates.ranks import rank_of


@uncounted
def union_buckets(
    parent: Indices,
    numbers: Indices,
    offsets: Indices,
    words: NDArray[np.uint64],
    before: NDArray[np.int64],
    index: Indices,
) -> int:
    """Join all members numbers[offsets[b]:offsets[b + 1]] of each bucket in `parent`, where the number of rank r has
    the index `index[r]`. Returns the number of buckets."""
    for bucket in range(len(offsets) - 1):
        first = index[rank_of(numbers[offsets[bucket]], words, before)]
        for i in range(np.int64(offsets[bucket]) + 1, np.int64(offsets[bucket + 1])):
            first = union(parent, first, index[rank_of(numbers[i], words, before)])
    return len(offsets) - 1


@uncounted
def spread_components(
    root: Indices, parts: int, counts: NDArray[np.int64], out_part: NDArray[np.uint8], out_local: Indices
) -> Int:
    """Give each component, in the order of the roots, to a part, so that the parts get about equal numbers of
    documents.

    root: the component of each document, its smallest member. counts: int64[max(m, parts + 1)], 0; afterwards
    counts[p] is where part p begins among all documents by part, for p in 0..parts. out_part: the part of each
    document; out_local: its index there, ascending with the document. Returns the number of components.
    """
    m = len(root)
    for i in range(m):
        counts[root[i]] += 1
    components = 0
    total = 0
    for i in range(m):
        if np.int64(root[i]) == i:
            total += counts[i]
            out_part[i] = min((total - 1) * parts // m, parts - 1)
            components += 1
        else:
            out_part[i] = out_part[root[i]]  # which is smaller
    counts[: parts + 1] = 0
    for i in range(m):
        out_local[i] = counts[out_part[i]]
        counts[out_part[i]] += 1
    start = 0
    for p in range(parts + 1):
        size = counts[p]
        counts[p] = start
        start += size
    return components


@uncounted
def order_by_part(
    root: Indices,
    part: NDArray[np.uint8],
    local: Indices,
    starts: NDArray[np.int64],
    out: Indices,
    out_groups: Indices,
) -> int:
    """The documents part after part, and the root of each as an index of its part. Returns how many."""
    for i in range(len(root)):
        at = starts[part[i]] + np.int64(local[i])
        out[at] = i
        out_groups[at] = local[root[i]]
    return len(root)


@kernel
def spread_buckets(
    numbers: Indices,
    offsets: Indices,
    words: NDArray[np.uint64],
    before: NDArray[np.int64],
    part: NDArray[np.uint8],
    local: Indices,
    last: Indices,
    out_member_ends: NDArray[np.int64],
    out_bucket_ends: NDArray[np.int64],
    out_members: Indices,
    out_sizes: Indices,
) -> Int:
    """The buckets of each part, one part after the other, each in the given order. Returns how many are left.

    A bucket of two or three documents is left out when the one that the same document began last, in an earlier band,
    was the same: it has no pair that was not met there. Near-copies share most of their bands.

    numbers, offsets: buckets of documents, all of one component, ascending. part, local: by rank, the part of each
    document and its index there. last: [documents, 2], by rank of the first the other members of its last bucket, 0
    for none; changed. out_member_ends, out_bucket_ends: int64[parts + 1], where each part begins and ends. out_members:
    local indices; out_sizes: of each bucket.
    """
    parts = len(out_member_ends) - 1
    stays = np.empty(len(offsets) - 1, np.bool_)
    out_member_ends[:] = 0
    out_bucket_ends[:] = 0
    for bucket in range(len(offsets) - 1):
        start = np.int64(offsets[bucket])
        size = np.int64(offsets[bucket + 1]) - start
        first = rank_of(numbers[start], words, before)
        stays[bucket] = True
        if size <= 3:
            second = numbers[start + 1]
            third = numbers[start + 2] if size == 3 else second - second  # 0, of its type
            stays[bucket] = last[first, 0] != second or last[first, 1] != third
            last[first, 0] = second
            last[first, 1] = third
        if stays[bucket]:
            at = np.int64(part[first])
            out_bucket_ends[at + 1] += 1
            out_member_ends[at + 1] += size
    for p in range(parts):
        out_bucket_ends[p + 1] += out_bucket_ends[p]
        out_member_ends[p + 1] += out_member_ends[p]
    next_bucket = out_bucket_ends[:-1].copy()
    next_member = out_member_ends[:-1].copy()
    for bucket in range(len(offsets) - 1):
        if not stays[bucket]:
            continue
        start = np.int64(offsets[bucket])
        end = np.int64(offsets[bucket + 1])
        at = np.int64(part[rank_of(numbers[start], words, before)])
        out_sizes[next_bucket[at]] = end - start
        next_bucket[at] += 1
        for i in range(start, end):
            out_members[next_member[at]] = local[rank_of(numbers[i], words, before)]
            next_member[at] += 1
    return np.int64(out_bucket_ends[parts])


@kernel
def order_buckets(
    members: NDArray[np.int64], offsets: NDArray[np.int64], groups: NDArray[np.int64], out: NDArray[np.int64]
) -> int:
    """The buckets by the group of their documents, those of a group in the given order. Returns how many.

    groups: the group of each document, below len(groups). out: int64[buckets].
    """
    following = np.zeros(len(groups) + 1, np.int64)
    for bucket in range(len(offsets) - 1):
        following[groups[members[offsets[bucket]]] + 1] += 1
    for group in range(len(groups)):
        following[group + 1] += following[group]
    for bucket in range(len(offsets) - 1):
        group = groups[members[offsets[bucket]]]
        out[following[group]] = bucket
        following[group] += 1
    return len(offsets) - 1


@kernel
def renumber_buckets(
    members: NDArray[np.int64],
    offsets: NDArray[np.int64],
    order: NDArray[np.int64],
    numbers: NDArray[np.int64],
    out: NDArray[np.int64],
    out_offsets: NDArray[np.int64],
) -> Int:
    """The buckets in this order, with numbers[d] for each member d, ascending in each bucket. Returns how many members.

    out: int64[len(members)]; out_offsets: int64[buckets + 1].
    """
    filled = 0
    out_offsets[0] = 0
    for b in range(len(order)):
        first = filled
        ascending = True
        for i in range(offsets[order[b]], offsets[order[b] + 1]):
            out[filled] = numbers[members[i]]
            ascending &= filled == first or out[filled - 1] < out[filled]
            filled += 1
        if not ascending:
            out[first:filled].sort()
        out_offsets[b + 1] = filled
    return filled
