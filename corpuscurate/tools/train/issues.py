"""Labels that are likely wrong, and what several annotators mean together.

Confident learning (Northcutt et al. 2021, arXiv 1911.00068) and CROWDLAB (Goh et al. 2022, arXiv 2210.06812), both as
in cleanlab, on probabilities that each document got from a model trained without it and without its near-copies.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from corpuscurate.core.errors import MissingExtraError
from corpuscurate.tools.train.data import Documents
from corpuscurate.tools.train.split import folds
from corpuscurate.tools.train.trainer import Classifier

Train = Callable[[Documents, NDArray[np.int64], NDArray[np.int64], Path], Classifier]
"""(documents, labels of all of them, rows to learn from, folder for temporary files)"""


def predict(classifier: Classifier, documents: Documents, rows: NDArray[np.int64]) -> NDArray[np.float64]:
    """Probabilities of some rows, float64[rows, labels]."""
    parts = [classifier.probabilities(texts) for texts in documents.texts(rows)]
    return np.concatenate([np.zeros((0, len(documents.names))), *parts])


def unit_scores(classifier: Classifier, documents: Documents, rows: NDArray[np.int64]) -> NDArray[np.float64] | None:
    """The scores of some rows, float64[rows], where they are not probabilities."""
    parts = [classifier.scores(texts) for texts in documents.texts(rows)]
    found = [part for part in parts if part is not None]
    return np.concatenate([np.zeros(0), *found]) if found else None


class OutOfFold(NamedTuple):
    """probabilities: float64[rows, labels], of models that saw neither a row nor its cluster. judged: bool[rows],
    whether such a model knew the row's label; where it did not, all probabilities are equal."""

    probabilities: NDArray[np.float64]
    judged: NDArray[np.bool_]


def out_of_fold(
    train: Train,
    documents: Documents,
    labels: NDArray[np.int64],
    rows: NDArray[np.int64],
    cluster: NDArray[np.uint64],
    count: int,
    folder: Path,
) -> OutOfFold:
    """Cross-validation of `rows`. Where all documents of a label are in one fold, its model learns the other labels: it
    judges their documents, and not those of a label that it cannot know."""
    fold = folds(cluster[rows], count)
    found = np.full((len(rows), len(documents.names)), 1.0 / len(documents.names))
    judged = np.zeros(len(rows), np.bool_)
    for number in range(count):
        inside = fold == number
        known = np.unique(labels[rows[~inside]])
        asked = inside & np.isin(labels[rows], known)
        if not asked.any() or len(known) < 2:
            continue
        of_known = np.full(len(documents.names), -1)
        of_known[known] = np.arange(len(known))
        there = replace(documents, names=tuple(documents.names[i] for i in known))
        with tempfile.TemporaryDirectory(dir=folder) as own:
            classifier = train(there, of_known[labels], rows[~inside], Path(own))
            found[asked] = 0.0
            found[np.ix_(asked, known)] = predict(classifier, there, rows[asked])
            del classifier
        judged |= asked
    return OutOfFold(found, judged)


def likely_wrong(labels: NDArray[np.int64], found: OutOfFold) -> NDArray[np.int64]:
    """Indices of judged documents whose label is likely wrong, the surest first: int64. labels: int64[rows]."""
    find = _cleanlab("filter").find_label_issues
    rows = np.flatnonzero(found.judged)
    known, own = np.unique(labels[rows], return_inverse=True)
    if len(known) < 2:
        return np.zeros(0, np.int64)
    shares = found.probabilities[np.ix_(rows, known)]
    if len(known) < found.probabilities.shape[1]:  # the labels of which no document is judged
        shares = np.maximum(shares, 1e-12)
        shares /= shares.sum(axis=1, keepdims=True)
    return rows[np.asarray(find(own, shares, return_indices_ranked_by="self_confidence", n_jobs=1), np.int64)]


def not_judged(labels: NDArray[np.int64], found: OutOfFold, names: tuple[str, ...]) -> dict[str, int]:
    """How many documents of each label no model could judge, of the labels with any."""
    counts = np.bincount(labels[~found.judged], minlength=len(names))
    return {name: int(count) for name, count in zip(names, counts, strict=True) if count}


def consensus(votes: NDArray[np.int64], probabilities: NDArray[np.float64]) -> tuple[NDArray[np.int64], dict[str, Any]]:
    """The labels that weighted annotators and the model agree on, and how good each annotator is.

    votes: int64[n, annotators], -1 for none.
    """
    table = np.where(votes < 0, np.nan, votes.astype(np.float64))
    found = _cleanlab("multiannotator").get_label_quality_multiannotator(table, probabilities, verbose=False)
    labels = found["label_quality"]["consensus_label"].to_numpy().astype(np.int64)
    there = votes >= 0
    several = there.sum(axis=1) > 1
    first = votes[np.arange(len(votes)), there.argmax(axis=1)]
    disagree = several & ((votes != first[:, None]) & there).any(axis=1)
    stats = found["annotator_stats"].sort_index()
    annotators = [
        {
            "annotator": int(number),
            "quality": float(row["annotator_quality"]),
            "agreement_with_consensus": float(row["agreement_with_consensus"]),
            "documents": int(row["num_examples_labeled"]),
        }
        for number, row in stats.iterrows()
    ]
    stats = {
        "with_several_labels": int(several.sum()),
        "with_disagreement": int(disagree.sum()),
        "annotators": annotators,
    }
    return labels, stats


def need_cleanlab() -> None:
    """Raises MissingExtraError where cleanlab is not installed: before the trainings that only it makes use of."""
    _cleanlab("filter")


def available() -> bool:
    """Whether cleanlab is installed."""
    try:
        _cleanlab("filter")
    except MissingExtraError:
        return False
    return True


def _cleanlab(module: str) -> Any:
    import importlib

    try:
        return importlib.import_module(f"cleanlab.{module}")
    except ImportError as error:
        raise MissingExtraError("cleanlab", "labels", "finding labels that are likely wrong") from error
