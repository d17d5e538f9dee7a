from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from naive.text import gopher_measures, gopher_verdict
from pydantic import ValidationError
from support.forms import some
from support.lines import real_documents

from corpuscurate.core.batch import Batch
from corpuscurate.core.columns import TEXT
from corpuscurate.stages.gopher_quality import GopherQuality

EXAMPLES = [
    {},
    {"convention": "datatrove"},
    {"min_words": None, "min_stop_words": 1, "stop_words": ["the", "Straße"], "max_bullet_line_ratio": 0.5},
]

GOOD = "The rules of the house have to be read with care, and that takes time. " * 5
RULES = [
    "min_words",
    "max_words",
    "min_mean_word_length",
    "max_mean_word_length",
    "max_hash_ratio",
    "max_ellipsis_ratio",
    "max_bullet_line_ratio",
    "max_ellipsis_line_ratio",
    "min_alphabetic_word_ratio",
    "min_stop_words",
]


def batch_of(texts):
    return Batch(np.arange(len(texts), dtype=np.uint64), pa.array(texts, TEXT), np.zeros(len(texts), np.int64))


def verdicts(texts, stage=None):
    stage = stage or GopherQuality()
    outcome = stage.apply(batch_of(texts))
    names = list(stage.rules())
    pairs = zip(outcome.reason.tolist(), outcome.value.tolist(), strict=True)
    return [(names[reason - 1], value) if reason else None for reason, value in pairs]


def test_rules_stand_in_the_order_and_with_the_bounds_of_the_paper():
    assert list(GopherQuality().rules().items()) == list(
        zip(RULES, [50, 100_000, 3, 10, 0.1, 0.1, 0.9, 0.3, 0.8, 2], strict=True)
    )


@pytest.mark.parametrize(
    ("text", "reason", "value"),
    [
        ("", "min_words", 0.0),
        (" \n ", "min_words", 0.0),
        ("word " * 49, "min_words", 49.0),
        ("the and " * 50_001, "max_words", 100_002.0),
        ("a the " * 50, "min_mean_word_length", 2.0),
        (("the " + "x" * 19 + " ") * 40, "max_mean_word_length", 11.0),
        ("the and #word " * 30, "max_hash_ratio", 30 / 90),
        ("the and word… " * 30, "max_ellipsis_ratio", 30 / 90),
        ("- the and longer words\n" * 30, "max_bullet_line_ratio", 1.0),
        ("the and some longer words in this line till its end...\n" * 30, "max_ellipsis_line_ratio", 1.0),
        ("the and 123 --- word " * 30, "min_alphabetic_word_ratio", 0.6),
        ("the quick brown foxes " * 30, "min_stop_words", 1.0),
    ],
)
def test_each_rule_fails_under_its_own_name(text, reason, value):
    assert verdicts([text]) == [(reason, pytest.approx(value))]
    assert gopher_verdict(text) == (reason, pytest.approx(value))


@pytest.mark.parametrize(
    ("good", "bad"),
    [
        ("word " * 48 + "the and", "word " * 47 + "the and"),  # 50 words, 49
        ("the and ten #word " + "word " * 6, None),  # once in ten words is allowed
    ],
)
def test_the_bounds_themselves_pass(good, bad):
    scale = 1 if bad else 8
    assert verdicts([good * scale]) == [None]
    if bad:
        assert verdicts([bad]) == [("min_words", 49.0)]


def test_share_bounds_are_inclusive():
    line = "the and word word word word\n"
    assert verdicts([("- " + line) * 9 + line]) == [None]  # 90 % bullets
    assert verdicts([line.replace("\n", "...\n") * 3 + line * 7]) == [None]  # 30 % ellipses
    assert verdicts(["the and word word 1234 " * 20]) == [None]  # 80 % alphabetic


def test_a_good_document_is_kept_and_its_value_is_nan():
    outcome = GopherQuality().apply(batch_of([GOOD, "x"]))
    assert outcome.reason.tolist() == [0, 1]
    assert np.isnan(outcome.value).tolist() == [True, False]


def test_a_bound_of_null_is_no_rule():
    stage = GopherQuality(min_words=None, min_stop_words=None)
    assert "min_words" not in stage.rules()
    assert verdicts(["word", ""], stage) == [None, ("min_mean_word_length", 0.0)]


