"""Batches of token numbers for transformers, and the rows of their windows brought together."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from corpuscurate.kernels.compile import kernel

_NOT_FINITE = np.uint8(8)
"""`NOT_FINITE` of `methods.embed.base`."""
_EMPTY = np.uint8(1)
_UNKNOWN = np.uint8(2)


@kernel
def fill_batch(
    tokens: NDArray[np.uint16] | NDArray[np.uint32],
    starts: NDArray[np.int64],
    sizes: NDArray[np.int64],
    before: NDArray[np.int64],
    after: NDArray[np.int64],
    pad: int,
    out_sizes: NDArray[np.int32],
    out: NDArray[np.int32],
) -> int:
    """Windows tokens[start : start + size] between the special tokens `before` and `after`, padded. Returns how many.

    out: int32[rows, length]; rows beyond the windows hold the special tokens alone, or one `pad` where there are none.
    out_sizes: int32[rows], tokens of each row without padding.
    """
    first = len(before)
    last = len(after)
    length = out.shape[1]
    for row in range(len(out)):
        size = 0
        if row < len(starts):
            size = sizes[row]
            start = starts[row]
            for k in range(size):
                out[row, first + k] = np.int32(tokens[start + k])
        for k in range(first):
            out[row, k] = before[k]
        for k in range(last):
            out[row, first + size + k] = after[k]
        stop = first + size + last
        out_sizes[row] = max(stop, 1)
        for k in range(stop, length):
            out[row, k] = pad
    return len(starts)


@kernel
def mean_of_unit_rows(
    rows: NDArray[np.float32],
    texts: NDArray[np.int64],
    weights: NDArray[np.int64],
    out_notes: NDArray[np.uint8],
    out: NDArray[np.float32],
) -> int:
    """The mean of the unit rows of each text's windows by weight, brought to length 1. Returns the number of windows.

    rows: float32[windows, d]; texts: int64[windows], ascending. Sums are float64, in the order of windows and columns.
    out: float32[n, d]; out_notes: uint8[n], which has what is said of the texts before. A text without a window, or
    whose sum is zero, has the zero row and EMPTY; with a window that is not finite, the zero row and NOT_FINITE. A text
    with the note UNKNOWN gets no EMPTY.
    """
    width = rows.shape[1]
    sums = np.empty(width, np.float64)
    window = 0
    for text in range(len(out)):
        sums[:] = 0.0
        finite = True
        while window < len(texts) and texts[window] == text:
            square = 0.0
            for k in range(width):
                square += np.float64(rows[window, k]) * np.float64(rows[window, k])
            if not square < np.inf:
                finite = False
            elif square > 0.0:
                scale = np.sqrt(square)
                weight = np.float64(weights[window])
                for k in range(width):
                    sums[k] += np.float64(np.float32(np.float64(rows[window, k]) / scale)) * weight
            window += 1
        square = 0.0
        for k in range(width):
            square += sums[k] * sums[k]
        if not finite:
            out_notes[text] |= _NOT_FINITE
        elif not square > 0.0 and out_notes[text] & _UNKNOWN == np.uint8(0):
            out_notes[text] |= _EMPTY
        scale = np.sqrt(square)
        for k in range(width):
            out[text, k] = np.float32(sums[k] / scale) if finite and square > 0.0 else np.float32(0.0)
    return window
