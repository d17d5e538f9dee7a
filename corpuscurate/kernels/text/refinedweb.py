"""The line-wise corrections of RefinedWeb (arXiv 2306.01116, appendix G.2), in one walk over the bytes.

Lines are parted by line feeds. A blank line (white space alone) meets no rule and stays. Words are what white space
parts. A line is taken out by the first of these that it meets:

1. uppercase: more than a share of its characters are capital letters (`str.isupper()`).
2. numeric: all its characters but the white space around it are digits (`str.isdigit()`).
3. counter: anything but letters, digits and underscores; a digit; digits, dots and commas; perhaps a k, m or b; white
   space; one of the counted things; anything but letters, digits and underscores. Case does not count.
4. few_words: fewer words than allowed.

Otherwise, patterns are cut out while it has no more than a number of words: `anywhere` with a white space before it;
then `at_end` with a white space before it; then `at_start` with a white space behind it. White space around the line
does not count there; case (of ASCII) does not, either. A line of which only white space is left goes.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from corpuscurate.kernels.compile import uncounted
from corpuscurate.kernels.text.gopher import Strings
from corpuscurate.kernels.text.scan import copy_run, next_newline
from corpuscurate.kernels.text.signs import (
    DECIMAL,
    DIGIT,
    LETTER,
    SPACE,
    UPPER,
    Signs,
    char_before,
    characters,
    sign_at,
    sign_of,
    skip_space,
    space_words,
    trim_end,
)
from corpuscurate.kernels.text.unicode import Int, decode

COUNTS = (
    "lines",
    "words",
    "uppercase_lines",
    "numeric_lines",
    "counter_lines",
    "few_words_lines",
    "edited_lines",
    "removed_words",
    "flagged_words",
)
"""What is counted of each document. lines: those that are not blank. flagged_words: of the lines that are taken out or
edited, before that; removed_words: that are no longer there."""
CUTS = ("uppercase", "numeric", "counter", "few_words", "pattern")
"""Why bytes are cut. A line is cut with its line feed."""
_NEWLINE, _DOT, _COMMA = 0x0A, 0x2E, 0x2C
_THOUSANDS = (0x6B, 0x6D, 0x62)
"""k, m, b."""


@uncounted
def _lower(byte: np.uint8) -> Int:
    return np.int64(byte) + 0x20 if 0x41 <= byte <= 0x5A else np.int64(byte)


@uncounted
def _matches(data: NDArray[np.uint8], i: Int, stop: Int, values: Strings, row: Int) -> bool:
    """Whether data[i:stop] begins with a value, which is in lower case."""
    begin = values.offsets[row]
    size = values.offsets[row + 1] - begin
    if size > stop - i:
        return False
    k: Int = 0
    while k < size and _lower(data[np.uint64(i + k)]) == values.data[np.uint64(begin + k)]:
        k += 1
    return bool(k == size)


@uncounted
def _longest_match(data: NDArray[np.uint8], i: Int, stop: Int, values: Strings) -> Int:
    """Bytes of the longest value that data[i:stop] begins with, 0 for none."""
    best: Int = 0
    for row in range(len(values.keys)):
        size = values.offsets[row + 1] - values.offsets[row]
        if size > best and _matches(data, i, stop, values, row):
            best = size
    return best


@uncounted
def _shares(data: NDArray[np.uint8], start: Int, stop: Int, s: Signs) -> tuple[Int, Int]:
    """Capital letters and digits of data[start:stop]."""
    upper: Int = 0
    digits: Int = 0
    i: Int = start
    while i < stop:
        byte = data[np.uint64(i)]
        if byte < 0x80:
            flags: Int = np.int64(s.bytes[byte])
            i += 1
        else:
            code_point, i = decode(data, i)
            flags = sign_of(s.pages, s.flags, code_point)
        upper += (flags & UPPER) != 0
        digits += (flags & DIGIT) != 0
    return upper, digits


@uncounted
def _skip(data: NDArray[np.uint8], i: Int, stop: Int, s: Signs, flag: int, wanted: bool) -> Int:
    """The index behind the characters that have a flag, or have it not."""
    while i < stop:
        if ((sign_at(data, i, s) & flag) != 0) != wanted:
            return i
        i += 1
        while i < stop and data[np.uint64(i)] & 0xC0 == 0x80:
            i += 1
    return i


@uncounted
def is_counter(data: NDArray[np.uint8], start: Int, stop: Int, s: Signs, things: Strings) -> bool:
    """Whether the line is a counter such as "3 likes"."""
    i = _skip(data, start, stop, s, LETTER, False)
    if i >= stop or not sign_at(data, i, s) & DECIMAL:
        return False
    while i < stop:
        byte = data[np.uint64(i)]
        if byte in (_DOT, _COMMA):
            i += 1
        elif sign_at(data, i, s) & DECIMAL:
            i = _skip(data, i, stop, s, DECIMAL, True)
        else:
            break
    if i < stop:
        letter = _lower(data[np.uint64(i)])
        if letter in _THOUSANDS:
            i += 1
    behind = skip_space(data, i, stop, s)
    if behind == i:
        return False
    for row in range(len(things.keys)):
        if _matches(data, behind, stop, things, row):
            size = things.offsets[row + 1] - things.offsets[row]
            if _skip(data, behind + size, stop, s, LETTER, False) == stop:
                return True
    return False


@uncounted
def _space_before(out: NDArray[np.uint8], start: Int, i: Int, s: Signs) -> Int:
    """Where the white space begins that is the character before `i`; `i` where it is none."""
    if i <= start:
        return i
    before = char_before(out, i)
    return before if sign_at(out, before, s) & SPACE else i


@uncounted
def _cut_anywhere(out: NDArray[np.uint8], start: Int, stop: Int, s: Signs, values: Strings) -> Int:
    """Cut the values out of the line out[start:stop]; where it ends then."""
    at: Int = start
    i: Int = start
    while i < stop:
        lead = _lower(out[np.uint64(i)])
        size: Int = 0
        if values.first[lead] < values.first[lead + 1]:
            size = _longest_match(out, i, stop, values)
        if size:
            at = _space_before(out, start, at, s)
            i += size
        else:
            out[np.uint64(at)] = out[np.uint64(i)]
            at += 1
            i += 1
    return at


@uncounted
def _cut_at_end(out: NDArray[np.uint8], start: Int, stop: Int, s: Signs, values: Strings) -> Int:
    last = trim_end(out, start, stop, s)
    best: Int = 0
    for row in range(len(values.keys)):
        size = values.offsets[row + 1] - values.offsets[row]
        if best < size <= last - start and _matches(out, last - size, last, values, row):
            best = size
    return _space_before(out, start, last - best, s) if best else stop


@uncounted
def _cut_at_start(out: NDArray[np.uint8], start: Int, stop: Int, s: Signs, values: Strings) -> Int:
    first = skip_space(out, start, stop, s)
    size = _longest_match(out, first, stop, values)
    if not size:
        return stop
    i = first + size
    if i < stop and sign_at(out, i, s) & SPACE:
        i += 1
        while i < stop and out[np.uint64(i)] & 0xC0 == 0x80:
            i += 1
    at: Int = start
    while i < stop:
        out[np.uint64(at)] = out[np.uint64(i)]
        at += 1
        i += 1
    return at


@uncounted
def correct_lines(
    offsets: NDArray[np.int64],
    data: NDArray[np.uint8],
    s: Signs,
    uppercase: float,
    numeric: bool,
    fewest: int,
    short: int,
    things: Strings,
    anywhere: Strings,
    at_end: Strings,
    at_start: Strings,
    counts: NDArray[np.int64],
    cuts: NDArray[np.int64],
    out_offsets: NDArray[np.int64],
    out: NDArray[np.uint8],
) -> Int:
    """The kept lines of each document, joined by line feeds.

    uppercase: greatest share of capitals. fewest: fewest words of a line. short: most words of a line that is searched
    for patterns. things, anywhere, at_end, at_start: in lower case. counts: int64[n, 9], COUNTS. cuts: int64[n, 5],
    bytes by CUTS. out_offsets: int64[n + 1]. out: uint8[], as long as the documents together. Returns the bytes
    written.
    """
    patterns = len(anywhere.keys) + len(at_end.keys) + len(at_start.keys) > 0
    at: Int = 0
    out_offsets[0] = 0
    for row in range(len(offsets) - 1):
        for k in range(len(COUNTS)):
            counts[row, k] = 0
        for k in range(len(CUTS)):
            cuts[row, k] = 0
        end = offsets[row + 1]
        start: Int = offsets[row]
        kept: Int = 0
        more = start < end  # whether a line begins at start: one does behind a line feed at the end, too
        while more:
            stop = next_newline(data, start, end)
            more = stop < end
            first = skip_space(data, start, stop, s)
            begin = at + (kept > 0)
            close = begin + stop - start
            words: Int = 0
            left: Int = 0
            cut: Int = -1
            if first < stop:
                last = trim_end(data, first, stop, s)
                words = space_words(data, first, last, s)
                upper, digits = _shares(data, start, stop, s)
                if upper / characters(data, start, stop) > uppercase:
                    cut = 0
                elif numeric and digits and digits == characters(data, first, last):
                    cut = 1
                elif is_counter(data, start, stop, s, things):
                    cut = 2
                elif words < fewest:
                    cut = 3
                counts[row, 0] += 1
                counts[row, 1] += words
                left = words if cut < 0 else np.int64(0)
            if cut < 0:
                copy_run(data, start, stop, begin, out)
                if words and patterns and words <= short:
                    close = _cut_anywhere(out, begin, close, s, anywhere)
                    close = _cut_at_end(out, begin, close, s, at_end)
                    close = _cut_at_start(out, begin, close, s, at_start)
                    if close - begin != stop - start:
                        left = space_words(out, begin, close, s)
                        counts[row, 6] += 1
                        counts[row, 8] += words
                        if left:
                            cuts[row, 4] += stop - start - (close - begin)
                        else:
                            cut = 4
            if cut >= 0:
                cuts[row, cut] += stop - start + (more or kept > 0)
                if cut < 4:
                    counts[row, 2 + cut] += 1
                    counts[row, 8] += words
            else:
                if kept:
                    out[np.uint64(at)] = _NEWLINE
                kept += 1
                at = close
            counts[row, 7] += words - left
            start = stop + 1
        out_offsets[row + 1] = at
    return at
