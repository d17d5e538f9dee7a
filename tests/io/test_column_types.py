from __future__ import annotations

import json
import random
import re
from decimal import Decimal

import orjson
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.forms import some

from corpuscurate.io.arrow_types import unify
from corpuscurate.io.base import SourceFile, Span, Want
from corpuscurate.io.column_types import (
    JSON_TEXT,
    MAX_KEYS,
    MAX_NESTING,
    NOT_ZERO,
    _is_far,
    merge,
    types_of_schema,
    unify_types,
)
from corpuscurate.io.jsonl import JSONL

TEXT = pa.large_string()


def census_of_lines(tmp_path, lines, batch_bytes=1 << 20):
    raw = b"".join(line + b"\n" for line in lines)
    path = tmp_path / "column_types.jsonl"
    path.write_bytes(raw)
    file = SourceFile(0, path.name, str(path), len(raw), "jsonl")
    *_, last = JSONL.read(file, Span(0, 0, len(raw), len(raw)), Want(column_types=True, batch_bytes=batch_bytes))
    assert last.batch is None
    return orjson.loads(orjson.dumps(last.column_types, option=orjson.OPT_SORT_KEYS))  # no order is lost on the way


def column_types(tmp_path, *values, field="v"):
    """The column types of records whose field holds each of the JSON texts (None: no such field)."""
    lines = [b'{"text":""' + (b"" if v is None else b',"%s":%s' % (field.encode(), v.encode())) + b"}" for v in values]
    return census_of_lines(tmp_path, lines)


def settled(tmp_path, *values):
    """The type of the field, or why it has none."""
    schema, why = unify_types(column_types(tmp_path, *values))
    assert schema.names == ["text", "v"]
    assert schema.field("text").type == TEXT
    if "v" in why:
        assert schema.field("v").type == TEXT
        assert schema.field("v").metadata == JSON_TEXT
        return why["v"]
    assert schema.field("v").metadata is None
    return schema.field("v").type


FAR = "numbers that no 64-bit float is near to"
BIG = "objects with more than 256 different keys"
GONE = "an object has a key twice"
LONE = "a string or a name holds a lone surrogate, which is no valid text"


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (["1", "-5", None, "null"], pa.int64()),
        ([str(2**63 - 1), str(-(2**63))], pa.int64()),
        ([str(2**63), "0"], pa.uint64()),
        (["12345678901234567890"], pa.uint64()),
        ([str(2**64 - 1), "-0"], pa.uint64()),
        ([str(2**63), "-1"], "integers beyond 64 bits"),
        ([str(2**64)], "integers beyond 64 bits"),
        ([str(-(2**63) - 1)], "integers beyond 64 bits"),
        (["1.5", "1e308", "-0.0", "0e999", "0.000e-999"], pa.float64()),
        (["1.5", "1e400"], FAR),
        (["-1e400"], FAR),
        (["1e-400", "2.5"], FAR),
        (["9" * 400 + ".5"], FAR),
        (['{"k":-1e400}'], f"k: {FAR}"),
        (["[[1.5],[1E+999]]"], f"[]: []: {FAR}"),
        (["1", "2.0"], pa.float64()),
        ([str(2**53), "2.0", str(-(2**53))], pa.float64()),
        ([str(2**53 + 1), "2.0"], "floats, and integers that a float cannot hold exactly"),
        (["1" * 30, "2.0"], "floats, and integers that a float cannot hold exactly"),
        (["true", "false", "null"], pa.bool_()),
        (['"2020-01-01"', '"12"', '"\\u00e9"'], TEXT),
        (["null", None], TEXT),
        (['"a"', "1"], "values of different kinds: string, integer"),
        (["true", "1"], "values of different kinds: integer, boolean"),
        (["[1]", '{"a":1}'], "values of different kinds: object, list"),
        (['"\\ud800"'], LONE),
        (['{"a":1}', '{"b":"x"}', "null"], pa.struct([("a", pa.int64()), ("b", TEXT)])),
        (['{"a":{"b":[1.5,null,2]}}'], pa.struct([("a", pa.struct([("b", pa.list_(pa.float64()))]))])),
        (['{"a":1}', "{}"], pa.struct([("a", pa.int64())])),
        (["[]", '["x"]'], pa.list_(TEXT)),
        (["[null]"], pa.list_(TEXT)),
        (['{"a":null}'], pa.struct([("a", TEXT)])),
        (["{}", "null"], "empty objects only"),
        (["[]"], "empty lists only"),
        (['{"a":{}}'], "a: empty objects only"),
        (["[[]]"], "[]: empty lists only"),
        (['{"a":[]}', '{"a":[1]}'], pa.struct([("a", pa.list_(pa.int64()))])),
        (['{"a":1,"a":1}'], GONE),
        (['[{"a":1,"\\u0061":1}]'], f"[]: {GONE}"),
        (['{"a":[1,"x"]}'], "a: []: values of different kinds: string, integer"),
        (['{"\\udfff":1}'], LONE),
        (['["\\ud800"]'], f"[]: {LONE}"),
        (['{"a":18446744073709551616}'], "a: integers beyond 64 bits"),
        (["[" * (MAX_NESTING) + "1" + "]" * MAX_NESTING], None),
        (["[" * (MAX_NESTING + 1) + "1" + "]" * (MAX_NESTING + 1)], "values nested"),
        (["[" * 1000 + "]" * 1000], "values nested"),
        (["[" + "9" * 5000 + "]"], "[]: integers beyond 64 bits"),
        ([json.dumps({str(k): k for k in range(MAX_KEYS)})], None),
        ([json.dumps({str(k): k for k in range(MAX_KEYS + 1)})], BIG),
        ([json.dumps({str(k): k}) for k in range(MAX_KEYS + 1)], BIG),
    ],
)
def test_settled_types(tmp_path, values, expected):
    got = settled(tmp_path, *values)
    if expected is None:
        assert isinstance(got, pa.DataType)
    elif expected == "values nested":
        assert expected in got
    else:
        assert got == expected


