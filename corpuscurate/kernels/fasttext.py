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

from corpuscurate.kernels.compile import kernel
from corpuscurate.kernels.hashing import load64
from corpuscurate.kernels.unicode import Int

_FNV_START = np.uint32(2166136261)
_FNV_PRIME = np.uint32(16777619)
_NGRAM = np.uint64(116049371)
_SPACES = np.uint64(1 << 0 | 1 << 9 | 1 << 10 | 1 << 11 | 1 << 12 | 1 << 13 | 1 << 32)
_EOS_HASH = np.uint32(3617362777)
_LABEL = np.array(list(b"__label__"), np.uint8)
_LOW32 = np.uint64(0xFFFFFFFF)
_ONE = np.uint64(1)
_S3 = np.uint64(3)
_S7 = np.uint64(7)
_S32 = np.uint64(32)
_S56 = np.uint64(56)
_S64 = np.uint64(64)
_BYTES1 = np.uint64(0x0101010101010101)
_BYTES33 = np.uint64(0x2121212121212121)
_BYTES128 = np.uint64(0x8080808080808080)
_LONG = np.uint64(1 << 56)
_SPREAD1 = np.uint64(0x9E3779B97F4A7C15)
_SPREAD2 = np.uint64(0xBF58476D1CE4E5B9)
_ALL = np.uint64(0xFFFFFFFFFFFFFFFF)

_SMALL = np.uint64(1 << 16)

BLOCK = 512
"""Features gathered before their rows are summed: it bounds the scratch memory, whatever a document's size."""


class Vocabulary(NamedTuple):
    """The dictionary of a model, for lookup.

    data: uint8[...], bytes in which entry i is data[starts[i]:stops[i]]. slots: uint64[capacity, 4], open addressing
    by `_spot`, capacity a power of two: FNV hash << 32 | entry + 1 (0: empty), the entry's first 8 bytes, `_rest`,
    and its start. Half a cache line, so that a word of at most 15 bytes costs one look.
    remap: int32[bucket], row of each bucket after the words or -1; empty: bucket i is row i.
    counts: int64[words], features that a word stands for (its row in the summed table is theirs summed).
    """

    data: NDArray[np.uint8]
    starts: NDArray[np.int64]
    stops: NDArray[np.int64]
    slots: NDArray[np.uint64]
    remap: NDArray[np.int32]
    counts: NDArray[np.int64]
    words: int
    eos: int
    bucket: int
    minn: int
    maxn: int
    word_ngrams: int


@kernel
def scan_entries(
    data: NDArray[np.uint8],
    at: Int,
    starts: NDArray[np.int64],
    stops: NDArray[np.int64],
    counts: NDArray[np.int64],
    kinds: NDArray[np.int8],
) -> Int:
    """Read a dictionary's entries (bytes up to NUL, int64 count, int8 kind) from data[at:]; out arrays have one
    place an entry. Returns the offset behind the last one, or -1 - i when entry i runs beyond the data."""
    size = len(data)
    for i in range(len(starts)):
        starts[i] = at
        while at < size and data[at] != 0:
            at += 1
        if at + 10 > size:
            return -1 - i
        stops[i] = at
        counts[i] = np.int64(load64(data, int(at) + 1))
        kinds[i] = np.int8(data[at + 9])
        at += 10
    return at


@kernel
def hash_token(data: NDArray[np.uint8], start: Int, stop: Int) -> np.uint32:
    """FNV-1a of data[start:stop], 32 bits, over signed chars."""
    h = _FNV_START
    for i in range(start, stop):
        h = np.uint32((h ^ np.uint32(np.int8(data[i]))) * _FNV_PRIME)
    return h


@kernel
def _eight(data: NDArray[np.uint8], start: Int, stop: Int) -> np.uint64:
    """The first 8 bytes of data[start:stop], little-endian, padded with zeros; 0 where stop <= start."""
    size = min(max(np.int64(stop - start), np.int64(0)), np.int64(8))
    if start + 8 <= len(data):  # no branch on the size: it would be guessed wrong too often
        half = np.uint64(4 * size)
        return load64(data, int(start)) & (((_ONE << half) << half) - _ONE)
    word = np.uint64(0)
    for i in range(size):
        word |= np.uint64(data[start + i]) << np.uint64(8 * i)
    return word


