"""Columns of nested and unusual types through whole runs: the same bytes for any number of workers, types as read."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from support.engine import digests

from corpuscurate import Pipeline, Settings, Sink, Source
from corpuscurate.stages.exact import Exact

ENTRY = pa.field("entry", pa.float32(), nullable=False, metadata={"unit": "m"})
KINDS = {
    "fixed": pa.list_(ENTRY, 2),
    "list": pa.list_(ENTRY),
    "large": pa.large_list(ENTRY),
    "struct": pa.struct([ENTRY, pa.field("of", pa.list_(pa.field("entry", pa.list_(ENTRY, 1), nullable=False)))]),
    "map": pa.map_(
        pa.field("key", pa.string(), nullable=False), pa.field("value", pa.list_(ENTRY, 1)), keys_sorted=True
    ),
    "ordered": pa.dictionary(pa.int32(), pa.string(), ordered=True),
    "zoned": pa.timestamp("us", "Europe/Berlin"),
    "uuid": pa.uuid(),
    "tensor": pa.fixed_shape_tensor(pa.float32(), [2]),
    "decimal": pa.decimal128(20, 3),
}
VALUES = {
    "fixed": [1.0, 2.0],
    "list": [1.0],
    "large": [],
    "struct": {"entry": 3.0, "of": [[4.0]]},
    "map": [("a", [1.0]), ("b", [2.0])],
    "ordered": "low",
    "zoned": 1_700_000_000_000_000,
    "uuid": bytes(range(16)),
    "tensor": [1.0, 2.0],
    "decimal": None,
}


def column(name: str, rows: int) -> pa.Array:
    kind = KINDS[name]
    values = [VALUES[name]] * rows
    if isinstance(kind, pa.BaseExtensionType):
        return pa.ExtensionArray.from_storage(kind, pa.array(values, kind.storage_type))
    return pa.array(values, kind)


def write(path: Path, part: int, input_format: str) -> None:
    columns = {"text": pa.array([f"text {part} {row}" for row in range(20)])}
    columns |= {name: column(name, 20) for name in KINDS}
    schema = pa.schema([pa.field(name, made.type) for name, made in columns.items()], {"writer": "test"})
    table = pa.Table.from_arrays(list(columns.values()), schema=schema)
    if input_format == "parquet":
        pq.write_table(table, path.with_suffix(".parquet"))
    else:
        with pa.ipc.new_file(path.with_suffix(".arrow"), schema) as writer:
            writer.write_table(table)


def schema_of(folder: Path, format: str) -> pa.Schema:
    path = next((folder / "data").iterdir())
    return pq.read_schema(path) if format == "parquet" else pa.ipc.open_file(path).schema


def is_same(found: pa.DataType, kind: pa.DataType) -> bool:
    if not pa.types.is_map(kind):
        return found.equals(kind, check_metadata=True) and str(found) == str(kind)
    parts = zip((found.key_field, found.item_field), (kind.key_field, kind.item_field), strict=True)
    # Parquet has its own name for a map's entries
    return found.keys_sorted == kind.keys_sorted and all(a.equals(b, check_metadata=True) for a, b in parts)


@pytest.mark.parametrize("format", ["parquet", "arrow"])
@pytest.mark.parametrize("read", ["parquet", "arrow"])
def test_any_number_of_workers_writes_the_same_bytes_and_the_types_as_read(tmp_path, read, format):
    for part in range(2):
        write(tmp_path / f"part-{part}", part, read)
    found = {}
    for workers in (1, 2):
        out = tmp_path / f"out{workers}"
        source = Source(paths=(f"{tmp_path}/*.{read}",), split_bytes=1)
        Pipeline(source, (Exact(),), Sink(path=str(out), format=format), Settings(workers=workers)).run()
        found[workers] = digests(out)
        schema = schema_of(out, format)
        for name, kind in KINDS.items():
            assert is_same(schema.field(name).type, kind), name
    assert found[1] == found[2]
