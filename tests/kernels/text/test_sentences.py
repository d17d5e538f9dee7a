"""Sentences against their twin, and by hand."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from naive.lines import sentences
from support.lines import real_documents, texts

from corpuscurate.core.columns import TEXT, text_buffers
from corpuscurate.kernels.text.sentences import count_sentences, find_sentences
from corpuscurate.kernels.text.signs import signs


def found(documents):
    """The sentences of each document, with a document before and behind, so that blocks reach beyond."""
    column = pa.array(["a. b! ", *documents, "? c. d"], TEXT).slice(1, len(documents))
    offsets, data = text_buffers(column)
    counts = np.empty(len(documents), np.int64)
    total = count_sentences(offsets, data, signs(), counts)
    assert total == counts.sum()
    starts, stops = np.empty(total, np.int64), np.empty(total, np.int64)
    assert find_sentences(offsets, data, signs(), starts, stops) == total
    pieces = iter(data[start:stop].tobytes().decode() for start, stop in zip(starts, stops, strict=True))
    return [[next(pieces) for _ in range(count)] for count in counts]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        (" \n\t\n", []),
        ("No mark at all", ["No mark at all"]),
        ("One. Two! Three?", ["One.", "Two!", "Three?"]),
        ('He said "yes." Then (so he did.) left.', ['He said "yes."', "Then (so he did.)", "left."]),
        ("Wait... what? Wait.. so.", ["Wait... what?", "Wait.. so."]),
        ("J. Smith of the U.S. Army came. So did I. No.", ["J. Smith of the U.S. Army came.", "So did I. No."]),
        ("NATO. Then 3.14 of example.com.", ["NATO.", "Then 3.14 of example.com."]),
        ("What?! ... No.", ["What?!", "... No."]),
        ("What? ! ! No.", ["What? ! !", "No."]),
        ("!!! Wow", ["!!!", "Wow"]),
        ("A line\nand another. It ends", ["A line", "and another.", "It ends"]),
        ("这是。那是！好", ["这是。", "那是！", "好"]),
        ("यह है। वह है॥", ["यह है।", "वह है॥"]),
        ("so. a", ["so.", "a"]),
        ("Mr. Smith", ["Mr.", "Smith"]),
    ],
)
def test_golden(text, expected):
    assert found([text]) == [expected]
    assert sentences(text) == expected


@given(st.lists(texts, max_size=6))
def test_equal_to_the_twin(documents):
    assert found(documents) == [sentences(text) for text in documents]


def test_equal_to_the_twin_on_real_documents():
    documents = real_documents(197)
    assert found(documents) == [sentences(text) for text in documents]


def test_every_script_s_marks_end_a_sentence():
    for mark in "։؟۔܀߹࠷।၊።᙮᜵។᠃᥄᪨᭚᰻᱾‼⁇⸮⸼⹓。꓿꘎꛳꡶꣎꤯꧈꩝꫰꯫﹒﹖！．？｡":
        assert found([f"ab{mark}cd"]) == [[f"ab{mark}", "cd"]], mark