@kernel
def _rest(data: NDArray[np.uint8], start: Int, stop: Int) -> np.uint64:
    """Bytes 8..15 of data[start:stop] where it has at most 15, so that with the first 8 they are all of it; of a
    longer run a hash of these, its last 8 and its size, with a highest byte that short ones do not have."""
    second = _eight(data, start + 8, stop)
    if stop - start < 16:
        return second
    return (second ^ load64(data, int(stop) - 8) * _SPREAD1 ^ np.uint64(stop - start)) * _SPREAD2 | _LONG


@kernel
def _is_entry(entries: NDArray[np.uint8], at: Int, data: NDArray[np.uint8], start: Int, stop: Int) -> bool:
    """Whether the entry that begins at `at`, and ends before the next NUL, is data[start:stop]."""
    size = stop - start
    k: Int = 8
    while k + 8 <= size and load64(entries, int(at + k)) == load64(data, int(start + k)):
        k += 8
    while k < size and entries[at + k] == data[start + k]:
        k += 1
    return k == size and entries[at + size] == 0


@kernel
def _spot(first: np.uint64, second: np.uint64, mask: np.int64) -> np.int64:
    """Where a lookup begins: cheaper than FNV, which takes a multiplication a byte."""
    mixed = (first * _SPREAD1 ^ second) * _SPREAD2
    return np.int64((mixed ^ mixed >> _S32) >> np.uint64(13)) & mask


@kernel
def fill_slots(
    data: NDArray[np.uint8], starts: NDArray[np.int64], stops: NDArray[np.int64], slots: NDArray[np.uint64]
) -> Int:
    """Enter all entries into `slots` (zeros; see `Vocabulary`); of equal entries the last one counts. Returns their
    number."""
    mask = np.int64(len(slots) - 1)
    for i in range(len(starts)):
        first = _eight(data, starts[i], stops[i])
        second = _rest(data, starts[i], stops[i])
        at = _spot(first, second, mask)
        while slots[at, 0] != 0:
            same = slots[at, 1] == first and slots[at, 2] == second
            if same and stops[i] - starts[i] >= 16:
                same = _is_entry(data, np.int64(slots[at, 3]), data, starts[i], stops[i])
            if same:
                break
            at = (at + 1) & mask
        slots[at, 0] = np.uint64(hash_token(data, starts[i], stops[i])) << _S32 | np.uint64(i + 1)
        slots[at, 1] = first
        slots[at, 2] = second
        slots[at, 3] = starts[i]
    return len(starts)


@kernel
def find_short(slots: NDArray[np.uint64], data: NDArray[np.uint8], start: Int, stop: Int) -> Int:
    """The slot of the entry equal to data[start:stop], of at most 15 bytes, or -1. slots: see `Vocabulary`. Small,
    so that it is compiled into its caller: a call with arrays costs more than the lookup."""
    mask = np.int64(len(slots) - 1)
    first = _eight(data, start, stop)
    second = _eight(data, start + 8, stop)
    at = _spot(first, second, mask)
    while slots[at, 0] != 0 and (slots[at, 1] != first or slots[at, 2] != second):
        at = (at + 1) & mask
    return at if slots[at, 0] != 0 else -1


@kernel
def find_long(
    slots: NDArray[np.uint64], entries: NDArray[np.uint8], data: NDArray[np.uint8], start: Int, stop: Int
) -> Int:
    """`find_short` for at least 16 bytes. entries: the dictionary's data."""
    mask = np.int64(len(slots) - 1)
    first = _eight(data, start, stop)
    second = _rest(data, start, stop)
    at = _spot(first, second, mask)
    while slots[at, 0] != 0:
        same = slots[at, 1] == first and slots[at, 2] == second
        if same and _is_entry(entries, np.int64(slots[at, 3]), data, start, stop):
            return at
        at = (at + 1) & mask
    return -1


