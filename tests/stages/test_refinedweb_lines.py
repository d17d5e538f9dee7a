from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from naive.lines import refinedweb
from pydantic import ValidationError
from support.forms import some
from support.lines import batch_of, measured, real_documents, texts, verdicts

from corpuscurate.core.stage import Edit
from corpuscurate.stages.refinedweb_lines import RefinedwebLines

EXAMPLES = [{}, {"convention": "paper"}, {"counters": [], "cut_anywhere": [], "cut_at_end": [], "cut_at_start": []}]


def share(part, whole):
    return part / whole if whole else 0.0


def held(documents, convention):
    """Hold the stage against its twin."""
    batch = batch_of(documents)
    stage = RefinedwebLines(convention=convention)
    reasons, after, columns = [], [], []
    for text in documents:
        count, new = refinedweb(text)
        shares = {
            f"{name}_word_ratio": share(count.pop(f"{name}_words"), count["words"]) for name in ("removed", "flagged")
        }
        reason = f"max_{'flagged' if convention == 'paper' else 'removed'}_word_ratio"
        fails = shares[reason[4:]] > 0.05
        columns.append({**shares, **count})
        reasons.append(reason if fails else None)
        after.append(text if fails else new)
    outcome = stage.apply(batch)
    assert measured(RefinedwebLines(convention=convention, mode="tag").apply(batch)) == columns
    assert verdicts(stage, outcome) == reasons
    assert (documents if outcome.text is None else outcome.text.to_pylist()) == after
    saved = sum(len(text.encode()) for text in documents) - sum(len(text.encode()) for text in after)
    assert sum(edit.bytes for edit in outcome.edits.values()) == saved
    assert "white_space" not in outcome.edits


@pytest.mark.parametrize("convention", ["dclm", "paper"])
@settings(max_examples=some(100), deadline=None)
@given(documents=st.lists(texts, max_size=6))
def test_equal_to_the_definition(convention, documents):
    held(documents, convention)


@pytest.mark.parametrize("convention", ["dclm", "paper"])
def test_equal_to_the_twin_on_real_documents(convention):
    documents = real_documents(97)
    assert len(documents) > some(1000)
    held(documents, convention)


PROSE = "\n".join(["this is a line of plain prose that no rule would take out of its page"] * 20)


@pytest.mark.parametrize(
    ("line", "stays"),
    [
        ("SHOUTING All", None),  # 9 of 12
        ("ABC DeF", None),  # 5 of 7
        ("AB cd", "AB cd"),  # 2 of 5, the space is a character
        ("ABC def", "ABC def"),
        ("12345", None),
        (" 2021\t", None),
        ("20 21", "20 21"),
        ("3 likes", None),
        ("(1,234.5K Followers)", None),
        ("3 likes today", "3 likes today"),
        ("3likes", None),  # a single word
        ("alone", None),
        ("two words", "two words"),
        ("12 Items In Cart now", "12 now"),
        ("items in cart", None),
        ("The news of the day. Read more...", "The news of the day."),
        ("Read more... of the news", "Read more... of the news"),
        ("Read more of the news", "Read more of the news"),
        ("Sign-in to read this", "to read this"),
        (
            "One two three four five six seven eight nine Read more...",
            "One two three four five six seven eight nine Read more...",
        ),
        ("", ""),
        (" \t", " \t"),
    ],
)
def test_what_the_rules_do_to_a_line(line, stays):
    new = RefinedwebLines().apply(batch_of([f"{PROSE}\n{line}"])).text
    assert (f"{PROSE}\n{line}" if new is None else new[0].as_py()) == (PROSE if stays is None else f"{PROSE}\n{stays}")


def test_five_in_a_hundred_words_may_go():
    words = " ".join(["word"] * 95)
    stage = RefinedwebLines()
    documents = [f"{words}\n" + "1\n" * 5, f"{words}\n" + "1\n" * 6]
    outcome = stage.apply(batch_of(documents))
    assert verdicts(stage, outcome) == [None, "max_removed_word_ratio"]
    assert outcome.value[1] == pytest.approx(6 / 101)
    assert outcome.text.to_pylist() == [f"{words}\n", documents[1]]
    assert outcome.edits == {"numeric": Edit(1, 10)}


def test_the_paper_counts_all_words_of_the_lines_touched():
    text = " ".join(["word"] * 92) + "\nThe news of the day. Read more..."
    assert RefinedwebLines().apply(batch_of([text])).reason.tolist() == [0]  # 2 of 99
    paper = RefinedwebLines(convention="paper")
    outcome = paper.apply(batch_of([text]))
    assert verdicts(paper, outcome) == ["max_flagged_word_ratio"]
    assert outcome.value[0] == pytest.approx(7 / 99)


def test_mode_tag_touches_no_text():
    outcome = RefinedwebLines(mode="tag").apply(batch_of([f"{PROSE}\n1", "1"]))
    assert (outcome.text, outcome.edits) == (None, {})
    assert verdicts(RefinedwebLines(mode="tag"), outcome) == [None, "max_removed_word_ratio"]


def test_patterns_and_counters_of_one_s_own():
    stage = RefinedwebLines(counters=["Bewertungen"], cut_at_end=["Weiterlesen"], max_removed_word_ratio=None)
    new = stage.apply(batch_of(["Ein Satz. weiterlesen\n12 bewertungen\n12 likes\nEin Satz. Read more..."])).text
    assert new.to_pylist() == ["Ein Satz.\n12 likes\nEin Satz. Read more..."]


def test_rules_can_be_left_out():
    stage = RefinedwebLines(
        max_line_uppercase_ratio=None, numeric=False, counters=[], min_line_words=None, max_removed_word_ratio=None
    )
    outcome = stage.apply(batch_of(["SHOUT\n12345\n3 likes\nalone"]))
    assert (outcome.text, outcome.edits, stage.rules()) == (None, {}, {})


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"max_removed_word_ratio": 5}, "max_removed_word_ratio\n.*less than or equal to 1"),
        ({"max_line_uppercase_ratio": 50}, "max_line_uppercase_ratio\n.*less than or equal to 1"),
        ({"cut_at_end": [""]}, "'' can be met in no line"),
        ({"counters": [" likes"]}, "' likes' can be met in no line"),
        ({"convention": "olmo3"}, "convention\n.*'dclm' or 'paper'"),
    ],
)
def test_wrong_parameters(parameters, message):
    with pytest.raises(ValidationError, match=message):
        RefinedwebLines(**parameters)


def test_hostile_texts_take_linear_time():
    documents = ["SHOUT " * 300_000, "\n" * 1_000_000, "1" * 1_000_000, "1 " * 500_000, "items in cart " * 100_000]
    found = measured(RefinedwebLines(mode="tag", max_pattern_line_words=10**9).apply(batch_of(documents)))
    assert [each["words"] for each in found] == [300_000, 0, 1, 500_000, 300_000]
    assert found[4]["removed_word_ratio"] == 1.0
