"""Parquet files. A document's position is its physical row; a span is a range of row groups.

Only the columns that are wanted are read. A damaged row group costs the rows from the damage on, not the file.
"""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Iterator
from dataclasses import replace
from functools import lru_cache

import pyarrow as pa
import pyarrow.parquet as pq

from corpuscurate.core.errors import InputError
from corpuscurate.io.arrow_types import UNITS, names_items
from corpuscurate.io.base import Chunk, InputFormat, SourceFile, Span, Want, register
from corpuscurate.io.columnar import (
    DAMAGE,
    Rows,
    bad_file,
    census_chunk,
    check_schema,
    describe,
    is_string,
    parsing,
    plain,
    pruned,
)
from corpuscurate.io.files import file_state, open_bytes, open_read
from corpuscurate.io.time_ranges import coarse_columns, over_bits, unit_that_fits

MAGIC = b"PAR1"
MIN_FILE_BYTES = 2 * len(MAGIC) + 4
"""No Parquet file has less than its marks and the length of its footer."""
SEARCH_BYTES = 1 << 20
ARROW_SCHEMA = b"ARROW:schema"
PIECE_BYTES = 1 << 20
"""Of a column chunk that are read at once."""
TAIL_BYTES = 8
"""Behind the footer: its size and the magic bytes."""
SIGNATURE_BYTES = 28
"""Of a plain footer beside encrypted columns: nonce and tag."""
ENCRYPTED = "the Parquet file has encrypted columns"
UNREADABLE: tuple[type[Exception], ...] = (*DAMAGE, ValueError)
MAX_BATCH_ROWS = 1 << 16
FINEST = UNITS[-1]
REPEATED_BYTES = 256
"""Text columns with a dictionary and fewer stored bytes a row than this are read as dictionaries: rows that repeat a
long value must not all be decoded at once."""


class _SeveralFiles(pa.ArrowInvalid):  # type: ignore[misc]
    """Parquet files that were appended to one another."""


def _open(file: SourceFile, dictionary: str | None = None) -> pq.ParquetFile:
    with parsing(file):
        parquet = _opened(file, dictionary)
        source = open_read(file)
        _check_plain(source, parquet.metadata.serialized_size, file.size)
        _check_alone(parquet.metadata, source, file)
    columns = _int96_columns(parquet)
    unit = _int96_unit(file, columns, str(file_state(file))) if columns else FINEST
    return parquet if unit == FINEST else _opened(file, dictionary, unit)


def _opened(file: SourceFile, dictionary: str | None = None, unit: str = FINEST) -> pq.ParquetFile:
    # Checksums are verified where a writer made them. Column chunks of local files come in pieces: they may be large.
    with parsing(file):
        return pq.ParquetFile(
            open_read(file),
            read_dictionary=None if dictionary is None else [dictionary],
            pre_buffer="://" in file.path,
            buffer_size=0 if "://" in file.path else PIECE_BYTES,
            page_checksum_verification=True,
            coerce_int96_timestamp_unit=unit,
        )


def _check_plain(source: pa.NativeFile, footer_bytes: int, size: int) -> None:
    """Raise ArrowInvalid for a file with encrypted columns: to touch one ends the process.

    Such a file has a plain footer with a signature behind it, see the Parquet encryption specification, section 5.
    """
    source.seek(size - TAIL_BYTES)
    stored = int.from_bytes(source.read(4), "little")
    if stored == footer_bytes + SIGNATURE_BYTES:
        raise pa.ArrowInvalid(ENCRYPTED)


def _int96_columns(parquet: pq.ParquetFile) -> tuple[str, ...]:
    """The columns, by their first names, that hold timestamps of 96 bits, as Spark, Hive and Impala write them."""
    stored = parquet.schema
    leaves = [stored.column(at) for at in range(len(stored))]
    return tuple(dict.fromkeys(leaf.path.split(".")[0] for leaf in leaves if leaf.physical_type == "INT96"))


