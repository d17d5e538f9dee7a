"""Words of a fastText model: tokens of a text, their hashes, the dictionary, character n-grams.

The definitions stand in `kernels.fasttext`, which sums the rows that come of them.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from corpuscurate.kernels.compile import uncounted
from corpuscurate.kernels.hashing import load64
from corpuscurate.kernels.simd.rows import high_product, prefetch
from corpuscurate.kernels.text.unicode import Int

_FNV_START = np.uint32(2166136261)
_FNV_PRIME = np.uint32(16777619)
_SPACES = np.uint64(1 << 0 | 1 << 9 | 1 << 10 | 1 << 11 | 1 << 12 | 1 << 13 | 1 << 32)
_ONE = np.uint64(1)
_S7 = np.uint64(7)
_S32 = np.uint64(32)
_S56 = np.uint64(56)
_BYTES1 = np.uint64(0x0101010101010101)
_BYTES33 = np.uint64(0x2121212121212121)
_BYTES128 = np.uint64(0x8080808080808080)
_LONG = np.uint64(1 << 56)
_SPREAD1 = np.uint64(0x9E3779B97F4A7C15)
_SPREAD2 = np.uint64(0xBF58476D1CE4E5B9)

BLOCK = 512
"""Features gathered before their rows are summed: it bounds the scratch memory, whatever a document's size."""


class Vocabulary(NamedTuple):
    """The dictionary of a model, for lookup.

    data: uint8[...], bytes in which entry i is data[starts[i]:stops[i]]. slots: uint64[capacity, 4], open addressing
    by `spot`, capacity a power of two: FNV hash << 32 | entry + 1 (0: empty), the entry's first 8 bytes, `_rest`,
    and its start. Half a cache line, so that a word of at most 15 bytes costs one look.
    remap: int32[bucket], row of each bucket after the words or -1; empty: bucket i is row i.
    counts: int64[words], features that a word stands for (its row in the summed table is theirs summed).
    inverse: (2^64 - 1) // bucket, or 0 where there are no buckets.
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
    inverse: np.uint64
    minn: int
    maxn: int
    word_ngrams: int


@uncounted
def scan_entries(
    data: NDArray[np.uint8],
    at: Int,
    starts: NDArray[np.int64],
    stops: NDArray[np.int64],
    counts: NDArray[np.int64],
    kinds: NDArray[np.int8],
) -> Int:
    """Read a dictionary's entries (bytes up to NUL, int64 count, int8 kind) from data[at:]; out arrays have one
    element for each entry. Returns the offset behind the last one, or -1 - i when entry i runs beyond the data."""
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


@uncounted
def hash_token(data: NDArray[np.uint8], start: Int, stop: Int) -> np.uint32:
    """FNV-1a of data[start:stop], 32 bits, over signed chars."""
    h = _FNV_START
    for i in range(start, stop):
        h = np.uint32((h ^ np.uint32(np.int8(data[i]))) * _FNV_PRIME)
    return h


@uncounted
def eight(data: NDArray[np.uint8], start: Int, stop: Int) -> np.uint64:
    """The first 8 bytes of data[start:stop], little-endian, padded with zeros; 0 where stop <= start."""
    size = min(max(np.int64(stop - start), np.int64(0)), np.int64(8))
    if start + 8 <= len(data):  # no branch on the size: it would be guessed wrong too often
        half = np.uint64(4 * size)
        return load64(data, int(start)) & (((_ONE << half) << half) - _ONE)
    word = np.uint64(0)
    for i in range(size):
        word |= np.uint64(data[start + i]) << np.uint64(8 * i)
    return word


@uncounted
def _rest(data: NDArray[np.uint8], start: Int, stop: Int) -> np.uint64:
    """Bytes 8..15 of data[start:stop] where it has at most 15, so that with the first 8 they are all of it; of a
    longer run a hash of these, its last 8 and its size, with a highest byte that short ones do not have."""
    second = eight(data, start + 8, stop)
    if stop - start < 16:
        return second
    return (second ^ load64(data, int(stop) - 8) * _SPREAD1 ^ np.uint64(stop - start)) * _SPREAD2 | _LONG


@uncounted
def _is_entry(entries: NDArray[np.uint8], at: Int, data: NDArray[np.uint8], start: Int, stop: Int) -> bool:
    """Whether the entry that begins at `at`, and ends before the next NUL, is data[start:stop]."""
    size = stop - start
    k: Int = 8
    while k + 8 <= size and load64(entries, int(at + k)) == load64(data, int(start + k)):
        k += 8
    while k < size and entries[at + k] == data[start + k]:
        k += 1
    return k == size and entries[at + size] == 0


@uncounted
def spot(first: np.uint64, second: np.uint64, mask: np.int64) -> np.int64:
    """Where a lookup begins: cheaper than FNV, which takes a multiplication a byte."""
    mixed = (first * _SPREAD1 ^ second) * _SPREAD2
    return np.int64((mixed ^ mixed >> _S32) >> np.uint64(13)) & mask


@uncounted
def fill_slots(
    data: NDArray[np.uint8], starts: NDArray[np.int64], stops: NDArray[np.int64], slots: NDArray[np.uint64]
) -> Int:
    """Enter all entries into `slots` (zeros; see `Vocabulary`); of equal entries the last one counts. Returns their
    number."""
    mask = np.int64(len(slots) - 1)
    for i in range(len(starts)):
        first = eight(data, starts[i], stops[i])
        second = _rest(data, starts[i], stops[i])
        at = spot(first, second, mask)
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


@uncounted
def ask_slot(slots: NDArray[np.uint64], data: NDArray[np.uint8], start: Int, stop: Int) -> np.int64:
    """Ask for the slot where a lookup of data[start:stop] begins. Returns its number."""
    at = spot(eight(data, start, stop), _rest(data, start, stop), np.int64(len(slots) - 1))
    prefetch(slots, 4 * at)
    return at


@uncounted
def find_short(slots: NDArray[np.uint64], data: NDArray[np.uint8], start: Int, stop: Int, at: Int) -> Int:
    """The slot of the entry equal to data[start:stop], of at most 15 bytes, or -1. slots: see `Vocabulary`. at: of
    `ask_slot`."""
    mask = np.int64(len(slots) - 1)
    first = eight(data, start, stop)
    second = eight(data, start + 8, stop)
    while slots[at, 0] != 0 and (slots[at, 1] != first or slots[at, 2] != second):
        at = (at + 1) & mask
    return at if slots[at, 0] != 0 else -1


@uncounted
def find_long(
    slots: NDArray[np.uint64], entries: NDArray[np.uint8], data: NDArray[np.uint8], start: Int, stop: Int, at: Int
) -> Int:
    """`find_short` for at least 16 bytes. entries: the dictionary's data."""
    mask = np.int64(len(slots) - 1)
    first = eight(data, start, stop)
    second = _rest(data, start, stop)
    while slots[at, 0] != 0:
        same = slots[at, 1] == first and slots[at, 2] == second
        if same and _is_entry(entries, np.int64(slots[at, 3]), data, start, stop):
            return at
        at = (at + 1) & mask
    return -1


