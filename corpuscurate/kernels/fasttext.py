"""A supervised fastText model over text buffers: the features of a document, summed over any table of rows.

A fastText classifier is linear up to its loss: the mean of the input rows of a document's features, times the output
matrix. So the rows summed here may be those of the model (width = dim) or products of them with the output rows that
the wanted label needs (`project_dense`, `project_codes`), formed once: 4 bytes a feature instead of 400 for a model
with 2 labels and dim 100.

What a feature is follows fastText to the letter (Joulin et al. 2016, arXiv 1607.01759; src/dictionary.cc):
- a token is a run of bytes without space, \\t, \\n, \\v, \\f, \\r and NUL; a document is one line, so that its line
  ends are spaces, and the token `</s>` ends it (in the text, too: what follows is not read);
- hashes are FNV-1a, 32 bits, over *signed* chars; a bucket's row is `words + hash % bucket`;
- a word of the dictionary gives its row and those of its character n-grams, another one its n-grams alone; n-grams are
  of `<word>`, `minn` to `maxn` characters, without the lone `<` and `>`; `</s>` has none;
- word n-grams: h = h * 116049371 + next, in 64 bits, of hashes sign-extended from 32;
- labels, and unknown tokens that begin with `__label__`, are no words;
- a pruned model maps the buckets it kept to rows, and knows no other.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from corpuscurate.kernels.compile import kernel
from corpuscurate.kernels.fasttext_words import (
    BLOCK,
    Vocabulary,
    begins,
    bracketed,
    bucket_row,
    find_long,
    find_short,
    hash_token,
    next_token,
    subwords,
)
from corpuscurate.kernels.unicode import Int

_NGRAM = np.uint64(116049371)
_EOS_HASH = np.uint32(3617362777)
_LABEL = np.array(list(b"__label__"), np.uint8)
_LOW32 = np.uint64(0xFFFFFFFF)
_S32 = np.uint64(32)


@kernel
def _add_rows(
    rows: NDArray[np.float32],
    width: Int,
    ids: NDArray[np.int32],
    n: Int,
    block: NDArray[np.float32],
    out: NDArray[np.float64],
) -> int:
    """Add the rows ids[:n] to `out`. Within a block the sum is float32, as fastText's; blocks add up in float64.
    Returns 0, the features that are now left in `ids`."""
    if width == 1:
        total = 0.0
        for feature in ids[:n]:
            total += rows[np.int64(feature)]
        out[0] += total
        return 0
    if width == 4:
        a = b = c = d = np.float32(0.0)  # named, so that they stay in registers
        for feature in ids[:n]:
            at = np.int64(feature) * 4
            a += rows[at]
            b += rows[at + 1]
            c += rows[at + 2]
            d += rows[at + 3]
        out[0] += a
        out[1] += b
        out[2] += c
        out[3] += d
        return 0
    block[:] = 0.0
    even = width & ~7
    k: Int = 0
    while k + 4 <= n:  # four rows at once: their loads overlap, and the sum is stored once
        one = np.int64(ids[k]) * width
        two = np.int64(ids[k + 1]) * width
        three = np.int64(ids[k + 2]) * width
        four = np.int64(ids[k + 3]) * width
        for first in range(0, even, 8):  # a loop of constant size is unrolled into vectors
            for j in range(first, first + 8):
                block[j] += (rows[one + j] + rows[two + j]) + (rows[three + j] + rows[four + j])
        for j in range(even, width):
            block[j] += (rows[one + j] + rows[two + j]) + (rows[three + j] + rows[four + j])
        k += 4
    while k < n:
        one = np.int64(ids[k]) * width
        for j in range(width):
            block[j] += rows[one + j]
        k += 1
    for j in range(width):
        out[j] += block[j]
    return 0


@kernel
def _is_eos(data: NDArray[np.uint8], start: Int) -> bool:
    """Whether data[start:start + 4] is `</s>`."""
    return bool(data[start] == 60 and data[start + 1] == 47 and data[start + 2] == 115 and data[start + 3] == 62)


@kernel
def _read_tokens(
    data: NDArray[np.uint8],
    i: Int,
    end: Int,
    v: Vocabulary,
    out_starts: NDArray[np.int64],
    out_stops: NDArray[np.int64],
    out_entries: NDArray[np.int64],
    out_hashes: NDArray[np.uint32],
) -> tuple[Int, Int]:
    """The next words of data[i:end], as many as the out arrays hold: where they stand, their entry (-1: none) and
    hash. Labels are left out; `</s>`, in the text or for its end, comes last, from a place on which nothing is read.
    Returns how many there are, and the place to go on from (-1: that was all)."""
    slots, entries = v.slots, v.data
    words, eos, hashing = v.words, v.eos, v.word_ngrams > 1
    n = 0
    while n < len(out_starts):
        start, stop = next_token(data, i, end)
        i = stop
        if start == end or (stop - start == 4 and data[start] == 60 and _is_eos(data, start)):
            out_starts[n] = start
            out_stops[n] = start
            out_entries[n] = eos
            out_hashes[n] = _EOS_HASH
            return n + 1, -1
        if stop - start < 16:
            slot = find_short(slots, data, start, stop)
        else:
            slot = find_long(slots, entries, data, start, stop)
        if slot >= 0:
            entry = np.int64(slots[slot, 0] & _LOW32) - 1
            out_entries[n] = entry
            out_hashes[n] = np.uint32(slots[slot, 0] >> _S32)
            if entry >= words:
                continue
        else:
            if data[start] == 95 and begins(data, start, stop, _LABEL):
                continue
            out_entries[n] = -1
            out_hashes[n] = hash_token(data, start, stop) if hashing else np.uint32(0)
        out_starts[n] = start
        out_stops[n] = stop
        n += 1
    return n, i


@kernel
def _ngram_rows(
    v: Vocabulary, hashes: NDArray[np.uint32], n: Int, partial: NDArray[np.uint64], open_: Int,
    out_rows: NDArray[np.int32],
) -> tuple[Int, Int]:  # fmt: skip
    """The rows of the word n-grams that end in hashes[:n]. partial: uint64[word_ngrams - 1], the hashes of the n-grams
    that the next word goes on, of which `open_` are in use; changed. Returns how many rows, and the new `open_`."""
    remap, words, size = v.remap, v.words, v.word_ngrams
    bucket = np.uint64(v.bucket)
    found: Int = 0
    for t in range(n):
        signed = np.uint64(np.int64(np.int32(hashes[t])))
        for k in range(open_):
            partial[k] = partial[k] * _NGRAM + signed
            row = bucket_row(remap, words, np.int64(partial[k] % bucket))
            out_rows[found] = row
            found += np.int64(row >= 0)
        if open_ < size - 1:
            open_ += 1
        else:
            for k in range(1, open_):
                partial[k - 1] = partial[k]
        partial[open_ - 1] = signed
    return found, open_


@kernel
def _bigram_rows(
    v: Vocabulary, hashes: NDArray[np.uint32], n: Int, partial: NDArray[np.uint64], open_: Int,
    out_rows: NDArray[np.int32],
) -> tuple[Int, Int]:  # fmt: skip
    """`_ngram_rows` for word_ngrams = 2, the usual case."""
    remap, words = v.remap, v.words
    bucket = np.uint64(v.bucket)
    before = partial[0]
    found: Int = 0
    for t in range(n):
        signed = np.uint64(np.int64(np.int32(hashes[t])))
        row = bucket_row(remap, words, np.int64((before * _NGRAM + signed) % bucket))
        out_rows[found] = row
        found += np.int64(row >= 0) & np.int64(open_ > 0)
        open_ = 1
        before = signed
    partial[0] = before
    return found, open_


@kernel
def feature_sums(
    offsets: NDArray[np.int64],
    data: NDArray[np.uint8],
    v: Vocabulary,
    table: NDArray[np.float32],
    folded: NDArray[np.float32],
    width: int,
    out_sums: NDArray[np.float64],
    out_counts: NDArray[np.int64],
) -> int:
    """Sum the rows of each document's features.

    table: float32[rows * width]. folded: float32[words * width], instead of the first rows of `table` (see
    `fold_subwords`), or empty; it must be empty where width = 1. out_sums: float64[n, width]. out_counts: int64[n],
    the features. A document's result depends on nothing but its bytes. Returns n.
    """
    of_words = folded if len(folded) else table
    starts = np.empty(BLOCK, np.int64)
    stops = np.empty(BLOCK, np.int64)
    entries = np.empty(BLOCK, np.int64)
    hashes = np.empty(BLOCK, np.uint32)
    known = np.empty(BLOCK, np.int32)
    ids = np.empty(BLOCK * max(v.word_ngrams - 1, 1) + v.maxn + 1, np.int32)
    partial = np.empty(max(v.word_ngrams - 1, 1), np.uint64)
    block = np.empty(width, np.float32)
    token = np.empty(256, np.uint8)
    shape = (v.words, v.bucket, v.minn, v.maxn)
    for row in range(len(offsets) - 1):
        at: Int = offsets[row]
        end = offsets[row + 1]
        out = out_sums[row]
        out[:] = 0.0
        count: Int = 0
        open_: Int = 0
        while at >= 0:
            size, at = _read_tokens(data, at, end, v, starts, stops, entries, hashes)
            m, more = _known_rows(entries, size, v.counts, v.maxn > 0, known)
            _add_rows(of_words, width, known, m, block, out)
            count += more
            if v.word_ngrams == 2:
                n, open_ = _bigram_rows(v, hashes, size, partial, open_, ids)
                count += n
                _add_rows(table, width, ids, n, block, out)
            elif v.word_ngrams > 2:
                n, open_ = _ngram_rows(v, hashes, size, partial, open_, ids)
                count += n
                _add_rows(table, width, ids, n, block, out)
            if v.maxn > 0 and m < size:
                n = 0
                for t in range(size):
                    if entries[t] >= 0 or starts[t] == stops[t]:
                        continue
                    token = bracketed(data, starts[t], stops[t], token)
                    length = stops[t] - starts[t] + 2
                    k: Int = 0
                    while k < length:
                        before = n
                        k, n = subwords(shape, v.remap, token, length, k, ids, n)
                        count += n - before
                        if k < length:
                            n = _add_rows(table, width, ids, n, block, out)
                _add_rows(table, width, ids, n, block, out)
        out_counts[row] = count
    return len(offsets) - 1


@kernel
def _known_rows(
    entries: NDArray[np.int64], n: Int, counts: NDArray[np.int64], counting: bool, out_rows: NDArray[np.int32]
) -> tuple[Int, Int]:
    """The rows of the words that have one, and how many features they stand for."""
    found: Int = 0
    features: Int = 0
    for t in range(n):
        entry = entries[t]
        out_rows[found] = entry
        if entry >= 0:
            found += 1
            features += counts[entry] if counting else 1
    return found, features


@kernel
def list_features(data: NDArray[np.uint8], start: Int, end: Int, v: Vocabulary, out: NDArray[np.int32]) -> Int:
    """The rows of a document's features, in fastText's order, without sums: a dictionary word's row is followed by
    those of its character n-grams, and word n-grams come last. Fills `out` as far as it goes; returns their number."""
    shape = (v.words, v.bucket, v.minn, v.maxn)
    starts = np.empty(BLOCK, np.int64)
    stops = np.empty(BLOCK, np.int64)
    entries = np.empty(BLOCK, np.int64)
    hashes = np.empty(BLOCK, np.uint32)
    ids = np.empty(BLOCK + v.maxn, np.int32)
    token = np.empty(256, np.uint8)
    all_hashes = np.empty(BLOCK, np.uint32)
    tokens: Int = 0
    total: Int = 0
    at = start
    while at >= 0:
        size, at = _read_tokens(data, at, end, v, starts, stops, entries, hashes)
        if tokens + size > len(all_hashes):
            grown = np.empty(2 * len(all_hashes), np.uint32)
            grown[:tokens] = all_hashes[:tokens]
            all_hashes = grown
        for t in range(size):
            all_hashes[tokens] = hashes[t] if v.word_ngrams > 1 else np.uint32(0)
            tokens += 1
            if entries[t] >= 0:
                if total < len(out):
                    out[total] = entries[t]
                total += 1
            if v.maxn == 0 or starts[t] == stops[t]:
                continue
            token = bracketed(data, starts[t], stops[t], token)
            length = stops[t] - starts[t] + 2
            k: Int = 0
            while k < length:
                k, n = subwords(shape, v.remap, token, length, k, ids, 0)
                for j in range(n):
                    if total + j < len(out):
                        out[total + j] = ids[j]
                total += n
    for a in range(tokens):
        whole = np.uint64(np.int64(np.int32(all_hashes[a])))
        for b in range(a + 1, min(tokens, a + v.word_ngrams)):
            whole = whole * _NGRAM + np.uint64(np.int64(np.int32(all_hashes[b])))
            row = bucket_row(v.remap, v.words, np.int64(whole % np.uint64(v.bucket)))
            if row >= 0:
                if total < len(out):
                    out[total] = row
                total += 1
    return total
