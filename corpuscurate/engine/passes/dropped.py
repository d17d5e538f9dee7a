"""Makes the rows of dropped/ and edits/, with the names and ids that the user knows.

Verdicts come from artefacts; the user's ids and the names of shards and earlier runs are looked up here.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from corpuscurate.core.artefact import Artefact
from corpuscurate.core.columns import TEXT, one_array, to_numpy
from corpuscurate.core.doc_ids import POSITION_BITS, id_range
from corpuscurate.core.earlier_runs import EarlierRun, open_runs
from corpuscurate.core.os_errors import explained
from corpuscurate.core.run_folder import DOCS
from corpuscurate.core.stage import GlobalStage, Stage
from corpuscurate.core.tables import cached_table, rows_between
from corpuscurate.engine.documents import Reader, drop_rows, gives_details
from corpuscurate.engine.ids import ids_as

ROW_GROUP_ROWS = 1 << 16
"""Rows of a row group in dropped/, edits/ and quarantine/."""

FAILED_RULES = pa.list_(pa.struct([("reason", pa.string()), ("value", pa.float64()), ("threshold", pa.float64())]))
"""Every rule of the stage that the document failed, where the stage reports more than the first."""

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
        ("failed", FAILED_RULES),
    ]
)


EDITS_SCHEMA = pa.schema(
    [
        ("doc_id", pa.uint64()),
        ("id", TEXT),
        ("shard", TEXT),
        ("position", pa.int64()),
        ("stage", pa.string()),
        ("reason", pa.string()),
        ("start", pa.int64()),  # bytes of the text as the stage saw it
        ("stop", pa.int64()),
        ("partner", TEXT),
        ("partner_doc_id", pa.uint64()),
    ]
)
"""Columns of edits/."""


_IDS = ("id", "duplicate_of", "matched", "partner")
"""Columns of dropped/ and edits/ that hold ids of the user."""


def dropped_schema(with_text: bool, with_detail: bool = False) -> pa.Schema:
    """Columns of dropped/."""
    more = [name for name, there in (("detail", with_detail), ("text", with_text)) if there]
    return pa.schema([*DROPPED_SCHEMA, *(pa.field(name, TEXT) for name in more)])


def with_ids_as(schema: pa.Schema, kind: pa.DataType) -> pa.Schema:
    """A schema of dropped/ or edits/ with ids of a type."""
    return pa.schema([field.with_type(kind) if field.name in _IDS else field for field in schema])


def _with_ids(rows: pa.Table, schema: pa.Schema) -> pa.Table:
    """Rows whose ids, given as text, have the type that they have in the schema."""
    for at, name in enumerate(rows.column_names):
        if name in _IDS:
            rows = rows.set_column(at, name, ids_as(rows.column(name), schema.field(name).type))
    return rows


class RowFile:
    """A Parquet file of rows, with row groups of fixed size whatever the batches."""

    def __init__(self, path: Path, schema: pa.Schema, stack: ExitStack) -> None:
        self._schema = schema
        self._path = path
        with explained(path):
            self._writer = stack.enter_context(pq.ParquetWriter(path, schema, compression="zstd", compression_level=3))
        self._held: list[pa.Table] = []
        self.rows = 0
        self._waiting = 0

    def write(self, rows: pa.Table) -> None:
        """Add rows; they must have the schema's columns, ids as text."""
        rows = _with_ids(rows, self._schema).cast(self._schema)
        while self._waiting + rows.num_rows >= ROW_GROUP_ROWS:
            take = ROW_GROUP_ROWS - self._waiting
            self._held.append(rows.slice(0, take))
            rows = rows.slice(take)
            self._flush()
        self._held.append(rows)
        self._waiting += rows.num_rows

    def finish(self) -> None:
        """Write the remaining rows."""
        if self._waiting or not self.rows:
            self._flush()

    def _flush(self) -> None:
        table = pa.concat_tables([self._schema.empty_table(), *self._held]).combine_chunks()
        with explained(self._path):
            self._writer.write_table(table, row_group_size=ROW_GROUP_ROWS)
        self.rows += table.num_rows
        self._held, self._waiting = [], 0


@dataclass(frozen=True, slots=True)
class Names:
    """What names of documents are made from. files: shown names by file number; first_ids: see `count.first_ids`."""

    files: tuple[str, ...]
    first_ids: NDArray[np.uint64]


