import datetime as dt
import math

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError
from support.dedup import make_batch

from corpuscurate.core.columns import JSON
from corpuscurate.methods.dedup.keep import (
    FLOATS,
    INTEGERS,
    MISSING,
    NO_SCALE,
    UNSIGNED,
    By,
    Keep,
    columns_of,
    common_scale,
    comparable,
    float_ranks,
    integer_ranks,
    keep_ranks,
    keep_ranks_and_scales,
    target_scale,
)

INT64 = st.integers(-(2**63), 2**63 - 1)
KEEP = TypeAdapter(Keep)


def order_of(keep, column, texts=None) -> list[int]:
    """Rows in keep order; ties stay in input order."""
    batch = make_batch(texts or ["x"] * len(column), range(len(column)), {"c": column})
    ranks, scale = keep_ranks_and_scales(keep, batch)
    order = keep.order if isinstance(keep, By) else "asc"
    target = target_scale([common_scale(ranks, scale, order)])
    ranks = ranks if target == NO_SCALE else comparable(order, ranks, scale, target)
    return np.argsort(ranks, kind="stable").tolist()


def by(**more) -> By:
    return KEEP.validate_python({"by": "c", **more})


@given(st.lists(INT64))
def test_integers_keep_their_order_exactly(values):
    array = np.array(values, np.int64)
    assert [values[i] for i in np.argsort(integer_ranks(array), kind="stable")] == sorted(values)
    assert len(set(integer_ranks(array).tolist())) == len(set(values))


@given(st.lists(st.floats(allow_nan=False)))
def test_floats_keep_their_order(values):
    array = np.array(values, np.float64)
    assert [values[i] for i in np.argsort(float_ranks(array), kind="stable")] == sorted(values)
    assert len(set(float_ranks(array).tolist())) == len(set(values))


@given(st.lists(st.none() | st.integers(2**53, 2**53 + 5) | st.integers(-5, 5)), st.sampled_from(["asc", "desc"]))
def test_integer_columns_are_exact_and_nulls_last(values, order):
    found = order_of(by(order=order), pa.array(values, pa.int64()))
    sign = -1 if order == "desc" else 1
    assert found == sorted(range(len(values)), key=lambda i: (values[i] is None, sign * (values[i] or 0)))


@pytest.mark.parametrize("order", ["asc", "desc"])
def test_the_ends_of_the_range_come_before_nulls(order):
    for kind, low, high in ((pa.int64(), -(2**63), 2**63 - 1), (pa.uint64(), 0, 2**64 - 1)):
        expected = [2, 1, 0] if order == "asc" else [1, 2, 0]
        assert order_of(by(order=order), pa.array([None, high, low], kind)) == expected
    floats = pa.array([None, math.nan, -math.inf, math.inf])
    assert order_of(by(order=order), floats) == ([2, 3, 0, 1] if order == "asc" else [3, 2, 0, 1])


def test_kinds_of_columns():
    assert order_of(by(), pa.array([False, None, True])) == [2, 0, 1]
    assert order_of(by(), pa.array([dt.date(2020, 1, 1), dt.date(2021, 1, 1)])) == [1, 0]
    stamps = pa.array([1, 3, 2], pa.timestamp("ns", "UTC"))
    assert order_of(by(), stamps.cast(pa.timestamp("ns", "UTC"))) == [0, 1, 2]  # one microsecond: equal
    assert order_of(by(), pa.array([1, 3, 2], pa.timestamp("ms"))) == [1, 2, 0]
    assert order_of(by(), pa.array(["2020-02-30", "2020-01-01", "2020-01-01T01:00:00Z", None, "no"])) == [2, 1, 0, 3, 4]
    assert order_of(by(), pa.array([1, 300], pa.uint16())) == [1, 0]
    assert order_of(by(), pa.nulls(3)) == [0, 1, 2]
    assert order_of(by(), pa.array([[1], [2]])) == [0, 1]


def json_column(values: list[str | None]) -> pa.Array:
    return pa.ExtensionArray.from_storage(JSON, pa.array(values, pa.large_string()))


def test_json_values():
    column = json_column(["2", "10.5", "null", None, "true", '"text"', "-1e3", '"2020-01-01"', "[3]"])
    assert order_of(by(), column) == [7, 1, 0, 4, 6, 2, 3, 5, 8]


def test_listed_values():
    keep = by(rank=["gold", "web", 3, True])
    assert order_of(keep, pa.array(["x", "web", None, "gold", "web"])) == [3, 1, 4, 0, 2]
    column = json_column(['"x"', "true", "3", '"web"', "null", None, '"gold"', "3.0", "false", "1"])
    assert order_of(keep, column) == [6, 3, 2, 7, 1, 0, 8, 9, 4, 5]


def test_first_and_longest():
    batch = make_batch(["aa", "", "aaaa", "éé"], range(4))
    assert keep_ranks("first", batch).tolist() == [0] * 4
    assert np.argsort(keep_ranks("longest", batch), kind="stable").tolist() == [2, 3, 0, 1]
    assert columns_of("longest") == () and columns_of(by()) == ("c",)


