"""Files of a few kilobytes whose text is gigabytes, in dictionaries and runs: read in bounded memory."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from support.io import source

from corpuscurate.io.base import Want, input_format

ROWS = 400
LARGE = "word " * (1 << 20)
BATCH = 16 << 20


def dictionary() -> pa.Array:
    return pa.DictionaryArray.from_arrays(pa.array([0] * ROWS, pa.int32()), pa.array([LARGE]))


def arrow(path: Path, column: pa.Array) -> None:
    schema = pa.schema([("text", column.type)])
    options = pa.ipc.IpcWriteOptions(compression="zstd")
    with pa.ipc.new_file(str(path), schema, options=options) as writer:
        writer.write_batch(pa.record_batch([column], schema=schema))


def parquet(path: Path, column: pa.Array) -> None:
    pq.write_table(pa.table({"text": column}), path, compression="zstd", dictionary_pagesize_limit=1 << 30)


BOMBS = {
    "dictionary.arrow": lambda path: arrow(path, dictionary()),
    "runs.arrow": lambda path: arrow(
        path, pa.RunEndEncodedArray.from_arrays(pa.array([ROWS], pa.int32()), pa.array([LARGE]))
    ),
    "dictionary.parquet": lambda path: parquet(path, dictionary()),
}


@pytest.mark.parametrize("rest", [False, True])
@pytest.mark.parametrize("name", BOMBS)
def test_bombs(name, rest, tmp_path):
    path = tmp_path / name
    BOMBS[name](path)
    assert path.stat().st_size < 1 << 20
    file = source(path)
    format = input_format(file.format)
    before, most, rows, text_bytes = pa.total_allocated_bytes(), 0, 0, 0
    want = Want("text", None, rest=rest, batch_bytes=BATCH)
    for span in format.split(file, 1 << 30):
        for chunk in format.read(file, span, want):
            if chunk.batch is not None:
                rows += len(chunk.batch)
                text_bytes += chunk.batch.text_bytes
            most = max(most, pa.total_allocated_bytes() - before)
    assert (rows, text_bytes) == (ROWS, ROWS * len(LARGE))
    assert most < 8 * BATCH  # of two gigabytes
