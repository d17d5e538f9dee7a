"""Text to case-folded text in which every byte outside a word is 0: the first step of `kernels.sketch.shingles`.

Invisible characters are left out, so that a word is the same with soft hyphens and without. `TABLE` says it all,
character by character; the rest of this module is how to do the same faster.

A block of 64 bytes goes through arithmetic that LLVM turns into vector code, which folds its ASCII; then its other
characters are looked at, and few of them need a change. That holds as long as folding keeps their lengths and no two
words touch and nothing is left out; otherwise the rest of the block goes character by character.
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from corpuscurate.kernels.compile import uncounted
from corpuscurate.kernels.simd.bits import fold_ascii, trailing_zeros
from corpuscurate.kernels.simd.rows import prefetch
from corpuscurate.kernels.text.unicode import (
    FOLDING,
    HIDDEN,
    INSIDE,
    LETTER,
    LONE,
    MARK,
    OTHER,
    SEPARATOR,
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

Int: TypeAlias = int | np.int64

CHUNK = 4096
"""Input bytes folded at once."""
BLOCK = 64
_SLOW = 1024
"""Bytes in a script without spaces that are folded character by character at once."""
STATES = ("outside", "word", "single")
"""Between words; in a word of letters; behind a character that is a word of its own, and its marks."""
CLASSES = ("none", "letter", "single", "mark", "invisible")
"""No part of a word; what `kernels.text.unicode` calls LETTER, SINGLE, MARK and INVISIBLE."""
TABLE = """
            none        letter      single      mark        invisible
