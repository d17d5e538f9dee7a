"""Arrow types through pickle: names, nullability, metadata and flags of inner fields, at any depth."""

from __future__ import annotations

import pickle
import subprocess
import sys

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from corpuscurate.core import exact_pickle  # noqa: F401

NOTES = st.none() | st.dictionaries(st.text(max_size=3), st.text(max_size=3), min_size=1, max_size=2)
NAMES = st.sampled_from(["item", "element", "entry", "key", "ü"])
PLAIN = st.sampled_from(
    [
        *(pa.bool_(), pa.int8(), pa.uint64(), pa.float16(), pa.float64(), pa.string(), pa.large_string()),
        *(pa.string_view(), pa.binary(), pa.binary(16), pa.binary_view(), pa.date32(), pa.time64("ns")),
        *(pa.timestamp("ns"), pa.timestamp("us", "Europe/Berlin"), pa.timestamp("s", "+02:00"), pa.duration("ms")),
        *(pa.month_day_nano_interval(), pa.decimal32(5, 2), pa.decimal128(38, -3), pa.decimal256(60, 2)),
        *(pa.dictionary(pa.int8(), pa.string(), ordered=True), pa.dictionary(pa.uint32(), pa.int64())),
        *(pa.run_end_encoded(pa.int32(), pa.string()), pa.uuid(), pa.json_(), pa.bool8()),
        *(pa.opaque(pa.int32(), "kind", "vendor"), pa.fixed_shape_tensor(pa.float32(), [2, 3], ["a", "b"], [1, 0])),
    ]
)


def fields(types):
    return st.builds(pa.field, NAMES, types, st.booleans(), NOTES)


def nested(types):
    inner = fields(types)
    return (
        st.builds(pa.list_, inner)
        | st.builds(pa.large_list, inner)
        | st.builds(pa.list_view, inner)
        | st.builds(pa.large_list_view, inner)
        | st.builds(pa.list_, inner, st.integers(0, 3))
        | st.builds(pa.struct, st.lists(inner, max_size=3))
        | st.builds(pa.map_, inner.map(lambda field: field.with_nullable(False)), inner, st.booleans())
        | st.builds(lambda field: pa.sparse_union([field, pa.field("b", pa.string())], [5, 7]), inner)
        | st.builds(lambda kind: pa.dictionary(pa.int16(), kind), types.filter(lambda kind: not dictionary(kind)))
        | st.builds(lambda field: pa.opaque(pa.list_(field, 2), "kind", "vendor"), inner)
    )


def dictionary(kind):
    return pa.types.is_dictionary(kind)


TYPES = st.recursive(PLAIN, nested, max_leaves=4)


def spelled(schema: pa.Schema) -> str:
    return schema.to_string(truncate_metadata=False, show_field_metadata=True, show_schema_metadata=True)


def sent_to_a_worker(value):
    return pickle.loads(pickle.dumps(value))  # noqa: S301  what was pickled a moment ago


@given(st.lists(fields(TYPES), max_size=3), NOTES)
def test_a_schema_arrives_as_it_was_sent(columns, notes):
    sent = pa.schema(columns, notes)
    arrived = sent_to_a_worker(sent)
    assert arrived.equals(sent, check_metadata=True)
    assert spelled(arrived) == spelled(sent)
    for before, after in zip(sent, arrived, strict=True):
        alone = sent_to_a_worker(before.type)
        assert alone.equals(before.type, check_metadata=True)
        assert str(alone) == str(before.type) == str(after.type)


ENTRY = pa.field("entry", pa.float32(), nullable=False, metadata={"unit": "m"})
KEY = pa.field("word", pa.string(), nullable=False, metadata={"language": "de"})


@pytest.mark.parametrize("kind", [pa.list_(ENTRY, 2), pa.map_(KEY, ENTRY, keys_sorted=True)], ids=str)
def test_what_is_pickled_needs_no_package_but_pyarrow(kind):
    """pyarrow alone loses the field of the fixed-size list and the flag of the map."""
    code = f"import pickle, pyarrow as pa; print(pickle.loads({pickle.dumps(pa.array([None], kind))!r}).type)"
    done = subprocess.run(
        [
            sys.executable,
            "-S",
            "-c",
            f"import sys; sys.path = {sys.path!r}; {code}; print('corpuscurate' in sys.modules)",
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.splitlines() == [str(kind), "False"]
