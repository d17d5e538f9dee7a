"""Hugging Face datasets go into `curate` and come back; skipped where the package is not installed."""

from __future__ import annotations

import pytest

from corpuscurate import curate

datasets = pytest.importorskip("datasets")

ROWS = {"text": ["one two", "one two", "x", "three four"], "n": [0, 1, 0, 1]}
STAGES = [{"length": {"min_words": 2}}, "exact"]
FEATURES = datasets.Features({"text": datasets.Value("string"), "n": datasets.ClassLabel(names=["no", "yes"])})


def test_a_dataset():
    found = curate(datasets.Dataset.from_dict(ROWS, features=FEATURES), STAGES).kept
    assert isinstance(found, datasets.Dataset)
    assert found.features == FEATURES
    assert found.to_dict() == {"text": ["one two", "three four"], "n": [0, 1]}
    picked = datasets.Dataset.from_dict(ROWS, features=FEATURES).select([3, 2, 1])
    assert curate(picked, STAGES).kept["text"][:] == ["three four", "one two"]


def test_an_iterable_dataset():
    given = datasets.Dataset.from_dict(ROWS, features=FEATURES).to_iterable_dataset()
    found = curate(given, STAGES).kept
    assert isinstance(found, datasets.IterableDataset)
    assert [row["text"] for row in found] == ["one two", "three four"]
    made = datasets.IterableDataset.from_generator(lambda: ({"text": text} for text in ROWS["text"]))
    assert [row["text"] for row in curate(made, STAGES).kept] == ["one two", "three four"]


def test_a_dict_of_splits():
    first = datasets.Dataset.from_dict(ROWS, features=FEATURES)
    other = datasets.Dataset.from_dict({"text": ["three four", "five six"], "n": [1, 0]}, features=FEATURES)
    result = curate(datasets.DatasetDict({"train": first, "test": other}), STAGES)
    assert isinstance(result.kept, datasets.DatasetDict)
    assert {name: split["text"][:] for name, split in result.kept.items()} == {
        "train": ["one two", "three four"],
        "test": ["five six"],
    }
    assert result.kept["test"].features == FEATURES
    assert result.dropped["position"].to_pylist() == [1, 2, 4]
    arrow = curate(datasets.DatasetDict({"train": first, "test": other}), STAGES, returns="arrow").kept
    assert arrow.column_names == ["text", "n"]
    assert arrow["text"].to_pylist() == ["one two", "three four", "five six"]
