"""The writing pass: writes data/, dropped/, edits/ and quarantine/.

It reads the source once more; every verdict comes from artefacts. For later runs it sketches the texts as it writes
them, where the measuring pass sketched them before an edit. The records must be those that were measured: a file
that changed in between is an error, not a wrong dataset. Where a stage orders or partitions documents, it writes the
kept ones to pieces first (`arrange.py`).
"""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from corpuscurate.core.batch import Batch
from corpuscurate.core.columns import to_numpy
from corpuscurate.core.doc_ids import is_in_sorted
from corpuscurate.core.errors import InputError
from corpuscurate.core.run_folder import (
    BAD,
    DATA,
    DROPPED,
    EDITS,
    QUARANTINE,
    part_name,
    unpublished,
    written_sketch_file,
)
from corpuscurate.core.stage import GlobalStage
from corpuscurate.core.tables import FewBatches, read_table
from corpuscurate.engine.documents import (
    ColumnSource,
    FinishedPass,
    Reader,
    alive_ids,
    gives_details,
    hiding,
    read_chunks,
    replay_edits,
    seen_documents,
)
from corpuscurate.engine.manifest import Split
from corpuscurate.engine.passes.count import copies_by, edits_in
from corpuscurate.engine.passes.dropped import (
    EDITS_SCHEMA,
    ROW_GROUP_ROWS,
    Names,
    RowFile,
    Rows,
    dropped_schema,
    with_ids_as,
)
from corpuscurate.engine.passes.measure import BAD_SCHEMA, open_sketches, sketch_rows
from corpuscurate.engine.plan import COPY, OutputPart, WriteGroup
from corpuscurate.engine.streaming import stages_named_with
from corpuscurate.engine.task import DIGESTS
from corpuscurate.io.base import OutputShape, SourceFile, Writer, open_writer
from corpuscurate.io.json_losses import Losses, add_losses, losses_of
from corpuscurate.io.output_rows import is_json_form


def without_text(batch: Batch, name: str) -> Batch:
    """The batch with nulls for the text in `rest`, if that has columns: writers take the text from `Batch.text`, so
    that filtering copies it once."""
    rest = batch.rest
    if rest is None or is_json_form(rest) or name not in rest.schema.names:
        return batch
    blank = rest.set_column(rest.schema.get_field_index(name), pa.field(name, pa.null()), pa.nulls(len(rest)))
    return replace(batch, rest=blank.replace_schema_metadata(rest.schema.metadata))


@dataclass(frozen=True, slots=True)
class WriteBody:
    """Writes the files of one group of splits. reader: all passes, with `want.rest`. ids: the type of ids in
    dropped/ and edits/. arranged: a stage orders or partitions documents, so the kept ones go into pieces; None: into
    the parts of the group. sketching: stages whose sketches of the written texts later runs compare with."""

    reader: Reader
    splits: tuple[Split, ...]
    group: WriteGroup
    shape: OutputShape
    names: Names
    ids: pa.DataType
    dropped_text: bool
    arranged: Arranged | None = None
    sketching: tuple[GlobalStage, ...] = ()

    def smaller(self) -> WriteBody:
        """The body with half the text at once."""
        return replace(self, reader=self.reader.smaller())

    def run(self, folder: Path) -> dict[str, Any]:
        """Write data.part-* or pieces, dropped.part-*, edits.part-*, quarantine.part-* and sketches into the folder."""
        with ExitStack() as stack:
            return _Writing(self, folder, stack).run()


class Keeper(Protocol):
    """Writes the kept documents of a writing task, given in order of doc_id."""

    def keep(self, split: int, batch: Batch) -> None:
        """Take documents, copies included."""

    def finish(self) -> dict[str, Any]:
        """Close the files; returns entries of the task's result."""

    def abort(self) -> None:
        """Delete unfinished files. Never raises."""


class Arranged(Protocol):
    """Makes the keepers of a run that orders or partitions documents; picklable."""

    def keeper(self, folder: Path) -> Keeper:
        """A keeper for one task."""


