"""Partition, sort, reduce: rows of 128-bit keys are spread over key ranges by the leading bits of the key, so that
equal keys meet in one range, and each range fits into a worker's share of memory. The number of ranges never changes
the result.

On disk 24 bytes a document, once, and 8 more where the keep rule has ranks. In memory `REDUCE_BYTES` a row of the
range.
"""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from corpuscurate.core.artefact import Artefact
from corpuscurate.core.corpus import Corpus, Done
from corpuscurate.core.earlier_runs import Numbers
from corpuscurate.kernels.duplicates.bands import shared_keys, sieve_add
from corpuscurate.methods.dedup.distinct import index_type
from corpuscurate.methods.dedup.sketches import KEEP_RANK, Source, Sources

_KEYS = [("high", np.uint64), ("low", np.uint64), ("doc_id", np.uint64)]
ROW = np.dtype(_KEYS)
RANKED_ROW = np.dtype([*_KEYS, (KEEP_RANK, np.uint64)])
"""Row where the keep rule has ranks; otherwise the order of doc_id decides."""
REDUCE_BYTES = 160
"""Peak memory of `equal_groups` for a row, when every row is in a group."""
_SMALL = 1 << 18
_MOST_RANGES = 512
"""Files that a worker holds open at once."""


class Limits(Protocol):
    """What a `Corpus` and a session say of the machine."""

    @property
    def memory_bytes(self) -> int:
        """Memory for all workers together."""

    @property
    def workers(self) -> int:
        """How many tasks run at once."""


def ranges_for_memory(limits: Limits, rows: int, bytes_each: int) -> int:
    """Number of ranges of a table such that one range fits into half a worker's share of memory."""
    share = limits.memory_bytes // (2 * max(1, limits.workers))
    return int(min(_MOST_RANGES, max(1, -(-rows * bytes_each // max(1, share)))))


def key_range_count(limits: Limits, rows: int, bytes_each: int) -> int:
    """As `ranges_for_memory`, and enough ranges to occupy all workers."""
    return min(_MOST_RANGES, max(ranges_for_memory(limits, rows, bytes_each), limits.workers if rows > _SMALL else 1))


def key_range_of(keys: NDArray[np.uint64], key_ranges: int) -> NDArray[np.int64]:
    """The index of each key's range, from the upper 32 bits of the key: ascending keys have ascending ranges."""
    return ((keys >> np.uint64(32)) * np.uint64(key_ranges) >> np.uint64(32)).astype(np.int64)


@dataclass(frozen=True, slots=True)
class Partition:
    """Spread the rows of some sketch files over key ranges. high, low: the columns of the key. where: a column that
    must not be 0, if any. key_ranges: their number. row: `ROW` or `RANKED_ROW`."""

    number: int
    of: int
    files: tuple[Source, ...]
    high: str
    low: str
    where: str | None
    key_ranges: int
    row: np.dtype[Any]

    @property
    def key(self) -> str:
        """See `corpus.Work`."""
        return f"partition-{self.number}of{self.of}-{self.key_ranges}"

    def run(self, folder: Path) -> dict[str, Any]:
        """Write one file `<key range>.bin` of rows for each key range. The result has the numbers of this run's
        documents, of all rows, and of this run's rows."""
        documents = rows = own = 0
        ranks = [KEEP_RANK] if self._has_keep_ranks else []
        names = [self.high, self.low, *ranks, *([self.where] if self.where else [])]
        with ExitStack() as stack:
            outs = [stack.enter_context((folder / f"{i}.bin").open("wb")) for i in range(self.key_ranges)]
            for source in self.files:
                for block in source.blocks(names):
                    documents += len(block["doc_id"]) if source.is_own else 0
                    table = self._rows(block)
                    rows += len(table)
                    own += len(table) if source.is_own else 0
                    key_range = key_range_of(table["high"], self.key_ranges)
                    table = table[np.argsort(key_range, kind="stable")]
                    ends = np.cumsum(np.bincount(key_range, minlength=self.key_ranges))
                    for out, piece in zip(outs, np.split(table, ends[:-1]), strict=True):
                        out.write(piece.tobytes())
        return {"documents": documents, "own": own, "rows": rows}

    @property
    def _has_keep_ranks(self) -> bool:
        return KEEP_RANK in (self.row.names or ())

    def _rows(self, block: dict[str, NDArray[Any]]) -> NDArray[Any]:
        table = np.empty(len(block["doc_id"]), self.row)
        table["high"], table["low"], table["doc_id"] = block[self.high], block[self.low], block["doc_id"]
        if self._has_keep_ranks:
            table[KEEP_RANK] = block[KEEP_RANK]
        return table if self.where is None else table[block[self.where] != 0]


@dataclass(frozen=True, slots=True)
class KeyRange:
    """The rows of one key range, in files of `row`."""

    paths: tuple[Artefact, ...]
    row: np.dtype[Any]


def partition(
    corpus: Corpus, sources: Sources, high: str, low: str, where: str | None = None
) -> tuple[list[Done], list[KeyRange]]:
    """Run the works of `Partition`. Returns the finished works and the key ranges."""
    count = key_range_count(corpus, sources.rows, REDUCE_BYTES)
    file_ranges = sources.ranges(4 * corpus.workers)
    row = RANKED_ROW if any(file.keep != "first" for file in sources.own) else ROW
    works = [Partition(i, len(file_ranges), files, high, low, where, count, row) for i, files in enumerate(file_ranges)]
    done = corpus.run(works, "partition")
    return done, [KeyRange(tuple(each.files[f"{i}.bin"] for each in done), row) for i in range(count)]


def equal_groups(key_range: KeyRange, numbers: Numbers) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
    """Groups of two or more rows with the same key: uint64 doc_ids, group after group by key, in each group those of
    earlier runs first, then by keep rank and doc_id; and int64[groups + 1] offsets."""
    chosen = _shared(key_range)
    own = numbers.is_own(chosen["doc_id"])
    keep_rank = [chosen[KEEP_RANK]] if key_range.row == RANKED_ROW else []
    chosen = chosen[np.lexsort((chosen["doc_id"], *keep_rank, own, chosen["low"], chosen["high"]))]
    starts = np.ones(len(chosen), np.bool_)
    starts[1:] = (chosen["high"][1:] != chosen["high"][:-1]) | (chosen["low"][1:] != chosen["low"][:-1])
    offsets = np.append(np.flatnonzero(starts), len(chosen))
    sizes = np.diff(offsets)
    ids = chosen["doc_id"][np.repeat(sizes > 1, sizes)]
    return ids, np.concatenate([np.zeros(1, np.int64), np.cumsum(sizes[sizes > 1])])


def _shared(key_range: KeyRange) -> NDArray[Any]:
    """The rows of a key range without most of those whose key occurs once: a sieve finds them, and they need no
    sorting."""
    pieces = [np.fromfile(path, key_range.row) for path in key_range.paths]
    total = sum(map(len, pieces))
    table = np.zeros(max(64, 1 << total.bit_length()), np.uint8)
    keys = [piece["high"].copy() for piece in pieces]
    for high in keys:
        sieve_add(high, table)
    found = [np.empty(0, key_range.row)]
    for piece, high in zip(pieces, keys, strict=True):
        rows = np.arange(len(piece), dtype=index_type(total))
        found.append(piece[rows[: shared_keys(high, rows, table)]])
    return np.concatenate(found)
