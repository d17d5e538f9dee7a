"""doc_ids, the numbers of documents (file number << 40 | position): ranges, membership, sampling by hash."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

POSITION_BITS = 40
"""A doc_id is file number << 40 | position in the file."""
POSITION = (1 << POSITION_BITS) - 1
"""The bits of a doc_id that are the position."""


def doc_ids(file: int, positions: NDArray[np.int64]) -> NDArray[np.uint64]:
    """The doc_ids of records at `positions` (byte offset of the line, or physical row) of file number `file`."""
    return (np.uint64(file) << np.uint64(POSITION_BITS)) | positions.astype(np.uint64)


def id_range(ids: NDArray[np.uint64]) -> tuple[int, int]:
    """The lowest and highest of sorted doc_ids; (1, 0), an empty range, where there are none."""
    return (int(ids[0]), int(ids[-1])) if len(ids) else (1, 0)


def between(ids: NDArray[np.uint64], first: np.uint64, last: np.uint64) -> NDArray[np.uint64]:
    """The slice of sorted `ids` with first <= id <= last: a view."""
    return ids[np.searchsorted(ids, first, "left") : np.searchsorted(ids, last, "right")]


def is_in_sorted(ids: NDArray[np.uint64], wanted: NDArray[np.uint64]) -> NDArray[np.bool_]:
    """bool[n]: which of `ids`, in any order, occur in `wanted`, which is sorted. It writes to neither array."""
    if not len(wanted):
        return np.zeros(len(ids), np.bool_)
    at = np.minimum(np.searchsorted(wanted, ids), len(wanted) - 1)
    found: NDArray[np.bool_] = wanted[at] == ids
    return found


def hashed(ids: NDArray[np.uint64], seed: int) -> NDArray[np.uint64]:
    """uint64[n]: the SplitMix64 hash of each doc_id. Each seed (0 or more) gives an independent order of documents."""
    with np.errstate(over="ignore"):
        x = ids + np.uint64(seed) * np.uint64(0x9E3779B97F4A7C15) + np.uint64(0x3C79AC492BA7B653)
        x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


def sampled(ids: NDArray[np.uint64], seed: int, wanted: int, total: int) -> NDArray[np.bool_]:
    """bool[n]: which documents belong to a sample of about wanted / total of the corpus; all where wanted >= total.

    A document's hash alone decides, so the sample depends on no order and no split, and a larger sample of the same
    seed contains the smaller one. wanted and total have the same unit: documents, or bytes of text.
    """
    if total <= wanted:
        return np.ones(len(ids), np.bool_)
    found: NDArray[np.bool_] = hashed(ids, seed) < np.uint64((wanted << 64) // total)
    return found