@lru_cache(64)
def _int96_unit(file: SourceFile, columns: tuple[str, ...], state: str) -> str:
    """The finest unit that holds the INT96 timestamps of a file. state: of the file, so that another file of the same
    name is looked at again. Raises InputError where no unit holds them all without loss."""

    def read(unit: str) -> Iterator[pa.RecordBatch]:
        with _opened(file, unit=unit) as parquet:
            for group in range(parquet.num_row_groups):
                try:
                    with parsing(file):
                        yield from parquet.iter_batches(MAX_BATCH_ROWS, row_groups=[group], columns=list(columns))
                except DAMAGE:  # told where its rows are read
                    continue

    unit, lossy = unit_that_fits(read)
    if lossy is not None:
        raise InputError(
            f"{file.name}: the column {lossy!r} holds timestamps of 96 bits (INT96) that nanoseconds in 64 bits cannot "
            "hold, and others that need nanoseconds. Write it again with two columns, or take the file out of the "
            "input."
        )
    return unit


def _check_alone(metadata: pq.FileMetaData, source: pa.NativeFile, file: SourceFile) -> None:
    """Raise _SeveralFiles where other Parquet files stand before the one to which the footer belongs.

    The places in its footer count from its own beginning, so that they would lead into the first file.
    """
    groups = [metadata.row_group(at) for at in range(metadata.num_row_groups)[-1:]]  # the last one ends last
    columns = [group.column(at) for group in groups for at in range(group.num_columns)]
    ends = [_start(column) + column.total_compressed_size for column in columns]
    unnamed = file.size - 2 * len(MAGIC) - metadata.serialized_size - max(ends, default=len(MAGIC))
    if unnamed < MIN_FILE_BYTES:
        return
    if any(_is_file(source, at, file) for at in _joints(source, unnamed + len(MAGIC))):
        raise _SeveralFiles


def _start(column: pq.ColumnChunkMetaData) -> int:
    first = column.data_page_offset
    return int(min(first, column.dictionary_page_offset) if column.has_dictionary_page else first)


def _is_file(source: pa.NativeFile, stop: int, file: SourceFile) -> bool:
    """Whether the bytes before `stop` are a Parquet file."""
    try:
        with parsing(file):
            source.seek(max(0, stop - MIN_FILE_BYTES + len(MAGIC)))
            footer = int.from_bytes(source.read(4), "little")
            if stop < MIN_FILE_BYTES or footer > stop - MIN_FILE_BYTES:
                return False
            source.seek(0)
            pq.read_metadata(pa.BufferReader(source.read(stop)))
    except DAMAGE:
        return False
    return True


def _joints(source: pa.NativeFile, stop: int) -> Iterator[int]:
    """Where below `stop` one Parquet file may end and another begin."""
    overlap = 2 * len(MAGIC) - 1
    for start in range(0, stop, SEARCH_BYTES):
        source.seek(start)
        block = source.read(SEARCH_BYTES + overlap)
        place = block.find(2 * MAGIC)
        while place >= 0:
            yield start + place + len(MAGIC)
            place = block.find(2 * MAGIC, place + 1)


def _schema(parquet: pq.ParquetFile) -> pa.Schema:
    """The file's schema, with the names of items of lists that its writer had in Arrow.

    Parquet calls every item `element`; the Arrow schema that Arrow's writers leave beside it has the name that somebody
    gave. It is taken where nothing but names and metadata differs.
    """
    schema = parquet.schema_arrow
    left = (parquet.metadata.metadata or {}).get(ARROW_SCHEMA)
    try:
        written = pa.ipc.read_schema(pa.py_buffer(b64decode(left))) if left else schema
    except UNREADABLE:  # other programs' business: the file can be read without it
        return schema
    for at, field in enumerate(schema):
        own = written.field(at) if at < len(written) else field
        if own.name == field.name and own.type == field.type and names_items(own.type):
            schema = schema.set(at, field.with_type(own.type))
    return schema


