"""Terms as vectors: hash a term, look up its row, add it; and what learning such rows needs to count.

A term is a word as `kernels.text.unicode` says, and its number the hash that `kernels.sketch.shingles` gives a shingle
of one word. In scripts without spaces, whose letters are words of their own, it is two letters that follow each other,
hashed as a shingle of two words, or a letter that stands alone: all texts of such a script share most letters, and
pairs of them tell texts apart as words do. Learning and looking up share that walk, so that they cannot disagree.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from corpuscurate.kernels.compile import inlined, kernel, uncounted
from corpuscurate.kernels.embedding.linear import add_signs
from corpuscurate.kernels.hashing import mix64
from corpuscurate.kernels.sketch.shingles import BASE, Walk, begin, keep_rest, new_walk, words_of_chunk
from corpuscurate.kernels.text.unicode import SINGLE, Int, Tables, decode, flags_of

_EMPTY = np.int32(-1)
_ONE, _ZERO = np.uint64(1), np.uint64(0)
_FIRST_SINGLE = np.uint8(0xE0)
"""Least first byte of a letter of a script without spaces."""
UNSEEN_SLOTS = 1 << 16
"""Of the table that counts a document's unknown terms; when it is half full they are added, and counted anew."""


@uncounted
def _is_single(folded: NDArray[np.uint8], start: Int, t: Tables) -> bool:
    """Whether the word at `start` is a letter of a script without spaces."""
    if folded[np.uint64(start)] < _FIRST_SINGLE:
        return False
    code_point, _ = decode(folded, start)
    return flags_of(t, code_point) & SINGLE != 0


@inlined
def begin_terms(start: Int, stop: Int, walk: Walk, pair: NDArray[np.uint64]) -> None:
    """Set the walk to the document in bytes start..stop-1.

    pair: uint64[4]: 1 after a letter of a script without spaces; its hash; 1 where it is in a term already; 1 where the
    word that the end of the chunk cuts is such a letter.
    """
    begin(start, stop, 1, walk)
    for i in range(4):
        pair[i] = _ZERO


@kernel
def next_terms(data: NDArray[np.uint8], t: Tables, walk: Walk, pair: NDArray[np.uint64]) -> Int:
    """Hashes of the next terms of the document, in `walk.shingles`. Returns how many (0 is possible), -1 after the
    last."""
    went_on = walk.word[2]
    found, size = words_of_chunk(data, t, walk)
    if found < 0:
        return -1
    folded, words, terms = walk.folded, walk.words, walk.shingles
    made: Int = 0
    for k in range(found):
        word = words[k]
        single = pair[3] != _ZERO if k == 0 and went_on else _is_single(folded, np.int64(walk.starts[k]), t)
        if single:
            if pair[0]:
                terms[made] = mix64(pair[1] * BASE + word)
                made += 1
                pair[2] = _ONE
            else:
                pair[2] = _ZERO
            pair[0] = _ONE
            pair[1] = word
            continue
        made = _letter_alone(pair, terms, made)
        terms[made] = mix64(word)
        made += 1
    if walk.word[2] and not (found == 0 and went_on):
        pair[3] = _ONE if _is_single(folded, np.int64(walk.starts[found]), t) else _ZERO
    keep_rest(size, walk)
    if walk.cursor[0] >= walk.cursor[1]:
        made = _letter_alone(pair, terms, made)
    return made


@inlined
def _letter_alone(pair: NDArray[np.uint64], terms: NDArray[np.uint64], made: Int) -> Int:
    """The letter before, where no other stands beside it, as a term. Returns how many terms there are."""
    if pair[0] and not pair[2]:
        terms[made] = mix64(pair[1])
        made += 1
    pair[0] = _ZERO
    return made


@kernel
def term_bound(offsets: NDArray[np.int64]) -> Int:
    """The most terms that documents of these lengths can have: every word takes a byte, a separator parts two."""
    bound: Int = 0
    for row in range(len(offsets) - 1):
        bound += (offsets[row + 1] - offsets[row] + 1) // 2
    return bound


