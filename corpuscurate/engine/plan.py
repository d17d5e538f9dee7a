"""Cuts stages into passes, and kept documents into parts and writing tasks. Pure: it touches no file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from corpuscurate.core.spec import is_global
from corpuscurate.core.stage import GlobalStage, Stage, StreamingStage

COPY = "copy"
"""Measure of a stage that copies documents: the number of the copy, from 0."""


@dataclass(frozen=True, slots=True)
class Pass:
    """A measuring pass and its settle steps. streaming, settling: indices into the pipeline's stages."""

    number: int
    streaming: tuple[int, ...]
    settling: tuple[int, ...]


def cut_passes(stages: Sequence[Stage]) -> list[Pass]:
    """Cut the stages into passes: a new one begins at a streaming stage that follows a global one, and at any stage
    that follows a global one which edits text, or which makes a column that it reads.

    There is always a pass, since the first one also counts documents and finds bad records and column types.
    """
    cut: list[tuple[list[int], list[int]]] = [([], [])]
    for index, stage in enumerate(stages):
        settled = [stages[each] for each in cut[-1][1]]
        if settled and (not is_global(stage) or edits(settled[-1]) or _reads_of(stage, settled)):
            cut.append(([], []))
        cut[-1][1 if is_global(stage) else 0].append(index)
    return [Pass(number, tuple(first), tuple(second)) for number, (first, second) in enumerate(cut)]


def _reads_of(stage: Stage, earlier: Sequence[Stage]) -> bool:
    return not added_columns(earlier).keys().isdisjoint(stage.reads())


def added_columns(stages: Sequence[Stage]) -> dict[str, object]:
    """Every column the stages add to the output, `<label>.<measure>` -> Arrow type, in order."""
    columns: dict[str, object] = {}
    for stage in stages:
        measures = {**stage.adds(), **(stage.measures() if stage.mode == "tag" else {})}
        columns |= {f"{stage.label}.{measure}": kind for measure, kind in measures.items()}
        columns |= dict.fromkeys(copy_columns([stage]), pa.int32())
    return columns


def copy_columns(stages: Sequence[Stage]) -> tuple[str, ...]:
    """The columns with the numbers of copies; the writing pass makes them."""
    copying = (stage for stage in stages if isinstance(stage, GlobalStage) and stage.copies_documents)
    return tuple(f"{stage.label}.{COPY}" for stage in copying)


def edits(stage: Stage) -> bool:
    """Whether the stage may edit text: with `mode: tag`, a streaming one may, and a global one does not."""
    if isinstance(stage, StreamingStage):
        return stage.edits_text
    return isinstance(stage, GlobalStage) and stage.edits_text and stage.mode == "drop"


def edits_before(stages: Sequence[Stage], cut: Sequence[Pass], last: int) -> tuple[Stage, ...]:
    """The stages of passes 0..last that edit text, in order: they are replayed when the text is read again.

    stages: those of `cut`, or the first of them.
    """
    indices = [index for current in cut[: last + 1] for index in (*current.streaming, *current.settling)]
    return tuple(stages[index] for index in indices if index < len(stages) and edits(stages[index]))


def user_columns(stages: Sequence[Stage]) -> tuple[str, ...]:
    """The input columns that stages read, sorted, without columns that stages add."""
    added = added_columns(stages)
    return tuple(sorted({name for stage in stages for name in stage.reads() if name not in added}))


def global_stages(stages: Sequence[Stage], current: Pass) -> list[GlobalStage]:
    """The global stages of a pass."""
    return [stage for stage in (stages[index] for index in current.settling) if isinstance(stage, GlobalStage)]


@dataclass(frozen=True, slots=True)
class OutputPart:
    """A file of data/: the kept documents with doc_ids first..last, both included."""

    number: int
    first: int
    last: int


@dataclass(frozen=True, slots=True)
class WriteGroup:
    """The work of one writing task: splits, their parts of data/, and the number of its file in dropped/, quarantine/
    and edits/ (None: no file)."""

    number: int
    splits: tuple[int, ...]
    parts: tuple[OutputPart, ...]
    dropped: int | None
    quarantine: int | None
    edits: int | None = None