class Rows:
    """Makes the rows of dropped/ and edits/ for one split at a time."""

    def __init__(self, reader: Reader, names: Names) -> None:
        """reader: all passes. names: see `Names`."""
        self.reader = reader
        self.names = names
        self._earlier: dict[str, EarlierRun] = {}

    def dropped(self, split: int, ids: NDArray[np.uint64], text: pa.ChunkedArray | None) -> pa.Table:
        """Rows of dropped documents, by doc_id. text: of these documents; None: no column for it."""
        table = pa.concat_tables(self._verdicts(split, *id_range(ids))).sort_by("doc_id")
        if not np.array_equal(to_numpy(table.column("doc_id")), ids):
            raise RuntimeError(f"split {split}: verdicts and dropped documents do not agree")
        columns = {
            **self._address(split, ids),
            **{name: table.column(name) for name in ("stage", "reason", "value", "threshold")},
            **self.named_document(table, "duplicate_of"),
            **self.named_document(table, "matched"),
            "similarity": table.column("similarity"),
            "failed": table.column("failed"),
        }
        with_detail = gives_details(self.reader.stages)
        if with_detail:
            columns["detail"] = table.column("detail")
        if text is not None:
            columns["text"] = text
        return pa.table(columns, schema=dropped_schema(text is not None, with_detail))

    def edits(self, split: int, stage: Stage, rows: pa.Table) -> pa.Table:
        """Rows of edits/ for rows of EDITS, by doc_id and start."""
        names = pa.array(list(stage.rules()), pa.string())
        ids: NDArray[np.uint64] = to_numpy(rows.column("doc_id"))
        partner = one_array(rows.column("partner"))
        columns = {
            **self._address(split, ids),
            "stage": pa.repeat(pa.scalar(stage.label, pa.string()), rows.num_rows),
            "reason": names.take(pa.array(to_numpy(rows.column("reason")) - 1)),
            **{name: rows.column(name) for name in ("start", "stop")},
            "partner": self.user_ids(partner),
            "partner_doc_id": partner,
        }
        return pa.table(columns, schema=EDITS_SCHEMA)

    def _address(self, split: int, ids: NDArray[np.uint64]) -> dict[str, pa.Array]:
        """The address of documents of a split: doc_id, the user's id, shard, position. ids: ascending."""
        docs = rows_between(cached_table(self.reader.passes[0].split(split)[DOCS]), *id_range(ids))
        rows = np.searchsorted(to_numpy(docs.column("doc_id")), ids)
        return {
            "doc_id": pa.array(ids),
            "id": docs.column("id").take(pa.array(rows)),
            "shard": pa.array(self.names.files, TEXT).take(pa.array(ids >> np.uint64(POSITION_BITS))),
            "position": pa.array((ids & np.uint64((1 << POSITION_BITS) - 1)).astype(np.int64)),
        }

    def _verdicts(self, split: int, first: int, last: int) -> list[pa.Table]:
        tables = []
        for done in self.reader.passes:
            docs = rows_between(cached_table(done.split(split)[DOCS]), first, last)
            stages = to_numpy(docs.column("stage"))
            for number in np.unique(stages[stages > 0]):
                rows = docs.filter(pa.array(stages == number))
                tables.append(self._named(int(number) - 1, rows))
            for index, rows in drop_rows(done.verdicts, first, last):
                tables.append(self._named(index, rows))
        return tables

    def _named(self, index: int, rows: pa.Table) -> pa.Table:
        stage = self.reader.stages[index]
        names = pa.array(list(stage.rules()), pa.string())
        thresholds = pa.array(list(stage.rules().values()), pa.float64())
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
                "threshold": pc.coalesce(_own(rows, "threshold"), thresholds.take(reason)),
                "failed": _failed_rules(rows, names, thresholds),
                "detail": rows.column("detail") if "detail" in has else pa.nulls(rows.num_rows, TEXT),
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
            users = pc.if_else(here, ids_in(pc.if_else(here, ids, None), run.first_ids(), self.docs_of(run)), users)
            runs = pc.if_else(here, pa.scalar(run.name, TEXT), runs)
        return {name: users, f"{name}_doc_id": ids, f"{name}_corpus": runs}

    def earlier(self, folder: str) -> EarlierRun:
        """The earlier run in an output folder, with the name that it has among the indexes of its stage."""
        if folder not in self._earlier:  # opening looks at all its files
            stages = [stage for stage in self.reader.stages if isinstance(stage, GlobalStage)]
            paths = next(stage.corpora() for stage in stages if folder in stage.corpora())
            self._earlier[folder] = next(run for run in open_runs(paths) if str(run.path) == str(Path(folder)))
        return self._earlier[folder]

    def docs_of(self, run: EarlierRun) -> Callable[[int], Artefact]:
        """Split number -> docs artefact of an earlier run."""
        return run.docs

    def user_ids(self, column: pa.ChunkedArray | pa.Array) -> pa.Array:
        """The user's ids of documents anywhere in the corpus; null stays null."""
        first = self.reader.passes[0]
        return ids_in(column, self.names.first_ids, lambda split: first.split(split)[DOCS])


def _own(rows: pa.Table, name: str) -> pa.Array:
    """A column of numbers with null for nan; all null where the rows have no such column."""
    if name not in rows.column_names:
        return pa.nulls(rows.num_rows, pa.float64())
    return pa.array(rows.column(name).to_numpy(), pa.float64(), from_pandas=True)


def _failed_rules(rows: pa.Table, names: pa.Array, thresholds: pa.Array) -> pa.Array:
    """FAILED lists with the names of the rules, and the stage's threshold where the document has none of its own."""
    if "failed" not in rows.column_names:
        return pa.nulls(rows.num_rows, FAILED_RULES)
    lists = one_array(rows.column("failed"))
    rule = pc.subtract(pc.struct_field(lists.flatten(), "rule"), 1)
    value, own = (pc.struct_field(lists.flatten(), name) for name in ("value", "threshold"))
    threshold = pc.coalesce(pc.if_else(pc.is_nan(own), None, own), thresholds.take(rule))
    told = pa.StructArray.from_arrays([names.take(rule), value, threshold], fields=list(FAILED_RULES.value_type))
    sizes = pc.fill_null(pc.list_value_length(lists), 0).to_numpy()
    offsets = pa.array(np.concatenate([[0], np.cumsum(sizes)]), pa.int32())
    return pa.ListArray.from_arrays(offsets, told, mask=lists.is_null())


def ids_in(
    column: pa.ChunkedArray | pa.Array, first_ids: NDArray[np.uint64], docs: Callable[[int], Artefact]
) -> pa.Array:
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
    rows_of = np.searchsorted(ids, column.fill_null(0).to_numpy())
    usable = pa.array(np.minimum(rows_of, len(ids) - 1), mask=column.is_null().to_numpy(zero_copy_only=False))
    return names.take(usable)
