"""Rows picked out of sorted ids, out of columns and out of texts."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from corpuscurate.kernels.compile import uncounted
from corpuscurate.kernels.duplicates.components import Int


@uncounted
def find_sorted(ids: NDArray[np.uint64], wanted: NDArray[np.uint64], out: NDArray[np.int64]) -> Int:
    """Indices in `ids` of the ids in `wanted`; those that do not occur are passed over. Both ascend without repeats.

    out: int64[>= min(len(ids), len(wanted))]. Returns how many occur.
    """
    found: Int = 0
    at = 0
    for i in range(len(wanted)):
        while at < len(ids) and ids[at] < wanted[i]:
            at += 1
        if at < len(ids) and ids[at] == wanted[i]:
            out[found] = at
            found += 1
    return found


@uncounted
def pick_rows(columns: NDArray[Any], rows: NDArray[np.int64], out: NDArray[Any]) -> int:
    """Write the rows of a table that is given by column, [columns, all], one after the other: out [rows, columns].
    Returns how many."""
    for i in range(len(rows)):
        row = rows[i]
        for j in range(len(columns)):
            out[i, j] = columns[j, row]
    return len(rows)


@uncounted
def pick_texts(
    offsets: NDArray[np.int64], data: NDArray[np.uint8], mask: NDArray[np.bool_], out: NDArray[np.uint8]
) -> Int:
    """Write the texts data[offsets[i]:offsets[i + 1]] of the rows where `mask` is True one after the other. Returns how
    many bytes. Neighbours are copied as one run."""
    at = np.uint64(0)
    row = np.uint64(0)
    while row < np.uint64(len(mask)):
        if not mask[row]:
            row += np.uint64(1)
            continue
        start = np.uint64(offsets[row])
        while row < np.uint64(len(mask)) and mask[row]:
            row += np.uint64(1)
        size = np.uint64(offsets[row]) - start
        for i in range(size):
            out[at + i] = data[start + i]
        at += size
    return np.int64(at)
