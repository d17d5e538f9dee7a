import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from naive import neighbours as naive
from support.forms import some

from corpuscurate.methods.semantic.vectors import LENGTH, quantised

ROW = st.lists(st.floats(-1, 1, width=32), min_size=1, max_size=40).map(lambda row: np.array(row, np.float64))


def unit(row):
    length = np.sqrt((row * row).sum())
    return (row / length if length > 0 else row).astype(np.float32)


def test_golden_rows():
    rows = np.array([[0, 0, 0, 0], [1, 0, 0, 0], [0.6, -0.8, 0, 0], [0.5, 0.5, 0.5, 0.5]], np.float32)
    whole, squares = quantised(rows)
    assert whole.tolist() == [[0] * 4, [4000, 0, 0, 0], [2400, -3200, 0, 0], [2000] * 4]
    assert squares.tolist() == [0] + [4000**2] * 3


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


def near(rows, rng):
    """Unit rows, and for each another one at a cosine from .9 to 1."""
    length = np.linalg.norm(rows, axis=1)[:, None]
    noise = rng.normal(size=rows.shape) * np.abs(rows).mean(axis=1)[:, None]
    others = rows + rng.uniform(0, 0.4, (len(rows), 1)) * noise * length / np.linalg.norm(noise, axis=1)[:, None]
    both = np.concatenate([rows, others])
    return both / np.linalg.norm(both, axis=1)[:, None]


HOSTILE = {
    "elements of like size": lambda rng, d: rng.normal(size=(200, d)),
    "one huge dimension": lambda rng, d: rng.normal(size=(200, d)) + 4.4 * d**0.5 * np.eye(1, d),
    "a dimension with nearly all": lambda rng, d: rng.normal(size=(200, d)) + 50 * d**0.5 * np.eye(1, d),
    "several huge dimensions": lambda rng, d: rng.normal(size=(200, d)) * np.where(np.arange(d) < 4, 3 * d**0.5, 1),
    "sparse rows": lambda rng, d: rng.normal(size=(200, d)) * (rng.random((200, d)) < 3 / d) + 1e-9,
    "constant rows": lambda rng, d: np.ones((200, d)) + 1e-3 * rng.normal(size=(200, d)),
    "tiny values": lambda rng, d: rng.normal(size=(200, d)) * 1e-30,
    "powers of two": lambda rng, d: rng.choice([-1, 1], (200, d)) * 2.0 ** -(np.arange(d) % 30),
    "only positive": lambda rng, d: rng.exponential(size=(200, d)) ** 4,
    "two values": lambda rng, d: np.where(rng.random((200, d)) < 0.1, 1, 0.013),
}


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("dimension", [2, 64, 384, 1536])
def test_cosines_are_those_of_the_embeddings(name, dimension):
    rng = np.random.default_rng(dimension)
    rows = near(HOSTILE[name](rng, dimension), rng)
    exact, found = rows @ rows.T, naive.cosines(quantised(rows.astype(np.float32))[0])
    assert np.abs(found - exact).max() < 0.001
    assert (found - exact).std() < 0.0002
    assert np.allclose(np.diag(found), 1.0, atol=0, rtol=1e-15)


@settings(max_examples=some(100), deadline=None)
@given(st.lists(st.floats(-1, 1, width=32), min_size=2, max_size=64), st.integers(0, 2**32), st.floats(0, 1))
def test_cosines_of_any_rows(values, seed, spread):
    rng = np.random.default_rng(seed)
    row = unit(np.array(values, np.float64))
    if not row.any():
        return
    other = unit(row + spread * rng.normal(size=len(row)) / len(row))
    found = naive.cosines(quantised(np.stack([row, other]))[0])[0, 1]
    assert abs(found - float(row.astype(np.float64) @ other.astype(np.float64))) < 0.001
