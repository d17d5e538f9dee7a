from __future__ import annotations

from typing import Annotated, Literal

import pytest
from pydantic import BaseModel, Field

from corpuscurate.core.spec import Bytes
from corpuscurate.recipe.describe import allowed, default_text, recipe_text, shorten


class Inner(BaseModel):
    a: int = 1


class Sample(BaseModel):
    share: float = Field(0.5, ge=0, le=1)
    count: int | None = Field(None, gt=0)
    kind: Literal["a", "b"] = "a"
    one: Literal["only"] = "only"
    flag: bool = True
    free: str = ""
    full: str = Field(min_length=1)
    form: str = Field("x", pattern="^x+$")
    many: tuple[str, ...] = ("a", "b")
    pair: tuple[int, ...] = Field((1, 2), min_length=2, max_length=2)
    upto: list[float] = Field([], max_length=3)
    bounded: list[Annotated[int, Field(ge=1)]] = []
    size: Bytes = Field(512 << 20, ge=1)
    floor: Bytes = Field(1000, ge=1 << 20, le=1 << 30)
    maybe: Bytes | None = None
    nested: Inner = Inner()
    either: int | Literal["auto"] = "auto"
    made: int = Field(default_factory=lambda: 3)


@pytest.mark.parametrize(
    ("field", "words", "default"),
    [
        ("share", "a number >= 0 and <= 1", "0.5"),
        ("count", "a whole number > 0 or null", "null"),
        ("kind", "one of a, b", "a"),
        ("one", "only", "only"),
        ("flag", "true or false", "true"),
        ("free", "text", ""),
        ("full", "text, not empty", "required"),
        ("form", "text that matches ^x+$", "x"),
        ("many", "a list of texts", "[a, b]"),
        ("pair", "a list of whole numbers, exactly 2", "[1, 2]"),
        ("upto", "a list of numbers, at most 3", "[]"),
        ("bounded", "a list, each a whole number >= 1", "[]"),
        ("size", "a size such as 512MiB or 8GiB", "512MiB"),
        ("floor", "a size such as 512MiB or 8GiB, >= 1MiB, <= 1GiB", "1000"),
        ("maybe", "a size such as 512MiB or 8GiB or null", "null"),
        ("nested", "a mapping", "a=1"),
        ("either", "a whole number or auto", "auto"),
        ("made", "a whole number", "set by the machine"),
    ],
)
def test_what_a_field_allows(field, words, default):
    assert allowed(Sample, field) == words
    assert default_text(Sample, field) == default


def test_values_in_messages_are_short_and_quoted():
    assert shorten("a") == "'a'"
    assert shorten(None) == "null"
    assert shorten(True) == "true"
    assert shorten([1, None, "x"]) == "[1, null, x]"
    assert shorten("x" * 100) == f"'{'x' * 56}..."
    assert recipe_text({"a": [True, 0.1, 1e-9]}) == "{a: [true, 0.1, 1e-09]}"
