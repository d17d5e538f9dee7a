"""Verify the candidates of one part, and settle its clusters.

Memory: 4 bytes a signature value and 8 a distinct shingle of the part's documents. Where the shingles exceed
`share_bytes` they are laid out in a file, so that the system may page them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from corpuscurate.dedup.candidates import PlannedPart, ragged_indices, read_part
from corpuscurate.dedup.clusters import cluster_account, own_clusters, write_clusters
from corpuscurate.dedup.gather import take
from corpuscurate.dedup.large import Edges, join_large
from corpuscurate.dedup.likely import only_members
from corpuscurate.dedup.sources import is_in_sorted
from corpuscurate.dedup.unit_files import load_sets
from corpuscurate.earlier import Numbers
from corpuscurate.kernels.components import best_neighbours, flatten, star_edges
from corpuscurate.kernels.greedy import UNVERIFIED, settle_greedily
from corpuscurate.kernels.planning import order_buckets, renumber_buckets
from corpuscurate.kernels.verify import (
    CAPPED_BUCKETS,
    CAPPED_DOCUMENTS,
    COMPARED,
    COUNTS,
    EXACT,
    FEW_EQUAL_VALUES,
    REJECTED,
    SIGNATURE,
    SKIPPED,
    VERIFIED,
    Rule,
    Sketches,
    verify_buckets,
)

Verify = Literal["exact", "signature", "none"]
SIGMAS = 5
"""A pair is rejected on its signatures when the estimate is this many standard deviations below the threshold."""
BUDGET = 10_000_000
BUDGET_EACH = 20_000
"""Comparisons in large buckets that share documents: so many, and so many for each of their documents."""
GREEDY_BUDGET_EACH = 1000
"""Greedy: comparisons of a document in a bucket that has used up BUDGET."""


@dataclass(frozen=True, slots=True)
class VerifyPart:
    """plan: folder of `candidates.Candidates`; gathered: folders of `gather.Gather`, with their (candidates, rows).
    likely: what `likely.Likely` found, units: files of units, one a sketch file; both for kind exact only. large:
    longer buckets are joined by `large.join_large`. greedy: drop only what is similar to a kept document."""

    part: int
    of: int
    plan: Path
    gathered: tuple[tuple[Path, int, int], ...]
    likely: Path | None
    units: tuple[Path, ...]
    kind: Verify
    threshold: float
    ngram: int
    values: int
    value_type: str
    rows: int
    tag: bool
    share_bytes: int
    large: int
    numbers: Numbers
    greedy: bool = False

    @property
    def key(self) -> str:
        """See `stage.Work`."""
        return f"verify-{self.part}of{self.of}-{self.plan.name}"

    def run(self, folder: Path) -> dict[str, Any]:
        """Write drops or tags of the part."""
        plan = read_part(self.plan, self.part)
        documents, part = self._in_keep_order(plan)
        parent = np.arange(len(documents))
        parent[part.copies[:, 0]] = part.copies[:, 1]
        counts = np.zeros(COUNTS, np.int64)
        edges = self._edges(folder, plan.documents, documents, part, parent, counts)
        flatten(parent)
        self._write(folder, documents, parent, part.copies, edges)
        ids, offsets, _ = _clusters(documents, parent, self.numbers)
        likely = len(np.load(self.likely, mmap_mode="r")) if self.likely else 0
        return {**cluster_account(ids, offsets, self.numbers), **_named(counts), "likely": likely}

    def _in_keep_order(self, plan: PlannedPart) -> tuple[NDArray[np.uint64], PlannedPart]:
        """The documents in keep order, and the part with its indices changed to that; buckets sorted by group."""
        counts = [count for _, count, _ in self.gathered]
        if sum(counts) != len(np.load(self.plan / "documents.npy", mmap_mode="r")):
            raise RuntimeError("candidates are missing from the sketch files")
        places = take([path / "places.bin" for path, _, _ in self.gathered], counts, plan.indices, np.uint64)
        order = np.lexsort((places, self.numbers.is_own(plan.documents)))  # stable, and documents ascend
        renumbered = np.empty(len(order), np.int64)
        renumbered[order] = np.arange(len(order))
        by_group = np.empty(len(plan.bands), np.int64)
        order_buckets(plan.members, plan.offsets, plan.groups, by_group)
        members, offsets = np.empty(len(plan.members), np.int64), np.empty_like(plan.offsets)
        renumber_buckets(plan.members, plan.offsets, by_group, renumbered, members, offsets)
        part = replace(
            plan,
            copies=renumbered[plan.copies],
            members=members,
            offsets=offsets,
            bands=plan.bands[by_group],
            groups=plan.groups[order],
        )
        return plan.documents[order], part

    def _edges(
        self,
        folder: Path,
        ids: NDArray[np.uint64],
        documents: NDArray[np.uint64],
        part: PlannedPart,
        parent: NDArray[np.int64],
        counts: NDArray[np.int64],
    ) -> Edges:
        """Join what belongs together in `parent`; the edges that did. ids: the documents, sorted."""
        if self.kind == "none" and not self.greedy:
            return _join_all(part, parent)
        part, sketches, scratch = self._sketches(folder, ids, documents, part)
        chance = self._by_chance
        rule = Rule(
            {"exact": EXACT, "signature": SIGNATURE, "none": UNVERIFIED}[self.kind],
            self.threshold + (1 - self.threshold) * chance,
            fewest_equal_values(self.threshold, self.values) if self.kind == "exact" else 0,
            self.rows,
            BUDGET,
            GREEDY_BUDGET_EACH if self.greedy else BUDGET_EACH,
        )
        if self.greedy:
            earlier = int((~self.numbers.is_own(documents)).sum())  # they come first in keep order
            pieces = [_drop_greedily(part, sketches, rule, earlier, parent, counts)]
        else:
            covered = np.zeros(len(documents), np.bool_)
            pieces = _join_large(part, self.large, sketches, rule, parent, counts, covered)
            pieces.append(_join_small(part, self.large, sketches, rule, parent, counts, covered))
        if scratch is not None:
            scratch.unlink()
        a, b, similarity = (np.concatenate(column) for column in zip(*pieces, strict=True))
        return Edges(a, b, (similarity - chance) / (1 - chance))

    @property
    def _by_chance(self) -> float:
        """P(two values that should differ agree), of which an estimate is freed: the share of equal values is
        J + (1 - J) times that. Of longer values than 8 bits it is nothing beside the estimate's own error."""
        return 1 / 256 if self.kind == "signature" and self.value_type == "uint8" else 0.0

    def _sketches(
        self, folder: Path, ids: NDArray[np.uint64], documents: NDArray[np.uint64], part: PlannedPart
    ) -> tuple[PlannedPart, Sketches, Path | None]:
        """What the documents are compared by, the part without those that are similar to none, and a file in use."""
        no_sets = np.zeros(1, np.int64), np.empty(0, np.uint64), None
        if self.kind == "none":
            nothing = np.empty((0, self.values), self.value_type)
            return part, Sketches(np.zeros(len(documents), np.int64), nothing, *no_sets[:2]), None
        everyone = np.load(self.plan / "bucketed.npy", mmap_mode="r")
        if self.likely is None:
            bucketed = ids[is_in_sorted(ids, everyone)]
        else:
            bucketed = np.load(self.likely)
            part = only_members(part, is_in_sorted(documents, bucketed))
        paths = [path / "signatures.bin" for path, _, _ in self.gathered]
        rows = [count for _, _, count in self.gathered]
        signatures = take(paths, rows, np.searchsorted(everyone, bucketed), self.value_type, self.values)
        set_offsets, sets, scratch = (
            load_sets(self.units, bucketed, self.ngram, folder / "sets.tmp", self.share_bytes)
            if self.kind == "exact"
            else no_sets
        )
        return part, Sketches(np.searchsorted(bucketed, documents), signatures, set_offsets, sets), scratch

    def _write(
        self,
        folder: Path,
        documents: NDArray[np.uint64],
        parent: NDArray[np.int64],
        copies: NDArray[np.int64],
        edges: Edges,
    ) -> None:
        neighbour = np.full(len(documents), -1, np.int64)
        best = np.zeros(len(documents), np.float64)
        best_neighbours(edges.a, edges.b, edges.similarity, documents, neighbour, best)
        if self.kind == "none":
            best[:] = np.nan
        copy, original = copies.T
        neighbour[copy] = original
        best[copy] = 1.0
        if self.greedy:  # the copy of a dropped document was dropped by what dropped that
            gone = parent[original] != original
            neighbour[copy[gone]] = neighbour[original[gone]]
            best[copy[gone]] = best[original[gone]]
        ids, offsets, order = _clusters(documents, parent, self.numbers)
        matched = documents[neighbour[order]]
        write_clusters(folder, self.tag, ids, offsets, matched, best[order], numbers=self.numbers)


