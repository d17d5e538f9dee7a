from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from naive.text import BULLETS, STOP_WORDS, gopher_statistics
from support.forms import some

from corpuscurate.core.columns import TEXT, text_buffers
from corpuscurate.core.spans import words_of
from corpuscurate.kernels.text.gopher import STATISTICS, count_statistics, strings
from corpuscurate.kernels.text.unicode import tables

PIECE_LINE = "the The, THAT “be” of to. wiTH \u212a ſ the\u0301 - * • ... .. . … # ## é 漢 ß İ a 1 𝒳"
INVISIBLE_PIECES = "th\u00ade \ufeffbe\ufe0f \ufe0fto \u00ad"
BLANKS = [" ", "  ", "\n", "\n\n", "\r\n", "\t", "\u2003", "\x85", "\x1c", "• "]
PIECES = st.sampled_from([*PIECE_LINE.split(), *INVISIBLE_PIECES.split(), *BLANKS])
TEXTS = st.one_of(st.text(st.characters(codec="utf-8"), max_size=80), st.lists(PIECES, max_size=40).map("".join))


def statistics_of(array, bullets=BULLETS, stop_words=STOP_WORDS):
    out = np.empty((len(array), len(STATISTICS)), np.int64)
    stops = strings([word.casefold() for word in stop_words])
    words = words_of(array, "runs")
    spans = (words.first, words.starts, words.stops)
    assert count_statistics(*text_buffers(array), *spans, tables(), strings(bullets), stops, out) == len(array)
    return [dict(zip(STATISTICS, row, strict=True)) for row in out.tolist()]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", {}),
        (" \n\u3000\n", {}),
        ("a", {"words": 1, "characters": 1, "lines": 1, "alphabetic_words": 1}),
        ("......", {"words": 1, "characters": 6, "ellipses": 2, "lines": 1, "ellipsis_lines": 1}),
        (".. .", {"words": 2, "characters": 3, "lines": 1}),
        (
            "a....\n…\r\n",
            {"words": 2, "characters": 6, "ellipses": 2, "lines": 2, "ellipsis_lines": 2, "alphabetic_words": 1},
        ),
        (
            "# ##\n\n- x",
            {"words": 4, "characters": 5, "hashes": 3, "lines": 2, "bullet_lines": 1, "alphabetic_words": 1},
        ),
        (" \u2003• é", {"words": 2, "characters": 2, "lines": 1, "bullet_lines": 1, "alphabetic_words": 1}),
        (
            '"The" the, (THAT) t\u0301he',
            {"words": 4, "characters": 19, "lines": 1, "alphabetic_words": 4, "stop_words": 2},
        ),
        (
            "\ufeffTh\u00ade \ufe0fbe\u200e, of\u200b",
            {"words": 3, "characters": 13, "lines": 1, "alphabetic_words": 3, "stop_words": 3},
        ),
        ("to-be _of_ 2b", {"words": 3, "characters": 11, "lines": 1, "alphabetic_words": 3, "stop_words": 1}),
    ],
)
def test_golden(text, expected):
    expected = dict.fromkeys(STATISTICS, 0) | expected
    assert gopher_statistics(text) == expected
    assert statistics_of(pa.array([text], TEXT)) == [expected]


@settings(max_examples=some(500), deadline=None)
@given(st.lists(TEXTS, max_size=4))
def test_equal_to_the_twin(texts):
    assert statistics_of(pa.array(texts, TEXT)) == [gopher_statistics(text) for text in texts]


@settings(max_examples=some(100), deadline=None)
@given(
    st.lists(TEXTS, max_size=3),
    st.sets(st.sampled_from(["->", "• ", "é", "**", "*", "漢字"])),
    st.sets(st.sampled_from(["straße", "k", "é", "e\u0301", "है", "s", "ss", "а", "𝒳", "漢", "the\u0301"]), max_size=6),
)
def test_equal_to_the_twin_with_other_lists(texts, bullets, stops):
    extra = ["STRASSE Straße", "-> • x", "है।", *texts]
    expected = [gopher_statistics(text, tuple(bullets), tuple(stops)) for text in extra]
    assert statistics_of(pa.array(extra, TEXT), tuple(bullets), tuple(stops)) == expected


def test_a_slice_sees_only_its_own_bytes():
    texts = ["...", "", "..", "…", "the", "be"]
    array = pa.array(texts, TEXT)
    for start in range(len(texts)):
        for stop in range(start, len(texts) + 1):
            expected = [gopher_statistics(text) for text in texts[start:stop]]
            assert statistics_of(array.slice(start, stop - start)) == expected


def test_many_stop_words():
    stops = [f"w{n}" for n in range(1000)]
    text = " ".join(f"({word.upper()})" for word in stops[::3]) + " w1000 w"
    assert statistics_of(pa.array([text], TEXT), BULLETS, stops)[0]["stop_words"] == len(stops[::3])
