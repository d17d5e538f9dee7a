"""Labels that are likely wrong, and what several annotators mean together.

Confident learning (Northcutt et al. 2021, arXiv 1911.00068) and CROWDLAB (Goh et al. 2022, arXiv 2210.06812), both as
in cleanlab, on probabilities that each document got from a model trained without it and without its near-copies.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from corpuscurate.core.errors import MissingExtraError
from corpuscurate.tools.train.data import Documents
from corpuscurate.tools.train.split import folds
from corpuscurate.tools.train.trainer import Classifier

Train = Callable[[NDArray[np.int64], NDArray[np.int64], Path], Classifier]
"""(labels of all documents, rows to learn from, folder for temporary files)"""


def predict(classifier: Classifier, documents: Documents, rows: NDArray[np.int64]) -> NDArray[np.float64]:
    """Probabilities of some rows, float64[rows, labels]."""
    parts = [classifier.probabilities(texts) for texts in documents.texts(rows)]
    return np.concatenate([np.zeros((0, len(documents.names))), *parts])


def unit_scores(classifier: Classifier, documents: Documents, rows: NDArray[np.int64]) -> NDArray[np.float64] | None:
    """The scores of some rows, float64[rows], where they are not probabilities."""
    parts = [classifier.scores(texts) for texts in documents.texts(rows)]
    found = [part for part in parts if part is not None]
    return np.concatenate([np.zeros(0), *found]) if found else None


def out_of_fold(
    train: Train,
    documents: Documents,
    labels: NDArray[np.int64],
    rows: NDArray[np.int64],
    cluster: NDArray[np.uint64],
    count: int,
    folder: Path,
) -> NDArray[np.float64]:
    """For each of `rows` the probabilities of a model that saw neither it nor its cluster, float64[rows, labels]."""
    fold = folds(cluster[rows], count)
    found = np.full((len(rows), len(documents.names)), 1.0 / len(documents.names))
    for number in range(count):
        inside = fold == number
        if not inside.any() or len(np.unique(labels[rows[~inside]])) < len(documents.names):
            continue  # a label is in this part alone: nothing to learn it from
        with tempfile.TemporaryDirectory(dir=folder) as own:
            classifier = train(labels, rows[~inside], Path(own))
            found[inside] = predict(classifier, documents, rows[inside])
            del classifier
    return found


def likely_wrong(labels: NDArray[np.int64], probabilities: NDArray[np.float64]) -> NDArray[np.int64]:
    """Indices of documents whose label is likely wrong, the surest first: int64."""
    find = _cleanlab("filter").find_label_issues
    if len(np.unique(labels)) < probabilities.shape[1]:
        return np.zeros(0, np.int64)
    found = find(labels, probabilities, return_indices_ranked_by="self_confidence", n_jobs=1)
    return np.asarray(found, np.int64)


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
