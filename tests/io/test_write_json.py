from __future__ import annotations

import base64
import datetime as dt
import json
import math
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.forms import some

from corpuscurate.core.columns import JSON
from corpuscurate.core.errors import InputError
from corpuscurate.io.base import SourceFile, Span, Want
from corpuscurate.io.jsonl import JSONL
from corpuscurate.io.write_json import json_texts, lines_from_columns, splice_lines

TEXT = pa.large_string()


def read(tmp_path, raw: bytes):
    path = tmp_path / "out.jsonl"
    path.write_bytes(raw)
    file = SourceFile(0, path.name, str(path), len(raw), "jsonl")
    (chunk,) = JSONL.read(file, Span(0, 0, len(raw), len(raw)), Want(rest=True))
    return chunk.batch


def texts(values):
    return pa.array(values, TEXT)


RAW = (
    b'{"text":"a\\u00e9","n":12345678901234567890,"n":1.0}\n'
    b' { "x" : [ ] , "text"\t: "b\\/" } \n'
    b'{"\\u0074ext":"c","d":"2020-01-01"}\r\n'
)
LINES = [line.removesuffix(b"\r") for line in RAW.splitlines()]


def test_unchanged_lines_stay_byte_for_byte(tmp_path):
    batch = read(tmp_path, RAW)
    assert splice_lines(batch.rest, batch.text, {}).tobytes() == b"".join(line + b"\n" for line in LINES)
    empty = batch.slice(0, 0)
    assert splice_lines(empty.rest, empty.text, {}).tobytes() == b""


def test_text_replaced_and_fields_added(tmp_path):
    batch = read(tmp_path, RAW)
    added = {
        "s.score": pa.array([0.5, math.nan, None]),
        's."k"': pa.array(["x\n", None, "é"]),
        "t.n": pa.array([1, 2, 3], pa.int8()),
    }
    got = splice_lines(batch.rest, texts(["aé", 'B"\n', "C\0"]), added).tobytes().split(b"\n")
    assert got == [
        LINES[0][:-1] + b',"s.score":0.5,"s.\\"k\\"":"x\\n","t.n":1}',
        b' { "x" : [ ] , "text"\t: "B\\"\\n" ,"s.score":null,"s.\\"k\\"":null,"t.n":2} ',
        '{"\\u0074ext":"C\\u0000","d":"2020-01-01","s.score":null,"s.\\"k\\"":"é","t.n":3}'.encode(),
        b"",
    ]
    for row in (0, 1, 2):
        part = batch.slice(row, row + 1)
        alone = splice_lines(
            part.rest, texts([["aé", 'B"\n', "C\0"][row]]), {k: v[row : row + 1] for k, v in added.items()}
        )
        assert alone.tobytes() == got[row] + b"\n"


def test_an_empty_object_gets_no_comma():
    rest = pa.record_batch(
        [pa.array([b"{ }", b'{"a":1}'], pa.large_binary()), pa.array([1, 5]), pa.array([3, 6]), pa.array([2, 6])],
        names=["line", "text_start", "text_end", "braces"],
    )
    same = texts(["", ""])  # the spans hold no string here: what counts is the brace
    spliced = splice_lines(rest.slice(0, 1), same.slice(0, 1), {"n": pa.array([1])}).tobytes()
    assert json.loads(spliced.replace(b'""', b"")) == {"n": 1}


@settings(max_examples=some(150), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.tuples(st.text(max_size=20), st.text(max_size=20), st.integers() | st.text(max_size=3) | st.none()),
        min_size=1,
        max_size=5,
    ),
    st.booleans(),
    st.booleans(),
)
def test_any_text_can_replace_any_other(tmp_path, rows, ascii_only, keep):
    lines = [
        json.dumps({"a": more, "text": old, "b": [old]}, ensure_ascii=ascii_only).encode() for old, _, more in rows
    ]
    batch = read(tmp_path, b"\n".join(lines) + b"\n")
    new = [old if keep and place % 2 else fresh for place, (old, fresh, _) in enumerate(rows)]
    got = splice_lines(batch.rest, texts(new), {}).tobytes().split(b"\n")[:-1]
    for line, spliced, (old, _, more), text in zip(lines, got, rows, new, strict=True):
        assert json.loads(spliced) == {"a": more, "text": text, "b": [old]}
        if text == old:
            assert spliced == line


