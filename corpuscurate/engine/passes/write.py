"""The writing pass: kept documents into data/, a row for each dropped one into dropped/, bad records into quarantine/.

The source is read once more; every verdict comes from artefacts. What is read must be what was measured: a file that
changed in between is an error, not a wrong dataset.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from corpuscurate.core.artefact import read_table, rows_between
from corpuscurate.core.batch import Batch
from corpuscurate.core.columns import TEXT, one_array, to_numpy
from corpuscurate.core.doc_ids import POSITION_BITS, id_range, sorted_member
from corpuscurate.core.earlier_runs import EarlierRun, open_runs
from corpuscurate.core.errors import InputError
from corpuscurate.core.run_folder import BAD, DOCS
from corpuscurate.core.stage import GlobalStage, Stage
from corpuscurate.engine.documents import (
    ColumnSource,
    Reader,
    alive_ids,
    cached_table,
    drop_rows,
    read_chunks,
    replay_edits,
)
from corpuscurate.engine.manifest import Split
from corpuscurate.engine.passes.measure import BAD_SCHEMA
from corpuscurate.engine.plan import WriteGroup
from corpuscurate.engine.task import DIGESTS
from corpuscurate.io.base import OutputShape, SourceFile, Writer, open_writer
from corpuscurate.io.files_out import explained
from corpuscurate.io.output_rows import is_json_form

ROW_GROUP_ROWS = 1 << 16
"""Rows of a row group in dropped/ and quarantine/."""

DROPPED_SCHEMA = pa.schema(
    [
        ("doc_id", pa.uint64()),
        ("id", TEXT),
        ("shard", TEXT),
        ("position", pa.int64()),
        ("stage", pa.string()),
        ("reason", pa.string()),
        ("value", pa.float64()),
        ("threshold", pa.float64()),
        ("duplicate_of", TEXT),
        ("duplicate_of_doc_id", pa.uint64()),
        ("duplicate_of_corpus", TEXT),  # an earlier run that has the document; null: this one
        ("matched", TEXT),
        ("matched_doc_id", pa.uint64()),
        ("matched_corpus", TEXT),
        ("similarity", pa.float64()),
    ]
)


def dropped_schema(with_text: bool) -> pa.Schema:
    """Columns of dropped/."""
    return DROPPED_SCHEMA.append(pa.field("text", TEXT)) if with_text else DROPPED_SCHEMA


def part_name(number: int, suffix: str) -> str:
    """A part's file name: sorts bytewise in input order up to 10^8 parts."""
    return f"part-{number:05d}.{suffix}" if number < 100_000 else f"part-x{number:08d}.{suffix}"


def _data(part: str) -> str:
    """What the file of a part of data/ is called until it is published."""
    return f"data.{part}"


class RowFile:
    """A Parquet file of rows, cut into row groups of fixed size whatever the batches were."""

    def __init__(self, path: Path, schema: pa.Schema, stack: ExitStack) -> None:
        self._schema = schema
        self._path = path
        with explained(path):
            self._writer = stack.enter_context(pq.ParquetWriter(path, schema, compression="zstd", compression_level=3))
        self._held: list[pa.Table] = []
        self.rows = 0
        self._waiting = 0

    def write(self, rows: pa.Table) -> None:
        """Add rows; they must have the schema's columns."""
        while self._waiting + rows.num_rows >= ROW_GROUP_ROWS:
            take = ROW_GROUP_ROWS - self._waiting
            self._held.append(rows.slice(0, take))
            rows = rows.slice(take)
            self._flush()
        self._held.append(rows)
        self._waiting += rows.num_rows

    def finish(self) -> None:
        """Write what is left."""
        if self._waiting or not self.rows:
            self._flush()

    def _flush(self) -> None:
        table = pa.concat_tables([self._schema.empty_table(), *self._held]).combine_chunks()
        with explained(self._path):
            self._writer.write_table(table, row_group_size=ROW_GROUP_ROWS)
        self.rows += table.num_rows
        self._held, self._waiting = [], 0


