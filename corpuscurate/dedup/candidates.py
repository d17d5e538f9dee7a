"""Candidates: who they are, which of them could end in one cluster, and how the work of verifying them is parted.

Documents in one bucket, unverified, form coarse components. Two coarse components never meet, so they are verified
apart from each other, and however they are spread over parts, the result is the same.

Memory: about 40 bytes a candidate document, and the buckets of one band and part. Disk: 8 bytes for each place of a
document in a bucket. Both follow the number of candidates, not that of the corpus.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from corpuscurate.kernels.components import flatten, union_stars

_MOST_PARTS = 128
_SMALL = 20_000


@dataclass(frozen=True, slots=True)
class Candidates:
    """Gather candidates and plan their verification.

    buckets: folders of `bands.Buckets` with their bands, in order. copies: folders of `IdenticalWords`. share_bytes:
    memory of a worker. bytes_each: about what a candidate takes there.
    """

    buckets: tuple[tuple[int, Path], ...]
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
        bucketed = _union(path / "documents.npy" for _, path in self.buckets)
        both = [path / name for path in self.copies for name in ("copies.npy", "originals.npy")]
        documents = distinct(np.concatenate([bucketed, _union(both)]))
        np.save(folder / "documents.npy", documents)
        np.save(folder / "bucketed.npy", bucketed)
        parent = np.arange(len(documents))
        for _, path in self.buckets:
            members = np.searchsorted(documents, np.load(path / "documents.npy", mmap_mode="r"))
            union_stars(parent, members, np.load(path / "offsets.npy"))
        copies = self._copies(documents)
        union_stars(parent, copies.ravel(), np.arange(0, copies.size + 1, 2))
        flatten(parent)
        parts = self._write_parts(folder, documents, parent, copies)
        return {"candidates": len(documents), "bucketed": len(bucketed), "identical": len(copies), "parts": parts}

    def _copies(self, documents: NDArray[np.uint64]) -> NDArray[np.int64]:
        """Identical documents as int64[n, 2]: the copy and the one it is a copy of, as indices of `documents`."""
        pairs = [np.empty((0, 2), np.int64)]
        for path in self.copies:
            names = ("copies.npy", "originals.npy")
            pairs.append(np.stack([np.searchsorted(documents, np.load(path / name)) for name in names], axis=1))
        return np.concatenate(pairs)

    def _write_parts(
        self, folder: Path, documents: NDArray[np.uint64], root: NDArray[np.int64], copies: NDArray[np.int64]
    ) -> int:
        """Spread the coarse components, in the order of their roots, over parts of about equal numbers of documents."""
        size = len(documents)
        needed = -(-size * self.bytes_each // max(1, self.share_bytes))
        parts = min(_MOST_PARTS, max(1, needed, 2 * self.workers if size > _SMALL else 1))
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
        self._write_buckets(folder, documents, root, part, local, parts)
        return int(parts)

    def _write_buckets(
        self,
        folder: Path,
        documents: NDArray[np.uint64],
        root: NDArray[np.int64],
        part: NDArray[np.int64],
        local: NDArray[np.int64],
        parts: int,
    ) -> None:
        """For each part, in the order of band and key: members (int64 indices of its documents), and of each bucket
        size, band and group (the coarse component)."""
        names = ("members", "sizes", "bands", "groups")
        outs = [[(folder / f"part-{i}-{name}.bin").open("wb") for name in names] for i in range(parts)]
        try:
            for band, path in self.buckets:
                offsets = np.load(path / "offsets.npy")
                members = np.searchsorted(documents, np.load(path / "documents.npy", mmap_mode="r"))
                group = root[members[offsets[:-1]]]
                order = np.argsort(part[group], kind="stable")
                borders = np.searchsorted(part[group][order], np.arange(parts + 1))
                for i in range(parts):
                    chosen = order[borders[i] : borders[i + 1]]
                    taken = local[members[ragged_indices(offsets, chosen)]]
                    sizes = np.diff(offsets)[chosen]
                    pieces = (taken, sizes, np.full(len(chosen), band), group[chosen])
                    for out, piece in zip(outs[i], pieces, strict=True):
                        out.write(piece.astype(np.int64, copy=False).tobytes())
        finally:
            for out in (file for files in outs for file in files):
                out.close()


def _union(paths: Iterator[Path] | Sequence[Path]) -> NDArray[np.uint64]:
    """The distinct ids of all files, sorted, never more than one file beside the result."""
    found = np.empty(0, np.uint64)
    for path in paths:
        found = distinct(np.concatenate([found, np.load(path, mmap_mode="r")]))
    return found


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
