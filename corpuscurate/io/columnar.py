"""From record batches of a columnar file to `Chunk`s: what Parquet and Arrow files share.

Rows are cut to `Want.batch_bytes` by the lengths of their text before the text is decoded, so a dictionary that
repeats one long value a million times costs no more than a batch. Strings in a columnar file may hold any bytes: rows
whose text or id is not UTF-8 are bad records; a value of another named column that is not UTF-8 is delivered as null,
and stands in `rest` as it was.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from corpuscurate.core.batch import Batch
from corpuscurate.core.columns import TEXT, from_buffers, large_string, lengths_bytes, text_buffers
from corpuscurate.core.doc_ids import doc_ids
from corpuscurate.core.errors import InputError
from corpuscurate.core.layouts import decoded, is_encoded, run_of_rows
from corpuscurate.io.base import HEAD_BYTES, REST_FORM, BadRecord, Chunk, SourceFile, Want
from corpuscurate.io.column_types import types_of_schema
from corpuscurate.io.reading import forget_failure

_HEX = np.frombuffer(b"0123456789abcdef", np.uint8)
UTF8_ERROR = "UTF8"
"""In the message of every Arrow error about UTF-8."""


def is_string(type: pa.DataType) -> bool:
    """Whether a column of this type holds text, in whatever layout."""
    if is_encoded(type):
        return is_string(type.value_type)
    return bool(pa.types.is_string(type) or pa.types.is_large_string(type) or pa.types.is_string_view(type))


def is_binary(type: pa.DataType) -> bool:
    """Whether a column of this type holds bytes, in whatever layout; UUIDs are 16 of them."""
    if is_encoded(type):
        return is_binary(type.value_type)
    kinds = pa.types
    fits = (kinds.is_binary, kinds.is_large_binary, kinds.is_binary_view, kinds.is_fixed_size_binary)
    return isinstance(type, pa.UuidType) or any(fit(type) for fit in fits)


def id_text(column: pa.Array) -> pa.LargeStringArray:
    """A column of ids as text: UUIDs as usual (8-4-4-4-12), other bytes as hexadecimal digits, numbers in decimal."""
    column = decoded(column)
    kind = column.type
    if not is_binary(kind):
        return _decoded(column)
    if pa.types.is_dictionary(kind):
        return id_text(column.dictionary_decode())
    is_uuid = isinstance(kind, pa.UuidType)
    plain = (column.storage if is_uuid else column).cast(pa.large_binary())
    offsets, data = text_buffers(plain)
    held = data[offsets[0] : offsets[-1]]
    digits = np.empty((len(held), 2), np.uint8)
    digits[:, 0], digits[:, 1] = _HEX[held >> 4], _HEX[held & 15]
    ends = 2 * (offsets - offsets[0])
    valid = None if not plain.null_count else plain.is_valid().to_numpy(zero_copy_only=False)
    text = from_buffers(ends, digits.ravel(), valid)
    if not is_uuid:
        return text
    pieces = [
        pc.utf8_slice_codeunits(text, start, stop) for start, stop in ((0, 8), (8, 12), (12, 16), (16, 20), (20, 32))
    ]
    return pc.binary_join_element_wise(*pieces, pa.scalar("-", TEXT))


def check_schema(schema: pa.Schema, file: SourceFile, want: Want) -> None:
    """Raises InputError where the text column is missing or no text, the id cannot be one, or a name stands twice."""
    there = ", ".join(f"{field.name} ({field.type})" for field in schema) or "none"
    twice = sorted({name for name in schema.names if schema.names.count(name) > 1})
    if twice:
        raise InputError(f"{file.name}: the column name {twice[0]!r} stands for more than one column. Rename them.")
    if want.text not in schema.names:
        raise InputError(
            f"{file.name} has no column {want.text!r} for the text. Its columns are: {there}. "
            "Name the one that holds the text with `text:`."
        )
    kind = schema.field(want.text).type
    if not is_string(kind) and not pa.types.is_null(kind):
        raise InputError(
            f"{file.name}: the text column {want.text!r} is of type {kind}, not a string. The columns are: {there}."
        )
    if want.id is not None and want.id in schema.names:
        _check_id(schema.field(want.id).type, file, want.id)


def _check_id(kind: pa.DataType, file: SourceFile, name: str) -> None:
    kinds = pa.types
    if is_binary(kind):
        return
    while is_encoded(kind):
        kind = kind.value_type
    fits = (kinds.is_integer, kinds.is_floating, kinds.is_decimal, kinds.is_temporal, kinds.is_boolean, kinds.is_null)
    if not is_string(kind) and not any(fit(kind) for fit in fits):
        raise InputError(f"{file.name}: the id column {name!r} is of type {kind}, neither a string nor a number.")


def pruned(schema: pa.Schema, want: Want) -> list[str]:
    """The columns to read: all where `rest` is wanted, else those named."""
    if want.rest:
        return list(schema.names)
    named = {want.text, want.id, *want.columns}
    return [name for name in schema.names if name in named]


def bad_file(reason: str, detail: str, position: int = 0) -> Chunk:
    """A chunk that says: the file, or what follows `position` in it, could not be read."""
    return Chunk(None, (BadRecord(position, reason, detail, b"", whole_file=True),))


def census_chunk(schema: pa.Schema, bits: Mapping[str, int] | None = None) -> Chunk:
    """The last chunk of a span, where column types are wanted. bits: see `types_of_schema`."""
    return Chunk(None, column_types=types_of_schema(schema, bits))


@dataclass(frozen=True, slots=True)
class Rows:
    """Record batches of one file -> chunks. schema: the file's, with the types that `rest` keeps."""

    file: SourceFile
    want: Want
    schema: pa.Schema

    def chunks(self, batch: pa.RecordBatch, first: int, rest_bytes: int) -> Iterator[Chunk]:
        """The chunks of a record batch whose first row is row `first` of the file.

        rest_bytes: size of a record besides its text, as far as known.
        """
        lengths = text_lengths(batch.column(self.want.text))
        for start, stop in cuts(lengths, self.want.batch_bytes):
            size = lengths[start:stop] + rest_bytes
            yield self._chunk(batch.slice(start, stop - start), first + start, size)

    def _chunk(self, rows: pa.RecordBatch, first: int, size: NDArray[np.int64]) -> Chunk:
        want = self.want
        text = _decoded(rows.column(want.text))
        id = self._id(rows)
        positions = np.arange(first, first + len(rows), dtype=np.int64)
        reasons = self._reasons(text, id, size)
        keep = np.ones(len(rows), np.bool_)
        keep[list(reasons)] = False
        bad = tuple(
            BadRecord(int(positions[row]), *reason, head_of(text, row)) for row, reason in sorted(reasons.items())
        )
        columns = {name: self._named(rows, name) for name in want.columns}
        batch = Batch(doc_ids(self.file.number, positions), text, size, id, columns, self._rest(rows, text))
        batch = batch.filter(keep)
        return Chunk(batch if len(batch) else None, bad)

    def _reasons(
        self, text: pa.LargeStringArray, id: pa.LargeStringArray | None, size: NDArray[np.int64]
    ) -> dict[int, tuple[str, str]]:
        """Row -> reason and detail of the bad ones."""
        want = self.want
        found: dict[int, tuple[str, str]] = {}
        for row in np.flatnonzero(size > want.max_record_bytes).tolist():
            found[row] = ("too_large", f"{size[row]} bytes, more than {want.max_record_bytes}")
        if id is not None:
            for row in invalid_rows(id):
                found[row] = ("invalid_utf8", f"the id column {want.id!r} is not valid UTF-8")
        for row in invalid_rows(text):
            found[row] = ("invalid_utf8", f"the text column {want.text!r} is not valid UTF-8")
        if text.null_count:
            nulls = np.flatnonzero(text.is_null().to_numpy(zero_copy_only=False))
            found.update((row, ("null_text", f"the text column {want.text!r} is null")) for row in nulls.tolist())
        return found

    def _id(self, rows: pa.RecordBatch) -> pa.LargeStringArray | None:
        if self.want.id is None:
            return None
        if self.want.id not in rows.schema.names:
            return pa.nulls(len(rows), TEXT)
        return id_text(rows.column(self.want.id))

    def _named(self, rows: pa.RecordBatch, name: str) -> pa.Array:
        if name not in rows.schema.names:
            return pa.nulls(len(rows))
        column = decoded(rows.column(name))
        if not is_string(column.type):
            return column
        text = large_string(column)
        broken = invalid_rows(text)
        if not broken:
            return column
        mask = np.zeros(len(text), np.bool_)
        mask[broken] = True
        return pc.if_else(pa.array(mask), pa.scalar(None, TEXT), text)

    def _rest(self, rows: pa.RecordBatch, text: pa.LargeStringArray) -> pa.RecordBatch | None:
        if not self.want.rest:
            return None
        at = rows.schema.get_field_index(self.want.text)
        field = self.schema.field(at)
        if rows.schema.field(at).type != field.type:
            rows = rows.set_column(at, field, text.cast(field.type))
        return rows.replace_schema_metadata({REST_FORM: b"columns"})


