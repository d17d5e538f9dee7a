"""What to tell of columns whose type in the output is not that of every input file.

`Kinds` of a column are JSON-able: {column: {kind: number of the first file that has it}}. A kind is an Arrow type, in
the text form of `column_types`, or "JSON " and a kind of JSON values. How values are laid out makes no difference:
strings with 32-bit offsets, with 64-bit offsets, as views and in a dictionary are one type (`plain_layout`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import pyarrow as pa

from corpuscurate.io.arrow_types import is_list
from corpuscurate.io.column_types import Node, arrow_type

Kinds = dict[str, dict[str, int]]

JSON = "JSON "
_JSON_TYPES = {
    f"{JSON}string": pa.string(),
    f"{JSON}integer": pa.int64(),
    f"{JSON}float": pa.float64(),
    f"{JSON}boolean": pa.bool_(),
    f"{JSON}object": pa.struct([]),
    f"{JSON}list": pa.list_(pa.null()),
}
"""What is compared with Arrow types: objects with all structs, lists with all lists."""


def kinds_in(column_types: Mapping[str, Any], file: int) -> Kinds:
    """The kinds of every column of a file, or of a part of it. file: its number."""
    found: Kinds = {}
    for name, value in column_types["fields"]:
        node = Node.from_json(value)
        found[name] = dict.fromkeys([*node.arrow, *(f"{JSON}{kind}" for kind in node.json_kinds())], file)
    return found


def merge_kinds(several: Iterable[Kinds]) -> Kinds:
    """The kinds of what several saw."""
    merged: Kinds = {}
    for kinds in several:
        for name, files in kinds.items():
            here = merged.setdefault(name, {})
            for kind, file in files.items():
                here[kind] = min(file, here.get(kind, file))
    return merged


@dataclass(frozen=True, slots=True)
class _Seen:
    """A kind of a column in plain layout, and the first file that has it."""

    kind: pa.DataType
    shown: str
    file: int

    @property
    def is_json(self) -> bool:
        return self.shown.startswith(JSON)


def _seen(files: Mapping[str, int]) -> list[_Seen]:
    """The kinds of a column but for null, each once, in the order of the files."""
    found: dict[str, _Seen] = {}
    for text, file in sorted(files.items(), key=lambda item: item[1]):
        kind = _JSON_TYPES[text] if text.startswith(JSON) else plain_layout(arrow_type(text))
        shown = text if text.startswith(JSON) else str(kind)
        if not pa.types.is_null(kind):
            found.setdefault(shown, _Seen(kind, shown, file))
    return list(found.values())


def plain_layout(kind: pa.DataType) -> pa.DataType:
    """One type for all layouts of the same values: no dictionaries, runs, views and 64-bit offsets, at any depth."""
    types = pa.types
    if types.is_dictionary(kind) or types.is_run_end_encoded(kind):
        return plain_layout(kind.value_type)
    if is_list(kind):
        return pa.list_(plain_layout(kind.value_type))
    if types.is_struct(kind):
        return pa.struct([pa.field(part.name, plain_layout(part.type)) for part in kind])
    if types.is_map(kind):
        return pa.map_(plain_layout(kind.key_type), plain_layout(kind.item_type))
    return _PLAIN.get(kind, kind)


_PLAIN = {
    **{kind: pa.string() for kind in (pa.large_string(), pa.string_view())},
    **{kind: pa.binary() for kind in (pa.large_binary(), pa.binary_view())},
}


def _as_json(kind: pa.DataType) -> pa.DataType:
    """One type for all that JSON writes alike: integers of every width, floats of every width. kind: plain layout."""
    if pa.types.is_integer(kind):
        return pa.int64()
    if pa.types.is_floating(kind):
        return pa.float64()
    if pa.types.is_list(kind):
        return pa.list_(_as_json(kind.value_type))
    if pa.types.is_struct(kind):
        return pa.struct([pa.field(part.name, _as_json(part.type)) for part in kind])
    return kind


def _is_same(a: pa.DataType, b: pa.DataType) -> bool:
    """Whether two types in plain layout hold the same values; null is every type, and a struct without fields every
    struct."""
    if pa.types.is_null(a) or pa.types.is_null(b):
        return True
    if pa.types.is_list(a) and pa.types.is_list(b):
        return _is_same(a.value_type, b.value_type)
    if pa.types.is_struct(a) and pa.types.is_struct(b):
        ours, theirs = ({part.name: part.type for part in kind} for kind in (a, b))
        if not ours or not theirs:
            return True
        return ours.keys() == theirs.keys() and all(_is_same(ours[name], theirs[name]) for name in ours)
    return bool(a.equals(b))


def typed_changes(
    kinds: Kinds, schema: pa.Schema, conflicts: Mapping[str, str], files: Sequence[str], id: str | None
) -> list[str]:
    """What to tell where the columns of the output have types. schema, conflicts: see `unify_types`; files: shown names
    by number; id: the id column."""
    told = []
    for name, where in kinds.items():
        seen, field = _seen(where), schema.field(name)
        if name in conflicts:
            form = "text" if name == id else "JSON text"
            told.append(f"the column {name!r} is written as {form}: {conflicts[name]}{_in_brackets(seen, files)}")
        elif not all(each.is_json or _is_same(each.kind, plain_layout(field.type)) for each in seen):
            told.append(f"the column {name!r} is written as {field.type}: it is {_places(seen, files)}")
    return told


def json_changes(kinds: Kinds, id: str | None, conflict: str | None, files: Sequence[str]) -> list[str]:
    """What to tell where the output is JSON lines, in which values keep the types that they have in their files.

    id: the id column; conflict: why it has no type but text, if so, which is its type in dropped/. files: see
    `typed_changes`. A column that is JSON in the whole input is written as it stands: nothing is told of it.
    """
    told = []
    for name, where in kinds.items():
        seen = _seen(where)
        if name == id and conflict is not None:
            told.append(f"the column {name!r} is text in dropped/: {conflict}{_in_brackets(seen, files)}")
        elif not all(each.is_json for each in seen) and not all(_look_alike(*pair) for pair in combinations(seen, 2)):
            told.append(f"the column {name!r} is written with several types: it is {_places(seen, files)}")
    return told


def _look_alike(a: _Seen, b: _Seen) -> bool:
    """Whether JSON writes the values of two kinds alike. Who writes JSON may write 1.0 as 1."""
    one, other = _as_json(a.kind), _as_json(b.kind)
    if {str(one), str(other)} == {"int64", "double"}:
        return any(each.is_json and pa.types.is_integer(each.kind) for each in (a, b))
    return _is_same(one, other)


def _places(seen: Sequence[_Seen], files: Sequence[str]) -> str:
    return ", ".join(f"{each.shown} in {files[each.file]}" for each in seen)


def _in_brackets(seen: Sequence[_Seen], files: Sequence[str]) -> str:
    return f" ({_places(seen, files)})" if len(seen) > 1 else ""
