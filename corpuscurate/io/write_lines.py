"""Writers of JSON lines: plain, gzip, Zstandard. Compressors are fed blocks of a fixed size, so that the bytes cannot
depend on how documents were batched."""

from __future__ import annotations

import zlib
from pathlib import Path
from typing import Protocol

import pyarrow as pa
import zstandard

from corpuscurate.core.batch import Batch
from corpuscurate.io.base import OutputFormat, OutputShape, register
from corpuscurate.io.files_out import OutputFile
from corpuscurate.io.output_rows import check_utf8, is_json_form, required_rest
from corpuscurate.io.write_json import lines_from_columns, splice_lines

BLOCK_BYTES = 1 << 20
GZIP_LEVEL = 5
"""1.5 times the speed of gzip's own 6 for 3 % more bytes. zlib and not ISA-L, whose output differs by processor."""
ZSTD_LEVEL = 3


class _Compressor(Protocol):
    def compress(self, data: bytes, /) -> bytes: ...

    def flush(self) -> bytes: ...


def _compressor(format: str) -> _Compressor | None:
    if format == "jsonl.gz":  # zlib's gzip header holds no time and no name
        return zlib.compressobj(GZIP_LEVEL, wbits=31)
    if format == "jsonl.zst":
        return zstandard.ZstdCompressor(level=ZSTD_LEVEL, write_checksum=True).compressobj()
    return None


class LineWriter:
    """Batches -> lines -> blocks -> a file."""

    def __init__(self, path: Path, shape: OutputShape) -> None:
        self._shape = shape
        self._compressor = _compressor(shape.format)
        self._waiting = bytearray()
        self._file = OutputFile(path)

    def write(self, batch: Batch) -> None:
        """Append the batch's documents. Raises OutputError."""
        lines = _lines(batch, self._shape)
        if self._compressor is None:
            self._file.write(lines)
            return
        at = 0
        while at < len(lines):
            taken = min(BLOCK_BYTES - len(self._waiting), len(lines) - at)
            self._waiting += lines[at : at + taken]
            at += taken
            if len(self._waiting) == BLOCK_BYTES:
                self._compress(self._compressor)

    def close(self) -> str:
        """Write what is held back and close; the file's digest. Raises OutputError."""
        if self._compressor is not None:
            self._compress(self._compressor)
            self._file.write(self._compressor.flush())
        return self._file.close()

    def abort(self) -> None:
        """Remove the file; nothing is kept. Never raises."""
        self._file.discard()

    def _compress(self, compressor: _Compressor) -> None:
        if self._waiting:
            self._file.write(compressor.compress(bytes(self._waiting)))
            self._waiting.clear()


def _lines(batch: Batch, shape: OutputShape) -> memoryview:
    """The documents as JSON lines. A line that was JSON stays as it was but for the text and what is added."""
    rest = required_rest(batch)
    added = {name: batch.columns[name] for name in shape.added}
    if is_json_form(rest):
        return splice_lines(rest, batch.text, added).data
    return lines_from_columns(_with_text(rest, batch.text, shape.text, added)).data


def _with_text(
    rest: pa.RecordBatch, text: pa.LargeStringArray, name: str, added: dict[str, pa.Array]
) -> pa.RecordBatch:
    for field, column in zip(rest.schema, rest.columns, strict=True):
        check_utf8(column, field.name)
    columns = [text if field.name == name else column for field, column in zip(rest.schema, rest.columns, strict=True)]
    names = [*rest.schema.names, *added]
    return pa.RecordBatch.from_arrays([*columns, *added.values()], names=names)


JSONL = register(OutputFormat("jsonl", LineWriter))
JSONL_GZ = register(OutputFormat("jsonl.gz", LineWriter, compressed=True))
JSONL_ZST = register(OutputFormat("jsonl.zst", LineWriter, compressed=True))