@dataclass(frozen=True, slots=True)
class SplitCount:
    """The numbers of a split for the writing pass. parts: (first, last) doc_id of each part of its kept documents."""

    kept: int
    kept_bytes: int
    dropped: int
    quarantined: int
    parts: tuple[tuple[int, int], ...]
    edits: int = 0
    extra_copies: int = 0


def cut_parts(ids: NDArray[np.uint64], sizes: NDArray[np.int64], part_bytes: int) -> list[tuple[int, int]]:
    """Cut documents into parts: a part is closed by the document that fills it. (first, last) doc_ids."""
    parts: list[tuple[int, int]] = []
    ends = np.cumsum(sizes)
    start, done = 0, 0
    while start < len(ids):
        stop = min(int(np.searchsorted(ends, done + part_bytes, "left")) + 1, len(ids))
        parts.append((int(ids[start]), int(ids[stop - 1])))
        start, done = stop, int(ends[stop - 1])
    return parts


def pack_writes(counts: Sequence[SplitCount], part_bytes: int, with_edits: bool = False) -> list[WriteGroup]:
    """Pack splits into writing tasks: a group is closed by the split that fills a part.

    Files are numbered here, in input order, before anything is written: names do not depend on which task is first.
    """
    packs: list[list[int]] = [[]]
    size = 0
    for number, count in enumerate(counts):
        packs[-1].append(number)
        size += count.kept_bytes
        if size >= part_bytes:
            packs.append([])
            size = 0
    if not packs[-1] and len(packs) > 1:
        packs.pop()
    groups: list[WriteGroup] = []
    data = dropped = quarantine = edited = 0
    for number, pack in enumerate(packs):
        spans = _spans_of([counts[i] for i in pack], part_bytes)
        parts = tuple(OutputPart(data + i, *span) for i, span in enumerate(spans))
        has_dropped = any(counts[i].dropped for i in pack)
        has_bad = any(counts[i].quarantined for i in pack)
        has_edits = any(counts[i].edits for i in pack)
        groups.append(
            WriteGroup(
                number,
                tuple(pack),
                parts,
                dropped if has_dropped else None,
                quarantine if has_bad else None,
                edited if has_edits else None,
            )
        )
        data, dropped, quarantine = data + len(parts), dropped + has_dropped, quarantine + has_bad
        edited += has_edits
    groups[0] = replace(  # a folder without files would be hard to read: an empty part with the right columns instead
        groups[0],
        parts=groups[0].parts if data else (OutputPart(0, 1, 0),),
        dropped=groups[0].dropped if dropped else 0,
        quarantine=groups[0].quarantine if quarantine else 0,
        edits=groups[0].edits if edited or not with_edits else 0,
    )
    return groups


def _spans_of(counts: Sequence[SplitCount], part_bytes: int) -> list[tuple[int, int]]:
    filled = [count for count in counts if count.kept]
    if not filled:
        return []
    last = filled[-1]
    if last.kept_bytes < part_bytes:
        return [(filled[0].parts[0][0], last.parts[-1][1])]
    spans = list(last.parts)
    if len(filled) > 1:  # the small splits before a large one make a part of their own
        spans.insert(0, (filled[0].parts[0][0], filled[-2].parts[-1][1]))
    return spans


@dataclass(frozen=True, slots=True)
class Taken:
    """The drops of a global stage in one split: documents, text bytes, and documents by number of the reason."""

    documents: int
    bytes: int
    reasons: dict[int, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Counted:
    """The counts of a split, for the writing pass and the report. taken: the drops of each global stage, by index."""

    write: SplitCount
    taken: dict[int, Taken]
    first_id: int | None
    cut: dict[int, dict[int, tuple[int, int]]] = field(default_factory=dict)
    """The edits of each global stage, by index: number of the reason -> documents, bytes."""
