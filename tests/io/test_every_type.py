"""Columns of every Arrow type, in every layout, from a file through the reader and a writer: no value changes."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyarrow import ipc
from support.io import source

from corpuscurate.core.errors import InputError, OutputError
from corpuscurate.core.layouts import decoded, kernel_type
from corpuscurate.io.base import OutputShape, Want, input_format, open_writer
from corpuscurate.io.column_types import merge, unify_types

ROWS = 4


def runs(values: pa.Array, ends: list[int] | None = None) -> pa.Array:
    return pa.RunEndEncodedArray.from_arrays(pa.array(ends or range(1, len(values) + 1), pa.int32()), values)


def dictionary(values: pa.Array) -> pa.Array:
    return pa.DictionaryArray.from_arrays(pa.array([0, None, 2, 0], pa.int8()), values)


def struct_of(values: pa.Array) -> pa.Array:
    return pa.StructArray.from_arrays([values], ["d"], mask=pa.array([False, True, False, False]))


def list_of(values: pa.Array) -> pa.Array:
    return pa.ListArray.from_arrays(pa.array([0, 1, 1, 3, 4], pa.int32()), values)


VIEW = pa.array(["a", "b", None, "long enough to stand outside of the view"], pa.string_view())
BYTES = pa.array([b"a", None, b"\xff", b"long enough to stand outside of the view"], pa.binary_view())
WORDS = pa.array(["a", "b", None, "d"])
LISTS = [[1, 2], None, [], [None]]

SIMPLE = {
    "views": VIEW,
    "byte views": BYTES,
    "runs": runs(WORDS),
    "long runs": runs(pa.array(["a", None]), [3, 4]),
    "runs of views": runs(VIEW),
    "runs of numbers": runs(pa.array([1, None, 3, 4])),
    "dictionary of views": dictionary(VIEW),
    "dictionary of numbers": dictionary(pa.array([1.5, 2.5, 3.5])),
    "runs of a dictionary": runs(dictionary(VIEW)),
    "dictionary of lists": dictionary(pa.array([[1], [2], [3]])),
    "dictionary of structs": dictionary(pa.array([{"a": 1}, {"a": 2}, None])),
    "list views": pa.array(LISTS, pa.list_view(pa.int64())),
    "large list views": pa.array(LISTS, pa.large_list_view(pa.int64())),
    "list views of views": pa.array([["a"], None, ["b", None], []], pa.list_view(pa.string_view())),
    "fixed lists of views": pa.array([["a", "b"], None, ["b", None], ["", "c"]], pa.list_(pa.string_view(), 2)),
    "map of views": pa.array([[("a", "x")], None, [], [("b", None)]], pa.map_(pa.string_view(), pa.string_view())),
    "struct of a map": struct_of(pa.array([[("a", 1)], None, [], [("b", 2)]], pa.map_(pa.string(), pa.int64()))),
    "halves": pa.array([1.5, None, 2.5, -0.0], pa.float16()),
    "unsigned": pa.array([2**64 - 1, None, 0, 1], pa.uint64()),
    "decimal32": pa.array([Decimal("1.50"), None, Decimal("-2.25"), Decimal(0)], pa.decimal32(5, 2)),
    "decimal256": pa.array([Decimal("1.5"), None, Decimal(10**40), Decimal(0)], pa.decimal256(50, 2)),
    "negative scale": pa.array([Decimal(100), None, Decimal(1200), Decimal(0)], pa.decimal128(5, -2)),
    "time32": pa.array([1, None, 3, 86399], pa.time32("s")),
    "seconds": pa.array([1, None, 253400000000, -62000000000], pa.timestamp("s", "Europe/Berlin")),
    "durations": pa.array([1, None, -3, 0], pa.duration("s")),
    "date64": pa.array([86_400_000, None, 0, -86_400_000], pa.date64()),
    "bool8": pa.ExtensionArray.from_storage(pa.bool8(), pa.array([1, None, 0, 1], pa.int8())),
    "uuid": pa.ExtensionArray.from_storage(pa.uuid(), pa.array([b"0" * 16, None, b"1" * 16, b"2" * 16], pa.binary(16))),
    "json views": pa.ExtensionArray.from_storage(
        pa.json_(pa.string_view()), pa.array(["{}", None, "[1]", "2"], pa.string_view())
    ),
    "nulls": pa.nulls(ROWS),
}
EVERY = {
    **SIMPLE,
    **{f"struct of {name}": struct_of(array) for name, array in SIMPLE.items()},
    **{f"list of {name}": list_of(array) for name, array in SIMPLE.items()},
    **{f"list of structs of {name}": list_of(struct_of(array)) for name, array in SIMPLE.items()},
}


@pytest.mark.parametrize("name", EVERY)
def test_decoded_values_are_the_same(name):
    array = EVERY[name]
    for part in (array, array.slice(1), array.slice(2, 1), array.slice(0, 0)):
        made = decoded(part)
        made.validate(full=True)
        assert made.type.equals(kernel_type(array.type))
        assert made.to_pylist() == part.to_pylist()


def written(tmp_path: Path, table: pa.Table, format: str, batch_bytes: int) -> tuple[Path, list[pa.Array]]:
    """The table through an Arrow file of two record batches, the reader and a writer; the named columns, delivered."""
    with ipc.new_file(tmp_path / "in.arrow", table.schema) as writer:
        writer.write_table(table, max_chunksize=2)
    file = source(tmp_path / "in.arrow")
    reader = input_format("arrow")
    want = Want(rest=True, columns=("c",), column_types=True, batch_bytes=batch_bytes)
    chunks = [chunk for span in reader.split(file, 1 << 30) for chunk in reader.read(file, span, want)]
    assert not any(chunk.bad for chunk in chunks)
    schema, conflicts = unify_types(merge(chunk.column_types for chunk in chunks if chunk.column_types is not None))
    assert conflicts == {}
    path = tmp_path / f"out.{format}"
    writer = open_writer(path, OutputShape(format, schema, "text", None, {}, 150))
    try:
        for chunk in chunks:
            if chunk.batch is not None:
                kept = np.arange(len(chunk.batch)) >= 0
                writer.write(chunk.batch.filter(kept).take(np.arange(len(chunk.batch))))
    except BaseException:
        writer.abort()
        raise
    writer.close()
    return path, [chunk.batch.columns["c"] for chunk in chunks if chunk.batch is not None]


@pytest.mark.parametrize("name", EVERY)
@pytest.mark.parametrize("format", ["parquet", "arrow", "jsonl"])
@pytest.mark.campaign(3)
def test_values_stay(tmp_path, name, format):
    array = EVERY[name]
    table = pa.table({"text": [f"document {row}" for row in range(len(array))], "c": array})
    for batch_bytes in (1, 1 << 20):
        path, delivered = written(tmp_path, table, format, batch_bytes)
        assert [value for column in delivered for value in column.to_pylist()] == array.to_pylist()
        for column in delivered:
            assert column.type.equals(kernel_type(array.type))
        if format == "jsonl":
            rows = [json.loads(line) for line in path.read_text().splitlines()]
            assert [row["text"] for row in rows] == table["text"].to_pylist()
            assert [row["c"] is None for row in rows] == [value is None for value in array.to_pylist()]
            continue
        got = pq.read_table(path) if format == "parquet" else ipc.open_file(path).read_all()
        assert got.column("c").to_pylist() == array.to_pylist()
        path.unlink()


@pytest.mark.parametrize(
    ("column", "expected"),
    [
        (
            pa.array([1, 0, None, -1], pa.date64()),
            ["1970-01-01T00:00:00.001", "1970-01-01", None, "1969-12-31T23:59:59.999"],
        ),
        (pa.array([-1, 0, None, 90_000], pa.time32("s")), ["-00:00:01", "00:00:00", None, "25:00:00"]),
    ],
)
def test_values_that_their_type_should_not_have(tmp_path, column, expected):
    table = pa.table({"text": ["a", "b", "c", "d"], "c": column})
    path, _ = written(tmp_path, table, "jsonl", 1)
    assert [json.loads(line)["c"] for line in path.read_text().splitlines()] == expected
    path, _ = written(tmp_path, table, "parquet", 1)
    got = pq.read_table(path).column("c").combine_chunks()
    width = {pa.time32("ms"): (pa.int32(), 1000), pa.timestamp("ms"): (pa.int64(), 1)}[got.type]
    numbers = column.view(pa.int32() if column.type.bit_width == 32 else pa.int64()).to_pylist()
    assert got.view(width[0]).to_pylist() == [None if number is None else number * width[1] for number in numbers]


@pytest.mark.parametrize("make", [runs, dictionary, lambda text: text])
def test_text_and_id_of_every_layout(tmp_path, make):
    plain = make(pa.array(["one", "two", "three", "four and more than twelve bytes"], pa.string_view()))
    with ipc.new_file(tmp_path / "a.arrow", pa.schema([("text", plain.type), ("id", plain.type)])) as writer:
        writer.write_table(pa.table({"text": plain, "id": plain}))
    file, reader = source(tmp_path / "a.arrow"), input_format("arrow")
    want = Want(id="id", rest=True, batch_bytes=1)
    chunks = [chunk for span in reader.split(file, 1) for chunk in reader.read(file, span, want)]
    texts = [text for chunk in chunks if chunk.batch is not None for text in chunk.batch.text.to_pylist()]
    ids = [text for chunk in chunks if chunk.batch is not None for text in chunk.batch.id.to_pylist()]
    assert texts == ids == [text for text in plain.to_pylist() if text is not None]
    assert sum(len(chunk.bad) for chunk in chunks) == plain.to_pylist().count(None)


@pytest.mark.parametrize("format", ["parquet", "jsonl"])
@pytest.mark.parametrize(
    "array",
    [
        pa.array([(1, 2, 3)], pa.month_day_nano_interval()),
        pa.UnionArray.from_dense(pa.array([0], pa.int8()), pa.array([0], pa.int32()), [pa.array([1])]),
    ],
    ids=["interval", "union"],
)
def test_what_a_format_has_not_is_refused(tmp_path, format, array):
    with pytest.raises((InputError, OutputError), match=r"output: format: arrow"):
        written(tmp_path, pa.table({"text": ["x"], "c": array}), format, 1)
