"""The same rows in the same bytes. Arrow leaves open what stands under a null, behind the last row or before a slice,
and its IPC writer writes some of that: such bytes would depend on batches, or be text of other documents."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from corpuscurate.core.layouts import items_of

_STRINGS = (pa.string(), pa.binary())
_LARGE_STRINGS = (pa.large_string(), pa.large_binary())
_VIEWS = {pa.string_view(): pa.large_string(), pa.binary_view(): pa.large_binary()}
_VIEW_BYTES = 16


def canonical(rows: pa.RecordBatch) -> pa.RecordBatch:
    """The rows in buffers of exactly their size, with zeros under nulls.

    At any depth of structs and lists; maps, unions and fixed-size lists as they are.
    """
    return pa.RecordBatch.from_arrays([_column(column) for column in rows.columns], schema=rows.schema)


def _column(array: pa.Array) -> pa.Array:
    kind = array.type
    if isinstance(array, pa.ExtensionArray):
        return pa.ExtensionArray.from_storage(kind, _column(array.storage))
    if pa.types.is_dictionary(kind):
        values = _column(array.dictionary)
        return pa.DictionaryArray.from_arrays(_column(array.indices), values, ordered=kind.ordered)
    if pa.types.is_nested(kind):
        return _nested(array)
    if kind in _VIEWS:
        return _views(array)
    if kind in _STRINGS or kind in _LARGE_STRINGS:
        return _strings(array)
    return _fixed_width(array)


def _valid(array: pa.Array) -> NDArray[np.bool_] | None:
    """Which rows are not null; None where all are."""
    return array.is_valid().to_numpy(zero_copy_only=False) if array.null_count else None


def _bits(values: NDArray[np.bool_] | None) -> pa.Buffer | None:
    return None if values is None else pa.py_buffer(np.packbits(values, bitorder="little"))


def _nested(array: pa.Array) -> pa.Array:
    mask = array.is_null() if array.null_count else None
    if pa.types.is_struct(array.type) and array.type.num_fields:
        parts = [_column(part) for part in array.flatten()]
        return pa.StructArray.from_arrays(parts, fields=list(array.type), mask=mask)
    if pa.types.is_list(array.type) or pa.types.is_large_list(array.type):
        kind = pa.ListArray if pa.types.is_list(array.type) else pa.LargeListArray
        offsets = np.zeros(len(array) + 1, np.int32 if kind is pa.ListArray else np.int64)
        np.cumsum(array.value_lengths().fill_null(0).to_numpy(), out=offsets[1:])
        return kind.from_arrays(pa.array(offsets), _column(items_of(array)), type=array.type, mask=mask)
    return array


def _strings(array: pa.Array) -> pa.Array:
    valid = _valid(array)
    if valid is not None:
        empty = pa.scalar(b"", pa.binary()).cast(array.type)
        array = array.fill_null(empty)
    _, stored, data = array.buffers()
    width = np.int32 if array.type in _STRINGS else np.int64
    if stored is None or not len(array):
        offsets = np.zeros(1, width)
    else:
        offsets = np.frombuffer(stored, width)[array.offset : array.offset + len(array) + 1]
    exact = pa.py_buffer(b"") if data is None else data.slice(int(offsets[0]), int(offsets[-1] - offsets[0]))
    return pa.Array.from_buffers(array.type, len(array), [_bits(valid), pa.py_buffer(offsets - offsets[0]), exact])


def _views(array: pa.Array) -> pa.Array:
    made = _strings(array.cast(_VIEWS[array.type])).cast(array.type)
    valid = _valid(made)
    if valid is None:
        return made
    _, views, *data = made.buffers()
    cells = np.frombuffer(views, np.uint8)[: len(made) * _VIEW_BYTES].reshape(len(made), _VIEW_BYTES)
    kept = np.where(valid[:, None], cells, np.uint8(0))
    return pa.Array.from_buffers(made.type, len(made), [_bits(valid), pa.py_buffer(kept), *data])


def _fixed_width(array: pa.Array) -> pa.Array:
    valid = _valid(array)
    if pa.types.is_boolean(array.type):
        values = array.fill_null(False).to_numpy(zero_copy_only=False)
        return pa.Array.from_buffers(array.type, len(array), [_bits(valid), _bits(values)])
    try:
        width = int(array.type.byte_width)
    except ValueError:  # null type, unions
        return array
    cells = np.frombuffer(array.buffers()[1], np.uint8)[array.offset * width : (array.offset + len(array)) * width]
    if valid is not None:
        cells = np.where(valid[:, None], cells.reshape(len(array), width), np.uint8(0))
    return pa.Array.from_buffers(array.type, len(array), [_bits(valid), pa.py_buffer(cells)])
