"""What the kernels know of Unicode: classes, case folding and normal forms of every code point, as tables.

The tables are made from Python 3.11's `unicodedata` (Unicode 14.0.0) by `scripts/make_unicode_tables.py` and shipped
with the package, so that word counts and signatures are the same under every Python. Each is in two levels: a page
number for each 256 code points, and the distinct pages. ASCII has 256-entry tables by byte.

A word is `SINGLE (MARK | INVISIBLE)*` or `LETTER (LETTER | MARK | INVISIBLE)*`, where
- LETTER is a character with flag WORD and without SINGLE: `str.isalnum()`, that is letters, digits and other numbers,
  and the underscore where words are "identifiers";
- SINGLE is a letter of a script written without spaces (`SINGLE_RANGES`): each is a word of its own;
- MARK is a combining mark (categories Mn, Mc, Me): it belongs to the word before it and never begins one, so a
  variation selector after an emoji is no word;
- INVISIBLE is a soft hyphen, a joiner, a mark of direction and the like: it neither parts a word nor begins one
  (UAX #29, WB4), and words that differ in nothing else are the same, so folding leaves it out.
Everything else separates words, apostrophes and hyphens too. `words.count_words` is the smallest loop over words.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from corpuscurate.kernels.compile import uncounted

PATH = Path(__file__).with_name("unicode_tables.npz")
Int: TypeAlias = int | np.int64
"""An int64 inside a kernel."""
Words = Literal["unicode", "identifiers"]
"""What a word is: as this module says; or with the underscore as a letter, as in the `\\w+` of regular expressions."""
WORDS_DESCRIPTION = "what a word is: a run of letters, digits and marks; identifiers: of underscores, too, as in code"

PAGE = 256
SEVERAL = 1 << 24
"""Above every difference of code points: marks a folding to several."""

WORD = 1
"""`str.isalnum()`: may begin and continue a word."""
SINGLE = 2
"""A letter of a script without spaces: a word of its own. Always with WORD."""
ALPHA = 4
"""`str.isalpha()`."""
SPACE = 8
"""`str.isspace()`: what `str.split()` splits at."""
MARK = 16
"""Categories Mn, Mc, Me: continues a word, never begins one."""
CONTROL = 32
"""Category Cc but tab, line feed and carriage return; U+FEFF; the 66 noncharacters."""
NOT_NFC = 64
"""NFC_Quick_Check is No or Maybe, or unassigned: a text with it may not be in NFC. Likewise the next three."""
NOT_NFD = 128
NOT_NFKC = 256
NOT_NFKD = 512
INVISIBLE = 1024
"""Continues a word, never begins one, and is nothing in it: what UAX #29 (Unicode 15.1) has as Format or ZWJ, that is
category Cf but U+200B (zero width space, which parts words) and the visible prepended concatenation marks; U+200C and
the tag characters; the marks that are default-ignorable, such as variation selectors (these have MARK, too)."""

SEPARATOR, LETTER, INSIDE, FOLDING, LONE, OTHER, HIDDEN = range(7)
"""Kinds of characters outside ASCII, for folding words: no part of a word; a letter that folds to itself; a mark that
does; a letter that folds to one other of as many bytes; a SINGLE that folds to itself; anything else; INVISIBLE."""
_UNDERSCORE = ord("_")

SINGLE_RANGES = (
    (0x0E00, 0x0E7F),  # Thai
    (0x0E80, 0x0EFF),  # Lao
    (0x1000, 0x109F),  # Myanmar
    (0x1780, 0x17FF),  # Khmer
    (0x1950, 0x197F),  # Tai Le
    (0x1980, 0x19DF),  # New Tai Lue
    (0x1A20, 0x1AAF),  # Tai Tham
    (0x3005, 0x3007),  # Han: iteration mark, closing mark, zero
    (0x3021, 0x3029),  # Han: Hangzhou numerals
    (0x3031, 0x3035),  # Kana repeat marks
    (0x3038, 0x303C),  # Han: Hangzhou numerals, iteration mark, masu mark
    (0x3040, 0x309F),  # Hiragana
    (0x30A0, 0x30FF),  # Katakana
    (0x31F0, 0x31FF),  # Katakana phonetic extensions
    (0x3400, 0x4DBF),  # Han: extension A
    (0x4E00, 0x9FFF),  # Han
    (0xA9E0, 0xA9FF),  # Myanmar extended B
    (0xAA60, 0xAA7F),  # Myanmar extended A
    (0xAA80, 0xAADF),  # Tai Viet
    (0xF900, 0xFAFF),  # Han: compatibility ideographs
    (0xFF66, 0xFF9F),  # Katakana, half width
    (0x11700, 0x1174F),  # Ahom
    (0x1AFF0, 0x1B16F),  # Kana extended B, supplement, extended A, small extension
    (0x20000, 0x3FFFF),  # Han: planes 2 and 3
)
"""Blocks of the scripts written without spaces: Han, Kana, and the complex-context scripts of South East Asia (line
breaking class SA of UAX #14). Tibetan is not among them: its syllables are parted by tsheg marks. Decimal digits and
marks of these blocks are not SINGLE."""


_ONE, _TWO, _THREE = np.uint64(1), np.uint64(2), np.uint64(3)
_EIGHT = np.uint64(8)
_LOW_BYTE = np.uint64(0xFF)


class Tables(NamedTuple):
    """All tables; a kernel takes it as one argument. Read-only.

    byte_flags: uint16[256], flags of ASCII bytes, 0 above. byte_fold: uint8[256], ASCII bytes in lower case, others
    as they are. flag_pages, flag_data: uint16[4352], uint16[]. fold_pages, fold_data: uint16[4352], int32[],
    what to add to a code point to fold it, or SEVERAL + row of fold_several: int32[rows, 4], a count and code points.
    combining_pages, combining_data: uint16[4352], uint8[], the canonical combining class. kind_pages, kind_data:
    uint16[4352], uint8[], SEPARATOR .. HIDDEN, made of the others.
    """

    byte_flags: NDArray[np.uint16]
    byte_fold: NDArray[np.uint8]
    flag_pages: NDArray[np.uint16]
    flag_data: NDArray[np.uint16]
    fold_pages: NDArray[np.uint16]
    fold_data: NDArray[np.int32]
    fold_several: NDArray[np.int32]
    combining_pages: NDArray[np.uint16]
    combining_data: NDArray[np.uint8]
    kind_pages: NDArray[np.uint16]
    kind_data: NDArray[np.uint8]


def _read_only(array: NDArray[Any]) -> NDArray[Any]:
    array.setflags(write=False)
    return array


def _kinds(arrays: dict[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """`kind_pages` and `kind_data` from the tables of flags and foldings."""
    count = len(arrays["flag_pages"])
    steps = arrays["fold_data"].reshape(-1, PAGE)
    folds = (steps != 0).max(axis=1)[arrays["fold_pages"]]
    page = np.where(folds, np.arange(count), -1)  # where characters fold, each page is its own
    triples = np.stack([arrays["flag_pages"], arrays["fold_pages"], page], axis=1).astype(np.int64)
    distinct, first, pages = np.unique(triples, axis=0, return_index=True, return_inverse=True)
    flags = arrays["flag_data"].reshape(-1, PAGE)[distinct[:, 0]]
    step = steps[distinct[:, 1]]
    code_point = first[:, None] * PAGE + np.arange(PAGE)
    borders = (0x80, 0x800, 0x10000)
    same = (step < SEVERAL) & (
        np.searchsorted(borders, code_point, "right") == np.searchsorted(borders, code_point + step, "right")
    )
    kind = np.where((flags & (WORD | MARK)) == 0, SEPARATOR, OTHER)
    kind[((flags & MARK) != 0) & (step == 0)] = INSIDE
    letter = ((flags & WORD) != 0) & ((flags & MARK) == 0)
    kind[letter & ((flags & SINGLE) == 0) & same] = FOLDING
    kind[letter & ((flags & SINGLE) == 0) & (step == 0)] = LETTER
    kind[letter & ((flags & SINGLE) != 0) & (step == 0)] = LONE
    kind[(flags & INVISIBLE) != 0] = HIDDEN
    return {"kind_pages": pages.astype(np.uint16).ravel(), "kind_data": kind.astype(np.uint8).ravel()}


def tables(words: Words = "unicode") -> Tables:
    """The tables, loaded once a process: what a word is, is in them, so that one walk finds both kinds of words."""
    return _tables(words)


@cache
def _tables(words: Words) -> Tables:
    with np.load(PATH, allow_pickle=False) as stored:
        arrays = {name: stored[name] for name in stored.files if name != "unidata_version"}
    byte_flags = np.zeros(256, np.uint16)
    first = int(arrays["flag_pages"][0]) * PAGE
    if words == "identifiers":
        arrays["flag_data"][first + _UNDERSCORE] |= WORD
    byte_flags[:128] = arrays["flag_data"][first : first + 128]
    byte_fold = np.arange(256, dtype=np.uint8)
    byte_fold[ord("A") : ord("Z") + 1] += 32
    arrays |= {"byte_flags": byte_flags, "byte_fold": byte_fold} | _kinds(arrays)
    return Tables(**{name: _read_only(arrays[name]) for name in Tables._fields})


def visible(text: str) -> str:
    """The text without INVISIBLE characters."""
    return "".join(char for char in text if not flags_of(tables(), ord(char)) & INVISIBLE)


@cache
def unidata_version() -> str:
    """The version of the Unicode database that the tables are of."""
    with np.load(PATH, allow_pickle=False) as stored:
        return str(stored["unidata_version"])


@uncounted
def _low_bits(data: NDArray[np.uint8], i: np.uint64) -> np.int64:
    """The 6 bits of a byte behind the first of a character."""
    return np.int64(data[i] & np.uint8(0x3F))


@uncounted
def decode(data: NDArray[np.uint8], i: Int) -> tuple[Int, Int]:
    """The code point of the UTF-8 sequence at byte `i` >= 0 and the index after it. `data` must be valid UTF-8."""
    k = np.uint64(i)  # unsigned: of a signed index Numba asks whether it counts from the end
    lead = np.int64(data[k])
    if lead < 0x80:
        return lead, i + 1
    second = _low_bits(data, k + _ONE)
    if lead < 0xE0:
        return (lead & 0x1F) << 6 | second, i + 2
    third = _low_bits(data, k + _TWO)
    if lead < 0xF0:
        return (lead & 0x0F) << 12 | second << 6 | third, i + 3
    return (lead & 0x07) << 18 | second << 12 | third << 6 | _low_bits(data, k + _THREE), i + 4


@uncounted
def encode(code_point: Int, at: Int, out: NDArray[np.uint8]) -> Int:
    """Write a code point as UTF-8 to `out` from index `at` >= 0; the index after it. At most 4 bytes."""
    k = np.uint64(at)
    if code_point < 0x80:
        out[k] = code_point
        return at + 1
    if code_point < 0x800:
        out[k] = 0xC0 | code_point >> 6
        out[k + _ONE] = 0x80 | code_point & 0x3F
        return at + 2
    if code_point < 0x10000:
        out[k] = 0xE0 | code_point >> 12
        out[k + _ONE] = 0x80 | code_point >> 6 & 0x3F
        out[k + _TWO] = 0x80 | code_point & 0x3F
        return at + 3
    out[k] = 0xF0 | code_point >> 18
    out[k + _ONE] = 0x80 | code_point >> 12 & 0x3F
    out[k + _TWO] = 0x80 | code_point >> 6 & 0x3F
    out[k + _THREE] = 0x80 | code_point & 0x3F
    return at + 4


@uncounted
def entry(pages: NDArray[np.uint16], code_point: Int) -> np.uint64:
    """Where a table of pages has what it says of a code point."""
    return np.uint64(pages[np.uint64(code_point) >> _EIGHT]) << _EIGHT | np.uint64(code_point) & _LOW_BYTE


@uncounted
def flags_of(t: Tables, code_point: Int) -> Int:
    """The flags of a code point: WORD | SINGLE | ALPHA | ..."""
    return np.int64(t.flag_data[entry(t.flag_pages, code_point)])


@uncounted
def kind_of(pages: NDArray[np.uint16], kinds: NDArray[np.uint8], code_point: Int) -> Int:
    """The kind of a code point, SEPARATOR .. HIDDEN, by `kind_pages` and `kind_data`.

    Not by `Tables`, for a call that is not inlined passes all its arrays, which takes longer than the lookup.
    """
    return np.int64(kinds[entry(pages, code_point)])


@uncounted
def folded_one(pages: NDArray[np.uint16], steps: NDArray[np.int32], code_point: Int) -> Int:
    """What a code point of kind FOLDING folds to, by `fold_pages` and `fold_data`."""
    return code_point + np.int64(steps[entry(pages, code_point)])


@uncounted
def combining_class(t: Tables, code_point: Int) -> Int:
    """The canonical combining class of a code point, 0..254."""
    return np.int64(t.combining_data[entry(t.combining_pages, code_point)])


@uncounted
def fold(t: Tables, code_point: Int) -> tuple[Int, Int, Int, Int]:
    """Full case folding, `str.casefold()` of one character: how many code points (1..3), then those, 0 for none."""
    step = np.int64(t.fold_data[entry(t.fold_pages, code_point)])
    if step < SEVERAL:
        return 1, code_point + step, 0, 0
    row = step - SEVERAL
    several = t.fold_several
    return np.int64(several[row, 0]), np.int64(several[row, 1]), np.int64(several[row, 2]), np.int64(several[row, 3])


@uncounted
def fold_into(t: Tables, code_point: Int, at: Int, out: NDArray[np.uint8]) -> Int:
    """Write `str.casefold()` of one character as UTF-8 to `out` from index `at`; the index after it.

    At most 6 bytes for one character, and never more than three times its own.
    """
    count, a, b, c = fold(t, code_point)
    at = encode(a, at, out)
    if count > 1:
        at = encode(b, at, out)
    if count > 2:
        at = encode(c, at, out)
    return at
