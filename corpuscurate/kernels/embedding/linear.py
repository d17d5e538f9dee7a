"""Linear algebra in a fixed order of sums: the same bytes whatever the number of threads and the installed BLAS.

BLAS chooses the order of its sums by the processor and by the number of threads, so its results differ in the last bits
from machine to machine; a seeded computation then repeats only where both are the same. These loops are plain IEEE
additions and multiplications in the order they are written in: vector code changes nothing, since every element of a
result has its own sum, and LLVM is not allowed to fuse or reorder. Where work is parted among threads, the parts have
fixed borders and are joined in order (see `embed.spectrum`).
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from corpuscurate.kernels.compile import kernel
from corpuscurate.kernels.hashing import mix64

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_ONE = np.uint64(1)


@kernel
def sign_bits(word: np.uint64, seed: np.uint64, block: int) -> np.uint64:
    """The signs of elements 64 * block .. 64 * block + 63 of a word's fixed random vector: bit set = positive."""
    return mix64(mix64(word ^ seed) + _GOLDEN * np.uint64(block + 1))


@kernel
def add_signs(word: np.uint64, seed: np.uint64, scale: np.float32, out: NDArray[np.float32]) -> None:
    """Add `scale` times the word's vector of +1 and -1 to `out`.

    Blocks of a known length, so that LLVM makes vector code of them: 20 ns instead of 200 for 256 elements.
    """
    size = len(out)
    for block in range(size >> 6):
        bits = sign_bits(word, seed, block)
        target = out[block << 6 : (block << 6) + 64]
        for j in range(64):
            bit = np.int32(bits >> np.uint64(j) & _ONE)
            target[j] += scale * (np.float32(bit) * np.float32(2.0) - np.float32(1.0))
    if size & 63:
        bits = sign_bits(word, seed, size >> 6)
        for j in range(size & 63):
            bit = np.int32(bits >> np.uint64(j) & _ONE)
            out[(size & ~63) + j] += scale * (np.float32(bit) * np.float32(2.0) - np.float32(1.0))


@kernel
def random_rows(words: NDArray[np.uint64], seed: np.uint64, out: NDArray[np.float32]) -> int:
    """The +1/-1 vector of each word. out: float32[n, d]. Returns n."""
    out[:] = np.float32(0.0)
    for row in range(len(words)):
        add_signs(words[row], seed, np.float32(1.0), out[row])
    return len(words)


@kernel
def sparse_times_dense(
    starts: NDArray[np.int64],
    columns: NDArray[np.int32],
    values: NDArray[np.float32],
    dense: NDArray[np.float32],
    first: int,
    last: int,
    out: NDArray[np.float32],
) -> int:
    """Rows first..last-1 of S @ D into the same rows of `out`; S in compressed rows. Returns the number of rows."""
    for row in range(first, last):
        target = out[row]
        target[:] = np.float32(0.0)
        for k in range(starts[row], starts[row + 1]):
            source = dense[columns[k]]
            value = values[k]
            for j in range(len(target)):
                target[j] += value * source[j]
    return last - first


@kernel
def add_gram(rows: NDArray[np.float32], first: int, last: int, out: NDArray[np.float64]) -> int:
    """Add the sum of r r^T over rows r in first..last-1 to the upper triangle of `out` (float64[l, l])."""
    size = rows.shape[1]
    wide = np.zeros((8, size), np.float64)
    for base in range(first, last, 8):
        there = min(8, last - base)
        for r in range(8):
            for j in range(size):
                wide[r, j] = np.float64(rows[base + r, j]) if r < there else 0.0
        r0, r1, r2, r3 = wide[0], wide[1], wide[2], wide[3]
        r4, r5, r6, r7 = wide[4], wide[5], wide[6], wide[7]
        for i in range(size):
            a0, a1, a2, a3 = r0[i], r1[i], r2[i], r3[i]
            a4, a5, a6, a7 = r4[i], r5[i], r6[i], r7[i]
            target = out[i]
            for j in range(i, size):
                target[j] += (a0 * r0[j] + a1 * r1[j] + a2 * r2[j] + a3 * r3[j]) + (
                    a4 * r4[j] + a5 * r5[j] + a6 * r6[j] + a7 * r7[j]
                )
    return last - first


