"""Hashed n-grams of words, as data selection with importance resampling counts them (DSIR, arXiv 2302.03169).

A word is a run of letters, digits and underscores, or a run of other signs (`\\\\w+|[^\\\\w\\\\s]+`, NLTK's
WordPunctTokenizer), after `str.casefold()`. Its hash is FNV-1a of its UTF-8, mixed by `hashing.mix64`; that of an
n-gram is mix64(hash of the n - 1 words before * FACTOR + hash of the last word). The bucket is the hash modulo their
number: the same in every run, on every machine.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from corpuscurate.kernels.compile import kernel, uncounted
from corpuscurate.kernels.hashing import mix64
from corpuscurate.kernels.text.unicode import SPACE, WORD, Int, Tables, decode, flags_of, fold_into

HASH_VERSION = 1
"""Raise it when a bucket changes."""
FACTOR = np.uint64(0x9E3779B97F4A7C15)
_BASIS = np.uint64(0xCBF29CE484222325)
_PRIME = np.uint64(0x100000001B3)
_S11 = np.uint64(11)
_SCALE = 2.0**-53
_UNDERSCORE = 0x5F
_NONE, _LETTERS, _SIGNS = 0, 1, 2


@uncounted
def word_hashes(
    data: NDArray[np.uint8], i: Int, end: Int, t: Tables, folded: NDArray[np.uint8], out: NDArray[np.uint64]
) -> Int:
    """The hashes of the words of data[i:end]; how many. folded: uint8[8], working memory. out: uint64[end - i]."""
    words: Int = 0
    kind = _NONE
    value = _BASIS
    while i < end:
        byte: Int = np.int64(data[np.uint64(i)])
        if byte < 0x80:
            flags: Int = np.int64(t.byte_flags[np.uint64(byte)])
            i += 1
        else:
            byte, i = decode(data, i)
            flags = flags_of(t, byte)
        now = _LETTERS if flags & WORD or byte == _UNDERSCORE else (_NONE if flags & SPACE else _SIGNS)
        if now != kind:
            if kind != _NONE:
                out[np.uint64(words)] = mix64(value)
                words += 1
            value = _BASIS
            kind = now
        if now == _NONE:
            continue
        if byte < 0x80:
            value = (value ^ np.uint64(t.byte_fold[np.uint64(byte)])) * _PRIME
        else:
            for k in range(fold_into(t, byte, 0, folded)):
                value = (value ^ np.uint64(folded[k])) * _PRIME
    if kind != _NONE:
        out[np.uint64(words)] = mix64(value)
        words += 1
    return words


@uncounted
def longer(before: np.uint64, last: np.uint64) -> np.uint64:
    """The hash of an n-gram and the word behind it."""
    return mix64(before * FACTOR + last)


@kernel
def count_buckets(
    offsets: NDArray[np.int64], data: NDArray[np.uint8], t: Tables, ngrams: int, out: NDArray[np.int64]
) -> int:
    """Add the n-grams of all documents to their buckets, int64[buckets]. Returns how many there are. ngrams: the most
    words in one."""
    folded = np.empty(8, np.uint8)
    hashes = np.empty(max(np.diff(offsets).max(), 1) if len(offsets) > 1 else 1, np.uint64)
    buckets = np.uint64(len(out))
    found = 0
    for row in range(len(offsets) - 1):
        words = word_hashes(data, offsets[row], offsets[row + 1], t, folded, hashes)
        for i in range(words):
            value = hashes[i]
            out[value % buckets] += 1
            found += 1
            for j in range(i + 1, min(i + ngrams, words)):
                value = longer(value, hashes[j])
                out[value % buckets] += 1
                found += 1
    return found


@kernel
def sum_weights(
    offsets: NDArray[np.int64],
    data: NDArray[np.uint8],
    t: Tables,
    ngrams: int,
    weights: NDArray[np.float64],
    out: NDArray[np.float64],
) -> int:
    """The sum of the weights of the buckets of a document's n-grams, float64[n], in their order. Returns n.

    weights: float64[buckets].
    """
    folded = np.empty(8, np.uint8)
    hashes = np.empty(max(np.diff(offsets).max(), 1) if len(offsets) > 1 else 1, np.uint64)
    buckets = np.uint64(len(weights))
    for row in range(len(offsets) - 1):
        words = word_hashes(data, offsets[row], offsets[row + 1], t, folded, hashes)
        total = 0.0
        for i in range(words):
            value = hashes[i]
            total += weights[value % buckets]
            for j in range(i + 1, min(i + ngrams, words)):
                value = longer(value, hashes[j])
                total += weights[value % buckets]
        out[row] = total
    return len(offsets) - 1


@kernel
def gumbel_keys(
    scores: NDArray[np.float64], doc_id: NDArray[np.uint64], seed: np.uint64, out: NDArray[np.float64]
) -> int:
    """Score plus a draw of the standard Gumbel distribution, seeded by the doc_id. out: float64[n]. Returns n.

    The k greatest keys are a sample of k documents without replacement, each drawn with probability proportional to
    exp(score) (Vieira 2014; DSIR, section 3).
    """
    start = mix64(seed + FACTOR)
    for i in range(len(scores)):
        uniform = (np.float64(mix64(mix64(doc_id[i] + FACTOR) ^ start) >> _S11) + 0.5) * _SCALE  # 0 < uniform < 1
        out[i] = scores[i] - np.log(-np.log(uniform))
    return len(scores)
