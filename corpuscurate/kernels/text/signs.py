"""What the rules of lines and sentences ask of a character, as one table: white space, line ends, end marks and so on.

The sets are of Unicode 14.0.0 as Python 3.11 has it, like the tables of `kernels.text.unicode`, so that rules decide
alike under every Python: SPACE is `str.isspace()`, BREAK what `str.splitlines()` splits at, UPPER `str.isupper()`,
DECIMAL `str.isdecimal()`, DIGIT `str.isdigit()`, LETTER what `\\w` matches.

TERMINAL: the marks that end a sentence, in all scripts: the Unicode property Sentence_Terminal (15.0, PropList.txt) and
five Khmer signs, the 159 characters that datatrove 0.10 calls TERMINAL_PUNCTUATION. The ellipsis and quotes are not
among them. CLOSER: quotes and brackets that may stand between such a mark and the white space behind the sentence.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from corpuscurate.kernels.compile import inlined, uncounted
from corpuscurate.kernels.text.unicode import PAGE, Int, decode, entry, tables
from corpuscurate.kernels.text.unicode import SPACE as _UNICODE_SPACE
from corpuscurate.kernels.text.unicode import WORD as _UNICODE_WORD

SPACE, BREAK, UPPER, TERMINAL, CLOSER, DECIMAL, DIGIT, LETTER = (1 << bit for bit in range(8))

CODE_POINTS = 0x110000
BREAKS = "A-D 1C-1E 85 2028-2029"
CLOSERS = "22 27 29 5D 7D BB 2019 201D 203A 300B 300D 300F 3011 FF09"
TERMINALS = """
21 2E 3F 589 61D-61F 6D4 700-702 7F9 837 839 83D-83E 964-965 104A-104B 1362 1367-1368 166E 1735-1736 17D4-17D6
17D9-17DA 1803 1809 1944-1945 1AA8-1AAB 1B5A-1B5B 1B5E-1B5F 1B7D-1B7E 1C3B-1C3C 1C7E-1C7F 203C-203D 2047-2049
2E2E 2E3C 2E53-2E54 3002 A4FF A60E-A60F A6F3 A6F7 A876-A877 A8CE-A8CF A92F A9C8-A9C9 AA5D-AA5F AAF0-AAF1 ABEB
FE52 FE56-FE57 FF01 FF0E FF1F FF61 10A56-10A57 10F55-10F59 10F86-10F89 11047-11048 110BE-110C1 11141-11143
111C5-111C6 111CD 111DE-111DF 11238-11239 1123B-1123C 112A9 1144B-1144C 115C2-115C3 115C9-115D7 11641-11642
1173C-1173E 11944 11946 11A42-11A43 11A9B-11A9C 11C41-11C42 11EF7-11EF8 11F43-11F44 16A6E-16A6F 16AF5
16B37-16B38 16B44 16E98 1BC9F 1DA88
"""
UPPERS = """
41-5A C0-D6 D8-DE 100-136/2 139-147/2 14A-178/2 179-17D/2 181-182 184 186-187 189-18B 18E-191 193-194 196-198
19C-19D 19F-1A0 1A2-1A6/2 1A7 1A9 1AC 1AE-1AF 1B1-1B3 1B5 1B7-1B8 1BC 1C4 1C7 1CA 1CD-1DB/2 1DE-1EE/2 1F1 1F4
1F6-1F8 1FA-232/2 23A-23B 23D-23E 241 243-246 248-24E/2 370 372 376 37F 386 388-38A 38C 38E-38F 391-3A1 3A3-3AB
3CF 3D2-3D4 3D8-3EE/2 3F4 3F7 3F9-3FA 3FD-42F 460-480/2 48A-4C0/2 4C1-4CD/2 4D0-52E/2 531-556 10A0-10C5 10C7
10CD 13A0-13F5 1C90-1CBA 1CBD-1CBF 1E00-1E94/2 1E9E-1EFE/2 1F08-1F0F 1F18-1F1D 1F28-1F2F 1F38-1F3F 1F48-1F4D
1F59-1F5F/2 1F68-1F6F 1FB8-1FBB 1FC8-1FCB 1FD8-1FDB 1FE8-1FEC 1FF8-1FFB 2102 2107 210B-210D 2110-2112 2115
2119-211D 2124-212A/2 212B-212D 2130-2133 213E-213F 2145 2160-216F 2183 24B6-24CF 2C00-2C2F 2C60 2C62-2C64
2C67-2C6D/2 2C6E-2C70 2C72 2C75 2C7E-2C80 2C82-2CE2/2 2CEB 2CED 2CF2 A640-A66C/2 A680-A69A/2 A722-A72E/2
A732-A76E/2 A779-A77D/2 A77E-A786/2 A78B A78D A790 A792 A796-A7AA/2 A7AB-A7AE A7B0-A7B4 A7B6-A7C4/2 A7C5-A7C7
A7C9 A7D0 A7D6 A7D8 A7F5 FF21-FF3A 10400-10427 104B0-104D3 10570-1057A 1057C-1058A 1058C-10592 10594-10595
10C80-10CB2 118A0-118BF 16E40-16E5F 1D400-1D419 1D434-1D44D 1D468-1D481 1D49C 1D49E-1D49F 1D4A2 1D4A5-1D4A6
1D4A9-1D4AC 1D4AE-1D4B5 1D4D0-1D4E9 1D504-1D505 1D507-1D50A 1D50D-1D514 1D516-1D51C 1D538-1D539 1D53B-1D53E
1D540-1D544 1D546 1D54A-1D550 1D56C-1D585 1D5A0-1D5B9 1D5D4-1D5ED 1D608-1D621 1D63C-1D655 1D670-1D689
1D6A8-1D6C0 1D6E2-1D6FA 1D71C-1D734 1D756-1D76E 1D790-1D7A8 1D7CA 1E900-1E921 1F130-1F149 1F150-1F169
1F170-1F189
"""
DECIMALS = """
30-39 660-669 6F0-6F9 7C0-7C9 966-96F 9E6-9EF A66-A6F AE6-AEF B66-B6F BE6-BEF C66-C6F CE6-CEF D66-D6F DE6-DEF
E50-E59 ED0-ED9 F20-F29 1040-1049 1090-1099 17E0-17E9 1810-1819 1946-194F 19D0-19D9 1A80-1A89 1A90-1A99
1B50-1B59 1BB0-1BB9 1C40-1C49 1C50-1C59 A620-A629 A8D0-A8D9 A900-A909 A9D0-A9D9 A9F0-A9F9 AA50-AA59 ABF0-ABF9
FF10-FF19 104A0-104A9 10D30-10D39 11066-1106F 110F0-110F9 11136-1113F 111D0-111D9 112F0-112F9 11450-11459
114D0-114D9 11650-11659 116C0-116C9 11730-11739 118E0-118E9 11950-11959 11C50-11C59 11D50-11D59 11DA0-11DA9
16A60-16A69 16AC0-16AC9 16B50-16B59 1D7CE-1D7FF 1E140-1E149 1E2F0-1E2F9 1E950-1E959 1FBF0-1FBF9
"""
OTHER_DIGITS = """
B2-B3 B9 1369-1371 19DA 2070 2074-2079 2080-2089 2460-2468 2474-247C 2488-2490 24EA 24F5-24FD 24FF 2776-277E
2780-2788 278A-2792 10A40-10A43 10E60-10E68 11052-1105A 1F100-1F10A
"""
"""Ranges of code points in hexadecimal; /2: every second one."""


class Signs(NamedTuple):
    """What characters are. Read-only.

    bytes: uint8[256], the flags of ASCII bytes; of a byte that begins longer characters, all flags that one of them
    has; 0 for bytes inside characters. pages, flags: uint16[4352], uint8[], the flags of every code point in two
    levels.
    """

    bytes: NDArray[np.uint8]
    pages: NDArray[np.uint16]
    flags: NDArray[np.uint8]


def code_points(ranges: str) -> Iterator[int]:
    """The code points of a text such as "41-5A 100-136/2"."""
    for each in ranges.split():
        span, _, step = each.partition("/")
        first, _, last = span.partition("-")
        yield from range(int(first, 16), int(last or first, 16) + 1, int(step or 1))


def _table(flags: NDArray[np.uint8]) -> Signs:
    borders = np.array([0x80, 0x800, 0x10000])
    points = np.flatnonzero(flags)
    by_byte = np.zeros(256, np.uint8)
    by_byte[:128] = flags[:128]
    leads = np.select(
        [points < borders[1], points < borders[2]], [0xC0 | points >> 6, 0xE0 | points >> 12], 0xF0 | points >> 18
    )
    above = points >= borders[0]
    np.bitwise_or.at(by_byte, leads[above], flags[points[above]])
    distinct, pages = np.unique(flags.reshape(-1, PAGE), axis=0, return_inverse=True)
    made = Signs(by_byte, pages.astype(np.uint16).ravel(), distinct.ravel())
    for each in made:
        each.setflags(write=False)
    return made


@cache
def signs() -> Signs:
    """All flags."""
    t = tables()
    known = t.flag_data.reshape(-1, PAGE)[t.flag_pages].ravel()
    flags = SPACE * ((known & _UNICODE_SPACE) != 0) | LETTER * ((known & _UNICODE_WORD) != 0)
    flags[ord("_")] |= LETTER
    sets = {
        BREAK: BREAKS,
        UPPER: UPPERS,
        TERMINAL: TERMINALS,
        CLOSER: CLOSERS,
        DECIMAL: DECIMALS,
        DIGIT: DECIMALS + OTHER_DIGITS,
    }
    for flag, ranges in sets.items():
        flags[list(code_points(ranges))] |= flag
    return _table(flags.astype(np.uint8))


def signs_of(characters: Iterable[str]) -> Signs:
    """A table in which these characters alone have a flag, TERMINAL."""
    flags = np.zeros(CODE_POINTS, np.uint8)
    flags[[ord(char) for char in characters]] = TERMINAL
    return _table(flags)


@uncounted
def sign_of(pages: NDArray[np.uint16], flags: NDArray[np.uint8], code_point: Int) -> Int:
    """The flags of a code point."""
    return np.int64(flags[entry(pages, code_point)])


@inlined
def skip_space(data: NDArray[np.uint8], i: Int, stop: Int, s: Signs) -> Int:
    """The first index from `i` on, below `stop`, where no white space stands; `stop` where there is nothing else."""
    while i < stop:
        byte = data[np.uint64(i)]
        if not s.bytes[byte] & SPACE:
            return i
        if byte < 0x80:
            i += 1
        else:
            code_point, after = decode(data, i)
            if not sign_of(s.pages, s.flags, code_point) & SPACE:
                return i
            i = after
    return stop


@inlined
def char_before(data: NDArray[np.uint8], i: Int) -> Int:
    """The index at which the character that ends before `i` begins."""
    i -= 1
    while data[np.uint64(i)] & 0xC0 == 0x80:
        i -= 1
    return i


@inlined
def sign_at(data: NDArray[np.uint8], i: Int, s: Signs) -> Int:
    """The flags of the character that begins at `i`."""
    byte = data[np.uint64(i)]
    if byte < 0x80:
        return np.int64(s.bytes[byte])
    return sign_of(s.pages, s.flags, decode(data, i)[0])


@inlined
def trim_end(data: NDArray[np.uint8], start: Int, stop: Int, s: Signs) -> Int:
    """Where data[start:stop] ends without the white space at its end."""
    while start < stop:
        before = char_before(data, stop)
        if not sign_at(data, before, s) & SPACE:
            return stop
        stop = before
    return start


@inlined
def has_words(data: NDArray[np.uint8], i: Int, stop: Int, count: Int, s: Signs) -> bool:
    """Whether white space parts data[i:stop] into at least `count` words; it looks at no more than is needed."""
    outside: Int = 1
    while count > 0 and i < stop:
        byte = data[np.uint64(i)]
        space: Int = np.int64(s.bytes[byte] & SPACE)
        if byte < 0x80 or not space:
            i += 1
        else:
            code_point, i = decode(data, i)
            space = sign_of(s.pages, s.flags, code_point) & SPACE
        count -= (space ^ 1) & outside
        outside = space
    return bool(count <= 0)


@uncounted
def space_words(data: NDArray[np.uint8], i: Int, stop: Int, s: Signs) -> Int:
    """How many words white space parts data[i:stop] into, as `str.split()`."""
    words: Int = 0
    outside: Int = 1
    while i < stop:
        byte = data[np.uint64(i)]
        space: Int = np.int64(s.bytes[byte] & SPACE)
        if byte < 0x80 or not space:
            i += 1
        else:
            code_point, i = decode(data, i)
            space = sign_of(s.pages, s.flags, code_point) & SPACE
        words += (space ^ 1) & outside
        outside = space
    return words


@uncounted
def longest_word(data: NDArray[np.uint8], i: Int, stop: Int, s: Signs) -> Int:
    """Characters of the longest word of data[i:stop], as `str.split()` parts them."""
    longest: Int = 0
    size: Int = 0
    while i < stop:
        byte = data[np.uint64(i)]
        space: Int = np.int64(s.bytes[byte] & SPACE)
        if byte < 0x80:
            i += 1
        else:
            code_point, i = decode(data, i)
            space = sign_of(s.pages, s.flags, code_point) & SPACE
        size = 0 if space else size + 1
        longest = max(longest, size)
    return longest


@inlined
def characters(data: NDArray[np.uint8], start: Int, stop: Int) -> Int:
    """Code points of data[start:stop]."""
    count: Int = 0
    for k in range(np.uint64(start), np.uint64(stop)):
        count += (data[k] & np.uint8(0xC0)) != np.uint8(0x80)
    return count
