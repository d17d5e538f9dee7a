"""Which code points a test tries that means all of them."""

from __future__ import annotations

import unicodedata
from functools import cache

from support.forms import FULL

EVERY = 61
"""Of code points that are like their neighbours, one in so many is tried in the short form."""


@cache
def code_points() -> tuple[int, ...]:
    """All code points but surrogates, in order.

    In the short form: those that have another case, a decomposition or a combining class, those on either side of a
    border between categories, those below U+0800, and one in `EVERY` of all others.
    """
    points = (*range(0xD800), *range(0xE000, 0x110000))
    if FULL:
        return points
    kinds = [unicodedata.category(chr(point)) for point in points]
    return tuple(
        point
        for place, point in enumerate(points)
        if point < 0x800
        or place % EVERY == 0
        or kinds[place] != kinds[place - 1]
        or kinds[place] != kinds[min(place + 1, len(kinds) - 1)]
        or (kinds[place] not in ("Cn", "Co") and _is_of_its_own(chr(point)))
    )


def _is_of_its_own(char: str) -> bool:
    return bool(
        unicodedata.decomposition(char)
        or unicodedata.combining(char)
        or char.lower() != char
        or char.upper() != char
        or char.casefold() != char
    )
