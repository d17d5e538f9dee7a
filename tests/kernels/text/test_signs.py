"""The tables of signs against Python's own classes."""

import sys
import unicodedata
from functools import cache

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from naive.lines import CLOSERS, TERMINALS
from support.characters import code_points

from corpuscurate.kernels.text import signs as module
from corpuscurate.kernels.text.signs import (
    BREAK,
    CLOSER,
    DECIMAL,
    DIGIT,
    LETTER,
    SPACE,
    TERMINAL,
    UPPER,
    characters,
    has_words,
    longest_word,
    sign_of,
    signs,
    signs_of,
    skip_space,
    space_words,
    trim_end,
)
from corpuscurate.kernels.text.unicode import unidata_version

CLASSES = {
    SPACE: str.isspace,
    BREAK: lambda char: len(f"a{char}a".splitlines()) > 1,
    UPPER: str.isupper,
    TERMINAL: lambda char: char in TERMINALS,
    CLOSER: lambda char: char in CLOSERS,
    DECIMAL: str.isdecimal,
    DIGIT: str.isdigit,
    LETTER: lambda char: char.isalnum() or char == "_",
}


@cache
def chars():
    return [chr(code) for code in code_points()]


texts = st.text(st.characters(codec="utf-8") | st.sampled_from(" \t\n\u00a0\u2003\u3000ab.é漢"), max_size=30)


@pytest.mark.skipif(unicodedata.unidata_version != unidata_version(), reason="the tables are of another Unicode")
@pytest.mark.parametrize("flag", CLASSES)
def test_a_flag_is_what_python_says(flag):
    s = signs()
    flags = s.flags.reshape(-1, 256)[s.pages].ravel()
    assert [char for char in chars() if CLASSES[flag](char) != bool(flags[ord(char)] & flag)] == []


def test_a_byte_has_the_flags_of_all_characters_that_it_begins():
    s = signs()
    expected = np.zeros(256, np.uint8)
    flags = s.flags.reshape(-1, 256)[s.pages].ravel()
    for point in np.flatnonzero(flags).tolist():
        expected[chr(point).encode()[0]] |= flags[point]
    assert s.bytes.tolist() == expected.tolist()


def test_tables_of_one_s_own():
    s = signs_of(".。😀")
    assert [sign_of(s.pages, s.flags, ord(char)) for char in ".!。😀"] == [TERMINAL, 0, TERMINAL, TERMINAL]


@given(texts, texts, texts)
def test_words_and_white_space_within_a_buffer(before, text, behind):
    data = np.frombuffer((before + text + behind).encode(), np.uint8)
    start = len(before.encode())
    stop = start + len(text.encode())
    s = signs()
    assert skip_space(data, start, stop, s) == stop - len(text.lstrip().encode())
    assert trim_end(data, start, stop, s) == start + len(text.rstrip().encode())
    assert space_words(data, start, stop, s) == len(text.split())
    assert [has_words(data, start, stop, count, s) for count in range(5)] == [
        len(text.split()) >= count for count in range(5)
    ]
    assert longest_word(data, start, stop, s) == max(map(len, text.split()), default=0)
    assert characters(data, start, stop) == len(text)


def test_the_ranges_are_in_order():
    for name in ("BREAKS", "CLOSERS", "TERMINALS", "UPPERS", "DECIMALS", "OTHER_DIGITS"):
        points = list(module.code_points(getattr(module, name)))
        assert points == sorted(set(points))
        assert points[-1] < sys.maxunicode