@kernel
def _next_token(data: NDArray[np.uint8], i: Int, end: Int) -> tuple[Int, Int]:
    """Start and stop of the next token of data[i:end]; start = end where there is none."""
    while i < end and data[i] <= 32 and (_SPACES >> np.uint64(data[i])) & _ONE:
        i += 1
    start = i
    while i + 8 <= end:  # 8 bytes at once: the lowest marked byte is the first one of at most 32
        word = load64(data, int(i))
        low = (word - _BYTES33) & ~word & _BYTES128
        if low == 0:
            i += 8
            continue
        below = ((low & (~low + _ONE)) >> _S7) - _ONE
        i += np.int64((below & _BYTES1) * _BYTES1 >> _S56)
        if (_SPACES >> np.uint64(data[i])) & _ONE:
            return start, i
        i += 1  # a control character that is no space
    while i < end and not (data[i] <= 32 and (_SPACES >> np.uint64(data[i])) & _ONE):
        i += 1
    return start, i


@kernel
def _begins(data: NDArray[np.uint8], start: Int, stop: Int, with_: NDArray[np.uint8]) -> bool:
    if stop - start < len(with_):
        return False
    for i in range(len(with_)):  # noqa: SIM110
        if data[start + i] != with_[i]:
            return False
    return True


@kernel
def _bucket_row(remap: NDArray[np.int32], words: int, bucket: Int) -> Int:
    """The row of a bucket, or -1 where a pruned model has none."""
    if len(remap) == 0:
        return words + bucket
    row = np.int64(remap[bucket])
    return words + row if row >= 0 else -1


@kernel
def _modulo(h: np.uint64, divisor: np.uint64, inverse: float) -> np.uint64:
    """h % divisor without a division where it can be had: the quotient's float is wrong by less than 1 then."""
    if divisor < _SMALL:
        return h % divisor
    rest = np.int64(h - np.uint64(np.float64(h) * inverse) * divisor)
    if rest < 0:
        return np.uint64(rest) + divisor
    return np.uint64(rest) - divisor if np.uint64(rest) >= divisor else np.uint64(rest)


