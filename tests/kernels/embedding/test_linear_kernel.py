from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from naive.embedding import signs
from support.forms import some

from corpuscurate.kernels.embedding.linear import (
    add_gram,
    add_signs,
    inverse_root,
    jacobi,
    random_rows,
    rows_times_matrix,
    sparse_times_dense,
)

WORD = st.integers(0, 2**64 - 1)


@settings(max_examples=some(50), deadline=None)
@given(st.lists(WORD, max_size=5), WORD, st.sampled_from([1, 63, 64, 65, 128, 272]))
def test_random_rows_equal_naive(words, seed, dimension):
    out = np.full((len(words), dimension), 7, np.float32)
    assert random_rows(np.array(words, np.uint64), np.uint64(seed), out) == len(words)
    assert out.tolist() == [signs(word, seed, dimension) for word in words]


def test_signs_are_added_scaled():
    out = np.arange(64, dtype=np.float32)
    add_signs(np.uint64(2**63 + 9), np.uint64(3), np.float32(0.5), out)
    assert out.tolist() == [i + 0.5 * sign for i, sign in enumerate(signs(2**63 + 9, 3, 64))]


def test_random_vectors_are_nearly_orthogonal_and_balanced():
    out = np.empty((2000, 256), np.float32)
    random_rows(np.arange(2000, dtype=np.uint64), np.uint64(0), out)
    cosines = (out @ out.T / 256)[np.triu_indices(2000, 1)]
    assert abs(cosines.mean()) < 1e-3
    assert cosines.std() == pytest.approx(256**-0.5, rel=0.02)
    assert np.abs(out.mean(0)).max() < 5 * 2000**-0.5


@pytest.mark.parametrize(("height", "width", "size"), [(1, 1, 1), (13, 7, 5), (40, 9, 17)])
def test_products_equal_numpy(height, width, size):
    rng = np.random.default_rng(height)
    dense = rng.integers(-5, 5, (width, size)).astype(np.float32)
    matrix = rng.integers(-3, 4, (height, width)) * (rng.random((height, width)) < 0.4)
    rows, columns = np.nonzero(matrix)
    starts = np.searchsorted(rows, np.arange(height + 1))
    out = np.full((height, size), 9, np.float32)
    values = matrix[rows, columns].astype(np.float32)
    assert sparse_times_dense(starts, columns.astype(np.int32), values, dense, 0, height, out) == height
    assert out.tolist() == (matrix @ dense).tolist()
    gram = np.zeros((size, size))
    add_gram(out, 0, height, gram)
    assert np.triu(gram).tolist() == np.triu(out.T.astype(float) @ out.astype(float)).tolist()
    assert not np.tril(gram, -1).any()
    other = rng.integers(-4, 4, (size, 6)).astype(np.float64)
    product = np.full((height, 6), 9, np.float32)
    rows_times_matrix(out, other, 0, height, product)
    assert product.tolist() == (out.astype(float) @ other).tolist()


def test_parts_of_rows_give_the_same_bytes():
    rng = np.random.default_rng(1)
    rows, matrix = rng.standard_normal((50, 20)).astype(np.float32), rng.standard_normal((20, 20))
    whole, parts = np.empty((2, 50, 20), np.float32)
    rows_times_matrix(rows, matrix, 0, 50, whole)
    for first, last in ((0, 3), (3, 22), (22, 23), (23, 50)):
        rows_times_matrix(rows, matrix, first, last, parts)
    assert parts.tobytes() == whole.tobytes()


@pytest.mark.parametrize("size", [1, 2, 30])
def test_inverse_root_orthonormalises(size):
    rows = np.random.default_rng(size).standard_normal((100, size))
    inverse = np.empty((size, size))
    assert inverse_root(np.triu(rows.T @ rows), inverse) == size
    np.testing.assert_allclose((rows @ inverse).T @ (rows @ inverse), np.eye(size), atol=1e-10)
    assert not np.tril(inverse, -1).any()


def test_inverse_root_drops_columns_that_depend_on_others():
    rows = np.random.default_rng(0).standard_normal((100, 4))
    rows = np.column_stack([rows[:, 0], np.zeros(100), rows[:, 1], rows[:, 0] + rows[:, 1], rows[:, 2]])
    inverse = np.empty((5, 5))
    assert inverse_root(rows.T @ rows, inverse) == 3
    turned = rows @ inverse
    np.testing.assert_allclose(turned.T @ turned, np.diag([1.0, 0, 1, 0, 1]), atol=1e-10)


@pytest.mark.parametrize("size", [1, 2, 25])
def test_jacobi_finds_eigenvectors(size):
    half = np.random.default_rng(size).standard_normal((size, size))
    matrix = half @ half.T
    turned, vectors = matrix.copy(), np.empty((size, size))
    assert jacobi(turned, vectors) < 60
    np.testing.assert_allclose(np.sort(np.diag(turned)), np.linalg.eigvalsh(matrix), rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(vectors @ vectors.T, np.eye(size), atol=1e-12)
    np.testing.assert_allclose(matrix @ vectors.T, vectors.T * np.diag(turned), atol=1e-9)


def test_jacobi_by_hand():
    turned, vectors = np.array([[2.0, 1.0], [1.0, 2.0]]), np.empty((2, 2))
    jacobi(turned, vectors)
    assert sorted(np.diag(turned).tolist()) == pytest.approx([1, 3])
    assert np.abs(vectors).ravel().tolist() == pytest.approx([0.5**0.5] * 4)
