"""Bring the rows of each cluster together, in keep order.

`Scatter` spreads the rows of some splits over ranges of neighbouring clusters. `Order` sorts each range by cluster,
keep rank and doc_id: the numbers of its rows, not the vectors, which stay where `Scatter` put them and are gathered
when they are compared. A document has a row in each cluster that it is in: in its own cluster, and in each further one
in which it is compared (`probes`). On disk this takes the vectors and twice a `row_type` for each row; in memory 100
bytes a row of one range, never its vectors, so a range, or a cluster, may be larger than memory. A range holds about
`_RANGE_BYTES`, so that what is gathered from it is in the system's cache. The number of ranges never changes the
result.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from corpuscurate.core.artefact import Artefacts
from corpuscurate.core.corpus import Corpus
from corpuscurate.core.digests import fingerprint
from corpuscurate.methods.dedup.keep import float_ranks
from corpuscurate.methods.dedup.key_ranges import ranges_for_memory
from corpuscurate.methods.dedup.sketches import KEEP_RANK, Source
from corpuscurate.methods.semantic.clusters import Assigned, Clustered, joined, ranges
from corpuscurate.methods.semantic.gathered import Gathered, gather, starts_of
from corpuscurate.methods.semantic.vectors import Vectors, mapped

_MOST_RANGES = 256
"""A worker holds two files open for each."""
_BLOCK_ROWS = 1 << 14
_ROW_BYTES = 100
_RANGE_BYTES = 128 << 20


def row_type(probes: int) -> np.dtype[Any]:
    """What is stored of a row besides its vector. cluster: the one that the row belongs to; clusters: all clusters of
    its document, its own first, -1 for none; keep_rank: the lowest is kept first (see `dedup.keep`); square: of the
    length."""
    return np.dtype(
        [
            ("doc_id", np.uint64),
            ("keep_rank", np.uint64),
            ("cluster", np.int32),
            ("square", np.int32),
            ("clusters", np.int32, (probes,)),
        ]
    )


@dataclass(frozen=True, slots=True)
class OrderRule:
    """How the keep order of a split is made. by: hard (documents far from the centroid come first), easy (near ones
    come first), or rule: the ranks that the keep rule gave, in a column of `source`; without a source, doc_id alone."""

    by: str
    source: Source | None = None

    def keep_ranks(self, ids: NDArray[np.uint64], cosines: NDArray[np.float64]) -> NDArray[np.uint64]:
        """uint64[n]: the rank of each document; the lowest is kept first. cosines: with the centroid of its cluster."""
        if self.by == "hard":
            return float_ranks(np.asarray(cosines))
        if self.by == "easy":
            return float_ranks(-np.asarray(cosines))
        if self.source is None:
            return np.zeros(len(ids), np.uint64)
        blocks = [(block["doc_id"], block[KEEP_RANK]) for block in self.source.blocks([KEEP_RANK])]
        known = joined([each for each, _ in blocks], np.uint64)
        ranks = joined([each for _, each in blocks], np.uint64)
        found: NDArray[np.uint64] = ranks[np.searchsorted(known, ids)]
        return found


@dataclass(frozen=True, slots=True)
class Scatter:
    """Spread the rows of some splits over cluster ranges. borders: the first cluster of each range. one: whether all
    documents are compared with all; then every row is put into cluster 0. only: bool[k], the clusters that are wanted,
    with those who live in them; all where None."""

    number: int
    of: int
    files: tuple[tuple[Vectors, Assigned, OrderRule], ...]
    borders: tuple[int, ...]
    one: bool
    only: NDArray[np.bool_] | None = None

    @property
    def key(self) -> str:
        """See `stage.Work`."""
        return f"scatter-{self.number}of{self.of}-{fingerprint(self.borders)[:12]}"

    def run(self, folder: Path) -> dict[str, Any]:
        """Write <range>.rows and <range>.vectors for each range."""
        with ExitStack() as stack:
            outs = [
                [stack.enter_context((folder / f"{number}.{kind}").open("wb")) for kind in ("rows", "vectors")]
                for number in range(len(self.borders))
            ]
            sizes = np.zeros(len(self.borders), np.int64)
            for file, assigned, rule in self.files:
                for rows, vectors in self._blocks(file, assigned, rule):
                    sizes += self._write(outs, rows, vectors)
        return {"sizes": sizes.tolist()}

    def _blocks(self, file: Vectors, assigned: Assigned, rule: OrderRule) -> Any:
        ids, squares, vectors, clusters = file.ids(), file.squares(), file.vectors(), assigned.clusters()
        ranks = rule.keep_ranks(ids, assigned.cosines())
        for start in range(0, file.rows, _BLOCK_ROWS):
            block = slice(start, start + _BLOCK_ROWS)
            rows = np.empty(len(ids[block]), row_type(assigned.probes))
            rows["doc_id"], rows["keep_rank"], rows["square"] = ids[block], ranks[block], squares[block]
            rows["clusters"] = clusters[block]
            mine = vectors[block]
            for each in range(1 if self.one else assigned.probes):
                rows["cluster"] = 0 if self.one else rows["clusters"][:, each]
                wanted = rows["cluster"] >= 0
                if self.only is not None:
                    wanted &= self.only[rows["cluster"]] & self.only[rows["clusters"][:, 0]]
                yield rows[wanted], mine[wanted]

    def _write(self, outs: list[Any], rows: NDArray[Any], vectors: NDArray[np.int16]) -> NDArray[np.int64]:
        range_of = np.searchsorted(np.array(self.borders), rows["cluster"], "right") - 1
        order = np.argsort(range_of, kind="stable")
        sizes = np.bincount(range_of, minlength=len(self.borders))
        start = 0
        for (rows_file, vectors_file), size in zip(outs, sizes.tolist(), strict=True):
            if size:
                chosen = order[start : start + size]
                rows_file.write(rows[chosen].tobytes())
                vectors_file.write(vectors[chosen].tobytes())
            start += size
        return sizes


@dataclass(frozen=True, slots=True)
class ClusterRange:
    """The rows of some neighbouring clusters, sorted by cluster, keep rank and doc_id. number: of the range. pieces:
    the folders of `Scatter` with its vectors, and how many rows each holds."""

    files: Artefacts
    number: int
    pieces: tuple[tuple[Artefacts, int], ...]
    rows: int
    dimension: int
    probes: int

    def table(self) -> NDArray[Any]:
        """`row_type`[n], memory-mapped."""
        return mapped(self.files["rows.bin"], row_type(self.probes), (self.rows,))

    def vectors(self) -> Gathered:
        """int16[n, d], gathered where it is asked for."""
        pieces = [
            mapped(path[f"{self.number}.vectors"], np.int16, (size, self.dimension))
            for path, size in self.pieces
            if size
        ]
        return Gathered(pieces, mapped(self.files["at.bin"], np.int64, (self.rows,)), self.dimension)


@dataclass(frozen=True, slots=True)
class Order:
    """Sort one cluster range. clusters: its first one, and the one behind its last. pieces: the folders of `Scatter`,
    and how many rows each holds for this range."""

    number: int
    clusters: tuple[int, int]
    pieces: tuple[tuple[Artefacts, int], ...]
    dimension: int
    probes: int

    @property
    def key(self) -> str:
        """See `stage.Work`."""
        return "order-{}-{}".format(*self.clusters)  # another number of ranges may cut elsewhere

    def run(self, folder: Path) -> dict[str, Any]:
        """Write rows.bin, and at.bin: int64[n], where the vector of each row is in the pieces."""
        kind = row_type(self.probes)
        pieces = [(path, size) for path, size in self.pieces if size]
        tables = [mapped(path[f"{self.number}.rows"], kind, (size,)) for path, size in pieces]
        keys = [joined([table[name] for table in tables], kind[name]) for name in ("doc_id", "keep_rank", "cluster")]
        order = np.lexsort(keys)
        starts = starts_of([size for _, size in pieces])
        with (folder / "rows.bin").open("wb") as rows_file:
            for start in range(0, len(order), _BLOCK_ROWS):
                rows_file.write(gather(tables, starts, order[start : start + _BLOCK_ROWS]).tobytes())
        order.astype(np.int64).tofile(folder / "at.bin")
        return {"rows": len(order)}


def range_borders(sizes: NDArray[np.int64], count: int) -> tuple[int, ...]:
    """The first cluster of each of at most `count` cluster ranges with about equal numbers of rows."""
    ends = np.cumsum(sizes)
    targets = np.arange(1, count) * (int(ends[-1]) / count)
    return tuple(sorted({0, *(min(int(i) + 1, len(sizes) - 1) for i in np.searchsorted(ends, targets))}))


def order_corpus(
    corpus: Corpus,
    clustered: Clustered,
    rules: Sequence[OrderRule],
    one: bool,
    basis: Any,
    only: NDArray[np.bool_] | None = None,
) -> list[ClusterRange]:
    """Bring the rows of each cluster together, in keep order. rules: one for each split. one: whether all documents
    form one cluster. basis: see `Corpus.run`. only: bool[k], the clusters that are wanted (the basis must tell which);
    all where None."""
    sizes = clustered.sizes().sum(axis=1) * (1 if only is None else only)
    rows = clustered.rows if one else int(sizes.sum())
    row_bytes = 2 * clustered.dimension + _ROW_BYTES + 4 * clustered.stored
    count = min(_MOST_RANGES, max(ranges_for_memory(corpus, rows, row_bytes), -(-rows * row_bytes // _RANGE_BYTES)))
    borders = (0,) if one else range_borders(sizes, count)
    files = tuple(zip(clustered.files, clustered.assigned, rules, strict=True))
    runs = ranges(len(files), 4 * corpus.workers)
    works = [Scatter(i, len(runs), files[run.start : run.stop], borders, one, only) for i, run in enumerate(runs)]
    scattered = corpus.run(works, "bringing clusters together", basis=basis)
    ends = (*borders[1:], len(sizes))
    orders = [
        Order(
            number,
            (borders[number], ends[number]),
            tuple((done.files, done.result["sizes"][number]) for done in scattered),
            clustered.dimension,
            clustered.stored,
        )
        for number in range(len(borders))
    ]
    done = corpus.run(orders, "sorting clusters", basis=basis)
    return [
        ClusterRange(each.files, order.number, order.pieces, each.result["rows"], order.dimension, order.probes)
        for each, order in zip(done, orders, strict=True)
    ]
