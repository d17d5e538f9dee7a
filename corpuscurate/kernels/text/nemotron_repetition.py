"""Repetition as NeMo Curator counts it.

On `text`, with words, lines and paragraphs as in `kernels.text.nemotron`, but lines and paragraphs as they stand:
- unique: different lines (paragraphs), and their characters.
- top n-gram: the most frequent n-gram of words, of equals the first; its words joined by single spaces, as often as
  `text.count` finds that, times its characters.
- repeated n-grams: n-grams that occurred before, from left to right: characters of the words that no such n-gram has
  had yet, and the spaces between them: n - 1, or as many as there are new words, if fewer.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from corpuscurate.kernels.compile import kernel, uncounted
from corpuscurate.kernels.text.interning import Ids, number_strings
from corpuscurate.kernels.text.ngrams import (
    first_most,
    hash_words,
    keep_repeated,
    lengthen,
    lengthen_repeated,
    most_frequent,
)
from corpuscurate.kernels.text.unicode import SPACE, Int, Tables, decode, flags_of

REPETITION = (
    "lines",
    "unique_lines",
    "line_characters",
    "unique_line_characters",
    "paragraphs",
    "unique_paragraphs",
    "paragraph_characters",
    "unique_paragraph_characters",
    *(f"top_{n}" for n in (2, 3, 4)),
    *(f"repeated_{n}" for n in (5, 6, 7, 8, 9, 10)),
)
"""The columns of `count_repetition`."""
_NEWLINE = 0x0A
_PATIENCE = 4
"""Bytes compared, for each byte of text, until a search goes on in the way that is linear for any text."""


@uncounted
def _characters(data: NDArray[np.uint8], start: Int, stop: Int) -> Int:
    count: Int = 0
    for i in range(start, stop):
        count += (data[np.uint64(i)] & 0xC0) != 0x80
    return count


@uncounted
def _words(
    data: NDArray[np.uint8], i: Int, end: Int, t: Tables, starts: NDArray[np.int64], stops: NDArray[np.int64]
) -> Int:
    words: Int = 0
    inside = False
    while i < end:
        start = i
        code_point, i = decode(data, i)
        space = (flags_of(t, code_point) & SPACE) != 0
        if not space and not inside:
            starts[np.uint64(words)] = start
            words += 1
        if not space:
            stops[np.uint64(words - 1)] = i
        inside = not space
    return words


@uncounted
def _lines(
    data: NDArray[np.uint8], i: Int, end: Int, t: Tables, starts: NDArray[np.int64], stops: NDArray[np.int64]
) -> Int:
    """The lines that are not of white space alone."""
    lines: Int = 0
    begin = i
    blank = True
    while i < end:
        start = i
        code_point, i = decode(data, i)
        blank = blank and (flags_of(t, code_point) & SPACE) != 0
        if code_point == _NEWLINE or i == end:
            if not blank:
                starts[np.uint64(lines)] = begin
                stops[np.uint64(lines)] = start if code_point == _NEWLINE else i
                lines += 1
            begin = i
            blank = True
    return lines


@uncounted
def _paragraphs(data: NDArray[np.uint8], i: Int, end: Int, starts: NDArray[np.int64], stops: NDArray[np.int64]) -> Int:
    paragraphs: Int = 0
    starts[0] = i
    while i + 1 < end:
        if data[np.uint64(i)] == _NEWLINE and data[np.uint64(i + 1)] == _NEWLINE:
            stops[np.uint64(paragraphs)] = i
            paragraphs += 1
            i += 2
            starts[np.uint64(paragraphs)] = i
        else:
            i += 1
    stops[np.uint64(paragraphs)] = end
    return paragraphs + 1


@uncounted
def _unique(
    data: NDArray[np.uint8],
    starts: NDArray[np.int64],
    stops: NDArray[np.int64],
    size: Int,
    seed: np.uint64,
    ids: Ids,
    out: NDArray[np.int64],
) -> None:
    """Number, distinct number, characters, characters of distinct ones."""
    _, distinct = number_strings(data, starts, stops, 0, size, True, seed, ids)
    total: Int = 0
    unique: Int = 0
    for i in range(size):
        count = _characters(data, starts[np.uint64(i)], stops[np.uint64(i)])
        total += count
        if ids.origins[np.uint64(ids.numbers[np.uint64(i)])] == i:
            unique += count
    out[0] = size
    out[1] = distinct
    out[2] = total
    out[3] = unique


@kernel
def _occurrences(data: NDArray[np.uint8], i: int, end: int, wanted: NDArray[np.uint8], size: int) -> int:
    """How often wanted[:size] occurs in data[i:end], without overlaps, from left to right."""
    found = 0
    budget = _PATIENCE * (end - i)
    while i + size <= end:
        at = 0
        while at < size and data[i + at] == wanted[at]:
            at += 1
        if at == size:
            found += 1
            i += size
        else:
            i += 1
            budget -= at
            if budget < 0:
                break
    if i + size > end:
        return found
    shorter = np.zeros(size, np.int64)  # Knuth, Morris and Pratt
    k = 0
    for j in range(1, size):
        while k and wanted[j] != wanted[k]:
            k = shorter[k - 1]
        k += wanted[j] == wanted[k]
        shorter[j] = k
    k = 0
    while i < end:
        while k and data[i] != wanted[k]:
            k = shorter[k - 1]
        k += data[i] == wanted[k]
        i += 1
        if k == size:
            found += 1
            k = 0
    return found


@kernel
def _top(
    data: NDArray[np.uint8],
    start: int,
    end: int,
    starts: NDArray[np.int64],
    stops: NDArray[np.int64],
    place: int,
    n: int,
    joined: NDArray[np.uint8],
) -> int:
    """The characters of the n-gram at a place, joined by spaces, times its occurrences in the text."""
    size = 0
    for j in range(place, place + n):
        if j > place:
            joined[size] = 0x20
            size += 1
        for i in range(starts[j], stops[j]):
            joined[size] = data[i]
            size += 1
    return int(_characters(joined, 0, size)) * _occurrences(data, start, end, joined, size)


@uncounted
def _repeated(n: Int, size: Int, ids: Ids, chars: NDArray[np.int64]) -> Int:
    total: Int = 0
    until: Int = 0  # the words before it have been counted
    for j in range(size):
        place = np.int64(ids.places[np.uint64(j)])
        if ids.origins[np.uint64(ids.numbers[np.uint64(j)])] == place:
            continue
        begin = max(place, until)
        total += chars[np.uint64(place + n)] - chars[np.uint64(begin)] + min(place + n - begin, n - 1)
        until = place + n
    return total


@kernel
def count_repetition(
    offsets: NDArray[np.int64],
    data: NDArray[np.uint8],
    t: Tables,
    seed: np.uint64,
    starts: NDArray[np.int64],
    stops: NDArray[np.int64],
    chars: NDArray[np.int64],
    joined: NDArray[np.uint8],
    ids: Ids,
    out: NDArray[np.int64],
) -> int:
    """The `REPETITION` of each document, int64[n, 17]. Returns n.

    starts, stops, chars: int64[room], where room is more than half the bytes of the largest document, by 2, and `ids`
    of that size; joined: uint8[bytes + 4]. They are working memory.
    """
    for row in range(len(offsets) - 1):
        start, end = offsets[row], offsets[row + 1]
        for column in range(out.shape[1]):
            out[row, column] = 0
        size = _lines(data, start, end, t, starts, stops)
        _unique(data, starts, stops, size, seed, ids, out[row, 0:4])
        size = _paragraphs(data, start, end, starts, stops)
        _unique(data, starts, stops, size, seed, ids, out[row, 4:8])
        words = _words(data, start, end, t, starts, stops)
        hash_words(data, starts, stops, 0, words, seed, ids.words, chars)
        left = words
        for n in range(2, min(words, 10) + 1):
            highest: Int = 0
            if n <= 5:
                left, highest = lengthen(n, left, ids)
            else:
                left = lengthen_repeated(left, ids)
            if n <= 4:
                size, most = most_frequent(n, left, highest, data, starts, stops, 0, ids)
                place = first_most(size, most, ids) if most > 1 else np.int64(0)
                out[row, 6 + n] = _top(data, start, end, starts, stops, int(place), n, joined)
            else:
                if n == 5:
                    left = keep_repeated(n, left, data, starts, stops, 0, ids)
                out[row, 6 + n] = _repeated(n, left, ids, chars)
    return len(offsets) - 1
