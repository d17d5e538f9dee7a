"""Characters as the matchers of personal data see them: one by one, forwards and backwards, in their plain form.

Full-width forms (U+FF01 to U+FF5E) count as their ASCII ones, decimal digits of all scripts as 0 to 9, hyphens and
dashes as "-", spaces of all widths as " ".
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from corpuscurate.kernels.compile import uncounted
from corpuscurate.kernels.text.signs import DECIMALS
from corpuscurate.kernels.text.unicode import MARK, WORD, Int, Tables, decode, entry, tables

NONE, DIGIT, LATIN, LETTER, INNER = range(5)
"""Kinds of characters: no part of a word; a digit; a letter of the Latin script; another letter; a combining mark."""
END = -1
"""The character before the first and after the last one."""
DASH, SPACE = 0x2D, 0x20
FULL_STOP = 0xFF0E
"""The full-width one."""


class Letters(NamedTuple):
    """pages, flags: `flag_pages` and `flag_data` of `kernels.text.unicode`. zeros: int64[k], ascending, the digit 0 of
    each script beyond ASCII."""

    pages: NDArray[np.uint16]
    flags: NDArray[np.uint16]
    zeros: NDArray[np.int64]


def letters() -> Letters:
    """The tables of this module."""
    t: Tables = tables()
    return Letters(t.flag_pages, t.flag_data, _ZEROS)


def _zeros() -> NDArray[np.int64]:
    found: list[int] = []
    for part in DECIMALS.split():
        low, high = (int(each, 16) for each in part.split("-"))
        found += range(low, high + 1, 10)
    zeros = np.array([zero for zero in found if zero > 0x7F], np.int64)
    zeros.setflags(write=False)
    return zeros


_ZEROS = _zeros()


@uncounted
def _digit(code: Int, zeros: NDArray[np.int64]) -> Int:
    """The value of a decimal digit beyond ASCII, or -1."""
    low: Int = np.int64(0)
    high: Int = np.int64(len(zeros))
    while low < high:
        middle = (low + high) >> 1
        if zeros[middle] <= code:
            low = middle + 1
        else:
            high = middle
    if low == 0 or code - zeros[low - 1] > 9:
        return np.int64(-1)
    return np.int64(code - zeros[low - 1])


@uncounted
def plain(code: Int, t: Letters) -> Int:
    """The character that this one counts as."""
    if code < 0x80:
        return np.int64(code)
    if 0xFF01 <= code <= 0xFF5E:
        return np.int64(code - 0xFEE0)
    if code in (160, 12288, 8239) or 8192 <= code <= 8202:
        return np.int64(SPACE)
    if 0x2010 <= code <= 0x2015 or code == 0x2212:
        return np.int64(DASH)
    if t.flags[entry(t.pages, code)] & WORD:
        value = _digit(code, t.zeros)
        if value >= 0:
            return np.int64(0x30 + value)
    return np.int64(code)


@uncounted
def after(data: NDArray[np.uint8], i: Int, stop: Int, t: Letters) -> tuple[Int, Int]:
    """The character at byte i, in its plain form, and the byte behind it; END at `stop`."""
    if i >= stop:
        return np.int64(END), np.int64(i)
    byte = data[np.uint64(i)]
    if byte < 0x80:
        return np.int64(byte), np.int64(i + 1)
    code, behind = decode(data, i)
    return plain(code, t), np.int64(behind)


@uncounted
def before(data: NDArray[np.uint8], i: Int, start: Int, t: Letters) -> tuple[Int, Int]:
    """The character that ends before byte i, in its plain form, and its first byte; END at `start`."""
    if i <= start:
        return np.int64(END), np.int64(i)
    at: Int = np.int64(i - 1)
    byte = data[np.uint64(at)]
    if byte < 0x80:
        return np.int64(byte), at
    while at > start and (data[np.uint64(at)] & 0xC0) == 0x80:
        at -= 1
    code, _ = decode(data, at)
    return plain(code, t), at


@uncounted
def kind_of(code: Int, t: Letters) -> Int:
    """NONE .. INNER of a plain character."""
    if code < 0x80:
        if 0x30 <= code <= 0x39:
            return np.int64(DIGIT)
        lower = code | 0x20
        return np.int64(LATIN) if 0x61 <= lower <= 0x7A else np.int64(NONE)
    flags = t.flags[entry(t.pages, code)]
    if flags & MARK:
        return np.int64(INNER)
    if not flags & WORD:
        return np.int64(NONE)
    return np.int64(LATIN) if code < 0x250 or 0x1E00 <= code <= 0x1EFF else np.int64(LETTER)


@uncounted
def joins(code: Int, t: Letters) -> bool:
    """Whether a character beside a number or a code makes it part of something longer: a digit, a Latin letter, an
    underscore. Letters of other scripts do not: in Chinese or Japanese they stand beside a number without a space."""
    kind = kind_of(code, t) if code >= 0 else np.int64(NONE)
    return bool(kind in (DIGIT, LATIN) or code == 95)
