"""Ridge and logistic regression in closed steps: the same data give the same weights.

Both work on rows that were centred and brought to a mean variance of 1 by one number, so that a strength of the
penalty means the same for every embedder, and give weights for rows as they were. The intercept is not penalised.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from corpuscurate.core.errors import CorpusCurateError
from corpuscurate.methods.quality.heads import softmax

STRENGTHS = tuple(10.0**power for power in range(-3, 7))
"""Of which one is chosen."""
LOGISTIC_STRENGTHS = STRENGTHS[2:]
"""The weaker ones gain nothing, and take the longest."""
FOLDS = 3
STEPS = 100
INNER_STEPS = 200
TOLERANCE = 1e-7


class Fitted(NamedTuple):
    """weights: float64[outputs, d]; bias: float64[outputs]; strength: of the penalty; spread: root of the mean squared
    leave-one-out error of a ridge, nan otherwise; steps taken. judged: documents left out that chose the strength and
    the step to new documents, None where nothing was left out for that."""

    weights: NDArray[np.float64]
    bias: NDArray[np.float64]
    strength: float
    spread: float
    steps: int
    judged: int | None = None


def _scaled(rows: NDArray[np.float32]) -> tuple[NDArray[np.float64], NDArray[np.float64], float]:
    """Centred and scaled rows, the mean, and what was divided by."""
    mean = rows.mean(axis=0, dtype=np.float64)
    centred = rows.astype(np.float64) - mean
    scale = float(np.sqrt((centred**2).mean()))
    return centred / (scale or 1.0), mean, scale or 1.0


def ridge_path(
    rows: NDArray[np.float32], grades: NDArray[np.float64], strengths: Sequence[float] = STRENGTHS
) -> list[Fitted]:
    """Least squares with a penalty of strength * |weights|^2, for each strength. The leave-one-out error behind
    `spread` has a closed form (Hastie, Tibshirani and Friedman 2009, eq. 7.64)."""
    x, mean, scale = _scaled(rows)
    centre = float(grades.mean())
    y = grades - centre
    values, vectors = np.linalg.eigh(x.T @ x)
    values = np.maximum(values, 0.0)
    turned = x @ vectors
    target = turned.T @ y
    squares = turned**2
    found = []
    for strength in strengths:
        left = y - turned @ (target / (values + strength))
        leverage = 1 / len(y) + squares @ (1 / (values + strength))
        error = float(np.mean((left / np.maximum(1 - leverage, 1e-9)) ** 2))
        weights = vectors @ (target / (values + strength)) / scale
        bias = np.array([centre - mean @ weights])
        found.append(Fitted(weights[None, :], bias, strength, float(np.sqrt(error)), 1))
    return found


class Aligned(NamedTuple):
    """What logits of documents left out say: slope >= 0 and offsets float64[labels] for slope * logits + offsets to be
    likeliest; loss: the mean negative logarithm of the likelihood that is left."""

    slope: float
    offsets: NDArray[np.float64]
    loss: float


def aligned(logits: NDArray[np.float64], labels: NDArray[np.int64]) -> Aligned:
    """Newton steps for one slope and an offset a label, held by a weak penalty to 1 and 0. logits: float64[n, labels]
    of documents left out of learning (vector scaling with one scale, after Guo et al. 2017, arXiv 1706.04599)."""
    size, count = logits.shape
    y = np.eye(count)[labels]
    start = np.concatenate([[1.0], np.zeros(count)])
    found, loss = start, _aligned_loss(start, logits, y)
    for _ in range(STEPS):
        shares = softmax(found[0] * logits + found[1:])
        mean = (shares * logits).sum(axis=1)
        left = y - shares
        gradient = np.concatenate([[(left * logits).sum()], left.sum(axis=0)]) - (found - start)
        curve = np.eye(count + 1)
        curve[0, 0] += (shares * logits**2).sum() - (mean**2).sum()
        curve[0, 1:] = curve[1:, 0] = (shares * (logits - mean[:, None])).sum(axis=0)
        curve[1:, 1:] += np.diag(shares.sum(axis=0)) - shares.T @ shares
        if np.abs(gradient).max() < TOLERANCE * size:
            break
        move, step = np.linalg.solve(curve, gradient), 1.0
        while (after := _aligned_loss(found + step * move, logits, y)) > loss and step > 1e-6:
            step /= 2
        if after >= loss:
            break
        found, loss = found + step * move, after
    if found[0] < 0:  # backwards: it has learned nothing
        found = np.concatenate([[0.0], np.log(np.maximum(y.mean(axis=0), 1e-12))])
        loss = _aligned_loss(found, logits, y)
    return Aligned(float(found[0]), found[1:], loss / size)


def _aligned_loss(found: NDArray[np.float64], logits: NDArray[np.float64], y: NDArray[np.float64]) -> float:
    moved = found[0] * logits + found[1:]
    most = moved.max(axis=1)
    total = np.log(np.exp(moved - most[:, None]).sum(axis=1)) + most
    away = (found[0] - 1) ** 2 + (found[1:] ** 2).sum()
    return float(total.sum() - (moved * y).sum() + 0.5 * away)


class Tuned(NamedTuple):
    """What scores of documents left out say. strength: that errs least once scores are brought to grades by
    slope * score + offset; spread: root of the mean squared error that is left then."""

    strength: float
    slope: float
    offset: float
    spread: float


def tuned(scores: NDArray[np.float64], grades: NDArray[np.float64], strengths: Sequence[float]) -> Tuned:
    """The best of several strengths. scores: float64[strengths, n] of documents left out of learning; grades: [n]."""
    best: Tuned | None = None
    for each, own in zip(strengths, scores, strict=True):
        moved = own - own.mean()
        slope = max(0.0, float(moved @ (grades - grades.mean())) / (float(moved @ moved) or 1.0))
        offset = float(grades.mean() - slope * own.mean())
        spread = float(np.sqrt(((slope * own + offset - grades) ** 2).mean()))
        if best is None or spread < best.spread:
            best = Tuned(each, slope, offset, spread)
    assert best is not None  # noqa: S101  there is a strength
    return best


def logistic(rows: NDArray[np.float32], labels: NDArray[np.int64], count: int, strength: float | None) -> Fitted:
    """Logistic regression with a penalty of strength / 2 * |weights|^2 on the summed loss; every label must occur.

    Newton's method (iteratively reweighted least squares), its steps found by conjugate gradients with Boehning's
    bound of the Hessian (1992) as preconditioner, and halved where they do not help. Two labels have two equal and
    opposite rows. strength None: that of STRENGTHS with the least loss on documents left out (FOLDS parts, every so
    many-th document). Raises CorpusCurateError where that does not come to an end.
    """
    x, mean, scale = _scaled(rows)
    x = np.hstack([x, np.ones((len(x), 1))])
    y = np.eye(count)[labels]
    chosen = _best_strength(x, y) if strength is None else strength
    found, steps = _newton(x, y, _penalty(x, chosen))
    weights = found[:, :-1] / scale
    return Fitted(weights, found[:, -1] - weights @ mean, chosen, float("nan"), steps)


def _penalty(x: NDArray[np.float64], strength: float) -> NDArray[np.float64]:
    penalty = np.full(x.shape[1], strength)
    penalty[-1] = 0.0
    return penalty


def _best_strength(x: NDArray[np.float64], y: NDArray[np.float64]) -> float:
    fold = np.arange(len(x)) % FOLDS
    losses = []
    for strength in LOGISTIC_STRENGTHS:
        penalty = _penalty(x, strength)
        parts = [_newton(x[fold != i], y[fold != i], penalty)[0] for i in range(FOLDS)]
        losses.append(sum(_loss(x[fold == i], y[fold == i], 0 * penalty, part) for i, part in enumerate(parts)))
    return LOGISTIC_STRENGTHS[int(np.argmin(losses))]


def _newton(
    x: NDArray[np.float64], y: NDArray[np.float64], penalty: NDArray[np.float64]
) -> tuple[NDArray[np.float64], int]:
    """float64[labels, d + 1] at the least loss. y: float64[n, labels], ones and zeros."""
    found = np.zeros((y.shape[1], x.shape[1]))
    bound = np.asarray(np.linalg.inv(0.5 * (x.T @ x) + np.diag(penalty + 1e-9)), np.float64)
    loss = _loss(x, y, penalty, found)
    for step in range(STEPS):
        shares = softmax(x @ found.T)
        gradient = (y - shares).T @ x - penalty * found
        if np.abs(gradient).max() < TOLERANCE * len(y):
            return found, step
        move = _solve(x, shares, penalty, gradient, bound)
        size = 1.0
        while (after := _loss(x, y, penalty, found + size * move)) > loss and size > 1e-6:
            size /= 2
        if after >= loss:  # no step helps any more: as near as these numbers allow
            return found, step
        found, loss = found + size * move, after
    raise CorpusCurateError(
        "the logistic head does not converge: its labels can be told apart almost perfectly. Raise parameters.strength."
    )


def _solve(
    x: NDArray[np.float64],
    shares: NDArray[np.float64],
    penalty: NDArray[np.float64],
    gradient: NDArray[np.float64],
    bound: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Hessian^-1 gradient by conjugate gradients; the Hessian of all labels would be too large to be formed."""
    found = np.zeros_like(gradient)
    left = gradient
    helped = left @ bound
    direction, product = helped, float((left * helped).sum())
    goal = 1e-6 * product
    for _ in range(INNER_STEPS):
        turned = shares * (x @ direction.T)
        turned -= shares * turned.sum(axis=1, keepdims=True)
        curved = turned.T @ x + penalty * direction
        size = product / float((direction * curved).sum())
        found = found + size * direction
        left = left - size * curved
        helped = left @ bound
        following = float((left * helped).sum())
        if following <= goal:
            break
        direction, product = helped + (following / product) * direction, following
    return found


def _loss(
    x: NDArray[np.float64], y: NDArray[np.float64], penalty: NDArray[np.float64], found: NDArray[np.float64]
) -> float:
    logits = x @ found.T
    most = logits.max(axis=1)
    total = np.log(np.exp(logits - most[:, None]).sum(axis=1)) + most
    return float(total.sum() - (logits * y).sum() + 0.5 * (penalty * found**2).sum())