class Parts:
    """Writes kept documents to their parts of data/."""

    def __init__(self, folder: Path, shape: OutputShape, parts: tuple[OutputPart, ...]) -> None:
        self._folder = folder
        self._shape = shape
        self._parts = list(parts)
        self._writer: Writer | None = None
        self._rows = 0
        self._written: list[list[Any]] = []
        self._digests: dict[str, str] = {}

    def keep(self, _split: int, batch: Batch) -> None:
        """See `Keeper`."""
        start = 0
        while start < len(batch):
            while not self._parts[0].first <= batch.doc_id[start] <= self._parts[0].last:
                self._next_part()
            stop = int(np.searchsorted(batch.doc_id, np.uint64(self._parts[0].last), "right"))
            self._open().write(batch.slice(start, stop))
            self._rows += stop - start
            start = stop

    def finish(self) -> dict[str, Any]:
        """See `Keeper`: parts, [name, rows] each."""
        while self._parts:
            self._next_part()
        return {"parts": self._written, DIGESTS: self._digests}

    def abort(self) -> None:
        """See `Keeper`."""
        if self._writer is not None:
            self._writer.abort()

    def _open(self) -> Writer:
        if self._writer is None:
            self._writer = open_writer(self._folder / unpublished(DATA, self._name()), self._shape)
        return self._writer

    def _next_part(self) -> None:
        name = self._name()
        self._digests[unpublished(DATA, name)] = self._open().close()
        self._written.append([name, self._rows])
        self._writer, self._rows = None, 0
        self._parts.pop(0)

    def _name(self) -> str:
        return part_name(self._parts[0].number, self._shape.format)


