from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from naive.lines import madlad, olmo
from naive.text import words
from pydantic import ValidationError
from support.forms import some
from support.lines import batch_of, measured, real_documents, texts, verdicts

from corpuscurate.stages.madlad_quality import MadladQuality

EXAMPLES = [{}, {"convention": "olmo3"}, {"min_sentences": 1, "rules_counted": ["length"], "cursed": ["mp[34]$"]}]


def expected(text, convention):
    """The measures that a rule of both conventions has, and the reason."""
    flags = (olmo if convention == "olmo3" else madlad)(text, words)
    count = len(flags["cursed"])
    bad = sum(map(any, zip(*flags.values(), strict=True)))
    found = {"sentences": count, "questionable_sentence_ratio": bad / max(count, 1)}
    found |= {f"{name}_ratio": sum(values) / max(count, 1) for name, values in flags.items()}
    share = found["questionable_sentence_ratio"]
    over = share >= 0.2 if convention == "olmo3" else share > 0.2
    return found, "min_sentences" if count < 5 else "max_questionable_sentence_ratio" if over else None


def held(documents, convention):
    """Hold the stage against its twin."""
    batch = batch_of(documents)
    stage = MadladQuality(convention=convention)
    wanted = [expected(text, convention) for text in documents]
    found = measured(MadladQuality(convention=convention, mode="tag").apply(batch))
    rows = zip(found, wanted, strict=True)
    assert [{name: row[name] for name in values} for row, (values, _) in rows] == [values for values, _ in wanted]
    assert verdicts(stage, stage.apply(batch)) == [reason for _, reason in wanted]


@pytest.mark.parametrize("convention", ["paper", "olmo3"])
@settings(max_examples=some(100), deadline=None)
@given(documents=st.lists(texts, max_size=6))
def test_equal_to_the_definition(convention, documents):
    held(documents, convention)


@pytest.mark.parametrize("convention", ["paper", "olmo3"])
def test_equal_to_the_twin_on_real_documents(convention):
    documents = real_documents(97)
    assert len(documents) > some(1000)
    held(documents, convention)


GOOD = "This is a sentence of a plain kind."
LIST = "Home News Sports Weather Cars Jobs Travel and the rest of it."


@pytest.mark.parametrize(
    ("sentence", "rule"),
    [
        (GOOD, None),
        (LIST, "list_case"),  # 7 of 12
        ("Home News Sports Weather Cars Jobs and the rest of it now.", None),  # 6 of 12
        ("Home News Sports Weather Cars Jobs Travel and the rest it.", None),  # 11 tokens
        ("Nineteen characters", "length"),
        ("These are 20 letters", None),
        ("w" * 501, "length"),
        ("w" * 500, None),
        ("Call 0123/456789 or (98)", "technical"),  # 15 of 24
        ("It costs 1234 euros now.", None),  # 4 of 24
        ("Get the song as mp3 right here.", "cursed"),
        ("It stands on the page nr.", "cursed"),
        ("The last cell of a table |", "cursed"),
        ("W o r d s o f s i n g l e letters", "cursed"),
        ("Lorem ipsum dolor sit amet.", "cursed"),
    ],
)
def test_what_makes_a_sentence_questionable(sentence, rule):
    found = measured(MadladQuality(mode="tag").apply(batch_of([sentence])))[0]
    ratios = {name: found[f"{name}_ratio"] for name in ("list_case", "length", "technical", "cursed")}
    assert ratios == {name: float(name == rule) for name in ratios}
    assert found["questionable_sentence_ratio"] == float(rule is not None)


def test_a_fifth_may_be_questionable_by_the_paper_and_not_by_olmo():
    documents = [f"{GOOD} " * 4 + LIST, f"{GOOD} " * 3 + f"{LIST} " * 2, f"{GOOD} " * 4, f"{GOOD} " * 5]
    names = [None, "max_questionable_sentence_ratio", "min_sentences", None]
    paper, olmo3 = MadladQuality(), MadladQuality(convention="olmo3")
    assert verdicts(paper, paper.apply(batch_of(documents))) == names
    assert verdicts(olmo3, olmo3.apply(batch_of(documents))) == [names[1], *names[1:]]


def test_olmo_takes_sentences_across_lines_and_most_patterns_by_the_letter():
    text = "The first line is here\nand goes on. See page nr. Table | Vol\\.2 of it! Last one"
    stage = MadladQuality(convention="olmo3", mode="tag")
    found = measured(stage.apply(batch_of([text])))[0]
    assert (found["sentences"], found["cursed_ratio"]) == (4, 0.25)  # `Vol\.` by the letter
    paper = measured(MadladQuality(mode="tag").apply(batch_of([text.replace("\\", "")])))[0]
    assert paper["sentences"] == 5
    assert paper["cursed_ratio"] == pytest.approx(2 / 5)  # "nr." at an end, "Vol."


def test_which_rules_count():
    assert MadladQuality().rules_counted == ("list_case", "length", "technical", "cursed")
    assert MadladQuality(convention="olmo3").rules_counted == ("list_case", "cursed")
    stage = MadladQuality(rules_counted=["length"], min_sentences=None)
    assert verdicts(stage, stage.apply(batch_of([LIST, "Short."]))) == [None, "max_questionable_sentence_ratio"]


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"max_questionable_sentence_ratio": 20}, "max_questionable_sentence_ratio\n.*less than or equal to 1"),
        ({"cursed": ["(a"]}, r"'\(a' is no regular expression of RE2"),
        ({"cursed": [r"(a)\1"]}, "is no regular expression of RE2"),
        ({"cursed": [""]}, "an empty pattern is in every sentence"),
        ({"rules_counted": ["langid"]}, "rules_counted"),
        ({"sentence_characters": [500, 20]}, r"sentence_characters \(500, 20\): expected 0 <= fewest <= most"),
        ({"list_tokens": 0}, "list_tokens\n.*greater than or equal to 1"),
    ],
)
def test_wrong_parameters(parameters, message):
    with pytest.raises(ValidationError, match=message):
        MadladQuality(**parameters)


def test_hostile_texts_take_linear_time():
    documents = [
        "a" * 2_000_000,
        "\n" * 1_000_000,
        ". " * 500_000,
        " a" * 500_000,
        "e\u0301\u200f! " * 200_000,
        "?!" * 500_000,
    ]
    for convention in ("paper", "olmo3"):
        stage = MadladQuality(convention=convention, cursed=["(a*)*b", "(?:x+x+)+y"], mode="tag")
        found = [each["sentences"] for each in measured(stage.apply(batch_of(documents)))]
        assert found == ([1, 0, 1, 1, 200_000, 1] if convention == "paper" else [1, 0, 0, 1, 200_000, 1])
