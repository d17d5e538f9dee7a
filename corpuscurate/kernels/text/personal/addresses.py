"""IP addresses: dotted IPv4 and IPv6 (RFC 4291), and which of them are public.

IPv4: four numbers of 0 to 255 without leading zeros. It stands alone: no digit, Latin letter or underscore beside it,
no further number behind or before a dot, no "-" with a letter beyond it (`tool-1.2.3.4`, `1.2.3.4-rc`), and none of
`VERSION_WORDS` before it.
IPv6: eight groups, or fewer around one "::", the last two as an IPv4 address where written so. Without "::" one group
has three digits or more, or it is a row of numbers, a time or a hardware address (of which no group has more than two).
With "::" it has two groups, and a digit or four letters in one of them: `Foo::Bar`, `a::b` and "::" are no addresses.
"""

from __future__ import annotations

from ipaddress import ip_network

import numpy as np
from numpy.typing import NDArray

from corpuscurate.kernels.compile import uncounted
from corpuscurate.kernels.text.personal.characters import (
    DASH,
    DIGIT,
    LATIN,
    NONE,
    SPACE,
    Letters,
    after,
    before,
    joins,
    kind_of,
)
from corpuscurate.kernels.text.unicode import Int

VERSION_WORDS = (
    *("v", "ver", "version", "versions", "release", "releases", "rel", "rev", "revision", "build", "firmware"),
    *("section", "sections", "sec", "chapter", "clause", "figure", "fig", "table", "appendix"),
)
"""Words, in any case, behind which four numbers are those of a version or a section; up to _GAP_BYTES of white space,
opening brackets, quotes, full stops, colons and equals signs may stand between."""
_GAP_BYTES = 12
GROUPS = 9
"""Length of the array for the groups of an address; the last says how many were written as four letters or with a
digit."""
_DOT, _COLON, _UNDERSCORE = 0x2E, 0x3A, 0x5F
_V6_BYTES = 45

