from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from naive import token_batches as naive
from support.forms import some

from corpuscurate.kernels.embedding import token_batches
from corpuscurate.kernels.embedding.token_batches import fill_batch, mean_of_unit_rows
from corpuscurate.methods.embed.base import EMPTY, NOT_FINITE, UNKNOWN


def test_notes_are_those_of_embedders():
    """Kernels import nothing of methods, so they name the bits again."""
    assert (token_batches._EMPTY, token_batches._UNKNOWN, token_batches._NOT_FINITE) == (EMPTY, UNKNOWN, NOT_FINITE)


def filled(kind, windows, before, after, pad, rows, length):
    tokens = np.array([7, *(token for window in windows for token in window)], kind)  # the first window is not at 0
    sizes = np.array([len(window) for window in windows], np.int64)
    starts = 1 + np.cumsum(sizes) - sizes
    out, out_sizes = np.full((rows, length), -5, np.int32), np.full(rows, -5, np.int32)
    frame = (np.array(before, np.int64), np.array(after, np.int64))
    assert fill_batch(tokens, starts, sizes, *frame, pad, out_sizes, out) == len(windows)
    return out.tolist(), out_sizes.tolist()


@settings(max_examples=some(200), deadline=None)
@given(
    st.sampled_from([np.uint16, np.uint32]),
    st.lists(st.lists(st.integers(0, (1 << 16) - 1), max_size=9), max_size=5),
    st.lists(st.integers(0, 999), max_size=2),
    st.lists(st.integers(0, 999), max_size=2),
    st.integers(0, 9),
    st.integers(0, 3),
    st.integers(0, 4),
)
def test_batches_equal_naive(kind, windows, before, after, pad, more_rows, more_length):
    rows = max(len(windows) + more_rows, 1)
    length = max(max(map(len, windows), default=0) + len(before) + len(after) + more_length, 1)
    found = filled(kind, windows, before, after, pad, rows, length)
    assert found == naive.batch(windows, before, after, pad, rows, length)


def test_a_batch_by_hand():
    found, sizes = filled(np.uint32, [[70_000, 5], []], [101], [102], 0, 3, 5)
    assert found == [[101, 70_000, 5, 102, 0], [101, 102, 0, 0, 0], [101, 102, 0, 0, 0]]
    assert sizes == [4, 2, 2]
    assert filled(np.uint16, [], [], [], 3, 1, 2) == ([[3, 3]], [1])


NUMBER = st.integers(-8, 8).map(float) | st.just(1e-3)
ROW = st.lists(NUMBER, min_size=3, max_size=3) | st.sampled_from(
    [[0.0, 0.0, 0.0], [math.nan, 0.0, 1.0], [0.0, math.inf, 0.0], [0.0, 0.0, -math.inf]]
)
TEXT = st.tuples(st.lists(st.tuples(ROW, st.integers(1, 500)), max_size=3), st.sampled_from([0, 2, 4, 6]))


@settings(max_examples=some(300), deadline=None)
@given(st.lists(TEXT, max_size=5))
def test_means_equal_naive(texts):
    windows = [window for windows, _ in texts for window in windows]
    rows = np.array([row for row, _ in windows], np.float32).reshape(-1, 3)
    weights = np.array([weight for _, weight in windows], np.int64)
    owner = np.repeat(np.arange(len(texts)), [len(each) for each, _ in texts]).astype(np.int64)
    notes = np.array([note for _, note in texts], np.uint8)
    out = np.full((len(texts), 3), 9, np.float32)
    assert mean_of_unit_rows(rows, owner, weights, notes, out) == len(windows)
    for (own, note), row, told in zip(texts, out, notes.tolist(), strict=True):
        units = [[float(np.float32(value)) for value in each] for each, _ in own]
        expected, expected_note = naive.mean_of_units(units, [weight for _, weight in own], note)
        lost = 1.0 if expected is None else cancelled([each for each in units if any(each)], own)
        if lost > 1e4:  # windows that cancel out: the direction is that of the rounding to float32
            continue
        assert told == expected_note
        np.testing.assert_allclose(row, expected or [0.0] * 3, atol=1e-6 * lost)


def cancelled(units, own):
    """How much longer the windows' sum would be if they all pointed the same way."""
    weights = [weight for unit, weight in own if any(unit)]
    total = np.sum([np.array(u) / np.linalg.norm(u) * w for u, w in zip(units, weights, strict=True)], axis=0)
    return sum(weights) / max(float(np.linalg.norm(total)), 1e-30)


@pytest.mark.parametrize("most", [3e38, 2e-38])
def test_rows_of_extreme_length_have_a_direction(most):
    """Squares of these numbers are beyond float32: they are summed in float64."""
    out, notes = np.zeros((1, 2), np.float32), np.zeros(1, np.uint8)
    rows = np.array([[most, most]], np.float32)
    mean_of_unit_rows(rows, np.zeros(1, np.int64), np.ones(1, np.int64), notes, out)
    np.testing.assert_allclose(out[0], [math.sqrt(0.5)] * 2, atol=1e-7)
    assert notes[0] == 0


def test_the_mean_by_hand():
    """Weights 3 and 1 of rows (2, 0) and (0, 9): the direction of (3, 1)."""
    out, notes = np.zeros((2, 2), np.float32), np.zeros(2, np.uint8)
    rows, owner = np.array([[2, 0], [0, 9]], np.float32), np.zeros(2, np.int64)
    mean_of_unit_rows(rows, owner, np.array([3, 1]), notes, out)
    np.testing.assert_allclose(out, [[3 / math.sqrt(10), 1 / math.sqrt(10)], [0, 0]], atol=1e-7)
    assert notes.tolist() == [0, naive.EMPTY]