def _decoded(column: pa.Array) -> pa.LargeStringArray:
    """Any column that may be text or id as `large_string`; numbers as decimal text."""
    if pa.types.is_null(column.type):
        return pa.nulls(len(column), TEXT)
    return large_string(column)


def head_of(text: pa.LargeStringArray, row: int) -> bytes:
    """The first bytes of a text, for quarantine/; of null none. For few: records that are set aside."""
    head: bytes | None = pc.binary_slice(text.slice(row, 1).view(pa.large_binary()), 0, HEAD_BYTES)[0].as_py()
    return head or b""


def text_lengths(column: pa.Array) -> NDArray[np.int64]:
    """Bytes of each row's text, int64[n], 0 for null; without decoding a dictionary."""
    kind = column.type
    if pa.types.is_null(kind):
        return np.zeros(len(column), np.int64)
    if pa.types.is_dictionary(kind):
        known = text_lengths(column.dictionary)
        at = column.indices.fill_null(0).to_numpy(zero_copy_only=False)
        lengths = known[at] if len(known) else np.zeros(len(column), np.int64)
    elif pa.types.is_run_end_encoded(kind):
        known = text_lengths(column.values)
        lengths = known[run_of_rows(column)]
    elif pa.types.is_string_view(kind):  # a view is 16 bytes; the first four are the length
        views = np.frombuffer(column.buffers()[1], np.int32).reshape(-1, 4)
        lengths = views[column.offset : column.offset + len(column), 0].astype(np.int64)
    else:
        lengths = lengths_bytes(large_string(column))
    if column.null_count:
        lengths = np.where(column.is_null().to_numpy(zero_copy_only=False), 0, lengths)
    return lengths


