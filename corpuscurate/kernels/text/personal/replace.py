"""Puts other text in the place of spans, or masks them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from corpuscurate.kernels.compile import uncounted
from corpuscurate.kernels.text.personal.characters import INNER, NONE, Letters, kind_of
from corpuscurate.kernels.text.scan import copy_run
from corpuscurate.kernels.text.unicode import Int, decode

MASK = -1
_STAR = 0x2A


@uncounted
def replace_spans(
    offsets: NDArray[np.int64],
    data: NDArray[np.uint8],
    rows: NDArray[np.int64],
    starts: NDArray[np.int64],
    stops: NDArray[np.int64],
    by: NDArray[np.int64],
    new_offsets: NDArray[np.int64],
    new_data: NDArray[np.uint8],
    t: Letters,
    sizes: NDArray[np.int64],
    out_offsets: NDArray[np.int64],
    out: NDArray[np.uint8],
) -> Any:
    """Copy all texts with the spans replaced; the number of bytes written.

    rows, starts, stops: int64[k], by row and start, without overlaps; starts and stops are bytes of `data`. by:
    int64[k], which of the new texts (new_offsets, new_data) stands for the span, or MASK: an asterisk for each letter
    and digit of it, without combining marks. sizes: int64[k], the bytes that stand for each span now. out: room for all
    bytes and those of the new texts.
    """
    at: Int = np.int64(0)
    span: Int = np.int64(0)
    out_offsets[0] = 0
    for row in range(len(offsets) - 1):
        i = offsets[row]
        while span < len(rows) and rows[span] == row:
            at = copy_run(data, i, starts[span], at, out)
            i = stops[span]
            begin = at
            if by[span] == MASK:
                at = _mask(data, starts[span], i, t, at, out)
            else:
                at = copy_run(new_data, new_offsets[by[span]], new_offsets[by[span] + 1], at, out)
            sizes[span] = at - begin
            span += 1
        at = copy_run(data, i, offsets[row + 1], at, out)
        out_offsets[row + 1] = at
    return at


@uncounted
def _mask(data: NDArray[np.uint8], start: Int, stop: Int, t: Letters, at: Int, out: NDArray[np.uint8]) -> Int:
    i: Int = np.int64(start)
    while i < stop:
        code, behind = decode(data, i)
        kind = kind_of(code, t)
        if kind == NONE:
            at = copy_run(data, i, behind, at, out)
        elif kind != INNER:
            out[at] = _STAR
            at += 1
        i = behind
    return at
