"""Reads the alive documents of a split as they are after given passes: text edits replayed, dropped documents left out.

Nothing is decided here. Verdicts and added columns come from the artefacts of finished passes; text edits are
deterministic and are applied again.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from corpuscurate.core.artefact import Artefact, Artefacts
from corpuscurate.core.batch import Batch
from corpuscurate.core.columns import one_array, take_rows, to_numpy
from corpuscurate.core.corpus import DROPS
from corpuscurate.core.doc_ids import id_range, is_in_sorted
from corpuscurate.core.errors import BadInputError
from corpuscurate.core.run_folder import COLUMNS, DOCS, task_folder
from corpuscurate.core.stage import FAILED, GlobalStage, Stage, StreamingStage
from corpuscurate.core.tables import cached_table, read_table, rows_between
from corpuscurate.engine.edits import CutSpans
from corpuscurate.engine.forgotten import Forgotten
from corpuscurate.engine.input_columns import with_folder_columns
from corpuscurate.engine.manifest import Split
from corpuscurate.engine.progress import beat
from corpuscurate.engine.streaming import apply_stage, stages_named_with
from corpuscurate.io.base import BadRecord, Chunk, SourceFile, Want, input_format

DOCS_SCHEMA = pa.schema(
    [
        ("doc_id", pa.uint64()),
        ("id", pa.large_string()),  # the user's, first pass only
        ("record_bytes", pa.int64()),
        ("text_bytes", pa.int64()),  # of the text as the pass left it
        ("stage", pa.int16()),  # 0 = alive after the pass, i >= 1: dropped by the pipeline's stage i - 1
        ("reason", pa.int16()),
        ("value", pa.float64()),
        ("threshold", pa.float64()),  # where the stage has one a document; nan: its own
        ("failed", FAILED),
    ]
)


def docs_schema(stages: Sequence[Stage]) -> pa.Schema:
    """DOCS_SCHEMA, with a column `detail` where one of the stages gives details."""
    return DOCS_SCHEMA.append(pa.field("detail", pa.large_string())) if gives_details(stages) else DOCS_SCHEMA


def gives_details(stages: Sequence[Stage]) -> bool:
    """Whether one of the stages gives details."""
    return any(isinstance(stage, StreamingStage) and stage.details for stage in stages)


_SHAPE = bytes(
    ord("0") if chr(byte).isdigit() and byte < 0x80 else ord("x") if byte >= 0x80 or chr(byte).isalpha() else byte
    for byte in range(256)
)


@dataclass(frozen=True, slots=True)
class Verdicts:
    """The decision of a global stage. stage: its index in the pipeline. The other fields: see `Settled`."""

    stage: int
    drops: tuple[Artefact, ...] = ()
    tags: tuple[Artefact, ...] = ()
    edits: tuple[Artefact, ...] = ()
    copies: tuple[Artefact, ...] = ()
    order: tuple[Artefact, ...] = ()
    partition: tuple[Artefact, ...] = ()


@dataclass(frozen=True, slots=True)
class FinishedPass:
    """A finished measuring pass. streaming: indices of its streaming stages; verdicts: of its global stages so far."""

    folder: Path
    streaming: tuple[int, ...]
    verdicts: tuple[Verdicts, ...] = ()

    def split(self, number: int) -> Artefacts:
        """The artefacts of a split."""
        return Artefacts(str(self.folder / task_folder(number)))


@dataclass(frozen=True, slots=True)
class Reader:
    """How documents are read: the stages, the finished passes, and what to deliver. A picklable value."""

    stages: tuple[Stage, ...]
    passes: tuple[FinishedPass, ...]
    want: Want
    edits: tuple[StreamingStage | CutSpans, ...] = ()
    """The text edits of the finished passes, in order."""
    columns: tuple[str, ...] = ()
    """Columns of the finished passes to deliver, `<label>.<measure>`."""
    fail_on_bad: bool = False
    folder_columns: tuple[tuple[str, pa.DataType], ...] = ()
    """The columns that the names of folders give: see `engine.input_columns`."""
    forgotten: Forgotten | None = None
    """Documents that are left out, as if the input had them not."""
    isolated: Mapping[int, tuple[int, ...]] = field(default_factory=dict)
    """doc_ids by split that the finished passes set aside under `on_task_failure: isolate`, ascending."""

    def smaller(self) -> Reader:
        """The reader with half the text at once."""
        return replace(self, want=replace(self.want, batch_bytes=max(1, self.want.batch_bytes // 2)))


def read_chunks(reader: Reader, split: Split) -> Iterator[tuple[SourceFile, Chunk]]:
    """The chunks of a split's spans in input order, as the readers give them, without isolated and forgotten ones."""
    isolated = np.array(reader.isolated.get(split.number, ()), np.uint64)
    for file, span in zip(split.files, split.spans, strict=True):
        for read in input_format(file.format).read(file, span, reader.want):
            chunk = read if reader.forgotten is None else reader.forgotten.without(file, read)
            if reader.fail_on_bad and chunk.bad:
                raise bad_input_error(file, without_values(reader.stages, chunk.bad)[0])
            batch = chunk.batch
            if batch is not None and reader.folder_columns:
                batch = with_folder_columns(batch, file, dict(reader.folder_columns), first=not reader.passes)
            if batch is not None and len(isolated):
                batch = batch.filter(~is_in_sorted(batch.doc_id, isolated))
            yield file, replace(chunk, batch=batch)
            if read.batch is not None:
                beat(int(read.batch.record_bytes.sum()))


