"""The unit of data: a batch of documents in input order."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from corpuscurate.core.columns import keep_rows, lengths_bytes, take_rows, text_buffers
from corpuscurate.core.spans import Spans, WordKind, lines_of, words_of


@dataclass(frozen=True, slots=True)
class Batch:
    """Documents that follow each other in the input. All parts have the same number of rows.

    doc_id: uint64[n], ascending. text: large_string, never null, valid UTF-8. record_bytes: int64[n], the size of the
    record in the input, uncompressed (JSONL: the line; Parquet: text bytes plus the row group's mean of the rest).
    id: the user's id as text (null where the record has none), or None when the recipe names no id column.
    columns: the input columns that stages read (`Stage.reads`), and those that earlier stages added, as
    `<stage>.<measure>`. rest: the data that only a writer needs, see `io.base`; None in a measuring pass.
    """

    doc_id: NDArray[np.uint64]
    text: pa.LargeStringArray
    record_bytes: NDArray[np.int64]
    id: pa.LargeStringArray | None = None
    columns: Mapping[str, pa.Array] = field(default_factory=dict)
    rest: pa.RecordBatch | None = None
    _walks: dict[str, Spans] = field(default_factory=dict, init=False, repr=False, compare=False)
    """The words and lines found so far."""

    def __len__(self) -> int:
        return len(self.doc_id)

    @property
    def text_bytes(self) -> int:
        """Bytes of text in the batch."""
        return int(lengths_bytes(self.text).sum())

    def words(self, kind: WordKind = "unicode") -> Spans:
        """The spans of the words of the texts. Computed once a kind, and shared by all stages until an edit."""
        return self._walk(kind, lambda text: words_of(text, kind))

    def lines(self) -> Spans:
        """The spans of the lines of the texts, separated by line feeds. Computed once, as `words`."""
        return self._walk("lines", lines_of)

    def _walk(self, name: str, find: Callable[[pa.LargeStringArray], Spans]) -> Spans:
        if name not in self._walks:
            self._walks[name] = find(self.text)
        return self._walks[name]

    def filter(self, mask: NDArray[np.bool_]) -> Batch:
        """The rows where `mask` is True; the batch itself when that is every row."""
        if mask.all():
            return self
        made = Batch(
            self.doc_id[mask],
            keep_rows(self.text, mask),
            self.record_bytes[mask],
            None if self.id is None else keep_rows(self.id, mask),
            {name: keep_rows(column, mask) for name, column in self.columns.items()},
            None if self.rest is None else _kept(self.rest, mask),
        )
        if self._walks:
            before, after = text_buffers(self.text)[0], text_buffers(made.text)[0]
            made._walks.update({name: spans.kept(mask, before, after) for name, spans in self._walks.items()})
        return made

    def slice(self, start: int, stop: int) -> Batch:
        """Rows start..stop-1, without a copy."""
        size = stop - start
        return Batch(
            self.doc_id[start:stop],
            self.text.slice(start, size),
            self.record_bytes[start:stop],
            None if self.id is None else self.id.slice(start, size),
            {name: column.slice(start, size) for name, column in self.columns.items()},
            None if self.rest is None else self.rest.slice(start, size),
        )

    def repeat(self, counts: NDArray[np.int64]) -> tuple[Batch, NDArray[np.int32]]:
        """Each row repeated `counts` times (int64[n], at least 1), copies side by side; and the number of each copy,
        int32, from 0. The batch itself where all counts are 1."""
        if (counts == 1).all():
            return self, np.zeros(len(self), np.int32)
        rows = np.repeat(np.arange(len(self)), counts)
        number = np.arange(len(rows)) - np.repeat(np.cumsum(counts) - counts, counts)
        return self.take(rows), number.astype(np.int32)

    def take(self, rows: NDArray[np.int64]) -> Batch:
        """Rows in any order, each as often as it is named."""
        return Batch(
            self.doc_id[rows],
            take_rows(self.text, rows),
            self.record_bytes[rows],
            None if self.id is None else take_rows(self.id, rows),
            {name: take_rows(column, rows) for name, column in self.columns.items()},
            None if self.rest is None else _taken(self.rest, rows),
        )

    def with_text(self, text: pa.LargeStringArray) -> Batch:
        """The same documents with other text."""
        return replace(self, text=text)

    def with_columns(self, added: Mapping[str, pa.Array]) -> Batch:
        """The same documents with more columns."""
        if not added:
            return self
        made = replace(self, columns={**self.columns, **added})
        made._walks.update(self._walks)
        return made


def _taken(rest: pa.RecordBatch, rows: NDArray[np.int64]) -> pa.RecordBatch:
    return pa.RecordBatch.from_arrays([take_rows(column, rows) for column in rest.columns], schema=rest.schema)


def _kept(rows: pa.RecordBatch, mask: NDArray[np.bool_]) -> pa.RecordBatch:
    return pa.RecordBatch.from_arrays([keep_rows(column, mask) for column in rows.columns], schema=rows.schema)
