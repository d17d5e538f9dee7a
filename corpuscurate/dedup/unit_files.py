"""Units of documents that were read again, in a file for each sketch file, and the shingle sets of chosen ones in
memory.

Units take 4 bytes each on disk; a set is made of them when its document is compared, 8 bytes a distinct shingle.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from corpuscurate.columns import to_numpy
from corpuscurate.dedup.sources import record_batches
from corpuscurate.kernels.shingle_sets import shingle_sets

COUNT = "count"
UNITS = "units"


def unit_columns(units: pa.LargeListArray) -> dict[str, pa.Array]:
    """The columns of a file, after doc_id: uint32 units of the document; large_list<uint32>, they themselves."""
    return {COUNT: units.value_lengths().cast(pa.uint32()), UNITS: units}


class _Place(NamedTuple):
    """Where some documents stand: rows of a record batch of a file; first: the index of the first of them."""

    path: Path
    batch: int
    first: int
    rows: NDArray[np.int64]


def load_sets(
    paths: Sequence[Path], wanted: NDArray[np.uint64], ngram: int, scratch: Path, share_bytes: int
) -> tuple[NDArray[np.int64], NDArray[np.uint64], Path | None]:
    """Shingle sets of the documents `wanted` (sorted), one after the other: int64 offsets, uint64 values, and the file
    that holds them where they may exceed share_bytes. Counts are read first, then units of one record batch at a
    time."""
    counts = np.zeros(len(wanted), np.int64)
    places = list(_places(paths, wanted, counts))
    if not counts.all():  # every candidate has units
        raise RuntimeError(
            f"shingles of document {wanted[counts == 0][0]} are missing: its text changed while it was read"
        )
    most = int(np.maximum(counts - ngram + 1, 1).sum())
    on_disk = most * 8 > share_bytes
    out = np.memmap(scratch, np.uint64, "w+", shape=(most,)) if on_disk else np.empty(most, np.uint64)
    offsets = np.zeros(len(wanted) + 1, np.int64)
    for place in places:
        with pa.memory_map(str(place.path)) as mapped, pa.ipc.open_file(mapped) as reader:
            lists = reader.get_batch(place.batch).column(UNITS)
            ends = offsets[place.first : place.first + len(place.rows) + 1]
            shingle_sets(to_numpy(lists.offsets), to_numpy(lists.values), place.rows, ngram, ends, out)
    return offsets, out[: offsets[-1]], scratch if on_disk else None


def _places(paths: Sequence[Path], wanted: NDArray[np.uint64], counts: NDArray[np.int64]) -> Iterator[_Place]:
    """Where the `wanted` documents stand, in their order; fills in their counts."""
    for path in paths:
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
                    yield _Place(path, number, low, rows)
