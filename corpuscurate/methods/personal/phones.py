"""Telephone numbers among runs of digits, as the package `phonenumbers` (libphonenumber's metadata) tells them.

A regular expression made of a region's metadata looks first, since most runs of digits are none, and the package's own
matcher, which takes a hundred times as long, decides: a valid number of the region, written with plausible signs.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import accumulate
from typing import Any
from unicodedata import decimal

from corpuscurate.core.errors import RecipeError, did_you_mean

FEW, MANY = 7, 18
"""Fewest and most digits of a number, prefixes for calls abroad included."""
MOST_GROUPS = 8
NOWHERE = "ZZ"
"""The region of numbers that begin with a plus sign and the code of a country."""
_DIGITS = re.compile(r"\d+")
_DATE = re.compile(r"(?:[0-3]?\d[.-][0-3]?\d[.-](?:1[89]|20)\d\d|(?:1[89]|20)\d\d[.-][01]?\d[.-][0-3]?\d)(?!\d)")
_CUT = re.compile(r"(?:[\d)][-./)]?|[+＋]\d{1,3}[ -]?)$")
"""The end of what stands before a match that is a part of a longer number."""


def check_regions(regions: Sequence[str]) -> tuple[str, ...]:
    """The regions, in capitals. Raises RecipeError for one that the package does not know."""
    from phonenumbers import SUPPORTED_REGIONS

    for region in regions:
        if region.upper() not in SUPPORTED_REGIONS:
            known = {each: each for each in SUPPORTED_REGIONS}
            raise RecipeError(
                f"unknown region {region!r}: two letters as in ISO 3166. {did_you_mean(region.upper(), known)}"
            )
    return tuple(region.upper() for region in regions)


@lru_cache(256)
def _pattern(region: str) -> re.Pattern[str]:
    """What the digits of a number look like that is written for a region: with or without the prefix of the region
    or its country's code, or behind the prefix for calls abroad."""
    from phonenumbers import PhoneMetadata

    data: Any = PhoneMetadata.metadata_for_region(region)
    national = data.general_desc.national_number_pattern
    prefix = data.national_prefix_for_parsing or data.national_prefix or ""
    abroad = data.international_prefix or "00"
    return re.compile(rf"(?:{data.country_code})?(?:{prefix})?(?:{national})|(?:{abroad}|00)[1-9]\d{{6,14}}", re.ASCII)


def _may_hold(text: str, region: str) -> bool:
    """Whether some neighbouring groups of digits look like a number of the region."""
    groups = ["".join(str(decimal(digit)) for digit in group) for group in _DIGITS.findall(text)]
    pattern = _pattern(region)
    for first in range(len(groups)):
        for digits in accumulate(groups[first : first + MOST_GROUPS]):
            if len(digits) > MANY:
                break
            if len(digits) >= FEW and pattern.fullmatch(digits):
                return True
    return False


def _stands_alone(text: str, start: int, stop: int) -> bool:
    """Whether a match is no date, and no part of a longer number that is not valid as a whole."""
    return _DATE.match(text, start, stop) is None and _CUT.search(text[max(0, start - 6) : start]) is None


def numbers_in(text: str, start: int, stop: int, regions: Sequence[str]) -> Iterator[tuple[int, int, str]]:
    """Telephone numbers that begin in text[start:stop], where a run of digits and separators stands: first character,
    character behind, and the number as E.164 has it. Those with a plus sign first, then region by region; where they
    overlap, the caller takes the first."""
    from phonenumbers import Leniency, PhoneNumberFormat, PhoneNumberMatcher, format_number

    plus = any(sign in text[start:stop] for sign in "+＋")
    for region in (*((NOWHERE,) if plus else ()), *regions):
        if region != NOWHERE and not _may_hold(text[start:stop], region):
            continue
        for match in PhoneNumberMatcher(text, region, leniency=Leniency.VALID):
            if start <= match.start < stop and _stands_alone(text, match.start, match.end):
                yield match.start, match.end, format_number(match.number, PhoneNumberFormat.E164)
