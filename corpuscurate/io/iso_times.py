"""Dates, times and durations as ISO 8601, those included that Arrow has no text for.

Arrow writes years from -32767 to 32767 and `<value out of range: ...>` for others, such as the infinite timestamps of
PostgreSQL and DuckDB. A year is written here with as many digits as it has, at least four, and a minus before year 0; a
time of day that is none as hours of any number: `-00:00:01`, `25:00:00`.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from corpuscurate.core.columns import TEXT

DIGITS = {"s": 0, "ms": 3, "us": 6, "ns": 9}
"""Digits of a second in each unit."""
_DAY = 86_400
_CYCLE_DAYS, _CYCLE_YEARS = 146_097, 400
"""The calendar repeats after so many days."""
_BASE = date(2000, 1, 1)
_FAR = "<value"
_MS_PER_DAY = _DAY * 1000


def timestamp_texts(column: pa.Array) -> pa.LargeStringArray:
    """Timestamps without their zone, in UTC where they have one: `2020-01-01T00:00:00.000`."""
    kind = pa.timestamp(column.type.unit)
    plain = column.cast(kind)  # with a zone: the time in UTC
    text = pc.replace_substring(plain.cast(TEXT), " ", "T", max_replacements=1)
    return _mended(text, plain, lambda value: _timestamp(value, DIGITS[kind.unit]))


def date_texts(column: pa.Array) -> pa.LargeStringArray:
    """Dates: `2020-01-01`. A date64 that is not at midnight is written with its time, which would be lost."""
    if pa.types.is_date32(column.type):
        return _mended(column.cast(TEXT), column, _day)
    milliseconds = column.cast(pa.int64())
    text = timestamp_texts(milliseconds.cast(pa.timestamp("ms")))
    midnight = pc.equal(pc.multiply(pc.divide(milliseconds, _MS_PER_DAY), _MS_PER_DAY), milliseconds)
    return pc.if_else(midnight, pc.replace_substring_regex(text, "T.*", ""), text)


def time_texts(column: pa.Array) -> pa.LargeStringArray:
    """Times of day: `23:59:59.000`."""
    return _mended(column.cast(TEXT), column, lambda value: _time(value, DIGITS[column.type.unit]))


def duration_texts(column: pa.Array) -> pa.LargeStringArray:
    """Durations in seconds, with the digits of their unit, so that 5 s and 5 ms differ: `PT5S`, `-PT0.005S`."""
    digits = DIGITS[column.type.unit]
    numbers = column.cast(pa.int64())
    size = pc.abs(numbers)  # of the smallest number of 64 bits: itself, negative
    text = pc.divide(size, 10**digits).cast(TEXT)
    if digits:
        rest = pc.subtract(size, pc.multiply(pc.divide(size, 10**digits), 10**digits)).cast(TEXT)
        padded = pc.utf8_lpad(rest, width=digits, padding="0")
        text = pc.binary_join_element_wise(text, padded, pa.scalar(".", TEXT))
    sign = pc.if_else(pc.less(numbers, 0), pa.scalar("-PT", TEXT), pa.scalar("PT", TEXT))
    text = pc.binary_join_element_wise(sign, text, pa.scalar("S", TEXT), pa.scalar("", TEXT))
    smallest = pc.fill_null(pc.less(size, 0), False)
    return pc.if_else(smallest, pa.scalar(_duration(-(1 << 63), digits), TEXT), text)


def _duration(value: int, digits: int) -> str:
    seconds, fraction = divmod(abs(value), 10**digits)
    return f"{'-' if value < 0 else ''}PT{seconds}" + (f".{fraction:0{digits}d}S" if digits else "S")


def _mended(text: pa.Array, values: pa.Array, make: Callable[[int], str]) -> pa.LargeStringArray:
    """The text with what Arrow could not write: few values."""
    far = pc.fill_null(pc.starts_with(text, _FAR), False)
    rows = np.flatnonzero(far.to_numpy(zero_copy_only=False))
    if not len(rows):
        return text
    width = pa.int32() if values.type.bit_width == 32 else pa.int64()
    numbers = values.view(width).take(pa.array(rows)).to_pylist()
    return pc.replace_with_mask(text, far, pa.array([make(number) for number in numbers], TEXT))


def _day(days: int) -> str:
    """A date by its days since 1970-01-01."""
    cycles, rest = divmod(days - (_BASE - date(1970, 1, 1)).days, _CYCLE_DAYS)
    inside = _BASE + timedelta(days=rest)
    year = inside.year + cycles * _CYCLE_YEARS
    return f"{'-' if year < 0 else ''}{abs(year):04d}-{inside.month:02d}-{inside.day:02d}"


def _timestamp(value: int, digits: int) -> str:
    days, rest = divmod(value, _DAY * 10**digits)
    return f"{_day(days)}T{_time(rest, digits)}"


def _time(value: int, digits: int) -> str:
    seconds, fraction = divmod(abs(value), 10**digits)
    clock = f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"
    return ("-" if value < 0 else "") + clock + (f".{fraction:0{digits}d}" if digits else "")
