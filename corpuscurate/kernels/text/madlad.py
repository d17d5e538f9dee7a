"""The questionable sentences of MADLAD-400 (arXiv 2309.04662, section 2.3), but for those that need a model or
patterns."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from corpuscurate.kernels.compile import uncounted
from corpuscurate.kernels.text.signs import SPACE, UPPER, Signs, sign_at, sign_of, skip_space
from corpuscurate.kernels.text.unicode import (
    INVISIBLE,
    MARK,
    SINGLE,
    WORD,
    Int,
    Tables,
    decode,
    flags_of,
)

LIST_CASE, LENGTH, TECHNICAL, CURSED = 1, 2, 4, 8
"""Why a sentence is questionable."""
TECHNICAL_CHARACTERS = "0123456789{}+/()>"
_MARKS = (0x2E, 0x21, 0x3F)
"""Those that end a sentence of Olmo 3."""


@uncounted
def split_sentences(
    offsets: NDArray[np.int64],
    data: NDArray[np.uint8],
    s: Signs,
    counts: NDArray[np.int64],
    starts: NDArray[np.int64],
    stops: NDArray[np.int64],
) -> Int:
    """The pieces between the matches of `[.!?]+\\s+` that hold more than white space, as Olmo 3 splits; how many.

    counts: int64[n]. starts, stops: int64[pieces], bytes of `data`; where they have no room, pieces are counted only.
    """
    at: Int = 0
    for row in range(len(offsets) - 1):
        start: Int = offsets[row]
        end = offsets[row + 1]
        before = at
        i: Int = start
        while start < end:
            behind: Int = end
            stop: Int = end
            while i < end:
                byte = data[np.uint64(i)]
                if byte not in _MARKS:
                    i += 1
                    continue
                stop = i
                while i < end and data[np.uint64(i)] in _MARKS:
                    i += 1
                behind = skip_space(data, i, end, s)
                if behind > i:
                    break
                behind = end
                stop = end
            if skip_space(data, start, stop, s) < stop:
                if at < len(starts):
                    starts[at] = start
                    stops[at] = stop
                at += 1
            start = behind
            i = behind
        counts[row] = at - before
    return at


@uncounted
def _starts_of_space_words(data: NDArray[np.uint8], i: Int, stop: Int, s: Signs) -> tuple[Int, Int]:
    """Words that white space parts, and how many begin with a capital letter."""
    words: Int = 0
    capitals: Int = 0
    outside = True
    while i < stop:
        byte = data[np.uint64(i)]
        if byte < 0x80:
            flags: Int = np.int64(s.bytes[byte])
            i += 1
        else:
            code_point, i = decode(data, i)
            flags = sign_of(s.pages, s.flags, code_point)
        if flags & SPACE:
            outside = True
        elif outside:
            words += 1
            capitals += (flags & UPPER) != 0
            outside = False
    return words, capitals


@uncounted
def _starts_of_words(data: NDArray[np.uint8], i: Int, stop: Int, t: Tables, s: Signs) -> tuple[Int, Int]:
    """Unicode words (`kernels.text.unicode`), and how many begin with a capital letter."""
    words: Int = 0
    capitals: Int = 0
    inside = False
    while i < stop:
        begin = i
        code_point, i = decode(data, i)
        flags = flags_of(t, code_point)
        if flags & SINGLE:
            words += 1
            inside = False
        elif flags & WORD:
            if not inside:
                words += 1
                capitals += (sign_at(data, begin, s) & UPPER) != 0
            inside = True
        elif not flags & (MARK | INVISIBLE):
            inside = False
    return words, capitals


@uncounted
def judge_sentences(
    data: NDArray[np.uint8],
    starts: NDArray[np.int64],
    stops: NDArray[np.int64],
    t: Tables,
    s: Signs,
    technical: NDArray[np.bool_],
    unicode_words: bool,
    limits: NDArray[np.float64],
    out: NDArray[np.uint8],
) -> Int:
    """LIST_CASE | LENGTH | TECHNICAL of each sentence data[starts[i]:stops[i]].

    technical: bool[256], ASCII characters that count as such. unicode_words: tokens are Unicode words, else what white
    space parts. limits: float64[5], fewest tokens of a list, greatest share of capitals, fewest and most characters,
    greatest share of technical characters. out: uint8[sentences]. Returns how many are questionable.
    """
    found: Int = 0
    for row in range(len(starts)):
        start, stop = starts[row], stops[row]
        size: Int = 0
        signs: Int = 0
        for k in range(np.uint64(start), np.uint64(stop)):
            size += (data[k] & np.uint8(0xC0)) != np.uint8(0x80)
            signs += technical[data[k]]
        if unicode_words:
            words, capitals = _starts_of_words(data, start, stop, t, s)
        else:
            words, capitals = _starts_of_space_words(data, start, stop, s)
        flags: Int = 0
        if words and words >= limits[0] and capitals / words > limits[1]:
            flags |= LIST_CASE
        if size < limits[2] or size > limits[3]:
            flags |= LENGTH
        if signs / size > limits[4]:  # no sentence is empty
            flags |= TECHNICAL
        out[row] = flags
        found += flags != 0
    return found
