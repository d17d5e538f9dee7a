"""Writes documents in the order, or into the partitions, that a global stage decided: place, scatter, gather.

Place: one task gives each kept document its part and its rank among all documents. Scatter: each writing task writes
its kept documents to pieces, a file with one record batch per part, sorted by rank. Gather: one task per part reads its
record batches from all of these files and writes them in order. So no task holds more text than a part and a split.

The place task needs about 60 bytes of memory per document.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from corpuscurate.core.artefact import Artefact, Artefacts
from corpuscurate.core.batch import Batch
from corpuscurate.core.columns import one_array, take_from, to_numpy
from corpuscurate.core.corpus import ORDER, PARTITION
from corpuscurate.core.doc_ids import id_range, is_in_sorted
from corpuscurate.core.run_folder import DATA, DOCS, PIECES, part_name, placement_file, unpublished
from corpuscurate.core.tables import cached_table, read_table, rows_between, write_table
from corpuscurate.engine.documents import FinishedPass, alive_ids
from corpuscurate.engine.passes.count import copies_of
from corpuscurate.engine.passes.write import Keeper
from corpuscurate.engine.task import DIGESTS
from corpuscurate.io.base import OutputShape, open_writer

_FIXED = ("part", "rank", "doc_id", "record_bytes", "text", "id")
_COLUMN, _REST = "column.", "rest."


@dataclass(frozen=True, slots=True)
class PlaceBody:
    """Gives every kept document its part and its rank. order, partition: the files of `Settled`, all stages;
    partitions: their names, () without partitions."""

    passes: tuple[FinishedPass, ...]
    splits: int
    part_bytes: int
    order: tuple[Artefact, ...]
    partition: tuple[Artefact, ...]
    partitions: tuple[str, ...]

    def run(self, folder: Path) -> dict[str, Any]:
        """Write a file a split: part (int32) and rank (int64) of its kept documents. The result tells the parts:
        [index of the partition, number within it] each; a partition without documents has an empty one."""
        ids, sizes, starts = self._documents()
        rank, ranked = _values(self.order, ORDER, "rank", ids)
        partition, _ = _values(self.partition, PARTITION, "partition", ids)
        order = np.lexsort((ids, rank, ~ranked, partition))
        parts: list[list[int]] = []
        part_of = np.empty(len(ids), np.int32)
        for number in range(max(len(self.partitions), 1)):
            inside = order[partition[order] == number]
            cuts = (np.cumsum(sizes[inside]) - sizes[inside]) // self.part_bytes
            _, local = np.unique(cuts, return_inverse=True)
            part_of[inside] = len(parts) + local
            parts += [[number, each] for each in range(int(local[-1]) + 1 if len(inside) else 1)]
        rank_of = np.empty(len(ids), np.int64)
        rank_of[order] = np.arange(len(ids))
        for split in range(self.splits):
            here = slice(starts[split], starts[split + 1])
            table = pa.table({"part": part_of[here], "rank": rank_of[here]})
            write_table(folder / placement_file(split), table)
        return {"parts": parts}

    def _documents(self) -> tuple[NDArray[np.uint64], NDArray[np.int64], NDArray[np.int64]]:
        """doc_ids of the kept documents, their bytes with all copies, and where each split begins."""
        ids: list[NDArray[np.uint64]] = [np.empty(0, np.uint64)]
        sizes: list[NDArray[np.int64]] = [np.empty(0, np.int64)]
        for split in range(self.splits):
            alive = alive_ids(self.passes[-1], split)
            docs = read_table(self.passes[0].split(split)[DOCS])
            rows = np.searchsorted(to_numpy(docs.column("doc_id")), alive)
            ids.append(alive)
            sizes.append(to_numpy(docs.column("record_bytes"))[rows] * copies_of(self.passes, alive))
        starts = np.cumsum([len(each) for each in ids])
        return np.concatenate(ids), np.concatenate(sizes), starts


def _values(
    files: Sequence[Artefact], schema: pa.Schema, name: str, ids: NDArray[np.uint64]
) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """A column of decisions for each of `ids`, ascending, 0 where there is none; and bool[n], where there is one."""
    values = np.zeros(len(ids), schema.field(name).type.to_pandas_dtype())
    known = np.zeros(len(ids), np.bool_)
    for file in files:
        rows = rows_between(cached_table(file), *id_range(ids))
        told: NDArray[np.uint64] = to_numpy(rows.column("doc_id"))
        mask = is_in_sorted(ids, told)
        values[mask] = to_numpy(rows.column(name))[np.searchsorted(told, ids[mask])]
        known |= mask
    return values, known


@dataclass(frozen=True, slots=True)
class Scatter:
    """Makes keepers that write pieces. placement: the files of `PlaceBody`."""

    placement: Artefacts

    def keeper(self, folder: Path) -> Keeper:
        """See `write.Arranged`."""
        return _Pieces(self.placement, folder)


class _Pieces:
    """Holds the kept documents of one task, then writes them sorted by part."""

    def __init__(self, placement: Artefacts, folder: Path) -> None:
        self._placement = placement
        self._folder = folder
        self._held: list[pa.RecordBatch] = []
        self._split, self._seen = -1, 0

    def keep(self, split: int, batch: Batch) -> None:
        """See `write.Keeper`. Copies of a document stand side by side and have its part and rank."""
        if split != self._split:
            self._split, self._seen = split, 0
        distinct = np.concatenate([[0], np.cumsum(batch.doc_id[1:] != batch.doc_id[:-1])]).astype(np.int64)
        table = read_table(self._placement[placement_file(split)])
        rows = self._seen + distinct
        part, rank = (to_numpy(table.column(name))[rows] for name in ("part", "rank"))
        self._seen += int(distinct[-1]) + 1
        self._held.append(pack(batch, part, rank))

    def finish(self) -> dict[str, Any]:
        """See `write.Keeper`: pieces, [part, number of the record batch in the file of its schema, the file] each."""
        told: list[list[Any]] = []
        for number, batches in enumerate(_by_schema(self._held)):
            table = pa.Table.from_batches(batches).unify_dictionaries().combine_chunks()
            part, rank = (to_numpy(table.column(name)) for name in ("part", "rank"))
            order = np.lexsort((rank, part))  # stable: copies stay as they stood
            table = take_from(table, order)
            starts = np.flatnonzero(np.diff(part[order], prepend=-1))
            name = f"{number}-{PIECES}"
            with pa.OSFile(str(self._folder / name), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
                for at, (start, stop) in enumerate(zip(starts, [*starts[1:], table.num_rows], strict=True)):
                    (piece,) = table.slice(start, stop - start).to_batches()
                    writer.write_batch(piece)
                    told.append([int(part[order[start]]), at, name])
        self._held = []
        return {"pieces": told}

    def abort(self) -> None:
        """See `write.Keeper`: nothing is open."""


def _by_schema(batches: Sequence[pa.RecordBatch]) -> list[list[pa.RecordBatch]]:
    """Batches of equal schemas together, in the order of first appearance."""
    groups: list[list[pa.RecordBatch]] = []
    for batch in batches:
        for group in groups:
            if group[0].schema.equals(batch.schema, check_metadata=True):
                group.append(batch)
                break
        else:
            groups.append([batch])
    return groups


def pack(batch: Batch, part: NDArray[np.int32], rank: NDArray[np.int64]) -> pa.RecordBatch:
    """A batch, with part and rank of its rows, as one record batch; `unpack` is the inverse."""
    rest = batch.rest
    columns: dict[str, Any] = {
        "part": pa.array(part),
        "rank": pa.array(rank),
        "doc_id": pa.array(batch.doc_id),
        "record_bytes": pa.array(batch.record_bytes),
        "text": batch.text,
        "id": pa.nulls(len(batch), pa.large_string()) if batch.id is None else batch.id,
    }
    fields = [pa.field(name, column.type) for name, column in columns.items()]
    arrays = list(columns.values())
    for name, column in batch.columns.items():
        fields.append(pa.field(_COLUMN + name, column.type))
        arrays.append(column)
    for field, column in zip([] if rest is None else rest.schema, [] if rest is None else rest.columns, strict=True):
        fields.append(field.with_name(_REST + field.name))
        arrays.append(column)
    return pa.RecordBatch.from_arrays(arrays, schema=pa.schema(fields, None if rest is None else rest.schema.metadata))


def unpack(rows: pa.RecordBatch | pa.Table) -> Batch:
    """The batch of a record batch made by `pack`."""
    named = dict(zip(rows.schema.names[len(_FIXED) :], rows.columns[len(_FIXED) :], strict=True))
    columns = {
        name.removeprefix(_COLUMN): one_array(column) for name, column in named.items() if name.startswith(_COLUMN)
    }
    fields = [field for field in rows.schema if field.name.startswith(_REST)]
    schema = pa.schema([field.with_name(field.name.removeprefix(_REST)) for field in fields], rows.schema.metadata)
    rest = pa.RecordBatch.from_arrays([one_array(named[field.name]) for field in fields], schema=schema)
    return Batch(
        to_numpy(rows.column("doc_id")).copy(),
        one_array(rows.column("text")),
        to_numpy(rows.column("record_bytes")).copy(),
        one_array(rows.column("id")),
        columns,
        rest,
    )


@dataclass(frozen=True, slots=True)
class GatherBody:
    """Writes one part of data/ from its pieces. pieces: (file, number of the record batch) each. number: of the part
    within its partition; partition: its name, None without partitions."""

    pieces: tuple[tuple[Artefact, int], ...]
    shape: OutputShape
    number: int
    partition: str | None

    def run(self, folder: Path) -> dict[str, Any]:
        """Write data.part-*; the result has its name and number of rows."""
        name = part_name(self.number, self.shape.format)
        file = unpublished(DATA, name, self.partition)
        groups = _by_schema([_piece(path, number) for path, number in self.pieces])
        tables = [pa.Table.from_batches(group).unify_dictionaries().combine_chunks() for group in groups]
        writer = open_writer(folder / file, self.shape)
        try:
            for table, rows in _in_order(tables):
                writer.write(unpack(take_from(table, rows)))
            digest = writer.close()
        except BaseException:
            writer.abort()
            raise
        shown = name if self.partition is None else f"{self.partition}/{name}"
        return {"parts": [[shown, sum(table.num_rows for table in tables)]], DIGESTS: {file: digest}}


def _piece(file: Artefact, number: int) -> pa.RecordBatch:
    with pa.memory_map(file.__fspath__()) as mapped, pa.ipc.open_file(mapped) as reader:
        return reader.get_batch(number)


def _in_order(tables: Sequence[pa.Table]) -> list[tuple[pa.Table, NDArray[np.int64]]]:
    """Rows of tables in the order of rank: runs of neighbours from one table, as (table, its rows)."""
    if not tables:
        return []
    ranks = np.concatenate([to_numpy(table.column("rank")) for table in tables])
    owner = np.repeat(np.arange(len(tables)), [table.num_rows for table in tables])
    row = np.concatenate([np.arange(table.num_rows) for table in tables])
    order = np.argsort(ranks, kind="stable")
    starts = np.flatnonzero(np.diff(owner[order], prepend=-1))
    runs = zip(starts, [*starts[1:], len(order)], strict=True)
    return [(tables[owner[order[start]]], row[order[start:stop]]) for start, stop in runs]