@kernel
def term_hashes(
    offsets: NDArray[np.int64],
    data: NDArray[np.uint8],
    t: Tables,
    out_offsets: NDArray[np.int64],
    out: NDArray[np.uint64],
) -> Int:
    """The hashes of all terms of each document, in order. Returns how many in all.

    out_offsets: int64[rows + 1]. out: uint64[`term_bound(offsets)`].
    """
    walk = new_walk(1)
    pair = np.zeros(4, np.uint64)
    at: Int = 0
    out_offsets[0] = 0
    for row in range(len(offsets) - 1):
        begin_terms(offsets[row], offsets[row + 1], walk, pair)
        made = next_terms(data, t, walk, pair)
        while made >= 0:
            out[at : at + made] = walk.shingles[:made]
            at += made
            made = next_terms(data, t, walk, pair)
        out_offsets[row + 1] = at
    return at


@kernel
def fill_table(words: NDArray[np.uint64], out_keys: NDArray[np.uint64], out_rows: NDArray[np.int32]) -> int:
    """An open-addressing table from distinct word hashes to their rows. out: 2^k slots, more than there are words;
    rows of empty slots are -1. Returns how many words."""
    mask = np.uint64(len(out_keys) - 1)
    out_rows[:] = _EMPTY
    for row in range(len(words)):
        slot = words[row] & mask
        while out_rows[slot] != _EMPTY:
            slot = (slot + np.uint64(1)) & mask
        out_keys[slot] = words[row]
        out_rows[slot] = row
    return len(words)


@kernel
def find_row(word: np.uint64, keys: NDArray[np.uint64], rows: NDArray[np.int32]) -> int:
    """The row of a word in a table, or -1."""
    mask = np.uint64(len(keys) - 1)
    slot = word & mask
    while rows[slot] != _EMPTY and keys[slot] != word:
        slot = (slot + np.uint64(1)) & mask
    return np.int64(rows[slot])  # type: ignore[return-value]


@kernel
def find_rows(
    words: NDArray[np.uint64], keys: NDArray[np.uint64], rows: NDArray[np.int32], out: NDArray[np.int32]
) -> int:
    """The row of each word in a table, or -1. out: int32[n]. Returns n."""
    for i in range(len(words)):
        out[i] = find_row(words[i], keys, rows)
    return len(words)