@kernel
def rows_times_matrix(
    rows: NDArray[np.float32], matrix: NDArray[np.float64], first: int, last: int, out: NDArray[np.float32]
) -> int:
    """Rows first..last-1 of R @ M into the same rows of `out` (float32[n, m]), summed in float64. Returns how many."""
    size = matrix.shape[1]
    sums = np.zeros((4, size), np.float64)
    s0, s1, s2, s3 = sums[0], sums[1], sums[2], sums[3]
    for base in range(first, last, 4):
        there = min(4, last - base)
        sums[:] = 0.0
        for i in range(matrix.shape[0]):
            a0 = np.float64(rows[base, i])
            a1 = np.float64(rows[base + 1, i]) if there > 1 else 0.0
            a2 = np.float64(rows[base + 2, i]) if there > 2 else 0.0
            a3 = np.float64(rows[base + 3, i]) if there > 3 else 0.0
            source = matrix[i]
            for j in range(size):
                x = source[j]
                s0[j] += a0 * x
                s1[j] += a1 * x
                s2[j] += a2 * x
                s3[j] += a3 * x
        for r in range(there):
            for j in range(size):
                out[base + r, j] = np.float32(sums[r, j])
    return last - first


@kernel
def inverse_root(gram: NDArray[np.float64], out: NDArray[np.float64]) -> int:
    """The upper triangular T with T^T G T = I for G = `gram` (upper triangle): the inverse of its Cholesky factor.

    A column that depends on the ones before it (a pivot below 1e-11 of its own square) becomes zero. The columns of
    Z @ T are orthonormal where G = Z^T Z (Cholesky QR). out: float64[l, l]. Returns the rank.
    """
    size = len(gram)
    upper = np.zeros((size, size), np.float64)  # G = U^T U
    dead = np.zeros(size, np.bool_)
    rank = 0
    for i in range(size):
        pivot = gram[i, i]
        for k in range(i):
            pivot -= upper[k, i] * upper[k, i]
        if not pivot > 1e-11 * gram[i, i]:
            dead[i] = True
            continue
        rank += 1
        root = math.sqrt(pivot)
        target = upper[i]
        for j in range(i, size):
            target[j] = gram[i, j]
        for k in range(i):
            source = upper[k]
            a = source[i]
            for j in range(i, size):
                target[j] -= a * source[j]
        for j in range(i, size):
            target[j] /= root
    out[:] = 0.0
    for i in range(size - 1, -1, -1):  # rows of the inverse from below: T[i] = (e_i - sum_k>i U[i, k] T[k]) / U[i, i]
        if dead[i]:
            continue
        target = out[i]
        for k in range(i + 1, size):
            a = upper[i, k]
            if not dead[k]:
                source = out[k]
                for j in range(k, size):
                    target[j] -= a * source[j]
        target[i] += 1.0
        for j in range(i, size):
            target[j] /= upper[i, i]
    return rank


@kernel
def jacobi(matrix: NDArray[np.float64], out_vectors: NDArray[np.float64]) -> int:
    """Eigenvalues of a symmetric matrix, left on its diagonal, by cyclic Jacobi rotations; destroys the matrix.

    out_vectors: float64[l, l], row i is the eigenvector of element (i, i). Returns the number of sweeps (at most 60).
    Source: Golub and Van Loan, Matrix Computations, 4th ed., algorithm 8.5.3.
    """
    size = len(matrix)
    out_vectors[:] = 0.0
    total = 0.0
    for i in range(size):
        out_vectors[i, i] = 1.0
        for j in range(size):
            total += matrix[i, j] * matrix[i, j]
    for sweep in range(60):
        off = 0.0
        for i in range(size):
            for j in range(i + 1, size):
                off += matrix[i, j] * matrix[i, j]
        if off <= 1e-26 * total:
            return sweep
        for p in range(size - 1):
            for q in range(p + 1, size):
                a = matrix[p, q]
                if a == 0.0:
                    continue
                theta = (matrix[q, q] - matrix[p, p]) / (2.0 * a)
                t = 1.0 / (abs(theta) + math.sqrt(theta * theta + 1.0))
                if theta < 0:
                    t = -t
                c = 1.0 / math.sqrt(t * t + 1.0)
                s = t * c
                rp, rq = matrix[p], matrix[q]
                for k in range(size):
                    x, y = rp[k], rq[k]
                    rp[k] = c * x - s * y
                    rq[k] = s * x + c * y
                for k in range(size):
                    x, y = matrix[k, p], matrix[k, q]
                    matrix[k, p] = c * x - s * y
                    matrix[k, q] = s * x + c * y
                vp, vq = out_vectors[p], out_vectors[q]
                for k in range(size):
                    x, y = vp[k], vq[k]
                    vp[k] = c * x - s * y
                    vq[k] = s * x + c * y
    return 60
