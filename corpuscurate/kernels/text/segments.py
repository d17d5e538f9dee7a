"""Where lines and paragraphs stand, by each convention of `kernels.text.repetition`."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from corpuscurate.kernels.compile import uncounted
from corpuscurate.kernels.text.scan import next_newline
from corpuscurate.kernels.text.unicode import SPACE, Int, Tables, decode, flags_of

PAPER, DATATROVE, DCLM, REDPAJAMA = range(4)
"""The conventions."""

_NEWLINE = 0x0A


@uncounted
def characters_of(data: NDArray[np.uint8], start: Int, stop: Int) -> Int:
    """Code points of data[start:stop]."""
    count = 0
    for i in range(start, stop):
        count += (data[np.uint64(i)] & 0xC0) != 0x80
    return count


@uncounted
def _skip_space(data: NDArray[np.uint8], start: Int, stop: Int, t: Tables) -> Int:
    """The first byte of data[start:stop] that is no white space; `stop` where all is."""
    while start < stop:
        if 0x20 < data[np.uint64(start)] < 0x7F:
            return start
        code_point, after = decode(data, start)
        if not flags_of(t, code_point) & SPACE:
            return start
        start = after
    return stop


@uncounted
def _skip_space_back(data: NDArray[np.uint8], start: Int, stop: Int, t: Tables) -> Int:
    """The end of data[start:stop] without the white space at its end."""
    while start < stop:
        before = stop - 1
        if 0x20 < data[np.uint64(before)] < 0x7F:
            return stop
        while data[np.uint64(before)] & 0xC0 == 0x80:
            before -= 1
        code_point, _ = decode(data, before)
        if not flags_of(t, code_point) & SPACE:
            return stop
        stop = before
    return start


@uncounted
def find_lines(
    data: NDArray[np.uint8],
    start: Int,
    stop: Int,
    strip: bool,
    t: Tables,
    begins: NDArray[np.int64],
    ends: NDArray[np.int64],
) -> Int:
    """The lines of data[start:stop] in `begins`, `ends`; how many.

    strip: without white space at their ends, and without those of white space. Else the parts of `re.split("\\n+")`.
    """
    count: Int = 0
    i = start
    if not strip and (start == stop or data[np.uint64(start)] == _NEWLINE):
        begins[0], ends[0] = start, start
        count = 1
    while i < stop:
        begin = i
        i = next_newline(data, i, stop)
        end = i
        if strip:
            begin = _skip_space(data, begin, end, t)
            end = _skip_space_back(data, begin, end, t)
        if begin < end:
            begins[np.uint64(count)], ends[np.uint64(count)] = begin, end
            count += 1
        i += 1
    if not strip and stop > start and data[np.uint64(stop - 1)] == _NEWLINE:
        begins[np.uint64(count)], ends[np.uint64(count)] = stop, stop
        count += 1
    return count


@uncounted
def cuts_lines(data: NDArray[np.uint8], start: Int, stop: Int, t: Tables) -> bool:
    """Whether `strip()` takes something off the first or last line that has more than white space. If not, a repeated
    paragraph has repeated lines."""
    first = _skip_space(data, start, stop, t)
    last = _skip_space_back(data, first, stop, t)
    if first > start and data[np.uint64(first - 1)] != _NEWLINE:
        return True
    return bool(last < stop and data[np.uint64(last)] != _NEWLINE)


@uncounted
def find_paragraphs(
    data: NDArray[np.uint8],
    start: Int,
    stop: Int,
    convention: Int,
    t: Tables,
    begins: NDArray[np.int64],
    ends: NDArray[np.int64],
) -> Int:
    """The paragraphs of data[start:stop] in `begins`, `ends`; how many.

    They are what blank lines part, without white space at their ends (`datatrove`: at the ends of the text alone), and
    blank ones are none. A blank line has white space (`paper`, `redpajama`) or nothing in it.
    """
    count: Int = 0
    if convention == DATATROVE:
        start = _skip_space(data, start, stop, t)
        stop = _skip_space_back(data, start, stop, t)
        if start == stop:
            begins[0], ends[0] = start, stop
            return 1
    i = start
    opened = False
    begin = end = start
    while i < stop:
        line = i
        i = next_newline(data, i, stop)
        blank = line == i
        if not blank and convention in (PAPER, REDPAJAMA):
            blank = _skip_space(data, line, i, t) == i
        if not blank:
            begin = begin if opened else line
            end = i
            opened = True
        if opened and (blank or i + 1 >= stop):
            if convention != DATATROVE:
                begin = _skip_space(data, begin, end, t)
                end = _skip_space_back(data, begin, end, t)
            if begin < end:
                begins[np.uint64(count)], ends[np.uint64(count)] = begin, end
                count += 1
            opened = False
        i += 1
    return count
