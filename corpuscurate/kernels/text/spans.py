"""Cutting spans of bytes out of texts."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from corpuscurate.kernels.compile import kernel, uncounted

OUTSIDE, OVERLAPPING, SPLITS_CHARACTER = 1, 2, 3
"""What is wrong with a span: not within its text, not after the one before it, begins or ends inside a character."""


@uncounted
def check_spans(
    offsets: NDArray[np.int64],
    data: NDArray[np.uint8],
    rows: NDArray[np.int64],
    starts: NDArray[np.int64],
    stops: NDArray[np.int64],
    status: NDArray[np.int64],
) -> int:
    """The number of the first span that cannot be cut, -1 where all can; status[0]: what is wrong with it.

    offsets, data: texts as in Arrow. rows, starts, stops: int64[k], sorted by row and start: bytes starts[i] to
    stops[i] - 1 of text rows[i].
    """
    for i in range(len(rows)):
        begin, end = offsets[rows[i]], offsets[rows[i] + 1]
        status[0] = OUTSIDE
        if starts[i] < 0 or starts[i] > stops[i] or stops[i] > end - begin:
            return i
        first, last = begin + starts[i], begin + stops[i]
        status[0] = OVERLAPPING
        if i > 0 and rows[i] == rows[i - 1] and starts[i] < stops[i - 1]:
            return i
        status[0] = SPLITS_CHARACTER
        if first < end and (data[first] & 0xC0) == 0x80:
            return i
        if last < end and (data[last] & 0xC0) == 0x80:
            return i
    status[0] = 0
    return -1


@kernel
def cut_spans(
    offsets: NDArray[np.int64],
    data: NDArray[np.uint8],
    rows: NDArray[np.int64],
    starts: NDArray[np.int64],
    stops: NDArray[np.int64],
    out_offsets: NDArray[np.int64],
    out_data: NDArray[np.uint8],
) -> Any:
    """Copy the texts without the spans, which `check_spans` has passed; the number of bytes written.

    out_offsets: int64[n + 1], from 0. out_data: room for all bytes of the texts less those of the spans.
    """
    count = len(offsets) - 1
    at, span = 0, 0
    out_offsets[0] = 0
    for row in range(count):
        position, end = offsets[row], offsets[row + 1]
        while span < len(rows) and rows[span] == row:
            stop = offsets[row] + starts[span]
            out_data[at : at + stop - position] = data[position:stop]
            at += stop - position
            position = offsets[row] + stops[span]
            span += 1
        out_data[at : at + end - position] = data[position:end]
        at += end - position
        out_offsets[row + 1] = at
    return at
