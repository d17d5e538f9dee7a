"""Compare a row of a cluster with all rows before it anew: where its bounded list of neighbours cannot decide.

What is found is held where further thresholds are to be decided at (`hold_bytes`), so that each row is compared once
for all of them, and so are rows of the first clusters that are asked for, as float32. In memory at most that and
64 MiB, and 24 bytes for each row near the one at hand.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from corpuscurate.methods.semantic.clusters import joined
from corpuscurate.methods.semantic.gathered import Gathered
from corpuscurate.methods.semantic.keep_order import ClusterRange
from corpuscurate.methods.semantic.pairs import clusters_of

_BLOCK_ROWS = 1 << 15
_FLOATS_BYTES = 64 << 20
"""Most bytes of rows that are held as float32."""
_OPEN_RANGES = 2
"""Cluster ranges that stay mapped: each holds a file open for each of its pieces, and its pages in memory."""


class Near(NamedTuple):
    """Earlier rows that are near. ids: uint64[n], doc_ids; ranks: int64[n], see `Neighbourhoods.ranks`; cosines:
    float64[n]; in keep order."""

    ids: NDArray[np.uint64]
    ranks: NDArray[np.int64]
    cosines: NDArray[np.float64]

    def where(self, chosen: NDArray[Any]) -> Near:
        """Some of them: a mask, or indices."""
        return Near(*(each[chosen] for each in self))

    @property
    def bytes(self) -> int:
        """What they take up."""
        return sum(each.nbytes for each in self)


class EarlierRows:
    """The rows before a row in its cluster. ranks: of doc_ids. least: the lowest threshold that is asked for."""

    def __init__(
        self,
        cluster_ranges: tuple[ClusterRange, ...],
        one: bool,
        ranks: Callable[[NDArray[np.uint64]], NDArray[np.int64]],
        least: float,
        hold_bytes: int,
    ) -> None:
        self._ranges, self._one, self._ranks, self._least, self._room = cluster_ranges, one, ranks, least, hold_bytes
        self._held: dict[int, Near] = {}
        self._floats: dict[tuple[int, int], NDArray[np.float32]] = {}
        self._floats_room = _FLOATS_BYTES
        self._clusters: dict[int, dict[int, tuple[int, int]]] = {}
        self._mapped: dict[int, tuple[NDArray[Any], Gathered]] = {}

    def mapped(self, number: int) -> tuple[NDArray[Any], Gathered]:
        """The table and the vectors of a cluster range; those of the last ones stay open."""
        if number not in self._mapped:
            if len(self._mapped) == _OPEN_RANGES:
                self._mapped.clear()
            self._mapped[number] = self._ranges[number].table(), self._ranges[number].vectors()
        return self._mapped[number]

    def near(self, number: int, row: Any, threshold: float) -> Near:
        """Those with a cosine of at least `threshold`. row: of LIST, the `number`-th."""
        found = self._held.get(number)
        if found is None:
            found = self._compared(row, self._least if self._room > 0 else threshold)
            if found.bytes < self._room:
                self._held[number] = found
                self._room -= found.bytes
        return found.where(found.cosines >= threshold)

    def _compared(self, row: Any, threshold: float) -> Near:
        number = int(row["range"])
        table, vectors = self.mapped(number)
        mine, cluster = int(row["row"]), int(row["cluster"])
        vector, square = vectors[mine : mine + 1][0].astype(np.float32), float(table["square"][mine])
        visitor = not self._one and table["clusters"][mine, 0] != cluster
        ids, cosines = [], []
        first, stop = self.span(number, cluster)
        for start in range(first, mine, _BLOCK_ROWS):
            rows = slice(start, min(start + _BLOCK_ROWS, mine))
            products = (self._rows(number, rows, stop) @ vector).astype(np.float64)
            values = products / np.sqrt(square * table["square"][rows].astype(np.float64))
            near = values >= threshold
            if visitor:
                near &= table["clusters"][rows, 0] == cluster
            ids.append(table["doc_id"][rows][near])
            cosines.append(values[near])
        names = joined(ids, np.uint64)
        return Near(names, self._ranks(names), joined(cosines, np.float64))

    def _rows(self, number: int, rows: slice, stop: int) -> NDArray[np.float32]:
        """float32: some rows of a cluster that ends at `stop`; where there is room, its block from `rows.start` on is
        held."""
        held = self._floats.get((number, rows.start))
        if held is None:
            _, vectors = self.mapped(number)
            block = slice(rows.start, min(rows.start + _BLOCK_ROWS, stop))
            size = (block.stop - block.start) * self._ranges[number].dimension * np.dtype(np.float32).itemsize
            if size > self._floats_room:
                return vectors[rows].astype(np.float32)
            held = self._floats[number, rows.start] = vectors[block].astype(np.float32)
            self._floats_room -= size
        return held[: rows.stop - rows.start]

    def span(self, number: int, cluster: int) -> tuple[int, int]:
        """(first, stop) rows of a cluster in its cluster range."""
        if number not in self._clusters:
            table, _ = self.mapped(number)
            self._clusters[number] = {int(table["cluster"][span[0]]): span for span in clusters_of(table)}
        return self._clusters[number][cluster]
