"""What a parameter allows, in plain English: one wording for error messages and for the catalogue of stages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, get_args

from pydantic import BaseModel

from corpuscurate.core.spec import INPUT_FORMATS, NAMES, OUTPUT_FORMATS, format_bytes, parse_bytes
from corpuscurate.io.base import input_formats, output_formats

_BOUNDS = (("exclusiveMinimum", ">"), ("minimum", ">="), ("exclusiveMaximum", "<"), ("maximum", "<="))
_KINDS = {
    "integer": "a whole number",
    "number": "a number",
    "string": "text",
    "boolean": "true or false",
    "null": "null",
    "object": "a mapping",
}
_PLURALS = {"integer": "whole numbers", "number": "numbers", "string": "texts", "object": "mappings"}


def known_names() -> dict[str, list[str]]:
    """The names that a text marked with `spec.Named` may be, by kind."""
    return {INPUT_FORMATS: list(input_formats()), OUTPUT_FORMATS: list(output_formats())}


def bounds(schema: Mapping[str, Any]) -> str:
    """The range of a number's JSON schema: `> 0 and <= 1`, or nothing."""
    return " and ".join(f"{sign} {schema[key]:g}" for key, sign in _BOUNDS if key in schema)


def _list_words(schema: Mapping[str, Any], shared: Mapping[str, Any]) -> str:
    items = schema.get("items") or {}
    plain = _PLURALS.get(items.get("type", ""))
    listed = f"a list of {plain}" if plain and len(items) == 1 else f"a list, each {_words(items, shared)}"
    if not items:
        listed = "a list"
    least, most = schema.get("minItems"), schema.get("maxItems")
    if least is not None and least == most:
        return f"{listed}, exactly {least}"
    limits = [f"at least {least}"] if least else []
    limits += [f"at most {most}"] if most is not None else []
    return ", ".join([listed, *limits])


def _string_words(schema: Mapping[str, Any]) -> str:
    if NAMES in schema:
        return f"one of {', '.join(known_names()[schema[NAMES]])}"
    if "pattern" in schema:
        return f"text that matches {schema['pattern']}"
    return "text, not empty" if schema.get("minLength") else "text"


def _words(schema: Mapping[str, Any], shared: Mapping[str, Any]) -> str:
    if "$ref" in schema:
        return _words(shared.get(schema["$ref"].rpartition("/")[2], {}), shared)
    if "discriminator" in schema:
        key, kinds = schema["discriminator"]["propertyName"], schema["discriminator"]["mapping"]
        return f"a mapping with {key}: one of {', '.join(kinds)}"
    options = schema.get("anyOf") or schema.get("oneOf")
    if options:
        return " or ".join(dict.fromkeys(_words(option, shared) for option in options))
    if "const" in schema or "enum" in schema:
        options = [str(option) for option in schema.get("enum", [schema.get("const")])]
        return options[0] if len(options) == 1 else f"one of {', '.join(options)}"
    return _kind_words(schema, shared)


def _kind_words(schema: Mapping[str, Any], shared: Mapping[str, Any]) -> str:
    kind = schema.get("type", "")
    if kind == "array":
        return _list_words(schema, shared)
    if kind == "string":
        return _string_words(schema)
    return f"{_KINDS.get(kind, 'a value')} {bounds(schema)}".rstrip()


def _is_bytes(model: type[BaseModel], field: str) -> bool:
    info = model.model_fields[field]
    nested = [extra for part in get_args(info.annotation) for extra in getattr(part, "__metadata__", ())]
    return any(getattr(extra, "func", None) is parse_bytes for extra in [*info.metadata, *nested])


def _bytes_words(schema: Mapping[str, Any]) -> str:
    limits = [
        f"{sign} {format_bytes(int(schema[key]))}"
        for key, sign in _BOUNDS
        if key in schema and (key, schema[key]) != ("minimum", 1)
    ]
    words = ", ".join(["a size such as 512MiB or 8GiB", *limits])
    return f"{words} or null" if {"type": "null"} in schema.get("anyOf", ()) else words


