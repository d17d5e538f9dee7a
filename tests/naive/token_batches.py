"""Batches of windows, and the mean of rows, from their definitions in plain Python."""

from __future__ import annotations

import math
from collections.abc import Sequence

EMPTY, UNKNOWN, NOT_FINITE = 1, 2, 8


def batch(
    windows: Sequence[Sequence[int]], before: list[int], after: list[int], pad: int, rows: int, length: int
) -> tuple[list[list[int]], list[int]]:
    """Rows of `length` tokens and their sizes: each window in its frame, then padding; missing windows are empty. A row
    that would have nothing has one token of padding."""
    whole = [[*before, *window, *after] for window in [*windows, *[[]] * (rows - len(windows))]]
    return [[*row, *[pad] * (length - len(row))] for row in whole], [max(len(row), 1) for row in whole]


def mean_of_units(rows: Sequence[Sequence[float]], weights: Sequence[int], note: int) -> tuple[list[float] | None, int]:
    """The mean direction of a text's windows, of length 1, and the text's note; None for the zero row.

    rows: those of its windows; note: what was known of the text.
    """
    if any(not math.isfinite(value) for row in rows for value in row):
        return None, note | NOT_FINITE
    width = len(rows[0]) if rows else 0
    total = [0.0] * width
    for row, weight in zip(rows, weights, strict=True):
        length = math.sqrt(sum(value * value for value in row))
        if length > 0:
            total = [have + weight * value / length for have, value in zip(total, row, strict=True)]
    length = math.sqrt(sum(value * value for value in total))
    if length == 0:
        return None, note if note & UNKNOWN else note | EMPTY
    return [value / length for value in total], note
