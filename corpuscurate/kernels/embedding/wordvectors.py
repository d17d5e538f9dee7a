"""Words as vectors: hash a word, look up its row, add it; and what learning such rows needs to count.

A word is what `kernels.unicode` says, and its number is the hash that `kernels.shingles` gives a shingle of one word:
learning and looking up share that walk, so that they cannot disagree on where a word ends.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from corpuscurate.kernels.compile import kernel
from corpuscurate.kernels.embedding.linear import add_signs
from corpuscurate.kernels.sketch.shingles import BASE, begin, new_walk, next_shingles
from corpuscurate.kernels.text.unicode import Int, Tables

_EMPTY = np.int32(-1)


@kernel
def word_bound(offsets: NDArray[np.int64]) -> Int:
    """The most words that documents of these lengths can have: every word takes a byte, a separator parts two."""
    bound: Int = 0
    for row in range(len(offsets) - 1):
        bound += (offsets[row + 1] - offsets[row] + 1) // 2
    return bound


@kernel
def word_hashes(
    offsets: NDArray[np.int64],
    data: NDArray[np.uint8],
    t: Tables,
    out_offsets: NDArray[np.int64],
    out: NDArray[np.uint64],
) -> Int:
    """The hashes of all words of each document, in order. Returns how many in all.

    out_offsets: int64[rows + 1]. out: uint64[`word_bound(offsets)`].
    """
    walk = new_walk(1)
    at: Int = 0
    out_offsets[0] = 0
    for row in range(len(offsets) - 1):
        begin(offsets[row], offsets[row + 1], 1, walk)
        made = next_shingles(data, t, 1, BASE, walk)
        while made >= 0:
            out[at : at + made] = walk.shingles[:made]
            at += made
            made = next_shingles(data, t, 1, BASE, walk)
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
def _unit(sums: NDArray[np.float32], out: NDArray[np.float32]) -> None:
    square = 0.0
    for j in range(len(sums)):
        square += np.float64(sums[j]) * np.float64(sums[j])
    scale = 1.0 / math.sqrt(square) if square > 0.0 else 0.0
    for j in range(len(sums)):
        out[j] = np.float32(np.float64(sums[j]) * scale)


@kernel
def embed_documents(
    offsets: NDArray[np.int64],
    data: NDArray[np.uint8],
    t: Tables,
    keys: NDArray[np.uint64],
    table_rows: NDArray[np.int32],
    rows: NDArray[np.int8],
    factors: NDArray[np.float32],
    seed: np.uint64,
    unseen: np.float32,
    out: NDArray[np.float32],
) -> int:
    """The unit vector of each document: the sum over its words of factor times row; zero without words. Returns n.

    keys, table_rows: table of `fill_table`. rows: int8[V, d]; factors: float32[V], weight of the word times the scale
    of its row. unseen: what the +1/-1 vector of a word outside the table is multiplied with. out: float32[n, d].

    Known words are counted first and each row is added once, in order of first appearance: in long documents most
    words have been seen before, and a row costs more than all else.
    """
    walk = new_walk(1)
    counts = np.zeros(len(factors), np.int32)
    seen = np.empty(len(factors), np.int32)
    sums = np.empty(out.shape[1], np.float32)
    for document in range(len(offsets) - 1):
        sums[:] = np.float32(0.0)
        distinct = 0
        begin(offsets[document], offsets[document + 1], 1, walk)
        made = next_shingles(data, t, 1, BASE, walk)
        while made >= 0:
            for i in range(made):
                word = walk.shingles[i]
                row = find_row(word, keys, table_rows)
                if row < 0:
                    add_signs(word, seed, unseen, sums)
                    continue
                if counts[row] == 0:
                    seen[distinct] = row
                    distinct += 1
                counts[row] += 1
            made = next_shingles(data, t, 1, BASE, walk)
        for k in range(distinct):
            known = np.int64(seen[k])
            _add_row(factors[known] * np.float32(counts[known]), rows[known], sums)
            counts[known] = 0
        _unit(sums, out[document])
    return len(offsets) - 1
