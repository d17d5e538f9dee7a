"""Bias, variance and banding of the sketch kinds, by simulation: `python scripts/sketch_statistics.py`.

Pairs of random sets of n hashes with Jaccard similarity J are sketched; printed are the standard deviation of the
estimate over that of theory, sqrt(J (1 - J) / k), its bias in units of its own error, and how often the pair shares a
band, beside 1 - (1 - J^r)^b.
"""

from __future__ import annotations

import argparse

import numba
import numpy as np

from corpuscurate.kernels.simd.lanes import LANES
from corpuscurate.kernels.sketch.fast_similarity import first_round, later_rounds, multiplier, open_bins, open_length
from corpuscurate.kernels.sketch.minhash import lower, permutations
from corpuscurate.methods.dedup.bands import candidate_probability

VALUES = 126
BANDINGS = ((21, 6), (14, 9), (9, 14), (42, 3))


@numba.njit(error_model="numpy")
def sketch(hashes, fast, seed, a, b, out):
    if not fast:
        out[:] = np.uint32(0xFFFFFFFF)
        lower(hashes, a, b, out)
        return
    bins = np.full(len(out), np.uint64(0xFFFFFFFFFFFFFFFF))
    x = np.empty(len(hashes) + LANES, np.uint64)
    x[: len(hashes)] = hashes
    first_round(x[: len(hashes)], multiplier(seed), bins)
    is_open = np.zeros(open_length(len(bins)), np.uint8)
    empty = open_bins(bins, is_open)
    later_rounds(x, len(hashes), empty, is_open, np.empty_like(x), bins)
    for at in range(len(bins)):
        out[at] = np.uint32(bins[at])


def equal_values(n: int, both: int, trials: int, fast: bool, rng: np.random.Generator) -> np.ndarray:
    """bool[trials, VALUES]: where the signatures of a pair agree."""
    found = np.empty((trials, VALUES), np.bool_)
    left, right = np.empty((2, VALUES), np.uint32)
    for i in range(trials):
        a, b = np.empty((2, VALUES), np.uint32)
        permutations(np.uint64(i), a, b)
        hashes = rng.integers(0, 2**64, 2 * n - both, dtype=np.uint64)
        sketch(hashes[:n], fast, np.uint64(i), a, b, left)
        sketch(hashes[n - both :], fast, np.uint64(i), a, b, right)
        found[i] = left == right
    return found


def shares_band(equal: np.ndarray, bands: int, rows: int) -> float:
    return float(equal[:, : bands * rows].reshape(len(equal), bands, rows).all(axis=2).any(axis=1).mean())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=int, default=4_000_000, help="hashes sketched for each line")
    work = parser.parse_args().work
    rng = np.random.default_rng(1)
    for n in (1, 2, 3, 5, 10, 30, 100, 300, 1000, 10_000):
        for target in (0.5, 0.8, 0.9, 0.95):
            both = round(2 * n * target / (1 + target))
            j = both / (2 * n - both)
            if j in (0, 1):
                continue
            trials = int(min(20_000, work // n))
            for kind in ("classic", "fast"):
                equal = equal_values(n, both, trials, kind == "fast", rng)
                estimate = equal.mean(axis=1)
                sigma = np.sqrt(j * (1 - j) / VALUES)
                bias = (estimate.mean() - j) / (estimate.std() / np.sqrt(trials))
                bands = "  ".join(
                    f"{b}x{r} {shares_band(equal, b, r):.4f}/{candidate_probability(j, b, r):.4f}" for b, r in BANDINGS
                )
                print(f"n {n:6} J {j:.3f} {kind:8} sd/theory {estimate.std() / sigma:.3f} bias {bias:+.1f}  {bands}")


if __name__ == "__main__":
    main()
