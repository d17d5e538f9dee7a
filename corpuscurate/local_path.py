"""Parameters that name a file or folder: the recipe layer makes them absolute, from the recipe's own folder."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, Field


@dataclass(frozen=True, slots=True)
class FromRecipe:
    """Marks a text field as a path that a recipe may give relative to itself. In Python it is taken as given, so
    relative to the current folder. only_existing: it may be a name instead, so only what is there is a path."""

    only_existing: bool = False


LocalPath = Annotated[str, Field(min_length=1), FromRecipe()]


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
            if isinstance(given, str) and isinstance(mark, FromRecipe):
                whole = Path(given).expanduser()
                if not whole.is_absolute() and (not mark.only_existing or (base / whole).exists()):
                    found[name] = str(base / whole)
    return found
