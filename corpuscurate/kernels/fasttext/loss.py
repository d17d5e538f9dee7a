"""From summed features to the probability that fastText reports for one label (src/loss.cc).

fastText takes the logarithm of p + 1e-5 and reports its exponential, so its scores are p + 1e-5 and may exceed 1; ours
carry the same offset, so that thresholds mean the same, and end at 1.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from corpuscurate.kernels.compile import kernel

OFFSET = 1e-5
_LOG_OFFSET = math.log(OFFSET)
SIGMOID_CELLS = 512
SIGMOID_RANGE = 8.0


@kernel
def mean_logits(
    sums: NDArray[np.float64],
    counts: NDArray[np.int64],
    outputs: NDArray[np.float64],
    out: NDArray[np.float64],
) -> int:
    """Products of the mean hidden vector with the output rows, added in a fixed order.

    sums: float64[n, dim]. outputs: float64[dim, columns], transposed; empty (0 x 0) where the sums are of products
    already. out: float64[n, columns]; rows of documents without features are nan. Returns n.
    """
    for row in range(len(sums)):
        if counts[row] == 0:
            out[row, :] = np.nan
            continue
        count = np.float64(counts[row])
        if len(outputs) == 0:
            for c in range(out.shape[1]):
                out[row, c] = sums[row, c] / count
            continue
        out[row, :] = 0.0
        for j in range(len(outputs)):
            mean = sums[row, j] / count
            for c in range(out.shape[1]):
                out[row, c] += mean * outputs[j, c]
    return len(sums)


@kernel
def softmax_scores(logits: NDArray[np.float64], label: int, out: NDArray[np.float64]) -> int:
    """Softmax over the columns. logits: float64[n, labels]. out: float64[n]; nan stays nan. Returns n."""
    for row in range(len(logits)):
        if math.isnan(logits[row, 0]):
            out[row] = np.nan
            continue
        highest = logits[row].max()
        total = 0.0
        for c in range(logits.shape[1]):
            total += math.exp(logits[row, c] - highest)
        out[row] = min(math.exp(logits[row, label] - highest) / total + OFFSET, 1.0)
    return len(logits)


@kernel
def two_label_scores(differences: NDArray[np.float64], out: NDArray[np.float64]) -> int:
    """Softmax of two labels from float64[n, 1], the other label's logit minus that of the wanted one. Returns n."""
    for row in range(len(differences)):
        difference = differences[row, 0]
        if math.isnan(difference):
            out[row] = np.nan
        elif difference > 700.0:  # exp would overflow
            out[row] = OFFSET
        else:
            out[row] = min(1.0 / (1.0 + math.exp(difference)) + OFFSET, 1.0)
    return len(differences)


@kernel
def sigmoid_scores(logits: NDArray[np.float64], table: NDArray[np.float32], out: NDArray[np.float64]) -> int:
    """fastText's sigmoid, a table of 512 steps over -8..8, of float64[n, 1] (losses ns and ova). Returns n."""
    for row in range(len(logits)):
        x = logits[row, 0]
        if math.isnan(x):
            out[row] = np.nan
        elif x < -SIGMOID_RANGE:
            out[row] = OFFSET
        elif x > SIGMOID_RANGE:
            out[row] = 1.0
        else:
            cell = np.int64((x + SIGMOID_RANGE) * SIGMOID_CELLS / SIGMOID_RANGE / 2)
            out[row] = min(table[cell] + OFFSET, 1.0)
    return len(logits)


@kernel
def tree_scores(logits: NDArray[np.float64], right: NDArray[np.bool_], out: NDArray[np.float64]) -> int:
    """Hierarchical softmax: the product along the path from the root to the label's leaf.

    logits: float64[n, nodes]. right: bool[nodes], whether the path goes right. fastText gives up a path whose
    probability falls below 1e-5 and does not report its label: 0 here. out: float64[n]. Returns n.
    """
    for row in range(len(logits)):
        score = 0.0
        for c in range(len(right)):
            x = logits[row, c]
            chosen = 1.0 / (1.0 + math.exp(-x)) if right[c] else 1.0 - 1.0 / (1.0 + math.exp(-x))
            score += math.log(chosen + OFFSET)
            if score < _LOG_OFFSET:
                break
        if math.isnan(score):
            out[row] = np.nan
        else:
            out[row] = 0.0 if score < _LOG_OFFSET else min(math.exp(score), 1.0)
    return len(logits)
