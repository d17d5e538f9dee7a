"""Partition, sort, reduce: rows of 128-bit keys are spread over parts by the leading bits of the key, so that equal
keys meet in one part, and each part fits into a worker's share of memory. The number of parts never changes the result.

On disk 24 bytes a document, once, and 8 more where the keep rule has places. In memory a part's rows times
`REDUCE_BYTES`.
"""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from corpuscurate.core.corpus import Corpus, Done
from corpuscurate.core.earlier_runs import Numbers
from corpuscurate.kernels.duplicates.bands import shared_keys, sieve_add
from corpuscurate.methods.dedup.distinct import index_type
from corpuscurate.methods.dedup.sketches import PLACE, Source, Sources

_KEYS = [("high", np.uint64), ("low", np.uint64), ("doc_id", np.uint64)]
ROW = np.dtype(_KEYS)
PLACED_ROW = np.dtype([*_KEYS, (PLACE, np.uint64)])
"""Where the keep rule has places; otherwise the order of doc_id decides."""
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
    not be 0, if any. row: `ROW` or `PLACED_ROW`."""

    number: int
    of: int
    files: tuple[Source, ...]
    high: str
    low: str
    where: str | None
    parts: int
    row: np.dtype[Any]

    @property
    def key(self) -> str:
        """See `stage.Work`."""
        return f"partition-{self.number}of{self.of}-{self.parts}"

    def run(self, folder: Path) -> dict[str, Any]:
        """Files `<part>.bin` of rows; the result counts this run's documents, and rows of them."""
        documents = rows = own = 0
        names = [self.high, self.low, *([PLACE] if self._has_places else []), *([self.where] if self.where else [])]
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

    @property
    def _has_places(self) -> bool:
        return PLACE in (self.row.names or ())

    def _rows(self, block: dict[str, NDArray[Any]]) -> NDArray[Any]:
        table = np.empty(len(block["doc_id"]), self.row)
        table["high"], table["low"], table["doc_id"] = block[self.high], block[self.low], block["doc_id"]
        if self._has_places:
            table[PLACE] = block[PLACE]
        return table if self.where is None else table[block[self.where] != 0]


@dataclass(frozen=True, slots=True)
class Part:
    """The rows of one part, in files of `row`."""

    paths: tuple[Path, ...]
    row: np.dtype[Any]


def partition(
    corpus: Corpus, sources: Sources, high: str, low: str, where: str | None = None
) -> tuple[list[Done], list[Part]]:
    """Run the partitioning: what was done, and the parts."""
    parts = part_count(corpus, sources.rows, REDUCE_BYTES)
    ranges = sources.ranges(4 * corpus.workers)
    row = PLACED_ROW if any(file.keep != "first" for file in sources.own) else ROW
    works = [Partition(i, len(ranges), files, high, low, where, parts, row) for i, files in enumerate(ranges)]
    done = corpus.run(works, "partition")
    return done, [Part(tuple(each.folder / f"{part}.bin" for each in done), row) for part in range(parts)]


def equal_groups(part: Part, numbers: Numbers) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
    """Groups of two or more rows with the same key: the doc_ids by key, those of earlier runs first, then by place and
    doc_id; and int64[groups + 1] offsets."""
    chosen = _shared(part)
    own = numbers.is_own(chosen["doc_id"])
    place = [chosen[PLACE]] if part.row == PLACED_ROW else []
    chosen = chosen[np.lexsort((chosen["doc_id"], *place, own, chosen["low"], chosen["high"]))]
    starts = np.ones(len(chosen), np.bool_)
    starts[1:] = (chosen["high"][1:] != chosen["high"][:-1]) | (chosen["low"][1:] != chosen["low"][:-1])
    offsets = np.append(np.flatnonzero(starts), len(chosen))
    sizes = np.diff(offsets)
    ids = chosen["doc_id"][np.repeat(sizes > 1, sizes)]
    return ids, np.concatenate([np.zeros(1, np.int64), np.cumsum(sizes[sizes > 1])])


def _shared(part: Part) -> NDArray[Any]:
    """The rows of a part without most of those whose key occurs once, which a sieve tells: they need no sorting."""
    pieces = [np.fromfile(path, part.row) for path in part.paths]
    total = sum(map(len, pieces))
    table = np.zeros(max(64, 1 << total.bit_length()), np.uint8)
    keys = [piece["high"].copy() for piece in pieces]
    for high in keys:
        sieve_add(high, table)
    found = [np.empty(0, part.row)]
    for piece, high in zip(pieces, keys, strict=True):
        rows = np.arange(len(piece), dtype=index_type(total))
        found.append(piece[rows[: shared_keys(high, rows, table)]])
    return np.concatenate(found)
