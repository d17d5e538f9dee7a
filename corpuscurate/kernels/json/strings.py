"""Text in JSON strings: resolving escapes, writing them, checking UTF-8, copying spans."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from corpuscurate.kernels.compile import uncounted
from corpuscurate.kernels.json.lines import RESOLVED, hex_value, special_marks
from corpuscurate.kernels.simd.words64 import HIGH, byte_at, copy_bytes, first_mark, load8, nonzero_bytes, store8

_BACKSLASHES = np.uint64(0x5C5C5C5C5C5C5C5C)
_NONE = np.uint64(0)


def _short_escapes() -> NDArray[np.uint8]:
    """The letter after the backslash for each byte (uint8[256]), 0 = plain, 117 = written as \\u00XX."""
    table = np.zeros(256, np.uint8)
    table[:32] = ord("u")
    for byte, letter in zip(b'"\\\b\f\n\r\t', b'"\\bfnrt', strict=True):
        table[byte] = letter
    return table


SHORT = _short_escapes()
HEX = np.frombuffer(b"0123456789abcdef", np.uint8).copy()


@uncounted
def put_code_point(code: int, at: int, out: NDArray[np.uint8]) -> int:
    """Write a code point as UTF-8 at out[at:]; the offset after it."""
    if code < 0x80:
        out[np.uint64(at)] = code
        return at + 1
    if code < 0x800:
        out[np.uint64(at)] = 0xC0 | (code >> 6)
        out[np.uint64(at + 1)] = 0x80 | (code & 63)
        return at + 2
    if code < 0x10000:
        out[np.uint64(at)] = 0xE0 | (code >> 12)
        out[np.uint64(at + 1)] = 0x80 | ((code >> 6) & 63)
        out[np.uint64(at + 2)] = 0x80 | (code & 63)
        return at + 3
    out[np.uint64(at)] = 0xF0 | (code >> 18)
    out[np.uint64(at + 1)] = 0x80 | ((code >> 12) & 63)
    out[np.uint64(at + 2)] = 0x80 | ((code >> 6) & 63)
    out[np.uint64(at + 3)] = 0x80 | (code & 63)
    return at + 4


@uncounted
def put_escape(data: NDArray[np.uint8], i: int, at: int, out: NDArray[np.uint8]) -> tuple[int, int]:
    """Resolve the valid escape whose backslash is at i into out[at:]: offsets after it in `data` and in `out`.

    A lone surrogate becomes U+FFFD: whoever must not lose it asks the flags of the scan first.
    """
    byte = byte_at(data, i + 1)
    if byte != 117:
        out[np.uint64(at)] = RESOLVED[np.uint64(byte)]
        return i + 2, at + 1
    code = hex_value(data, i + 2)
    i += 6
    if 0xD800 <= code <= 0xDFFF:
        low = -1
        if code < 0xDC00 and byte_at(data, i) == 92 and byte_at(data, i + 1) == 117:
            low = hex_value(data, i + 2)
        if 0xDC00 <= low <= 0xDFFF:
            code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00)
            i += 6
        else:
            code = 0xFFFD
    return i, put_code_point(code, at, out)


@uncounted
def unescape(data: NDArray[np.uint8], i: int, stop: int, at: int, out: NDArray[np.uint8]) -> int:
    """Resolve the escapes of data[i:stop], the inside of a checked JSON string, into out[at:]; the offset after it."""
    while i + 8 <= stop:
        word = load8(data, i)
        store8(word, at, out)  # what it writes too much is overwritten: resolving never lengthens
        marks = ~nonzero_bytes(word ^ _BACKSLASHES) & HIGH
        if marks == _NONE:
            i += 8
            at += 8
        else:
            plain = first_mark(marks)
            i += plain
            at += plain
            letter = byte_at(data, i + 1)
            if letter != 117:
                out[np.uint64(at)] = RESOLVED[np.uint64(letter)]
                i += 2
                at += 1
            else:
                i, at = put_escape(data, i, at, out)
    while i < stop:
        if byte_at(data, i) == 92:
            i, at = put_escape(data, i, at, out)
        else:
            out[np.uint64(at)] = byte_at(data, i)
            i += 1
            at += 1
    return at


@uncounted
def unescape_spans(
    data: NDArray[np.uint8],
    starts: NDArray[np.int64],
    stops: NDArray[np.int64],
    escaped: NDArray[np.bool_],
    offsets: NDArray[np.int64],
    out: NDArray[np.uint8],
) -> int:
    """The text of many JSON strings, one after the other.

    data: uint8[...]. starts, stops: int64[n], the insides of checked strings (start >= stop: no text). escaped:
    bool[n], whether a string holds escapes at all. offsets: int64[n + 1]. out: uint8[...], no less than the sum of the
    spans (resolving never lengthens). Answers the bytes written.
    """
    at = 0
    offsets[0] = 0
    for row in range(len(starts)):
        if escaped[row]:
            at = unescape(data, starts[row], stops[row], at, out)
        else:
            at = copy_bytes(data, starts[row], stops[row], at, out)
        offsets[row + 1] = at
    return at


@uncounted
def copy_spans(
    data: NDArray[np.uint8],
    starts: NDArray[np.int64],
    stops: NDArray[np.int64],
    offsets: NDArray[np.int64],
    out: NDArray[np.uint8],
) -> int:
    """Many spans of bytes one after the other; as `unescape_spans`, without escapes. Answers the bytes written."""
    at = 0
    offsets[0] = 0
    for row in range(len(starts)):
        at = copy_bytes(data, starts[row], stops[row], at, out)
        offsets[row + 1] = at
    return at


@uncounted
def escaped_bytes(data: NDArray[np.uint8], start: int, stop: int) -> int:
    """How many bytes data[start:stop] takes inside a JSON string (without the quotes)."""
    size = stop - start
    for i in range(start, stop):
        letter = SHORT[np.uint64(byte_at(data, i))]
        size += (letter != 0) + 4 * (letter == 117)
    return size


@uncounted
def _put_byte(byte: int, at: int, out: NDArray[np.uint8]) -> int:
    letter = SHORT[np.uint64(byte)]
    if letter == 0:
        out[np.uint64(at)] = byte
        return at + 1
    out[np.uint64(at)] = 92
    out[np.uint64(at + 1)] = letter
    if letter != 117:
        return at + 2
    out[np.uint64(at + 2)] = 48
    out[np.uint64(at + 3)] = 48
    out[np.uint64(at + 4)] = HEX[np.uint64(byte >> 4)]
    out[np.uint64(at + 5)] = HEX[np.uint64(byte & 15)]
    return at + 6


@uncounted
def put_escaped(data: NDArray[np.uint8], i: int, stop: int, at: int, out: NDArray[np.uint8]) -> int:
    """Write data[i:stop] as the inside of a JSON string to out[at:]; the offset after it."""
    while i + 8 <= stop:
        word = load8(data, i)
        store8(word, at, out)  # what it writes too much is overwritten: escaping never shortens
        marks = special_marks(word)
        if marks == _NONE:
            i += 8
            at += 8
        else:
            plain = first_mark(marks)
            at = _put_byte(byte_at(data, i + plain), at + plain, out)
            i += plain + 1
    while i < stop:
        at = _put_byte(byte_at(data, i), at, out)
        i += 1
    return at


@uncounted
def count_quoted(offsets: NDArray[np.int64], data: NDArray[np.uint8], out: NDArray[np.int64]) -> int:
    """The size of each text as a JSON string, quotes included. offsets: int64[n + 1]; out: int64[n]; their sum."""
    total = 0
    for row in range(len(out)):
        size = escaped_bytes(data, offsets[row], offsets[row + 1]) + 2
        out[row] = size
        total += size
    return total


@uncounted
def fill_quoted(
    offsets: NDArray[np.int64], data: NDArray[np.uint8], out_offsets: NDArray[np.int64], out: NDArray[np.uint8]
) -> int:
    """Each text as a JSON string. offsets: int64[n + 1]; out_offsets: int64[n + 1], given; out: uint8[...].

    Answers the bytes written. Escapes: as Python's json with ensure_ascii=False.
    """
    at = out_offsets[0]
    for row in range(len(out_offsets) - 1):
        at = out_offsets[row]
        out[np.uint64(at)] = 34
        at = put_escaped(data, offsets[row], offsets[row + 1], at + 1, out)
        out[np.uint64(at)] = 34
        at += 1
    return int(at - out_offsets[0])


@uncounted
def _continued(data: NDArray[np.uint8], i: int, count: int, stop: int) -> bool:
    continued = i + count < stop
    for k in range(i + 1, min(i + 1 + count, stop)):
        continued &= byte_at(data, k) & 0xC0 == 0x80
    return continued


@uncounted
def invalid_utf8_at(data: NDArray[np.uint8], start: int, stop: int) -> int:
    """The offset of the first byte of data[start:stop] that is not UTF-8 (RFC 3629, table 3-7 of Unicode), or -1."""
    i = start
    while i < stop:
        byte = byte_at(data, i)
        if byte < 0x80:
            i += 1
            while i + 8 <= stop and load8(data, i) & HIGH == _NONE:
                i += 8
        elif byte < 0xC2:
            return i
        elif byte < 0xE0:
            if not _continued(data, i, 1, stop):
                return i
            i += 2
        elif byte < 0xF0:
            if not _continued(data, i, 2, stop):
                return i
            second = byte_at(data, i + 1)
            if (byte == 0xE0 and second < 0xA0) or (byte == 0xED and second > 0x9F):
                return i
            i += 3
        elif byte < 0xF5:
            if not _continued(data, i, 3, stop):
                return i
            second = byte_at(data, i + 1)
            if (byte == 0xF0 and second < 0x90) or (byte == 0xF4 and second > 0x8F):
                return i
            i += 4
        else:
            return i
    return -1


@uncounted
def mark_invalid_utf8(data: NDArray[np.uint8], lines: NDArray[np.int64], invalid: NDArray[np.bool_]) -> int:
    """Which lines are not UTF-8. lines: int64[n, 5] as in `scan_lines`; invalid: bool[n]. Answers their number."""
    count = 0
    for row in range(len(lines)):
        bad = invalid_utf8_at(data, lines[row, 0], lines[row, 1]) >= 0
        invalid[row] = bad
        count += bad
    return count


@uncounted
def join_lines(offsets: NDArray[np.int64], data: NDArray[np.uint8], end: int, out: NDArray[np.uint8]) -> int:
    """Rows of bytes one after the other, the byte `end` behind each; answers the bytes written.

    offsets: int64[n + 1]; data: uint8[...]; out: uint8[...], n bytes more than the rows.
    """
    at = 0
    for row in range(len(offsets) - 1):
        at = copy_bytes(data, offsets[row], offsets[row + 1], at, out)
        out[np.uint64(at)] = end
        at += 1
    return at
