"""The exact k best of each group, over sketch files of any size: radix selection, some bits of the key a round.

A document's key is mapped to a uint64 keep rank in which smaller is better (best first, no score last). Each round
reads the sketches once and counts, a group at a time, the next bits of the ranks that share the prefix found so far.
After all 64 bits the rank of the last kept document is known (the cut), and how many documents of exactly that rank
are kept: those with the lowest doc_ids.

Memory: the counters of a round (at most `COUNTER_BYTES` a worker) and the names of the groups.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from corpuscurate.core.artefact import Artefact
from corpuscurate.core.columns import to_numpy
from corpuscurate.core.corpus import DROPS
from corpuscurate.core.doc_ids import is_in_sorted
from corpuscurate.core.tables import read_table, table_writer, write_table
from corpuscurate.kernels.selection import choose, count_digits, pareto_keys
from corpuscurate.methods.dedup.keep import (
    FLOATS,
    MISSING,
    NO_SCALE,
    common_scale,
    comparable,
    float_ranks,
    value_of,
)
from corpuscurate.methods.dedup.sketches import record_batches

COUNTER_BYTES = 64 << 20
BINS = 50
"""Bars of the score histogram."""
GROUPS, COUNTS, STATE, DROPPED, TAGGED = "groups.arrow", "counts.npy", "state.npz", "drops.arrow", "tags.arrow"
_BLOCK_ROWS = 1 << 18


@dataclass(frozen=True, slots=True)
class Rule:
    """Which documents are kept. fraction: of each group's documents, or None. ascending: whether small scores are good.
    alpha, seed: of the random draw, alpha None for no draw; without a fraction, documents whose key exceeds 1 are
    kept."""

    fraction: float | None
    ascending: bool
    alpha: float | None
    seed: int

    def kept(self, documents: NDArray[np.int64]) -> NDArray[np.int64]:
        """The number of documents that are kept of `documents` in each group, int64[groups]: the fraction as it is
        written, rounded up."""
        share = Fraction(repr(self.fraction))
        sizes = [-(-int(size) * share.numerator // share.denominator) for size in documents]
        return np.array(sizes, np.int64)

    def keep_ranks(self, rows: Rows) -> NDArray[np.uint64]:
        """The keep rank of each document, uint64[n]; documents without a score come last."""
        missing = np.isnan(rows.scores)
        if self.alpha is None:
            ranks = rows.ranks if self.ascending else ~rows.ranks
        else:
            keys = np.empty(len(rows.scores))
            pareto_keys(rows.scores, rows.ids, self.alpha, np.uint64(self.seed), keys)
            ranks = ~float_ranks(np.where(missing, 0.0, keys))
        return np.where(missing, MISSING, np.minimum(ranks, MISSING - np.uint64(1)))

    def key_of(self, keep_rank: int, scale: int = int(FLOATS)) -> float | int | None:
        """The key that a keep rank stands for, None for the rank of documents without a score. scale: of the ranks."""
        if keep_rank == int(MISSING):
            return None
        bits = keep_rank if self.ascending and self.alpha is None else keep_rank ^ int(MISSING)
        return value_of(bits, int(FLOATS) if self.alpha is not None else scale)


class Rows(NamedTuple):
    """Some rows of a sketch file: doc_id, score (nan: none), group, rank of the score (smaller first) and the scale of
    that, see `dedup.keep`."""

    ids: NDArray[np.uint64]
    scores: NDArray[np.float64]
    group: pa.Array
    ranks: NDArray[np.uint64]
    scale: NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Sketches:
    """Consecutive sketch files: columns doc_id, score, rank, scale, and group where `grouped`. without: for each file
    the sorted doc_ids that an earlier stage dropped. scale: the one that ranks are brought to, `NO_SCALE` for none."""

    paths: tuple[Artefact, ...]
    without: tuple[NDArray[np.uint64], ...]
    grouped: bool
    scale: np.uint8 = NO_SCALE

    def blocks(self) -> Iterator[Rows]:
        """The rows of all files, some at a time."""
        for path, out in zip(self.paths, self.without, strict=True):
            yield from self._blocks(path, out)

    def _blocks(self, path: Artefact, out: NDArray[np.uint64]) -> Iterator[Rows]:
        names = ["doc_id", "score", "rank", "scale", *(["group"] if self.grouped else [])]
        for batch in record_batches(path, names, names):
            for start in range(0, batch.num_rows, _BLOCK_ROWS):
                rows = batch.slice(start, _BLOCK_ROWS)
                ids = to_numpy(rows.column("doc_id"))
                live = ~is_in_sorted(ids, out)
                scores = to_numpy(rows.column("score"))
                group = rows.column("group") if self.grouped else pa.nulls(len(ids), pa.large_string())
                ranks, scale = (to_numpy(rows.column(name))[live] for name in ("rank", "scale"))
                if self.scale != NO_SCALE:
                    ranks = comparable("asc", ranks, scale, self.scale)
                yield Rows(ids[live], scores[live], group if live.all() else group.filter(pa.array(live)), ranks, scale)


@dataclass(frozen=True, slots=True)
class Survey:
    """Count a range's documents by group, and find the least and greatest score."""

    number: int
    of: int
    sketches: Sketches

    @property
    def key(self) -> str:
        """See `corpus.Work`."""
        return f"survey-{self.number}of{self.of}"

    def run(self, folder: Path) -> dict[str, Any]:
        """Write `groups.arrow`: group, documents."""
        documents = scored = 0
        least, most = np.inf, -np.inf
        table = _no_groups()
        kinds = set[tuple[bool, ...]]()
        for rows in self.sketches.blocks():
            scores = rows.scores
            documents += len(scores)
            kinds.add(common_scale(rows.ranks, rows.scale, "asc"))
            there = scores[~np.isnan(scores)]
            scored += len(there)
            if len(there):
                least, most = min(least, float(there.min())), max(most, float(there.max()))
            table = _summed([table, _counted(rows.group)])
        write_table(folder / GROUPS, table)
        span = [least, most] if scored else None
        return {"documents": documents, "scored": scored, "span": span, "kinds": [list(kind) for kind in sorted(kinds)]}


