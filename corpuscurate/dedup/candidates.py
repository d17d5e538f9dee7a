"""Candidates: who they are, which of them could end in one cluster, and how the work of verifying them is parted.

Documents in one bucket, unverified, form coarse components. Two coarse components never meet, so they are verified
apart from each other, and however they are spread over parts, the result is the same.

Memory: about 56 bytes a candidate document, the buckets of one band and part, and a quarter of a byte for each other
document. Disk: 8 bytes for each place of a document in a bucket.
"""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from corpuscurate.dedup.distinct import DistinctFile
from corpuscurate.kernels.components import flatten, union_stars
from corpuscurate.kernels.planning import spread_buckets
from corpuscurate.kernels.ranks import add_numbers, count_before, list_numbers, ranks_of

_MOST_PARTS = 128
_SMALL = 20_000
_PART_BYTES = 512 << 20
"""Of a part where there is memory for more: small parts use the same memory one after the other, which costs less than
fresh memory for large ones."""


@dataclass(frozen=True, slots=True)
class Candidates:
    """Gather candidates and plan their verification.

    buckets: folders of `bands.Buckets` with their bands, in order. distinct: the documents that they number. copies:
    folders of `IdenticalWords`. share_bytes: memory of a worker. bytes_each: about what a candidate takes there.
    """

    buckets: tuple[tuple[int, Path], ...]
    distinct: tuple[DistinctFile, ...]
    copies: tuple[Path, ...]
    workers: int
    share_bytes: int
    bytes_each: int

    @property
    def key(self) -> str:
        """See `stage.Work`."""
        return f"candidates-{len(self.buckets)}-{len(self.copies)}-{self.workers}-{self.share_bytes}"

    def run(self, folder: Path) -> dict[str, Any]:
        """Files, all uint64 doc_ids sorted: documents.npy (all), bucketed.npy (those in buckets); and for each part
        those of `_write_parts` and `_write_buckets`."""
        ranks = Ranks(sum(file.count for file in self.distinct))
        for _, path in self.buckets:
            ranks.add(np.load(path / "documents.npy"))
        bucketed = self._doc_ids(ranks.freeze())
        both = [np.load(path / name) for path in self.copies for name in ("copies.npy", "originals.npy")]
        documents = distinct(np.concatenate([bucketed, *both]))
        np.save(folder / "documents.npy", documents)
        np.save(folder / "bucketed.npy", bucketed)
        place = np.searchsorted(documents, bucketed)
        parent = np.arange(len(documents))
        for _, path in self.buckets:
            members = place[ranks.of(np.load(path / "documents.npy"))]
            union_stars(parent, members, np.load(path / "offsets.npy"))
        copies = self._copies(documents)
        union_stars(parent, copies.ravel(), np.arange(0, copies.size + 1, 2))
        flatten(parent)
        parts = self._write_parts(folder, documents, parent, copies, ranks, place)
        return {"candidates": len(documents), "bucketed": len(bucketed), "identical": len(copies), "parts": parts}

    def _doc_ids(self, numbers: NDArray[np.int64]) -> NDArray[np.uint64]:
        """The doc_ids of distinct documents, by ascending numbers."""
        found = [np.empty(0, np.uint64)]
        for file in self.distinct:
            low, high = np.searchsorted(numbers, [file.first, file.first + file.count])
            found.append(np.load(file.ids, mmap_mode="r")[numbers[low:high] - file.first])
        return np.concatenate(found)

    def _copies(self, documents: NDArray[np.uint64]) -> NDArray[np.int64]:
        """Identical documents as int64[n, 2]: the copy and the one it is a copy of, as indices of `documents`."""
        pairs = [np.empty((0, 2), np.int64)]
        for path in self.copies:
            names = ("copies.npy", "originals.npy")
            pairs.append(np.stack([np.searchsorted(documents, np.load(path / name)) for name in names], axis=1))
        return np.concatenate(pairs)

    def _write_parts(
        self,
        folder: Path,
        documents: NDArray[np.uint64],
        root: NDArray[np.int64],
        copies: NDArray[np.int64],
        ranks: Ranks,
        place: NDArray[np.int64],
    ) -> int:
        """Spread the coarse components, in the order of their roots, over parts of about equal numbers of documents."""
        size = len(documents)
        needed = -(-size * self.bytes_each // max(1, min(self.share_bytes, _PART_BYTES)))
        parts = int(min(_MOST_PARTS, max(1, needed, 2 * self.workers if size > _SMALL else 1)))
        before = np.cumsum(np.bincount(root, minlength=size)) if size else np.empty(0, np.int64)
        part = np.minimum((before[root] - 1) * parts // max(1, size), parts - 1)
        order = np.argsort(part, kind="stable")
        starts = np.searchsorted(part[order], np.arange(parts + 1))
        local = np.empty(size, np.int64)
        local[order] = np.arange(size) - starts[part[order]]
        copy_part = part[copies[:, 0]]
        for i in range(parts):
            np.save(folder / f"part-{i}-documents.npy", documents[order[starts[i] : starts[i + 1]]])
            np.save(folder / f"part-{i}-copies.npy", local[copies[copy_part == i]])
        self._write_buckets(folder, ranks, place, (root, part, local), parts)
        return parts

    def _write_buckets(
        self,
        folder: Path,
        ranks: Ranks,
        place: NDArray[np.int64],
        where: tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]],
        parts: int,
    ) -> None:
        """For each part, in the order of band and key: members (int64 indices of its documents), and of each bucket
        size, band and group (the coarse component). where: root, part and index in it of each document."""
        names = ("members", "sizes", "bands", "groups")
        ends = np.empty((2, parts + 1), np.int64)
        with ExitStack() as stack:
            outs = [
                [stack.enter_context((folder / f"part-{i}-{name}.bin").open("wb")) for name in names]
                for i in range(parts)
            ]
            for band, path in self.buckets:
                offsets = np.load(path / "offsets.npy")
                members = place[ranks.of(np.load(path / "documents.npy"))]
                spread = np.empty(len(members), np.int64)
                sizes, groups = np.empty((2, len(offsets) - 1), np.int64)
                spread_buckets(members, offsets, *where, parts, ends[0], ends[1], spread, sizes, groups)
                for i in range(parts):
                    own, buckets = (slice(each[i], each[i + 1]) for each in ends)
                    bands = np.full(ends[1, i + 1] - ends[1, i], band)
                    for out, piece in zip(outs[i], (spread[own], sizes[buckets], bands, groups[buckets]), strict=True):
                        out.write(piece.data)


