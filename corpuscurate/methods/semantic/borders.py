"""Pairs lost at the borders of clusters, estimated: some documents are compared with all others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from corpuscurate.core.artefact import Artefacts
from corpuscurate.core.corpus import Corpus
from corpuscurate.core.doc_ids import hashed
from corpuscurate.kernels.embedding.neighbour_lists import BINS
from corpuscurate.methods.semantic.clusters import Assigned, Clustered
from corpuscurate.methods.semantic.kmeans import CENTROIDS, SAMPLE, SAMPLE_IDS
from corpuscurate.methods.semantic.threads import one_pool
from corpuscurate.methods.semantic.vectors import Vectors, squares_of
from corpuscurate.methods.semantic.visits import ClustersNear, Visits

_BLOCK_ROWS = 1 << 13
_SEED = 77
"""Of the choice of documents."""


@dataclass(frozen=True, slots=True)
class Borders:
    """Compare the documents of one split with `wanted` documents of the sample. fitted: folder of the centroids and the
    sample. visits: see `Clustered`. floor: cosine from which pairs count."""

    split: int
    file: Vectors
    assigned: Assigned
    fitted: Artefacts
    visits: Visits
    wanted: int
    floor: float

    @property
    def key(self) -> str:
        """See `stage.Work`."""
        return f"borders-{self.split:05d}-{self.wanted}"

    def run(self, folder: Path) -> dict[str, Any]:
        """Write borders.npy: int64[2, BINS + 1], pairs by cosine, found and lost."""
        counts = np.zeros((2, BINS + 1), np.int64)
        ids, vectors = _some(self.fitted, self.wanted)
        rows = vectors.astype(np.float32)
        squares = np.einsum("ij,ij->i", rows, rows, dtype=np.float64)
        with one_pool(1):
            near_ones = ClustersNear(np.load(self.fitted[CENTROIDS]), self.visits)
            mine = near_ones.search(vectors, squares_of(vectors))[0] if len(ids) else np.empty((0, 1), np.int32)
            others, clusters = self.file.vectors(), self.assigned.clusters()
            names, other_squares = self.file.ids(), self.file.squares().astype(np.float64)
            for start in range(0, self.file.rows, _BLOCK_ROWS):
                block = slice(start, start + _BLOCK_ROWS)
                cosines = (others[block].astype(np.float32) @ rows.T) / np.sqrt(other_squares[block, None] * squares)
                near = (cosines >= self.floor) & (names[block, None] != ids)
                y, x = np.nonzero(near)
                there = np.asarray(clusters[block])[y]
                met = (there == mine[x, :1]).any(axis=1) | (mine[x] == there[:, :1]).any(axis=1)
                bins = np.minimum((cosines[y, x] * BINS).astype(np.int64), BINS)
                for row, chosen in enumerate((met, ~met)):
                    counts[row] += np.bincount(bins[chosen], minlength=BINS + 1)
        np.save(folder / "borders.npy", counts)
        return {}


def _some(fitted: Artefacts, wanted: int) -> tuple[NDArray[np.uint64], NDArray[np.int16]]:
    """doc_ids and vectors of `wanted` documents of the sample, chosen by hash."""
    ids: NDArray[np.uint64] = np.load(fitted[SAMPLE_IDS])
    order = np.sort(np.argsort(hashed(ids, _SEED), kind="stable")[:wanted])
    return ids[order], np.load(fitted[SAMPLE], mmap_mode="r")[order]


def estimate_borders(
    corpus: Corpus, clustered: Clustered, wanted: int, floor: float, basis: Sequence[Any]
) -> NDArray[np.int64]:
    """Count the pairs of `wanted` documents by cosine, found and lost: int64[2, BINS + 1].

    floor: cosine from which pairs count. basis: see `Corpus.run`. Zeros where nothing can be lost.
    """
    counts = np.zeros((2, BINS + 1), np.int64)
    if wanted == 0 or clustered.one:
        return counts
    works = [
        Borders(i, file, assigned, clustered.fitted, clustered.visits, wanted, floor)
        for i, (file, assigned) in enumerate(zip(clustered.files, clustered.assigned, strict=True))
    ]
    for done in corpus.run(works, "estimating pairs across borders", basis=[*basis, floor, wanted]):
        counts += np.load(done.files["borders.npy"])
    return counts


def border_stats(counts: NDArray[np.int64], documents: int, threshold: float) -> dict[str, Any]:
    """The pairs of the sampled documents with a cosine of at least `threshold`. counts: see `estimate_borders`."""
    found, lost = (int(row[int(np.floor(threshold * BINS + 1e-9)) :].sum()) for row in counts)
    return {
        "documents": documents,
        "pairs_found": found,
        "pairs_lost": lost,
        "lost_ratio": round(lost / (found + lost), 4) if found + lost else None,
    }
