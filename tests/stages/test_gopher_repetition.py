from __future__ import annotations

from time import process_time

import numpy as np
import pyarrow as pa
import pytest
from naive.repetition import BOUNDS, DATATROVE_ORDER, repetition, repetition_verdict
from pydantic import ValidationError
from support.forms import some
from support.lines import real_documents

from corpuscurate import curate
from corpuscurate.core.batch import Batch
from corpuscurate.core.columns import TEXT
from corpuscurate.stages.gopher_repetition import GopherRepetition

CONVENTIONS = ["paper", "datatrove", "dclm", "redpajama"]
EXAMPLES = [{"convention": convention} for convention in CONVENTIONS]
LINES = ["dup_line_ratio", "dup_paragraph_ratio", "dup_line_char_ratio", "dup_paragraph_char_ratio"]


def batch_of(texts):
    return Batch(np.arange(len(texts), dtype=np.uint64), pa.array(texts, TEXT), np.zeros(len(texts), np.int64))


def measures_of(text, convention):
    columns = GopherRepetition(convention=convention, mode="tag").apply(batch_of([text])).measures
    return {name: column.to_pylist()[0] for name, column in columns.items()}


def verdicts(texts, convention, **parameters):
    stage = GopherRepetition(convention=convention, **parameters)
    outcome = stage.apply(batch_of(texts))
    names = list(stage.rules())
    pairs = zip(outcome.reason.tolist(), outcome.value.tolist(), strict=True)
    return [(names[reason - 1], value) if reason else None for reason, value in pairs]


def test_bounds_are_those_of_table_a1_in_the_order_of_the_convention():
    for convention in ["paper", "dclm", "redpajama"]:
        assert GopherRepetition(convention=convention).bounds() == {f"max_{name}": x for name, x in BOUNDS.items()}
        assert list(GopherRepetition(convention=convention).rules()) == [f"max_{name}" for name in BOUNDS]
    assert list(GopherRepetition(convention="datatrove").rules()) == [f"max_{name}" for name in DATATROVE_ORDER]
    assert list(GopherRepetition(convention="datatrove", max_dup_line_ratio=None).rules())[2] == (
        "max_dup_line_char_ratio"
    )


@pytest.mark.parametrize(
    ("convention", "expected"),
    [
        # lines: "to be", "or", "to be", "no"; of 4 two are repeated, or one later copy; characters 10 of 14, or 5 of 18
        ("paper", [2 / 4, 2 / 3, 10 / 14, 10 / 15]),
        ("datatrove", [1 / 4, 1 / 3, 5 / 19, 5 / 19]),
        ("dclm", [2 / 4, 2 / 3, 10 / 14, 10 / 15]),
        ("redpajama", [2 / 4, 2 / 3, 10 / 14, 10 / 15]),
    ],
)
def test_lines_and_paragraphs_by_hand(convention, expected):
    text = "to be\n\nor\nno\n\nto be"
    assert len(text) == 19
    assert [measures_of(text, convention)[name] for name in LINES] == pytest.approx(expected)


@pytest.mark.parametrize(
    ("convention", "top2", "dup5"),
    [
        # "a b" is at 0, 2, 4 of the words, "b a" at 1, 3. "a b a b a" and "b a b a b": no 5-gram twice
        ("paper", 6 / 9, 0.0),  # the six words that "a b" covers
        ("datatrove", 3 * 3 / 15, 0.0),  # three letters with the space, three times, of 15 characters
        ("dclm", 2 * 3 / 9, 0.0),
        ("redpajama", 2 * 3 / 9, 0.0),
    ],
)
def test_the_most_frequent_2gram_by_hand(convention, top2, dup5):
    found = measures_of("a b a b a b xyz", convention)
    assert (found["top_2gram_char_ratio"], found["dup_5gram_char_ratio"]) == (pytest.approx(top2), dup5)


