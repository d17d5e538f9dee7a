"""A document's features summed as fastText itself does: row by row in its order, in float32.

Such a sum of hundreds of thousands of rows is some 1e-4 from the true one, and `fasttext.feature_sums` is not: where
there are so many features, scores that shall equal fastText's are formed by this slower kernel.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from corpuscurate.kernels.compile import kernel, uncounted
from corpuscurate.kernels.fasttext.sum_rows import NGRAM, read_tokens
from corpuscurate.kernels.fasttext.unknown_words import ask_rows
from corpuscurate.kernels.fasttext.words import BLOCK, Vocabulary, bracketed, bucket_row, subwords
from corpuscurate.kernels.text.unicode import Int


class Rows(NamedTuple):
    """The input matrix as it is in the file. Dense: values, float32[rows * dim]; the others are empty. Quantised:
    codes, uint8[rows, parts], of centroids, float32[parts, 256, size], times norms, float32[rows] (empty: 1); values is
    empty."""

    dim: int
    values: NDArray[np.float32]
    codes: NDArray[np.uint8]
    centroids: NDArray[np.float32]
    norms: NDArray[np.float32]


@kernel
def ordered_sum(
    data: NDArray[np.uint8], start: Int, end: Int, v: Vocabulary, rows: Rows, out: NDArray[np.float32]
) -> Int:
    """Sum the rows of the document data[start:end] into out, float32[dim]. Returns how many there were."""
    starts, stops, entries = np.empty(BLOCK, np.int64), np.empty(BLOCK, np.int64), np.empty(BLOCK, np.int64)
    hashes = np.empty(BLOCK, np.uint32)
    all_hashes = np.empty((end - start) // 2 + 2 if v.word_ngrams > 1 else 0, np.uint32)
    token = np.empty(end - start + 3 if v.maxn > 0 else 0, np.uint8)
    ids = np.empty(4 * BLOCK + v.maxn + v.word_ngrams, np.int32)
    out[:] = 0.0
    return _sum(data, start, end, v, rows, starts, stops, entries, hashes, all_hashes, token, ids, out)


@uncounted
def _sum(
    data: NDArray[np.uint8],
    at: Int,
    end: Int,
    v: Vocabulary,
    rows: Rows,
    starts: NDArray[np.int64],
    stops: NDArray[np.int64],
    entries: NDArray[np.int64],
    hashes: NDArray[np.uint32],
    all_hashes: NDArray[np.uint32],
    token: NDArray[np.uint8],
    ids: NDArray[np.int32],
    out: NDArray[np.float32],
) -> Int:
    """`ordered_sum` with its scratch: words with their character n-grams first, then the word n-grams."""
    total: Int = 0
    tokens: Int = 0
    n: Int = 0
    while at >= 0:
        size, at = read_tokens(data, at, end, v, starts, stops, entries, hashes)
        for t in range(size):
            if v.word_ngrams > 1:
                all_hashes[tokens] = hashes[t]
                tokens += 1
            if n >= 3 * BLOCK:
                n, total = 0, total + _add(rows, ids, n, out)
            if entries[t] >= 0:
                ids[n] = entries[t]
                n += 1
            if v.maxn == 0 or starts[t] == stops[t]:
                continue
            length = bracketed(data, starts[t], stops[t], token)
            k: Int = 0
            while k < length:
                before = n
                k, n = subwords(v, token, length, k, ids, n, len(ids))
                ask_rows(rows.values, rows.dim, ids, before, n)
                if k < length:
                    n, total = 0, total + _add(rows, ids, n, out)
    for a in range(tokens if v.word_ngrams > 1 else 0):
        whole = np.uint64(np.int64(np.int32(all_hashes[a])))
        if n >= 3 * BLOCK:
            n, total = 0, total + _add(rows, ids, n, out)
        for b in range(a + 1, min(tokens, a + v.word_ngrams)):
            whole = whole * NGRAM + np.uint64(np.int64(np.int32(all_hashes[b])))
            row = bucket_row(v, whole)
            ids[n] = row
            n += np.int64(row >= 0)
    return total + _add(rows, ids, n, out)


@uncounted
def _add(rows: Rows, ids: NDArray[np.int32], n: Int, out: NDArray[np.float32]) -> Int:
    """Add the rows ids[:n], one after the other. Returns n."""
    dim = np.uint64(rows.dim)
    if len(rows.codes) == 0:
        for k in range(n):
            at = np.uint64(ids[k]) * dim
            for j in range(dim):
                out[j] += rows.values[at + j]
        return n
    size = rows.centroids.shape[2]
    for k in range(n):
        row = np.int64(ids[k])
        norm = rows.norms[row] if len(rows.norms) else np.float32(1.0)
        for part in range(rows.codes.shape[1]):
            code = rows.codes[row, part]
            first = part * size
            for j in range(min(size, np.int64(rows.dim) - first)):
                out[first + j] += norm * rows.centroids[part, code, j]
    return n
