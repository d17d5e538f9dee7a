"""Runs of elements in arrays with offsets."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from corpuscurate.kernels.compile import leaf
from corpuscurate.kernels.components import Int


@leaf
def copy_runs(
    offsets: NDArray[np.int64], values: NDArray[np.uint64], chosen: NDArray[np.int64], out: NDArray[np.uint64]
) -> Int:
    """Copy the runs values[offsets[i]:offsets[i + 1]] of the `chosen` i to `out`, one after the other. Returns how many
    elements."""
    filled: Int = 0
    for i in chosen:
        for at in range(offsets[i], offsets[i + 1]):
            out[filled] = values[at]
            filled += 1
    return filled
