"""Which labels name the same language: two and three letters, with a script or without.

Models label in systems of their own: `en` (py3langid, lid.176), `eng_Latn` (GlotLID, OpenLID, FineWeb-2), `zh-Hans`
(BCP 47). A label is parsed into a code of ISO 639-3 and perhaps a script of ISO 15924. Two labels name the same
language where their codes are equal, once a macrolanguage stands for the individual language that is meant by it in
practice (`zh` and `zho` are `cmn`, `ar` is `arb`, `no` is `nob`): `codes.tsv` is the one table for all.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Literal, NamedTuple

from corpuscurate.methods.quality.label_names import LABEL

LabelSystem = Literal["short", "iso639_3", "iso639_3_script", "model"]
"""How a language is written. short: two letters where ISO 639-1 has them, else three. iso639_3: three letters.
iso639_3_script: with the script, as `eng_Latn`. model: as the model labels it."""

UNDETERMINED, NOT_LANGUAGE = "und", "zxx"
GROUPS: Mapping[str, frozenset[str]] = {
    "hbs": frozenset({"hbs", "bos", "cnr", "hrv", "srp"}),
    "msa": frozenset({"ind", "zsm"}),
    "nor": frozenset({"nob", "nno"}),
}
"""Languages that no model tells apart well, by the code of what they are together (individual codes)."""

_PATH = Path(__file__).with_name("codes.tsv")
_FORM = re.compile(r"([A-Za-z]{2,3})(?:[_-]([A-Za-z]{4}))?(?:[_-][A-Za-z0-9]+)*")


class Code(NamedTuple):
    """A language: three letters of ISO 639-3, and a script of ISO 15924 or ""."""

    three: str
    script: str


class _Tables(NamedTuple):
    three: Mapping[str, str]
    two: Mapping[str, str]
    individual: Mapping[str, str]


@cache
def _tables() -> _Tables:
    rows = [
        line.split("\t") for line in _PATH.read_text(encoding="utf-8").splitlines() if line and not line.startswith("#")
    ]
    three = {other: row[0] for row in rows for other in row[1:3] if other}
    return _Tables(three, {row[0]: row[1] for row in rows if row[1]}, {row[0]: row[3] for row in rows if row[3]})


def parse(label: str) -> Code | None:
    """The language that a label names; None where it is no code of a language."""
    found = _FORM.fullmatch(label.removeprefix(LABEL).strip())
    if found is None:
        return None
    code = found[1].lower()
    three = _tables().three.get(code, code)
    return Code(three, (found[2] or "").title()) if len(three) == 3 else None


def individual(label: str) -> str:
    """What two labels of the same language have in common: the code of the individual language. A label that is no code
    stands for itself."""
    code = parse(label)
    return label if code is None else _tables().individual.get(code.three, code.three)


def group_of(label: str) -> str:
    """The group of GROUPS that a language is in, or the language itself."""
    one = individual(label)
    return next((name for name, members in GROUPS.items() if one in members), one)


def written(label: str, system: LabelSystem, script: str = "") -> str:
    """A label in another system; as it is where it is no code. script: of the text, for a label without one."""
    code = parse(label)
    if code is None or system == "model":
        return label
    if system == "short":
        return _tables().two.get(code.three, code.three)
    if system == "iso639_3" or code.three in (UNDETERMINED, NOT_LANGUAGE):
        return code.three
    return f"{code.three}_{code.script or script}" if code.script or script else code.three
