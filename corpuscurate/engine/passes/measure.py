"""The measuring pass: runs the streaming stages over a split and writes artefacts only.

Writes docs.arrow (a row a document with its verdict), columns.arrow (added columns), sketch-<label>.arrow for each
global stage of the pass, bad.arrow (unreadable records). The task's result holds counts, never documents.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from corpuscurate.core.batch import Batch
from corpuscurate.core.columns import lengths_bytes
from corpuscurate.core.doc_ids import POSITION
from corpuscurate.core.errors import InputError, StageError
from corpuscurate.core.histogram import count_bins, merge_bins
from corpuscurate.core.run_folder import BAD, COLUMNS, DOCS, TEXT, sketch_file
from corpuscurate.core.stage import GlobalStage, Outcome, StreamingStage
from corpuscurate.core.tables import FewBatches, table_writer
from corpuscurate.core.texts import TEXTS
from corpuscurate.engine.documents import Reader, alive_batches, docs_schema, hiding, without_values
from corpuscurate.engine.failed_rules import Counts, add_counts, count_failed
from corpuscurate.engine.manifest import Split
from corpuscurate.engine.plan import Pass, added_columns, global_stages
from corpuscurate.engine.streaming import Passage, run_stages, stage_error, stages_named_with
from corpuscurate.io.base import BadRecord, SourceFile
from corpuscurate.io.column_types import merge
from corpuscurate.io.columnar import head_of
from corpuscurate.io.type_changes import Kinds, kinds_in, merge_kinds

BAD_SCHEMA = pa.schema(
    [
        ("file", pa.large_string()),
        ("position", pa.int64()),
        ("reason", pa.string()),
        ("detail", pa.large_string()),
        ("head", pa.large_binary()),
        ("whole_file", pa.bool_()),
    ]
)
STAGE_FAILED, WORKER_DIED = "stage_failed", "worker_died"
"""Reasons of quarantine under `on_task_failure: isolate`."""


@dataclass
class StageStats:
    """The stats of one stage in one task."""

    documents_in: int = 0
    bytes_in: int = 0
    documents_out: int = 0
    bytes_out: int = 0
    seconds: float = 0.0
    reasons: dict[str, int] = field(default_factory=dict)
    edits: dict[str, list[int]] = field(default_factory=dict)
    measures: dict[str, dict[str, int]] = field(default_factory=dict)
    """Bins of each measure, see `core.histogram`."""

    failed: Counts = field(default_factory=dict)
    """The rules that fail alone and together, where the stage lists all that fail."""

    noted: dict[str, list[int]] = field(default_factory=dict)
    """See `stage.Note`."""

    def took(self, stage: StreamingStage, before: Batch, outcome: Outcome, after: Batch, seconds: float) -> None:
        """Add a batch and its outcome; in `mode: tag`, reasons count the documents that `mode: drop` would drop."""
        self.seconds += seconds
        self.documents_in += len(before)
        self.bytes_in += before.text_bytes
        self.documents_out += len(after)
        self.bytes_out += after.text_bytes
        for reason, edit in outcome.edits.items():
            known = self.edits.get(reason, [0, 0])
            self.edits[reason] = [known[0] + edit.documents, known[1] + edit.bytes]
        for name, mask in outcome.noted.items():
            if mask.any():
                count, first = self.noted.get(name, (0, int(before.doc_id[mask.argmax()])))
                self.noted[name] = [count + int(mask.sum()), first]
        if outcome.reason is not None:
            for name, count in zip(stage.rules(), np.bincount(outcome.reason)[1:].tolist(), strict=False):
                if count:
                    self.reasons[name] = self.reasons.get(name, 0) + count
        if outcome.failed is not None:
            self.failed = add_counts([self.failed, count_failed(outcome.failed, list(stage.rules()))])
        for name, column in outcome.measures.items():
            if is_countable(column.type):
                values = column.cast(pa.float64(), safe=False).fill_null(np.nan).to_numpy(zero_copy_only=False)
                self.measures[name] = merge_bins([self.measures.get(name, {}), count_bins(values)])


def is_countable(kind: pa.DataType) -> bool:
    """Whether a measure of this type has a histogram."""
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind))


def sketch_file_schema(stage: GlobalStage) -> pa.Schema:
    """doc_id, then the columns of `GlobalStage.sketch_schema`."""
    return pa.schema([pa.field("doc_id", pa.uint64()), *stage.sketch_schema()])


def open_sketches(stage: GlobalStage, path: Path, stack: ExitStack) -> FewBatches:
    """The open sketch file of a stage."""
    return stack.enter_context(FewBatches(stack.enter_context(table_writer(path, sketch_file_schema(stage)))))


def bad_rows(file: SourceFile, records: tuple[BadRecord, ...]) -> pa.RecordBatch:
    """Quarantine rows of bad records."""
    columns = [
        pa.array([file.name] * len(records), pa.large_string()),
        pa.array([record.position for record in records], pa.int64()),
        pa.array([record.reason for record in records], pa.string()),
        pa.array([record.detail for record in records], pa.large_string()),
        pa.array([record.head for record in records], pa.large_binary()),
        pa.array([record.whole_file for record in records], pa.bool_()),
    ]
    return pa.RecordBatch.from_arrays(columns, schema=BAD_SCHEMA)


@dataclass(frozen=True, slots=True)
class MeasureBody:
    """Measures one split in one measuring pass. reader: of the documents after the passes before.

    isolate: a document on which a stage fails is set aside. poisonous: rows of the split, counted over the documents
    that the pass sees, that are set aside at once, and what each did. rows: first and stop of those that are measured
    at all, see `probing`.
    """

    reader: Reader
    split: Split
    current: Pass
    isolate: bool = False
    poisonous: tuple[tuple[int, str], ...] = ()
    rows: tuple[int, int] | None = None

    def counting(self) -> CountBody:
        """A body that reads the documents and measures none; its result has their number, `documents`."""
        return CountBody(self.reader, self.split)

    def probing(self, first: int, stop: int) -> MeasureBody:
        """A body that measures rows first..stop - 1 alone, to see whether that ends."""
        return replace(self, rows=(first, stop))

    def without(self, poisonous: Sequence[tuple[int, str]]) -> MeasureBody:
        """A body that sets these rows aside."""
        return replace(self, poisonous=tuple(poisonous))

    def smaller(self) -> MeasureBody:
        """The body with half the text at once."""
        return replace(self, reader=self.reader.smaller())

    def run(self, folder: Path) -> dict[str, Any]:
        """Measure the split."""
        with ExitStack() as stack:
            return _Measuring(self, folder, stack).run()


@dataclass(frozen=True, slots=True)
class CountBody:
    """Counts the documents of a split that a measuring pass sees."""

    reader: Reader
    split: Split

    def run(self, folder: Path) -> dict[str, Any]:
        """Read the split."""
        batches = alive_batches(self.reader, self.split)
        return {"documents": sum(len(batch) for _, _, batch in batches if batch is not None)}


@dataclass(frozen=True, slots=True)
class _Measured:
    """What a pass makes of a batch: of its streaming stages, with what they took, and the sketches of what is left."""

    passage: Passage
    taken: Sequence[tuple[StreamingStage, Batch, Outcome, Batch, float]]
    sketches: Sequence[tuple[GlobalStage, pa.RecordBatch, float]]


class _Measuring:
    """The state of one measuring task: open artefacts and counts."""

    def __init__(self, body: MeasureBody, folder: Path, stack: ExitStack) -> None:
        stages = body.reader.stages
        self.body = body
        streaming = ((place, stages[place]) for place in body.current.streaming)
        self.streaming = [(place, stage) for place, stage in streaming if isinstance(stage, StreamingStage)]
        self.globals = global_stages(stages, body.current)
        self.added = added_columns([stage for _, stage in self.streaming])
        self.columns_schema = pa.schema([("doc_id", pa.uint64()), *self.added.items()])
        self.docs_schema = docs_schema([stage for _, stage in self.streaming])
        self.docs = stack.enter_context(table_writer(folder / DOCS, self.docs_schema))
        self.bad = stack.enter_context(table_writer(folder / BAD, BAD_SCHEMA))
        self.columns = stack.enter_context(table_writer(folder / COLUMNS, self.columns_schema))
        self.sketches = [
            (stage, open_sketches(stage, folder / sketch_file(stage.label), stack)) for stage in self.globals
        ]
        self.texts = None
        if any(stage.keeps_text for stage in self.globals):
            self.texts = stack.enter_context(table_writer(folder / TEXT, TEXTS))
        self.stats = {stage.label: StageStats() for stage in [*(s for _, s in self.streaming), *self.globals]}
        self.counts = {"null_ids": 0, "documents": 0, "text_bytes": 0, "record_bytes": 0, "kept": 0, "forgotten": 0}
        self.quarantined: dict[str, int] = {}
        self.column_types: dict[str, Any] | None = None
        self.kinds: Kinds = {}
        self.first_batch_at: float | None = None
        self.seen = 0
        self.isolated: list[int] = []

    def run(self) -> dict[str, Any]:
        """Loop over the split."""
        started = time.perf_counter()
        for file, chunk, batch in alive_batches(self.body.reader, self.body.split):
            self.counts["forgotten"] += chunk.forgotten
            if chunk.bad and not self.body.reader.passes:
                self.bad.write(bad_rows(file, without_values(self.body.reader.stages, chunk.bad)))
                for record in chunk.bad:
                    self.quarantined[record.reason] = self.quarantined.get(record.reason, 0) + 1
            if chunk.column_types is not None:
                self.column_types = (
                    chunk.column_types if self.column_types is None else merge([self.column_types, chunk.column_types])
                )
                self.kinds = merge_kinds([self.kinds, kinds_in(chunk.column_types, file.number)])
            if batch is not None and len(batch):
                if not self.body.reader.passes:
                    self.refuse_taken_names(file, batch)
                self.first_batch_at = self.first_batch_at or time.time()
                with stages_named_with(file):
                    self.batch(file, self.chosen(file, batch))
        return {
            **self.counts,
            "quarantined": self.quarantined,
            "stages": {label: vars(stats) for label, stats in self.stats.items()},
            "column_types": self.column_types,
            "kinds": self.kinds,
            "first_batch_at": self.first_batch_at,
            "isolated": self.isolated,
            "seconds": time.perf_counter() - started,
        }

    def refuse_taken_names(self, file: SourceFile, batch: Batch) -> None:
        """Raise InputError when a document has a field with the name of a column that a stage adds.

        `engine.check` has seen the first records of the files only; here every record is checked.
        """
        for name in added_columns(self.body.reader.stages):
            column = batch.columns.get(name)
            if column is not None and column.null_count < len(column):
                raise InputError(
                    f"{file.name}: a record has the column {name!r} already, which a stage of the recipe adds. "
                    f"Give the stage another `name:`, so that its columns are called otherwise."
                )

    def chosen(self, file: SourceFile, batch: Batch) -> Batch:
        """The rows of a batch that are to be measured; poisonous ones are set aside."""
        first, self.seen = self.seen, self.seen + len(batch)
        bounds = self.body.rows
        if bounds is not None:
            rows = np.arange(first, self.seen)
            return batch.filter((rows >= bounds[0]) & (rows < bounds[1]))
        here = {row - first: why for row, why in self.body.poisonous if first <= row < self.seen}
        return self.set_aside(file, batch, here, WORKER_DIED) if here else batch

    def set_aside(self, file: SourceFile, batch: Batch, why: Mapping[int, str], reason: str) -> Batch:
        """Quarantine rows of a batch. why: the detail of each row; returns the others."""
        records = []
        stages = self.body.reader.stages
        if reason == STAGE_FAILED and hiding(stages):
            why = dict.fromkeys(why, "its message is not kept, since a stage of the run hides values")
        for row, detail in sorted(why.items()):
            doc_id = int(batch.doc_id[row])
            records.append(BadRecord(doc_id & POSITION, reason, detail, head_of(batch.text, row)))
            self.isolated.append(doc_id)
        self.bad.write(bad_rows(file, without_values(stages, tuple(records))))
        self.quarantined[reason] = self.quarantined.get(reason, 0) + len(records)
        left = np.ones(len(batch), bool)
        left[list(why)] = False
        return batch.filter(left)

    def batch(self, file: SourceFile, batch: Batch) -> None:
        """Run the streaming stages over a batch; append its verdicts, columns and sketches to their files."""
        if not len(batch):
            return
        try:
            measured = self.measure(batch)
        except StageError as error:
            if not self.body.isolate:
                raise
            batch = self.set_aside(file, batch, self.failing(batch, error), STAGE_FAILED)
            if not len(batch):
                return
            measured = self.measure(batch)
        self.append(batch, measured)

    def failing(self, batch: Batch, error: StageError, first: int = 0) -> dict[int, str]:
        """The rows of a batch with which a stage fails, and what it said. error: of the whole batch, first: its row."""
        if len(batch) == 1:
            return {first: " ".join(str(error).split())}
        found: dict[int, str] = {}
        middle = len(batch) // 2
        for start, stop in ((0, middle), (middle, len(batch))):
            half = batch.slice(start, stop)
            try:
                self.measure(half)
            except StageError as told:
                found |= self.failing(half, told, first + start)
        if not found:
            raise error  # no document alone is the cause
        return found

    def measure(self, batch: Batch) -> _Measured:
        """What the stages say of a batch; nothing is written or counted."""
        taken: list[Any] = []
        passage = run_stages(self.streaming, batch, lambda *each: taken.append(each))
        sketches = []
        for stage in self.globals if len(passage.batch) else ():
            started = time.perf_counter()
            rows = sketch_rows(stage, "sketch", passage.batch)
            sketches.append((stage, rows, time.perf_counter() - started))
        return _Measured(passage, taken, sketches)

    def append(self, batch: Batch, measured: _Measured) -> None:
        """Count what the stages say of a batch, and write it."""
        for stage, before, outcome, after, seconds in measured.taken:
            self.stats[stage.label].took(stage, before, outcome, after, seconds)
        passage = measured.passage
        left = passage.batch
        text_bytes = lengths_bytes(batch.text)
        text_bytes[passage.alive] = lengths_bytes(left.text)
        self.write_docs(batch, text_bytes, passage)
        if len(left):
            ids = pa.array(left.doc_id)
            columns = [ids, *(left.columns[name] for name in self.added)]
            self.columns.write(pa.RecordBatch.from_arrays(columns, schema=self.columns_schema))
            if self.texts is not None:
                self.texts.write(pa.RecordBatch.from_arrays([ids, left.text], schema=TEXTS))
            for (sketching, rows, seconds), (_, writer) in zip(measured.sketches, self.sketches, strict=True):
                writer.write(rows)
                self.count_sketch(sketching, left, seconds)
        self.counts["kept"] += len(left)

    def write_docs(self, batch: Batch, text_bytes: NDArray[np.int64], passage: Passage) -> None:
        """Append the verdict rows of a batch as it was read; text_bytes: int64[n], of the text after the pass."""
        first_pass = not self.body.reader.passes
        ids = batch.id if batch.id is not None and first_pass else pa.nulls(len(batch), pa.large_string())
        arrays = [
            pa.array(batch.doc_id),
            ids,
            pa.array(batch.record_bytes),
            pa.array(text_bytes),
            pa.array(passage.stage),
            pa.array(passage.reason),
            pa.array(passage.value),
            pa.array(passage.threshold),
            passage.failed,
            passage.detail,
        ]
        self.docs.write(pa.RecordBatch.from_arrays(arrays[: len(self.docs_schema)], schema=self.docs_schema))
        self.counts["null_ids"] += ids.null_count if batch.id is not None and first_pass else 0
        self.counts["documents"] += len(batch)
        self.counts["text_bytes"] += batch.text_bytes
        self.counts["record_bytes"] += int(batch.record_bytes.sum())

    def count_sketch(self, stage: GlobalStage, batch: Batch, seconds: float) -> None:
        """Add a batch to the stats of a global stage."""
        stats = self.stats[stage.label]
        stats.seconds += seconds
        stats.documents_in += len(batch)
        stats.bytes_in += batch.text_bytes


def sketch_rows(
    stage: GlobalStage,
    method: str,
    batch: Batch,
    arguments: Mapping[str, Any] | None = None,
    rows: NDArray[np.int64] | None = None,
) -> pa.RecordBatch:
    """doc_id and the columns that a sketch method of the stage returns. rows: see `GlobalStage.takes_rows`."""
    chosen = {} if rows is None else {"rows": rows}
    try:
        columns: dict[str, pa.Array] = getattr(stage, method)(batch, **(arguments or {}), **chosen)
    except Exception as error:
        raise stage_error(stage, batch, error) from error
    ids = batch.doc_id if rows is None else batch.doc_id[rows]
    return pa.RecordBatch.from_arrays([pa.array(ids), *columns.values()], names=["doc_id", *columns])
