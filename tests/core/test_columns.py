from __future__ import annotations

from decimal import Decimal
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from corpuscurate.core.columns import (
    JSON,
    TEXT,
    from_buffers,
    integers,
    keep_rows,
    large_lists,
    large_string,
    lengths_bytes,
    missing,
    numbers,
    strings,
    text_buffers,
    truths,
)

CELLS = [
    "1",
    "-0.5",
    "1e3",
    "1e999",
    '"a"',
    '"\\u00e9\\n"',
    '"\\ud800"',
    "true",
    "false",
    "null",
    None,
    "[1]",
    "{}",
    '"1"',
]


def json_column(cells):
    return pa.ExtensionArray.from_storage(JSON, pa.array(cells, TEXT))


def test_json_cells_by_what_they_are_asked_for():
    column = json_column(CELLS)
    nothing = [None] * len(CELLS)
    assert numbers(column).to_pylist() == [1.0, -0.5, 1000.0, float("inf"), *nothing[4:]]
    assert strings(column).to_pylist() == [None] * 4 + ["a", "é\n", None, *nothing[7:13], "1"]
    assert truths(column).to_pylist() == [*nothing[:7], True, False, *nothing[9:]]
    assert integers(column).to_pylist() == [Decimal(1), *nothing[1:]]
    assert missing(column).to_pylist() == [cell in (None, "null") for cell in CELLS]


def test_integers_are_exact_up_to_38_digits():
    big = [2**53 + 1, -(2**63), 12345678901234567890, 10**38 - 1]
    assert integers(json_column([*map(str, big), str(10**38)])).to_pylist() == [*map(Decimal, big), None]
    assert integers(pa.array([2**64 - 1, None], pa.uint64())).to_pylist() == [Decimal(2**64 - 1), None]
    assert integers(pa.array([1.0])).to_pylist() == [None]


@pytest.mark.parametrize(
    ("array", "as_numbers", "as_strings", "as_truths"),
    [
        (pa.array([1, None], pa.int8()), [1.0, None], [None, None], [None, None]),
        (pa.array([Decimal("1.5"), None]), [1.5, None], [None, None], [None, None]),
        (pa.array(["a", None]), [None, None], ["a", None], [None, None]),
        (pa.array(["a", None], pa.string_view()), [None, None], ["a", None], [None, None]),
        (pa.array(["a", None]).dictionary_encode(), [None, None], ["a", None], [None, None]),
        (pa.array([7, None]).dictionary_encode(), [7.0, None], [None, None], [None, None]),
        (pa.array([True, None]), [None, None], [None, None], [True, None]),
        (pa.array([[1], None]), [None, None], [None, None], [None, None]),
    ],
)
def test_typed_columns(array, as_numbers, as_strings, as_truths):
    assert numbers(array).to_pylist() == as_numbers
    assert strings(array).to_pylist() == as_strings
    assert truths(array).to_pylist() == as_truths
    assert missing(array).to_pylist() == [False, True]
    assert numbers(pa.chunked_array([array, array])).to_pylist() == as_numbers * 2


@given(st.lists(st.text(st.characters(codec="utf-8"))), st.integers(0, 5))
def test_buffers_there_and_back(texts, start):
    array = pa.array(texts, TEXT).slice(start)
    offsets, data = text_buffers(array)
    assert not offsets.flags.writeable
    assert not data.flags.writeable
    assert [data[a:b].tobytes().decode() for a, b in pairwise(offsets)] == texts[start:]
    assert from_buffers(offsets, data).to_pylist() == texts[start:]
    assert lengths_bytes(array).tolist() == [len(text.encode()) for text in texts[start:]]


def test_from_buffers_with_nulls():
    array = from_buffers(np.array([0, 1, 1, 2]), np.frombuffer(b"ab", np.uint8), np.array([True, False, True]))
    assert array.to_pylist() == ["a", None, "b"]


def test_large_string_of_what_is_like_a_string():
    for array in (
        pa.array(["a"]),
        pa.array(["a"]).dictionary_encode(),
        json_column(["a"]),
        pa.chunked_array([["a"], []]),
    ):
        assert large_string(array).type == TEXT
        assert large_string(array).to_pylist() == ["a"]


def test_text_buffers_refuses_other_types():
    with pytest.raises(TypeError, match="expected large_string or large_binary, got string"):
        text_buffers(pa.array(["a"]))


@pytest.mark.parametrize(
    "kind",
    [pa.list_view(pa.float32()), pa.large_list_view(pa.float32()), pa.list_(pa.float32()), pa.list_(pa.float32(), 2)],
)
def test_lists_of_any_layout_keep_every_row(kind):
    rows = [[1.0, 2.0], None, [3.0, 4.0], [5.0, 6.0]]
    array = pa.array(rows, kind)
    for start in range(5):
        found = large_lists(array.slice(start))
        found.validate(full=True)
        assert found.type == pa.large_list(pa.float32()) and found.to_pylist() == rows[start:]


def test_list_views_in_any_order():
    view = pa.ListViewArray.from_arrays(pa.array([2, 0], pa.int32()), pa.array([1, 2], pa.int32()), pa.array([1, 2, 3]))
    assert large_lists(view).to_pylist() == view.to_pylist() == [[3], [1, 2]]


@pytest.mark.parametrize("kind", [pa.large_string(), pa.large_binary(), pa.string()])
@given(st.lists(st.tuples(st.none() | st.text(max_size=5), st.booleans()), max_size=20), st.integers(0, 3))
def test_kept_rows_of_texts(kind, rows, before):
    """Of slices and with nulls too; the array is sound to its last buffer."""
    array = pa.array(["é" * before, *(text for text, _ in rows), "after"], pa.string()).cast(kind).slice(1, len(rows))
    kept = keep_rows(array, np.array([wanted for _, wanted in rows], np.bool_))
    kept.validate(full=True)
    assert kept.type == kind
    assert kept.cast(pa.string()).to_pylist() == [text for text, wanted in rows if wanted]
