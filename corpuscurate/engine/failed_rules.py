"""How often the rules of a stage fail, alone and together: which rule by itself does the damage."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from corpuscurate.core.columns import to_numpy

Counts = dict[str, dict[str, int]]
"""For each rule that failed: the documents that fail it together with each rule (itself: all that fail it), and under
ALONE those that fail no other."""
ALONE = ""


def count_failed(failed: pa.ListArray, names: Sequence[str]) -> Counts:
    """The counts of a batch. failed: `core.stage.FAILED`; names: the rules of the stage, in order."""
    fails = np.zeros((len(failed), len(names)), np.bool_)
    listed = failed.flatten()
    fails[to_numpy(failed.value_parent_indices()), to_numpy(listed.field("rule")) - 1] = True
    together = fails.T.astype(np.int64) @ fails
    alone = fails[fails.sum(axis=1) == 1].sum(axis=0)
    found: Counts = {}
    for at in np.flatnonzero(together.diagonal()).tolist():
        others = {names[other]: int(together[at, other]) for other in np.flatnonzero(together[at]).tolist()}
        found[names[at]] = {ALONE: int(alone[at]), **others}
    return found


def add_counts(counts: Iterable[Mapping[str, Mapping[str, int]]]) -> Counts:
    """The sum of several batches or tasks."""
    total: Counts = {}
    for each in counts:
        for rule, others in each.items():
            known = total.setdefault(rule, {})
            for other, number in others.items():
                known[other] = known.get(other, 0) + number
    return total


def failed_row(counts: Counts, names: Sequence[str]) -> dict[str, dict[str, Any]]:
    """The entry of report.json, in the order of the rules: {rule: {documents, alone, together: {other: documents}}}."""
    return {
        rule: {
            "documents": counts[rule][rule],
            "alone": counts[rule][ALONE],
            "together": {other: counts[rule][other] for other in names if other != rule and counts[rule].get(other)},
        }
        for rule in names
        if rule in counts
    }