UTC = dt.timezone.utc  # noqa: UP017
DAY = dt.datetime(2020, 1, 2, 3, 4, 5, 678900)
CASES = [
    (pa.array([1, None, -5], pa.int32()), ["1", "null", "-5"]),
    (pa.array([2**64 - 1], pa.uint64()), [str(2**64 - 1)]),
    (pa.array([True, False, None]), ["true", "false", "null"]),
    (pa.array([1.0, 0.1, -0.0, 1e22, 5e-324, math.nan, math.inf, -math.inf, None]),
     ["1.0", "0.1", "-0.0", "1e+22", "5e-324", "null", "null", "null", "null"]),
    (pa.array([0.1, 16777216.0], pa.float32()), ["0.1", "16777216.0"]),
    (pa.array([np.float16(0.5)], pa.float16()), ["0.5"]),
    (pa.array(['q"\\\n\x01é', "", None]), ['"q\\"\\\\\\n\\u0001é"', '""', "null"]),
    (pa.array(["a", "b", "a", None]).dictionary_encode(), ['"a"', '"b"', '"a"', "null"]),
    (pa.array(["a", None], pa.string_view()), ['"a"', "null"]),
    (pa.ExtensionArray.from_storage(JSON, pa.array(['{"a": 1}', None], TEXT)), ['{"a": 1}', "null"]),
    (pa.array([b"\x00\xff", None]), [f'"{base64.b64encode(bytes([0, 255])).decode()}"', "null"]),
    (pa.array([b"abc"], pa.binary(3)), ['"YWJj"']),
    (pa.array([dt.date(2020, 1, 2), None]), ['"2020-01-02"', "null"]),
    (pa.array([dt.date(2020, 1, 2)], pa.date64()), ['"2020-01-02"']),
    (pa.array([DAY], pa.timestamp("us")), ['"2020-01-02T03:04:05.678900"']),
    (pa.array([DAY.replace(tzinfo=UTC)], pa.timestamp("ms", "Europe/Berlin")), ['"2020-01-02T03:04:05.678Z"']),
    (pa.array([dt.time(1, 2, 3)], pa.time32("s")), ['"01:02:03"']),
    (pa.array([dt.timedelta(seconds=5)], pa.duration("ms")), ['"PT5.000S"']),
    (pa.array([5, -5, None, -(2**63)], pa.duration("s")), ['"PT5S"', '"-PT5S"', "null", '"-PT9223372036854775808S"']),
    (pa.array([2**63 - 1, -(2**63), 0], pa.timestamp("us")), [
        '"294247-01-10T04:00:54.775807"', '"-290308-12-21T19:59:05.224192"', '"1970-01-01T00:00:00.000000"'
    ]),
    (pa.array([2**63 - 1], pa.timestamp("us", "America/New_York")), ['"294247-01-10T04:00:54.775807Z"']),
    (pa.array([2**31 - 1, -(2**31), -719529], pa.date32()), ['"5881580-07-11"', '"-5877641-06-23"', '"-0001-12-31"']),
    (pa.array([-1, 86_400_000], pa.date64()), ['"1969-12-31T23:59:59.999"', '"1970-01-02"']),
    (pa.array([-1, 90_000], pa.time32("s")), ['"-00:00:01"', '"25:00:00"']),
    (pa.array([Decimal("1.50"), Decimal("-100"), None], pa.decimal128(9, 2)), ["1.50", "-100.00", "null"]),
    (pa.nulls(2), ["null", "null"]),
    (pa.array([[1, None], [], None]), ["[1,null]", "[]", "null"]),
    (pa.array([[1.0, 2.5]], pa.list_(pa.float64(), 2)), ["[1.0,2.5]"]),
    (pa.array([{"a": 1, "b": ["x"]}, {"a": None}, None]), ['{"a":1,"b":["x"]}', '{"a":null,"b":null}', "null"]),
    (pa.array([[("k", 1)], None], pa.map_(pa.string(), pa.int8())), ['[{"key":"k","value":1}]', "null"]),
    (pa.array([{}], pa.struct([])), ["{}"]),
]  # fmt: skip


@pytest.mark.parametrize(("column", "expected"), CASES, ids=[str(column.type) for column, _ in CASES])
def test_json_of_each_type(column, expected):
    got = json_texts(column)
    assert got.type == TEXT
    assert got.to_pylist() == expected
    for text in expected:
        json.loads(text)
    assert json_texts(pa.concat_arrays([column, column]).slice(len(column) - 1, 2)).to_pylist() == [
        expected[-1],
        expected[0],
    ]
    assert json_texts(column.slice(0, 0)).to_pylist() == []


