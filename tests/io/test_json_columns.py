from __future__ import annotations

import gzip
import json
import os
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.forms import some

from corpuscurate.io.base import SourceFile, Span, Want
from corpuscurate.io.column_types import merge, types_of_schema, unify_types
from corpuscurate.io.json_columns import columns_from_json, is_json_text, nested
from corpuscurate.io.jsonl import JSONL


def columns_from_lines(rest, schema, name, text):
    """As writers put a batch together: the columns of a settled schema, and the text as it is now."""
    place = schema.get_field_index(name)
    columns = {**columns_from_json(rest, schema if place < 0 else schema.remove(place)), name: text}
    return pa.RecordBatch.from_arrays([columns[column] for column in schema.names], names=schema.names)


def read(tmp_path, raw: bytes, batch_bytes: int = 1 << 20):
    path = tmp_path / "columns.jsonl"
    path.write_bytes(raw)
    file = SourceFile(0, path.name, str(path), len(raw), "jsonl")
    chunks = list(
        JSONL.read(file, Span(0, 0, len(raw), len(raw)), Want(rest=True, column_types=True, batch_bytes=batch_bytes))
    )
    assert not any(chunk.bad for chunk in chunks)
    return [chunk.batch for chunk in chunks if chunk.batch is not None], chunks[-1].column_types


def columns(tmp_path, lines, batch_bytes: int = 1 << 20):
    batches, column_types = read(tmp_path, b"".join(line + b"\n" for line in lines), batch_bytes)
    schema, why = unify_types(column_types)
    parts = []
    for batch in batches:
        part = columns_from_lines(batch.rest, schema, "text", batch.text)
        part.validate(full=True)
        parts.append(pa.RecordBatch.from_arrays(part.columns, schema=schema))
    return pa.Table.from_batches(parts, schema), why


def plain(value, kind: pa.DataType):
    """A value of Python's json as the column of that type shows it: keys that lack are null."""
    if value is None:
        return None
    if pa.types.is_struct(kind):
        return {part.name: plain(value.get(part.name), part.type) for part in kind}
    return [plain(item, kind.value_type) for item in value] if pa.types.is_list(kind) else value


def check(tmp_path, lines, batch_bytes: int = 1 << 20):
    """Every value of every field is in its column."""
    table, why = columns(tmp_path, lines, batch_bytes)
    records = [json.loads(line) for line in lines]
    for field, column in zip(table.schema, table.columns, strict=True):
        assert is_json_text(field) == (field.name in why)
        for record, got in zip(records, column.to_pylist(), strict=True):
            want = record.get(field.name)
            if is_json_text(field) and got is not None:
                assert json.loads(got) == want
            else:
                assert got == plain(want, field.type)
    return table


LINES = [
    b'{"text":"a","i":1,"u":12345678901234567890,"f":1.5,"b":true,"s":"2020-01-01","j":{"x":{}},"o":{"p":[1,2],"q":"2020-01-01"}}',
    b'{"i":-9223372036854775808,"f":2,"s":null,"text":"b\\n","b":false,"j":[],"l":[{"m":1},{"m":null},null,{}]}',
    b'{"text":"","u":0,"f":-0.0,"s":"\\u00e9\\ud83d\\ude00\\"","o":null,"l":[]}',
    b'{"text":"d","f":1e300,"o":{},"j":"x","u":null,"l":null,"\\u0069":9223372036854775807}',
    b'{"text":"e","o":{"q":"\\u0000\\n","p":[]},"j":1.0,"f":0.1}',
]


@pytest.mark.parametrize("batch_bytes", [1, 200, 1 << 20])
def test_typed_columns_by_hand(tmp_path, batch_bytes):
    table = check(tmp_path, LINES, batch_bytes)
    assert table.schema.names == ["text", "i", "u", "f", "b", "s", "j", "o", "l"]
    assert table["i"].to_pylist() == [1, -(2**63), None, 2**63 - 1, None]
    assert table["u"].to_pylist() == [12345678901234567890, None, 0, None, None]
    assert table["f"].to_pylist() == [1.5, 2.0, -0.0, 1e300, 0.1]
    assert table["b"].to_pylist() == [True, False, None, None, None]
    assert table["s"].to_pylist() == ["2020-01-01", None, 'é😀"', None, None]
    assert table["j"].to_pylist() == ['{"x":{}}', "[]", None, '"x"', "1.0"]
    assert table["o"].to_pylist() == [
        {"p": [1, 2], "q": "2020-01-01"},
        None,
        None,
        {"p": None, "q": None},
        {"p": [], "q": "\0\n"},
    ]
    assert table["l"].to_pylist() == [None, [{"m": 1}, {"m": None}, None, {"m": None}], [], None, None]
    assert table.schema.field("j").type == pa.large_string()


