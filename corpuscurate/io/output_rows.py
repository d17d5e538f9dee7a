"""From a `Batch` to rows of the output's schema: the user's columns with the edited text, then those that stages added.

Rows travel in *flat* types until a row group is cut: the text as `large_string`, so that it cannot overflow;
dictionaries, views and runs decoded, because what these hold in memory depends on how rows were batched. `finish` gives
a whole row group its final types.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from corpuscurate.core.batch import Batch
from corpuscurate.core.columns import TEXT, lengths_bytes, one_array, text_buffers
from corpuscurate.core.errors import InputError, OutputError
from corpuscurate.core.layouts import (
    decoded,
    has_parts,
    is_encoded,
    is_list_view,
    items_of,
    kernel_type,
    nested_type,
    parts_of,
)
from corpuscurate.io.arrow_types import cast, nulls
from corpuscurate.io.base import REST_FORM, OutputShape
from corpuscurate.io.columnar import UTF8_ERROR
from corpuscurate.io.json_columns import columns_from_json, is_json_text
from corpuscurate.io.write_json import json_texts

STRING_BYTES = (1 << 31) - 1
"""What one `string` array can hold."""
_FIELD_ID = b"PARQUET:field_id"


def is_json_form(rest: pa.RecordBatch) -> bool:
    """Whether `Batch.rest` holds JSON lines rather than columns."""
    return (rest.schema.metadata or {}).get(REST_FORM) == b"json"


def required_rest(batch: Batch) -> pa.RecordBatch:
    """`batch.rest`, which a writer cannot do without."""
    if batch.rest is None:
        raise ValueError("this batch was read without `rest`: nothing but its text could be written")
    return batch.rest


def final_schema(shape: OutputShape) -> pa.Schema:
    """The schema of an output file. Raises OutputError where a stage adds a column of a name that is there.

    The user's schema, with the notes of other programs that `unify_types` kept, in types that the format has.
    Dictionary indices are at least 32 bits wide: several files' dictionaries become one. So are the ends of runs:
    several record batches become one.
    """
    taken = set(shape.schema.names) & set(shape.added)
    if taken:
        raise OutputError(
            f"A stage adds the column {min(taken)!r}, and the input has a column of that name. Give the stage another "
            "`name:`."
        )
    fields = [
        field.with_type(storable(field.type, shape.format)).with_metadata(_kept_notes(field)) for field in shape.schema
    ]
    added = [pa.field(name, kind) for name, kind in shape.added.items()]
    return pa.schema([*fields, *added], metadata=shape.schema.metadata)


def _kept_notes(field: pa.Field) -> dict[bytes, bytes] | None:
    return {key: value for key, value in (field.metadata or {}).items() if key != _FIELD_ID} or None


def storable(kind: pa.DataType, format: str) -> pa.DataType:
    """The type for the same values that the format and its writer have.

    Whole columns only are dictionaries, runs and list views, and neither of lists nor of structs. Parquet has no runs,
    no dictionary of views, no views within lists and structs and no negative scales.
    """
    if pa.types.is_run_end_encoded(kind):
        value = kernel_type(kind.value_type)
        if format == "parquet" or not _can_be_encoded(value, format):
            return storable(value, format)
        ends = kind.run_end_type if kind.run_end_type.bit_width >= 32 else pa.int32()
        return pa.run_end_encoded(ends, _stored_within(value, format, within=True))
    if pa.types.is_dictionary(kind):
        value = kernel_type(kind.value_type) if format == "parquet" else kind.value_type
        if not _can_be_encoded(value, format):
            return storable(value, format)
        index = kind.index_type if kind.index_type.bit_width >= 32 else pa.int32()
        return pa.dictionary(index, value, kind.ordered)
    if not is_list_view(kind):
        return _stored_within(kind, format)
    item = kind.value_field.with_type(_stored_within(kind.value_type, format, within=True))
    return pa.large_list_view(item) if pa.types.is_large_list_view(kind) else pa.list_view(item)


def _can_be_encoded(value: pa.DataType, format: str) -> bool:
    """Whether Arrow can make dictionaries and runs of such values, join the dictionaries of several row groups, and
    read them back from the format as what they are."""
    types = pa.types
    kinds = (has_parts, types.is_decimal32, types.is_decimal64, types.is_float16)
    if any(fit(value) for fit in kinds) or isinstance(value, pa.BaseExtensionType):
        return False
    return format != "parquet" or not (types.is_null(value) or types.is_duration(value))


def _stored_within(kind: pa.DataType, format: str, *, within: bool = False) -> pa.DataType:
    """A type without the dictionaries, runs and list views within it; for Parquet without views within it."""
    if is_encoded(kind):
        return _stored_within(kind.value_type, format, within=within)
    if within and (is_list_view(kind) or format == "parquet"):
        kind = kernel_type(kind)
    if has_parts(kind):
        parts = [part.with_type(_stored_within(part.type, format, within=True)) for part in parts_of(kind)]
        return nested_type(kind, parts)
    return _with_scale(kind) if format == "parquet" else kind


def _with_scale(kind: pa.DataType) -> pa.DataType:
    """A decimal type whose scale is not negative, as Parquet's."""
    if not pa.types.is_decimal(kind) or kind.scale >= 0:
        return kind
    digits = kind.precision - kind.scale
    return pa.decimal128(digits, 0) if digits <= 38 else pa.decimal256(digits, 0)


