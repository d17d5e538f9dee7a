"""The rows of candidates, which verification needs, copied from the sketch files in one reading."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from corpuscurate.core.artefact import Artefact, Artefacts
from corpuscurate.core.doc_ids import between
from corpuscurate.core.durable import forget_file
from corpuscurate.kernels.duplicates.pick_rows import find_sorted, pick_rows
from corpuscurate.methods.dedup.bands import value_column
from corpuscurate.methods.dedup.column_blocks import Reader, blocks_of
from corpuscurate.methods.dedup.sketches import KEEP_RANK, Source


@dataclass(frozen=True, slots=True)
class CandidateRows:
    """Copy the keep ranks and signatures of candidates out of some sketch files, in doc_id order.

    plan: folder of `candidates.Candidates`. values: number of values of a signature; 0 when signatures are not needed.
    kind: the type of the values.
    """

    number: int
    of: int
    files: tuple[Source, ...]
    plan: Artefacts
    values: int
    kind: str

    @property
    def key(self) -> str:
        """See `corpus.Work`."""
        return f"candidate-rows-{self.number}of{self.of}-{self.plan.name}"

    def run(self, folder: Path) -> dict[str, Any]:
        """Write keep_ranks.bin, uint64 a candidate, and signatures.bin, the values of each candidate in buckets. The
        result has the numbers of both."""
        documents = np.load(self.plan["documents.npy"], mmap_mode="r")
        bucketed = np.load(self.plan["bucketed.npy"], mmap_mode="r")
        candidates = rows = 0
        with (folder / "keep_ranks.bin").open("wb") as ranks, (folder / "signatures.bin").open("wb") as signatures:
            for source in self.files:
                in_buckets = []
                for ids, live, keep_rank in source.rows(KEEP_RANK):
                    chosen = _rows_of(ids, live, documents)
                    ranks.write(keep_rank[chosen].data)
                    candidates += len(chosen)
                    in_buckets.append(_rows_of(ids, live, bucketed))
                    rows += len(in_buckets[-1])
                if self.values:
                    self._copy(source, in_buckets, signatures)
                forget_file(source.path)  # the last reading; what verification needs of the texts comes next
        return {"candidates": candidates, "rows": rows}

    def _copy(self, source: Source, chosen: list[NDArray[np.int64]], out: BinaryIO) -> None:
        """Write the signatures of the chosen rows of each record batch."""
        names = [value_column(j) for j in range(self.values)]
        reader, table = Reader(self.kind), np.empty((max(map(len, chosen), default=0), self.values), self.kind)
        with Path(source.path).open("rb", buffering=0) as file:
            for block, rows in zip(blocks_of(source.path, source.schema, names), chosen, strict=True):
                if len(rows):
                    pick_rows(reader.read(file, block, 0, self.values), rows, table)
                    out.write(table[: len(rows)].data)


def _rows_of(ids: NDArray[np.uint64], live: NDArray[np.bool_], wanted: NDArray[np.uint64]) -> NDArray[np.int64]:
    """Indices of the live rows of `ids` that are wanted; both ascend. A row of an earlier run that is left out may have
    the doc_id of another document."""
    if not len(ids):
        return np.empty(0, np.int64)
    wanted = between(wanted, ids[0], ids[-1])
    out = np.empty(len(wanted), np.int64)
    rows = out[: find_sorted(ids, wanted, out)]
    return rows[live[rows]]


class Table:
    """The rows of several files as one table. counts: rows of each file. width: values of a row (0: a single value)."""

    def __init__(self, paths: list[Artefact], counts: list[int], dtype: Any, width: int = 0) -> None:
        self._dtype, self._shape = dtype, (width,) if width else ()
        self._ends = np.cumsum(counts)
        self._pieces = [
            np.memmap(path, dtype, "r", shape=(count, *self._shape)) if count else np.empty((0, *self._shape), dtype)
            for path, count in zip(paths, counts, strict=True)
        ]

    def take(self, indices: NDArray[np.int64]) -> NDArray[Any]:
        """The rows at `indices`, which ascend."""
        out = np.empty((len(indices), *self._shape), self._dtype)
        low = 0
        for piece, end, high in zip(self._pieces, self._ends, np.searchsorted(indices, self._ends), strict=True):
            if low < high:
                np.take(piece, indices[low:high] - (end - len(piece)), axis=0, out=out[low:high], mode="clip")
            low = high
        return out