def test_the_text_is_the_one_given(tmp_path):
    (batch,), column_types = read(tmp_path, b'{"a":1,"text":"old"}\n')
    schema, _ = unify_types(column_types)
    got = columns_from_lines(batch.rest, schema, "text", pa.array(["new"], pa.large_string()))
    assert got.to_pylist() == [{"a": 1, "text": "new"}]
    assert columns_from_lines(batch.rest, schema.remove(1), "other", batch.text).to_pylist() == [{"a": 1}]


def test_the_last_of_two_values_is_kept(tmp_path):
    table, why = columns(tmp_path, [b'{"text":"","a":1,"a":2}', b'{"text":"","a":"x"}'])
    assert table["a"].to_pylist() == ["2", '"x"']
    assert list(why) == ["a"]


def test_filtered_and_sliced_batches(tmp_path):
    batches, column_types = read(tmp_path, b"".join(line + b"\n" for line in LINES))
    schema, _ = unify_types(column_types)
    whole = columns_from_json(batches[0].rest, schema)
    part = columns_from_json(batches[0].slice(1, 4).rest, schema)
    some = columns_from_json(batches[0].rest.filter(pa.array([True, False, False, True, True])), schema)
    for name in schema.names:
        assert part[name].to_pylist() == whole[name].to_pylist()[1:4]
        assert some[name].to_pylist() == [whole[name].to_pylist()[row] for row in (0, 3, 4)]
    assert columns_from_json(batches[0].rest.slice(0, 0), schema)["o"].type == schema.field("o").type


def test_types_widened_by_another_file(tmp_path):
    other = pa.schema(
        [
            ("n", pa.int16()),
            ("f", pa.float32()),
            ("d", pa.date32()),
            ("o", pa.struct([("a", pa.int8()), ("t", pa.timestamp("us"))])),
        ]
    )
    batches, column_types = read(tmp_path, b'{"text":"","n":5,"f":0.1,"d":null,"o":{"a":300}}\n{"text":"","n":null}\n')
    schema, why = unify_types(merge([types_of_schema(other), column_types]))
    assert why == {}
    got = columns_from_json(batches[0].rest, schema)
    assert {name: got[name].type for name in got} == dict(zip(schema.names, schema.types, strict=True))
    assert got["f"].to_pylist() == [0.1, None]
    assert got["o"].to_pylist() == [{"a": 300, "t": None}, None]
    assert got["d"].to_pylist() == [None, None]


def test_a_schema_of_other_records_is_refused(tmp_path):
    (batch,), _ = read(tmp_path, b'{"text":"","a":"x"}\n')
    with pytest.raises(TypeError, match="'a' was settled as int64, but the records hold other values"):
        columns_from_json(batch.rest, pa.schema([("a", pa.int64())]))


def test_many_rows_and_columns(tmp_path):
    lines = [
        json.dumps({"text": str(row), **{f"c{k}": row * k for k in range(row % 7)}}).encode() for row in range(70_000)
    ]
    table, _ = columns(tmp_path, lines, 16 << 20)
    assert table["text"].to_pylist() == [str(row) for row in range(70_000)]
    assert table["c3"].to_pylist() == [row * 3 if row % 7 > 3 else None for row in range(70_000)]


