"""Numbers with check digits: payment cards (ISO/IEC 7812) and bank accounts (IBAN, ISO 13616).

Card: 12 to 19 digits whose sum by Luhn is right, of a length that cards with these first digits have (`CARDS`); bare,
or in groups parted everywhere by one space or one hyphen: fours with a shorter end, or 4-6-5 and 4-6-4.
IBAN: the country's length and pattern (`IBANS`), remainder 1 modulo 97; bare, or in fours with one space or hyphen.
Beside both no digit, Latin letter or underscore stands, and no dot or comma with a digit beyond it.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from corpuscurate.kernels.compile import uncounted
from corpuscurate.kernels.text.personal.characters import DASH, SPACE, Letters, after, before, joins
from corpuscurate.kernels.text.unicode import Int

CARDS = """
0604 12-19 | 1 15 | 2131 15 | 2200-2204 16-19 | 2221-2720 16 | 300-305 14-19 | 309 14-19 | 34 15 | 35 15-19 | 36 14-19
37 15 | 38-39 14-19 | 4 13 | 4 16 | 4 19 | 50 12-19 | 51-55 16 | 56-58 12-19 | 60 16-19 | 61 12-19 | 62 16-19
63-64 12-19 | 65 16-19 | 66-69 12-19 | 81-82 16 | 9792 16
"""
"""First digits, from and to, and lengths: Maestro, UATP, JCB, Mir, Mastercard, Diners Club, American Express, Visa,
Discover, UnionPay, RuPay, Troy. Where published lists part ranges more finely and differ, the whole range stands."""
IBANS = """
AD 8n12c AE 19n AL 8n16c AT 16n AZ 4a20c BA 16n BE 12n BG 4a6n8c BH 4a14c BI 23n BR 23n1a1c BY 4c4n16c CH 5n12c CR 18n
CY 8n16c CZ 20n DE 18n DJ 23n DK 14n DO 4c20n EE 16n EG 25n ES 20n FI 14n FK 2a12n FO 14n FR 10n11c2n GB 4a14n GE 2a16n
GI 4a15c GL 14n GR 7n16c GT 24c HN 4a20n HR 17n HU 24n IE 4a14n IL 19n IQ 4a15n IS 22n IT 1a10n12c JO 4a4n18c KW 4a22c
KZ 3n13c LB 4n20c LC 4a24c LI 5n12c LT 16n LU 3n13c LV 4a13c LY 21n MC 10n11c2n MD 20c ME 18n MK 3n10c2n MN 16n MR 23n
MT 4a5n18c MU 4a19n3a NI 4a20n NL 4a10n NO 11n OM 3n16c PK 4a16c PL 24n PS 4a21c PT 21n QA 4a21c RO 4a16c RS 18n
RU 14n15c SA 2n18c SC 4a20n3a SD 14n SE 20n SI 15n SK 20n SM 1a10n12c SO 19n ST 21n SV 4a20n TL 19n TN 20n TR 6n16c
UA 6n19c VA 18n VG 4a16n XK 16n YE 4a4n18c
"""
"""Countries and what follows the two check digits: digits (n), capital letters (a), either (c), as in SWIFT's IBAN
registry, release 101."""
MOST_DIGITS, FEWEST_DIGITS = 19, 12
_PREFIX = 4
_DOT, _COMMA = 0x2E, 0x2C


def _cards() -> NDArray[np.int64]:
    """int64[k, 4]: the first four digits, from and to, and the lengths, from and to."""
    rows = []
    for part in CARDS.replace("\n", " | ").split("|"):
        if part.strip():
            prefix, length = part.split()
            low, high = (prefix.split("-") * 2)[:2]
            short, long = (length.split("-") * 2)[:2]
            rows.append([int(low.ljust(_PREFIX, "0")), int(high.ljust(_PREFIX, "9")), int(short), int(long)])
    return np.array(rows, np.int64)


def _ibans() -> tuple[NDArray[np.int64], NDArray[np.uint8]]:
    """Row by country, int64[676], -1 for none; patterns, uint8[rows, 31]: the length, then n, a or c for each place."""
    words = IBANS.split()
    rows, patterns = np.full(26 * 26, -1, np.int64), np.zeros((len(words) // 2, 31), np.uint8)
    for row, (country, pattern) in enumerate(zip(words[::2], words[1::2], strict=True)):
        places = ""
        size = ""
        for char in pattern:
            size = size + char if char.isdigit() else size
            if not char.isdigit():
                places, size = places + char * int(size), ""
        rows[(ord(country[0]) - 65) * 26 + ord(country[1]) - 65] = row
        patterns[row, 0] = len(places)
        patterns[row, 1 : len(places) + 1] = list(places.encode())
    return rows, patterns


_CARDS = _cards()
_COUNTRIES, _PATTERNS = _ibans()


@uncounted
def _beside(data: NDArray[np.uint8], code: Int, at: Int, border: Int, t: Letters, backwards: bool) -> bool:
    """Whether the character beside a number, which ends or begins at byte `at`, makes it part of a longer one."""
    if code < 0:
        return False
    if joins(code, t):
        return True
    if code in (_DOT, _COMMA):
        beyond, _ = before(data, at, border, t) if backwards else after(data, at, border, t)
        return bool(0x30 <= beyond <= 0x39)
    return False


@uncounted
def is_bordered(data: NDArray[np.uint8], begin: Int, behind: Int, start: Int, stop: Int, t: Letters) -> bool:
    """Whether what stands in data[begin:behind] is no part of a longer number or word."""
    code, at = before(data, begin, start, t)
    if _beside(data, code, at, start, t, True):
        return False
    code, at = after(data, behind, stop, t)
    return not _beside(data, code, at, stop, t, False)


@uncounted
def card_stop(data: NDArray[np.uint8], begin: Int, start: Int, stop: Int, t: Letters) -> Int:
    """The byte behind the card number that begins with the digit at byte `begin`, or -1."""
    digits: Int = np.int64(0)
    odd: Int = np.int64(0)  # sums by Luhn, with every second digit doubled: those at even, those at odd places
    even: Int = np.int64(0)
    prefix: Int = np.int64(0)
    size: Int = np.int64(0)  # digits of this group, and of the two before it
    first: Int = np.int64(0)
    second: Int = np.int64(0)
    groups: Int = np.int64(1)
    shape = True  # all groups but this one have four digits
    sign: Int = np.int64(0)
    i: Int = np.int64(begin)
    found: Int = np.int64(-1)
    while True:
        code, behind = after(data, i, stop, t)
        if 0x30 <= code <= 0x39:
            if digits == MOST_DIGITS:
                return found if groups > 1 else np.int64(-1)
            value = code - 0x30
            double = value * 2 - 9 if value > 4 else value * 2
            if digits & 1:
                odd += value
                even += double
            else:
                odd += double
                even += value
            if digits < _PREFIX:
                prefix = prefix * 10 + value
            digits += 1
            size += 1
            i = behind
            continue
        if size == 0:
            return found
        if digits >= FEWEST_DIGITS:
            total = odd if digits & 1 == 0 else even
            grouped = (
                groups == 1 or (shape and size <= 4) or (groups == 3 and first == 4 and second == 6 and 4 <= size <= 5)
            )
            if (
                grouped
                and total % 10 == 0
                and _is_issued(prefix, digits)
                and is_bordered(data, begin, i, start, stop, t)
            ):
                found = i
        if code not in (SPACE, DASH):
            return found
        if (groups > 1 and code != sign) or (groups == 1 and size != 4):
            return found
        sign = code
        shape = shape and size == 4
        if groups == 1:
            first = size
        if groups == 2:
            second = size
        if groups == 5 or (not shape and not (groups == 2 and size == 6)):
            return found
        groups += 1
        size = np.int64(0)
        i = behind


@uncounted
def _is_issued(prefix: Int, digits: Int) -> bool:
    for row in range(len(_CARDS)):
        if _CARDS[row, 0] <= prefix <= _CARDS[row, 1] and _CARDS[row, 2] <= digits <= _CARDS[row, 3]:
            return True
    return False


@uncounted
def iban_stop(data: NDArray[np.uint8], begin: Int, start: Int, stop: Int, t: Letters) -> Int:
    """The byte behind the IBAN that begins with the letter at byte `begin`, or -1."""
    i: Int = np.int64(begin)
    size: Int = np.int64(4)
    row: Int = np.int64(-1)
    head: Int = np.int64(0)  # country and check digits, as a number
    rest: Int = np.int64(0)  # what follows, modulo 97
    sign: Int = np.int64(-2)  # not known; NONE of them: -1
    country: Int = np.int64(0)
    place: Int = np.int64(0)
    while place < size:
        code, behind = after(data, i, stop, t)
        if place and place & 3 == 0:
            found = code if code in (SPACE, DASH) else np.int64(-1)
            if sign == -2:
                sign = found
            if found != sign:
                return np.int64(-1)
            if sign != -1:
                code, behind = after(data, behind, stop, t)
        digit = 0x30 <= code <= 0x39
        upper = code & 0x5F if code >= 0 and code < 128 else np.int64(0)
        letter = 0x41 <= upper <= 0x5A
        if not digit and not letter:
            return np.int64(-1)
        value = code - 0x30 if digit else upper - 55
        if place < 2:
            if not letter:
                return np.int64(-1)
            country = country * 26 + upper - 65
            head = head * 100 + value
        elif place < 4:
            if not digit:
                return np.int64(-1)
            head = head * 10 + value
        else:
            kind = _PATTERNS[row, place - 3]
            if (kind == 0x6E and not digit) or (kind == 0x61 and not letter):
                return np.int64(-1)
            rest = (rest * (10 if digit else 100) + value) % 97
        i = behind
        place += 1
        if place == 4:
            row = _COUNTRIES[country]
            if row < 0:
                return np.int64(-1)
            size = np.int64(_PATTERNS[row, 0]) + 4
    if (rest * 1000000 + head) % 97 != 1:
        return np.int64(-1)
    return i if is_bordered(data, begin, i, start, stop, t) else np.int64(-1)
