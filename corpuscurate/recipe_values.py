"""A section of a recipe against its model: the checked value, or every fault in plain English with its place."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from corpuscurate.describe import allowed, bounds, schema_of, shorten
from corpuscurate.errors import did_you_mean
from corpuscurate.recipe_yaml import Node, child_path

M = TypeVar("M", bound=BaseModel)

_BOUND_FAULTS = ("greater_than", "greater_than_equal", "less_than", "less_than_equal")


def build(model: type[M], node: Node, what: str) -> tuple[M | None, list[str]]:
    """The value of `model` that a mapping describes, or None and the faults. what: `input`, `the stage minhash`."""
    try:
        text = json.dumps(node.plain(), allow_nan=False)
    except (TypeError, ValueError):
        return None, [_not_plain(node)]
    try:
        return model.model_validate_json(text), []
    except ValidationError as error:
        return None, _messages(model, node, what, error.errors())


def _not_plain(node: Node) -> str:
    """The message for the first value that YAML could not have held (values from Python)."""
    children = node.value.values() if isinstance(node.value, dict) else node.value
    if isinstance(node.value, dict | list):
        for child in children:
            try:
                json.dumps(child.plain(), allow_nan=False)
            except (TypeError, ValueError):
                return _not_plain(child)
    return node.error(f"{shorten(node.plain())} is not a value a recipe can hold ({type(node.value).__name__})")


def _real(node: Node, loc: tuple[str | int, ...]) -> tuple[str | int, ...]:
    """The part of pydantic's location that is in the recipe: it adds the names of a union's members."""
    steps: list[str | int] = []
    for step in loc:
        if node.find(tuple(steps)).holds(step) is None:
            break
        steps.append(step)
    return tuple(steps)


def _messages(model: type[BaseModel], node: Node, what: str, faults: list[ErrorDetails]) -> list[str]:
    found: dict[tuple[str | int, ...], str] = {}
    for fault in faults:
        steps = fault["loc"] if fault["type"] == "missing" and len(fault["loc"]) == 1 else _real(node, fault["loc"])
        found.setdefault(steps, _message(model, node, what, fault, steps))
    deepest = [s for s in found if not any(o != s and o[: len(s)] == s for o in found)]
    return [found[steps] for steps in deepest]


def _message(model: type[BaseModel], node: Node, what: str, fault: ErrorDetails, steps: tuple[str | int, ...]) -> str:
    kind = fault["type"]
    here = node.find(steps)
    if kind == "missing":
        path = child_path(node.path, str(steps[0])) if len(steps) == 1 else here.path
        field = str(steps[0]) if steps else ""
        wanted = allowed(model, field) if field in model.model_fields else "a value"
        return Node(None, node.place, path).error(f"is missing: {what} needs it; must be {wanted}")
    if kind == "extra_forbidden":
        offered = did_you_mean(str(steps[-1]), model.model_fields) if len(steps) == 1 else ""
        return here.error(f"unknown key. {offered}".rstrip())
    if kind in ("value_error", "assertion_error"):
        return here.error(_own_words(fault, here, steps))
    return here.error(f"{shorten(here.plain())} is not allowed: {_wanted(model, fault, here, steps)}{_hint(here)}")


def _own_words(fault: ErrorDetails, here: Node, steps: tuple[str | int, ...]) -> str:
    """What a validator of ours said; it knows better than a schema what is wrong."""
    said = str(fault.get("ctx", {}).get("error") or fault["msg"])
    return f"{shorten(here.plain())} is not allowed: {said}" if steps else said


def _wanted(model: type[BaseModel], fault: ErrorDetails, here: Node, steps: tuple[str | int, ...]) -> str:
    if not steps:
        return "must be a mapping of keys to values"
    field = str(steps[0])
    if field not in model.model_fields:
        return fault["msg"]
    if len(steps) > 1:
        return f"{fault['msg'].removeprefix('Input ')}; {field} is {allowed(model, field)}"
    schema = schema_of(model, field)
    if fault["type"] in _BOUND_FAULTS and bounds(schema) and allowed(model, field).startswith(("a number", "a whole")):
        return f"must be {bounds(schema)}"
    return f"must be {allowed(model, field)}"


def _hint(here: Node) -> str:
    """For truth values where none belongs: the likely word was no, on, yes or off without quotes."""
    if isinstance(here.value, bool) and here.place:
        return " (YAML reads yes, no, on and off as truth values: put the word in quotes if you mean the word)"
    return ""


def plain_values(value: BaseModel, *, leave_out: frozenset[str] = frozenset()) -> dict[str, Any]:
    """The fields that differ from their defaults, as a recipe holds them. Defaults that a machine sets are left out
    unless they were given."""
    dumped: Mapping[str, Any] = value.model_dump(mode="json")
    kept: dict[str, Any] = {}
    for name, info in type(value).model_fields.items():
        if name in leave_out:
            continue
        if info.default_factory is not None:
            wanted = name in value.model_fields_set
        else:
            wanted = info.is_required() or getattr(value, name) != info.default
        if wanted:
            kept[name] = dumped[name]
    return kept
