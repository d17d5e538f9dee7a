from __future__ import annotations

import unicodedata

import numpy as np
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st
from naive import language as naive
from support.forms import some

from corpuscurate.core.columns import TEXT, text_buffers
from corpuscurate.kernels.language.scripts import ALL_UPPER, NEEDS_NFC, script_codes, script_tables, survey

LETTERS = "aBß ŁéΩωЖжعשहไทລខမབ한漢字ひらカナ愛გაአß0-é́̀ǅّ"


def surveyed(texts):
    offsets, data = text_buffers(pa.array(texts, TEXT))
    needs, scripts = np.empty(len(texts), np.uint8), np.empty(len(texts), np.int16)
    survey(offsets[:-1], offsets[1:], data, script_tables(), needs, scripts)
    return needs.tolist(), [script_codes()[each] for each in scripts.tolist()]


@settings(max_examples=some(200))
@given(st.lists(st.text(st.sampled_from(LETTERS), max_size=12), max_size=4))
def test_scripts_as_in_the_names_of_letters(texts):
    assert surveyed(texts)[1] == [naive.script(text) for text in texts]


@settings(max_examples=some(200))
@given(st.lists(st.text(st.characters(codec="utf-8"), max_size=8) | st.text(st.sampled_from(LETTERS), max_size=8)))
def test_what_a_text_needs(texts):
    for text, needs in zip(texts, surveyed(texts)[0], strict=True):
        if all(unicodedata.category(char) != "Cn" for char in text):
            assert bool(needs & ALL_UPPER) == text.isupper()
        if unicodedata.normalize("NFC", text) != text:
            assert needs & NEEDS_NFC


def test_golden():
    texts = ["", "12 !?", "Ελλάδα", "日本", "日本語です", "한국어 한국", "漢字漢字漢字漢字漢字カ", "abc где", "ABC"]
    assert surveyed(texts) == (
        [0, 0, 0, 0, 0, 0, 0, 0, ALL_UPPER],
        ["Zyyy", "Zyyy", "Grek", "Hani", "Jpan", "Hang", "Hani", "Cyrl", "Latn"],
    )
