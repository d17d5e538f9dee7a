"""`check` sees what `run` would meet: bad records, ids, columns the output cannot hold, the output folder."""

from __future__ import annotations

import os
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from corpuscurate import Pipeline, Settings, Sink, Source
from corpuscurate.core.errors import BadInputError, InputError, OutputError
from corpuscurate.engine import check, prefix
from corpuscurate.engine.check import check_run, check_spec
from corpuscurate.io import column_types


def pipeline(folder: Path, *, format="parquet", out="out", stages=(), **source) -> Pipeline:
    given = Source(**{"paths": ("*.*",), **source})
    return Pipeline(given, stages, Sink(path=out, format=format), Settings(workers=1, runner="inprocess"), folder)


def lines(path: Path, *records) -> None:
    path.write_bytes(b"".join(r if isinstance(r, bytes) else orjson.dumps(r) + b"\n" for r in records))


BAD = (b'{"text": "bad key", "\\ud83d": 1}\n', b'{"text": null}\n', b"{\n", b'{"text": "\xff"}\n')


@pytest.mark.parametrize("format", ["parquet", "jsonl"])
def test_bad_records_are_seen_by_the_runs_own_reader(tmp_path, format):
    lines(tmp_path / "a.jsonl", *({"text": f"t {n}"} for n in range(9)), *BAD, {"text": "last"})
    spec = pipeline(tmp_path, format=format)
    assert check_run(spec) == [
        "a.jsonl: 4 of the first 14 records will be quarantined (lone_surrogate 1, null_text 1, broken_json 1,"
        " invalid_utf8 1)"
    ]
    assert check_spec(spec) == [], "a run counts them itself"
    assert spec.run()["quarantined_by_reason"] == {
        **dict.fromkeys(("broken_json", "invalid_utf8", "lone_surrogate", "null_text"), 1)
    }


def test_on_bad_input_fail(tmp_path):
    lines(tmp_path / "a.jsonl", {"text": "a"}, BAD[1])
    with pytest.raises(BadInputError, match=r"a\.jsonl, position 13: null_text"):
        check_run(pipeline(tmp_path, on_bad_input="fail"))


def test_files_that_are_not_what_their_names_say(tmp_path):
    for name in ("b.jsonl.gz", "c.parquet", "d.arrow", "e.jsonl.zst"):
        lines(tmp_path / name, {"text": "a"})
    lines(tmp_path / "a.jsonl", {"text": "a"})
    told = check_run(pipeline(tmp_path))
    assert sorted(text.split(" ")[0] for text in told) == ["b.jsonl.gz", "c.parquet", "d.arrow", "e.jsonl.zst"]
    assert all("cannot be read" in text for text in told)


def test_of_many_files_some_are_named(tmp_path, monkeypatch):
    for number in range(8):
        lines(tmp_path / f"{number}.jsonl", {"text": "a"}, BAD[2])
    told = check_run(pipeline(tmp_path))
    assert len(told) == 6
    assert told[-1] == "3 more files begin with records that cannot be read"
    monkeypatch.setattr(prefix, "FILES", 2)
    assert [text.split(":")[0] for text in check_run(pipeline(tmp_path))] == ["0.jsonl", "4.jsonl"]


def test_ids_that_are_missing_or_stand_twice(tmp_path):
    lines(tmp_path / "a.jsonl", {"id": "x", "text": "a"}, {"text": "b"}, {"id": "y", "text": "c"})
    lines(tmp_path / "b.jsonl", {"id": "x", "text": "d"})
    assert check_run(pipeline(tmp_path, id="id")) == [
        "input.id: 1 of the first 4 documents have no id ('id')",
        "input.id: 1 ids of the first 4 documents stand more than once: 'x'. Reports and dropped/ cannot tell such "
        "documents apart by it.",
    ]


TENSOR = pa.FixedShapeTensorArray.from_numpy_ndarray(np.arange(8, dtype=np.float32).reshape(2, 2, 2))
COLUMNS = {
    "tensor": TENSOR,
    "interval": pa.array([(1, 2, 3)] * 2, pa.month_day_nano_interval()),
    "nothing": pa.array([{}] * 2, pa.struct([])),
    "runs": pa.RunEndEncodedArray.from_arrays([1, 2], ["a", "b"]),
    "nested": pa.array([[(1, 2, 3)]] * 2, pa.list_(pa.month_day_nano_interval())),
    "union": pa.UnionArray.from_sparse(pa.array([0, 0], pa.int8()), [pa.array([1, 2])]),
    "map": pa.array([[("a", 1)]] * 2, pa.map_(pa.string(), pa.int64())),
    "duration": pa.array([1, 2], pa.duration("ns")),
    "half": pa.array(np.array([1, 2], np.float16)),
    "decimal": pa.array([1, 2], pa.decimal256(50, 2)),
    "bytes": pa.array([b"\xff", None]),
}


