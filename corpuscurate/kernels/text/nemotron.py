"""What NeMo Curator's English heuristic filters measure, but for repetition: one walk over the bytes.

Definitions, each equal to a line of Python on `text`:
- words: `text.split()`. lines: `[line for line in text.split("\\n") if line.strip()]`, without white space at their
  ends. paragraphs: `text.split("\\n\\n")`. Characters are code points.
- plain: characters of `[a-zA-Z0-9\\n?!,.]`. digits: `str.isdecimal()`. blanks: `"\\t\\n\\r\\b "`.
  parentheses: `{}[]()⟨⟩`.
- url_characters: of the matches of `https?://([a-zA-Z0-9$_@.&+!*(),-]|%[0-9a-fA-F]{2})+`.
- symbol_words: words that are one of the ellipses, or where runs of "#" are more than half as many as characters.
- alphabetic_words: with a `str.isalpha()`. common_words: words of a list, each time. longest_word: in characters.
- open_lines: lines that end in none of `. ? ! " '`. ellipsis_lines: lines that end in one of the ellipses.
  bullet_lines: lines that begin with a bullet.
- boilerplate: paragraphs with one of the phrases; all of them where "lorem ipsum" is anywhere. In both, and at the ends
  of lines, A to Z are taken for a to z.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from corpuscurate.kernels.compile import kernel, uncounted
from corpuscurate.kernels.text.automaton import Automaton
from corpuscurate.kernels.text.lower_nfd import DECIMAL, Lower, case_of
from corpuscurate.kernels.text.phrase_sets import PhraseSet, has_phrase
from corpuscurate.kernels.text.unicode import ALPHA, SPACE, Int, Tables, decode, flags_of

COUNTS = (
    "characters",
    "plain",
    "digits",
    "url_characters",
    "blanks",
    "parentheses",
    "words",
    "word_characters",
    "symbol_words",
    "alphabetic_words",
    "common_words",
    "longest_word",
    "lines",
    "open_lines",
    "ellipsis_lines",
    "bullet_lines",
    "paragraphs",
    "boilerplate",
)
"""The columns of `count_nemotron`."""
BULLETS = (0x2022, 0x2023, 0x2043, 0x204C, 0x204D, 0x2219, 0x25CB, 0x25CF, 0x25D8, 0x25E6, 0x29BE, 0x29BF)
ELLIPSES = ("...", "[...]", "…", "(...)", "[…]", "-»", "read more..", "read more")

_PLAIN, _URL, _BLANK, _PAREN, _HEX, _ALPHA, _SPACE, _DIGIT = (1 << bit for bit in range(8))
_NEWLINE, _HASH = 0x0A, 0x23
_HTTP = np.frombuffer(b"http", np.uint8)
_RULE = np.frombuffer(b"://", np.uint8)


def byte_classes() -> NDArray[np.uint8]:
    """The classes of the 128 ASCII bytes."""
    classes = np.zeros(128, np.uint8)
    for code in range(128):
        char = chr(code)
        letter, digit = char.isalpha(), char.isdigit()
        classes[code] = (
            _PLAIN * (letter or digit or char in "\n?!,.")
            | _URL * (letter or digit or char in "$-_@.&+!*(),")
            | _BLANK * (char in "\t\n\r\b ")
            | _PAREN * (char in "{}[]()")
            | _HEX * (char in "0123456789abcdefABCDEF")
            | _ALPHA * letter
            | _SPACE * char.isspace()
            | _DIGIT * digit
        )
    return classes


@uncounted
def _url(data: NDArray[np.uint8], i: Int, end: Int, classes: NDArray[np.uint8]) -> Int:
    """Where the URL ends that begins at byte i, an "h"; `i` for none."""
    at = i
    for k in range(len(_HTTP)):
        if at >= end or data[at] != _HTTP[k]:
            return i
        at += 1
    if at < end and data[at] == 0x73:
        at += 1
    for k in range(len(_RULE)):
        if at >= end or data[at] != _RULE[k]:
            return i
        at += 1
    begin = at
    while at < end:
        byte = data[at]
        if byte < 0x80 and classes[byte] & _URL:
            at += 1
        elif (
            byte == 0x25
            and at + 2 < end
            and data[at + 1] < 0x80
            and data[at + 2] < 0x80
            and classes[data[at + 1]] & classes[data[at + 2]] & _HEX
        ):
            at += 3
        else:
            break
    return at if at > begin else i


@uncounted
def _ends_with(data: NDArray[np.uint8], start: Int, stop: Int, marks: PhraseSet) -> bool:
    """Whether data[start:stop], A to Z taken for a to z, ends with one of the marks."""
    for row in range(len(marks.hashes)):
        begin = marks.offsets[row]
        size = marks.offsets[row + 1] - begin
        if size > stop - start:
            continue
        at: Int = 0
        while at < size:
            byte = data[stop - size + at]
            if 0x41 <= byte <= 0x5A:
                byte += np.uint8(32)
            if byte != marks.data[begin + at]:
                break
            at += 1
        if at == size:
            return True
    return False


@kernel
def count_nemotron(
    offsets: NDArray[np.int64],
    data: NDArray[np.uint8],
    t: Tables,
    low: Lower,
    classes: NDArray[np.uint8],
    ellipses: PhraseSet,
    common: PhraseSet,
    phrases: Automaton,
    out: NDArray[np.int64],
) -> int:
    """The `COUNTS` of each document, int64[n, 18]. Returns n. phrases: those of boilerplate, and "lorem ipsum"."""
    for row in range(len(offsets) - 1):
        i = offsets[row]
        end = offsets[row + 1]
        characters = plain = digits = urls = blanks = parens = 0
        words = word_characters = symbol_words = alphabetic_words = common_words = longest = 0
        lines = open_lines = ellipsis_lines = bullet_lines = 0
        paragraphs = 1
        boilerplate: Int = 0
        url_end = i
        word: Int = -1  # where the word began
        size = hash_runs = 0
        has_alpha = False
        was_hash = False
        head: Int = -1  # where the line began, white space aside
        tail: Int = 0  # where it ended so far
        bullet = False
        state: Int = 0
        met: Int = 0  # bit 0: a phrase in this paragraph; bit 1: "lorem ipsum" in the document
        newline = False  # whether a line feed came before that may be the first of two
        while True:
            space = True
            start = i
            code_point: Int = 0
            alpha = False
            if i < end:
                byte = np.int64(data[np.uint64(i)])
                if byte < 0x80:
                    code_point = byte
                    i += 1
                    kind = np.int64(classes[np.uint64(byte)])
                    space = (kind & _SPACE) != 0
                    alpha = (kind & _ALPHA) != 0
                    plain += (kind & _PLAIN) != 0
                    digits += (kind & _DIGIT) != 0
                    blanks += (kind & _BLANK) != 0
                    parens += (kind & _PAREN) != 0
                    if byte == 0x68 and start >= url_end:
                        url_end = _url(data, start, end, classes)
                        urls += url_end - start
                        url_end = max(url_end, i)
                else:
                    code_point, i = decode(data, i)
                    flags = flags_of(t, code_point)
                    space = (flags & SPACE) != 0
                    alpha = (flags & ALPHA) != 0
                    digits += (case_of(low, code_point) & DECIMAL) != 0
                    parens += code_point in (0x27E8, 0x27E9)
                characters += 1
                for at in range(start, i):
                    state = np.int64(phrases.following[np.uint64(state), np.uint64(data[np.uint64(at)])])
                met |= np.int64(phrases.found[np.uint64(state)])
            if space:
                if word >= 0:
                    words += 1
                    word_characters += size
                    longest = max(longest, size)
                    alphabetic_words += has_alpha
                    symbol_words += 2 * hash_runs > size or has_phrase(ellipses, data, word, start)
                    common_words += has_phrase(common, data, word, start)
                    tail = start
                    word = -1
            else:
                if word < 0:
                    word = start
                    size = hash_runs = 0
                    has_alpha = was_hash = False
                    if head < 0:
                        head = start
                        for k in range(len(BULLETS)):
                            bullet |= code_point == BULLETS[k]
                size += 1
                has_alpha |= alpha
                hash_runs += code_point == _HASH and not was_hash
                was_hash = code_point == _HASH
            if start == end or code_point == _NEWLINE:
                if head >= 0:
                    last = data[tail - 1]
                    lines += 1
                    open_lines += last not in (0x2E, 0x3F, 0x21, 0x22, 0x27)
                    ellipsis_lines += _ends_with(data, head, tail, ellipses)
                    bullet_lines += bullet
                head = -1
                bullet = False
                if start == end or newline:
                    boilerplate += met & 1
                    met &= 2
                    state = 0
                    paragraphs += start < end
                newline = start < end and not newline
            else:
                newline = False
            if start == end:
                break
        out[row, 0] = characters
        out[row, 1] = plain
        out[row, 2] = digits
        out[row, 3] = urls
        out[row, 4] = blanks
        out[row, 5] = parens
        out[row, 6] = words
        out[row, 7] = word_characters
        out[row, 8] = symbol_words
        out[row, 9] = alphabetic_words
        out[row, 10] = common_words
        out[row, 11] = longest
        out[row, 12] = lines
        out[row, 13] = open_lines
        out[row, 14] = ellipsis_lines
        out[row, 15] = bullet_lines
        out[row, 16] = paragraphs
        out[row, 17] = paragraphs if met else boilerplate
    return len(offsets) - 1
