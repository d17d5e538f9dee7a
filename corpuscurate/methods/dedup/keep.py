"""The keep rule: which document of a cluster stays. Shared by all deduplications.

`first` (the lowest doc_id), `longest` (bytes of text), `{by: COLUMN, order: desc | asc}` for numbers, truth values
(false before true), dates and times (ISO 8601 strings or typed), or `{by: COLUMN, rank: [best, next, ...]}`. Values of
other kinds, NaN and nulls come last; every rule ends in the lowest doc_id, so it is a total order.

A document's keep rank is a uint64, smaller = kept first, which each sketch stores. Ranks may have gaps. The map from
numbers to ranks preserves their order: integers exactly, in columns of any type and in JSON (but the two worst 64-bit
numbers share a rank, since `MISSING` is beyond both), other numbers as float64, instants in microseconds. Each row's
`scale` says which map was used. Where a corpus has several, `comparable` maps all ranks to one: integers stay exact
unless some are negative and others 2^63 or more; integers among floats are compared as float64.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any, Literal, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StrictBool, StrictFloat, StrictInt, StrictStr

from corpuscurate.core.batch import Batch
from corpuscurate.core.columns import (
    EXACT,
    integers,
    is_json,
    lengths_bytes,
    numbers,
    one_array,
    strings,
    text_buffers,
    to_numpy,
    truths,
)
from corpuscurate.kernels.text.instants import iso_instants

MISSING = np.uint64(2**64 - 1)
"""The keep rank of a document without a usable value: last."""
_LAST = np.uint64(2**64 - 2)
_SIGN = np.uint64(1 << 63)

NO_SCALE, INTEGERS, UNSIGNED, FLOATS = (np.uint8(i) for i in range(4))
"""Values of `scale`: nothing to compare, int64 (instants too), uint64, float64."""


_DIGITS = 10**38
"""What `columns.EXACT` cannot hold."""


def _as_tuple(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


class By(BaseModel):
    """Keep by the value of a column."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    by: str = Field(description="column: yours, or <stage>.<measure> of an earlier stage", min_length=1)
    order: Literal["desc", "asc"] = Field("desc", description="desc: the greatest value is kept; asc: the smallest")
    rank: Annotated[tuple[StrictStr | StrictBool | StrictInt | StrictFloat, ...], BeforeValidator(_as_tuple)] | None = (
        Field(None, description="instead of order: the values, best first; others follow", min_length=1)
    )


Keep: TypeAlias = Literal["first", "longest"] | By


def order_of(keep: Keep) -> str:
    """asc or desc, which of the ranks of numbers comes first."""
    return keep.order if isinstance(keep, By) else "asc"


def columns_of(keep: Keep) -> tuple[str, ...]:
    """The columns that the rule reads."""
    return (keep.by,) if isinstance(keep, By) else ()


def integer_ranks(values: NDArray[np.int64]) -> NDArray[np.uint64]:
    """int64 to uint64 in the same order."""
    return values.view(np.uint64) ^ _SIGN


def float_ranks(values: NDArray[np.float64]) -> NDArray[np.uint64]:
    """float64 without NaN to uint64 in the same order; both zeros have one rank."""
    bits = (values + 0.0).view(np.uint64)
    return np.where(bits & _SIGN, ~bits, bits | _SIGN)


def value_of(ascending: int, scale: int) -> float | int:
    """The number that an ascending rank of a scale stands for."""
    if scale == INTEGERS:
        return ascending - (1 << 63)
    if scale == UNSIGNED:
        return ascending
    bits = np.array([ascending], np.uint64)
    return float(np.where(bits & _SIGN, bits ^ _SIGN, ~bits).view(np.float64)[0]) + 0.0


def _directed(ranks: NDArray[np.uint64], order: str) -> NDArray[np.uint64]:
    return np.minimum(~ranks if order == "desc" else ranks, _LAST)


