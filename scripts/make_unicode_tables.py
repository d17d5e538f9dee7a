"""Make corpuscurate/kernels/text/unicode_tables.npz and lower_tables.npz from this Python's unicodedata.

Run it under Python 3.11 only (Unicode 14.0.0), so that the tables, and with them every word count and signature, stay
the same whatever Python corpuscurate later runs on: `python scripts/make_unicode_tables.py`.
"""

from __future__ import annotations

import sys
import unicodedata
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from corpuscurate.kernels.text import lower_nfd
from corpuscurate.kernels.text.unicode import (
    ALPHA,
    CONTROL,
    INVISIBLE,
    MARK,
    NOT_NFC,
    NOT_NFD,
    NOT_NFKC,
    NOT_NFKD,
    PAGE,
    PATH,
    SEVERAL,
    SINGLE,
    SINGLE_RANGES,
    SPACE,
    WORD,
)

CODE_POINTS = 0x110000
FORMS = {"NFC": NOT_NFC, "NFD": NOT_NFD, "NFKC": NOT_NFKC, "NFKD": NOT_NFKD}
SURROGATES = range(0xD800, 0xE000)
VISIBLE_FORMAT = {*range(0x600, 0x606), 0x6DD, 0x70F, 0x890, 0x891, 0x8E2, 0x110BD, 0x110CD}
"""Prepended_Concatenation_Mark of PropList.txt: of category Cf, but signs of their own."""
ZERO_WIDTH_SPACE = 0x200B
IGNORABLE_MARKS = {
    0x34F,
    0x17B4,
    0x17B5,
    *range(0x180B, 0x180E),
    0x180F,
    *range(0xFE00, 0xFE10),
    *range(0xE0100, 0xE01F0),
}
"""Marks that are Default_Ignorable_Code_Point in DerivedCoreProperties.txt: grapheme joiner, Khmer inherent vowels,
Mongolian and other variation selectors."""


def is_single(code_point: int) -> bool:
    """Whether the letter or letter-number stands in a script that is written without spaces."""
    char = chr(code_point)
    inside = any(first <= code_point <= last for first, last in SINGLE_RANGES)
    return inside and char.isalnum() and unicodedata.category(char) not in ("Nd", "No")


def is_control(code_point: int) -> bool:
    """C0 and C1 control characters but tab and line ends, the byte order mark, and the 66 noncharacters."""
    if unicodedata.category(chr(code_point)) == "Cc":
        return chr(code_point) not in "\t\n\r"
    return code_point == 0xFEFF or 0xFDD0 <= code_point <= 0xFDEF or code_point & 0xFFFE == 0xFFFE


def is_invisible(code_point: int) -> bool:
    """What joins the word it stands in without a sign of its own: see INVISIBLE."""
    if unicodedata.category(chr(code_point)) == "Cf":
        return code_point != ZERO_WIDTH_SPACE and code_point not in VISIBLE_FORMAT
    return code_point in IGNORABLE_MARKS


def composes_with_previous() -> set[int]:
    """Code points whose NFC_Quick_Check is Maybe: the second half of a canonical composition."""
    maybe = {*range(0x1161, 0x1176), *range(0x11A8, 0x11C3)}  # conjoining Hangul vowels and finals
    for code_point in range(CODE_POINTS):
        parts = unicodedata.decomposition(chr(code_point)).split()
        if len(parts) == 2 and not parts[0].startswith("<"):
            pair = "".join(chr(int(part, 16)) for part in parts)
            if unicodedata.normalize("NFC", pair) == chr(code_point):
                maybe.add(int(parts[1], 16))
    return maybe


def flags_of(char: str, maybe: set[int]) -> int:
    """All flags of one character."""
    code_point = ord(char)
    found = WORD * char.isalnum() | ALPHA * char.isalpha() | SPACE * char.isspace()
    found |= SINGLE * is_single(code_point) | MARK * unicodedata.category(char).startswith("M")
    found |= CONTROL * is_control(code_point) | INVISIBLE * is_invisible(code_point)
    for form, flag in FORMS.items():
        suspect = unicodedata.category(char) == "Cn" or (form in ("NFC", "NFKC") and code_point in maybe)
        found |= flag * (suspect or unicodedata.normalize(form, char) != char)
    return found


