"""Writing output parts: one call for every format."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from corpuscurate.core.batch import Batch
from corpuscurate.io.output_rows import OutputShape
from corpuscurate.io.write_columns import ColumnWriter, write_plain_parquet
from corpuscurate.io.write_lines import LineWriter

__all__ = ["OutputShape", "Writer", "open_writer", "write_plain_parquet"]


class Writer(Protocol):
    """An output part. Batches come in order; the bytes of the file depend on their rows, not on their borders."""

    def write(self, batch: Batch) -> None:
        """Append the documents of a batch that has `rest` and the columns `shape.added`. Raises OutputError."""

    def close(self) -> str:
        """Finish the file; its digest, see `artefact.digest_file`. Raises OutputError."""

    def abort(self) -> None:
        """Remove the file. Never raises."""


def open_writer(path: Path, shape: OutputShape) -> Writer:
    """A writer for `shape.format` at `path`, inside a folder that only appears when it is whole. Raises OutputError."""
    if shape.format in ("parquet", "arrow"):
        return ColumnWriter(path, shape)
    return LineWriter(path, shape)
