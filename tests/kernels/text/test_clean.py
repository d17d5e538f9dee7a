from __future__ import annotations

import unicodedata

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from naive.normalize import is_control, normalize
from naive.text import is_invisible
from support.forms import some

from corpuscurate.core.columns import TEXT, from_buffers, text_buffers
from corpuscurate.kernels.text.clean import (
    HAS_CONTROL,
    HAS_FORM,
    HAS_INVISIBLE,
    HAS_OTHER,
    HAS_RETURN,
    clean,
    find_needs,
)
from corpuscurate.kernels.text.unicode import NOT_NFC, NOT_NFD, NOT_NFKC, NOT_NFKD, tables

FORMS = {"NFC": NOT_NFC, "NFD": NOT_NFD, "NFKC": NOT_NFKC, "NFKD": NOT_NFKD}
INVISIBLE = "\u00ad\u034f\ufe0f\U000e0041\u200b"
ODD = st.sampled_from(
    "\r\n\t\0\x07\x0b\x0c\x1c\x7f\x80\x85\x9f﻿￾￿﷐\U0001fffea e\u0301\u0323é각ᄀ\u1161\u11a8ﬁ²\u200dÅ" + INVISIBLE
)
TEXTS = st.lists(st.text(st.one_of(st.characters(codec="utf-8"), ODD), max_size=30), max_size=5)


def needs_of(array, form=0):
    out = np.empty(len(array), np.uint8)
    count = find_needs(*text_buffers(array), tables(), form, out)
    assert count == np.count_nonzero(out)
    return out.tolist()


def cleaned(array, line_ends=True, control=True, invisible=False):
    offsets, data = text_buffers(array)
    changes = np.full((len(array), 6), -1, np.int64)
    new = np.empty(len(array) + 1, np.int64)
    out = np.empty(int(offsets[-1] - offsets[0]), np.uint8)
    size = clean(offsets, data, tables(), line_ends, control, invisible, changes, new, out)
    return from_buffers(new, out[:size]).to_pylist(), changes.tolist()


@pytest.mark.parametrize(
    ("text", "needs"),
    [
        ("", 0),
        ("plain\n\ttext ~", 0),
        ("a\r\nb", HAS_RETURN),
        ("a\x00", HAS_CONTROL),
        ("\x7f", HAS_CONTROL),
        ("é", HAS_OTHER),
        ("e\u0301", HAS_OTHER | HAS_FORM),
        ("x\u0323\u0301", HAS_OTHER | HAS_FORM),
        ("\u0915\u094d", HAS_OTHER),  # a virama composes with nothing
        ("\u0628\u0651\u064b", HAS_OTHER | HAS_FORM),  # classes 33, 27: out of order
        ("\u0628\u064b\u0651", HAS_OTHER),
        ("\ufeffa", HAS_OTHER | HAS_CONTROL | HAS_INVISIBLE),
        ("\x85", HAS_OTHER | HAS_CONTROL),
        ("\u200d\u200f", HAS_OTHER | HAS_INVISIBLE),
        ("a\u200b\u00a0", HAS_OTHER),
    ],
)
def test_needs_golden(text, needs):
    assert needs_of(pa.array(["x\u0301", text], TEXT).slice(1), NOT_NFC) == [needs]


@settings(max_examples=some(300), deadline=None)
@given(TEXTS, st.sampled_from(sorted(FORMS)))
def test_needs_by_their_definitions(texts, form):
    for text, needs in zip(texts, needs_of(pa.array(texts, TEXT), FORMS[form]), strict=True):
        assert bool(needs & HAS_RETURN) == ("\r" in text)
        assert bool(needs & HAS_CONTROL) == any(map(is_control, text))
        assert bool(needs & HAS_INVISIBLE) == any(map(is_invisible, text))
        assert bool(needs & HAS_OTHER) == (not text.isascii())
        assert needs & HAS_FORM or unicodedata.is_normalized(
            form, text
        )  # the quick check may say maybe, never wrongly no


@pytest.mark.parametrize(
    ("text", "expected", "changes"),
    [
        ("a\r\nb\rc\n", "a\nb\nc\n", [2, 1, 0, 0, 0, 0]),
        ("\r\r\n\n\r", "\n\n\n\n", [3, 1, 0, 0, 0, 0]),
        ("a\0b\x0cc\x85d", "ab c d", [0, 0, 3, 2, 0, 0]),
        ("\ufeffa\uffff\U0010ffff", "a", [0, 0, 3, 10, 0, 0]),
        ("\r\0\n", "\n\n", [1, 0, 1, 1, 0, 0]),
        ("co\u00adop\u200b \u200d❤\ufe0f\ufeff\U000e0041", "coop\u200b ❤", [0, 0, 1, 3, 4, 12]),
    ],
)
def test_clean_golden(text, expected, changes):
    assert cleaned(pa.array([text], TEXT), invisible=True) == ([expected], [changes])


@settings(max_examples=some(300), deadline=None)
@given(TEXTS, st.booleans(), st.booleans(), st.booleans(), st.integers(0, 2))
def test_clean_equal_to_the_twin(texts, line_ends, control, invisible, start):
    array = pa.array(texts, TEXT).slice(start)
    found, changes = cleaned(array, line_ends, control, invisible)
    assert found == [normalize(text, "none", line_ends, control, invisible) for text in texts[start:]]
    for old, new, row in zip(texts[start:], found, changes, strict=True):
        assert len(old.encode()) - len(new.encode()) == row[1] + row[3] + row[5]
        assert row[0] == (old.count("\r") if line_ends else 0)
        assert row[2] == (sum(map(is_control, old)) if control else 0)
        gone = [char for char in old if is_invisible(char) and not (control and is_control(char))]
        assert row[4:] == ([len(gone), sum(len(char.encode()) for char in gone)] if invisible else [0, 0])
