"""How a label is written: one rule for training data, recipes, models and heads.

`1`, `1.0` and `"1"` are one label, as pandas turns a column of whole numbers into floats once it has a gap; so are `hq`
and `__label__hq`, as fastText writes it. Labels that still differ in case, white space, Unicode form or the way a
number is written have the same `label_key`: training refuses them, since nobody can say which one is meant.
"""

from __future__ import annotations

import re
import unicodedata
from decimal import Decimal

LABEL = "__label__"
"""What fastText puts before a label."""
_WHOLE = re.compile(r"-?(0|[1-9][0-9]*)\.0+")
_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]{1,4})?")


def label_name(text: str) -> str:
    """The name of a label: without fastText's prefix, a whole number without a fraction of zeros. "" for no label:
    nothing but white space."""
    found = text.removeprefix(LABEL)
    if _WHOLE.fullmatch(found):
        found = found.partition(".")[0]
        found = "0" if found == "-0" else found
    return "" if found.isspace() else found


def label_key(name: str) -> str | Decimal:
    """Equal for names that training must not take for different labels. Numbers are compared exactly."""
    plain = " ".join(unicodedata.normalize("NFKC", name).casefold().split())
    return Decimal(plain) if _NUMBER.fullmatch(plain) else plain
