"""Paths in recipes: variables and `~` are replaced, and relative ones made absolute from the recipe's own folder.

Both is done by the recipe layer; in Python a path is taken as given. `$NAME` and `${NAME}` stand for a variable of the
environment, `$$` for a dollar sign, `~` and `~user` at the beginning for a home folder.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, get_args

from pydantic import BaseModel, BeforeValidator, Field, GetCoreSchemaHandler, SerializationInfo, ValidationInfo
from pydantic.fields import FieldInfo
from pydantic_core import CoreSchema
from pydantic_core.core_schema import plain_serializer_function_ser_schema, with_info_after_validator_function

RECIPE = "recipe"
"""Key of pydantic's context under which the recipe layer validates and dumps: variables are replaced, and escaped."""
_VARIABLE = re.compile(r"\$(?:(\$)|([A-Za-z_][A-Za-z0-9_]*)|\{([^}]*)\})")


def expanded(text: str) -> str:
    """A path of a recipe with its variables and its `~` replaced. Raises ValueError for a variable that is not set or
    empty, and for a user that there is not."""

    def value_of(found: re.Match[str]) -> str:
        name = found[2] if found[3] is None else found[3]
        if found[1]:
            return "$"
        if not os.environ.get(name):
            state = "empty" if name in os.environ else "not set"
            raise ValueError(
                f"the variable {name} of the environment is {state}. Set it, or write $$ for a dollar sign"
            )
        return os.environ[name]

    path = _VARIABLE.sub(value_of, text)
    if not path.startswith("~"):
        return path
    whole = os.path.expanduser(path)  # noqa: PTH111  (`Path` fails for a user that is not there)
    if whole == path:
        user = path.partition("/")[0]
        raise ValueError(f"there is no home folder for {user}. Write ./{user} for a name that begins with ~")
    return whole


def escaped(text: str) -> str:
    """A path as a recipe spells it, so that no dollar sign in it is taken for a variable."""
    return re.sub(r"\$(?=[$A-Za-z_{])", "$$", text)


class RecipePath:
    """Marks a text field, or a list or mapping of texts, as paths in which a recipe may have variables and `~`."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        schema = with_info_after_validator_function(_expand_field, handler(source))
        schema["serialization"] = plain_serializer_function_ser_schema(_escape_field, info_arg=True)
        return schema


def _expand_field(value: Any, info: ValidationInfo) -> Any:
    return _each(expanded, value) if (info.context or {}).get(RECIPE) else value


def _escape_field(value: Any, info: SerializationInfo) -> Any:
    made = _each(escaped, value) if (info.context or {}).get(RECIPE) else value
    return _lists(made) if info.mode == "json" else made


def _lists(value: Any) -> Any:
    """Tuples as lists, also in a dict."""
    if isinstance(value, dict):
        return {name: _lists(each) for name, each in value.items()}
    return list(value) if isinstance(value, tuple) else value


def _each(change: Any, value: Any) -> Any:
    if isinstance(value, tuple):
        return tuple(_each(change, each) for each in value)
    if isinstance(value, dict):
        return {name: _each(change, each) for name, each in value.items()}
    return change(value) if isinstance(value, str) else value


@dataclass(frozen=True)
class FromRecipe(RecipePath):
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
        for mark in _marks(info):
            whole = _absolute(given, base, mark)
            if whole != given:
                found[name] = whole
    return found


def missing_files(value: BaseModel) -> list[str]:
    """The paths in the marked fields of `value` where nothing is; fields that are models themselves are looked into."""
    found: list[str] = []
    for name, info in type(value).model_fields.items():
        given = getattr(value, name)
        if isinstance(given, BaseModel):
            found += missing_files(given)
        if any(not mark.only_existing for mark in _marks(info)):
            found += [path for path in _paths(given) if not Path(path).exists()]
    return found


def _paths(value: Any) -> list[str]:
    """Every text in a value of a marked field."""
    if isinstance(value, dict):
        return [path for each in value.values() for path in _paths(each)]
    if isinstance(value, tuple):
        return [path for each in value for path in _paths(each)]
    return [value] if isinstance(value, str) else []


def _marks(info: FieldInfo) -> list[FromRecipe]:
    """The marks of a field, also within a union such as `LocalPath | None`."""
    found: list[Any] = [*info.metadata]
    types = [info.annotation]
    while types:
        kind = types.pop()
        found += getattr(kind, "__metadata__", ())
        types += get_args(kind)
    return list(dict.fromkeys(mark for mark in found if isinstance(mark, FromRecipe)))


def _absolute(given: Any, base: Path, mark: FromRecipe) -> Any:
    if isinstance(given, tuple):
        return tuple(_absolute(each, base, mark) for each in given)
    if isinstance(given, dict):
        return {name: _absolute(each, base, mark) for name, each in given.items()}
    if not isinstance(given, str):
        return given
    whole = Path(given)
    relative = not whole.is_absolute() and (not mark.only_existing or (base / whole).exists())
    return str(base / whole) if relative else given
