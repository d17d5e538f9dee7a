"""Documents as JSON lines: old lines untouched but for what changed, or lines made from columns.

Everything goes column by column: the JSON text of each value as a `large_string`, then joined. Floats are written with
the fewest digits that read back equal; NaN and the infinities, which JSON has not, become null. Dates and times are
ISO 8601 (with a zone: in UTC, with Z; years of more digits where they need them, see `iso_times`), durations too
(`PT5.000S`), bytes base64, maps lists of {"key": ..., "value": ...}. Values of a column of JSON stand as they
are where they are JSON, and as strings where they are not.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from corpuscurate.core.columns import TEXT, from_buffers, is_json, large_lists, large_string, text_buffers
from corpuscurate.core.errors import InputError
from corpuscurate.core.layouts import decoded, items_of
from corpuscurate.io.arrow_types import is_list
from corpuscurate.io.iso_times import date_texts, duration_texts, time_texts, timestamp_texts
from corpuscurate.io.json_scan import is_one_value
from corpuscurate.kernels.json.splice import count_spliced, fill_spliced
from corpuscurate.kernels.json.strings import count_quoted, fill_quoted, unescape_spans

_types = pa.types
Bytes = NDArray[np.uint8]


def splice_lines(rest: pa.RecordBatch, text: pa.LargeStringArray, added: Mapping[str, pa.Array]) -> Bytes:
    """The lines of documents in rest form "json" (see `io.base`) with their text as it is now and with added fields.

    A line is byte for byte the old one where its text is unchanged and nothing is added. `added`: n rows each, by name;
    the caller sees to it that no line has such a field already. Answers the lines as uint8[...], a newline behind each.
    """
    line = rest.column("line")
    offsets, data = text_buffers(line)
    spans = np.column_stack([rest.column(name).to_numpy() for name in ("text_start", "text_end", "braces")])
    changed = _changed(offsets, data, spans, text)
    text_offsets, text_data = text_buffers(text)
    added_offsets, added_data = _added(added, len(line))
    size = count_spliced(offsets, data, spans, changed, text_offsets, text_data, added_offsets)
    out = np.empty(size, np.uint8)
    fill_spliced(offsets, data, spans, changed, text_offsets, text_data, added_offsets, added_data, out)
    return out


def _changed(offsets: NDArray[Any], data: NDArray[Any], spans: NDArray[Any], text: pa.LargeStringArray) -> NDArray[Any]:
    """Whether each line's text is another one now: bool[n]."""
    starts, stops = offsets[:-1] + spans[:, 0] + 1, offsets[:-1] + spans[:, 1] - 1
    old_offsets = np.empty(len(starts) + 1, np.int64)
    old = np.empty(int((stops - starts).sum()), np.uint8)
    used = unescape_spans(data, starts, stops, np.ones(len(starts), np.bool_), old_offsets, old)
    same = pc.equal(from_buffers(old_offsets, old[:used]), text)
    changed: NDArray[np.bool_] = ~same.to_numpy(zero_copy_only=False)
    return changed


def _added(added: Mapping[str, pa.Array], rows: int) -> tuple[NDArray[Any], NDArray[Any]]:
    """What is put into each line: offsets int64[n + 1] and bytes."""
    if not added:
        return np.zeros(rows + 1, np.int64), np.zeros(0, np.uint8)
    parts: list[pa.Array | pa.Scalar] = []
    for name, column in added.items():
        parts += [_text("," + _quoted(name) + ":"), json_texts(column)]
    return text_buffers(_joined(parts))


def lines_from_columns(columns: pa.RecordBatch) -> Bytes:
    """Each row as a JSON object with a field a column, in order, null as null; uint8[...], a newline behind each."""
    texts = [json_texts(column) for column in columns.columns]
    offsets, data = text_buffers(_objects(columns.schema.names, texts, columns.num_rows, "}\n"))
    return data[offsets[0] : offsets[-1]]


def json_texts(column: pa.Array) -> pa.LargeStringArray:
    """The JSON text of each value; `null` for a null."""
    return pc.fill_null(_texts(column), "null")


def _texts(column: pa.Array) -> pa.LargeStringArray:
    """The JSON text of each value; what it is for nulls does not matter."""
    column = decoded(column)
    kind = column.type
    if isinstance(kind, pa.BaseExtensionType):
        return _json(column.storage) if is_json(column) else _texts(column.storage)
    if _types.is_dictionary(kind):
        return _texts(column.dictionary_decode())
    for applies, make in _MAKERS:
        if applies(kind):
            return make(column)
    raise InputError(
        f"a column of type {kind} has no form in JSON. Choose `output: format: arrow`, or take the column out of the "
        "input."
    )


def _text(value: str) -> pa.Scalar:
    return pa.scalar(value, TEXT)


def _quoted(name: str) -> str:
    return orjson.dumps(name).decode()


def _joined(parts: Sequence[pa.Array | pa.Scalar]) -> pa.LargeStringArray:
    return pc.binary_join_element_wise(*parts, _text(""))


