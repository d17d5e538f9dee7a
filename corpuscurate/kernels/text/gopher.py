"""The statistics of the Gopher quality rules (arXiv 2112.11446, appendix A.1.1), all in one walk over the bytes.

Definitions, each equal to a line of plain Python on `text`:
- words: `text.split()`: runs without white space.
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

from corpuscurate.kernels.compile import kernel, uncounted
from corpuscurate.kernels.text.unicode import (
    ALPHA,
    INVISIBLE,
    MARK,
    SPACE,
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

_SPACE, _ALPHA, _MARKED, _HIGH = 1, 2, 4, 8  # classes of a byte; _MARKED: "#" and "."
_NEWLINE, _HASH, _DOT = 0x0A, 0x23, 0x2E
_ELLIPSIS = 0x2026
_KEY_BYTES = 7
_BYTE = np.uint64(8)


class Strings(NamedTuple):
    """Distinct byte strings, sorted; those that begin with byte b are rows first[b]..first[b + 1] - 1.

    offsets: int64[rows + 1]. data: uint8[]. first: int64[257]. keys: uint64[rows], length and bytes in one number
    for strings of up to 7 bytes, 0 for longer ones. longest: the greatest length in bytes.
    """

    offsets: NDArray[np.int64]
    data: NDArray[np.uint8]
    first: NDArray[np.int64]
    keys: NDArray[np.uint64]
    longest: int


def _key(value: bytes) -> int:
    return int.from_bytes(bytes([len(value)]) + value) if len(value) <= _KEY_BYTES else 0


def strings(values: Sequence[str]) -> Strings:
    """The form in which kernels look strings up. No value may be empty."""
    encoded = sorted({value.encode() for value in values})
    offsets = np.cumsum([0, *map(len, encoded)], dtype=np.int64)
    leads = np.array([value[0] for value in encoded], np.int64)
    first = np.searchsorted(leads, np.arange(257)).astype(np.int64)
    keys = np.array([_key(value) for value in encoded], np.uint64)
    return Strings(offsets, np.frombuffer(b"".join(encoded), np.uint8), first, keys, max(map(len, encoded), default=0))


def byte_classes() -> NDArray[np.uint8]:
    """The class of each byte, for the fast path through ASCII."""
    classes = np.zeros(256, np.uint8)
    for byte in range(128):
        classes[byte] = _SPACE * chr(byte).isspace() | _ALPHA * chr(byte).isalpha() | _MARKED * (chr(byte) in "#.")
    classes[128:] = _HIGH
    return classes


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


@uncounted
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


@kernel
def count_statistics(
    offsets: NDArray[np.int64],
    data: NDArray[np.uint8],
    t: Tables,
    classes: NDArray[np.uint8],
    bullets: Strings,
    stops: Strings,
    out: NDArray[np.int64],
) -> int:
    """All `STATISTICS` of each document. classes: of `byte_classes`. out: int64[n, 9]. Returns n.

    bullets must neither begin with white space nor hold a line feed; stops must be casefolded.
    """
    folded = np.empty(stops.longest + 8, np.uint8)
    known = len(stops.offsets) - 1
    met = np.full(known, -1, np.int64)  # the last document in which a stop word was met
    for row in range(len(offsets) - 1):
        start = offsets[row]
        end = offsets[row + 1]
        words = characters = hashes = ellipses = lines = bullet_lines = ellipsis_lines = alphabetic = found = 0
        i = start
        last = start  # where the last word ended
        fresh = True  # nothing but white space in this line so far
        while True:
            while i < end:  # white space
                byte = data[i]
                if byte < 0x80:
                    if not classes[byte] & _SPACE:
                        break
                    if byte == _NEWLINE and not fresh:
                        lines += 1
                        ellipsis_lines += _ends_with_ellipsis(data, start, last)
                        fresh = True
                    i += 1
                else:
                    code_point, after = decode(data, i)
                    if not flags_of(t, code_point) & SPACE:
                        break
                    i = after
            if i >= end:
                break
            if fresh:
                bullet_lines += _starts_with(data, i, end, bullets)
                fresh = False
            word = i
            seen: Int = 0
            tails = 0  # continuation bytes
            while i < end:
                kind = np.int64(classes[data[i]])
                if kind & (_SPACE | _HIGH):
                    if kind & _SPACE:
                        break
                    code_point, after = decode(data, i)
                    flags = flags_of(t, code_point)
                    if flags & SPACE:
                        break
                    seen |= _HIGH
                    if flags & ALPHA:
                        seen |= _ALPHA
                    ellipses += code_point == _ELLIPSIS
                    tails += after - i - 1
                    i = after
                else:
                    seen |= kind
                    i += 1
            words += 1
            characters += i - word - tails
            alphabetic += (seen & _ALPHA) != 0
            if seen & _MARKED:
                dots = 0
                for at in range(word, i):
                    byte = data[at]
                    hashes += byte == _HASH
                    dots = dots + 1 if byte == _DOT else 0
                    if dots == 3:
                        ellipses += 1
                        dots = 0
            if found < known:
                stop: Int = -1
                if seen & _HIGH:
                    code_point, after = decode(data, word)
                    if _may_begin(t, code_point, stops):
                        stop = _stop_word(data, word, i, t, stops, folded)
                else:  # ASCII, by far the most: without a call
                    begin, behind = word, i
                    while begin < behind and not t.byte_flags[data[begin]] & WORD:
                        begin += 1
                    while begin < behind and not t.byte_flags[data[behind - 1]] & WORD:
                        behind -= 1
                    size = behind - begin
                    lead = np.int64(t.byte_fold[data[begin]]) if size else np.int64(0)
                    candidate, bound = stops.first[lead], stops.first[lead + 1]
                    if candidate < bound and size <= _KEY_BYTES:
                        key = np.uint64(size)
                        for at in range(begin, behind):
                            key = key << _BYTE | np.uint64(t.byte_fold[data[at]])
                        while candidate < bound and stops.keys[candidate] != key:
                            candidate += 1
                        stop = candidate if candidate < bound else -1
                    elif candidate < bound and size <= stops.longest:
                        stop = _stop_word(data, begin, behind, t, stops, folded)
                if stop >= 0 and met[stop] != row:
                    met[stop] = row
                    found += 1
            last = i
        if not fresh:
            lines += 1
            ellipsis_lines += _ends_with_ellipsis(data, start, last)
        out[row, 0] = words
        out[row, 1] = characters
        out[row, 2] = hashes
        out[row, 3] = ellipses
        out[row, 4] = lines
        out[row, 5] = bullet_lines
        out[row, 6] = ellipsis_lines
        out[row, 7] = alphabetic
        out[row, 8] = found
    return len(offsets) - 1
