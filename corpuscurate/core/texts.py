"""The texts of a corpus as one stage saw them: on disk, with random access."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from corpuscurate.core.artefact import Artefact
from corpuscurate.core.columns import TEXT, large_string, to_numpy
from corpuscurate.core.tables import cached_table

TEXTS = pa.schema([("doc_id", pa.uint64()), ("text", TEXT)])
"""Columns of a file of texts, sorted by doc_id."""


@dataclass(frozen=True, slots=True)
class Texts:
    """The result of `Corpus.text`; a small, picklable value. files: one per split with documents, in input order;
    first_ids: the first doc_id of each."""

    files: tuple[Artefact, ...]
    first_ids: tuple[int, ...]

    def take(self, ids: NDArray[np.uint64]) -> pa.LargeStringArray:
        """The texts of documents, in the order of `ids` (uint64[n], any order, repetition allowed).

        Only the pages of these texts are read. Raises KeyError for a document that the stage did not see.
        """
        if not len(ids):
            return pa.array([], TEXT)
        split = np.searchsorted(np.array(self.first_ids, np.uint64), ids, "right") - 1
        pieces, rows = [], np.empty(len(ids), np.int64)
        done = 0
        for number in np.unique(split):
            here = np.flatnonzero(split == number)
            pieces.append(self._of(int(number), ids[here]))
            rows[here] = np.arange(done, done + len(here))
            done += len(here)
        return large_string(pa.chunked_array(pieces, TEXT).combine_chunks().take(pa.array(rows)))

    def _of(self, split: int, ids: NDArray[np.uint64]) -> pa.LargeStringArray:
        if split < 0:
            raise KeyError(f"document {ids[0]} is not in this corpus")
        table = cached_table(self.files[split])
        known: NDArray[np.uint64] = to_numpy(table.column("doc_id"))
        at = np.minimum(np.searchsorted(known, ids), len(known) - 1)
        missing = ids[known[at] != ids]
        if len(missing):
            raise KeyError(f"document {missing[0]} is not in this corpus")
        return large_string(table.column("text").take(pa.array(at)))


def texts_in(files: Sequence[Artefact]) -> Texts:
    """The texts in files, one a split, in input order."""
    found = [(file, cached_table(file).column("doc_id")) for file in files]
    filled = [(file, int(ids[0].as_py())) for file, ids in found if len(ids)]
    return Texts(tuple(file for file, _ in filled), tuple(first for _, first in filled))