def _join_large(
    part: PlannedPart,
    most: int,
    sketches: Sketches,
    rule: Rule,
    parent: NDArray[np.int64],
    counts: NDArray[np.int64],
    covered: NDArray[np.bool_],
) -> list[Edges]:
    """The edges of buckets of more than `most` documents, those of a group together. covered: see `join_large`."""
    large = np.flatnonzero(np.diff(part.offsets) > most)
    groups = part.groups[part.members[part.offsets[large]]]
    return [
        join_large(
            [part.members[part.offsets[i] : part.offsets[i + 1]] for i in large[groups == group]],
            sketches,
            rule,
            parent,
            counts,
            covered,
        )
        for group in np.unique(groups)
    ]


def _no_edges(size: int) -> Edges:
    a, b = np.empty((2, size), np.int64)
    return Edges(a, b, np.zeros(size, np.float64))


def _join_all(part: PlannedPart, parent: NDArray[np.int64]) -> Edges:
    """The edges of buckets taken as clusters, unverified."""
    edges = _no_edges(len(parent))
    found = star_edges(parent, part.members, part.offsets, edges.a, edges.b)
    return Edges(edges.a[:found], edges.b[:found], edges.similarity[:found])


def _join_small(
    part: PlannedPart,
    most: int,
    sketches: Sketches,
    rule: Rule,
    parent: NDArray[np.int64],
    counts: NDArray[np.int64],
    covered: NDArray[np.bool_],
) -> Edges:
    """The edges of buckets of at most `most` documents that are not covered yet."""
    small = _small_buckets(part, most, covered)
    edges = _no_edges(len(parent))
    found = verify_buckets(small.members, small.offsets, small.bands, sketches, rule, covered, parent, counts, *edges)
    return Edges(edges.a[:found], edges.b[:found], edges.similarity[:found])


