"""Verify the candidates of one part, and write its clusters.

Memory: 1 to 4 bytes a signature value and 8 a shingle of the documents that are compared at a time. Where the shingles
exceed `share_bytes` they are mapped from a file, so that the system may page them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from corpuscurate.core.artefact import Artefact, Artefacts
from corpuscurate.core.doc_ids import is_in_sorted
from corpuscurate.core.earlier_runs import Numbers
from corpuscurate.kernels.duplicates.components import best_neighbours, flatten, star_edges
from corpuscurate.kernels.duplicates.components_to_parts import order_buckets, renumber_buckets
from corpuscurate.kernels.duplicates.greedy import UNVERIFIED, settle_greedily
from corpuscurate.kernels.duplicates.verify import (
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
from corpuscurate.methods.dedup.candidate_rows import Table
from corpuscurate.methods.dedup.candidates import PlannedPart, ragged_indices, read_part
from corpuscurate.methods.dedup.clusters import cluster_stats, own_clusters, write_cluster_sizes, write_clusters
from corpuscurate.methods.dedup.groups import Buckets, in_blocks
from corpuscurate.methods.dedup.large_buckets import Edges, join_large_buckets
from corpuscurate.methods.dedup.prefilter import only_members
from corpuscurate.methods.dedup.unit_files import Units, room_for

Verify = Literal["exact", "signature", "none"]
SIGMAS = 5
"""A pair is rejected on its signatures when the estimate is this many standard deviations below the threshold."""
BLOCK = 1 << 22
"""Shingles that are held at a time, if no group has more."""
BUDGET = 10_000_000
BUDGET_EACH = 20_000
"""Most comparisons in large buckets that share documents: BUDGET, plus BUDGET_EACH for each of their documents."""
GREEDY_BUDGET_EACH = 1000
"""Greedy: most comparisons of a document in a bucket that has used up BUDGET."""


@dataclass(frozen=True, slots=True)
class VerifyPart:
    """Verify the candidates of one part, and write its drops or tags.

    plan: folder of `candidates.Candidates`. candidate_rows: folders of `candidate_rows.CandidateRows`, each with its
    numbers of candidates and rows. prefiltered: the file of `prefilter.Prefilter`; units: files of units, one a sketch
    file; both for kind exact only. large_bucket: larger buckets are joined by `large_buckets.join_large_buckets`.
    greedy: drop only documents that are similar to a kept one.
    """

    part: int
    of: int
    plan: Artefacts
    candidate_rows: tuple[tuple[Artefacts, int, int], ...]
    prefiltered: Artefact | None
    units: tuple[Artefact, ...]
    kind: Verify
    threshold: float
    ngram: int
    values: int
    value_type: str
    rows: int
    tag: bool
    share_bytes: int
    large_bucket: int
    numbers: Numbers
    greedy: bool = False

    @property
    def key(self) -> str:
        """See `corpus.Work`."""
        return f"verify-{self.part}of{self.of}-{self.plan.name}"

    def run(self, folder: Path) -> dict[str, Any]:
        """Write drops or tags of the part. The result has the counts of its clusters and comparisons."""
        plan = read_part(self.plan, self.part)
        documents, part = self._in_keep_order(plan)
        parent = np.arange(len(documents))
        parent[part.copies[:, 0]] = part.copies[:, 1]
        counts = np.zeros(COUNTS, np.int64)
        edges = self._edges(folder, documents, part, parent, counts)
        flatten(parent)
        ids, offsets, order = _clusters(documents, parent, self.numbers)
        neighbour, best = self._neighbours(documents, parent, part.copies, edges)
        matched = documents[neighbour[order]]
        write_clusters(folder, self.tag, ids, offsets, matched, best[order], numbers=self.numbers)
        if not self.tag:
            write_cluster_sizes(folder, ids, offsets, self.numbers)
        prefiltered = len(np.load(self.prefiltered, mmap_mode="r")) if self.prefiltered else 0
        return {**cluster_stats(ids, offsets, self.numbers), **_named(counts), "prefiltered": prefiltered}

    def _in_keep_order(self, plan: PlannedPart) -> tuple[NDArray[np.uint64], PlannedPart]:
        """The documents in keep order, and the part with its indices changed to that; buckets sorted by group."""
        counts = [count for _, count, _ in self.candidate_rows]
        if sum(counts) != len(np.load(self.plan["documents.npy"], mmap_mode="r")):
            raise RuntimeError("candidates are missing from the sketch files")
        ranks = Table([path["keep_ranks.bin"] for path, _, _ in self.candidate_rows], counts, np.uint64).take(
            plan.indices
        )
        order = _keep_order(ranks, self.numbers.is_own(plan.documents))
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
        documents: NDArray[np.uint64],
        part: PlannedPart,
        parent: NDArray[np.int64],
        counts: NDArray[np.int64],
    ) -> Edges:
        """Join the documents of each cluster in `parent`. Returns the edges that joined them."""
        if self.kind == "none" and not self.greedy:
            return _join_all(part, parent)
        if self.prefiltered is not None:
            part = only_members(part, is_in_sorted(documents, np.load(self.prefiltered)))
        chance = self._by_chance
        rule = Rule(
            {"exact": EXACT, "signature": SIGNATURE, "none": UNVERIFIED}[self.kind],
            self.threshold + (1 - self.threshold) * chance,
            fewest_equal_values(self.threshold, self.values) if self.kind == "exact" else 0,
            self.rows,
            BUDGET,
            GREEDY_BUDGET_EACH if self.greedy else BUDGET_EACH,
        )
        earlier = int((~self.numbers.is_own(documents)).sum())  # they come first in keep order
        pieces = [_no_edges(0)]
        for block, sketches in self._blocks(folder, documents, part):
            own = np.arange(len(block.documents))
            if self.greedy:
                kept = int(np.searchsorted(block.documents, earlier))
                found = [_drop_greedily(block, sketches, rule, kept, own, counts)]
            else:
                covered = np.zeros(len(own), np.bool_)
                found = _join_large_buckets(block, self.large_bucket, sketches, rule, own, counts, covered)
                found.append(_join_small_buckets(block, self.large_bucket, sketches, rule, own, counts, covered))
            parent[block.documents] = block.documents[own]
            pieces += [Edges(block.documents[edges.a], block.documents[edges.b], edges.similarity) for edges in found]
        a, b, similarity = (np.concatenate(column) for column in zip(*pieces, strict=True))
        return Edges(a, b, (similarity - chance) / (1 - chance))

    @property
    def _by_chance(self) -> float:
        """P(two values that should differ agree), for which an estimate is corrected: the share of equal values is
        J + (1 - J) times that. For values of more than 8 bits it is negligible beside the estimate's own error."""
        return 1 / 256 if self.kind == "signature" and self.value_type == "uint8" else 0.0

    def _blocks(
        self, folder: Path, documents: NDArray[np.uint64], part: PlannedPart
    ) -> Iterator[tuple[Buckets, Sketches]]:
        """Blocks of buckets, and the sketches of their documents, which are valid until the next block is asked for."""
        everyone = np.load(self.plan["bucketed.npy"], mmap_mode="r")
        compared = everyone if self.prefiltered is None else np.load(self.prefiltered)
        rows = np.searchsorted(compared, documents)  # of those in buckets
        width = 0 if self.kind == "none" else self.values
        counts = [count if width else 0 for _, _, count in self.candidate_rows]
        table = Table(
            [path["signatures.bin"] for path, _, _ in self.candidate_rows], counts, self.value_type, self.values
        )
        units = Units(self.units, compared) if self.kind == "exact" else None
        sizes = np.full(len(documents), width) if units is None else np.append(units.most_shingles(self.ngram), 0)[rows]
        blocks = list(in_blocks(part, sizes, BLOCK))
        largest = max((int(sizes[block.documents].sum()) for block in blocks), default=0)
        scratch = folder / "sets.tmp"
        sets = room_for(largest if units else 0, scratch, self.share_bytes)
        for block in blocks:
            wanted = rows[block.documents]
            chosen = np.sort(wanted)
            offsets = np.zeros(1, np.int64) if units is None else units.sets(chosen, self.ngram, sets)
            at = chosen if self.prefiltered is None else np.searchsorted(everyone, compared[chosen])
            signatures = table.take(at if width else at[:0])
            yield block, Sketches(np.searchsorted(chosen, wanted), signatures, offsets, sets)
        del sets
        scratch.unlink(missing_ok=True)

    def _neighbours(
        self,
        documents: NDArray[np.uint64],
        parent: NDArray[np.int64],
        copies: NDArray[np.int64],
        edges: Edges,
    ) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """The neighbour that each document is reported with, -1 for none, and their similarity."""
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
        return neighbour, best


