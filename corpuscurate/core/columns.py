"""The border between Arrow and NumPy: how columns become arrays for kernels and stages.

Text is `large_string` everywhere: one layout, one kernel signature (`int64` offsets, `uint8` bytes). Columns that come
from JSON lines are not typed by guessing: they arrive as `pa.json_()` arrays, the JSON text of each value, and are
read here as numbers, strings or truth values, whatever the stage asks for. So a value means the same thing in every
batch, and a column of mixed types is not an error.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from corpuscurate.core.layouts import decoded, items_of, lists_of

TEXT = pa.large_string()
JSON = pa.json_(pa.large_string())
EXACT = pa.decimal128(38, 0)


def one_array(column: pa.Array | pa.ChunkedArray) -> pa.Array:
    """A column as one array, without a copy where it is one already."""
    if isinstance(column, pa.ChunkedArray):
        return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()
    return column


def large_string(column: pa.Array | pa.ChunkedArray) -> pa.LargeStringArray:
    """Any string-like column (string, string_view, dictionary, JSON) as one `large_string` array."""
    array = one_array(column)
    if array.type == TEXT:
        return array
    array = decoded(array)
    if is_json(array):
        array = array.storage
    return array if array.type == TEXT else array.cast(TEXT)


def _sealed(view: NDArray[Any]) -> NDArray[Any]:
    view.flags.writeable = False
    return view


def text_buffers(array: pa.LargeStringArray) -> tuple[NDArray[np.int64], NDArray[np.uint8]]:
    """The views a kernel works on: offsets `int64[n + 1]` and bytes `uint8[...]`; row i is bytes[off[i]:off[i+1]].

    No copy; read-only always, so that kernels are compiled for one type. Sliced arrays work: the offsets of a slice
    need not begin at 0. Nulls are rows of any content: ask
    `array.is_null()` first where they can occur (text never holds them).
    """
    if array.type not in (TEXT, pa.large_binary()):
        raise TypeError(f"expected large_string or large_binary, got {array.type}")
    _, offsets, data = array.buffers()
    if len(array) == 0 or offsets is None:
        return _sealed(np.zeros(1, np.int64)), _sealed(np.zeros(0, np.uint8))
    first = np.frombuffer(offsets, np.int64)[array.offset : array.offset + len(array) + 1]
    return _sealed(first), _sealed(np.frombuffer(data or b"", np.uint8))


def text_spans(
    array: pa.LargeStringArray, rows: NDArray[np.int64] | None = None
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.uint8]]:
    """`text_buffers` for all rows, or some: row i is bytes[start[i]:stop[i]]. So some rows can be worked on without a
    copy of their text."""
    offsets, data = text_buffers(array)
    starts, stops = offsets[:-1], offsets[1:]
    return (starts, stops, data) if rows is None else (_sealed(starts[rows]), _sealed(stops[rows]), data)


def from_buffers(
    offsets: NDArray[np.int64], data: NDArray[np.uint8], valid: NDArray[np.bool_] | None = None
) -> pa.LargeStringArray:
    """A `large_string` array over kernel output: offsets `int64[n + 1]`, bytes `uint8[...]`, `valid` False = null.

    No copy; the caller vouches for valid UTF-8.
    """
    mask = None if valid is None else pa.array(valid).buffers()[1]
    return pa.LargeStringArray.from_buffers(len(offsets) - 1, pa.py_buffer(offsets), pa.py_buffer(data), mask)


def row_arrays(table: NDArray[Any]) -> list[pa.Array]:
    """The rows of a C-contiguous table of numbers as Arrow arrays, without a copy. For many short rows: `pa.array` of
    each takes several times as long."""
    count, size = table.shape
    kind, whole = pa.from_numpy_dtype(table.dtype), pa.py_buffer(table)
    width = size * table.itemsize
    return [pa.Array.from_buffers(kind, size, [None, whole.slice(row * width, width)], 0) for row in range(count)]


def lengths_bytes(array: pa.LargeStringArray) -> NDArray[np.int64]:
    """Bytes of each row."""
    offsets, _ = text_buffers(array)
    return np.diff(offsets)


def to_numpy(array: pa.Array | pa.ChunkedArray) -> NDArray[Any]:
    """A column without nulls as a NumPy array; no copy for numbers (then read-only)."""
    return one_array(array).to_numpy(zero_copy_only=False)  # type: ignore[no-any-return]


def large_lists(array: pa.Array) -> pa.LargeListArray:
    """Lists of any layout as `large_list`. Not by a cast: of views it loses the last row, and it has none for lists of
    an extension type (pyarrow 26)."""
    kind = pa.large_list(array.type.value_type)
    return array if array.type.equals(kind) else lists_of(array, kind, items_of(array))


def keep_rows(array: pa.Array, mask: NDArray[np.bool_]) -> pa.Array:
    """The rows where `mask` is True, of any Arrow type: views and run-end encoded arrays have no filter in pyarrow."""
    if array.type in (TEXT, pa.large_binary()) and not array.null_count:
        return _kept_texts(array, mask)
    try:
        return array.filter(pa.array(mask))
    except pa.ArrowNotImplementedError:
        edges = np.flatnonzero(np.diff(mask, prepend=False, append=False))
        runs = [array.slice(start, stop - start) for start, stop in edges.reshape(-1, 2).tolist()]
        return pa.concat_arrays(runs or [array.slice(0, 0)])


def take_rows(array: pa.Array, rows: NDArray[np.int64]) -> pa.Array:
    """Rows in any order, each as often as it is named, of any Arrow type: views and run-end encoded arrays have no take
    in pyarrow."""
    try:
        return array.take(pa.array(rows, pa.int64()))
    except pa.ArrowNotImplementedError:
        if pa.types.is_string_view(array.type) or pa.types.is_binary_view(array.type):
            plain = pa.large_string() if pa.types.is_string_view(array.type) else pa.large_binary()
            return array.cast(plain).take(pa.array(rows, pa.int64())).cast(array.type)
        edges = [0, *(np.flatnonzero(np.diff(rows) != 1) + 1).tolist(), len(rows)]
        runs = [array.slice(int(rows[at]), to - at) for at, to in pairwise(edges) if to > at]
        return pa.concat_arrays(runs or [array.slice(0, 0)])


def take_from(table: pa.Table, rows: NDArray[np.int64]) -> pa.Table:
    """`take_rows` of every column of a table of one chunk."""
    columns = [take_rows(one_array(column), rows) for column in table.columns]
    return pa.Table.from_arrays(columns, schema=table.schema)


def _kept_texts(array: pa.Array, mask: NDArray[np.bool_]) -> pa.Array:
    """`keep_rows` of texts, in buffers of exactly their size: pyarrow's filter copies what it has each time that its
    buffer is too small, and ends with one up to twice as large, most of it fresh memory."""
    from corpuscurate.kernels.duplicates.pick_rows import pick_texts

    offsets, data = text_buffers(array)
    lengths = np.diff(offsets)[mask]
    ends = np.zeros(len(lengths) + 1, np.int64)
    np.cumsum(lengths, out=ends[1:])
    kept = np.empty(ends[-1], np.uint8)
    pick_texts(offsets, data, _sealed(mask.view()), kept)
    return pa.Array.from_buffers(array.type, len(lengths), [None, pa.py_buffer(ends), pa.py_buffer(kept)], 0)


def is_json(array: pa.Array | pa.ChunkedArray) -> bool:
    """Whether the column holds the JSON text of values rather than values."""
    return isinstance(array.type, pa.JsonType)


def _plain(column: pa.Array | pa.ChunkedArray) -> pa.Array:
    array = decoded(one_array(column))
    return array.dictionary_decode() if pa.types.is_dictionary(array.type) else array


def missing(column: pa.Array | pa.ChunkedArray) -> pa.BooleanArray:
    """Which rows hold no value: null, or `null` in JSON."""
    array = one_array(column)
    if is_json(array):
        return pc.fill_null(pc.equal(array.storage, "null"), True)
    return array.is_null()


def _unquoted(text: str) -> str | None:
    try:
        return str(orjson.loads(text))
    except orjson.JSONDecodeError:  # an escape such as \ud800 without its other half is no text
        return None


def _starts(text: pa.LargeStringArray, pattern: str) -> pa.BooleanArray:
    return pc.fill_null(pc.match_substring_regex(text, pattern), False)


def numbers(column: pa.Array | pa.ChunkedArray) -> pa.DoubleArray:
    """A column as `float64`; what is not a number is null. Truth values are not numbers."""
    array = _plain(column)
    if is_json(array):
        text = array.storage
        return pc.if_else(_starts(text, r"^-?[0-9]"), text, None).cast(pa.float64())
    if pa.types.is_integer(array.type) or pa.types.is_floating(array.type) or pa.types.is_decimal(array.type):
        return array.cast(pa.float64(), safe=False)
    return pa.nulls(len(array), pa.float64())


def integers(column: pa.Array | pa.ChunkedArray) -> pa.Array:
    """A column as `decimal128(38, 0)`, exact where `numbers` rounds; what is not an integer of that size is null."""
    array = _plain(column)
    if is_json(array):
        text = array.storage
        return pc.if_else(_starts(text, r"^-?[0-9]{1,38}$"), text, None).cast(EXACT)
    kind = array.type
    whole = pa.types.is_decimal(kind) and kind.scale == 0 and kind.precision <= EXACT.precision
    return array.cast(EXACT) if whole or pa.types.is_integer(kind) else pa.nulls(len(array), EXACT)


def truths(column: pa.Array | pa.ChunkedArray) -> pa.BooleanArray:
    """A column as `bool`; what is neither true nor false is null."""
    array = _plain(column)
    if is_json(array):
        text = array.storage
        return pc.if_else(pc.is_in(text, pa.array(["true", "false"], TEXT)), pc.equal(text, "true"), None)
    return array if pa.types.is_boolean(array.type) else pa.nulls(len(array), pa.bool_())


def strings(column: pa.Array | pa.ChunkedArray) -> pa.LargeStringArray:
    """A column as `large_string`; JSON escapes are resolved; what is no string, or half a surrogate pair, is null."""
    array = _plain(column)
    if is_json(array):
        text = array.storage
        quoted = pc.if_else(_starts(text, '^"'), text, None)
        plain = pc.utf8_slice_codeunits(quoted, 1, -1)
        escaped = pc.fill_null(pc.match_substring(quoted, "\\"), False)
        if not pc.any(escaped).as_py():
            return plain
        repaired = [_unquoted(value.as_py()) for value in quoted.filter(escaped)]  # few: strings with escapes
        return pc.replace_with_mask(plain, escaped, pa.array(repaired, TEXT))
    kinds = (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view)
    if any(kind(array.type) for kind in kinds):
        return array.cast(TEXT)
    return pa.nulls(len(array), TEXT)


def heads(texts: pa.LargeStringArray, limit: int) -> pa.LargeStringArray:
    """The first `limit` bytes of each text, less the last character where that would be cut."""
    sizes = lengths_bytes(texts)
    if (sizes <= limit).all():
        return texts
    offsets, data = text_buffers(texts)
    ends = offsets[:-1] + np.minimum(sizes, limit)
    for _ in range(3):  # a character has at most three bytes after its first
        inside = ends < offsets[1:]
        inside[inside] = (data[ends[inside]] & 0xC0) == 0x80
        ends = ends - inside
    spans = zip(offsets[:-1].tolist(), ends.tolist(), strict=True)
    whole = b"".join(texts.buffers()[2].slice(start, stop - start) for start, stop in spans)
    joined = np.concatenate([[0], np.cumsum(ends - offsets[:-1])]).astype(np.int64)
    return pa.LargeStringArray.from_buffers(len(texts), pa.py_buffer(joined), pa.py_buffer(whole))


def group_names(column: pa.Array | pa.ChunkedArray) -> pa.LargeStringArray:
    """A column of any plain type as text; null stays null."""
    array = one_array(column)
    text = strings(array)
    if is_json(array):
        plain = array.storage
        return pc.coalesce(text, pc.if_else(missing(array), pa.scalar(None, TEXT), plain))
    if text.null_count < len(text) or not len(text):
        return text
    return array.cast(TEXT) if not pa.types.is_nested(array.type) else text
