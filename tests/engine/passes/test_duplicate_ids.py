"""Documents that have the id of an earlier one are counted exactly, whatever ids, files, workers and memory."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from naive.duplicate_ids import duplicate_ids
from support.engine import digests
from support.forms import some

from corpuscurate import Pipeline, Settings, Sink, Source
from corpuscurate.core.artefact import Artefact
from corpuscurate.core.digests import digest_file
from corpuscurate.core.run_folder import DUPLICATE_IDS, STATE
from corpuscurate.core.tables import write_table
from corpuscurate.engine.documents import DOCS_SCHEMA
from corpuscurate.engine.passes import duplicate_ids as module
from corpuscurate.engine.passes.duplicate_ids import SHOWN, SpreadIds
from corpuscurate.engine.run import run_spec
from corpuscurate.engine.runners import InProcessRunner
from corpuscurate.engine.task import Task, perform

NOTHING = {"documents": 0, "first": []}
TEXT = pa.large_string()


def pipeline(folder: Path, out: str = "out", *, format: str = "parquet", **settings: Any) -> Pipeline:
    source = Source(paths=("in/*",), id="id", split_bytes=1_000)
    return Pipeline(source, (), Sink(path=out, format=format), Settings(**{"workers": 1, **settings}), folder)


def write_lines(path: Path, ids: Sequence[Any]) -> list[tuple[int, Any]]:
    """A file of JSON lines; (position, id) of its documents."""
    path.parent.mkdir(exist_ok=True)
    placed, at = [], 0
    with path.open("wb") as file:
        for id in ids:
            placed.append((at, id))
            at += file.write(json.dumps({"id": id, "text": "t"}).encode() + b"\n")
    return placed


def write_column(path: Path, column: pa.Array) -> list[tuple[int, Any]]:
    """A Parquet file; (row, id) of its documents."""
    path.parent.mkdir(exist_ok=True)
    pq.write_table(pa.table({"id": column, "text": ["t"] * len(column)}), path, row_group_size=3)
    return list(enumerate(column.to_pylist()))


def in_files(*files: Sequence[tuple[int, Any]]) -> list[tuple[int, Any]]:
    """The documents of files in order, with doc_ids."""
    return [(number << 40 | position, id) for number, file in enumerate(files) for position, id in file]


def told(report: dict[str, Any]) -> tuple[int, list[tuple[int, Any]]]:
    found = report["duplicate_ids"]
    return found["documents"], [(each["doc_id"], each["id"]) for each in found["first"]]


def wanted(documents: Sequence[tuple[int, Any]]) -> tuple[int, list[tuple[int, Any]]]:
    found = duplicate_ids(documents)
    return len(found), found[:SHOWN]


UUIDS = [uuid.UUID(int=(1 << 127) + number).bytes for number in (1, 2, 1)]
TYPES = {
    "int32": (pa.array([1, -2, 1], pa.int32()), int),
    "int64": (pa.array([2**53 + 1, 2**53, 2**53 + 1]), int),
    "uint64": (pa.array([2**64 - 1, 2**64 - 2, 2**64 - 1], pa.uint64()), int),
    "decimal": (pa.array([Decimal(10**30), Decimal(10**30 + 1), Decimal(10**30)], pa.decimal128(38, 0)), str),
    "double": (pa.array([0.5, 1.5, 0.5]), str),
    "uuid": (pa.array(UUIDS, pa.uuid()), str),
    "fixed": (pa.array(UUIDS, pa.binary(16)), bytes.hex),
    "binary": (pa.array([b"\xff", b"", b"\xff"]), bytes.hex),
    "string": (pa.array(["a", "A", "a"]), str),
    "dictionary": (pa.array(["a", "", "a"]).dictionary_encode(), str),
    "null": (pa.nulls(3), str),
}


@pytest.mark.parametrize("format", ["parquet", "jsonl"])
@pytest.mark.parametrize("name", TYPES)
@pytest.mark.campaign(2)
def test_ids_of_every_type_within_and_across_files(tmp_path, name, format):
    column, spelled = TYPES[name]
    files = [write_column(tmp_path / "in" / f"{file}.parquet", column) for file in "ab"]
    documents = [(doc_id, None if id is None else spelled(id)) for doc_id, id in in_files(*files)]
    report = pipeline(tmp_path, format=format).run()
    assert told(report) == wanted(documents)
    assert report["duplicate_ids"]["documents"] == (0 if name == "null" else 4)
    for each in report["duplicate_ids"]["first"]:
        assert each["file"] == f"in/{'ab'[each['doc_id'] >> 40]}.parquet"
        assert each["position"] == each["doc_id"] & ((1 << 40) - 1)


def test_what_is_compared_is_the_id_as_it_is_written(tmp_path):
    files = [
        write_column(tmp_path / "in" / "a.parquet", pa.array([1, 2], pa.int32())),
        write_lines(tmp_path / "in" / "b.jsonl", ["1", "01", 2, 1.0]),
        write_column(tmp_path / "in" / "c.parquet", pa.array([1, 3], pa.int64())),
    ]
    documents = [(doc_id, str(id)) for doc_id, id in in_files(*files)]
    report = pipeline(tmp_path).run()
    assert told(report) == wanted(documents)
    assert report["duplicate_ids"]["documents"] == 3
    *_, warning = report["warnings"]
    third = (1 << 40) + files[1][2][0]
    assert warning == (
        "3 of 8 documents have the id of an earlier document in the column 'id', first "
        f"'1' (in/b.jsonl, doc_id {1 << 40}); '2' (in/b.jsonl, doc_id {third}); '1' (in/c.parquet, doc_id {2 << 40})"
    )


def test_no_duplicates_and_no_ids_say_nothing(tmp_path):
    write_lines(tmp_path / "in" / "a.jsonl", [1, 2, 3])
    report = pipeline(tmp_path).run()
    assert report["duplicate_ids"] == NOTHING
    assert report["warnings"] == []
    write_lines(tmp_path / "in" / "b.jsonl", [1, 2, 3])
    without = Pipeline(Source(paths=("in/*",)), (), Sink(path="out2"), Settings(workers=1), tmp_path).run()
    assert without["duplicate_ids"] == NOTHING
    assert not [title for title in without["seconds"] if "duplicate ids" in title]


def test_long_ids_and_control_characters_are_shortened_and_escaped_in_the_warning(tmp_path):
    long = "\x1b[31m" + "x" * 100
    placed = write_lines(tmp_path / "in" / "a.jsonl", [long, long])
    report = pipeline(tmp_path).run()
    (warning,) = report["warnings"]
    assert warning.endswith("first '\\x1b[31m" + "x" * 51 + f"… (in/a.jsonl, doc_id {placed[1][0]})")
    assert report["duplicate_ids"]["first"][0]["id"] == long


IDS = st.one_of(
    st.none(), st.integers(-3, 3), st.sampled_from(["1", "-1", "a", "", "é"]), st.sampled_from([2**63, 2**64, 10**30])
)


def as_written(ids: Sequence[Sequence[Any]]) -> list[list[Any]]:
    """Ids in the type of the run: integers where all are and fit into 64 bits, else text."""
    every = [id for file in ids for id in file if id is not None]
    fits = all(isinstance(id, int) for id in every) and (
        all(-(2**63) <= id < 2**63 for id in every) or all(0 <= id < 2**64 for id in every)
    )
    return [[id if id is None or fits else str(id) for id in file] for file in ids]


@settings(max_examples=some(25), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    files=st.lists(st.lists(IDS, min_size=1, max_size=30), min_size=1, max_size=3),
    split_bytes=st.sampled_from([100, 1000]),
    block=st.sampled_from([1, 3, 1000]),
    ranges=st.sampled_from([1, 2, 7]),
    format=st.sampled_from(["parquet", "jsonl"]),
)
def test_the_count_is_that_of_a_dictionary(tmp_path_factory, monkeypatch, files, split_bytes, block, ranges, format):
    folder = tmp_path_factory.mktemp("ids")
    with monkeypatch.context() as patched:
        patched.setattr(module, "_BLOCK_ROWS", block)
        patched.setattr(module.ranges, "key_range_count", lambda limits, rows, each: ranges)
        placed = [write_lines(folder / "in" / f"{number}.jsonl", ids) for number, ids in enumerate(files)]
        written = [
            [(position, id) for (position, _), id in zip(file, ids, strict=True)]
            for file, ids in zip(placed, as_written(files), strict=True)
        ]
        source = Source(paths=("in/*",), id="id", split_bytes=split_bytes)
        settings = Settings(workers=1, runner="inprocess")
        report = Pipeline(source, (), Sink(path="out", format=format), settings, folder).run()
    assert told(report) == wanted(in_files(*written))


def test_workers_and_memory_change_nothing(tmp_path):
    rng = np.random.default_rng(5)
    files = []
    for number in range(3):
        ids = [int(each) for each in rng.integers(0, 300, 200)]
        files.append(write_lines(tmp_path / "in" / f"{number}.jsonl", ids))
    report = pipeline(tmp_path).run()
    assert told(report) == wanted(in_files(*files))
    assert report["duplicate_ids"]["documents"] > 200
    for name, chosen in {"two": {"workers": 2}, "small": {"memory": 384 << 20, "batch_bytes": 100}}.items():
        other = pipeline(tmp_path, name, **chosen).run()
        assert other["duplicate_ids"] == report["duplicate_ids"]
        assert other["warnings"] == report["warnings"]
        assert digests(tmp_path / name) == digests(tmp_path / "out")


class StopsAfter(InProcessRunner):
    """A runner that is stopped after some tasks."""

    left = 0

    def run(self, tasks: Sequence[Task], beat: Any, *warn: Any) -> Iterator[tuple[int, dict[str, Any]]]:
        for index, task in enumerate(tasks):
            if StopsAfter.left == 0:
                raise KeyboardInterrupt
            StopsAfter.left -= 1
            yield index, perform(task)


def test_a_run_stopped_at_any_task_counts_the_same(tmp_path):
    files = [write_lines(tmp_path / "in" / f"{number}.jsonl", [1, 2, "a", None] * 20) for number in range(2)]
    stops = 0
    while True:
        StopsAfter.left = 1
        try:
            report = run_spec(pipeline(tmp_path), runner=StopsAfter)
            break
        except KeyboardInterrupt:
            stops += 1
    assert stops > 5
    documents = [(doc_id, None if id is None else str(id)) for doc_id, id in in_files(*files)]
    assert told(report) == wanted(documents)
    assert not (tmp_path / "out" / STATE / DUPLICATE_IDS).exists()


def docs_file(path: Path, ids: Sequence[str | None]) -> Artefact:
    """A docs artefact with documents 0, 1, 2, ... of these ids."""
    rows = len(ids)
    columns = {
        "doc_id": pa.array(np.arange(rows, dtype=np.uint64)),
        "id": pa.array(ids, TEXT),
        "failed": pa.nulls(rows, DOCS_SCHEMA.field("failed").type),
    }
    for field in DOCS_SCHEMA:
        if field.name not in columns:
            columns[field.name] = pa.array(np.zeros(rows)).cast(field.type)
    table = pa.table([columns[name] for name in DOCS_SCHEMA.names], schema=DOCS_SCHEMA)
    write_table(path, table)
    return Artefact(str(path), path.stat().st_size, digest_file(path))


def test_one_id_for_all_documents_takes_a_row_a_block(tmp_path, monkeypatch):
    """However many documents have one id, its key range stays small: memory is bounded."""
    monkeypatch.setattr(module, "_BLOCK_ROWS", 100)
    file = docs_file(tmp_path / "docs.arrow", ["same"] * 10_000)
    (tmp_path / "out").mkdir()
    result = SpreadIds((file,), 4, TEXT).run(tmp_path / "out")
    assert result["documents"] == 10_000 - 100
    assert result["lowest"] == [1, 2, 3, 4, 5]
    assert sum(path.stat().st_size for path in (tmp_path / "out").iterdir()) == 100 * 24


def test_ids_are_spread_evenly(tmp_path):
    file = docs_file(tmp_path / "docs.arrow", [None, *map(str, range(1000)), None])
    (tmp_path / "out").mkdir()
    result = SpreadIds((file, docs_file(tmp_path / "empty.arrow", [])), 3, TEXT).run(tmp_path / "out")
    assert result == {"documents": 0, "lowest": [], "first_ids": [0, None]}
    sizes = [(tmp_path / "out" / f"{number}.bin").stat().st_size // 24 for number in range(3)]
    assert sum(sizes) == 1000
    assert min(sizes) > 250
