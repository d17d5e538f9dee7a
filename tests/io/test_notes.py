"""Metadata of columns and files: what travels, what is left behind and told."""

from __future__ import annotations

import json

import pyarrow as pa
import pytest

from corpuscurate.io.column_types import merge, types_of_schema, unify_types
from corpuscurate.io.notes import left_behind


def schema_of(*schemas):
    return unify_types(merge(types_of_schema(schema) for schema in schemas))


def fields(nullable=True, **notes):
    return pa.schema([pa.field("c", pa.int64(), nullable, notes or None)])


def test_notes_that_all_files_have_travel():
    schema, _ = schema_of(fields(unit="m", by="a"), fields(unit="m", by="b"), fields(unit="m"))
    assert schema.field("c").metadata == {b"unit": b"m"}
    found = merge(types_of_schema(each) for each in (fields(unit="m", by="a"), fields(unit="m")))
    assert left_behind(found, {}, True) == [
        "metadata of the input is not in the output, because it is not the same in all files, or tells of all columns: "
        "'by' of the column 'c'"
    ]
    assert left_behind(found, {}, False)[0].endswith("place for it: 'by' of the column 'c', 'unit' of the column 'c'")
    assert left_behind(merge([types_of_schema(fields())]), {}, False) == []


def test_bytes_of_any_kind_are_kept():
    value = bytes(range(256))
    schema, _ = schema_of(pa.schema([pa.field("c", pa.int64(), metadata={b"\xff\0": value})], metadata={b"k": value}))
    assert (schema.field("c").metadata, schema.metadata) == ({b"\xff\0": value}, {b"k": value})


def test_a_file_that_lacks_the_column_has_no_say_in_its_notes():
    schema, _ = schema_of(fields(unit="m"), pa.schema([("d", pa.int64())]))
    assert schema.field("c").metadata == {b"unit": b"m"}


@pytest.mark.parametrize("order", [1, -1])
def test_null_where_a_file_allows_it_or_lacks_the_column(order):
    required, optional, other = fields(False), fields(True), pa.schema([("d", pa.int64())])
    assert not schema_of(required, required)[0].field("c").nullable
    assert schema_of(*[required, optional][::order])[0].field("c").nullable
    assert schema_of(*[required, other][::order])[0].field("c").nullable
    assert schema_of(*[required, required, other][::order])[0].field("c").nullable
    json_lines = {"fields": [["c", {"b": 1 << 1}]]}
    schema, _ = unify_types(merge([types_of_schema(required), json_lines][::order]))
    assert schema.field("c").nullable


def test_notes_within_types_stay_where_they_agree():
    def nested(note, nullable):
        return pa.schema([("c", pa.list_(pa.struct([pa.field("k", pa.int64(), nullable, {"n": note, "same": "1"})])))])

    part = schema_of(nested("a", False), nested("a", False))[0].field("c").type.value_type.field("k")
    assert (part.metadata, part.nullable) == ({b"n": b"a", b"same": b"1"}, False)
    part = schema_of(nested("a", False), nested("b", True))[0].field("c").type.value_type.field("k")
    assert (part.metadata, part.nullable) == ({b"same": b"1"}, True)


def noted(**notes):
    return pa.schema([("c", pa.int64())], metadata={key: json.dumps(value) for key, value in notes.items()})


def test_what_is_said_of_the_rows_of_one_file_is_taken_out():
    pandas = [{"index_columns": [{"kind": "range", "stop": stop}, "i"], "columns": [1]} for stop in (3, 5)]
    geo = [{"columns": {"g": {"crs": "x", "bbox": [number]}}} for number in (1, 2)]
    features = [{"info": {"features": {"c": 1}}, "fingerprint": mark} for mark in "ab"]
    files = [
        noted(pandas=one, geo=two, huggingface=three) for one, two, three in zip(pandas, geo, features, strict=True)
    ]
    schema, _ = schema_of(*files)
    assert {key.decode(): json.loads(value) for key, value in schema.metadata.items()} == {
        "pandas": {"index_columns": ["i"], "columns": [1]},
        "geo": {"columns": {"g": {"crs": "x"}}},
        "huggingface": {"info": {"features": {"c": 1}}},
    }


def test_notes_that_are_not_what_their_key_says_stay():
    schema, _ = schema_of(pa.schema([("c", pa.int64())], metadata={"pandas": "no JSON", "geo": "[]"}))
    assert schema.metadata == {b"pandas": b"no JSON", b"geo": b"[]"}


def test_notes_that_tell_of_all_columns_are_left_behind():
    spark = "org.apache.spark.sql.parquet.row.metadata"
    found = types_of_schema(noted(**{spark: {"fields": []}}))
    assert unify_types(found)[0].metadata is None
    assert spark in left_behind(found, {}, True)[0]


def test_notes_of_a_column_that_becomes_json_text_are_left_behind():
    found = merge(
        types_of_schema(pa.schema([pa.field("c", kind, metadata={"unit": "m"})])) for kind in (pa.int64(), pa.string())
    )
    schema, conflicts = unify_types(found)
    assert b"unit" not in schema.field("c").metadata
    assert "'unit' of the column 'c'" in left_behind(found, conflicts, True)[0]


def test_a_warning_names_some_notes_and_counts_the_others():
    found = types_of_schema(fields(**{f"n{number}": "x" for number in range(9)}))
    (told,) = left_behind(found, {}, False)
    assert told.endswith("and 4 more")