def _why_unreadable(file: SourceFile, error: BaseException) -> tuple[str, str]:
    """Reason and detail for a file that does not open."""
    if isinstance(error, _SeveralFiles):
        return "unreadable", "several Parquet files stand one after another in it: split them, or write them as one"
    with open_bytes(file) as raw:
        head = raw.read(len(MAGIC))
        raw.seek(max(0, file.size - len(MAGIC)))
        tail = raw.read(len(MAGIC))
    if head == MAGIC and tail != MAGIC:
        return "truncated", "the Parquet footer is missing: the file was cut off or not finished"
    if b"PARE" in (head, tail):
        return "unreadable", "the Parquet file is encrypted"
    if ENCRYPTED in str(error):
        return "unreadable", f"{ENCRYPTED}, whose keys are not known here: decrypt it first"
    if head != MAGIC:
        return "unreadable", "not a Parquet file: it does not begin with PAR1"
    return "unreadable", f"the Parquet footer cannot be read: {plain(error)}"


def split(file: SourceFile, split_bytes: int) -> list[Span]:
    """Row groups packed in order up to `split_bytes` of uncompressed data; a larger one stands alone."""
    whole = [Span(file.number, 0, 0, file.size)]
    if file.size == 0:
        return whole
    try:
        with _open(file) as parquet:
            metadata = parquet.metadata
            sizes = [metadata.row_group(group).total_byte_size for group in range(metadata.num_row_groups)]
    except DAMAGE:
        return whole  # read() says what is wrong
    return pack(file.number, sizes, split_bytes) or whole


def pack(file: int, sizes: list[int], split_bytes: int) -> list[Span]:
    """Spans over pieces of these sizes, in order, each of at most `split_bytes` unless it is one piece."""
    spans: list[Span] = []
    start = held = 0
    for at, size in enumerate(sizes):
        if at > start and held + size > split_bytes:
            spans.append(Span(file, start, at, held))
            start, held = at, 0
        held += size
    if start < len(sizes):
        spans.append(Span(file, start, len(sizes), held))
    return spans


def columns(file: SourceFile) -> dict[str, str]:
    """Names and types as the footer tells them. Raises InputError."""
    if file.size == 0:
        raise InputError(f"{file.name} is empty (0 bytes), not a Parquet file.")
    try:
        with _open(file) as parquet:
            return describe(parquet.schema_arrow)
    except DAMAGE as error:
        raise InputError(f"{file.name}: {_why_unreadable(file, error)[1]}.") from error


def read(file: SourceFile, span: Span, want: Want) -> Iterator[Chunk]:
    """The chunks of the row groups [span.start, span.stop). Raises InputError for columns that do not fit."""
    if file.size == 0:
        yield bad_file("empty_file", "the file has no bytes")
        return
    try:
        parquet = _open(file)
    except DAMAGE as error:
        yield bad_file(*_why_unreadable(file, error))
        return
    with parquet:
        schema = _schema(parquet)
        check_schema(schema, file, want)
        try:
            groups = _groups(parquet, Rows(file, want, schema), span)
        except DAMAGE as error:
            yield bad_file(*_why_unreadable(file, error))
            return
        for group in groups:
            yield from group.chunks()
        if want.column_types:
            times = _coarse_times(file, parquet, schema, span) if want.types_of == "all" else ()
            yield census_chunk(schema, over_bits(times))


def _coarse_times(file: SourceFile, parquet: pq.ParquetFile, schema: pa.Schema, span: Span) -> Iterator[pa.RecordBatch]:
    """The columns of a span whose values must be looked at to know their type."""
    names = coarse_columns(schema)
    for group in range(span.start, span.stop) if names else ():
        try:
            with parsing(file):
                yield from parquet.iter_batches(MAX_BATCH_ROWS, row_groups=[group], columns=names, use_threads=False)
        except DAMAGE:  # told where its rows are read
            continue


def _groups(parquet: pq.ParquetFile, rows: Rows, span: Span) -> list[_RowGroup]:
    """The row groups of a span. Raises one of DAMAGE where the footer tells nonsense of them."""
    metadata = parquet.metadata
    counts = [metadata.row_group(group).num_rows for group in range(span.stop)]
    if min(counts, default=0) < 0:
        raise pa.ArrowInvalid("a row group has fewer rows than none")
    return [_RowGroup(parquet, rows, group, sum(counts[:group])) for group in range(span.start, span.stop)]


