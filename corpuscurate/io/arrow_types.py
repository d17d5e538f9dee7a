"""The smallest Arrow type that holds the values of two without loss, and values in another type.

One table for all types; what is not in it conflicts:

| types | together |
|---|---|
| null and any | the other one |
| dictionary, runs and any | that of their values and the other one |
| extension and any other | that of its storage and the other one |
| integers, floats | the narrowest of them that is exact |
| decimals, decimal and integer | a decimal of enough digits before and behind the point, up to 76 |
| strings of any layout | large_string |
| bytes of any layout | large_binary |
| dates | date64; a timestamp where one has a time (`dates_as_times`) |
| times of day; durations | the finer unit |
| timestamps, both without or both with a zone | the finer unit; in UTC where the zones differ |
| lists of any layout; maps; structs | of what their parts are together; a part that one struct lacks may be null |

A finer unit holds fewer years: whether the values fit is for `column_types` to say.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pyarrow as pa

from corpuscurate.core.layouts import (
    decoded,
    has_parts,
    is_encoded,
    is_list_view,
    items_of,
    lists_of,
    map_of,
    nested_type,
    parts_of,
)

_SIGNED = {8: pa.int8(), 16: pa.int16(), 32: pa.int32(), 64: pa.int64()}
_UNSIGNED = {8: pa.uint8(), 16: pa.uint16(), 32: pa.uint32(), 64: pa.uint64()}
_EXACT_BITS = {16: 11, 32: 24, 64: 53}
"""Width of a float -> the integers up to this power of two that it holds."""
UNITS = ("s", "ms", "us", "ns")
_INTEGER_DIGITS = {8: 3, 16: 5, 32: 10, 64: 20}
_DECIMALS = ((9, pa.decimal32), (18, pa.decimal64), (38, pa.decimal128), (76, pa.decimal256))


def unify(a: pa.DataType, b: pa.DataType) -> pa.DataType | None:
    """A type for the values of both, equal in every value; None where there is none (they conflict)."""
    if pa.types.is_null(a) or pa.types.is_null(b):
        return b if pa.types.is_null(a) else a
    if a.equals(b) and not (has_parts(a) and not a.equals(b, check_metadata=True)):
        return a
    if isinstance(a, pa.BaseExtensionType) or isinstance(b, pa.BaseExtensionType):
        return unify(_storage(a), _storage(b))
    if is_encoded(a) or is_encoded(b):
        return unify(_plain(a), _plain(b))
    found = (rule(a, b) for rule in (_numbers, _decimals, _texts, _dates, _times, _timestamps, _lists, _maps, _structs))
    return next((kind for kind in found if kind is not None), a if a.equals(b) else None)


def unify_fields(a: pa.Field, b: pa.Field) -> pa.Field | None:
    """A field for the values of both, under the name of the first: null where one may be, with the metadata that both
    have."""
    kind = unify(a.type, b.type)
    if kind is None:
        return None
    ours, theirs = a.metadata or {}, b.metadata or {}
    both = {key: value for key, value in ours.items() if theirs.get(key) == value}
    return pa.field(a.name, kind, a.nullable or b.nullable, both or None)


def _storage(kind: pa.DataType) -> pa.DataType:
    return kind.storage_type if isinstance(kind, pa.BaseExtensionType) else kind


def _plain(kind: pa.DataType) -> pa.DataType:
    if pa.types.is_dictionary(kind) or pa.types.is_run_end_encoded(kind):
        return _plain(kind.value_type)
    return kind


def _numbers(a: pa.DataType, b: pa.DataType) -> pa.DataType | None:
    integers = [kind for kind in (a, b) if pa.types.is_integer(kind)]
    floats = [kind for kind in (a, b) if pa.types.is_floating(kind)]
    if len(integers) == 2:
        return _integers(a, b)
    if len(floats) == 2:
        return a if a.bit_width > b.bit_width else b
    if integers and floats:
        signed = pa.types.is_signed_integer(integers[0])
        needed = integers[0].bit_width - signed
        if needed <= _EXACT_BITS[floats[0].bit_width]:
            return floats[0]
        return pa.float64() if needed <= _EXACT_BITS[64] else None
    return None


def _integers(a: pa.DataType, b: pa.DataType) -> pa.DataType | None:
    a_signed, b_signed = pa.types.is_signed_integer(a), pa.types.is_signed_integer(b)
    if a_signed == b_signed:
        return (_SIGNED if a_signed else _UNSIGNED)[max(a.bit_width, b.bit_width)]
    signed, unsigned = (a, b) if a_signed else (b, a)
    return _SIGNED.get(max(signed.bit_width, 2 * unsigned.bit_width))


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def _is_bytes(kind: pa.DataType) -> bool:
    plain = pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_binary_view(kind)
    return bool(plain or pa.types.is_fixed_size_binary(kind))


def _texts(a: pa.DataType, b: pa.DataType) -> pa.DataType | None:
    if _is_text(a) and _is_text(b):
        return pa.large_string()
    return pa.large_binary() if _is_bytes(a) and _is_bytes(b) else None


def is_list(kind: pa.DataType) -> bool:
    """Whether values of this type are lists, of whatever layout; maps are not."""
    plain = pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)
    return bool(plain or pa.types.is_list_view(kind) or pa.types.is_large_list_view(kind))


def _decimals(a: pa.DataType, b: pa.DataType) -> pa.DataType | None:
    if not (pa.types.is_decimal(a) or pa.types.is_decimal(b)):
        return None
    sizes = [_digits(kind) for kind in (a, b)]
    if None in sizes:
        return None
    before, behind = (max(size[at] for size in sizes if size is not None) for at in (0, 1))
    narrowest = max(kind.bit_width if pa.types.is_decimal(kind) else 0 for kind in (a, b))
    for most, make in _DECIMALS:
        if before + behind <= most and make(1).bit_width >= narrowest:
            return make(before + behind, behind)
    return None


def _digits(kind: pa.DataType) -> tuple[int, int] | None:
    """Digits before and behind the point that a type has."""
    if pa.types.is_integer(kind):
        return _INTEGER_DIGITS[kind.bit_width], 0
    if pa.types.is_decimal(kind):
        return max(0, kind.precision - kind.scale), max(0, kind.scale)
    return None


def _dates(a: pa.DataType, b: pa.DataType) -> pa.DataType | None:
    return pa.date64() if pa.types.is_date(a) and pa.types.is_date(b) else None


def _finer(a: pa.DataType, b: pa.DataType) -> str:
    return str(max(a.unit, b.unit, key=UNITS.index))


def _times(a: pa.DataType, b: pa.DataType) -> pa.DataType | None:
    if pa.types.is_duration(a) and pa.types.is_duration(b):
        return pa.duration(_finer(a, b))
    if pa.types.is_time(a) and pa.types.is_time(b):
        unit = _finer(a, b)
        return pa.time32(unit) if unit in ("s", "ms") else pa.time64(unit)
    return None


def _timestamps(a: pa.DataType, b: pa.DataType) -> pa.DataType | None:
    if not (pa.types.is_timestamp(a) and pa.types.is_timestamp(b)) or (a.tz is None) != (b.tz is None):
        return None
    return pa.timestamp(_finer(a, b), a.tz if a.tz == b.tz else "UTC")


def _lists(a: pa.DataType, b: pa.DataType) -> pa.DataType | None:
    if not (is_list(a) and is_list(b)):
        return None
    item = unify_fields(a.value_field, b.value_field)
    if item is None:
        return None
    if a.equals(b):  # they differ in metadata only
        return a if is_list_view(a) else nested_type(a, [item])
    large = any(pa.types.is_large_list(kind) or pa.types.is_large_list_view(kind) for kind in (a, b))
    return pa.large_list(item) if large else pa.list_(item)


def _maps(a: pa.DataType, b: pa.DataType) -> pa.DataType | None:
    if not (pa.types.is_map(a) and pa.types.is_map(b)):
        return None
    key, item = unify_fields(a.key_field, b.key_field), unify_fields(a.item_field, b.item_field)
    return None if key is None or item is None else pa.map_(key, item, a.keys_sorted and b.keys_sorted)


def _structs(a: pa.DataType, b: pa.DataType) -> pa.DataType | None:
    if not (pa.types.is_struct(a) and pa.types.is_struct(b)):
        return None
    ours, theirs = ({part.name: part for part in kind} for kind in (a, b))
    if len(ours) < a.num_fields or len(theirs) < b.num_fields:
        return None
    parts: list[pa.Field | None] = []
    for name in dict.fromkeys([*ours, *theirs]):
        both = [kind[name] for kind in (ours, theirs) if name in kind]
        parts.append(unify_fields(*both) if len(both) == 2 else both[0].with_nullable(True))
    return None if any(part is None for part in parts) else pa.struct(parts)


def cast(array: pa.Array, kind: pa.DataType) -> pa.Array:
    """Values in a type that `unify` gave for theirs and others, or of another layout. Raises ArrowInvalid where a value
    cannot be kept."""
    own = array.type
    if own.equals(kind):
        return array
    if isinstance(kind, pa.BaseExtensionType):
        storage = array.storage if isinstance(array, pa.ExtensionArray) else array
        return pa.ExtensionArray.from_storage(kind, cast(storage, kind.storage_type))
    if isinstance(own, pa.BaseExtensionType):
        return cast(array.storage, kind)
    if pa.types.is_dictionary(own) and not pa.types.is_dictionary(kind):
        return cast(decoded(array).dictionary_decode(), kind)
    return _cast_parts(array, kind) if has_parts(own) and has_parts(kind) else array.cast(kind)


def _cast_parts(array: pa.Array, kind: pa.DataType) -> pa.Array:
    own = array.type
    if pa.types.is_map(own) and pa.types.is_map(kind):
        return map_of(array, kind, lambda part, to: cast(decoded(part), to))
    if is_list(own) and (pa.types.is_list(kind) or pa.types.is_large_list(kind)):
        return lists_of(array, kind, cast(decoded(items_of(array)), kind.value_type))
    places = {part.name: at for at, part in enumerate(own)} if pa.types.is_struct(own) else {}
    names = {part.name for part in kind} if pa.types.is_struct(kind) else set()
    if not places or len(places) < own.num_fields or not places.keys() <= names:
        return array.cast(kind)
    held = array.flatten()
    parts = [
        cast(held[places[part.name]], part.type) if part.name in places else nulls(len(array), part.type)
        for part in kind
    ]
    mask = array.is_null() if array.null_count else None
    return pa.StructArray.from_arrays(parts, fields=list(kind), mask=mask)


def nulls(count: int, kind: pa.DataType) -> pa.Array:
    """Nulls of any type. Below a null, a part that may not be null has some value."""
    mask = pa.array(np.ones(count, np.bool_))
    if pa.types.is_struct(kind) and kind.num_fields:
        return pa.StructArray.from_arrays(_parts(count, kind), fields=list(kind), mask=mask)
    if pa.types.is_fixed_size_list(kind) and not kind.value_field.nullable:
        values = _zeros(count * kind.list_size, kind.value_type)
        return pa.FixedSizeListArray.from_arrays(values, type=kind, mask=mask)
    return pa.nulls(count, kind)


def _parts(count: int, kind: pa.DataType) -> list[pa.Array]:
    return [nulls(count, part.type) if part.nullable else _zeros(count, part.type) for part in kind]


def _zeros(count: int, kind: pa.DataType) -> pa.Array:
    """Zeros, empty strings, empty lists: whatever is no null."""
    types = pa.types
    if isinstance(kind, pa.BaseExtensionType):
        return pa.ExtensionArray.from_storage(kind, _zeros(count, kind.storage_type))
    if types.is_struct(kind) and kind.num_fields:
        return pa.StructArray.from_arrays(_parts(count, kind), fields=list(kind))
    if types.is_fixed_size_list(kind):
        return pa.FixedSizeListArray.from_arrays(_zeros(count * kind.list_size, kind.value_type), type=kind)
    if types.is_dictionary(kind):
        return pa.DictionaryArray.from_arrays(_zeros(count, kind.index_type), _zeros(1, kind.value_type))
    empty = [value for applies, value in _EMPTY if applies(kind)]
    if empty:
        return pa.array([empty[0]] * count, kind)
    return pa.Array.from_buffers(kind, count, [None, pa.py_buffer(bytes((count * kind.bit_width + 7) // 8))])


_EMPTY: tuple[tuple[Callable[[pa.DataType], bool], object], ...] = (
    (_is_text, ""),
    (lambda kind: _is_bytes(kind) and not pa.types.is_fixed_size_binary(kind), b""),
    (lambda kind: is_list(kind) or pa.types.is_map(kind), []),
    (pa.types.is_struct, {}),
)


def dates_as_times(kind: pa.DataType) -> pa.DataType:
    """The type with timestamps of milliseconds in the place of dates of milliseconds, at any depth."""
    if pa.types.is_date64(kind):
        return pa.timestamp("ms")
    if pa.types.is_dictionary(kind):
        return pa.dictionary(kind.index_type, dates_as_times(kind.value_type), kind.ordered)
    if pa.types.is_run_end_encoded(kind):
        return pa.run_end_encoded(kind.run_end_type, dates_as_times(kind.value_type))
    parts = parts_of(kind) if has_parts(kind) else []
    changed = [part.with_type(dates_as_times(part.type)) for part in parts]
    return kind if changed == parts else nested_type(kind, changed)


STANDARD_ITEMS = ("item", "element")
"""What Arrow and Parquet call the items of a list when nobody names them."""


def names_items(kind: pa.DataType) -> bool:
    """Whether the items of a list, at any depth, bear a name that somebody gave them."""
    if isinstance(kind, pa.BaseExtensionType):
        return names_items(kind.storage_type)
    if is_list(kind) and kind.value_field.name not in STANDARD_ITEMS:
        return True
    return any(names_items(kind.field(at).type) for at in range(kind.num_fields))
