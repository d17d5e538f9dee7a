"""Statistics of fast similarity sketches against theory and against classic MinHash, and of bands of their values."""

import numba
import numpy as np
import pytest
from naive.neardup import candidate_probability

from corpuscurate.kernels.simd.lanes import LANES
from corpuscurate.kernels.sketch.fast_similarity import first_round, later_rounds, multiplier, open_bins, open_length

K = 126


@numba.njit(error_model="numpy")
def _sketch(hashes, seed, out):
    bins = np.full(len(out), np.uint64(0xFFFFFFFFFFFFFFFF))
    x = np.empty(len(hashes) + LANES, np.uint64)
    x[: len(hashes)] = hashes
    first_round(x[: len(hashes)], multiplier(seed), bins)
    is_open = np.zeros(open_length(len(bins)), np.uint8)
    empty = open_bins(bins, is_open)
    later_rounds(x, len(hashes), empty, is_open, np.empty_like(x), bins)
    for at in range(len(bins)):
        out[at] = np.uint32(bins[at])


@numba.njit(error_model="numpy")
def _agreements(hashes, n, both, out):
    """out: bool[trials, k], where the signatures of a pair of sets of n hashes agree, `both` of which they share."""
    left, right = np.empty(out.shape[1], np.uint32), np.empty(out.shape[1], np.uint32)
    for i in range(len(out)):
        _sketch(hashes[i, :n], np.uint64(i), left)
        _sketch(hashes[i, n - both :], np.uint64(i), right)
        out[i] = left == right


def agreements(n: int, j: float, trials: int) -> tuple[np.ndarray, float]:
    both = round(2 * n * j / (1 + j))
    hashes = np.random.default_rng(n).integers(0, 2**64, (trials, 2 * n - both), dtype=np.uint64)
    out = np.empty((trials, K), np.bool_)
    _agreements(hashes, n, both, out)
    return out, both / (2 * n - both)


@pytest.mark.parametrize(("n", "trials", "at_most"), [
    (2, 8000, 0.76), (10, 8000, 0.76), (30, 5000, 0.76), (100, 4000, 0.80), (1000, 1500, 1.05), (10_000, 300, 1.2),
])  # fmt: skip
@pytest.mark.parametrize("j", [0.33, 0.5, 0.8, 0.95])
@pytest.mark.campaign(2)
def test_the_estimate_has_no_bias_and_less_variance_than_classic(n, trials, at_most, j):
    found, true = agreements(n, j, trials)
    if true in (0, 1):
        assert (found == true).all()
        return
    estimate = found.mean(axis=1)
    sigma = np.sqrt(true * (1 - true) / K)  # of classic MinHash
    assert abs(estimate.mean() - true) < 5 * sigma / np.sqrt(trials)
    assert estimate.std() / sigma < at_most
    # each value by itself agrees with probability J: no bin is special
    assert abs(found.mean(axis=0) - true).max() < 5.5 * np.sqrt(true * (1 - true) / trials)


@pytest.mark.parametrize(("n", "trials"), [(3, 12_000), (10, 12_000), (30, 8000), (100, 5000), (1000, 1500)])
@pytest.mark.parametrize(("bands", "rows"), [(21, 6), (14, 9), (42, 3)])
@pytest.mark.campaign(2)
def test_trap_12_bands_find_what_the_s_curve_promises(n, trials, bands, rows):
    """Values of few shingles depend on each other, which makes the curve steeper: where the formula promises much, no
    less is found, and where it promises little, little more."""
    for j in (0.5, 0.7, 0.8, 0.9):
        found, true = agreements(n, j, trials)
        met = found[:, : bands * rows].reshape(trials, bands, rows).all(axis=2).any(axis=1).mean()
        p = candidate_probability(true, bands, rows)
        error = 5 * np.sqrt(max(p * (1 - p), 1 / trials) / trials)
        if p >= 0.8:
            assert met > p - error
        assert abs(met - p) < 0.03 + error


def test_trap_9_unrelated_sets_share_no_value():
    hashes = np.random.default_rng(3).integers(0, 2**64, 40_000, dtype=np.uint64)
    left, right = np.empty((2, K), np.uint32)
    for size in (1, 10, 2000, 20_000):
        _sketch(hashes[:size], np.uint64(1), left)
        _sketch(hashes[20_000 : 20_000 + size], np.uint64(1), right)
        assert not (left == right).any()


def test_trap_11_structured_hashes():
    """Runs of numbers as hashes: multiplication alone spreads them over the bins well enough for the estimate."""
    rng = np.random.default_rng(4)
    starts = rng.integers(0, 2**63, 3000, dtype=np.uint64)
    hashes = starts[:, None] + np.arange(37, dtype=np.uint64)
    out = np.empty((3000, K), np.bool_)
    _agreements(hashes, 30, 23, out)
    sigma = np.sqrt(23 / 37 * 14 / 37 / K)
    assert abs(out.mean() - 23 / 37) < 0.01
    assert out.mean(axis=1).std() < 4 * sigma