def _resolved(schema: dict[str, Any], shared: Mapping[str, Any]) -> dict[str, Any]:
    """The schema itself, where it is only the name of a shared one."""
    while "$ref" in schema:
        schema = shared.get(schema["$ref"].rpartition("/")[2], {})
    return schema


def _not_null(schema: dict[str, Any]) -> dict[str, Any]:
    """What a value may be that may also be null, where that is one thing."""
    options = [option for option in schema.get("anyOf", ()) if option != {"type": "null"}]
    return options[0] if len(options) == 1 else schema


def _keys(schema: dict[str, Any], shared: Mapping[str, Any]) -> dict[str, Any]:
    """The keys that a value may have, of all mappings that it may be, with their schemas."""
    found = dict(schema.get("properties", {}))
    for option in schema.get("anyOf", ()):
        found |= _keys(_resolved(option, shared), shared)
    return found


def keys_at(model: type[BaseModel], loc: Sequence[str | int]) -> dict[str, Any]:
    """The keys that a value deep inside `model` may have, with their schemas."""
    return _keys(*schema_at(model, loc))


def schema_at(model: type[BaseModel], loc: Sequence[str | int]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The JSON schema of a value deep inside `model`, and the shared schemas it may name.

    loc: keys, places of lists, and the tags of unions as pydantic gives them in a fault; unknown steps are passed over.
    """
    whole: dict[str, Any] = model.model_json_schema()
    shared: dict[str, Any] = whole.get("$defs", {})
    schema = whole
    for step in loc:
        schema = _resolved(_not_null(schema), shared)
        tagged = schema.get("discriminator", {}).get("mapping", {}).get(step)
        if tagged:
            schema = {"$ref": tagged}
        elif isinstance(step, int):
            schema = schema.get("items", schema)
        else:
            schema = _keys(schema, shared).get(step, schema)
        schema = _resolved(schema, shared)
    return schema, shared


def allowed_at(model: type[BaseModel], loc: Sequence[str | int]) -> str:
    """What a value deep inside `model` may be."""
    if len(loc) == 1 and loc[0] in model.model_fields:
        return allowed(model, str(loc[0]))
    schema, shared = schema_at(model, loc)
    return _words(schema, shared)


def allowed(model: type[BaseModel], field: str) -> str:
    """What a field takes: `a number > 0 and <= 1`, `one of drop, tag`, `a size such as 512MiB or 8GiB`."""
    return _allowed(model, field, model.model_json_schema())


def all_allowed(model: type[BaseModel]) -> dict[str, str]:
    """What each field takes."""
    whole = model.model_json_schema()
    return {field: _allowed(model, field, whole) for field in model.model_fields}


def _allowed(model: type[BaseModel], field: str, whole: Mapping[str, Any]) -> str:
    schema = whole["properties"].get(field, {})
    if _is_bytes(model, field):
        return _bytes_words(schema)
    return _words(schema, whole.get("$defs", {}))


def default_text(model: type[BaseModel], field: str) -> str:
    """The default of a field as it would stand in a recipe; "required" where there is none."""
    info = model.model_fields[field]
    if info.is_required():
        return "required"
    if info.default_factory is not None:
        return "set by the machine"
    if _is_bytes(model, field) and info.default is not None:
        return str(format_bytes(info.default))
    return recipe_text(info.default)


def recipe_text(value: Any) -> str:
    """A plain value as a recipe spells it, on one line."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, list | tuple | set | frozenset):
        items = sorted(value) if isinstance(value, set | frozenset) else value
        return f"[{', '.join(recipe_text(item) for item in items)}]"
    if isinstance(value, Mapping):
        return f"{{{', '.join(f'{key}: {recipe_text(item)}' for key, item in value.items())}}}"
    return f"{value:g}" if isinstance(value, float) and value == float(f"{value:g}") else str(value)


def shorten(value: Any, limit: int = 60) -> str:
    """A value for a message: quoted when text, never longer than `limit` characters."""
    if value is None or isinstance(value, bool):
        return recipe_text(value)
    shown = repr(value) if isinstance(value, str | int | float) else recipe_text(value)
    return shown if len(shown) <= limit else f"{shown[: limit - 3]}..."
