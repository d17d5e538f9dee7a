"""The smallest Arrow type that holds the values of two without loss."""

from __future__ import annotations

import pyarrow as pa

_SIGNED = {8: pa.int8(), 16: pa.int16(), 32: pa.int32(), 64: pa.int64()}
_UNSIGNED = {8: pa.uint8(), 16: pa.uint16(), 32: pa.uint32(), 64: pa.uint64()}
_EXACT_BITS = {16: 11, 32: 24, 64: 53}
"""Width of a float -> the integers up to this power of two that it holds."""


def unify(a: pa.DataType, b: pa.DataType) -> pa.DataType | None:
    """A type for the values of both, equal in every value; None where there is none (they conflict)."""
    if a.equals(b):
        return a
    if pa.types.is_null(a) or pa.types.is_null(b):
        return b if pa.types.is_null(a) else a
    if pa.types.is_dictionary(a) or pa.types.is_dictionary(b):
        return unify(_plain(a), _plain(b))
    for rule in (_numbers, _texts, _lists, _structs):
        joined = rule(a, b)
        if joined is not None:
            return joined
    return None


def _plain(kind: pa.DataType) -> pa.DataType:
    return kind.value_type if pa.types.is_dictionary(kind) else kind


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


def _lists(a: pa.DataType, b: pa.DataType) -> pa.DataType | None:
    if not (is_list(a) and is_list(b)):
        return None
    item = unify(a.value_type, b.value_type)
    if item is None:
        return None
    large = any(pa.types.is_large_list(kind) or pa.types.is_large_list_view(kind) for kind in (a, b))
    return pa.large_list(item) if large else pa.list_(item)


def _structs(a: pa.DataType, b: pa.DataType) -> pa.DataType | None:
    if not (pa.types.is_struct(a) and pa.types.is_struct(b)):
        return None
    parts: dict[str, pa.DataType | None] = {part.name: part.type for part in a}
    if len(parts) < a.num_fields or len({part.name for part in b}) < b.num_fields:
        return None
    for part in b:
        known = parts.get(part.name)
        parts[part.name] = part.type if known is None else unify(known, part.type)
    if any(part is None for part in parts.values()):
        return None
    return pa.struct(list(parts.items()))


STANDARD_ITEMS = ("item", "element")
"""What Arrow and Parquet call the items of a list when nobody names them."""


def names_items(kind: pa.DataType) -> bool:
    """Whether the items of a list, at any depth, bear a name that somebody gave them."""
    if isinstance(kind, pa.BaseExtensionType):
        return names_items(kind.storage_type)
    if is_list(kind) and kind.value_field.name not in STANDARD_ITEMS:
        return True
    return any(names_items(kind.field(at).type) for at in range(kind.num_fields))
