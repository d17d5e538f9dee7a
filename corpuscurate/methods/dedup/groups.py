"""The buckets of a part in blocks of whole groups: a block is compared at a time.

Documents of two groups never share a bucket, so blocks do not change the result. All blocks use the same memory: that
costs far less than fresh memory for a whole part, and more of it is in the processor's cache.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from corpuscurate.methods.dedup.candidates import PlannedPart


class Buckets(NamedTuple):
    """Some buckets and the documents in them; all int64. documents: indices of documents of the part, ascending.
    members, offsets: buckets of indices of `documents`. bands: [buckets]. groups: [documents]."""

    documents: NDArray[np.int64]
    members: NDArray[np.int64]
    offsets: NDArray[np.int64]
    bands: NDArray[np.int64]
    groups: NDArray[np.int64]


def in_blocks(part: PlannedPart, sizes: NDArray[np.int64], most: int) -> Iterator[Buckets]:
    """The buckets of a part, which are sorted by group, block after block.

    sizes: int64[m], of the documents. Those of a block are `most` together, unless it is a single group.
    """
    inside = np.zeros(len(part.groups), np.bool_)
    inside[part.members] = True
    documents = np.flatnonzero(inside)
    groups = part.groups[documents]
    stops = _stops(np.cumsum(np.bincount(groups, sizes[documents])), most)
    block = np.searchsorted(stops, groups, "right").astype(np.uint32)
    order = np.argsort(block, kind="stable")
    ends = np.searchsorted(block[order], np.arange(len(stops)), "right")
    of_buckets = part.groups[part.members[part.offsets[:-1]]]
    local = np.empty(len(part.groups), np.int64)
    first = start = 0
    for end, stop in zip(ends.tolist(), np.searchsorted(of_buckets, stops).tolist(), strict=True):
        if start < stop:
            yield _block(part, documents[order[first:end]], start, stop, local)
        first, start = end, stop


def _stops(ends: NDArray[np.float64], most: int) -> NDArray[np.int64]:
    """The group at which each block ends, exclusive. ends: cumulative sizes of the groups."""
    stops: list[int] = []
    stop = 0
    while stop < len(ends):
        before = ends[stop - 1] if stop else 0.0
        stop = max(stop + 1, int(np.searchsorted(ends, before + most, "right")))
        stops.append(stop)
    return np.array(stops, np.int64)


def _block(part: PlannedPart, documents: NDArray[np.int64], start: int, stop: int, local: NDArray[np.int64]) -> Buckets:
    """The buckets start..stop-1, which hold these documents. local: int64[m], scratch."""
    local[documents] = np.arange(len(documents))
    offsets = part.offsets[start : stop + 1]
    members = local[part.members[offsets[0] : offsets[-1]]]
    return Buckets(documents, members, offsets - offsets[0], part.bands[start:stop], part.groups[documents])
