"""Sentences, by one rule for all stages that count them.

- A line feed ends a sentence; so does a run of TERMINAL marks (`kernels.text.signs`), with the CLOSER quotes and
  brackets behind it, where white space or the end of the line follows. Behind a run that has a mark outside ASCII
  nothing need follow, because the scripts of such marks may be written without spaces.
- A run of two or more dots alone is an ellipsis and ends nothing: "Wait... what?" is one sentence. A single dot behind
  a capital letter that stands alone ends nothing: "J. Smith", "the U.S. Army".
- Runs with nothing but white space between them end one sentence: "What? ! No." is two.
- What is left at the end of a line is a sentence, if it holds anything but white space.

No list of abbreviations: "Mr. Smith" is two sentences, as it is one for spaCy and NLTK, which have lists by language.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from corpuscurate.kernels.compile import inlined, uncounted
from corpuscurate.kernels.text.scan import next_mark, next_newline
from corpuscurate.kernels.text.signs import (
    CLOSER,
    LETTER,
    SPACE,
    TERMINAL,
    UPPER,
    Signs,
    char_before,
    sign_at,
    sign_of,
    skip_space,
    trim_end,
)
from corpuscurate.kernels.text.unicode import Int, decode

_DOT = 0x2E


@uncounted
def _stands_alone(data: NDArray[np.uint8], start: Int, i: Int, s: Signs) -> bool:
    """Whether a capital letter ends before `i`, and no letter or digit before it, in data[start:]."""
    if i <= start:
        return False
    before = char_before(data, i)
    if not sign_at(data, before, s) & UPPER:
        return False
    return bool(before <= start or not sign_at(data, char_before(data, before), s) & LETTER)


@uncounted
def _run(data: NDArray[np.uint8], start: Int, i: Int, stop: Int, s: Signs) -> tuple[Int, bool]:
    """The index behind the run of marks and closers at `i`, and whether it ends a sentence of data[start:stop]."""
    dots: Int = 0
    others: Int = 0
    wide: Int = 0
    r: Int = i
    while r < stop:
        byte = data[np.uint64(r)]
        if not s.bytes[byte] & TERMINAL:
            break
        if byte < 0x80:
            dots += byte == _DOT
            others += byte != _DOT
            r += 1
        else:
            code_point, after = decode(data, r)
            if not sign_of(s.pages, s.flags, code_point) & TERMINAL:
                break
            wide += 1
            r = after
    while r < stop and s.bytes[data[np.uint64(r)]] & CLOSER:
        if data[np.uint64(r)] < 0x80:
            r += 1
        else:
            code_point, after = decode(data, r)
            if not sign_of(s.pages, s.flags, code_point) & CLOSER:
                break
            r = after
    if wide:
        return r, True
    if r < stop and not sign_at(data, r, s) & SPACE:
        return r, False
    if others:
        return r, True
    return r, bool(dots == 1) and not _stands_alone(data, start, i, s)


@inlined
def sentence_end(data: NDArray[np.uint8], start: Int, stop: Int, s: Signs) -> Int:
    """Where the sentence ends that begins at `start`, within the line data[start:stop]."""
    i: Int = start
    while True:
        i = next_mark(data, i, stop, s)
        if i >= stop:
            return stop
        if data[np.uint64(i)] >= 0x80:
            code_point, after = decode(data, i)
            if not sign_of(s.pages, s.flags, code_point) & TERMINAL:
                i = after
                continue
        i, ends = _run(data, start, i, stop, s)
        if ends:
            while True:  # runs behind it belong to it
                k = skip_space(data, i, stop, s)
                if k >= stop or not sign_at(data, k, s) & TERMINAL:
                    return i
                after, ends = _run(data, k, k, stop, s)
                if not ends:
                    return i
                i = after


@inlined
def count_in_line(data: NDArray[np.uint8], start: Int, stop: Int, s: Signs) -> Int:
    """Sentences of the line data[start:stop]."""
    count: Int = 0
    i = skip_space(data, start, stop, s)
    while i < stop:
        count += 1
        i = skip_space(data, sentence_end(data, i, stop, s), stop, s)
    return count


@uncounted
def count_sentences(offsets: NDArray[np.int64], data: NDArray[np.uint8], s: Signs, out: NDArray[np.int64]) -> Int:
    """Sentences of each document. out: int64[n]. Returns their sum."""
    total: Int = 0
    for row in range(len(offsets) - 1):
        i = offsets[row]
        end = offsets[row + 1]
        count: Int = 0
        while i < end:
            stop = next_newline(data, i, end)
            count += count_in_line(data, i, stop, s)
            i = stop + 1
        out[row] = count
        total += count
    return total


@uncounted
def find_sentences(
    offsets: NDArray[np.int64],
    data: NDArray[np.uint8],
    s: Signs,
    starts: NDArray[np.int64],
    stops: NDArray[np.int64],
) -> Int:
    """The sentences that `count_sentences` counts, without the white space around them; how many there are.

    starts, stops: int64[sentences], bytes of `data`.
    """
    at: Int = 0
    for row in range(len(offsets) - 1):
        line = offsets[row]
        end = offsets[row + 1]
        while line < end:
            stop = next_newline(data, line, end)
            i = skip_space(data, line, stop, s)
            while i < stop:
                last = sentence_end(data, i, stop, s)
                starts[at] = i
                i = skip_space(data, last, stop, s)
                stops[at] = trim_end(data, starts[at], last, s)
                at += 1
            line = stop + 1
    return at
