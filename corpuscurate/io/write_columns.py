"""Writers of Parquet and Arrow IPC files. Their bytes depend on the rows and the shape, never on batches."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import ClassVar, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray
from pyarrow import ipc

from corpuscurate.core.batch import Batch
from corpuscurate.core.columns import keep_rows, one_array
from corpuscurate.core.errors import InputError, OutputError
from corpuscurate.core.layouts import decoded
from corpuscurate.core.os_errors import explained
from corpuscurate.io.arrow_types import cast, names_items
from corpuscurate.io.base import OutputFormat, OutputShape, register
from corpuscurate.io.canonical import canonical
from corpuscurate.io.files_out import OutputFile
from corpuscurate.io.output_rows import RowGroups, assemble, final_schema, finish, flat_schema

ZSTD_LEVEL = 3
PLAIN_GROUP_ROWS = 1 << 16
PIECE_ROWS = 1 << 10
"""Rows of text that a Parquet writer is given at once."""


class _TableSink(Protocol):
    piece_rows: ClassVar[int | None]

    def write(self, table: pa.Table) -> None: ...

    def close(self) -> None: ...

    def abandon(self) -> None: ...


class ColumnWriter:
    """Batches -> row groups -> a file of either format."""

    def __init__(self, path: Path, shape: OutputShape) -> None:
        self._shape = shape
        self._final = final_schema(shape)
        self._flat = flat_schema(self._final, shape.text)
        self._groups = RowGroups(shape.row_group_bytes)
        self._file = OutputFile(path)
        self._sink: _TableSink | None = None
        try:
            with explained(path):
                kind = _ParquetSink if shape.format == "parquet" else _ArrowSink
                self._sink = kind(self._file, self._final, shape.text)
        except BaseException:
            self.abort()
            raise

    def write(self, batch: Batch) -> None:
        """Append the batch's documents. Raises OutputError, InputError."""
        for table in self._groups.add(assemble(batch, self._shape, self._flat), batch.record_bytes):
            self._put(table)

    def close(self) -> str:
        """Write what is held back and the footer; the file's digest. Raises OutputError."""
        rest = self._groups.rest()
        if rest is not None:
            self._put(rest)
        with explained(self._file.path):
            if self._sink is not None:
                self._sink.close()
        self._sink = None
        return self._file.close()

    def abort(self) -> None:
        """Remove the file; nothing is kept. Never raises."""
        if self._sink is not None:
            self._sink.abandon()
            self._sink = None
        self._file.discard()

    def _put(self, table: pa.Table) -> None:
        if self._sink is None:
            raise ValueError("the writer is closed")
        try:
            with explained(self._file.path):
                self._sink.write(finish(table, self._final, self._shape.text, self._sink.piece_rows))
        except pa.ArrowInvalid as error:
            raise InputError(
                f"{self._shape.format} cannot hold a value of the input: {' '.join(str(error).split())}. Mend the "
                "input, or choose another `output: format:`."
            ) from error


def _names_items(schema: pa.Schema) -> bool:
    """Whether the items of some list bear a name of their own. Parquet has a name for all of them, `element`; a file
    with such a list keeps the names that its columns came with."""
    return any(names_items(field.type) for field in schema)


def _leaves(schema: pa.Schema) -> list[str]:
    """Parquet's names of the columns that hold values, `list.list.element` for nested ones."""
    scratch = io.BytesIO()
    stored_as = pa.schema([field.with_type(_storage(field.type)) for field in schema])
    pq.ParquetWriter(scratch, stored_as, use_compliant_nested_type=not _names_items(schema)).close()
    stored = pq.ParquetFile(scratch).schema
    return [stored.column(at).path for at in range(len(stored))]


def _storage(kind: pa.DataType) -> pa.DataType:
    """The type without tensors, of which Arrow makes no empty column; their leaves have the same names."""
    return kind.storage_type if isinstance(kind, pa.FixedShapeTensorType) else kind


def _writer(file: OutputFile, schema: pa.Schema, text: str | None) -> pq.ParquetWriter:
    """zstd and page checksums; no dictionary and no statistics for the text: it does not repeat, and its smallest and
    largest value are long and of no use."""
    try:
        others = [leaf for leaf in _leaves(schema) if leaf != text]
        return pq.ParquetWriter(
            file.raw,
            schema,
            compression="zstd",
            compression_level=ZSTD_LEVEL,
            use_dictionary=others,
            write_statistics=others,
            write_page_checksum=True,
            use_compliant_nested_type=not _names_items(schema),
        )
    except pa.ArrowNotImplementedError as error:
        raise OutputError(
            f"Parquet cannot hold a column of the input: {error}. Choose `output: format: arrow`, or take the column "
            "out of the input."
        ) from error


