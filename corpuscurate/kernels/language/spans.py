"""Spans of bytes: cut to a size, gathered into one buffer, the best labels of a table of probabilities."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from corpuscurate.kernels.compile import kernel
from corpuscurate.kernels.language.byte_ngrams import best_two
from corpuscurate.kernels.text.unicode import Int


@kernel
def cut_spans(
    starts: NDArray[np.int64], stops: NDArray[np.int64], data: NDArray[np.uint8], most: int, out: NDArray[np.int64]
) -> int:
    """Where each span of UTF-8 ends when it may have at most `most` bytes (0: any number), int64[n]: before the
    character that would be cut. Returns how many are cut."""
    cut = 0
    for row in range(len(starts)):
        out[row] = stops[row]
        if 0 < most < stops[row] - starts[row]:
            end = starts[row] + most
            while end > starts[row] and data[end] & 0xC0 == 0x80:
                end -= 1
            out[row] = end
            cut += 1
    return cut


@kernel
def part_spans(
    starts: NDArray[np.int64],
    stops: NDArray[np.int64],
    data: NDArray[np.uint8],
    first: NDArray[np.int64],
    size: int,
    out_starts: NDArray[np.int64],
    out_stops: NDArray[np.int64],
) -> int:
    """Spans of at most `size` bytes, evenly spread over each span, whole characters each.

    first: int64[n + 1]; span i has the parts first[i] .. first[i + 1] - 1. Returns how many parts there are."""
    for row in range(len(starts)):
        count = first[row + 1] - first[row]
        whole = stops[row] - starts[row]
        for k in range(count):
            at = starts[row] + whole * k // count
            while at < stops[row] and data[at] & 0xC0 == 0x80:
                at += 1
            end = min(at + size, stops[row])
            while end > at and end < stops[row] and data[end] & 0xC0 == 0x80:
                end -= 1
            out_starts[first[row] + k] = at
            out_stops[first[row] + k] = end
    return len(out_starts)


@kernel
def gather_spans(
    starts: NDArray[np.int64],
    stops: NDArray[np.int64],
    data: NDArray[np.uint8],
    out_offsets: NDArray[np.int64],
    out: NDArray[np.uint8],
) -> Int:
    """Write the spans one after the other: out_offsets int64[n + 1], out uint8[their bytes]. Returns the bytes."""
    at: Int = 0
    out_offsets[0] = 0
    for row in range(len(starts)):
        for i in range(np.uint64(starts[row]), np.uint64(stops[row])):
            out[np.uint64(at)] = data[i]
            at += 1
        out_offsets[row + 1] = at
    return at


@kernel
def best_labels(
    p: NDArray[np.float64],
    label_of: NDArray[np.int64],
    labels: int,
    offset: float,
    out_labels: NDArray[np.int64],
    out_scores: NDArray[np.float64],
) -> int:
    """The two most probable labels of each row of p, float64[n, classes], the classes of a label added up.

    label_of: int64[classes], 0..labels-1. offset: added to a score, which ends at 1. A row of nan has the labels -1 and
    score 0. out_labels: int64[n, 2], -1: none. out_scores: float64[n, 2]. Returns n."""
    sums = np.empty(labels, np.float64)
    for row in range(len(p)):
        out_labels[row, 0] = out_labels[row, 1] = -1
        out_scores[row, 0] = out_scores[row, 1] = 0.0
        if np.isnan(p[row, 0]):
            continue
        sums[:] = 0.0
        for c in range(p.shape[1]):
            sums[label_of[c]] += p[row, c]
        one, two = best_two(sums)
        out_labels[row, 0] = one
        out_scores[row, 0] = min(sums[one] + offset, 1.0)
        if two >= 0:
            out_labels[row, 1] = two
            out_scores[row, 1] = min(sums[two] + offset, 1.0)
    return len(p)
