"""In which clusters a document is compared: its own, and further ones at whose border it lies.

Two near documents are compared when one of them visits the cluster in which the other lives. Where a border runs
between them, the distances of both from it add up to what parts them along its normal, so one of them is at most half
of that away. Few documents lie so near a border: to visit by distance finds more pairs with fewer comparisons than the
same number of clusters for each document (`scripts/bench_semantic_scale.py lost`).

How near is measured where the recipe does not say it (`measured_border`), since it depends on how many dimensions the
embeddings truly have: documents of the sample are moved to a cosine of `NEAR`, each in the direction that parts two
others. Edits of a text move its row in more directions than different texts lie in, so fewer real pairs are lost.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from corpuscurate.core.artefact import Artefacts
from corpuscurate.core.doc_ids import hashed
from corpuscurate.methods.embed.base import noted_rows
from corpuscurate.methods.semantic.kmeans import CENTROIDS, SAMPLE, SAMPLE_IDS, Nearest, centroid_squares
from corpuscurate.methods.semantic.threads import one_pool
from corpuscurate.methods.semantic.vectors import quantised, squares_of

MOST = 8
"""Clusters in which a document is compared where their number follows from the distance."""
NEAR = 0.95
"""Cosine of the pairs that the border is measured with."""
LOST = 0.01
"""Share of them that it may lose."""
STEP = 0.005
WIDEST = 0.2
MOVED = 4096
"""Documents that are moved."""
_SEED = 78


@dataclass(frozen=True, slots=True)
class Visits:
    """probes: clusters in which a document is compared, its own and the next nearest. border: those of them alone whose
    centroid's cosine with the document is at most this much below that of its own; None: all of them. measured: the
    border is measured."""

    probes: int
    border: float | None = None
    measured: bool = False

    def all_of(self, clusters: int) -> bool:
        """Whether each document is compared in all clusters."""
        return clusters == 1 or (self.border is None and not self.measured and self.probes >= clusters)

    def at_most(self, clusters: int) -> Visits:
        """The same where there are so many clusters."""
        return Visits(min(self.probes, clusters), self.border, self.measured)


OWN = Visits(1)
"""The own cluster alone."""


class ClustersNear:
    """Finds the clusters of stored vectors. centroids: whole numbers [k, d]. Needs FAISS."""

    def __init__(self, centroids: NDArray[Any], visits: Visits) -> None:
        self._nearest = Nearest(centroids.astype(np.float32))
        self._lengths = np.sqrt(centroid_squares(centroids).astype(np.float64))
        self._visits = visits.at_most(len(centroids))

    @property
    def clusters(self) -> int:
        """How many there are."""
        return len(self._lengths)

    def search(
        self, vectors: NDArray[np.int16], squares: NDArray[np.int32]
    ) -> tuple[NDArray[np.int32], NDArray[np.float64]]:
        """Clusters int32[n, probes], nearest first, -1 for none; and the cosine with the first one, float64[n]."""
        numbers, cosines = self.cosines(vectors, squares)
        if self._visits.border is not None:
            numbers[cosines < cosines[:, :1] - self._visits.border] = -1
        return numbers.astype(np.int32), np.ascontiguousarray(cosines[:, 0])

    def cosines(
        self, vectors: NDArray[np.int16], squares: NDArray[np.int32]
    ) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """The nearest clusters int64[n, probes], wherever the document lies, and the cosines with their centroids."""
        numbers, products = self._nearest.search(vectors, self._visits.probes)
        return numbers, products / (np.sqrt(squares.astype(np.float64))[:, None] * self._lengths[numbers])


def measured_border(
    vectors: NDArray[np.int16], ids: NDArray[np.uint64], centroids: NDArray[np.int16], probes: int = MOST
) -> float:
    """The lowest multiple of STEP, up to WIDEST, that loses at most LOST of the pairs of a document and the same moved.

    vectors: int16[n, d], the sample; ids: its doc_ids, which choose by hash. Whole numbers and single operations on
    floats: the same on any CPU.
    """
    order = np.argsort(hashed(ids, _SEED), kind="stable")
    count = min(MOVED, len(ids) // 3)
    rows, one, other = (vectors[order[i * count : (i + 1) * count]].astype(np.int64) for i in range(3))
    there, others = _moved(rows, one - other)
    if not len(there):
        return 0.0
    near = ClustersNear(centroids, Visits(probes))
    (a, cosines_a), (b, cosines_b) = (
        near.cosines(each, squares_of(each)) for each in (rows[there].astype(np.int16), others)
    )
    needed = np.minimum(_needed(a, cosines_a, b[:, :1]), _needed(b, cosines_b, a[:, :1]))
    worst = np.sort(needed)[::-1][int(LOST * len(needed))]
    return min(WIDEST, float(np.ceil(worst / STEP - 1e-9)) * STEP)


def _needed(numbers: NDArray[np.int64], cosines: NDArray[np.float64], home: NDArray[np.int64]) -> NDArray[np.float64]:
    """How wide a border must be for each row to visit the cluster `home`; infinite where none is wide enough."""
    gaps = np.where(numbers == home, cosines[:, :1] - cosines, np.inf)
    needed: NDArray[np.float64] = gaps.min(axis=1)
    return needed


def _moved(rows: NDArray[np.int64], away: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int16]]:
    """Which rows can be moved along `away`, and they themselves, moved to the cosine NEAR, as stored vectors."""
    square, along, whole = (
        (a * b).sum(axis=1).astype(np.float64) for a, b in ((rows, rows), (rows, away), (away, away))
    )
    share = along / square
    across = whole - along * share
    there = np.flatnonzero(across > 1.0)
    straight = NEAR / np.sqrt(square[there]) - np.sqrt(1 - NEAR * NEAR) / np.sqrt(across[there]) * share[there]
    aside = np.sqrt(1 - NEAR * NEAR) / np.sqrt(across[there])
    moved = rows[there] * straight[:, None] + away[there] * aside[:, None]
    return there, quantised(noted_rows(moved).rows)[0]


@dataclass(frozen=True, slots=True)
class MeasureBorder:
    """Measure the border. fitted: folder of the centroids and the sample."""

    fitted: Artefacts

    @property
    def key(self) -> str:
        """See `stage.Work`."""
        return "border"

    def run(self, folder: Path) -> dict[str, Any]:
        """Write nothing."""
        vectors, ids = np.load(self.fitted[SAMPLE], mmap_mode="r"), np.load(self.fitted[SAMPLE_IDS])
        with one_pool(1):
            return {"border": measured_border(vectors, ids, np.load(self.fitted[CENTROIDS]))}
