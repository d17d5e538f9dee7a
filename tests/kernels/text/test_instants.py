import datetime as dt

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from corpuscurate.core.columns import text_buffers
from corpuscurate.kernels.text.instants import iso_instants

EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


def read(texts: list[str]) -> list[int | None]:
    offsets, data = text_buffers(pa.array(["x", *texts], pa.large_string()).slice(1))
    valid, out = np.zeros(len(texts), np.bool_), np.zeros(len(texts), np.int64)
    iso_instants(offsets, data, valid, out)
    return [int(micros) if ok else None for ok, micros in zip(valid, out, strict=True)]


def micros(when: dt.datetime) -> int:
    when = when if when.tzinfo else when.replace(tzinfo=dt.UTC)
    return (when - EPOCH) // dt.timedelta(microseconds=1)


@given(st.datetimes(timezones=st.none() | st.timezones() | st.just(dt.UTC)), st.sampled_from(["T", " "]))
def test_equals_datetime(when, separator):
    text = when.isoformat(separator)
    if when.utcoffset() is not None and when.utcoffset() % dt.timedelta(minutes=1):
        assert read([text]) == [None]  # offsets with seconds (local mean time) are not ISO 8601
    else:
        assert read([text]) == [micros(when)]


@given(st.dates())
def test_equals_date(day):
    assert read([day.isoformat()]) == [micros(dt.datetime(day.year, day.month, day.day))]


@pytest.mark.parametrize(
    ("text", "same"),
    [
        ("2020-02-29T12:00Z", "2020-02-29 12:00:00"),
        ("2020-02-29T12:00:00,5+0130", "2020-02-29T10:30:00.500000"),
        ("2020-02-29T12:00:00.1234569-01", "2020-02-29T13:00:00.123456"),
        ("1969-12-31t23:59:59.999999z", "1969-12-31T23:59:59.999999"),
    ],
)
def test_forms(text, same):
    assert read([text]) == [micros(dt.datetime.fromisoformat(same))]


def test_what_is_no_instant():
    wrong = ["", "2020", "2020-1-1", "2020-13-01", "2021-02-29", "1900-02-29", "2020-00-10", "2020-01-32", "2020/01/01"]
    wrong += ["2020-01-01T", "2020-01-01T1:00", "2020-01-01T24:00", "2020-01-01T10:60", "2020-01-01T10:00:61"]
    wrong += [
        "2020-01-01T10:00:00.",
        "2020-01-01T10:00Zx",
        "2020-01-01T10:00+1",
        "2020-01-01T10:00+25",
        "0000-01-01",
        "x" * 10,
    ]
    assert read(wrong) == [None] * len(wrong)


@given(st.text("0123456789-T:Z.+ ", max_size=30))
def test_never_beyond_what_python_reads(text):
    (found,) = read([text])
    if found is not None:
        assert abs(found - micros(dt.datetime.fromisoformat(text.replace(" ", "T", 1)))) < 1
