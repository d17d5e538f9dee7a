"""The layouts of Arrow types: the same values as views, runs, dictionaries and lists of several kinds.

Arrow's kernels do not work with all of them: there is no filter, take, cast or comparison of views or runs, none of
dictionaries of views, and some give wrong results (a cast of list views loses the last row, pyarrow 26). So columns are
decoded before a kernel meets them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

_VIEWS = {pa.string_view(): pa.large_string(), pa.binary_view(): pa.large_binary()}
_types = pa.types


def is_list_view(kind: pa.DataType) -> bool:
    """Whether values of this type are lists whose items lie anywhere."""
    return bool(_types.is_list_view(kind) or _types.is_large_list_view(kind))


def is_encoded(kind: pa.DataType) -> bool:
    """Whether a column of this type is a dictionary or runs."""
    return bool(_types.is_dictionary(kind) or _types.is_run_end_encoded(kind))


def has_parts(kind: pa.DataType) -> bool:
    """Whether a type is a struct, a map or lists of any layout."""
    return bool(_types.is_nested(kind) and not _types.is_union(kind) and not _types.is_run_end_encoded(kind))


def kernel_type(kind: pa.DataType) -> pa.DataType:
    """The type for the same values with which Arrow's kernels work: without views and runs, at any depth. Dictionaries
    stay; an extension type stays where its storage does, else it is its storage."""
    if isinstance(kind, pa.BaseExtensionType):
        return _kernel_extension(kind)
    if _types.is_run_end_encoded(kind):
        return kernel_type(kind.value_type)
    if _types.is_dictionary(kind):
        return pa.dictionary(kind.index_type, kernel_type(kind.value_type), kind.ordered)
    if has_parts(kind):
        return nested_type(kind, [part.with_type(kernel_type(part.type)) for part in parts_of(kind)])
    return _VIEWS.get(kind, kind)


def _kernel_extension(kind: pa.BaseExtensionType) -> pa.DataType:
    storage = kernel_type(kind.storage_type)
    if storage.equals(kind.storage_type):
        return kind
    return pa.json_(storage) if isinstance(kind, pa.JsonType) else storage


def parts_of(kind: pa.DataType) -> list[pa.Field]:
    """The fields of a struct, the items of a list, the keys and the items of a map; none of another type."""
    if _types.is_map(kind):
        return [kind.key_field, kind.item_field]
    return [kind.field(at) for at in range(kind.num_fields)]


def nested_type(kind: pa.DataType, parts: Sequence[pa.Field]) -> pa.DataType:
    """A struct, list or map type with these parts in the place of its own; list views become lists."""
    if _types.is_struct(kind):
        return pa.struct(parts)
    if _types.is_map(kind):
        return pa.map_(parts[0], parts[1], kind.keys_sorted)
    if _types.is_fixed_size_list(kind):
        return pa.list_(parts[0], kind.list_size)
    large = _types.is_large_list(kind) or _types.is_large_list_view(kind)
    return pa.large_list(parts[0]) if large else pa.list_(parts[0])


def decoded(array: pa.Array) -> pa.Array:
    """The values in a type with which Arrow's kernels work (`kernel_type`); the array itself where it has that."""
    kind, final = array.type, kernel_type(array.type)
    if kind.equals(final):
        return array
    if isinstance(kind, pa.BaseExtensionType):
        storage = decoded(array.storage)
        return pa.ExtensionArray.from_storage(final, storage) if isinstance(final, pa.BaseExtensionType) else storage
    if is_encoded(kind):
        return _decoded_codes(array)
    if has_parts(kind) and not _types.is_fixed_size_list(kind):
        return _decoded_parts(array, final)
    return array.cast(final)


def _decoded_codes(array: pa.Array) -> pa.Array:
    if _types.is_dictionary(array.type):
        values = decoded(array.dictionary)
        return pa.DictionaryArray.from_arrays(array.indices, values, ordered=array.type.ordered)
    return decoded(array.values).take(pa.array(run_of_rows(array)))


def run_of_rows(array: pa.RunEndEncodedArray) -> NDArray[np.int64]:
    """For each row the number of its run."""
    rows = np.arange(len(array)) + array.offset
    runs: NDArray[np.int64] = np.searchsorted(array.run_ends.to_numpy(), rows, "right").astype(np.int64)
    return runs


def _decoded_parts(array: pa.Array, final: pa.DataType) -> pa.Array:
    mask = array.is_null() if array.null_count else None
    if _types.is_struct(final):
        return pa.StructArray.from_arrays([decoded(part) for part in array.flatten()], fields=list(final), mask=mask)
    if _types.is_map(final):
        return map_of(array, final, lambda part, _: decoded(part))
    return lists_of(array, final, decoded(items_of(array)))


def items_of(lists: pa.Array) -> pa.Array:
    """The items of lists of any layout, those of null lists left out."""
    try:
        return lists.flatten()
    except pa.ArrowNotImplementedError:  # all lists are null, and Arrow makes no empty array of an extension type
        return lists.values.slice(0, 0)


def offsets_of(lists: pa.Array, large: bool) -> pa.Array:
    """Offsets at which the items of lists of any layout begin and end, null lists having none, counted from 0: of
    `items_of`."""
    sizes = pc.fill_null(pc.list_value_length(lists), 0).to_numpy(zero_copy_only=False)
    if lists.null_count:
        sizes = np.where(lists.is_valid().to_numpy(zero_copy_only=False), sizes, 0)
    offsets = np.zeros(len(lists) + 1, np.int64 if large else np.int32)
    np.cumsum(sizes, out=offsets[1:])
    return pa.array(offsets)


def lists_of(array: pa.Array, final: pa.DataType, items: pa.Array) -> pa.Array:
    """Lists as `list` or `large_list`, with these items in the place of its own."""
    large = bool(_types.is_large_list(final))
    mask = array.is_null() if array.null_count else None
    made = pa.LargeListArray if large else pa.ListArray
    return made.from_arrays(offsets_of(array, large), items, type=final, mask=mask)


def map_of(array: pa.MapArray, final: pa.MapType, change: Callable[[pa.Array, pa.DataType], pa.Array]) -> pa.Array:
    """A map with its keys and its items changed to those of another type."""
    lists = array.cast(pa.list_(pa.struct(parts_of(array.type))))
    keys, items = items_of(lists).flatten()
    entries = pa.StructArray.from_arrays(
        [change(keys, final.key_type), change(items, final.item_type)], fields=parts_of(final)
    )
    valid = pa.array(array.is_valid()).buffers()[1] if array.null_count else None
    offsets = offsets_of(lists, large=False).buffers()[1]
    return pa.Array.from_buffers(final, len(array), [valid, offsets], children=[entries])