def _no_groups() -> pa.Table:
    return pa.table({"group": pa.array([], pa.large_string()), "documents": pa.array([], pa.int64())})


def _counted(group: pa.Array) -> pa.Table:
    found = pc.value_counts(group)
    return pa.table({"group": found.field("values"), "documents": found.field("counts").cast(pa.int64())})


def _summed(tables: Sequence[pa.Table]) -> pa.Table:
    whole = pa.concat_tables(tables).group_by("group").aggregate([("documents", "sum")])
    return pa.table({"group": whole["group"], "documents": whole["documents_sum"]})


@dataclass(frozen=True, slots=True)
class Merge:
    """All groups of the corpus with their sizes, in order of their names, and the number that each keeps."""

    surveys: tuple[Artefact, ...]
    rule: Rule

    @property
    def key(self) -> str:
        """See `corpus.Work`."""
        return f"merge-{len(self.surveys)}"

    def run(self, folder: Path) -> dict[str, Any]:
        """Write `groups.arrow` and `state.npz`."""
        table = _summed([read_table(path) for path in self.surveys]) if self.surveys else _no_groups()
        table = table.sort_by("group").combine_chunks()
        write_table(folder / GROUPS, table)
        documents = to_numpy(table["documents"]).astype(np.int64)
        prefixes = np.zeros(len(documents), np.uint64)
        if self.rule.fraction is None:  # documents above 1 are kept: the cut is known, and none on it is kept
            prefixes[:] = ~float_ranks(np.ones(1))
            room = np.zeros(len(documents), np.int64)
        else:
            room = self.rule.kept(documents)
        np.savez(folder / STATE, prefixes=prefixes, room=room)
        return {"groups": len(documents)}


def bits_a_round(groups: int) -> int:
    """As many bits as the counters have room for: 16, 8, 4, 2 or 1."""
    return next((bits for bits in (16, 8, 4, 2) if groups * (8 << bits) <= COUNTER_BYTES), 1)


@dataclass(frozen=True, slots=True)
class Count:
    """Count the next bits of the keep ranks in a range of sketch files. done_bits: known bits of the prefixes."""

    number: int
    of: int
    sketches: Sketches
    rule: Rule
    groups: Artefact
    state: Artefact
    done_bits: int
    bits: int

    @property
    def key(self) -> str:
        """See `corpus.Work`."""
        return f"count-{self.done_bits}-{self.bits}-{self.number}of{self.of}"

    def run(self, folder: Path) -> dict[str, Any]:
        """Write `counts.npy`, int64[groups, 2 ** bits]."""
        names = read_table(self.groups)["group"].combine_chunks()
        prefixes = np.load(self.state)["prefixes"]
        counts = np.zeros((len(prefixes), 1 << self.bits), np.int64)
        for rows in self.sketches.blocks():
            ranks = self.rule.keep_ranks(rows)
            count_digits(ranks, _numbers(rows.group, names), prefixes, self.done_bits, self.bits, counts)
        np.save(folder / COUNTS, counts)
        return {}


def _numbers(group: pa.Array, names: pa.Array) -> NDArray[np.int64]:
    return to_numpy(pc.index_in(group, value_set=names)).astype(np.int64)


