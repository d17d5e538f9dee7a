from __future__ import annotations

import os
import unicodedata

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from naive.nemotron import nemotron_measures
from pydantic import ValidationError
from support.hostile import texts

from corpuscurate.core.batch import Batch
from corpuscurate.core.columns import TEXT
from corpuscurate.kernels.text.unicode import unidata_version
from corpuscurate.stages.nemotron_quality import BOILERPLATE, COMMON_WORDS, NemotronQuality

KIND = {"max_non_alphanumeric_ratio": None, "max_open_line_ratio": None, "min_common_words": None}
EXAMPLES = [{**KIND, "min_words": 1}, {**KIND, "min_words": 1, "boilerplate": ["one"], "reasons": "all"}]
SENTENCES = [
    "Keeping bees near the river takes patience, and most of that patience is with yourself.",
    "A hive will be calm on warm days; cold wind turns it cross within minutes.",
    "Have smoke ready, wear a veil, and move slowly when you lift out each frame.",
    "Queens lay through spring, so room must be given before the colony swarms.",
    "By late summer honey is capped, heavy, and good enough to share with neighbours.",
]
GOOD = "\n".join(SENTENCES)
same_version = pytest.mark.skipif(
    unicodedata.unidata_version != unidata_version(), reason="this Python's Unicode is not that of the tables"
)


def batch_of(texts):
    return Batch(np.arange(len(texts), dtype=np.uint64), pa.array(texts, TEXT), np.zeros(len(texts), np.int64))


def measures(texts, **parameters):
    found = NemotronQuality(mode="tag", **parameters).apply(batch_of(texts)).measures
    return [{name: column[row].as_py() for name, column in found.items()} for row in range(len(texts))]


def verdict(text, **parameters):
    stage = NemotronQuality(**parameters)
    outcome = stage.apply(batch_of([text]))
    return [None, *stage.rules()][outcome.reason[0]]


@same_version
@given(st.lists(texts(), max_size=4))
def test_equal_to_the_definitions(texts):
    found = measures(texts)
    assert found == [nemotron_measures(text, list(COMMON_WORDS), list(BOILERPLATE)) for text in texts]


@given(st.lists(st.lists(st.sampled_from(["a", "b", "ab", "b\n", "\n\n"]), max_size=60).map(" ".join), max_size=3))
def test_repetition_of_few_words(texts):
    found = measures(texts)
    assert found == [nemotron_measures(text, list(COMMON_WORDS), list(BOILERPLATE)) for text in texts]


def test_rules_stand_in_the_order_and_with_the_bounds_of_the_configuration():
    assert list(NemotronQuality().rules().items()) == [
        ("max_non_alphanumeric_ratio", 0.25),
        ("max_symbol_word_ratio", 0.1),
        ("max_digit_ratio", 0.15),
        ("max_url_ratio", 0.2),
        ("max_white_space_ratio", 0.25),
        ("max_parenthesis_ratio", 0.1),
        ("max_boilerplate_ratio", 0.4),
        ("min_unique_line_ratio", 0.7),
        ("min_unique_paragraph_ratio", 0.7),
        ("min_unique_line_char_ratio", 0.8),
        ("min_unique_paragraph_char_ratio", 0.8),
        ("min_words", 50),
        ("max_words", 100_000),
        ("max_open_line_ratio", 0.85),
        ("min_alphabetic_word_ratio", 0.8),
        ("min_common_words", 2),
        ("min_mean_word_length", 3),
        ("max_mean_word_length", 10),
        ("max_longest_word", 1000),
        ("max_ellipsis_line_ratio", 0.3),
        *((f"max_top_{n}gram_ratio", bound) for n, bound in ((2, 0.2), (3, 0.18), (4, 0.16))),
        *((f"max_dup_{n}gram_ratio", (20 - n) / 100) for n in range(5, 11)),
        ("max_bullet_line_ratio", 0.9),
    ]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (GOOD, None),
        ("", "max_non_alphanumeric_ratio"),
        (GOOD.replace(" ", " -- "), "max_non_alphanumeric_ratio"),
        (GOOD.replace(".", " # # #").replace(",", " #"), "max_non_alphanumeric_ratio"),
        (GOOD + "12345" * 30, "max_digit_ratio"),
        (GOOD + " http://example.org" + "a" * 120, "max_url_ratio"),
        ("\n\n".join(f"{sentence} Privacy policy" for sentence in SENTENCES), "max_boilerplate_ratio"),
        (GOOD + "\nLorem Ipsum dolor.", "max_boilerplate_ratio"),
        (GOOD + ("\n" + SENTENCES[0]) * 3, "min_unique_line_ratio"),
        (GOOD + ("\n\n" + SENTENCES[0]) * 3, "min_unique_line_ratio"),
        (" ".join(SENTENCES)[:200], "min_words"),
        (GOOD.replace(".", ""), "max_open_line_ratio"),
        (GOOD + "\nx" + "y" * 1000 + ".", "max_mean_word_length"),
        (GOOD.replace(".", "..."), "max_ellipsis_line_ratio"),
        (GOOD.replace("\n", " the bees " * 6 + "\n"), "max_top_2gram_ratio"),
        ("\n".join(f"• {sentence}" for sentence in SENTENCES), "max_bullet_line_ratio"),
    ],
)
def test_reasons(text, reason):
    assert verdict(text) == reason


