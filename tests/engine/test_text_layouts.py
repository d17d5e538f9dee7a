"""The text column in every layout that Arrow has for strings: check and run agree that it is text."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset
import pytest

from corpuscurate import Pipeline, Settings, Sink, Source
from corpuscurate.core.spec import Spec
from corpuscurate.engine.check import check_spec

TEXTS = ["one two", "three four", "three four", "five six"]
ENDS = pa.array([1, 3, 4], pa.int32())
DISTINCT = ["one two", "three four", "five six"]


def runs(values):
    return pa.RunEndEncodedArray.from_arrays(ENDS, values)


def dictionary(kind):
    return pa.DictionaryArray.from_arrays(pa.array([0, 1, 1, 2], pa.int8()), pa.array(DISTINCT, kind))


LAYOUTS = {
    "string": pa.array(TEXTS),
    "large": pa.array(TEXTS, pa.large_string()),
    "view": pa.array(TEXTS, pa.string_view()),
    "dictionary": dictionary(pa.string()),
    "dictionary of large strings": dictionary(pa.large_string()),
    "dictionary of views": dictionary(pa.string_view()),
    "runs": runs(pa.array(DISTINCT)),
    "runs with 16-bit ends": pc.run_end_encode(pa.array(TEXTS), run_end_type=pa.int16()),
    "runs with 64-bit ends": pc.run_end_encode(pa.array(TEXTS), run_end_type=pa.int64()),
    "runs of large strings": runs(pa.array(DISTINCT, pa.large_string())),
    "runs of views": runs(pa.array(DISTINCT, pa.string_view())),
    "runs of a dictionary": runs(pa.array(DISTINCT).dictionary_encode()),
}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("format", ["jsonl", "arrow", "parquet"])
def test_text_is_text_in_every_layout(layout, format, tmp_path):
    column = LAYOUTS[layout]
    batch = pa.record_batch([column, pa.array(range(4))], names=["text", "n"])
    with pa.ipc.new_file(str(tmp_path / "in.arrow"), batch.schema) as writer:
        writer.write_batch(batch)
    source = Source(paths=(str(tmp_path / "in.arrow"),))
    sink = Sink(path=str(tmp_path / "out"), format=format)
    assert check_spec(Spec(source, (), sink)) == []
    Pipeline(source, ["exact"], sink, Settings(workers=1)).run()
    (part,) = (tmp_path / "out" / "data").iterdir()
    found = pa.dataset.dataset(str(part), format={"jsonl": "json"}.get(format, format)).to_table()
    assert sorted(zip(decoded(found["text"]), found["n"].to_pylist(), strict=True), key=lambda row: row[1]) == [
        ("one two", 0),
        ("three four", 1),
        ("five six", 3),
    ]


def decoded(column):
    return [value if isinstance(value, str) or value is None else value.as_py() for value in column.to_pylist()]


def test_runs_with_16_bit_ends_grow_beyond_their_range(tmp_path):
    """Record batches of 30,000 rows each become one of 60,000."""
    texts = pa.array([f"text {n // 2}" for n in range(30_000)])
    ends = pc.run_end_encode(texts, run_end_type=pa.int16())
    batch = pa.record_batch([ends, ends], names=["text", "again"])
    with pa.ipc.new_file(str(tmp_path / "in.arrow"), batch.schema) as writer:
        for _ in range(2):
            writer.write_batch(batch)
    out = tmp_path / "out"
    Pipeline(Source(paths=(str(tmp_path / "in.arrow"),)), [], Sink(path=str(out), format="arrow")).run()
    (part,) = (out / "data").iterdir()
    table = pa.ipc.open_file(str(part)).read_all()
    assert [str(kind) for kind in table.schema.types] == ["run_end_encoded<run_ends: int32, values: string>"] * 2
    for column in table.columns:
        found = pa.chunked_array([pc.run_end_decode(chunk) for chunk in column.chunks])
        assert found.to_pylist() == 2 * texts.to_pylist()