@pytest.mark.parametrize("name", COLUMNS)
@pytest.mark.parametrize("format", ["parquet", "arrow", "jsonl"])
def test_what_check_lets_through_a_run_writes(tmp_path, name, format):
    table = pa.table({"text": ["document one", "document two"], "c": COLUMNS[name]})
    with pa.ipc.new_file(tmp_path / "a.arrow", table.schema) as writer:
        writer.write_table(table)
    spec = pipeline(tmp_path, format=format, paths=("a.arrow",))
    try:
        check_spec(spec)
    except InputError as error:
        assert str(error).startswith("output.format: the column 'c' of a.arrow, of type ")
        with pytest.raises(InputError, match=re.escape(str(error))):
            spec.run()
        assert not (tmp_path / "out").exists(), "nothing was measured"
        assert (name, format) in {
            *((each, "parquet") for each in ("interval", "nested", "union", "nothing", "runs")),
            *((each, "jsonl") for each in ("interval", "nested", "union")),
            *((each, "arrow") for each in ("union",)),
        }
    else:
        assert spec.run()["documents"]["kept"] == 2
        if name == "tensor" and format != "jsonl":
            (part,) = (tmp_path / "out" / "data").iterdir()
            read = pq.read_table(part) if format == "parquet" else pa.ipc.open_file(part).read_all()
            assert [chunk.to_numpy_ndarray().tolist() for chunk in read["c"].chunks] == [
                TENSOR.to_numpy_ndarray().tolist()
            ]


def test_the_output_folder(tmp_path):
    lines(tmp_path / "a.jsonl", {"text": "a"})
    spec = pipeline(tmp_path, paths=("a.jsonl",))
    spec.run()
    assert check_run(spec) == [f"{tmp_path / 'out'} already holds this very run, finished: a run has nothing to do"]
    (told,) = check_run(replace(spec, sink=Sink(path="out", format="jsonl")))
    assert "holds a finished run of another recipe or other input" in told
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "x").write_text("x")
    with pytest.raises(OutputError, match="is not empty and holds no corpuscurate run"):
        check_run(replace(spec, sink=Sink(path="mine")))
    with pytest.raises(OutputError, match=r"lies below .*/x, which is a file"):
        check_run(replace(spec, sink=Sink(path="mine/x/y")))


def test_an_output_folder_that_cannot_be_written_to(tmp_path, monkeypatch):
    lines(tmp_path / "a.jsonl", {"text": "a"})
    monkeypatch.setattr(os, "access", lambda path, mode: mode == os.R_OK)
    for verb in (check_run, check_spec, Pipeline.run):
        with pytest.raises(OutputError, match="cannot be written: nothing may be created in"):
            verb(pipeline(tmp_path, out="new/out"))


def test_a_disk_that_is_too_small(tmp_path, monkeypatch):
    lines(tmp_path / "a.jsonl", {"text": "a" * 100})
    monkeypatch.setattr(check, "free_bytes", lambda path: 10)
    (told,) = check_run(pipeline(tmp_path))
    assert told.startswith(f"the disk of {tmp_path / 'out'} has 10 bytes free, and the run may need ")


def keys(path: Path, first: int, count: int) -> None:
    lines(path, *({"text": "a", f"key{number}": 1} for number in range(first, first + count)))


def test_more_fields_than_a_columnar_output_may_have(tmp_path, monkeypatch):
    monkeypatch.setattr(column_types, "MAX_COLUMNS", 10)
    keys(tmp_path / "a.jsonl", 0, 9)
    assert pipeline(tmp_path).run()["documents"]["kept"] == 9
    keys(tmp_path / "b.jsonl", 9, 1)
    said = r"the records have 11 different fields, such as 'key7', 'key8', 'key9', and a columnar output has a column"
    with pytest.raises(InputError, match=said):
        check_spec(pipeline(tmp_path))
    assert check_spec(pipeline(tmp_path, format="jsonl")) == []
    assert pipeline(tmp_path, format="jsonl", out="lines").run()["documents"]["kept"] == 10


def test_more_fields_far_behind_the_sample(tmp_path, monkeypatch):
    monkeypatch.setattr(column_types, "MAX_COLUMNS", 10)
    lines(tmp_path / "a.jsonl", *({"text": "x" * 1000} for _ in range(1100)))
    with (tmp_path / "a.jsonl").open("ab") as file:
        file.writelines(orjson.dumps({"text": "a", f"key{number}": 1}) + b"\n" for number in range(10))
    size = (tmp_path / "a.jsonl").stat().st_size
    with pytest.raises(InputError, match=r"the records of a\.jsonl have 11 different fields"):
        pipeline(tmp_path).run()
    with pytest.raises(InputError, match=r"the records have 11 different fields"):  # in several splits
        pipeline(tmp_path, split_bytes=size - 110, out="split").run()
    assert not (tmp_path / "split" / "_run" / "write").exists()
