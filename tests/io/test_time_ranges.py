"""Times that a finer unit cannot hold, and INT96 timestamps of Parquet."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.dataset
import pyarrow.parquet as pq
import pytest
from support.io import read_all, source

from corpuscurate import Pipeline, Settings, Sink, Source
from corpuscurate.core.errors import InputError
from corpuscurate.io.base import Want, input_format
from corpuscurate.io.column_types import OVER, merge, types_of_schema, unify_types
from corpuscurate.io.time_ranges import coarse_columns, over_bits

YEAR_9999, YEAR_1 = 253402300799, -62135596800
"""Seconds from 1970."""
YEAR_2262, YEAR_1677 = 9223372036, -9223372036
"""The last whole seconds that nanoseconds hold."""


def bits(values, kind):
    return over_bits([pa.record_batch([pa.array(values, kind)], names=["c"])]).get("c", 0)


@pytest.mark.parametrize("make", [pa.timestamp, pa.duration])
def test_limits_of_each_unit(make):
    assert bits([], make("s")) == bits([None], make("s")) == 0
    assert bits([YEAR_2262, YEAR_1677, None], make("s")) == 0
    assert bits([YEAR_2262 + 1], make("s")) == bits([YEAR_1677 - 1], make("s")) == OVER["ns"]
    assert bits([YEAR_9999 * 10**6], make("us")) == OVER["ns"]
    assert bits([(2**63 - 1) // 10**6 + 1], make("s")) == OVER["ns"] | OVER["us"]
    assert bits([-(2**63)], make("s")) == OVER["ns"] | OVER["us"] | OVER["ms"]
    assert bits([2**63 - 1], make("ns")) == 0


def test_at_any_depth():
    far = pa.array([YEAR_9999, None], pa.timestamp("s"))
    shapes = [
        far,
        far.dictionary_encode(),
        pa.StructArray.from_arrays([far], ["a"]),
        pa.ListArray.from_arrays([0, 1, 2], far),
        pa.MapArray.from_arrays([0, 1, 2], pa.array(["a", "b"]), far),
        pa.RunEndEncodedArray.from_arrays(pa.array([1, 2], pa.int32()), far),
    ]
    for shape in shapes:
        batch = pa.record_batch([shape], names=["c"])
        assert coarse_columns(batch.schema) == ["c"]
        assert over_bits([batch]) == {"c": OVER["ns"]}
    assert coarse_columns(pa.schema([("a", pa.int64()), ("b", pa.timestamp("ns")), ("c", pa.date32())])) == []


@pytest.mark.parametrize(
    ("values", "expected"),
    [([0, 86_400_000, None], pa.date64()), ([1], pa.timestamp("ms")), ([86_400_000 << 31], pa.timestamp("ms"))],
)
def test_a_date64_that_is_no_date_is_a_timestamp(tmp_path, values, expected):
    table = pa.table({"text": ["a"] * len(values), "c": pa.array(values, pa.date64())})
    with pa.ipc.new_file(tmp_path / "a.arrow", table.schema) as writer:
        writer.write_table(table)
    schema, conflicts = unify_types(types_in(tmp_path / "a.arrow"))
    assert (schema.field("c").type, conflicts) == (expected, {})


HOUR, DAY = 3_600_000, 86_400_000
DATES = pa.array([DAY + HOUR, None, 0], pa.int64()).view(pa.date64())
WITHIN = {
    "struct": pa.StructArray.from_arrays([DATES], ["d"]),
    "list": pa.ListArray.from_arrays(pa.array([0, 1, 2, 3], pa.int32()), DATES),
    "large list": pa.LargeListArray.from_arrays(pa.array([0, 1, 2, 3]), DATES),
    "fixed list": pa.FixedSizeListArray.from_arrays(DATES, 1),
    "map": pa.MapArray.from_arrays(pa.array([0, 1, 2, 3], pa.int32()), pa.array(["a", "b", "c"]), DATES),
    "dictionary": pa.DictionaryArray.from_arrays(pa.array([0, 1, 2]), DATES),
    "list of structs": pa.ListArray.from_arrays(
        pa.array([0, 1, 2, 3], pa.int32()), pa.StructArray.from_arrays([DATES], ["d"])
    ),
}


@pytest.mark.parametrize("format", ["arrow", "parquet"])
@pytest.mark.parametrize("kind", WITHIN)
def test_the_time_of_a_date64_within_a_column_is_kept(kind, format, tmp_path):
    batch = pa.record_batch([pa.array(["a b", "c d", "e f"]), WITHIN[kind]], names=["text", "c"])
    with pa.ipc.new_file(str(tmp_path / "a.arrow"), batch.schema) as writer:
        writer.write_batch(batch)
    source = Source(paths=(str(tmp_path / "a.arrow"),))
    Pipeline(source, [], Sink(path=str(tmp_path / "out"), format=format), Settings(workers=1)).run()
    found = pa.dataset.dataset(str(tmp_path / "out" / "data"), format=format).to_table()
    assert "datetime(1970, 1, 2, 1, 0)" in str(found["c"].to_pylist())
    assert "date64" not in str(found.schema.field("c").type)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (pa.int64(), pa.decimal128(5, 2)),
        (pa.timestamp("s"), pa.timestamp("ms")),
        (pa.date32(), pa.date64()),
        (pa.time32("s"), pa.time64("us")),
    ],
)
def test_ids_of_several_types_that_are_spelled_differently_are_text(one, other):
    found = merge(types_of_schema(pa.schema([("id", kind)])) for kind in (one, other))
    schema, conflicts = unify_types(found, "id")
    assert (schema.field("id").type, list(conflicts)) == (pa.large_string(), ["id"])
    assert unify_types(found)[1] == {}


def types_in(path, want=None):
    file = source(path)
    reader = input_format(file.format)
    chunks = [
        chunk for span in reader.split(file, 1) for chunk in reader.read(file, span, want or Want(column_types=True))
    ]
    return merge(chunk.column_types for chunk in chunks if chunk.column_types is not None)


@pytest.mark.parametrize("format", ["parquet", "arrow"])
@pytest.mark.parametrize(("far", "expected"), [(False, pa.timestamp("ns")), (True, None)])
def test_a_finer_unit_only_where_it_holds_all_values(tmp_path, format, far, expected):
    last = YEAR_9999 if far else YEAR_2262
    coarse = pa.table({"text": ["a", "b"], "c": pa.array([0, last * 1000], pa.timestamp("ms"))})
    fine = pa.table({"text": ["a"], "c": pa.array([1], pa.timestamp("ns"))})
    for name, table in (("a", coarse), ("b", fine)):
        if format == "parquet":
            pq.write_table(table, tmp_path / f"{name}.parquet", row_group_size=1)
        else:
            with pa.ipc.new_file(tmp_path / f"{name}.arrow", table.schema) as writer:
                writer.write_table(table, max_chunksize=1)
    found = merge([types_in(tmp_path / f"{name}.{format}") for name in "ab"])
    schema, conflicts = unify_types(found)
    assert ("c" in conflicts) == far
    assert far or schema.field("c").type == expected
    alone, conflicts = unify_types(types_in(tmp_path / f"a.{format}"))
    assert (alone.field("c").type.unit, conflicts) == ("ms", {})


def int96(path, seconds, fraction=0, unit="us"):
    """A Parquet file of INT96 timestamps in two row groups, bare and in a struct."""
    per_second = {"us": 10**6, "ns": 10**9}[unit]
    values = pa.array(np.array(seconds) * per_second + fraction, pa.timestamp(unit))
    columns = {"text": [f"t{at}" for at in range(len(values))], "c": values}
    columns["s"] = pa.StructArray.from_arrays([values], ["t"])
    pq.write_table(pa.table(columns), path, use_deprecated_int96_timestamps=True, row_group_size=2)


def test_int96_in_nanoseconds_where_they_hold_all(tmp_path):
    int96(tmp_path / "a.parquet", [0, YEAR_2262, YEAR_1677], 1, "ns")
    schema, _ = unify_types(types_in(tmp_path / "a.parquet"))
    assert schema.field("c").type == pa.timestamp("ns")
    rows, _ = read_all(source(tmp_path / "a.parquet"), Want(rest=True, columns=("c",)), 1)
    assert [row["rest"]["c"].value for row in rows] == [at * 10**9 + 1 for at in (0, YEAR_2262, YEAR_1677)]


def test_int96_beyond_nanoseconds_in_microseconds(tmp_path):
    seconds = [0, YEAR_9999, YEAR_1]
    int96(tmp_path / "a.parquet", seconds, 7)
    schema, _ = unify_types(types_in(tmp_path / "a.parquet"))
    assert schema.field("c").type == schema.field("s").type.field("t").type == pa.timestamp("us")
    for want in (Want(rest=True, columns=("c",)), Want(columns=("c",))):
        rows, bad = read_all(source(tmp_path / "a.parquet"), want, 1)
        got = [np.datetime64(row["columns"]["c"], "us").astype(int) for row in rows]
        assert (got, bad) == ([at * 10**6 + 7 for at in seconds], [])


def test_int96_that_no_unit_holds_is_refused(tmp_path, monkeypatch):
    int96(tmp_path / "a.parquet", [0, YEAR_9999], 7)
    file = source(tmp_path / "a.parquet")
    real = pq.ParquetFile.iter_batches

    def with_nanoseconds(self, *args, columns=None, **more):
        """Arrow writes no INT96 that has both: one nanosecond is added to what is read in nanoseconds."""
        for batch in real(self, *args, columns=columns, **more):
            at = batch.schema.get_field_index("c")
            if at >= 0 and batch.schema.field(at).type == pa.timestamp("ns"):
                shifted = pa.array(batch.column(at).cast(pa.int64()).to_numpy() + 1, pa.timestamp("ns"))
                batch = batch.set_column(at, "c", shifted)  # noqa: PLW2901
            yield batch

    monkeypatch.setattr(pq.ParquetFile, "iter_batches", with_nanoseconds)
    with pytest.raises(InputError, match=r"a\.parquet: the column 'c' .*INT96"):
        read_all(file, Want(rest=True), 1)