@given(st.lists(st.none() | st.integers(-(2**40), 2**40) | st.floats(-1e9, 1e9)), st.sampled_from(["asc", "desc"]))
def test_shards_of_different_types_become_comparable(values, order):
    keep = by(order=order)
    ranks, scale = [], []
    for value in values:
        kind = pa.int64() if isinstance(value, int) else pa.float64()
        p, s = keep_ranks_and_scales(keep, make_batch(["x"], [0], {"c": pa.array([value], kind)}))
        ranks.append(p[0])
        scale.append(s[0])
    ranks, scale = np.array(ranks, np.uint64), np.array(scale, np.uint8)
    target = target_scale([common_scale(ranks, scale, order)])
    found = np.argsort(comparable(order, ranks, scale, target), kind="stable").tolist()
    sign = -1 if order == "desc" else 1
    assert found == sorted(range(len(values)), key=lambda i: (values[i] is None, sign * (values[i] or 0)))


BIG = (
    st.integers(2**53, 2**53 + 4)
    | st.integers(2**63 - 5, 2**63 - 3)
    | st.integers(2**63, 2**63 + 2)
    | st.integers(2**64 - 4, 2**64 - 2)
)
WAYS = {
    "json": lambda value: json_column([str(value)]),
    "uint64": lambda value: pa.array([value], pa.uint64()),
    "int64": lambda value: pa.array([value], pa.int64() if value < 2**63 else pa.uint64()),
    "decimal": lambda value: pa.array([value], pa.decimal128(20, 0)),
    "dictionary": lambda value: pa.array([value], pa.uint64()).dictionary_encode(),
}


@given(st.lists(st.tuples(BIG | st.integers(1, 9), st.sampled_from(sorted(WAYS)))), st.sampled_from(["asc", "desc"]))
def test_integers_are_exact_in_every_format_and_between_shards_of_different_types(values, order):
    made = [
        keep_ranks_and_scales(by(order=order), make_batch(["x"], [0], {"c": WAYS[way](value)})) for value, way in values
    ]
    ranks = np.array([each[0][0] for each in made], np.uint64)
    scale = np.array([each[1][0] for each in made], np.uint8)
    target = target_scale(common_scale(r, s, order) for r, s in made)
    if target != NO_SCALE:
        ranks = comparable(order, ranks, scale, target)
    sign = -1 if order == "desc" else 1
    assert np.argsort(ranks, kind="stable").tolist() == sorted(range(len(values)), key=lambda i: sign * values[i][0])


@given(st.lists(st.none() | st.integers(-(2**63), -(2**63) + 3) | st.integers(-(2**53) - 3, 2**53 + 3) | BIG))
def test_integers_of_json_are_exact_in_one_column(values):
    column = json_column([None if value is None else str(value) for value in values])
    ranks, scale = keep_ranks_and_scales(
        by(order="asc"), make_batch(["x"] * len(values), range(len(values)), {"c": column})
    )
    known = [value for value in values if value is not None]
    target = target_scale([common_scale(ranks, scale, "asc")])
    mixed = bool(known) and min(known) < 0 and max(known) >= 2**63
    assert (target == FLOATS) == mixed
    if target != NO_SCALE:
        ranks = comparable("asc", ranks, scale, target)
    key = float if mixed else int
    expected = sorted(range(len(values)), key=lambda i: (values[i] is None, key(values[i] or 0)))
    assert np.argsort(ranks, kind="stable").tolist() == expected


def test_listed_integers_are_exact():
    keep = by(rank=[2**53 + 1, 2**53, 2**64 - 1, 1e300, 7.0])
    plain = pa.array([2**53, 2**53 + 1, 2**53 + 2, 7], pa.int64())
    assert order_of(keep, plain) == [1, 0, 3, 2]
    assert order_of(keep, json_column([str(v) for v in (2**64 - 2, 2**64 - 1, 2**53, 2**53 + 1, 7)])) == [3, 2, 1, 4, 0]
    assert order_of(keep, pa.array([2.0**53, 1e300, 7.0])) == [0, 1, 2]


def test_scales():
    batch = make_batch(["x"] * 2, [0, 1], {"c": pa.array([1, None], pa.int8())})
    assert keep_ranks_and_scales(by(), batch)[1].tolist() == [INTEGERS, NO_SCALE]
    batch = make_batch(["x"] * 2, [0, 1], {"c": pa.array([1, math.nan], pa.float32())})
    found = keep_ranks_and_scales(by(), batch)
    assert found[1].tolist() == [FLOATS, NO_SCALE]
    assert found[0][1] == MISSING
    batch = make_batch(
        ["x"] * 4, range(4), {"c": json_column(["-1", "1.0", "18446744073709551615", "18446744073709551616"])}
    )
    assert keep_ranks_and_scales(by(), batch)[1].tolist() == [INTEGERS, FLOATS, UNSIGNED, FLOATS]


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ("newest", "Input should be 'first' or 'longest'"),
        ({"by": ""}, "by\n  String should have at least 1 character"),
        ({"by": "c", "order": "up"}, "order\n  Input should be 'desc' or 'asc'"),
        ({"by": "c", "rank": []}, "rank\n  .* at least 1 item"),
        ({"x": 1}, "x\n  Extra inputs are not permitted"),
    ],
)
def test_wrong_rules_are_refused(wrong, told):
    with pytest.raises(ValidationError, match=told):
        KEEP.validate_python(wrong)


def test_round_trip():
    for rule in ("first", "longest", {"by": "c", "order": "asc"}, {"by": "c", "rank": ["a", 1, True]}):
        keep = KEEP.validate_python(rule)
        assert KEEP.validate_python(KEEP.dump_python(keep, mode="json")) == keep