def _drop_greedily(
    part: PlannedPart,
    sketches: Sketches,
    rule: Rule,
    earlier: int,
    parent: NDArray[np.int64],
    counts: NDArray[np.int64],
) -> Edges:
    """The edges from each dropped document to the kept one that dropped it. earlier: documents of earlier runs, all of
    which are kept."""
    edges = _no_edges(len(parent))
    found = settle_greedily(part.members.copy(), part.offsets, sketches, rule, earlier, parent, counts, *edges)
    return Edges(edges.a[:found], edges.b[:found], edges.similarity[:found])


def _small_buckets(part: PlannedPart, most: int, covered: NDArray[np.bool_]) -> PlannedPart:
    sizes = np.diff(part.offsets)
    before = np.concatenate([np.zeros(1, np.int64), np.cumsum(~covered[part.members])])
    small = np.flatnonzero((sizes <= most) & (np.diff(before[part.offsets]) > 0))
    return replace(
        part,
        members=part.members[ragged_indices(part.offsets, small)],
        offsets=np.concatenate([np.zeros(1, np.int64), np.cumsum(sizes[small])]),
        bands=part.bands[small],
    )


def fewest_equal_values(threshold: float, values: int) -> int:
    """Equal signature values below which a pair is rejected without looking at its shingles.

    The estimate of a pair with J = threshold has the standard deviation sqrt(J (1 - J) / values). With 128 values, the
    share of such pairs that lie five of them below is 1.5e-7, 1.4e-6, 7.7e-6, 2.2e-5 at thresholds .5, .8, .9, .95
    (lower tail of the binomial distribution), and smaller for more similar pairs: nothing beside 1 - recall.
    """
    deviation = np.sqrt(threshold * (1 - threshold) / values)
    return max(0, int(np.ceil(values * (threshold - SIGMAS * deviation) - 1e-9)))


def _clusters(
    documents: NDArray[np.uint64], root: NDArray[np.int64], numbers: Numbers
) -> tuple[NDArray[np.uint64], NDArray[np.int64], NDArray[np.int64]]:
    """doc_ids cluster after cluster, the kept one (the root: first in keep order) first; offsets; indices."""
    sizes = np.bincount(root, minlength=len(documents))
    order = np.argsort(root, kind="stable")
    order = order[sizes[root[order]] > 1]
    offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum(sizes[sizes > 1])])
    stays, offsets = own_clusters(documents[order], offsets, numbers)
    return documents[order[stays]], offsets, order[stays]


def _named(counts: NDArray[np.int64]) -> dict[str, int]:
    return {
        "compared": int(counts[COMPARED]),
        "verified": int(counts[VERIFIED]),
        "rejected_by_signature": int(counts[FEW_EQUAL_VALUES]),
        "rejected": int(counts[REJECTED]),
        "capped_buckets": int(counts[CAPPED_BUCKETS]),
        "capped_documents": int(counts[CAPPED_DOCUMENTS]),
        "comparisons_skipped": int(counts[SKIPPED]),
    }