def test_a_field_twice_in_a_record_is_told(tmp_path):
    lines = [b'{"text":"","v":1,"v":2}', b'{"text":"","w":1}']
    schema, why = unify_types(census_of_lines(tmp_path, lines))
    assert why == {"v": "some records have the field twice; the last value is kept"}
    assert schema.names == ["text", "v", "w"]


def test_bad_records_do_not_count(tmp_path):
    lines = [
        b'{"text":"","v":1}',
        b'{"v":"x"}',
        b'{"text":"","v":"\xff"}',
        b'{"text":"","v":"open',
        b'{"text":null,"u":1}',
    ]
    schema, why = unify_types(census_of_lines(tmp_path, lines))
    assert why == {}
    assert schema == pa.schema([("text", TEXT), ("v", pa.int64())])


def test_names_are_compared_without_escapes_and_keep_their_order(tmp_path):
    lines = [b'{"\\u007a":1,"text":""}', b'{"a\\n":1,"text":"","z":2.5,"":0}', '{"text":"","é":1,"\\u00e9":2}'.encode()]
    schema, why = unify_types(census_of_lines(tmp_path, lines))
    assert schema.names == ["z", "text", "a\n", "", "é"]
    assert schema.field("z").type == pa.float64()
    assert list(why) == ["é"]


def test_many_names(tmp_path):
    lines = [json.dumps({"text": "", **{f"k{row}_{k}": k for k in range(40)}}).encode() for row in range(30)]
    schema, why = unify_types(census_of_lines(tmp_path, lines))
    assert schema.names == ["text", *(f"k{row}_{k}" for row in range(30) for k in range(40))]
    assert why == {}


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**65), 2**65)
    | st.floats()
    | st.text(st.sampled_from("ab\ud800é"), max_size=2),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=6,
)


@settings(max_examples=some(60), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.dictionaries(st.sampled_from("uvw"), VALUES, max_size=3), max_size=6),
    st.integers(0, 6),
    st.integers(0, 6),
)
def test_merging_the_parts_is_the_census_of_the_whole(tmp_path, records, a, b):
    lines = [
        json.dumps({"text": "", **record}).replace("NaN", "1e3").replace("Infinity", "1e999").encode()
        for record in records
    ]
    whole = census_of_lines(tmp_path, lines)
    assert census_of_lines(tmp_path, lines, batch_bytes=1) == whole
    low, high = sorted((a, b))
    parts = [census_of_lines(tmp_path, part) for part in (lines[:low], lines[low:high], lines[high:])]
    assert merge(parts) == whole
    assert merge([merge(parts[:2]), parts[2]]) == merge([parts[0], merge(parts[1:])]) == whole
    assert unify_types(merge(reversed(parts)))[1].keys() == unify_types(whole)[1].keys()


