"""Units of documents that were read again, in one file for each sketch file, and the shingle sets of chosen documents
in memory.

A unit takes 4 bytes on disk; a set is made from units when its document is compared, 8 bytes a distinct shingle.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from corpuscurate.core.artefact import Artefact
from corpuscurate.core.columns import to_numpy
from corpuscurate.kernels.sketch.shingle_sets import shingle_sets
from corpuscurate.methods.dedup.sketches import record_batches

COUNT = "count"
UNITS = "units"


def unit_columns(units: pa.LargeListArray) -> dict[str, pa.Array]:
    """The columns of a file, after doc_id: the number of units of the document (uint32), and the units
    (large_list<uint32>)."""
    return {COUNT: units.value_lengths().cast(pa.uint32()), UNITS: units}


class _BatchRows(NamedTuple):
    """Rows of a record batch of a file. first: the index of the first document among those wanted."""

    path: Artefact
    batch: int
    first: int
    rows: NDArray[np.int64]


class Units:
    """The units of the documents `wanted` (sorted), located in files. Raises RuntimeError where a document has none,
    unless there may be documents `without`.

    counts: int64[wanted], units of each.
    """

    def __init__(self, paths: Sequence[Artefact], wanted: NDArray[np.uint64], *, without: bool = False) -> None:
        self.counts = np.zeros(len(wanted), np.int64)
        self._located = [rows for path in paths for rows in _batch_rows(path, wanted, self.counts)]
        if not without and not self.counts.all():  # every candidate of `minhash` has units
            raise RuntimeError(
                f"shingles of document {wanted[self.counts == 0][0]} are missing: its text changed while it was read"
            )

    def most_shingles(self, ngram: int) -> NDArray[np.int64]:
        """Upper bound of the shingles of each document: int64[wanted]."""
        most: NDArray[np.int64] = np.maximum(self.counts - (ngram - 1), 1)
        return most

    def sets(self, chosen: NDArray[np.int64], ngram: int, out: NDArray[np.uint64]) -> NDArray[np.int64]:
        """The shingle sets of documents, one after the other. chosen: which of those wanted, ascending. out: as long as
        `most_shingles` of them together. Returns int64[chosen + 1] offsets into it."""
        offsets = np.zeros(len(chosen) + 1, np.int64)
        bounds = np.searchsorted(chosen, [*(each.first for each in self._located), len(self.counts)]).tolist()
        needed = [each for each in zip(self._located, bounds, bounds[1:], strict=False) if each[1] < each[2]]
        for path, pieces in groupby(needed, lambda each: each[0].path):
            with pa.memory_map(os.fspath(path)) as mapped, pa.ipc.open_file(mapped) as reader:
                for located, low, high in pieces:
                    lists = reader.get_batch(located.batch).column(UNITS)
                    rows = located.rows[chosen[low:high] - located.first]
                    ends = offsets[low : high + 1]
                    shingle_sets(to_numpy(lists.offsets), to_numpy(lists.values), rows, ngram, ends, out)
        return offsets


def room_for(most: int, scratch: Path, share_bytes: int) -> NDArray[np.uint64]:
    """An array uint64[most]: in memory, or mapped from the file `scratch` where it exceeds share_bytes, so that the
    system may page it."""
    if most * 8 <= share_bytes:
        return np.empty(most, np.uint64)
    return np.memmap(scratch, np.uint64, "w+", shape=(most,))


def _batch_rows(path: Artefact, wanted: NDArray[np.uint64], counts: NDArray[np.int64]) -> Iterator[_BatchRows]:
    """The rows of the `wanted` documents in a file, in their order; fills in their counts."""
    for number, batch in enumerate(record_batches(path, ["doc_id", COUNT, UNITS], ["doc_id", COUNT])):
        ids = to_numpy(batch.column("doc_id"))
        if not len(ids):
            continue
        low = int(np.searchsorted(wanted, ids[0], "left"))
        high = int(np.searchsorted(wanted, ids[-1], "right"))
        if low < high:
            rows = np.minimum(np.searchsorted(ids, wanted[low:high]), len(ids) - 1)
            here = ids[rows] == wanted[low:high]  # else: their units are not there, and their count stays 0
            counts[low:high][here] = to_numpy(batch.column(COUNT))[rows[here]]
            if here.all():
                yield _BatchRows(path, number, low, rows)
