"""Which types a corpus's columns can have without losing anything, found while it is read.

Column types are JSON-able: {"fields": [[name, node], ...]} in order of first appearance. A node is {"b": bits} with,
where there are some, "f" (the fields of objects: [[name, node], ...]), "i" (the items of lists: a node), "a" (Arrow
types, each as the base64 of a serialised schema of one field) and "m" (the metadata of the field, see `notes`). Where
files have a schema there is also "metadata", theirs. Bits: 1 << kind and those of `kernels.json`, and of here. Merging
is a union, so it does not matter how a corpus was cut; the order of merging is that of the columns.
"""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from math import inf
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from corpuscurate.core.errors import InputError
from corpuscurate.io.arrow_types import dates_as_times, unify
from corpuscurate.io.json_scan import Bools, Ints, Scan
from corpuscurate.io.notes import Notes, field_notes, merge_notes, metadata_of, schema_notes
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
NULLABLE = 1 << 19
"""Of a column of an Arrow type: it may hold null, or some file lacks it."""
FAR = 1 << 20
"""A number with a fraction or an exponent that no 64-bit float is near to: it would become infinity or zero."""
OVER = {"ms": 1 << 21, "us": 1 << 22, "ns": 1 << 23}
"""Of timestamps and durations: one that does not fit this unit."""
NO_DATE = 1 << 24
"""Of date64, milliseconds: one that is not at midnight, or that is beyond date32, the only one that Parquet has."""
MAX_KEYS = 256
MAX_NESTING = 32
MAX_COLUMNS = 4096
"""Fields of JSON records that a columnar output has a column for, at most: columns times rows is memory."""
JSON_TEXT = {b"corpuscurate.json": b"text"}
"""Metadata of a field of a settled schema that holds the JSON text of each value."""
NO_COLUMNS = pa.schema([])
NOT_ZERO = "^-?[0.]*[1-9]"
"""Matches the number texts that are not zero, whatever their exponent."""

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
    notes: Notes = field(default_factory=dict)

    def absorb(self, other: Node) -> None:
        """Add what another node saw."""
        if self.arrow and other.arrow:
            self.notes = merge_notes(self.notes, other.notes)
        else:
            self.notes = self.notes or other.notes
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

    def arrow_types(self) -> list[pa.DataType]:
        """The Arrow types."""
        return [arrow_type(text) for text in self.arrow]

    def json_kinds(self) -> list[str]:
        """The kinds of JSON values but for null."""
        kinds = self.bits & _KINDS & ~(1 << NULL)
        return list(dict.fromkeys(_NAMES[TRUE if kind == FALSE else kind] for kind in range(8) if kinds >> kind & 1))

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
        if self.notes:
            value["m"] = self.notes
        return value

    @staticmethod
    def from_json(value: dict[str, Any]) -> Node:
        """The inverse of `to_json`."""
        return Node(
            value["b"],
            {name: Node.from_json(node) for name, node in value.get("f", ())},
            Node.from_json(value["i"]) if "i" in value else None,
            list(value.get("a", ())),
            dict(value.get("m", ())),
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


def _float(text: str) -> int:
    """The bits of a JSON number that is no integer."""
    return 1 << FLOAT | (FAR if _is_far(text) else 0)


def _is_far(text: str) -> bool:
    value = float(text)
    return value in (inf, -inf) or (value == 0 and any(digit in "123456789" for digit in text.lower().split("e")[0]))


# Numbers become their bits: no other JSON value is an int then.
_decode = json.JSONDecoder(object_pairs_hook=_Pairs, parse_int=_integer, parse_float=_float).decode


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

    def __init__(self, nested: bool = True, only: str | None = None, file: str | None = None) -> None:
        """nested: look into objects and lists. only: the one field to collect; None: all."""
        self._nested = nested
        self._only = only
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
        for k in _far_fields(scan, ids):
            nodes[ids[k]].bits |= FAR
        if self._nested:
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
        return _to_json({name: node for name, node in self._fields.items() if self._only in (None, name)})


def _far_fields(scan: Scan, ids: Ints) -> list[int]:
    """The fields of a scan, counted in, whose value is a number that no float is near to. `ids`: int64[m], -1: not."""
    fields = np.flatnonzero((scan.kinds == FLOAT) & (ids >= 0))
    texts = scan.raw(fields)
    values = texts.cast(pa.float64()).to_numpy()
    zero = values == 0
    if zero.any():  # a plain 0.0 is common, and is none
        zero &= pc.match_substring_regex(texts, NOT_ZERO).to_numpy(zero_copy_only=False)
    doubtful = np.flatnonzero(np.isinf(values) | zero)
    return [int(fields[at]) for at in doubtful if _is_far(texts[int(at)].as_py())]


def check_width(fields: Collection[str], where: str = "the records") -> None:
    """Check the number of fields of JSON records that are to become columns. Raises InputError."""
    if len(fields) > MAX_COLUMNS:
        some = ", ".join(repr(name[:40]) for name in list(fields)[-3:])
        raise InputError(
            f"{where} have {len(fields):,} different fields, such as {some}, and a columnar output has a column for"
            f" each, at most {MAX_COLUMNS:,}. Choose `output: format: jsonl`, or put what varies into one field, such"
            " as a list of keys and values."
        )


def check_columns(column_types: Mapping[str, Any]) -> None:
    """`check_width` of the fields of JSON records among these column types."""
    fields = column_types["fields"]
    if len(fields) > MAX_COLUMNS:
        check_width([name for name, value in fields if not Node.from_json(value).arrow])


def _to_json(fields: dict[str, Node]) -> dict[str, Any]:
    return {"fields": [[name, node.to_json()] for name, node in fields.items()]}


def merge(several: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """The column types of what several saw; fields stand in the order in which they first appear."""
    fields: dict[str, Node] = {}
    metadata: Notes | None = None
    for number, column_types in enumerate(several):
        here = {name: Node.from_json(value) for name, value in column_types["fields"]}
        for name, node in here.items():
            if number and name not in fields and node.arrow:
                node.bits |= NULLABLE
            fields.setdefault(name, Node()).absorb(node)
        for name in fields.keys() - here.keys():
            fields[name].bits |= NULLABLE if fields[name].arrow else 0
        if "metadata" in column_types:
            theirs = column_types["metadata"]
            metadata = theirs if metadata is None else merge_notes(metadata, theirs)
    return _to_json(fields) if metadata is None else {**_to_json(fields), "metadata": metadata}


def types_of_schema(schema: pa.Schema, bits: Mapping[str, int] | None = None) -> dict[str, Any]:
    """The column types of a file whose columns have types. bits: what is known of their values, by name."""
    fields: dict[str, Node] = {}
    for column in schema:
        node = fields.setdefault(column.name, Node())
        if node.arrow:
            node.bits |= REPEATED_BIT
        node.bits |= (NULLABLE if column.nullable else 0) | (bits or {}).get(column.name, 0)
        node.arrow.append(b64encode(pa.schema([pa.field("", column.type)]).serialize().to_pybytes()).decode())
        node.notes = field_notes(column)
    return {**_to_json(fields), "metadata": schema_notes(schema)}


class _Conflict(Exception):  # noqa: N818
    """Why a field has no type that keeps everything."""


def unify_types(column_types: dict[str, Any], id: str | None = None) -> tuple[pa.Schema, dict[str, str]]:
    """The schema that holds the corpus without loss, and why a column stays text, by name.

    Such a column is `large_string` with the metadata JSON_TEXT: the JSON text of each value, null where there is none.
    id: name of the column of ids, which is plain text then, `Batch.id`.
    """
    columns, conflicts = [], {}
    for name, value in column_types["fields"]:
        node = Node.from_json(value)
        try:
            kind = (_id_type if name == id else _column_type)(node)
            nullable = bool(node.bits & NULLABLE or not node.arrow or node.bits & _KINDS)
            columns.append(pa.field(name, kind, nullable, metadata_of(node.notes)))
        except _Conflict as why:
            conflicts[name] = str(why)
            columns.append(pa.field(name, pa.large_string(), metadata=None if name == id else JSON_TEXT))
    return pa.schema(columns, metadata=metadata_of(column_types.get("metadata", {}))), conflicts


def arrow_type(text: str) -> pa.DataType:
    """An Arrow type from the text form that it has in column types."""
    return pa.ipc.read_schema(pa.py_buffer(b64decode(text))).field(0).type


def _id_type(node: Node) -> pa.DataType:
    """The type of ids: integers, or one in which each value has one spelling. Raises _Conflict: then they are text.

    Ids are written in the same way everywhere, so 1 and 1.0 must not become one id here and two there.
    """
    arrow = list(dict.fromkeys(kind for kind in node.arrow_types() if not pa.types.is_null(kind)))
    kinds = node.json_kinds()
    if "float" in kinds and not arrow:
        raise _Conflict("numbers with a fraction or an exponent" if kinds == ["float"] else _different(kinds))
    if kinds in (["object"], ["list"]):
        raise _Conflict(f"ids that are {kinds[0]}s")
    joined = _column_type(node)
    several = pa.types.is_floating(joined) or pa.types.is_decimal(joined) or pa.types.is_temporal(joined)
    if len(arrow) + len(kinds) > 1 and several:
        raise _Conflict(f"values of different types: {', '.join([*map(str, arrow), *kinds])}")
    return joined


def _column_type(node: Node) -> pa.DataType:
    if node.bits & REPEATED_BIT:
        raise _Conflict("some records have the field twice; the last value is kept")
    arrow = node.arrow_types()
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
    if node.bits & NO_DATE:
        joined = dates_as_times(joined)
    for unit in _units(joined):
        if node.bits & OVER.get(unit, 0) and not all(kind.equals(joined) for kind in types):
            raise _Conflict(f"values of different types: {', '.join(map(str, types))}; some do not fit the unit {unit}")
    return joined


def _units(kind: pa.DataType) -> set[str]:
    """The units of the timestamps and durations in a type."""
    if isinstance(kind, pa.BaseExtensionType):
        return _units(kind.storage_type)
    if pa.types.is_timestamp(kind) or pa.types.is_duration(kind):
        return {kind.unit}
    if pa.types.is_dictionary(kind):
        return _units(kind.value_type)
    return set().union(*(_units(kind.field(at).type) for at in range(kind.num_fields)))


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
    raise _Conflict(_different(node.json_kinds()))


def _different(kinds: Iterable[str]) -> str:
    return f"values of different kinds: {', '.join(kinds)}"


def _number_type(bits: int) -> pa.DataType:
    if bits & 1 << FLOAT:
        if bits & FAR:
            raise _Conflict("numbers that no 64-bit float is near to")
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