class Ranks:
    """A set of numbers below `size`, and the rank of each: a quarter of a byte a number."""

    def __init__(self, size: int) -> None:
        self._words = np.zeros(-(-size // 64), np.uint64)
        self._before = np.empty(len(self._words), np.int64)

    def add(self, numbers: NDArray[np.int64]) -> None:
        """Add numbers to the set."""
        add_numbers(numbers, self._words)

    def freeze(self) -> NDArray[np.int64]:
        """The numbers, ascending; from now on `of` tells their ranks."""
        out = np.empty(count_before(self._words, self._before), np.int64)
        list_numbers(self._words, out)
        return out

    def of(self, numbers: NDArray[np.int64]) -> NDArray[np.int64]:
        """The rank of each number."""
        out = np.empty(len(numbers), np.int64)
        ranks_of(numbers, self._words, self._before, out)
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
    """One part as `Candidates` wrote it. documents: uint64[m], sorted. copies: int64[n, 2], a copy and its original.
    members, offsets: buckets of indices of documents; bands, groups: int64[buckets]."""

    documents: NDArray[np.uint64]
    copies: NDArray[np.int64]
    members: NDArray[np.int64]
    offsets: NDArray[np.int64]
    bands: NDArray[np.int64]
    groups: NDArray[np.int64]


def read_part(folder: Path, part: int) -> PlannedPart:
    """Part number `part` of a plan."""

    def column(name: str) -> NDArray[np.int64]:
        return np.fromfile(folder / f"part-{part}-{name}.bin", np.int64)

    return PlannedPart(
        np.load(folder / f"part-{part}-documents.npy"),
        np.load(folder / f"part-{part}-copies.npy"),
        column("members"),
        np.concatenate([np.zeros(1, np.int64), np.cumsum(column("sizes"))]),
        column("bands"),
        column("groups"),
    )
