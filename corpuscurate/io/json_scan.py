"""Lines of JSON in a buffer as arrays of spans: the scan that reader, column types, columns and writer share."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from corpuscurate.core.columns import from_buffers, text_buffers
from corpuscurate.io.line_blocks import NEWLINE, PAD_BYTES
from corpuscurate.kernels.json.fields import find_fields
from corpuscurate.kernels.json.lines import ESCAPED, KEY_ESCAPED, MAX_DEPTH, STRING, scan_lines
from corpuscurate.kernels.json.strings import copy_spans, join_lines, unescape_spans

MAX_ROWS = 1 << 16
"""Records that are scanned at once: bounds what short lines cost in arrays."""

Ints = NDArray[np.int64]
Bytes = NDArray[np.uint8]
Bools = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Scan:
    """Records and their fields, as `kernels.json_lines.scan_lines` reports them. The arrays are used again by the next
    scan, except `status`."""

    data: Bytes
    lines: Ints
    status: Bytes
    fields: Ints
    kinds: Bytes
    flags: Bytes

    def __len__(self) -> int:
        return len(self.lines)

    def scratch(self) -> Bytes:
        """Room for the longest key that holds escapes."""
        escaped = self.fields[self.flags & KEY_ESCAPED != 0, :2]
        return np.empty(int((escaped[:, 1] - escaped[:, 0]).max(initial=0)), np.uint8)

    def find(self, names: Sequence[str]) -> tuple[Ints, Bools]:
        """For each record and name the number of the last such field or -1, int64[n, k]; whether a name is repeated."""
        found = np.empty((len(self), len(names)), np.int64)
        repeated = np.empty(len(self), np.bool_)
        offsets, data = text_buffers(pa.array(names, pa.large_string()))
        find_fields(
            self.data, self.lines, self.status, self.fields, self.flags, data, offsets, self.scratch(), found, repeated
        )
        return found, repeated

    def spans(self, found: Ints) -> tuple[Ints, Ints]:
        """Starts and ends of the values of fields `found`; an empty span where it is -1."""
        if not len(self.fields):
            return np.zeros(len(found), np.int64), np.zeros(len(found), np.int64)
        starts, stops = self.fields[found, 2], self.fields[found, 3]
        starts[found < 0] = stops[found < 0] = 0
        return starts, stops

    def raw(self, found: Ints) -> pa.LargeStringArray:
        """The JSON text of the values of fields `found`; null where it is -1."""
        return copied(self.data, *self.spans(found), _mask(found))

    def texts(self, found: Ints) -> pa.LargeStringArray:
        """The values of fields `found` as text: strings with their escapes resolved, others as their JSON text."""
        starts, stops = self.spans(found)
        quoted = (found >= 0) & (self.take(self.kinds, found) == STRING)
        starts += quoted
        stops -= quoted
        escaped = self.take(self.flags, found) & ESCAPED != 0
        offsets = np.empty(len(starts) + 1, np.int64)
        out = np.empty(int((stops - starts).sum()), np.uint8)
        used = unescape_spans(self.data, starts, stops, escaped, offsets, out)
        return from_buffers(offsets, out[:used], _mask(found))

    def take(self, values: Bytes, found: Ints) -> Bytes:
        """values[found], 0 where `found` is -1."""
        if not len(values):
            return np.zeros(len(found), np.uint8)
        taken = values[found]
        taken[found < 0] = 0
        return taken


def _mask(found: Ints) -> Bools | None:
    valid = found >= 0
    return None if valid.all() else valid


def copied(data: Bytes, starts: Ints, stops: Ints, valid: Bools | None = None) -> pa.LargeStringArray:
    """Spans of a buffer as a column."""
    offsets = np.empty(len(starts) + 1, np.int64)
    out = np.empty(int((stops - starts).sum()), np.uint8)
    copy_spans(data, starts, stops, offsets, out)
    return from_buffers(offsets, out, valid)


class LineScanner:
    """Scans blocks of lines into arrays that are used again."""

    def __init__(self, max_bytes: int, rows: int = MAX_ROWS, fields: int = 1 << 12) -> None:
        self._max_bytes = max_bytes
        self._stack = np.empty(MAX_DEPTH, np.uint8)
        self._lines = np.empty((rows, 5), np.int64)
        self._status = np.empty(rows, np.uint8)
        self._room(fields)

    def _room(self, fields: int) -> None:
        self._fields = np.empty((fields, 4), np.int64)
        self._kinds = np.empty(fields, np.uint8)
        self._flags = np.empty(fields, np.uint8)

    def scan(self, data: Bytes, start: int, stop: int) -> Iterator[Scan]:
        """The records of data[start:stop], whole lines with 16 bytes behind them; each scan before the next one."""
        while start < stop:
            after, rows, count = scan_lines(
                data, start, stop, self._max_bytes, self._stack,
                self._lines, self._status, self._fields, self._kinds, self._flags,
            )  # fmt: skip
            full = rows < len(self._status) and after < stop
            if rows:
                yield Scan(
                    data, self._lines[:rows], self._status[:rows].copy(),
                    self._fields[:count], self._kinds[:count], self._flags[:count],
                )  # fmt: skip
            if after == start or (full and len(self._kinds) < 16 * MAX_ROWS):
                self._room(4 * len(self._kinds))
            start = after


def joined(lines: pa.LargeBinaryArray) -> tuple[Bytes, int]:
    """Lines without line ends as a buffer to scan: (data, stop)."""
    offsets, data = text_buffers(lines)
    total = int(offsets[-1] - offsets[0]) + len(lines)
    out = np.empty(total + PAD_BYTES, np.uint8)
    used = join_lines(offsets, data, NEWLINE, out)
    return out, int(used)


def is_one_value(texts: pa.LargeStringArray) -> Bools:
    """Whether each text, without line ends, is one JSON value and nothing else: bool[n], True for null."""
    lines = pc.binary_join_element_wise(
        pa.scalar('{"v":', texts.type),
        pc.fill_null(texts, "null"),
        pa.scalar("}", texts.type),
        pa.scalar("", texts.type),
    )
    data, stop = joined(lines.view(pa.large_binary()))
    good = [np.zeros(0, np.bool_)]
    for scan in LineScanner(stop).scan(data, 0, stop):
        good.append((scan.status == 0) & (scan.lines[:, 4] - scan.lines[:, 3] == 1))
    return np.concatenate(good)
