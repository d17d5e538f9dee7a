"""Candidates: which documents they are, which of them could end in one cluster, and how their verification is divided
into parts.

Documents in one bucket, unverified, form coarse components. Two coarse components share no bucket, so they are verified
apart from each other, and the result is the same however they are spread over parts.

Indices and numbers have 4 bytes where there are fewer than 2^32 candidates (numbers: distinct documents), else 8.
Memory: about 48 bytes a candidate document, the buckets of one band and key range, and a quarter of a byte for each
other document. Disk: 20 bytes a candidate, and 4 for each member of a bucket and for each bucket; buckets of two or
three that repeat are left out.
"""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from corpuscurate.core.artefact import Artefacts
from corpuscurate.kernels.duplicates.components import Indices, flatten, union_stars
from corpuscurate.kernels.duplicates.components_to_parts import (
    order_by_part,
    spread_buckets,
    spread_components,
    union_buckets,
)
from corpuscurate.kernels.duplicates.ranks import add_numbers, count_before, list_numbers
from corpuscurate.methods.dedup.distinct import DistinctFile, index_type

_MOST_PARTS = 128
_SMALL = 20_000
_PART_BYTES = 512 << 20
"""Most bytes of a part, even where there is memory for more: small parts use the same memory one after the other, which
costs less than fresh memory for large ones."""


