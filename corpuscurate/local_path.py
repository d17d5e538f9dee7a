"""Parameters that name a file or folder: the recipe layer makes them absolute, from the recipe's own folder."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, Field


@dataclass(frozen=True, slots=True)
class FromRecipe:
    """Marks a text field as a path that a recipe may give relative to itself. In Python it is taken as given, so
    relative to the current folder."""


LocalPath = Annotated[str, Field(min_length=1), FromRecipe()]


def anchored(value: BaseModel, base: Path) -> Mapping[str, str]:
    """The marked fields of `value` that hold a relative path, with that path made absolute from `base`."""
    found = {}
    for name, info in type(value).model_fields.items():
        given = getattr(value, name)
        if isinstance(given, str) and any(isinstance(mark, FromRecipe) for mark in info.metadata):
            whole = Path(given).expanduser()
            if not whole.is_absolute():
                found[name] = str(base / whole)
    return found
