"""JSON lines: one pass that checks each line against the grammar and reports the offsets of its top-level fields.

The grammar is RFC 8259, strictly: no NaN, no trailing comma, no control character in a string, no second value. A line
must be one object. Two conventions make it fast. The bytes end in a newline, and a newline is refused everywhere inside
a line, so no loop asks whether the data are at an end. And strings are searched eight bytes at a time (`words64`), so
the buffer must go on for 16 bytes after the lines.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from corpuscurate.kernels.compile import uncounted
from corpuscurate.kernels.simd.words64 import HIGH, byte_at, first_mark, load8, nonzero_bytes

STRING, INTEGER, FLOAT, TRUE, FALSE, NULL, OBJECT, ARRAY = range(8)
"""Kinds of values. A number is INTEGER when it has neither fraction nor exponent."""

KEY_ESCAPED, ESCAPED, LONE, KEY_LONE = 1, 2, 4, 8
"""Flags of a field: the key or the string value holds escapes; it holds a surrogate escape without its other half."""

OK, BROKEN, TOO_LARGE = 0, 1, 2
"""States of a line."""

MAX_DEPTH = 1024
"""Objects and arrays within each other, the line's own object counted; deeper is broken."""


def _resolved() -> NDArray[np.uint8]:
    """The byte that each letter after a backslash stands for (uint8[256]); 0 where it is not an escape."""
    table = np.zeros(256, np.uint8)
    for letter, byte in zip(b'"\\/bfnrt', b'"\\/\b\f\n\r\t', strict=True):
        table[letter] = byte
    return table


RESOLVED = _resolved()

_QUOTES = np.uint64(0x2222222222222222)
_BACKSLASHES = np.uint64(0x5C5C5C5C5C5C5C5C)
_NEWLINES = np.uint64(0x0A0A0A0A0A0A0A0A)
_NOT_CONTROL = np.uint64(0xE0E0E0E0E0E0E0E0)
_NONE = np.uint64(0)


@uncounted
def find_newline(data: NDArray[np.uint8], i: int) -> int:
    """The offset of the first newline at or after i; there must be one."""
    while True:
        marks = ~nonzero_bytes(load8(data, i) ^ _NEWLINES) & HIGH
        if marks != _NONE:
            return i + first_mark(marks)
        i += 8


@uncounted
def special_marks(word: np.uint64) -> np.uint64:
    """The high bit of each byte that is a quote, a backslash or below 0x20."""
    plain = nonzero_bytes(word ^ _QUOTES) & nonzero_bytes(word ^ _BACKSLASHES) & nonzero_bytes(word & _NOT_CONTROL)
    return ~plain & HIGH


@uncounted
def find_special(data: NDArray[np.uint8], i: int) -> int:
    """The first offset >= i of a quote, a backslash or a byte below 0x20; there must be one."""
    while True:
        marks = special_marks(load8(data, i))
        if marks != _NONE:
            return i + first_mark(marks)
        i += 8


@uncounted
def hex_value(data: NDArray[np.uint8], i: int) -> int:
    """The number that four hexadecimal digits at i write, or -1 where they are not."""
    value = 0
    for k in range(i, i + 4):
        byte = byte_at(data, k)
        if 48 <= byte <= 57:
            digit = byte - 48
        elif 65 <= byte <= 70:
            digit = byte - 55
        elif 97 <= byte <= 102:
            digit = byte - 87
        else:
            return -1
        value = value * 16 + digit
    return value


@uncounted
def skip_escape(data: NDArray[np.uint8], i: int) -> tuple[int, int]:
    """The offset after the escape whose backslash is at i, and 1 where it is a lone surrogate; (-1, 0) if invalid."""
    byte = byte_at(data, i + 1)
    if byte == 117:  # u
        unit = hex_value(data, i + 2)
        if unit < 0:
            return -1, 0
        if unit < 0xD800 or unit > 0xDFFF:
            return i + 6, 0
        if unit < 0xDC00 and byte_at(data, i + 6) == 92 and byte_at(data, i + 7) == 117:
            low = hex_value(data, i + 8)
            if 0xDC00 <= low <= 0xDFFF:
                return i + 12, 0
        return i + 6, 1
    return (i + 2 if RESOLVED[np.uint64(byte)] else -1), 0


