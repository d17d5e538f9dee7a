"""What held-out documents say of a classifier."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

KEEP_FRACTIONS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.75)
CALIBRATION_BINS = 10


def roc_auc(scores: NDArray[np.float64], positive: NDArray[np.bool_]) -> float:
    """The chance that a positive document scores above a negative one, ties counting half (Mann-Whitney); nan where
    one kind is missing."""
    yes, no = int(positive.sum()), int((~positive).sum())
    if not yes or not no:
        return float("nan")
    _, value, counts = np.unique(scores, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    ranks = (last - (counts - 1) / 2)[value]
    return float((ranks[positive].sum() - yes * (yes + 1) / 2) / (yes * no))


def precision_recall(predicted: NDArray[np.bool_], positive: NDArray[np.bool_]) -> dict[str, float]:
    """Precision, recall and F1; 0 where a denominator is 0."""
    both = float((predicted & positive).sum())
    precision = both / predicted.sum() if predicted.any() else 0.0
    recall = both / positive.sum() if positive.any() else 0.0
    total = precision + recall
    return {
        "precision": float(precision),
        "recall": float(recall),
        "f1": float(2 * precision * recall / total) if total else 0.0,
    }


def calibration(scores: NDArray[np.float64], positive: NDArray[np.bool_]) -> dict[str, Any]:
    """How far scores are from shares: bins of equal width with mean score and share of positives; the expected
    calibration error (Guo et al. 2017: the mean distance, weighted by documents) and the Brier score."""
    bin_of = np.clip((scores * CALIBRATION_BINS).astype(np.int64), 0, CALIBRATION_BINS - 1)
    bins = []
    error = 0.0
    for number in range(CALIBRATION_BINS):
        inside = bin_of == number
        if inside.any():
            mean, share = float(scores[inside].mean()), float(positive[inside].mean())
            error += abs(mean - share) * inside.sum() / len(scores)
            bins.append({"bin": number, "documents": int(inside.sum()), "mean_score": mean, "share_positive": share})
    brier = float(((scores - positive) ** 2).mean())
    return {"expected_calibration_error": float(error), "brier_score": brier, "bins": bins}


def keep_fractions(scores: NDArray[np.float64], positive: NDArray[np.bool_]) -> list[dict[str, float]]:
    """For each fraction the score of the last document kept, and precision and recall of what is kept."""
    order = np.argsort(-scores, kind="stable")
    found = []
    for fraction in KEEP_FRACTIONS:
        kept = max(1, int(np.ceil(fraction * len(scores))))
        chosen = np.zeros(len(scores), np.bool_)
        chosen[order[:kept]] = True
        measures = precision_recall(chosen, positive)
        found.append({"fraction": fraction, "documents": kept, "min_score": float(scores[order[kept - 1]]), **measures})
    return found


def by_source(
    sources: list[str], scores: NDArray[np.float64], positive: NDArray[np.bool_], right: NDArray[np.bool_]
) -> list[dict[str, Any]]:
    """The same for each source: documents, share of positives, mean score, accuracy, ROC-AUC where it has both."""
    names = np.array(sources, dtype=object)
    found = []
    for name in sorted(set(sources)):
        own = names == name
        auc = roc_auc(scores[own], positive[own])
        found.append(
            {
                "source": name,
                "documents": int(own.sum()),
                "share_positive": float(positive[own].mean()),
                "mean_score": float(scores[own].mean()),
                "accuracy": float(right[own].mean()),
                "roc_auc": None if np.isnan(auc) else auc,
            }
        )
    return found


def evaluate(
    probabilities: NDArray[np.float64],
    labels: NDArray[np.int64],
    names: tuple[str, ...],
    positive: NDArray[np.bool_],
    sources: list[str],
    scores: NDArray[np.float64] | None = None,
) -> dict[str, Any]:
    """All figures. probabilities: float64[n, labels]. labels: int64[n]. positive: bool[labels], those that are wanted.
    scores: float64[n] in the unit that is cut by; the probability of the wanted labels where None."""
    wanted = probabilities[:, positive].sum(axis=1)
    scores = wanted if scores is None else scores
    is_positive = positive[labels]
    predicted = probabilities.argmax(axis=1)
    right = predicted == labels
    confusion = np.zeros((len(names), len(names)), np.int64)
    np.add.at(confusion, (labels, predicted), 1)
    each = {name: precision_recall(predicted == i, labels == i) for i, name in enumerate(names)}
    return {
        "documents": len(labels),
        "accuracy": float(right.mean()),
        "macro_f1": float(np.mean([found["f1"] for found in each.values()])),
        **precision_recall(positive[predicted], is_positive),
        "roc_auc": roc_auc(scores, is_positive),
        "calibration": calibration(wanted, is_positive),
        "keep_fractions": keep_fractions(scores, is_positive),
        "labels": each,
        "confusion": {
            name: dict(zip(names, row.tolist(), strict=True)) for name, row in zip(names, confusion, strict=True)
        },
        "sources": by_source(sources, scores, is_positive, right),
    }


def telling(scores: NDArray[np.float64], positive: NDArray[np.bool_], count: int) -> dict[str, NDArray[np.int64]]:
    """Documents worth reading, as indices: best, worst, and the most confident errors of both kinds."""
    order = np.argsort(scores, kind="stable")
    return {
        "highest": order[::-1][:count],
        "lowest": order[:count],
        "high_but_negative": order[::-1][~positive[order[::-1]]][:count],
        "low_but_positive": order[positive[order]][:count],
    }
