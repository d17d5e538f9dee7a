"""Which columns are told of: those that are written in another type than some file has, and not other layouts."""

from __future__ import annotations

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from corpuscurate.io.arrow_types import unify
from corpuscurate.io.column_types import Node, merge, types_of_schema, unify_types
from corpuscurate.io.type_changes import json_changes, kinds_in, merge_kinds, plain_layout, typed_changes
from corpuscurate.kernels.json.lines import ARRAY, FALSE, FLOAT, INTEGER, NULL, OBJECT, STRING, TRUE

FILES = ["a.x", "b.x", "c.x"]
DICTIONARY = pa.dictionary(pa.int8(), pa.string())


def of_arrow(*kinds: pa.DataType) -> list[dict]:
    return [types_of_schema(pa.schema([("v", kind)])) for kind in kinds]


def of_json(*kinds: int) -> dict:
    """Column types of a file of JSON lines whose field has values of these kinds."""
    return {"fields": [["v", Node(sum(1 << kind for kind in kinds)).to_json()]]}


def typed(*files: dict, id: str | None = None) -> list[str]:
    kinds = merge_kinds(kinds_in(each, number) for number, each in enumerate(files))
    return typed_changes(kinds, *unify_types(merge(files), id), FILES, id)


def in_json(*files: dict, id: str | None = None) -> list[str]:
    kinds = merge_kinds(kinds_in(each, number) for number, each in enumerate(files))
    conflict = None if id is None else unify_types(merge(files), id)[1].get(id)
    return json_changes(kinds, id, conflict, FILES)


LAYOUTS = [
    (pa.string(), pa.large_string()),
    (pa.string(), pa.string_view()),
    (pa.large_string(), DICTIONARY),
    (pa.string(), pa.dictionary(pa.int32(), pa.large_string())),
    (DICTIONARY, pa.dictionary(pa.int32(), pa.string())),
    (pa.binary(), pa.large_binary()),
    (pa.binary_view(), pa.binary()),
    (pa.list_(pa.int8()), pa.large_list(pa.int8())),
    (pa.list_(pa.string()), pa.large_list(pa.large_string())),
    (pa.list_(pa.int8()), pa.list_(pa.field("element", pa.int8()))),
    (pa.list_(pa.int8()), pa.list_view(pa.int8())),
    (pa.list_(pa.null()), pa.list_(pa.int8())),
    (pa.null(), pa.int8()),
    (pa.struct([("s", pa.string())]), pa.struct([("s", pa.large_string())])),
    (pa.struct([("s", pa.list_(pa.string()))]), pa.struct([("s", pa.large_list(pa.string_view()))])),
    (pa.struct([("a", pa.int8()), ("b", pa.string())]), pa.struct([("b", pa.large_string()), ("a", pa.int8())])),
    (pa.int64(), pa.int64()),
]


@pytest.mark.parametrize(("a", "b"), LAYOUTS, ids=str)
def test_layouts_are_not_told(a, b):
    assert unify(a, b) is not None
    for files in (of_arrow(a, b), of_arrow(b, a)):
        assert typed(*files) == []
        assert in_json(*files) == []


TYPED = [
    (pa.int16(), pa.int64(), "int64: it is int16 in a.x, int64 in b.x"),
    (pa.int8(), pa.uint8(), "int16: it is int8 in a.x, uint8 in b.x"),
    (pa.float32(), pa.float64(), "double: it is float in a.x, double in b.x"),
    (pa.int8(), pa.float32(), "float: it is int8 in a.x, float in b.x"),
    (
        pa.list_(pa.int8()),
        pa.list_(pa.int16()),
        "list<item: int16>: it is list<item: int8> in a.x, list<item: int16> in b.x",
    ),
    (pa.binary(2), pa.binary(), "large_binary: it is fixed_size_binary[2] in a.x, binary in b.x"),
    (
        pa.struct([("a", pa.int8())]),
        pa.struct([("b", pa.int8())]),
        "struct<a: int8, b: int8>: it is struct<a: int8> in a.x, struct<b: int8> in b.x",
    ),
    (pa.int64(), pa.string(), "JSON text: values of different types: int64, string (int64 in a.x, string in b.x)"),
    (pa.int64(), pa.float64(), "JSON text: values of different types: int64, double (int64 in a.x, double in b.x)"),
]


@pytest.mark.parametrize(("a", "b", "told"), TYPED, ids=str)
def test_other_types_are_told_with_the_first_file_of_each(a, b, told):
    assert typed(*of_arrow(a, b)) == [f"the column 'v' is written as {told}"]
    assert typed(*of_arrow(a, a, b)) == [f"the column 'v' is written as {told.replace('b.x', 'c.x')}"]


@pytest.mark.parametrize(
    ("a", "b", "told"),
    [
        (pa.int64(), pa.string(), "int64 in a.x, string in b.x"),
        (pa.int64(), pa.float64(), "int64 in a.x, double in b.x"),
        (pa.bool_(), pa.int8(), "bool in a.x, int8 in b.x"),
        (pa.list_(pa.int8()), pa.list_(pa.string()), "list<item: int8> in a.x, list<item: string> in b.x"),
        (pa.date32(), pa.string(), "date32[day] in a.x, string in b.x"),
        (
            pa.struct([("a", pa.int8())]),
            pa.struct([("a", pa.bool_())]),
            "struct<a: int8> in a.x, struct<a: bool> in b.x",
        ),
        (pa.int8(), pa.uint64(), None),
        (pa.float32(), pa.float64(), None),
        (pa.list_(pa.int8()), pa.large_list(pa.int64()), None),
        (pa.struct([("a", pa.int8())]), pa.struct([("a", pa.int64())]), None),
    ],
)
def test_json_lines_tell_what_looks_different_there(a, b, told):
    wanted = [] if told is None else [f"the column 'v' is written with several types: it is {told}"]
    assert in_json(*of_arrow(a, b)) == wanted