def _instants(text: pa.LargeStringArray) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Microseconds of ISO strings, and where there are any."""
    offsets, data = text_buffers(text)
    micros = np.zeros(len(text), np.int64)
    valid = np.zeros(len(text), np.bool_)
    iso_instants(offsets, data, valid, micros)
    return micros, valid & _valid(text)


def _valid(array: pa.Array) -> NDArray[np.bool_]:
    return array.is_valid().to_numpy(zero_copy_only=False)  # type: ignore[no-any-return]


def _filled(array: pa.Array, kind: Any) -> NDArray[Any]:
    return pc.fill_null(array, kind(0)).to_numpy(zero_copy_only=False)  # type: ignore[no-any-return]


def _floats(array: pa.Array) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Numbers, truth values as 0 and 1, ISO instants as microseconds, and where there are any."""
    number = numbers(array)
    truth = truths(array).cast(pa.int8()).cast(pa.float64())
    both = pc.coalesce(number, truth)
    values, valid = _filled(both, float), _valid(both)
    text = strings(array)
    if text.null_count < len(text):
        micros, instant = _instants(text)
        values, valid = np.where(instant, micros, values), valid | instant
    return values, valid & ~np.isnan(values)


def number_ranks(
    column: pa.Array, floats: NDArray[np.float64], valid: NDArray[np.bool_]
) -> tuple[NDArray[np.uint64], NDArray[np.uint8]]:
    """Ascending ranks of numbers, uint64[n], and the scale of each, uint8[n].

    column: as it was read. floats: its numbers as float64; valid: where there are any. Integers of 64 bits are exact.
    """
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    kind = column.type
    if pa.types.is_integer(kind) and kind != pa.uint64():
        return integer_ranks(_filled(column.cast(pa.int64()), int)), np.full(len(column), INTEGERS)
    if kind == pa.uint64():
        return _filled(column, int).astype(np.uint64), np.full(len(column), UNSIGNED)
    ranks, scale = float_ranks(np.where(valid, floats, 0.0)), np.full(len(column), FLOATS)
    if is_json(column) or pa.types.is_decimal(kind):
        whole = integers(column)
        for low, high, wide, of in (
            (-(1 << 63), 1 << 63, pa.int64(), INTEGERS),
            (1 << 63, 1 << 64, pa.uint64(), UNSIGNED),
        ):
            ends = (pa.scalar(end, EXACT) for end in (low, high))
            inside = pc.and_(pc.greater_equal(whole, next(ends)), pc.less(whole, next(ends)))
            here = _filled(inside, bool)
            values = to_numpy(whole.filter(pa.array(here)).cast(wide))
            ranks[here] = integer_ranks(values) if of == INTEGERS else values
            scale[here] = of
    return ranks, scale


def keep_ranks(keep: Keep, batch: Batch) -> NDArray[np.uint64]:
    """The keep rank of each document of a batch: uint64[n], smaller = kept first."""
    return keep_ranks_and_scales(keep, batch)[0]


def keep_ranks_and_scales(keep: Keep, batch: Batch) -> tuple[NDArray[np.uint64], NDArray[np.uint8]]:
    """Keep rank uint64[n] and scale uint8[n] of each document of a batch."""
    size = len(batch)
    if keep == "first":
        return np.zeros(size, np.uint64), np.zeros(size, np.uint8)
    if keep == "longest":
        return _LAST - lengths_bytes(batch.text).astype(np.uint64), np.zeros(size, np.uint8)
    column = one_array(batch.columns[keep.by])
    if keep.rank is not None:
        return _listed(column, keep.rank), np.zeros(size, np.uint8)
    values, valid, scale = _measured(column)
    return np.where(valid, _directed(values, keep.order), MISSING), np.where(valid, scale, NO_SCALE)


def _measured(column: pa.Array) -> tuple[NDArray[np.uint64], NDArray[np.bool_], NDArray[np.uint8] | np.uint8]:
    """Ascending ranks (uint64), where there is a value (bool), and the scale."""
    kind = column.type
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        micros = column.cast(pa.timestamp("us", getattr(kind, "tz", None)), safe=False).cast(pa.int64())
        return integer_ranks(_filled(micros, int)), _valid(column), INTEGERS
    if not is_json(column):
        text = strings(column)
        if text.null_count < len(text):
            instants, valid = _instants(text)
            return integer_ranks(instants), valid, INTEGERS
    floats, valid = _floats(column)
    ranks, scale = number_ranks(column, floats, valid)
    return ranks, valid, scale


