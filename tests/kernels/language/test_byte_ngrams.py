from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from naive import language as naive
from support.forms import some

from corpuscurate.core.columns import text_buffers
from corpuscurate.kernels.language.byte_ngrams import COUNTS, LANE_BYTES, LANES, ByteNgrams, byte_ngram_scores

NGRAMS = [b"a", b"ab", b"b", b"abc", b"ca", "é".encode(), b"\xc3", b"zzzz", b" "]
SCALE = 4.0
TABLE = [[-((7 * f + 5 * c) % 13) - 1.25 * (c + 1) for c in range(5)] for f in range(len(NGRAMS))]
PRIOR = [-1.0, -2.5, -0.5, -3.0, -1.5]


def model() -> ByteNgrams:
    states = naive.states_of(NGRAMS)
    moves = [[states.index(naive.next_state(set(states), state, byte)) for byte in range(256)] for state in states]
    codes = [((NGRAMS.index(s) + 1 if s in NGRAMS else 0) << 32) | (i << 8) for i, s in enumerate(states)]
    table = np.zeros((len(NGRAMS) + 1, 16), np.int16)
    table[:-1, :5] = np.array(TABLE) * SCALE
    flat = np.array(moves, np.uint32).reshape(-1)
    return ByteNgrams(flat, np.array(codes, np.uint64), 4, table.reshape(-1), 16, SCALE, np.array(PRIOR))


MODEL = model()


def scores(texts, label_of=range(5)):
    offsets, data = text_buffers(pa.array(texts, pa.large_binary()))
    labels, found = np.empty((len(texts), 2), np.int64), np.empty((len(texts), 2))
    mapped = np.array(label_of, np.int64)
    byte_ngram_scores(offsets[:-1], offsets[1:], data, MODEL, mapped, int(mapped.max()) + 1, labels, found)
    return labels.tolist(), found.tolist()


def best_two(text, label_of=range(5)):
    p = naive.probabilities(NGRAMS, TABLE, PRIOR, text)
    if p is None:
        return [0.0, 0.0]
    sums = [0.0] * (max(label_of) + 1)
    for c, value in enumerate(p):
        sums[label_of[c]] += value
    return sorted(sums, reverse=True)[:2]


PIECES = st.sampled_from([b"a", b"b", b"c", b"z", b" ", "é".encode(), b"\xff", b"abcabc" * 30, b"zzz"])
TEXT_BYTES = st.lists(PIECES, max_size=40).map(b"".join)


@settings(max_examples=some(60))
@given(st.lists(TEXT_BYTES, max_size=4))
def test_equal_to_the_definition(texts):
    labels, found = scores(texts)
    for label, pair, text in zip(labels, found, texts, strict=True):
        p = naive.probabilities(NGRAMS, TABLE, PRIOR, text)
        assert pair == pytest.approx(best_two(text), abs=1e-9)
        if p is None:
            assert label == [-1, -1]
        else:
            assert [p[each] for each in label] == pytest.approx(pair, abs=1e-9)


def test_classes_of_one_label_add_up():
    labels, found = scores([b"abcab", b""], [0, 1, 0, 1, 0])
    assert found[0] == pytest.approx(best_two(b"abcab", [0, 1, 0, 1, 0]), abs=1e-9)
    assert labels[1] == [-1, -1]


def test_pieces_that_are_walked_side_by_side_count_what_one_walk_counts():
    least = LANES * LANE_BYTES
    whole = (b"abca b\xc3\xa9zzzzz" * 100)[: least * 3]
    for size in [least - 1, least, least + 1, least + 3, 2 * least + 2, len(whole)]:
        for text in (whole[:size], whole[-size:]):
            assert scores([text])[1][0] == pytest.approx(best_two(text), abs=1e-9)


def test_a_feature_that_is_seen_more_often_than_the_table_of_logarithms_is_long():
    for count in (COUNTS - 1, COUNTS, COUNTS + 1, 50 * COUNTS):
        text = b"z" * count + b"ab" * (count // 2)
        assert scores([text])[1][0] == pytest.approx(best_two(text), abs=1e-9)


def test_a_text_knows_nothing_of_the_one_before():
    assert scores([b"abc" * 500, b"zzzz", b"abc" * 500])[1][::2] == scores([b"abc" * 500])[1] * 2
