"""Identity, tax and other national numbers among runs of letters and digits, by the package python-stdnum (LGPL)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from importlib import import_module
from importlib.util import find_spec
from itertools import accumulate
from typing import Any

from corpuscurate.core.errors import MissingExtraError, RecipeError

FEW = 6
"""Fewest digits of a number that is looked for."""
MOST_PARTS = 5
_PART = re.compile(r"[^ ]+ ?")


def check_formats(names: Sequence[str]) -> tuple[str, ...]:
    """The names of python-stdnum's modules, such as `us.ssn`. Raises MissingExtraError and RecipeError."""
    if names and find_spec("stdnum") is None:
        raise MissingExtraError("stdnum", "national", "`national_numbers`")
    for name in names:
        _module(name)
    return tuple(names)


@lru_cache(64)
def _module(name: str) -> Any:
    try:
        module = import_module(f"stdnum.{name}") if re.fullmatch(r"[a-z_]+\.[a-z_]+", name) else None
    except ImportError:
        module = None
    if module is None or not hasattr(module, "is_valid"):
        raise RecipeError(
            f"python-stdnum knows no format {name!r}: expected a country and a format, such as us.ssn or br.cpf"
        )
    return module


def numbers_in(text: str, names: Sequence[str]) -> Iterator[tuple[int, int, str]]:
    """Valid numbers in a run: first character, character behind, format and number. Neighbouring parts between spaces
    are tried together, the longest first."""
    parts = [found.span() for found in _PART.finditer(text)]
    for first in range(len(parts)):
        joined = list(accumulate(text[slice(*span)] for span in parts[first : first + MOST_PARTS]))
        for candidate in reversed(joined):
            number = candidate.rstrip()
            if sum(map(str.isdigit, number)) < FEW:
                continue
            name = next((name for name in names if _module(name).is_valid(number)), None)
            if name is not None:
                begin = parts[first][0]
                yield begin, begin + len(number), f"{name}:{_module(name).compact(number)}"
                break