@uncounted
def next_token(data: NDArray[np.uint8], i: Int, end: Int) -> tuple[Int, Int]:
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


@uncounted
def begins(data: NDArray[np.uint8], start: Int, stop: Int, with_: NDArray[np.uint8]) -> bool:
    """Whether the bytes data[start:stop] begin with `with_`."""
    if stop - start < len(with_):
        return False
    for i in range(len(with_)):  # noqa: SIM110
        if data[start + i] != with_[i]:
            return False
    return True


@uncounted
def bucket_row(v: Vocabulary, h: np.uint64) -> Int:
    """The row of the bucket h % v.bucket, or -1 where a pruned model has none.

    The division is a product with the inverse, whose quotient is at most 1 too small (Barrett 1986).
    """
    bucket = np.uint64(v.bucket)
    left = h - high_product(h, v.inverse) * bucket
    left -= bucket if left >= bucket else np.uint64(0)
    if len(v.remap) == 0:
        return v.words + np.int64(left)
    row = np.int64(v.remap[left])
    return v.words + row if row >= 0 else -1


@uncounted
def bracketed(data: NDArray[np.uint8], start: Int, stop: Int, room: NDArray[np.uint8]) -> Int:
    """Put `<` + data[start:stop] + `>` and a NUL at the front of `room`. Returns the bytes without the NUL."""
    size = stop - start
    room[0] = 60
    for i in range(size):
        room[i + 1] = data[start + i]
    room[size + 1] = 62
    room[size + 2] = 0
    return size + 2


@uncounted
def subwords(
    v: Vocabulary, token: NDArray[np.uint8], size: Int, i: Int, ids: NDArray[np.int32], n: Int, room: Int
) -> tuple[Int, Int]:
    """Append the rows of the character n-grams of token[:size] that begin at byte i or later, as far as there is
    room in ids[:room] (n are in use, and one more is scratch); a NUL follows the token.
    Returns the byte to go on from (size when done), and the new n.
    """
    one = np.uint64(1)
    minn, maxn = v.minn, v.maxn
    at, end, k = np.uint64(i), np.uint64(size), np.uint64(n)
    last = np.int64(room - maxn)
    while at < end:
        if token[at] & 0xC0 == 0x80:
            at += one
            continue
        if np.int64(k) >= last:
            break
        h = _FNV_START
        j = at
        length = np.int64(0)
        while j < end and length < maxn:  # no branch on what the bytes are: it would be guessed wrong too often
            h = np.uint32((h ^ np.uint32(np.int8(token[j]))) * _FNV_PRIME)
            j += one
            whole = np.int64(token[j] & 0xC0 != 0x80)
            length += whole
            row = bucket_row(v, np.uint64(h))
            ids[k] = row
            lone = np.int64(length == 1) & (np.int64(at == 0) | np.int64(j == end))
            k += np.uint64(whole & np.int64(length >= minn) & (lone ^ 1) & np.int64(row >= 0))
        at += one
    return np.int64(at), np.int64(k)
