"""Make corpuscurate/kernels/language/script_table.npz: the script of every letter, by its code of ISO 15924.

From the property Script of the package `regex` (`pip install regex`; Unicode data), for the code points that Python
3.11's `unicodedata` (Unicode 14.0.0) has as letters, so that the table is of the same version as the other ones:
`python scripts/make_script_table.py`, under Python 3.11.
"""

from __future__ import annotations

import sys
import unicodedata
from pathlib import Path

import numpy as np
import regex
from make_unicode_tables import CODE_POINTS, SURROGATES, paged
from regex import _regex_core

from corpuscurate.kernels.language.scripts import PATH

UNKNOWN = ("Zyyy", "Zinh", "Zzzz")
ALSO = {"Qaac": "Copt", "Qaai": "Zinh"}


def codes() -> list[str]:
    """The codes of four letters of all scripts, sorted."""
    names = _regex_core.PROPERTIES["SCRIPT"][1]
    found = {name.title() for name in names if len(name) == 4}
    return sorted({ALSO.get(code, code) for code in found} - {*UNKNOWN})


def main() -> None:
    if sys.version_info[:2] != (3, 11):
        raise SystemExit("run this under Python 3.11: the table is of Unicode 14.0.0")
    letters = [
        chr(code_point)
        for code_point in range(CODE_POINTS)
        if code_point not in SURROGATES and unicodedata.category(chr(code_point))[0] == "L"
    ]
    whole = "".join(letters)
    script = np.zeros(CODE_POINTS, np.uint8)
    names = ["Zyyy"]
    for code in codes():
        found = regex.findall(rf"\p{{Script={code}}}", whole)
        if found:
            script[[ord(char) for char in found]] = len(names)
            names.append(code)
    pages, data = paged(script)
    np.savez_compressed(PATH, pages=pages, data=data.astype(np.uint8), codes=np.array(names))
    print(f"{PATH}: {Path(PATH).stat().st_size} bytes, {len(names) - 1} scripts, {int((script > 0).sum())} letters")


if __name__ == "__main__":
    main()