@kernel
def _bracketed(data: NDArray[np.uint8], start: Int, stop: Int, room: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """`<` + data[start:stop] + `>` and a NUL, at the front of `room` or of a larger array."""
    size = stop - start
    if size + 3 > len(room):
        room = np.empty(2 * size + 3, np.uint8)
    room[0] = 60
    for i in range(size):
        room[i + 1] = data[start + i]
    room[size + 1] = 62
    room[size + 2] = 0
    return room


@kernel
def _subwords(
    shape: tuple[int, int, int, int],
    remap: NDArray[np.int32],
    token: NDArray[np.uint8],
    size: Int,
    i: Int,
    ids: NDArray[np.int32],
    n: Int,
) -> tuple[Int, Int]:
    """Append the rows of the character n-grams of token[:size] that begin at byte i or later, as far as there is
    room in `ids` (n are in use, and one more is scratch); a NUL follows the token. shape: words, bucket, minn, maxn.
    Returns the byte to go on from (size when done), and the new n.
    """
    words, buckets, minn, maxn = shape
    bucket = np.uint32(buckets)
    while i < size:
        if token[i] & 0xC0 == 0x80:
            i += 1
            continue
        if n + maxn >= len(ids):
            break
        h = _FNV_START
        j = i
        length: Int = 0
        while j < size and length < maxn:  # no branch on what the bytes are: it would be guessed wrong too often
            h = np.uint32((h ^ np.uint32(np.int8(token[j]))) * _FNV_PRIME)
            j += 1
            whole = np.int64(token[j] & 0xC0 != 0x80)
            length += whole
            row = _bucket_row(remap, words, np.int64(h % bucket))
            ids[n] = row
            lone = np.int64(length == 1) & (np.int64(i == 0) | np.int64(j == size))
            n += whole & np.int64(length >= minn) & (lone ^ 1) & np.int64(row >= 0)
        i += 1
    return i, n


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
        start, stop = _next_token(data, i, end)
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
            if data[start] == 95 and _begins(data, start, stop, _LABEL):
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
            row = _bucket_row(remap, words, np.int64(partial[k] % bucket))
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
        row = _bucket_row(remap, words, np.int64((before * _NGRAM + signed) % bucket))
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
                    token = _bracketed(data, starts[t], stops[t], token)
                    length = stops[t] - starts[t] + 2
                    k: Int = 0
                    while k < length:
                        before = n
                        k, n = _subwords(shape, v.remap, token, length, k, ids, n)
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
            token = _bracketed(data, starts[t], stops[t], token)
            length = stops[t] - starts[t] + 2
            k: Int = 0
            while k < length:
                k, n = _subwords(shape, v.remap, token, length, k, ids, 0)
                for j in range(n):
                    if total + j < len(out):
                        out[total + j] = ids[j]
                total += n
    for a in range(tokens):
        whole = np.uint64(np.int64(np.int32(all_hashes[a])))
        for b in range(a + 1, min(tokens, a + v.word_ngrams)):
            whole = whole * _NGRAM + np.uint64(np.int64(np.int32(all_hashes[b])))
            row = _bucket_row(v.remap, v.words, np.int64(whole % np.uint64(v.bucket)))
            if row >= 0:
                if total < len(out):
                    out[total] = row
                total += 1
    return total


@kernel
def fold_subwords(
    v: Vocabulary, table: NDArray[np.float32], width: Int, out_rows: NDArray[np.float32], out_counts: NDArray[np.int64]
) -> Int:
    """For each word of the dictionary its row plus those of its character n-grams, and how many these are.

    out_rows: float32[words * width]. out_counts: int64[words]. Returns words.
    """
    shape = (v.words, v.bucket, v.minn, v.maxn)
    ids = np.empty(max(BLOCK, v.maxn + 1), np.int32)
    token = np.empty(256, np.uint8)
    total = np.empty(width, np.float64)
    for word in range(v.words):
        for c in range(width):
            total[c] = table[word * width + c]
        count = np.int64(1)
        size = v.stops[word] - v.starts[word] + 2
        token = _bracketed(v.data, v.starts[word], v.stops[word], token)
        at: Int = size if word == v.eos else 0
        while at < size:
            at, n = _subwords(shape, v.remap, token, size, at, ids, 0)
            count += n
            for k in range(n):
                for c in range(width):
                    total[c] += table[np.int64(ids[k]) * width + c]
        for c in range(width):
            out_rows[word * width + c] = total[c]
        out_counts[word] = count
    return v.words


@kernel
def project_dense(
    rows: NDArray[np.float32], outputs: NDArray[np.float64], width: Int, out_table: NDArray[np.float32]
) -> bool:
    """Products of each input row with each output row, added in a fixed order, so that they repeat to the byte.

    rows: float32[m, dim]. outputs: float64[columns, dim]. out_table: float32[m * width], zeros, width >= columns.
    Returns whether all products are finite.
    """
    finite = True
    for i in range(len(rows)):
        for c in range(len(outputs)):
            one = two = three = four = 0.0
            j = 0
            while j + 4 <= rows.shape[1]:
                one += rows[i, j] * outputs[c, j]
                two += rows[i, j + 1] * outputs[c, j + 1]
                three += rows[i, j + 2] * outputs[c, j + 2]
                four += rows[i, j + 3] * outputs[c, j + 3]
                j += 4
            while j < rows.shape[1]:
                one += rows[i, j] * outputs[c, j]
                j += 1
            product = (one + two) + (three + four)
            finite = finite and np.isfinite(product)
            out_table[i * width + c] = product
    return finite


@kernel
def project_codes(
    codes: NDArray[np.uint8],
    norms: NDArray[np.float32],
    products: NDArray[np.float64],
    width: Int,
    out_table: NDArray[np.float32],
) -> bool:
    """`project_dense` for a quantised matrix. codes: uint8[m, parts]. norms: float32[m], or empty for all 1.
    products: float64[columns, parts, 256], of each centroid with the output row's part."""
    finite = True
    for i in range(len(codes)):
        norm = norms[i] if len(norms) else np.float32(1.0)
        for c in range(len(products)):
            total = np.float64(0.0)
            for part in range(codes.shape[1]):
                total += products[c, part, codes[i, part]]
            total *= norm
            finite = finite and np.isfinite(total)
            out_table[i * width + c] = total
    return finite
