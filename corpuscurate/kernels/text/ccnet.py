"""Normalisation of CCNet (arXiv 1911.00359, `text_normalizer.normalize`): what its language models were trained on.

Of each line, or of the whole text as one: white space at its ends goes, then lower case, no accents (NFD without
category Mn), each decimal digit a 0, some punctuation of Unicode as ASCII, no control characters (U+0000 to U+001F,
U+007F to U+009F: a tab or a line feed within it parts no words afterwards).
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

import numpy as np
from numpy.typing import NDArray

from corpuscurate.kernels.compile import kernel, uncounted
from corpuscurate.kernels.text.lower_nfd import DECIMAL, GROWTH, NONSPACING, Lower, case_of, lower_nfd
from corpuscurate.kernels.text.unicode import SPACE, Int, Tables, decode, encode, flags_of

PUNCTUATION: Mapping[str, str] = {
    **dict.fromkeys("，、", ","),
    **dict.fromkeys("„”“«»「」《》", '"'),
    **dict.fromkeys("´’", "'"),
    **dict.fromkeys("∶：", ":"),
    **dict.fromkeys("–━►", "-"),
    **{"。": ".", "？": "?", "！": "!", "（": "(", "）": ")", "；": ";", "—": " - ", "．": ". ", "～": "~", "…": "..."},
    **{"〈": "<", "〉": ">", "【": "[", "】": "]", "％": "%"},
}
_NEWLINE = 0x0A
_SIGNS = 3


@cache
def punctuation() -> tuple[NDArray[np.int32], NDArray[np.uint8]]:
    """The characters that are replaced, int32[n], ascending, and what by, uint8[n, 4], ending in 0."""
    signs = sorted(PUNCTUATION)
    table = np.zeros((len(signs), _SIGNS + 1), np.uint8)
    for row, sign in enumerate(signs):
        table[row, : len(PUNCTUATION[sign])] = list(PUNCTUATION[sign].encode())
    return np.array([ord(sign) for sign in signs], np.int32), table


@uncounted
def _map(
    text: NDArray[np.uint8],
    start: Int,
    stop: Int,
    low: Lower,
    signs: NDArray[np.int32],
    table: NDArray[np.uint8],
    at: Int,
    out: NDArray[np.uint8],
) -> Int:
    """Write text[start:stop], which is in lower case and NFD, from index `at`; the index after it."""
    i = start
    while i < stop:
        code_point, i = decode(text, i)
        if code_point < 0x80:
            if 0x20 <= code_point < 0x7F:
                out[np.uint64(at)] = 0x30 if 0x30 <= code_point <= 0x39 else code_point
                at += 1
            continue
        if code_point < 0xA0:
            continue
        flags = case_of(low, code_point)
        if flags & NONSPACING:
            continue
        if flags & DECIMAL:
            out[np.uint64(at)] = 0x30
            at += 1
            continue
        row = np.searchsorted(signs, code_point)
        if row < len(signs) and signs[row] == code_point:
            k = 0
            while table[row, k]:
                out[np.uint64(at)] = table[row, k]
                at += 1
                k += 1
            continue
        at = encode(code_point, at, out)
    return at


@uncounted
def _strip(text: NDArray[np.uint8], start: Int, stop: Int, t: Tables) -> tuple[Int, Int]:
    while start < stop:
        code_point, after = decode(text, start)
        if not flags_of(t, code_point) & SPACE:
            break
        start = after
    while start < stop:
        before = stop - 1
        while text[np.uint64(before)] & 0xC0 == 0x80:
            before -= 1
        if not flags_of(t, decode(text, before)[0]) & SPACE:
            break
        stop = before
    return start, stop


@kernel
def normalise(
    offsets: NDArray[np.int64],
    data: NDArray[np.uint8],
    t: Tables,
    low: Lower,
    signs: NDArray[np.int32],
    table: NDArray[np.uint8],
    lines: bool,
    out_offsets: NDArray[np.int64],
    out: NDArray[np.uint8],
) -> int:
    """The normalised texts; how many bytes. lines: each line for itself, line feeds kept; else the whole text as one.

    signs, table: of `punctuation`. out_offsets: int64[n + 1]. out: uint8[GROWTH * bytes].
    """
    longest = 0
    for row in range(len(offsets) - 1):
        longest = max(longest, offsets[row + 1] - offsets[row])
    text = np.empty(GROWTH * longest + 8, np.uint8)
    marks = np.empty(2 * (longest + 1), np.int32)
    places = np.empty(257, np.int64)
    at: Int = 0
    out_offsets[0] = 0
    for row in range(len(offsets) - 1):
        size = lower_nfd(data, offsets[row], offsets[row + 1], t, low, False, marks, places, text)
        begin: Int = 0
        while True:
            end = begin
            while end < size and not (lines and text[np.uint64(end)] == _NEWLINE):
                end += 1
            first, last = _strip(text, begin, end, t)
            at = _map(text, first, last, low, signs, table, at, out)
            if end >= size:
                break
            out[np.uint64(at)] = _NEWLINE
            at += 1
            begin = end + 1
        out_offsets[row + 1] = at
    return int(at)
