"""Shingle sets of documents that were read again, in a file for each sketch file, and those of chosen documents in
memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from corpuscurate.columns import to_numpy
from corpuscurate.dedup.sources import record_batches
from corpuscurate.kernels.ragged import copy_runs

SIZE = "size"
SHINGLE_SET = "shingle_set"


def set_columns(sets: pa.LargeListArray) -> dict[str, pa.Array]:
    """The columns of a file, after doc_id: uint32 distinct shingles; large_list<uint64>, sorted shingle hashes."""
    return {SIZE: sets.value_lengths().cast(pa.uint32()), SHINGLE_SET: sets}


class _Place(NamedTuple):
    """Where some documents stand: rows of a record batch of a file; first: the index of the first of them."""

    path: Path
    batch: int
    first: int
    rows: NDArray[np.int64]


def load_sets(
    paths: Sequence[Path], wanted: NDArray[np.uint64], scratch: Path, share_bytes: int
) -> tuple[NDArray[np.int64], NDArray[np.uint64], Path | None]:
    """Shingle sets of the documents `wanted` (sorted), one after the other: int64 offsets, uint64 values, and the file
    that holds them where they exceed share_bytes. Sizes are read first, then values of one record batch at a time."""
    sizes = np.zeros(len(wanted), np.int64)
    places = list(_places(paths, wanted, sizes))
    if not sizes.all():  # every candidate has words
        raise RuntimeError(
            f"shingles of document {wanted[sizes == 0][0]} are missing: its text changed while it was read"
        )
    offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum(sizes)])
    total = int(offsets[-1])
    on_disk = total * 8 > share_bytes
    out = np.memmap(scratch, np.uint64, "w+", shape=(total,)) if on_disk else np.empty(total, np.uint64)
    for place in places:
        with pa.memory_map(str(place.path)) as mapped, pa.ipc.open_file(mapped) as reader:
            lists = reader.get_batch(place.batch).column(SHINGLE_SET)
            piece = out[offsets[place.first] : offsets[place.first + len(place.rows)]]
            copy_runs(to_numpy(lists.offsets), to_numpy(lists.values), place.rows, piece)
    return offsets, out, scratch if on_disk else None


def _places(paths: Sequence[Path], wanted: NDArray[np.uint64], sizes: NDArray[np.int64]) -> Iterator[_Place]:
    """Where the `wanted` documents stand; fills in their sizes."""
    for path in paths:
        for number, batch in enumerate(record_batches(path, ["doc_id", SIZE, SHINGLE_SET], ["doc_id", SIZE])):
            ids = to_numpy(batch.column("doc_id"))
            if not len(ids):
                continue
            low = int(np.searchsorted(wanted, ids[0], "left"))
            high = int(np.searchsorted(wanted, ids[-1], "right"))
            if low < high:
                rows = np.minimum(np.searchsorted(ids, wanted[low:high]), len(ids) - 1)
                here = ids[rows] == wanted[low:high]  # else: their shingles are not there, and their size stays 0
                sizes[low:high][here] = to_numpy(batch.column(SIZE))[rows[here]]
                if here.all():
                    yield _Place(path, number, low, rows)
