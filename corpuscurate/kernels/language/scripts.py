"""The script of a text, and what it needs before its bytes are looked at, in one walk over its characters.

The table of scripts (`script_table.npz`, by `scripts/make_script_table.py`) has the property Script of every letter
(category L) of Unicode 14.0.0; what is no letter has none, so digits, marks and punctuation do not count.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from corpuscurate.kernels.compile import kernel
from corpuscurate.kernels.text.lower_nfd import NOT_UPPER, UPPER, lower_tables
from corpuscurate.kernels.text.unicode import NOT_NFC, Int, decode, entry, tables

PATH = Path(__file__).with_name("script_table.npz")
NEEDS_NFC, ALL_UPPER = 1, 2
"""Perhaps not in NFC (quick check of UAX #15); `str.isupper()`."""
_KANA_SHARE = 10
"""Where at least one of so many letters of Han and Kana is Kana, the script is Jpan."""


class Scripts(NamedTuple):
    """Tables of the walk; read-only. pages, data: uint16[4352], uint8[], the script of a code point, 0 for none.
    case_pages, case_data: see `lower_nfd.Lower`. flag_pages, flag_data, combining_pages, combining_data: see
    `unicode.Tables`. han, hiragana, katakana, japanese, latin: numbers of scripts. scripts: how many there are."""

    pages: NDArray[np.uint16]
    data: NDArray[np.uint8]
    case_pages: NDArray[np.uint16]
    case_data: NDArray[np.uint8]
    flag_pages: NDArray[np.uint16]
    flag_data: NDArray[np.uint16]
    combining_pages: NDArray[np.uint16]
    combining_data: NDArray[np.uint8]
    han: int
    hiragana: int
    katakana: int
    japanese: int
    latin: int
    scripts: int


@cache
def script_codes() -> tuple[str, ...]:
    """The code of ISO 15924 of each script by its number: Zyyy for none first, Jpan (Han and Kana) last."""
    with np.load(PATH, allow_pickle=False) as stored:
        return (*stored["codes"].tolist(), "Jpan")


@cache
def script_tables() -> Scripts:
    """The tables, loaded once a process."""
    with np.load(PATH, allow_pickle=False) as stored:
        pages, data = stored["pages"], stored["data"]
    for array in (pages, data):
        array.setflags(write=False)
    codes = script_codes()
    low, t = lower_tables(), tables()
    han, hiragana, katakana, japanese, latin = (codes.index(code) for code in ("Hani", "Hira", "Kana", "Jpan", "Latn"))
    return Scripts(
        pages, data, low.case_pages, low.case_data, t.flag_pages, t.flag_data, t.combining_pages, t.combining_data,
        han, hiragana, katakana, japanese, latin, len(codes),
    )  # fmt: skip


@kernel
def survey(
    starts: NDArray[np.int64],
    stops: NDArray[np.int64],
    data: NDArray[np.uint8],
    t: Scripts,
    out_needs: NDArray[np.uint8],
    out_scripts: NDArray[np.int16],
) -> int:
    """What each text data[starts[i]:stops[i]] needs (uint8[n]: NEEDS_NFC | ALL_UPPER), and the script of most of its
    letters (int16[n], 0: no letters; the first of equally frequent ones). Returns n."""
    letters = np.zeros(t.scripts, np.int64)
    for row in range(len(starts)):
        letters[:] = 0
        latin: Int = 0
        lower: Int = 0
        upper: Int = 0
        needs: Int = 0
        before: Int = 0
        i: Int = starts[row]
        stop = stops[row]
        while i < stop:
            byte = data[np.uint64(i)]
            if byte < 0x80:
                folded = byte | np.uint8(0x20)
                letter = np.int64(np.uint8(folded - np.uint8(97)) < np.uint8(26))
                latin += letter
                lower += letter & np.int64(byte >> np.uint8(5) & np.uint8(1))
                before = 0
                i += 1
                continue
            code_point, i = decode(data, i)
            letters[np.int64(t.data[entry(t.pages, code_point)])] += 1
            case = np.int64(t.case_data[entry(t.case_pages, code_point)])
            lower += np.int64((case & NOT_UPPER) != 0)
            upper += np.int64((case & UPPER) != 0)
            combining = np.int64(t.combining_data[entry(t.combining_pages, code_point)])
            flags = np.int64(t.flag_data[entry(t.flag_pages, code_point)])
            if (flags & NOT_NFC) or (combining != 0 and combining < before):
                needs |= NEEDS_NFC
            before = combining
        if lower == 0 and (upper > 0 or latin > 0):
            needs |= ALL_UPPER
        letters[t.latin] += latin
        out_needs[row] = needs
        out_scripts[row] = _most(letters, t)
    return len(starts)


@kernel
def _most(letters: NDArray[np.int64], t: Scripts) -> Int:
    """The number of the script of most letters. Changes `letters`."""
    kana = letters[t.hiragana] + letters[t.katakana]
    together = letters[t.han] + kana
    if kana > 0 and kana * _KANA_SHARE >= together:
        letters[t.han] = letters[t.hiragana] = letters[t.katakana] = 0
        letters[t.japanese] = together
    letters[0] = 0
    most: Int = 0
    for script in range(1, len(letters)):
        if letters[script] > letters[most]:
            most = script
    return most
