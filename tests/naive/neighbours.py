"""Semantic deduplication from its definition, in whole numbers, all with all. Never imports corpuscurate."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np


def stored(row: Sequence[float]) -> list[int]:
    """A unit row in 8 bits: the greatest element becomes 127, or the length 4000 where that is less."""
    greatest = max((abs(float(x)) for x in row), default=0.0)
    if greatest == 0:
        return [0] * len(row)
    factor = min(127.0 / greatest, 4000.0)
    return [round(float(x) * factor) for x in row]


def cosine(a: Sequence[int], b: Sequence[int]) -> float:
    dot = sum(x * y for x, y in zip(a, b, strict=True))
    return dot / math.sqrt(float(sum(x * x for x in a)) * float(sum(y * y for y in b)))


def cosines(vectors: np.ndarray) -> np.ndarray:
    """All cosines, by products in 64-bit integers."""
    whole = vectors.astype(np.int64)
    products = whole @ whole.T
    squares = np.diag(products).astype(np.float64)
    return products / np.sqrt(squares[:, None] * squares)


def decide(order: Sequence[int], matrix: np.ndarray, meets, rule: str, threshold: float) -> dict[int, tuple]:
    """Documents (rows of the matrix) that go, in keep order: row -> (kept one, nearest that decided, cosine).

    meets(a, b): whether two documents are compared. Of equally near ones the earliest in keep order decides.
    """
    gone: dict[int, tuple] = {}
    for place, x in enumerate(order):
        best = None
        for y in order[:place]:
            if rule == "independent" and y in gone:
                continue
            if matrix[x, y] >= threshold and meets(x, y) and (best is None or matrix[x, y] > matrix[x, best]):
                best = y
        if best is not None:
            kept = gone[best][0] if best in gone else best
            gone[x] = (kept, best, float(matrix[x, best]))
    return gone