def test_wide_objects_merge_alike_in_any_order(tmp_path):
    values = [json.dumps({str(k): k if k % 2 else "x"}) for k in range(MAX_KEYS + 40)]
    parts = [column_types(tmp_path, *values[start : start + 50]) for start in range(0, len(values), 50)]
    wanted = merge(parts)
    for seed in range(5):
        random.Random(seed).shuffle(parts)  # noqa: S311
        assert merge(parts) == wanted


NOT_NULL = pa.struct([pa.field("k", pa.int64(), nullable=False)])
ARROW = [
    (pa.int8(), pa.int8(), pa.int8()),
    (pa.int8(), pa.int32(), pa.int32()),
    (pa.uint8(), pa.uint64(), pa.uint64()),
    (pa.uint8(), pa.int8(), pa.int16()),
    (pa.uint32(), pa.int8(), pa.int64()),
    (pa.uint64(), pa.int64(), None),
    (pa.float32(), pa.float64(), pa.float64()),
    (pa.float16(), pa.int8(), pa.float16()),
    (pa.float16(), pa.int16(), pa.float64()),
    (pa.float32(), pa.int16(), pa.float32()),
    (pa.float32(), pa.int32(), pa.float64()),
    (pa.float64(), pa.int32(), pa.float64()),
    (pa.float64(), pa.int64(), None),
    (pa.float64(), pa.uint64(), None),
    (pa.string(), pa.large_string(), pa.large_string()),
    (pa.binary(), pa.large_binary(), pa.large_binary()),
    (pa.string(), pa.binary(), None),
    (pa.dictionary(pa.int8(), pa.string()), pa.string(), pa.string()),
    (pa.bool_(), pa.int8(), None),
    (pa.date32(), pa.string(), None),
    (pa.date32(), pa.date64(), pa.date64()),
    (pa.date32(), pa.timestamp("s"), None),
    (pa.timestamp("ms"), pa.timestamp("us"), pa.timestamp("us")),
    (pa.timestamp("ns", "UTC"), pa.timestamp("s", "UTC"), pa.timestamp("ns", "UTC")),
    (pa.timestamp("s", "Asia/Tokyo"), pa.timestamp("s", "Europe/Paris"), pa.timestamp("s", "UTC")),
    (pa.timestamp("ms", "UTC"), pa.timestamp("ms"), None),
    (pa.duration("s"), pa.duration("ms"), pa.duration("ms")),
    (pa.duration("s"), pa.int64(), None),
    (pa.time32("s"), pa.time32("ms"), pa.time32("ms")),
    (pa.time32("s"), pa.time64("us"), pa.time64("us")),
    (pa.decimal128(5, 2), pa.decimal128(12, 3), pa.decimal128(12, 3)),
    (pa.decimal128(38, 0), pa.decimal128(38, 38), pa.decimal256(76, 38)),
    (pa.decimal256(76, 0), pa.decimal128(5, 2), None),
    (pa.decimal32(5, 2), pa.decimal64(12, 4), pa.decimal64(12, 4)),
    (pa.decimal128(5, -2), pa.decimal128(5, 2), pa.decimal128(9, 2)),
    (pa.decimal128(5, 2), pa.int8(), pa.decimal128(5, 2)),
    (pa.int64(), pa.decimal128(5, 2), pa.decimal128(22, 2)),
    (pa.decimal128(5, 2), pa.float64(), None),
    (pa.map_(pa.string(), pa.int8()), pa.map_(pa.large_string(), pa.int16()), pa.map_(pa.large_string(), pa.int16())),
    (pa.map_(pa.string(), pa.int8()), pa.map_(pa.int8(), pa.int8()), None),
    (pa.run_end_encoded(pa.int32(), pa.int8()), pa.int16(), pa.int16()),
    (pa.json_(pa.string()), pa.large_string(), pa.large_string()),
    (pa.uuid(), pa.binary(16), pa.binary(16)),
    (pa.list_(pa.timestamp("s")), pa.list_(pa.timestamp("ms"), 2), pa.list_(pa.timestamp("ms"))),
    (NOT_NULL, NOT_NULL, NOT_NULL),
    (NOT_NULL, pa.struct([("k", pa.int64())]), pa.struct([("k", pa.int64())])),
    (NOT_NULL, pa.struct([("j", pa.int8())]), pa.struct([("k", pa.int64()), ("j", pa.int8())])),
    (pa.null(), pa.date32(), pa.date32()),
    (pa.list_(pa.int8()), pa.list_(pa.int16()), pa.list_(pa.int16())),
    (pa.list_(pa.int8()), pa.large_list(pa.int8()), pa.large_list(pa.int8())),
    (pa.list_(pa.int8()), pa.list_(pa.string()), None),
    (
        pa.struct([("a", pa.int8())]),
        pa.struct([("b", pa.string()), ("a", pa.int64())]),
        pa.struct([("a", pa.int64()), ("b", pa.string())]),
    ),
    (pa.struct([("a", pa.int8())]), pa.struct([("a", pa.string())]), None),
    (pa.struct([("a", pa.int8())]), pa.list_(pa.int8()), None),
]


