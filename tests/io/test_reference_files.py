"""Files that other programs' tests carry, and files that other programs write: all rows, as Arrow itself reads them."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyarrow import feather
from support.io import batches, source

from corpuscurate.io.base import OutputShape, Want, input_format, open_writer
from corpuscurate.io.column_types import merge, unify_types
from corpuscurate.io.columnar import is_string

PACKAGES = ("pyarrow", "polars", "duckdb", "fastparquet")
SUFFIXES = (".parquet", ".parq", ".arrow", ".arrows", ".feather", ".ipc")


def carried(package: str) -> list[Path]:
    found = importlib.util.find_spec(package)
    folders = [] if found is None else [Path(folder) for folder in found.submodule_search_locations or ()]
    return sorted(path for folder in folders for path in folder.rglob("*") if path.suffix in SUFFIXES)


FILES = [
    *(pytest.param(path, id=f"{package}-{path.name}") for package in PACKAGES for path in carried(package)),
    *(
        pytest.param(None, id=f"{package}-none", marks=pytest.mark.skip(f"{package} carries no test files here"))
        for package in PACKAGES
        if not carried(package)
    ),
]


def check(path: Path, expected: pa.Table, tmp_path: Path) -> None:
    """All rows and columns, read and written, are those that Arrow reads."""
    format = "parquet" if path.suffix in (".parquet", ".parq") else "arrow"
    file = source(path, format)
    text = next((field.name for field in expected.schema if is_string(field.type)), None)
    if text is None:
        pytest.skip(f"{path.name} has no column of text")
    rows = [index for index, value in enumerate(expected[text].to_pylist()) if value is not None]
    expected = expected.take(rows)
    others = [name for name in expected.column_names if name != text]
    want = Want(text=text, columns=tuple(others), rest=True, column_types=True, batch_bytes=1000)
    reader = input_format(format)
    chunks = [chunk for span in reader.split(file, 1) for chunk in reader.read(file, span, want)]
    assert {bad.reason for chunk in chunks for bad in chunk.bad} <= {"null_text"}
    found = [batch for batch, _ in batches(file, want, 1) if batch is not None]
    assert [value for batch in found for value in batch.text.to_pylist()] == expected[text].to_pylist()
    for name in others:
        values = [value for batch in found for value in batch.columns[name].to_pylist()]
        assert values == expected[name].to_pylist(), name
    schema, conflicts = unify_types(merge(chunk.column_types for chunk in chunks if chunk.column_types is not None))
    assert conflicts == {}
    for output in ("parquet", "arrow", "jsonl"):
        out = tmp_path / f"out.{output}"
        writer = open_writer(out, OutputShape(output, schema, text, None, {}, 1 << 20))
        for batch in found:
            writer.write(batch)
        writer.close()
        if output == "jsonl":
            assert out.read_bytes().count(b"\n") == len(rows)
            continue
        got = pq.read_table(out) if output == "parquet" else pa.ipc.open_file(out).read_all()
        assert got.to_pylist() == expected.to_pylist()


@pytest.mark.parametrize("path", FILES)
def test_files_that_packages_carry(path, tmp_path):
    is_parquet = path.suffix in (".parquet", ".parq")
    check(path, pq.ParquetFile(path).read() if is_parquet else feather.read_table(path), tmp_path)


def test_files_of_polars(tmp_path):
    polars = pytest.importorskip("polars")
    frame = polars.DataFrame(
        {
            "text": ["a", "b", None, "d"],
            "when": polars.Series([1, None, 3, 4]).cast(polars.Datetime("us", "UTC")),
            "time": polars.Series([1, None, 3, 4]).cast(polars.Time),
            "long": polars.Series([1, None, 3, 4]).cast(polars.Duration("ms")),
            "date": polars.Series([1, None, 3, 4]).cast(polars.Date),
            "level": polars.Series(["x", None, "y", "x"], dtype=polars.Enum(["x", "y"])),
            "kind": polars.Series(["x", None, "y", "x"], dtype=polars.Categorical),
            "price": polars.Series(["1.50", None, "2.25", "0"]).cast(polars.Decimal(10, 2)),
            "list": [["x"], None, [], [None]],
            "array": polars.Series([[1, 2], None, [3, 4], [5, 6]], dtype=polars.Array(polars.Int8, 2)),
            "struct": [{"a": 1, "b": ["x"]}, None, {"a": None, "b": None}, {"a": 2, "b": []}],
            "bytes": [b"x", None, b"\xff", b""],
            "null": [None] * 4,
        }
    )
    frame.write_parquet(tmp_path / "a.parquet", row_group_size=2)
    check(tmp_path / "a.parquet", pq.ParquetFile(tmp_path / "a.parquet").read(), tmp_path)
    for compression in ("uncompressed", "zstd"):
        frame.write_ipc(tmp_path / "a.arrow", compression=compression, record_batch_size=2)
        expected = pa.ipc.open_file(tmp_path / "a.arrow").read_all()
        plain = frame.to_arrow(compat_level=polars.CompatLevel.oldest())
        assert expected.to_pylist() == plain.to_pylist()
        check(tmp_path / "a.arrow", plain, tmp_path)
    frame.write_ipc_stream(tmp_path / "b.arrow")
    check(tmp_path / "b.arrow", frame.to_arrow(compat_level=polars.CompatLevel.oldest()), tmp_path)


def test_files_of_duckdb(tmp_path):
    duckdb = pytest.importorskip("duckdb")
    path = tmp_path / "a.parquet"
    duckdb.sql(
        f"""
        COPY (
            SELECT 'text ' || i AS text, i::HUGEINT AS huge, i::UTINYINT AS tiny, (i / 3)::DECIMAL(18, 4) AS price,
                TIMESTAMP '2020-01-01' + INTERVAL (i) SECOND AS at, TIMESTAMPTZ '2020-01-01 00:00:00+00' AS zoned,
                (TIMESTAMP '9999-12-31')::TIMESTAMP_S AS far,
                DATE '2020-01-01' + i::INT AS day, TIME '01:02:03' AS clock,
                [i, NULL] AS list, {{'a': i, 'b': ['x']}} AS struct, MAP {{'k': i}} AS map,
                'x'::ENUM ('x', 'y') AS level,
                'abc'::BLOB AS bytes, i % 2 = 0 AS flag, i::FLOAT AS real, NULL::INT AS empty
            FROM range(7) t(i)
        ) TO '{path}' (FORMAT parquet, ROW_GROUP_SIZE 3)
        """  # noqa: S608 -- a path of the test
    )
    check(path, pq.ParquetFile(path).read(), tmp_path)
