"""ISO 8601 dates and times in text to microseconds since 1970."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from corpuscurate.kernels.compile import kernel

Int: TypeAlias = int | np.int64

MICROS = 1_000_000


@kernel
def _number(data: NDArray[np.uint8], start: Int, size: Int, stop: Int) -> Int:
    """The decimal number of exactly `size` digits from `start`, or -1."""
    if start + size > stop:
        return -1
    value: Int = 0
    for i in range(start, start + size):
        digit = np.int64(data[i]) - 48
        if digit < 0 or digit > 9:
            return -1
        value = value * 10 + digit
    return value


@kernel
def _days(year: Int, month: Int, day: Int) -> Int:
    """Days since 1970-01-01 in the Gregorian calendar (Howard Hinnant, "chrono-compatible date algorithms")."""
    if month <= 2:
        year -= 1
        month += 12
    era = year // 400
    of_era = year - era * 400
    of_year = (153 * (month - 3) + 2) // 5 + day - 1
    return era * 146097 + of_era * 365 + of_era // 4 - of_era // 100 + of_year - 719468


@kernel
def _length_of(year: Int, month: Int) -> Int:
    if month == 2:
        return 29 if year % 4 == 0 and (year % 100 != 0 or year % 400 == 0) else 28
    return 30 if month in (4, 6, 9, 11) else 31


@kernel
def _instant(data: NDArray[np.uint8], i: Int, stop: Int) -> tuple[bool, Int]:
    """Whether bytes i..stop-1 are a date or a date and time, and its microseconds."""
    year = _number(data, i, 4, stop)
    month = _number(data, i + 5, 2, stop)
    day = _number(data, i + 8, 2, stop)
    if year < 1 or month < 1 or month > 12 or day < 1 or day > _length_of(year, month):
        return False, 0
    if data[i + 4] != 45 or data[i + 7] != 45:  # -
        return False, 0
    micros = _days(year, month, day) * 86400 * MICROS
    i += 10
    if i == stop:
        return True, micros
    if data[i] != 84 and data[i] != 116 and data[i] != 32:  # T, t or a space
        return False, 0
    hour = _number(data, i + 1, 2, stop)
    minute = _number(data, i + 4, 2, stop)
    if hour < 0 or hour > 23 or minute < 0 or minute > 59 or data[i + 3] != 58:  # :
        return False, 0
    micros += (hour * 60 + minute) * 60 * MICROS
    i += 6
    if i < stop and data[i] == 58:
        second = _number(data, i + 1, 2, stop)
        if second < 0 or second > 59:
            return False, 0
        micros += second * MICROS
        i += 3
        if i < stop and (data[i] == 46 or data[i] == 44):  # . or ,
            i += 1
            digit_micros = MICROS // 10
            first = i
            while i < stop and 48 <= data[i] <= 57:
                micros += (np.int64(data[i]) - 48) * digit_micros
                digit_micros //= 10
                i += 1
            if i == first:
                return False, 0
    if i == stop:
        return True, micros
    if (data[i] == 90 or data[i] == 122) and i + 1 == stop:  # Z
        return True, micros
    if data[i] != 43 and data[i] != 45:  # + or -
        return False, 0
    sign = 1 if data[i] == 43 else -1
    hours = _number(data, i + 1, 2, stop)
    minutes: Int = 0
    if stop - i == 6 and data[i + 3] == 58:
        minutes = _number(data, i + 4, 2, stop)
    elif stop - i == 5:
        minutes = _number(data, i + 3, 2, stop)
    elif stop - i != 3:
        return False, 0
    if hours < 0 or hours > 23 or minutes < 0 or minutes > 59:
        return False, 0
    return True, micros - sign * (hours * 60 + minutes) * 60 * MICROS


@kernel
def iso_instants(
    offsets: NDArray[np.int64], data: NDArray[np.uint8], out_valid: NDArray[np.bool_], out: NDArray[np.int64]
) -> int:
    """Read each row as an ISO 8601 date or date and time. Returns n.

    Accepted: `2024-05-31`, then optionally T or a space, `hh:mm`, `:ss`, a fraction (digits beyond microseconds are
    cut), and Z or an offset `+hh`, `+hhmm`, `+hh:mm`. Without one, UTC. out_valid: bool[n], False for anything else.
    out: int64[n], microseconds since 1970-01-01T00:00Z, 0 where not valid.
    """
    for row in range(len(offsets) - 1):
        out_valid[row], out[row] = _instant(data, offsets[row], offsets[row + 1])
    return len(offsets) - 1
