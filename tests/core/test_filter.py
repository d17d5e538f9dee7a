from __future__ import annotations

from typing import ClassVar

import numpy as np
import pyarrow as pa
import pytest
from pydantic import Field, ValidationError

from corpuscurate import Pipeline, Sink, Source, curate
from corpuscurate.core.batch import Batch
from corpuscurate.core.columns import TEXT
from corpuscurate.core.errors import RecipeError
from corpuscurate.core.filter import Filter
from corpuscurate.core.stage import FAILED


class Ratio(Filter):
    """A filter without a word, so that it is not registered."""

    measured: ClassVar = {"a": pa.float64(), "b": pa.int64()}

    min_b: int | None = Field(2, description="fewest")
    max_a: float | None = Field(0.5, description="most")
    min_a: float | None = Field(None, description="least")

    def measure(self, batch):
        return {"a": np.array([0.5, 0.6, 0.0, np.nan]), "b": np.array([2, 1, 1, 9])}


def outcome_of(**parameters):
    batch = Batch(np.arange(4, dtype=np.uint64), pa.array([""] * 4, TEXT), np.zeros(4, np.int64))
    return Ratio(**parameters).apply(batch)


def test_reasons_are_the_bounds_in_force_in_the_order_of_the_fields():
    assert dict(Ratio().rules()) == {"min_b": 2, "max_a": 0.5}
    assert list(Ratio(min_a=0.1).rules()) == ["min_b", "max_a", "min_a"]
    assert list(Ratio(min_b=None).rules()) == ["max_a"]


def test_the_first_bound_that_fails_is_the_reason_and_bounds_are_allowed():
    outcome = outcome_of(min_a=0.1)
    assert outcome.reason.tolist() == [0, 1, 1, 0]
    assert outcome.value.tolist()[1:3] == [1.0, 1.0]
    assert np.isnan(outcome.value[[0, 3]]).all()
    assert outcome_of(min_b=None, min_a=0.1).reason.tolist() == [0, 1, 2, 0]


def test_all_rules_that_a_document_fails_are_listed_where_they_are_asked_for():
    assert outcome_of(min_a=0.1).failed is None
    outcome = outcome_of(min_a=0.1, reasons="all")
    assert outcome.failed.type == FAILED
    assert outcome.failed.to_pylist() == [
        [],
        [{"rule": 1, "value": 1.0, "threshold": 2.0}, {"rule": 2, "value": 0.6, "threshold": 0.5}],
        [{"rule": 1, "value": 1.0, "threshold": 2.0}, {"rule": 3, "value": 0.0, "threshold": 0.1}],
        [],
    ]
    assert outcome.reason.tolist() == [0, 1, 1, 0]
    assert outcome_of(min_b=None, max_a=None, reasons="all").failed.to_pylist() == [[]] * 4


def test_all_rules_reach_dropped():
    texts = ["", "one two three", "words enough " * 30]
    found = curate(pa.table({"text": texts}), [{"length": {"min_words": 3, "min_characters": 20, "reasons": "all"}}])
    rows = found.dropped.to_pylist()
    failed = [[(each["reason"], each["value"], each["threshold"]) for each in row["failed"]] for row in rows]
    assert failed == [[("min_words", 0, 3), ("min_characters", 0, 20)], [("min_characters", 13, 20)]]


def test_measures_of_the_rules_in_force_always_and_all_in_mode_tag():
    assert set(outcome_of().measures) == {name for name in Ratio.measured if Ratio().wants(name)}
    assert "b" not in outcome_of(min_b=None).measures
    measures = outcome_of(mode="tag").measures
    assert {name: column.type for name, column in measures.items()} == Ratio.measured
    assert measures["b"].to_pylist() == [2, 1, 1, 9]


def test_what_is_wanted():
    assert Ratio(min_b=None).wants("a")
    assert not Ratio(min_b=None).wants("b")
    assert Ratio(min_b=None, mode="tag").wants("b")


def test_min_above_max():
    with pytest.raises(ValidationError, match=r"min_a \(0.6\) is above max_a \(0.5\): no document could pass"):
        Ratio(min_a=0.6)
    Ratio(min_a=0.5)


@pytest.mark.parametrize(
    ("found", "said"),
    [
        ({"a": np.zeros(4)}, r"Ratio\.measure\(\) returns no 'b', which the bound min_b needs; it returns a$"),
        ({}, "returns no 'a', which the bound max_a needs; it returns nothing"),
        ({"a": np.zeros(4), "b": np.zeros(3)}, r"returns 'b' of shape \(3,\) for a batch of 4 documents"),
        ({"a": np.zeros((4, 1)), "b": np.zeros(4)}, r"returns 'a' of shape \(4, 1\) for a batch of 4 documents"),
        ({"a": [0.0] * 4, "b": np.zeros(4)}, "returns 'a' as a list, not as a NumPy array"),
        (None, "returns a NoneType, not a dict of arrays by measure"),
    ],
)
def test_a_measure_that_lacks_or_does_not_fit_is_named(found, said, monkeypatch):
    monkeypatch.setattr(Ratio, "measure", lambda self, batch: found)
    with pytest.raises((TypeError, ValueError), match=said):
        outcome_of()


def test_a_measure_without_a_bound_is_needed_in_mode_tag_only(monkeypatch):
    monkeypatch.setattr(Ratio, "measure", lambda self, batch: {"b": np.zeros(4, np.int64)})
    assert outcome_of(max_a=None).reason.tolist() == [1, 1, 1, 1]
    with pytest.raises(ValueError, match="returns no 'a', which `measured` needs; it returns b"):
        outcome_of(max_a=None, mode="tag")


def test_a_stage_without_a_word_is_called_by_its_class():
    assert (Ratio().label, Ratio(name="own").label) == ("Ratio", "own")
    batch = pa.table({"text": ["a", "b", "c", "d"]})
    found = curate(batch, [Ratio(max_a=None)])
    assert set(found.dropped["stage"].to_pylist()) == {"Ratio"}
    pipeline = Pipeline(Source(paths=("a.jsonl",)), [Ratio()], Sink(path="out"))
    with pytest.raises(RecipeError, match="the stage Ratio has no `word`"):
        pipeline.to_recipe()