def test_stop_words_of_another_language():
    stage = GopherQuality(stop_words=("Straße", "und", "है"), min_words=None)
    assert verdicts(["STRASSE, „und“ wort", "है। und", "strasse"], stage) == [None, None, ("min_stop_words", 1.0)]


def test_stop_words_are_compared_without_invisible_characters():
    stage = GopherQuality(stop_words=("می\u200cشود", "und"), min_words=None, min_mean_word_length=None)
    assert verdicts(["میشود un\u00add", "«می\u200cشود» \u200eund", "می شود"], stage) == [
        None,
        None,
        ("min_stop_words", 0.0),
    ]


def test_tag_gives_all_measures():
    stage = GopherQuality(mode="tag")
    measures = stage.apply(batch_of([GOOD, ""])).measures
    assert {name: column.type for name, column in measures.items()} == dict(stage.measures())
    assert measures["words"].to_pylist() == [75, 0]
    assert measures["hash_ratio"].to_pylist() == [0.0, 0.0]


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"bullets": [" -"]}, "bullet ' -' can begin no line"),
        ({"bullets": [""]}, "can begin no line"),
        ({"stop_words": ["the,"]}, "stop word 'the,' can never be met"),
        ({"stop_words": ["of the"]}, "stop word 'of the' can never be met"),
        ({"stop_words": ["\ufe0f"]}, "can never be met"),
        ({"stop_words": ["The", "t\u00adhe"]}, r"min_stop_words \(2\) is above the number of stop_words \(1\)"),
        ({"min_words": 10, "max_words": 9}, "no document could pass"),
        ({"max_bullet_line_ratio": 1.5}, "less than or equal to 1"),
        ({"max_hash_ratio": float("nan")}, "finite number|greater than or equal"),
    ],
)
def test_wrong_parameters(parameters, message):
    with pytest.raises(ValidationError, match=message):
        GopherQuality(**parameters)


LONG = "It is said, and be told, that this is so; we have been there with him. " * 4


@pytest.mark.parametrize(
    ("text", "reason", "value"),
    [
        ("", "min_words", 0.0),
        ("word, " * 49, "min_words", 49.0),
        ("word, " * 50, "min_alphabetic_word_ratio", 0.5),  # the comma is a word, for alphabetic words
        ("the and " * 50_001, "max_words", 100_002.0),
        (LONG, None, None),
        (LONG + "# " * 11, "max_hash_ratio", 11 / 91),
        (("- " + LONG + "\n") * 10, "max_bullet_line_ratio", 1.0),
        (("- " + LONG.replace(",", "") + "\n\n") * 10, None, None),  # blank lines count
        ((LONG.strip() + "…\r") * 3, "max_ellipsis_line_ratio", 1.0),
        ("The cat saw the dog and the bird. " * 8, None, None),
        ("The cats watched my dogs and birds there. " * 8, "min_stop_words", 1.0),  # "The" is not "the"
    ],
)
def test_datatrove(text, reason, value):
    expected = None if reason is None else (reason, pytest.approx(value))
    assert verdicts([text], GopherQuality(convention="datatrove")) == [expected]
    assert gopher_verdict(text, "datatrove") == expected


def test_what_datatrove_has_for_bullets():
    assert GopherQuality(convention="datatrove").bullets == ("•", "-")
    assert GopherQuality(convention="datatrove", bullets=["*"]).bullets == ("*",)
    assert "●" in GopherQuality().bullets
    with pytest.raises(ValidationError, match=r"min_stop_words \(2\) is above the number of stop_words \(1\)"):
        GopherQuality(convention="datatrove", stop_words=["the", "the"])
    assert GopherQuality(convention="datatrove", stop_words=["the", "The"]).stop_words == ("the", "The")


@pytest.mark.parametrize("convention", ["paper", "datatrove"])
def test_equal_to_the_twin_on_real_documents(convention):
    texts = real_documents(50 if convention == "paper" else 400)
    assert len(texts) > some(250)
    assert verdicts(texts, GopherQuality(convention=convention)) == [gopher_verdict(text, convention) for text in texts]
    measures = GopherQuality(mode="tag", convention=convention).apply(batch_of(texts)).measures
    expected = [gopher_measures(text, convention) for text in texts]
    assert {name: column.to_pylist() for name, column in measures.items()} == {
        name: [row[name] for row in expected] for name in measures
    }
