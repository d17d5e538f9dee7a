"""How much of a document is repeated: lines, paragraphs and n-grams of words, by each of the conventions in use.

All loops are linear in the bytes of a document, and n-grams cost little where few are repeated (`kernels.text.ngrams`).

`datatrove` compares n-grams of 5 to 10 words as strings without the spaces, in which "no thing" is "nothing"
(`kernels.text.glued`).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from corpuscurate.kernels.compile import inlined, kernel, uncounted
from corpuscurate.kernels.text.glued import every_place, glue, glued_repeats, narrow
from corpuscurate.kernels.text.interning import number_strings
from corpuscurate.kernels.text.ngrams import (
    covered,
    first_most,
    hash_words,
    keep_repeated,
    lengthen,
    lengthen_repeated,
    most_frequent,
)
from corpuscurate.kernels.text.repetition_scratch import Scratch
from corpuscurate.kernels.text.segments import (
    DATATROVE,
    DCLM,
    PAPER,
    characters_of,
    cuts_lines,
    find_lines,
    find_paragraphs,
)
from corpuscurate.kernels.text.unicode import Int, Tables

TOP = (2, 3, 4)
REPEATED = (5, 6, 7, 8, 9, 10)
MEASURES = (
    "dup_line_ratio",
    "dup_paragraph_ratio",
    "dup_line_char_ratio",
    "dup_paragraph_char_ratio",
    *(f"top_{n}gram_char_ratio" for n in TOP),
    *(f"dup_{n}gram_char_ratio" for n in REPEATED),
)
"""The columns of `measure_repetition`."""

MAX_TOP, MIN_REPEATED, MAX_REPEATED = 4, 5, 10


@uncounted
def _repeated_strings(
    data: NDArray[np.uint8], size: Int, convention: Int, seed: np.uint64, s: Scratch
) -> tuple[Int, Int]:
    """Of the strings in `s.begins`, `s.ends`: how many are repeated, and their characters.

    `datatrove` counts the second and later copies, all others each copy of what is repeated.
    """
    repeated: Int = 0
    characters: Int = 0
    if size < 2:
        return repeated, characters
    found, _ = number_strings(data, s.begins, s.ends, 0, size, False, seed, s.ids)
    for at in range(found):
        number = np.uint64(s.ids.numbers[np.uint64(at)])
        if s.ids.counts[number] > 1 and not (convention == DATATROVE and s.ids.origins[number] == at):
            i = np.uint64(s.ids.places[np.uint64(at)])
            repeated += 1
            characters += characters_of(data, s.begins[i], s.ends[i])
    return repeated, characters


@uncounted
def _characters_in(data: NDArray[np.uint8], start: Int, stop: Int, size: Int, text: Int, s: Scratch) -> Int:
    """The characters of the strings in `s.begins`, `s.ends`: of data[start:stop], which has `text`, without the white
    space between them."""
    inside: Int = 0
    tails: Int = 0  # bytes between them that begin no character
    end = start
    for at in range(size):
        k = np.uint64(at)
        inside += s.ends[k] - s.begins[k]
        for i in range(end, s.begins[k]):
            tails += data[np.uint64(i)] & 0xC0 == 0x80
        end = s.ends[k]
    for i in range(end, stop):
        tails += data[np.uint64(i)] & 0xC0 == 0x80
    return inside - (stop - start - text - tails)


@inlined
def _top(n: Int, size: Int, most: Int, convention: Int, words: Int, s: Scratch) -> Int:
    """The characters of the most frequent n-gram, times its occurrences (`paper`: those it covers).

    size, most: of `most_frequent`.
    """
    spaces: Int = n - 1 if convention == DATATROVE else 0
    if most < 2:
        return s.chars[np.uint64(n)] + spaces if convention == DATATROVE and words >= n else np.int64(0)
    best: Int = 0
    if convention == PAPER:
        for j in range(size):
            number = np.uint64(s.ids.numbers[np.uint64(j)])
            s.cover[number] = 0
            s.ends_of[number] = 0
        for j in range(size):
            number = np.uint64(s.ids.numbers[np.uint64(j)])
            if s.ids.counts[number] == most:
                place = np.int64(s.ids.picked[np.uint64(j)])
                begin = max(place, s.ends_of[number])
                s.ends_of[number] = place + n
                s.cover[number] += s.chars[np.uint64(place + n)] - s.chars[np.uint64(begin)]
                best = max(best, s.cover[number])
    elif convention == DCLM:
        for j in range(size):
            if s.ids.counts[np.uint64(s.ids.numbers[np.uint64(j)])] == most:
                place = np.int64(s.ids.picked[np.uint64(j)])
                best = max(best, (s.chars[np.uint64(place + n)] - s.chars[np.uint64(place)]) * most)
    else:
        first = first_most(size, most, s.ids)
        best = (s.chars[np.uint64(first + n)] - s.chars[np.uint64(first)] + spaces) * most
    return best


@uncounted
def _ratio(part: Int, whole: Int) -> float:
    return np.float64(part) / np.float64(whole) if whole else 0.0


@kernel
def measure_repetition(
    offsets: NDArray[np.int64],
    data: NDArray[np.uint8],
    first: NDArray[np.int64],
    starts: NDArray[np.int64],
    stops: NDArray[np.int64],
    words_data: NDArray[np.uint8],
    t: Tables,
    convention: Int,
    segments: bool,
    longest: Int,
    seed: np.uint64,
    s: Scratch,
    out: NDArray[np.float64],
) -> int:
    """All MEASURES of each document. Returns n.

    offsets, data: texts as in Arrow. first, starts, stops: the words of each (`core.spans.Spans`), bytes of words_data.
    segments: whether lines and paragraphs are wanted, else 0. longest: measures of longer n-grams are 0. s: of
    `make_scratch`. out: float64[n, 13].
    """
    for row in range(len(offsets) - 1):
        start, stop = offsets[row], offsets[row + 1]
        for column in range(out.shape[1]):
            out[row, column] = 0.0
        text = characters_of(data, start, stop)
        if segments:
            size = find_lines(data, start, stop, convention != DATATROVE, t, s.begins, s.ends)
            repeated, characters = _repeated_strings(data, size, convention, seed, s)
            out[row, 0] = _ratio(repeated, size)
            if repeated:
                whole = text if convention == DATATROVE else _characters_in(data, start, stop, size, text, s)
                out[row, 2] = _ratio(characters, whole)
            if repeated or (convention == DATATROVE and cuts_lines(data, start, stop, t)):
                size = find_paragraphs(data, start, stop, convention, t, s.begins, s.ends)
                repeated, characters = _repeated_strings(data, size, convention, seed, s)
                out[row, 1] = _ratio(repeated, size)
                if repeated:
                    whole = text if convention == DATATROVE else _characters_in(data, start, stop, size, text, s)
                    out[row, 3] = _ratio(characters, whole)
        begin = first[row]
        words = first[row + 1] - begin
        if longest < TOP[0] or words < TOP[0]:
            continue
        hash_words(words_data, starts, stops, begin, words, seed, s.ids.words, s.chars)
        whole = text if convention == DATATROVE else s.chars[np.uint64(words)]
        size = words
        for n in range(2, min(longest, MAX_TOP if convention == DATATROVE else MAX_REPEATED) + 1):
            highest: Int = 0
            if n <= MIN_REPEATED:
                size, highest = lengthen(n, size, s.ids)
            else:
                size = lengthen_repeated(size, s.ids)
            if n <= MAX_TOP:
                picked, most = most_frequent(n, size, highest, words_data, starts, stops, begin, s.ids)
                out[row, 2 + n] = _ratio(_top(n, picked, most, convention, words, s), whole)
            else:
                if n == MIN_REPEATED:
                    size = keep_repeated(n, size, words_data, starts, stops, begin, s.ids)
                out[row, 2 + n] = _ratio(covered(n, size, s.ids, s.chars), whole)
            if size == 0 and convention != DATATROVE:
                break
        if convention == DATATROVE and longest >= MIN_REPEATED and words >= MIN_REPEATED:
            glue(words_data, starts, stops, begin, words, s)
            size = words - MIN_REPEATED + 1
            every_place(size, s)
            for n in range(MIN_REPEATED, min(longest, MAX_REPEATED) + 1):
                if n in (6, 8):  # longer n-grams have more bytes to tell them apart
                    size = narrow(n, 16 if n == 6 else 24, words, size, seed, s)
                if size:
                    out[row, 2 + n] = _ratio(glued_repeats(n, words, size, seed, s), whole)
    return len(offsets) - 1
