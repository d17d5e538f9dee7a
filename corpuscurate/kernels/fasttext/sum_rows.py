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

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from corpuscurate.kernels.compile import kernel, uncounted
from corpuscurate.kernels.fasttext.unknown_words import GROUP, MEMORY, Unknown, add_unknown, sum_rows
from corpuscurate.kernels.fasttext.words import (
    BLOCK,
    Vocabulary,
    ask_slot,
    begins,
    bucket_row,
    find_long,
    find_short,
    hash_token,
    next_token,
)
from corpuscurate.kernels.text.unicode import Int

NGRAM = np.uint64(116049371)
_EOS_HASH = np.uint32(3617362777)
_LABEL = np.array(list(b"__label__"), np.uint8)
_LOW32 = np.uint64(0xFFFFFFFF)
_S32 = np.uint64(32)


class Scratch(NamedTuple):
    """Scratch of `feature_sums`, for BLOCK words: where they stand, entries and hashes; rows of known words; rows of
    word n-grams, and their hashes that go on; a sum of rows."""

    starts: NDArray[np.int64]
    stops: NDArray[np.int64]
    entries: NDArray[np.int64]
    hashes: NDArray[np.uint32]
    known: NDArray[np.int32]
    ids: NDArray[np.int32]
    partial: NDArray[np.uint64]
    block: NDArray[np.float32]


@uncounted
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
    sum_rows(rows, width, ids, 0, n, 0, block)
    for j in range(width):
        out[j] += block[j]
    return 0


@uncounted
def _is_eos(data: NDArray[np.uint8], start: Int) -> bool:
    """Whether data[start:start + 4] is `</s>`."""
    return bool(data[start] == 60 and data[start + 1] == 47 and data[start + 2] == 115 and data[start + 3] == 62)


