"""How much of a document is repeated: lines, paragraphs and n-grams of words, by each of the conventions in use.

An n-gram of n + 1 words can only be repeated where both n-grams in it are. So each length looks at the places that the
length before has left, and most documents have few left after two or three words. An n-gram has a number: that of
a pair of numbers of shorter ones, so that equal numbers are equal words and no hash decides anything
(`kernels.text.interning`). All loops are linear in the bytes of a document.

`datatrove` compares n-grams of 5 to 10 words as strings without the spaces, in which "no thing" is "nothing". There a
place can only matter if its first bytes occur at another place, too; these few are compared as bytes.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from corpuscurate.kernels.compile import inlined, kernel, uncounted
from corpuscurate.kernels.text.glued import glue, glued_repeats, narrow
from corpuscurate.kernels.text.interning import (
    FULL,
    find_repeated,
    hash_pairs,
    hash_strings,
    load,
    number_pairs,
    number_strings,
)
from corpuscurate.kernels.text.repetition_scratch import FIRST_SLOTS, Scratch
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

LARGE_SLOTS = 1 << 14
"""Slots of the largest table that has room for all distinct strings: above, tables grow."""
MAX_TOP, MIN_REPEATED, MAX_REPEATED = 4, 5, 10
_0, _1, _2, _7 = (np.uint64(number) for number in (0, 1, 2, 7))
_ONES = np.uint64(0x0101010101010101)


@uncounted
def _slots(size: Int) -> np.uint64:
    slots = np.uint64(FIRST_SLOTS)
    while np.int64(slots) < 2 * size and slots < np.uint64(LARGE_SLOTS):
        slots = slots << _1
    return slots


@inlined
def _repeated_of(
    data: NDArray[np.uint8],
    starts: NDArray[np.int64],
    stops: NDArray[np.int64],
    first: Int,
    size: Int,
    seed: np.uint64,
    s: Scratch,
) -> Int:
    """Number the strings that may occur more than once; how many they are, at `s.places`.

    `s.numbers` has their numbers, `s.counts` and `s.origins` what `number_strings` says.
    """
    hash_strings(data, starts, stops, first, size, seed, s.hashes)
    found = find_repeated(s.hashes, size, s.seen, s.places)
    slots = _slots(found)
    while (
        number_strings(
            data, starts, stops, first, s.hashes, s.places, found, s.table, slots, s.numbers, s.counts, s.origins
        )
        == FULL
    ):
        slots = min(slots << _2, np.uint64(len(s.table)))
    return found


@inlined
def _longer(size: Int, seed: np.uint64, s: Scratch) -> Int:
    """From the repeated n-grams `s.numbers[:size]` at `s.places` to those of n + 1 words; how many."""
    hash_pairs(s.places, s.numbers, size, seed, s.hashes)
    found = find_repeated(s.hashes, size - 1, s.seen, s.chosen)
    slots = _slots(found)
    while (
        number_pairs(s.places, s.numbers, s.chosen, found, s.hashes, s.table, slots, s.others, s.counts, s.origins)
        == FULL
    ):
        slots = min(slots << _2, np.uint64(len(s.table)))
    left = _0
    for at in range(found):
        k = np.uint64(at)
        pair = s.others[k]
        s.places[left] = s.places[np.uint64(s.chosen[k])]
        s.numbers[left] = pair
        left += np.uint64(pair >= 0 and s.counts[np.uint64(max(pair, 0))] > 1)
    return np.int64(left)


@inlined
def _repeated_strings(
    data: NDArray[np.uint8], size: Int, convention: Int, ascii: bool, seed: np.uint64, s: Scratch
) -> tuple[Int, Int, Int]:
    """Of the strings in `s.begins`, `s.ends`: how many are repeated, their characters, and the characters of all.

    `datatrove` counts the second and later copies, all others each copy of what is repeated. ascii: whether all are.
    """
    repeated: Int = 0
    characters: Int = 0
    total: Int = 0
    for at in range(size):
        i = np.uint64(at)
        total += s.ends[i] - s.begins[i] if ascii else characters_of(data, s.begins[i], s.ends[i])
    found = _repeated_of(data, s.begins, s.ends, 0, size, seed, s) if size > 1 else np.int64(0)
    for at in range(found):
        number = np.uint64(s.numbers[np.uint64(at)])
        if s.counts[number] > 1 and not (convention == DATATROVE and s.origins[number] == at):
            i = np.uint64(s.places[np.uint64(at)])
            repeated += 1
            characters += characters_of(data, s.begins[i], s.ends[i])
    return repeated, characters, total


@inlined
def _top(n: Int, size: Int, convention: Int, words: Int, s: Scratch) -> Int:
    """The characters of the most frequent n-gram, times its occurrences (`paper`: those it covers).

    The repeated n-grams are `s.numbers[:size]`, at `s.places`.
    """
    spaces = n - 1 if convention == DATATROVE else 0
    if size == 0:
        return s.chars[np.uint64(n)] + spaces if convention == DATATROVE and words >= n else np.int64(0)
    most: Int = 0
    for j in range(size):
        most = max(most, np.int64(s.counts[np.uint64(s.numbers[np.uint64(j)])]))
    best: Int = 0
    if convention == PAPER:
        for j in range(size):
            number = np.uint64(s.numbers[np.uint64(j)])
            if s.counts[number] == most:
                s.cover[number] = 0
                s.ends_of[number] = 0
    for j in range(size):
        number = np.uint64(s.numbers[np.uint64(j)])
        if s.counts[number] != most:
            continue
        place = np.int64(s.places[np.uint64(j)])
        if convention == PAPER:
            begin = max(place, s.ends_of[number])
            s.ends_of[number] = place + n
            s.cover[number] += s.chars[np.uint64(place + n)] - s.chars[np.uint64(begin)]
            best = max(best, s.cover[number])
        else:
            best = max(best, (s.chars[np.uint64(place + n)] - s.chars[np.uint64(place)] + spaces) * most)
            if convention != DCLM:  # the first that is met
                break
    return best


@inlined
def _covered(n: Int, size: Int, s: Scratch) -> Int:
    """The characters of all words that belong to a repeated n-gram, at `s.places[:size]`."""
    covered: Int = 0
    end: Int = 0
    for j in range(size):
        place = np.int64(s.places[np.uint64(j)])
        covered += s.chars[np.uint64(place + n)] - s.chars[np.uint64(max(place, end))]
        end = place + n
    return covered


@inlined
def _word_characters(data: NDArray[np.uint8], start: Int, stop: Int) -> Int:
    """Code points of a word."""
    if stop - start > 8 or start + 8 > len(data):
        return characters_of(data, start, stop)
    unused = np.uint64(64) - (np.uint64(stop - start) << np.uint64(3))
    word = load(data, start) << unused  # of at least a byte
    return stop - start - np.int64(((word >> _7 & ~(word >> np.uint64(6)) & _ONES) * _ONES) >> np.uint64(56))


@uncounted
def _measure_lengths(
    data: NDArray[np.uint8], starts: NDArray[np.int64], stops: NDArray[np.int64], first: Int, words: Int, s: Scratch
) -> None:
    """The characters of all words before each, in `s.chars`."""
    low, high = starts[first], stops[first + words - 1]
    ascii = characters_of(data, low, high) == high - low
    s.chars[0] = 0
    for i in range(words):
        k = np.uint64(first + i)
        length = stops[k] - starts[k] if ascii else _word_characters(data, starts[k], stops[k])
        s.chars[np.uint64(i + 1)] = s.chars[np.uint64(i)] + length


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
            ascii = text == stop - start
            size = find_lines(data, start, stop, convention != DATATROVE, t, s.begins, s.ends)
            repeated, characters, total = _repeated_strings(data, size, convention, ascii, seed, s)
            out[row, 0] = _ratio(repeated, size)
            out[row, 2] = _ratio(characters, text if convention == DATATROVE else total)
            if repeated or (convention == DATATROVE and cuts_lines(data, start, stop, t)):
                size = find_paragraphs(data, start, stop, convention, t, s.begins, s.ends)
                repeated, characters, total = _repeated_strings(data, size, convention, ascii, seed, s)
                out[row, 1] = _ratio(repeated, size)
                out[row, 3] = _ratio(characters, text if convention == DATATROVE else total)
        begin = first[row]
        words = first[row + 1] - begin
        if longest < TOP[0] or words < TOP[0]:
            continue
        _measure_lengths(words_data, starts, stops, begin, words, s)
        whole = text if convention == DATATROVE else s.chars[np.uint64(words)]
        size = _repeated_of(words_data, starts, stops, begin, words, seed, s)
        left = _0
        for at in range(size):  # those that do occur more than once
            number = s.numbers[np.uint64(at)]
            s.places[left] = s.places[np.uint64(at)]
            s.numbers[left] = number
            left += np.uint64(s.counts[np.uint64(number)] > 1)
        size = np.int64(left)
        for n in range(2, min(longest, MAX_TOP if convention == DATATROVE else MAX_REPEATED) + 1):
            if size:
                size = _longer(size, seed, s)
            elif convention != DATATROVE:
                break
            if n <= MAX_TOP:
                out[row, 2 + n] = _ratio(_top(n, size, convention, words, s), whole)
            else:
                out[row, 2 + n] = _ratio(_covered(n, size, s), whole)
        if convention == DATATROVE and longest >= MIN_REPEATED and words >= MIN_REPEATED:
            glue(words_data, starts, stops, begin, words, s)
            size = words - MIN_REPEATED + 1
            for place in range(size):
                s.places[np.uint64(place)] = place
            for n in range(MIN_REPEATED, min(longest, MAX_REPEATED) + 1):
                if n in (5, 6, 8):  # longer n-grams have more bytes to tell them apart
                    size = narrow(n, 12 if n == 5 else 16 if n == 6 else 24, words, size, seed, s)
                if size:
                    out[row, 2 + n] = _ratio(glued_repeats(n, words, size, seed, s), whole)
    return len(offsets) - 1