class _RowGroup:
    """One row group; first: the row of the file with which it begins."""

    def __init__(self, parquet: pq.ParquetFile, rows: Rows, group: int, first: int) -> None:
        self.parquet, self.rows, self.group, self.first = parquet, rows, group, first
        stored = parquet.metadata.row_group(group)
        want = rows.want
        self.count: int = stored.num_rows
        parts = [stored.column(at) for at in range(stored.num_columns)]
        self.sizes: list[tuple[str, int]] = [(part.path_in_schema, part.total_uncompressed_size) for part in parts]
        self.text_bytes: int = sum(size for path, size in self.sizes if path == want.text)
        self.has_dictionary = any(part.has_dictionary_page for part in parts if part.path_in_schema == want.text)
        others = sum(size for _, size in self.sizes) - self.text_bytes
        self.rest_bytes = others // max(1, self.count)

    def chunks(self) -> Iterator[Chunk]:
        done = 0
        names = pruned(self.rows.schema, self.rows.want)
        failure: Exception | None = None
        batches = self._batches(names, self._batch_rows(names))
        while failure is None and done < self.count:
            try:
                with parsing(self.rows.file):
                    batch = next(batches)
            except DAMAGE as error:
                failure = error
                break
            except StopIteration:
                failure = EOFError(f"only {done} of {self.count} rows are there")
                break
            yield from self.rows.chunks(batch, self.first + done, self.rest_bytes)
            done += len(batch)
        if failure is not None:
            yield from self._before_damage(names, done, failure)

    def _before_damage(self, names: list[str], done: int, failure: Exception) -> Iterator[Chunk]:
        """The rest of what can be read, row by row: how far that reaches must not depend on the size of batches."""
        for batch in self._until_damage(names, done):
            yield from self.rows.chunks(batch, self.first + done, self.rest_bytes)
            done += len(batch)
        self._check_text_ends_there(done, failure)
        yield bad_file(
            "unreadable",
            f"row group {self.group} is damaged: rows {self.first + done} to {self.first + self.count - 1} "
            f"could not be read: {plain(failure)}",
            self.first + done,
        )

    def _batches(self, names: list[str], batch_rows: int) -> Iterator[pa.RecordBatch]:
        source = self.parquet
        want = self.rows.want
        repeated = self.has_dictionary and self.text_bytes < REPEATED_BYTES * self.count
        if repeated and is_string(self.rows.schema.field(want.text).type):
            source = _open(self.rows.file, want.text)
        return source.iter_batches(  # type: ignore[no-any-return]
            batch_rows, row_groups=[self.group], columns=names, use_threads=False
        )

    def _batch_rows(self, names: list[str]) -> int:
        """Rows whose columns that are read take about `batch_bytes`; those beside a short text may be long."""
        read = set(names)
        size = sum(size for path, size in self.sizes if path in read or path.split(".", 1)[0] in read)
        mean = max(1, size // max(1, self.count))
        return max(1, min(MAX_BATCH_ROWS, self.rows.want.batch_bytes // mean))

    def _until_damage(self, names: list[str], skip: int) -> Iterator[pa.RecordBatch]:
        """The rows from `skip` on that can be decoded, in batches of one."""
        done = 0
        try:
            batches = self._batches(names, 1)
            while True:
                with parsing(self.rows.file):
                    batch = next(batches, None)
                if batch is None:
                    return
                done += 1
                if done > skip:
                    yield batch
        except DAMAGE:
            return

    def _check_text_ends_there(self, done: int, failure: Exception) -> None:
        """A pass that reads fewer columns must see the same documents as one that reads all. Raises InputError."""
        want = self.rows.want
        if not want.rest:
            return
        narrow = replace(want, rest=False, columns=())
        more = next(self._until_damage(pruned(self.rows.schema, narrow), done), None)
        if more is not None:
            raise InputError(
                f"{self.rows.file.name}: in row group {self.group} the text can be read, another column cannot, from "
                f"row {self.first + done} on ({plain(failure)}). Its documents cannot be written as they were: mend "
                "the file, or take it out of the input."
            )


PARQUET = register(InputFormat("parquet", (".parquet", ".pq"), read, split, columns, columnar=True))
