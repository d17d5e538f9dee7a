"""Embeddings that come in a column, as files of vectors: they stay in the sketch, in whole numbers from there on
(`semantic.vectors`), and the file says which of its rows are alive."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from corpuscurate.core.artefact import Artefact
from corpuscurate.core.columns import to_numpy
from corpuscurate.core.corpus import Corpus
from corpuscurate.core.doc_ids import is_in_sorted
from corpuscurate.core.errors import InputError
from corpuscurate.core.tables import read_table
from corpuscurate.methods.embed.base import EMPTY, noted_rows
from corpuscurate.methods.embed.column import Column
from corpuscurate.methods.embed.noted import Noted, joined_notes
from corpuscurate.methods.semantic.vectors import (
    VECTOR,
    VectorFiles,
    Vectors,
    checked_dimension,
    quantised,
    squares_of,
    vectors_of,
)

NOTE = "vector_note"
SKETCH: Mapping[str, pa.DataType] = {VECTOR: pa.large_list(pa.int16()), NOTE: pa.uint8()}
"""Columns of a sketch: a row in whole numbers, empty where there is none; its note (see `embed.base.Embedded`)."""


def whole_lists(lists: pa.LargeListArray) -> dict[str, pa.Array]:
    """The columns of SKETCH from lists of floats without nulls inside; rows of any lengths, each by itself."""
    sizes = to_numpy(pc.fill_null(pc.list_value_length(lists), 0)).astype(np.int64)
    flat = to_numpy(lists.flatten())
    whole = np.zeros(len(flat), np.int16)
    notes = np.full(len(lists), EMPTY, np.uint8)
    for size in np.unique(sizes[sizes > 0]).tolist():
        there = sizes == size
        every = bool(there.all())
        within = slice(None) if every else np.repeat(there, sizes)
        units, notes[there] = noted_rows(flat[within].reshape(-1, size))
        whole[within] = quantised(units)[0].reshape(-1)
    offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum(sizes)])
    return {VECTOR: pa.LargeListArray.from_arrays(pa.array(offsets), pa.array(whole)), NOTE: pa.array(notes)}


@dataclass(frozen=True, slots=True)
class Store:
    """Find the rows of a split's sketch that are alive. dropped: doc_ids to leave out, ascending."""

    split: int
    sketches: Artefact
    dropped: NDArray[np.uint64]

    BLOCK: ClassVar[int] = 1 << 14

    @property
    def key(self) -> str:
        """See `stage.Work`."""
        return f"column-{self.split:05d}"

    def run(self, folder: Path) -> dict[str, Any]:
        """Write the file of vectors, without documents that have no direction; the lengths of all rows."""
        lengths: set[int] = set()
        noted = Noted()
        before = 0
        with ExitStack() as stack:
            files = VectorFiles(folder, stack, "at")
            for batch in read_table(self.sketches).to_batches(self.BLOCK):
                lists = batch.column(VECTOR)
                sizes = to_numpy(pc.list_value_length(lists))
                lengths |= set(np.unique(sizes[sizes > 0]).tolist())
                if len(lengths) > 1:
                    break
                ids, notes = to_numpy(batch.column("doc_id")).astype(np.uint64), to_numpy(batch.column(NOTE))
                alive = ~is_in_sorted(ids, self.dropped)
                noted = noted.with_batch(ids[alive], notes[alive])
                there = (notes == 0) & alive
                wanted = there[sizes > 0]
                rows = to_numpy(lists.flatten()).reshape(-1, max(lengths, default=1))[wanted]
                files.write(before + np.flatnonzero(wanted), ids[there], squares_of(rows))
                before += len(wanted)
                files.without(ids[alive & ~there], notes[alive & ~there])
        return {**files.counts(), "noted": noted.value(), "lengths": sorted(lengths)}


def stored_column(corpus: Corpus, embedder: Column, basis: Any) -> tuple[tuple[Vectors, ...], Noted]:
    """Find the vectors of all splits, and count their notes. Raises InputError where rows have different lengths, or
    are too long."""
    works = [Store(number, path, corpus.dropped(number)) for number, path in enumerate(corpus.sketches())]
    done = corpus.run(works, "vectors of the column", basis=basis)
    lengths = {length for each in done for length in each.result["lengths"]}
    if len(lengths) > 1:
        raise InputError(
            f"the column {embedder.column!r} holds embeddings of different lengths: {sorted(lengths)}. "
            "All must come from one model."
        )
    dimension = checked_dimension(max(lengths, default=1))
    noted = joined_notes([Noted.of(each.result["noted"]) for each in done])
    files = [vectors_of(each, dimension, work.sketches) for each, work in zip(done, works, strict=True)]
    return tuple(files), noted
