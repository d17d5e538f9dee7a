"""Pairs of near documents within clusters, by blocks of products: never all with all at once.

For each document the earlier ones (in keep order) with a cosine of at least `floor` are listed: the first `EARLIEST` of
them, and the `NEAREST` most similar of the others; beyond that the highest cosine that found no room, so that nothing
is cut off silently. That suffices for any threshold from `floor` up: see `semantic.decide`. The documents that found no
room in some list are written, too: so all that stand in near pairs are known.

In memory two blocks of vectors, their products (64 MiB), and 600 bytes for each row at hand. A cluster of any size is
worked through in such blocks, by several workers where it is large.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from corpuscurate.core.artefact import Artefacts
from corpuscurate.core.corpus import Corpus, Done
from corpuscurate.kernels.embedding.neighbour_lists import BINS, LISTED, collect
from corpuscurate.methods.semantic.gathered import Gathered
from corpuscurate.methods.semantic.keep_order import ClusterRange
from corpuscurate.methods.semantic.threads import one_pool

X_ROWS = 2048
Y_ROWS = 8192
FEW_ROWS = 512
"""Rows instead of `X_ROWS` in a cluster of at most `Y_ROWS`, whose vectors are gathered once: of the products with the
rows of its own block a row needs half."""
WORK_PAIRS = 1 << 27
"""Approximate number of comparisons of one work."""

LIST = np.dtype(
    [
        ("doc_id", np.uint64),
        ("keep_rank", np.uint64),
        ("beyond", np.float64),
        ("row", np.int64),
        ("cluster", np.int32),
        ("range", np.int32),
        ("size", np.int64),
    ]
)
"""A document's list within one cluster. range, row: of the document there; beyond: highest cosine that found no room;
size: entries."""
ENTRY = np.dtype([("row", np.int32), ("product", np.int32)])
"""Entries of a list, in keep order: a row of the cluster range, and the product with it (see `semantic.listed`)."""
UNLISTED = np.dtype([("row", np.int32), ("cosine", np.float64)])
"""A row of the cluster range that found no room in a list, and its highest cosine there."""
VERSION = 3
"""Raise it when the files of `Pairs` change. 2: unlisted.bin. 3: rows and products."""


def clusters_of(table: NDArray[Any]) -> list[tuple[int, int]]:
    """(first, stop) rows of each cluster of a cluster range."""
    numbers = table["cluster"]
    edges = np.flatnonzero(np.diff(numbers)) + 1
    borders = [0, *edges.tolist(), len(numbers)]
    return [(a, b) for a, b in itertools.pairwise(borders) if b > a]


@dataclass(frozen=True, slots=True)
class Pairs:
    """Compare rows start..stop-1 of a cluster range with all rows before them in their clusters. number: of the range,
    of `of` ranges."""

    number: int
    of: int
    cluster_range: ClusterRange
    start: int
    stop: int
    floor: float
    one: bool

    @property
    def key(self) -> str:
        """See `stage.Work`."""
        return f"pairs-{self.number}of{self.of}-{self.cluster_range.files.name}-{self.start}-{self.stop}"

    def run(self, folder: Path) -> dict[str, Any]:
        """Write lists.bin, entries.bin, unlisted.bin and histogram.npy."""
        table, vectors = self.cluster_range.table(), self.cluster_range.vectors()
        histogram = np.zeros(BINS + 1, np.int64)
        compared = found = 0
        with (
            one_pool(1),
            (folder / "lists.bin").open("wb") as lists_file,
            (folder / "entries.bin").open("wb") as entries_file,
            (folder / "unlisted.bin").open("wb") as unlisted_file,
        ):
            for first, stop in clusters_of(table):
                begin, end = max(first, self.start), min(stop, self.stop)
                if begin < end:
                    rows = table[first:stop]
                    block = _Cluster(rows, vectors.part(first, stop), self.floor, self.one, histogram)
                    for lists, entries in block.lists(begin - first, end - first):
                        lists["range"], lists["row"] = self.number, lists["row"] + first
                        entries["row"] += first
                        lists_file.write(lists.tobytes())
                        entries_file.write(entries.tobytes())
                    unlisted = block.without_room()
                    unlisted["row"] += first
                    unlisted_file.write(unlisted.tobytes())
                    compared += block.compared
                    found += block.found
        np.save(folder / "histogram.npy", histogram)
        return {"compared": compared, "found": found}


class _Cluster:
    """The rows of one cluster in keep order."""

    def __init__(
        self,
        rows: NDArray[Any],
        vectors: Gathered,
        floor: float,
        one: bool,
        histogram: NDArray[np.int64],
    ) -> None:
        self.rows, self.vectors, self.floor, self.histogram = rows, vectors, floor, histogram
        self.cluster = int(rows["cluster"][0])
        self.probes = np.ascontiguousarray(rows["clusters"])
        self.home = np.full(len(rows), self.cluster, np.int32) if one else np.ascontiguousarray(self.probes[:, 0])
        self.living = self.home == self.cluster
        self.squares = np.ascontiguousarray(rows["square"])
        self._unlisted = np.zeros(len(rows))
        self.compared = self.found = 0
        self._held: tuple[int, NDArray[np.float32]] | None = None

    def without_room(self) -> NDArray[Any]:
        """UNLISTED: the rows that found no room in a list so far."""
        found = np.flatnonzero(self._unlisted)
        unlisted = np.empty(len(found), UNLISTED)
        unlisted["row"], unlisted["cosine"] = found, self._unlisted[found]
        return unlisted

    def lists(self, begin: int, end: int) -> Iterator[tuple[NDArray[Any], NDArray[Any]]]:
        """LIST rows and ENTRY rows of documents begin..end-1 that have any neighbour."""
        step = X_ROWS if len(self.rows) > Y_ROWS else min(X_ROWS, FEW_ROWS)
        for start in range(begin, end, step):
            yield self._block(start, min(start + step, end))

    def _block(self, start: int, stop: int) -> tuple[NDArray[Any], NDArray[Any]]:
        size = stop - start
        counts = np.zeros(size, np.int32)
        neighbours = np.empty((size, LISTED), np.int32)
        cosines = np.zeros((size, LISTED))
        beyond = np.zeros(size)
        xs = np.arange(start, stop)
        living = self.living[start:stop]
        mine = self._tile(0)[start:stop] if len(self.rows) <= Y_ROWS else self.vectors[start:stop].astype(np.float32)
        visits = not living.all()
        for y in range(0, stop, Y_ROWS):
            ys = np.arange(y, min(y + Y_ROWS, stop))
            others = self._tile(y)[: len(ys)]
            lists = counts, neighbours, cosines, beyond
            self._compare(xs[living], ys, mine[living] if visits else mine, others, start, lists)
            if visits:  # two that both only visit are compared elsewhere
                here = self.living[y : y + len(ys)]
                self._compare(xs[~living], ys[here], mine[~living], others[here], start, lists)
        return self._written(start, counts, neighbours, cosines, beyond)

    def _tile(self, y: int) -> NDArray[np.float32]:
        """The vectors of rows from `y` on, up to Y_ROWS; the last ones asked for are kept."""
        if self._held is None or self._held[0] != y:
            self._held = y, self.vectors[y : y + Y_ROWS].astype(np.float32)
        return self._held[1]

    def _compare(
        self,
        xs: NDArray[np.int64],
        ys: NDArray[np.int64],
        mine: NDArray[np.float32],
        others: NDArray[np.float32],
        base: int,
        lists: tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.float64], NDArray[np.float64]],
    ) -> None:
        """Compare rows xs with those of rows ys that come before them. mine, others: their vectors."""
        if not len(xs) or not len(ys):
            return
        self.compared += int(np.searchsorted(ys, xs).sum())
        self.found += int(collect(
            mine @ others.T, xs, ys, self.cluster, self.home, self.probes, self.squares, self.floor, base,
            *lists, self._unlisted, self.histogram,
        ))  # fmt: skip

    def _written(
        self,
        start: int,
        counts: NDArray[np.int32],
        neighbours: NDArray[np.int32],
        cosines: NDArray[np.float64],
        beyond: NDArray[np.float64],
    ) -> tuple[NDArray[Any], NDArray[Any]]:
        used = np.flatnonzero(counts)
        lists = np.empty(len(used), LIST)
        rows = self.rows[start + used]
        lists["doc_id"], lists["keep_rank"], lists["beyond"] = rows["doc_id"], rows["keep_rank"], beyond[used]
        lists["row"], lists["cluster"], lists["size"] = start + used, self.cluster, counts[used]
        filled = np.arange(LISTED) < counts[used, None]
        there = np.where(filled, neighbours[used], np.iinfo(np.int32).max)
        order = np.argsort(there, axis=1, kind="stable")
        entries = np.empty(int(counts.sum()), ENTRY)
        entries["row"] = np.take_along_axis(there, order, 1)[filled]
        squares = self.squares.astype(np.float64)
        lengths = np.sqrt(np.repeat(squares[start + used], counts[used]) * squares[entries["row"]])
        entries["product"] = np.rint(np.take_along_axis(cosines[used], order, 1)[filled] * lengths)  # exact again
        return lists, entries


def cuts(table: NDArray[Any], work_pairs: int) -> list[tuple[int, int]]:
    """Cut the rows of a cluster range into runs of about `work_pairs` comparisons: large clusters are cut, small ones
    put together."""
    cost = np.zeros(len(table), np.int64)
    for first, stop in clusters_of(table):
        cost[first:stop] = np.arange(stop - first)
    done = np.cumsum(cost)
    if not len(done):
        return []
    marks = np.searchsorted(done, np.arange(work_pairs, int(done[-1]) + 1, work_pairs), "left") + 1
    borders = sorted({0, *marks.tolist(), len(table)})
    return list(itertools.pairwise(borders))


@dataclass(frozen=True, slots=True)
class Found:
    """The lists of all documents. works: the folders of `Pairs`, by range and row. compared: how many comparisons were
    made. pairs: how many have a cosine of at least `floor`. histogram: int64[BINS + 1], pairs by cosine."""

    cluster_ranges: tuple[ClusterRange, ...]
    works: tuple[Artefacts, ...]
    floor: float
    one: bool
    compared: int
    pairs: int
    histogram: NDArray[np.int64]


def find_pairs(
    corpus: Corpus, cluster_ranges: Sequence[ClusterRange], floor: float, one: bool, basis: Sequence[Any]
) -> Found:
    """Compare all documents within their clusters."""
    works = []
    for number, cluster_range in enumerate(cluster_ranges):
        for start, stop in cuts(cluster_range.table(), WORK_PAIRS):
            works.append(Pairs(number, len(cluster_ranges), cluster_range, start, stop, floor, one))
    done: list[Done] = corpus.run(works, "comparing within clusters", basis=[*basis, floor, VERSION])
    histogram = np.zeros(BINS + 1, np.int64)
    for each in done:
        histogram += np.load(each.files["histogram.npy"])
    return Found(
        tuple(cluster_ranges),
        tuple(each.files for each in done),
        floor,
        one,
        sum(each.result["compared"] for each in done),
        sum(each.result["found"] for each in done),
        histogram,
    )
