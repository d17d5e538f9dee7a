"""What readers and writers share: files, spans, chunks, the quarantine, the two forms of `Batch.rest`, the registry.

A format is one file in this folder that defines an `InputFormat` (a reader), an `OutputFormat` (a writer) or both, and
registers them (`register`). In a package of its own it is an entry point of the group `corpuscurate.readers` or
`corpuscurate.writers`. Readers are generators of `Chunk`s over one `Span` of one file.

`Batch.rest` (only where `Want.rest`) is a RecordBatch in one of two forms, told apart by its schema metadata:
- form "json": columns `line` (large_binary, the record's line without line end), `text_start`, `text_end` (int64: where
  the JSON string of the text, quotes included, stands in the line), `braces` (int64: offset of the closing brace).
- form "columns": the user's columns as they are in the file, in its order, the text column and the id column included
  (the text column holds the text as it was read; writers put the edited text in its place).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, Protocol, TypeVar

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from corpuscurate.core.batch import Batch
from corpuscurate.core.errors import RecipeError, did_you_mean
from corpuscurate.core.plugins import load_plugins
from corpuscurate.io.reading import reading

REST_FORM = b"corpuscurate.rest"
HEAD_BYTES = 256
"""How much of an unreadable record is kept in the quarantine."""


@dataclass(frozen=True, slots=True)
class SourceFile:
    """One input file. number: its place in the manifest, the upper bits of every doc_id in it. name: as shown to
    the user and as written to dropped/ (relative to the recipe's folder where it lies below it). path: what is opened
    (local, or any fsspec URL). size: bytes as stored."""

    number: int
    name: str
    path: str
    size: int
    format: str
    compression: str | None = None
    """None, "gz" or "zst"."""
    folders: tuple[tuple[str, str | None], ...] = ()
    """Keys and values of the folders `key=value` on the way from the path that the recipe names to the file."""


@dataclass(frozen=True, slots=True)
class Span:
    """A piece of a file that can be read alone: [start, stop) in the format's own unit. JSONL: bytes of the plain
    file (a line belongs to the span in which it begins; compressed: one span for the whole file); Parquet: row groups;
    Arrow: record batches; text: 0..1. bytes: about how much it holds, uncompressed where known."""

    file: int
    start: int
    stop: int
    bytes: int


COMPRESSED_TEXT = 4
"""What compressed text is taken to grow by, to size tasks and progress; gzip and zstd shrink prose 3 to 5 times."""


def held_bytes(file: SourceFile) -> int:
    """About how many bytes a whole file of text holds."""
    return file.size if file.compression is None else COMPRESSED_TEXT * file.size


@dataclass(frozen=True, slots=True)
class Want:
    """What to read. text: the text column's name. id: the id column's, or None. columns: further columns to deliver
    in `Batch.columns` (a document that lacks one has null there; JSON sources deliver `columns.JSON` arrays).
    rest: whether to fill `Batch.rest`. column_types: whether to yield `Chunk.column_types`. batch_bytes: about how much
    text a batch holds; it never changes the output. max_record_bytes: longer records go to quarantine. types_of: which
    column types are needed, for a reader that saves work by it: all; columns: not what is within objects and lists; id:
    those of the id column."""

    text: str = "text"
    id: str | None = None
    columns: tuple[str, ...] = ()
    rest: bool = False
    column_types: bool = False
    batch_bytes: int = 16 << 20
    max_record_bytes: int = 256 << 20
    types_of: Literal["all", "columns", "id"] = "all"


@dataclass(frozen=True, slots=True)
class BadRecord:
    """A record that could not be read. position: as in doc_id. reason: one of REASONS. detail: what the parser said.
    head: its first HEAD_BYTES bytes. whole_file: it stands for the unreadable rest of the file, not for a record."""

    position: int
    reason: str
    detail: str
    head: bytes
    whole_file: bool = False


REASONS = (
    "broken_json",  # not one JSON object on the line
    "invalid_utf8",
    "duplicate_field",  # the text, id or a named column twice in a record: which one is meant?
    "missing_text",  # the record has no such field
    "null_text",
    "text_not_string",
    "lone_surrogate",  # an escape such as \ud800 without its other half: no valid text
    "too_large",  # over max_record_bytes
    "truncated",  # the file ends inside a compressed stream, a record batch or a footer
    "unreadable",  # not a file of its format at all
    "empty_file",
)


@dataclass(frozen=True, slots=True)
class Chunk:
    """What a reader yields: documents (or None), bad records, and the types of the columns (see io.column_types)."""

    batch: Batch | None
    bad: tuple[BadRecord, ...] = ()
    column_types: dict[str, Any] | None = None
    """JSON-able, form: see `io.column_types`. Only in the last chunk of a span, and only where `Want.column_types`."""
    forgotten: int = 0
    """Documents and bad records that the engine left out, since they were forgotten. Readers leave it."""


@dataclass(frozen=True, slots=True)
class InputFormat:
    """A format that can be read. name: the word of `input: format:`. suffixes: in small letters and without that of a
    compression, such as (".jsonl", ".ndjson"); no two formats share one.

    read(file, span, want): the chunks of a span, in order. split(file, split_bytes): the spans of a file, none larger
    than it must be. columns(file): names and types as the file tells them (for JSONL: of its first records, type
    as text), for `check`; raises InputError when the file cannot be opened.
    compressible: a file may be compressed as a whole and read through `files.open_bytes`. columnar: all records of a
    file have the same typed columns. sample: a tiny file whose reading compiles the format's kernels, if it has any.
    """

    name: str
    suffixes: tuple[str, ...]
    read: Callable[[SourceFile, Span, Want], Iterator[Chunk]]
    split: Callable[[SourceFile, int], list[Span]]
    columns: Callable[[SourceFile], dict[str, str]]
    compressible: bool = False
    columnar: bool = False
    sample: bytes = b""


@dataclass(frozen=True, slots=True)
class OutputShape:
    """What an output part looks like. schema: the user's columns, of unified types; empty where the format is not
    columnar. text, id: names of columns; id may be None. added: columns that stages added, full name -> type.
    row_group_bytes: size, in `Batch.record_bytes`, at which a row group or record batch is closed.
    """

    format: str
    schema: pa.Schema
    text: str
    id: str | None
    added: Mapping[str, pa.DataType]
    row_group_bytes: int


class Writer(Protocol):
    """An output part. Batches come in order; the bytes of the file depend on their rows, not on their borders."""

    def write(self, batch: Batch) -> None:
        """Append the documents of a batch that has `rest` and the columns `shape.added`. Raises OutputError."""

    def close(self) -> str:
        """Finish the file; its digest, see `artefact.digest_file`. Raises OutputError."""

    def abort(self) -> None:
        """Remove the file. Never raises."""


@dataclass(frozen=True, slots=True)
class OutputFormat:
    """A format that can be written. name: the word of `output: format:`, and the suffix of the parts.

    open(path, shape): a writer of a new file; raises OutputError. columnar: all records have the same typed columns, so
    `shape.schema` is needed, for which the whole input is looked at. compressed: parts are smaller than their text.
    without(part, path, name, positions, text): copy a part without the records at these positions (int64, ascending, as
    the reader of the format gives them) to a new file of the format `name`; its digest. All else stays, in its order.
    text: the text column. None: `corpuscurate forget` refuses outputs of this format.
    """

    name: str
    open: Callable[[Path, OutputShape], Writer]
    columnar: bool = False
    compressed: bool = False
    without: Callable[[Path, Path, str, NDArray[np.int64], str], str] | None = None


F = TypeVar("F", InputFormat, OutputFormat)

_INPUT: dict[str, InputFormat] = {}
_OUTPUT: dict[str, OutputFormat] = {}
_BY_SUFFIX: dict[str, str] = {}


def register(format: F) -> F:
    """Make a format known under its name. Raises ValueError where a suffix is taken by another one."""
    if isinstance(format, OutputFormat):
        _OUTPUT[format.name] = format
        return format
    format = _guarded(format)
    for suffix in format.suffixes:
        if _BY_SUFFIX.setdefault(suffix, format.name) != format.name:
            raise ValueError(f"the suffix {suffix} of the format {format.name} is that of {_BY_SUFFIX[suffix]}")
    _INPUT[format.name] = format
    return format


def _guarded(format: InputFormat) -> InputFormat:
    """The format with the errors of its functions told with the file's name, see `io.reading`."""

    def read(file: SourceFile, span: Span, want: Want) -> Iterator[Chunk]:
        with reading(file.name):
            yield from format.read(file, span, want)

    def split(file: SourceFile, split_bytes: int) -> list[Span]:
        with reading(file.name):
            return format.split(file, split_bytes)

    def columns(file: SourceFile) -> dict[str, str]:
        with reading(file.name):
            return format.columns(file)

    return replace(format, read=read, split=split, columns=columns)


def _load() -> None:
    load_plugins("corpuscurate.io", "corpuscurate.readers", "corpuscurate.writers")


def input_formats() -> dict[str, InputFormat]:
    """Every format that can be read by its name, entry points included, sorted."""
    _load()
    return dict(sorted(_INPUT.items()))


def output_formats() -> dict[str, OutputFormat]:
    """Every format that can be written by its name, entry points included, sorted."""
    _load()
    return dict(sorted(_OUTPUT.items()))


def input_format(name: str) -> InputFormat:
    """The format that is read under a name. Raises RecipeError with the nearest names."""
    _load()
    if name not in _INPUT:
        raise RecipeError(f"unknown input format {name!r}. {did_you_mean(name, _INPUT)}")
    return _INPUT[name]


def output_format(name: str) -> OutputFormat:
    """The format that is written under a name. Raises RecipeError with the nearest names."""
    _load()
    if name not in _OUTPUT:
        raise RecipeError(f"unknown output format {name!r}. {did_you_mean(name, _OUTPUT)}")
    return _OUTPUT[name]


def open_writer(path: Path, shape: OutputShape) -> Writer:
    """A writer for `shape.format` at `path`, inside a folder that only appears when it is whole. Raises OutputError."""
    return output_format(shape.format).open(path, shape)


def format_of_suffix(suffix: str) -> str | None:
    """The name of the format whose files end so (".jsonl"), if any."""
    _load()
    return _BY_SUFFIX.get(suffix)
