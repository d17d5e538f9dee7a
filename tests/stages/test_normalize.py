from __future__ import annotations

import os
import unicodedata
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from naive.normalize import normalize as naive_normalize
from pydantic import ValidationError
from support.forms import some

from corpuscurate.core.batch import Batch
from corpuscurate.core.columns import TEXT
from corpuscurate.core.errors import MissingExtraError
from corpuscurate.core.stage import Edit
from corpuscurate.stages.normalize import Normalize

EXAMPLES = [{"invisible": True}, {}, {"form": "nfkd"}, {"form": "none", "line_ends": False}]

FORMS = ["nfc", "nfkc", "nfd", "nfkd", "none"]
ODD = st.sampled_from(
    "\r\n\0\x0c\x85﻿\U0001fffea e\u0301\u0323é각ᄀ\u1161\u11a8ﬁ²\u200d\u00ad\u034f\ufe0fÅ\u0344\u0958\u2126"
)
assigned = st.characters(codec="utf-8", exclude_categories=["Cs", "Cn", "Co"])
TEXTS = st.lists(st.text(st.one_of(assigned, ODD), max_size=30), max_size=6)


def batch_of(texts):
    return Batch(np.arange(len(texts), dtype=np.uint64), pa.array(texts, TEXT), np.zeros(len(texts), np.int64))


def texts_after(stage, texts):
    batch = batch_of(texts)
    outcome = stage.apply(batch)
    return (batch.text if outcome.text is None else outcome.text).to_pylist()


@pytest.mark.parametrize("form", FORMS)
@settings(max_examples=some(150), deadline=None)
@given(texts=TEXTS, line_ends=st.booleans(), control=st.booleans(), invisible=st.booleans())
def test_equal_to_the_twin_and_idempotent(form, texts, line_ends, control, invisible):
    stage = Normalize(form=form, line_ends=line_ends, control=control, invisible=invisible)
    once = texts_after(stage, texts)
    assert once == [naive_normalize(text, form, line_ends, control, invisible) for text in texts]
    assert stage.apply(batch_of(once)).text is None


def test_nothing_to_do_leaves_the_array_alone():
    texts = ["plain", "naïve\n\ttext", "漢字", "की", "\u200d\u200e\u00ad\u00a0", "각"]
    outcome = Normalize().apply(batch_of([unicodedata.normalize("NFC", text) for text in texts]))
    assert outcome.text is None
    assert outcome.edits == {}
    assert outcome.reason is None


def test_edits_are_accounted_by_reason():
    texts = ["a\r\nb\r\n", "\ufeffx\0", "e\u0301", "fine", "\u0958"]
    outcome = Normalize().apply(batch_of(texts))
    assert outcome.text.to_pylist() == ["a\nb\n", "x", "é", "fine", "\u0915\u093c"]
    assert outcome.edits == {
        "line_ends": Edit(1, 2),
        "control": Edit(1, 4),
        "unicode_form": Edit(2, 1 - 3),  # e + accent saves a byte, the nukta letter costs three
    }


def test_only_what_changed_is_counted():
    maybe = "\u1100\u1100 x\u0301"  # may compose, but does not
    assert unicodedata.is_normalized("NFC", maybe)
    assert Normalize().apply(batch_of([maybe])).edits == {}


def test_taking_out_a_control_character_can_make_a_form_necessary():
    assert texts_after(Normalize(), ["e\0\u0301"]) == ["é"]


def test_white_space_among_control_characters_never_glues_words():
    assert texts_after(Normalize(), ["one\x0ctwo\x85three\x1ffour\0five"]) == ["one two three fourfive"]


def test_what_carries_meaning_stays():
    text = (
        "می\u200cخواهم \u200dक्\u200d \u200e\u200f\u202a\u202c\u2066\u2069 soft\u00adhyphen \u00a0\u2028\u2029 ❤\ufe0f"
    )
    assert texts_after(Normalize(), [text]) == [text]


def test_invisible_characters_go_where_wanted():
    text = "Unter\u00adsuchungs\u00adbericht \u2060word\ufeff \u200eleft\u200f zero\u200bwidth ❤\ufe0f e\u200d\u0301"
    outcome = Normalize(invisible=True).apply(batch_of([text, "plain", "é"]))
    assert outcome.text.to_pylist() == ["Untersuchungsbericht word left zero\u200bwidth ❤ é", "plain", "é"]
    assert outcome.edits == {"control": Edit(1, 3), "invisible": Edit(1, 19), "unicode_form": Edit(1, 1)}
    assert Normalize(invisible=True, control=False).apply(batch_of(["\ufeffa"])).edits == {"invisible": Edit(1, 3)}


def test_slices():
    batch = batch_of(["a\r", "b\r\n", "c", "e\u0301"]).slice(1, 4)
    assert Normalize().apply(batch).text.to_pylist() == ["b\n", "c", "é"]


@pytest.mark.parametrize("form", ["NFC", "NFD", "NFKC", "NFKD"])
def test_arrow_agrees_with_unicodedata_on_every_assigned_character(form):
    chars = [chr(c) for c in range(0x110000) if not 0xD800 <= c < 0xE000 and unicodedata.category(chr(c)) != "Cn"]
    found = pc.utf8_normalize(pa.array(chars, TEXT), form=form).to_pylist()
    assert [hex(ord(c)) for c, new in zip(chars, found, strict=True) if new != unicodedata.normalize(form, c)] == []


def test_fix_encoding_repairs_mojibake_only():
    pytest.importorskip("ftfy")
    stage = Normalize(fix_encoding=True)
    texts = ["schÃ¶n", "schön", "plain", "l’humanitÃ©", "âœ” No problems\r\n"]
    outcome = stage.apply(batch_of(texts))
    assert outcome.text.to_pylist() == ["schön", "schön", "plain", "l’humanité", "✔ No problems\n"]
    assert outcome.edits["encoding"].documents == 3
    assert outcome.edits["line_ends"] == Edit(1, 1)
    assert texts_after(stage, outcome.text.to_pylist()) == outcome.text.to_pylist()


def test_a_missing_ftfy_is_named(monkeypatch):
    monkeypatch.setattr("corpuscurate.stages.normalize.find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=r"pip install 'corpuscurate\[ftfy\]'"):
        Normalize(fix_encoding=True)


def test_wrong_parameters():
    with pytest.raises(ValidationError, match="'nfc', 'nfkc', 'nfd', 'nfkd' or 'none'"):
        Normalize(form="NFC")


@pytest.mark.parametrize("form", ["nfc", "nfkd"])
def test_equal_to_the_twin_on_real_documents(form):
    data = os.environ.get("CORPUSCURATE_DATA")
    if not data:
        pytest.skip("CORPUSCURATE_DATA is not set")
    import gzip

    import orjson

    texts = []
    for path in sorted(Path(data, "multilingual").glob("*.jsonl.gz")):
        with gzip.open(path) as lines:
            texts += [orjson.loads(line)["text"] for at, line in enumerate(lines) if at % 40 == 0]
    assert len(texts) > 500
    assert texts_after(Normalize(form=form), texts) == [naive_normalize(text, form) for text in texts]
