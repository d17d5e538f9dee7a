"""Counting a split once everything is settled: what is kept, how it is cut into parts, what each global stage took."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from corpuscurate.core.artefact import read_table
from corpuscurate.core.columns import to_numpy
from corpuscurate.core.doc_ids import id_range, is_in_sorted
from corpuscurate.core.run_folder import DOCS
from corpuscurate.engine.documents import FinishedPass, drop_rows
from corpuscurate.engine.plan import Counted, SplitCount, Taken, cut_parts


def first_ids(counts: Sequence[Counted]) -> NDArray[np.uint64]:
    """uint64[splits], ascending: the split of a doc_id is the last one whose element is not above it."""
    firsts = np.full(len(counts), np.iinfo(np.uint64).max, np.uint64)
    following = firsts[:1].copy() if len(counts) else firsts
    for place in range(len(counts) - 1, -1, -1):
        first = counts[place].first_id
        if first is not None:
            following = np.array([first], np.uint64)
        firsts[place] = following[0]
    return firsts


def count_split(passes: Sequence[FinishedPass], split: int, quarantined: int, part_bytes: int) -> Counted:
    """Count one split from its artefacts."""
    taken: dict[int, Taken] = {}
    for done in passes:
        docs = read_table(done.split(split) / DOCS)
        ids: NDArray[np.uint64] = to_numpy(docs.column("doc_id"))
        alive = to_numpy(docs.column("stage")) == 0
        text_bytes = to_numpy(docs.column("text_bytes"))
        for place, rows in drop_rows(done.verdicts, *id_range(ids)):
            gone = is_in_sorted(ids, to_numpy(rows.column("doc_id")))
            numbers, counts = np.unique(to_numpy(rows.column("reason")), return_counts=True)
            reasons = dict(zip(numbers.tolist(), counts.tolist(), strict=True))
            taken[place] = Taken(int(gone.sum()), int(text_bytes[gone].sum()), reasons)
            alive &= ~gone
    # alive refers to the last pass's documents; the first pass has them all
    first = read_table(passes[0].split(split) / DOCS)
    all_ids: NDArray[np.uint64] = to_numpy(first.column("doc_id"))
    kept = is_in_sorted(all_ids, ids[alive])
    sizes = to_numpy(first.column("record_bytes"))[kept]
    parts = cut_parts(all_ids[kept], sizes, part_bytes)
    number = int(kept.sum())
    write = SplitCount(number, int(sizes.sum()), len(all_ids) - number, quarantined, tuple(parts))
    return Counted(write, taken, int(all_ids[0]) if len(all_ids) else None)
