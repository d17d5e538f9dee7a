"""The line rules of C4 (arXiv 1910.10683 section 2.2; tensorflow/datasets `text/c4_utils.py`): one walk over the bytes.

Lines are those of `str.splitlines()`, without the white space around them; blank ones count. Words are what white space
parts (`str.split()`). Each line meets the rules in this order, and the first one that it fails takes it out:

1. long_word: a word has more characters than allowed.
2. Citation marks are cut: what `\\[\\d*\\]|\\[edit\\]|\\[citation needed\\]` matches.
3. no_end_mark: the line ends with none of the end marks, or with "...".
4. few_words. 5. lorem ipsum is counted. 6. javascript. 7. A curly bracket is counted. 8. policy: one of `PHRASES`.

Phrases are found in any case, as in the line's `str.lower()`: the Kelvin sign is a k there.
"""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from corpuscurate.kernels.compile import inlined, uncounted
from corpuscurate.kernels.text.scan import copy_run, holds, may_hold_phrase, next_break
from corpuscurate.kernels.text.sentences import count_in_line
from corpuscurate.kernels.text.signs import (
    BREAK,
    DECIMAL,
    TERMINAL,
    Signs,
    char_before,
    has_words,
    longest_word,
    sign_at,
    sign_of,
    skip_space,
    trim_end,
)
from corpuscurate.kernels.text.unicode import Int, decode

COUNTS = (
    "lines",
    "kept_lines",
    "sentences",
    "lorem_ipsum_lines",
    "curly_bracket_lines",
    "long_word_lines",
    "no_end_mark_lines",
    "few_words_lines",
    "javascript_lines",
    "policy_lines",
    "citations",
    "line_ends",
)
"""What is counted of each document. sentences, citations: of the kept lines. lorem_ipsum_lines, curly_bracket_lines: of
the lines that come to that rule. line_ends: how many between kept lines become line feeds."""
CUTS = ("long_word", "no_end_mark", "few_words", "javascript", "policy", "citations")
"""Why bytes are cut. A line is cut with its end."""
LOREM, JAVASCRIPT, POLICY = 1, 2, 4
PHRASES = (
    ("lorem ipsum", LOREM),
    ("javascript", JAVASCRIPT),
    ("terms of use", POLICY),
    ("privacy policy", POLICY),
    ("cookie policy", POLICY),
    ("uses cookies", POLICY),
    ("use of cookies", POLICY),
    ("use cookies", POLICY),
)
_NEWLINE, _RETURN, _DOT, _OPEN, _CLOSE = 0x0A, 0x0D, 0x2E, 0x5B, 0x5D
_SQUARE, _CURLY = np.uint8(0x5B), np.uint8(0x7B)


class Phrases(NamedTuple):
    """PHRASES for lookup. first: uint8[256], whether one begins with that byte, in either case. offsets: int64[n + 1],
    data: uint8[], in lower case. kinds: uint8[n]."""

    first: NDArray[np.uint8]
    offsets: NDArray[np.int64]
    data: NDArray[np.uint8]
    kinds: NDArray[np.uint8]


@cache
def phrases() -> Phrases:
    """PHRASES and the marks of citations."""
    values = [phrase.encode() for phrase, _ in PHRASES]
    first = np.zeros(256, np.uint8)
    for value in values:
        first[[value[0], value[:1].upper()[0]]] = 1
    offsets = np.cumsum([0, *map(len, values)], dtype=np.int64)
    kinds = np.array([kind for _, kind in PHRASES], np.uint8)
    return Phrases(first, offsets, np.frombuffer(b"".join(values), np.uint8), kinds)


@uncounted
def _is_phrase(data: NDArray[np.uint8], i: Int, stop: Int, p: Phrases, row: Int) -> bool:
    k = p.offsets[row]
    last = p.offsets[row + 1]
    while k < last:
        if i >= stop:
            return False
        byte = data[np.uint64(i)]
        wanted = p.data[np.uint64(k)]
        if byte == wanted or (byte ^ 0x20 == wanted and 0x41 <= byte <= 0x5A):
            i += 1
        elif wanted == 0x6B and byte == 0xE2 and i + 2 < stop and data[i + 1] == 0x84 and data[i + 2] == 0xAA:
            i += 3  # the Kelvin sign
        else:
            return False
        k += 1
    return True


