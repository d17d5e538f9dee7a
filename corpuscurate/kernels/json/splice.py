"""Old JSON lines with new text and more fields."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from corpuscurate.kernels.compile import kernel
from corpuscurate.kernels.json.strings import escaped_bytes, put_escaped
from corpuscurate.kernels.simd.words64 import byte_at, copy_bytes


@kernel
def is_empty_object(data: NDArray[np.uint8], start: int, brace: int) -> bool:
    """Whether there is only white space between data[start:], an object, and its closing brace."""
    i = brace - 1
    while i > start and (byte_at(data, i) == 32 or byte_at(data, i) == 9 or byte_at(data, i) == 13):
        i -= 1
    return byte_at(data, i) == 123


@kernel
def count_spliced(
    offsets: NDArray[np.int64],
    data: NDArray[np.uint8],
    spans: NDArray[np.int64],
    changed: NDArray[np.bool_],
    text_offsets: NDArray[np.int64],
    text: NDArray[np.uint8],
    added_offsets: NDArray[np.int64],
) -> int:
    """The bytes that `fill_spliced` writes."""
    total = len(changed)
    for row in range(len(changed)):
        size = offsets[row + 1] - offsets[row]
        if changed[row]:
            size += escaped_bytes(text, text_offsets[row], text_offsets[row + 1]) + 2 - (spans[row, 1] - spans[row, 0])
        more = added_offsets[row + 1] - added_offsets[row]
        if more > 0:
            size += more - is_empty_object(data, offsets[row], offsets[row] + spans[row, 2])
        total += size
    return total


@kernel
def fill_spliced(
    offsets: NDArray[np.int64],
    data: NDArray[np.uint8],
    spans: NDArray[np.int64],
    changed: NDArray[np.bool_],
    text_offsets: NDArray[np.int64],
    text: NDArray[np.uint8],
    added_offsets: NDArray[np.int64],
    added: NDArray[np.uint8],
    out: NDArray[np.uint8],
) -> int:
    """Write lines anew: the text's JSON string replaced where `changed`, fields inserted before the closing brace.

    offsets, data: the old lines, int64[n + 1] and uint8[...]. spans: int64[n, 3], offsets within each line: the text's
    JSON string from and to, the closing brace. changed: bool[n]. text_offsets, text: the new texts. added_offsets,
    added: the fields to insert, each row `,"name":value...` or nothing; the first comma is left out in an empty object.
    out: uint8[as `count_spliced` says]; a newline follows each line. Answers the bytes written.
    """
    at = 0
    for row in range(len(changed)):
        start = offsets[row]
        brace = start + spans[row, 2]
        i = start
        if changed[row]:
            at = copy_bytes(data, i, start + spans[row, 0], at, out)
            out[np.uint64(at)] = 34
            at = put_escaped(text, text_offsets[row], text_offsets[row + 1], at + 1, out)
            out[np.uint64(at)] = 34
            at += 1
            i = start + spans[row, 1]
        at = copy_bytes(data, i, brace, at, out)
        first = added_offsets[row]
        if first < added_offsets[row + 1]:
            first += is_empty_object(data, start, brace)
        at = copy_bytes(added, first, added_offsets[row + 1], at, out)
        at = copy_bytes(data, brace, offsets[row + 1], at, out)
        out[np.uint64(at)] = 10
        at += 1
    return at
