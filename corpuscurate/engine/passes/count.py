"""Counts a split after all settle steps: kept documents, their parts, drops and edits of each global stage."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from corpuscurate.core.artefact import Artefact
from corpuscurate.core.columns import to_numpy
from corpuscurate.core.corpus import EDITS
from corpuscurate.core.doc_ids import id_range, is_in_sorted
from corpuscurate.core.run_folder import DOCS
from corpuscurate.core.tables import cached_table, read_table, rows_between
from corpuscurate.engine.documents import FinishedPass, Verdicts, drop_rows, seen_documents
from corpuscurate.engine.edits import edit_rows
from corpuscurate.engine.plan import Counted, SplitCount, Taken, cut_parts


def first_ids(counts: Sequence[Counted]) -> NDArray[np.uint64]:
    """uint64[splits], ascending: the split of a doc_id is the last one whose element is not above it."""
    return first_ids_of([count.first_id for count in counts])


def first_ids_of(known: Sequence[int | None]) -> NDArray[np.uint64]:
    """`first_ids` from the first doc_id of each split, None where it has no document."""
    firsts = np.full(len(known), np.iinfo(np.uint64).max, np.uint64)
    following = firsts[:1].copy() if len(known) else firsts
    for index in range(len(known) - 1, -1, -1):
        first = known[index]
        if first is not None:
            following = np.array([first], np.uint64)
        firsts[index] = following[0]
    return firsts


def count_split(
    passes: Sequence[FinishedPass],
    split: int,
    quarantined: int,
    part_bytes: int,
    isolated: Mapping[int, tuple[int, ...]],
) -> Counted:
    """Count one split from its artefacts. isolated: see `Reader`."""
    taken: dict[int, Taken] = {}
    cut: dict[int, dict[int, tuple[int, int]]] = {}
    edited = 0
    for done in passes:
        docs = read_table(done.split(split)[DOCS])
        ids: NDArray[np.uint64] = to_numpy(docs.column("doc_id"))
        alive = to_numpy(docs.column("stage")) == 0
        text_bytes = to_numpy(docs.column("text_bytes"))
        for index, rows in drop_rows(done.verdicts, *id_range(ids)):
            gone = is_in_sorted(ids, to_numpy(rows.column("doc_id")))
            numbers, counts = np.unique(to_numpy(rows.column("reason")), return_counts=True)
            reasons = dict(zip(numbers.tolist(), counts.tolist(), strict=True))
            taken[index] = Taken(int(gone.sum()), int(text_bytes[gone].sum()), reasons)
            alive &= ~gone
        for index, rows in edits_in(done.verdicts, ids[alive]):
            cut[index] = _edits_by_reason(rows)
            edited += rows.num_rows
    # alive refers to the last pass's documents; the first pass has them all
    first = seen_documents(passes[0], split, isolated)
    all_ids: NDArray[np.uint64] = to_numpy(first.column("doc_id"))
    kept = is_in_sorted(all_ids, ids[alive])
    copies = copies_of(passes, all_ids[kept])
    sizes = to_numpy(first.column("record_bytes"))[kept] * copies
    number = int(kept.sum())
    write = SplitCount(
        kept=number,
        kept_bytes=int(sizes.sum()),
        dropped=len(all_ids) - number,
        quarantined=quarantined,
        parts=tuple(cut_parts(all_ids[kept], sizes, part_bytes)),
        edits=edited,
        extra_copies=int(copies.sum()) - number,
    )
    return Counted(write, taken, int(all_ids[0]) if len(all_ids) else None, cut)


def edits_in(verdicts: Sequence[Verdicts], ids: NDArray[np.uint64]) -> Iterator[tuple[int, pa.Table]]:
    """(index of the stage, rows of EDITS) of the documents `ids`, ascending, for each stage that edited any."""
    for verdict in verdicts:
        rows = edit_rows(verdict.edits, *id_range(ids)) if verdict.edits else EDITS.empty_table()
        rows = rows.filter(pa.array(is_in_sorted(to_numpy(rows.column("doc_id")), ids)))
        if rows.num_rows:
            yield verdict.stage, rows


def _edits_by_reason(rows: pa.Table) -> dict[int, tuple[int, int]]:
    """Number of the reason -> documents, bytes cut."""
    ids, reasons = to_numpy(rows.column("doc_id")), to_numpy(rows.column("reason"))
    sizes = to_numpy(rows.column("stop")) - to_numpy(rows.column("start"))
    return {
        int(reason): (len(np.unique(ids[reasons == reason])), int(sizes[reasons == reason].sum()))
        for reason in np.unique(reasons)
    }


def copies_of(passes: Sequence[FinishedPass], ids: NDArray[np.uint64]) -> NDArray[np.int64]:
    """How often each document is written, int64[n]: the product over all stages. ids: ascending."""
    total = np.ones(len(ids), np.int64)
    for verdict in (verdict for done in passes for verdict in done.verdicts if verdict.copies):
        total *= copies_by(verdict.copies, ids)
    return total


def copies_by(files: Sequence[Artefact], ids: NDArray[np.uint64]) -> NDArray[np.int64]:
    """What one stage's COPIES say of each document; 1 for those in no file. ids: ascending, each once or more."""
    copies = np.ones(len(ids), np.int64)
    for file in files:
        rows = rows_between(cached_table(file), *id_range(ids))
        told: NDArray[np.uint64] = to_numpy(rows.column("doc_id"))
        known = is_in_sorted(ids, told)
        copies[known] = to_numpy(rows.column("copies"))[np.searchsorted(told, ids[known])]
    return copies
