"""Hugging Face datasets go into `curate` and come back; skipped where the package is not installed."""

from __future__ import annotations

from functools import cache
from importlib.util import find_spec

import pytest
from support.later import Later

from corpuscurate import curate

pytestmark = pytest.mark.skipif(find_spec("datasets") is None, reason="datasets is not installed")
datasets = Later("datasets")
ROWS = {"text": ["one two", "one two", "x", "three four"], "n": [0, 1, 0, 1]}
STAGES = [{"length": {"min_words": 2}}, "exact"]


@cache
def features():
    return datasets.Features({"text": datasets.Value("string"), "n": datasets.ClassLabel(names=["no", "yes"])})


def test_a_dataset():
    found = curate(datasets.Dataset.from_dict(ROWS, features=features()), STAGES).kept
    assert isinstance(found, datasets.Dataset)
    assert found.features == features()
    assert found.to_dict() == {"text": ["one two", "three four"], "n": [0, 1]}
    picked = datasets.Dataset.from_dict(ROWS, features=features()).select([3, 2, 1])
    assert curate(picked, STAGES).kept["text"][:] == ["three four", "one two"]


def test_an_iterable_dataset():
    given = datasets.Dataset.from_dict(ROWS, features=features()).to_iterable_dataset()
    found = curate(given, STAGES).kept
    assert isinstance(found, datasets.IterableDataset)
    assert [row["text"] for row in found] == ["one two", "three four"]
    made = datasets.IterableDataset.from_generator(lambda: ({"text": text} for text in ROWS["text"]))
    assert [row["text"] for row in curate(made, STAGES).kept] == ["one two", "three four"]


def test_a_dict_of_splits():
    first = datasets.Dataset.from_dict(ROWS, features=features())
    other = datasets.Dataset.from_dict({"text": ["three four", "five six"], "n": [1, 0]}, features=features())
    result = curate(datasets.DatasetDict({"train": first, "test": other}), STAGES)
    assert isinstance(result.kept, datasets.DatasetDict)
    assert {name: split["text"][:] for name, split in result.kept.items()} == {
        "train": ["one two", "three four"],
        "test": ["five six"],
    }
    assert result.kept["test"].features == features()
    assert result.dropped["position"].to_pylist() == [1, 2, 4]
    arrow = curate(datasets.DatasetDict({"train": first, "test": other}), STAGES, returns="arrow").kept
    assert arrow.column_names == ["text", "n"]
    assert arrow["text"].to_pylist() == ["one two", "three four", "five six"]
