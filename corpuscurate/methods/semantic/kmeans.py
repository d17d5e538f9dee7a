"""Spherical k-means (Dhillon and Modha 2001) over stored vectors: FAISS finds the nearest centroid, sums are ours.

Centroids are whole numbers too: rows of length `LENGTH`, rounded. FAISS sees whole numbers only, so its products are
exact; each row's nearest centroid is the lowest-numbered of equal ones, and sums of a cluster are added in 64-bit
integers. So the result does not depend on threads, block sizes, the BLAS or the kind of CPU. FAISS's own k-means adds
floats, and its answer among equal products varies with the number of queries.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from corpuscurate.core.doc_ids import hashed, sampled
from corpuscurate.core.errors import MissingExtraError
from corpuscurate.kernels.embedding.neighbour_lists import add_rows, lengths
from corpuscurate.methods.semantic.threads import one_pool
from corpuscurate.methods.semantic.vectors import LENGTH, Vectors

BLOCK_ROWS = 1 << 13
_WEIGHT = 1 << 20
CENTROIDS = "centroids.npy"
SAMPLE = "sample.npy"
SAMPLE_IDS = "sample-ids.npy"
SMALL = 8192
"""Up to this many documents are compared all with all: that costs less than a second, and no border loses a pair."""
EACH = 64
"""Documents of the sample per cluster."""
LEAST = 50_000
STILL = 1000


def need_faiss() -> Any:
    """The module FAISS. Raises MissingExtraError where it is not installed."""
    try:
        import faiss
    except ImportError as error:
        raise MissingExtraError("faiss-cpu", "semantic", "clustering of embeddings") from error
    return faiss


class Nearest:
    """The nearest centroids of stored vectors. centroids: float32[k, d], whole numbers. Needs FAISS."""

    def __init__(self, centroids: NDArray[np.float32]) -> None:
        self._centroids = centroids
        self._index = need_faiss().IndexFlatIP(centroids.shape[1])
        self._index.add(centroids)

    def search(self, vectors: NDArray[np.int16], count: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Numbers int64[n, count] and products int64[n, count], nearest first, lowest number first of equal ones."""
        rows = np.ascontiguousarray(vectors, np.float32)
        asked = min(count + 1, len(self._centroids))
        products, numbers = self._index.search(rows, asked)
        order = np.lexsort((numbers, -products), axis=1)
        products, numbers = np.take_along_axis(products, order, 1), np.take_along_axis(numbers, order, 1)
        if asked > count:  # FAISS says nothing of which of equal ones it gives at the border
            tied = np.flatnonzero(products[:, count - 1] == products[:, count])
            for start in range(0, len(tied), 64):
                some = tied[start : start + 64]
                every = rows[some] @ self._centroids.T
                best = np.argsort(-every, axis=1, kind="stable")[:, :count]
                numbers[some, :count], products[some, :count] = best, np.take_along_axis(every, best, 1)
        return numbers[:, :count].astype(np.int64), products[:, :count].astype(np.int64)


@dataclass(frozen=True, slots=True)
class Clustering:
    """How to cluster. clusters: k; sample: documents to learn from; iterations: at most; seed: of all choices."""

    clusters: int
    sample: int
    iterations: int
    seed: int


def choose_clusters(documents: int, clusters: int | None, *, small: int = SMALL) -> tuple[int, str]:
    """Choose the number of clusters for a number of documents, and say why. clusters: the recipe's number, if any."""
    if clusters is not None:
        k = max(1, min(clusters, documents))
        return (
            k,
            "as the recipe says" if k == clusters else f"the recipe says {clusters}, more than there are documents",
        )
    if documents <= small:
        return 1, f"{documents:,} documents are few enough to compare all with all: no pair is lost at a border"
    k = max(1, round(documents**0.5))
    return k, (
        f"the square root of {documents:,} documents: finding the nearest of k centroids costs k products a document, "
        "and comparing within clusters about documents / k, so their sum is least there"
    )


def sample_size(clusters: int, sample: int | None) -> int:
    """Documents to learn centroids from: 64 a cluster, at least 50,000, where the recipe says nothing."""
    return max(LEAST, EACH * clusters) if sample is None else sample


@dataclass(frozen=True, slots=True)
class Fit:
    """Learn centroids from a sample. threads: how many to use, which changes nothing in the result."""

    files: tuple[Vectors, ...]
    how: Clustering
    threads: int

    @property
    def key(self) -> str:
        """See `stage.Work`."""
        return "centroids"

    def run(self, folder: Path) -> dict[str, Any]:
        """Write centroids.npy (int16[k, d]), and the sample: sample.npy, sample-ids.npy."""
        vectors, squares, ids = read_sample(self.files, self.how.sample, self.how.seed)
        with one_pool(self.threads):
            centroids, history = fit(vectors, squares, ids, self.how)
        np.save(folder / CENTROIDS, centroids.astype(np.int16))
        np.save(folder / SAMPLE, vectors)
        np.save(folder / SAMPLE_IDS, ids)
        return {"sample": len(vectors), "clusters": len(centroids), "iterations": len(history), "mean_cosine": history}