@pytest.mark.parametrize(("convention", "expected"), [("paper", 4 / 7), ("dclm", 6 / 7), ("redpajama", 6 / 7)])
def test_overlapping_occurrences_by_hand(convention, expected):
    """ "x x" is at 0, 1 and 2 of "x x x x abc": four words, or three times two."""
    assert measures_of("x x x x abc", convention)["top_2gram_char_ratio"] == pytest.approx(expected)


@pytest.mark.parametrize(
    ("convention", "expected"),
    [
        ("paper", 10 / 13),  # both copies of the five words, each word once
        ("datatrove", 5 / 23),  # the second copy, of all 23 characters
        ("dclm", 10 / 13),
        ("redpajama", 10 / 13),
    ],
)
def test_repeated_5grams_by_hand(convention, expected):
    text = "a b c d e xyz a b c d e"
    assert len(text) == 23
    assert measures_of(text, convention)["dup_5gram_char_ratio"] == pytest.approx(expected)


def test_a_2gram_that_occurs_once_counts_in_datatrove_alone():
    found = {convention: measures_of("one two three", convention)["top_2gram_char_ratio"] for convention in CONVENTIONS}
    assert found == {"paper": 0, "datatrove": 7 / 13, "dclm": 0, "redpajama": 0}


def test_ties_by_convention():
    text = "a b x a b y longer words z longer words"  # "a b" and "longer words", twice each
    assert measures_of(text, "paper")["top_2gram_char_ratio"] == pytest.approx(22 / 29)
    assert measures_of(text, "dclm")["top_2gram_char_ratio"] == pytest.approx(22 / 29)
    assert measures_of(text, "redpajama")["top_2gram_char_ratio"] == pytest.approx(4 / 29)
    assert measures_of(text, "datatrove")["top_2gram_char_ratio"] == pytest.approx(6 / 39)


def test_datatrove_compares_longer_ngrams_without_spaces():
    text = "no thing is as it was but nothing i s as it was"
    assert measures_of(text, "datatrove")["dup_6gram_char_ratio"] == pytest.approx(len("nothingisasitwas") / len(text))
    assert measures_of(text, "dclm")["dup_6gram_char_ratio"] == 0


def test_redpajama_compares_words_without_case_and_punctuation():
    text = 'The end, é. "THE" end! e\u0301 x'
    whole = len("theende\u0301theende\u0301x")
    assert measures_of(text, "redpajama")["top_3gram_char_ratio"] == pytest.approx((whole - 1) / whole)
    assert measures_of(text, "paper")["top_3gram_char_ratio"] == 0


@pytest.mark.parametrize("convention", CONVENTIONS)
def test_short_documents_are_not_dropped_for_it(convention):
    texts = ["", " ", "word", "\u0301\u0301", "שלום", "\n\n\n"]
    feeds = ("max_dup_line_ratio", 0.5) if convention == "datatrove" else None  # re.split("\n+") has two empty lines
    assert verdicts(texts, convention) == [*[None] * 5, feeds]
    for n in range(2, 11):  # fewer than n words
        found = measures_of(" ".join(f"w{i}" for i in range(n - 1)), convention)
        assert [value for name, value in found.items() if name.endswith(f"_{n}gram_char_ratio")] == [0.0]


@pytest.mark.parametrize("convention", CONVENTIONS)
def test_bounds_themselves_pass(convention):
    text = "a b c d e f g h\n" * 3
    value = measures_of(text, convention)["dup_line_ratio"]
    others = {f"max_{name}": None for name in BOUNDS if name != "dup_line_ratio"}
    assert verdicts([text], convention, max_dup_line_ratio=value, **others) == [None]
    below = np.nextafter(value, 0)
    assert verdicts([text], convention, max_dup_line_ratio=below, **others) == [("max_dup_line_ratio", value)]