@uncounted
def skip_string(data: NDArray[np.uint8], i: int) -> tuple[int, int]:
    """The offset of the closing quote of the string whose content begins at i, and its flags: 1 escapes, 2 lone.

    Where it is broken: -1 - offset of the first byte that is not allowed there.
    """
    flags = 0
    while True:
        i = find_special(data, i)
        byte = byte_at(data, i)
        if byte == 34:
            return i, flags
        if byte != 92:
            return -1 - i, flags
        flags |= 1
        letter = byte_at(data, i + 1)
        if letter != 117 and RESOLVED[np.uint64(letter)] != 0:
            i += 2
            continue
        after, lone = skip_escape(data, i)
        if after < 0:
            return -1 - i, flags
        flags |= lone << 1
        i = after


@uncounted
def skip_space(data: NDArray[np.uint8], i: int) -> int:
    """The first offset >= i that holds no space, tab or carriage return."""
    while byte_at(data, i) == 32 or byte_at(data, i) == 9 or byte_at(data, i) == 13:
        i += 1
    return i


@uncounted
def _skip_digits(data: NDArray[np.uint8], i: int) -> int:
    while 48 <= byte_at(data, i) <= 57:
        i += 1
    return i


@uncounted
def skip_number(data: NDArray[np.uint8], i: int) -> tuple[int, int]:
    """The offset after the number at i and its kind; where it is broken: -1 - offset."""
    kind = INTEGER
    if byte_at(data, i) == 45:
        i += 1
    if byte_at(data, i) == 48:
        i += 1
    elif 49 <= byte_at(data, i) <= 57:
        i = _skip_digits(data, i)
    else:
        return -1 - i, kind
    if byte_at(data, i) == 46:
        kind = FLOAT
        after = _skip_digits(data, i + 1)
        if after == i + 1:
            return -1 - after, kind
        i = after
    if byte_at(data, i) == 101 or byte_at(data, i) == 69:
        kind = FLOAT
        i += 1
        if byte_at(data, i) == 43 or byte_at(data, i) == 45:
            i += 1
        after = _skip_digits(data, i)
        if after == i:
            return -1 - after, kind
        i = after
    return i, kind


@uncounted
def skip_scalar(data: NDArray[np.uint8], i: int) -> tuple[int, int, int]:
    """The offset after the value at i, which is no object or array, its kind and the flags of a string."""
    byte = byte_at(data, i)
    if byte == 34:
        end, flags = skip_string(data, i + 1)
        return (end + 1 if end >= 0 else end), STRING, flags
    if byte == 45 or 48 <= byte <= 57:
        end, kind = skip_number(data, i)
        return end, kind, 0
    if byte == 116:
        if byte_at(data, i + 1) == 114 and byte_at(data, i + 2) == 117 and byte_at(data, i + 3) == 101:
            return i + 4, TRUE, 0
    elif byte == 102:
        if (
            byte_at(data, i + 1) == 97
            and byte_at(data, i + 2) == 108
            and byte_at(data, i + 3) == 115
            and byte_at(data, i + 4) == 101
        ):
            return i + 5, FALSE, 0
    elif byte == 110 and byte_at(data, i + 1) == 117 and byte_at(data, i + 2) == 108 and byte_at(data, i + 3) == 108:
        return i + 4, NULL, 0
    return -1 - i, NULL, 0


@uncounted
def skip_key(data: NDArray[np.uint8], i: int) -> tuple[int, int, int]:
    """From the opening quote of a key at i: offset of the value, offset of the key's closing quote, flags.

    Where it is broken the first is -1 - offset.
    """
    if byte_at(data, i) != 34:
        return -1 - i, i, 0
    end, flags = skip_string(data, i + 1)
    if end < 0:
        return end, i, flags
    i = skip_space(data, end + 1)
    if byte_at(data, i) != 58:
        return -1 - i, end, flags
    return skip_space(data, i + 1), end, flags


@uncounted
def skip_nested(data: NDArray[np.uint8], i: int, stack: NDArray[np.uint8]) -> int:
    """The offset after the object or array at i; where it is broken: -1 - offset. `stack`: uint8[MAX_DEPTH]."""
    depth = 1  # the line's own object
    value = True  # a value may follow, else a comma or the end of the innermost object or array
    while True:
        byte = byte_at(data, i)
        if value and byte in (123, 91):
            if depth >= MAX_DEPTH:
                return -1 - i
            stack[depth] = byte
            depth += 1
            i = skip_space(data, i + 1)
            if byte_at(data, i) != byte + 2:  # not empty
                if byte == 123:
                    i, _, _ = skip_key(data, i)
                    if i < 0:
                        return i
                continue
            value = False
        elif value:
            i, _, _ = skip_scalar(data, i)
            if i < 0:
                return i
            i = skip_space(data, i)
            value = False
        byte = byte_at(data, i)
        opened = stack[depth - 1]
        if byte == 44:
            i = skip_space(data, i + 1)
            if opened == 123:
                i, _, _ = skip_key(data, i)
                if i < 0:
                    return i
            value = True
        elif byte == opened + 2:
            depth -= 1
            if depth == 1:
                return i + 1
            i = skip_space(data, i + 1)
        else:
            return -1 - i