def test_an_unknown_type_is_refused():
    with pytest.raises(InputError, match=r"month_day_nano_interval has no form in JSON\. Choose `output: format: arr"):
        json_texts(pa.nulls(1, pa.month_day_nano_interval()))


def test_runs_of_equal_values():
    runs = pa.RunEndEncodedArray.from_arrays(pa.array([2, 3, 4], pa.int32()), pa.array(["x", None, "y"]))
    assert json_texts(runs).to_pylist() == ['"x"', '"x"', "null", '"y"']
    assert json_texts(runs.slice(1, 2)).to_pylist() == ['"x"', "null"]


def test_lines_from_columns():
    columns = pa.record_batch({"a b": pa.array([1, None]), "é": texts(["x", "y\n"]), "o": pa.array([{"p": 1.0}, None])})
    assert lines_from_columns(columns).tobytes().decode() == (
        '{"a b":1,"é":"x","o":{"p":1.0}}\n{"a b":null,"é":"y\\n","o":null}\n'
    )
    assert lines_from_columns(columns.slice(1)).tobytes().decode() == '{"a b":null,"é":"y\\n","o":null}\n'
    assert lines_from_columns(columns.slice(0, 0)).tobytes() == b""


@settings(max_examples=some(100), deadline=None)
@given(st.lists(st.floats(), max_size=9), st.lists(st.floats(width=32), max_size=9))
def test_floats_read_back_equal(doubles, singles):
    for values, kind in ((doubles, pa.float64()), (singles, pa.float32())):
        for value, text in zip(values, json_texts(pa.array(values, kind)).to_pylist(), strict=True):
            if math.isfinite(value):
                again = json.loads(text)
                assert isinstance(again, float)
                assert pa.scalar(again, kind).as_py() == value
                assert math.copysign(1, again) == math.copysign(1, value)
            else:
                assert text == "null"


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3),
    max_leaves=5,
)


@settings(max_examples=some(100), deadline=None)
@given(
    st.lists(
        st.fixed_dictionaries(
            {
                "a": st.lists(
                    st.fixed_dictionaries(
                        {"x": st.text(max_size=4), "y": st.none() | st.lists(st.integers(-9, 9), max_size=3)}
                    ),
                    max_size=3,
                )
                | st.none(),
                "b": st.booleans() | st.none(),
            }
        ),
        min_size=1,
        max_size=6,
    ),
    st.integers(0, 3),
)
def test_nested_columns_read_back_equal(rows, start):  # fmt: skip
    item = pa.struct([("x", pa.string()), ("y", pa.list_(pa.int8()))])
    batch = pa.RecordBatch.from_pylist(rows, pa.schema([("a", pa.list_(item)), ("b", pa.bool_())])).slice(start)
    lines = lines_from_columns(batch).tobytes().splitlines()
    assert [json.loads(line) for line in lines] == rows[start:]


UNITS = {"s": 0, "ms": 3, "us": 6, "ns": 9}
ZONES = st.sampled_from([None, "UTC", "America/New_York"])
WORD = st.text(st.characters(codec="utf-8"), max_size=4)


