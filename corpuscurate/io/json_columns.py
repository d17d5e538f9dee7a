"""The fields of JSON lines as Arrow columns of a settled schema (see `io.column_types`), equal in every value.

Scalars go through kernels and Arrow casts, objects and lists through Arrow's JSON reader with the type given, so that
it guesses nothing; where it refuses (a number beyond double), Python's own json is asked.
"""

from __future__ import annotations

import json

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.json as pj
from numpy.typing import NDArray

from corpuscurate.core.columns import TEXT, text_buffers
from corpuscurate.io.arrow_types import is_list
from corpuscurate.io.column_types import JSON_TEXT
from corpuscurate.io.json_scan import Bytes, Ints, LineScanner, Scan, joined
from corpuscurate.kernels.json.fields import parse_integers
from corpuscurate.kernels.json.lines import ARRAY, FALSE, FLOAT, INTEGER, NULL, OBJECT, STRING, TRUE

CELLS = 1 << 22
"""Records times columns that are looked up at once."""
READER_BYTES = 1 << 30
"""Arrow's JSON reader takes blocks below 2 GiB."""


def columns_from_json(rest: pa.RecordBatch, schema: pa.Schema) -> dict[str, pa.Array]:
    """The columns of `schema`, by name, for documents in rest form "json"."""
    data, stop = joined(rest.column("line"))
    scanner = LineScanner(stop, rows=max(1, min(1 << 16, rest.num_rows, CELLS // max(1, len(schema)))))
    pieces: dict[str, list[pa.Array]] = {name: [pa.nulls(0, schema.field(name).type)] for name in schema.names}
    for scan in scanner.scan(data, 0, stop):
        found, _ = scan.find(schema.names)
        for place, column in enumerate(schema):
            pieces[column.name].append(_column(scan, np.ascontiguousarray(found[:, place]), column))
    return {name: pa.concat_arrays(arrays) for name, arrays in pieces.items()}


def is_json_text(column: pa.Field) -> bool:
    """Whether a column of a settled schema holds the JSON text of its values."""
    return (column.metadata or {}).items() >= JSON_TEXT.items()


def _column(scan: Scan, found: Ints, column: pa.Field) -> pa.Array:
    """The values of fields `found` (int64[n], -1: none) as an array of the column's type."""
    kinds = scan.take(scan.kinds, found)
    found[kinds == NULL] = -1
    present = found >= 0
    if not present.any():
        return pa.nulls(len(found), column.type)
    kind = column.type
    if is_json_text(column):
        return scan.raw(found)
    if not set(np.unique(kinds[present]).tolist()) <= _kinds_of(kind):
        raise TypeError(f"the column {column.name!r} was settled as {kind}, but the records hold other values")
    if kind == TEXT:
        return scan.texts(found)
    if pa.types.is_integer(kind):
        return _integers(scan, found, present, kind)
    if pa.types.is_floating(kind):
        return scan.raw(found).cast(pa.float64()).cast(kind)
    return pa.array(kinds == TRUE, mask=~present) if pa.types.is_boolean(kind) else nested(scan.raw(found), kind)


def _kinds_of(kind: pa.DataType) -> frozenset[int]:
    """The kinds of JSON values that a type holds."""
    types = pa.types
    for applies, kinds in (
        (types.is_large_string, (STRING,)),
        (types.is_integer, (INTEGER,)),
        (types.is_floating, (INTEGER, FLOAT)),
        (types.is_boolean, (TRUE, FALSE)),
        (types.is_struct, (OBJECT,)),
        (is_list, (ARRAY,)),
    ):
        if applies(kind):
            return frozenset(kinds)
    return frozenset()


def _integers(scan: Scan, found: Ints, present: NDArray[np.bool_], kind: pa.DataType) -> pa.Array:
    starts, stops = scan.spans(found)
    values = np.empty(len(found), np.uint64)
    parse_integers(scan.data, starts, stops, values)
    if pa.types.is_signed_integer(kind):
        return pa.array(values.view(np.int64), mask=~present).cast(kind)
    return pa.array(values, mask=~present).cast(kind)


def nested(texts: pa.LargeStringArray, kind: pa.DataType) -> pa.Array:
    """JSON texts of objects or lists (null: none) as values of a type that can hold them."""
    prefix, suffix = pa.scalar('{"v":', TEXT), pa.scalar("}\n", TEXT)
    lines = pc.binary_join_element_wise(prefix, pc.fill_null(texts, "null"), suffix, pa.scalar("", TEXT))
    offsets, data = text_buffers(lines)
    array = _read(data[offsets[0] : offsets[-1]], kind) if offsets[-1] - offsets[0] < READER_BYTES else None
    if array is None or len(array) != len(texts):
        return pa.array([None if text is None else _loads(text) for text in texts.to_pylist()], kind)
    return array


# As Arrow reads it: whether it is asked depends on what else is in the batch.
_loads = json.JSONDecoder(parse_int=lambda text: -0.0 if text == "-0" else int(text)).decode


def _read(lines: Bytes, kind: pa.DataType) -> pa.Array | None:
    options = pj.ParseOptions(explicit_schema=pa.schema([("v", kind)]), unexpected_field_behavior="error")
    try:
        table = pj.read_json(
            pa.BufferReader(pa.py_buffer(lines)),
            pj.ReadOptions(use_threads=False, block_size=len(lines) + 1),
            options,
        )
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        return None
    return table.column("v").combine_chunks()
