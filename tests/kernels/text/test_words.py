from __future__ import annotations

import re

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from naive.text import words as naive_words
from support.forms import some

from corpuscurate.core.columns import TEXT, text_buffers
from corpuscurate.kernels.text.unicode import tables
from corpuscurate.kernels.text.words import count_characters, count_words

INVISIBLE = "\u00ad\u2060\u200c\u200d\u200e\u200f\u202a\u202e\u2066\u2069\ufeff\ufe0f\u034f\U000e0101"
KINDS = st.sampled_from(["unicode", "identifiers"])
MIXED = st.text(
    st.one_of(
        st.characters(codec="utf-8"),
        st.sampled_from("ab1 .'\ńิกะ漢字カ゚々é️०") | st.sampled_from(INVISIBLE + "\u200b_\u0600"),
    ),
    max_size=60,
)


def words_of(texts, kind="unicode"):
    out = np.empty(len(texts), np.int64)
    count_words(*text_buffers(pa.array(texts, TEXT)), tables(kind), out)
    return out.tolist()


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("", 0),
        ("one", 1),
        ("don't stop-me", 4),
        ("naïve cafe\u0301", 2),  # a combining mark belongs to its word
        ("漢字かな", 4),
        ("abc漢字def", 4),
        ("กิน", 2),  # a consonant with its vowel sign, a consonant
        ("が か\u3099", 2),  # composed and decomposed
        ("❤\ufe0f", 0),  # a mark begins no word
        ("x² ½ ①", 3),
        ("\u0301a", 1),
        ("１２３ ๑๒๓", 2),  # digits run together in every script
        ("हिन्दी में", 2),
        ("한국어 단어", 2),
        ("𝒳𝒴 😀", 1),
        ("co\u00adop\u00ader\u00adate \u00ad", 1),
        ("می\u200cخواهم", 1),  # one word in Persian
        ("\u200eone\u200f\u200e two\u2060\ufeffthree", 2),
        ("zero\u200bwidth space", 3),  # a place to break lines between words
        ("漢\ufe00字\u200d", 2),
        ("snake_case __init__", 3),
    ],
)
def test_golden(text, count):
    assert len(naive_words(text)) == count
    assert words_of([text]) == [count]


@settings(max_examples=some(300), deadline=None)
@given(st.lists(MIXED, max_size=5), KINDS)
def test_equal_to_the_twin(texts, kind):
    assert words_of(texts, kind) == [len(naive_words(text, kind)) for text in texts]


@pytest.mark.parametrize("mark", INVISIBLE)
def test_invisible_characters_part_no_words(mark):
    text = "Donau dampf schiff 漢字 é x1"
    everywhere = mark + "".join(char + mark for char in text)
    assert words_of([text, everywhere, mark * 3]) == [7, 7, 0]


def test_identifiers_are_what_the_regular_expression_finds():
    text = "def _own_name(self, __x=1_000): return self._x__ + my.snake_case-kebab _ é_1"
    assert words_of([text], "identifiers") == [len(re.findall(r"\w+", text))]


@settings(max_examples=some(100), deadline=None)
@given(st.lists(MIXED, max_size=5))
def test_characters(texts):
    out = np.empty(len(texts), np.int64)
    count_characters(*text_buffers(pa.array(texts, TEXT)), out)
    assert out.tolist() == [len(text) for text in texts]


def test_slices():
    array = pa.array(["zero one", "two", "three four five"], TEXT).slice(1)
    out = np.empty(2, np.int64)
    assert count_words(*text_buffers(array), tables(), out) == 2
    assert out.tolist() == [1, 3]
