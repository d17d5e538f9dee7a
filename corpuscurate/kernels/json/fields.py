"""The fields that `kernels.json.lines.scan_lines` found: which of them are wanted, and which kinds of values occur."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from corpuscurate.kernels.compile import uncounted
from corpuscurate.kernels.json.lines import INTEGER, KEY_ESCAPED, LONE, OK
from corpuscurate.kernels.json.strings import unescape
from corpuscurate.kernels.simd.words64 import byte_at

LONE_BIT, REPEATED_BIT = 1 << 8, 1 << 9
"""Beside the bits 1 << kind: a string with a lone surrogate; a record that has the field twice."""

NEGATIVE, OVER_INT64, BEYOND, OVER_DOUBLE = 1 << 12, 1 << 13, 1 << 14, 1 << 15
"""Integers: below 0; above 2^63 - 1; outside int64 and uint64 both; above 2^53 in magnitude."""

_ZERO = np.uint64(0)
_TEN = np.uint64(10)
_MAX = np.uint64(0xFFFFFFFFFFFFFFFF)
_MAX_INT64 = np.uint64(0x7FFFFFFFFFFFFFFF)
_MIN_INT64 = np.uint64(0x8000000000000000)
_MAX_DOUBLE = np.uint64(1 << 53)
_FNV_START = np.uint64(0xCBF29CE484222325)
_FNV_PRIME = np.uint64(0x100000001B3)


@uncounted
def same_bytes(
    a: NDArray[np.uint8], a_start: int, a_stop: int, b: NDArray[np.uint8], b_start: int, b_stop: int
) -> bool:
    """Whether a[a_start:a_stop] equals b[b_start:b_stop]."""
    size = a_stop - a_start
    k = 0
    if size == b_stop - b_start:
        while k < size and byte_at(a, a_start + k) == byte_at(b, b_start + k):
            k += 1
        return k == size
    return False


@uncounted
def key_is(
    data: NDArray[np.uint8],
    field: NDArray[np.int64],
    escaped: bool,
    names: NDArray[np.uint8],
    start: int,
    stop: int,
    scratch: NDArray[np.uint8],
) -> bool:
    """Whether the key of `field` (a row of `fields`) is names[start:stop], escapes resolved."""
    if not escaped:
        return same_bytes(data, field[0], field[1], names, start, stop)
    if field[1] - field[0] < stop - start:
        return False
    end = unescape(data, field[0], field[1], 0, scratch)
    return same_bytes(scratch, 0, end, names, start, stop)


@uncounted
def find_fields(
    data: NDArray[np.uint8],
    lines: NDArray[np.int64],
    status: NDArray[np.uint8],
    fields: NDArray[np.int64],
    flags: NDArray[np.uint8],
    names: NDArray[np.uint8],
    name_offsets: NDArray[np.int64],
    scratch: NDArray[np.uint8],
    found: NDArray[np.int64],
    repeated: NDArray[np.bool_],
) -> int:
    """Find the fields of given names in each record.

    lines: int64[n, 5], status: uint8[n], fields: int64[m, 4], flags: uint8[m], all as in `scan_lines`. names:
    uint8[...], name_offsets: int64[k + 1], UTF-8, no name twice. scratch: uint8[...], as long as the longest escaped
    key. found: int64[n, k], the number of the last field of that name, or -1 (everywhere where the state is not OK).
    repeated: bool[n], whether one of the names occurs twice. Answers how many records repeat one. Fields in the order
    of `names` are found at the first try.
    """
    count = len(name_offsets) - 1
    repeats = 0
    for row in range(len(lines)):
        repeated[row] = False
        for name in range(count):
            found[row, name] = -1
        if status[row] != OK or count == 0:
            continue
        guess = 0
        for k in range(lines[row, 3], lines[row, 4]):
            escaped = flags[k] & KEY_ESCAPED != 0
            size = fields[k, 1] - fields[k, 0]
            for _ in range(count):
                name = guess
                guess = guess + 1 if guess + 1 < count else 0
                start = name_offsets[name]
                stop = name_offsets[name + 1]
                if size != stop - start and not escaped:  # most keys part here
                    continue
                if key_is(data, fields[k], escaped, names, start, stop, scratch):
                    repeated[row] |= found[row, name] >= 0
                    found[row, name] = k
                    break
        repeats += repeated[row]
    return repeats


@uncounted
def magnitude(data: NDArray[np.uint8], start: int, stop: int) -> tuple[np.uint64, bool]:
    """The magnitude of the JSON integer data[start:stop], and whether it is above 2^64 - 1 (then 0)."""
    i = start + (byte_at(data, start) == 45)
    if stop - i > 20:
        return _ZERO, True
    value = _ZERO
    for k in range(i, stop):
        digit = np.uint64(byte_at(data, k) - 48)
        if k - i == 19 and value > (_MAX - digit) // _TEN:
            return _ZERO, True
        value = value * _TEN + digit
    return value, False


@uncounted
def integer_bits(data: NDArray[np.uint8], start: int, stop: int) -> int:
    """The class of the JSON integer data[start:stop]: NEGATIVE, OVER_INT64, BEYOND and OVER_DOUBLE, or-ed."""
    value, beyond = magnitude(data, start, stop)
    negative = byte_at(data, start) == 45
    if beyond or (negative and value > _MIN_INT64):
        return BEYOND | OVER_DOUBLE
    bits = 0
    if negative and value > _ZERO:
        bits |= NEGATIVE
    if not negative and value > _MAX_INT64:
        bits |= OVER_INT64
    if value > _MAX_DOUBLE:
        bits |= OVER_DOUBLE
    return bits


@uncounted
def parse_integers(
    data: NDArray[np.uint8], starts: NDArray[np.int64], stops: NDArray[np.int64], out: NDArray[np.uint64]
) -> None:
    """JSON integers within int64 or uint64 as uint64 in two's complement: out, uint64[n]; 0 where start >= stop."""
    for row in range(len(starts)):
        value = _ZERO
        if starts[row] < stops[row]:
            value, _ = magnitude(data, starts[row], stops[row])
            if byte_at(data, starts[row]) == 45:
                value = _ZERO - value
        out[row] = value


