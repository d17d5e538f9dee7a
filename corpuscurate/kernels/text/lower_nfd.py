"""Lower case and canonical decomposition: the NFD of `str.lower()`, and what else is known of case and of numbers.

The tables are made as those of `kernels.text.unicode`, by the same script, of the same Unicode version. The two steps
are one lookup, for all but two things that depend on neighbours: a capital sigma ends a word as a final one (the
Unicode rule Final_Sigma, which `str.lower()` follows), and combining marks that follow one another are sorted by their
class (Unicode standard, section 3.11, D109). A run of marks is sorted by counting, so that a million of them take
linear time.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from corpuscurate.kernels.compile import uncounted
from corpuscurate.kernels.text.unicode import SEVERAL, Int, Tables, combining_class, decode, encode, entry

PATH = Path(__file__).with_name("lower_tables.npz")

CASED = 1
"""Property Cased, without what is IGNORED."""
IGNORED = 2
"""Property Case_Ignorable."""
UPPER = 4
"""`str.isupper()` of the character."""
NOT_UPPER = 8
"""A lower case or title case letter: a word with one is not all in upper case."""
NUMERIC = 16
"""`str.isnumeric()`."""
DECIMAL = 32
"""`str.isdecimal()`, category Nd: `\\d` of a regular expression."""
NONSPACING = 64
"""Category Mn."""

GROWTH = 3
"""No text takes more than so many times its bytes when it is lowered and decomposed."""
CLASSES = 256
_SIGMA, _FINAL_SIGMA = 0x3A3, 0x3C2


class Lower(NamedTuple):
    """The tables; read-only. case_pages, case_data: uint16[4352], uint8[], CASED | .... lower_pages, lower_data:
    uint16[4352], int32[], what to add to a code point, or SEVERAL + row of lower_several: int32[rows, 5], a count and
    code points. punctuation: bool[128], what `string.punctuation` has."""

    case_pages: NDArray[np.uint16]
    case_data: NDArray[np.uint8]
    lower_pages: NDArray[np.uint16]
    lower_data: NDArray[np.int32]
    lower_several: NDArray[np.int32]
    punctuation: NDArray[np.bool_]


@cache
def lower_tables() -> Lower:
    """The tables, loaded once a process."""
    with np.load(PATH, allow_pickle=False) as stored:
        arrays = {name: stored[name] for name in stored.files}
    codes = np.arange(128)
    letters = (codes >= 48) & (codes < 58) | (codes >= 65) & (codes < 91) | (codes >= 97) & (codes < 123)
    arrays["punctuation"] = (codes > 32) & (codes < 127) & ~letters
    for array in arrays.values():
        array.setflags(write=False)
    return Lower(**arrays)


@uncounted
def case_of(low: Lower, code_point: Int) -> Int:
    """The flags of a code point: CASED | IGNORED | ..."""
    return np.int64(low.case_data[entry(low.case_pages, code_point)])


@uncounted
def _cased_follows(data: NDArray[np.uint8], i: Int, stop: Int, low: Lower, drop: bool) -> bool:
    """Whether a cased letter comes at byte `i` or behind what is ignored there."""
    while i < stop:
        code_point, i = decode(data, i)
        if drop and code_point < 0x80 and low.punctuation[np.uint64(code_point)]:
            continue
        flags = case_of(low, code_point)
        if not flags & IGNORED:
            return bool(flags & CASED)
    return False


@uncounted
def _write_marks(
    marks: NDArray[np.int32], count: Int, t: Tables, places: NDArray[np.int64], at: Int, out: NDArray[np.uint8]
) -> Int:
    """Write a run of combining marks in the order of their classes, equal ones as they stand; the index after them.

    marks: int32[2 * room]; the second half is working memory. places: int64[CLASSES + 1], too.
    """
    room = len(marks) // 2
    in_order = True
    for k in range(1, count):
        in_order = in_order and bool(combining_class(t, marks[k - 1]) <= combining_class(t, marks[k]))
    if in_order:
        for k in range(count):
            at = encode(np.int64(marks[k]), at, out)
        return at
    for k in range(CLASSES + 1):
        places[k] = 0
    for k in range(count):
        places[combining_class(t, marks[k]) + 1] += 1
    for k in range(CLASSES):
        places[k + 1] += places[k]
    for k in range(count):
        kind = combining_class(t, marks[k])
        marks[room + places[kind]] = marks[k]
        places[kind] += 1
    for k in range(count):
        at = encode(np.int64(marks[room + k]), at, out)
    return at


@uncounted
def lower_nfd(
    data: NDArray[np.uint8],
    start: Int,
    stop: Int,
    t: Tables,
    low: Lower,
    drop: bool,
    marks: NDArray[np.int32],
    places: NDArray[np.int64],
    out: NDArray[np.uint8],
) -> Int:
    """Write the NFD of the lower case of data[start:stop] to `out`; how many bytes.

    drop: leave `string.punctuation` out first. marks: int32[2 * (stop - start + 1)], places:
    int64[CLASSES + 1], working memory. out: uint8[GROWTH * (stop - start)], or more.
    """
    at: Int = 0
    i = start
    held: Int = 0  # combining marks that are not written yet
    cased = False  # whether a cased letter stands before, what is ignored aside
    while i < stop:
        byte = np.int64(data[np.uint64(i)])
        if byte < 0x80:
            i += 1
            if low.punctuation[np.uint64(byte)]:
                if drop:
                    continue
                flags = case_of(low, byte)
                cased = cased and bool(flags & IGNORED)
            elif 0x41 <= byte <= 0x5A:
                byte += 32
                cased = True
            else:
                cased = bool(0x61 <= byte <= 0x7A)
            if held:
                at = _write_marks(marks, held, t, places, at, out)
                held = 0
            out[np.uint64(at)] = byte
            at += 1
            continue
        code_point, i = decode(data, i)
        flags = case_of(low, code_point)
        step = np.int64(low.lower_data[entry(low.lower_pages, code_point)])
        count: Int = 1
        row: Int = 0
        made: Int = code_point + step
        if step >= SEVERAL:
            row = step - SEVERAL
            count = np.int64(low.lower_several[row, 0])
            made = np.int64(low.lower_several[row, 1])
        elif code_point == _SIGMA and cased and not _cased_follows(data, i, stop, low, drop):
            made = _FINAL_SIGMA
        if not flags & IGNORED:
            cased = bool(flags & CASED)
        for k in range(count):
            if k:
                made = np.int64(low.lower_several[row, k + 1])
            if combining_class(t, made):
                marks[held] = made
                held += 1
                continue
            if held:
                at = _write_marks(marks, held, t, places, at, out)
                held = 0
            at = encode(made, at, out)
    if held:
        at = _write_marks(marks, held, t, places, at, out)
    return at
