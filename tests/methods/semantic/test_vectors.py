import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from naive import neighbours as naive

from corpuscurate.methods.semantic.vectors import LENGTH, quantised

ROW = st.lists(st.floats(-1, 1, width=32), min_size=1, max_size=40).map(lambda row: np.array(row, np.float64))


def unit(row):
    length = np.sqrt((row * row).sum())
    return (row / length if length > 0 else row).astype(np.float32)


def test_golden_rows():
    rows = np.array([[0, 0, 0, 0], [1, 0, 0, 0], [0.6, -0.8, 0, 0], [0.5, 0.5, 0.5, 0.5]], np.float32)
    whole, squares = quantised(rows)
    assert whole.tolist() == [[0] * 4, [127, 0, 0, 0], [95, -127, 0, 0], [127] * 4]  # 0.6 / 0.8 * 127 = 95.25
    assert squares.tolist() == [0, 127**2, 95**2 + 127**2, 4 * 127**2]


@given(ROW)
def test_rows_equal_naive(row):
    whole, squares = quantised(unit(row)[None])
    assert whole[0].tolist() == naive.stored(unit(row).tolist())
    assert squares[0] == sum(x * x for x in whole[0].tolist())


@pytest.mark.parametrize("dimension", [1, 2, 256, 1536, 16_384])
def test_every_product_fits_float32(dimension):
    """The length of a stored row, with its rounding, and of a centroid: their product is below 2^24."""
    flat = np.full((1, dimension), 1 / np.sqrt(dimension), np.float32)
    for row in (flat, np.eye(1, dimension, dtype=np.float32), flat * np.linspace(0.5, 1, dimension, dtype=np.float32)):
        _, squares = quantised(unit(row[0].astype(np.float64))[None])
        most = np.sqrt(float(squares[0]))
        assert most > 0
        assert most * max(most, LENGTH + np.sqrt(dimension) / 2) < 2**24


def test_cosines_are_near_those_of_the_embeddings():
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(300, 384))
    rows[150:] = rows[:150] + 0.5 * rng.normal(size=(150, 384))
    rows = (rows / np.linalg.norm(rows, axis=1)[:, None]).astype(np.float32)
    found = naive.cosines(quantised(rows)[0])
    assert np.abs(found - rows @ rows.T).max() < 0.004
    assert (found - rows @ rows.T).std() < 0.0008
    assert (np.diag(found) == 1.0).all()
