"""Partition, sort, reduce: rows of 128-bit keys are spread over parts by the leading bits of the key, so that equal
keys meet in one part, and each part fits into a worker's share of memory. The number of parts never changes the result.

On disk 32 bytes a document, once. In memory a part's rows times `REDUCE_BYTES`.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from corpuscurate.dedup.sources import PLACE, Source, Sources
from corpuscurate.earlier import Numbers
from corpuscurate.stage import Corpus, Done

ROW = np.dtype([("high", np.uint64), ("low", np.uint64), ("place", np.uint64), ("doc_id", np.uint64)])
REDUCE_BYTES = 160
"""Peak memory of `equal_groups` for a row, when every row is in a group."""
_SMALL = 1 << 18
_MOST_PARTS = 512
"""Files that a worker holds open at once."""


def memory_parts(corpus: Corpus, rows: int, bytes_each: int) -> int:
    """So many parts of a table that one fits into half a worker's share of memory."""
    share = corpus.memory_bytes // (2 * max(1, corpus.workers))
    return int(min(_MOST_PARTS, max(1, -(-rows * bytes_each // max(1, share)))))


def part_count(corpus: Corpus, rows: int, bytes_each: int) -> int:
    """As `memory_parts`, and enough to occupy all workers."""
    return min(_MOST_PARTS, max(memory_parts(corpus, rows, bytes_each), corpus.workers if rows > _SMALL else 1))


def part_of(keys: NDArray[np.uint64], parts: int) -> NDArray[np.int64]:
    """The part of each key, from its upper 32 bits: ascending keys have ascending parts."""
    return ((keys >> np.uint64(32)) * np.uint64(parts) >> np.uint64(32)).astype(np.int64)


@dataclass(frozen=True, slots=True)
class Partition:
    """Spread the rows of some sketch files over parts. high, low: the columns of the key. where: a column that must
    not be 0, if any."""

    number: int
    of: int
    files: tuple[Source, ...]
    high: str
    low: str
    where: str | None
    parts: int

    @property
    def key(self) -> str:
        """See `stage.Work`."""
        return f"partition-{self.number}of{self.of}-{self.parts}"

    def run(self, folder: Path) -> dict[str, Any]:
        """Files `<part>.bin` of ROW; the account counts this run's documents, and rows of them."""
        documents = rows = own = 0
        names = [self.high, self.low, PLACE, *([self.where] if self.where else [])]
        with ExitStack() as stack:
            outs = [stack.enter_context((folder / f"{part}.bin").open("wb")) for part in range(self.parts)]
            for source in self.files:
                for block in source.blocks(names):
                    documents += len(block["doc_id"]) if source.is_own else 0
                    table = self._rows(block)
                    rows += len(table)
                    own += len(table) if source.is_own else 0
                    part = part_of(table["high"], self.parts)
                    table = table[np.argsort(part, kind="stable")]
                    ends = np.cumsum(np.bincount(part, minlength=self.parts))
                    for out, piece in zip(outs, np.split(table, ends[:-1]), strict=True):
                        out.write(piece.tobytes())
        return {"documents": documents, "own": own, "rows": rows}

    def _rows(self, block: dict[str, NDArray[Any]]) -> NDArray[Any]:
        table = np.empty(len(block["doc_id"]), ROW)
        table["high"], table["low"] = block[self.high], block[self.low]
        table["place"], table["doc_id"] = block[PLACE], block["doc_id"]
        return table if self.where is None else table[block[self.where] != 0]


def partition(
    corpus: Corpus, sources: Sources, high: str, low: str, where: str | None = None
) -> tuple[list[Done], list[tuple[Path, ...]]]:
    """Run the partitioning: what was done, and the files of each part."""
    parts = part_count(corpus, sources.rows, REDUCE_BYTES)
    ranges = sources.ranges(4 * corpus.workers)
    works = [Partition(i, len(ranges), files, high, low, where, parts) for i, files in enumerate(ranges)]
    done = corpus.run(works, "partition")
    return done, [tuple(each.folder / f"{part}.bin" for each in done) for part in range(parts)]


def load_part(paths: Sequence[Path]) -> NDArray[Any]:
    """The rows of one part."""
    pieces = [np.fromfile(path, ROW) for path in paths]
    return np.concatenate(pieces) if pieces else np.empty(0, ROW)


def equal_groups(rows: NDArray[Any], numbers: Numbers) -> tuple[NDArray[Any], NDArray[np.int64]]:
    """Groups of two or more rows with the same key: the rows by key, earlier runs first, then by place and doc_id; and
    int64[groups + 1] offsets."""
    order = np.argsort(rows["high"])
    high = rows["high"][order]
    same = high[1:] == high[:-1]
    shared = np.zeros(len(rows), np.bool_)
    shared[1:] |= same
    shared[:-1] |= same
    chosen = rows[order[shared]]
    own = numbers.is_own(chosen["doc_id"])
    chosen = chosen[np.lexsort((chosen["doc_id"], chosen["place"], own, chosen["low"], chosen["high"]))]
    starts = np.ones(len(chosen), np.bool_)
    starts[1:] = (chosen["high"][1:] != chosen["high"][:-1]) | (chosen["low"][1:] != chosen["low"][:-1])
    offsets = np.append(np.flatnonzero(starts), len(chosen))
    sizes = np.diff(offsets)
    chosen = chosen[np.repeat(sizes > 1, sizes)]
    return chosen, np.concatenate([np.zeros(1, np.int64), np.cumsum(sizes[sizes > 1])])