def bad_input_error(file: SourceFile, record: BadRecord) -> BadInputError:
    """The error for an unreadable record under `on_bad_input: fail`."""
    return BadInputError(
        f"{file.name}, position {record.position}: {record.reason}: {record.detail}\n"
        f"  It begins with {record.head[:80]!r}.\n"
        "  The recipe says `on_bad_input: fail`; with `quarantine` it would be set aside and counted."
    )


def hiding(stages: Sequence[Stage]) -> list[StreamingStage]:
    """The stages that take values out of the text that no file of the run may keep."""
    return [stage for stage in stages if isinstance(stage, StreamingStage) and stage.hides]


def without_values(stages: Sequence[Stage], records: tuple[BadRecord, ...]) -> tuple[BadRecord, ...]:
    """Unreadable records as a run keeps them: where a stage hides values, of their heads the shape alone, with x for
    letters and other characters, 0 for digits."""
    if not hiding(stages):
        return records
    return tuple(replace(record, head=record.head.translate(_SHAPE)) for record in records)


def drop_rows(verdicts: Sequence[Verdicts], first: int, last: int) -> list[tuple[int, pa.Table]]:
    """(index of the stage, its DROPS rows for doc_ids first..last, sorted), for each stage that dropped any of them."""
    found = []
    for verdict in verdicts:
        tables = [rows_between(cached_table(path), first, last) for path in verdict.drops]
        found_here = [DROPS.empty_table(), *(t for t in tables if t.num_rows)]
        table = pa.concat_tables(found_here, promote_options="default")  # INDEXED_DROPS have columns of their own
        if table.num_rows:
            found.append((verdict.stage, table.sort_by("doc_id").combine_chunks()))
    return found


def dropped_ids(verdicts: Sequence[Verdicts], first: int, last: int) -> NDArray[np.uint64]:
    """doc_ids in first..last that global stages dropped, ascending."""
    tables = [table for _, table in drop_rows(verdicts, first, last)]
    if not tables:
        return np.zeros(0, np.uint64)
    return np.sort(np.concatenate([to_numpy(table.column("doc_id")) for table in tables]))


def alive_ids(done: FinishedPass, split: int) -> NDArray[np.uint64]:
    """doc_ids of a split that are alive after a pass and its settle steps, ascending."""
    docs = read_table(done.split(split)[DOCS])
    ids: NDArray[np.uint64] = to_numpy(docs.column("doc_id"))[to_numpy(docs.column("stage")) == 0]
    return ids[~is_in_sorted(ids, dropped_ids(done.verdicts, *id_range(ids)))]


def seen_documents(first: FinishedPass, split: int, isolated: Mapping[int, tuple[int, ...]]) -> pa.Table:
    """DOCS of the first pass without the documents that later passes isolated."""
    docs = read_table(first.split(split)[DOCS])
    if split not in isolated:
        return docs
    gone = is_in_sorted(to_numpy(docs.column("doc_id")), np.array(isolated[split], np.uint64))
    return docs.filter(pa.array(~gone))


