from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from naive.lines import c4
from pydantic import ValidationError
from support.forms import some
from support.lines import batch_of, measured, real_documents, texts, verdicts

from corpuscurate import curate
from corpuscurate.core.errors import InputError
from corpuscurate.core.stage import Edit
from corpuscurate.stages.c4_quality import C4Quality

EXAMPLES = [
    {"min_sentences": 1},
    {"convention": "datatrove", "terminal_punctuation": False, "min_sentences": 1},
    {"convention": "paper_v1", "max_word_characters": None, "max_curly_bracket_lines": None},
]
CONVENTIONS = ("paper", "paper_v1", "datatrove")


def held(documents, convention, terminal):
    """Hold the stage against its twin."""
    batch = batch_of(documents)
    tag = C4Quality(convention=convention, terminal_punctuation=terminal, mode="tag")
    stage = C4Quality(convention=convention, terminal_punctuation=terminal)
    expected = [c4(text, convention, terminal) for text in documents]
    outcome = stage.apply(batch)
    assert measured(tag.apply(batch)) == [{**count, "bad_words": 0} for count, _, _ in expected]
    assert verdicts(stage, outcome) == [reason for _, _, reason in expected]
    after = documents if outcome.text is None else outcome.text.to_pylist()
    kept = zip(documents, expected, strict=True)
    assert after == [new if reason is None else text for text, (_, new, reason) in kept]
    saved = sum(len(text.encode()) for text in documents) - sum(len(text.encode()) for text in after)
    assert sum(edit.bytes for edit in outcome.edits.values()) == saved


@pytest.mark.parametrize("terminal", [True, False])
@pytest.mark.parametrize("convention", CONVENTIONS)
@settings(max_examples=some(60), deadline=None)
@given(documents=st.lists(texts, max_size=6))
def test_equal_to_the_definition(convention, terminal, documents):
    held(documents, convention, terminal)


@pytest.mark.parametrize("convention", CONVENTIONS)
def test_equal_to_the_twin_on_real_documents(convention):
    documents = real_documents(97)
    assert len(documents) > some(1000)
    held(documents, convention, True)
    held(documents, convention, False)


LINE = "This is a line of prose."


@pytest.mark.parametrize(
    ("line", "stays"),
    [
        (LINE, LINE),
        ("  This is a line of prose!\t", "This is a line of prose!"),
        ('He said "this is a line"', 'He said "this is a line"'),
        ("This line has no end mark", None),
        ("This line does not end...", None),
        ("This line ends in one\u2026", None),
        ("Only four words here.", None),
        ("Only five words stand here.", "Only five words stand here."),
        ("One two three [1] four.", None),  # five words with the mark, four without
        ("As is known, it rained.[12][edit] [citation needed]", None),  # a blank is left at its end
        ("As is known,[] it[٣] rained here.", "As is known, it rained here."),
        ("A [[1]] mark within a mark.", "A [] mark within a mark."),  # what is left is no mark
        ("Please enable JavaScript in your browser.", None),
        ("We use coo\u212aies on this fine site.", None),  # the Kelvin sign is a k in lower case
        ("Read the Terms of Use before this.", None),
        ("The terms of users are another thing.", None),
        ("The term of use is another thing.", "The term of use is another thing."),
        ("Words like this " + "x" * 1001 + " are too long.", None),
        (
            "Words like this " + "é" * 1000 + " are not too long.",
            "Words like this " + "é" * 1000 + " are not too long.",
        ),
    ],
)
def test_what_the_rules_do_to_a_line(line, stays):
    page = "\n".join([LINE] * 3)
    new = C4Quality().apply(batch_of([f"{page}\n{line}"])).text
    expected = page if stays is None else f"{page}\n{stays}"
    assert (f"{page}\n{line}" if new is None else new[0].as_py()) == expected


@pytest.mark.parametrize(
    ("page", "reason", "value"),
    [
        ("", "min_sentences", 0.0),
        (f"{LINE}\n{LINE}", "min_sentences", 2.0),
        (f"{LINE} {LINE} {LINE}", None, None),
        (f"{LINE}\n" * 3 + "Lorem Ipsum dolor sit amet again.", "max_lorem_ipsum_lines", 1.0),
        (f"{LINE}\n" * 3 + "Lorem Ipsum dolor sit amet again", None, None),  # its line went before
        (f"{LINE}\n" * 3 + "This { is a brace of code.", "max_curly_bracket_lines", 1.0),
        (f"{LINE}\n" * 3 + "This { is JavaScript or the like.", None, None),
        (f"{LINE}\n" * 3 + "This { is a privacy policy again.", "max_curly_bracket_lines", 1.0),
    ],
)
def test_what_drops_a_page(page, reason, value):
    stage = C4Quality()
    outcome = stage.apply(batch_of([page]))
    assert verdicts(stage, outcome) == [reason]
    assert (outcome.value[0] == value) if reason else np.isnan(outcome.value[0])


