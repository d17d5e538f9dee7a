"""Files beside the corpus: written whole or not at all, read through memory maps.

Tables are uncompressed Arrow IPC files, so that a reader maps them and pays only for the columns and rows it touches.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import lru_cache
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

import numpy as np
import orjson
import pyarrow as pa
import xxhash
from numpy.typing import NDArray

from corpuscurate.core.columns import to_numpy

GROUPED_BYTES = 32 << 20
"""Approximate size of a record batch of sketches."""


def canonical(value: Any) -> bytes:
    """Canonical JSON (sorted keys) of a value: the bytes that are digested."""
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS | orjson.OPT_SERIALIZE_NUMPY)


def fingerprint(value: Any) -> str:
    """xxh3-128 of the canonical JSON of a value, 32 hex digits."""
    return xxhash.xxh3_128_hexdigest(canonical(value))


def digest_file(path: Path) -> str:
    """xxh3-64 of a file's bytes, 16 hex digits."""
    digest = xxhash.xxh3_64()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def write_json(path: Path, value: Any, *, durable: bool = True) -> None:
    """Write a JSON file under a temporary name, flush it to disk, rename it."""
    part = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    with part.open("wb") as file:
        file.write(orjson.dumps(value, option=orjson.OPT_INDENT_2 | orjson.OPT_SERIALIZE_NUMPY) + b"\n")
        if durable:
            sync_file(file)
    part.replace(path)


def read_json(path: Path) -> Any:
    """The value of a JSON file."""
    return orjson.loads(path.read_bytes())


def sync_file(file: IO[bytes]) -> None:
    """Flush an open file to disk."""
    file.flush()
    os.fsync(file.fileno())


def sync_tree(folder: Path, *, forget: bool = False) -> None:
    """Flush every file of a folder, and the folder, to disk, so that a later rename never shows empty files.

    forget: the files leave the system's cache.
    """
    for path in [*(p for p in folder.rglob("*") if p.is_file()), folder]:
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
            if forget:
                leave_cache(handle)
        finally:
            os.close(handle)


def forget_file(path: str | os.PathLike[str]) -> None:
    """Drop a file that is on disk, and that the run does not read again, from the system's page cache.

    Its memory is reused for the next writes, which would otherwise take fresh memory or evict the input from the cache.
    """
    handle = os.open(path, os.O_RDONLY)
    try:
        leave_cache(handle)
    finally:
        os.close(handle)


def leave_cache(handle: int) -> None:
    """Drop the written pages of an open file from the system's page cache, and start to write the others."""
    if hasattr(os, "posix_fadvise"):  # not on macOS
        with suppress(OSError):  # a hint, which not every file system takes
            os.posix_fadvise(handle, 0, 0, os.POSIX_FADV_DONTNEED)


@contextmanager
def whole_folder(final: Path, *, durable: bool = True, last: bool = False) -> Iterator[Path]:
    """A new folder that appears as `final` only when the block ends without an error; an old one is replaced.

    durable: flush it to disk before it appears. Otherwise a crash of the machine may leave truncated files.
    last: nothing reads it again, so it leaves the system's page cache.
    """
    final.parent.mkdir(parents=True, exist_ok=True)
    part = final.with_name(f".{final.name}.{os.getpid()}.tmp")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir()
    try:
        yield part
        if durable:
            sync_tree(part, forget=last)
        if final.exists():
            shutil.rmtree(final)
        part.rename(final)
    except BaseException:
        shutil.rmtree(part, ignore_errors=True)
        raise


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
