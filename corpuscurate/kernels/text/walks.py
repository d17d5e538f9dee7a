"""Where words and lines stand: walks over the bytes of a batch that neighbouring rules share."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from corpuscurate.kernels.compile import uncounted
from corpuscurate.kernels.text.unicode import INVISIBLE, MARK, SINGLE, WORD, Int, Tables, decode, flags_of


@uncounted
def find_words(
    offsets: NDArray[np.int64],
    data: NDArray[np.uint8],
    t: Tables,
    starts: NDArray[np.int64],
    stops: NDArray[np.int64],
) -> int:
    """The Unicode words of all documents, as `words.count_words` counts them; how many there are.

    offsets, data: texts as in Arrow. starts, stops: int64[words], bytes of `data`; marks and
    invisible characters that follow a word belong to it, and a character that is a word by itself has a span of its
    own.
    """
    at = 0
    for row in range(len(offsets) - 1):
        i = offsets[row]
        end = offsets[row + 1]
        state: Int = 0  # 0: outside, 1: in a run of letters, 2: behind a character that is a word by itself
        while i < end:
            begin = i
            byte = data[i]
            flags: Int = np.int64(t.byte_flags[byte]) if byte < 0x80 else np.int64(0)
            if byte < 0x80:
                i += 1
            else:
                code_point, i = decode(data, i)
                flags = flags_of(t, code_point)
            if flags & SINGLE:
                starts[at], stops[at] = begin, i
                at += 1
                state = 2
            elif flags & WORD:
                if state != 1:
                    starts[at] = begin
                    at += 1
                stops[at - 1] = i
                state = 1
            elif flags & (MARK | INVISIBLE):
                if state:
                    stops[at - 1] = i
            else:
                state = 0
    return at


@uncounted
def count_lines(offsets: NDArray[np.int64], data: NDArray[np.uint8], out: NDArray[np.int64]) -> int:
    """Lines of each document, parted by line feeds; a line feed at the end begins no line.

    out: int64[n]. Returns their sum.
    """
    total = 0
    for row in range(len(offsets) - 1):
        begin, end = offsets[row], offsets[row + 1]
        lines = 0
        for i in range(np.uint64(begin), np.uint64(end)):  # no negative index, so 32 bytes at once
            lines += data[i] == 0x0A
        if end > begin and data[end - 1] != 0x0A:
            lines += 1
        out[row] = lines
        total += lines
    return total


@uncounted
def find_lines(
    offsets: NDArray[np.int64], data: NDArray[np.uint8], starts: NDArray[np.int64], stops: NDArray[np.int64]
) -> int:
    """The lines that `count_lines` counts; how many there are. starts, stops: int64[lines], bytes of `data` without the
    line feed (a carriage return before it belongs to the line)."""
    at = 0
    for row in range(len(offsets) - 1):
        begin, end = offsets[row], offsets[row + 1]
        for i in range(begin, end):
            if data[i] == 0x0A:
                starts[at], stops[at] = begin, i
                at += 1
                begin = i + 1
        if begin < end:
            starts[at], stops[at] = begin, end
            at += 1
    return at
