"""A small selection that covers the corpus: what to label, or to train on, first."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pydantic import Field

from corpuscurate.core.corpus import DROPS, Corpus, Settled
from corpuscurate.core.tables import write_table
from corpuscurate.kernels.embedding.neighbour_lists import spread_choice
from corpuscurate.methods.dedup.clusters import DROPS_FILE, TAGS_FILE
from corpuscurate.methods.embed.base import UNKNOWN
from corpuscurate.methods.semantic.clusters import (
    ClustersCorpus,
    cluster_corpus,
    joined,
    size_distribution,
    without_partner,
)
from corpuscurate.methods.semantic.keep_order import ClusterRange, OrderRule, order_corpus
from corpuscurate.methods.semantic.pairs import WORK_PAIRS, clusters_of
from corpuscurate.methods.semantic.vectors import Vectors

SCRATCH = "rows.tmp"


class Diversity(ClustersCorpus):
    """Keep `budget` documents that are spread over the corpus: k-centre greedy within clusters.

    The budget is dealt out evenly over the clusters of k-means: each gets the same, small ones all they have, none more
    than `max_per_cluster`. In a cluster the document nearest to the centroid is chosen, then each time the one that is
    farthest from all that are chosen (Gonzalez 1985; Sener and Savarese 2018). For each document that goes the nearest
    chosen one is named. Documents without anything to embed go. The same bytes for any number of workers and threads,
    as `semantic`. In memory the stored vectors of a cluster (paged), and 40 bytes a document of it.
    """

    word: ClassVar[str] = "diversity"
    source: ClassVar[str] = "Sener and Savarese 2018, arXiv 1708.00489 (k-centre greedy)"
    shorthand: ClassVar[str] = "budget"

    budget: int = Field(description="documents to keep", ge=1, examples=[10_000])
    max_per_cluster: int | None = Field(None, description="documents that one cluster gives at most", ge=1)

    def rules(self) -> Mapping[str, float | None]:
        """See `Stage`."""
        return {"not_chosen": None, "nothing_to_embed": None, "unknown_to_the_model": None}

    def measures(self) -> Mapping[str, pa.DataType]:
        """Whether it would be kept, its turn within the cluster (0 first; null where not chosen), the number of the
        cluster, and the cosine with the nearest chosen document."""
        return {"is_kept": pa.bool_(), "turn": pa.int32(), "centroid": pa.int32(), "similarity": pa.float64()}

    def tag_defaults(self) -> Mapping[str, Any]:
        """See `GlobalStage`."""
        return {"is_kept": False}

    def settle(self, corpus: Corpus) -> Settled:
        """See `GlobalStage`."""
        clustered = cluster_corpus(corpus, self, small=0, finite=True)
        basis = [*clustered.basis, "easy"]
        cluster_ranges = order_corpus(corpus, clustered, [OrderRule("easy")] * len(clustered.files), False, basis)
        quotas = deal(clustered.sizes()[:, 0], self.budget, self.max_per_cluster)
        works = [
            Choose(number, len(cluster_ranges), each, start, stop, tuple(quotas.tolist()), self.mode == "tag")
            for number, each in enumerate(cluster_ranges)
            for start, stop in _runs(each, quotas)
        ]
        done = corpus.run(works, "choosing")
        stats = {
            **clustered.stats,
            "chosen": sum(each.result["chosen"] for each in done),
            "chosen_by_cluster": size_distribution(quotas),
            "lowest_cosine": min((each.result["lowest"] for each in done), default=1.0),
        }
        if self.mode == "tag":
            return Settled([], [each.files[TAGS_FILE] for each in done], stats)
        files = [each.files[DROPS_FILE] for each in done]
        if stats["without_direction"]:
            zeros = corpus.run([Zeros(clustered.files)], "documents without anything to embed")[0]
            files.append(zeros.files[DROPS_FILE])
        return Settled(files, [], stats)


def deal(sizes: NDArray[np.int64], budget: int, cap: int | None) -> NDArray[np.int64]:
    """How many documents each cluster gives: as even as sizes and the cap allow, the rest to the largest clusters."""
    room = sizes if cap is None else np.minimum(sizes, cap)
    budget = min(budget, int(room.sum()))
    low, high = 0, int(room.max(initial=0))
    while low < high:  # the highest even share that the budget allows
        middle = (low + high + 1) // 2
        if int(np.minimum(room, middle).sum()) <= budget:
            low = middle
        else:
            high = middle - 1
    quotas = np.minimum(room, low)
    order = np.lexsort((np.arange(len(sizes)), -sizes))
    more = order[room[order] > quotas[order]][: budget - int(quotas.sum())]
    quotas[more] += 1
    return quotas


def _runs(cluster_range: ClusterRange, quotas: NDArray[np.int64]) -> list[tuple[int, int]]:
    """Cut the rows of a cluster range into runs of whole clusters with about `WORK_PAIRS` comparisons each."""
    runs: list[tuple[int, int]] = []
    cost = begin = 0
    table = cluster_range.table()
    for first, stop in clusters_of(table):
        cost += (stop - first) * int(quotas[table["cluster"][first]])
        if cost >= WORK_PAIRS:
            runs.append((begin, stop))
            cost, begin = 0, stop
    return [*runs, (begin, cluster_range.rows)] if begin < cluster_range.rows else runs


@dataclass(frozen=True, slots=True)
class Choose:
    """Choose within the clusters of rows start..stop-1 of a cluster range. number: of the range, of `of` ranges.
    quotas: of all clusters."""

    number: int
    of: int
    cluster_range: ClusterRange
    start: int
    stop: int
    quotas: tuple[int, ...]
    tag: bool

    @property
    def key(self) -> str:
        """See `stage.Work`."""
        return f"choose-{self.number}of{self.of}-{self.cluster_range.files.name}-{self.start}-{self.stop}"

    def run(self, folder: Path) -> dict[str, Any]:
        """Write drops.arrow, or in tag mode tags.arrow."""
        rows = self.cluster_range.table()[self.start : self.stop]
        vectors = self.cluster_range.vectors().part(self.start, self.stop)
        nearest, closest = np.zeros(len(rows), np.int64), np.zeros(len(rows))
        turn = np.full(len(rows), -1, np.int32)
        for first, stop in clusters_of(rows):
            chosen = np.zeros(self.quotas[rows["cluster"][first]], np.int64)
            if len(chosen):
                squares = np.ascontiguousarray(rows["square"][first:stop])
                mine = vectors.part(first, stop).copied(folder / SCRATCH)
                spread_choice(mine, squares, chosen, nearest[first:stop], closest[first:stop])
                nearest[first:stop] += first
                turn[first + chosen] = np.arange(len(chosen))
            else:
                nearest[first:stop] = -1
        (folder / SCRATCH).unlink(missing_ok=True)
        order = np.argsort(rows["doc_id"])
        if self.tag:
            write_table(folder / TAGS_FILE, _tags(rows, turn, nearest, closest, order))
        else:
            write_table(folder / DROPS_FILE, _drops(rows, turn, nearest, closest, order))
        covered = closest[nearest >= 0]
        return {"chosen": int((turn >= 0).sum()), "lowest": float(covered.min(initial=1.0))}


def _tags(
    rows: NDArray[Any],
    turn: NDArray[np.int32],
    nearest: NDArray[np.int64],
    closest: NDArray[np.float64],
    order: NDArray[np.int64],
) -> pa.Table:
    return pa.table(
        {
            "doc_id": rows["doc_id"][order],
            "is_kept": turn[order] >= 0,
            "turn": pa.array(turn[order], mask=turn[order] < 0),
            "centroid": rows["cluster"][order],
            "similarity": pa.array(closest[order], mask=nearest[order] < 0),
        }
    )


def _drops(
    rows: NDArray[Any],
    turn: NDArray[np.int32],
    nearest: NDArray[np.int64],
    closest: NDArray[np.float64],
    order: NDArray[np.int64],
) -> pa.Table:
    gone = order[turn[order] < 0]
    alone = nearest[gone] < 0
    partner = pa.array(rows["doc_id"][nearest[gone]], mask=alone)
    similarity = pa.array(closest[gone], mask=alone)
    columns = [rows["doc_id"][gone], np.ones(len(gone), np.int16), similarity, partner, partner, similarity]
    return pa.table(dict(zip(DROPS.names, columns, strict=True)), schema=DROPS)


@dataclass(frozen=True, slots=True)
class Zeros:
    """Documents without anything to embed."""

    files: tuple[Vectors, ...]

    @property
    def key(self) -> str:
        """See `stage.Work`."""
        return "zeros"

    def run(self, folder: Path) -> dict[str, Any]:
        """Write drops.arrow."""
        ids = joined([file.zero_ids() for file in self.files], np.uint64)
        notes = joined([file.zero_notes() for file in self.files], np.uint8)
        write_table(folder / DROPS_FILE, without_partner(ids, np.where(notes & UNKNOWN > 0, 3, 2)))
        return {"documents": len(ids)}
