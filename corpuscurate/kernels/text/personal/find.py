"""The walk over texts that finds personal data."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from corpuscurate.kernels.compile import uncounted
from corpuscurate.kernels.simd.anchors import REACH, anchors, ones
from corpuscurate.kernels.simd.bits import trailing_zeros
from corpuscurate.kernels.text.personal.accounts import FEWEST_DIGITS, card_stop, iban_stop
from corpuscurate.kernels.text.personal.addresses import (
    GROUPS,
    is_public_v4,
    is_public_v6,
    v4_around,
    v6_in,
    v6_run,
)
from corpuscurate.kernels.text.personal.characters import DASH, SPACE, Letters, after, before, joins
from corpuscurate.kernels.text.personal.emails import domain_stop, literal_stop, local_start
from corpuscurate.kernels.text.unicode import Int

KINDS = ("email", "iban", "card", "ip", "phone", "national")
"""What is found; a hit that overlaps one of a kind before it in this order is none."""
EMAIL, IBAN, CARD, IP, PHONE, NATIONAL = range(6)
BLOCK = 64
FEW_DIGITS = 7
"""Fewest digits of a telephone number."""
FEWEST_NATIONAL = 6
NATIONAL_BYTES = 32
_DOT, _PLUS, _OPEN, _CLOSE, _SLASH = 0x2E, 0x2B, 0x28, 0x29, 0x2F
_SEPARATORS = 3
_ONE = np.uint64(1)


class Hits(NamedTuple):
    """kinds: int8[room], EMAIL .. NATIONAL. rows: int64[room]. starts, stops: int64[room], bytes of `data`."""

    kinds: NDArray[np.int8]
    rows: NDArray[np.int64]
    starts: NDArray[np.int64]
    stops: NDArray[np.int64]


class Wanted(NamedTuple):
    """What to look for. public: only IP addresses that are public. national: telephone numbers without a plus sign,
    too."""

    email: bool
    iban: bool
    card: bool
    ip: bool
    phone: bool
    ids: bool
    public: bool
    national: bool


@uncounted
def _add(hits: Hits, count: Int, kind: Int, row: Int, start: Int, stop: Int) -> Int:
    """Note a hit where there is room; the number of hits."""
    if count < len(hits.kinds):
        hits.kinds[count] = kind
        hits.rows[count] = row
        hits.starts[count] = start
        hits.stops[count] = stop
    return np.int64(count + 1)


@uncounted
def _tail_marks(
    data: NDArray[np.uint8], i: Int, stop: Int
) -> tuple[np.uint64, np.uint64, np.uint64, np.uint64, np.uint64]:
    """`anchors` of fewer bytes than these need, up to `stop`. Digits beyond ASCII: every byte that may begin one."""
    at, digit, dot, colon, letter = np.uint64(0), np.uint64(0), np.uint64(0), np.uint64(0), np.uint64(0)
    for k in range(min(BLOCK, stop - i)):
        byte = data[i + k]
        bit = _ONE << np.uint64(k)
        if byte in (64, 239):
            at |= bit
        if 48 <= byte <= 57 or byte in (217, 219, 224, 239):
            digit |= bit
        if byte == _DOT:
            dot |= bit
        if byte == 0x3A:
            colon |= bit
        if 0x61 <= byte | 0x20 <= 0x7A:
            letter |= bit
    return at, digit, dot, colon, letter


@uncounted
def _email_at(
    data: NDArray[np.uint8], sign: Int, start: Int, stop: Int, t: Letters, groups: NDArray[np.int64]
) -> tuple[Int, Int]:
    """First byte of, and byte behind, the address around the at sign at byte `sign`; (-1, -1): there is none."""
    none = np.int64(-1), np.int64(-1)
    behind: Int = np.int64(sign + 1)
    if data[sign] == 0xEF:
        if sign + 2 >= stop or data[sign + 1] != 0xBC or data[sign + 2] != 0xA0:
            return none
        behind = np.int64(sign + 3)
    begin = local_start(data, sign, start, t)
    if begin < 0:
        return none
    end = domain_stop(data, behind, stop, t)
    if end < 0:
        end = literal_stop(data, behind, stop, groups)
    return (begin, end) if end >= 0 else none


@uncounted
def _is_separator(code: Int) -> bool:
    return bool(code in (SPACE, DASH, _DOT, _SLASH, _OPEN, _CLOSE, _PLUS))


@uncounted
def _cluster_start(data: NDArray[np.uint8], i: Int, start: Int, t: Letters) -> Int:
    """The first digit of the run of digits and separators in which byte i lies, looking back to `start`."""
    first: Int = np.int64(i)
    at: Int = np.int64(i)
    separators: Int = np.int64(0)
    while separators <= _SEPARATORS:
        code, begin = before(data, at, start, t)
        if 0x30 <= code <= 0x39:
            first = begin
            separators = np.int64(0)
        elif code != _PLUS and _is_separator(code):
            separators += 1
        else:
            break
        at = begin
    return first


@uncounted
def _walk_numbers(
    data: NDArray[np.uint8],
    first: Int,
    start: Int,
    stop: Int,
    row: Int,
    t: Letters,
    wanted: Wanted,
    hits: Hits,
    count: Int,
) -> tuple[Int, Int]:
    """Look at the run of digits and separators that begins with the digit at byte `first`; the byte behind it, and
    the number of hits."""
    i: Int = np.int64(first)
    begin: Int = np.int64(first)
    plus = False
    for _ in range(2):  # a bracket, a plus sign
        code, at = before(data, begin, start, t)
        if code in (_PLUS, _OPEN):
            plus = plus or code == _PLUS
            begin = at
    digits: Int = np.int64(0)
    separators: Int = np.int64(0)
    last: Int = np.int64(first)  # behind the last digit
    card: Int = np.int64(first)  # behind the last card number
    while separators <= _SEPARATORS:
        code, behind = after(data, i, stop, t)
        if 0x30 <= code <= 0x39:
            if i >= card and (i == first or separators) and wanted.card and is_start(data, i, start, t):
                found = card_stop(data, i, start, stop, t)
                if found >= 0:
                    count = _add(hits, count, CARD, row, i, found)
                    card = found
            digits += 1
            last = behind
            separators = np.int64(0)
        elif _is_separator(code) and (code != _PLUS or separators):
            plus = plus or code == _PLUS
            separators += 1
        else:
            break
        i = behind
    if wanted.phone and digits >= FEW_DIGITS and (plus or wanted.national):
        count = _add(hits, count, PHONE, row, begin, last)
    return np.int64(max(last, first + 1)), count


@uncounted
def is_start(data: NDArray[np.uint8], i: Int, start: Int, t: Letters) -> bool:
    """Whether a number may begin at byte i: no digit, letter or underscore stands before it."""
    code, _ = before(data, i, start, t)
    return not (code >= 0 and joins(code, t))


@uncounted
def _token(data: NDArray[np.uint8], i: Int, start: Int, stop: Int, floor: Int) -> tuple[Int, Int, Int]:
    """The run of ASCII letters and digits, with single inner hyphens, dots, slashes and spaces between digits, around
    byte i, not before `floor`: first byte, byte behind it, digits. At most NATIONAL_BYTES to each side."""
    begin: Int = np.int64(i)
    low = max(floor, start, i - NATIONAL_BYTES)
    while begin > low and _in_token(data, begin - 1, start, stop):
        begin -= 1
    end: Int = np.int64(i)
    high = min(stop, i + NATIONAL_BYTES)
    digits: Int = np.int64(0)
    while end < high and _in_token(data, end, start, stop):
        end += 1
    for k in range(begin, end):
        digits += 1 if 0x30 <= data[k] <= 0x39 else 0
    return begin, end, digits


@uncounted
def _alnum(byte: Int) -> bool:
    return bool(0x30 <= byte <= 0x39 or 0x61 <= byte | 0x20 <= 0x7A)


@uncounted
def _in_token(data: NDArray[np.uint8], i: Int, start: Int, stop: Int) -> bool:
    byte = data[i]
    if _alnum(byte):
        return True
    if i == start or i + 1 >= stop:
        return False
    left, right = data[i - 1], data[i + 1]
    if byte == SPACE:
        return bool(0x30 <= left <= 0x39 and 0x30 <= right <= 0x39)
    return bool((byte in (DASH, _DOT, _SLASH)) and _alnum(left) and _alnum(right))


@uncounted
def _behind(digit: np.uint64, digit_before: np.uint64) -> np.uint64:
    """A bit for each byte behind a digit of one, two or three bytes. digit_before: the digits of the block before."""
    one, two, three = np.uint64(1), np.uint64(2), np.uint64(3)
    here = digit << one | digit << two | digit << three
    return np.uint64(
        here | digit_before >> np.uint64(63) | digit_before >> np.uint64(62) | digit_before >> np.uint64(61)
    )


@uncounted
def find_personal(
    offsets: NDArray[np.int64],
    data: NDArray[np.uint8],
    t: Letters,
    wanted: Wanted,
    groups: NDArray[np.int64],
    hits: Hits,
) -> Any:
    """Find what is wanted in all texts; the number of hits, of which as many are noted as there is room for.

    PHONE and NATIONAL are candidates: runs of digits and separators, and of letters and digits. groups: int64[GROUPS],
    scratch. Hits of a text are in no order, and may overlap; those of one kind do only where an IPv4 address lies
    within an IPv6 one.
    """
    count: Int = np.int64(0)
    few = FEW_DIGITS if wanted.phone else FEWEST_DIGITS
    numbers = wanted.phone or wanted.card
    for row in range(len(offsets) - 1):
        start, stop = offsets[row], offsets[row + 1]
        i = start
        number_done = start  # behind the last run of digits, token, run of colons that was looked at
        token_done = start
        colon_done = start
        digit_before, digit_end = np.uint64(0), np.uint64(0)  # marks of the block before; its last bit
        letter_before = np.uint64(0)
        while i < stop:
            if i + REACH <= len(data):
                at, digit, dot, colon, letter = anchors(data, i)
            else:
                at, digit, dot, colon, letter = _tail_marks(data, i, stop)
            if stop - i < BLOCK:
                inside = (_ONE << np.uint64(stop - i)) - _ONE
                at, digit, dot, colon, letter = (
                    at & inside,
                    digit & inside,
                    dot & inside,
                    colon & inside,
                    letter & inside,
                )
            if at and wanted.email:
                marks = at
                while marks:
                    place = i + trailing_zeros(marks)
                    marks &= marks - _ONE
                    begin, end = _email_at(data, place, start, stop, t, groups)
                    if begin >= 0:
                        count = _add(hits, count, EMAIL, row, begin, end)
            if wanted.ip:
                marks = dot & _behind(digit, digit_before)
                wide = at
                while wide:  # full-width full stops
                    place = i + trailing_zeros(wide)
                    wide &= wide - _ONE
                    if data[place] == 0xEF and place + 2 < stop and data[place + 1] == 0xBC and data[place + 2] == 0x8E:
                        marks |= _ONE << np.uint64(place - i)
                while marks:
                    place = i + trailing_zeros(marks)
                    marks &= marks - _ONE
                    begin, end = v4_around(data, place, start, stop, t, groups)
                    if begin >= 0:
                        value = np.uint64(0)
                        for k in range(4):
                            value = value << np.uint64(8) | np.uint64(groups[k])
                        if not wanted.public or is_public_v4(value):
                            count = _add(hits, count, IP, row, begin, end)
                marks = colon
                while marks:
                    place = i + trailing_zeros(marks)
                    marks &= marks - _ONE
                    if place >= colon_done and place + 1 < stop:
                        begin, colon_done = v6_run(data, place, start, stop)
                        if colon_done - place > 2:
                            begin, end = v6_in(data, begin, colon_done, start, stop, t, groups)
                            if begin >= 0 and (not wanted.public or is_public_v6(groups)):
                                count = _add(hits, count, IP, row, begin, end)
            if digit:
                if wanted.iban:
                    word = letter << _ONE | letter_before >> np.uint64(63)
                    word &= letter << np.uint64(2) | letter_before >> np.uint64(62)
                    marks = digit & word
                    while marks:
                        place = i + trailing_zeros(marks)
                        marks &= marks - _ONE
                        if place - 2 >= start and place + 8 < stop and 0x30 <= data[place + 1] <= 0x39:
                            end = iban_stop(data, place - 2, start, stop, t)
                            if end >= 0:
                                count = _add(hits, count, IBAN, row, place - 2, end)
                if numbers and ones(digit) + ones(digit_before) >= few:
                    marks = digit & ~(digit << _ONE | digit_end)
                    if digit_before and number_done < i:
                        begin = max(number_done, i - BLOCK)
                        while begin < i:  # runs of the block before
                            bit = digit_before >> np.uint64(begin - (i - BLOCK))
                            if bit == 0:
                                break
                            begin = _cluster_start(data, begin + trailing_zeros(bit), number_done, t)
                            begin, count = _walk_numbers(data, begin, start, stop, row, t, wanted, hits, count)
                            number_done = begin
                    while marks:
                        place = i + trailing_zeros(marks)
                        marks &= marks - _ONE
                        if place >= number_done:
                            begin = _cluster_start(data, place, number_done, t)
                            number_done, count = _walk_numbers(data, begin, start, stop, row, t, wanted, hits, count)
                if wanted.ids:
                    marks = digit & ~(digit << _ONE | digit_end)
                    while marks:
                        place = i + trailing_zeros(marks)
                        marks &= marks - _ONE
                        if place >= token_done:
                            begin, end, digits = _token(data, place, start, stop, token_done)
                            token_done = max(end, place + 1)
                            if digits >= FEWEST_NATIONAL and end - begin <= NATIONAL_BYTES:
                                count = _add(hits, count, NATIONAL, row, begin, end)
            digit_before, digit_end, letter_before = digit, digit >> np.uint64(63), letter
            i += BLOCK
    return count


def scratch() -> NDArray[np.int64]:
    """The array `groups` of `find_personal`."""
    return np.zeros(GROUPS, np.int64)
