"""Probabilities of all labels of a fastText model, from their logits; `loss.py` has those of one label."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from corpuscurate.kernels.compile import kernel
from corpuscurate.kernels.fasttext.loss import OFFSET, SIGMOID_CELLS, SIGMOID_RANGE

_LOG_OFFSET = math.log(OFFSET)


@kernel
def softmax_all(logits: NDArray[np.float64], out: NDArray[np.float64]) -> int:
    """Softmax of each row. logits, out: float64[n, labels]; nan stays nan. Returns n."""
    for row in range(len(logits)):
        highest = logits[row].max()
        total = 0.0
        for c in range(logits.shape[1]):
            out[row, c] = math.exp(logits[row, c] - highest)
            total += out[row, c]
        for c in range(logits.shape[1]):
            out[row, c] /= total
    return len(logits)


@kernel
def sigmoid_all(logits: NDArray[np.float64], table: NDArray[np.float32], out: NDArray[np.float64]) -> int:
    """fastText's sigmoid, a table of 512 steps over -8..8, of each logit. logits, out: float64[n, labels]. Returns
    n."""
    for row in range(len(logits)):
        for c in range(logits.shape[1]):
            x = logits[row, c]
            if math.isnan(x):
                out[row, c] = np.nan
            elif x < -SIGMOID_RANGE:
                out[row, c] = 0.0
            elif x > SIGMOID_RANGE:
                out[row, c] = 1.0
            else:
                out[row, c] = table[np.int64((x + SIGMOID_RANGE) * SIGMOID_CELLS / SIGMOID_RANGE / 2)]
    return len(logits)


@kernel
def tree_all(logits: NDArray[np.float64], children: NDArray[np.int64], out: NDArray[np.float64]) -> int:
    """Hierarchical softmax: the product along the path from the root to each label's leaf, each factor plus 1e-5.

    logits: float64[n, nodes], and more. children: int64[nodes, 2], see `huffman_tree`. fastText gives up a path whose
    probability falls below 1e-5: 0 here. out: float64[n, nodes + 1]; nan stays nan. Returns n.
    """
    nodes = len(children)
    labels = nodes + 1
    score = np.empty(nodes + labels, np.float64)
    for row in range(len(logits)):
        score[nodes + labels - 1] = 0.0
        for node in range(nodes - 1, -1, -1):
            above = score[node + labels]
            left, right = children[node, 0], children[node, 1]
            if above < _LOG_OFFSET:
                score[left] = score[right] = above
                continue
            f = 1.0 / (1.0 + math.exp(-logits[row, node]))
            score[left] = above + math.log(1.0 - f + OFFSET)
            score[right] = above + math.log(f + OFFSET)
        for c in range(labels):
            if math.isnan(score[c]):
                out[row, c] = np.nan
            else:
                out[row, c] = 0.0 if score[c] < _LOG_OFFSET else math.exp(score[c])
    return len(logits)
