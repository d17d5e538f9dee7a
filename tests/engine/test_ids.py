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
    assert report["warnings"] == [
        "the column 'id' is written as text: values of different kinds: string, integer "
        "(JSON string in a.jsonl, JSON integer in a.jsonl)"
    ]
    assert explain(tmp_path / "out", 'b"')["ends_at"]["id"] == "a"
    assert explain(tmp_path / "out", "12345678901234567890123")["fate"] == "kept"


def test_integers_and_floats_of_two_files_are_text_that_is_told(tmp_path):
    pq.write_table(pa.table({"id": [1, 2, 2**53 + 1], "text": TEXTS}), tmp_path / "a.parquet")
    pq.write_table(pa.table({"id": [0.5], "text": ["one text"]}), tmp_path / "b.parquet")
    report = run(tmp_path)
    assert dropped(tmp_path) == [("2", "1"), ("0.5", "1")]
    assert pq.read_table(tmp_path / "out" / "data")["id"].to_pylist() == ["1", str(2**53 + 1)]
    (warning,) = report["warnings"]
    assert warning == (
        "the column 'id' is written as text: values of different types: int64, double "
        "(int64 in a.parquet, double in b.parquet)"
    )


def test_a_wider_type_that_loses_nothing_is_told(tmp_path):
    for id, (name, kind) in enumerate((("a", pa.int16()), ("b", pa.int64()))):
        schema = pa.schema([("id", kind), ("text", pa.string()), ("n", kind)])
        pq.write_table(pa.table([[id], [name], [2]], schema=schema), tmp_path / f"{name}.parquet")
    report = run(tmp_path)
    told = "is written as int64: it is int16 in a.parquet, int64 in b.parquet"
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


LINES = ("jsonl", "jsonl.zst")
MIXED = "values of different kinds: string, integer"


def id_types(folder: Path) -> list[pa.DataType]:
    schema = pq.read_schema(next((folder / "out" / "dropped").iterdir()))
    return [schema.field(name).type for name in ("id", "duplicate_of", "matched")]


@pytest.mark.parametrize("format", ["parquet", "arrow", *LINES])
@pytest.mark.parametrize(
    ("ids", "kind", "told", "why"),
    [
        ((5, -6, 7), pa.int64(), [(-6, 5)], None),
        ((2**64 - 1, 2**63, 0), pa.uint64(), [(2**63, 2**64 - 1)], None),
        (("5", "6", "7"), pa.large_string(), [("6", "5")], None),
        ((2**64, 1, 2), pa.large_string(), [("1", str(2**64))], "integers beyond 64 bits"),
        ((-1, 2**63, 2), pa.large_string(), [(str(2**63), "-1")], "integers beyond 64 bits"),
        ((1, 2.5, 3), pa.large_string(), [("2.5", "1")], "values of different kinds: integer, float"),
        ((1.5, 2.0, 3.0), pa.large_string(), [("2.0", "1.5")], "numbers with a fraction or an exponent"),
        (("a", 2, 3), pa.large_string(), [("2", "a")], MIXED),
        ((True, False, None), pa.large_string(), [("false", "true")], None),
        (([1], [2], [3]), pa.large_string(), [("[2]", "[1]")], "ids that are lists"),
        ((None, None, None), pa.large_string(), [(None, None)], None),
    ],
)
@pytest.mark.campaign(2)
def test_dropped_has_the_id_type_of_the_run_in_every_format(tmp_path, format, ids, kind, told, why):
    lines(tmp_path / "a.jsonl", *ids)
    report = run(tmp_path, format=format)
    assert id_types(tmp_path) == [kind] * 3
    assert dropped(tmp_path) == told
    changes = [text.split(" (JSON ")[0] for text in report["warnings"] if "documents have" not in text]
    form = "text in dropped/" if format in LINES else "written as text"
    assert changes == ([] if why is None else [f"the column 'id' is {form}: {why}"])
    if told[0][0] is not None:
        assert explain(tmp_path / "out", str(told[0][0]))["ends_at"]["id"] == told[0][1]
        assert explain(tmp_path / "out", str(told[0][1]))["ends_at"] == {"id": told[0][1], "doc_id": 0}


@pytest.mark.parametrize("format", ["parquet", "jsonl"])
def test_the_other_spelling_of_zero_is_the_same_integer(tmp_path, format):
    (tmp_path / "a.jsonl").write_text(
        '{"id": -0, "text": "t"}\n{"id": 18446744073709551615, "text": "u"}\n{"id": 0, "text": "t"}\n'
    )
    report = run(tmp_path, format=format)
    assert id_types(tmp_path) == [pa.uint64()] * 3
    assert dropped(tmp_path) == [(0, 0)]
    assert report["duplicate_ids"]["documents"] == 1
    (told,) = report["duplicate_ids"]["first"]
    found = explain(tmp_path / "out", "0")
    assert [row["doc_id"] for row in found["chain"]] == [told["doc_id"]]
    assert [other["ends_at"] for other in found["others"]] == [{"id": 0, "doc_id": 0}]


def test_mixed_ids_in_json_lines_are_told_and_the_lines_stay(tmp_path):
    lines(tmp_path / "a.jsonl", 1, 2, 3)
    lines(tmp_path / "b.jsonl", "x", "y", "1")
    before = (tmp_path / "b.jsonl").read_bytes()
    source, sink = Source(paths=("*.jsonl",), id="id"), Sink(path="out", format="jsonl")
    report = Pipeline(source, (), sink, Settings(workers=1), tmp_path).run()
    doc_id = (1 << 40) + before.index(before.splitlines()[2])
    assert report["warnings"] == [
        "the column 'id' is text in dropped/: values of different kinds: string, integer "
        "(JSON integer in a.jsonl, JSON string in b.jsonl)",
        f"1 of 6 documents have the id of an earlier document in the column 'id', first '1' (b.jsonl, doc_id {doc_id})",
    ]
    written = b"".join(path.read_bytes() for path in sorted((tmp_path / "out" / "data").iterdir()))
    assert written == (tmp_path / "a.jsonl").read_bytes() + before


def test_ids_compared_with_an_earlier_run_are_text(tmp_path):
    lines(tmp_path / "a.jsonl", 1, 2, 3)
    source = Source(paths=("a.jsonl",), id="id")
    Pipeline(source, (Exact(),), Sink(path="first"), Settings(workers=1), tmp_path).run()
    later = Exact(index=(str(tmp_path / "first"),))
    report = Pipeline(source, (later,), Sink(path="out", format="jsonl"), Settings(workers=1), tmp_path).run()
    assert id_types(tmp_path) == [pa.large_string()] * 3
    assert report["warnings"] == []
