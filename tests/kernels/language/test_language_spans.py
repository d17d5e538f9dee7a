from __future__ import annotations

import numpy as np
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st
from naive import language as naive
from support.forms import some

from corpuscurate.core.columns import TEXT, text_buffers
from corpuscurate.kernels.language.spans import best_labels, cut_spans, gather_spans, part_spans

TEXTS = st.lists(st.text(st.sampled_from("ab é漢🦊"), max_size=60), max_size=4)


@settings(max_examples=some(100))
@given(TEXTS, st.integers(0, 40))
def test_cut_before_a_character(texts, most):
    offsets, data = text_buffers(pa.array(texts, TEXT))
    stops = np.empty(len(texts), np.int64)
    cut = cut_spans(offsets[:-1], offsets[1:], data, most, stops)
    found = [bytes(data[start:stop]) for start, stop in zip(offsets[:-1], stops, strict=True)]
    whole = [text.encode() for text in texts]
    assert found == [each[: most or None].decode("utf-8", "ignore").encode() for each in whole]
    assert cut == sum(one != two for one, two in zip(found, whole, strict=True))


@settings(max_examples=some(100))
@given(TEXTS, st.integers(1, 6), st.integers(4, 20))
def test_parts(texts, most, size):
    offsets, data = text_buffers(pa.array(texts, TEXT))
    wanted = [naive.parts(text.encode(), most, size) for text in texts]
    first = np.concatenate([[0], np.cumsum([len(each) for each in wanted])]).astype(np.int64)
    starts, stops = np.empty(first[-1], np.int64), np.empty(first[-1], np.int64)
    assert part_spans(offsets[:-1], offsets[1:], data, first, size, starts, stops) == first[-1]
    flat = [bytes(data[start:stop]) for start, stop in zip(starts, stops, strict=True)]
    assert flat == [part for each in wanted for part in each]
    gathered_offsets, gathered = np.empty(len(flat) + 1, np.int64), np.empty(sum(map(len, flat)), np.uint8)
    gather_spans(starts, stops, data, gathered_offsets, gathered)
    assert bytes(gathered) == b"".join(flat)
    assert gathered_offsets.tolist() == np.cumsum([0, *map(len, flat)]).tolist()


def test_best_labels():
    p = np.array([[0.1, 0.5, 0.4], [0.6, 0.4, 0.0], [np.nan] * 3, [0.0, 1.0, 0.0]])
    labels, scores = np.empty((4, 2), np.int64), np.empty((4, 2))
    best_labels(p, np.array([0, 1, 0]), 2, 1e-5, labels, scores)
    assert labels.tolist() == [[0, 1], [0, 1], [-1, -1], [1, -1]]
    assert scores.round(6).tolist() == [[0.50001, 0.50001], [0.60001, 0.40001], [0.0, 0.0], [1.0, 0.0]]