def flat_schema(final: pa.Schema, text: str) -> pa.Schema:
    """The types in which rows wait for their row group."""
    return pa.schema([_flat_field(field, text) for field in final])


def _flat_field(field: pa.Field, text: str) -> pa.Field:
    return field.with_type(TEXT if field.name == text else _flat(field.type))


def _flat(kind: pa.DataType) -> pa.DataType:
    kind = kernel_type(kind.storage_type if isinstance(kind, pa.FixedShapeTensorType) else kind)
    return kind.value_type if pa.types.is_dictionary(kind) else kind


def assemble(batch: Batch, shape: OutputShape, flat: pa.Schema) -> pa.RecordBatch:
    """The batch's rows in flat types. Raises InputError when a column cannot be brought to its settled type."""
    rest = required_rest(batch)
    taken = {shape.text, *shape.added}
    if shape.id is not None and batch.id is not None and _is_plain_text(flat, shape.id):
        taken.add(shape.id)
    others = pa.schema([field for field in flat if field.name not in taken])
    if is_json_form(rest):
        made = columns_from_json(rest, others)
    else:
        made = {field.name: _user_column(rest, field) for field in others}
    if shape.id in taken:
        made[shape.id] = batch.id
    made[shape.text] = batch.text
    made.update((name, batch.columns[name]) for name in shape.added)
    return pa.RecordBatch.from_arrays([cast_to_schema(made[field.name], field) for field in flat], schema=flat)


def _is_plain_text(flat: pa.Schema, id: str) -> bool:
    """Whether ids are written as `Batch.id` has them, so that they are spelled as in dropped/."""
    return id in flat.names and flat.field(id).type == TEXT and not is_json_text(flat.field(id))


def _user_column(rest: pa.RecordBatch, field: pa.Field) -> pa.Array:
    at = rest.schema.get_field_index(field.name)
    if at < 0:
        return nulls(len(rest), field.type)
    column = rest.column(at)
    if not is_json_text(field):
        return column
    return (
        column.cast(TEXT) if pa.types.is_null(column.type) else pc.if_else(column.is_valid(), json_texts(column), None)
    )


def check_utf8(column: pa.Array, name: str) -> None:
    """Raises InputError where a column that is to become JSON holds strings that are not UTF-8."""
    try:
        column.validate(full=True)
    except pa.ArrowInvalid as error:
        if UTF8_ERROR not in str(error):  # a value that its type should not have: it has a form in JSON
            return
        raise InputError(
            f"column {name!r} holds text that is not valid UTF-8, which JSON cannot hold: "
            f"{' '.join(str(error).split())}. Choose `output: format: parquet` or arrow, or mend the input."
        ) from error


def cast_to_schema(array: pa.Array, field: pa.Field) -> pa.Array:
    """A column in another type, nothing lost. Raises InputError when that cannot be."""
    if array.type == field.type:
        return array
    try:
        array = decoded(array)
        if pa.types.is_dictionary(array.type):
            array = array.dictionary_decode()
        elif isinstance(array.type, pa.FixedShapeTensorType):  # Arrow cannot join chunks of tensors
            array = array.storage
        return array if array.type == field.type else cast(array, field.type)
    except pa.ArrowMemoryError:  # says nothing about the values
        raise
    except pa.ArrowException as error:
        raise InputError(
            f"column {field.name!r}: values of type {array.type} cannot be kept as {field.type}: "
            f"{' '.join(str(error).split())}"
        ) from error


def finish(table: pa.Table, final: pa.Schema, text: str, piece_rows: int | None = None) -> pa.Table:
    """A whole row group of flat rows in its final types; depends on the rows alone, not on their chunks.

    piece_rows: the text comes in pieces of so many rows, most of them without a copy; otherwise as one where it can.
    """
    others = table.drop_columns([text]).combine_chunks()
    columns = []
    for field in final:
        if field.name == text:
            columns.append(_final_text(_pieces(table.column(text), piece_rows or max(1, len(table))), field.type))
        else:
            column = others.column(field.name)
            columns.append(column if column.type == field.type else _final(column, field.type))
    return pa.Table.from_arrays(columns, schema=final)


def _pieces(column: pa.ChunkedArray, rows: int) -> pa.ChunkedArray:
    """The column in pieces of so many rows."""
    pieces = (column.slice(start, rows) for start in range(0, max(1, len(column)), rows))
    return pa.chunked_array([one_array(piece) for piece in pieces], column.type)


