from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from naive.lines import fineweb
from naive.tokens import tokens
from pydantic import ValidationError
from support.forms import some
from support.lines import batch_of, measured, real_documents, texts, verdicts

from corpuscurate.stages.fineweb_quality import FinewebQuality

EXAMPLES = [
    {"convention": "code", "min_terminal_line_ratio": None},
    {},
    {"end_marks": [".", "…"], "allow_no_terminal": True, "min_lines": None},
]


def held(documents, convention):
    """Hold the stage against its twin."""
    batch = batch_of(documents)
    stage = FinewebQuality(convention=convention)
    expected = [
        fineweb(text, convention, len(tokens(text) if convention == "code" else text.split())) for text in documents
    ]
    assert measured(FinewebQuality(convention=convention, mode="tag").apply(batch)) == [found for found, _ in expected]
    assert verdicts(stage, stage.apply(batch)) == [reason for _, reason in expected]


@pytest.mark.parametrize("convention", ["code", "paper"])
@settings(max_examples=some(100), deadline=None)
@given(documents=st.lists(texts, max_size=6))
def test_equal_to_the_definition(convention, documents):
    held(documents, convention)


@pytest.mark.parametrize("convention", ["code", "paper"])
def test_equal_to_the_twin_on_real_documents(convention):
    documents = real_documents(97)
    assert len(documents) > some(1000)
    held(documents, convention)


CODE = FinewebQuality(convention="code")
LONG = "A line of prose, longer than thirty characters"


@pytest.mark.parametrize(
    ("text", "reason", "value"),
    [
        ("", "min_lines", 0.0),
        (" \n\t\n", "min_lines", 0.0),
        (f"{LONG} 1\n{LONG} 2", "min_terminal_line_ratio", 0.0),
        (f"{LONG} 1.\n{LONG} 2…\n{LONG} 3”", None, None),  # one of three
        ("One.\nTwo.\nThree.", "max_short_line_ratio", 1.0),
        (f"{LONG}。\nOne.\nTwo.", None, None),  # two of three, .667
        (f"{LONG}.\n{LONG}.", "max_duplicate_character_ratio", 0.5),
        (f"{LONG}.\n{LONG}. ", None, None),  # not the same characters
        (f"{LONG}.\n\n\n\n\n", "max_newline_ratio", 0.5),  # five for ten tokens, punctuation among them
    ],
)
def test_each_rule_fails_under_its_own_name(text, reason, value):
    stage = FinewebQuality(convention="code")
    outcome = stage.apply(batch_of([text]))
    assert verdicts(stage, outcome) == [reason]
    if reason:
        assert outcome.value[0] == pytest.approx(value)


def document(ended, rest, short=0):
    """Distinct lines, so many of which end with a full stop; so many short ones."""
    lines = [f"{LONG} number {at}." for at in range(ended)] + [f"{LONG} number {at}" for at in range(rest)]
    return "\n".join([*lines, *(f"Short {at}." for at in range(short))])


def test_bounds_are_kept_by_the_code_and_drop_in_the_paper():
    at_bound = document(12, 88)
    assert verdicts(CODE, CODE.apply(batch_of([at_bound]))) == [None]
    paper = FinewebQuality(convention="paper")
    outcome = paper.apply(batch_of([at_bound, document(13, 87)]))
    assert verdicts(paper, outcome) == ["min_terminal_line_ratio", None]
    assert outcome.value[0] == paper.rules()["min_terminal_line_ratio"] == 0.12
    short = document(33, 0, 67)
    assert verdicts(CODE, CODE.apply(batch_of([short]))) == [None]
    assert verdicts(paper, paper.apply(batch_of([short]))) == ["max_short_line_ratio"]
    stage = FinewebQuality(convention="paper", reasons="all")
    assert [each["rule"] for each in stage.apply(batch_of([short])).failed.to_pylist()[0]] == [3]


