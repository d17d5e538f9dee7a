"""What all readers and writers share: files, spans, chunks, the quarantine, and the two forms of `Batch.rest`.

A format is one file in this folder that defines a `Format` and registers it (`register`). Readers are generators of
`Chunk`s over one `Span` of one file.

`Batch.rest` (only where `Want.rest`) is a RecordBatch in one of two forms, told apart by its schema metadata:
- form "json": columns `line` (large_binary, the record's line without line end), `text_start`, `text_end` (int64: where
  the JSON string of the text, quotes included, stands in the line), `braces` (int64: offset of the closing brace).
- form "columns": the user's columns as they are in the file, in its order, the text column and the id column included
  (the text column holds the text as it was read; writers put the edited text in its place).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from corpuscurate.core.batch import Batch

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
    text a batch holds; it never changes the output. max_record_bytes: longer records go to quarantine."""

    text: str = "text"
    id: str | None = None
    columns: tuple[str, ...] = ()
    rest: bool = False
    column_types: bool = False
    batch_bytes: int = 16 << 20
    max_record_bytes: int = 256 << 20


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


@dataclass(frozen=True, slots=True)
class Format:
    """One file format. suffixes: without compression suffix, e.g. (".jsonl", ".ndjson").

    read(file, span, want): the chunks of a span, in order. split(file, split_bytes): the spans of a file, none larger
    than it must be. columns(file): names and types as the file tells them (for JSONL: of its first records, type
    as text), for `check`; raises InputError when the file cannot be opened.
    """

    name: str
    suffixes: tuple[str, ...]
    read: Callable[[SourceFile, Span, Want], Iterator[Chunk]]
    split: Callable[[SourceFile, int], list[Span]]
    columns: Callable[[SourceFile], dict[str, str]]


FORMATS: dict[str, Format] = {}


def register(format: Format) -> Format:
    """Make a format known under its name."""
    FORMATS[format.name] = format
    return format
