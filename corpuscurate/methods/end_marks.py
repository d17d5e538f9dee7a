"""The parameter `end_marks:`: characters with which a line ends well."""

from __future__ import annotations

from functools import lru_cache
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator

from corpuscurate.kernels.text.signs import Signs, signs_of


def as_tuple(value: Any) -> Any:
    """A list of a recipe as a tuple."""
    return tuple(value) if isinstance(value, list) else value


def _check(marks: tuple[str, ...]) -> tuple[str, ...]:
    for mark in marks:
        if len(mark) != 1 or mark.isspace():
            raise ValueError(f"end mark {mark!r} is not a single character other than white space")
    return marks


EndMarks = Annotated[tuple[str, ...], BeforeValidator(as_tuple), AfterValidator(_check)]


@lru_cache(8)
def table_of(marks: tuple[str, ...]) -> Signs:
    """The marks as a table in which they have the flag TERMINAL."""
    return signs_of(marks)
