from __future__ import annotations

import math

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from naive.embedding import document, hashes, passages

from corpuscurate.core.columns import text_buffers
from corpuscurate.kernels.embedding.wordvectors import (
    chunk_rows,
    chunk_starts,
    embed_documents,
    fill_table,
    find_rows,
    transpose,
    weight_rows,
    word_bound,
    word_hashes,
)
from corpuscurate.kernels.text.unicode import tables

TEXT = st.lists(
    st.sampled_from(
        ["the", "The", "stone", "ß", "ẞ", "漢字", "กิน", "a1", "don't", "e\u0301t", " ", "-", "\n", "x" * 50]
    ),
    max_size=40,
).map(" ".join)


def column(texts):
    return pa.array(["before", *texts], pa.large_string()).slice(1)


def table(words):
    keys, numbers = np.zeros(64, np.uint64), np.empty(64, np.int32)
    assert fill_table(np.array(words, np.uint64), keys, numbers) == len(words)
    return keys, numbers


@settings(max_examples=60, deadline=None)
@given(st.lists(TEXT | st.text(st.characters(codec="utf-8"), max_size=40), max_size=5))
def test_word_hashes_equal_naive(texts):
    offsets, data = text_buffers(column(texts))
    out, borders = np.empty(word_bound(offsets), np.uint64), np.empty(len(offsets), np.int64)
    size = word_hashes(offsets, data, tables(), borders, out)
    assert [out[borders[i] : borders[i + 1]].tolist() for i in range(len(texts))] == [hashes(text) for text in texts]
    assert size == borders[-1]


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(0, 2**64 - 1), unique=True, max_size=31), st.lists(st.integers(0, 2**64 - 1), max_size=9))
def test_a_table_finds_what_is_in_it(words, others):
    asked = np.array([*words, *others], np.uint64)
    out = np.empty(len(asked), np.int32)
    find_rows(asked, *table(words), out)
    assert out.tolist() == [words.index(word) if word in words else -1 for word in asked.tolist()]


def test_a_table_where_all_words_want_one_slot():
    words = [64 * i + 7 for i in range(30)]
    out = np.empty(31, np.int32)
    find_rows(np.array([*words, 64 * 99 + 7], np.uint64), *table(words), out)
    assert out.tolist() == [*range(30), -1]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 300), max_size=8), st.integers(1, 64))
def test_passages_equal_naive(sizes, chunk):
    offsets = np.cumsum([0, *sizes]).astype(np.int64)
    count = chunk_starts(offsets, chunk, np.empty(0, np.int64))
    out = np.empty(count + 1, np.int64)
    assert chunk_starts(offsets, chunk, out) == count
    assert out.tolist() == passages(sizes, chunk)


def test_passages_by_hand():
    offsets = np.array([0, 0, 5, 105, 105, 201], np.int64)  # 5, 100 and 96 words: 1, 2 and 2 passages
    out = np.empty(6, np.int64)
    assert chunk_starts(offsets, 64, out) == 5
    assert out.tolist() == [0, 5, 55, 105, 153, 201]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(st.integers(-1, 9), max_size=20), max_size=6))
def test_the_matrix_of_passages_equals_its_definition(rows):
    numbers = np.array([number for row in rows for number in row], np.int32)
    starts = np.cumsum([0, *(len(row) for row in rows)]).astype(np.int64)
    ends, columns = np.empty(len(rows) + 1, np.int64), np.empty(len(numbers), np.int32)
    values = np.empty(len(numbers), np.float32)
    size = chunk_rows(starts, numbers, 10, ends, columns, values)
    idf = np.linspace(0, 3, 10)
    weight_rows(ends, columns, idf, values)
    dense = np.zeros((len(rows), 10))
    for i in range(len(rows)):
        dense[i, columns[ends[i] : ends[i + 1]]] = values[ends[i] : ends[i + 1]]
    for i, row in enumerate(rows):
        expected = [idf[number] * (1 + math.log(row.count(number))) if number in row else 0 for number in range(10)]
        length = math.hypot(*expected)
        assert dense[i].tolist() == pytest.approx([x / length for x in expected] if length else dense[i].tolist())
    turned_starts, turned_columns = np.empty(11, np.int64), np.empty(size, np.int32)
    turned = np.empty(size, np.float32)
    transpose(ends, columns[:size], values[:size], turned_starts, turned_columns, turned)
    back = np.zeros((10, len(rows)))
    for i in range(10):
        back[i, turned_columns[turned_starts[i] : turned_starts[i + 1]]] = turned[
            turned_starts[i] : turned_starts[i + 1]
        ]
    assert back.T.tolist() == dense.tolist()


@settings(max_examples=60, deadline=None)
@given(st.lists(TEXT, max_size=5), st.integers(0, 2**63), st.sampled_from([64, 128]))
def test_document_vectors_equal_naive(texts, seed, dimension):
    known = sorted({word for text in ("the stone 漢", "don't x") for word in hashes(text)})
    rng = np.random.default_rng(seed % 1000)
    rows = rng.integers(-127, 128, (len(known), dimension)).astype(np.int8)
    factors = (rng.random(len(known)) / 127).astype(np.float32)
    out = np.full((len(texts), dimension), np.nan, np.float32)
    offsets, data = text_buffers(column(texts))
    unseen = np.float32(1 / math.sqrt(dimension))
    embed_documents(offsets, data, tables(), *table(known), rows, factors, np.uint64(seed), unseen, out)
    by_word = dict(zip(known, rows.astype(float).tolist(), strict=True))
    weights = dict(zip(known, factors.tolist(), strict=True))
    for text, row in zip(texts, out, strict=True):
        assert row.tolist() == pytest.approx(document(text, by_word, weights, seed, dimension), abs=2e-6)


def test_a_text_without_words_has_the_zero_row():
    texts = ["", " \n", "...", "word"]
    out = np.full((4, 64), np.nan, np.float32)
    empty = np.empty((0, 64), np.int8)
    offsets, data = text_buffers(column(texts))
    embed_documents(
        offsets, data, tables(), *table([]), empty, np.empty(0, np.float32), np.uint64(0), np.float32(1), out
    )
    assert not out[:3].any()
    assert np.linalg.norm(out[3]) == pytest.approx(1)
