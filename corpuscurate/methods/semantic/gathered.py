"""Rows of vectors that lie in pieces, in other files and in another order: gathered where they are asked for."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

_BLOCK_ROWS = 1 << 14


class Gathered:
    """Vectors by the number of a row: int16[m, d] for a slice or an array of numbers. pieces: where they lie, each
    int16[., d], numbered one after the other; at: int64[n], the number there of each row."""

    def __init__(self, pieces: Sequence[NDArray[np.int16]], at: NDArray[np.int64], dimension: int) -> None:
        self._pieces, self._at, self._dimension = pieces, at, dimension
        self._starts = starts_of([len(piece) for piece in pieces])

    def __len__(self) -> int:
        return len(self._at)

    def __getitem__(self, rows: slice | NDArray[Any]) -> NDArray[np.int16]:
        chosen = np.asarray(self._at[rows])
        if not len(chosen):
            return np.empty((0, self._dimension), np.int16)
        return gather(self._pieces, self._starts, chosen)

    def part(self, first: int, stop: int) -> Gathered:
        """Rows first..stop-1."""
        return Gathered(self._pieces, self._at[first:stop], self._dimension)

    def copied(self, path: Path) -> NDArray[np.int16]:
        """All rows in a new file, memory-mapped, for what needs them again and again in any order."""
        with path.open("wb") as file:
            for start in range(0, len(self), _BLOCK_ROWS):
                file.write(self[start : start + _BLOCK_ROWS].tobytes())
        shape = len(self), self._dimension
        return np.memmap(path, np.int16, "r", shape=shape) if all(shape) else np.empty(shape, np.int16)


def starts_of(sizes: Sequence[int]) -> NDArray[np.int64]:
    """Where pieces of these sizes begin, one after the other, and where the last one ends."""
    return np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)


def gather(pieces: Sequence[NDArray[Any]], starts: NDArray[np.int64], rows: NDArray[np.int64]) -> NDArray[Any]:
    """The rows of these numbers, where the pieces are numbered one after the other from `starts` on."""
    out = np.empty((len(rows), *pieces[0].shape[1:]), pieces[0].dtype)
    piece = np.searchsorted(starts, rows, "right") - 1
    for number in np.unique(piece).tolist():
        here = np.flatnonzero(piece == number)
        local = rows[here] - starts[number]
        forward = np.argsort(local)  # ascending, for the disk's sake
        out[here[forward]] = pieces[number][local[forward]]
    return out
