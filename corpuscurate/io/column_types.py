"""Which types a corpus's columns can have without losing anything, found while it is read.

Column types are JSON-able: {"fields": [[name, node], ...]} in order of first appearance. A node is {"b": bits} with,
where there are some, "f" (the fields of objects: [[name, node], ...]), "i" (the items of lists: a node) and "a" (Arrow
types, each as the base64 of a serialised schema of one field). Bits: 1 << kind and those of `kernels.json`, and of
here. Merging is a union, so it does not matter how a corpus was cut; the order of merging is that of the columns.
"""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa

from corpuscurate.core.errors import InputError
from corpuscurate.io.arrow_types import unify
from corpuscurate.io.json_scan import Bools, Scan
from corpuscurate.kernels.json.fields import (
    BEYOND,
    LONE_BIT,
    NEGATIVE,
    OVER_DOUBLE,
    OVER_INT64,
    REPEATED_BIT,
    survey_fields,
)
from corpuscurate.kernels.json.lines import ARRAY, FALSE, FLOAT, INTEGER, NULL, OBJECT, STRING, TRUE

DUPLICATE, WIDE, DEEP = 1 << 16, 1 << 17, 1 << 18
"""An object with a key twice; objects with more than MAX_KEYS different keys; values nested over MAX_NESTING deep."""
MAX_KEYS = 256
MAX_NESTING = 32
MAX_COLUMNS = 4096
"""Fields of JSON records that a columnar output has a column for, at most: columns times rows is memory."""
JSON_TEXT = {b"corpuscurate.json": b"text"}
"""Metadata of a field of a settled schema that holds the JSON text of each value."""

_KINDS = 0xFF
_BOOL = 1 << TRUE | 1 << FALSE
_NAMES = {STRING: "string", INTEGER: "integer", FLOAT: "float", TRUE: "boolean", OBJECT: "object", ARRAY: "list"}


@dataclass(slots=True)
class Node:
    """What was seen of one field, of the fields of its objects and of the items of its lists."""

    bits: int = 0
    fields: dict[str, Node] = field(default_factory=dict)
    item: Node | None = None
    arrow: list[str] = field(default_factory=list)

    def absorb(self, other: Node) -> None:
        """Add what another node saw."""
        self.bits |= other.bits
        for name, node in other.fields.items():
            self.field(name).absorb(node)
        self.narrow()
        if other.item is not None:
            self.items().absorb(other.item)
        self.arrow += [text for text in other.arrow if text not in self.arrow]

    def field(self, name: str) -> Node:
        """The node of a field of objects."""
        return self.fields.setdefault(name, Node())

    def items(self) -> Node:
        """The node of the items of lists."""
        if self.item is None:
            self.item = Node()
        return self.item

    def narrow(self) -> None:
        """Forget the fields where there are too many: the count alone decides."""
        if self.bits & WIDE or len(self.fields) > MAX_KEYS:
            self.bits |= WIDE
            self.fields.clear()

    def to_json(self) -> dict[str, Any]:
        """JSON-able."""
        value: dict[str, Any] = {"b": self.bits}
        if self.fields:
            value["f"] = [[name, node.to_json()] for name, node in self.fields.items()]
        if self.item is not None:
            value["i"] = self.item.to_json()
        if self.arrow:
            value["a"] = self.arrow
        return value

    @staticmethod
    def from_json(value: dict[str, Any]) -> Node:
        """The inverse of `to_json`."""
        return Node(
            value["b"],
            {name: Node.from_json(node) for name, node in value.get("f", ())},
            Node.from_json(value["i"]) if "i" in value else None,
            list(value.get("a", ())),
        )


class _Pairs(list[Any]):
    """A JSON object as its pairs, so that keys that occur twice are seen."""


def _integer(text: str) -> int:
    """The bits of a JSON integer."""
    seen = 1 << INTEGER
    if len(text) > 20:
        return seen | BEYOND | OVER_DOUBLE
    value = int(text)
    if value < -(1 << 63) or value >= 1 << 64:
        return seen | BEYOND | OVER_DOUBLE
    seen |= NEGATIVE if value < 0 else 0
    seen |= OVER_INT64 if value >= 1 << 63 else 0
    return seen | (OVER_DOUBLE if abs(value) > 1 << 53 else 0)


# Numbers become their bits: no other JSON value is an int then.
_decode = json.JSONDecoder(object_pairs_hook=_Pairs, parse_int=_integer, parse_float=lambda _: 1 << FLOAT).decode


def _string_bits(text: str) -> int:
    try:
        text.encode()
    except UnicodeEncodeError:
        return 1 << STRING | LONE_BIT
    return 1 << STRING