NOT_PUBLIC_V4 = (
    *("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24"),
    *("192.0.2.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "240.0.0.0/4"),
)
PUBLIC_WITHIN_V4 = ("192.0.0.9/32", "192.0.0.10/32")
NOT_PUBLIC_V6 = (
    *("::/128", "::1/128", "64:ff9b:1::/48", "100::/64", "2001::/23", "2001:db8::/32", "3fff::/20", "fc00::/7"),
    "fe80::/10",
)
PUBLIC_WITHIN_V6 = ("2001:1::1/128", "2001:1::2/128", "2001:3::/32", "2001:4:112::/48", "2001:20::/28", "2001:30::/28")
"""Blocks that the IANA registries of special-purpose addresses do not call globally reachable, and those within them
that are (2024); what Python's `ipaddress` calls global, but for 2002::/16, which holds public IPv4 addresses. An IPv4
address within ::ffff:0:0/96 is as public as itself."""


def _bounds(networks: tuple[str, ...], shift: int) -> NDArray[np.uint64]:
    """First and last address of each, uint64[k, 2], without the lowest `shift` bits."""
    found = [ip_network(each) for each in networks]
    return np.array(
        [[int(each[0]) >> shift & (1 << 64) - 1, int(each[-1]) >> shift & (1 << 64) - 1] for each in found], np.uint64
    )


_NOT_V4, _YES_V4 = (_bounds(each, 0) for each in (NOT_PUBLIC_V4, PUBLIC_WITHIN_V4))
_NOT_V6, _YES_V6 = (_bounds(each, 64) for each in (NOT_PUBLIC_V6[2:], PUBLIC_WITHIN_V6[2:]))
_WORD_BYTES = 10
_WORDS = np.zeros((len(VERSION_WORDS), _WORD_BYTES + 1), np.uint8)
for _row, _word in enumerate(VERSION_WORDS):
    _WORDS[_row, 0] = len(_word)
    _WORDS[_row, 1 : len(_word) + 1] = list(reversed(_word.encode()))


@uncounted
def _within(value: np.uint64, bounds: NDArray[np.uint64]) -> bool:
    for row in range(len(bounds)):  # noqa: SIM110
        if bounds[row, 0] <= value <= bounds[row, 1]:
            return True
    return False


@uncounted
def is_public_v4(value: np.uint64) -> bool:
    """Whether an IPv4 address is public."""
    return not _within(value, _NOT_V4) or _within(value, _YES_V4)


@uncounted
def is_public_v6(groups: NDArray[np.int64]) -> bool:
    """Whether an IPv6 address of eight groups is public."""
    high, low = np.uint64(0), np.uint64(0)
    for k in range(4):
        high = high << np.uint64(16) | np.uint64(groups[k])
        low = low << np.uint64(16) | np.uint64(groups[k + 4])
    if high == 0:
        if low >> np.uint64(32) == 0xFFFF:
            return is_public_v4(low & np.uint64(0xFFFFFFFF))
        return bool(low > 1)
    if high == 0x2001000100000000 and 1 <= low <= 2:
        return True
    return not _within(high, _NOT_V6) or _within(high, _YES_V6)


@uncounted
def parse_v4(data: NDArray[np.uint8], i: Int, stop: Int, groups: NDArray[np.int64]) -> Int:
    """The byte behind four numbers that begin at byte i, written in ASCII; groups[:4]: the numbers. -1: none."""
    at: Int = np.int64(i)
    for k in range(4):
        if k:
            if at >= stop or data[at] != _DOT:
                return np.int64(-1)
            at += 1
        value: Int = np.int64(0)
        begin = at
        while at < stop and at - begin < 4 and 0x30 <= data[at] <= 0x39:
            value = value * 10 + np.int64(data[at]) - 0x30
            at += 1
        if at == begin or value > 255 or (at - begin > 1 and data[begin] == 0x30):
            return np.int64(-1)
        groups[k] = value
    return at


@uncounted
def parse_wide_v4(data: NDArray[np.uint8], i: Int, stop: Int, t: Letters, groups: NDArray[np.int64]) -> Int:
    """`parse_v4` of characters in their plain form."""
    at: Int = np.int64(i)
    for k in range(4):
        code, behind = after(data, at, stop, t)
        if k:
            if code != _DOT:
                return np.int64(-1)
            at = behind
            code, behind = after(data, at, stop, t)
        value: Int = np.int64(0)
        count: Int = np.int64(0)
        zero = code == 0x30
        while count < 4 and 0x30 <= code <= 0x39:
            value = value * 10 + code - 0x30
            count += 1
            at = behind
            code, behind = after(data, at, stop, t)
        if count == 0 or value > 255 or (count > 1 and zero):
            return np.int64(-1)
        groups[k] = value
    return at


@uncounted
def _stands_between(byte: Int) -> bool:
    """White space, or one of . : = ( [ " '"""
    return bool(byte in (SPACE, _DOT, _COLON) or 9 <= byte <= 13 or byte in (61, 40, 91, 34, 39))


@uncounted
def _behind_version_word(data: NDArray[np.uint8], i: Int, start: Int) -> bool:
    """Whether one of VERSION_WORDS stands before byte i."""
    at: Int = np.int64(i)
    while at > start and i - at < _GAP_BYTES and _stands_between(data[at - 1]):
        at -= 1
    size: Int = np.int64(0)
    while at - size > start and 0x61 <= data[at - size - 1] | 0x20 <= 0x7A:
        size += 1
        if size > _WORD_BYTES:
            return False
    if size == 0:
        return False
    for row in range(len(_WORDS)):
        if _WORDS[row, 0] == size:
            k: Int = np.int64(0)
            while k < size and data[at - k - 1] | 0x20 == _WORDS[row, k + 1]:
                k += 1
            if k == size:
                return True
    return False


@uncounted
def v4_around(
    data: NDArray[np.uint8], dot: Int, start: Int, stop: Int, t: Letters, groups: NDArray[np.int64]
) -> tuple[Int, Int]:
    """First byte of, and byte behind, the IPv4 address whose first dot is at byte `dot`; (-1, -1): there is none."""
    begin: Int = np.int64(dot)
    code, at = before(data, begin, start, t)
    count: Int = np.int64(0)
    while 0x30 <= code <= 0x39 and count < 4:
        begin = at
        count += 1
        code, at = before(data, begin, start, t)
    none = np.int64(-1), np.int64(-1)
    if count == 0 or count > 3 or (code >= 0 and joins(code, t)):
        return none
    if code in (_DOT, DASH):
        beyond, _ = before(data, at, start, t)
        kind = kind_of(beyond, t) if beyond >= 0 else np.int64(NONE)
        if (code == _DOT and kind == DIGIT) or (code == DASH and (kind == LATIN or beyond == _UNDERSCORE)):
            return none
    behind = parse_wide_v4(data, begin, stop, t, groups)
    if behind < 0:
        return none
    code, at = after(data, behind, stop, t)
    if code >= 0 and joins(code, t):
        return none
    if code in (_DOT, DASH):
        beyond, _ = after(data, at, stop, t)
        kind = kind_of(beyond, t) if beyond >= 0 else np.int64(NONE)
        if (code == _DOT and kind == DIGIT) or (code == DASH and kind == LATIN):
            return none
    if _behind_version_word(data, begin, start):
        return none
    return begin, behind


@uncounted
def _is_hex(byte: Int) -> bool:
    return bool(0x30 <= byte <= 0x39 or 0x61 <= byte | 0x20 <= 0x66)


@uncounted
def parse_v6(data: NDArray[np.uint8], i: Int, stop: Int, groups: NDArray[np.int64]) -> Int:
    """The byte behind the IPv6 address that begins at byte i, in ASCII; -1: none.

    groups: int64[GROUPS], the eight groups, then 1 where it has what an address has (see the module) and 0 elsewhere.
    """
    at: Int = np.int64(i)
    count: Int = np.int64(0)
    gap: Int = np.int64(-1)  # how many groups stand before "::"
    long = False
    telling = False
    end: Int = np.int64(-1)
    if at + 1 < stop and data[at] == _COLON and data[at + 1] == _COLON:
        gap = np.int64(0)
        at += 2
        end = at
    while count < 8:
        begin = at
        value: Int = np.int64(0)
        digit = False
        while at < stop and at - begin < 5 and _is_hex(data[at]):
            byte = np.int64(data[at])
            digit = bool(digit or byte <= 0x39)
            value = value * 16 + (byte - 0x30 if byte <= 0x39 else (byte | 0x20) - 0x57)
            at += 1
        if at == begin or at - begin > 4:
            break
        if at < stop and data[at] == _DOT and count <= 6 and (gap >= 0 or count == 6):
            v4_end = parse_v4(data, begin, stop, groups)
            if v4_end >= 0:
                first, second = groups[0], groups[1]
                third, fourth = groups[2], groups[3]
                _read_groups(data, i, v4_end, groups, count, gap, 6)
                groups[6], groups[7], groups[8] = first << 8 | second, third << 8 | fourth, 1
                return v4_end
        long = bool(long or at - begin > 2)
        telling = bool(telling or digit or at - begin == 4)
        count += 1
        end = at
        if at + 1 < stop and data[at] == _COLON and data[at + 1] == _COLON:
            if gap >= 0:
                return np.int64(-1)
            gap = count
            at += 2
            end = at
        elif at < stop and data[at] == _COLON:
            at += 1
        else:
            break
    if (gap < 0 and count != 8) or (gap >= 0 and count > 7) or end < 0:
        return np.int64(-1)
    _read_groups(data, i, end, groups, count, gap, 8)
    groups[8] = np.int64(long if gap < 0 else (telling and count >= 2))
    return np.int64(end)


@uncounted
def _read_groups(
    data: NDArray[np.uint8], i: Int, end: Int, groups: NDArray[np.int64], count: Int, gap: Int, whole: Int
) -> None:
    """Read the `count` hexadecimal groups of an address once more, now that the length of "::" is known. gap: how many
    stand before it, -1: there is none. whole: groups that are written so in full, 8, or 6 before an IPv4 address."""
    for k in range(8):
        groups[k] = 0
    at: Int = np.int64(i)
    k = 0
    while k < count:
        if data[at] == _COLON:
            at += 1
            continue
        value: Int = np.int64(0)
        while at < end and data[at] != _COLON:
            byte = np.int64(data[at])
            value = value * 16 + (byte - 0x30 if byte <= 0x39 else (byte | 0x20) - 0x57)
            at += 1
        groups[k if gap < 0 or k < gap else k + whole - count] = value
        k += 1


@uncounted
def v6_run(data: NDArray[np.uint8], colon: Int, start: Int, stop: Int) -> tuple[Int, Int]:
    """First byte of the run of hexadecimal digits and colons around byte `colon`, which holds a colon, and the byte
    behind the run, dots included. Before it, at most as many bytes as a group has are looked at."""
    begin: Int = np.int64(colon)
    while begin > start and begin > colon - 5 and _is_hex(data[begin - 1]):
        begin -= 1
    end: Int = np.int64(colon)
    while end < stop and (data[end] == _COLON or data[end] == _DOT or _is_hex(data[end])):
        end += 1
    return begin, end


@uncounted
def v6_in(
    data: NDArray[np.uint8], begin: Int, end: Int, start: Int, stop: Int, t: Letters, groups: NDArray[np.int64]
) -> tuple[Int, Int]:
    """First byte of, and byte behind, the IPv6 address that begins with a run (`v6_run`); (-1, -1): there is none."""
    none = np.int64(-1), np.int64(-1)
    first: Int = np.int64(begin)
    if end - begin > _V6_BYTES + 2 or end - begin < 4:
        return none
    if data[first] == _COLON and not (first + 1 < end and data[first + 1] == _COLON):
        first += 1
    code, _ = before(data, first, start, t)
    if code >= 0 and (joins(code, t) or (code == _COLON and first == begin)):
        return none
    behind = parse_v6(data, first, end, groups)
    if behind < 0 or groups[8] == 0:
        return none
    code, at = after(data, behind, stop, t)
    if code >= 0 and joins(code, t):
        return none
    if code == _COLON:  # a colon of the sentence, not one more group
        beyond, _ = after(data, at, stop, t)
        if beyond >= 0 and (joins(beyond, t) or beyond == _COLON):
            return none
    return first, behind
