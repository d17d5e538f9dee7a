"""Which documents train, which test, which are left out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from corpuscurate.core.errors import InputError
from corpuscurate.tools.train.recipe import Labels

_MULTIPLY = np.uint64(0x9E3779B97F4A7C15)


@dataclass(frozen=True, slots=True)
class Split:
    """train, test: rows, ascending. cluster: uint64[n], equal for documents that belong together. duplicates: rows
    left out because an earlier one has the same text and label. contradictory: rows whose text occurs with several
    labels, all left out."""

    train: NDArray[np.int64]
    test: NDArray[np.int64]
    cluster: NDArray[np.uint64]
    duplicates: NDArray[np.int64]
    contradictory: NDArray[np.int64]


def split(
    labels: NDArray[np.int64], exact: NDArray[np.int64], cluster: NDArray[np.uint64], test: float, seed: int
) -> Split:
    """Split by cluster. exact: int64[n], first row with the same text."""
    low, high = np.full(len(labels), len(labels)), np.full(len(labels), -1)
    np.minimum.at(low, exact, labels)
    np.maximum.at(high, exact, labels)
    contradictory = (low != high)[exact]
    duplicate = ~contradictory & (exact != np.arange(len(labels)))
    used = np.flatnonzero(~contradictory & ~duplicate)
    mixed = (cluster[used] ^ np.uint64(seed)) * _MULTIPLY
    mixed = (mixed ^ mixed >> np.uint64(32)) * _MULTIPLY
    held_out = (mixed >> np.uint64(11)).astype(np.float64) * 2.0**-53 < test
    return Split(used[~held_out], used[held_out], cluster, np.flatnonzero(duplicate), np.flatnonzero(contradictory))


def check_split(found: Split, labels: NDArray[np.int64], names: tuple[str, ...], rule: Labels) -> None:
    """Raises InputError where a label has too few documents to learn or to judge from."""
    rows = np.concatenate([found.train, found.test])
    counts = {name: int((labels[rows] == i).sum()) for i, name in enumerate(names)}
    few = {name: count for name, count in counts.items() if count < rule.min_documents}
    if few:
        shown = ", ".join(f"{name!r} has {count:,}" for name, count in few.items())
        raise InputError(
            f"too few different documents to train on: {shown}; each label needs at least {rule.min_documents:,}"
            " (labels.min_documents). Figures from fewer would say next to nothing: label more documents."
        )
    for part, what in ((found.train, "training"), (found.test, "test")):
        lacking = [name for i, name in enumerate(names) if not (labels[part] == i).any()]
        if lacking:
            raise InputError(
                f"the {what} part has no document with the label {lacking[0]!r}: its documents all belong to a few"
                " clusters of near-copies or groups. Add documents, or choose another split.seed or split.test."
            )


def folds(cluster: NDArray[np.uint64], count: int) -> NDArray[np.int64]:
    """A fold for each document, int64[n], the same throughout a cluster."""
    mixed = (cluster ^ np.uint64(0x5DEECE66D)) * _MULTIPLY
    return ((mixed >> np.uint64(33)) % np.uint64(count)).astype(np.int64)
