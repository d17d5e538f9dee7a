"""A file a document: .txt and .md, also compressed. The columns are `path`, the file's shown name, and the text."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa

from corpuscurate.core.batch import Batch
from corpuscurate.core.columns import TEXT
from corpuscurate.core.doc_ids import doc_ids
from corpuscurate.core.errors import InputError
from corpuscurate.io.base import (
    HEAD_BYTES,
    REST_FORM,
    BadRecord,
    Chunk,
    InputFormat,
    SourceFile,
    Span,
    Want,
    held_bytes,
    register,
)
from corpuscurate.io.columnar import bad_file, census_chunk
from corpuscurate.io.decompress import Truncated
from corpuscurate.io.files import open_bytes

PATH = "path"
BOM = b"\xef\xbb\xbf"
_READ_BYTES = 1 << 20


def split(file: SourceFile, split_bytes: int) -> list[Span]:
    """One span: the document."""
    return [Span(file.number, 0, 1, held_bytes(file))]


def columns(file: SourceFile) -> dict[str, str]:
    """`path` and `text`. Raises InputError when the file cannot be opened."""
    with open_bytes(file):
        return {PATH: "string", "text": "string"}


def read(file: SourceFile, span: Span, want: Want) -> Iterator[Chunk]:
    """The one document, or the bad record in its place."""
    if want.text == PATH:
        raise InputError(f"The text column of text files cannot be named {PATH!r}: that is their other column.")
    yield _document(file, want)
    if want.column_types:
        yield census_chunk(_schema(want))


def _schema(want: Want) -> pa.Schema:
    return pa.schema([(PATH, pa.string()), (want.text, pa.large_string())])


def _document(file: SourceFile, want: Want) -> Chunk:
    content = bytearray()
    try:
        with open_bytes(file) as reader:
            while len(content) <= want.max_record_bytes and (block := reader.read(_READ_BYTES)):
                content += block
    except Truncated as error:
        detail = f"{error.detail}; a part of a document is not used"
        return Chunk(None, (BadRecord(0, error.reason, detail, bytes(content[:HEAD_BYTES]), whole_file=True),))
    if not content:
        return bad_file("empty_file", "the file has no bytes")
    head = bytes(content[:HEAD_BYTES])
    if len(content) > want.max_record_bytes:
        return Chunk(None, (BadRecord(0, "too_large", f"more than {want.max_record_bytes} bytes", head),))
    try:
        text = bytes(content.removeprefix(BOM)).decode()
    except UnicodeDecodeError as error:
        return Chunk(None, (BadRecord(0, "invalid_utf8", f"byte {error.start}: {error.reason}", head),))
    return Chunk(_batch(file, want, text, len(content)))


def _batch(file: SourceFile, want: Want, text: str, size: int) -> Batch:
    column = pa.array([text], TEXT)
    path = pa.array([file.name], TEXT)
    known = {PATH: path, want.text: column}
    rest = pa.RecordBatch.from_arrays([path.cast(pa.string()), column], schema=_schema(want))
    return Batch(
        doc_ids(file.number, np.zeros(1, np.int64)),
        column,
        np.array([size], np.int64),
        None if want.id is None else known.get(want.id, pa.nulls(1, TEXT)),
        {name: known.get(name, pa.nulls(1)) for name in want.columns},
        rest.replace_schema_metadata({REST_FORM: b"columns"}) if want.rest else None,
    )


TEXTFILE = register(InputFormat("text", (".txt", ".md"), read, split, columns, compressible=True))
