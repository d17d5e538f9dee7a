"""Semantic deduplication from its definition, in whole numbers, all with all. Never imports corpuscurate."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np


def stored(row: Sequence[float]) -> list[int]:
    """A unit row in whole numbers, 4000 long, with a dither for each dimension."""
    golden = 0.6180339887498949
    return [round(float(x) * 4000 + k * golden % 1 - 0.5) for k, x in enumerate(row, 1)]


def cosine(a: Sequence[int], b: Sequence[int]) -> float:
    dot = sum(x * y for x, y in zip(a, b, strict=True))
    return dot / math.sqrt(float(sum(x * x for x in a)) * float(sum(y * y for y in b)))


def cosines(vectors: np.ndarray) -> np.ndarray:
    """All cosines, by products in 64-bit integers."""
    whole = vectors.astype(np.int64)
    products = whole @ whole.T
    squares = np.diag(products).astype(np.float64)
    return products / np.sqrt(squares[:, None] * squares)


def decide(
    order: Sequence[int], matrix: np.ndarray, meets, rule: str, threshold: float, agrees=lambda later, earlier: True
) -> dict[int, tuple]:
    """Documents (rows of the matrix) that go, in keep order: row -> (kept one, nearest that decided, cosine).

    meets(a, b): whether two documents are compared. Of equally near ones the earliest in keep order decides. A pair
    that does not agree is none.
    """
    gone: dict[int, tuple] = {}
    for position, x in enumerate(order):
        best = None
        for y in order[:position]:
            if rule == "independent" and y in gone:
                continue
            nearer = matrix[x, y] >= threshold and (best is None or matrix[x, y] > matrix[x, best])
            if nearer and meets(x, y) and agrees(x, y):
                best = y
        if best is not None:
            kept = gone[best][0] if best in gone else best
            gone[x] = (kept, best, float(matrix[x, best]))
    return gone


def containment(later: set, earlier: set) -> float:
    """The share of a document's n-grams that another one has; nan where it has none."""
    return len(later & earlier) / len(later) if later else math.nan


def pruned(cosines: Sequence[float], clusters: Sequence[int], fraction: float, keep: str, balance: float) -> set[int]:
    """Documents kept by the distance to their centroid: first each cluster's sure part, then the best."""
    better = sorted(range(len(cosines)), key=lambda i: (cosines[i] if keep == "hard" else -cosines[i], i))
    kept: set[int] = set()
    for cluster in set(clusters):
        mine = [i for i in better if clusters[i] == cluster]
        kept |= set(mine[: math.floor(balance * fraction * len(mine) + 1e-9)])
    for i in better:
        if len(kept) >= math.floor(fraction * len(cosines) + 0.5):
            break
        kept.add(i)
    return kept


def mean_of_nearest(matrix: np.ndarray, reaches, row: int, count: int) -> float | None:
    """Mean cosine with the `count` nearest documents that a document reaches."""
    found = sorted((float(matrix[row, i]) for i in range(len(matrix)) if i != row and reaches(row, i)), reverse=True)
    return sum(found[:count]) / len(found[:count]) if found else None


def spread(rows: Sequence[int], matrix: np.ndarray, count: int) -> list[int]:
    """k-centre greedy over rows, beginning with the first."""
    chosen = [rows[0]]
    while len(chosen) < count:
        left = [row for row in rows if row not in chosen]
        chosen.append(min(left, key=lambda row: (max(matrix[row, c] for c in chosen), rows.index(row))))
    return chosen


def dealt(sizes: Sequence[int], budget: int, cap: int | None) -> list[int]:
    """One document after the other to the cluster that has got the fewest, the largest first of equal ones."""
    room = [size if cap is None else min(size, cap) for size in sizes]
    given = [0] * len(sizes)
    for _ in range(min(budget, sum(room))):
        open_ = [i for i in range(len(sizes)) if given[i] < room[i]]
        given[min(open_, key=lambda i: (given[i], -sizes[i], i))] += 1
    return given