class _ParquetSink:
    piece_rows: ClassVar[int | None] = PIECE_ROWS

    def __init__(self, file: OutputFile, schema: pa.Schema, text: str) -> None:
        self._writer = _writer(file, schema, text)

    def write(self, table: pa.Table) -> None:
        self._writer.write_table(table, row_group_size=max(1, len(table)))

    def close(self) -> None:
        self._writer.close()

    def abandon(self) -> None:
        self._writer.is_open = False  # it would write a footer when it is collected


class _ArrowSink:
    """IPC file, not compressed: its use is that it can be memory-mapped. One dictionary a column grows by deltas."""

    piece_rows: ClassVar[int | None] = None

    def __init__(self, file: OutputFile, schema: pa.Schema, text: str) -> None:
        self._schema = schema
        self._dictionaries: dict[int, pa.Array] = {}
        options = ipc.IpcWriteOptions(emit_dictionary_deltas=True)
        self._sink = pa.PythonFile(file.raw, "w")
        self._writer = ipc.new_file(self._sink, schema, options=options)

    def write(self, table: pa.Table) -> None:
        columns = [
            self._grown(at, column.combine_chunks()) if pa.types.is_dictionary(column.type) else column
            for at, column in enumerate(table.columns)
        ]
        whole = pa.Table.from_arrays(columns, schema=self._schema)
        for rows in whole.to_batches():
            self._writer.write_batch(canonical(rows))

    def _grown(self, at: int, array: pa.DictionaryArray) -> pa.DictionaryArray:
        """The same values under the dictionary of all groups so far, new ones at its end."""
        known, here, kind = self._dictionaries.get(at), decoded(array.dictionary), array.type
        if known is None:  # a delta cannot follow an empty dictionary: one null, which nothing points at
            grown = here if len(here) else pa.nulls(1, here.type)
        else:
            new = here.filter(pc.invert(pc.is_in(here, value_set=known)))
            grown = pa.concat_arrays([known, new])
        self._dictionaries[at] = grown
        places = pc.index_in(here, value_set=grown)
        return pa.DictionaryArray.from_arrays(
            places.take(array.indices).cast(kind.index_type), cast(grown, kind.value_type), ordered=kind.ordered
        )

    def close(self) -> None:
        self._writer.close()
        self._sink.flush()

    def abandon(self) -> None:
        with suppress(Exception):
            self._writer.close()


def write_plain_parquet(path: Path, table: pa.Table) -> None:
    """A whole table as Parquet in row groups of a fixed number of rows, with the settings of the data parts.

    Raises OutputError; then no file is left.
    """
    file = OutputFile(path)
    writer = None
    try:
        with explained(path):
            writer = _writer(file, table.schema, None)
            writer.write_table(table.combine_chunks(), row_group_size=PLAIN_GROUP_ROWS)
            writer.close()
        file.close()
    except BaseException:
        if writer is not None:
            writer.is_open = False
        file.discard()
        raise


def without_rows(part: Path, path: Path, name: str, positions: NDArray[np.int64], text: str) -> str:
    """See `OutputFormat.without`: positions are rows. Each row group (record batch) keeps its other rows."""
    file, first = OutputFile(path), 0
    sink: _TableSink | None = None
    try:
        with explained(path):
            schema, groups = _stored_groups(part, name)
            sink = _ParquetSink(file, schema, text) if name == "parquet" else _ArrowSink(file, schema, text)
            for table in groups:
                kept = np.ones(len(table), np.bool_)
                kept[positions[(positions >= first) & (positions < first + len(table))] - first] = False
                first += len(table)
                if kept.any():
                    columns = [keep_rows(one_array(column), kept) for column in table.columns]
                    sink.write(pa.Table.from_arrays(columns, schema=schema))
            sink.close()
        return file.close()
    except BaseException:
        if sink is not None:
            sink.abandon()
        file.discard()
        raise


def _stored_groups(part: Path, name: str) -> tuple[pa.Schema, Iterator[pa.Table]]:
    """The schema of a part, and its row groups (record batches), one at a time."""
    if name == "parquet":
        parquet = pq.ParquetFile(part)
        return parquet.schema_arrow, (parquet.read_row_group(at) for at in range(parquet.num_row_groups))
    stored = ipc.open_file(pa.memory_map(str(part)))
    return stored.schema, (pa.table(stored.get_batch(at)) for at in range(stored.num_record_batches))


PARQUET = register(OutputFormat("parquet", ColumnWriter, columnar=True, compressed=True, without=without_rows))
ARROW = register(OutputFormat("arrow", ColumnWriter, columnar=True, without=without_rows))