def test_all_reasons_with_value_and_threshold_in_the_order_of_the_convention():
    text = "one two\n\none two\n\none two"
    found = curate(pa.table({"text": [text]}), [{"gopher_repetition": {"convention": "datatrove", "reasons": "all"}}])
    failed = [(each["reason"], each["value"], each["threshold"]) for each in found.dropped["failed"].to_pylist()[0]]
    expected = repetition(text, "datatrove")
    assert failed == [
        (f"max_{name}", expected[name], BOUNDS[name]) for name in DATATROVE_ORDER if expected[name] > BOUNDS[name]
    ]
    assert len(failed) >= 5


def test_what_is_not_wanted_is_not_computed():
    lines = {f"max_{name}": None for name in LINES}
    grams = {f"max_{name}": None for name in BOUNDS if name not in LINES}
    text = "a b c d e f\n" * 3
    for convention in CONVENTIONS:
        full = measures_of(text, convention)
        assert {name: column.to_pylist()[0] for name, column in _apply(text, convention, lines).items()} == {
            name: value for name, value in full.items() if name not in LINES
        }
        assert {name: column.to_pylist()[0] for name, column in _apply(text, convention, grams).items()} == {
            name: value for name, value in full.items() if name in LINES
        }


def _apply(text, convention, parameters):
    return GopherRepetition(convention=convention, **parameters).apply(batch_of([text])).measures


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"max_dup_line_ratio": 1.5}, "less than or equal to 1"),
        ({"max_top_2gram_char_ratio": -0.1}, "greater than or equal to 0"),
        ({"convention": "gopher"}, "'paper', 'datatrove', 'dclm' or 'redpajama'"),
    ],
)
def test_wrong_parameters(parameters, message):
    with pytest.raises(ValidationError, match=message):
        GopherRepetition(**parameters)


SIZE = 3_000_000
HOSTILE = {
    "one word": lambda: "x" * SIZE,
    "one letter, many words": lambda: "x " * (SIZE // 2),
    "line feeds": lambda: "\n" * SIZE,
    "short lines": lambda: "a\n\n" * (SIZE // 3),
    "distinct words": lambda: " ".join(map(str, range(SIZE // 7))),
    "words alike for 16 bytes": lambda: " ".join(f"{'y' * 16}{i}" for i in range(SIZE // 23)),
    "words alike but in the middle": lambda: " ".join(f"{'y' * 8}{i:07}{'z' * 8}" for i in range(SIZE // 24)),
    "right to left": lambda: "שלום עליכם " * (SIZE // 21),
    "marks": lambda: "a" + "\u0301" * (SIZE // 2),
    "a period of words": lambda: " ".join(f"w{i % 11}" for i in range(SIZE // 3)),
    "growing repeats": lambda: " ".join("ab " * i + "c" for i in range(1300)),
}


@pytest.mark.parametrize("convention", CONVENTIONS)
@pytest.mark.parametrize("kind", HOSTILE)
def test_hostile_documents_take_linear_time(convention, kind):
    text = HOSTILE[kind]()
    begun = process_time()
    outcome = GopherRepetition(convention=convention, mode="tag").apply(batch_of([text]))
    assert process_time() - begun < 3  # some 0.1 s; quadratic would be hours
    assert all(np.isfinite(column.to_pylist()[0]) for column in outcome.measures.values())


@pytest.mark.parametrize("convention", CONVENTIONS)
def test_hostile_documents_have_the_numbers_of_the_twin(convention):
    texts = [made()[:3000] for made in HOSTILE.values()]
    for text in texts:
        assert measures_of(text, convention) == repetition(text, convention)


@pytest.mark.parametrize("convention", CONVENTIONS)
def test_equal_to_the_twin_on_real_documents(convention):
    texts = real_documents(400)
    assert len(texts) > some(250)
    assert verdicts(texts, convention) == [repetition_verdict(text, convention) for text in texts]
    columns = GopherRepetition(convention=convention, mode="tag").apply(batch_of(texts)).measures
    expected = [repetition(text, convention) for text in texts]
    assert {name: column.to_pylist() for name, column in columns.items()} == {
        name: [row[name] for row in expected] for name in columns
    }