@uncounted
def _hash(data: NDArray[np.uint8], start: int, stop: int) -> np.uint64:
    value = _FNV_START
    for k in range(start, stop):
        value = (value ^ np.uint64(byte_at(data, k))) * _FNV_PRIME
    return value


@uncounted
def _name_number(
    data: NDArray[np.uint8],
    fields: NDArray[np.int64],
    flags: NDArray[np.uint8],
    k: int,
    count: int,
    table: NDArray[np.int64],
    scratch: NDArray[np.uint8],
    other: NDArray[np.uint8],
    first: NDArray[np.int64],
) -> int:
    """The number of the name of field k (FNV-1a, linear probing); `count` where it is new, -1 where it has no room."""
    escaped = flags[k] & KEY_ESCAPED != 0
    if escaped:
        size = unescape(data, fields[k, 0], fields[k, 1], 0, scratch)
        digest = _hash(scratch, 0, size)
    else:
        size = 0
        digest = _hash(data, fields[k, 0], fields[k, 1])
    slot = np.int64((digest ^ (digest >> np.uint64(32))) & np.uint64(len(table) - 1))
    while table[slot] >= 0:
        known = first[table[slot]]
        known_escaped = flags[known] & KEY_ESCAPED != 0
        if escaped:
            same = key_is(data, fields[known], known_escaped, scratch, 0, size, other)
        else:
            same = key_is(data, fields[known], known_escaped, data, fields[k, 0], fields[k, 1], other)
        if same:
            return np.int64(table[slot])  # type: ignore[return-value]
        slot = (slot + 1) & (len(table) - 1)
    if count == len(first):
        return -1
    table[slot] = count
    first[count] = k
    return count


@uncounted
def survey_fields(
    data: NDArray[np.uint8],
    lines: NDArray[np.int64],
    good: NDArray[np.bool_],
    fields: NDArray[np.int64],
    kinds: NDArray[np.uint8],
    flags: NDArray[np.uint8],
    table: NDArray[np.int64],
    scratch: NDArray[np.uint8],
    other: NDArray[np.uint8],
    last: NDArray[np.int64],
    first: NDArray[np.int64],
    bits: NDArray[np.int64],
    ids: NDArray[np.int64],
) -> int:
    """Which names occur in records, in order of first appearance, and which kinds of values each has.

    lines: int64[n, 5], fields: int64[m, 4], kinds, flags: uint8[m], all as in `scan_lines`. good: bool[n], the records
    to look at. table: int64[a power of two above c], all -1; scratch, other: uint8[...] as long as the longest escaped
    key; last: int64[c]. first: int64[c], for each name the number of its first field. bits: int64[c], or of 1 << kind
    and of the bits above. ids: int64[m], the number of each field's name (-1: not looked at).
    Answers the number of names, or -1 where there are more than c.
    """
    count = 0
    for row in range(len(lines)):
        for k in range(lines[row, 3], lines[row, 4]):
            if not good[row]:
                ids[k] = -1
                continue
            name = _name_number(data, fields, flags, k, count, table, scratch, other, first)
            if name < 0:
                return -1
            if name == count:
                bits[name] = 0
                last[name] = -1
                count += 1
            ids[k] = name
            seen = 1 << np.int64(kinds[k])
            if kinds[k] == INTEGER:
                seen |= integer_bits(data, fields[k, 2], fields[k, 3])
            if flags[k] & LONE != 0:
                seen |= LONE_BIT
            if last[name] == row:
                seen |= REPEATED_BIT
            last[name] = row
            bits[name] |= seen
    return count