def _observe(node: Node, value: Any, depth: int) -> None:
    if isinstance(value, str):
        node.bits |= _string_bits(value)
    elif value is None:
        node.bits |= 1 << NULL
    elif isinstance(value, bool):
        node.bits |= 1 << (TRUE if value else FALSE)
    elif isinstance(value, int):
        node.bits |= value
    elif depth == MAX_NESTING:
        node.bits |= DEEP
    elif isinstance(value, _Pairs):
        _observe_object(node, value, depth)
    else:
        node.bits |= 1 << ARRAY
        items = node.items()
        for item in value:
            _observe(items, item, depth + 1)


def _observe_object(node: Node, pairs: _Pairs, depth: int) -> None:
    node.bits |= 1 << OBJECT
    names = {name for name, _ in pairs}
    if len(names) < len(pairs):
        node.bits |= DUPLICATE
    if any(_string_bits(name) & LONE_BIT for name in names):
        node.bits |= LONE_BIT
        return
    if node.bits & WIDE:
        return
    for name, value in pairs:
        _observe(node.field(name), value, depth + 1)
    node.narrow()


class TypeCollector:
    """Collects the column types of scanned records. file: whose records they are, where more than MAX_COLUMNS fields
    are an error."""

    def __init__(self, file: str | None = None) -> None:
        self._file = file
        self._fields: dict[str, Node] = {}
        self._names = 1 << 8

    def add(self, scan: Scan, good: Bools) -> None:
        """Count in the records of a scan that are `good` (and only those: they are known to be valid UTF-8).

        Raises InputError for too many fields.
        """
        scratch, other = scan.scratch(), scan.scratch()
        ids = np.empty(len(scan.fields), np.int64)
        while True:
            table = np.full(4 * self._names, -1, np.int64)
            last, first, bits = (np.empty(self._names, np.int64) for _ in range(3))
            count = survey_fields(
                scan.data, scan.lines, good, scan.fields, scan.kinds, scan.flags,
                table, scratch, other, last, first, bits, ids,
            )  # fmt: skip
            if count >= 0:
                break
            self._names *= 4
        if count == 0:
            return
        names = [
            json.loads(b'"' + scan.data[start:stop].tobytes() + b'"') for start, stop in scan.fields[first[:count], :2]
        ]
        nodes = [self._fields.setdefault(name, Node()) for name in names]
        if self._file is not None:
            check_width(self._fields, f"the records of {self._file}")
        for node, seen in zip(nodes, bits[:count].tolist(), strict=True):
            node.bits |= seen
        self._add_nested(scan, ids, nodes)

    def _add_nested(self, scan: Scan, ids: Any, nodes: list[Node]) -> None:
        for k in np.flatnonzero((scan.kinds >= OBJECT) & (ids >= 0)).tolist():
            start, stop = scan.fields[k, 2:4].tolist()
            node = nodes[ids[k]]
            try:
                _observe(node, _decode(scan.data[start:stop].tobytes().decode()), 0)
            except RecursionError:
                node.bits |= DEEP

    def column_types(self) -> dict[str, Any]:
        """The column types so far."""
        return _to_json(self._fields)


def check_width(fields: Collection[str], where: str = "the records") -> None:
    """Check the number of fields of JSON records that are to become columns. Raises InputError."""
    if len(fields) > MAX_COLUMNS:
        some = ", ".join(repr(name[:40]) for name in list(fields)[-3:])
        raise InputError(
            f"{where} have {len(fields):,} different fields, such as {some}, and a columnar output has a column for"
            f" each, at most {MAX_COLUMNS:,}. Choose `output: format: jsonl`, or put what varies into one field, such"
            " as a list of keys and values."
        )


def _to_json(fields: dict[str, Node]) -> dict[str, Any]:
    return {"fields": [[name, node.to_json()] for name, node in fields.items()]}