@uncounted
def scan_object(
    data: NDArray[np.uint8],
    i: int,
    count: int,
    stack: NDArray[np.uint8],
    fields: NDArray[np.int64],
    kinds: NDArray[np.uint8],
    flags: NDArray[np.uint8],
) -> tuple[int, int]:
    """The object at i: offset of its closing brace and the number of fields so far, `count` before it included.

    Where it is broken the offset is -1 - that of the first wrong byte; where `fields` is full the count is -1.
    """
    if byte_at(data, i) != 123:
        return -1 - i, count
    i = skip_space(data, i + 1)
    if byte_at(data, i) == 125:
        return i, count
    while True:
        key = i + 1
        i, key_end, key_flags = skip_key(data, i)
        if i < 0:
            return i, count
        if count == len(kinds):
            return i, -1
        start = i
        if byte_at(data, i) == 123 or byte_at(data, i) == 91:
            kind = OBJECT if byte_at(data, i) == 123 else ARRAY
            value_flags = 0
            i = skip_nested(data, i, stack)
        else:
            i, kind, value_flags = skip_scalar(data, i)
        if i < 0:
            return i, count
        fields[count, 0] = key
        fields[count, 1] = key_end
        fields[count, 2] = start
        fields[count, 3] = i
        kinds[count] = kind
        flags[count] = (key_flags & 1) | (value_flags << 1) | ((key_flags & 2) << 2)
        count += 1
        i = skip_space(data, i)
        if byte_at(data, i) == 125:
            return i, count
        if byte_at(data, i) != 44:
            return -1 - i, count
        i = skip_space(data, i + 1)


@uncounted
def scan_lines(
    data: NDArray[np.uint8],
    start: int,
    stop: int,
    max_bytes: int,
    stack: NDArray[np.uint8],
    lines: NDArray[np.int64],
    status: NDArray[np.uint8],
    fields: NDArray[np.int64],
    kinds: NDArray[np.uint8],
    flags: NDArray[np.uint8],
) -> tuple[int, int, int]:
    """Check the lines in data[start:stop] and report their fields, until the data or an `out` array is at an end.

    data: uint8[...], with at least 16 bytes after `stop`; data[stop - 1] is a newline.
    Lines of white space alone are skipped. max_bytes: longer lines (without line end) are TOO_LARGE.
    stack: uint8[MAX_DEPTH], scratch. lines: int64[n, 5], for each record the offsets of its first byte, its end
    (without newline and one carriage return), its closing brace (of a BROKEN line: the first wrong byte), the number
    of its first field and of the one after its last. status: uint8[n]. fields: int64[m, 4], for each top-level field
    key start and end (without quotes), value start and end (a string's with quotes). kinds: uint8[m]. flags: uint8[m].
    Answers (offset of the next line, records, fields). No progress means that one record has more than m fields.
    """
    records = 0
    count = 0
    i = start
    while i < stop and records < len(status):
        begin = i
        i = skip_space(data, begin)
        blank = byte_at(data, i) == 10
        brace = i
        state = OK
        first = count
        if blank:
            newline = i
        else:
            brace, after = scan_object(data, i, count, stack, fields, kinds, flags)
            if after < 0:
                return begin, records, first
            if brace >= 0:
                i = skip_space(data, brace + 1)
                if byte_at(data, i) == 10:
                    count = after
                else:
                    brace = -1 - i
            if brace < 0:
                state = BROKEN
                brace = -1 - brace
                i = find_newline(data, brace)
            newline = i
        i = newline + 1
        end = newline - 1 if newline > begin and byte_at(data, newline - 1) == 13 else newline
        if end - begin > max_bytes:
            state = TOO_LARGE
            count = first
        elif blank:
            continue
        lines[records, 0] = begin
        lines[records, 1] = end
        lines[records, 2] = brace
        lines[records, 3] = first
        lines[records, 4] = count
        status[records] = state
        records += 1
    return i, records, count


@uncounted
def newline_in(data: NDArray[np.uint8], start: int, stop: int, last: bool) -> int:
    """The offset of the first (or, where `last`, the last) newline in data[start:stop]; -1 where there is none."""
    if last:
        for i in range(stop - 1, start - 1, -1):
            if byte_at(data, i) == 10:
                return i
    else:
        for i in range(start, stop):
            if byte_at(data, i) == 10:
                return i
    return -1
