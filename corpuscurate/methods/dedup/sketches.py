"""The rows of sketch files, without the documents that an earlier stage dropped."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from corpuscurate.core.artefact import Artefact
from corpuscurate.core.batch import Batch
from corpuscurate.core.columns import to_numpy
from corpuscurate.core.corpus import Corpus
from corpuscurate.core.doc_ids import between, is_in_sorted
from corpuscurate.core.earlier_runs import ALONE, EarlierRun, Numbers, number_runs
from corpuscurate.methods.dedup.keep import (
    NO_SCALE,
    Keep,
    common_scale,
    comparable,
    keep_ranks_and_scales,
    order_of,
    target_scale,
)

KEEP_RANK = "keep_rank"
"""Sketch column, uint64: smaller = kept first; not written for `keep: first`, where all ranks are the same."""
SCALE = "keep_rank_scale"
"""Sketch column, uint8, only where the keep rule reads numbers: the type from which the keep rank was made."""
_BLOCK_ROWS = 1 << 18


@dataclass(frozen=True, slots=True)
class Source:
    """One sketch file. schema: its columns. without: files (`.npy`) of doc_ids to leave out, each sorted.

    scale: the one that keep ranks are brought to, because numbers of the keep rule's column are of several types;
    `NO_SCALE`: they are comparable as stored.
    kept: for a file of an earlier run, the doc_ids that it kept (`.npy`): other rows are left out, and all have the
    keep rank 0. base: added to its doc_ids.
    """

    path: Artefact
    schema: tuple[str, ...]
    without: tuple[Artefact, ...] = ()
    keep: Keep = "first"
    scale: np.uint8 = NO_SCALE
    kept: Artefact | None = None
    base: int = 0

    @property
    def is_own(self) -> bool:
        """Whether its documents are this run's."""
        return self.kept is None

    def blocks(self, columns: Sequence[str]) -> Iterator[dict[str, NDArray[Any]]]:
        """`doc_id` and the named columns, some rows at a time, as NumPy arrays; `KEEP_RANK` is comparable."""
        lists = self._lists()
        for batch in record_batches(self.path, self.schema, self._names(columns)):
            for start in range(0, batch.num_rows, _BLOCK_ROWS):
                piece = batch.slice(start, _BLOCK_ROWS)
                ids, live = self._live(to_numpy(piece.column("doc_id")), lists)
                block = {"doc_id": ids, **{name: self._column(piece, name) for name in columns}}
                yield block if live.all() else {name: column[live] for name, column in block.items()}

    def rows(self, column: str) -> Iterator[tuple[NDArray[np.uint64], NDArray[np.bool_], NDArray[Any]]]:
        """For every row `doc_id`, whether it is not left out, and the value of a column, a record batch at a time;
        `KEEP_RANK` is comparable."""
        lists = self._lists()
        for batch in record_batches(self.path, self.schema, self._names([column])):
            ids, live = self._live(to_numpy(batch.column("doc_id")), lists)
            yield ids, live, self._column(batch, column)

    def _names(self, columns: Sequence[str]) -> list[str]:
        """The columns of the file that must be read for these columns."""
        names = ["doc_id", *columns, *([SCALE] if self.scale != NO_SCALE and KEEP_RANK in columns else [])]
        return names if self._has_keep_ranks else [name for name in names if name not in (KEEP_RANK, SCALE)]

    @property
    def _has_keep_ranks(self) -> bool:
        return self.is_own and KEEP_RANK in self.schema

    def _lists(self) -> _Lists:
        kept = None if self.kept is None else np.load(self.kept, mmap_mode="r")
        return _Lists(kept, [np.load(path, mmap_mode="r") for path in self.without])

    def _live(self, ids: NDArray[np.uint64], lists: _Lists) -> tuple[NDArray[np.uint64], NDArray[np.bool_]]:
        """The doc_ids with `base` added, and which of them are not left out."""
        live = np.ones(len(ids), np.bool_)
        if not len(ids):
            return ids, live
        if lists.kept is not None:
            live = is_in_sorted(ids, between(lists.kept, ids[0], ids[-1]))
            ids = ids + np.uint64(self.base)
        for out in lists.without:
            gone = between(out, ids[0], ids[-1])
            if len(gone):
                live &= ~is_in_sorted(ids, gone)
        return ids, live

    def _column(self, rows: pa.RecordBatch, name: str) -> NDArray[Any]:
        if name != KEEP_RANK:
            return to_numpy(rows.column(name))
        if not self._has_keep_ranks:
            return np.zeros(rows.num_rows, np.uint64)
        keep_rank = to_numpy(rows.column(KEEP_RANK))
        if self.scale == NO_SCALE:
            return keep_rank
        return comparable(order_of(self.keep), keep_rank, to_numpy(rows.column(SCALE)), self.scale)


class _Lists(NamedTuple):
    """The lists of doc_ids that decide which rows are read. kept, without: as in `Source`, opened once a reading."""

    kept: NDArray[np.uint64] | None
    without: list[NDArray[np.uint64]]


@dataclass(frozen=True, slots=True)
class DroppedIds:
    """Write the doc_ids of a sketch file that an earlier stage dropped to a file. Other works carry its path instead of
    the doc_ids."""

    split: int
    ids: NDArray[np.uint64]

    @property
    def key(self) -> str:
        """See `corpus.Work`."""
        return f"dropped-ids-{self.split:06d}"

    def run(self, folder: Path) -> dict[str, Any]:
        """File ids.npy."""
        np.save(folder / "ids.npy", self.ids)
        return {"documents": len(self.ids)}


