"""Text to case-folded text in which every byte outside a word is 0: the first step of `kernels.shingles`.

A block of 64 bytes goes through arithmetic that LLVM turns into vector code, which folds its ASCII; then its other
characters are looked at, and few of them need a change. That holds as long as folding keeps their lengths and no two
words touch; otherwise the rest of the block goes character by character.
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from corpuscurate.kernels.bits import trailing_zeros
from corpuscurate.kernels.compile import leaf
from corpuscurate.kernels.hashing import load64
from corpuscurate.kernels.unicode import (
    FOLDING,
    INSIDE,
    LETTER,
    LONE,
    MARK,
    OTHER,
    SINGLE,
    WORD,
    Tables,
    decode,
    encode,
    flags_of,
    fold_into,
    folded_one,
    kind_of,
)
from corpuscurate.kernels.words64 import HIGH

Int: TypeAlias = int | np.int64

CHUNK = 4096
"""Input bytes folded at once."""
BLOCK = 64
_GATHER = np.uint64(0x0102040810204080)
_SLOW = 1024
"""Bytes in a script without spaces that are folded character by character at once."""
_ZERO = np.uint64(0)
_ONE = np.uint64(1)
FOLDED = 4 * CHUNK + 8 * BLOCK
"""Bytes of the folded buffer: folding may triple a character, a 0 byte may follow, and 7 bytes are carried over."""


@leaf
def _is_ascii(block: NDArray[np.uint8]) -> bool:
    bits = np.uint8(0)
    for i in range(len(block)):
        bits |= block[i]
    return bool(bits < 0x80)


@leaf
def _fold_ascii(block: NDArray[np.uint8], out: NDArray[np.uint8]) -> None:
    """ASCII letters in lower case, its digits as they are, the rest of it 0; bytes outside ASCII as they are.

    uint8 throughout, so that it becomes vector code.
    """
    for i in range(len(block)):
        byte = block[i]
        upper = np.uint8(np.uint8(byte - np.uint8(65)) < np.uint8(26))
        lower = np.uint8(byte + np.uint8(upper * np.uint8(32)))
        word = np.uint8(np.uint8(lower - np.uint8(97)) < np.uint8(26)) | np.uint8(
            np.uint8(byte - np.uint8(48)) < np.uint8(10)
        )
        other = np.uint8(byte >> np.uint8(7))
        out[i] = np.uint8(lower & np.uint8(np.uint8(0) - np.uint8(word | other)))


@leaf
def _copy(data: NDArray[np.uint8], i: Int, end: Int, at: Int, out: NDArray[np.uint8]) -> Int:
    """The 2 to 4 bytes of a character; the index after them."""
    out[at] = data[i]
    out[at + 1] = data[i + 1]
    if end - i > 2:
        out[at + 2] = data[i + 2]
        if end - i > 3:
            out[at + 3] = data[i + 3]
    return at + end - i


@leaf
def _leads(data: NDArray[np.uint8], start: Int, size: Int) -> np.uint64:
    """A bit for each of `size` <= 64 bytes that begins a character outside ASCII."""
    bits = _ZERO
    if size == BLOCK:
        for j in range(8):
            x = load64(data, start + 8 * j)  # type: ignore[arg-type]
            bits |= ((x & x << _ONE & HIGH) >> np.uint64(7)) * _GATHER >> np.uint64(56) << np.uint64(8 * j)
        return bits
    for j in range(size):
        bits |= np.uint64(data[start + j] >= 0xC0) << np.uint64(j)
    return bits


@leaf
def _fold_others(
    data: NDArray[np.uint8],
    start: Int,
    size: Int,
    state: Int,
    pages: NDArray[np.uint16],
    kinds: NDArray[np.uint8],
    fold_pages: NDArray[np.uint16],
    steps: NDArray[np.int32],
    at: Int,
    out: NDArray[np.uint8],
) -> Int:
    """Fold the characters outside ASCII that begin in `size` bytes, which stand in `out` from `at` as they are.

    Returns how many bytes are done: fewer than `size` where a character does not keep its place. state: 0 or 1.
    The tables come one by one, since passing all of them takes longer than the work.
    """
    leads = _leads(data, start, size)
    done = size
    while leads:
        p: Int = trailing_zeros(leads)
        leads &= leads - _ONE
        code_point, after = decode(data, start + p)
        kind = kind_of(pages, kinds, code_point)
        before = np.int64(out[at + p - 1]) if p else state
        if after - start > size:  # the last one, which ends behind the block
            done = after - start
            for j in range(size, done):
                out[at + j] = data[start + j]
        if kind == LETTER or (kind == INSIDE and before):
            continue
        if kind >= LONE:
            return p
        if kind == FOLDING:
            encode(folded_one(fold_pages, steps, code_point), at + p, out)
        else:
            for j in range(p, after - start):
                out[at + j] = 0
    return done


@leaf
def _fold_slowly(
    data: NDArray[np.uint8], i: Int, end: Int, state: Int, t: Tables, at: Int, out: NDArray[np.uint8]
) -> tuple[Int, Int, Int]:
    """Fold the characters that begin in bytes i..end-1. Returns (next i, next at, state)."""
    byte_flags = t.byte_flags
    byte_fold = t.byte_fold
    pages = t.kind_pages
    kinds = t.kind_data
    fold_pages = t.fold_pages
    steps = t.fold_data
    while i < end:
        byte = data[i]
        if byte < 0x80:
            i += 1
            if byte_flags[byte] & WORD:
                if state == 2:
                    out[at] = 0
                    at += 1
                out[at] = byte_fold[byte]
                state = 1
            else:
                out[at] = 0
                state = 0
            at += 1
            continue
        code_point, after = decode(data, i)
        kind = kind_of(pages, kinds, code_point)
        if kind == LONE:
            out[at] = 0
            at = _copy(data, i, after, at + 1, out)
            state = 2
        elif kind == INSIDE and state:
            at = _copy(data, i, after, at, out)
        elif kind <= INSIDE and kind != LETTER:
            out[at] = 0
            at += 1
            state = 0
        elif kind == OTHER:
            at, state = _fold_other(t, code_point, state, at, out)
        else:
            if state == 2:
                out[at] = 0
                at += 1
            if kind == LETTER:
                at = _copy(data, i, after, at, out)
            else:
                at = encode(folded_one(fold_pages, steps, code_point), at, out)
            state = 1
        i = after
    return i, at, state


@leaf
def _fold_other(t: Tables, code_point: Int, state: Int, at: Int, out: NDArray[np.uint8]) -> tuple[Int, Int]:
    """Fold a character of any kind. Returns (next at, state)."""
    flags = flags_of(t, code_point)
    if flags & SINGLE:
        out[at] = 0
        return fold_into(t, code_point, at + 1, out), 2
    if flags & WORD:
        if state == 2:
            out[at] = 0
            at += 1
        return fold_into(t, code_point, at, out), 1
    if flags & MARK and state:
        return fold_into(t, code_point, at, out), state
    out[at] = 0
    return at + 1, 0


@leaf
def fold_chunk(
    data: NDArray[np.uint8], start: Int, stop: Int, state: Int, t: Tables, at: Int, out: NDArray[np.uint8]
) -> tuple[Int, Int, Int]:
    """Fold about CHUNK bytes from `start` into `out` from `at`. Returns (next start, next at, state).

    state: 0 outside a word, 1 after a letter (or its marks), 2 after a SINGLE (or its marks); with state 1 the byte
    before `at` may be none of this text, and the word goes on at `at`. out: see FOLDED.
    """
    byte_flags = t.byte_flags  # taken out of the tables once: Numba counts references at each taking
    pages = t.kind_pages
    kinds = t.kind_data
    fold_pages = t.fold_pages
    steps = t.fold_data
    limit = min(stop, start + CHUNK)
    i = start
    while i < limit:
        size = min(BLOCK, stop - i)
        block = data[i : i + size]
        ascii_only = _is_ascii(block)
        if ascii_only and state == 2 and byte_flags[block[0]] & WORD:
            out[at] = 0
            at += 1
        if ascii_only:
            _fold_ascii(block, out[at : at + size])
            i += size
            at += size
            state = np.int64(out[at - 1] != 0)
        elif state == 2:
            i, at, state = _fold_slowly(data, i, min(limit, i + _SLOW), state, t, at, out)
        else:
            _fold_ascii(block, out[at : at + size])
            done = _fold_others(data, i, size, state, pages, kinds, fold_pages, steps, at, out)
            if done:
                state = np.int64(out[at + done - 1] != 0)
            i += done
            at += done
            if done < size:
                i, at, state = _fold_slowly(data, i, i + size - done, state, t, at, out)
    return i, at, state
