"""Dictionaries and runs of every type of value keep their values through a run, whether Arrow can make them or not."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from decimal import Decimal

import pyarrow as pa
import pyarrow.dataset
import pytest

from corpuscurate import Pipeline, Settings, Sink, Source

VALUES = {
    "string": pa.array(["a", "b", "c"]),
    "string view": pa.array(["a value of more than twelve bytes", "b", "c"], pa.string_view()),
    "binary view": pa.array([b"a", b"b", b"c"], pa.binary_view()),
    "fixed binary": pa.array([b"abc", b"abd", b"abe"], pa.binary(3)),
    "int8": pa.array([1, -2, 3], pa.int8()),
    "uint64": pa.array([1, 1 << 63, 3], pa.uint64()),
    "boolean": pa.array([True, False, True]),
    "half": pa.array([0.5, -0.0, 1.5], pa.float16()),
    "float": pa.array([0.0, -0.0, 1.5], pa.float32()),
    "double": pa.array([0.0, -0.0, 1e300]),
    "decimal32": pa.array([Decimal("1.50"), Decimal("-2.25"), Decimal(0)], pa.decimal32(5, 2)),
    "decimal64": pa.array([Decimal("1.50"), Decimal("-2.25"), Decimal(0)], pa.decimal64(12, 2)),
    "decimal128": pa.array([Decimal("1.50"), Decimal("-2.25"), Decimal(0)], pa.decimal128(20, 2)),
    "decimal256": pa.array([Decimal("1.50"), Decimal("-2.25"), Decimal(0)], pa.decimal256(50, 2)),
    "date": pa.array([date(2020, 1, 1), date(1900, 2, 3), date(2020, 1, 2)]),
    "time": pa.array([time(1, 2, 3), time(4), time(5)], pa.time64("us")),
    "timestamp": pa.array([datetime(2020, 1, 1), datetime(1900, 1, 1), datetime(2020, 1, 2)], pa.timestamp("us")),
    "duration": pa.array([timedelta(1), timedelta(-2), timedelta(3)], pa.duration("ms")),
    "null": pa.nulls(3),
    "list": pa.array([[1, 2], [3], []]),
    "struct": pa.array([{"a": 1}, {"a": 2}, {"a": None}]),
    "uuid": pa.array([b"a" * 16, b"b" * 16, b"c" * 16], pa.uuid()),
    "bool8": pa.ExtensionArray.from_storage(pa.bool8(), pa.array([0, 1, 0], pa.int8())),
    "json": pa.array(["1", "[2]", "{}"], pa.json_()),
}
NOT_READ_BY_ARROW = {"uuid", "bool8", "json"}
"""Dictionaries of these cannot be read from a file that Arrow has written."""


def columns(values, layout):
    """Two columns, of one file each, whose dictionaries differ."""
    if layout == "runs":
        return [pa.RunEndEncodedArray.from_arrays(pa.array([2, 3, 4], pa.int32()), part) for part in (values, values)]
    index = pa.array([0, 1, None, 1], pa.int8())
    return [pa.DictionaryArray.from_arrays(index, part) for part in (values.slice(0, 2), values.slice(1, 2))]


@pytest.mark.parametrize("format", ["arrow", "parquet"])
@pytest.mark.parametrize("layout", ["dictionary", "runs"])
@pytest.mark.parametrize("kinds", [pytest.param([*VALUES], id="all at once"), *([kind] for kind in VALUES)])
@pytest.mark.campaign(1 + len(VALUES))
def test_values_are_kept(kinds, layout, format, tmp_path):
    if layout == "dictionary":
        for kind in NOT_READ_BY_ARROW.intersection(kinds):
            with pytest.raises(pa.ArrowInvalid):  # the day that Arrow reads them, they are tested as the others
                written(tmp_path / "a.arrow", {kind: columns(VALUES[kind], layout)[0]})
                pa.ipc.open_file(str(tmp_path / "a.arrow"))
        kinds = [kind for kind in kinds if kind not in NOT_READ_BY_ARROW]
        if not kinds:
            return
    parts = {kind: columns(VALUES[kind], layout) for kind in kinds}
    for number, name in enumerate(("a.arrow", "b.arrow")):
        written(tmp_path / name, {kind: both[number] for kind, both in parts.items()})
    source = Source(paths=(str(tmp_path / "*.arrow"),))
    Pipeline(source, [], Sink(path=str(tmp_path / "out"), format=format), Settings(workers=1)).run()
    found = pa.dataset.dataset(str(tmp_path / "out" / "data"), format=format).to_table()
    for kind, both in parts.items():
        expected = [value for part in both for value in part.to_pylist()]
        assert repr(found[kind].to_pylist()) == repr(expected), kind  # -0.0 is another value than 0.0


def written(path, columns):
    size = len(next(iter(columns.values())))
    table = pa.table({"text": [f"document {number}" for number in range(size)], **columns})
    with pa.ipc.new_file(str(path), table.schema) as writer:
        writer.write_table(table)