@uncounted
def find_phrases(data: NDArray[np.uint8], start: Int, stop: Int, p: Phrases) -> Int:
    """LOREM | JAVASCRIPT | POLICY: what data[start:stop] holds."""
    found: Int = 0
    for i in range(start, stop):
        if p.first[data[np.uint64(i)]]:
            for row in range(len(p.kinds)):
                if not found & p.kinds[row] and _is_phrase(data, i, stop, p, row):
                    found |= np.int64(p.kinds[row])
    return found


@uncounted
def _citation_end(data: NDArray[np.uint8], i: Int, stop: Int, s: Signs) -> Int:
    """Where the citation mark ends that begins with the bracket at `i`, or -1."""
    k: Int = i + 1
    while k < stop:
        byte = data[np.uint64(k)]
        if byte == _CLOSE:
            return k + 1
        if not s.bytes[byte] & DECIMAL:
            break
        if byte < 0x80:
            k += 1
        else:
            code_point, after = decode(data, k)
            if not sign_of(s.pages, s.flags, code_point) & DECIMAL:
                break
            k = after
    if k > i + 1 or k >= stop:
        return -1
    if data[k] == 0x65 and k + 5 <= stop:  # edit]
        if data[k + 1] == 0x64 and data[k + 2] == 0x69 and data[k + 3] == 0x74 and data[k + 4] == _CLOSE:
            return k + 5
        return -1
    wanted = (0x63, 0x69, 0x74, 0x61, 0x74, 0x69, 0x6F, 0x6E, 0x20, 0x6E, 0x65, 0x65, 0x64, 0x65, 0x64, 0x5D)
    if k + 16 > stop:
        return -1
    for j in range(16):
        if data[k + j] != wanted[j]:
            return -1
    return k + 16


@uncounted
def _copy_without_citations(
    data: NDArray[np.uint8], start: Int, stop: Int, s: Signs, at: Int, out: NDArray[np.uint8]
) -> tuple[Int, Int]:
    """Copy a line; how many marks were left out, and the index behind it."""
    marks: Int = 0
    i: Int = start
    while i < stop:
        byte = data[np.uint64(i)]
        if byte == _OPEN:
            after = _citation_end(data, i, stop, s)
            if after > 0:
                marks += 1
                i = after
                continue
        out[np.uint64(at)] = byte
        at += 1
        i += 1
    return marks, at


@inlined
def _ends_well(out: NDArray[np.uint8], start: Int, stop: Int, ends: Signs) -> bool:
    """Whether a line ends with an end mark, and not with three dots."""
    if start >= stop or not sign_at(out, char_before(out, stop), ends) & TERMINAL:
        return False
    dots = stop - start >= 3 and out[stop - 1] == _DOT and out[stop - 2] == _DOT and out[stop - 3] == _DOT
    return not dots


