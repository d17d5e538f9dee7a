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
_EOS = np.array(list(b"</s>"), np.uint8)
_EOS_HASH = np.uint32(3617362777)
_LABEL = np.array(list(b"__label__"), np.uint8)
_LOW32 = np.uint64(0xFFFFFFFF)
_ONE = np.uint64(1)
_S3 = np.uint64(3)
_S32 = np.uint64(32)
_S64 = np.uint64(64)
_ALL = np.uint64(0xFFFFFFFFFFFFFFFF)

_SMALL = np.uint64(1 << 16)

BLOCK = 2048
"""Features gathered before their rows are summed: it bounds the scratch memory, whatever a document's size."""


class Vocabulary(NamedTuple):
    """The dictionary of a model, for lookup.

    data: uint8[...], bytes in which entry i is data[starts[i]:stops[i]]. slots: uint64[capacity, 2], open addressing,
    capacity a power of two: hash << 32 | entry + 1 (0: empty), and the entry's first 8 bytes, little-endian, padded
    with zeros (entries hold no NUL). remap: int32[bucket], row of each bucket after the words or -1; empty: bucket i is
    row i. counts: int64[words], features that a word stands for (its row in the summed table is theirs summed).
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
def _hash(data: NDArray[np.uint8], start: Int, stop: Int) -> np.uint32:
    h = _FNV_START
    for i in range(start, stop):
        h = np.uint32((h ^ np.uint32(np.int8(data[i]))) * _FNV_PRIME)
    return h


@kernel
def _first8(data: NDArray[np.uint8], start: Int, stop: Int) -> np.uint64:
    """The first 8 bytes of data[start:stop], little-endian, padded with zeros."""
    size = stop - start
    if size and start + 8 <= len(data):
        return load64(data, int(start)) & (_ALL >> (_S64 - np.uint64(8 * min(size, 8))))  # no branch on the size
    word = np.uint64(0)
    for i in range(min(size, 8)):
        word |= np.uint64(data[start + i]) << np.uint64(8 * i)
    return word


@kernel
def _same(
    data: NDArray[np.uint8], start: Int, stop: Int, other: NDArray[np.uint8], other_start: Int, other_stop: int
) -> bool:
    """Whether two runs of at least 8 bytes, whose first 8 are equal, are equal."""
    size = stop - start
    if size != other_stop - other_start:
        return False
    if load64(data, int(stop) - 8) != load64(other, int(other_stop) - 8):
        return False
    for i in range(8, size - 8):  # noqa: SIM110 (a loop, not a generator)
        if data[start + i] != other[other_start + i]:
            return False
    return True


@kernel
def fill_slots(
    data: NDArray[np.uint8], starts: NDArray[np.int64], stops: NDArray[np.int64], slots: NDArray[np.uint64]
) -> Int:
    """Hash all entries into `slots` (zeros; see `Vocabulary`); of equal entries the last one counts. Returns their
    number."""
    mask = np.int64(len(slots) - 1)
    for i in range(len(starts)):
        h = _hash(data, starts[i], stops[i])
        first = _first8(data, starts[i], stops[i])
        at = np.int64(h) & mask
        while slots[at, 0] != 0:
            j = np.int64(slots[at, 0] & _LOW32) - 1
            short = stops[i] - starts[i] < 8 and stops[j] - starts[j] < 8
            if slots[at, 1] == first and (short or _same(data, starts[i], stops[i], data, starts[j], stops[j])):
                break
            at = (at + 1) & mask
        slots[at, 0] = np.uint64(h) << _S32 | np.uint64(i + 1)
        slots[at, 1] = first
    return len(starts)


@kernel
def find_entry(
    slots: NDArray[np.uint64],
    entries: NDArray[np.uint8],
    starts: NDArray[np.int64],
    stops: NDArray[np.int64],
    data: NDArray[np.uint8],
    start: Int,
    stop: Int,
    h: np.uint32,
) -> Int:
    """The entry equal to data[start:stop], whose hash is h, or -1. slots, starts, stops: see `Vocabulary`; entries:
    its data."""
    mask = np.int64(len(slots) - 1)
    first = _first8(data, start, stop)
    at = np.int64(h) & mask
    while True:
        slot = slots[at, 0]
        if slot == 0:
            return -1
        if slot >> _S32 == np.uint64(h) and slots[at, 1] == first:
            entry = np.int64(slot & _LOW32) - 1
            if stop - start < 8 or _same(data, start, stop, entries, starts[entry], stops[entry]):
                return entry
        at = (at + 1) & mask


@kernel
def _next_token(data: NDArray[np.uint8], i: Int, end: Int) -> tuple[Int, Int, np.uint32]:
    """Start, stop and hash of the next token of data[i:end]; start = end where there is none."""
    while i < end and data[i] <= 32 and (_SPACES >> np.uint64(data[i])) & _ONE:
        i += 1
    start = i
    h = _FNV_START
    while i < end:
        byte = data[i]
        if byte <= 32 and (_SPACES >> np.uint64(byte)) & _ONE:
            break
        h = np.uint32((h ^ np.uint32(np.int8(byte))) * _FNV_PRIME)
        i += 1
    return start, i, h


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
def feature_sums(
    offsets: NDArray[np.int64],
    data: NDArray[np.uint8],
    v: Vocabulary,
    table: NDArray[np.float32],
    folded: NDArray[np.float32],
    width: Int,
    out_sums: NDArray[np.float64],
    out_counts: NDArray[np.int64],
) -> Int:
    """Sum the rows of each document's features.

    table: float32[rows * width]. folded: float32[words * width], instead of the first rows of `table` (see
    `fold_subwords`), or empty; it must be empty where width = 1. out_sums: float64[n, width]. out_counts: int64[n],
    the features. A document's result depends on nothing but its bytes. Returns n.
    """
    entries, begins, ends, slots, remap = v.data, v.starts, v.stops, v.slots, v.remap
    shape = (v.words, v.bucket, v.minn, v.maxn)
    of_words = folded if len(folded) else table
    known = np.empty(BLOCK, np.int32)
    ids = np.empty(max(BLOCK, v.maxn + v.word_ngrams + 1), np.int32)
    token = np.empty(256, np.uint8)
    block = np.empty(width, np.float32)
    starts = np.empty(max(v.word_ngrams - 1, 1), np.uint64)  # hashes of the n-grams that the next word goes on
    room = len(ids) - v.word_ngrams - 1
    bucket = np.uint64(v.bucket)
    inverse = 1.0 / max(v.bucket, 1)
    previous = np.uint64(0)
    words, word_ngrams, maxn, eos, counts = v.words, v.word_ngrams, v.maxn, v.eos, v.counts
    for row in range(len(offsets) - 1):
        i = offsets[row]
        end = offsets[row + 1]
        out = out_sums[row]
        out[:] = 0.0
        count = np.int64(0)
        n: Int = 0
        m = 0
        open_ngrams = 0
        ended = False
        while not ended:
            start, stop, h = _next_token(data, i, end)
            i = stop
            entry: Int = -1
            if start == end:
                ended = True
                h = _EOS_HASH
                entry = eos
            else:
                entry = find_entry(slots, entries, begins, ends, data, start, stop, h)
                if entry >= words:
                    continue
                if h == _EOS_HASH and stop - start == 4 and _begins(data, start, stop, _EOS):
                    ended = True
                elif entry < 0 and data[start] == 95 and _begins(data, start, stop, _LABEL):
                    continue
            if entry >= 0:
                known[m] = entry
                m += 1
                count += counts[entry] if maxn > 0 else 1
                if m == BLOCK:
                    m = _add_rows(of_words, width, known, m, block, out)
            elif maxn > 0 and not ended:
                token = _bracketed(data, start, stop, token)
                size = stop - start + 2
                at: Int = 0
                while at < size:
                    before = n
                    at, n = _subwords(shape, remap, token, size, at, ids, n)
                    count += n - before
                    if at < size:
                        n = _add_rows(table, width, ids, n, block, out)
            if n >= room:
                n = _add_rows(table, width, ids, n, block, out)
            signed = np.uint64(np.int64(np.int32(h)))
            if word_ngrams == 2:  # the usual case, without the loop
                if open_ngrams:
                    row_of = _bucket_row(remap, words, np.int64(_modulo(previous * _NGRAM + signed, bucket, inverse)))
                    ids[n] = row_of
                    kept = np.int64(row_of >= 0)
                    n += kept
                    count += kept
                open_ngrams = 1
                previous = signed
            elif word_ngrams > 1:
                for k in range(open_ngrams):
                    starts[k] = starts[k] * _NGRAM + signed
                    row_of = _bucket_row(remap, words, np.int64(_modulo(starts[k], bucket, inverse)))
                    if row_of >= 0:
                        ids[n] = row_of
                        n += 1
                        count += 1
                if open_ngrams < word_ngrams - 1:
                    open_ngrams += 1
                else:
                    for k in range(1, open_ngrams):
                        starts[k - 1] = starts[k]
                starts[open_ngrams - 1] = signed
        _add_rows(of_words, width, known, m, block, out)
        _add_rows(table, width, ids, n, block, out)
        out_counts[row] = count
    return len(offsets) - 1


@kernel
def list_features(data: NDArray[np.uint8], start: Int, end: Int, v: Vocabulary, out: NDArray[np.int32]) -> Int:
    """The rows of a document's features, in fastText's order, without sums: a dictionary word's row is followed by
    those of its character n-grams, and word n-grams come last. Fills `out` as far as it goes; returns their number."""
    entries, begins, ends, slots, remap = v.data, v.starts, v.stops, v.slots, v.remap
    shape = (v.words, v.bucket, v.minn, v.maxn)
    ids = np.empty(max(BLOCK, v.maxn + 1), np.int32)
    token = np.empty(256, np.uint8)
    hashes = np.empty(64, np.uint64)
    tokens = 0
    total: Int = 0
    i: Int = start
    ended = False
    while not ended:
        first, stop, h = _next_token(data, i, end)
        i = stop
        if first == end:
            ended = True
            h = _EOS_HASH
            entry: Int = v.eos
        else:
            entry = find_entry(slots, entries, begins, ends, data, first, stop, h)
            if entry >= v.words:
                continue
            if stop - first == 4 and _begins(data, first, stop, _EOS):
                ended = True
            elif entry < 0 and _begins(data, first, stop, _LABEL):
                continue
        if entry >= 0:
            if total < len(out):
                out[total] = entry
            total += 1
        if v.maxn > 0 and not ended:
            token = _bracketed(data, first, stop, token)
            at: Int = 0
            while at < stop - first + 2:
                at, n = _subwords(shape, remap, token, stop - first + 2, at, ids, 0)
                for k in range(n):
                    if total + k < len(out):
                        out[total + k] = ids[k]
                total += n
        if tokens == len(hashes):
            grown = np.empty(2 * tokens, np.uint64)
            grown[:tokens] = hashes
            hashes = grown
        hashes[tokens] = np.uint64(np.int64(np.int32(h)))
        tokens += 1
    for a in range(tokens):
        whole = hashes[a]
        for b in range(a + 1, min(tokens, a + v.word_ngrams)):
            whole = whole * _NGRAM + hashes[b]
            row = _bucket_row(remap, v.words, np.int64(whole % np.uint64(v.bucket)))
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