def paged(values: NDArray[np.generic]) -> tuple[NDArray[np.uint16], NDArray[np.generic]]:
    """A table over all code points as page numbers and distinct pages."""
    pages, index = np.unique(values.reshape(-1, PAGE), axis=0, return_inverse=True)
    return index.reshape(-1).astype(np.uint16), pages.reshape(-1)


def folding() -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """What to add to fold each code point, or SEVERAL + row in the table of foldings to several."""
    step = np.zeros(CODE_POINTS, np.int32)
    several: list[list[int]] = []
    for code_point in range(CODE_POINTS):
        folded = [ord(char) for char in chr(code_point).casefold()]
        if len(folded) == 1:
            step[code_point] = folded[0] - code_point
        else:
            step[code_point] = SEVERAL + len(several)
            several.append([len(folded), *folded, *[0] * (3 - len(folded))])
    return step, np.array(several, np.int32)


def case_of(char: str) -> int:
    """What `lower_nfd.Lower.case_data` says of a character."""
    follows = ("A" + char + "Σ").lower()[-1] == "ς"  # a cased letter or what is ignored stands before the sigma
    cased = (char + "Σ").lower()[-1] == "ς"
    found = lower_nfd.CASED * cased | lower_nfd.IGNORED * (follows and not cased)
    small = not char.isupper() and (char.islower() or char.istitle())
    found |= lower_nfd.UPPER * char.isupper() | lower_nfd.NOT_UPPER * small
    found |= lower_nfd.NUMERIC * char.isnumeric() | lower_nfd.DECIMAL * char.isdecimal()
    return found | lower_nfd.NONSPACING * (unicodedata.category(char) == "Mn")


def lowering() -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """NFD of `str.lower()` of each code point, in the form of `folding`."""
    step = np.zeros(CODE_POINTS, np.int32)
    several: list[list[int]] = []
    for code_point in range(CODE_POINTS):
        made = [ord(char) for char in unicodedata.normalize("NFD", chr(code_point).lower())]
        if len(made) == 1:
            step[code_point] = made[0] - code_point
        else:
            step[code_point] = SEVERAL + len(several)
            several.append([len(made), *made, *[0] * (4 - len(made))])
    return step, np.array(several, np.int32)


def make_lower() -> None:
    case = np.zeros(CODE_POINTS, np.uint8)
    for code_point in range(CODE_POINTS):
        if code_point not in SURROGATES:
            case[code_point] = case_of(chr(code_point))
    case_pages, case_data = paged(case)
    step, several = lowering()
    lower_pages, lower_data = paged(step)
    np.savez_compressed(
        lower_nfd.PATH,
        case_pages=case_pages,
        case_data=case_data,
        lower_pages=lower_pages,
        lower_data=lower_data,
        lower_several=several,
    )
    print(f"{lower_nfd.PATH}: {Path(lower_nfd.PATH).stat().st_size} bytes")


def main() -> None:
    if sys.version_info[:2] != (3, 11):
        raise SystemExit("run this under Python 3.11: the tables are of Unicode 14.0.0")
    maybe = composes_with_previous()
    flags = np.zeros(CODE_POINTS, np.uint16)
    combining = np.zeros(CODE_POINTS, np.uint8)
    for code_point in range(CODE_POINTS):
        if code_point not in SURROGATES:
            flags[code_point] = flags_of(chr(code_point), maybe)
            combining[code_point] = unicodedata.combining(chr(code_point))
    fold, several = folding()
    flag_pages, flag_data = paged(flags)
    combining_pages, combining_data = paged(combining)
    fold_pages, fold_data = paged(fold)
    np.savez_compressed(
        PATH,
        SEVERAL,
        unidata_version=np.array(unicodedata.unidata_version),
        flag_pages=flag_pages,
        flag_data=flag_data,
        combining_pages=combining_pages,
        combining_data=combining_data,
        fold_pages=fold_pages,
        fold_data=fold_data,
        fold_several=several,
    )
    make_lower()
    print(f"{PATH}: {Path(PATH).stat().st_size} bytes, Unicode {unicodedata.unidata_version}")


if __name__ == "__main__":
    main()
