from __future__ import annotations

import math

import numpy as np
import pytest

from corpuscurate.tools.train.linear import STRENGTHS, aligned, logistic, ridge_path, tuned


def data(count, dimension, seed=0):
    random = np.random.default_rng(seed)
    rows = random.normal(size=(count, dimension)).astype(np.float32) + 2.0
    return rows, rows.astype(np.float64) @ random.normal(size=dimension) + random.normal(size=count)


def refit(rows, grades, strength, scale):
    """A ridge from its definition: the normal equations of centred rows, penalised as on scaled ones."""
    mean = rows.mean(axis=0)
    x = rows - mean
    weights = np.linalg.solve(x.T @ x + strength * scale**2 * np.eye(x.shape[1]), x.T @ (grades - grades.mean()))
    return weights, grades.mean() - mean @ weights


def test_a_ridge_solves_the_normal_equations():
    rows, grades = data(60, 5)
    wide = rows.astype(np.float64)
    scale = math.sqrt(((wide - wide.mean(axis=0)) ** 2).mean())
    for strength in (0.01, 3.0, 1e4):
        (found,) = ridge_path(rows, grades, (strength,))
        weights, bias = refit(wide, grades, strength, scale)
        np.testing.assert_allclose(found.weights[0], weights, rtol=1e-8, atol=1e-10)
        assert found.bias[0] == pytest.approx(bias, rel=1e-8)


def test_the_spread_is_that_of_leaving_each_document_out():
    rows, grades = data(40, 4)
    wide = rows.astype(np.float64)
    scale = math.sqrt(((wide - wide.mean(axis=0)) ** 2).mean())
    strength = 5.0
    errors = []
    for i in range(len(rows)):
        rest = np.arange(len(rows)) != i
        weights, bias = refit(wide[rest], grades[rest], strength, scale)
        errors.append(grades[i] - wide[i] @ weights - bias)
    assert ridge_path(rows, grades, (strength,))[0].spread == pytest.approx(
        math.sqrt(np.mean(np.square(errors))), rel=1e-9
    )


def test_what_was_left_out_chooses_the_strength_and_corrects_the_scores():
    grades = np.array([0.0, 1.0, 2.0, 3.0, 4.0, 5.0])
    noisy = grades + np.array([3.0, -3, 3, -3, 3, -3])
    found = tuned(np.stack([noisy, 0.5 * grades + 7]), grades, (1.0, 10.0))
    assert found.strength == 10.0
    assert found.slope == pytest.approx(2)
    assert found.offset == pytest.approx(-14)
    assert found.spread == pytest.approx(0, abs=1e-12)
    backwards = tuned(-grades[None, :], grades, (1.0,))
    assert (backwards.slope, backwards.offset) == (0.0, 2.5)  # it has learned nothing: everything is average


@pytest.mark.parametrize("count", [2, 4])
def test_the_gradient_of_a_logistic_head_is_zero(count):
    rows, value = data(200, 6)
    labels = np.searchsorted(np.quantile(value, np.arange(1, count) / count), value)
    strength = 2.0
    found = logistic(rows, labels, count, strength)
    wide = rows.astype(np.float64)
    scale = math.sqrt(((wide - wide.mean(axis=0)) ** 2).mean())
    gradient = np.zeros((count, 7))
    for row, label in zip(wide, labels, strict=True):
        logits = [float(row @ w) + b for w, b in zip(found.weights, found.bias, strict=True)]
        total = sum(math.exp(each) for each in logits)
        for k in range(count):
            left = (label == k) - math.exp(logits[k]) / total
            gradient[k, :6] += left * (row - wide.mean(axis=0)) / scale
            gradient[k, 6] += left
    gradient[:, :6] -= strength * found.weights * scale
    assert np.abs(gradient).max() < 1e-4
    assert 1 < found.steps < 20
    np.testing.assert_allclose(found.weights.sum(axis=0), 0, atol=1e-6)


def test_labels_that_are_told_apart_perfectly_still_settle():
    rows = np.array([[1.0, 0.0], [0.9, 0.1], [0.0, 1.0], [0.1, 0.9]], np.float32)
    found = logistic(rows, np.array([1, 1, 0, 0]), 2, 1.0)
    assert np.isfinite(found.weights).all()
    scores = rows @ found.weights[1] + found.bias[1]
    assert (scores[:2] > 0).all()
    assert (scores[2:] < 0).all()


def test_a_logistic_head_chooses_its_strength_by_what_it_left_out():
    random = np.random.default_rng(3)
    noise = logistic(random.normal(size=(90, 20)).astype(np.float32), random.integers(0, 2, 90), 2, None)
    rows, value = data(300, 5)
    signal = logistic(rows, (value > value.mean()).astype(np.int64), 2, None)
    assert noise.strength >= 100 > signal.strength


def test_the_same_data_give_the_same_bytes():
    rows, value = data(300, 8)
    labels = (value > value.mean()).astype(np.int64)
    one, two = (b"".join(each.weights.tobytes() for each in ridge_path(rows, value)) for _ in range(2))
    assert one == two
    assert len(ridge_path(rows, value)) == len(STRENGTHS)
    assert logistic(rows, labels, 2, 1.0).weights.tobytes() == logistic(rows, labels, 2, 1.0).weights.tobytes()


def test_logits_of_new_documents_are_brought_to_their_labels():
    """Logits that are three times too large and shifted: slope and offsets take it back, to the least loss there is."""
    random = np.random.default_rng(1)
    true = random.normal(size=(4000, 3)) * 2
    shares = np.exp(true) / np.exp(true).sum(axis=1, keepdims=True)
    labels = np.array([random.choice(3, p=row) for row in shares])
    shift = np.array([5.0, 0.0, -4.0])
    found = aligned(3 * true + shift, labels)
    assert found.slope == pytest.approx(1 / 3, abs=0.02)
    moved = found.slope * (3 * true + shift) + found.offsets
    assert (moved.argmax(axis=1) == true.argmax(axis=1)).mean() > 0.97

    def loss(slope, offsets):
        moved = slope * (3 * true + shift) + offsets
        return float(np.mean(np.log(np.exp(moved).sum(axis=1)) - moved[np.arange(len(labels)), labels]))

    assert found.loss == pytest.approx(loss(found.slope, found.offsets), abs=0.01)  # but for the weak penalty
    for step in (0.03, -0.03):
        assert loss(found.slope + step, found.offsets) > loss(found.slope, found.offsets)
        assert loss(found.slope, found.offsets + np.array([0, 5 * step, 0])) > loss(found.slope, found.offsets)


def test_backwards_logits_say_nothing():
    logits = np.repeat(np.array([[2.0, 0.0], [0.0, 2.0]]), [75, 25], axis=0)
    found = aligned(logits, np.repeat([1, 0], [75, 25]))
    assert found.slope == 0
    assert np.exp(found.offsets) == pytest.approx([0.25, 0.75])