@kernel
def chunk_starts(offsets: NDArray[np.int64], chunk_words: int, out: NDArray[np.int64]) -> Int:
    """Cut documents of offsets[i]..offsets[i + 1] words into chunks of about `chunk_words`, even within a document.

    out: int64[...], the first word of each chunk, and the end; call with a length of 0 to count. Returns the chunks.
    """
    chunks: Int = 0
    for row in range(len(offsets) - 1):
        size = offsets[row + 1] - offsets[row]
        if size == 0:
            continue
        pieces = max(1, (size + chunk_words // 2) // chunk_words)
        for i in range(pieces):
            if len(out):
                out[chunks] = offsets[row] + i * size // pieces
            chunks += 1
    if len(out):
        out[chunks] = offsets[-1]
    return chunks


@kernel
def chunk_rows(
    starts: NDArray[np.int64],
    numbers: NDArray[np.int32],
    vocabulary: int,
    out_starts: NDArray[np.int64],
    out_columns: NDArray[np.int32],
    out_counts: NDArray[np.float32],
) -> Int:
    """The chunks as a sparse matrix: 1 + ln(occurrences) of each known word, in order of appearance.

    starts: int64[chunks + 1] into `numbers`, the number of each word in the vocabulary, or -1. out_columns, out_counts:
    as long as numbers. Returns the number of elements.
    """
    counts = np.zeros(vocabulary, np.int32)
    at: Int = 0
    out_starts[0] = 0
    for chunk in range(len(starts) - 1):
        first = at
        for i in range(starts[chunk], starts[chunk + 1]):
            number = numbers[i]
            if number >= 0:
                if counts[number] == 0:
                    out_columns[at] = number
                    at += 1
                counts[number] += 1
        for k in range(first, at):
            out_counts[k] = 1.0 + math.log(counts[out_columns[k]])
            counts[out_columns[k]] = 0
        out_starts[chunk + 1] = at
    return at


@kernel
def weight_rows(
    starts: NDArray[np.int64], columns: NDArray[np.int32], idf: NDArray[np.float64], out: NDArray[np.float32]
) -> int:
    """Multiply a sparse matrix's elements (`out`) by their column's weight, and bring its rows to length 1."""
    for row in range(len(starts) - 1):
        square = 0.0
        for k in range(starts[row], starts[row + 1]):
            x = np.float64(out[k]) * idf[columns[k]]
            square += x * x
        if square > 0.0:
            scale = 1.0 / math.sqrt(square)
            for k in range(starts[row], starts[row + 1]):
                out[k] = np.float32(np.float64(out[k]) * idf[columns[k]] * scale)
    return len(starts) - 1


@kernel
def transpose(
    starts: NDArray[np.int64],
    columns: NDArray[np.int32],
    values: NDArray[np.float32],
    out_starts: NDArray[np.int64],
    out_columns: NDArray[np.int32],
    out_values: NDArray[np.float32],
) -> int:
    """A sparse matrix in compressed rows, turned; out_starts: int64[columns + 1]. Returns its rows."""
    size = len(out_starts) - 1
    out_starts[:] = 0
    for k in range(starts[-1]):
        out_starts[columns[k] + 1] += 1
    for i in range(size):
        out_starts[i + 1] += out_starts[i]
    fill = out_starts[:-1].copy()
    for row in range(len(starts) - 1):
        for k in range(starts[row], starts[row + 1]):
            at = fill[columns[k]]
            out_columns[at] = row
            out_values[at] = values[k]
            fill[columns[k]] = at + 1
    return size


@kernel
def _add_row(factor: np.float32, row: NDArray[np.int8], out: NDArray[np.float32]) -> None:
    for j in range(len(out)):
        out[j] += factor * np.float32(row[j])


@kernel
def _unit(sums: NDArray[np.float32]) -> float:
    """Bring a vector to length 1, in place. Returns the length it had."""
    square = 0.0
    for j in range(len(sums)):
        square += np.float64(sums[j]) * np.float64(sums[j])
    length = math.sqrt(square)
    if length > 0.0:
        scale = 1.0 / length
        for j in range(len(sums)):
            sums[j] = np.float32(np.float64(sums[j]) * scale)
    return length


@inlined
def _damped(count: Int) -> float:
    """1 + ln(count)."""
    return 1.0 if count == 1 else 1.0 + math.log(count)


@kernel
def _add_unseen(
    terms: NDArray[np.uint64],
    size: Int,
    keys: NDArray[np.uint64],
    counts: NDArray[np.int32],
    slots: NDArray[np.int64],
    seed: np.uint64,
    out: NDArray[np.float32],
) -> float:
    """Add the random vectors of `size` counted unknown terms, and empty their table. Returns their weight."""
    mask = np.uint64(len(keys) - 1)
    weight = 0.0
    for k in range(size):
        slot = terms[k] & mask
        while keys[slot] != terms[k]:
            slot = (slot + _ONE) & mask
        own = _damped(counts[slot])
        add_signs(terms[k], seed, np.float32(own), out)
        weight += own
        slots[k] = slot
    for k in range(size):
        counts[slots[k]] = 0
    return weight


@kernel
def _mix(topic: NDArray[np.float32], words: NDArray[np.float32], known: float, share: float, narrow: float) -> None:
    """The unit vector of a document, in `words`; see `embed_documents`. known: share of the weight of known terms."""
    if _unit(words) == 0.0 or _unit(topic) == 0.0:
        return
    product = 0.0
    spread = 0.0
    for j in range(len(topic)):
        x = np.float64(topic[j])
        product += x * np.float64(words[j])
        spread += x * x * x * x
    for j in range(len(topic)):
        words[j] = np.float32(np.float64(words[j]) - product * np.float64(topic[j]))
    if _unit(words) < 1e-6:
        words[:] = topic
        return
    own = min(1.0, 4.0 * known) * (1.0 - share - narrow * spread)
    one = math.sqrt(own)
    other = math.sqrt(1.0 - own)
    for j in range(len(topic)):
        words[j] = np.float32(one * np.float64(topic[j]) + other * np.float64(words[j]))
    _unit(words)


@kernel
def embed_documents(
    offsets: NDArray[np.int64],
    data: NDArray[np.uint8],
    t: Tables,
    keys: NDArray[np.uint64],
    table_rows: NDArray[np.int32],
    terms: NDArray[np.uint64],
    rows: NDArray[np.int8],
    scales: NDArray[np.float32],
    weights: NDArray[np.float32],
    seed: np.uint64,
    share: float,
    narrow: float,
    out: NDArray[np.float32],
) -> int:
    """The unit vector of each document; zero without terms. Returns n.

    keys, table_rows: table of `fill_table` of `terms`, uint64[V]. rows: int8[V, d], each to be multiplied with its
    scale, float32[V] (0: the term has no row); weights: float32[V], 1 for all other terms. out: float32[n, d].

    Two sums over the distinct terms, of weight times 1 + ln(occurrences) times: the term's row (the topic), and its
    fixed random vector of +1 and -1 (the words). Both are brought to length 1, the second after what lies along the
    first was taken from it. The topic's share in the square of the length is 1 - share - narrow * sum(topic^4), less
    where terms with a row have less than a quarter of the weight; the words have the rest. sum(topic^4) is near 1 for
    a topic of one axis, which all texts of a language may share, and 1/d for one that is spread over all.
    """
    walk = new_walk(1)
    pair = np.zeros(4, np.uint64)
    counts = np.zeros(len(weights), np.int32)
    seen = np.empty(len(weights), np.int32)
    unseen_keys, unseen_counts = np.zeros(UNSEEN_SLOTS, np.uint64), np.zeros(UNSEEN_SLOTS, np.int32)
    unseen = np.empty(UNSEEN_SLOTS // 2, np.uint64)
    slots = np.empty(len(unseen), np.int64)
    mask = np.uint64(UNSEEN_SLOTS - 1)
    topic = np.empty(out.shape[1], np.float32)
    for document in range(len(offsets) - 1):
        words = out[document]
        topic[:] = np.float32(0.0)
        words[:] = np.float32(0.0)
        distinct = 0
        unknown = 0
        weight = 0.0
        learned = 0.0
        begin_terms(offsets[document], offsets[document + 1], walk, pair)
        made = next_terms(data, t, walk, pair)
        while made >= 0:
            for i in range(made):
                term = walk.shingles[i]
                row = find_row(term, keys, table_rows)
                if row >= 0:
                    if counts[row] == 0:
                        seen[distinct] = row
                        distinct += 1
                    counts[row] += 1
                    continue
                slot = term & mask
                while unseen_counts[slot] != 0 and unseen_keys[slot] != term:
                    slot = (slot + _ONE) & mask
                if unseen_counts[slot] == 0:
                    unseen_keys[slot] = term
                    unseen[unknown] = term
                    unknown += 1
                unseen_counts[slot] += 1
                if unknown == len(unseen):
                    weight += _add_unseen(unseen, unknown, unseen_keys, unseen_counts, slots, seed, words)
                    unknown = 0
            made = next_terms(data, t, walk, pair)
        weight += _add_unseen(unseen, unknown, unseen_keys, unseen_counts, slots, seed, words)
        for k in range(distinct):
            known = np.int64(seen[k])
            own = np.float64(weights[known]) * _damped(counts[known])
            counts[known] = 0
            add_signs(terms[known], seed, np.float32(own), words)
            weight += own
            if scales[known] > np.float32(0.0):
                _add_row(np.float32(own * np.float64(scales[known])), rows[known], topic)
                learned += own
        _mix(topic, words, learned / weight if weight > 0.0 else 0.0, share, narrow)
    return len(offsets) - 1
