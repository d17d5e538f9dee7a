"""Spreading buckets over the parts of a plan."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from corpuscurate.kernels.compile import kernel


@kernel
def spread_buckets(
    members: NDArray[np.int64],
    offsets: NDArray[np.int64],
    root: NDArray[np.int64],
    part: NDArray[np.int64],
    local: NDArray[np.int64],
    parts: int,
    member_ends: NDArray[np.int64],
    bucket_ends: NDArray[np.int64],
    out_members: NDArray[np.int64],
    out_sizes: NDArray[np.int64],
    out_groups: NDArray[np.int64],
) -> int:
    """The buckets of each part, one part after the other, each in the given order. Returns the number of buckets.

    members, offsets: buckets of documents, all of one component. root: int64[m], the component of each document; part:
    int64[m], the part of each; local: int64[m], its index there. member_ends, bucket_ends: int64[parts + 1], where each
    part begins and ends. out_members: local indices; out_sizes, out_groups: size and component of each bucket.
    """
    buckets = len(offsets) - 1
    member_ends[:] = 0
    bucket_ends[:] = 0
    for bucket in range(buckets):
        p = part[members[offsets[bucket]]]
        bucket_ends[p + 1] += 1
        member_ends[p + 1] += offsets[bucket + 1] - offsets[bucket]
    for p in range(parts):
        bucket_ends[p + 1] += bucket_ends[p]
        member_ends[p + 1] += member_ends[p]
    next_bucket = bucket_ends[:-1].copy()
    next_member = member_ends[:-1].copy()
    for bucket in range(buckets):
        first = members[offsets[bucket]]
        p = part[first]
        out_sizes[next_bucket[p]] = offsets[bucket + 1] - offsets[bucket]
        out_groups[next_bucket[p]] = root[first]
        next_bucket[p] += 1
        for i in range(offsets[bucket], offsets[bucket + 1]):
            out_members[next_member[p]] = local[members[i]]
            next_member[p] += 1
    return buckets