def day(days):
    """A date by Howard Hinnant's days-to-civil: eras of 400 years from March of year 0."""
    era, in_era = divmod(days + 719468, 146097)
    of_era = (in_era - in_era // 1460 + in_era // 36524 - in_era // 146096) // 365
    of_year = in_era - (365 * of_era + of_era // 4 - of_era // 100)
    month = (5 * of_year + 2) // 153
    number = month + 3 if month < 10 else month - 9
    year = of_era + era * 400 + (number <= 2)
    return f"{'-' * (year < 0)}{abs(year):04}-{number:02}-{of_year - (153 * month + 2) // 5 + 1:02}"


def seconds(value, digits):
    whole, rest = divmod(value, 10**digits)
    return whole, f".{rest:0{digits}}" if digits else ""


def clock(value, digits):
    whole, rest = seconds(value, digits)
    return f"{whole // 3600:02}:{whole // 60 % 60:02}:{whole % 60:02}{rest}"


def instant(value, digits):
    days, rest = divmod(value, 86400 * 10**digits)
    return f"{day(days)}T{clock(rest, digits)}"


def duration(value, digits):
    whole, rest = seconds(abs(value), digits)
    return f"{'-' * (value < 0)}PT{whole}{rest}S"


def no_constant(name):
    raise ValueError(name)


def from_json(text):
    try:
        return json.loads(text, parse_constant=no_constant)
    except ValueError:
        return text


def numbers(kind, bits, shown):
    """A column of a type that stands for integers; shown: what JSON has for one."""
    values = st.integers(-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
    width = pa.int32() if bits == 32 else pa.int64()
    return st.just((values, lambda rows: pa.array(rows, width).view(kind), shown))


def plain_column(kind, values, shown=lambda value: value):
    return st.just((values, lambda rows: pa.array(rows, kind), shown))


LEAVES = st.one_of(
    plain_column(pa.int8(), st.integers(-128, 127)),
    plain_column(pa.uint64(), st.integers(0, 2**64 - 1)),
    plain_column(pa.float64(), st.floats(), lambda value: value if math.isfinite(value) else None),
    plain_column(pa.bool_(), st.booleans()),
    *(plain_column(kind, WORD) for kind in (pa.string(), pa.large_string(), pa.string_view())),
    plain_column(pa.binary(), st.binary(max_size=4), lambda value: base64.b64encode(value).decode()),
    plain_column(pa.decimal128(38, 2), st.decimals(-(10**30), 10**30, places=2), float),
    st.just(
        (
            WORD
            | st.sampled_from(["{}", '{"a":\n1}', '1],"x":[2', '1}\n{"text":2', '"a\nb"', "[1,\r\n2]", " 5 ", "01"]),
            lambda rows: pa.ExtensionArray.from_storage(pa.json_(pa.string()), pa.array(rows, pa.string())),
            from_json,
        )
    ),
    st.tuples(st.sampled_from(list(UNITS)), ZONES).flatmap(
        lambda unit: numbers(
            pa.timestamp(*unit), 64, lambda value: instant(value, UNITS[unit[0]]) + ("" if unit[1] is None else "Z")
        )
    ),
    st.sampled_from(list(UNITS)).flatmap(
        lambda unit: numbers(pa.duration(unit), 64, lambda value: duration(value, UNITS[unit]))
    ),
    numbers(pa.date32(), 32, day),
    plain_column(pa.time64("us"), st.integers(0, 86_400 * 10**6 - 1), lambda value: clock(value, 6)),
)


def of_lists(inner):
    values, make, shown = inner

    def array(rows):
        offsets = np.cumsum([0, *(0 if row is None else len(row) for row in rows)])
        items = make([value for row in rows if row is not None for value in row])
        mask = pa.array([row is None for row in rows], pa.bool_())
        return pa.LargeListArray.from_arrays(pa.array(offsets, pa.int64()), items, mask=mask)

    lists = st.lists(st.none() | values, max_size=3)
    return lists, array, lambda row: [None if value is None else shown(value) for value in row]


def of_structs(inner, name):
    values, make, shown = inner

    def array(rows):
        part = make([None if row is None else row[0] for row in rows])
        return pa.StructArray.from_arrays([part], [name], mask=pa.array([row is None for row in rows], pa.bool_()))

    return (
        st.tuples(st.none() | values),
        array,
        lambda row: {name: None if row[0] is None else shown(row[0])},
    )


COLUMNS = st.recursive(
    LEAVES,
    lambda inner: st.one_of(inner.map(of_lists), st.tuples(inner, WORD).map(lambda pair: of_structs(*pair))),
    max_leaves=3,
)


@settings(max_examples=some(150), deadline=None, suppress_health_check=list(HealthCheck))
@given(st.data(), st.dictionaries(WORD, COLUMNS, min_size=1, max_size=3), st.integers(0, 4), st.integers(0, 2))
def test_any_table_comes_back_with_its_count_and_values(data, columns, rows, start):
    raw = {
        name: data.draw(st.lists(st.none() | values, min_size=rows, max_size=rows))
        for name, (values, _, _) in columns.items()
    }
    arrays = [make(raw[name]) for name, (_, make, _) in columns.items()]
    batch = pa.RecordBatch.from_arrays(arrays, names=list(columns)).slice(start)
    lines = lines_from_columns(batch).tobytes()
    assert lines.count(b"\n") == len(batch)
    expected = [
        {name: None if raw[name][row] is None else shown(raw[name][row]) for name, (_, _, shown) in columns.items()}
        for row in range(min(start, rows), rows)
    ]
    assert [json.loads(line) for line in lines.splitlines()] == expected


def test_a_field_that_a_struct_has_twice():
    one = pa.array([1])
    column = pa.StructArray.from_arrays([one, one], ["a", "a"])
    for each in (column, pa.ListArray.from_arrays(pa.array([0, 1], pa.int32()), column)):
        with pytest.raises(
            InputError, match="a struct has the field 'a' more than once, of which readers of JSON keep"
        ):
            json_texts(each)
