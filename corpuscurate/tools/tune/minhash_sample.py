"""A sample of query documents against a whole corpus: the evidence for a threshold and a banding.

Queries are the documents with the lowest hash of their doc_id. Each is matched with the signatures of all documents by
loose bands of two values: they miss one pair of J = .5 in 10^8 (128 values), and a pair that shares a band of three
rows or more shares one of them too. Of the matches of a query those with the lowest hash are kept, `most` of them, and
stand for the others.

Memory: the signatures of the queries, of 4,096 documents, and the pairs; disk: the pairs and their documents' units.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from corpuscurate.core.artefact import Artefact, Artefacts
from corpuscurate.core.doc_ids import hashed, is_in_sorted
from corpuscurate.kernels.duplicates.queries import index_queries, match_queries, pair_similarities
from corpuscurate.methods.dedup.bands import SHINGLES, value_column
from corpuscurate.methods.dedup.sketches import KEEP_RANK, Source
from corpuscurate.methods.dedup.unit_files import Units, room_for

LOOSE_ROWS = 2
_QUERY_SEED, _MATCH_SEED = 31, 33
"""Of the sample of queries, and of the sample of a query's matches."""
_ROWS = 4096
PAIR = np.dtype(
    [
        ("query", np.uint64),
        ("doc_id", np.uint64),
        ("hash", np.uint64),
        ("met", np.uint64),  # a bit for each banding under which the two are candidates
        ("query_keep_rank", np.uint64),
        ("keep_rank", np.uint64),
    ]
)