def read_sample(
    files: Sequence[Vectors], wanted: int, seed: int
) -> tuple[NDArray[np.int16], NDArray[np.int32], NDArray[np.uint64]]:
    """Read about `wanted` rows of all files, in order of doc_id: vectors int16[n, d], squares int32[n], doc_ids."""
    total = sum(file.rows for file in files)
    width = files[0].dimension if files else 1
    vectors, squares, names = [np.empty((0, width), np.int16)], [np.empty(0, np.int32)], [np.empty(0, np.uint64)]
    for file in files:
        ids = file.ids()
        rows = np.flatnonzero(sampled(ids, seed, wanted, total))
        vectors.append(file.vectors()[rows])
        squares.append(file.squares()[rows])
        names.append(ids[rows])
    return np.concatenate(vectors), np.concatenate(squares), np.concatenate(names)


def fit(
    vectors: NDArray[np.int16], squares: NDArray[np.int32], ids: NDArray[np.uint64], how: Clustering
) -> tuple[NDArray[np.float32], list[float]]:
    """Centroids float32[k, d] (whole numbers), k at most the rows at hand, and the mean cosine by iteration.

    It begins with k documents by hash, and ends when at most one document in `STILL` moves, or after
    `how.iterations`. A centroid that loses all its documents gets the one that is farthest from its own.
    """
    weights = (_WEIGHT / np.sqrt(squares.astype(np.float64))).astype(np.int64)
    k = max(1, min(how.clusters, len(vectors)))
    first = np.sort(np.argsort(hashed(ids, how.seed + 1), kind="stable")[:k])
    centroids = directed(vectors[first].astype(np.int64))
    if not len(vectors):
        return np.zeros((1, vectors.shape[1]), np.float32), []
    before = np.full(len(vectors), -1, np.int64)
    history: list[float] = []
    for _ in range(how.iterations):
        labels, cosines = _assigned(vectors, squares, centroids)
        history.append(round(float(cosines.mean()), 6))
        if int((labels != before).sum()) <= len(labels) // STILL:
            break
        before = labels
        centroids = _moved(vectors, weights, labels, cosines, centroids)
    return centroids, history


def _assigned(
    vectors: NDArray[np.int16], squares: NDArray[np.int32], centroids: NDArray[np.float32]
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    nearest = Nearest(centroids)
    labels, cosines = np.empty(len(vectors), np.int64), np.empty(len(vectors))
    lengths_of = np.sqrt(centroid_squares(centroids).astype(np.float64))
    for start in range(0, len(vectors), BLOCK_ROWS):
        rows = slice(start, start + BLOCK_ROWS)
        numbers, products = nearest.search(vectors[rows], 1)
        labels[rows] = numbers[:, 0]
        cosines[rows] = products[:, 0] / (np.sqrt(squares[rows].astype(np.float64)) * lengths_of[numbers[:, 0]])
    return labels, cosines


def centroid_squares(centroids: NDArray[Any]) -> NDArray[np.int64]:
    """int64[k]: the square of each centroid's length."""
    whole = centroids.astype(np.int64)
    squares: NDArray[np.int64] = (whole * whole).sum(axis=1)
    return squares


def _moved(
    vectors: NDArray[np.int16],
    weights: NDArray[np.int64],
    labels: NDArray[np.int64],
    cosines: NDArray[np.float64],
    centroids: NDArray[np.float32],
) -> NDArray[np.float32]:
    sums = np.zeros(centroids.shape, np.int64)
    add_rows(vectors, weights, labels, sums)
    empty = np.flatnonzero(np.bincount(labels, minlength=len(centroids)) == 0)
    if len(empty):
        farthest = np.argsort(cosines, kind="stable")[: len(empty)]
        sums[empty[: len(farthest)]] = vectors[farthest]
    return directed(sums)


def directed(sums: NDArray[np.int64]) -> NDArray[np.float32]:
    """Rows brought to length `LENGTH` and rounded; a sum of zero, which has no direction, gets the first axis."""
    size = np.empty(len(sums))
    lengths(sums, size)
    rows = np.rint(sums * (LENGTH / np.where(size > 0, size, 1.0))[:, None])
    rows[size == 0, 0] = LENGTH
    return rows.astype(np.float32)