def without_text(batch: Batch, name: str) -> Batch:
    """The batch with nulls for the text in a `rest` of columns: writers take the text from `Batch.text`, so a second
    copy of it need not be filtered."""
    rest = batch.rest
    if rest is None or is_json_form(rest) or name not in rest.schema.names:
        return batch
    blank = rest.set_column(rest.schema.get_field_index(name), pa.field(name, pa.null()), pa.nulls(len(rest)))
    return replace(batch, rest=blank.replace_schema_metadata(rest.schema.metadata))


@dataclass(frozen=True, slots=True)
class Names:
    """What turns doc_ids into the user's words: shown file names by number; where each split's doc_ids begin."""

    files: tuple[str, ...]
    first_ids: NDArray[np.uint64]


@dataclass(frozen=True, slots=True)
class WriteBody:
    """One group of splits into its files. reader: all passes, with `want.rest`."""

    reader: Reader
    splits: tuple[Split, ...]
    group: WriteGroup
    shape: OutputShape
    names: Names
    dropped_text: bool

    def run(self, folder: Path) -> dict[str, Any]:
        """Write data.part-*, dropped.part-*, quarantine.part-* into the folder."""
        with ExitStack() as stack:
            return _Writing(self, folder, stack).run()


class _Writing:
    """The state of one writing task."""

    def __init__(self, body: WriteBody, folder: Path, stack: ExitStack) -> None:
        self.body = body
        self.folder = folder
        self.suffix = body.shape.format
        self.parts = list(body.group.parts)
        self.writer: Writer | None = None
        self.kept_in_part = 0
        self.written: list[list[Any]] = []
        self.digests: dict[str, str] = {}
        stack.callback(self._abort)
        group = body.group
        self.dropped = self._rows("dropped", group.dropped, dropped_schema(body.dropped_text), stack)
        self.bad = self._rows("quarantine", group.quarantine, BAD_SCHEMA, stack)
        self.text_bytes = 0
        self.gone: list[NDArray[np.uint64]] = []  # dropped documents of the split whose rows are not written yet
        self.gone_text: list[pa.LargeStringArray] = []

    def _rows(self, kind: str, number: int | None, schema: pa.Schema, stack: ExitStack) -> RowFile | None:
        if number is None:
            return None
        return RowFile(self.folder / f"{kind}.{part_name(number, 'parquet')}", schema, stack)

    def _abort(self) -> None:
        if self.writer is not None:
            self.writer.abort()

    def run(self) -> dict[str, Any]:
        """Loop over the splits, then close everything."""
        for split in self.body.splits:
            self.split(split)
        while self.parts:
            self._next_part()
        for rows in (self.dropped, self.bad):
            if rows is not None:
                rows.finish()
        return {
            "parts": self.written,
            "kept": sum(documents for _, documents in self.written),
            "dropped": self.dropped.rows if self.dropped else 0,
            "quarantined": self.bad.rows if self.bad else 0,
            "text_bytes": self.text_bytes,
            DIGESTS: self.digests,
        }

    def split(self, split: Split) -> None:
        """All documents of one split."""
        reader = self.body.reader
        docs = read_table(reader.passes[0].split(split.number) / DOCS)
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
            mask = sorted_member(batch.doc_id, alive)
            if not mask.all():
                self.drop(split, batch, mask)
            kept = without_text(batch, reader.want.text).filter(mask)
            if len(kept):
                self.keep(replay_edits(reader, kept, columns.get(kept.doc_id)))
        if seen != len(measured):
            raise self.changed(split.files[-1])
        self.write_dropped(split)
        if self.bad is not None:
            self.bad.write(read_table(reader.passes[0].split(split.number) / BAD))

    def changed(self, file: SourceFile) -> InputError:
        """The error for input that is not what was measured."""
        return InputError(
            f"{file.name} changed while the run was reading it: its records are not those that were measured. "
            "Run again once nothing writes to the input any more."
        )

    def keep(self, batch: Batch) -> None:
        """Kept documents into the parts they belong to."""
        self.text_bytes += batch.text_bytes
        start = 0
        while start < len(batch):
            while not self.parts[0].first <= batch.doc_id[start] <= self.parts[0].last:
                self._next_part()
            stop = int(np.searchsorted(batch.doc_id, np.uint64(self.parts[0].last), "right"))
            self._open().write(batch.slice(start, stop))
            self.kept_in_part += stop - start
            start = stop

    def _open(self) -> Writer:
        if self.writer is None:
            name = part_name(self.parts[0].number, self.suffix)
            self.writer = open_writer(self.folder / _data(name), self.body.shape)
        return self.writer

    def _next_part(self) -> None:
        name = part_name(self.parts[0].number, self.suffix)
        self.digests[_data(name)] = self._open().close()
        self.written.append([name, self.kept_in_part])
        self.writer, self.kept_in_part = None, 0
        self.parts.pop(0)

    def drop(self, split: Split, batch: Batch, kept: NDArray[np.bool_]) -> None:
        """Note the dropped documents of a batch. Their rows are written many at once; with their text, at once."""
        if self.dropped is None:
            return
        self.gone.append(batch.doc_id[~kept])
        if self.body.dropped_text:
            self.gone_text.append(batch.text.filter(pa.array(~kept)))
        if self.body.dropped_text or sum(map(len, self.gone)) >= ROW_GROUP_ROWS:
            self.write_dropped(split)

    def write_dropped(self, split: Split) -> None:
        """Write the rows of the documents noted by `drop`."""
        if self.dropped is not None and self.gone:
            text = pa.chunked_array(self.gone_text) if self.body.dropped_text else None
            self.dropped.write(self.dropped_rows(split, np.concatenate(self.gone), text))
        self.gone, self.gone_text = [], []

    def dropped_rows(self, split: Split, ids: NDArray[np.uint64], text: pa.ChunkedArray | None) -> pa.Table:
        """Rows of dropped documents, by doc_id."""
        table = pa.concat_tables(self._verdicts(split, *id_range(ids))).sort_by("doc_id")
        if not np.array_equal(to_numpy(table.column("doc_id")), ids):
            raise RuntimeError(f"split {split.number}: verdicts and dropped documents do not agree")
        docs = rows_between(cached_table(self.body.reader.passes[0].split(split.number) / DOCS), *id_range(ids))
        user_ids = docs.column("id").filter(pa.array(sorted_member(to_numpy(docs.column("doc_id")), ids)))
        columns = {
            "doc_id": pa.array(ids),
            "id": user_ids,
            "shard": pa.array(self.body.names.files, TEXT).take(pa.array(ids >> np.uint64(POSITION_BITS))),
            "position": pa.array((ids & np.uint64((1 << POSITION_BITS) - 1)).astype(np.int64)),
            **{name: table.column(name) for name in ("stage", "reason", "value", "threshold")},
            **self.named_document(table, "duplicate_of"),
            **self.named_document(table, "matched"),
            "similarity": table.column("similarity"),
        }
        if text is not None:
            columns["text"] = text
        return pa.table(columns, schema=dropped_schema(self.body.dropped_text))

    def _verdicts(self, split: Split, first: int, last: int) -> list[pa.Table]:
        tables = []
        for done in self.body.reader.passes:
            docs = rows_between(cached_table(done.split(split.number) / DOCS), first, last)
            stages = to_numpy(docs.column("stage"))
            for place in np.unique(stages[stages > 0]):
                rows = docs.filter(pa.array(stages == place))
                tables.append(self._named(int(place) - 1, rows))
            for place, rows in drop_rows(done.verdicts, first, last):
                tables.append(self._named(place, rows))
        return tables

    def _named(self, place: int, rows: pa.Table) -> pa.Table:
        stage = self.body.reader.stages[place]
        names = pa.array(list(stage.reasons()), pa.string())
        thresholds = pa.array(list(stage.reasons().values()), pa.float64())
        reason = pa.array(to_numpy(rows.column("reason")) - 1)
        missing = pa.nulls(rows.num_rows, pa.uint64())
        has = set(rows.column_names)
        value = rows.column("value").to_numpy()
        return pa.table(
            {
                "doc_id": rows.column("doc_id"),
                "stage": pa.repeat(pa.scalar(stage.label, pa.string()), rows.num_rows),
                "reason": names.take(reason),
                "value": pa.array(value, pa.float64(), from_pandas=True),  # nan: nothing was measured
                "threshold": thresholds.take(reason),
                "duplicate_of": rows.column("duplicate_of") if "duplicate_of" in has else missing,
                "matched": rows.column("matched") if "matched" in has else missing,
                **{name: self._corpora(stage, rows, name) for name in ("duplicate_of_corpus", "matched_corpus")},
                "similarity": rows.column("similarity")
                if "similarity" in has
                else pa.nulls(rows.num_rows, pa.float64()),
            }
        )

    def _corpora(self, stage: Stage, rows: pa.Table, name: str) -> pa.Array:
        """Output folders of the earlier runs that a column of INDEXED_DROPS tells; null for this run."""
        if name not in rows.column_names or not isinstance(stage, GlobalStage):
            return pa.nulls(rows.num_rows, TEXT)
        return pa.array(stage.corpora(), TEXT).take(pc.subtract(one_array(rows.column(name)), 1))

    def named_document(self, table: pa.Table, name: str) -> dict[str, pa.Array]:
        """A document of this or an earlier run: the user's id, doc_id, and the name of the run."""
        ids, folders = one_array(table.column(name)), one_array(table.column(f"{name}_corpus"))
        users, runs = self.user_ids(pc.if_else(folders.is_null(), ids, None)), pa.nulls(len(ids), TEXT)
        for folder in folders.drop_null().unique().to_pylist():  # as many as indexes
            here = pc.fill_null(pc.equal(folders, folder), False)
            run = self.earlier(folder)
            users = pc.if_else(here, _ids_in(pc.if_else(here, ids, None), run.first_ids(), self.docs_of(run)), users)
            runs = pc.if_else(here, pa.scalar(run.name, TEXT), runs)
        return {name: users, f"{name}_doc_id": ids, f"{name}_corpus": runs}

    def earlier(self, folder: str) -> EarlierRun:
        """The earlier run in an output folder, named as among all of its stage."""
        stages = [stage for stage in self.body.reader.stages if isinstance(stage, GlobalStage)]
        paths = next(stage.corpora() for stage in stages if folder in stage.corpora())
        return next(run for run in open_runs(paths) if str(run.path) == str(Path(folder)))

    def docs_of(self, run: EarlierRun) -> Callable[[int], Path]:
        """Where the first pass of an earlier run noted the documents of a split."""
        return lambda split: run.artefact("measure-0", split, DOCS)

    def user_ids(self, column: pa.ChunkedArray | pa.Array) -> pa.Array:
        """The user's ids of documents anywhere in the corpus; null stays null."""
        first = self.body.reader.passes[0]
        return _ids_in(column, self.body.names.first_ids, lambda split: first.split(split) / DOCS)


def _ids_in(column: pa.ChunkedArray | pa.Array, first_ids: NDArray[np.uint64], docs: Callable[[int], Path]) -> pa.Array:
    """The user's ids of documents of a run; null stays null.

    Each is looked up in the docs artefact of its split: sorted, memory-mapped, so only the pages touched are read.
    """
    wanted = column.drop_null().unique()
    if len(wanted) == 0:
        return pa.nulls(len(column), TEXT)
    ids: NDArray[np.uint64] = np.sort(to_numpy(wanted))
    splits = np.searchsorted(first_ids, ids, "right") - 1
    found = []
    for number in np.unique(splits):
        table = cached_table(docs(int(number)))
        rows = np.searchsorted(to_numpy(table.column("doc_id")), ids[splits == number])
        found.append(table.column("id").take(pa.array(rows)).combine_chunks())
    names = pa.chunked_array(found, TEXT).combine_chunks()
    column = one_array(column)
    places = np.searchsorted(ids, column.fill_null(0).to_numpy())
    usable = pa.array(np.minimum(places, len(ids) - 1), mask=column.is_null().to_numpy(zero_copy_only=False))
    return names.take(usable)
