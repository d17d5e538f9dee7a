"""Choosing the best of a corpus by score: keep ranks, digits of ranks, and a random draw that repeats."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from corpuscurate.kernels.compile import kernel
from corpuscurate.kernels.hashing import mix64

_S11 = np.uint64(11)
_SCALE = 2.0**-53
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)


@kernel
def pareto_keys(
    scores: NDArray[np.float64], doc_id: NDArray[np.uint64], alpha: float, seed: np.uint64, out: NDArray[np.float64]
) -> int:
    """Score plus a draw of the Lomax distribution (what NumPy calls Pareto) with shape alpha, seeded by the doc_id.

    GPT-3 (Brown et al. 2020, arXiv 2005.14165, appendix A) keeps a document where the draw exceeds 1 - score, that is
    where this key exceeds 1. out: float64[n]. Returns n.
    """
    start = mix64(seed + _GOLDEN)
    for i in range(len(scores)):
        uniform = (np.float64(mix64(mix64(doc_id[i] + _GOLDEN) ^ start) >> _S11) + 0.5) * _SCALE  # 0 < uniform < 1
        out[i] = scores[i] + uniform ** (-1.0 / alpha) - 1.0
    return len(scores)


@kernel
def count_digits(
    ranks: NDArray[np.uint64],
    groups: NDArray[np.int64],
    prefixes: NDArray[np.uint64],
    done_bits: int,
    bits: int,
    out: NDArray[np.int64],
) -> int:
    """For each group, count each value of the next `bits` bits among the ranks that begin with the group's prefix,
    whose first `done_bits` bits are known. out: int64[groups, 2 ** bits], added to. Returns the matches."""
    shift = np.uint64(64 - done_bits - bits)
    mask = np.uint64((1 << bits) - 1)
    above = np.uint64(64 - done_bits)
    found = 0
    for i in range(len(ranks)):
        group = groups[i]
        if done_bits > 0 and ranks[i] >> above != prefixes[group] >> above:
            continue
        out[group, np.int64((ranks[i] >> shift) & mask)] += 1
        found += 1
    return found


@kernel
def choose(
    ranks: NDArray[np.uint64],
    groups: NDArray[np.int64],
    cuts: NDArray[np.uint64],
    room: NDArray[np.int64],
    out: NDArray[np.bool_],
) -> int:
    """Keep the documents whose rank is below the cut of their group, and of those whose rank equals it the first
    `room`, which is counted down.

    ranks: uint64[n]. cuts: uint64[groups]. room: int64[groups], changed. out: bool[n]. Returns how many are kept.
    """
    kept = 0
    for i in range(len(ranks)):
        group = groups[i]
        out[i] = ranks[i] < cuts[group]
        if ranks[i] == cuts[group] and room[group] > 0:
            room[group] -= 1
            out[i] = True
        kept += out[i]
    return kept