def _listed(column: pa.Array, values: tuple[str | bool | int | float, ...]) -> NDArray[np.uint64]:
    """Keep ranks: the index in the list of values; its length for values not in it; `MISSING` for nulls."""
    keep_rank = np.full(len(column), len(values), np.uint64)
    found = np.zeros(len(column), np.bool_)
    for spelled, reader, stored in (
        (_of(values, str), strings, pa.large_string()),
        (_of(values, bool), truths, pa.bool_()),
        (_whole(values), integers, EXACT),
        (_exact_floats(values), _fractions, pa.float64()),
    ):
        if not spelled:
            continue
        chosen = list(spelled)
        index = pc.index_in(reader(column), value_set=pa.array(spelled.values(), stored), skip_nulls=True)
        hit = _valid(index) & ~found
        keep_rank[hit] = np.array(chosen, np.uint64)[_filled(index, int)[hit]]
        found |= hit
    missing = ~_valid(column)
    if is_json(column):
        missing |= _filled(pc.fill_null(pc.equal(column.storage, "null"), True), bool)
    keep_rank[missing & ~found] = MISSING
    return keep_rank


def _of(values: tuple[Any, ...], kind: type) -> dict[int, Any]:
    """Index in the list -> value, of those of one type."""
    return {i: value for i, value in enumerate(values) if type(value) is kind}


def _whole(values: tuple[Any, ...]) -> dict[int, int]:
    """The whole numbers of the list, exactly."""
    numbers = {**_of(values, int), **{i: int(v) for i, v in _of(values, float).items() if v.is_integer()}}
    return {i: value for i, value in sorted(numbers.items()) if abs(value) < _DIGITS}


def _exact_floats(values: tuple[Any, ...]) -> dict[int, float]:
    """The numbers of the list that a float64 holds exactly."""
    small = {i: value for i, value in _of(values, int).items() if abs(value) < 1 << 1023}
    exact = {i: float(value) for i, value in small.items() if int(float(value)) == value}
    return dict(sorted({**exact, **_of(values, float)}.items()))


def _fractions(column: pa.Array) -> pa.DoubleArray:
    """The numbers of a column that are not written as integers."""
    return pc.if_else(integers(column).is_null(), numbers(column), None)


def common_scale(ranks: NDArray[np.uint64], scale: NDArray[np.uint8], order: str) -> tuple[bool, ...]:
    """What `target_scale` must know of some keep ranks: whether there are any of int64, of uint64, of float64, any
    negative, any of 2^63 or more."""
    ascending = ~ranks if order == "desc" else ranks
    signed, unsigned = scale == INTEGERS, scale == UNSIGNED
    return (
        *(bool(signed.any()), bool(unsigned.any()), bool((scale == FLOATS).any())),
        *(bool((ascending[signed] < _SIGN).any()), bool((ascending[unsigned] >= _SIGN).any())),
    )


def target_scale(found: Iterable[tuple[bool, ...]]) -> np.uint8:
    """The scale that all keep ranks of a corpus must be brought to; `NO_SCALE` where they are of one already. found:
    what `common_scale` says of its parts."""
    parts = list(found)
    signed, unsigned, floats, negative, large = (any(part[i] for part in parts) for i in range(5))
    if signed + unsigned + floats < 2:
        return NO_SCALE
    if floats or (negative and large):
        return FLOATS
    return INTEGERS if negative else UNSIGNED


def only_scale(found: Iterable[tuple[bool, ...]]) -> int:
    """The scale of all keep ranks of a corpus where `target_scale` says that they are of one; float64 where there are
    none."""
    parts = list(found)
    return int(next((scale for i, scale in enumerate((INTEGERS, UNSIGNED)) if any(part[i] for part in parts)), FLOATS))


def comparable(
    order: str, keep_rank: NDArray[np.uint64], scale: NDArray[np.uint8], target: np.uint8
) -> NDArray[np.uint64]:
    """Keep ranks of any scale mapped to the scale `target`, see `target_scale`. order: asc or desc."""
    ascending = ~keep_rank if order == "desc" else keep_rank
    signed, unsigned = scale == INTEGERS, scale == UNSIGNED
    if target != FLOATS:  # the two differ in the first bit alone
        moved = signed if target == UNSIGNED else unsigned
        return np.where(moved, _directed(ascending ^ _SIGN, order), keep_rank)
    floats = np.where(unsigned, ascending.astype(np.float64), 0.0)
    floats = np.where(signed, (ascending ^ _SIGN).view(np.int64).astype(np.float64), floats)
    return np.where(signed | unsigned, _directed(float_ranks(floats), order), keep_rank)
