"""The nearest neighbours of each document within its clusters: their cosines, by blocks of products."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from corpuscurate.core.artefact import Artefact, Artefacts
from corpuscurate.core.corpus import Corpus
from corpuscurate.kernels.embedding.neighbour_lists import nearest_cosines
from corpuscurate.methods.semantic.clusters import joined
from corpuscurate.methods.semantic.gathered import Gathered
from corpuscurate.methods.semantic.keep_order import ClusterRange
from corpuscurate.methods.semantic.pairs import WORK_PAIRS, X_ROWS, Y_ROWS, clusters_of
from corpuscurate.methods.semantic.threads import one_pool
from corpuscurate.methods.semantic.vectors import mapped


@dataclass(frozen=True, slots=True)
class Nearby:
    """Compare rows start..stop-1 of a cluster range with all documents whose own cluster is one of theirs. number: of
    the range, of `of` ranges."""

    number: int
    of: int
    cluster_range: ClusterRange
    start: int
    stop: int
    neighbours: int
    one: bool

    @property
    def key(self) -> str:
        """See `stage.Work`."""
        rows = f"{self.cluster_range.files.name}-{self.start}-{self.stop}"
        return f"nearby-{self.number}of{self.of}-{rows}-{self.neighbours}"

    def run(self, folder: Path) -> dict[str, Any]:
        """Write ids.bin (uint64[n], ascending; a document may occur in several works) and best.bin (float64[n, k])."""
        table, vectors = self.cluster_range.table(), self.cluster_range.vectors()
        best = np.full((self.stop - self.start, self.neighbours), -2.0)
        with one_pool(1):
            for first, stop in clusters_of(table):
                begin, end = max(first, self.start), min(stop, self.stop)
                if begin < end:
                    self._cluster(
                        table[first:stop],
                        vectors.part(first, stop),
                        begin - first,
                        best[begin - self.start :][: end - begin],
                    )
        ids = np.ascontiguousarray(table["doc_id"][self.start : self.stop])
        order = np.argsort(ids, kind="stable")
        ids[order].tofile(folder / "ids.bin")
        best[order].tofile(folder / "best.bin")
        return {"rows": len(ids)}

    def _cluster(self, rows: NDArray[Any], vectors: Gathered, begin: int, best: NDArray[np.float64]) -> None:
        home = np.arange(len(rows)) if self.one else np.flatnonzero(rows["clusters"][:, 0] == rows["cluster"])
        ids, squares = np.ascontiguousarray(rows["doc_id"]), np.ascontiguousarray(rows["square"])
        for x in range(begin, begin + len(best), X_ROWS):
            mine = slice(x, min(x + X_ROWS, begin + len(best)))
            out = best[x - begin : mine.stop - begin]
            block = vectors[mine].astype(np.float32)
            for y in range(0, len(home), Y_ROWS):
                others = home[y : y + Y_ROWS]
                products = block @ vectors[others].astype(np.float32).T
                nearest_cosines(products, squares[mine], squares[others], ids[mine], ids[others], out)


@dataclass(frozen=True, slots=True)
class Means:
    """Compute the mean cosine of each document of a split with its nearest neighbours. ids: its file of doc_ids. works:
    folder and number of rows of each `Nearby`."""

    split: int
    ids: Artefact
    works: tuple[tuple[Artefacts, int], ...]
    neighbours: int

    @property
    def key(self) -> str:
        """See `stage.Work`."""
        return f"means-{self.split:05d}-{len(self.works)}-{self.neighbours}"

    def run(self, folder: Path) -> dict[str, Any]:
        """Write means.bin (float64[n], nan where there is no other document in the clusters)."""
        ids = np.fromfile(self.ids, np.uint64)
        best = np.full((len(ids), self.neighbours), -2.0)
        for path, rows in self.works if len(ids) else ():
            known = mapped(path["ids.bin"], np.uint64, (rows,))
            low, high = int(np.searchsorted(known, ids[0])), int(np.searchsorted(known, ids[-1], "right"))
            found = np.array(known[low:high])
            values = mapped(path["best.bin"], np.float64, (rows, self.neighbours))[low:high]
            at = np.minimum(np.searchsorted(ids, found), len(ids) - 1)
            there = np.flatnonzero(ids[at] == found)
            while len(there):  # a document can stand in several clusters of one work: each time its first is merged
                _, firsts = np.unique(at[there], return_index=True)
                now = there[firsts]
                both = np.concatenate([best[at[now]], values[now]], axis=1)
                best[at[now]] = -np.sort(-both, axis=1)[:, : self.neighbours]
                there = np.delete(there, firsts)
        mean_of(best).tofile(folder / "means.bin")
        return {"rows": len(ids)}


def mean_of(best: NDArray[np.float64]) -> NDArray[np.float64]:
    """The mean of each row's cosines, added from the highest on; entries of -2 are none."""
    there = best > -2.0
    total = np.zeros(len(best))
    for column in range(best.shape[1]):
        total += np.where(there[:, column], best[:, column], 0.0)
    count = there.sum(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        means: NDArray[np.float64] = total / count
    return means


def nearby(
    corpus: Corpus, cluster_ranges: Sequence[ClusterRange], neighbours: int, one: bool, basis: Any
) -> list[tuple[Artefacts, int]]:
    """Compare all documents with those in their clusters. Returns the folder and the number of rows of each work."""
    works = []
    for number, each in enumerate(cluster_ranges):
        sizes = np.zeros(each.rows, np.int64)
        for first, stop in clusters_of(each.table()):
            sizes[first:stop] = stop - first
        done = np.cumsum(sizes) // WORK_PAIRS
        borders = [0, *(np.flatnonzero(np.diff(done)) + 1).tolist(), each.rows]
        works += [
            Nearby(number, len(cluster_ranges), each, start, stop, neighbours, one)
            for start, stop in itertools.pairwise(borders)
            if stop > start
        ]
    return [(done.files, done.result["rows"]) for done in corpus.run(works, "nearest neighbours", basis=basis)]


def all_means(folders: Sequence[Artefacts]) -> NDArray[np.float64]:
    """What `Means` wrote for all splits, in order."""
    return joined([np.fromfile(folder["means.bin"], np.float64) for folder in folders], np.float64)
