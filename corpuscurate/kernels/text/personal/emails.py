"""E-mail addresses: RFC 5321 dot-strings, with letters of other scripts (RFC 6531), around an at sign.

Local part: 1 to 64 bytes; letters, digits, and the signs of RFC 5322 except "=", "/", "?", "&", "{", "|", "}" and "`",
which in running text part an address from what stands before it (`?email=x@y.org`). It begins with a letter, a digit
or an underscore; dots stand alone and at neither end.
Domain: two labels or more, of letters, digits and inner hyphens, at most 63 bytes each and 255 together; the last has
two letters or more and nothing else, or begins with "xn--". Where the first two labels are numbers it is a version
(`pkg@1.2.3-rc.x`). Or an address in brackets: [192.0.2.1], [IPv6:2001:db8::1].
Latin and other letters do not mix between two dots, hyphens, plus signs or underscores: in scripts without spaces words
stand directly before and behind an address.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from corpuscurate.kernels.compile import uncounted
from corpuscurate.kernels.text.personal.addresses import parse_v4, parse_v6
from corpuscurate.kernels.text.personal.characters import (
    DIGIT,
    INNER,
    LATIN,
    LETTER,
    NONE,
    Letters,
    after,
    before,
    kind_of,
)
from corpuscurate.kernels.text.unicode import Int

LOCAL_BYTES, LABEL_BYTES, DOMAIN_BYTES = 64, 63, 255
SIGNS = "!#$%'*+-^_~"
"""Signs of a local part, besides the dot."""
_IS_SIGN = np.zeros(128, np.bool_)
_IS_SIGN[[ord(sign) for sign in SIGNS]] = True
_DOT, _DASH, _UNDERSCORE, _PLUS = 0x2E, 0x2D, 0x5F, 0x2B
_WIDE = 0xEF
"""The first byte of full-width characters."""
_NAME, _NUMBER, _OTHER = range(3)
"""Kinds of labels: letters alone, or punycode; digits alone; any other."""


@uncounted
def local_start(data: NDArray[np.uint8], at: Int, start: Int, t: Letters) -> Int:
    """The first byte of the local part that ends before byte `at`, or -1."""
    i: Int = np.int64(at)
    found: Int = np.int64(-1)
    script: Int = np.int64(NONE)
    dot = True  # whether the character to the right is a dot, or the at sign: no dot may stand before it
    while True:
        code, begin = before(data, i, start, t)
        kind = kind_of(code, t) if code >= 0 else np.int64(NONE)
        if code == _DOT:
            if dot:
                break
            dot = True
            script = np.int64(NONE)
        elif kind != NONE:
            if kind in (LATIN, LETTER):
                if script not in (NONE, kind):
                    break
                script = kind
            dot = False
            if kind != INNER:
                found = begin
        elif 0 <= code < 128 and _IS_SIGN[code]:
            dot = False
            if code in (_UNDERSCORE, _DASH, _PLUS):
                script = np.int64(NONE)
            if code == _UNDERSCORE:
                found = begin
        else:
            break
        if at - begin > LOCAL_BYTES:
            return np.int64(-1)
        i = begin
    return found


@uncounted
def _label(data: NDArray[np.uint8], start: Int, stop: Int, t: Letters) -> tuple[Int, Int, Int]:
    """The byte behind the label that begins at `start`, without hyphens at its end; the byte behind these; its kind."""
    i: Int = np.int64(start)
    end: Int = np.int64(start)
    script: Int = np.int64(NONE)
    names: Int = np.int64(0)
    others: Int = np.int64(0)
    hyphens: Int = np.int64(0)
    while True:
        code, behind = after(data, i, stop, t)
        kind = kind_of(code, t) if code >= 0 else np.int64(NONE)
        if (kind == NONE and code != _DASH) or behind - start > LABEL_BYTES:
            break
        if i == start and (code == _DASH or kind == INNER):
            break
        if kind in (LATIN, LETTER):
            if script not in (NONE, kind):
                break
            script = kind
            names += 1
        elif kind == DIGIT:
            others += 1
        elif code == _DASH:
            hyphens += 1
            script = np.int64(NONE)
        i = behind
        if code != _DASH:
            end = behind
    if names >= 2 and others == 0 and hyphens == 0:
        return end, i, np.int64(_NAME)
    if end - start > 4 and _is_punycode(data, start):
        return end, i, np.int64(_NAME)
    return end, i, np.int64(_NUMBER if names == 0 else _OTHER)


@uncounted
def domain_stop(data: NDArray[np.uint8], start: Int, stop: Int, t: Letters) -> Int:
    """The byte behind the domain that begins at `start`, or -1."""
    i: Int = np.int64(start)
    found: Int = np.int64(-1)
    labels: Int = np.int64(0)
    numbers: Int = np.int64(0)
    while True:
        end, behind, kind = _label(data, i, stop, t)
        if end == i or end - start > DOMAIN_BYTES:
            break
        labels += 1
        if kind == _NUMBER and numbers == labels - 1:
            numbers += 1
        if labels >= 2 and kind == _NAME:
            found = end
        code, following = after(data, end, stop, t)
        if behind != end or code != _DOT or numbers >= 2:
            break
        if following - end > 1 and not (following < stop and data[following] == _WIDE):
            break  # a full-width full stop ends a sentence, unless the address goes on in full width
        i = following
    return np.int64(-1) if numbers >= 2 else found


@uncounted
def _is_punycode(data: NDArray[np.uint8], i: Int) -> bool:
    return bool(data[i] | 0x20 == 0x78 and data[i + 1] | 0x20 == 0x6E and data[i + 2] == 0x2D and data[i + 3] == 0x2D)


@uncounted
def literal_stop(data: NDArray[np.uint8], i: Int, stop: Int, groups: NDArray[np.int64]) -> Int:
    """The byte behind an address in brackets that begins at byte i, or -1."""
    if i >= stop or data[i] != 0x5B:
        return np.int64(-1)
    behind = parse_v4(data, i + 1, stop, groups)
    if behind < 0 and i + 6 < stop and data[i + 1] | 0x20 == 0x69 and data[i + 5] == 0x3A:  # IPv6:
        behind = parse_v6(data, i + 6, stop, groups)
    return np.int64(behind + 1) if 0 <= behind < stop and data[behind] == 0x5D else np.int64(-1)