def hashed_pairs(queries: NDArray[np.uint64], ids: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """A hash of each pair of a query and a match, by which matches are sampled."""
    return hashed(ids ^ hashed(queries, _MATCH_SEED), _MATCH_SEED)


@dataclass(frozen=True, slots=True)
class Queries:
    """Choose the queries and copy their keep ranks and signatures."""

    files: tuple[Source, ...]
    count: int
    values: int

    @property
    def key(self) -> str:
        """See `corpus.Work`."""
        return f"queries-{self.count}"

    def run(self, folder: Path) -> dict[str, Any]:
        """ids.npy: uint64[q], sorted; keep_ranks.npy: uint64[q]; signatures.npy: uint32[q, values]."""
        documents, ids = self._choose()
        names = [value_column(j) for j in range(self.values)]
        keep_ranks, signatures = [np.empty(0, np.uint64)], [np.empty((0, self.values), np.uint32)]
        for source in self.files:
            for block in source.blocks([KEEP_RANK, *names]):
                at = np.flatnonzero(is_in_sorted(block["doc_id"], ids))
                keep_ranks.append(block[KEEP_RANK][at])
                signatures.append(np.stack([block[name][at] for name in names], axis=1).astype(np.uint32))
        np.save(folder / "ids.npy", ids)
        np.save(folder / "keep_ranks.npy", np.concatenate(keep_ranks))
        np.save(folder / "signatures.npy", np.concatenate(signatures))
        return {"documents": documents, "queries": len(ids)}

    def _choose(self) -> tuple[int, NDArray[np.uint64]]:
        """How many documents have shingles, and those of them with the lowest hashes."""
        documents = 0
        best = np.empty(0, np.uint64)
        for source in self.files:
            for block in source.blocks([SHINGLES]):
                ids = block["doc_id"][block[SHINGLES] != 0]
                documents += len(ids)
                best = np.concatenate([best, ids])
                best = best[np.argsort(hashed(best, _QUERY_SEED), kind="stable")[: self.count]]
        return documents, np.sort(best)


@dataclass(frozen=True, slots=True)
class Match:
    """Match the documents of one sketch file with the queries. few: equal values from which a pair is of interest.
    bandings: (bands, rows) of each."""

    number: int
    file: Source
    queries: Artefacts
    values: int
    few: int
    bandings: tuple[tuple[int, int], ...]
    most: int

    @property
    def key(self) -> str:
        """See `corpus.Work`."""
        return f"match-{self.number}"

    def run(self, folder: Path) -> dict[str, Any]:
        """pairs.npy: PAIR, at most `most` a query; counts.npy: int64[q], how many there were."""
        ids, keep_ranks, signatures = (
            np.load(self.queries[f"{name}.npy"]) for name in ("ids", "keep_ranks", "signatures")
        )
        loose = min(LOOSE_ROWS, self.values)
        heads = np.full(1 << max(4, (2 * signatures.size).bit_length()), -1, np.int64)
        following = np.empty(len(ids) * (self.values // loose), np.int64)
        index_queries(signatures, loose, heads, following)
        counts = np.zeros(len(ids), np.int64)
        pairs = np.empty(0, PAIR)
        names = [value_column(j) for j in range(self.values)]
        for block in self.file.blocks([SHINGLES, KEEP_RANK, *names]):
            for start in range(0, len(block["doc_id"]), _ROWS):
                piece = {name: column[start : start + _ROWS] for name, column in block.items()}
                made = np.stack([piece[name] for name in names], axis=1).astype(np.uint32)
                row, query, met = self._matches(made, signatures, loose, heads, following)
                live = (piece[SHINGLES][row] != 0) & (piece["doc_id"][row] != ids[query])
                row, query, met = row[live], query[live], met[live]
                counts += np.bincount(query, minlength=len(ids))
                found = np.empty(len(row), PAIR)
                found["query"], found["query_keep_rank"] = ids[query], keep_ranks[query]
                found["doc_id"], found["keep_rank"] = piece["doc_id"][row], piece[KEEP_RANK][row]
                found["met"], found["hash"] = met, hashed_pairs(found["query"], found["doc_id"])
                pairs = fewest_of_each(np.concatenate([pairs, found]), self.most)
        np.save(folder / "pairs.npy", pairs)
        np.save(folder / "counts.npy", counts)
        return {"pairs": len(pairs)}

    def _matches(
        self,
        made: NDArray[np.uint32],
        signatures: NDArray[np.uint32],
        loose: int,
        heads: NDArray[np.int64],
        following: NDArray[np.int64],
    ) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.uint64]]:
        """Rows, queries and bandings met."""
        bandings = np.array(self.bandings, np.int64).reshape(-1, 2)
        size = _ROWS
        while True:
            row, query, met = np.empty(size, np.int64), np.empty(size, np.int64), np.empty(size, np.uint64)
            found = match_queries(made, signatures, loose, heads, following, self.few, bandings, row, query, met)
            if found <= size:
                return row[:found], query[:found], met[:found]
            size = int(found)


def fewest_of_each(pairs: NDArray[Any], most: int) -> NDArray[Any]:
    """Of each query the `most` pairs with the lowest hash, by query and hash."""
    pairs = pairs[np.lexsort((pairs["doc_id"], pairs["hash"], pairs["query"]))]
    starts = np.searchsorted(pairs["query"], pairs["query"], "left")
    return pairs[np.arange(len(pairs)) - starts < most]


@dataclass(frozen=True, slots=True)
class Merge:
    """Bring the matches of all sketch files together, and write who they are. firsts: the first doc_id of each sketch
    file, -1 for an empty one."""

    matched: tuple[Artefacts, ...]
    firsts: tuple[int, ...]
    most: int

    @property
    def key(self) -> str:
        """See `corpus.Work`."""
        return f"merge-{len(self.matched)}"

    def run(self, folder: Path) -> dict[str, Any]:
        """pairs.npy: PAIR; counts.npy: int64[q]; <split>.npy: the doc_ids of each sketch file."""
        pairs = np.concatenate([np.empty(0, PAIR), *(np.load(path["pairs.npy"]) for path in self.matched)])
        pairs = fewest_of_each(pairs, self.most)
        np.save(folder / "pairs.npy", pairs)
        counts = np.sum([np.load(path["counts.npy"]) for path in self.matched], axis=0)
        np.save(folder / "counts.npy", counts)
        write_by_split(folder, np.unique(np.concatenate([pairs["query"], pairs["doc_id"]])), self.firsts)
        return {"pairs": len(pairs), "matches": int(counts.sum())}


def write_by_split(folder: Path, ids: NDArray[np.uint64], firsts: Sequence[int]) -> None:
    """Write sorted doc_ids as <split>.npy, those of each sketch file."""
    filled = [split for split, first in enumerate(firsts) if first >= 0]
    borders = np.searchsorted(ids, np.array([firsts[split] for split in filled], np.uint64))
    pieces = dict(zip(filled, np.split(ids, borders[1:]), strict=True)) if filled else {}
    for split in range(len(firsts)):
        np.save(folder / f"{split:05d}.npy", pieces.get(split, np.empty(0, np.uint64)))


@dataclass(frozen=True, slots=True)
class Judge:
    """Compute the true similarity of each pair. units: files of units. examples: pairs to read at each level."""

    merged: Artefacts
    units: tuple[Artefact, ...]
    ngram: int
    share_bytes: int
    levels: tuple[float, ...]
    examples: int
    firsts: tuple[int, ...]

    @property
    def key(self) -> str:
        """See `corpus.Work`."""
        return f"judge-{self.examples}"

    def run(self, folder: Path) -> dict[str, Any]:
        """similarity.npy: float64, of each pair; <split>.npy: the doc_ids of the examples."""
        pairs = np.load(self.merged["pairs.npy"])
        ids = np.unique(np.concatenate([pairs["query"], pairs["doc_id"]]))
        units, scratch = Units(self.units, ids), folder / "sets.tmp"
        sets = room_for(int(units.most_shingles(self.ngram).sum()), scratch, self.share_bytes)
        offsets = units.sets(np.arange(len(ids)), self.ngram, sets)
        similarity = np.empty(len(pairs), np.float64)
        a, b = (np.searchsorted(ids, pairs[name]) for name in ("query", "doc_id"))
        pair_similarities(a, b, offsets, sets, similarity)
        del sets
        scratch.unlink(missing_ok=True)
        np.save(folder / "similarity.npy", similarity)
        chosen = self._choose(pairs, similarity)
        write_by_split(
            folder, np.unique(np.concatenate([pairs["query"][chosen], pairs["doc_id"][chosen]])), self.firsts
        )
        return {"examples": chosen.tolist()}

    def _choose(self, pairs: NDArray[Any], similarity: NDArray[np.float64]) -> NDArray[np.int64]:
        """Of each level from below the first to the last, the pairs with the lowest hash, each pair once."""
        level = np.searchsorted(np.array(self.levels), similarity, "right")
        first = np.minimum(pairs["query"], pairs["doc_id"])
        second = np.maximum(pairs["query"], pairs["doc_id"])
        _, once = np.unique(np.stack([first, second], axis=1), axis=0, return_index=True)
        order = once[np.lexsort((pairs["hash"][once], level[once]))]
        index = np.arange(len(order)) - np.searchsorted(level[order], level[order], "left")  # within the level
        return order[index < self.examples]
