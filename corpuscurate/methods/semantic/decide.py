"""Which documents go, given the lists of near earlier documents; for any threshold from the lists' floor up.

Two rules, both in keep order. `paper` (SemDeDup, as its reference code does): a document goes when any earlier one is
near, even one that itself goes. `independent`: it goes only when an earlier one that is *kept* is near, so that each
dropped document has a near one in the output.

Lists are bounded. A document whose listed neighbours above the threshold are all dropped, and that has further ones
beyond its list, is compared again with the kept documents before it in its clusters: so the decision is exact. In the
end those with full lists are compared with the kept ones once more, so that the nearest of them is named.

Only lists and pairs from the lowest threshold in question up are read. In memory 100 bytes for each such list, 16 for
each such pair (in a file, so that the system may page it, where they exceed the share).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from corpuscurate.core.artefact import Artefacts
from corpuscurate.core.tables import write_table
from corpuscurate.kernels.embedding.neighbour_lists import decide_independent, decide_paper
from corpuscurate.methods.dedup.clusters import cluster_stats, write_clusters
from corpuscurate.methods.semantic.clusters import joined, share_of
from corpuscurate.methods.semantic.keep_order import ClusterRange
from corpuscurate.methods.semantic.listed import listed, range_of
from corpuscurate.methods.semantic.pairs import LIST, clusters_of

Rule = Literal["independent", "paper"]
STEPS = 1_000_000
"""Thresholds that `remove_fraction` chooses from: multiples of 1 / STEPS."""
_BLOCK_ROWS = 1 << 15
_BLOCK = 1 << 11
_PAIR_BYTES = 16
MEMBERS_FILE = "members.arrow"


class Choice(NamedTuple):
    """The decision at one threshold. partner: int64[documents], -1 = kept, else the entry that decided."""

    threshold: float
    partner: NDArray[np.int64]

    @property
    def removed(self) -> int:
        """Documents that go."""
        return int((self.partner >= 0).sum())

    def limited(self, most: int) -> Choice:
        """The same decision with at most so many removals: the last ones in keep order go. Each of them is still near
        the document that decided, for no document goes that stayed before."""
        gone = np.flatnonzero(self.partner >= 0)
        partner = self.partner.copy()
        partner[gone[: max(len(gone) - most, 0)]] = -1
        return Choice(self.threshold, partner)


class Neighbourhoods:
    """The neighbour lists of all works. documents: uint64[m], the documents with a list, in keep order."""

    def __init__(
        self,
        works: tuple[Artefacts, ...],
        cluster_ranges: tuple[ClusterRange, ...],
        one: bool,
        lowest: float,
        scratch: tuple[Path, int],
    ) -> None:
        """lowest: the lowest threshold in question; what is below is left out. scratch: a folder for pairs that take
        more than so many bytes."""
        self._ranges, self._one = cluster_ranges, one
        parts = [self._lists_from(path, lowest) for path in works]
        self.lists = joined(parts, LIST)
        self.order = np.lexsort((self.lists["cluster"], self.lists["doc_id"], self.lists["keep_rank"]))
        ids = self.lists["doc_id"][self.order]
        starts = np.flatnonzero(np.concatenate([np.ones(min(1, len(ids)), np.bool_), ids[1:] != ids[:-1]]))
        self.documents = ids[starts]
        self.ends = np.append(starts, len(ids)).astype(np.int64)
        self._by_id = np.argsort(self.documents)
        self._sorted = self.documents[self._by_id]
        self.offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum(self.lists["size"])])
        self.beyond = np.ascontiguousarray(self.lists["beyond"])
        self._range_of_work = np.array([range_of(path) for path in works], np.int64)
        self._starts = np.concatenate([np.zeros(1, np.int64), np.cumsum([int(p["size"].sum()) for p in parts])])
        total = int(self.offsets[-1])
        folder = scratch[0] if total * _PAIR_BYTES > scratch[1] else None
        self.neighbours = _array(folder, "neighbours", np.int32, total)
        self.cosines = _array(folder, "cosines", np.float64, total)
        self._rows = _array(folder, "rows", np.int32, total)
        self._fill(works, lowest)
        self.extra: list[tuple[int, float]] = []
        self._clusters: dict[int, dict[int, int]] = {}

    def _lists_from(self, path: Artefacts, lowest: float) -> NDArray[Any]:
        """LIST[n] of a work: the lists that reach up to `lowest`, with the number of their entries there."""
        kept = [np.empty(0, LIST)]
        for block in listed(path, self._ranges):
            size = np.bincount(block.owner[block.cosines >= lowest], minlength=len(block.lists))
            rows = block.lists.copy()
            rows["size"] = size
            kept.append(rows[(size > 0) | (rows["beyond"] >= lowest)])
        return np.concatenate(kept)

    def _fill(self, works: tuple[Artefacts, ...], lowest: float) -> None:
        """Read the entries: whom they name, as a rank and as a row of its range, and the cosines."""
        list_ranks = np.empty(len(self.lists), np.int64)
        list_ranks[self.order] = np.repeat(np.arange(len(self.documents)), np.diff(self.ends))
        for number in np.unique(self._range_of_work[self._range_of_work >= 0]).tolist():
            ranks = self._ranks_of_rows(number, list_ranks)
            for work in np.flatnonzero(self._range_of_work == number).tolist():
                at = int(self._starts[work])
                for block in listed(works[work], self._ranges):
                    near = block.cosines >= lowest
                    rows = block.rows[near]
                    here = slice(at, at + len(rows))
                    self._rows[here], self.cosines[here] = rows, block.cosines[near]
                    self.neighbours[here] = ranks[rows]
                    at += len(rows)

    def _ranks_of_rows(self, number: int, list_ranks: NDArray[np.int64]) -> NDArray[np.int32]:
        """int32[n]: the rank of the document of each row of a cluster range; -1 without a list. list_ranks: that of the
        document of each list."""
        table = self._ranges[number].table()
        ranks = np.full(len(table), -1, np.int32)
        here = self.lists["range"] == number
        ranks[self.lists["row"][here]] = list_ranks[here]
        if table["clusters"].shape[1] > 1:  # its document may have a list in another cluster
            others = np.flatnonzero((ranks < 0) & (table["clusters"][:, 1] >= 0))
            ranks[others] = self.ranks(table["doc_id"][others])
        return ranks

    def _ids(self, entries: NDArray[np.int64]) -> NDArray[np.uint64]:
        """The documents that entries name."""
        ids = np.empty(len(entries), np.uint64)
        ranges = self._range_of_work[np.searchsorted(self._starts, entries, "right") - 1]
        for number in np.unique(ranges).tolist():
            here = ranges == number
            ids[here] = self._ranges[number].table()["doc_id"][self._rows[entries[here]]]
        return ids

    def ranks(self, ids: NDArray[np.uint64]) -> NDArray[np.int64]:
        """int64[n]: the position of each document in keep order among those with lists; -1 without one."""
        if not len(self._sorted):
            return np.full(len(ids), -1, np.int64)
        at = np.minimum(np.searchsorted(self._sorted, ids), len(self._sorted) - 1)
        return np.where(self._sorted[at] == ids, self._by_id[at], -1)

    def decide(self, rule: Rule, threshold: float) -> Choice:
        """The decision by a rule at a threshold; `extra` then holds what was compared again."""
        partner = np.full(len(self.documents), -1, np.int64)
        self.extra = []
        if rule == "paper":
            decide_paper(self.order, self.ends, self.offsets, self.cosines, threshold, partner)
            return Choice(threshold, partner)
        at = 0
        while at < len(partner):
            at = int(
                decide_independent(
                    at,
                    self.order,
                    self.ends,
                    self.offsets,
                    self.neighbours,
                    self.cosines,
                    self.beyond,
                    threshold,
                    partner,
                )
            )
            if at < len(partner):
                found = self._again(at, threshold, partner)
                if found is not None:
                    partner[at] = len(self.cosines) + len(self.extra)
                    self.extra.append(found)
                at += 1
        return Choice(threshold, partner)

    def _again(self, document: int, threshold: float, partner: NDArray[np.int64]) -> tuple[int, float] | None:
        """The nearest kept document before this one in its clusters, if any is near enough: (doc_id, cosine)."""
        best: tuple[int, float] | None = None
        for each in self.order[self.ends[document] : self.ends[document + 1]]:
            if self.beyond[each] < threshold:
                continue
            for ids, cosines in self._earlier(self.lists[each], threshold):
                ranks = self.ranks(ids)
                kept = (ranks < 0) | (partner[ranks] < 0)
                top = int(np.where(kept, cosines, -1.0).argmax())  # the first, so the earliest, of equal ones
                if kept[top] and (best is None or cosines[top] > best[1]):
                    best = int(ids[top]), float(cosines[top])
        return best

    def _earlier(self, row: Any, threshold: float) -> Any:
        """Blocks of (ids, cosines) of the earlier rows in a cluster that are near enough."""
        number = int(row["range"])
        table, vectors = self._ranges[number].table(), self._ranges[number].vectors()
        mine, cluster = int(row["row"]), int(row["cluster"])
        vector, square = vectors[mine : mine + 1][0].astype(np.float32), float(table["square"][mine])
        visitor = not self._one and table["clusters"][mine, 0] != cluster
        for start in range(self._first(number, cluster), mine, _BLOCK_ROWS):
            rows = slice(start, min(start + _BLOCK_ROWS, mine))
            products = (vectors[rows].astype(np.float32) @ vector).astype(np.float64)
            cosines = products / np.sqrt(square * table["square"][rows].astype(np.float64))
            near = cosines >= threshold
            if visitor:
                near &= table["clusters"][rows, 0] == cluster
            if near.any():
                yield table["doc_id"][rows][near], cosines[near]

    def sharpen(self, choice: Choice) -> None:
        """Let documents whose lists are full name the nearest kept one too, where that found no room in a list."""
        gone, _, cosines = self.partners(choice)
        doubtful: dict[tuple[int, int], list[tuple[int, int]]] = {}
        most = np.zeros(len(self.documents))
        most[gone] = cosines
        owner = np.repeat(np.arange(len(self.documents)), np.diff(self.ends))
        for at in np.flatnonzero((choice.partner[owner] >= 0) & (self.beyond[self.order] > most[owner])).tolist():
            row = self.lists[self.order[at]]
            doubtful.setdefault((int(row["range"]), int(row["cluster"])), []).append((int(row["row"]), int(owner[at])))
        for (number, cluster), pairs in doubtful.items():
            rows, documents = np.array(sorted(pairs), np.int64).T
            for index, doc_id, cosine in self._nearest_kept(number, cluster, rows, choice.partner):
                document = int(documents[index])
                if cosine > most[document]:
                    most[document] = cosine
                    choice.partner[document] = len(self.cosines) + len(self.extra)
                    self.extra.append((doc_id, cosine))

    def _nearest_kept(
        self, number: int, cluster: int, rows: NDArray[np.int64], partner: NDArray[np.int64]
    ) -> Iterator[tuple[int, int, float]]:
        """(index into rows, doc_id, cosine) of the nearest kept earlier row of each of some rows of a cluster.

        number: of the cluster range."""
        table, vectors = self._ranges[number].table(), self._ranges[number].vectors()
        first = self._first(number, cluster)
        ids = table["doc_id"][first : rows[-1]]
        ranks = self.ranks(ids)
        kept = first + np.flatnonzero((ranks < 0) | (partner[ranks] < 0))
        away = np.zeros(len(kept), np.bool_) if self._one else table["clusters"][kept, 0] != cluster
        for start in range(0, len(rows), _BLOCK):
            mine = rows[start : start + _BLOCK]
            visitor = np.zeros(len(mine), np.bool_) if self._one else table["clusters"][mine, 0] != cluster
            best, who = np.full(len(mine), -1.0), np.zeros(len(mine), np.int64)
            squares = table["square"][mine].astype(np.float64)
            own = vectors[mine].astype(np.float32)
            for at in range(0, len(kept), _BLOCK):
                others = kept[at : at + _BLOCK]
                products = own @ vectors[others].astype(np.float32).T
                cosines = products / np.sqrt(squares[:, None] * table["square"][others].astype(np.float64))
                cosines[(others >= mine[:, None]) | (visitor[:, None] & away[at : at + _BLOCK])] = -1.0
                top = cosines.argmax(axis=1)
                value = cosines[np.arange(len(mine)), top]
                better = value > best
                best[better], who[better] = value[better], others[top[better]]
            for index in np.flatnonzero(best >= 0).tolist():
                yield start + index, int(table["doc_id"][who[index]]), float(best[index])

    def _first(self, number: int, cluster: int) -> int:
        """The first row of a cluster in its cluster range."""
        if number not in self._clusters:
            table = self._ranges[number].table()
            self._clusters[number] = {int(table["cluster"][first]): first for first, _ in clusters_of(table)}
        return self._clusters[number][cluster]

    def partners(self, choice: Choice) -> tuple[NDArray[np.int64], NDArray[np.uint64], NDArray[np.float64]]:
        """Of the documents that go: their ranks, and the doc_id and cosine of the one that decided."""
        gone = np.flatnonzero(choice.partner >= 0)
        entry = choice.partner[gone]
        stored = entry < len(self.cosines)
        ids, cosines = np.empty(len(gone), np.uint64), np.empty(len(gone))
        ids[stored], cosines[stored] = self._ids(entry[stored]), self.cosines[entry[stored]]
        others = (entry[~stored] - len(self.cosines)).tolist()
        ids[~stored] = np.array([self.extra[i][0] for i in others], np.uint64)
        cosines[~stored] = np.array([self.extra[i][1] for i in others], np.float64)
        return gone, ids, cosines

    def roots(self, gone: NDArray[np.int64], matched: NDArray[np.uint64]) -> NDArray[np.uint64]:
        """For documents that go, the kept one at the end of the chain of partners."""
        chain = np.arange(len(self.documents))
        ranks = self.ranks(matched)
        chain[gone] = np.where(ranks >= 0, ranks, gone)
        while True:
            further = chain[chain]
            if (further == chain).all():
                break
            chain = further
        ends = self.documents.copy()
        outside = ranks < 0
        ends[gone[outside]] = matched[outside]
        return ends[chain[gone]]


def _array(scratch: Path | None, name: str, kind: Any, size: int) -> NDArray[Any]:
    if scratch is None or not size:
        return np.empty(size, kind)
    return np.memmap(scratch / f"{name}.tmp", kind, "w+", shape=(size,))


def solve(removed: Callable[[float], int], floor: float, target: int) -> float:
    """The lowest threshold of floor..1, in steps of 1 / STEPS, at which at most `target` documents go.

    removed: the number of documents that go at a threshold. It does not rise with the threshold, apart from single
    documents under the independent rule. Returns 1 where more than `target` go even at 1: copies to the last number.
    """
    low, high = int(np.ceil(round(floor * STEPS, 6))), STEPS
    while low < high:
        middle = (low + high) // 2
        if removed(middle / STEPS) <= target:
            high = middle
        else:
            low = middle + 1
    return low / STEPS


@dataclass(frozen=True, slots=True)
class Decide:
    """Decide for the whole corpus. floor: cosine from which the lists hold pairs. threshold, fraction: one of both is
    given. documents: how many the corpus has. levels: further thresholds at which both rules count removals."""

    works: tuple[Artefacts, ...]
    cluster_ranges: tuple[ClusterRange, ...]
    one: bool
    floor: float
    rule: Rule
    threshold: float | None
    fraction: float | None
    documents: int
    tag: bool
    share_bytes: int
    levels: tuple[float, ...] = ()

    @property
    def key(self) -> str:
        """See `stage.Work`."""
        return f"decide-{len(self.cluster_ranges)}-{len(self.works)}"

    def run(self, folder: Path) -> dict[str, Any]:
        """Write drops.arrow, or in tag mode members.arrow."""
        lowest = self.floor if self.threshold is None else min([self.threshold, *self.levels])
        scratch = folder, self.share_bytes
        near = Neighbourhoods(self.works, self.cluster_ranges, self.one, lowest, scratch)
        threshold = self._threshold(near)
        levels = self._levels(near)
        choice = near.decide(self.rule, threshold)
        asked = choice.removed
        if self.fraction is not None:
            choice = choice.limited(share_of(self.fraction, self.documents))
        again = len(near.extra)
        if self.rule == "independent":
            near.sharpen(choice)
        stats = self._write(folder, near, choice)
        for path in folder.glob("*.tmp"):
            path.unlink()
        return {
            "threshold": threshold,
            "spared": asked - choice.removed,
            "compared_again": again,
            "levels": levels,
            **stats,
        }

    def _threshold(self, near: Neighbourhoods) -> float:
        if self.fraction is None:
            return self.floor if self.threshold is None else self.threshold
        target = share_of(self.fraction, self.documents)
        return solve(lambda level: near.decide(self.rule, level).removed, self.floor, target)

    def _levels(self, near: Neighbourhoods) -> list[dict[str, Any]]:
        return [
            {
                "threshold": level,
                "independent": near.decide("independent", level).removed,
                "paper": near.decide("paper", level).removed,
            }
            for level in self.levels
        ]

    def _write(self, folder: Path, near: Neighbourhoods, choice: Choice) -> dict[str, Any]:
        gone, matched, cosines = near.partners(choice)
        kept = near.roots(gone, matched)
        members = near.documents[gone]
        heads = np.unique(kept)
        doc_id = np.concatenate([heads, members])
        of = np.concatenate([heads, kept])
        is_member = np.concatenate([np.zeros(len(heads), np.int64), np.ones(len(members), np.int64)])
        order = np.lexsort((doc_id, is_member, of))
        offsets = np.append(np.flatnonzero(is_member[order] == 0), len(order)).astype(np.int64)
        doc_id = doc_id[order]
        matched = np.concatenate([heads, matched])[order]
        similarity = np.concatenate([np.full(len(heads), np.nan), cosines])[order]
        if self.tag:
            _write_members(folder, doc_id, offsets, similarity)
        else:
            write_clusters(folder, False, doc_id, offsets, matched, similarity)
        return cluster_stats(doc_id, offsets)


def _write_members(
    folder: Path, doc_id: NDArray[np.uint64], offsets: NDArray[np.int64], similarity: NDArray[np.float64]
) -> None:
    sizes = np.diff(offsets)
    is_kept = np.zeros(len(doc_id), np.bool_)
    is_kept[offsets[:-1]] = True
    order = np.argsort(doc_id)
    table = pa.table(
        {
            "doc_id": doc_id[order],
            "cluster": np.repeat(doc_id[offsets[:-1]], sizes)[order],
            "size": np.repeat(sizes, sizes)[order],
            "is_kept": is_kept[order],
            "similarity": pa.array(similarity[order], from_pandas=True),
        }
    )
    write_table(folder / MEMBERS_FILE, table)
