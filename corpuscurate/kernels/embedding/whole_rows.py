"""Rows of floats to rows of whole numbers (`methods.semantic.vectors` says which and why)."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from corpuscurate.kernels.compile import kernel


@kernel
def whole_rows(
    rows: NDArray[np.float32],
    length: float,
    dither: NDArray[np.float64],
    out: NDArray[np.int16],
    squares: NDArray[np.int32],
) -> int:
    """Multiply unit rows float32[n, d] by `length`, add dither float64[d], and round to the nearest whole number.

    A zero row stays zero where every dither is below a half. squares: int32[n], filled with the sum of squares of each
    row of `out`. Returns n.
    """
    for row in range(len(rows)):
        total = np.int32(0)
        for column in range(rows.shape[1]):
            whole = np.int16(np.rint(np.float64(rows[row, column]) * length + dither[column]))
            out[row, column] = whole
            total += np.int32(whole) * np.int32(whole)
        squares[row] = total
    return len(rows)


@kernel
def row_squares(rows: NDArray[np.int16], out: NDArray[np.int32]) -> int:
    """The sum of squares of each row of int16[n, d]; it must stay below 2^31. Returns n."""
    for row in range(len(rows)):
        total = np.int32(0)
        for column in range(rows.shape[1]):
            total += np.int32(rows[row, column]) * np.int32(rows[row, column])
        out[row] = total
    return len(rows)


@kernel
def unit_rows(rows: NDArray[Any], out: NDArray[np.float32], squares: NDArray[np.float64]) -> int:
    """Divide rows float32[n, d] or float64[n, d] by their length; zero rows, and those with NaN or infinity, become
    zero.

    squares: float64[n], filled with the square of each length, added up from left to right. Returns n.
    """
    for row in range(len(rows)):
        total = 0.0
        for column in range(rows.shape[1]):
            total += np.float64(rows[row, column]) * np.float64(rows[row, column])
        squares[row] = total
        if total > 0 and np.isfinite(total):
            root = np.sqrt(total)
            for column in range(rows.shape[1]):
                out[row, column] = np.float32(np.float64(rows[row, column]) / root)
        else:
            for column in range(rows.shape[1]):
                out[row, column] = np.float32(0)
    return len(rows)