def _objects(names: Sequence[str], values: Sequence[pa.Array], rows: int, end: str = "}") -> pa.LargeStringArray:
    if not names:
        return pa.array(["{" + end] * rows, TEXT)
    parts: list[pa.Array | pa.Scalar] = []
    for name, value in zip(names, values, strict=True):
        parts += [_text(("," if parts else "{") + _quoted(name) + ":"), value]
    return _joined([*parts, _text(end)])


def _nulls(column: pa.Array) -> pa.LargeStringArray:
    return pa.nulls(len(column), TEXT)


def _plain(column: pa.Array) -> pa.LargeStringArray:
    return column.cast(TEXT)


def _strings(column: pa.Array) -> pa.LargeStringArray:
    text = pc.fill_null(large_string(column), "")
    offsets, data = text_buffers(text)
    out_offsets = np.zeros(len(text) + 1, np.int64)
    size = count_quoted(offsets, data, out_offsets[1:])
    np.cumsum(out_offsets, out=out_offsets)
    out = np.empty(size, np.uint8)
    fill_quoted(offsets, data, out_offsets, out)
    valid = column.is_valid().to_numpy(zero_copy_only=False)
    return from_buffers(out_offsets, out, None if valid.all() else valid)


def _floats(column: pa.Array) -> pa.LargeStringArray:
    if _types.is_float16(column.type):
        column = column.cast(pa.float32())
    text = pc.if_else(pc.is_finite(column), column, None).cast(TEXT)
    whole = pc.match_substring_regex(text, r"^-?[0-9]+$")  # 1 would be read back as an integer
    return pc.if_else(whole, pc.binary_join_element_wise(text, _text(".0"), _text("")), text)


def _bytes(column: pa.Array) -> pa.LargeStringArray:
    encoded = [None if value is None else f'"{b64encode(value).decode()}"' for value in column.to_pylist()]
    return pa.array(encoded, TEXT)


def _in_quotes(text: pa.Array) -> pa.LargeStringArray:
    return _joined([_text('"'), text.cast(TEXT), _text('"')])


def _dates(column: pa.Array) -> pa.LargeStringArray:
    return _in_quotes(date_texts(column))


def _timestamps(column: pa.Array) -> pa.LargeStringArray:
    text = timestamp_texts(column)
    return _in_quotes(text if column.type.tz is None else _joined([text, _text("Z")]))


def _json(text: pa.Array) -> pa.LargeStringArray:
    """Values that came as JSON text, each on one line. What is not JSON becomes a string."""
    text = large_string(text)
    one_line, good = _on_one_line(text), is_json_value(text)
    if good.all():
        return one_line
    return pc.if_else(pa.array(good), one_line, _strings(text))


def is_json_value(text: pa.Array) -> NDArray[np.bool_]:
    """Whether each text is a JSON value and so is written as it stands: bool[n], True for null."""
    return is_one_value(_on_one_line(large_string(text)))


def _on_one_line(text: pa.LargeStringArray) -> pa.LargeStringArray:
    return pc.replace_substring_regex(text, "[\n\r]", "\t")  # white space, and as wrong within a string


def _durations(column: pa.Array) -> pa.LargeStringArray:
    return _in_quotes(duration_texts(column))


def _structs(column: pa.Array) -> pa.LargeStringArray:
    names = [part.name for part in column.type]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise InputError(
            f"a struct has the field {twice[0]!r} more than once, of which readers of JSON keep one. Choose `output: "
            "format: arrow`, or rename them in the input."
        )
    objects = _objects(names, [json_texts(part) for part in column.flatten()], len(column))
    return pc.if_else(column.is_valid(), objects, None)


def _lists(column: pa.Array) -> pa.LargeStringArray:
    column = large_lists(column)
    items = json_texts(items_of(column))
    lengths = pc.fill_null(pc.list_value_length(column), 0).to_numpy(zero_copy_only=False)
    offsets = np.zeros(len(column) + 1, np.int64)
    np.cumsum(lengths, out=offsets[1:])
    texts = pa.LargeListArray.from_arrays(pa.array(offsets), items)
    inside = pc.binary_join(texts, _text(","))
    return pc.if_else(column.is_valid(), _joined([_text("["), inside, _text("]")]), None)


def _maps(column: pa.Array) -> pa.LargeStringArray:
    entries = pa.struct([pa.field("key", column.type.key_type), pa.field("value", column.type.item_type)])
    return _lists(column.cast(pa.list_(entries)))


def _is_text(kind: pa.DataType) -> bool:
    return bool(_types.is_string(kind) or _types.is_large_string(kind) or _types.is_string_view(kind))


def _is_bytes(kind: pa.DataType) -> bool:
    plain = _types.is_binary(kind) or _types.is_large_binary(kind) or _types.is_binary_view(kind)
    return bool(plain or _types.is_fixed_size_binary(kind))


_MAKERS = (
    (_is_text, _strings),
    (_types.is_integer, _plain),
    (_types.is_floating, _floats),
    (_types.is_boolean, _plain),
    (_types.is_null, _nulls),
    (_types.is_decimal, _plain),
    (_types.is_date, _dates),
    (_types.is_timestamp, _timestamps),
    (_types.is_time, lambda column: _in_quotes(time_texts(column))),
    (_types.is_duration, _durations),
    (_is_bytes, _bytes),
    (_types.is_struct, _structs),
    (_types.is_map, _maps),
    (is_list, _lists),
)