def _final(column: pa.ChunkedArray, kind: pa.DataType) -> pa.ChunkedArray | pa.Array:
    if pa.types.is_dictionary(kind):
        return encoded(column, kind)
    if pa.types.is_run_end_encoded(kind):
        return pc.run_end_encode(_one(column).cast(kind.value_type), run_end_type=kind.run_end_type)
    if pa.types.is_list_view(kind) or pa.types.is_large_list_view(kind):
        return _viewed(_one(column), kind)
    if isinstance(kind, pa.FixedShapeTensorType):
        return pa.ExtensionArray.from_storage(kind, cast(_one(column), kind.storage_type))
    return cast(_one(column), kind)


def _viewed(array: pa.Array, kind: pa.DataType) -> pa.Array:
    """Lists as list views in row order; there is no cast."""
    large = pa.types.is_large_list_view(kind)
    sizes = pc.fill_null(pc.list_value_length(array), 0).to_numpy(zero_copy_only=False)
    offsets = np.cumsum(sizes) - sizes
    width = np.int64 if large else np.int32
    made = (pa.LargeListViewArray if large else pa.ListViewArray).from_arrays
    values = cast(items_of(array), kind.value_type)
    mask = array.is_null() if array.null_count else None
    return made(pa.array(offsets.astype(width)), pa.array(sizes.astype(width)), values, type=kind, mask=mask)


def _one(column: pa.ChunkedArray) -> pa.Array:
    whole = column.combine_chunks()
    return whole if isinstance(whole, pa.Array) else pa.concat_arrays(whole.chunks)


def encoded(column: pa.ChunkedArray, kind: pa.DictionaryType) -> pa.Array:
    """Dictionary-encoded, values in the order of their first row."""
    array = _one(column).dictionary_encode()
    values = array.dictionary if array.dictionary.type == kind.value_type else array.dictionary.cast(kind.value_type)
    return pa.DictionaryArray.from_arrays(array.indices.cast(kind.index_type), values, ordered=kind.ordered)


def _final_text(column: pa.ChunkedArray, kind: pa.DataType) -> pa.ChunkedArray | pa.Array:
    """The text in the file's own type; a piece that one array cannot hold becomes several."""
    if kind == TEXT:
        return column
    if pa.types.is_dictionary(kind):
        return encoded(column, kind)
    is_runs = pa.types.is_run_end_encoded(kind)
    pieces = [
        _compact(piece.slice(start, stop - start)).cast(kind.value_type if is_runs else kind)
        for piece in column.chunks
        for start, stop in _fitting(lengths_bytes(piece))
    ]
    if is_runs:
        pieces = [pc.run_end_encode(piece, run_end_type=kind.run_end_type) for piece in pieces]
    return pa.chunked_array(pieces, kind)


def _compact(text: pa.LargeStringArray) -> pa.LargeStringArray:
    """Without the bytes before and after a slice, where they are too many for a cast to 32-bit offsets."""
    offsets, _ = text_buffers(text)
    return pa.concat_arrays([text, text.slice(0, 0)]) if offsets[-1] > STRING_BYTES else text


def _fitting(lengths: NDArray[np.int64]) -> list[tuple[int, int]]:
    """Row ranges whose text fits a `string` array. Raises OutputError for a single text that does not."""
    ends = np.cumsum(lengths)
    ranges, start = [], 0
    while start < len(lengths):
        before = int(ends[start - 1]) if start else 0
        stop = int(np.searchsorted(ends, before + STRING_BYTES, "right"))
        if stop == start:
            raise OutputError(f"a text of {lengths[start]} bytes is longer than a string column can hold (2 GiB)")
        ranges.append((start, stop))
        start = stop
    return ranges or [(0, 0)]


class RowGroups:
    """Cuts rows into groups at exact documents: a group ends with the first document at which its `record_bytes` reach
    the limit, so groups do not depend on batches."""

    MAX_ROWS = 1 << 20

    def __init__(self, limit_bytes: int) -> None:
        self._limit = limit_bytes
        self._held: list[pa.RecordBatch] = []
        self._bytes = self._rows = 0

    def add(self, rows: pa.RecordBatch, record_bytes: NDArray[np.int64]) -> list[pa.Table]:
        """Groups that these rows complete."""
        full = []
        start = 0
        while start < len(rows):
            ends = np.cumsum(record_bytes[start : start + self.MAX_ROWS - self._rows])
            taken = int(np.searchsorted(ends, self._limit - self._bytes, "left")) + 1
            taken = min(taken, len(ends))
            self._held.append(rows.slice(start, taken))
            self._bytes += int(ends[taken - 1])
            self._rows += taken
            start += taken
            if self._bytes >= self._limit or self._rows == self.MAX_ROWS:
                full.append(self.rest())
        return [table for table in full if table is not None]

    def rest(self) -> pa.Table | None:
        """The rows since the last group, or None."""
        if not self._held:
            return None
        table = pa.Table.from_batches(self._held)
        self._held, self._bytes, self._rows = [], 0, 0
        return table