def test_a_short_line_has_at_most_thirty_characters_by_the_code_and_fewer_in_the_paper():
    lines = [f"{'é' * size}." for size in (28, 29, 30)]
    for convention, count in (("code", 2), ("paper", 1)):
        stage = FinewebQuality(convention=convention, mode="tag")
        assert measured(stage.apply(batch_of(["\n".join(lines)])))[0]["short_line_ratio"] == pytest.approx(count / 3)


def test_carriage_returns_hide_end_marks_by_the_code_alone():
    text = "\r\n".join(f"{LONG} number {at}." for at in range(5))
    assert verdicts(CODE, CODE.apply(batch_of([text]))) == [None]  # the last line has none
    text += "\r\n"
    assert verdicts(CODE, CODE.apply(batch_of([text]))) == ["min_terminal_line_ratio"]
    paper = FinewebQuality(convention="paper")
    assert verdicts(paper, paper.apply(batch_of([text]))) == [None]


def test_later_copies_count_and_blank_lines_do_not():
    text = f"{LONG}.\n\n\n{LONG}.\n{LONG}.\nAnother line of prose that is not a copy of one."
    found = measured(FinewebQuality(mode="tag").apply(batch_of([text])))[0]
    assert found["lines"] == 4
    assert found["duplicate_character_ratio"] == pytest.approx(2 * 47 / (3 * 47 + 48))


def test_conventions_are_the_published_numbers():
    code, paper = FinewebQuality(convention="code"), FinewebQuality()
    assert list(code.rules().values()) == [1, 0.12, 0.67, 0.01, 0.3]
    assert list(paper.rules().values()) == [1, 0.12, 0.67, 0.1]
    assert FinewebQuality(convention="paper", max_newline_ratio=0.3).max_newline_ratio == 0.3


def test_marks_of_all_scripts_end_a_line_unless_others_are_named():
    lines = ["a।", "b؟", "c。", "d\U00011f43", 'e"', "f…", "g."]
    found = measured(FinewebQuality(mode="tag").apply(batch_of(["\n".join(lines)])))[0]
    assert found["terminal_line_ratio"] == pytest.approx(5 / 7)
    own = FinewebQuality(end_marks=['"', "…"], mode="tag")
    assert measured(own.apply(batch_of(["\n".join(lines)])))[0]["terminal_line_ratio"] == pytest.approx(2 / 7)


def test_documents_without_any_end_mark_may_be_kept():
    stage = FinewebQuality(allow_no_terminal=True)
    documents = [document(0, 10), document(1, 10)]
    assert verdicts(stage, stage.apply(batch_of(documents))) == [None, "min_terminal_line_ratio"]


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"convention": "datatrove"}, "convention\n.*'paper' or 'code'"),
        ({"max_short_line_ratio": 1.5}, "max_short_line_ratio\n.*less than or equal to 1"),
        ({"min_terminal_line_ratio": -0.1}, "min_terminal_line_ratio\n.*greater than or equal to 0"),
        ({"end_marks": [""]}, "end mark '' is not a single character"),
        ({"max_duplicate_character_ratio": float("nan")}, "finite number|less than or equal|greater than or equal"),
    ],
)
def test_wrong_parameters(parameters, message):
    with pytest.raises(ValidationError, match=message):
        FinewebQuality(**parameters)


def test_hostile_texts_take_linear_time():
    many = "".join(f"{at}\n" for at in range(200_000))
    documents = ["a" * 2_000_000, "\n" * 1_000_000, many, many + many, "e\u0301\u200f\n" * 200_000]
    found = [each["lines"] for each in measured(FinewebQuality(mode="tag").apply(batch_of(documents)))]
    assert found == [1, 0, 200_000, 400_000, 200_000]
    doubled = measured(FinewebQuality(mode="tag").apply(batch_of(documents)))[3]
    assert doubled["duplicate_character_ratio"] == 0.5
