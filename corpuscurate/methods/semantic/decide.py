"""Which documents go, given the lists of near earlier documents; for any threshold from the lists' floor up.

Two rules, both in keep order. `paper` (SemDeDup, as its reference code does): a document goes when any earlier one is
near, even one that itself goes. `independent`: it goes only when an earlier one that is *kept* is near, so that each
dropped document has a near one in the output.

Lists are bounded. A document whose listed neighbours above the threshold are all dropped, and that has further ones
beyond its list, is compared again with the kept documents before it in its clusters: so the decision is exact. In the
end those with full lists are compared with the kept ones once more, so that the nearest of them is named.

With a second opinion (`semantic.confirm`) a pair that it does not confirm is no pair: its entry is taken out of the
lists, and what is compared again is asked of it, too, the nearest first. Then the paper's rule compares full lists
again as the other does, since all of their entries may be taken out. A crowd of near documents of which none are
confirmed costs the square of its size, some 2 microseconds a pair.

Only lists and pairs from the lowest threshold in question up are read. In memory 100 bytes for each such list, 16 for
each such pair (in a file, so that the system may page it, where they exceed the share).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
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
from corpuscurate.methods.semantic.confirm import Confirming, SecondOpinion
from corpuscurate.methods.semantic.earlier import EarlierRows
from corpuscurate.methods.semantic.keep_order import ClusterRange
from corpuscurate.methods.semantic.listed import listed, range_of
from corpuscurate.methods.semantic.pairs import LIST
from corpuscurate.methods.semantic.threads import one_pool

Rule = Literal["independent", "paper"]
May = Callable[[NDArray[np.int64]], NDArray[np.bool_]] | None
"""Which of some documents, given by their ranks, may drop a later one; None: all."""
STEPS = 1_000_000
"""Thresholds that `remove_fraction` chooses from: multiples of 1 / STEPS."""
_BLOCK = 1 << 11
_PAIR_BYTES = 16
_ASKED = 1 << 20
"""Pairs that are put before the second opinion at a time."""
_FIRST_ASKED = 64
"""Near documents that are asked for a second opinion at first; then four times as many, and so on."""
_UNCONFIRMED = -1.0
"""The cosine of an entry that was taken out of a list."""
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


def kept_by(partner: NDArray[np.int64]) -> May:
    """Those that are kept so far."""

    def kept(ranks: NDArray[np.int64]) -> NDArray[np.bool_]:
        found: NDArray[np.bool_] = (ranks < 0) | (partner[ranks] < 0)
        return found

    return kept


class Neighbourhoods:
    """The neighbour lists of all works. documents: uint64[m], the documents with a list, in keep order. asked,
    confirmed: listed pairs that were put before the second opinion, and how many of them it confirmed."""

    def __init__(
        self,
        works: tuple[Artefacts, ...],
        cluster_ranges: tuple[ClusterRange, ...],
        one: bool,
        lowest: float,
        scratch: tuple[Path, int],
        opinion: SecondOpinion | None = None,
        hold_bytes: int = 0,
    ) -> None:
        """lowest: the lowest threshold in question; what is below is left out. scratch: a folder for pairs that take
        more than so many bytes. opinion: what must confirm pairs. hold_bytes: see `earlier`; 0 where one threshold
        alone is decided at."""
        self._ranges, self._one = cluster_ranges, one
        self._earlier = EarlierRows(cluster_ranges, one, self.ranks, lowest, hold_bytes)
        self.opinion = opinion
        self.asked = self.confirmed = 0
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
        """Read the entries: whom they name, as a rank and as a row of its range, and the cosines. Those that are not
        confirmed are taken out of the lists."""
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
                    if self.opinion is not None:
                        self._take_out(here, block.lists["doc_id"], block.owner[near], self.opinion)
                    at += len(rows)

    def _take_out(
        self, here: slice, later: NDArray[np.uint64], owner: NDArray[np.int64], opinion: SecondOpinion
    ) -> None:
        """Take the entries that are not confirmed out of the lists. later: the document of each list; owner: the list
        of each entry."""
        for start in range(here.start, here.stop, _ASKED):
            entries = np.arange(start, min(start + _ASKED, here.stop))
            agrees = opinion.agrees(later[owner[entries - here.start]], self._ids(entries))
            self.cosines[entries[~agrees]] = _UNCONFIRMED
            self.asked += len(entries)
            self.confirmed += int(agrees.sum())

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
            if self.opinion is not None:
                self._doubtful_again(threshold, partner)
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
                self._again(at, threshold, partner, kept_by(partner))
                at += 1
        return Choice(threshold, partner)

    def _doubtful_again(self, threshold: float, partner: NDArray[np.int64]) -> None:
        """Decide by the paper's rule about documents with full lists of which no entry was left."""
        full = self._owners()[self.beyond[self.order] >= threshold]
        for document in np.unique(full[partner[full] < 0]).tolist():
            self._again(document, threshold, partner, None)

    def _owners(self) -> NDArray[np.int64]:
        """int64[lists]: the document of each list, in the order of `order`."""
        return np.repeat(np.arange(len(self.documents)), np.diff(self.ends))

    def _again(self, document: int, threshold: float, partner: NDArray[np.int64], may: May) -> None:
        """Drop a document for the nearest one before it in its clusters that may drop it, if any is near enough."""
        best: tuple[int, float] | None = None
        for each in self.order[self.ends[document] : self.ends[document + 1]]:
            if self.beyond[each] < threshold:
                continue
            near = self._earlier.near(int(each), self.lists[each], threshold)
            near = near.where(near.cosines > (0.0 if best is None else best[1]))
            near = near if may is None else near.where(may(near.ranks))
            top = self._nearest(document, near.ids, near.cosines)
            if top >= 0:
                best = int(near.ids[top]), float(near.cosines[top])
        if best is not None:
            partner[document] = len(self.cosines) + len(self.extra)
            self.extra.append(best)

    def _nearest(self, document: int, ids: NDArray[np.uint64], cosines: NDArray[np.float64]) -> int:
        """The index of the nearest of these (the first, so the earliest, of equal ones) that is confirmed; -1: none."""
        if self.opinion is None or not len(ids):
            return int(cosines.argmax()) if len(ids) else -1
        order = np.argsort(-cosines, kind="stable")
        start, size = 0, _FIRST_ASKED
        while start < len(order):
            asked = order[start : start + size]
            agrees = self.opinion.agrees(np.repeat(self.documents[document], len(asked)), ids[asked])
            if agrees.any():
                return int(asked[agrees.argmax()])
            start, size = start + size, 4 * size
        return -1

    def sharpen(self, choice: Choice, rule: Rule) -> None:
        """Let documents whose lists are full name the nearest one that may drop them, where that found no room in a
        list."""
        gone, _, cosines = self.partners(choice)
        doubtful: dict[tuple[int, int], list[tuple[int, int]]] = {}
        most = np.zeros(len(self.documents))
        most[gone] = cosines
        owner = self._owners()
        for at in np.flatnonzero((choice.partner[owner] >= 0) & (self.beyond[self.order] > most[owner])).tolist():
            row = self.lists[self.order[at]]
            doubtful.setdefault((int(row["range"]), int(row["cluster"])), []).append((int(row["row"]), int(owner[at])))
        may = None if rule == "paper" else kept_by(choice.partner)
        for (number, cluster), pairs in doubtful.items():
            rows, documents = np.array(sorted(pairs), np.int64).T
            for document, doc_id, cosine in self._nearer(number, cluster, rows, documents, most, may):
                most[document] = cosine
                choice.partner[document] = len(self.cosines) + len(self.extra)
                self.extra.append((doc_id, cosine))

    def _nearer(
        self,
        number: int,
        cluster: int,
        rows: NDArray[np.int64],
        documents: NDArray[np.int64],
        most: NDArray[np.float64],
        may: May,
    ) -> Iterator[tuple[int, int, float]]:
        """(document, doc_id, cosine) of the nearest earlier row that may drop it of each of some rows of a cluster, in
        the cluster range `number`, where its cosine is above the document's of `most`."""
        table, vectors = self._earlier.mapped(number)
        first, _ = self._earlier.span(number, cluster)
        others = np.arange(first, rows[-1])
        others = others if may is None else others[may(self.ranks(table["doc_id"][first : rows[-1]]))]
        away = np.zeros(len(others), np.bool_) if self._one else table["clusters"][others, 0] != cluster
        for start in range(0, len(rows), _BLOCK):
            mine = rows[start : start + _BLOCK]
            visitor = np.zeros(len(mine), np.bool_) if self._one else table["clusters"][mine, 0] != cluster
            best, who = most[documents[start : start + _BLOCK]], np.full(len(mine), -1, np.int64)
            squares = table["square"][mine].astype(np.float64)
            own = vectors[mine].astype(np.float32)
            for at in range(0, len(others), _BLOCK):
                block = others[at : at + _BLOCK]
                products = own @ vectors[block].astype(np.float32).T
                cosines = products / np.sqrt(squares[:, None] * table["square"][block].astype(np.float64))
                cosines[(block >= mine[:, None]) | (visitor[:, None] & away[at : at + _BLOCK])] = -1.0
                top = cosines.argmax(axis=1)
                value = cosines[np.arange(len(mine)), top]
                better = value > best
                if self.opinion is None:
                    best[better], who[better] = value[better], block[top[better]]
                    continue
                for index in np.flatnonzero(better).tolist():
                    there = np.flatnonzero(cosines[index] > best[index])
                    names = table["doc_id"][block[there]]
                    one = self._nearest(int(documents[start + index]), names, cosines[index, there])
                    if one >= 0:
                        best[index], who[index] = cosines[index, there[one]], block[there[one]]
            for index in np.flatnonzero(who >= 0).tolist():
                yield int(documents[start + index]), int(table["doc_id"][who[index]]), float(best[index])

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
    given. documents: how many the corpus has. levels: further thresholds at which both rules count removals.
    confirming: what was gathered of all documents in pairs from the lowest of these thresholds up; None: cosines alone
    decide."""

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
    confirming: Confirming | None = None

    @property
    def key(self) -> str:
        """See `stage.Work`."""
        return f"decide-{len(self.cluster_ranges)}-{len(self.works)}"

    def run(self, folder: Path) -> dict[str, Any]:
        """Write drops.arrow, or in tag mode members.arrow."""
        near = self._neighbourhoods(folder)
        with one_pool(1):  # products of one row: threads cost more than they bring
            threshold = self._threshold(near)
            levels = self._levels(near)
            choice = near.decide(self.rule, threshold)
        asked = choice.removed
        if self.fraction is not None:
            choice = choice.limited(share_of(self.fraction, self.documents))
        again = len(near.extra)
        if self.rule == "independent" or near.opinion is not None:
            near.sharpen(choice, self.rule)
        stats = self._write(folder, near, choice)
        for path in folder.glob("*.tmp"):
            path.unlink()
        return {
            "threshold": threshold,
            "spared": asked - choice.removed,
            "compared_again": again,
            "levels": levels,
            "asked": near.asked,
            "confirmed": near.confirmed,
            **stats,
        }

    def _neighbourhoods(self, folder: Path) -> Neighbourhoods:
        lowest = self.floor if self.threshold is None else min([self.threshold, *self.levels])
        share = self.share_bytes if self.confirming is None else self.share_bytes // 2
        opinion = None if self.confirming is None else self.confirming.opinion(folder / "opinion.tmp", share)
        hold = share // 2 if self.levels or self.fraction is not None else 0
        return Neighbourhoods(self.works, self.cluster_ranges, self.one, lowest, (folder, share), opinion, hold)

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
        opinions = None if near.opinion is None else near.opinion.values(members, matched)
        heads = np.unique(kept)
        doc_id = np.concatenate([heads, members])
        of = np.concatenate([heads, kept])
        is_member = np.concatenate([np.zeros(len(heads), np.int64), np.ones(len(members), np.int64)])
        order = np.lexsort((doc_id, is_member, of))
        offsets = np.append(np.flatnonzero(is_member[order] == 0), len(order)).astype(np.int64)
        doc_id = doc_id[order]
        matched = np.concatenate([heads, matched])[order]
        nothing = np.full(len(heads), np.nan)
        similarity = np.concatenate([nothing, cosines])[order]
        second = None if opinions is None else np.concatenate([nothing, opinions])[order]
        if self.tag:
            measures = {"similarity": similarity}
            if second is not None and self.confirming is not None:
                measures[self.confirming.confirm.measure] = second
            _write_members(folder, doc_id, offsets, measures)
        else:
            write_clusters(folder, False, doc_id, offsets, matched, similarity, second=second)
        return cluster_stats(doc_id, offsets)


def _write_members(
    folder: Path, doc_id: NDArray[np.uint64], offsets: NDArray[np.int64], measures: Mapping[str, NDArray[np.float64]]
) -> None:
    """measures: float64[m] each, nan where a document has none."""
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
            **{name: pa.array(values[order], from_pandas=True) for name, values in measures.items()},
        }
    )
    write_table(folder / MEMBERS_FILE, table)
