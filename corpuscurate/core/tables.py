"""Tables as uncompressed Arrow IPC files: a reader maps them, and pays only for the columns and rows it touches."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from corpuscurate.core.columns import to_numpy

GROUPED_BYTES = 32 << 20
"""Approximate size of a record batch of sketches."""


@contextmanager
def table_writer(path: Path, schema: pa.Schema) -> Iterator[pa.RecordBatchFileWriter]:
    """An Arrow IPC file to append record batches to. Atomicity is that of the folder it stands in."""
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, schema) as writer:
        yield writer


class FewBatches:
    """Appends rows to a table in record batches of about `GROUPED_BYTES`.

    A reader that maps a file column by column, many times, pays for each batch. A context manager; leave it before
    the writer is closed.
    """

    def __init__(self, writer: pa.RecordBatchFileWriter) -> None:
        self._writer = writer
        self._held: list[pa.RecordBatch] = []
        self._bytes = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self._flush()

    def write(self, rows: pa.RecordBatch) -> None:
        """Add rows."""
        self._held.append(rows)
        self._bytes += rows.get_total_buffer_size()  # `nbytes` takes long where columns are many
        if self._bytes >= GROUPED_BYTES:
            self._flush()

    def _flush(self) -> None:
        if self._held:
            for batch in pa.Table.from_batches(self._held).combine_chunks().to_batches():
                self._writer.write_batch(batch)
        self._held, self._bytes = [], 0


def write_table(path: Path, table: pa.Table | pa.RecordBatch) -> None:
    """Write a table as one Arrow IPC file."""
    with table_writer(path, table.schema) as writer:
        writer.write(table)


def read_table(path: str | os.PathLike[str]) -> pa.Table:
    """An Arrow IPC file, memory-mapped: nothing is read until it is touched."""
    with pa.memory_map(os.fspath(path)) as source:
        return pa.ipc.open_file(source).read_all()


def cached_table(path: str | os.PathLike[str]) -> pa.Table:
    """`read_table` with a cache of the last tables; a replaced file is read again."""
    local = os.fspath(path)
    state = os.stat(local)  # noqa: PTH116
    return _cached(local, state.st_ino, state.st_mtime_ns, state.st_size)


@lru_cache(maxsize=64)
def _cached(path: str, *_state: int) -> pa.Table:
    return read_table(path)


def rows_between(table: pa.Table, first: int, last: int) -> pa.Table:
    """The rows with first <= doc_id <= last of a table sorted by doc_id."""
    ids: NDArray[np.uint64] = to_numpy(table.column("doc_id"))
    start = int(np.searchsorted(ids, np.uint64(first), "left"))
    stop = int(np.searchsorted(ids, np.uint64(last), "right"))
    return table.slice(start, stop - start)
