"""Rows that come in small batches stand in few."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest

from corpuscurate.core.tables import FewBatches, read_table, table_writer

SCHEMA = pa.schema([("doc_id", pa.uint64()), ("words", pa.large_list(pa.uint64()))])


def rows(first: int, count: int) -> pa.RecordBatch:
    ids = list(range(first, first + count))
    return pa.record_batch([pa.array(ids, pa.uint64()), pa.array([[n, n + 1] for n in ids])], schema=SCHEMA)


def write(path: Path, batches: list[pa.RecordBatch]) -> int:
    with table_writer(path, SCHEMA) as writer, FewBatches(writer) as few:
        for batch in batches:
            few.write(batch)
    with pa.memory_map(str(path)) as source:
        return int(pa.ipc.open_file(source).num_record_batches)


def test_small_batches_become_one_and_keep_their_rows(tmp_path: Path) -> None:
    assert write(tmp_path / "a.arrow", [rows(n, 3) for n in range(0, 30, 3)]) == 1
    assert read_table(tmp_path / "a.arrow").equals(pa.Table.from_batches([rows(0, 30)]))


def test_memory_is_bounded_by_writing_what_is_large_enough(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("corpuscurate.core.tables.GROUPED_BYTES", 2 * rows(0, 3).nbytes)
    assert write(tmp_path / "a.arrow", [rows(n, 3) for n in range(0, 15, 3)]) == 3
    assert read_table(tmp_path / "a.arrow")["doc_id"].to_pylist() == list(range(15))


def test_no_rows_and_empty_batches(tmp_path: Path) -> None:
    assert write(tmp_path / "a.arrow", []) == 0
    write(tmp_path / "b.arrow", [rows(0, 0)])
    for name in ("a.arrow", "b.arrow"):
        assert read_table(tmp_path / name).num_rows == 0
        assert read_table(tmp_path / name).schema == SCHEMA


def test_an_error_passes_and_nothing_more_is_written(tmp_path: Path) -> None:
    with (
        pytest.raises(ValueError, match="stop"),
        table_writer(tmp_path / "a.arrow", SCHEMA) as writer,
        FewBatches(writer) as few,
    ):
        few.write(rows(0, 3))
        raise ValueError("stop")
    assert read_table(tmp_path / "a.arrow").num_rows == 0
