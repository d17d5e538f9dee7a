from __future__ import annotations

import math

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from naive.embedding import document, hashes, passages, signs
from support.forms import some

from corpuscurate.core.columns import text_buffers
from corpuscurate.kernels.embedding.wordvectors import (
    UNSEEN_SLOTS,
    chunk_rows,
    chunk_starts,
    embed_documents,
    fill_table,
    find_rows,
    term_bound,
    term_hashes,
    transpose,
    weight_rows,
)
from corpuscurate.kernels.text.unicode import tables

TEXT = st.lists(
    st.sampled_from(
        [
            "the",
            "The",
            "stone",
            "ß",
            "ẞ",
            "漢字",
            "กิน",
            "漢",
            "字漢字",
            "a1",
            "don't",
            "e\u0301t",
            " ",
            "-",
            "\n",
            "x" * 50,
        ]
    ),
    max_size=40,
).map(" ".join)


def column(texts):
    return pa.array(["before", *texts], pa.large_string()).slice(1)


def table(words):
    keys, numbers = np.zeros(64, np.uint64), np.empty(64, np.int32)
    assert fill_table(np.array(words, np.uint64), keys, numbers) == len(words)
    return keys, numbers


@settings(max_examples=some(60), deadline=None)
@given(st.lists(TEXT | st.text(st.characters(codec="utf-8"), max_size=40), max_size=5))
def test_terms_equal_naive(texts):
    offsets, data = text_buffers(column(texts))
    out, borders = np.empty(term_bound(offsets), np.uint64), np.empty(len(offsets), np.int64)
    size = term_hashes(offsets, data, tables(), borders, out)
    assert [out[borders[i] : borders[i + 1]].tolist() for i in range(len(texts))] == [hashes(text) for text in texts]
    assert size == borders[-1]


@settings(max_examples=some(50), deadline=None)
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


@settings(max_examples=some(60), deadline=None)
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


@settings(max_examples=some(60), deadline=None)
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


def embedded(texts, words, rows, weights, seed=0, share=0.2, narrow=0.1):
    """float32[n, d]: rows int8[V, d], a row a word."""
    lengths = np.linalg.norm(rows.astype(float), axis=1)
    scales = np.divide(1, lengths, out=np.zeros(len(rows)), where=lengths > 0).astype(np.float32)
    out = np.full((len(texts), rows.shape[1]), np.nan, np.float32)
    offsets, data = text_buffers(column(texts))
    known = *table(words), np.array(words, np.uint64), rows, scales, np.asarray(weights, np.float32)
    embed_documents(offsets, data, tables(), *known, np.uint64(seed), share, narrow, out)
    return out


@settings(max_examples=some(60), deadline=None)
@given(st.lists(TEXT, max_size=5), st.integers(0, 2**63), st.sampled_from([64, 128]))
def test_document_vectors_equal_naive(texts, seed, dimension):
    known = sorted({word for text in ("the stone 漢 漢字", "don't x") for word in hashes(text)})
    rng = np.random.default_rng(seed % 1000)
    rows = rng.integers(-127, 128, (len(known), dimension)).astype(np.int8)
    rows[seed % len(known)] = 0  # a word that was counted, and has no vector
    weights = rng.random(len(known)).astype(np.float32)
    by_word = dict(zip(known, rows.astype(float).tolist(), strict=True))
    own = dict(zip(known, weights.tolist(), strict=True))
    for text, row in zip(texts, embedded(texts, known, rows, weights, seed), strict=True):
        assert row.tolist() == pytest.approx(document(text, by_word, own, seed, dimension, 0.2, 0.1), abs=3e-6)


def test_many_unknown_words_are_added_in_parts():
    words = [f"word{i}" for i in range(UNSEEN_SLOTS // 2 + 5)]
    found = embedded([" ".join(words), "word1 word2"], [], np.empty((0, 64), np.int8), [])
    total = np.array([signs(hashes(word)[0], 0, 64) for word in words]).sum(axis=0)
    np.testing.assert_allclose(found[0], total / np.linalg.norm(total), atol=1e-5)
    np.testing.assert_allclose(found[1], document("word1 word2", {}, {}, 0, 64, 0.2, 0.1), atol=1e-6)


def test_letters_without_spaces_at_the_ends_of_chunks():
    for text in ("กขค" * 3000, "漢" + "x" * 4094 + "漢字", "漢\u0301\u0301\u0301\u0301\u0301" * 900, "a" * 4095 + "漢"):
        offsets, data = text_buffers(column([text]))
        out, borders = np.empty(term_bound(offsets), np.uint64), np.empty(2, np.int64)
        size = term_hashes(offsets, data, tables(), borders, out)
        assert out[:size].tolist() == hashes(text)


def test_a_text_without_words_has_the_zero_row():
    found = embedded(["", " \n", "...", "word"], [], np.empty((0, 64), np.int8), [])
    assert not found[:3].any()
    assert np.linalg.norm(found[3]) == pytest.approx(1)