def test_conventions_are_the_published_numbers():
    found = {name: C4Quality(convention=name) for name in CONVENTIONS}
    assert {name: (stage.min_line_words, stage.min_sentences) for name, stage in found.items()} == {
        "paper": (5, 3),
        "paper_v1": (3, 5),
        "datatrove": (3, 5),
    }
    assert found["paper"].end_marks == (".", "?", "!", '"')
    assert found["datatrove"].end_marks == (".", "?", "!", '"', "'")
    assert C4Quality(convention="datatrove", min_sentences=None).rules() == {
        "max_lorem_ipsum_lines": 0,
        "max_curly_bracket_lines": 0,
    }


def test_words_are_counted_with_citation_marks_by_datatrove_alone():
    page = "Five words [1] [2] here." + f"\n{LINE}" * 5
    assert measured(C4Quality(mode="tag").apply(batch_of([page])))[0]["few_words_lines"] == 1
    stage = C4Quality(convention="datatrove", min_line_words=5, mode="tag")
    assert measured(stage.apply(batch_of([page])))[0]["few_words_lines"] == 0


def test_edits_are_accounted_by_reason_and_apart_from_drops():
    kept = f"{LINE}\r\n{LINE}[1]\n  {LINE}\nMenu\nToo few words.\n"
    dropped = f"{LINE}\nMenu\n"
    stage = C4Quality()
    outcome = stage.apply(batch_of([kept, dropped]))
    assert verdicts(stage, outcome) == [None, "min_sentences"]
    assert outcome.text.to_pylist() == ["\n".join([LINE] * 3), dropped]
    assert outcome.edits == {
        "no_end_mark": Edit(1, 5),
        "few_words": Edit(1, 15),
        "citations": Edit(1, 3),
        "white_space": Edit(1, 4),
    }


def test_an_odd_line_end_is_an_edit_of_no_bytes():
    outcome = C4Quality().apply(batch_of([f"{LINE}\r{LINE}\x0b{LINE}"]))
    assert outcome.text.to_pylist() == ["\n".join([LINE] * 3)]
    assert outcome.edits == {"white_space": Edit(1, 0)}


def test_nothing_to_do_is_no_edit():
    outcome = C4Quality().apply(batch_of(["\n".join([LINE] * 3)]))
    assert (outcome.text, outcome.edits) == (None, {})


def test_mode_tag_touches_no_text():
    outcome = C4Quality(mode="tag").apply(batch_of([f"{LINE}\nmenu", "{"]))
    assert (outcome.text, outcome.edits) == (None, {})
    assert {name: column.type for name, column in outcome.measures.items()} == dict(C4Quality(mode="tag").measures())


def test_all_reasons_are_listed_on_request():
    stage = C4Quality(reasons="all")
    failed = stage.apply(batch_of(["lorem ipsum { and so on."])).failed.to_pylist()[0]
    assert [(list(stage.rules())[each["rule"] - 1], each["value"], each["threshold"]) for each in failed] == [
        ("max_lorem_ipsum_lines", 1.0, 0.0),
        ("max_curly_bracket_lines", 1.0, 0.0),
        ("min_sentences", 1.0, 3.0),
    ]


@pytest.fixture
def bad_words(tmp_path):
    path = tmp_path / "bad.txt"
    path.write_text("darn\nhot dog\n s&m \n\ndarn\n", "utf-8")
    return str(path)


@pytest.mark.parametrize(
    ("line", "paper", "datatrove"),
    [
        ("It is a darn long line.", 1, 1),
        ("It is a Darn, long line.", 1, 1),
        ("Darn it is a long line.", 0, 1),  # C4's code wants a character before it
        ("It is a darned long line.", 0, 0),
        ("It is édarné in a line.", 1, 0),  # é is none of a to z, and a letter
        ("It is darn darn long indeed.", 1, 2),  # in C4's expression one space does not border both
        ("It is a HOT DOG all right.", 1, 1),
        ("It is a s&m line as well.", 1, 1),
        ("It is hot\ndog all the way here.", 0, 0),
    ],
)
def test_bad_words(bad_words, line, paper, datatrove):
    page = f"{LINE}\n{line}\n" + f"{LINE}\n" * 4
    for convention, count in (("paper", paper), ("datatrove", datatrove)):
        stage = C4Quality(convention=convention, bad_words=bad_words, terminal_punctuation=False, min_line_words=1)
        outcome = stage.apply(batch_of([page]))
        assert verdicts(stage, outcome) == ["max_bad_words" if count else None]
        assert outcome.measures["bad_words"].to_pylist() == [count]