@pytest.mark.parametrize(("a", "b", "joined"), ARROW)
def test_arrow_types_widen_only_without_loss(a, b, joined):
    assert unify(a, b) == joined
    schema, why = unify_types(merge([types_of_schema(pa.schema([("v", a)])), types_of_schema(pa.schema([("v", b)]))]))
    assert schema.field("v").type == (TEXT if joined is None else joined)
    assert why == ({} if joined else {"v": f"values of different types: {a}, {b}"})
    assert (schema.field("v").metadata == JSON_TEXT) == (joined is None)


@pytest.mark.parametrize(
    ("kind", "value", "expected"),
    [
        (pa.int32(), "5", pa.int64()),
        (pa.int64(), "5", pa.int64()),
        (pa.uint8(), str(2**63), pa.uint64()),
        (pa.int8(), str(2**63), None),
        (pa.float32(), "0.1", pa.float64()),
        (pa.int64(), "0.1", None),
        (pa.string(), '"x"', TEXT),
        (pa.date32(), "null", pa.date32()),
        (pa.date32(), '"2020-01-01"', None),
        (pa.list_(pa.int16()), "[1]", pa.list_(pa.int64())),
        (pa.int8(), "[]", None),
        (pa.bool_(), "true", pa.bool_()),
    ],
)
def test_json_and_arrow_meet(tmp_path, kind, value, expected):
    arrow = types_of_schema(pa.schema([("v", kind), ("only", pa.date32())]))
    for parts in ([column_types(tmp_path, value), arrow], [arrow, column_types(tmp_path, value)]):
        schema, why = unify_types(merge(parts))
        assert schema.field("v").type == (TEXT if expected is None else expected)
        assert ("v" in why) == (expected is None)
        assert schema.field("only").type == pa.date32()


def test_a_schema_alone_is_kept():
    schema = pa.schema(
        [("t", pa.string()), ("n", pa.null()), ("d", pa.dictionary(pa.int8(), pa.string())), ("x", pa.decimal128(9, 2))]
    )
    assert unify_types(types_of_schema(schema)) == (schema, {})
    assert unify_types(merge([types_of_schema(schema)] * 3)) == (schema, {})
    assert unify_types({"fields": []}) == (pa.schema([]), {})


@pytest.mark.parametrize(
    "text", ["0.0", "-0.0", "0e5", "0.00e-10", "-0.000", "1e-400", "0.0001e-400", "-10.0e-999", "0.0e9"]
)
def test_zeros_and_numbers_too_near_to_zero(text):
    """The quick look at a block of numbers leaves out those alone that are zero as they are written."""
    assert float(text) == 0
    assert bool(re.match(NOT_ZERO, text)) == (Decimal(text) != 0) == _is_far(text)
