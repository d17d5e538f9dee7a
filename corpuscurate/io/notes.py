"""Metadata that other programs left with columns and schemas: Hugging Face features, pandas, geometries, Polars enums.

`Notes` are JSON-able: key -> the different values that files have under it, at most two, None for a file without it.
Keys and values are bytes, decoded as Latin-1. A note travels to the output where all files with a schema agree on it.
What is said of the rows of one file alone (the range of a pandas index, the bounds of all geometries, the fingerprint
of a data set) is taken out: it would no longer be true.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

import pyarrow as pa

Notes = dict[str, list[str | None]]

_OWN = ("corpuscurate.", "PARQUET:field_id", "ARROW:schema")
"""Keys of notes that are made anew."""
_WHOLE_SCHEMA = ("org.apache.spark.", "parquet.avro.schema", "avro.schema", "iceberg.schema")
"""Keys under which programs have all columns and types, and read the file by them: stages add columns."""


def field_notes(field: pa.Field) -> Notes:
    """The notes of a column."""
    return _notes(field.metadata)


def schema_notes(schema: pa.Schema) -> Notes:
    """The notes of a file."""
    return _notes(schema.metadata)


def _notes(metadata: Mapping[bytes, bytes] | None) -> Notes:
    found: Notes = {}
    for key, value in sorted((metadata or {}).items()):
        name = key.decode("latin-1")
        if not name.startswith(_OWN):
            found[name] = [_lasting(name, value).decode("latin-1")]
    return found


def merge_notes(a: Notes, b: Notes) -> Notes:
    """The notes of both, each of something that has a schema."""
    merged: Notes = {}
    for key in sorted({*a, *b}):
        values = list(dict.fromkeys([*a.get(key, [None]), *b.get(key, [None])]))
        merged[key] = values[:2]
    return merged


def metadata_of(notes: Notes) -> dict[bytes, bytes] | None:
    """What travels of notes, as Arrow's metadata."""
    agreed = {key: values[0] for key, values in notes.items() if len(values) == 1 and not key.startswith(_WHOLE_SCHEMA)}
    return {key.encode("latin-1"): (value or "").encode("latin-1") for key, value in agreed.items()} or None


def left_behind(column_types: Mapping[str, Any], conflicts: Mapping[str, str], is_columnar: bool) -> list[str]:
    """One warning that names the notes that the output does not have, if any. is_columnar: whether it can have some."""
    lost = [f"{key!r} of the files" for key in _lost(column_types.get("metadata", {}), is_columnar)]
    for name, node in column_types["fields"]:
        kept = is_columnar and name not in conflicts
        lost += [f"{key!r} of the column {name!r}" for key in _lost(node.get("m", {}), kept)]
    if not lost:
        return []
    why = (
        "it is not the same in all files, or tells of all columns" if is_columnar else "JSON lines have no place for it"
    )
    shown = ", ".join(lost[:SHOWN]) + (f" and {len(lost) - SHOWN} more" if len(lost) > SHOWN else "")
    return [f"metadata of the input is not in the output, because {why}: {shown}"]


SHOWN = 5
"""Notes that a warning names."""


def _lost(notes: Notes, kept: bool) -> list[str]:
    left = metadata_of(notes) or {} if kept else {}
    return [key for key in notes if key.encode("latin-1") not in left]


def _lasting(key: str, value: bytes) -> bytes:
    """The value without what is true of the rows of one file alone."""
    change = _CHANGES.get(key)
    if change is None:
        return value
    try:
        told = json.loads(value)
        change(told)
    except (ValueError, TypeError, AttributeError, KeyError, RecursionError):  # not what its name says: as it is
        return value
    return json.dumps(told).encode()


def _pandas(told: dict[str, Any]) -> None:
    told["index_columns"] = [index for index in told["index_columns"] if isinstance(index, str)]


def _geo(told: dict[str, Any]) -> None:
    for column in told["columns"].values():
        column.pop("bbox", None)


def _huggingface(told: dict[str, Any]) -> None:
    told.pop("fingerprint", None)


_CHANGES: dict[str, Callable[[dict[str, Any]], None]] = {"pandas": _pandas, "geo": _geo, "huggingface": _huggingface}
