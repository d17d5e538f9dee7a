"""JSON lines as Python's own json reads them, made strict: the oracle of the JSON kernels."""

from __future__ import annotations

import json


class Pairs(list):
    pass


def _refuse(name):
    raise ValueError(name)


def strict_object(line: bytes):
    """The (key, value) pairs of a line that is one JSON object, numbers as their text; None where it is none."""
    try:
        value = json.loads(
            line.decode(),
            object_pairs_hook=Pairs,
            parse_constant=_refuse,
            parse_int=lambda text: ("int", text),
            parse_float=lambda text: ("float", text),
        )
    except ValueError:
        return None
    return value if isinstance(value, Pairs) else None


def records(raw: bytes):
    """(position, line) of each record: lines end in a newline, one carriage return before it is part of the end."""
    position = 0
    for line in raw.split(b"\n"):
        body = line[:-1] if line.endswith(b"\r") else line
        if line.strip(b" \t\r"):
            yield position, body
        position += len(line) + 1


def kind(value) -> int:
    """As `json_lines`: string, integer, float, true, false, null, object, array."""
    if isinstance(value, tuple):
        return 1 if value[0] == "int" else 2
    if isinstance(value, Pairs):
        return 6
    if isinstance(value, list):
        return 7
    return {str: 0, bool: 3 if value else 4, type(None): 5}[type(value)]


def has_lone(text: str) -> bool:
    return any(0xD800 <= ord(character) <= 0xDFFF for character in text)
