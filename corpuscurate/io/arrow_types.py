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
| dates | date64 |
| times of day; durations | the finer unit |
| timestamps, both without or both with a zone | the finer unit; in UTC where the zones differ |
| lists of any layout; maps; structs | of what their parts are together; a part that one struct lacks may be null |

A finer unit holds fewer years: whether the values fit is for `column_types` to say.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from corpuscurate.core.columns import decoded, is_list_view, nested_type, parts_of

_SIGNED = {8: pa.int8(), 16: pa.int16(), 32: pa.int32(), 64: pa.int64()}
_UNSIGNED = {8: pa.uint8(), 16: pa.uint16(), 32: pa.uint32(), 64: pa.uint64()}
_EXACT_BITS = {16: 11, 32: 24, 64: 53}
"""Width of a float -> the integers up to this power of two that it holds."""
UNITS = ("s", "ms", "us", "ns")
_INTEGER_DIGITS = {8: 3, 16: 5, 32: 10, 64: 20}
_DECIMALS = ((9, pa.decimal32), (18, pa.decimal64), (38, pa.decimal128), (76, pa.decimal256))


def unify(a: pa.DataType, b: pa.DataType) -> pa.DataType | None:
    """A type for the values of both, equal in every value; None where there is none (they conflict)."""
    if a.equals(b, check_metadata=True):
        return a
    if pa.types.is_null(a) or pa.types.is_null(b):
        return b if pa.types.is_null(a) else a
    if isinstance(a, pa.BaseExtensionType) or isinstance(b, pa.BaseExtensionType):
        return a if a.equals(b) else unify(_storage(a), _storage(b))
    if a.equals(b) and not pa.types.is_nested(a):
        return a
    if any(pa.types.is_dictionary(kind) or pa.types.is_run_end_encoded(kind) for kind in (a, b)):
        return a if a.equals(b) else unify(_plain(a), _plain(b))
    for rule in (_numbers, _decimals, _texts, _dates, _times, _timestamps, _lists, _maps, _structs):
        joined = rule(a, b)
        if joined is not None:
            return joined
    return a if a.equals(b) else None


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
    return max(a.unit, b.unit, key=UNITS.index)


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
    types, own = pa.types, array.type
    if own.equals(kind):
        return array
    if isinstance(kind, pa.BaseExtensionType):
        return pa.ExtensionArray.from_storage(kind, cast(_stored(array), kind.storage_type))
    if isinstance(own, pa.BaseExtensionType):
        return cast(array.storage, kind)
    if types.is_dictionary(own) and not types.is_dictionary(kind):
        return cast(decoded(array).dictionary_decode(), kind)
    mask = array.is_null() if array.null_count else None
    if types.is_struct(own) and types.is_struct(kind):
        places = {part.name: at for at, part in enumerate(own)}
        if len(places) == own.num_fields and set(places) <= {part.name for part in kind}:
            held = array.flatten()
            parts = [
                cast(held[places[part.name]], part.type) if part.name in places else nulls(len(array), part.type)
                for part in kind
            ]
            return pa.StructArray.from_arrays(parts, fields=list(kind), mask=mask)
    if types.is_map(own) and types.is_map(kind):
        entries = decoded(array.cast(pa.list_(pa.struct(parts_of(own)))))
        keys, items = entries.flatten().flatten()
        offsets = _offsets(entries, np.int32)
        made = pa.MapArray.from_arrays(pa.array(offsets), cast(keys, kind.key_type), cast(items, kind.item_type))
        made = pa.Array.from_buffers(kind, len(array), [_valid_bits(array), made.buffers()[1]], children=[
            pa.StructArray.from_arrays([made.keys, made.items], fields=parts_of(kind))
        ])  # fmt: skip
        return made
    if is_list(own) and (types.is_list(kind) or types.is_large_list(kind)):
        large = types.is_large_list(kind)
        offsets = _offsets(array, np.int64 if large else np.int32)
        values = cast(decoded(array.flatten()), kind.value_type)
        return (pa.LargeListArray if large else pa.ListArray).from_arrays(
            pa.array(offsets), values, type=kind, mask=mask
        )
    return array.cast(kind)


def _stored(array: pa.Array) -> pa.Array:
    return array.storage if isinstance(array, pa.ExtensionArray) else array


def _valid_bits(array: pa.Array) -> pa.Buffer | None:
    return pa.array(array.is_valid()).buffers()[1] if array.null_count else None


def _offsets(
    lists: pa.Array, width: type[np.int32 | np.int64]
) -> np.ndarray[tuple[int], np.dtype[np.int32 | np.int64]]:
    sizes = pc.fill_null(pc.list_value_length(lists), 0).to_numpy(zero_copy_only=False)
    offsets = np.zeros(len(lists) + 1, width)
    np.cumsum(sizes, out=offsets[1:])
    return offsets


def nulls(count: int, kind: pa.DataType) -> pa.Array:
    """Nulls of any type. Below a null, a part that may not be null has some value."""
    if pa.types.is_struct(kind) and kind.num_fields:
        parts = [nulls(count, part.type) if part.nullable else _zeros(count, part.type) for part in kind]
        return pa.StructArray.from_arrays(parts, fields=list(kind), mask=pa.array(np.ones(count, np.bool_)))
    if pa.types.is_fixed_size_list(kind) and not kind.value_field.nullable:
        values = _zeros(count * kind.list_size, kind.value_type)
        return pa.FixedSizeListArray.from_arrays(values, type=kind, mask=pa.array(np.ones(count, np.bool_)))
    return pa.nulls(count, kind)


def _zeros(count: int, kind: pa.DataType) -> pa.Array:
    """Zeros, empty strings, empty lists: whatever is no null."""
    if isinstance(kind, pa.BaseExtensionType):
        return pa.ExtensionArray.from_storage(kind, _zeros(count, kind.storage_type))
    if pa.types.is_struct(kind):
        parts = [nulls(count, part.type) if part.nullable else _zeros(count, part.type) for part in kind]
        return pa.StructArray.from_arrays(parts, fields=list(kind)) if parts else pa.array([{}] * count, kind)
    if pa.types.is_fixed_size_list(kind):
        return pa.FixedSizeListArray.from_arrays(_zeros(count * kind.list_size, kind.value_type), type=kind)
    if is_list(kind) or pa.types.is_map(kind):
        return pa.array([[]] * count, kind)
    if pa.types.is_dictionary(kind):
        return pa.DictionaryArray.from_arrays(_zeros(count, kind.index_type), _zeros(1, kind.value_type))
    if _is_text(kind) or pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_binary_view(kind):
        return pa.array(["" if _is_text(kind) else b""] * count, kind)
    try:
        size = (count * kind.bit_width + 7) // 8
    except ValueError:  # null, unions
        return pa.nulls(count, kind)
    return pa.Array.from_buffers(kind, count, [None, pa.py_buffer(bytes(size))])


STANDARD_ITEMS = ("item", "element")
"""What Arrow and Parquet call the items of a list when nobody names them."""


def names_items(kind: pa.DataType) -> bool:
    """Whether the items of a list, at any depth, bear a name that somebody gave them."""
    if isinstance(kind, pa.BaseExtensionType):
        return names_items(kind.storage_type)
    if is_list(kind) and kind.value_field.name not in STANDARD_ITEMS:
        return True
    return any(names_items(kind.field(at).type) for at in range(kind.num_fields))
