"""Where the record batches of an Arrow file or stream stand, and how many rows each holds, without reading one.

A file is what its footer says: the stream that stands before the footer need not be valid, and in files that Polars
writes it is not. Without a good footer, or where the footer leaves bytes unnamed, the streams in the file are followed,
one after another.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass, field

import pyarrow as pa
from pyarrow import ipc

from corpuscurate.core.layouts import has_parts, is_list_view, nested_type, parts_of
from corpuscurate.io.base import SourceFile
from corpuscurate.io.columnar import DAMAGE, parsing

MAGIC = b"ARROW1"
STREAM_START = 8
"""In an IPC file: the magic bytes, padded; a stream follows."""
_CONTINUATION = 0xFFFFFFFF
_BLOCK = struct.Struct("<qi4xq")
_GAP = 64
"""Bytes between the last record batch and the footer that mean nothing: a mark of the end, padding."""
_SEARCH = 1 << 20


@dataclass(frozen=True, slots=True)
class Piece:
    """A record batch as its header tells it. body_bytes: as stored, all columns. nulls: of each column and each of its
    parts, in the order of the schema, a column before its parts."""

    rows: int
    body_bytes: int
    nulls: tuple[int, ...] = ()


@dataclass(slots=True)
class Streams:
    """The streams in a file, one after another. starts: where each begins. problem: what ends them too early."""

    starts: list[int] = field(default_factory=list)
    pieces: list[Piece] = field(default_factory=list)
    problem: str = ""


def footer_pieces(source: pa.NativeFile, file: SourceFile) -> list[Piece] | None:
    """The record batches that the footer of an IPC file names; None where streams stand before it that it does not
    name. Raises ArrowInvalid where it cannot be read, struct.error where it points at nonsense."""
    size = source.size()
    tail = _read(source, size - 4 - len(MAGIC), 4 + len(MAGIC))
    (length,) = struct.unpack_from("<i", tail)
    start = size - len(tail) - length
    if tail[4:] != MAGIC or length <= 0 or start < STREAM_START:
        raise pa.ArrowInvalid("it is missing: the file was cut off or not finished")
    view = memoryview(_read(source, start, length))
    (root,) = struct.unpack_from("<I", view, 0)
    batches = _blocks(view, root, 3)
    ends = [offset + header + body for offset, header, body in (*_blocks(view, root, 2), *batches)]
    end = max(ends, default=start)
    if start - end > _GAP:
        if _follow(source, STREAM_START, _schema_at(source, STREAM_START, file), file).starts:
            return None
        if _joint(source, 0, size) is not None:
            raise pa.ArrowInvalid("it is that of the last of several files in one, of which none holds a stream")
    return [_piece(_message_at(source, offset, header), body) for offset, header, body in batches]


def _blocks(view: memoryview, root: int, index: int) -> list[tuple[int, int, int]]:
    """A vector of Blocks of the footer: offset, bytes of the header, bytes of the body."""
    found = _field(view, root, index)
    if not found:
        return []
    at = root + found
    at += struct.unpack_from("<I", view, at)[0]
    (count,) = struct.unpack_from("<I", view, at)
    return [_BLOCK.unpack_from(view, at + 4 + _BLOCK.size * number) for number in range(count)]


def _message_at(source: pa.NativeFile, offset: int, header: int) -> bytes:
    message = _read(source, offset, header)
    (first,) = struct.unpack_from("<I", message)
    return message[8 if first == _CONTINUATION else 4 :]


def _read(source: pa.NativeFile, at: int, size: int) -> bytes:
    source.seek(max(0, at))
    return bytes(source.read(max(0, size)))


def _schema_at(source: pa.NativeFile, start: int, file: SourceFile) -> pa.Schema | None:
    """The schema of the stream that begins there, if one does."""
    try:
        with parsing(file):
            source.seek(start)
            return ipc.open_stream(source).schema
    except DAMAGE:
        return None


def follow_streams(source: pa.NativeFile, start: int, file: SourceFile) -> tuple[pa.Schema, Streams]:
    """The streams from byte `start` on, and the schema that they share. Raises one of `columnar.DAMAGE` where the first
    has no schema."""
    source.seek(start)
    schema = ipc.open_stream(source).schema
    return schema, _follow(source, start, schema, file)


def _follow(source: pa.NativeFile, start: int, schema: pa.Schema | None, file: SourceFile) -> Streams:
    found, size = Streams(), source.size()
    at: int | None = start
    while at is not None:
        other = schema if at == start else _schema_at(source, at, file)
        if schema is None or other is None or not other.equals(schema):
            what = "no Arrow stream" if other is None else "an Arrow stream of other columns"
            found.problem = f"{what} stands at byte {at}, behind the end of a stream ({size - at} bytes)"
            break
        found.starts.append(at)
        stop = _walk(source, at, found.pieces, file)
        at = None if stop is None else _next_start(source, stop, size)
    return found


def _walk(source: pa.NativeFile, start: int, pieces: list[Piece], file: SourceFile) -> int | None:
    """Append the record batches of the stream at `start`; where it ends, None where that is not to be known."""
    source.seek(start)
    reader = ipc.MessageReader.open_stream(source)
    while True:
        try:
            with parsing(file):
                message = reader.read_next_message()
        except StopIteration:
            return int(source.tell())
        except DAMAGE:
            return None
        if message.type == "record batch":
            pieces.append(_piece(message.metadata, message.body.size if message.body is not None else 0))


def _next_start(source: pa.NativeFile, at: int, size: int) -> int | None:
    """Where the stream behind one that ends at `at` begins; None where nothing but a footer or zeros follows."""
    joint = _joint(source, at, size)
    if joint is not None:
        return joint + STREAM_START
    rest = _read(source, at, min(size - at, _SEARCH))
    if not rest.strip(b"\0") or _is_footer(source, at, size):
        return None
    return at


def _joint(source: pa.NativeFile, start: int, size: int) -> int | None:
    """Where behind `start` an IPC file begins right behind the end of another one, if any does."""
    held = b""
    for begin in range(start, size, _SEARCH):
        block = _read(source, begin, min(_SEARCH, size - begin))
        place = (held + block).find(2 * MAGIC)
        if place >= 0:
            return begin - len(held) + place + len(MAGIC)
        held = block[-2 * len(MAGIC) :]
    return None


def _is_footer(source: pa.NativeFile, at: int, size: int) -> bool:
    """Whether what stands from `at` to the end of the file is the footer of an IPC file."""
    tail = _read(source, size - 4 - len(MAGIC), 4 + len(MAGIC))
    if tail[4:] != MAGIC:
        return False
    (length,) = struct.unpack_from("<i", tail)
    return bool(0 <= size - len(tail) - length - at <= _GAP)


def _piece(metadata: pa.Buffer | bytes, body_bytes: int) -> Piece:
    """What a message header says (FlatBuffers: Message.header is field 2; of RecordBatch, length is field 0 and nodes,
    pairs of rows and nulls, field 1)."""
    view = memoryview(metadata).cast("B")
    (message,) = struct.unpack_from("<I", view, 0)
    at = message + _field(view, message, 2)
    (offset,) = struct.unpack_from("<I", view, at)
    batch = at + offset
    length, nodes = _field(view, batch, 0), _field(view, batch, 1)
    rows = int(struct.unpack_from("<q", view, batch + length)[0]) if length else 0
    nulls: tuple[int, ...] = ()
    if nodes:
        start = batch + nodes
        start += struct.unpack_from("<I", view, start)[0]
        (count,) = struct.unpack_from("<I", view, start)
        nulls = tuple(pair[1] for pair in struct.iter_unpack("<qq", view[start + 4 : start + 4 + 16 * count]))
    return Piece(rows, body_bytes, nulls)


def as_it_is(schema: pa.Schema, pieces: Sequence[Piece]) -> pa.Schema:
    """The schema with the columns nullable, at any depth, that hold nulls against their word: Arrow's writers do not
    look."""
    most = [max(nulls) for nulls in zip(*(piece.nulls for piece in pieces), strict=False)]
    fields, at = [], 0
    for column in schema:
        made, at = _nullable(column, most, at)
        fields.append(made)
    return pa.schema(fields, metadata=schema.metadata)


def _nullable(field: pa.Field, nulls: Sequence[int], at: int) -> tuple[pa.Field, int]:
    """The field as its nodes, from number `at` on, tell; the number of the next one."""
    if at < len(nulls) and nulls[at]:
        field = field.with_nullable(True)
    at += 1
    kind = field.type.storage_type if isinstance(field.type, pa.BaseExtensionType) else field.type
    if pa.types.is_map(kind):
        parts, at = _all_nullable(parts_of(kind), nulls, at + 1)  # behind the entries
    elif pa.types.is_dictionary(kind):
        return field, at
    else:
        parts, at = _all_nullable([kind.field(number) for number in range(kind.num_fields)], nulls, at)
    same = isinstance(field.type, pa.BaseExtensionType) or is_list_view(kind) or not has_parts(kind)
    return (field if same else field.with_type(nested_type(kind, parts))), at


def _all_nullable(fields: Sequence[pa.Field], nulls: Sequence[int], at: int) -> tuple[list[pa.Field], int]:
    made = []
    for each in fields:
        part, at = _nullable(each, nulls, at)
        made.append(part)
    return made, at


def _field(view: memoryview, table: int, index: int) -> int:
    """Offset of a field within a FlatBuffers table, 0 where it has its default."""
    (back,) = struct.unpack_from("<i", view, table)
    vtable = table - back
    (size,) = struct.unpack_from("<H", view, vtable)
    at = 4 + 2 * index
    return int(struct.unpack_from("<H", view, vtable + at)[0]) if at < size else 0