def test_bad_words_of_scripts_without_spaces(tmp_path):
    (tmp_path / "zh.txt").write_text("坏词\n", "utf-8")
    stage = C4Quality(bad_words=str(tmp_path / "zh.txt"), bad_word_borders=False, min_line_words=0, end_marks=["。"])
    assert stage.apply(batch_of(["这是坏词。坏词。好。"])).measures["bad_words"].to_pylist() == [2]


def test_a_word_of_a_line_that_goes_does_not_count(bad_words):
    stage = C4Quality(bad_words=bad_words)
    assert verdicts(stage, stage.apply(batch_of([f"{LINE}\n" * 3 + "such a darn thing is a menu"]))) == [None]


def test_the_list_is_part_of_the_identity_and_its_path_is_not(tmp_path):
    first, second = tmp_path / "a.txt", tmp_path / "b.txt"
    first.write_text("darn")
    second.write_text("darn")
    assert C4Quality(bad_words=str(first)).identity() == C4Quality(bad_words=str(second)).identity()
    second.write_text("darn\nheck")
    assert C4Quality(bad_words=str(first)).identity() != C4Quality(bad_words=str(second)).identity()


def test_lists_that_cannot_be_used(tmp_path):
    empty, wrong = tmp_path / "empty.txt", tmp_path / "wrong.txt"
    empty.write_text("\n \n")
    wrong.write_bytes(b"darn\n\xff\n")
    for path, message in (
        (tmp_path / "none.txt", "cannot be read: No such file"),
        (tmp_path, "is a folder, not a file"),
        (empty, "is empty: expected text, a word or a phrase a line"),
        (wrong, r"is not UTF-8 \(byte 5\)"),
    ):
        with pytest.raises(InputError, match=message):
            C4Quality(bad_words=str(path)).identity()


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"convention": "c4"}, "convention\n.*'paper', 'paper_v1' or 'datatrove'"),
        ({"min_sentences": -1}, "min_sentences\n.*greater than or equal to 0"),
        ({"max_word_characters": 0}, "max_word_characters\n.*greater than or equal to 1"),
        ({"min_line_words": 2.5}, "min_line_words\n.*valid integer"),
        ({"end_marks": ["..."]}, "end mark '...' is not a single character"),
        ({"end_marks": [" "]}, "end mark ' ' is not a single character"),
        ({"terminal_punctuation": "no"}, "terminal_punctuation\n.*valid boolean"),
    ],
)
def test_wrong_parameters(parameters, message):
    with pytest.raises(ValidationError, match=message):
        C4Quality(**parameters)


def test_hostile_texts_take_linear_time():
    line = "ab. {[1 lorem \u2019 " * 60_000  # a line of a megabyte
    for text in (
        line,
        "\n" * 1_000_000,
        "[" * 500_000,
        "[1" * 500_000,
        ". " * 500_000,
        "e\u0301\u200f" * 200_000,
        "\u2028" * 300_000,
    ):
        stage = C4Quality(mode="tag", terminal_punctuation=False, min_line_words=0, max_word_characters=None)
        assert measured(stage.apply(batch_of([text])))[0]["lines"] == len(text.splitlines())


def test_a_run_accounts_edits_and_drops_apart():
    pages = [f"{LINE}\n{LINE}[1]\nMenu\n{LINE}", "This { is a brace of code.", LINE]
    result = curate(pa.table({"text": pages}), [{"c4_quality": {}}])
    assert result.kept["text"].to_pylist() == ["\n".join([LINE] * 3)]
    assert result.dropped["reason"].to_pylist() == ["max_curly_bracket_lines", "min_sentences"]
    (stage,) = result.report["stages"]
    assert stage["edits"] == {
        "no_end_mark": {"documents": 1, "bytes": 5},
        "citations": {"documents": 1, "bytes": 3},
    }
    sizes = [len(page) for page in pages]
    assert stage["bytes_in"] - stage["bytes_out"] == 5 + 3 + sizes[1] + sizes[2]
    tagged = curate(pa.table({"text": pages}), [{"c4_quality": {"mode": "tag"}}]).kept
    assert tagged["text"].to_pylist() == pages
    assert tagged["c4_quality.no_end_mark_lines"].to_pylist() == [1, 0, 0]
