"""Histograms of measures: exact counts in fixed bins, so that the counts of batches and tasks can be added.

A bin is named by the upper 16 bits of a float64: sign, exponent and four bits of the mantissa, so 16 bins a power of
two, each at most 6.25 % wide. Counts of integers below 32 are exact.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

_SHIFT = 48
_LARGEST = float(np.finfo(np.float64).max)


def count_bins(values: NDArray[Any]) -> dict[str, int]:
    """Bin -> number of values; nan and infinity are in no bin. values: numbers or booleans, [n].

    Keys are strings, since results of tasks are JSON.
    """
    numbers = values.astype(np.float64) + 0.0  # -0 is 0
    bins = (numbers[np.isfinite(numbers)].view(np.uint64) >> np.uint64(_SHIFT)).astype(np.int64)
    counts = np.bincount(bins, minlength=0)
    filled = np.flatnonzero(counts)
    return dict(zip(map(str, filled.tolist()), counts[filled].tolist(), strict=True))


def merge_bins(several: Iterable[Mapping[str, int]]) -> dict[str, int]:
    """The sum of several bin counts."""
    total: dict[str, int] = {}
    for each in several:
        for name, count in each.items():
            total[name] = total.get(name, 0) + count
    return total


def histogram(bins: Mapping[str, int]) -> list[list[float]]:
    """[lower edge, upper edge, count] of each bin that is not empty, from the lowest value to the highest.

    Of positive values the lower edge is in the bin, of negative ones the upper; all edges are finite.
    """
    rows = []
    for name, count in bins.items():
        number = int(name)
        edges = np.array([number, number + 1], np.uint64) << np.uint64(_SHIFT)
        low, high = sorted(np.clip(edges.view(np.float64), -_LARGEST, _LARGEST).tolist())
        rows.append([low, high, count])
    return sorted(rows)
