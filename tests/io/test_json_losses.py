"""Values that JSON cannot hold are counted, at any depth and in every layout; the run tells of them."""

from __future__ import annotations

import math

import numpy as np
import orjson
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from corpuscurate import Pipeline, Settings, Sink, Source
from corpuscurate.io.json_losses import json_losses

NAN, INF = math.nan, math.inf
FLOATS = pa.array([1.5, NAN, None, INF, -INF])
CASES = {
    "floats": (FLOATS, [3, 0]),
    "floats of 32 bits": (FLOATS.cast(pa.float32()), [3, 0]),
    "halves": (pa.array(np.array([1, NAN], np.float16)), [1, 0]),
    "a dictionary": (pa.DictionaryArray.from_arrays(pa.array([0, 0, 1, None]), pa.array([NAN, 1.0])), [2, 0]),
    "runs": (pa.RunEndEncodedArray.from_arrays(pa.array([2, 3], pa.int32()), pa.array([NAN, 1.0])), [2, 0]),
    "lists": (pa.array([[1.0, NAN], None, [], [INF]]), [2, 0]),
    "list views": (pa.array([[1.0, NAN], None, [], [INF]], pa.list_view(pa.float64())), [2, 0]),
    "fixed lists": (pa.array([[1.0, NAN], None], pa.list_(pa.float64(), 2)), [1, 0]),
    "structs": (pa.array([{"a": NAN, "b": {"c": INF}}, None]), [2, 0]),
    "maps": (pa.array([[("k", NAN)], None, [("k", 1.0)]], pa.map_(pa.string(), pa.float64())), [1, 0]),
    "a hidden item": (
        pa.ListArray.from_arrays(pa.array([0, 1, 2]), pa.array([NAN, 1.0]), mask=pa.array([True, False])),
        [],
    ),
    "JSON": (pa.array(['{"a":\n1}', "1", None, "no", "1 2", ""], pa.json_()), [0, 3]),
    "JSON in lists": (
        pa.ListArray.from_arrays(pa.array([0, 2], pa.int32()), pa.array(["{", "{}"], pa.json_())),
        [0, 1],
    ),
    "integers": (pa.array([1, None]), []),
    "strings": (pa.array(["NaN"]), []),
}


@pytest.mark.parametrize("kind", CASES)
def test_they_are_counted(kind):
    column, expected = CASES[kind]
    assert json_losses({"c": column}) == ({"c": expected} if expected else {})
    assert json_losses({"c": column.slice(len(column))}) == {}


@given(st.lists(st.none() | st.lists(st.none() | st.floats(width=32), max_size=4), max_size=8), st.integers(0, 3))
def test_as_counted_one_by_one(values, start):
    column = pa.array(values, pa.list_(pa.float32())).slice(start)
    wanted = sum(each is not None and not math.isfinite(each) for row in values[start:] for each in row or ())
    assert json_losses({"c": column}) == ({"c": [wanted, 0]} if wanted else {})


@pytest.mark.parametrize("format", ["jsonl", "parquet"])
def test_a_run_tells_of_them(tmp_path, format):
    table = pa.table({"text": ["a b", "c d"], "score": [NAN, 1.0], "meta": pa.array(["{", "{}"], pa.json_())})
    with pa.ipc.new_file(str(tmp_path / "a.arrow"), table.schema) as writer:
        writer.write_table(table)
    source = Source(paths=(str(tmp_path / "a.arrow"),))
    Pipeline(source, [], Sink(path=str(tmp_path / "out"), format=format), Settings(workers=1)).run()
    warnings = orjson.loads((tmp_path / "out" / "report.json").read_bytes())["warnings"]
    expected = [
        "the column 'meta' is declared to hold JSON, but some values are not JSON (1): they are strings in the output."
        " `output: format: parquet` or arrow keeps them as they are.",
        "the column 'score' has values NaN or infinite (1), which JSON cannot hold: they are null in the output."
        " `output: format: parquet` or arrow keeps them.",
    ]
    assert warnings == (expected if format == "jsonl" else [])
