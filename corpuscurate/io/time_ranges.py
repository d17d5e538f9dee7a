"""Whether timestamps and durations fit finer units, and in which unit Parquet's INT96 timestamps are read.

64 bits hold 292 years before and after 1970 in nanoseconds, 292 thousand in microseconds: 9999-12-31, a usual way to
write "never", is beyond the first. Types alone do not tell, so the values are looked at in the first pass.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from corpuscurate.core.layouts import decoded, items_of, parts_of
from corpuscurate.io.arrow_types import UNITS
from corpuscurate.io.column_types import NO_DATE, OVER

_LIMIT = (1 << 63) - 1
_STEP = 1000
_DAY_MS = 86_400_000


def _has_unit(kind: pa.DataType) -> bool:
    return bool(pa.types.is_timestamp(kind) or pa.types.is_duration(kind))


def _may_exceed(kind: pa.DataType) -> bool:
    """Whether a type holds times, at any depth, in a unit than which another is finer."""
    if isinstance(kind, pa.BaseExtensionType):
        return _may_exceed(kind.storage_type)
    if _has_unit(kind):
        return bool(kind.unit != UNITS[-1])
    if pa.types.is_date64(kind):
        return True
    if pa.types.is_dictionary(kind) or pa.types.is_run_end_encoded(kind):
        return _may_exceed(kind.value_type)
    return any(_may_exceed(part.type) for part in parts_of(kind))


def coarse_columns(schema: pa.Schema) -> list[str]:
    """The columns with times whose values tell whether a finer unit holds them."""
    return [field.name for field in schema if _may_exceed(field.type)]


def over_bits(batches: Iterable[pa.RecordBatch]) -> dict[str, int]:
    """For each column the finer units that some value does not fit (`column_types.OVER`), and `NO_DATE`."""
    found: dict[str, int] = {}
    for batch in batches:
        for name, column in zip(batch.schema.names, batch.columns, strict=True):
            for times in _times(column):
                found[name] = found.get(name, 0) | (_over(times) if _has_unit(times.type) else _no_date(times))
    return found


def _over(times: pa.Array) -> int:
    values = _numbers(times)
    if not len(values):
        return 0
    most = max(int(values.max()), -int(values.min()))
    own = UNITS.index(times.type.unit)
    return sum(OVER[unit] for step, unit in enumerate(UNITS[own + 1 :], 1) if most * _STEP**step > _LIMIT)


def _no_date(dates: pa.Array) -> int:
    values = _numbers(dates)
    days, rest = np.divmod(values, _DAY_MS)
    return NO_DATE if rest.any() or (np.abs(days) >= 1 << 31).any() else 0


def _times(column: pa.Array) -> Iterator[pa.Array]:
    """The timestamps, durations and dates of milliseconds in a column, at any depth, without nulls."""
    column = decoded(column)
    if isinstance(column, pa.ExtensionArray):
        column = column.storage
    kind = column.type
    if _has_unit(kind) or pa.types.is_date64(kind):
        yield column.drop_null()
    elif pa.types.is_dictionary(kind):
        yield from _times(column.dictionary)
    elif pa.types.is_map(kind):
        yield from _times(column.cast(pa.list_(pa.struct(parts_of(kind)))))
    elif pa.types.is_struct(kind):
        for part in column.flatten():
            yield from _times(part)
    elif pa.types.is_nested(kind) and not pa.types.is_union(kind):
        yield from _times(items_of(column))


def _numbers(times: pa.Array) -> NDArray[np.int64]:
    numbers: NDArray[np.int64] = times.cast(pa.int64()).to_numpy()
    return numbers


def unit_that_fits(read: Any) -> tuple[str, str | None]:
    """The finest unit that holds INT96 timestamps, and a column of which digits are lost in it, if any.

    read(unit): record batches of the INT96 columns read in that unit. Arrow wraps what does not fit.
    """
    exceeded = 0
    for bits in over_bits(read("s")).values():
        exceeded |= bits
    unit = next((unit for unit in reversed(UNITS) if not exceeded & OVER.get(unit, 0)), UNITS[0])
    if unit == UNITS[-1]:
        return unit, None
    factor = _STEP ** (len(UNITS) - 1 - UNITS.index(unit))
    for coarse, fine in zip(read(unit), read(UNITS[-1]), strict=True):
        for name in coarse.schema.names:
            pairs = zip(_times(coarse.column(name)), _times(fine.column(name)), strict=True)
            # Both sides wrap alike, so they are equal where no digit is lost.
            if any((_numbers(one) * factor != _numbers(other)).any() for one, other in pairs):
                return unit, name
    return unit, None
