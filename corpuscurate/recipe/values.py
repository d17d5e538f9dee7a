"""A section of a recipe against its model: the checked value, or every fault in plain English with its place."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from corpuscurate.core.errors import did_you_mean
from corpuscurate.core.local_path import RECIPE
from corpuscurate.recipe.describe import allowed_at, bounds, keys_at, known_names, schema_at, shorten
from corpuscurate.recipe.yaml_tree import Node, child_path

M = TypeVar("M", bound=BaseModel)

_BOUND_FAULTS = ("greater_than", "greater_than_equal", "less_than", "less_than_equal")


def build(model: type[M], node: Node, what: str) -> tuple[M | None, list[str]]:
    """The value of `model` that a mapping describes, or None and the faults. what: `input`, `the stage minhash`."""
    try:
        text = json.dumps(node.plain(), allow_nan=False)
    except (TypeError, ValueError):
        return None, [_not_plain(node)]
    try:
        return model.model_validate_json(text, context={**known_names(), RECIPE: True}), []
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
        if node.find(tuple(steps)).holds(step) is not None:
            steps.append(step)
    return tuple(steps)


def _messages(model: type[BaseModel], node: Node, what: str, faults: list[ErrorDetails]) -> list[str]:
    found: dict[tuple[str | int, ...], str] = {}
    for fault in faults:
        steps = _real(node, fault["loc"])
        if fault["type"] == "missing":
            steps = (*steps, fault["loc"][-1])
        found.setdefault(steps, _message(model, node, what, fault, steps))
    deepest = [s for s in found if not any(o != s and o[: len(s)] == s for o in found)]
    return [found[steps] for steps in deepest]


def _message(model: type[BaseModel], node: Node, what: str, fault: ErrorDetails, steps: tuple[str | int, ...]) -> str:
    kind, loc = fault["type"], fault["loc"]
    here = node.find(steps)
    if kind == "missing":
        path = child_path(here.path, str(loc[-1]))
        needs = what if len(loc) == 1 else here.path.rpartition(".")[2]
        return Node(None, here.place, path).error(f"is missing: {needs} needs it; must be {allowed_at(model, loc)}")
    if kind == "extra_forbidden":
        known = keys_at(model, loc[:-1])
        return here.error(f"unknown key. {did_you_mean(str(steps[-1]), known)}".rstrip())
    if kind in ("value_error", "assertion_error"):
        return here.error(_own_words(fault, here, steps))
    return here.error(f"{shorten(here.plain())} is not allowed: {_wanted(model, fault)}{_nearest(fault)}{_hint(here)}")


def _nearest(fault: ErrorDetails) -> str:
    """The kinds most like the one that was given, where a mapping names a kind that there is not."""
    if fault["type"] != "union_tag_invalid":
        return ""
    known = [tag.strip().strip("'") for tag in fault["ctx"]["expected_tags"].split(",")]
    return f". {did_you_mean(str(fault['ctx']['tag']), known)}"


def _own_words(fault: ErrorDetails, here: Node, steps: tuple[str | int, ...]) -> str:
    """What a validator of ours said; it knows better than a schema what is wrong."""
    said = str(fault.get("ctx", {}).get("error") or fault["msg"])
    return f"{shorten(here.plain())} is not allowed: {said}" if steps else said


def _wanted(model: type[BaseModel], fault: ErrorDetails) -> str:
    loc = fault["loc"]
    if not loc:
        return "must be a mapping of keys to values"
    # A fault of a union's member is told as what the whole union allows.
    while len(loc) > 1 and fault["type"] != "union_tag_invalid" and _is_member(model, loc):
        loc = loc[:-1]
    words = allowed_at(model, loc)
    limits = bounds(schema_at(model, loc)[0])
    if fault["type"] in _BOUND_FAULTS and limits and words.startswith(("a number", "a whole")):
        return f"must be {limits}"
    return f"must be {words}"


def _is_member(model: type[BaseModel], loc: tuple[str | int, ...]) -> bool:
    """Whether the last step names a member of a union and not a value."""
    return not isinstance(loc[-1], int) and loc[-1] not in keys_at(model, loc[:-1])


def _hint(here: Node) -> str:
    """For truth values where none belongs: the likely word was no, on, yes or off without quotes."""
    if isinstance(here.value, bool) and here.place:
        return " (YAML reads yes, no, on and off as truth values: put the word in quotes if you mean the word)"
    return ""


def plain_values(value: BaseModel, *, leave_out: frozenset[str] = frozenset()) -> dict[str, Any]:
    """The fields that differ from their defaults, as a recipe holds them. Defaults that a machine sets are left out
    unless they were given."""
    dumped: Mapping[str, Any] = value.model_dump(mode="json", context={RECIPE: True})
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