def _join_large_buckets(
    block: Buckets,
    most: int,
    sketches: Sketches,
    rule: Rule,
    parent: NDArray[np.int64],
    counts: NDArray[np.int64],
    covered: NDArray[np.bool_],
) -> list[Edges]:
    """The edges of buckets of more than `most` documents, those of a group together.

    covered: see `join_large_buckets`.
    """
    large = np.flatnonzero(np.diff(block.offsets) > most)
    groups = block.groups[block.members[block.offsets[large]]]
    return [
        join_large_buckets(
            [block.members[block.offsets[i] : block.offsets[i + 1]] for i in large[groups == group]],
            sketches,
            rule,
            parent,
            counts,
            covered,
        )
        for group in np.unique(groups)
    ]


def _keep_order(ranks: NDArray[np.uint64], own: NDArray[np.bool_]) -> NDArray[np.int64]:
    """The documents of a part, which ascend, in keep order: those of earlier runs first, then by keep rank."""
    if own.all() and (ranks[1:] >= ranks[:-1]).all():
        return np.arange(len(ranks))
    return np.lexsort((ranks, own))  # stable


def _no_edges(size: int) -> Edges:
    a, b = np.empty((2, size), np.int64)
    return Edges(a, b, np.zeros(size, np.float64))


def _join_all(part: PlannedPart, parent: NDArray[np.int64]) -> Edges:
    """The edges of buckets taken as clusters, unverified."""
    edges = _no_edges(len(parent))
    found = star_edges(parent, part.members, part.offsets, edges.a, edges.b)
    return Edges(edges.a[:found], edges.b[:found], edges.similarity[:found])


