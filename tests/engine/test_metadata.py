"""Metadata and nullability through whole runs, for all pairs of formats that can hold them."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from corpuscurate import Pipeline, Settings, Sink, Source
from corpuscurate.stages.exact import Exact
from corpuscurate.stages.length import Length

FEATURES = json.dumps({"info": {"features": {"text": {"dtype": "string", "_type": "Value"}}}})
GEOARROW = {"ARROW:extension:name": "geoarrow.wkb", "ARROW:extension:metadata": '{"crs":"EPSG:4326"}'}
ENUM = {"_PL_ENUM_VALUES2": "3;low4;high"}
INNER = pa.struct([pa.field("k", pa.int64(), nullable=False, metadata={"unit": "m"})])
SCHEMA = pa.schema(
    [
        pa.field("text", pa.string(), nullable=False),
        pa.field("shape", pa.binary(), metadata=GEOARROW),
        pa.field("level", pa.dictionary(pa.uint32(), pa.string()), metadata=ENUM),
        pa.field("count", pa.int32(), nullable=False),
        pa.field("inner", INNER, nullable=False),
        pa.field("list", pa.list_(INNER)),
    ],
    metadata={"huggingface": FEATURES, "pandas": json.dumps({"index_columns": [], "columns": []})},
)


def table(part: int) -> pa.Table:
    rows = 6
    columns = [
        pa.array([f"document {part} {row} " + "word " * row for row in range(rows)]),
        pa.array([b"point"] * rows),
        pa.array(["low", "high", None] * 2).dictionary_encode().cast(SCHEMA.field("level").type),
        pa.array(range(rows), pa.int32()),
        pa.array([{"k": row} for row in range(rows)], INNER),
        pa.array([[{"k": row}] if row else None for row in range(rows)], pa.list_(INNER)),
    ]
    return pa.Table.from_arrays(columns, schema=SCHEMA)


def write(path: Path, made: pa.Table) -> None:
    if path.suffix == ".parquet":
        pq.write_table(made, path, row_group_size=4)
        return
    with pa.ipc.new_file(path, made.schema) as writer:
        writer.write_table(made, max_chunksize=4)


def run(tmp_path: Path, read: str, format: str, workers: int = 1) -> tuple[pa.Table, list[str]]:
    out = tmp_path / f"out-{read}-{format}-{workers}"
    source = Source(paths=(f"{tmp_path}/*.{read}",), split_bytes=1)
    stages = (Length(min_words=2, mode="tag"), Exact())
    Pipeline(source, stages, Sink(path=str(out), format=format), Settings(workers=workers)).run()
    warnings = json.loads((out / "report.json").read_text())["warnings"]
    paths = sorted((out / "data").iterdir())
    if format == "jsonl":
        return pa.table({}), warnings
    made = [pq.read_table(path) if format == "parquet" else pa.ipc.open_file(path).read_all() for path in paths]
    return pa.concat_tables(made), warnings


@pytest.mark.parametrize("read", ["parquet", "arrow"])
@pytest.mark.parametrize(("format", "workers"), [("parquet", 1), ("arrow", 1), ("parquet", 2)])
def test_metadata_travels(tmp_path, read, format, workers):
    for part in range(2):
        write(tmp_path / f"{part}.{read}", table(part))
    got, warnings = run(tmp_path, read, format, workers)
    assert warnings == []
    assert got.num_rows == 12
    for field in SCHEMA:
        found = got.schema.field(field.name)
        assert (found.metadata, found.nullable) == (field.metadata, field.nullable)
    assert got.schema.field("inner").type.equals(INNER, check_metadata=True)
    assert got.schema.field("list").type.value_type.equals(INNER, check_metadata=True)
    assert got.schema.metadata == dict(SCHEMA.metadata)
    assert got.select(SCHEMA.names).to_pylist() == pa.concat_tables([table(0), table(1)]).to_pylist()


@pytest.mark.parametrize("read", ["parquet", "arrow"])
@pytest.mark.parametrize("format", ["parquet", "arrow"])
def test_columns_that_a_file_lacks_are_null_there(tmp_path, read, format):
    write(tmp_path / f"0.{read}", table(0))
    write(tmp_path / f"1.{read}", table(1).select(["text"]))
    got, warnings = run(tmp_path, read, format)
    assert warnings == []
    assert [got.schema.field(name).nullable for name in SCHEMA.names] == [False, True, True, True, True, True]
    assert got.select(SCHEMA.names).to_pylist() == [
        *table(0).to_pylist(),
        *({**dict.fromkeys(SCHEMA.names), "text": text} for text in table(1)["text"].to_pylist()),
    ]


def test_one_warning_where_the_output_has_no_place_for_it(tmp_path):
    write(tmp_path / "0.parquet", table(0))
    _, warnings = run(tmp_path, "parquet", "jsonl")
    assert len(warnings) == 1
    assert "JSON lines have no place for it: 'huggingface' of the files" in warnings[0]


def test_one_warning_where_files_disagree(tmp_path):
    write(tmp_path / "0.parquet", table(0))
    write(tmp_path / "1.parquet", table(1).replace_schema_metadata({"huggingface": "other"}))
    got, warnings = run(tmp_path, "parquet", "parquet")
    assert got.schema.metadata is None
    assert len(warnings) == 1
    assert "'huggingface' of the files, 'pandas' of the files" in warnings[0]


@pytest.mark.parametrize("format", ["parquet", "arrow", "jsonl"])
def test_nulls_in_columns_that_say_they_have_none(tmp_path, format):
    """Arrow's writers do not look."""
    keys = pa.array([1, None], pa.int64())
    kinds = {
        "plain": keys,
        "struct": pa.StructArray.from_arrays([keys], fields=[pa.field("k", pa.int64(), nullable=False)]),
        "list": pa.ListArray.from_arrays(
            pa.array([0, 1, 2], pa.int32()), keys, type=pa.list_(pa.field("item", pa.int64(), nullable=False))
        ),
        "map": pa.MapArray.from_arrays([0, 1, 2], pa.array(["a", "b"]), keys),
        "last": pa.array([1, 2]),
    }
    schema = pa.schema(
        [pa.field("text", pa.string(), nullable=False)]
        + [pa.field(name, column.type, nullable=False) for name, column in kinds.items()]
    )
    write(tmp_path / "0.arrow", pa.Table.from_arrays([pa.array(["one a", "two b"]), *kinds.values()], schema=schema))
    got, warnings = run(tmp_path, "arrow", format)
    assert warnings == []
    if format != "jsonl":
        for name, column in kinds.items():
            assert got[name].to_pylist() == column.to_pylist()
        nullable = [got.schema.field(name).nullable for name in schema.names]
        assert nullable == [False, True, False, False, False, False]
        assert got.schema.field("struct").type.field("k").nullable
