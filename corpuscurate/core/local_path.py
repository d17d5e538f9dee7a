"""Parameters that name a file or folder: the recipe layer makes them absolute, from the recipe's own folder."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, Field


@dataclass(frozen=True, slots=True)
class FromRecipe:
    """Marks a text field as a path, in a recipe relative to the recipe's folder. In Python it is used as given, so
    relative to the current folder. only_existing: the text may be a name instead; it is a path only if that exists."""

    only_existing: bool = False


LocalPath = Annotated[str, Field(min_length=1), FromRecipe()]


def _as_tuple(value: Any) -> Any:
    return (value,) if isinstance(value, str) else tuple(value) if isinstance(value, list) else value


LocalPaths = Annotated[tuple[Annotated[str, Field(min_length=1)], ...], BeforeValidator(_as_tuple), FromRecipe()]
"""One path or several; a recipe may give one as plain text."""


def anchored(value: BaseModel, base: Path) -> Mapping[str, Any]:
    """The marked fields of `value` that hold a relative path, with that path made absolute from `base`.

    Fields that are models themselves are looked into.
    """
    found: dict[str, Any] = {}
    for name, info in type(value).model_fields.items():
        given = getattr(value, name)
        if isinstance(given, BaseModel):
            inner = anchored(given, base)
            if inner:
                found[name] = given.model_copy(update=dict(inner))
        for mark in info.metadata:
            if isinstance(mark, FromRecipe):
                whole = _absolute(given, base, mark)
                if whole != given:
                    found[name] = whole
    return found


def _absolute(given: Any, base: Path, mark: FromRecipe) -> Any:
    if isinstance(given, tuple):
        return tuple(_absolute(each, base, mark) for each in given)
    if not isinstance(given, str):
        return given
    whole = Path(os.path.expanduser(given))  # noqa: PTH111  (`Path` fails for an unknown user)
    relative = not whole.is_absolute() and (not mark.only_existing or (base / whole).exists())
    return str(base / whole) if relative else given