@uncounted
def read_tokens(
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
    hash. Labels are left out; `</s>`, in the text or for its end, comes last: nothing is read behind it.
    Returns how many there are, and the offset to go on from (-1: that was all)."""
    slots, words, hashing = v.slots, v.words, v.word_ngrams > 1
    found: Int = 0
    ended = False
    while found < len(out_starts) and not ended:  # where they are looked up is asked for, some words ahead
        start, stop = next_token(data, i, end)
        i = stop
        ended = start == end or (stop - start == 4 and data[start] == 60 and _is_eos(data, start))
        out_starts[found] = start
        out_stops[found] = start if ended else stop
        if not ended:
            out_entries[found] = ask_slot(slots, data, start, stop)
        found += 1
    n: Int = 0
    for t in range(found):
        start, stop = out_starts[t], out_stops[t]
        out_starts[n] = start
        out_stops[n] = stop
        if start == stop:
            out_entries[n] = v.eos
            out_hashes[n] = _EOS_HASH
            n += 1
            continue
        if stop - start < 16:
            slot = find_short(slots, data, start, stop, out_entries[t])
        else:
            slot = find_long(slots, v.data, data, start, stop, out_entries[t])
        if slot >= 0:
            entry = np.int64(slots[slot, 0] & _LOW32) - 1
            out_entries[n] = entry
            out_hashes[n] = np.uint32(slots[slot, 0] >> _S32)
            n += np.int64(entry < words)  # labels are no words
        elif data[start] != 95 or not begins(data, start, stop, _LABEL):
            out_entries[n] = -1
            out_hashes[n] = hash_token(data, start, stop) if hashing else np.uint32(0)
            n += 1
    return n, -1 if ended else i


@uncounted
def _ngram_rows(
    v: Vocabulary, hashes: NDArray[np.uint32], n: Int, partial: NDArray[np.uint64], open_: Int,
    out_rows: NDArray[np.int32],
) -> tuple[Int, Int]:  # fmt: skip
    """The rows of the word n-grams that end in hashes[:n]. partial: uint64[word_ngrams - 1], the hashes of the n-grams
    that the next word goes on, of which `open_` are in use; changed. Returns how many rows, and the new `open_`."""
    size = v.word_ngrams
    found: Int = 0
    for t in range(n):
        signed = np.uint64(np.int64(np.int32(hashes[t])))
        for k in range(open_):
            partial[k] = partial[k] * NGRAM + signed
            row = bucket_row(v, partial[k])
            out_rows[found] = row
            found += np.int64(row >= 0)
        if open_ < size - 1:
            open_ += 1
        else:
            for k in range(1, open_):
                partial[k - 1] = partial[k]
        partial[open_ - 1] = signed
    return found, open_


@uncounted
def _bigram_rows(
    v: Vocabulary, hashes: NDArray[np.uint32], n: Int, partial: NDArray[np.uint64], open_: Int,
    out_rows: NDArray[np.int32],
) -> tuple[Int, Int]:  # fmt: skip
    """`_ngram_rows` for word_ngrams = 2, the usual case."""
    before = partial[0]
    found: Int = 0
    for t in range(n):
        signed = np.uint64(np.int64(np.int32(hashes[t])))
        row = bucket_row(v, before * NGRAM + signed)
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
    longest = 0
    for row in range(len(offsets) - 1):
        longest = max(longest, offsets[row + 1] - offsets[row])
    scratch = Scratch(
        np.empty(BLOCK, np.int64),
        np.empty(BLOCK, np.int64),
        np.empty(BLOCK, np.int64),
        np.empty(BLOCK, np.uint32),
        np.empty(BLOCK, np.int32),
        np.empty(BLOCK * max(v.word_ngrams - 1, 1), np.int32),
        np.empty(max(v.word_ngrams - 1, 1), np.uint64),
        np.empty(width, np.float32),
    )
    memory = MEMORY if v.maxn > 0 else 0
    unknown = Unknown(
        np.empty(longest + 3 if v.maxn > 0 else 0, np.uint8),
        np.empty((GROUP + 1) * (BLOCK + v.maxn + 1) if v.maxn > 0 else 0, np.int32),
        np.empty(GROUP, np.int64),
        np.empty(GROUP, np.int64),
        np.empty(GROUP, np.int64),
        np.empty((GROUP, 2), np.uint64),
        np.empty((GROUP + 1) * width, np.float32),
        np.zeros((memory, 2), np.uint64),
        np.empty(memory * width, np.float32),
        np.empty(memory, np.int64),
    )
    of_words = folded if len(folded) else table
    _sum_documents(offsets, data, v, table, of_words, width, scratch, unknown, out_sums, out_counts)
    return len(offsets) - 1


@uncounted
def _sum_documents(
    offsets: NDArray[np.int64],
    data: NDArray[np.uint8],
    v: Vocabulary,
    table: NDArray[np.float32],
    of_words: NDArray[np.float32],
    width: Int,
    s: Scratch,
    u: Unknown,
    out_sums: NDArray[np.float64],
    out_counts: NDArray[np.int64],
) -> Int:
    """`feature_sums` with its scratch."""
    for row in range(len(offsets) - 1):
        at: Int = offsets[row]
        end = offsets[row + 1]
        out = out_sums[row]
        out[:] = 0.0
        count: Int = 0
        open_: Int = 0
        while at >= 0:
            size, at = read_tokens(data, at, end, v, s.starts, s.stops, s.entries, s.hashes)
            m, more = _known_rows(s.entries, size, v.counts, v.maxn > 0, s.known)
            _add_rows(of_words, width, s.known, m, s.block, out)
            count += more
            if v.word_ngrams == 2:
                n, open_ = _bigram_rows(v, s.hashes, size, s.partial, open_, s.ids)
                count += n
                _add_rows(table, width, s.ids, n, s.block, out)
            elif v.word_ngrams > 2:
                n, open_ = _ngram_rows(v, s.hashes, size, s.partial, open_, s.ids)
                count += n
                _add_rows(table, width, s.ids, n, s.block, out)
            if v.maxn > 0 and m < size:
                count += add_unknown(data, s.starts, s.stops, s.entries, size, v, table, width, u, out)
        out_counts[row] = count
    return len(offsets) - 1


@uncounted
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
