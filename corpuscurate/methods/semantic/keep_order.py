"""Bring the rows of each cluster together, in keep order.

Scatter: each worker spreads the rows of some splits over parts (runs of neighbouring clusters). Order: each part is
sorted by cluster, place and doc_id. A row stands in each cluster that it is in: once where it lives, once where it
visits (`probes`). On disk twice the vectors and `row_type` for each; in memory 40 bytes a row of the part at hand,
never its vectors, so a part, or a cluster, may be larger than memory. The number of parts never changes the result.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from corpuscurate.core.artefact import fingerprint
from corpuscurate.core.corpus import Corpus
from corpuscurate.methods.dedup.keep import float_ranks
from corpuscurate.methods.dedup.key_ranges import ranges_for_memory
from corpuscurate.methods.dedup.sketches import KEEP_RANK, Source
from corpuscurate.methods.semantic.clusters import Assigned, Clustered, joined, ranges
from corpuscurate.methods.semantic.vectors import Vectors, mapped

_MOST_PARTS = 256
"""A worker holds two files open for each."""
_BLOCK_ROWS = 1 << 14
_ROW_BYTES = 80


def row_type(probes: int) -> np.dtype[Any]:
    """What is stored of a row besides its vector. cluster: where it stands; clusters: all that it is in, its home
    first; place: see `dedup.keep`; square: of its length."""
    return np.dtype(
        [
            ("doc_id", np.uint64),
            ("place", np.uint64),
            ("cluster", np.int32),
            ("square", np.int32),
            ("clusters", np.int32, (probes,)),
        ]
    )


@dataclass(frozen=True, slots=True)
class Place:
    """Where keep order comes from. by: hard (far from the centroid first), easy (near first), or rule: the source's
    column of places."""

    by: str
    source: Source | None = None

    def places(self, ids: NDArray[np.uint64], cosines: NDArray[np.float64]) -> NDArray[np.uint64]:
        """uint64[n], smaller = kept first."""
        if self.by == "hard":
            return float_ranks(np.asarray(cosines))
        if self.by == "easy":
            return float_ranks(-np.asarray(cosines))
        if self.source is None:
            return np.zeros(len(ids), np.uint64)
        blocks = [(block["doc_id"], block[KEEP_RANK]) for block in self.source.blocks([KEEP_RANK])]
        known = joined([each for each, _ in blocks], np.uint64)
        places = joined([each for _, each in blocks], np.uint64)
        found: NDArray[np.uint64] = places[np.searchsorted(known, ids)]
        return found


@dataclass(frozen=True, slots=True)
class Scatter:
    """Spread the rows of some splits over parts. borders: int, the first cluster of each part; one: whether all rows
    stand in cluster 0, whatever cluster they are in. only: which clusters are wanted, all where None."""

    number: int
    of: int
    files: tuple[tuple[Vectors, Assigned, Place], ...]
    borders: tuple[int, ...]
    one: bool
    only: NDArray[np.bool_] | None = None

    @property
    def key(self) -> str:
        """See `stage.Work`."""
        return f"scatter-{self.number}of{self.of}-{fingerprint(self.borders)[:12]}"

    def run(self, folder: Path) -> dict[str, Any]:
        """Write <part>.rows and <part>.vectors."""
        with ExitStack() as stack:
            outs = [
                [stack.enter_context((folder / f"{part}.{kind}").open("wb")) for kind in ("rows", "vectors")]
                for part in range(len(self.borders))
            ]
            sizes = np.zeros(len(self.borders), np.int64)
            for file, assigned, place in self.files:
                for rows, vectors in self._blocks(file, assigned, place):
                    sizes += self._write(outs, rows, vectors)
        return {"sizes": sizes.tolist()}

    def _blocks(self, file: Vectors, assigned: Assigned, place: Place) -> Any:
        ids, squares, vectors, clusters = file.ids(), file.squares(), file.vectors(), assigned.clusters()
        places = place.places(ids, assigned.cosines())
        for start in range(0, file.rows, _BLOCK_ROWS):
            part = slice(start, start + _BLOCK_ROWS)
            rows = np.empty(len(ids[part]), row_type(assigned.probes))
            rows["doc_id"], rows["place"], rows["square"] = ids[part], places[part], squares[part]
            rows["clusters"] = clusters[part]
            for each in range(1 if self.one else assigned.probes):
                rows["cluster"] = 0 if self.one else rows["clusters"][:, each]
                if self.only is None:
                    yield rows, vectors[part]
                else:
                    wanted = self.only[rows["cluster"]]
                    yield rows[wanted], vectors[part][wanted]

    def _write(self, outs: list[Any], rows: NDArray[Any], vectors: NDArray[np.int8]) -> NDArray[np.int64]:
        part = np.searchsorted(np.array(self.borders), rows["cluster"], "right") - 1
        order = np.argsort(part, kind="stable")
        sizes = np.bincount(part, minlength=len(self.borders))
        start = 0
        for (rows_file, vectors_file), size in zip(outs, sizes.tolist(), strict=True):
            if size:
                chosen = order[start : start + size]
                rows_file.write(rows[chosen].tobytes())
                vectors_file.write(vectors[chosen].tobytes())
            start += size
        return sizes


@dataclass(frozen=True, slots=True)
class Part:
    """The rows of some clusters, sorted by cluster, place and doc_id."""

    folder: Path
    rows: int
    dimension: int
    probes: int

    def table(self) -> NDArray[Any]:
        """`row_type`[n], memory-mapped."""
        return mapped(self.folder / "rows.bin", row_type(self.probes), (self.rows,))

    def vectors(self) -> NDArray[np.int8]:
        """int8[n, d], memory-mapped."""
        return mapped(self.folder / "vectors.bin", np.int8, (self.rows, self.dimension))


@dataclass(frozen=True, slots=True)
class Order:
    """Sort one part. clusters: the first, and the one behind the last. pieces: folders of `Scatter` and how many rows
    each has for this part."""

    part: int
    clusters: tuple[int, int]
    pieces: tuple[tuple[Path, int], ...]
    dimension: int
    probes: int

    @property
    def key(self) -> str:
        """See `stage.Work`."""
        return "order-{}-{}".format(*self.clusters)  # another number of parts may cut elsewhere

    def run(self, folder: Path) -> dict[str, Any]:
        """Write rows.bin and vectors.bin."""
        kind = row_type(self.probes)
        pieces = [(path, size) for path, size in self.pieces if size]
        tables = [mapped(path / f"{self.part}.rows", kind, (size,)) for path, size in pieces]
        vectors = [mapped(path / f"{self.part}.vectors", np.int8, (size, self.dimension)) for path, size in pieces]
        keys = [joined([table[name] for table in tables], kind[name]) for name in ("doc_id", "place", "cluster")]
        order = np.lexsort(keys)
        starts = np.concatenate([[0], np.cumsum([size for _, size in pieces])]).astype(np.int64)
        with (folder / "rows.bin").open("wb") as rows_file, (folder / "vectors.bin").open("wb") as vectors_file:
            for start in range(0, len(order), _BLOCK_ROWS):
                chosen = order[start : start + _BLOCK_ROWS]
                rows_file.write(_gather(tables, starts, chosen).tobytes())
                vectors_file.write(_gather(vectors, starts, chosen).tobytes())
        return {"rows": len(order)}


def _gather(pieces: Sequence[NDArray[Any]], starts: NDArray[np.int64], rows: NDArray[np.int64]) -> NDArray[Any]:
    """Rows of pieces that stand one after the other."""
    out = np.empty((len(rows), *pieces[0].shape[1:]), pieces[0].dtype)
    piece = np.searchsorted(starts, rows, "right") - 1
    for number in np.unique(piece).tolist():
        here = np.flatnonzero(piece == number)
        local = rows[here] - starts[number]
        forward = np.argsort(local)  # ascending, for the disk's sake
        out[here[forward]] = pieces[number][local[forward]]
    return out


def part_borders(sizes: NDArray[np.int64], parts: int) -> tuple[int, ...]:
    """The first cluster of each of at most `parts` runs of clusters with about equal numbers of rows."""
    ends = np.cumsum(sizes)
    targets = np.arange(1, parts) * (int(ends[-1]) / parts)
    return tuple(sorted({0, *(min(int(i) + 1, len(sizes) - 1) for i in np.searchsorted(ends, targets))}))


def order_corpus(
    corpus: Corpus,
    clustered: Clustered,
    places: Sequence[Place],
    one: bool,
    basis: Any,
    only: NDArray[np.bool_] | None = None,
) -> list[Part]:
    """Bring clusters together. places: of each split. one: all documents as one cluster. only: bool[k], the clusters
    that are wanted, all where None; then the basis must tell which."""
    sizes = clustered.sizes().sum(axis=1) * (1 if only is None else only)
    rows = clustered.rows if one else int(sizes.sum())
    count = min(_MOST_PARTS, ranges_for_memory(corpus, rows, clustered.dimension + _ROW_BYTES + 4 * clustered.stored))
    borders = (0,) if one else part_borders(sizes, count)
    files = tuple(zip(clustered.files, clustered.assigned, places, strict=True))
    runs = ranges(len(files), 4 * corpus.workers)
    works = [Scatter(i, len(runs), files[run.start : run.stop], borders, one, only) for i, run in enumerate(runs)]
    scattered = corpus.run(works, "bringing clusters together", basis=basis)
    ends = (*borders[1:], len(sizes))
    orders = [
        Order(
            part,
            (borders[part], ends[part]),
            tuple((done.folder, done.result["sizes"][part]) for done in scattered),
            clustered.dimension,
            clustered.stored,
        )
        for part in range(len(borders))
    ]
    done = corpus.run(orders, "sorting clusters", basis=basis)
    return [Part(each.folder, each.result["rows"], clustered.dimension, clustered.stored) for each in done]
