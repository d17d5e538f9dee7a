from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from pydantic import ValidationError

from corpuscurate.core.batch import Batch
from corpuscurate.core.columns import TEXT
from corpuscurate.stages.length import Length

EXAMPLES = [{"min_words": 2, "max_characters": 100, "max_bytes": 150}, {"words": "identifiers", "max_words": 9}]
UNPUBLISHED = True

TEXTS = ["", "one", "one two", "漢字", "naïve 𝒳", "a b c d e"]


def batch_of(texts):
    return Batch(np.arange(len(texts), dtype=np.uint64), pa.array(texts, TEXT), np.zeros(len(texts), np.int64))


def dropped(**bounds):
    stage = Length(**bounds)
    outcome = stage.apply(batch_of(TEXTS))
    names = ["", *stage.rules()]
    return {
        text: (names[reason], value)
        for text, reason, value in zip(TEXTS, outcome.reason, outcome.value, strict=True)
        if reason
    }


def test_words_characters_and_bytes():
    assert dropped(min_words=2) == {"": ("min_words", 0), "one": ("min_words", 1)}
    assert dropped(max_words=2) == {"a b c d e": ("max_words", 5)}
    assert dropped(max_characters=7) == {"a b c d e": ("max_characters", 9)}
    assert dropped(max_bytes=7) == {"naïve 𝒳": ("max_bytes", 11), "a b c d e": ("max_bytes", 9)}


def test_the_first_bound_that_fails_is_the_reason():
    assert dropped(min_words=2, min_characters=2, max_bytes=6) == {
        "": ("min_words", 0),
        "one": ("min_words", 1),
        "one two": ("max_bytes", 7),
        "naïve 𝒳": ("max_bytes", 11),
        "a b c d e": ("max_bytes", 9),
    }


def test_value_is_nan_where_kept_and_bounds_are_allowed():
    outcome = Length(min_words=1, max_words=1).apply(batch_of(TEXTS))
    assert outcome.reason.tolist() == [1, 0, 2, 2, 2, 2]
    assert np.isnan(outcome.value).tolist() == [False, True, False, False, False, False]


def test_tag_measures_everything_and_needs_no_bound():
    stage = Length(mode="tag")
    measures = stage.apply(batch_of(TEXTS)).measures
    assert {name: column.to_pylist() for name, column in measures.items()} == {
        "words": [0, 1, 2, 2, 2, 5],
        "characters": [0, 3, 7, 2, 7, 9],
        "bytes": [0, 3, 7, 6, 11, 9],
    }


def test_what_a_word_is_can_be_said():
    texts = ["return snake_case_name", "co\u00adop\u00aderate"]
    words = [
        Length(mode="tag", words=kind).apply(batch_of(texts)).measures["words"].to_pylist()
        for kind in ("unicode", "identifiers")
    ]
    assert words == [[4, 1], [2, 1]]


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        (
            {},
            "length needs at least one bound: min_words, max_words, min_characters, .*max_bytes; or `mode: tag`",
        ),
        ({"min_words": 5, "max_words": 4}, r"min_words \(5\) is above max_words \(4\): no document could pass"),
        ({"min_words": -1}, "greater than or equal to 0"),
        ({"min_words": 1.5}, "valid integer"),
        ({"min_word": 1}, "Extra inputs are not permitted"),
    ],
)
def test_wrong_parameters(parameters, message):
    with pytest.raises(ValidationError, match=message):
        Length(**parameters)
