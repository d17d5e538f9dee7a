"""The number of a document: file number << 40 | position; ranges of them, membership, sampling by hash."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

POSITION_BITS = 40
"""A doc_id is file number << 40 | position in the file."""


def doc_ids(file: int, positions: NDArray[np.int64]) -> NDArray[np.uint64]:
    """The doc_ids of records at `positions` (byte offset of the line, or physical row) of file number `file`."""
    return (np.uint64(file) << np.uint64(POSITION_BITS)) | positions.astype(np.uint64)


def sorted_member(values: NDArray[np.uint64], of: NDArray[np.uint64]) -> NDArray[np.bool_]:
    """For each of `values` (sorted) whether it is in `of` (sorted, distinct)."""
    if len(of) == 0:
        return np.zeros(len(values), np.bool_)
    places = np.minimum(np.searchsorted(of, values), len(of) - 1)
    found: NDArray[np.bool_] = of[places] == values
    return found


def id_range(ids: NDArray[np.uint64]) -> tuple[int, int]:
    """The lowest and highest of sorted doc_ids; an empty range where there are none."""
    return (int(ids[0]), int(ids[-1])) if len(ids) else (1, 0)


def between(ids: NDArray[np.uint64], first: np.uint64, last: np.uint64) -> NDArray[np.uint64]:
    """The part of sorted `ids` with first <= id <= last."""
    return ids[np.searchsorted(ids, first, "left") : np.searchsorted(ids, last, "right")]


def is_in_sorted(ids: NDArray[np.uint64], wanted: NDArray[np.uint64]) -> NDArray[np.bool_]:
    """Which of `ids` occur in sorted `wanted`."""
    if not len(wanted):
        return np.zeros(len(ids), np.bool_)
    at = np.minimum(np.searchsorted(wanted, ids), len(wanted) - 1)
    return wanted[at] == ids  # type: ignore[no-any-return]


def hashed(ids: NDArray[np.uint64], seed: int) -> NDArray[np.uint64]:
    """A hash of each doc_id (SplitMix64), for choices that depend on nothing else."""
    with np.errstate(over="ignore"):
        x = ids + np.uint64(seed) * np.uint64(0x9E3779B97F4A7C15) + np.uint64(0x3C79AC492BA7B653)
        x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


def chosen(ids: NDArray[np.uint64], seed: int, wanted: int, total: int) -> NDArray[np.bool_]:
    """Those of `total` documents that belong to a sample of about `wanted`: by the hash of their doc_id."""
    if total <= wanted:
        return np.ones(len(ids), np.bool_)
    found: NDArray[np.bool_] = hashed(ids, seed) < np.uint64((wanted << 64) // total)
    return found


def in_sample(ids: NDArray[np.uint64], sample_bytes: int, total: int) -> NDArray[np.bool_]:
    """Which documents belong to a sample of about `sample_bytes` of `total`: those whose hash is below the share."""
    if total <= sample_bytes:
        return np.ones(len(ids), np.bool_)
    x = ids ^ np.uint64(0x5851F42D4C957F2D)  # not the hash of any other sampling by doc_id
    with np.errstate(over="ignore"):
        x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    x ^= x >> np.uint64(31)
    chosen: NDArray[np.bool_] = x < np.uint64((sample_bytes << 64) // total)
    return chosen
