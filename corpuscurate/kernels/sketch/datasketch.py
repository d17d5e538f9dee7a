"""Signatures equal to those of the Python package datasketch from version 2 on, value for value.

What a set holds there is bytes. Here the bytes of a shingle are its folded words joined by one space, or its folded
characters one after the other, in UTF-8. Each is hashed to 32 bits (`kernels.sketch.digests`), then permuted (its
scheme "affine32"): h' = fmix32(h), value j = min of a[j] h' + b[j] modulo 2^32.

Source: github.com/ekzhu/datasketch, datasketch/minhash.py, version 2.0.0.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from corpuscurate.kernels.compile import kernel
from corpuscurate.kernels.hashing import mix64
from corpuscurate.kernels.sketch.characters import CHARACTERS, fold_characters
from corpuscurate.kernels.sketch.digests import SHA1, sha1_32, xxh32
from corpuscurate.kernels.sketch.minhash import lower
from corpuscurate.kernels.sketch.shingles import Walk, begin, new_walk
from corpuscurate.kernels.text.folding import FOLDED, Int, fold_chunk
from corpuscurate.kernels.text.unicode import Tables, encode

_S32 = np.uint64(32)
_M1 = np.uint32(0x85EBCA6B)
_M2 = np.uint32(0xC2B2AE35)
_BLANK = np.uint8(32)
_BLOCK = 1024


@kernel
def fmix32(h: np.uint32) -> np.uint32:
    """The finaliser of MurmurHash3, 32 bits."""
    h = np.uint32((h ^ h >> np.uint32(16)) * _M1)
    h = np.uint32((h ^ h >> np.uint32(13)) * _M2)
    return np.uint32(h ^ h >> np.uint32(16))


@kernel
def _write_words(
    data: NDArray[np.uint8], start: Int, stop: Int, t: Tables, ends: NDArray[np.int64], out: NDArray[np.uint8]
) -> Int:
    """The folded words of a document, each with a space behind it, to `out`; their number. ends[i]: the index behind
    word i, where its space stands."""
    i = start
    at: Int = 0
    state: Int = 0
    while i < stop:
        i, at, state = fold_chunk(data, i, stop, state, t, at, out)
    words = 0
    left = 0
    inside = False
    for k in range(at):
        if out[k]:
            out[left] = out[k]
            left += 1
            inside = True
        elif inside:
            ends[words] = left
            words += 1
            out[left] = _BLANK
            left += 1
            inside = False
    if inside:
        ends[words] = left
        words += 1
    return words


@kernel
def _write_characters(
    data: NDArray[np.uint8], t: Tables, walk: Walk, ends: NDArray[np.int64], out: NDArray[np.uint8]
) -> Int:
    """The folded characters of a document to `out`; their number. ends[i]: the index behind character i."""
    at: Int = 0
    count = 0
    while walk.cursor[0] < walk.cursor[1]:
        found = fold_characters(data, walk, t, 0)
        for j in range(found):
            at = encode(np.int64(walk.words[j]), at, out)
            ends[count] = at
            count += 1
    return count


@kernel
def _hash_pieces(
    text: NDArray[np.uint8], ends: NDArray[np.int64], first: Int, last: Int, n: Int, gap: Int, hash_kind: Int,
    work: NDArray[np.uint32], out: NDArray[np.uint64],
) -> None:  # fmt: skip
    """Hashes of shingles first..last-1 in the upper halves of `out`. gap: bytes between two units."""
    for i in range(first, last):
        start = ends[i - 1] + gap if i else 0
        stop = ends[i + n - 1]
        h = sha1_32(text, start, stop, work) if hash_kind == SHA1 else xxh32(text, start, stop)
        out[i - first] = np.uint64(fmix32(h)) << _S32


@kernel
def datasketch_signatures(
    offsets: NDArray[np.int64],
    data: NDArray[np.uint8],
    t: Tables,
    unit: Int,
    n: Int,
    hash_kind: Int,
    a: NDArray[np.uint32],
    b: NDArray[np.uint32],
    out_shingles: NDArray[np.uint32],
    out_words: NDArray[np.uint64],
    out: NDArray[np.uint32],
) -> int:
    """Signatures of documents. Returns their number.

    unit: WORDS or CHARACTERS; n: units of a shingle. hash_kind: SHA1 or XXH32. a, b: uint32[k],
    datasketch's permutations. Outputs as in `kernels.sketch.minhash.signatures`, but out_words, a 128-bit
    hash of its folded bytes: two chains of mixers.
    """
    rows = len(offsets) - 1
    k = len(a)
    walk = new_walk(n)
    work = np.empty(85, np.uint32)
    hashes = np.empty(_BLOCK, np.uint64)
    signature = np.empty(k, np.uint32)
    text = np.empty(0, np.uint8)
    ends = np.empty(0, np.int64)
    for row in range(rows):
        size = offsets[row + 1] - offsets[row]
        if 4 * size + FOLDED > len(text):
            text = np.empty(4 * size + FOLDED, np.uint8)
            ends = np.empty((3 * size + 1) // 2 if unit == CHARACTERS else size // 2 + 1, np.int64)
        begin(offsets[row], offsets[row + 1], n, walk)
        if unit == CHARACTERS:
            units = _write_characters(data, t, walk, ends, text)
            gap = 0
        else:
            units = _write_words(data, offsets[row], offsets[row + 1], t, ends, text)
            gap = 1
        length = min(n, units)
        shingles = units - length + 1 if units else 0
        signature[:] = np.uint32(0xFFFFFFFF)
        for first in range(0, shingles, _BLOCK):
            last = min(shingles, first + _BLOCK)
            _hash_pieces(text, ends, first, last, length, gap, hash_kind, work, hashes)
            lower(hashes[: last - first], a, b, signature)
        out_shingles[row] = min(shingles, 0xFFFFFFFF)
        _digest(text, ends[units - 1] if units else 0, out_words[:, row])
        for j in range(k):
            out[j, row] = signature[j]
    return rows


@kernel
def _digest(text: NDArray[np.uint8], size: Int, out: NDArray[np.uint64]) -> None:
    """A 128-bit hash of the bytes before `size`: two chains of mixers."""
    first = np.uint64(size)
    second = ~np.uint64(size)
    for i in range(0, size, 8):
        word = np.uint64(0)
        for j in range(min(8, size - i)):
            word |= np.uint64(text[i + j]) << np.uint64(8 * j)
        first = mix64(first ^ word)
        second = mix64(second + word)
    out[0] = first
    out[1] = second
