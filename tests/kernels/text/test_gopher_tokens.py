"""datatrove's Gopher statistics against plain Python."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from naive.text import STOP_WORDS, datatrove_statistics, is_datatrove_punctuation
from support.forms import some

from corpuscurate.core.columns import TEXT, text_buffers
from corpuscurate.core.spans import words_of
from corpuscurate.kernels.text.gopher import strings
from corpuscurate.kernels.text.gopher_tokens import (
    PUNCTUATION_RANGES,
    STATISTICS,
    count_token_statistics,
    statistic_classes,
)

PIECES = [
    "the",
    "The",
    "be,",
    "to",
    "of.",
    "•",
    "-",
    "●",
    "*",
    "…",
    "...",
    "..",
    ".",
    "#",
    "##",
    "é",
    "漢",
    "ß",
    "a",
    "1",
    "𝒳",
    "\u200b",
    "don't",
    "…",
    "-x",
    "•x",
]
BLANKS = [" ", "\n", "\n\n", "\r\n", "\r", "\n\r", "\t", "\u2003", "\x85", "\x1c", "\x1f", "\x0b", "\u2028", "\u2029"]
TEXTS = st.one_of(
    st.text(st.characters(codec="utf-8"), max_size=80),
    st.lists(st.sampled_from(PIECES + BLANKS), max_size=40).map("".join),
)


def statistics_of(texts, bullets=("•", "-"), stop_words=STOP_WORDS):
    array = pa.array(["...", *texts, "..."], TEXT).slice(1, len(texts))
    spans = words_of(array, "tokens")
    out = np.empty((len(array), len(STATISTICS)), np.int64)
    done = count_token_statistics(
        *text_buffers(array),
        spans.first,
        spans.starts,
        spans.stops,
        statistic_classes(),
        strings(bullets),
        strings(stop_words),
        out,
    )
    assert done == len(array)
    return [dict(zip(STATISTICS, row, strict=True)) for row in out.tolist()]


def expected_of(text, *lists):
    found = datatrove_statistics(text, *lists)
    return {name: found.get(name, found["alphabetic_words"]) for name in STATISTICS}


def test_golden():
    text = "The end, the “#1” don't...\r\n\n - be…  \n"
    assert statistics_of([text])[0] == {
        "tokens": 14,  # The end , the “ # 1 ” do n't ... - be …
        "words": 7,
        "characters": 17,
        "hashes": 1,
        "ellipses": 2,
        "lines": 3,
        "bullet_lines": 1,
        "ellipsis_lines": 2,
        "alphabetic_tokens": 6,
        "stop_words": 2,  # the, be
    }
    assert expected_of(text) == statistics_of([text])[0]


@settings(max_examples=some(500), deadline=None)
@given(st.lists(TEXTS, max_size=4))
@example(["...", "....", ".. .", "... .", "…...", "x...\n\n...y", "a\r", "\n", "\r\n\r", "- \n-", "•"])
def test_equal_to_the_twin(texts):
    assert statistics_of(texts) == [expected_of(text) for text in texts]
    lists = (("->", "•", "漢"), ("é", "don't", "n't", "the", "thee"))
    assert statistics_of(texts, *lists) == [expected_of(text, *lists) for text in texts]


def test_the_punctuation():
    listed = {code for first, last in PUNCTUATION_RANGES for code in range(first, last + 1)}
    codes = [code for code in range(0x20000) if not 0xD800 <= code < 0xE000]
    assert listed == {code for code in codes if is_datatrove_punctuation(chr(code))}


def test_what_spans_of_no_tokens_give():
    assert statistics_of([]) == []
    assert [row["tokens"] for row in statistics_of(["", " \n "])] == [0, 0]


@pytest.mark.parametrize("size", [10, 3_000_000])
def test_one_word_of_any_length(size):
    assert statistics_of(["x" * size])[0] == {
        **dict.fromkeys(STATISTICS, 0),
        **dict.fromkeys(["tokens", "words", "lines", "alphabetic_tokens"], 1),
        "characters": size,
    }