@dataclass(frozen=True, slots=True)
class Candidates:
    """Collect the candidates and plan their verification.

    buckets: folders of `bands.Buckets` with their bands, in order. distinct: the documents that they number. copies:
    folders of `IdenticalWords`. share_bytes: memory of a worker. bytes_each: approximate bytes of a candidate there.
    """

    buckets: tuple[tuple[int, Artefacts], ...]
    distinct: tuple[DistinctFile, ...]
    copies: tuple[Artefacts, ...]
    workers: int
    share_bytes: int
    bytes_each: int

    @property
    def key(self) -> str:
        """See `corpus.Work`."""
        return f"candidates-{len(self.buckets)}-{len(self.copies)}-{self.workers}-{self.share_bytes}"

    def run(self, folder: Path) -> dict[str, Any]:
        """Write documents.npy (all candidates) and bucketed.npy (those in buckets), uint64 doc_ids, sorted; bands.npy,
        int64[parts, bands], numbers of buckets; and for each part the files of `_write_parts` and `_write_buckets`. The
        result has the numbers of candidates, of those in buckets, of identical copies, and of parts."""
        ranks = Ranks(sum(file.count for file in self.distinct))
        for _, path in self.buckets:
            ranks.add(np.load(path["documents.npy"]))
        bucketed = self._doc_ids(ranks.freeze())
        both = [np.load(path[name]) for path in self.copies for name in ("copies.npy", "originals.npy")]
        documents = distinct(np.concatenate([bucketed, *both]))
        np.save(folder / "documents.npy", documents)
        np.save(folder / "bucketed.npy", bucketed)
        kind = index_type(len(documents))
        index = np.searchsorted(documents, bucketed).astype(kind)
        parent = np.arange(len(documents), dtype=kind)
        for _, path in self.buckets:
            numbers, offsets = np.load(path["documents.npy"]), np.load(path["offsets.npy"])
            union_buckets(parent, numbers, offsets, ranks.words, ranks.before, index)
        copies = self._copies(documents)
        union_stars(parent, copies.ravel(), np.arange(0, copies.size + 1, 2))
        flatten(parent)
        spread = self._write_parts(folder, parent, copies)
        self._write_buckets(folder, ranks, _Spread(spread.part[index], spread.local[index], spread.parts))
        return {
            "candidates": len(documents),
            "bucketed": len(bucketed),
            "identical": len(copies),
            "parts": spread.parts,
        }

    def _doc_ids(self, numbers: NDArray[np.int64]) -> NDArray[np.uint64]:
        """The doc_ids of distinct documents, by ascending numbers."""
        found = [np.empty(0, np.uint64)]
        for file in self.distinct:
            low, high = np.searchsorted(numbers, [file.first, file.first + file.count])
            found.append(np.load(file.ids, mmap_mode="r")[numbers[low:high] - file.first])
        return np.concatenate(found)

    def _copies(self, documents: NDArray[np.uint64]) -> Indices:
        """Identical documents as [n, 2]: the copy and its original, as indices of `documents`."""
        pairs = [np.empty((0, 2), index_type(len(documents)))]
        for path in self.copies:
            names = ("copies.npy", "originals.npy")
            both = [np.searchsorted(documents, np.load(path[name])) for name in names]
            pairs.append(np.stack(both, axis=1).astype(pairs[0].dtype))
        return np.concatenate(pairs)

    def _write_parts(self, folder: Path, root: Indices, copies: Indices) -> _Spread:
        """Spread the coarse components, in the order of their roots, over parts of about equal numbers of documents.

        Files of each part: indices.npy, its candidates, ascending; groups.npy, the component of each, named by its
        first document; copies.npy, [n, 2]. The latter two as indices of the former.
        """
        size = len(root)
        needed = -(-size * self.bytes_each // max(1, min(self.share_bytes, _PART_BYTES)))
        parts = int(min(_MOST_PARTS, max(1, needed, 2 * self.workers if size > _SMALL else 1)))
        part, local = np.empty(size, np.uint8), np.empty_like(root)
        starts = np.zeros(max(size, parts + 1), np.int64)
        spread_components(root, parts, starts, part, local)
        indices, groups = np.empty_like(root), np.empty_like(root)
        order_by_part(root, part, local, starts, indices, groups)
        of_copies = part[copies[:, 0]]
        by_part = np.argsort(of_copies, kind="stable")
        copies, ends = local[copies[by_part]], np.cumsum(np.bincount(of_copies, minlength=parts))
        for i, own in enumerate(np.split(copies, ends[:-1])):
            np.save(folder / f"part-{i}-indices.npy", indices[starts[i] : starts[i + 1]])
            np.save(folder / f"part-{i}-groups.npy", groups[starts[i] : starts[i + 1]])
            np.save(folder / f"part-{i}-copies.npy", own)
        return _Spread(part, local, parts)

    def _write_buckets(self, folder: Path, ranks: Ranks, spread: _Spread) -> None:
        """Files of each part, in the order of band and key: members.bin, indices of its candidates, and sizes.bin of
        the buckets. spread: by rank."""
        parts, kind = spread.parts, spread.local.dtype
        ends = np.empty((2, parts + 1), np.int64)
        made = np.zeros((parts, max((band for band, _ in self.buckets), default=0) + 1), np.int64)
        last = np.zeros((len(spread.part), 2), ranks.kind)
        with ExitStack() as stack:
            outs = [
                [stack.enter_context((folder / f"part-{i}-{name}.bin").open("wb")) for name in ("members", "sizes")]
                for i in range(parts)
            ]
            for band, path in self.buckets:
                numbers, offsets = np.load(path["documents.npy"]), np.load(path["offsets.npy"])
                members, sizes = np.empty(len(numbers), kind), np.empty(len(offsets) - 1, kind)
                where = ranks.words, ranks.before, spread.part, spread.local, last
                spread_buckets(numbers, offsets, *where, ends[0], ends[1], members, sizes)
                made[:, band] += np.diff(ends[1])
                for i in range(parts):
                    for out, column, bounds in zip(outs[i], (members, sizes), ends, strict=True):
                        out.write(column[bounds[i] : bounds[i + 1]].data)
        np.save(folder / "bands.npy", made)


class _Spread(NamedTuple):
    """The part of each document (uint8), its index there, and how many parts there are."""

    part: NDArray[np.uint8]
    local: Indices
    parts: int


class Ranks:
    """A set of numbers below `size` as bits, with the count before each word of 64: a quarter of a byte a number."""

    def __init__(self, size: int) -> None:
        self.kind = index_type(size)
        self.words = np.zeros(-(-size // 64), np.uint64)
        self.before = np.empty(len(self.words), np.int64)

    def add(self, numbers: Indices) -> None:
        """Add numbers to the set."""
        add_numbers(numbers, self.words)

    def freeze(self) -> NDArray[np.int64]:
        """The numbers, ascending; from now on `before` gives their ranks (`kernels.duplicates.ranks.rank_of`)."""
        out = np.empty(count_before(self.words, self.before), np.int64)
        list_numbers(self.words, out)
        return out


def distinct(ids: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """The distinct ids, sorted. (`np.unique` of integers goes through a hash table, 30 times slower here.)"""
    ids = np.sort(ids)
    first = np.ones(len(ids), np.bool_)
    first[1:] = ids[1:] != ids[:-1]
    return ids[first]


def ragged_indices(offsets: NDArray[np.int64], chosen: NDArray[np.int64]) -> NDArray[np.int64]:
    """Indices of the elements of the `chosen` runs offsets[i]..offsets[i+1]-1, one run after the other."""
    sizes = offsets[chosen + 1] - offsets[chosen]
    ends = np.cumsum(sizes)
    total = int(ends[-1]) if len(ends) else 0
    indices: NDArray[np.int64] = np.arange(total) + np.repeat(offsets[chosen] - (ends - sizes), sizes)
    return indices


@dataclass(frozen=True, slots=True)
class PlannedPart:
    """One part as `Candidates` wrote it; all int64 but documents: uint64[m], sorted. indices: of them among all
    candidates. copies: [n, 2], a copy and its original. members, offsets: buckets of indices of documents; bands:
    [buckets]; groups: [m], the coarse component of each document, the same number for all in a bucket."""

    documents: NDArray[np.uint64]
    indices: NDArray[np.int64]
    copies: NDArray[np.int64]
    members: NDArray[np.int64]
    offsets: NDArray[np.int64]
    bands: NDArray[np.int64]
    groups: NDArray[np.int64]


def read_part(plan: Artefacts, part: int) -> PlannedPart:
    """Part number `part` of a plan."""
    everyone = np.load(plan["documents.npy"], mmap_mode="r")
    indices, groups, copies = (np.load(plan[f"part-{part}-{name}.npy"]) for name in ("indices", "groups", "copies"))
    members, sizes = (np.fromfile(plan[f"part-{part}-{name}.bin"], indices.dtype) for name in ("members", "sizes"))
    made = np.load(plan["bands.npy"])[part]
    return PlannedPart(
        everyone[indices],
        indices.astype(np.int64),
        copies.astype(np.int64),
        members.astype(np.int64),
        np.concatenate([np.zeros(1, np.int64), np.cumsum(sizes, dtype=np.int64)]),
        np.repeat(np.arange(len(made)), made),
        groups.astype(np.int64),
    )
