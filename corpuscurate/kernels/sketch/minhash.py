"""Classic MinHash over n-grams, from text to signature in one pass.

A signature has k values; value j is the smallest of a[j] * h + b[j] modulo 2^32 over the document's shingle hashes h,
with a[j] odd, so each j is a bijection of the 32-bit hashes and the values keep their full 32 bits. h is the upper half
of a well-mixed 64-bit hash: multiply-add alone is biased on structured integers. The share of equal values of two
signatures estimates the Jaccard similarity J of the two shingle sets, with standard deviation sqrt(J (1 - J) / k).

Source: Broder, "On the resemblance and containment of documents", 1997.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from corpuscurate.kernels.compile import kernel, uncounted
from corpuscurate.kernels.hashing import mix64
from corpuscurate.kernels.sketch.characters import next_ngrams
from corpuscurate.kernels.sketch.shingles import Walk, begin, hash_next, hash_of_all, new_walk, power_of_base
from corpuscurate.kernels.text.folding import Int
from corpuscurate.kernels.text.unicode import Tables

_GAMMA = np.uint64(0x9E3779B97F4A7C15)
_SHIFT = np.uint64(32)
ROWS = 16
"""Documents whose signatures are transposed at once: a cache line of uint32."""


@uncounted
def permutations(seed: np.uint64, out_a: NDArray[np.uint32], out_b: NDArray[np.uint32]) -> int:
    """The k multipliers (odd) and addends of a seed, by SplitMix64. Returns k. The first of k are those of a larger
    k."""
    state = seed
    for j in range(len(out_a)):
        state += _GAMMA
        out_a[j] = np.uint32(mix64(state) >> _SHIFT) | np.uint32(1)
        state += _GAMMA
        out_b[j] = np.uint32(mix64(state) >> _SHIFT)
    return len(out_a)


@uncounted
def _lower_four(
    h0: np.uint32,
    h1: np.uint32,
    h2: np.uint32,
    h3: np.uint32,
    a: NDArray[np.uint32],
    b: NDArray[np.uint32],
    signature: NDArray[np.uint32],
) -> None:
    """Take four hashes into the minima: one load and store of the signature for four, and vector code throughout."""
    for j in range(len(signature)):
        times = a[j]
        plus = b[j]
        v0 = np.uint32(times * h0 + plus)
        v1 = np.uint32(times * h1 + plus)
        v2 = np.uint32(times * h2 + plus)
        v3 = np.uint32(times * h3 + plus)
        v0 = v0 if v0 < v1 else v1
        v2 = v2 if v2 < v3 else v3
        v0 = v0 if v0 < v2 else v2
        signature[j] = v0 if v0 < signature[j] else signature[j]


@uncounted
def lower(
    shingles: NDArray[np.uint64], a: NDArray[np.uint32], b: NDArray[np.uint32], signature: NDArray[np.uint32]
) -> None:
    """Take shingle hashes into the minima of a signature uint32[k] (all 2^32 - 1 before the first)."""
    size = len(shingles)
    for i in range(0, size - 3, 4):
        _lower_four(
            np.uint32(shingles[i] >> _SHIFT),
            np.uint32(shingles[i + 1] >> _SHIFT),
            np.uint32(shingles[i + 2] >> _SHIFT),
            np.uint32(shingles[i + 3] >> _SHIFT),
            a,
            b,
            signature,
        )
    for i in range(size - size % 4, size):
        h = np.uint32(shingles[i] >> _SHIFT)
        _lower_four(h, h, h, h, a, b, signature)


@kernel
def signatures(
    offsets: NDArray[np.int64],
    data: NDArray[np.uint8],
    t: Tables,
    unit: Int,
    n: Int,
    a: NDArray[np.uint32],
    b: NDArray[np.uint32],
    out_shingles: NDArray[np.uint32],
    out_words: NDArray[np.uint64],
    out: NDArray[np.uint32],
) -> int:
    """MinHash signatures of documents. Returns their number.

    unit, n: WORDS or CHARACTERS, and how many make a shingle. a, b: uint32[k] of `permutations`. out_shingles:
    uint32[rows], n-grams with repeats, at most 2^32 - 1; 0 = none: the values are all 2^32 - 1 and mean nothing.
    out_words: uint64[2, rows], a 128-bit hash of the sequence of words (or characters): equal ones have equal shingles.
    out: uint32[k, rows], a row a value.
    """
    block = np.empty((ROWS, len(a)), np.uint32)
    return _sign(offsets, data, t, unit, n, a, b, new_walk(n), block, out_shingles, out_words, out)


@uncounted
def transpose(block: NDArray[np.uint32], base: Int, size: Int, out: NDArray[np.uint32]) -> None:
    """The first `size` rows of block: uint32[ROWS, k] become columns of out: uint32[k, rows] from `base`."""
    first = np.uint64(base)
    for j in range(np.uint64(len(out))):
        if size == ROWS:
            for r in range(np.uint64(ROWS)):
                out[j, first + r] = block[r, j]
        else:
            for r in range(np.uint64(size)):
                out[j, first + r] = block[r, j]


@uncounted
def _sign(
    offsets: NDArray[np.int64],
    data: NDArray[np.uint8],
    t: Tables,
    unit: Int,
    n: Int,
    a: NDArray[np.uint32],
    b: NDArray[np.uint32],
    walk: Walk,
    block: NDArray[np.uint32],
    out_shingles: NDArray[np.uint32],
    out_words: NDArray[np.uint64],
    out: NDArray[np.uint32],
) -> int:
    """`signatures` with its buffers. block: uint32[ROWS, k]."""
    rows = len(offsets) - 1
    power = power_of_base(n)
    shingles = walk.shingles
    for base in range(0, rows, ROWS):
        size = min(ROWS, rows - base)
        block[:] = np.uint32(0xFFFFFFFF)
        for r in range(size):
            row = base + r
            begin(offsets[row], offsets[row + 1], n, walk)
            total: Int = 0
            made = next_ngrams(unit, data, t, n, power, walk)
            while made >= 0:
                lower(shingles[:made], a, b, block[r])
                hash_next(walk)
                total += made
                made = next_ngrams(unit, data, t, n, power, walk)
            out_shingles[row] = min(total, 0xFFFFFFFF)
            hash_of_all(walk, row, out_words)
        transpose(block, base, size, out)
    return rows