def cuts(lengths: NDArray[np.int64], most: int) -> Iterator[tuple[int, int]]:
    """Row ranges [start, stop) that hold about `most` bytes each, at least one row; together all rows."""
    ends = np.cumsum(lengths)
    start = 0
    while start < len(lengths):
        before = int(ends[start - 1]) if start else 0
        stop = min(len(lengths), int(np.searchsorted(ends, before + most, "left")) + 1)
        yield start, stop
        start = stop


def invalid_rows(text: pa.LargeStringArray) -> list[int]:
    """Rows that are not valid UTF-8, ascending. The usual case, none, is one pass over the bytes."""
    if _is_valid(text):
        return []
    found: list[int] = []
    ranges = [(0, len(text))]
    while ranges:  # halve what is broken
        start, stop = ranges.pop()
        if _is_valid(text.slice(start, stop - start)):
            continue
        if stop - start == 1:
            found.append(start)
            continue
        middle = (start + stop) // 2
        ranges += [(middle, stop), (start, middle)]
    return found


def _is_valid(array: pa.Array) -> bool:
    try:
        array.validate(full=True)
    except pa.ArrowInvalid as error:
        if UTF8_ERROR not in str(error):
            raise
        return False
    return True


def describe(schema: pa.Schema) -> dict[str, str]:
    """Names and types of columns, for `Format.columns`."""
    return {field.name: str(field.type) for field in schema}


def plain(error: BaseException) -> str:
    """What an Arrow error says, on one line."""
    return " ".join(str(error).split())


LARGEST_RATIO = 1 << 16
"""What no codec of these formats shrinks the contents of a file by: Zstandard's best is a half of it."""
_ASKED = re.compile(r"of size (\d+) failed")


@contextmanager
def parsing(file: SourceFile) -> Iterator[None]:
    """Let errors of DAMAGE through only where the bytes of a file were read and do not parse.

    Raises the error of a read that failed, which Arrow may have made one of its own, and ArrowInvalid where memory does
    not suffice for what no file of this size can hold: then its sizes are damaged.
    """
    forget_failure(file.name)
    try:
        yield
    except Exception as error:
        failure = forget_failure(file.name)
        if failure is not None:
            raise failure from error
        if not isinstance(error, MemoryError):
            raise
        asked = _ASKED.search(str(error))
        if asked is None or int(asked[1]) <= LARGEST_RATIO * file.size:
            raise
        raise pa.ArrowInvalid(f"a buffer of {asked[1]} bytes is told of in a file of {file.size}") from error


DAMAGE: tuple[type[Exception], ...] = (
    *(pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowKeyError, pa.ArrowIndexError, pa.ArrowNotImplementedError),
    *(pa.ArrowCapacityError, pa.ArrowSerializationError),
    OSError,  # of Arrow's own readers; errors of reading are of other classes, see `io.reading`
    UnicodeDecodeError,
    struct.error,
)
"""What is raised on bytes that were read and are not what they say. A lack of memory is none of them."""
