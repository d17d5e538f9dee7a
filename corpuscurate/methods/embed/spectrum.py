"""The leading right singular vectors of a sparse matrix by seeded subspace iteration, the same bytes on every machine.

Source: Halko, Martinsson and Tropp 2011, "Finding structure with randomness", algorithms 4.4 and 5.1. Threads share
rows (of products) and blocks of rows (of Gram matrices); block borders are fixed and blocks are added in order.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from corpuscurate.kernels.embedding.linear import (
    add_gram,
    inverse_root,
    jacobi,
    random_rows,
    rows_times_matrix,
    sparse_times_dense,
)
from corpuscurate.kernels.embedding.wordvectors import transpose

EXTRA = 16
"""Columns of the subspace beyond those that are wanted."""
BLOCK = 8192
"""Rows of a block of a Gram matrix. Part of the result's bytes."""


class Sparse(NamedTuple):
    """A float32 matrix in compressed rows. starts: int64[n + 1]; columns: int32; values: float32; width: columns."""

    starts: NDArray[np.int64]
    columns: NDArray[np.int32]
    values: NDArray[np.float32]
    width: int

    @property
    def height(self) -> int:
        """The number of rows."""
        return len(self.starts) - 1

    def turned(self) -> Sparse:
        """The transpose."""
        starts = np.empty(self.width + 1, np.int64)
        columns, values = np.empty_like(self.columns), np.empty_like(self.values)
        transpose(self.starts, self.columns, self.values, starts, columns, values)
        return Sparse(starts, columns, values, self.height)


def right_vectors(
    matrix: Sparse, names: NDArray[np.uint64], dimension: int, iterations: int, seed: int, threads: int
) -> NDArray[np.float32]:
    """V sqrt(S) of `matrix` = U S V^T: float32[matrix.width, dimension], columns by descending singular value.

    names: uint64[width], what the random start of each column is made from. Columns beyond the rank are zero.
    """
    size = min(dimension + EXTRA, 64 * ((min(matrix.width, matrix.height) + 63) // 64))
    found = np.zeros((matrix.width, dimension), np.float32)
    if matrix.width == 0 or matrix.height == 0:
        return found
    with ThreadPoolExecutor(max(1, threads)) as pool:
        run = _Parts(pool, max(1, threads))
        turned = matrix.turned()
        basis = np.empty((matrix.width, size), np.float32)
        random_rows(names, np.uint64(seed), basis)
        image = np.empty((matrix.height, size), np.float32)
        for _ in range(iterations):
            run.product(matrix, basis, image)
            run.product(turned, image, basis)
            run.orthonormalise(basis)
        run.orthonormalise(basis)  # twice is enough: Giraud, Langou and Rozloznik 2005
        run.product(matrix, basis, image)
        gram = run.gram(image)
        gram = np.triu(gram) + np.triu(gram, 1).T
        vectors = np.empty_like(gram)
        jacobi(gram, vectors)
        values = np.sqrt(np.maximum(np.diag(gram), 0.0))
        order = np.argsort(-values, kind="stable")[:dimension]
        order = order[values[order] > 1e-6 * values.max(initial=0.0)]
        turn = np.ascontiguousarray((vectors[order] * np.sqrt(values[order, None])).T)
        run.times(basis, turn, found[:, : len(order)])
    return found


class _Parts:
    """Work shared among threads."""

    def __init__(self, pool: ThreadPoolExecutor, threads: int) -> None:
        self.pool = pool
        self.threads = threads

    def _each(self, size: int, work: Callable[[int, int], object]) -> None:
        edges = [i * size // (4 * self.threads) for i in range(4 * self.threads + 1)]
        list(self.pool.map(work, edges[:-1], edges[1:]))

    def product(self, left: Sparse, right: NDArray[np.float32], out: NDArray[np.float32]) -> None:
        """out = left @ right."""
        self._each(
            left.height,
            lambda first, last: sparse_times_dense(left.starts, left.columns, left.values, right, first, last, out),
        )

    def times(self, rows: NDArray[np.float32], matrix: NDArray[np.float64], out: NDArray[np.float32]) -> None:
        """out = rows @ matrix; `out` may be `rows`."""
        self._each(len(rows), lambda first, last: rows_times_matrix(rows, matrix, first, last, out))

    def gram(self, rows: NDArray[np.float32]) -> NDArray[np.float64]:
        """rows^T rows, the upper triangle."""
        size = rows.shape[1]

        def block(first: int) -> NDArray[np.float64]:
            part = np.zeros((size, size))
            add_gram(rows, first, min(first + BLOCK, len(rows)), part)
            return part

        total = np.zeros((size, size))
        for part in self.pool.map(block, range(0, len(rows), BLOCK)):
            total += part
        return total

    def orthonormalise(self, rows: NDArray[np.float32]) -> None:
        """Make the columns orthonormal, in place; those that depend on others become zero."""
        inverse = np.empty((rows.shape[1], rows.shape[1]))
        inverse_root(self.gram(rows), inverse)
        self.times(rows, inverse, rows)