@pytest.mark.parametrize(
    ("kind", "json", "is_typed_told", "is_json_told"),
    [
        (pa.int64(), (INTEGER,), False, False),
        (pa.int8(), (INTEGER, NULL), True, False),
        (pa.float64(), (INTEGER, FLOAT), False, False),
        (pa.float64(), (INTEGER,), True, False),
        (pa.int64(), (FLOAT,), True, True),
        (pa.string(), (STRING,), False, False),
        (DICTIONARY, (STRING,), False, False),
        (pa.string(), (INTEGER,), True, True),
        (pa.string(), (NULL,), False, False),
        (pa.bool_(), (TRUE, FALSE), False, False),
        (pa.bool_(), (STRING,), True, True),
        (pa.struct([("a", pa.int8())]), (OBJECT,), None, False),
        (pa.list_(pa.int8()), (ARRAY,), None, False),
        (pa.list_(pa.int8()), (OBJECT,), None, True),
    ],
)
def test_arrow_and_json_files_together(kind, json, is_typed_told, is_json_told):
    (arrow,) = of_arrow(kind)
    for files in ((arrow, of_json(*json)), (of_json(*json), arrow)):
        if is_typed_told is not None:  # None: of objects and lists more is needed than their kind
            assert bool(typed(*files)) == is_typed_told
        assert bool(in_json(*files)) == is_json_told
    if is_json_told:
        told = in_json(arrow, of_json(*json))
        name = {FLOAT: "float", INTEGER: "integer", STRING: "string", OBJECT: "object"}[json[0]]
        assert told == [
            f"the column 'v' is written with several types: it is {plain_layout(kind)} in a.x, JSON {name} in b.x"
        ]


def test_json_alone_is_written_as_it_stands():
    files = (of_json(STRING), of_json(INTEGER), of_json(OBJECT))
    assert in_json(*files) == []
    why = "values of different kinds: string, integer, object"
    where = "(JSON string in a.x, JSON integer in b.x, JSON object in c.x)"
    assert typed(*files) == [f"the column 'v' is written as JSON text: {why} {where}"]
    assert typed(*files, id="v") == [f"the column 'v' is written as text: {why} {where}"]
    assert in_json(*files, id="v") == [f"the column 'v' is text in dropped/: {why} {where}"]
    assert typed(of_json(INTEGER), of_json(FLOAT)) == []


@pytest.mark.parametrize(
    ("files", "kind", "why"),
    [
        (of_arrow(pa.int8(), pa.int64()), pa.int64(), None),
        (of_arrow(pa.uint64(), pa.int64()), None, "values of different types: uint64, int64"),
        (of_arrow(pa.float64(), pa.float64()), pa.float64(), None),
        (of_arrow(pa.float32(), pa.float64()), None, "values of different types: float, double"),
        (of_arrow(pa.int8(), pa.float64()), None, "values of different types: int8, double"),
        ([*of_arrow(pa.float64()), of_json(INTEGER)], None, "values of different types: int64, double"),
        ([*of_arrow(pa.int16()), of_json(INTEGER)], pa.int64(), None),
        (of_arrow(pa.uuid(), pa.uuid()), pa.uuid(), None),
        (of_arrow(pa.uuid(), pa.string()), None, "values of different types: extension<arrow.uuid>, string"),
        (of_arrow(pa.binary(16), pa.binary()), pa.large_binary(), None),
        (of_arrow(pa.decimal128(38, 0), pa.decimal128(38, 0)), pa.decimal128(38, 0), None),
        (of_arrow(pa.string(), DICTIONARY), pa.large_string(), None),
        ([of_json(INTEGER, FLOAT)], None, "values of different kinds: integer, float"),
        ([of_json(FLOAT)], None, "numbers with a fraction or an exponent"),
        ([of_json(OBJECT)], None, "ids that are objects"),
        ([of_json(TRUE, FALSE)], pa.bool_(), None),
        ([of_json(NULL)], pa.large_string(), None),
    ],
)
def test_the_type_of_ids(files, kind, why):
    schema, conflicts = unify_types(merge(files), "v")
    assert conflicts == ({} if why is None else {"v": why})
    field = schema.field("v")
    assert field.metadata is None
    assert plain_layout(field.type) == plain_layout(pa.large_string() if kind is None else kind)


TYPES = st.recursive(
    st.sampled_from([pa.int8(), pa.int64(), pa.string(), pa.large_string(), pa.string_view(), pa.binary(), pa.bool_()]),
    lambda inner: (
        st.builds(pa.list_, inner)
        | st.builds(pa.large_list, inner)
        | st.lists(inner, min_size=1, max_size=2).map(lambda kinds: pa.struct(list(zip("ab", kinds, strict=False))))
    ),
    max_leaves=4,
)


@given(TYPES)
def test_a_plain_layout_is_that_of_itself_and_never_told(kind):
    plain = plain_layout(kind)
    assert plain_layout(plain) == plain
    assert typed(*of_arrow(kind, plain)) == []
    assert in_json(*of_arrow(kind, plain)) == []


@given(st.lists(st.sampled_from([(0, pa.int8()), (1, pa.int64()), (2, pa.string()), (1, pa.int8())]), max_size=6))
def test_kinds_merge_alike_in_any_order(seen):
    kinds = [kinds_in(*of_arrow(kind), file) for file, kind in seen]
    merged = merge_kinds(kinds)
    assert merge_kinds(reversed(kinds)) == merged
    assert merge_kinds([merge_kinds(kinds[:2]), merge_kinds(kinds[2:])]) == merged
