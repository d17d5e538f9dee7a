"""JSON lines: one bad line costs one line, and no field but the wanted ones is touched.

Lines are checked and taken apart by kernels over the bytes of a block; no Python object is made for a good record.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import numpy as np
import orjson
import pyarrow as pa
from numpy.typing import NDArray

from corpuscurate.core.batch import Batch
from corpuscurate.core.columns import JSON, from_buffers
from corpuscurate.core.doc_ids import doc_ids
from corpuscurate.core.errors import InputError
from corpuscurate.io.base import (
    HEAD_BYTES,
    REASONS,
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
from corpuscurate.io.column_types import TypeCollector, unify_types
from corpuscurate.io.files import MAX_FILE_BYTES
from corpuscurate.io.json_scan import Bools, Ints, LineScanner, Scan, copied
from corpuscurate.io.line_blocks import line_blocks, too_large
from corpuscurate.kernels.json.lines import BROKEN, KEY_LONE, LONE, NULL, STRING, TOO_LARGE
from corpuscurate.kernels.json.strings import invalid_utf8_at, mark_invalid_utf8

BAD_AT_ONCE = 4096
"""Bad records in one chunk at most: a file of nothing else must not fill the memory."""
DETAIL_BYTES = 1 << 20
"""Longer broken lines are not parsed a second time for a better message."""
SAMPLE_BYTES = 1 << 20
"""How much of a file `columns` looks at."""
REST = pa.schema(
    [("line", pa.large_binary()), ("text_start", pa.int64()), ("text_end", pa.int64()), ("braces", pa.int64())],
    metadata={REST_FORM: b"json"},
)
_CODE = {reason: code for code, reason in enumerate(REASONS, 1)}


class _Wanted:
    """A scan with the wanted fields found, and what is wrong with each record."""

    def __init__(self, scan: Scan, want: Want) -> None:
        self.scan = scan
        self.want = want
        self.names = list(dict.fromkeys([want.text, *([want.id] if want.id is not None else []), *want.columns]))
        self.found, self.repeated = scan.find(self.names)
        self.text = self.field(want.text)
        self.code = self._codes()

    def field(self, name: str) -> Ints:
        """For each record the number of the field of a wanted name, or -1."""
        return self.found[:, self.names.index(name)]

    def value(self, name: str, rows: Ints) -> Ints:
        """The fields of a wanted name in some records, -1 where it is absent or null."""
        found = self.field(name)[rows]
        found[self.scan.take(self.scan.kinds, found) == NULL] = -1
        return found

    def _codes(self) -> NDArray[np.int8]:
        """0 = good, else the number of the reason, counted from 1. A later assignment goes before an earlier one."""
        scan, text = self.scan, self.text
        code = np.zeros(len(scan), np.int8)
        kinds = scan.take(scan.kinds, text)
        code[self._lone()] = _CODE["lone_surrogate"]
        code[kinds != STRING] = _CODE["text_not_string"]
        code[kinds == NULL] = _CODE["null_text"]
        code[text < 0] = _CODE["missing_text"]
        code[self.repeated] = _CODE["duplicate_field"]
        code[scan.status == BROKEN] = _CODE["broken_json"]
        code[_invalid_utf8(scan)] = _CODE["invalid_utf8"]
        code[scan.status == TOO_LARGE] = _CODE["too_large"]
        return code

    def _lone(self) -> Bools:
        """Records whose text, id or a field name has no valid text."""
        scan = self.scan
        lone: Bools = scan.take(scan.flags, self.text) & LONE != 0
        if self.want.id is not None:
            lone |= scan.take(scan.flags, self.field(self.want.id)) & LONE != 0
        return lone | _lone_names(scan)

    def batch(self, file: int, base: int) -> Batch | None:
        """The good records as documents. base: the offset in the file of the scanned bytes."""
        scan, want = self.scan, self.want
        rows = np.flatnonzero(self.code == 0)
        if not len(rows):
            return None
        lines = scan.lines[rows]
        columns = {
            name: pa.ExtensionArray.from_storage(JSON, scan.raw(self.value(name, rows))) for name in want.columns
        }
        return Batch(
            doc_ids(file, lines[:, 0] + base),
            scan.texts(self.text[rows]),
            lines[:, 1] - lines[:, 0],
            None if want.id is None else scan.texts(self.value(want.id, rows)),
            columns,
            _rest(scan, lines, self.text[rows]) if want.rest else None,
        )

    def mark_cut(self) -> None:
        """Of the last line, behind which the file ends without a newline: whether the file ends inside a record."""
        begin, end, wrong = (int(value) for value in self.scan.lines[-1, :3])
        broken = self.code[-1] in (_CODE["broken_json"], _CODE["invalid_utf8"])
        if broken and _ends_inside(self.scan.data[begin:end], wrong - begin):
            self.code[-1] = _CODE["truncated"]

    def bad(self, base: int) -> Iterator[tuple[BadRecord, ...]]:
        """The bad records, some at a time."""
        rows = np.flatnonzero(self.code)
        for first in range(0, len(rows), BAD_AT_ONCE):
            yield tuple(self._bad_record(int(row), base) for row in rows[first : first + BAD_AT_ONCE])

    def _bad_record(self, row: int, base: int) -> BadRecord:
        begin, end, wrong, _, _ = (int(value) for value in self.scan.lines[row])
        reason = REASONS[int(self.code[row]) - 1]
        line = self.scan.data[begin:end]
        head = line[:HEAD_BYTES].tobytes()
        if reason == "too_large":
            return too_large(base + begin, head, self.want.max_record_bytes)
        if reason == "truncated":
            return BadRecord(base + begin, reason, "the file ends inside a record", head, whole_file=True)
        if reason == "broken_json":
            detail = _what_is_broken(line, wrong - begin)
        elif reason == "invalid_utf8":
            at = int(invalid_utf8_at(self.scan.data, begin, end)) - begin
            detail = f"not UTF-8 at byte {at} of the line (0x{int(line[at]):02x})"
        else:
            detail = self._what_is_wrong(reason, row)
        return BadRecord(base + begin, reason, detail, head)

    def _what_is_wrong(self, reason: str, row: int) -> str:
        text = self.want.text
        if reason == "duplicate_field":
            return f"one of the fields {', '.join(map(repr, self.names))} occurs twice"
        if reason == "lone_surrogate":
            return "an escape such as \\ud800 stands without its other half"
        if reason == "missing_text":
            return f"the record has no field {text!r}"
        if reason == "null_text":
            return f"{text!r} is null"
        kind = int(self.scan.kinds[self.text[row]])
        return (
            f"{text!r} is {('a string', 'a number', 'a number', 'true', 'false', 'null', 'an object', 'a list')[kind]}"
        )


def _lone_names(scan: Scan) -> Bools:
    """Which records have a field whose name is no valid text."""
    lone = np.zeros(len(scan), np.bool_)
    in_name = np.flatnonzero(scan.flags & KEY_LONE)
    if len(in_name):
        lone[np.searchsorted(scan.lines[:, 4], in_name, "right")] = True
    return lone


def _invalid_utf8(scan: Scan) -> Bools:
    """Which records are not UTF-8. Arrow judges them together, and only where it finds something is each looked at."""
    invalid = np.zeros(len(scan), np.bool_)
    ends = np.array([scan.lines[0, 0], scan.lines[-1, 1]])
    try:
        from_buffers(ends, scan.data).validate(full=True)
    except pa.ArrowInvalid:
        mark_invalid_utf8(scan.data, scan.lines, invalid)
    return invalid


def _ends_inside(line: NDArray[np.uint8], wrong: int) -> bool:
    """Whether a broken line is the beginning of a JSON object. wrong: the first byte that the kernel did not expect."""
    if len(line) > DETAIL_BYTES:
        return wrong >= len(line)
    try:
        text = line.tobytes().decode()
    except UnicodeDecodeError as error:
        if error.reason != "unexpected end of data":
            return False
        text = line[: error.start].tobytes().decode()
    try:
        orjson.loads(text)
    except orjson.JSONDecodeError as error:
        return text.startswith("{") and error.pos >= len(text)
    return False


def _what_is_broken(line: NDArray[np.uint8], wrong: int) -> str:
    """Why a line is no JSON object, in the words of orjson where it sees it too."""
    if len(line) <= DETAIL_BYTES:
        try:
            value = orjson.loads(line.tobytes())
        except orjson.JSONDecodeError as error:
            return str(error)
        if not isinstance(value, dict):
            return f"a {type(value).__name__} and not an object"
    return f"not JSON at byte {wrong} of the line"


def _rest(scan: Scan, lines: Ints, text: Ints) -> pa.RecordBatch:
    """What a writer needs, in the form "json" of io.base."""
    start = lines[:, 0]
    whole = copied(scan.data, start, lines[:, 1])
    _, offsets, data = whole.buffers()
    line = pa.LargeBinaryArray.from_buffers(pa.large_binary(), len(whole), [None, offsets, data])
    spans = (scan.fields[text, 2] - start, scan.fields[text, 3] - start, lines[:, 2] - start)
    return pa.record_batch([line, *(pa.array(span) for span in spans)], schema=REST)


def _read(file: SourceFile, span: Span, want: Want) -> Iterator[Chunk]:
    only = want.id if want.types_of == "id" else None
    whole = want.types_of == "all"
    taker = TypeCollector(whole, only, file.name if whole else None) if want.column_types else None
    scanner = LineScanner(want.max_record_bytes)
    for block in line_blocks(file, span, want.batch_bytes, want.max_record_bytes):
        if isinstance(block, BadRecord):
            yield Chunk(None, (block,))
            continue
        if block.base + block.stop > MAX_FILE_BYTES:
            raise InputError(f"{file.name} holds more than {MAX_FILE_BYTES} bytes (1 TiB) decompressed. Split it.")
        for scan in scanner.scan(block.data, block.start, block.stop):
            wanted = _Wanted(scan, want)
            if block.unfinished:
                wanted.mark_cut()
            if taker is not None:
                taker.add(scan, wanted.code == 0)
            for bad in wanted.bad(block.base):
                yield Chunk(None, bad)
            batch = wanted.batch(file.number, block.base)
            if batch is not None:
                yield Chunk(batch)
    if taker is not None:
        yield Chunk(None, (), taker.column_types())


def _split(file: SourceFile, split_bytes: int) -> list[Span]:
    if file.compression is not None or file.size <= split_bytes:
        return [Span(file.number, 0, file.size, held_bytes(file))]
    cuts = [*range(0, file.size, split_bytes), file.size]
    return [Span(file.number, start, stop, stop - start) for start, stop in pairwise(cuts)]


def _columns(file: SourceFile) -> dict[str, str]:
    """Names and types in the first whole records, about SAMPLE_BYTES of them."""
    taker = TypeCollector()
    want = Want()
    span = Span(file.number, 0, file.size, file.size)
    for block in line_blocks(file, span, SAMPLE_BYTES, want.max_record_bytes):
        if not isinstance(block, BadRecord):
            for scan in LineScanner(want.max_record_bytes).scan(block.data, block.start, block.stop):
                taker.add(scan, (scan.status == 0) & ~_invalid_utf8(scan) & ~_lone_names(scan))
            break
    schema, conflicts = unify_types(taker.column_types())
    return {
        name: "JSON" if name in conflicts else str(schema.field(name).type).replace("large_string", "string")
        for name in schema.names
    }


_TEXTS = ("One small document, with a few words.\r\n- and a line …", "Ünïcode text: 文字, \u0301 and more.", "")
SAMPLE = b"".join(orjson.dumps({"id": i, "text": text, "n": 1}) + b"\n" for i, text in enumerate(_TEXTS))

JSONL = register(InputFormat("jsonl", (".jsonl", ".ndjson"), _read, _split, _columns, compressible=True, sample=SAMPLE))
