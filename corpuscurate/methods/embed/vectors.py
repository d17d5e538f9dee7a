"""Columns of embeddings as they come from the input: lists of numbers of any width, or the JSON text of such lists."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.json

from corpuscurate.core.columns import is_json, large_lists, one_array
from corpuscurate.core.errors import InputError

_ROWS = pa.large_list(pa.float32())


def vectors(column: pa.Array | pa.ChunkedArray, name: str) -> pa.LargeListArray:
    """A column as `large_list<float32>`; a null within a list counts as 0.

    Raises InputError where a value is neither null nor a list of numbers.
    """
    array = one_array(column)
    try:
        views = pa.types.is_list_view(array.type) or pa.types.is_large_list_view(array.type)
        lists = _parsed(array.storage) if is_json(array) else (large_lists(array) if views else array).cast(_ROWS)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise InputError(f"the column {name!r} holds no embeddings (lists of numbers): {error}") from error
    if lists.flatten().null_count == 0:
        return lists
    filled = pc.fill_null(lists.flatten(), 0.0)
    sizes = pc.fill_null(pc.list_value_length(lists), 0)
    offsets = pa.concat_arrays([pa.array([0], pa.int64()), pc.cumulative_sum(sizes)])
    return pa.LargeListArray.from_arrays(offsets, filled, mask=lists.is_null())


def _parsed(texts: pa.LargeStringArray) -> pa.LargeListArray:
    if len(texts) == 0:
        return pa.array([], _ROWS)
    before, after, nothing = (pa.scalar(part, pa.large_string()) for part in ('{"e":', "}\n", ""))
    lines = pc.binary_join_element_wise(before, pc.fill_null(texts, "null"), after, nothing)
    whole = lines.buffers()[2]
    table = pyarrow.json.read_json(
        pa.BufferReader(whole),
        read_options=pyarrow.json.ReadOptions(use_threads=False, block_size=whole.size + 1),
        parse_options=pyarrow.json.ParseOptions(explicit_schema=pa.schema([("e", pa.list_(pa.float32()))])),
    )
    return one_array(table.column("e")).cast(_ROWS)