@pytest.mark.parametrize(
    ("text", "off", "reason"),
    [
        (GOOD.replace(".", " # # #").replace(",", " #"), "max_non_alphanumeric_ratio", "max_symbol_word_ratio"),
        (GOOD + "\nx" + "y" * 1000 + ".", "max_mean_word_length", "max_longest_word"),
        (GOOD + "\n" + "(a)" * 30 + ".", "max_non_alphanumeric_ratio", "max_parenthesis_ratio"),
        (GOOD.replace(" ", "  \t"), "max_non_alphanumeric_ratio", "max_white_space_ratio"),
    ],
)
def test_reasons_behind_a_rule_that_is_off(text, off, reason):
    assert verdict(text, **{off: None}) == reason


def test_golden():
    text = "(read it) http://a.b/c?d=1 %%\n- the the…\n\n## # 3 End"
    (found,) = measures([text])
    size = len(text)
    assert found["url_ratio"] == len("http://a.b") / size
    assert found["parenthesis_ratio"] == 2 / size
    assert found["digit_ratio"] == 2 / size
    assert found["white_space_ratio"] == 11 / size
    assert found["words"] == 11
    assert found["symbol_word_ratio"] == 1 / 11  # "#": one run in one character; in "##" it is one in two
    assert found["common_words"] == 1  # "the…" is another word
    assert found["longest_word"] == len("http://a.b/c?d=1")
    assert found["ellipsis_line_ratio"] == 1 / 3
    assert found["open_line_ratio"] == 1
    assert found["alphabetic_word_ratio"] == 6 / 11


def test_repetition_golden():
    """Seven words twice: three repeated 5-grams, that cover the second copy."""
    words = "one two three four five six seven"
    text = f"{words} {words}"
    (found,) = measures([text])
    assert found["dup_5gram_ratio"] == (27 + 4 + 2) / len(text)  # letters, spaces in a first 5-gram, two more words
    assert found["top_2gram_ratio"] == 2 * len("one two") / len(text)
    assert found["dup_8gram_ratio"] == 0


def test_measures_that_no_rule_needs_are_left_out():
    off = dict.fromkeys((name for name in NemotronQuality().bounds() if "gram" in name or "unique" in name), None)
    outcome = NemotronQuality(**off).apply(batch_of([GOOD]))
    assert "words" in outcome.measures
    assert not any("gram" in name or "unique" in name for name in outcome.measures)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a" * 3_000_000, 1),
        ("a " * 1_500_000, 1_500_000),
        ("\n" * 2_000_000, 0),
        ("http" * 700_000, 1),
        ("ab " * 400_000 + "a" * 1_000_000, 400_001),
    ],
    ids=["one word", "one letter", "line feeds", "no URL", "search"],
)
def test_hostile_texts(text, words):
    (found,) = measures([text])
    assert found["words"] == words
    assert found["url_ratio"] == 0


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"max_url_ratio": 1.2}, "max_url_ratio"),
        ({"min_words": 10, "max_words": 5}, r"min_words \(10\) is above max_words \(5\)"),
        ({"common_words": ["the ", "be"]}, "word 'the ' can never be met"),
        ({"boilerplate": [""]}, "can be in no paragraph"),
    ],
)
def test_wrong_parameters(parameters, message):
    with pytest.raises(ValidationError, match=message):
        NemotronQuality(**parameters)


@same_version
@pytest.mark.skipif("CORPUSCURATE_DATA" not in os.environ, reason="CORPUSCURATE_DATA is not set")
@pytest.mark.parametrize("name", ["multilingual/tldr", "bench/part-000"])
def test_real_texts(name):
    """`scripts/check_signals.py` compares all of them."""
    from support.corpora import some_texts

    texts = some_texts(name, 60)
    assert measures(texts) == [nemotron_measures(text, list(COMMON_WORDS), list(BOILERPLATE)) for text in texts]
