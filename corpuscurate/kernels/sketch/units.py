"""Text to units, four bytes each: what the shingles of a document are made of, kept in half the space of their hashes.

A unit is a character's code point, or the upper 32 bits of a word's hash (`kernels.sketch.shingles`). Two shingles of n
words that differ are taken for equal when all their units agree: where one word was changed for another, once in 2^32.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from corpuscurate.kernels.compile import kernel, uncounted
from corpuscurate.kernels.sketch.characters import CHARACTERS, fold_characters
from corpuscurate.kernels.sketch.shingles import Walk, begin, new_walk, next_words
from corpuscurate.kernels.text.folding import Int
from corpuscurate.kernels.text.unicode import Tables

_HALF = np.uint64(32)
_ONE = np.int64(1)  # of a literal Numba would compile other kernels


@uncounted
def _next_units(unit: Int, data: NDArray[np.uint8], t: Tables, walk: Walk, at: Int, out: NDArray[np.uint32]) -> Int:
    """The document's next units to out[at:]; the index after them, -1 after the last. walk: of n = 1."""
    if walk.cursor[0] >= walk.cursor[1]:
        return -1
    words = walk.words
    if unit == CHARACTERS:
        count = fold_characters(data, walk, t, 0)
        for i in range(np.uint64(count)):
            out[np.uint64(at) + i] = np.uint32(words[i])
        return at + count
    count = next_words(data, t, walk)
    for i in range(np.uint64(count)):  # a signed index would make it a scatter
        out[np.uint64(at) + i] = np.uint32(words[i] >> _HALF)
    return at + count


@kernel
def units_of(
    starts: NDArray[np.int64],
    stops: NDArray[np.int64],
    data: NDArray[np.uint8],
    t: Tables,
    unit: Int,
    out_offsets: NDArray[np.int64],
    out: NDArray[np.uint32],
) -> Int:
    """The units of each document, data[start:stop]. Returns how many in all.

    unit: WORDS or CHARACTERS. out_offsets: int64[rows + 1]. out: uint32[`unit_bound(starts, stops, unit)`].
    """
    walk = new_walk(_ONE)
    total: Int = 0
    out_offsets[0] = 0
    for row in range(len(starts)):
        begin(starts[row], stops[row], _ONE, walk)
        after = _next_units(unit, data, t, walk, total, out)
        while after >= 0:
            total = after
            after = _next_units(unit, data, t, walk, total, out)
        out_offsets[row + 1] = total
    return total


@uncounted
def unit_bound(starts: NDArray[np.int64], stops: NDArray[np.int64], unit: Int) -> Int:
    """The most units that documents of these lengths can have.

    A word takes a byte, and another parts it from the next (letters of scripts without spaces take three bytes and need
    no separator). A character takes a byte; where folding makes several of one, it had at least two, and there are at
    most three.
    """
    bound = 0
    for row in range(len(starts)):
        size = stops[row] - starts[row]
        bound += size + (size + 1) // 2 if unit == CHARACTERS else (size + 1) // 2
    return bound
