"""Arrow IPC files (Feather V2) and streams. A document's position is its physical row; a span is a range of record
batches, for a stream the whole of it.

The headers of the messages are read first (`arrow_messages`). They also lead through a file whose footer is missing,
which is then read as the stream it holds, and through streams that stand one after another.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import replace

import pyarrow as pa
from pyarrow import ipc

from corpuscurate.core.errors import InputError
from corpuscurate.io.arrow_messages import MAGIC, STREAM_START, Piece, as_it_is, follow_streams, footer_pieces
from corpuscurate.io.base import Chunk, InputFormat, SourceFile, Span, Want, register
from corpuscurate.io.columnar import (
    DAMAGE,
    UTF8_ERROR,
    Rows,
    bad_file,
    census_chunk,
    check_schema,
    describe,
    parsing,
    plain,
    pruned,
    text_lengths,
)
from corpuscurate.io.files import open_mapped
from corpuscurate.io.parquet import pack
from corpuscurate.io.time_ranges import coarse_columns, over_bits

UNUSUAL = ("whole number of days", "acceptable range", "fit in precision")
"""In the messages of Arrow's errors about dates of milliseconds with a time, as Arrow for JavaScript writes them, times
of day that are none and decimals of too many digits."""
FEATHER_V1 = b"FEA1"


class _Open:
    """An opened file: schema, pieces, and the reader of either form. problem: what stands in the way of its end."""

    def __init__(self, file: SourceFile) -> None:
        self.file = file
        self.source = open_mapped(file)
        is_file = self.source.read(len(MAGIC)) == MAGIC
        self.random_access = False
        """Whether single record batches can be read."""
        self.starts: list[int] = []
        self.problem = ""
        if is_file:
            try:
                with parsing(file):
                    named = footer_pieces(self.source, file)
                    self.source.seek(0)
                    self.schema = ipc.open_file(self.source).schema
            except DAMAGE as error:
                self.problem = f"the footer of the Arrow file cannot be read: {plain(error)}"
            else:
                if named is not None:
                    self.pieces, self.random_access = named, True
                    return
        with parsing(file):
            self.schema, streams = follow_streams(self.source, STREAM_START if is_file else 0, file)
        self.starts, self.pieces = streams.starts, streams.pieces
        self.problem = self.problem or streams.problem

    def reader(self, names: list[str]) -> Callable[[int], pa.RecordBatch]:
        """Number -> record batch, only these columns, structure checked. Without random access the numbers must be
        those from 0 on, and StopIteration tells the end."""
        fields = [self.schema.get_field_index(name) for name in names]
        options = ipc.IpcReadOptions(included_fields=fields, use_threads=False)
        if self.random_access:
            with parsing(self.file):
                self.source.seek(0)
                file = ipc.open_file(self.source, options=options)
            return lambda at: self._checked(lambda: file.get_batch(at))
        batches = self._in_streams(options)
        return lambda _: self._checked(lambda: next(batches))

    def _checked(self, read: Callable[[], pa.RecordBatch]) -> pa.RecordBatch:
        with parsing(self.file):
            return _checked(read())

    def _in_streams(self, options: ipc.IpcReadOptions) -> Iterator[pa.RecordBatch]:
        for start in self.starts:
            self.source.seek(start)
            yield from ipc.open_stream(self.source, options=options)


def _why_unreadable(file: SourceFile, error: BaseException) -> tuple[str, str]:
    with open_mapped(file) as source:
        head = source.read(len(MAGIC))
    if head.startswith(FEATHER_V1):
        return "unreadable", "Feather version 1 is not read: write it again as version 2 (pyarrow.feather)"
    if head == MAGIC or MAGIC.startswith(head):
        return "truncated", f"the Arrow file ends before its schema: {plain(error)}"
    return "unreadable", f"not an Arrow IPC file or stream: {plain(error)}"


def split(file: SourceFile, split_bytes: int) -> list[Span]:
    """Record batches packed in order up to `split_bytes` of stored data; a stream or a damaged file is one span."""
    if file.size == 0:
        return [Span(file.number, 0, 0, 0)]
    try:
        opened = _Open(file)
    except DAMAGE:
        return [Span(file.number, 0, 0, file.size)]
    if not opened.random_access:
        return [Span(file.number, 0, len(opened.pieces), file.size)]
    sizes = [piece.body_bytes for piece in opened.pieces]
    return pack(file.number, sizes, split_bytes) or [Span(file.number, 0, 0, 0)]


def columns(file: SourceFile) -> dict[str, str]:
    """Names and types as the schema tells them. Raises InputError."""
    if file.size == 0:
        raise InputError(f"{file.name} is empty (0 bytes), not an Arrow file.")
    try:
        return describe(_Open(file).schema)
    except DAMAGE as error:
        raise InputError(f"{file.name}: {_why_unreadable(file, error)[1]}.") from error


def read(file: SourceFile, span: Span, want: Want) -> Iterator[Chunk]:
    """The chunks of the record batches [span.start, span.stop). Raises InputError for columns that do not fit."""
    if file.size == 0:
        yield bad_file("empty_file", "the file has no bytes")
        return
    try:
        opened = _Open(file)
    except DAMAGE as error:
        yield bad_file(*_why_unreadable(file, error))
        return
    check_schema(opened.schema, file, want)
    rows = Rows(file, want, opened.schema)
    yield from _from_file(opened, rows, span) if opened.random_access else _from_stream(opened, rows)
    if want.column_types:
        times = _coarse_times(opened, span) if want.types_of == "all" else ()
        pieces = opened.pieces[span.start : span.stop]
        yield census_chunk(as_it_is(opened.schema, pieces), over_bits(times))


def _coarse_times(opened: _Open, span: Span) -> Iterator[pa.RecordBatch]:
    """The columns of a span whose values must be looked at to know their type."""
    names = coarse_columns(opened.schema)
    if not names:
        return
    get = opened.reader(names)
    for at in range(span.start, span.stop):
        try:
            yield get(at)
        except StopIteration:
            return
        except DAMAGE:  # told where its rows are read
            continue


def _from_file(opened: _Open, rows: Rows, span: Span) -> Iterator[Chunk]:
    """A damaged record batch costs itself, not those behind it."""
    get = opened.reader(pruned(opened.schema, rows.want))
    first = sum(piece.rows for piece in opened.pieces[: span.start])
    for at in range(span.start, span.stop):
        piece = opened.pieces[at]
        try:
            batch = get(at)
        except DAMAGE as error:
            _check_text_is_damaged(opened, rows, at, error)
            last = first + piece.rows - 1
            detail = f"record batch {at} is damaged: rows {first} to {last} could not be read: {plain(error)}"
            yield bad_file("unreadable", detail, first)
        else:
            yield from rows.chunks(batch, first, _rest_bytes(batch, piece, rows.want))
        first += piece.rows


def _from_stream(opened: _Open, rows: Rows) -> Iterator[Chunk]:
    """What can be read before the end, proper or not."""
    get = opened.reader(pruned(opened.schema, rows.want))
    first, problem = 0, opened.problem
    for at in itertools.count():
        try:
            batch = get(at)
        except StopIteration:
            break
        except DAMAGE as error:
            if at < len(opened.pieces):
                _check_text_is_damaged(opened, rows, at, error)
            problem = f"record batch {at} cannot be read: {plain(error)}"
            break
        yield from rows.chunks(batch, first, _rest_bytes(batch, opened.pieces[at], rows.want))
        first += len(batch)
    if problem:
        yield bad_file("truncated", f"{problem}; {first} rows could be read", first)


def _rest_bytes(batch: pa.RecordBatch, piece: Piece, want: Want) -> int:
    """A record's bytes besides its text, the mean of the record batch, the same whatever columns are read."""
    text_bytes = int(text_lengths(batch.column(want.text)).sum())
    return max(0, piece.body_bytes - text_bytes) // max(1, len(batch))


def _check_text_is_damaged(opened: _Open, rows: Rows, at: int, failure: Exception) -> None:
    """A pass that reads fewer columns must see the same documents as one that reads all. Raises InputError."""
    if not rows.want.rest:
        return
    get = opened.reader(pruned(opened.schema, replace(rows.want, rest=False, columns=())))
    try:
        for before in range(0 if not opened.random_access else at, at + 1):
            get(before)
    except DAMAGE:
        return
    raise InputError(
        f"{rows.file.name}: in record batch {at} the text can be read, another column cannot ({plain(failure)}). Its "
        "documents cannot be written as they were: mend the file, or take it out of the input."
    )


def _checked(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Offsets of a file that lies would be followed out of bounds later. Bad UTF-8 is left to `columnar`; values that
    their type should not have are read as they are."""
    for column in batch.columns:
        try:
            column.validate(full=True)
        except pa.ArrowInvalid as error:
            if not any(told in str(error) for told in (UTF8_ERROR, *UNUSUAL)):
                raise
    return batch


ARROW = register(InputFormat("arrow", (".arrow", ".feather", ".ipc"), read, split, columns, columnar=True))