@pytest.mark.parametrize(
    ("texts", "kind"),
    [
        (['{"a":\r1}', None, '{"a":\r\r2 }'], pa.struct([("a", pa.int64())])),
        (["[1e400,-1e400,0.1,1e-400]", "[1,2]"], pa.list_(pa.float64())),
        (["[-0]", "[18446744073709551615]"], pa.list_(pa.uint64())),
        (['["\\u0000","\\ud83d\\ude00","a\\nb","1","2020-01-01T00:00:00Z"]'], pa.list_(pa.large_string())),
        (["[[],[[]],null]", "[]", None], pa.list_(pa.list_(pa.list_(pa.large_string())))),
        (
            ['{"é":{"x y":true},"":[{"z":null}]}'],
            pa.struct([("é", pa.struct([("x y", pa.bool_())])), ("", pa.list_(pa.struct([("z", pa.large_string())])))]),
        ),
        (["[1]", "[null]"], pa.large_list(pa.int64())),
    ],
)
def test_nested_values_are_exact(texts, kind):
    got = nested(pa.array(texts, pa.large_string()), kind)
    assert got.type == kind
    assert got.to_pylist() == [None if text is None else plain(json.loads(text), kind) for text in texts]


def test_floats_round_as_python_does(tmp_path):
    numbers = ["0.1", "1e23", "8.5e-324", "2.2250738585072011e-308", "9007199254740993.0", "1.7976931348623159e308",
               "123456789012345678901234567890.5", "0." + "1" * 800, "-0.0", "5e-324", "2.5e-324", "1E+2"]  # fmt: skip
    check(tmp_path, [b'{"text":"","f":%s,"l":[%s]}' % (number.encode(), number.encode()) for number in numbers])


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**65), 2**65) | st.floats(allow_nan=False) | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=2), inner, max_size=3),
    max_leaves=6,
)
OBJECTS = st.fixed_dictionaries(
    {},
    optional={
        "p": st.lists(st.integers(-9, 9) | st.none(), max_size=2),
        "q": st.text(max_size=3),
        "r": st.floats(allow_nan=False),
    },
)
ITEMS = st.fixed_dictionaries({}, optional={"m": st.booleans(), "n": st.lists(st.text(max_size=2), max_size=2)})
RECORDS = st.lists(
    st.fixed_dictionaries(
        {"text": st.text(max_size=5)},
        optional={
            "i": st.integers(-(2**63), 2**63 - 1),
            "u": st.integers(0, 2**64 - 1) | st.none(),
            "f": st.floats(allow_nan=False) | st.integers(-(2**53), 2**53),
            "b": st.booleans() | st.none(),
            "s": st.text(max_size=5) | st.dates().map(str),
            "o": OBJECTS,
            "l": st.lists(st.none() | ITEMS, max_size=3),
            "any": VALUES,
        },
    ),
    min_size=1,
    max_size=5,
)


@settings(max_examples=some(150), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(RECORDS, st.booleans())
def test_random_records_keep_every_value(tmp_path, records, ascii_only):
    lines = [json.dumps(record, ensure_ascii=ascii_only).replace("Infinity", "1e999").encode() for record in records]
    table = check(tmp_path, lines)
    kept = [name for name in table.schema.names if not is_json_text(table.schema.field(name))]
    pq.write_table(table, tmp_path / "kept.parquet")
    again = pq.read_table(tmp_path / "kept.parquet")
    for name in kept:
        assert again[name].to_pylist() == table[name].to_pylist()


@pytest.mark.skipif("CORPUSCURATE_DATA" not in os.environ, reason="CORPUSCURATE_DATA is not set")
@pytest.mark.parametrize(
    "name", ["web/dolma_cc_head.jsonl.gz", "quality/onestop_english.jsonl.gz", "evals/humaneval.jsonl.gz"]
)
def test_real_records_keep_every_value(name, tmp_path):
    raw = gzip.decompress(Path(os.environ["CORPUSCURATE_DATA"], name).read_bytes())
    check(tmp_path, raw.splitlines()[:500])


def test_a_value_does_not_depend_on_its_neighbours():
    kind = pa.struct([("f", pa.float64()), ("n", pa.int64())])
    texts = ['{"f":-0,"n":-0}', '{"f":1e400,"n":1}']  # the second one is not read by Arrow
    alone = nested(pa.array(texts[:1], pa.large_string()), kind)
    beside = nested(pa.array(texts, pa.large_string()), kind)
    assert [repr(array[0].as_py()) for array in (alone, beside)] == ["{'f': -0.0, 'n': 0}"] * 2