def record_batches(path: Artefact, schema: Sequence[str], names: Sequence[str]) -> Iterator[pa.RecordBatch]:
    """The record batches of an Arrow file of columns `schema`, with the named columns alone.

    Read and not mapped: mapping few columns of many costs more for its pages than copying them.
    """
    options = pa.ipc.IpcReadOptions(included_fields=[schema.index(name) for name in names], use_threads=False)
    with pa.OSFile(os.fspath(path), "rb") as file, pa.ipc.open_file(file, options=options) as reader:
        for number in range(reader.num_record_batches):
            yield reader.get_batch(number)


@dataclass(frozen=True, slots=True)
class Sources:
    """All sketch files of a stage, this run's first. rows: their rows, the dropped ones included. own_rows: this run's.
    unusable: documents without a value for the keep rule's column, None where the rule reads no numbers. numbers: how
    documents of several runs are numbered."""

    files: tuple[Source, ...]
    rows: int
    unusable: int | None
    own_rows: int
    numbers: Numbers = ALONE

    @property
    def own(self) -> tuple[Source, ...]:
        """This run's files."""
        return tuple(file for file in self.files if file.is_own)

    def ranges(self, count: int) -> list[tuple[Source, ...]]:
        """The files in at most `count` runs of neighbours."""
        size = max(1, -(-len(self.files) // max(1, count)))
        return [self.files[i : i + size] for i in range(0, len(self.files), size)]


def sources_of(corpus: Corpus, keep: Keep, earlier: Sequence[tuple[EarlierRun, Mapping[str, Any]]] = ()) -> Sources:
    """The sketch files of a stage, and whether their keep ranks are comparable as stored.

    earlier: runs to compare with, and the entry of the stage of the same kind in the header of each.
    """
    paths = list(corpus.sketches())
    schema = _column_names(paths[0]) if paths else ()
    rows, missing, found = 0, 0, set[tuple[bool, ...]]()
    for path in paths:
        for batch in record_batches(path, schema, ["doc_id", *([KEEP_RANK, SCALE] if SCALE in schema else [])]):
            rows += batch.num_rows
            if SCALE in schema:
                scales = to_numpy(batch.column(SCALE))
                found.add(common_scale(to_numpy(batch.column(KEEP_RANK)), scales, order_of(keep)))
                missing += int((scales == NO_SCALE).sum())
    scale = target_scale(found)
    gone = {split: ids for split in range(len(paths)) if len(ids := corpus.dropped(split))}
    done = (
        corpus.run([DroppedIds(split, ids) for split, ids in gone.items()], "documents dropped before") if gone else []
    )
    without = {split: (each.files["ids.npy"],) for split, each in zip(gone, done, strict=True)}
    files = tuple(Source(path, schema, without.get(i, ()), keep, scale) for i, path in enumerate(paths))
    numbers = number_runs([run for run, _ in earlier], max((_last_id(file) for file in files), default=-1))
    others = tuple(
        file for (run, left), base in zip(earlier, numbers.bases, strict=True) for file in _sources_in(run, left, base)
    )
    rows_there = sum(len(np.load(file.kept, mmap_mode="r")) for file in others if file.kept)
    return Sources((*files, *others), rows + rows_there, missing if SCALE in schema else None, rows, numbers)


def _sources_in(run: EarlierRun, left: Mapping[str, Any], base: int) -> Iterator[Source]:
    for split in range(run.splits):
        path = run.sketches(left, split)
        yield Source(path, _column_names(path), kept=run.kept(split), base=base)


def _last_id(file: Source) -> int:
    last = -1
    for batch in record_batches(file.path, file.schema, ["doc_id"]):
        if batch.num_rows:
            last = int(batch.column("doc_id")[batch.num_rows - 1].as_py())
    return last


def _column_names(path: Artefact) -> tuple[str, ...]:
    with pa.memory_map(os.fspath(path)) as mapped, pa.ipc.open_file(mapped) as reader:
        return tuple(reader.schema.names)


def keep_warnings(sources: Sources, keep: Keep) -> list[str]:
    """A warning when no document has a usable value in the keep rule's column."""
    if not sources.own_rows or sources.unusable != sources.own_rows or isinstance(keep, str):
        return []
    return [
        f"keep: no document has a number, truth value or date in the column {keep.by!r}, so the first document of each "
        "cluster is kept. For other values list them, best first: keep: {by: " + keep.by + ", rank: [...]}"
    ]


def _has_scale(keep: Keep) -> bool:
    return not isinstance(keep, str) and keep.rank is None


def keep_rank_schema(keep: Keep) -> list[tuple[str, pa.DataType]]:
    """The sketch columns of a keep rule."""
    if keep == "first":
        return []
    return [(KEEP_RANK, pa.uint64()), *([(SCALE, pa.uint8())] if _has_scale(keep) else [])]


def keep_rank_columns(keep: Keep, batch: Batch) -> dict[str, pa.Array]:
    """The sketch columns of a keep rule, for a batch."""
    if keep == "first":
        return {}
    keep_rank, scale = keep_ranks_and_scales(keep, batch)
    columns = {KEEP_RANK: pa.array(keep_rank, pa.uint64())}
    return columns | {SCALE: pa.array(scale, pa.uint8())} if _has_scale(keep) else columns


def first_ids(sources: Sources) -> tuple[int, ...]:
    """The first doc_id of each sketch file, -1 for one without rows."""
    return tuple(_first_id(file) for file in sources.files)


def _first_id(file: Source) -> int:
    for batch in record_batches(file.path, file.schema, ["doc_id"]):
        if batch.num_rows:
            return int(batch.column("doc_id")[0].as_py()) + file.base
    return -1
