"""The statistics of the Gopher quality rules as datatrove counts them, upon tokens (`kernels.text.tokens`).

Definitions, each equal to a line of plain Python on `text` and its `tokens`:
- tokens: `len(tokens)`. words: tokens with a character that is not in PUNCTUATION. characters: code points of words.
- hashes: `text.count("#")`. ellipses: `text.count("...") + text.count("…")`.
- lines: `text.splitlines()`, blank ones, too. bullet_lines: lines whose `line.lstrip()` starts with one of the bullets.
  ellipsis_lines: lines whose `line.rstrip()` ends with "..." or "…".
- alphabetic_tokens: tokens with at least one character for which `str.isalpha()`.
- stop_words: how many different stop words occur as tokens, in the same case.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

from corpuscurate.kernels.compile import inlined, kernel, uncounted
from corpuscurate.kernels.text.bytes8 import HIGH, digits_in, head_of, letters_in
from corpuscurate.kernels.text.gopher import Strings
from corpuscurate.kernels.text.tokens import CODE_POINTS, LETTER, SPACE, token_classes
from corpuscurate.kernels.text.unicode import Int, decode

STATISTICS = (
    "tokens",
    "words",
    "characters",
    "hashes",
    "ellipses",
    "lines",
    "bullet_lines",
    "ellipsis_lines",
    "alphabetic_tokens",
    "stop_words",
)
"""The columns of `count_token_statistics`."""

PUNCTUATION_RANGES = (
    *((0x0, 0x8), (0xB, 0x1F), (0x21, 0x2F), (0x3A, 0x40), (0x5B, 0x60), (0x7B, 0x9F), (0xAB, 0xAB), (0xB4, 0xB4)),
    *((0xBB, 0xBB), (0x589, 0x589), (0x61D, 0x61F), (0x6D4, 0x6D4), (0x700, 0x702), (0x7F9, 0x7F9), (0x837, 0x837)),
    *((0x839, 0x839), (0x83D, 0x83E), (0x964, 0x965), (0x104A, 0x104B), (0x1362, 0x1362), (0x1367, 0x1368)),
    *((0x166E, 0x166E), (0x1735, 0x1736), (0x17D4, 0x17D6), (0x17D9, 0x17DA), (0x1803, 0x1803), (0x1809, 0x1809)),
    *((0x1944, 0x1945), (0x1AA8, 0x1AAB), (0x1B5A, 0x1B5B), (0x1B5E, 0x1B5F), (0x1B7D, 0x1B7E), (0x1C3B, 0x1C3C)),
    *((0x1C7E, 0x1C7F), (0x2013, 0x2014), (0x2019, 0x2019), (0x201C, 0x201E), (0x2026, 0x2026), (0x203C, 0x203D)),
    *((0x2047, 0x2049), (0x2236, 0x2236), (0x2501, 0x2501), (0x25BA, 0x25BA), (0x2E2E, 0x2E2E), (0x2E3C, 0x2E3C)),
    *((0x2E53, 0x2E54), (0x3001, 0x3002), (0x3008, 0x300D), (0x3010, 0x3011), (0xA4FF, 0xA4FF), (0xA60E, 0xA60F)),
    *((0xA6F3, 0xA6F3), (0xA6F7, 0xA6F7), (0xA876, 0xA877), (0xA8CE, 0xA8CF), (0xA92F, 0xA92F), (0xA9C8, 0xA9C9)),
    *((0xAA5D, 0xAA5F), (0xAAF0, 0xAAF1), (0xABEB, 0xABEB), (0xFE52, 0xFE52), (0xFE56, 0xFE57), (0xFF01, 0xFF01)),
    *((0xFF05, 0xFF05), (0xFF08, 0xFF09), (0xFF0C, 0xFF0C), (0xFF0E, 0xFF0E), (0xFF11, 0xFF11), (0xFF1A, 0xFF1B)),
    *((0xFF1F, 0xFF1F), (0xFF5E, 0xFF5E), (0xFF61, 0xFF61), (0x10A56, 0x10A57), (0x10F55, 0x10F59)),
    *((0x10F86, 0x10F89), (0x11047, 0x11048), (0x110BE, 0x110C1), (0x11141, 0x11143), (0x111C5, 0x111C6)),
    *((0x111CD, 0x111CD), (0x111DE, 0x111DF), (0x11238, 0x11239), (0x1123B, 0x1123C), (0x112A9, 0x112A9)),
    *((0x1144B, 0x1144C), (0x115C2, 0x115C3), (0x115C9, 0x115D7), (0x11641, 0x11642), (0x1173C, 0x1173E)),
    *((0x11944, 0x11944), (0x11946, 0x11946), (0x11A42, 0x11A43), (0x11A9B, 0x11A9C), (0x11C41, 0x11C42)),
    *((0x11EF7, 0x11EF8), (0x11F43, 0x11F44), (0x16A6E, 0x16A6F), (0x16AF5, 0x16AF5), (0x16B37, 0x16B38)),
    *((0x16B44, 0x16B44), (0x16E98, 0x16E98), (0x1BC9F, 0x1BC9F), (0x1DA88, 0x1DA88)),
)
"""PUNCTUATION: `PUNCTUATION_SET` of datatrove 0.10, `utils/text.py`: marks, end marks of all scripts, controls. Of
ASCII it has all but letters, digits and white space."""

_LETTER, _SPACE = 1, 2
_NOT_PUNCTUATION = 8
_DOT, _HASH, _ELLIPSIS = 0x2E, 0x23, 0x2026
_LINE_ENDS = (0x0A, 0x0B, 0x0C, 0x0D, 0x1C, 0x1D, 0x1E, 0x85, 0x2028, 0x2029)
_ENDS_LINE = 16
_STOPS = 32
"""Of code points up to 0xFF, taken for bytes: one at which a mark or a line end may begin."""


@cache
def statistic_classes() -> NDArray[np.uint8]:
    """The classes of each code point for these statistics, uint8[0x110000], read-only; made once a process."""
    known = token_classes()
    classes = np.full(CODE_POINTS, _NOT_PUNCTUATION, np.uint8)
    for first, last in PUNCTUATION_RANGES:
        classes[first : last + 1] = 0
    classes[(known & LETTER) != 0] |= _LETTER
    classes[(known & SPACE) != 0] |= _SPACE
    classes[list(_LINE_ENDS)] |= _ENDS_LINE
    classes[[_DOT, _HASH, 0xC2, 0xE2, *(code for code in _LINE_ENDS if code < 0x80)]] |= _STOPS
    classes.setflags(write=False)
    return classes


@uncounted
def _begins_with(data: NDArray[np.uint8], i: Int, end: Int, wanted: Strings, whole: bool) -> Int:
    """The row of the string that data[i:end] begins with, or is (whole); -1 for none."""
    lead = np.int64(data[i])
    for row in range(wanted.first[lead], wanted.first[lead + 1]):
        begin = wanted.offsets[row]
        size = wanted.offsets[row + 1] - begin
        if size <= end - i and not (whole and size != end - i):
            at = 1
            while at < size and data[i + at] == wanted.data[begin + at]:
                at += 1
            if at == size:
                return row
    return -1


@uncounted
def _skip_space(data: NDArray[np.uint8], i: Int, end: Int, classes: NDArray[np.uint8]) -> Int:
    """The first byte of data[i:end] that is no white space; `end` where all is."""
    while i < end:
        code_point, after = decode(data, i)
        if not classes[np.uint64(code_point)] & _SPACE:
            return i
        i = after
    return end


@uncounted
def _ends_with_ellipsis(data: NDArray[np.uint8], start: Int, end: Int, classes: NDArray[np.uint8]) -> bool:
    """Whether data[start:end], without white space at its end, ends with "..." or "…"."""
    while start < end:
        before = end - 1
        while data[before] & 0xC0 == 0x80:
            before -= 1
        code_point = decode(data, before)[0]
        if code_point == _ELLIPSIS:
            return True
        if not classes[np.uint64(code_point)] & _SPACE:
            return bool(code_point == _DOT and end - start > 2 and data[end - 2] == _DOT and data[end - 3] == _DOT)
        end = before
    return False


@inlined
def _line(
    data: NDArray[np.uint8], start: Int, end: Int, classes: NDArray[np.uint8], bullets: Strings
) -> tuple[Int, Int]:
    """1 for a line that begins with a bullet, 1 for one that ends with an ellipsis, else 0."""
    first = _skip_space(data, start, end, classes)
    bullet = np.int64(first < end and _begins_with(data, first, end, bullets, False) >= 0)
    return bullet, np.int64(_ends_with_ellipsis(data, first, end, classes))


@inlined
def _walk_text(
    data: NDArray[np.uint8],
    start: Int,
    end: Int,
    classes: NDArray[np.uint8],
    bullets: Strings,
    out: NDArray[np.int64],
    row: Int,
) -> None:
    """What does not depend on tokens: hashes, ellipses, lines."""
    hashes: Int = 0
    ellipses: Int = 0
    lines: Int = 0
    bullet_lines: Int = 0
    ellipsis_lines: Int = 0
    line: Int = start
    i: Int = start
    while i < end:
        while i < end and not classes[np.uint64(data[np.uint64(i)])] & _STOPS:
            i += 1
        if i >= end:
            break
        code_point, after = decode(data, i)
        kind = np.int64(classes[np.uint64(code_point)])
        if code_point == _HASH:
            hashes += 1
        elif code_point == _DOT:
            while after < end and data[np.uint64(after)] == _DOT:
                after += 1
            ellipses += (after - i) // 3
        elif code_point == _ELLIPSIS:
            ellipses += 1
        elif kind & _ENDS_LINE:
            bullet, ellipsis = _line(data, line, i, classes, bullets)
            if code_point == 0x0D and after < end and data[np.uint64(after)] == 0x0A:
                after += 1
            lines += 1
            bullet_lines += bullet
            ellipsis_lines += ellipsis
            line = after
        i = after
    if line < end:
        bullet, ellipsis = _line(data, line, end, classes, bullets)
        lines += 1
        bullet_lines += bullet
        ellipsis_lines += ellipsis
    out[row, 3] = hashes
    out[row, 4] = ellipses
    out[row, 5] = lines
    out[row, 6] = bullet_lines
    out[row, 7] = ellipsis_lines


@inlined
def _seen(data: NDArray[np.uint8], begin: Int, end: Int, classes: NDArray[np.uint8]) -> tuple[Int, Int]:
    """The classes in a token, together, and its bytes that begin no character."""
    seen: Int = 0
    tails: Int = 0
    i: Int = begin
    while i < end:
        byte = np.int64(data[np.uint64(i)])
        if byte < 0x80:
            seen |= np.int64(classes[np.uint64(byte)])
            i += 1
        else:
            code_point, after = decode(data, i)
            seen |= np.int64(classes[np.uint64(code_point)])
            tails += after - i - 1
            i = after
    return seen, tails


@inlined
def _seen_at_once(data: NDArray[np.uint8], begin: Int, size: Int) -> tuple[Int, Int]:
    """`_seen` of up to 8 bytes of ASCII, in which all is punctuation but letters and digits; -1 for other tokens."""
    token = head_of(data, begin, size)
    if size > 8 or token & HIGH:
        return -1, 0
    letters = letters_in(token)
    return (_LETTER if letters else 0) | (_NOT_PUNCTUATION if letters | digits_in(token) else 0), 0


@kernel
def count_token_statistics(
    offsets: NDArray[np.int64],
    data: NDArray[np.uint8],
    first: NDArray[np.int64],
    starts: NDArray[np.int64],
    stops: NDArray[np.int64],
    classes: NDArray[np.uint8],
    bullets: Strings,
    stops_wanted: Strings,
    out: NDArray[np.int64],
) -> int:
    """All STATISTICS of each document. Returns n.

    first, starts, stops: the tokens of each document (`core.spans.Spans`). classes: of `statistic_classes`. bullets
    must neither begin with white space nor hold a line end. out: int64[n, 10].
    """
    known = len(stops_wanted.offsets) - 1
    met = np.full(known, -1, np.int64)  # the last document in which a stop word was met
    for row in range(len(offsets) - 1):
        words = found = 0
        characters: Int = 0
        alphabetic: Int = 0
        for k in range(first[row], first[row + 1]):
            begin, end = starts[np.uint64(k)], stops[np.uint64(k)]
            size = end - begin
            seen, tails = _seen_at_once(data, begin, size)
            if seen < 0:
                seen, tails = _seen(data, begin, end, classes)
            if seen & _NOT_PUNCTUATION:
                words += 1
                characters += size - tails
            alphabetic += seen & _LETTER
            if found < known and size <= stops_wanted.longest:
                stop = _begins_with(data, begin, end, stops_wanted, True)
                if stop >= 0 and met[stop] != row:
                    met[stop] = row
                    found += 1
        out[row, 0] = first[row + 1] - first[row]
        out[row, 1] = words
        out[row, 2] = characters
        _walk_text(data, offsets[row], offsets[row + 1], classes, bullets, out, row)
        out[row, 8] = alphabetic
        out[row, 9] = found
    return len(offsets) - 1