def merge(several: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """The column types of what several saw; fields stand in the order in which they first appear. Raises InputError for
    too many."""
    fields: dict[str, Node] = {}
    for column_types in several:
        for name, value in column_types["fields"]:
            fields.setdefault(name, Node()).absorb(Node.from_json(value))
    check_width([name for name, node in fields.items() if not node.arrow])
    return _to_json(fields)


def types_of_schema(schema: pa.Schema) -> dict[str, Any]:
    """The column types of a file whose columns have types."""
    fields: dict[str, Node] = {}
    for column in schema:
        node = fields.setdefault(column.name, Node())
        if node.arrow:
            node.bits |= REPEATED_BIT
        node.arrow.append(b64encode(pa.schema([pa.field("", column.type)]).serialize().to_pybytes()).decode())
    return _to_json(fields)


class _Conflict(Exception):  # noqa: N818
    """Why a field has no type that keeps everything."""


def unify_types(column_types: dict[str, Any], id: str | None = None) -> tuple[pa.Schema, dict[str, str]]:
    """The schema that holds the corpus without loss, and why a column stays text, by name.

    Such a column is `large_string` with the metadata JSON_TEXT: the JSON text of each value, null where there is none.
    id: name of the column of ids, which is plain text then, `Batch.id`.
    """
    columns, conflicts = [], {}
    for name, value in column_types["fields"]:
        try:
            columns.append(pa.field(name, _column_type(Node.from_json(value))))
        except _Conflict as why:
            conflicts[name] = str(why)
            columns.append(pa.field(name, pa.large_string(), metadata=None if name == id else JSON_TEXT))
    return pa.schema(columns), conflicts


def type_changes(column_types: dict[str, Any], schema: pa.Schema, conflicts: Mapping[str, str]) -> list[str]:
    """What to tell of the columns of `unify_types` that have another type than in some of the files."""
    told = []
    for name, value in column_types["fields"]:
        field = schema.field(name)
        if name in conflicts:
            form = "JSON text" if field.metadata else "text"
            told.append(f"the column {name!r} is written as {form}: {conflicts[name]}")
            continue
        node = Node.from_json(value)
        found = list(dict.fromkeys(str(kind) for kind in _arrow_types(node) if not pa.types.is_null(kind)))
        if node.arrow and node.bits & _KINDS & ~(1 << NULL):
            found.append("JSON")
        if len(found) > 1:
            told.append(f"the column {name!r} is written as {field.type}: it is {', '.join(found)} in the input")
    return told


def _arrow_types(node: Node) -> list[pa.DataType]:
    return [pa.ipc.read_schema(pa.py_buffer(b64decode(text))).field(0).type for text in node.arrow]


def _column_type(node: Node) -> pa.DataType:
    if node.bits & REPEATED_BIT:
        raise _Conflict("some records have the field twice; the last value is kept")
    arrow = _arrow_types(node)
    known = node.bits & _KINDS & ~(1 << NULL)
    if not arrow:
        return _json_type(node)
    types = [_json_type(node), *arrow] if known or node.bits & DEEP else arrow
    joined = types[0]
    for other in types[1:]:
        both = unify(joined, other)
        if both is None:
            raise _Conflict(f"values of different types: {joined}, {other}")
        joined = both
    return joined


def _json_type(node: Node) -> pa.DataType:
    """The Arrow type of JSON values. Raises _Conflict."""
    bits = node.bits
    if bits & DEEP:
        raise _Conflict(f"values nested more than {MAX_NESTING} deep")
    if bits & LONE_BIT:
        raise _Conflict("a string or a name holds a lone surrogate, which is no valid text")
    kinds = bits & _KINDS & ~(1 << NULL)
    if kinds in (0, 1 << STRING):
        return pa.large_string()
    if kinds and not kinds & ~_BOOL:
        return pa.bool_()
    if not kinds & ~(1 << INTEGER | 1 << FLOAT):
        return _number_type(bits)
    if kinds == 1 << OBJECT:
        return _struct_type(node)
    if kinds == 1 << ARRAY:
        return _list_type(node)
    names = dict.fromkeys(_NAMES[TRUE if kind == FALSE else kind] for kind in range(8) if kinds >> kind & 1)
    raise _Conflict(f"values of different kinds: {', '.join(names)}")


def _number_type(bits: int) -> pa.DataType:
    if bits & 1 << FLOAT:
        if bits & OVER_DOUBLE:
            raise _Conflict("floats, and integers that a float cannot hold exactly")
        return pa.float64()
    if bits & BEYOND or (bits & NEGATIVE and bits & OVER_INT64):
        raise _Conflict("integers beyond 64 bits")
    return pa.uint64() if bits & OVER_INT64 else pa.int64()


def _struct_type(node: Node) -> pa.DataType:
    if node.bits & DUPLICATE:
        raise _Conflict("an object has a key twice")
    if node.bits & WIDE:
        raise _Conflict(f"objects with more than {MAX_KEYS} different keys")
    if not node.fields:
        raise _Conflict("empty objects only")
    return pa.struct([pa.field(name, _part_type(name, part)) for name, part in node.fields.items()])


def _list_type(node: Node) -> pa.DataType:
    item = node.items()
    if not item.bits:
        raise _Conflict("empty lists only")
    return pa.list_(_part_type("[]", item))


def _part_type(name: str, node: Node) -> pa.DataType:
    try:
        return _json_type(node)
    except _Conflict as why:
        raise _Conflict(f"{name}: {why}") from why