@uncounted
def clean_lines(
    offsets: NDArray[np.int64],
    data: NDArray[np.uint8],
    s: Signs,
    p: Phrases,
    ends: Signs,
    rules: NDArray[np.int64],
    counts: NDArray[np.int64],
    cuts: NDArray[np.int64],
    out_offsets: NDArray[np.int64],
    out: NDArray[np.uint8],
) -> Int:
    """The kept lines of each document, joined by line feeds.

    ends: of `signs_of` the end marks. rules: int64[8], a rule with 0 is off: most characters of a
    word, whether citations are cut, whether an end mark is needed, fewest words, whether these are counted after
    citations were cut, javascript, policy. counts: int64[n, 12], COUNTS. cuts: int64[n, 6], bytes by CUTS. out_offsets:
    int64[n + 1]. out: uint8[], as long as the documents together. Returns the bytes written.
    """
    longest, citations, terminal, fewest = rules[0], rules[1], rules[2], rules[3]
    words_after, no_javascript, no_policy = rules[4], rules[5], rules[6]
    at: Int = 0
    out_offsets[0] = 0
    for row in range(len(offsets) - 1):
        i: Int = offsets[row]
        end = offsets[row + 1]
        for k in range(len(COUNTS)):
            counts[row, k] = 0
        for k in range(len(CUTS)):
            cuts[row, k] = 0
        hints = may_hold_phrase(data, i, end)
        squares = citations and holds(data, i, end, _SQUARE)
        curlies = holds(data, i, end, _CURLY)
        lines: Int = 0
        kept: Int = 0
        sentences: Int = 0
        odd_end: Int = 0
        while i < end:
            start: Int = i
            stop: Int = end
            after: Int = end
            while True:
                i = next_break(data, i, end, s)
                if i >= end:
                    break
                byte = data[np.uint64(i)]
                if byte < 0x80:
                    stop = i
                    after = i + 1
                    if byte == _RETURN and after < end and data[np.uint64(after)] == _NEWLINE:
                        after += 1
                    break
                code_point, behind = decode(data, i)
                if sign_of(s.pages, s.flags, code_point) & BREAK:
                    stop = i
                    after = behind
                    break
                i = behind
            i = after
            lines += 1
            first = skip_space(data, start, stop, s)
            last = trim_end(data, first, stop, s)
            if longest and last - first > longest and longest_word(data, first, last, s) > longest:
                counts[row, 5] += 1
                cuts[row, 0] += after - start
                continue
            begin = at + (kept > 0)
            marks: Int = 0
            close: Int = begin
            if squares and holds(data, first, last, _SQUARE):
                marks, close = _copy_without_citations(data, first, last, s, begin, out)
                ended = not terminal or _ends_well(out, begin, close, ends)
                if words_after:
                    enough = ended and has_words(out, begin, close, fewest, s)
                else:
                    enough = ended and has_words(data, first, last, fewest, s)
            else:
                ended = not terminal or _ends_well(data, first, last, ends)
                enough = ended and has_words(data, first, last, fewest, s)
                if enough:
                    close = copy_run(data, first, last, begin, out)
            if not ended:
                counts[row, 6] += 1
                cuts[row, 1] += after - start
                continue
            if not enough:
                counts[row, 7] += 1
                cuts[row, 2] += after - start
                continue
            found: Int = 0
            if hints and may_hold_phrase(out, begin, close):
                found = find_phrases(out, begin, close, p)
            counts[row, 3] += (found & LOREM) != 0
            if no_javascript and found & JAVASCRIPT:
                counts[row, 8] += 1
                cuts[row, 3] += after - start
                continue
            counts[row, 4] += curlies and holds(out, begin, close, _CURLY)
            if no_policy and found & POLICY:
                counts[row, 9] += 1
                cuts[row, 4] += after - start
                continue
            sentences += count_in_line(out, begin, close, s)
            if kept:
                out[np.uint64(at)] = _NEWLINE
            kept += 1
            counts[row, 10] += marks
            counts[row, 11] += odd_end
            odd_end = np.int64(after != stop + 1 or data[stop] != _NEWLINE)
            cuts[row, 5] += last - first - (close - begin)
            at = close
        counts[row, 0] = lines
        counts[row, 1] = kept
        counts[row, 2] = sentences
        out_offsets[row + 1] = at
    return at


@uncounted
def choose_texts(
    offsets: NDArray[np.int64],
    data: NDArray[np.uint8],
    new_offsets: NDArray[np.int64],
    new: NDArray[np.uint8],
    chosen: NDArray[np.bool_],
    strip: bool,
    s: Signs,
    out_offsets: NDArray[np.int64],
    out: NDArray[np.uint8],
) -> Int:
    """The new text of each document that is chosen, and the old one of the others.

    strip: without the white space around new texts. out_offsets: int64[n + 1]. out: uint8[], with room for all.
    Returns the bytes written.
    """
    at: Int = 0
    out_offsets[0] = 0
    for row in range(len(offsets) - 1):
        if chosen[row]:
            start: Int = new_offsets[row]
            stop: Int = new_offsets[row + 1]
            if strip:
                start = skip_space(new, start, stop, s)
                stop = trim_end(new, start, stop, s)
            at = copy_run(new, start, stop, at, out)
        else:
            at = copy_run(data, offsets[row], offsets[row + 1], at, out)
        out_offsets[row + 1] = at
    return at
