"""Parameters whose defaults depend on `convention:`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def with_defaults(values: Any, default: str, conventions: Mapping[str, Mapping[str, Any]]) -> Any:
    """The values of a stage as given, with those of its convention where the user gives none.

    default: the convention where none is named; its values are those of the fields. What is no mapping, or names no
    known convention, is returned as it is, for the checks of the fields to refuse.
    """
    if not isinstance(values, Mapping):
        return values
    named = values.get("convention", default)
    return {**conventions.get(named, {}), **values} if isinstance(named, str) else values
