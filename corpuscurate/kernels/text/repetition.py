"""How much of a document is repeated: lines, paragraphs and n-grams of words, by each of the conventions in use.

An n-gram of n + 1 words can only be repeated where both n-grams in it are. So each length looks at the places that the
length before has left, and most documents have few left after two or three words. An n-gram has a number: that of
a pair of numbers of shorter ones, so that equal numbers are equal words and no hash decides anything
(`kernels.text.interning`). All loops are linear in the bytes of a document.

`datatrove` compares n-grams of 5 to 10 words as strings without the spaces, in which "no thing" is "nothing". There a
place can only matter if its first bytes occur at another place, too; these few are compared as bytes.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from corpuscurate.kernels.compile import inlined, kernel, uncounted
from corpuscurate.kernels.simd.words64 import store8
from corpuscurate.kernels.text.interning import (
    FULL,
    bits_for,
    find_repeated,
    hash_bytes,
    hash_pairs,
    hash_strings,
    load,
    number_pairs,
    number_strings,
    same_bytes,
)
from corpuscurate.kernels.text.unicode import SPACE, Int, Tables, decode, flags_of

PAPER, DATATROVE, DCLM, REDPAJAMA = range(4)
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

_NEWLINE = 0x0A
_0, _1, _2, _7, _32 = (np.uint64(number) for number in (0, 1, 2, 7, 32))
_LOW = np.uint64(0xFFFFFFFF)
_NEWLINES = np.uint64(0x0A0A0A0A0A0A0A0A)
_ONES = np.uint64(0x0101010101010101)
_HIGHS = np.uint64(0x8080808080808080)
WINDOW_BYTES = 24
"""The most bytes of glued words that tell n-grams apart."""
FIRST_SLOTS, LARGE_SLOTS = 1 << 4, 1 << 14
"""Slots of the smallest table; and of the largest that has room for all distinct strings: above, tables grow."""
MOST_STRINGS = 1 << 28
MAX_TOP, MIN_REPEATED, MAX_REPEATED = 4, 5, 10


class Scratch(NamedTuple):
    """Memory that all documents of a batch share, for the largest of them; pages that none needs stay untouched.

    As many as strings, which are words, lines or paragraphs: hashes, uint32; places, numbers, chosen, others, counts,
    origins, int32; ends_of, cover, int64. chars: int64[words + 1]. begins, ends: int64[lines + 2]. seen: uint8[],
    table: uint64[], powers of two. glued: uint8[bytes + 32] and at: int64[words + 1], for `datatrove`.
    """

    hashes: NDArray[np.uint32]
    places: NDArray[np.int32]
    numbers: NDArray[np.int32]
    chosen: NDArray[np.int32]
    others: NDArray[np.int32]
    counts: NDArray[np.int32]
    origins: NDArray[np.int32]
    ends_of: NDArray[np.int64]
    cover: NDArray[np.int64]
    chars: NDArray[np.int64]
    begins: NDArray[np.int64]
    ends: NDArray[np.int64]
    seen: NDArray[np.uint8]
    table: NDArray[np.uint64]
    glued: NDArray[np.uint8]
    at: NDArray[np.int64]


def make_scratch(words: int, lines: int, size_bytes: int, glue: bool) -> Scratch:
    """Scratch for documents of at most so many words, lines and bytes; glue: for `datatrove`.

    Raises ValueError where a document has MOST_STRINGS words or lines, or more.
    """
    strings = max(words, lines + 2)
    if strings >= MOST_STRINGS:
        raise ValueError(f"a document has {strings} words or lines; fewer than {MOST_STRINGS} can be compared")
    return Scratch(
        np.empty(strings, np.uint32),
        np.empty(strings, np.int32),
        np.empty(strings, np.int32),
        np.empty(strings, np.int32),
        np.empty(strings, np.int32),
        np.empty(strings, np.int32),
        np.empty(strings, np.int32),
        np.empty(strings, np.int64),
        np.empty(strings, np.int64),
        np.empty(words + 1, np.int64),
        np.empty(lines + 2, np.int64),
        np.empty(lines + 2, np.int64),
        np.empty(1 << int(bits_for(strings)), np.uint8),
        np.empty(1 << max(2 * strings, FIRST_SLOTS).bit_length(), np.uint64),
        np.empty(size_bytes + WINDOW_BYTES + 8 if glue else 0, np.uint8),
        np.empty(words + 1 if glue else 0, np.int64),
    )


@uncounted
def _characters(data: NDArray[np.uint8], start: Int, stop: Int) -> Int:
    """Code points of data[start:stop]."""
    count = 0
    for i in range(start, stop):
        count += (data[np.uint64(i)] & 0xC0) != 0x80
    return count


@uncounted
def _skip_space(data: NDArray[np.uint8], start: Int, stop: Int, t: Tables) -> Int:
    """The first byte of data[start:stop] that is no white space; `stop` where all is."""
    while start < stop:
        if 0x20 < data[np.uint64(start)] < 0x7F:
            return start
        code_point, after = decode(data, start)
        if not flags_of(t, code_point) & SPACE:
            return start
        start = after
    return stop


@uncounted
def _skip_space_back(data: NDArray[np.uint8], start: Int, stop: Int, t: Tables) -> Int:
    """The end of data[start:stop] without the white space at its end."""
    while start < stop:
        before = stop - 1
        if 0x20 < data[np.uint64(before)] < 0x7F:
            return stop
        while data[np.uint64(before)] & 0xC0 == 0x80:
            before -= 1
        code_point, _ = decode(data, before)
        if not flags_of(t, code_point) & SPACE:
            return stop
        stop = before
    return start


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
def _line_end(data: NDArray[np.uint8], i: Int, stop: Int) -> Int:
    """The first line feed of data[i:stop], or `stop`."""
    while i + 8 <= stop:
        word = load(data, i) ^ _NEWLINES
        marks = (word - _ONES) & ~word & _HIGHS
        if marks:
            lowest = (marks & (~marks + _1)) >> _7
            return i + np.int64((lowest * np.uint64(0x0001020304050607)) >> np.uint64(56))
        i += 8
    while i < stop and data[np.uint64(i)] != _NEWLINE:
        i += 1
    return i


@inlined
def _lines(data: NDArray[np.uint8], start: Int, stop: Int, strip: bool, t: Tables, s: Scratch) -> Int:
    """The lines of data[start:stop] in `s.begins`, `s.ends`; how many.

    strip: without white space at their ends, and without those of white space. Else the parts of `re.split("\\n+")`.
    """
    count: Int = 0
    i = start
    if not strip and (start == stop or data[np.uint64(start)] == _NEWLINE):
        s.begins[0], s.ends[0] = start, start
        count = 1
    while i < stop:
        begin = i
        i = _line_end(data, i, stop)
        end = i
        if strip:
            begin = _skip_space(data, begin, end, t)
            end = _skip_space_back(data, begin, end, t)
        if begin < end:
            s.begins[np.uint64(count)], s.ends[np.uint64(count)] = begin, end
            count += 1
        i += 1
    if not strip and stop > start and data[np.uint64(stop - 1)] == _NEWLINE:
        s.begins[np.uint64(count)], s.ends[np.uint64(count)] = stop, stop
        count += 1
    return count


@uncounted
def _cuts_lines(data: NDArray[np.uint8], start: Int, stop: Int, t: Tables) -> bool:
    """Whether `strip()` takes something off the first or last line that has more than white space. If not, a repeated
    paragraph has repeated lines."""
    first = _skip_space(data, start, stop, t)
    last = _skip_space_back(data, first, stop, t)
    if first > start and data[np.uint64(first - 1)] != _NEWLINE:
        return True
    return bool(last < stop and data[np.uint64(last)] != _NEWLINE)


@inlined
def _paragraphs(data: NDArray[np.uint8], start: Int, stop: Int, convention: Int, t: Tables, s: Scratch) -> Int:
    """The paragraphs of data[start:stop] in `s.begins`, `s.ends`; how many.

    They are what blank lines part, without white space at their ends (`datatrove`: at the ends of the text alone), and
    blank ones are none. A blank line has white space (`paper`, `redpajama`) or nothing in it.
    """
    count: Int = 0
    if convention == DATATROVE:
        start = _skip_space(data, start, stop, t)
        stop = _skip_space_back(data, start, stop, t)
        if start == stop:
            s.begins[0], s.ends[0] = start, stop
            return 1
    i = start
    opened = False
    begin = end = start
    while i < stop:
        line = i
        i = _line_end(data, i, stop)
        blank = line == i
        if not blank and convention in (PAPER, REDPAJAMA):
            blank = _skip_space(data, line, i, t) == i
        if not blank:
            begin = begin if opened else line
            end = i
            opened = True
        if opened and (blank or i + 1 >= stop):
            if convention != DATATROVE:
                begin = _skip_space(data, begin, end, t)
                end = _skip_space_back(data, begin, end, t)
            if begin < end:
                s.begins[np.uint64(count)], s.ends[np.uint64(count)] = begin, end
                count += 1
            opened = False
        i += 1
    return count


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
        total += s.ends[i] - s.begins[i] if ascii else _characters(data, s.begins[i], s.ends[i])
    found = _repeated_of(data, s.begins, s.ends, 0, size, seed, s) if size > 1 else np.int64(0)
    for at in range(found):
        number = np.uint64(s.numbers[np.uint64(at)])
        if s.counts[number] > 1 and not (convention == DATATROVE and s.origins[number] == at):
            i = np.uint64(s.places[np.uint64(at)])
            repeated += 1
            characters += _characters(data, s.begins[i], s.ends[i])
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
def _glue(
    data: NDArray[np.uint8],
    starts: NDArray[np.int64],
    stops: NDArray[np.int64],
    first: Int,
    words: Int,
    s: Scratch,
) -> None:
    """Write the words without what parts them to `s.glued`, and where each begins to `s.at`."""
    end: Int = 0
    for i in range(words):
        s.at[np.uint64(i)] = end
        begin = starts[np.uint64(first + i)]
        size = stops[np.uint64(first + i)] - begin
        if size <= 8 and begin + 8 <= len(data):  # what is written behind the word is overwritten by the next
            store8(load(data, begin), end, s.glued)  # type: ignore[arg-type]
        else:
            for k in range(size):
                s.glued[np.uint64(end + k)] = data[np.uint64(begin + k)]
        end += size
    s.at[np.uint64(words)] = end
    for k in range(WINDOW_BYTES):
        s.glued[np.uint64(end + k)] = 0


@inlined
def _narrow(n: Int, size_bytes: Int, words: Int, size: Int, seed: np.uint64, s: Scratch) -> Int:
    """Of `s.places[:size]` those from which on the first bytes of glued words occur at another one, too, or from which
    on n words have fewer bytes; how many. No other can begin a repeated n-gram. size_bytes: of these first bytes."""
    for j in range(size):
        at = s.at[np.uint64(s.places[np.uint64(j)])]
        s.hashes[np.uint64(j)] = hash_bytes(s.glued, at, at + size_bytes, seed) >> _32
    find_repeated(s.hashes, size, s.seen, s.chosen)
    shift = _32 - bits_for(size)
    left = _0
    for j in range(size):
        place = np.int64(s.places[np.uint64(j)])
        few = s.at[np.uint64(min(place + n, words))] - s.at[np.uint64(place)] < size_bytes
        s.places[left] = place
        left += np.uint64(few or s.seen[np.uint64(s.hashes[np.uint64(j)]) >> shift] > 1)
    return np.int64(left)


@inlined
def _glued_repeats(n: Int, words: Int, size: Int, seed: np.uint64, s: Scratch) -> Int:
    """The characters of n-grams that occurred before, from left to right, n words on after each.

    Only those at `s.places[:size]` are looked at.
    """
    slots = np.uint64(FIRST_SLOTS)
    while np.int64(slots) < 2 * size:
        slots = slots << _1
    for k in range(slots):
        s.table[k] = 0
    mask = slots - _1
    repeated: Int = 0
    next_place: Int = 0
    for j in range(size):
        place = np.int64(s.places[np.uint64(j)])
        if place < next_place:
            continue
        if place + n > words:
            break
        begin, end = s.at[np.uint64(place)], s.at[np.uint64(place + n)]
        key = hash_bytes(s.glued, begin, end, seed) >> _32
        slot = key & mask
        while True:
            value = s.table[slot]
            if value == _0:
                s.table[slot] = key << _32 | np.uint64(place + 1)
                break
            if value >> _32 == key:
                other = (value & _LOW) - _1
                size_bytes = end - begin
                if s.at[other + np.uint64(n)] - s.at[other] == size_bytes and same_bytes(
                    s.glued, s.at[other], begin, size_bytes
                ):
                    repeated += s.chars[np.uint64(place + n)] - s.chars[np.uint64(place)]
                    next_place = place + n
                    break
            slot = (slot + _1) & mask
    return repeated


@inlined
def _word_characters(data: NDArray[np.uint8], start: Int, stop: Int) -> Int:
    """Code points of a word."""
    if stop - start > 8 or start + 8 > len(data):
        return _characters(data, start, stop)
    unused = np.uint64(64) - (np.uint64(stop - start) << np.uint64(3))
    word = load(data, start) << unused  # of at least a byte
    return stop - start - np.int64(((word >> _7 & ~(word >> np.uint64(6)) & _ONES) * _ONES) >> np.uint64(56))


@uncounted
def _measure_lengths(
    data: NDArray[np.uint8], starts: NDArray[np.int64], stops: NDArray[np.int64], first: Int, words: Int, s: Scratch
) -> None:
    """The characters of all words before each, in `s.chars`."""
    low, high = starts[first], stops[first + words - 1]
    ascii = _characters(data, low, high) == high - low
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
        text = _characters(data, start, stop)
        if segments:
            ascii = text == stop - start
            size = _lines(data, start, stop, convention != DATATROVE, t, s)
            repeated, characters, total = _repeated_strings(data, size, convention, ascii, seed, s)
            out[row, 0] = _ratio(repeated, size)
            out[row, 2] = _ratio(characters, text if convention == DATATROVE else total)
            if repeated or (convention == DATATROVE and _cuts_lines(data, start, stop, t)):
                size = _paragraphs(data, start, stop, convention, t, s)
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
            _glue(words_data, starts, stops, begin, words, s)
            size = words - MIN_REPEATED + 1
            for place in range(size):
                s.places[np.uint64(place)] = place
            for n in range(MIN_REPEATED, min(longest, MAX_REPEATED) + 1):
                if n in (5, 6, 8):  # longer n-grams have more bytes to tell them apart
                    size = _narrow(n, 12 if n == 5 else 16 if n == 6 else 24, words, size, seed, s)
                if size:
                    out[row, 2 + n] = _ratio(_glued_repeats(n, words, size, seed, s), whole)
    return len(offsets) - 1
