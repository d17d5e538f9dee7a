"""Ids of every type: one type a run, spelled alike in data/, dropped/ and `explain`; changed columns are told."""

from __future__ import annotations

import json
import uuid
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from corpuscurate import Pipeline, Settings, Sink, Source
from corpuscurate.core.errors import InputError
from corpuscurate.stages.exact import Exact
from corpuscurate.tools.explain import explain

TEXTS = ["one text", "one text", "another"]
UUIDS = [uuid.UUID(int=(1 << 127) + number) for number in range(3)]
BYTES = [b"\x00\xff", b"", b"id"]
IDS = {
    "string": (pa.array(["a", "b", "c"]), ["a", "b", "c"]),
    "dictionary": (pa.array(["a", "b", "c"]).dictionary_encode(), ["a", "b", "c"]),
    "int64": (pa.array([5, -6, 7]), [5, -6, 7]),
    "uint64": (pa.array([2**64 - 1, 2**64 - 2, 0], pa.uint64()), [2**64 - 1, 2**64 - 2, 0]),
    "double": (pa.array([0.5, 1e300, -2.0]), ["0.5", "1e+300", "-2"]),
    "decimal": (pa.array([Decimal(10**30), Decimal(2), Decimal(3)], pa.decimal128(38, 0)), [str(10**30), "2", "3"]),
    "uuid": (pa.array([u.bytes for u in UUIDS], pa.uuid()), [str(u) for u in UUIDS]),
    "fixed": (pa.array([u.bytes for u in UUIDS], pa.binary(16)), [u.hex for u in UUIDS]),
    "binary": (pa.array(BYTES, pa.binary()), [b.hex() for b in BYTES]),
    "large binary": (pa.array(BYTES, pa.large_binary()), [b.hex() for b in BYTES]),
    "binary view": (pa.array(BYTES, pa.binary_view()), [b.hex() for b in BYTES]),
}


def run(folder: Path, *paths: str, format: str = "parquet") -> dict:
    source = Source(paths=paths or ("*.*",), id="id")
    return Pipeline(source, (Exact(),), Sink(path="out", format=format), Settings(workers=1), folder).run()


def dropped(folder: Path) -> list[tuple]:
    table = pq.read_table(folder / "out" / "dropped")
    return [(row["id"], row["duplicate_of"]) for row in table.to_pylist()]


@pytest.mark.parametrize("name", IDS)
def test_every_type_is_an_id_and_comes_back_as_it_was(tmp_path, name):
    column, told = IDS[name]
    schema = pa.schema([("id", column.type), ("text", pa.string())])
    with pa.ipc.new_file(tmp_path / "a.arrow", schema) as writer:
        writer.write_table(pa.Table.from_arrays([column, pa.array(TEXTS)], schema=schema))
    report = run(tmp_path, format="arrow")
    assert dropped(tmp_path) == [(told[1], told[0])]
    (path,) = (tmp_path / "out" / "data").iterdir()
    kept = pa.ipc.open_file(path).read_all()["id"]
    assert kept.to_pylist() == [column[0].as_py(), column[2].as_py()]
    assert report["warnings"] == []
    assert explain(tmp_path / "out", str(told[1]))["ends_at"]["id"] == told[0]
    assert explain(tmp_path / "out", str(told[0]))["fate"] == "kept"
    with pytest.raises(InputError, match="neither in dropped/ nor in data/"):
        explain(tmp_path / "out", "no such id")


def lines(path: Path, *ids: object) -> None:
    path.write_text("".join(json.dumps({"id": id, "text": text}) + "\n" for id, text in zip(ids, TEXTS, strict=True)))


@pytest.mark.parametrize("format", ["parquet", "arrow"])
def test_ids_of_several_kinds_are_text_without_quotes(tmp_path, format):
    lines(tmp_path / "a.jsonl", "a", 'b"', 12345678901234567890123)
    report = run(tmp_path, format=format)
    assert dropped(tmp_path) == [('b"', "a")]
    (path,) = (tmp_path / "out" / "data").iterdir()
    kept = pq.read_table(path) if format == "parquet" else pa.ipc.open_file(path).read_all()
    assert kept["id"].to_pylist() == ["a", "12345678901234567890123"]
    assert kept.schema.field("id").metadata is None
    assert report["warnings"] == ["the column 'id' is written as text: values of different kinds: string, integer"]
    assert explain(tmp_path / "out", 'b"')["ends_at"]["id"] == "a"
    assert explain(tmp_path / "out", "12345678901234567890123")["fate"] == "kept"


def test_integers_and_floats_of_two_files_are_text_that_is_told(tmp_path):
    pq.write_table(pa.table({"id": [1, 2, 2**53 + 1], "text": TEXTS}), tmp_path / "a.parquet")
    pq.write_table(pa.table({"id": [0.5], "text": ["one text"]}), tmp_path / "b.parquet")
    report = run(tmp_path)
    assert dropped(tmp_path) == [("2", "1"), ("0.5", "1")]
    assert pq.read_table(tmp_path / "out" / "data")["id"].to_pylist() == ["1", str(2**53 + 1)]
    (warning,) = report["warnings"]
    assert warning == "the column 'id' is written as text: values of different types: int64, double"


def test_a_wider_type_that_loses_nothing_is_told(tmp_path):
    for name, kind in (("a", pa.int16()), ("b", pa.int64())):
        schema = pa.schema([("id", kind), ("text", pa.string()), ("n", kind)])
        pq.write_table(pa.table([[1], [name], [2]], schema=schema), tmp_path / f"{name}.parquet")
    report = run(tmp_path)
    told = "is written as int64: it is int16, int64 in the input"
    assert report["warnings"] == [f"the column 'id' {told}", f"the column 'n' {told}"]
    assert pq.read_table(tmp_path / "out" / "data").schema.field("id").type == pa.int64()


def test_documents_without_an_id_are_counted_and_told(tmp_path):
    lines(tmp_path / "a.jsonl", None, "b", None)
    (tmp_path / "b.jsonl").write_text('{"text": "more"}\n')
    report = run(tmp_path)
    assert report["documents_without_id"] == 3
    assert report["warnings"][-1:] == ["3 of 4 documents have no id: it is null or missing in the column 'id'"]
    lines(tmp_path / "a.jsonl", "a", "b", "c")
    (tmp_path / "b.jsonl").unlink()
    assert (
        Pipeline(Source(paths=("*.jsonl",), id="id"), (), Sink(path="out2"), Settings(workers=1), tmp_path).run()[
            "documents_without_id"
        ]
        == 0
    )
