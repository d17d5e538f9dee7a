import itertools

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from naive.neardup import folded_words, word_hash
from naive.sketches import folded_characters, set_of_units
from support.forms import some

from corpuscurate.core.columns import text_spans
from corpuscurate.kernels.sketch.characters import CHARACTERS, WORDS
from corpuscurate.kernels.sketch.shingle_sets import FEW_UNITS, shingle_sets
from corpuscurate.kernels.sketch.units import unit_bound, units_of
from corpuscurate.kernels.text.folding import CHUNK
from corpuscurate.kernels.text.unicode import tables

TEXT = st.text(
    st.sampled_from("ab cé漢 字ßΐ.\u0301\u00a0\nA9İ\U0001f600กาﬃ\u00ad\u200d\ufe0f_")
    | st.characters(exclude_categories=["Cs"]),
    max_size=90,
)


def units(texts: list[str], unit: int, rows: list[int] | None = None) -> list[list[int]]:
    array = pa.array(["other words", *texts, "x"], pa.large_string()).slice(1, len(texts))
    starts, stops, data = text_spans(array, None if rows is None else np.array(rows, np.int64))
    ends = np.empty(len(starts) + 1, np.int64)
    out = np.empty(unit_bound(starts, stops, unit), np.uint32)
    assert units_of(starts, stops, data, tables(), unit, ends, out) == ends[-1]
    return [out[a:b].tolist() for a, b in itertools.pairwise(ends)]


def expected(text: str, unit: int) -> list[int]:
    if unit == CHARACTERS:
        return [ord(char) for char in folded_characters(text)]
    return [word_hash(word) >> 32 for word in folded_words(text)]


def test_golden():
    assert units(["Straße 1", "", " \n", "a\t\tB"], CHARACTERS) == [
        [ord(char) for char in "strasse 1"],
        [],
        [],
        [97, 32, 98],
    ]
    (twice,) = units(["Cat, cat!"], WORDS)
    assert twice == [word_hash("cat") >> 32] * 2


@settings(max_examples=some(150), deadline=None)
@given(st.lists(TEXT, max_size=5), st.sampled_from([WORDS, CHARACTERS]))
def test_equal_naive(texts, unit):
    assert units(texts, unit) == [expected(text, unit) for text in texts]


@settings(max_examples=some(50), deadline=None)
@given(st.lists(st.tuples(TEXT, st.booleans()), max_size=8), st.sampled_from([WORDS, CHARACTERS]))
def test_of_some_rows_equal_naive(chosen, unit):
    rows = [row for row, (_, wanted) in enumerate(chosen) if wanted]
    texts = [text for text, _ in chosen]
    assert units(texts, unit, rows) == [expected(texts[row], unit) for row in rows]


@settings(max_examples=some(40), deadline=None)
@given(
    st.integers(-70, 20),
    TEXT,
    st.sampled_from(["a", "ab ", "é", "漢", "x1-", "ΐ"]),
    st.sampled_from([WORDS, CHARACTERS]),
)
def test_across_chunks(shift, tail, filler, unit):
    text = (filler * (CHUNK + shift))[: CHUNK + shift] + tail + " end of text"
    assert units([text], unit) == [expected(text, unit)]


@pytest.mark.parametrize("unit", [WORDS, CHARACTERS])
@pytest.mark.parametrize("char", ["ΐ", "ﬃ", "a漢", "é漢", "İ", "\u0345", "漢", "a "])
def test_the_bound_holds_where_text_has_the_most_units(unit, char):
    text = char * (2 * CHUNK)
    assert units([text], unit) == [expected(text, unit)]


UNITS = st.lists(st.integers(0, 2**32 - 1) | st.sampled_from([0, 1, 2, 2**32 - 1]), max_size=40)


@settings(max_examples=some(150), deadline=None)
@given(st.lists(UNITS, min_size=1, max_size=6), st.integers(1, 2 * FEW_UNITS), st.data())
def test_sets_equal_naive(documents, n, data):
    """Any rows, in any order, repeated; they begin where the caller says, and touch nothing before it."""
    chosen = data.draw(st.lists(st.integers(0, len(documents) - 1), max_size=8))
    offsets = np.cumsum([0, *map(len, documents)])
    flat = np.array(list(itertools.chain(*documents)), np.uint32)
    for array in (offsets, flat):
        array.setflags(write=False)
    most = sum(max(1, len(documents[row]) - n + 1) for row in chosen)
    out = np.full(3 + most, 7, np.uint64)
    ends = np.zeros(len(chosen) + 1, np.int64)
    ends[0] = 3
    assert shingle_sets(offsets, flat, np.array(chosen, np.int64), n, ends, out) == ends[-1]
    assert out[:3].tolist() == [7, 7, 7]
    found = [out[a:b].tolist() for a, b in itertools.pairwise(ends)]
    assert found == [sorted(set_of_units(documents[row], n)) for row in chosen]


def test_a_short_document_is_one_shingle_and_differs_from_a_part_of_a_longer():
    assert len(set_of_units([5, 6], 3)) == len(set_of_units([5, 6, 7], 3)) == 1
    assert set_of_units([5, 6], 3) != set_of_units([5, 6, 7], 3)
    assert set_of_units([], 3) == set()


@settings(max_examples=some(100), deadline=None)
@given(st.lists(st.integers(0, 3), max_size=30), st.lists(st.integers(0, 3), max_size=30), st.integers(1, 4))
def test_sets_meet_exactly_where_windows_are_equal(a, b, n):
    def windows(units):
        return {tuple(units[i : i + n]) for i in range(max(1, len(units) - n + 1))} if units else set()

    both = len(set_of_units(a, n) & set_of_units(b, n))
    assert both == len(windows(a) & windows(b))
    assert len(set_of_units(a, n)) == len(windows(a))