class ColumnSource:
    """Columns that earlier passes added, by doc_id, for one split."""

    def __init__(self, reader: Reader, split: int) -> None:
        self._reader = reader
        self._split = split
        owners = {stage.label: index for index, stage in enumerate(reader.stages)}
        self._plan = [(name, owners[name.split(".", 1)[0]]) for name in reader.columns]

    def get(self, ids: NDArray[np.uint64]) -> dict[str, pa.Array]:
        """The columns for documents that are alive; ids ascending."""
        return {name: self._column(name, index, ids) for name, index in self._plan}

    def _column(self, name: str, index: int, ids: NDArray[np.uint64]) -> pa.Array:
        for done in self._reader.passes:
            if index in done.streaming:
                table = cached_table(done.split(self._split)[COLUMNS])
                rows = np.searchsorted(to_numpy(table.column("doc_id")), ids)
                return one_array(table.column(name).take(pa.array(rows)))
            for verdict in done.verdicts:
                if verdict.stage == index:
                    return self._tags(name, verdict, ids)
        raise KeyError(name)

    def _tags(self, name: str, verdict: Verdicts, ids: NDArray[np.uint64]) -> pa.Array:
        stage = self._reader.stages[verdict.stage]
        measure = name.split(".", 1)[1]
        kind = {**stage.measures(), **stage.adds()}[measure]
        default = getattr(stage, "tag_defaults")().get(measure)  # noqa: B009  (only global stages get here)
        filler = pa.nulls(1, kind) if default is None else pa.array([default], kind)
        tables = [rows_between(cached_table(path), *id_range(ids)) for path in verdict.tags]
        told = [t.select(["doc_id", measure]) for t in tables if t.num_rows]
        if not told:
            return take_rows(filler, np.zeros(len(ids), np.int64))
        table = told[0] if len(told) == 1 else pa.concat_tables(told).sort_by("doc_id")
        there = to_numpy(table.column("doc_id"))
        values = one_array(table.column(measure)).cast(kind)
        if np.array_equal(there, ids):
            return values
        rows = np.searchsorted(there, ids)
        rows[~is_in_sorted(ids, there)] = len(there)  # the filler
        return take_rows(pa.concat_arrays([values, filler]), rows)


def replay_edits(reader: Reader, batch: Batch, columns: Mapping[str, pa.Array]) -> Batch:
    """The batch with the columns and the text edits of the finished passes."""
    batch = batch.with_columns(columns)
    for edit in reader.edits:
        if isinstance(edit, CutSpans):
            batch = edit.apply(batch)
            continue
        outcome = apply_stage(edit, batch)
        if outcome.text is not None:
            batch = batch.with_text(outcome.text)
    return batch


def edits_of(stages: Sequence[Stage], passes: Sequence[FinishedPass]) -> tuple[StreamingStage | CutSpans, ...]:
    """The text edits of these passes, in order: they are replayed when the text is read again."""
    found: list[StreamingStage | CutSpans] = []
    for done in passes:
        streaming = (stages[index] for index in done.streaming)
        found += [stage for stage in streaming if isinstance(stage, StreamingStage) and stage.edits_text]
        for verdict in done.verdicts:
            stage = stages[verdict.stage]
            if verdict.edits and isinstance(stage, GlobalStage):
                found.append(CutSpans(stage, verdict.edits))
    return tuple(found)


def alive_batches(reader: Reader, split: Split) -> Iterator[tuple[SourceFile, Chunk, Batch | None]]:
    """The chunks of a split, each with its alive documents after the finished passes, text edits replayed.

    A reader without finished passes yields all documents as they are in the input.
    """
    alive = alive_ids(reader.passes[-1], split.number) if reader.passes else None
    columns = ColumnSource(reader, split.number)
    for file, chunk in read_chunks(reader, split):
        batch = chunk.batch
        if batch is None or alive is None:
            yield file, chunk, batch
            continue
        kept = batch.filter(is_in_sorted(batch.doc_id, alive))
        with stages_named_with(file):
            ready = replay_edits(reader, kept, columns.get(kept.doc_id)) if len(kept) else None
        yield file, chunk, ready