@dataclass(frozen=True, slots=True)
class Narrow:
    """From the counts of all ranges: the next bits of each group's cut, and the room left on it.

    After the last round also `room` for each range: int64[ranges, groups], in which the lower ranges come first.
    """

    counts: tuple[Artefact, ...]
    state: Artefact
    done_bits: int
    bits: int

    @property
    def key(self) -> str:
        """See `corpus.Work`."""
        return f"narrow-{self.done_bits}-{self.bits}-{len(self.counts)}"

    def run(self, folder: Path) -> dict[str, Any]:
        """Write `state.npz`."""
        state = np.load(self.state)
        prefixes, room = state["prefixes"], state["room"]
        total = np.zeros((len(room), 1 << self.bits), np.int64)
        for path in self.counts:
            total += np.load(path, mmap_mode="r")
        below = np.cumsum(total, axis=1)
        digit = np.minimum((below < room[:, None]).sum(axis=1), (1 << self.bits) - 1)
        rows = np.arange(len(room))
        room = room - (below[rows, digit] - total[rows, digit])
        shift = np.uint64(64 - self.done_bits - self.bits)
        prefixes = prefixes | digit.astype(np.uint64) << shift
        np.savez(folder / STATE, prefixes=prefixes, room=room, rooms=self._rooms(digit, room, rows))
        return {}

    def _rooms(self, digit: NDArray[np.int64], room: NDArray[np.int64], rows: NDArray[np.int64]) -> NDArray[np.int64]:
        rooms = np.zeros((len(self.counts), len(room)), np.int64)
        left = room.copy()
        for number, path in enumerate(self.counts):
            rooms[number] = np.minimum(left, np.load(path, mmap_mode="r")[rows, digit])
            left -= rooms[number]
        return rooms


@dataclass(frozen=True, slots=True)
class Emit:
    """Write a range's drops or tags, and count its scores for the histogram. span: least and greatest score."""

    number: int
    of: int
    sketches: Sketches
    rule: Rule
    groups: Artefact
    state: Artefact
    span: tuple[float, float] | None
    tag: bool

    @property
    def key(self) -> str:
        """See `corpus.Work`."""
        return f"emit-{self.number}of{self.of}"

    def run(self, folder: Path) -> dict[str, Any]:
        """Write `drops.arrow`, or in tag mode `tags.arrow`."""
        names = read_table(self.groups)["group"].combine_chunks()
        state = np.load(self.state)
        cuts = state["prefixes"]
        room = state["rooms"][self.number].copy() if "rooms" in state else state["room"].copy()
        kept_by_group = np.zeros(len(cuts), np.int64)
        histogram, kept_histogram = np.zeros(BINS, np.int64), np.zeros(BINS, np.int64)
        schema = pa.schema([("doc_id", pa.uint64()), ("is_kept", pa.bool_())]) if self.tag else DROPS
        with table_writer(folder / (TAGGED if self.tag else DROPPED), schema) as writer:
            for rows in self.sketches.blocks():
                ids, scores = rows.ids, rows.scores
                numbers = _numbers(rows.group, names)
                keep = np.empty(len(ids), np.bool_)
                choose(self.rule.keep_ranks(rows), numbers, cuts, room, keep)
                kept_by_group += np.bincount(numbers[keep], minlength=len(cuts))
                histogram += self._histogram(scores)
                kept_histogram += self._histogram(scores[keep])
                writer.write(_tags(ids, keep) if self.tag else _drops(ids[~keep], scores[~keep]))
        np.save(folder / COUNTS, kept_by_group)
        return {
            "kept": int(kept_by_group.sum()),
            "histogram": histogram.tolist(),
            "kept_histogram": kept_histogram.tolist(),
        }

    def _histogram(self, scores: NDArray[np.float64]) -> NDArray[np.int64]:
        if self.span is None:
            return np.zeros(BINS, np.int64)
        low, high = self.span
        there = scores[~np.isnan(scores)]
        with np.errstate(all="ignore"):
            bins = ((there / 2 - low / 2) / (high / 2 - low / 2) * BINS) if high > low else np.zeros(len(there))
        return np.bincount(np.clip(bins, 0, BINS - 1).astype(np.int64), minlength=BINS)


def _tags(ids: NDArray[np.uint64], keep: NDArray[np.bool_]) -> pa.RecordBatch:
    return pa.record_batch({"doc_id": pa.array(ids, pa.uint64()), "is_kept": pa.array(keep)})


def _drops(ids: NDArray[np.uint64], scores: NDArray[np.float64]) -> pa.RecordBatch:
    size = len(ids)
    return pa.RecordBatch.from_arrays(
        [
            pa.array(ids, pa.uint64()),
            pa.array(np.where(np.isnan(scores), 2, 1).astype(np.int16)),
            pa.array(scores, from_pandas=True),
            pa.nulls(size, pa.uint64()),
            pa.nulls(size, pa.uint64()),
            pa.nulls(size, pa.float64()),
        ],
        schema=DROPS,
    )