def _join_small_buckets(
    block: Buckets,
    most: int,
    sketches: Sketches,
    rule: Rule,
    parent: NDArray[np.int64],
    counts: NDArray[np.int64],
    covered: NDArray[np.bool_],
) -> Edges:
    """The edges of buckets of at most `most` documents that are not covered yet."""
    small = _small_buckets(block, most, covered)
    edges = _no_edges(len(parent))
    found = verify_buckets(small.members, small.offsets, small.bands, sketches, rule, covered, parent, counts, *edges)
    return Edges(edges.a[:found], edges.b[:found], edges.similarity[:found])


def _drop_greedily(
    block: Buckets,
    sketches: Sketches,
    rule: Rule,
    earlier: int,
    parent: NDArray[np.int64],
    counts: NDArray[np.int64],
) -> Edges:
    """The edges from each dropped document to the kept one that dropped it. earlier: documents of earlier runs, all of
    which are kept."""
    edges = _no_edges(len(parent))
    found = settle_greedily(block.members.copy(), block.offsets, sketches, rule, earlier, parent, counts, *edges)
    return Edges(edges.a[:found], edges.b[:found], edges.similarity[:found])


def _small_buckets(block: Buckets, most: int, covered: NDArray[np.bool_]) -> Buckets:
    sizes = np.diff(block.offsets)
    before = np.concatenate([np.zeros(1, np.int64), np.cumsum(~covered[block.members])])
    small = np.flatnonzero((sizes <= most) & (np.diff(before[block.offsets]) > 0))
    return block._replace(
        members=block.members[ragged_indices(block.offsets, small)],
        offsets=np.concatenate([np.zeros(1, np.int64), np.cumsum(sizes[small])]),
        bands=block.bands[small],
    )


def fewest_equal_values(threshold: float, values: int) -> int:
    """Equal signature values below which a pair is rejected without looking at its shingles.

    The estimate of a pair with J = threshold has the standard deviation sqrt(J (1 - J) / values). With 128 values, the
    share of such pairs that lie five of them below is 1.5e-7, 1.4e-6, 7.7e-6, 2.2e-5 at thresholds .5, .8, .9, .95
    (lower tail of the binomial distribution), and smaller for more similar pairs: negligible beside 1 - recall.
    """
    deviation = np.sqrt(threshold * (1 - threshold) / values)
    return max(0, int(np.ceil(values * (threshold - SIGMAS * deviation) - 1e-9)))


def _clusters(
    documents: NDArray[np.uint64], root: NDArray[np.int64], numbers: Numbers
) -> tuple[NDArray[np.uint64], NDArray[np.int64], NDArray[np.int64]]:
    """doc_ids cluster after cluster, the kept one (the root: first in keep order) first; offsets; indices."""
    sizes = np.bincount(root, minlength=len(documents))
    several = np.flatnonzero(sizes[root] > 1)
    order = several[np.argsort(root[several], kind="stable")]
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
