"""The statistics of the Gopher quality rules (arXiv 2112.11446, appendix A.1.1).

Definitions, each equal to a line of plain Python on `text`:
- words: `text.split()`: runs without white space, from `core.spans`.
- characters: code points of the words.
- hashes: `text.count("#")`. ellipses: `text.count("...") + text.count("…")`, so that six dots are two.
- lines: `[line for line in text.split("\\n") if line.strip()]`: blank lines are none.
- bullet_lines: lines whose `line.lstrip()` starts with one of the bullets.
- ellipsis_lines: lines whose `line.rstrip()` ends with "..." or "…".
- alphabetic_words: words with at least one character for which `str.isalpha()`.
- stop_words: how many different stop words occur. A word is stripped at both ends of characters that are neither
  `str.isalnum()` nor combining marks (categories M*), and its `str.casefold()` without invisible characters
  (`kernels.text.unicode.INVISIBLE`) is compared.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from corpuscurate.kernels.compile import inlined, kernel, uncounted
from corpuscurate.kernels.simd.bits import leading_zeros, trailing_zeros
from corpuscurate.kernels.text.bytes8 import HIGH, digits_in, head_of, letters_in, tails_in
from corpuscurate.kernels.text.scan import next_symbol
from corpuscurate.kernels.text.unicode import (
    ALPHA,
    INVISIBLE,
    MARK,
    WORD,
    Int,
    Tables,
    decode,
    flags_of,
    fold,
    fold_into,
)

STATISTICS = (
    "words",
    "characters",
    "hashes",
    "ellipses",
    "lines",
    "bullet_lines",
    "ellipsis_lines",
    "alphabetic_words",
    "stop_words",
)
"""The columns of `count_statistics`."""

_NEWLINE, _HASH, _DOT = 0x0A, 0x23, 0x2E
_ELLIPSIS_BYTES = (0xE2, 0x80, 0xA6)
_KEY_BYTES = 7
_0, _2, _3, _8, _56 = (np.uint64(number) for number in (0, 2, 3, 8, 56))
_ALL = np.uint64(0xFFFFFFFFFFFFFFFF)


class Strings(NamedTuple):
    """Distinct byte strings, sorted; those that begin with byte b are rows first[b]..first[b + 1] - 1.

    offsets: int64[rows + 1]. data: uint8[]. first: int64[257]. keys: uint64[rows], bytes (the first one lowest)
    and length (on top) in one number for strings of up to 7 bytes, 0 for longer ones. longest: the greatest length.
    """

    offsets: NDArray[np.int64]
    data: NDArray[np.uint8]
    first: NDArray[np.int64]
    keys: NDArray[np.uint64]
    longest: int


def _key(value: bytes) -> int:
    return int.from_bytes(value, "little") | len(value) << 56 if len(value) <= _KEY_BYTES else 0


def strings(values: Sequence[str]) -> Strings:
    """The form in which kernels look strings up. No value may be empty."""
    encoded = sorted({value.encode() for value in values})
    offsets = np.cumsum([0, *map(len, encoded)], dtype=np.int64)
    leads = np.array([value[0] for value in encoded], np.int64)
    first = np.searchsorted(leads, np.arange(257)).astype(np.int64)
    keys = np.array([_key(value) for value in encoded], np.uint64)
    return Strings(offsets, np.frombuffer(b"".join(encoded), np.uint8), first, keys, max(map(len, encoded), default=0))


@uncounted
def _starts_with(data: NDArray[np.uint8], i: Int, end: Int, wanted: Strings) -> bool:
    lead = data[i]
    for row in range(wanted.first[lead], wanted.first[np.int64(lead) + 1]):
        begin = wanted.offsets[row]
        size = wanted.offsets[row + 1] - begin
        if size <= end - i:
            at = 1
            while at < size and data[i + at] == wanted.data[begin + at]:
                at += 1
            if at == size:
                return True
    return False


@uncounted
def _find(word: NDArray[np.uint8], size: Int, wanted: Strings) -> Int:
    lead = word[0]
    for row in range(wanted.first[lead], wanted.first[np.int64(lead) + 1]):
        begin = wanted.offsets[row]
        if wanted.offsets[row + 1] - begin == size:
            at = 1
            while at < size and word[at] == wanted.data[begin + at]:
                at += 1
            if at == size:
                return row
    return -1


@uncounted
def _ends_with_ellipsis(data: NDArray[np.uint8], start: Int, end: Int) -> bool:
    if end - start < 3:
        return False
    a, b, c = data[end - 3], data[end - 2], data[end - 1]
    return bool((a == _DOT and b == _DOT and c == _DOT) or (a == 0xE2 and b == 0x80 and c == 0xA6))


@inlined
def _may_begin(t: Tables, code_point: Int, stops: Strings) -> bool:
    """Whether a stop word may begin with this character, or the character may be left out."""
    flags = flags_of(t, code_point)
    if flags & INVISIBLE or not flags & (WORD | MARK):
        return True
    folded = fold(t, code_point)[1]
    if folded < 0x80:
        lead = folded
    elif folded < 0x800:
        lead = 0xC0 | folded >> 6
    elif folded < 0x10000:
        lead = 0xE0 | folded >> 12
    else:
        lead = 0xF0 | folded >> 18
    return bool(stops.first[lead] < stops.first[lead + 1])


@uncounted
def _stop_word(
    data: NDArray[np.uint8], first: Int, last: Int, t: Tables, stops: Strings, folded: NDArray[np.uint8]
) -> Int:
    """Row of the stop word that data[first:last], stripped and folded, is; -1 for none."""
    while first < last:
        code_point, after = decode(data, first)
        if flags_of(t, code_point) & (WORD | MARK):
            break
        first = after
    while first < last:
        before = last - 1
        while data[before] & 0xC0 == 0x80:
            before -= 1
        code_point, _ = decode(data, before)
        if flags_of(t, code_point) & (WORD | MARK):
            break
        last = before
    size: Int = 0
    while first < last:
        code_point, first = decode(data, first)
        if flags_of(t, code_point) & INVISIBLE:
            continue
        size = fold_into(t, code_point, size, folded)
        if size > stops.longest:
            return -1
    return _find(folded, size, stops) if size else -1


@uncounted
def _count_marks(data: NDArray[np.uint8], i: Int, end: Int) -> tuple[Int, Int]:
    """How often "#", and how often "..." or "…" stands in data[i:end]."""
    hashes: Int = 0
    ellipses: Int = 0
    while True:
        i = next_symbol(data, i, end)
        if i >= end:
            return hashes, ellipses
        byte = data[np.uint64(i)]
        begin = i
        i += 1
        if byte == _HASH:
            hashes += 1
        elif byte == _DOT:
            while i < end and data[np.uint64(i)] == _DOT:
                i += 1
            ellipses += (i - begin) // 3
        elif data[np.uint64(i)] == _ELLIPSIS_BYTES[1] and data[np.uint64(i + 1)] == _ELLIPSIS_BYTES[2]:
            ellipses += 1


@uncounted
def _count_lines(
    data: NDArray[np.uint8],
    start: Int,
    end: Int,
    words: Int,
    first: Int,
    starts: NDArray[np.int64],
    stops: NDArray[np.int64],
    bullets: Strings,
) -> tuple[Int, Int, Int]:
    """The lines of data[start:end] that have words, with a bullet, and with an ellipsis at the end."""
    lines: Int = 0
    bullet_lines: Int = 0
    ellipsis_lines: Int = 0
    before: Int = start  # where the word before ended
    for k in range(first, first + words):
        begin = starts[np.uint64(k)]
        at = before
        while at < begin and data[np.uint64(at)] != _NEWLINE:
            at += 1
        if at < begin or k == first:
            lines += 1
            bullet_lines += _starts_with(data, begin, end, bullets)
            ellipsis_lines += k > first and _ends_with_ellipsis(data, start, before)
        before = stops[np.uint64(k)]
    return lines, bullet_lines, ellipsis_lines + (words > 0 and _ends_with_ellipsis(data, start, before))


@inlined
def _long_word(data: NDArray[np.uint8], i: Int, end: Int, t: Tables) -> tuple[Int, bool, bool]:
    """Of data[i:end]: bytes that begin no character, whether one is a letter, whether one is not ASCII."""
    tails: Int = 0
    letter = flags_of(t, decode(data, i)[0]) & ALPHA != 0
    other = False
    at = i
    while at < end:
        part = head_of(data, at, end - at)
        high = part & HIGH
        tails += tails_in(part)
        other = other or high != _0
        letter = letter or letters_in(part & ~HIGH) & ~high != _0
        at += 8
    while other and not letter and i < end:
        code_point, i = decode(data, i)
        letter = flags_of(t, code_point) & ALPHA != 0
    return tails, letter, other


@inlined
def _short_stop_word(word: np.uint64, letters: np.uint64, stops: Strings) -> Int:
    """Row of the stop word that up to 8 bytes of ASCII, stripped and in lower case, are; -1 for none, -2 where they are
    more than _KEY_BYTES."""
    inside = letters | digits_in(word)
    if inside == _0:
        return -1
    begin = np.uint64(trailing_zeros(inside) >> 3)
    size = np.uint64(8 - (leading_zeros(inside) >> 3)) - begin
    if size > _KEY_BYTES:
        return -2
    lower = (word | letters >> _2) >> (begin << _3)
    lead = np.int64(lower & np.uint64(0xFF))
    candidate, bound = stops.first[np.uint64(lead)], stops.first[np.uint64(lead + 1)]
    key = lower & ~(_ALL << (size << _3)) | size << _56
    while candidate < bound and stops.keys[np.uint64(candidate)] != key:
        candidate += 1
    return candidate if candidate < bound else np.int64(-1)


@kernel
def count_statistics(
    offsets: NDArray[np.int64],
    data: NDArray[np.uint8],
    first: NDArray[np.int64],
    starts: NDArray[np.int64],
    stops: NDArray[np.int64],
    t: Tables,
    bullets: Strings,
    wanted: Strings,
    out: NDArray[np.int64],
) -> int:
    """All `STATISTICS` of each document. out: int64[n, 9]. Returns n.

    first, starts, stops: the words of each document, what white space parts (`core.spans.Spans`). bullets must neither
    begin with white space nor hold a line feed; the stop words that are wanted must be casefolded.
    """
    folded = np.empty(wanted.longest + 8, np.uint8)
    known = len(wanted.offsets) - 1
    met = np.full(known, -1, np.int64)  # the last document in which a stop word was met
    for row in range(len(offsets) - 1):
        begin, end = first[row], first[row + 1]
        found = 0
        characters: Int = 0
        alphabetic: Int = 0
        for k in range(begin, end):
            start, stop = starts[np.uint64(k)], stops[np.uint64(k)]
            size = stop - start
            word = head_of(data, start, size)
            letters = letters_in(word & ~HIGH)
            other = word & HIGH != _0
            tails: Int = 0
            letter = letters != _0
            if size > 8 or other:
                tails, letter, other = _long_word(data, start, stop, t)
            characters += size - tails
            alphabetic += letter
            if found < known:
                match: Int = -2
                if size <= 8 and not other:
                    match = _short_stop_word(word, letters, wanted)
                elif not _may_begin(t, decode(data, start)[0], wanted):
                    match = -1
                if match == -2:
                    match = _stop_word(data, start, stop, t, wanted, folded)
                if match >= 0 and met[match] != row:
                    met[match] = row
                    found += 1
        hashes, ellipses = _count_marks(data, offsets[row], offsets[row + 1])
        lines = _count_lines(data, offsets[row], offsets[row + 1], end - begin, begin, starts, stops, bullets)
        out[row, 0] = end - begin
        out[row, 1] = characters
        out[row, 2] = hashes
        out[row, 3] = ellipses
        out[row, 4] = lines[0]
        out[row, 5] = lines[1]
        out[row, 6] = lines[2]
        out[row, 7] = alphabetic
        out[row, 8] = found
    return len(offsets) - 1
