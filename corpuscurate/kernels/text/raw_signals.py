"""The quality signals of RedPajama-v2 that are about the text as it stands, all in one walk over the bytes.

Definitions, each equal to a line of Python on `text`:
- lines: `re.findall("[^\\n]*\\n|[^\\n]+$", text)`: each with its line feed; a line feed at the end begins no line.
- words: `re.findall("\\w+|[^\\w\\s]+", text)` (NLTK's WordPunctTokenizer): runs of letters, digits and underscores,
  and runs of what is neither those nor white space.
- latin_words: words with one of a-z, A-Z. upper_words: words for which `str.isupper()`. listed_words: words in a list.
- symbols: `text.count("#") + text.count("...") + text.count("…")`. brackets: of `{` and `}`.
- line_feeds: `text.count("\\n")`.
- sentences: matches of `\\b[^.!?]+[.!?]*`.
- ellipsis_lines: lines for which `line.rstrip()` ends with "..." or "…".
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from corpuscurate.kernels.compile import kernel
from corpuscurate.kernels.text.lower_nfd import NOT_UPPER, UPPER, Lower, case_of
from corpuscurate.kernels.text.phrase_sets import PhraseSet, has_phrase
from corpuscurate.kernels.text.unicode import SPACE, WORD, Int, Tables, decode, flags_of

RAW_COUNTS = (
    "characters",
    "lines",
    "words",
    "latin_words",
    "upper_words",
    "listed_words",
    "symbols",
    "brackets",
    "sentences",
    "ellipsis_lines",
    "line_feeds",
)
"""The columns of `count_raw`."""
LINE_COUNTS = ("characters", "uppercase", "terminal", "bullet")
"""The columns of its `lines`: characters, upper case letters, whether it ends in . ! ? or ”, begins with a bullet."""
BULLETS = (0x2022, 0x2023, 0x25B6, 0x25C0, 0x25E6, 0x25A0, 0x25A1, 0x25AA, 0x25AB, 0x2013)

_NEWLINE, _HASH, _DOT, _UNDERSCORE = 0x0A, 0x23, 0x2E, 0x5F
_QUOTE, _ELLIPSIS = 0x201D, 0x2026
_NONE, _LETTERS, _SIGNS = 0, 1, 2


@kernel
def count_raw(
    offsets: NDArray[np.int64],
    data: NDArray[np.uint8],
    t: Tables,
    low: Lower,
    listed: PhraseSet,
    first: NDArray[np.int64],
    lines: NDArray[np.int64],
    out: NDArray[np.int64],
) -> int:
    """The `RAW_COUNTS` of each document, int64[n, 11], and the `LINE_COUNTS` of each line. Returns n.

    first: int64[n + 1], lines before each document, as `walks.count_lines` counts them. lines: int64[first[n], 4].
    """
    for row in range(len(offsets) - 1):
        i = offsets[row]
        end = offsets[row + 1]
        line = first[row]
        words = latin = upper = listed_words = symbols = brackets = sentences = ellipses = characters = feeds = 0
        begin = i  # of the token
        kind = _NONE
        has_latin = has_upper = has_lower = False
        sentence = 0  # 0: looking for one, 1: within one, 2: within its end marks
        before = False  # whether the character before belongs to a word
        dots = 0  # full stops in a row, modulo 3
        line_characters = line_upper = 0
        last: Int = 0  # the last character of the line that is no white space
        trail = 0  # full stops at the end of the line, white space aside
        bullet = 0
        blank = True
        while True:
            if i < end:
                start = i
                code_point, i = decode(data, i)
                flags = flags_of(t, code_point)
                is_word = (flags & WORD) != 0 or code_point == _UNDERSCORE
                now = _LETTERS if is_word else (_NONE if flags & SPACE else _SIGNS)
            else:
                start = end
                code_point, flags, is_word, now = 0, np.int64(0), False, _NONE
            if now != kind:
                if kind != _NONE:
                    words += 1
                    latin += has_latin
                    upper += has_upper and not has_lower
                    if len(listed.hashes):
                        listed_words += has_phrase(listed, data, begin, start)
                begin = start
                kind = now
                has_latin = has_upper = has_lower = False
            if start == end:
                break
            characters += 1
            line_characters += 1
            case: Int = 0
            if now != _NONE:
                if code_point < 0x80:
                    lower = 0x61 <= code_point <= 0x7A
                    capital = 0x41 <= code_point <= 0x5A
                    has_latin = has_latin or bool(lower or capital)
                    case = UPPER * capital | NOT_UPPER * lower
                else:
                    case = case_of(low, code_point)
                has_upper |= (case & UPPER) != 0
                has_lower |= (case & NOT_UPPER) != 0
                line_upper += (case & UPPER) != 0
            ends = code_point in (0x2E, 0x21, 0x3F)
            if sentence == 1:
                if ends:
                    sentence = 2
            elif not ends:
                sentence = 0
                if before != is_word:
                    sentences += 1
                    sentence = 1
            before = is_word
            if code_point == _DOT:
                dots += 1
                if dots == 3:
                    symbols += 1
                    dots = 0
            else:
                dots = 0
                symbols += code_point in (_HASH, _ELLIPSIS)
                brackets += code_point in (0x7B, 0x7D)
            if not flags & SPACE:
                if blank:
                    for k in range(len(BULLETS)):
                        bullet |= code_point == BULLETS[k]
                    blank = False
                trail = trail + 1 if code_point == _DOT and last == _DOT and data[start - 1] == _DOT else 1
                last = code_point
            feeds += code_point == _NEWLINE
            if code_point == _NEWLINE or i == end:
                at = np.uint64(line)
                lines[at, 0] = line_characters
                lines[at, 1] = line_upper
                lines[at, 2] = last in (0x2E, 0x21, 0x3F, _QUOTE)
                lines[at, 3] = bullet
                ellipses += last == _ELLIPSIS or (last == _DOT and trail >= 3)
                line += 1
                line_characters = line_upper = 0
                last = 0
                bullet = 0
                blank = True
        out[row, 0] = characters
        out[row, 1] = line - first[row]
        out[row, 2] = words
        out[row, 3] = latin
        out[row, 4] = upper
        out[row, 5] = listed_words
        out[row, 6] = symbols
        out[row, 7] = brackets
        out[row, 8] = sentences
        out[row, 9] = ellipses
        out[row, 10] = feeds
    return len(offsets) - 1
