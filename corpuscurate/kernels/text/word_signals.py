"""The quality signals of RedPajama-v2 that are about normalised words.

Normalised words are `unicodedata.normalize("NFD", text without string.punctuation, in lower case).split()`. A document
is normalised to a buffer, its words and n-grams are numbered (`kernels.text.interning`, `kernels.text.ngrams`).
- length: characters of the words joined by single spaces.
- lorem: "lorem ipsum" in the joined words, as `re.IGNORECASE` finds it there (it takes U+0131 for i and U+017F for s),
  0 without one in plain letters.
- listed: n-grams of words that are in a list of phrases.
- top_n: characters of the most frequent n-gram, of equals the first, times its number of occurrences; 0 where it
  occurs once. repeated_n: characters of the words that belong to an n-gram that occurs more than once, each once.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from corpuscurate.kernels.compile import kernel, uncounted
from corpuscurate.kernels.text.interning import Ids, make_ids, number_strings
from corpuscurate.kernels.text.lower_nfd import CLASSES, GROWTH, NUMERIC, Lower, case_of, lower_nfd
from corpuscurate.kernels.text.ngrams import (
    covered,
    first_most,
    hash_words,
    keep_repeated,
    lengthen,
    lengthen_repeated,
    most_frequent,
)
from corpuscurate.kernels.text.phrase_sets import PhraseSet, has_phrase
from corpuscurate.kernels.text.unicode import SPACE, Int, Tables, decode, flags_of

TOP = (2, 3, 4)
REPEATED = (5, 6, 7, 8, 9, 10)
WORD_COUNTS = (
    "words",
    "characters",
    "length",
    "distinct",
    "lorem",
    "listed",
    *(f"top_{n}" for n in TOP),
    *(f"repeated_{n}" for n in REPEATED),
)
"""The columns of `count_words_normalised`."""
NORMAL_LINE_COUNTS = ("words", "length", "numeric", "javascript")
"""The columns of its `lines`: words, characters of the joined words, those that are `str.isnumeric()`, words
"javascript"."""
COUNT, NUMBER, LONGER = 0, 1, 2
"""How much is counted: no distinct words; those, too; n-grams, too."""
_NEWLINE = 0x0A
_JAVASCRIPT = np.frombuffer(b"javascript", np.uint8)
_LOREM = np.frombuffer(b"lorem", np.uint8)
_IPSUM = np.frombuffer(b"ipsum", np.uint8)


class Scratch(NamedTuple):
    """Memory for documents of up to a number of bytes; pages that none needs stay untouched.

    text: uint8[GROWTH * bytes + 8]. marks: int32[2 * (bytes + 1)], places: int64[CLASSES + 1], of `lower_nfd`. starts,
    stops: int64[words], chars: int64[words + 1].
    """

    text: NDArray[np.uint8]
    marks: NDArray[np.int32]
    places: NDArray[np.int64]
    starts: NDArray[np.int64]
    stops: NDArray[np.int64]
    chars: NDArray[np.int64]


def make_scratch(size_bytes: int) -> tuple[Scratch, Ids]:
    """Memory for documents of at most `size_bytes` bytes."""
    words = size_bytes // 2 + 1
    return Scratch(
        np.empty(GROWTH * size_bytes + 8, np.uint8),
        np.empty(2 * (size_bytes + 1), np.int32),
        np.empty(CLASSES + 1, np.int64),
        np.empty(words, np.int64),
        np.empty(words, np.int64),
        np.empty(words + 1, np.int64),
    ), make_ids(words)


@uncounted
def _is(data: NDArray[np.uint8], start: Int, word: NDArray[np.uint8]) -> bool:
    k = 0
    while k < len(word) and data[start + k] == word[k]:
        k += 1
    return k == len(word)


@uncounted
def _ipsum(data: NDArray[np.uint8], start: Int, stop: Int) -> bool:
    """Whether data[start:stop] begins with "ipsum" where U+0131 is an i and U+017F an s."""
    at = start
    for k in range(len(_IPSUM)):
        if at < stop and data[at] == _IPSUM[k]:
            at += 1
        elif at + 1 < stop and (
            (k == 0 and data[at] == 0xC4 and data[at + 1] == 0xB1)
            or (k == 2 and data[at] == 0xC5 and data[at + 1] == 0xBF)
        ):
            at += 2
        else:
            return False
    return True


@uncounted
def _split(size: Int, t: Tables, low: Lower, line: Int, lines: NDArray[np.int64], s: Scratch) -> Int:
    """The words of s.text[:size] in `s.starts`, `s.stops`, `s.chars`, and the counts of its lines; how many words."""
    words: Int = 0
    i: Int = 0
    s.chars[0] = 0
    line_words = line_javascript = 0
    line_chars: Int = 0
    line_numeric: Int = 0
    open_line = False
    while i < size:
        begin = i
        count: Int = 0
        numeric: Int = 0
        byte: Int = 0
        while i < size:
            byte = np.int64(s.text[np.uint64(i)])
            if byte < 0x80:
                if byte <= 0x20 and flags_of(t, byte) & SPACE:
                    break
                numeric += 0x30 <= byte <= 0x39
                i += 1
            else:
                code_point, after = decode(s.text, i)
                if flags_of(t, code_point) & SPACE:
                    break
                numeric += (case_of(low, code_point) & NUMERIC) != 0
                i = after
            count += 1
        open_line = True
        if i > begin:
            k = np.uint64(words)
            s.starts[k], s.stops[k] = begin, i
            s.chars[k + np.uint64(1)] = s.chars[k] + count
            words += 1
            line_words += 1
            line_chars += count
            line_numeric += numeric
            line_javascript += i - begin == len(_JAVASCRIPT) and _is(s.text, begin, _JAVASCRIPT)
        if i < size:
            if byte == _NEWLINE:
                _close(line, line_words, line_chars, line_numeric, line_javascript, lines)
                line += 1
                line_words = line_chars = line_numeric = line_javascript = 0
                open_line = False
            i = decode(s.text, i)[1]
    if open_line:
        _close(line, line_words, line_chars, line_numeric, line_javascript, lines)
    return words


@uncounted
def _close(line: Int, words: Int, chars: Int, numeric: Int, javascript: Int, lines: NDArray[np.int64]) -> None:
    at = np.uint64(line)
    lines[at, 0] = words
    lines[at, 1] = chars + max(words - 1, 0)
    lines[at, 2] = numeric
    lines[at, 3] = javascript


@uncounted
def _lorem(words: Int, s: Scratch) -> Int:
    found = plain = 0
    for j in range(1, words):
        stop = s.stops[np.uint64(j - 1)]
        if stop - s.starts[np.uint64(j - 1)] < len(_LOREM) or s.text[np.uint64(stop - 1)] != 0x6D:
            continue
        begin, end = s.starts[np.uint64(j)], s.stops[np.uint64(j)]
        if _is(s.text, stop - len(_LOREM), _LOREM) and _ipsum(s.text, begin, end):
            found += 1
            plain += end - begin >= len(_IPSUM) and _is(s.text, begin, _IPSUM)
    return found if plain else 0


@uncounted
def _listed(words: Int, listed: PhraseSet, s: Scratch) -> Int:
    """The n-grams of words that are in the list. The words are joined by single spaces first."""
    at: Int = 0
    for j in range(words):  # never behind the word that is moved
        begin, end = s.starts[np.uint64(j)], s.stops[np.uint64(j)]
        if j:
            s.text[np.uint64(at)] = 0x20
            at += 1
        s.starts[np.uint64(j)] = at
        for k in range(begin, end):
            s.text[np.uint64(at)] = s.text[np.uint64(k)]
            at += 1
        s.stops[np.uint64(j)] = at
    found = 0
    for k in range(len(listed.words)):
        n = listed.words[k]
        for j in range(words - n + 1):
            found += has_phrase(listed, s.text, s.starts[np.uint64(j)], s.stops[np.uint64(j + n - 1)])
    return found


@kernel
def count_words_normalised(
    offsets: NDArray[np.int64],
    data: NDArray[np.uint8],
    t: Tables,
    low: Lower,
    listed: PhraseSet,
    depth: int,
    seed: np.uint64,
    s: Scratch,
    ids: Ids,
    first: NDArray[np.int64],
    lines: NDArray[np.int64],
    entropy: NDArray[np.float64],
    out: NDArray[np.int64],
) -> int:
    """The `WORD_COUNTS` of each document, int64[n, 15], and the entropy of its words in nats. Returns n.

    depth: COUNT, NUMBER or LONGER. first, lines: as of `raw_signals.count_raw`, with the `NORMAL_LINE_COUNTS`.
    """
    for row in range(len(offsets) - 1):
        for column in range(out.shape[1]):
            out[row, column] = 0
        entropy[row] = 0.0
        size = lower_nfd(data, offsets[row], offsets[row + 1], t, low, True, s.marks, s.places, s.text)
        for line in range(first[row], first[row + 1]):
            _close(line, 0, 0, 0, 0, lines)
        words = _split(size, t, low, first[row], lines, s)
        out[row, 0] = words
        out[row, 1] = s.chars[np.uint64(words)]
        out[row, 2] = out[row, 1] + max(words - 1, 0)
        out[row, 4] = _lorem(words, s)
        if len(listed.hashes):
            out[row, 5] = _listed(words, listed, s)
        if depth == COUNT or words == 0:
            continue
        _, distinct = number_strings(s.text, s.starts, s.stops, 0, words, True, seed, ids)
        out[row, 3] = distinct
        total = 0.0
        for number in range(distinct):
            share = np.float64(ids.counts[number]) / np.float64(words)
            total += -share * np.log(share)
        entropy[row] = total
        if depth < LONGER:
            continue
        hash_words(s.text, s.starts, s.stops, 0, words, seed, ids.words, s.chars)
        left = words
        for n in range(TOP[0], REPEATED[-1] + 1):
            highest: Int = 0
            if n <= REPEATED[0]:
                left, highest = lengthen(n, left, ids)
            else:
                left = lengthen_repeated(left, ids)
            if left == 0:
                break
            if n < REPEATED[0]:
                size, most = most_frequent(n, left, highest, s.text, s.starts, s.stops, 0, ids)
                if most > 1:
                    place = first_most(size, most, ids)
                    out[row, 4 + n] = (s.chars[np.uint64(place + n)] - s.chars[np.uint64(place)]) * most
            else:
                if n == REPEATED[0]:
                    left = keep_repeated(n, left, s.text, s.starts, s.stops, 0, ids)
                out[row, 4 + n] = covered(n, left, ids, s.chars)
    return len(offsets) - 1
