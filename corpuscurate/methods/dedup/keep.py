"""The keep rule: which document of a cluster stays. Shared by all deduplications.

`first` (the lowest doc_id), `longest` (bytes of text), `{by: COLUMN, order: desc | asc}` for numbers, truth values
(false before true), dates and times (ISO 8601 strings or typed), or `{by: COLUMN, rank: [best, next, ...]}`. Values of
other kinds, NaN and nulls come last; every rule ends in the lowest doc_id, so it is a total order.

A document's keep rank is a uint64, smaller = kept first, which each sketch stores. Ranks may have gaps. The map from
numbers to ranks preserves their order: integer columns exactly (but the two worst 64-bit numbers share a rank, since
`MISSING` is beyond both), floats and JSON numbers as float64, instants in microseconds. Where shards disagree on a
column's type, each row's `scale` says which map was used, and `comparable` maps all ranks to the scale of float64.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StrictBool, StrictFloat, StrictInt, StrictStr

from corpuscurate.core.batch import Batch
from corpuscurate.core.columns import is_json, lengths_bytes, numbers, one_array, strings, text_buffers, truths
from corpuscurate.kernels.text.instants import iso_instants

MISSING = np.uint64(2**64 - 1)
"""The keep rank of a document without a usable value: last."""
_LAST = np.uint64(2**64 - 2)
_SIGN = np.uint64(1 << 63)

NO_SCALE, INTEGERS, UNSIGNED, FLOATS = (np.uint8(i) for i in range(4))
"""Values of `scale`: nothing to compare, int64 (instants too), uint64, float64."""


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


def _is_whole(kind: pa.DataType) -> bool:
    return bool(pa.types.is_integer(kind) and kind != pa.uint64())


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


def _measured(column: pa.Array) -> tuple[NDArray[np.uint64], NDArray[np.bool_], np.uint8]:
    """Ascending ranks (uint64), where there is a value (bool), and the scale."""
    kind = column.type
    if not is_json(column):
        if _is_whole(kind):
            return integer_ranks(_filled(column.cast(pa.int64()), int)), _valid(column), INTEGERS
        if kind == pa.uint64():
            return _filled(column, int).astype(np.uint64), _valid(column), UNSIGNED
        if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
            micros = column.cast(pa.timestamp("us", getattr(kind, "tz", None)), safe=False).cast(pa.int64())
            return integer_ranks(_filled(micros, int)), _valid(column), INTEGERS
        text = strings(column)
        if text.null_count < len(text):
            instants, valid = _instants(text)
            return integer_ranks(instants), valid, INTEGERS
    floats, valid = _floats(column)
    return float_ranks(np.where(valid, floats, 0.0)), valid, FLOATS


def _listed(column: pa.Array, values: tuple[str | bool | int | float, ...]) -> NDArray[np.uint64]:
    """Keep ranks: the index in the list of values; its length for values not in it; `MISSING` for nulls."""
    keep_rank = np.full(len(column), len(values), np.uint64)
    found = np.zeros(len(column), np.bool_)
    for kinds, reader, stored in (
        ((str,), strings, pa.large_string()),
        ((bool,), truths, pa.bool_()),
        ((int, float), numbers, pa.float64()),
    ):
        chosen = [i for i, value in enumerate(values) if type(value) in kinds]
        if not chosen:
            continue
        wanted = pa.array([values[i] for i in chosen]).cast(stored)
        index = pc.index_in(reader(column), value_set=wanted, skip_nulls=True)
        hit = _valid(index) & ~found
        keep_rank[hit] = np.array(chosen, np.uint64)[_filled(index, int)[hit]]
        found |= hit
    missing = ~_valid(column)
    if is_json(column):
        missing |= _filled(pc.fill_null(pc.equal(column.storage, "null"), True), bool)
    keep_rank[missing & ~found] = MISSING
    return keep_rank


def comparable(keep: Keep, keep_rank: NDArray[np.uint64], scale: NDArray[np.uint8]) -> NDArray[np.uint64]:
    """Keep ranks of any scale mapped to the scale of float64, for a column whose type differs between shards."""
    order = keep.order if isinstance(keep, By) else "asc"
    ascending = ~keep_rank if order == "desc" else keep_rank
    floats = np.where(scale == UNSIGNED, ascending.astype(np.float64), 0.0)
    floats = np.where(scale == INTEGERS, (ascending ^ _SIGN).view(np.int64).astype(np.float64), floats)
    moved = _directed(float_ranks(floats), order)
    return np.where((scale == INTEGERS) | (scale == UNSIGNED), moved, keep_rank)
