"""In which clusters a document is compared: its own, and further ones at whose border it lies.

Two near documents are compared when one of them visits the cluster in which the other lives. Where a border runs
between them, the distances of both from it add up to what parts them along its normal, so one of them is at most half
of that away. Few documents lie so near a border: to visit by distance finds more pairs with fewer comparisons than the
same number of clusters for each document (`scripts/bench_semantic_scale.py lost`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from corpuscurate.methods.semantic.kmeans import Nearest, centroid_squares

MOST = 8
"""Clusters in which a document is compared where their number follows from the distance."""


@dataclass(frozen=True, slots=True)
class Visits:
    """probes: clusters in which a document is compared, its own and the next nearest. border: those of them alone whose
    centroid's cosine with the document is at most this much below that of its own; None: all of them."""

    probes: int
    border: float | None = None

    def all_of(self, clusters: int) -> bool:
        """Whether each document is compared in all clusters."""
        return clusters == 1 or (self.border is None and self.probes >= clusters)

    def at_most(self, clusters: int) -> Visits:
        """The same where there are so many clusters."""
        return Visits(min(self.probes, clusters), self.border)


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
        numbers, products = self._nearest.search(vectors, self._visits.probes)
        cosines = products / (np.sqrt(squares.astype(np.float64))[:, None] * self._lengths[numbers])
        if self._visits.border is not None:
            numbers[cosines < cosines[:, :1] - self._visits.border] = -1
        return numbers.astype(np.int32), np.ascontiguousarray(cosines[:, 0])