outside     0 outside   c word      0c single   0 outside   - outside
word        0 outside   c word      0c single   c word      - word
single      0 outside   0c word     0c single   c single    - single
"""
"""For each state and class of the next character: the bytes to write (0: a 0 byte, c: the folded character, -: nothing)
and the next state."""
STATE, BORDER, CHARACTER = 3, 4, 8
"""Parts of a move: the number of the next state; whether a 0 byte is written; whether the character is."""


def _moves() -> NDArray[np.uint8]:
    """TABLE as numbers: uint8[states, classes]."""
    moves = np.empty((len(STATES), len(CLASSES)), np.uint8)
    for row, line in enumerate(TABLE.strip().splitlines()[1:]):
        written, following = line.split()[1::2], line.split()[2::2]
        for column, (what, state) in enumerate(zip(written, following, strict=True)):
            moves[row, column] = STATES.index(state) | BORDER * ("0" in what) | CHARACTER * ("c" in what)
    return moves


MOVES = _moves()
_NONE, _LETTER, _SINGLE, _MARK, _INVISIBLE = range(5)
_CLASS_OF_KIND = np.array([_NONE, _LETTER, _MARK, _LETTER, _SINGLE, _NONE, _INVISIBLE], np.uint8)
"""By SEPARATOR .. HIDDEN; that of OTHER depends on its flags."""
_UNDERSCORE, _ANY_LETTER = np.int64(0x5F), np.int64(0x61)
_ONE, _TWO, _THREE = np.uint64(1), np.uint64(2), np.uint64(3)
FOLDED = 4 * CHUNK + 8 * BLOCK
"""Bytes of the folded buffer: folding may triple a character, a 0 byte may follow, and 7 bytes are carried over."""


@uncounted
def _fold_block(
    data: NDArray[np.uint8], i: Int, size: Int, joiner: Int, at: Int, out: NDArray[np.uint8]
) -> tuple[np.uint64, np.uint64]:
    """`fold_ascii` of `size` bytes also where fewer than BLOCK are left in `data`."""
    if i + BLOCK > len(data):
        for j in range(size):
            out[np.uint64(at + j)] = data[np.uint64(i + j)]
        data = out
        i = at
    others, leads = fold_ascii(data, i, size, joiner, out, at)
    return others, leads


@uncounted
def _copy(data: NDArray[np.uint8], i: Int, end: Int, at: Int, out: NDArray[np.uint8]) -> Int:
    """The 2 to 4 bytes of a character; the index after them."""
    to = np.uint64(at)
    k = np.uint64(i)
    out[to] = data[k]
    out[to + _ONE] = data[k + _ONE]
    if end - i > 2:
        out[to + _TWO] = data[k + _TWO]
        if end - i > 3:
            out[to + _THREE] = data[k + _THREE]
    return at + end - i


@uncounted
def _fold_others(
    data: NDArray[np.uint8],
    start: Int,
    size: Int,
    leads: np.uint64,
    state: Int,
    pages: NDArray[np.uint16],
    kinds: NDArray[np.uint8],
    fold_pages: NDArray[np.uint16],
    steps: NDArray[np.int32],
    at: Int,
    out: NDArray[np.uint8],
) -> Int:
    """Fold the characters outside ASCII that begin in `size` bytes, which are in `out` from `at` on, not folded yet.

    leads: a bit for each byte that begins one.
    Returns how many bytes are done: fewer than `size` where a character does not keep its place. state: 0 or 1.
    The tables come one by one, since passing all of them takes longer than the work.
    """
    done = size
    while leads:
        p: Int = trailing_zeros(leads)
        leads &= leads - _ONE
        code_point, after = decode(data, start + p)
        kind = kind_of(pages, kinds, code_point)
        before = np.int64(out[np.uint64(at + p - 1)]) if p else state
        if after - start > size:  # the last one, which ends behind the block
            done = after - start
            for j in range(size, done):
                out[np.uint64(at + j)] = data[np.uint64(start + j)]
        if kind == LETTER or (kind == INSIDE and before):
            continue
        if kind >= LONE:
            return p
        if kind == FOLDING:
            encode(folded_one(fold_pages, steps, code_point), at + p, out)
        else:
            for j in range(p, after - start):
                out[np.uint64(at + j)] = 0
    return done


@uncounted
def class_of(kind: Int, flags: Int) -> Int:
    """The class of a character, a column of `MOVES`. kind: SEPARATOR .. HIDDEN; flags: looked at where it is OTHER."""
    if kind != OTHER:
        return np.int64(_CLASS_OF_KIND[np.uint64(kind)])
    if flags & SINGLE:
        return _SINGLE
    if flags & WORD:
        return _LETTER
    return _MARK if flags & MARK else _NONE


@uncounted
def _fold_slowly(
    data: NDArray[np.uint8], i: Int, end: Int, state: Int, t: Tables, at: Int, out: NDArray[np.uint8]
) -> tuple[Int, Int, Int]:
    """Fold the characters that begin in bytes i..end-1, as `MOVES` says. Returns (next i, next at, state)."""
    byte_flags = t.byte_flags
    byte_fold = t.byte_fold
    pages = t.kind_pages
    kinds = t.kind_data
    fold_pages = t.fold_pages
    steps = t.fold_data
    while i < end:
        byte = data[np.uint64(i)]
        if byte < 0x80:
            code_point: Int = np.int64(byte_fold[byte])
            after: Int = i + 1
            kind: Int = LETTER if byte_flags[byte] & WORD else SEPARATOR
        else:
            code_point, after = decode(data, i)
            kind = kind_of(pages, kinds, code_point)
        flags = flags_of(t, code_point) if kind == OTHER else 0
        move = MOVES[np.uint64(state), np.uint64(class_of(kind, flags))]
        if move & BORDER:
            out[np.uint64(at)] = 0
            at += 1
        if move & CHARACTER:
            if byte < 0x80:
                out[np.uint64(at)] = code_point
                at += 1
            elif kind == FOLDING:
                at = encode(folded_one(fold_pages, steps, code_point), at, out)
            elif kind == OTHER:
                at = fold_into(t, code_point, at, out)
            else:
                at = _copy(data, i, after, at, out)
        state = np.int64(move & STATE)
        i = after
    return i, at, state


@uncounted
def fold_chunk(
    data: NDArray[np.uint8], start: Int, stop: Int, state: Int, t: Tables, at: Int, out: NDArray[np.uint8]
) -> tuple[Int, Int, Int]:
    """Fold about CHUNK bytes from `start` into `out` from `at`. Returns (next start, next at, state).

    state: index of STATES; in a word, the byte before `at` may be none of this text, and the word goes on at `at`.
    out: see FOLDED. Nothing is written where all characters are invisible.
    """
    joiner = _UNDERSCORE if t.byte_flags[np.uint64(_UNDERSCORE)] & WORD else _ANY_LETTER
    pages = t.kind_pages
    kinds = t.kind_data
    fold_pages = t.fold_pages
    steps = t.fold_data
    limit = min(stop, start + CHUNK)
    i = start
    while i < limit:
        size = min(BLOCK, stop - i)
        prefetch(data, i + CHUNK)  # of the processor's own, each chunk begins anew: a twentieth of a sketch
        others, leads = _fold_block(data, i, size, joiner, at, out)
        if state == 2:
            if others:
                i, at, state = _fold_slowly(data, i, min(limit, i + _SLOW), state, t, at, out)
                continue
            if out[np.uint64(at)]:
                out[np.uint64(at)] = 0
                at += 1
                _fold_block(data, i, size, joiner, at, out)
        done = size
        if others:
            done = _fold_others(data, i, size, leads, state, pages, kinds, fold_pages, steps, at, out)
        if done:
            state = np.int64(out[np.uint64(at + done - 1)] != 0)
        i += done
        at += done
        if done < size:
            code_point, after = decode(data, i)
            hidden = kind_of(pages, kinds, code_point) == HIDDEN  # behind it, a block may begin anew
            end = after if hidden else i + size - done
            i, at, state = _fold_slowly(data, i, end, state, t, at, out)
    return i, at, state
