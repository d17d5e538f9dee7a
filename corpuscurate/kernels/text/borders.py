"""Whether a span of text begins and ends at the borders of words, in every script.

Words are those of `kernels.text.unicode`. A span begins at a border unless the characters on both sides are of one
word; likewise its end. So "cat" is not met in "category"; in Hindi and other scripts with combining marks not before a
mark, which belongs to the letter before it; in Thai, Lao, Khmer, Burmese, Chinese and Japanese, which write no spaces
between words, each letter with its marks is a word of its own, so a span is met anywhere but inside these.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from corpuscurate.kernels.compile import uncounted
from corpuscurate.kernels.text.unicode import INVISIBLE, MARK, SINGLE, WORD, Int, decode, entry


@uncounted
def _flags_at(data: NDArray[np.uint8], i: Int, pages: NDArray[np.uint16], flags: NDArray[np.uint16]) -> Int:
    code, _ = decode(data, i)
    return np.int64(flags[entry(pages, code)])


@uncounted
def _base_before(
    data: NDArray[np.uint8], i: Int, start: Int, pages: NDArray[np.uint16], flags: NDArray[np.uint16]
) -> Int:
    """The flags of the character before byte i to which marks before i belong; 0 at `start`."""
    while i > start:
        i -= 1
        while i > start and (data[i] & 0xC0) == 0x80:
            i -= 1
        found = _flags_at(data, i, pages, flags)
        if not found & (MARK | INVISIBLE):
            return found
    return np.int64(0)


@uncounted
def _is_letter(flags: Int) -> bool:
    """Whether a character makes one word with others of its kind."""
    return bool(flags & WORD and not flags & SINGLE)


@uncounted
def at_borders(
    data: NDArray[np.uint8],
    begins: NDArray[np.int64],
    ends: NDArray[np.int64],
    starts: NDArray[np.int64],
    stops: NDArray[np.int64],
    pages: NDArray[np.uint16],
    flags: NDArray[np.uint16],
    kept: NDArray[np.bool_],
) -> None:
    """Which spans begin and end at borders. begins, ends: int64[k], of the text of each span."""
    for row in range(len(starts)):
        start, stop = starts[row], stops[row]
        first = _flags_at(data, start, pages, flags)
        good = not first & (MARK | INVISIBLE)
        if good and _is_letter(first):
            good = not _is_letter(_base_before(data, start, begins[row], pages, flags))
        if good and stop < ends[row]:
            following = _flags_at(data, stop, pages, flags)
            if following & (MARK | INVISIBLE):
                good = False
            elif _is_letter(following):
                good = not _is_letter(_base_before(data, stop, start, pages, flags))
        kept[row] = good


@uncounted
def first_of_each(starts: NDArray[np.int64], stops: NDArray[np.int64], kept: NDArray[np.bool_]) -> None:
    """Of spans by start, the longest first: those that begin behind all that were taken before."""
    end: Int = np.int64(-1)
    for row in range(len(starts)):
        kept[row] = starts[row] >= end
        if kept[row]:
            end = stops[row]