class _Writing:
    """The state of one writing task."""

    def __init__(self, body: WriteBody, folder: Path, stack: ExitStack) -> None:
        self.body = body
        self.folder = folder
        group = body.group
        self.keeper: Keeper = body.arranged.keeper(folder) if body.arranged else Parts(folder, body.shape, group.parts)
        stack.callback(self.keeper.abort)
        self.rows = Rows(body.reader, body.names)
        dropped = with_ids_as(dropped_schema(body.dropped_text, gives_details(body.reader.stages)), body.ids)
        self.dropped = self._file(DROPPED, group.dropped, dropped, stack)
        self.edits = self._file(EDITS, group.edits, with_ids_as(EDITS_SCHEMA, body.ids), stack)
        self.bad = self._file(QUARANTINE, group.quarantine, BAD_SCHEMA, stack)
        verdicts = [verdict for done in body.reader.passes for verdict in done.verdicts if verdict.copies]
        self.copying = [(f"{body.reader.stages[each.stage].label}.{COPY}", each.copies) for each in verdicts]
        self.kept = self.text_bytes = 0
        self.losses: Losses = {}
        self.gone: list[NDArray[np.uint64]] = []  # dropped documents of the split whose rows are not written yet
        self.gone_text: list[pa.LargeStringArray] = []
        self.sketches: list[tuple[GlobalStage, FewBatches]] = []  # the open files of the split

    def _file(self, kind: str, number: int | None, schema: pa.Schema, stack: ExitStack) -> RowFile | None:
        if number is None:
            return None
        return RowFile(self.folder / unpublished(kind, part_name(number, "parquet")), schema, stack)

    def run(self) -> dict[str, Any]:
        """Loop over the splits, then close everything."""
        for split in self.body.splits:
            with ExitStack() as stack:
                self.sketches = [
                    (stage, open_sketches(stage, self.folder / written_sketch_file(stage.label, split.number), stack))
                    for stage in self.body.sketching
                ]
                self.split(split)
        told = self.keeper.finish()
        for rows in (self.dropped, self.edits, self.bad):
            if rows is not None:
                rows.finish()
        return {
            "kept": self.kept,
            "dropped": self.dropped.rows if self.dropped else 0,
            "edits": self.edits.rows if self.edits else 0,
            "quarantined": self.bad.rows if self.bad else 0,
            "text_bytes": self.text_bytes,
            "losses": self.losses,
            **told,
        }

    def split(self, split: Split) -> None:
        """All documents of one split."""
        reader = self.body.reader
        docs = seen_documents(reader.passes[0], split.number, reader.isolated)
        measured: NDArray[np.uint64] = to_numpy(docs.column("doc_id"))
        sizes = to_numpy(docs.column("record_bytes"))  # rows of other documents have the same doc_ids
        alive = alive_ids(reader.passes[-1], split.number)
        columns = ColumnSource(reader, split.number)
        seen = 0
        for file, chunk in read_chunks(reader, split):
            batch = chunk.batch
            if batch is None or len(batch) == 0:
                continue
            here = slice(seen, seen + len(batch))
            if not np.array_equal(measured[here], batch.doc_id) or not np.array_equal(sizes[here], batch.record_bytes):
                raise self.changed(file)
            seen += len(batch)
            mask = is_in_sorted(batch.doc_id, alive)
            if not mask.all():
                self.drop(split, batch, mask)
            kept = without_text(batch, reader.want.text).filter(mask)
            if len(kept):
                with stages_named_with(file):
                    ready = replay_edits(reader, kept, columns.get(kept.doc_id))
                    self.sketch(ready)
                self.keep(split, ready)
        if seen != len(measured):
            raise self.changed(split.files[-1])
        self.write_dropped(split)
        for done in reader.passes:
            self.write_records(done, split)

    def write_records(self, done: FinishedPass, split: Split) -> None:
        """Write what a pass edited and set aside."""
        if self.edits is not None:
            self.write_edits(self.edits, done, split)
        if self.bad is not None:
            self.bad.write(read_table(done.split(split.number)[BAD]))

    def changed(self, file: SourceFile) -> InputError:
        """The error for a file whose records are not those that were measured."""
        return InputError(
            f"{file.name} changed while the run was reading it: its records are not those that were measured. "
            "Run again once nothing writes to the input any more."
        )

    def sketch(self, batch: Batch) -> None:
        """Sketch kept documents, as they are written, for later runs."""
        for stage, rows in self.sketches:
            rows.write(sketch_rows(stage, "sketch", batch))

    def keep(self, split: Split, batch: Batch) -> None:
        """Write kept documents, each with its copies."""
        self.kept += len(batch)
        self.text_bytes += batch.text_bytes
        for name, files in self.copying:
            batch, number = batch.repeat(copies_by(files, batch.doc_id))
            batch = batch.with_columns({name: pa.array(number, pa.int32())})
        add_losses(self.losses, losses_of(batch, self.body.shape))
        self.keeper.keep(split.number, batch)

    def drop(self, split: Split, batch: Batch, kept: NDArray[np.bool_]) -> None:
        """Collect the dropped documents of a batch. Rows are written for many batches at once; with text, per batch."""
        if self.dropped is None:
            return
        self.gone.append(batch.doc_id[~kept])
        if self.body.dropped_text:
            self.gone_text.append(self.hidden(batch.text.filter(pa.array(~kept))))
        if self.body.dropped_text or sum(map(len, self.gone)) >= ROW_GROUP_ROWS:
            self.write_dropped(split)

    def hidden(self, text: pa.LargeStringArray) -> pa.LargeStringArray:
        """Texts without what the stages of the run hide."""
        for stage in hiding(self.body.reader.stages):
            text = stage.hidden(text)
        return text

    def write_dropped(self, split: Split) -> None:
        """Write the rows of the documents collected by `drop`."""
        if self.dropped is not None and self.gone:
            text = pa.chunked_array(self.gone_text) if self.body.dropped_text else None
            self.dropped.write(self.rows.dropped(split.number, np.concatenate(self.gone), text))
        self.gone, self.gone_text = [], []

    def write_edits(self, file: RowFile, done: FinishedPass, split: Split) -> None:
        """Write the rows of edits/ for the split and the global stages of a pass."""
        if any(verdict.edits for verdict in done.verdicts):
            for index, rows in edits_in(done.verdicts, alive_ids(done, split.number)):
                file.write(self.rows.edits(split.number, self.body.reader.stages[index], rows))
