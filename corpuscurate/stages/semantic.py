"""Semantic duplicates: documents whose embeddings are alike."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pydantic import Field, model_validator

from corpuscurate.core.artefact import Artefact
from corpuscurate.core.batch import Batch
from corpuscurate.core.columns import one_array
from corpuscurate.core.corpus import Corpus, Settled
from corpuscurate.core.doc_ids import is_in_sorted
from corpuscurate.core.stage import Resources
from corpuscurate.core.tables import read_table, write_table
from corpuscurate.kernels.embedding.neighbour_lists import BINS
from corpuscurate.methods.dedup.clusters import (
    DROPS_FILE,
    MEASURES,
    TAG_DEFAULTS,
    TAGS_FILE,
    giant_warning,
    merge_stats,
)
from corpuscurate.methods.dedup.keep import Keep, columns_of
from corpuscurate.methods.dedup.sketch import units_of_text
from corpuscurate.methods.dedup.sketches import keep_rank_columns, keep_rank_schema, keep_warnings, sources_of
from corpuscurate.methods.dedup.unit_files import unit_columns
from corpuscurate.methods.embed.column import Column
from corpuscurate.methods.embed.vectors import vectors
from corpuscurate.methods.semantic.borders import border_stats, estimate_borders
from corpuscurate.methods.semantic.clusters import (
    Assigned,
    Clustered,
    ClustersCorpus,
    cluster_corpus,
    share_of,
    skew_warning,
)
from corpuscurate.methods.semantic.confirm import Confirming, ConfirmParameters
from corpuscurate.methods.semantic.decide import MEMBERS_FILE, Decide, Rule
from corpuscurate.methods.semantic.gather import SECOND_EMBEDDING, gather
from corpuscurate.methods.semantic.keep_order import OrderRule, order_corpus
from corpuscurate.methods.semantic.pairs import Found, find_pairs
from corpuscurate.methods.semantic.vectors import Vectors
from corpuscurate.methods.semantic.visits import MOST, STEP, Visits

DEFAULT_THRESHOLD = 0.95
LOST = 0.01
"""Share of pairs lost at borders from which the user is told, where at least `SEEN` pairs say so; `FEW` with fewer."""
SEEN = 10
FEW = 0.05


class Semantic(ClustersCorpus):
    """Drop documents whose embedding is near that of a document that stays (SemDeDup, Abbas et al. 2023).

    Documents are clustered by spherical k-means. A document is compared with those that live in its cluster, and where
    it lies near the border of other clusters (`border`) with those that live there; or with those in the `probes` - 1
    next clusters, wherever it lies. All is in keep order. `rule: independent` drops a document that is near a *kept*
    earlier one: whatever goes has a near document in the output. `rule: paper` drops one that is near any earlier one,
    even one that goes too, as the paper's code does: chains of near documents shrink to their first. The ledger names
    for each dropped document the nearest (kept, or any) earlier one and the cosine.

    The threshold is a cosine, and it means something else for each embedder and corpus: look at `corpuscurate tune
    semantic`, or give `remove_fraction`, which drops at most that share of the documents: by the lowest threshold that
    keeps to it, and where even more have the same embedding as another one, those that come last in keep order. When
    the threshold or the rule changes, embeddings, clusters and pairs are used again, down to the cosine `pairs_from`.
    Documents without anything to embed are never duplicates.

    An embedder that knows little of a text has all such texts near each other. With `confirm: 0.3` a document goes only
    for one that has at least three tenths of its word pairs, too (containment, in the units of `minhash`; characters
    where a script has no spaces): the pair of which that does not hold is none, so the nearest document that is
    confirmed decides. A text without a word is never confirmed. `{embedder: ..., similarity: ...}` asks another
    embedder instead, for the documents in near pairs alone. dropped/ has both values in `failed`. Measured on 6,986
    real documents in 16 languages with an English static model (`scripts/check_confirm.py`): of 2,080 drops 821 were
    wrong (word Jaccard below .3), with .2 2, with .3 1, with .5 none; of 1,477 rewordings and rewrites that it finds .2
    and .3 lose none, .5 six. Pairs of words tell best: of single words .3 lets 21 through, of five words it loses 141.

    The promise: embeddings are stored in 16 bits an element, and all that follows is done in whole numbers, so the same
    embeddings give the same bytes for any number of workers and threads, any memory limit, and any BLAS, FAISS or kind
    of CPU (`semantic.vectors`, `semantic.kmeans`). Embeddings themselves are the same for the same versions and the
    same kind of CPU only.

    On disk 8 bytes an element of the embeddings (4 where they are in a column): the vectors once where they are read,
    in 16 bits, and once for each cluster of a document; and at most 384 bytes for each document with near ones; with
    `confirm` 4 bytes for each of its words, and 8 while deciding. In memory see `semantic.keep_order`, `.pairs`,
    `.decide` and `.confirm`.
    """

    word: ClassVar[str] = "semantic"
    version: ClassVar[int] = 10 * ClustersCorpus.version + 2
    source: ClassVar[str] = "Abbas et al. 2023, SemDeDup, arXiv 2303.09540"
    shorthand: ClassVar[str] = "threshold"
    takes_rows: ClassVar[frozenset[str]] = frozenset({"confirming_units"})

    threshold: float | None = Field(
        None, description=f"cosine from which documents are duplicates; {DEFAULT_THRESHOLD} where null", gt=0, le=1
    )
    remove_fraction: float | None = Field(
        None, description="instead of threshold: the greatest share of documents to drop", gt=0, lt=1
    )
    rule: Rule = Field("independent", description="independent: near a kept one; paper: near any earlier one")
    confirm: ConfirmParameters | None = Field(
        None,
        description="what must agree, too: the least share of its word pairs that the other document has; or "
        "{containment, unit, words, ngram}; or {embedder, similarity}",
    )
    keep: Literal["hard", "easy"] | Keep = Field(
        "hard",
        description="which stays: hard (far from the centroid), easy (near it), first, longest, "
        "{by: column, order: desc | asc | rank}",
    )
    probes: int | None = Field(
        None,
        description=f"clusters in which a document is compared: its own and the next nearest; where null up to {MOST}, "
        "as `border` says",
        ge=1,
    )
    border: float | None = Field(
        None,
        description="without probes: a document is compared in another cluster too where the cosine with its centroid "
        "is at most this much below that with its own one; where null, as much as loses at most 1 % of pairs at .95",
        ge=0,
        le=2,
    )
    pairs_from: float = Field(
        0.8,
        description="cosine from which pairs are stored, so that lower thresholds need no new comparison",
        gt=0,
        le=1,
    )
    border_sample: int = Field(
        256, description="documents compared with all others, to estimate the pairs lost between clusters", ge=0
    )

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if self.threshold is not None and self.remove_fraction is not None:
            raise ValueError("give threshold or remove_fraction, not both")
        if self.confirm is not None and self.confirm.embedder == self.embedder:
            raise ValueError("confirm.embedder is the stage's own embedder, which always agrees with itself")
        return self

    @property
    def floor(self) -> float:
        """The cosine from which pairs are stored: `pairs_from`, or the next lower twentieth for a lower threshold."""
        if self.remove_fraction is not None:
            return self.pairs_from
        threshold = self.cosine
        return self.pairs_from if threshold >= self.pairs_from else math.floor(threshold * 20) / 20

    @property
    def cosine(self) -> float:
        """The threshold, where no share is asked for."""
        return DEFAULT_THRESHOLD if self.threshold is None else self.threshold

    @property
    def visits(self) -> Visits:
        """The clusters in which a document is compared."""
        if self.probes is not None:
            return Visits(self.probes)
        return Visits(MOST, self.border, self.border is None)

    @property
    def shared_rule(self) -> Keep | None:
        """The keep rule that all deduplications share; None for hard and easy, which need centroids."""
        return None if self.keep in ("hard", "easy") else self.keep  # type: ignore[return-value]

    def reads(self) -> tuple[str, ...]:
        """See `Stage`."""
        rule, second = self.shared_rule, self._second_column
        keep = columns_of(rule) if rule is not None else ()
        return tuple(dict.fromkeys([*super().reads(), *keep, *([second] if second is not None else [])]))

    @property
    def _second_column(self) -> str | None:
        """The column that has the second embeddings, where `confirm` names one."""
        second = None if self.confirm is None else self.confirm.embedder
        return second.column if isinstance(second, Column) else None

    def identity(self) -> dict[str, Any]:
        """See `Stage`."""
        own = super().identity()
        return own if self.confirm is None else {**own, "confirm": self.confirm.value()}

    @property
    def packages(self) -> tuple[str, ...]:
        """Those of both embedders."""
        second = None if self.confirm is None else self.confirm.embedder
        return tuple(dict.fromkeys([*super().packages, *(() if second is None else second.packages)]))

    @property
    def resources(self) -> Resources:
        """Those of the embedder; those of the second one where the first needs no card."""
        own, second = super().resources, None if self.confirm is None else self.confirm.embedder
        return own if second is None or own.gpus else second.resources

    def rules(self) -> Mapping[str, float | None]:
        """See `Stage`."""
        cosine = None if self.remove_fraction is not None else self.cosine
        more = {} if self.confirm is None else {self.confirm.measure: self.confirm.threshold}
        return {"semantic_duplicate": cosine, **more}

    def measures(self) -> Mapping[str, pa.DataType]:
        """The cluster of duplicates (doc_id of the kept one), its size, whether this is the kept one, the cosine with
        the one that decided, and the value that confirms it; the number of the k-means cluster and the cosine with its
        centroid."""
        return {
            **MEASURES,
            "similarity": pa.float64(),
            **({} if self.confirm is None else {self.confirm.measure: pa.float64()}),
            "centroid": pa.int32(),
            "centroid_similarity": pa.float64(),
        }

    def tag_defaults(self) -> Mapping[str, Any]:
        """See `GlobalStage`."""
        return TAG_DEFAULTS

    def sketch_parameters(self) -> dict[str, Any]:
        """See `GlobalStage`."""
        rule = self.shared_rule
        return {**super().sketch_parameters(), "keep_rule": None if rule is None else self.parameters()["keep"]}

    def sketch_schema(self) -> pa.Schema:
        """See `GlobalStage`."""
        rule = self.shared_rule
        second = [] if self._second_column is None else [(SECOND_EMBEDDING, pa.large_list(pa.float32()))]
        return pa.schema([*super().sketch_schema(), *second, *(keep_rank_schema(rule) if rule is not None else [])])

    def sketch(self, batch: Batch) -> dict[str, pa.Array]:
        """See `GlobalStage`."""
        rule, second = self.shared_rule, self._second_column
        more = {} if second is None else {SECOND_EMBEDDING: vectors(batch.columns[second], second)}
        return super().sketch(batch) | more | (keep_rank_columns(rule, batch) if rule is not None else {})

    def confirming_units(self, batch: Batch, rows: NDArray[np.int64] | None = None) -> dict[str, pa.Array]:
        """The units of each document, or of those in `rows`: what n-grams are made of (called by the engine)."""
        assert self.confirm is not None  # noqa: S101  else nothing is gathered
        return unit_columns(units_of_text(self.confirm.unit, batch.text, rows, self.confirm.words))

    def settle(self, corpus: Corpus) -> Settled:
        """See `GlobalStage`."""
        return _Settle(self, corpus).run()

    def levels(self) -> tuple[float, ...]:
        """Further thresholds to count at: none in a run."""
        return ()


@dataclass(frozen=True)
class _Settle:
    """The settle step: clusters, keep order, pairs, an estimate of the pairs lost at borders, decisions."""

    stage: Semantic
    corpus: Corpus

    def run(self) -> Settled:
        stage = self.stage
        clustered = cluster_corpus(self.corpus, stage, stage.visits)
        one = clustered.one
        rules, notes = self._order_rules(len(clustered.files))
        basis = [*clustered.basis, "pairs", stage.parameters()["keep"]]
        cluster_ranges = order_corpus(self.corpus, clustered, rules, one, basis)
        found = find_pairs(self.corpus, cluster_ranges, stage.floor, one, basis)
        borders = estimate_borders(self.corpus, clustered, stage.border_sample, stage.floor, clustered.basis)
        confirming = self.confirming(clustered, found, basis)
        decided = self.corpus.run([self._decide(clustered, found, confirming)], "deciding")[0]
        stats = self._stats(clustered, found, decided.result, borders)
        warnings = [*notes, *clustered.stats["warnings"], *self._warnings(stats, decided.result)]
        settled = {**stats, "warnings": warnings}
        if stage.mode == "tag":
            tags = [
                Tag(i, file, assigned, decided.files[MEMBERS_FILE])
                for i, (file, assigned) in enumerate(zip(clustered.files, clustered.assigned, strict=True))
            ]
            return Settled([], [done.files[TAGS_FILE] for done in self.corpus.run(tags, "tags")], settled)
        return Settled([decided.files[DROPS_FILE]] if stats["duplicates"] else [], [], settled)

    def _order_rules(self, splits: int) -> tuple[list[OrderRule], list[str]]:
        """The order rule of each split, and warnings about the keep rule."""
        rule = self.stage.shared_rule
        if rule is None:
            return [OrderRule(str(self.stage.keep))] * splits, []
        sources = sources_of(self.corpus, rule)
        return [OrderRule("rule", source) for source in sources.files], keep_warnings(sources, rule)

    def confirming(self, clustered: Clustered, found: Found, basis: list[Any]) -> Confirming | None:
        """What near pairs are confirmed by; None where cosines alone decide."""
        stage = self.stage
        if stage.confirm is None:
            return None
        least = stage.floor if stage.remove_fraction is not None else stage.cosine
        return gather(self.corpus, stage, stage.confirm, found, clustered.files, least, basis)

    def _decide(self, clustered: Clustered, found: Found, confirming: Confirming | None) -> Decide:
        stage = self.stage
        return Decide(
            found.works,
            found.cluster_ranges,
            found.one,
            found.floor,
            stage.rule,
            None if stage.remove_fraction is not None else stage.cosine,
            stage.remove_fraction,
            clustered.stats["documents"],
            stage.mode == "tag",
            self.corpus.memory_bytes // 2,
            stage.levels(),
            confirming,
        )

    def _stats(
        self, clustered: Clustered, found: Found, decided: Mapping[str, Any], borders: NDArray[np.int64]
    ) -> dict[str, Any]:
        stage = self.stage
        return {
            **clustered.stats,
            "notes": [*clustered.stats["notes"], *self._notes(found, decided)],
            "probes": clustered.visits.probes,
            "border": clustered.visits.border,
            "clusters_a_document": round(float(clustered.sizes().sum()) / max(1, clustered.rows), 3),
            "rule": stage.rule,
            "threshold": decided["threshold"],
            "pairs_from": stage.floor,
            "compared": found.compared,
            "pairs": found.pairs,
            "pairs_by_cosine": histogram_stats(found.histogram),
            "compared_again": decided["compared_again"],
            **({} if stage.confirm is None else {"confirm": self._confirm_stats(decided)}),
            "borders": border_stats(borders, min(stage.border_sample, clustered.stats["sample"]), decided["threshold"])
            if not clustered.one
            else {"pairs_lost": 0, "lost_ratio": 0.0, "reason": "all documents were compared with all"},
            **({"levels": decided["levels"]} if decided["levels"] else {}),
            **merge_stats([decided]),
        }

    def _confirm_stats(self, decided: Mapping[str, Any]) -> dict[str, Any]:
        confirm = self.stage.confirm
        assert confirm is not None  # noqa: S101  asked before
        return {
            "by": confirm.measure,
            "threshold": confirm.threshold,
            "pairs": decided["asked"],
            "confirmed": decided["confirmed"],
        }

    def _notes(self, found: Found, decided: Mapping[str, Any]) -> list[str]:
        how = "a kept earlier document" if self.stage.rule == "independent" else "any earlier document, kept or not,"
        return [
            f"rule {self.stage.rule}: what has a cosine of at least {decided['threshold']:g} with {how} goes; "
            f"{found.compared:,} comparisons, {found.pairs:,} pairs from {found.floor:g} up.",
            *self._confirm_notes(decided),
        ]

    def _confirm_notes(self, decided: Mapping[str, Any]) -> list[str]:
        confirm = self.stage.confirm
        if confirm is None:
            return []
        return [
            f"confirm: {confirm.measure} of at least {confirm.threshold:g} confirms {decided['confirmed']:,} of "
            f"{decided['asked']:,} near pairs that were listed; the others count as unlike."
        ]

    def _warnings(self, stats: Mapping[str, Any], decided: Mapping[str, Any]) -> list[str]:
        warnings = giant_warning(stats["clusters"], stats["documents"])
        warnings += skew_warning(dict(stats))
        warnings += self._fraction_warnings(stats, decided)
        borders = stats["borders"]
        lost = borders["lost_ratio"]
        if lost is not None and lost > (LOST if borders["pairs_lost"] >= SEEN else FEW):
            warnings.append(
                f"about {100 * lost:.3g} % of near pairs lie across borders of clusters and are not "
                f"compared ({borders['pairs_lost']} of {borders['pairs_lost'] + borders['pairs_found']} pairs of "
                f"{borders['documents']} documents). {self._more_visits(stats)} finds more of them."
            )
        return warnings

    def _more_visits(self, stats: Mapping[str, Any]) -> str:
        if self.stage.probes is not None:
            return f"`probes: {2 * self.stage.probes}`"
        return f"`border: {2 * stats['border'] or STEP:g}`"

    def _fraction_warnings(self, stats: Mapping[str, Any], decided: Mapping[str, Any]) -> list[str]:
        stage = self.stage
        if stage.remove_fraction is None:
            return []
        target = share_of(stage.remove_fraction, stats["documents"])
        if decided["spared"]:
            return [
                f"remove_fraction {stage.remove_fraction} drops at most {target:,} documents, but "
                f"{target + decided['spared']:,} have the same embedding as another one: the {target:,} that come last "
                "in keep order are dropped. `threshold: 1` drops them all."
            ]
        if decided["threshold"] <= stage.floor and stats["duplicates"] < target:
            return [
                f"remove_fraction {stage.remove_fraction} asks for {target:,} documents, but only "
                f"{stats['duplicates']:,} are near another one at the cosine {stage.floor} from which pairs are "
                "stored. A lower `pairs_from:` finds more."
            ]
        return []


def histogram_stats(histogram: NDArray[np.int64]) -> dict[str, int]:
    """Pairs by cosine, in steps of a hundredth; those of equal embeddings apart."""
    steps = {f"{i / 100:.2f}": int(histogram[i * 10 : i * 10 + 10].sum()) for i in range(BINS // 10)}
    return {**{name: count for name, count in steps.items() if count}, "1.00": int(histogram[BINS])}


@dataclass(frozen=True, slots=True)
class Tag:
    """The columns of `mode: tag` of one split. members: file of all documents in clusters of duplicates."""

    split: int
    file: Vectors
    assigned: Assigned
    members: Artefact

    @property
    def key(self) -> str:
        """See `stage.Work`."""
        return f"tags-{self.split:05d}"

    def run(self, folder: Path) -> dict[str, Any]:
        """Write tags.arrow."""
        ids = self.file.ids()
        members = read_table(self.members)
        known = one_array(members.column("doc_id")).to_numpy()
        here = is_in_sorted(ids, known)
        rows = pa.array(np.where(here, np.searchsorted(known, ids), 0), mask=~here)
        columns = {name: one_array(members.column(name).take(rows)) for name in members.column_names[1:]}
        columns["size"] = columns["size"].fill_null(1)
        columns["is_kept"] = columns["is_kept"].fill_null(True)
        centroid = np.ascontiguousarray(self.assigned.clusters()[:, 0])
        table = pa.table(
            {
                "doc_id": ids,
                **columns,
                "centroid": centroid,
                "centroid_similarity": np.ascontiguousarray(self.assigned.cosines()),
            }
        )
        write_table(folder / TAGS_FILE, table)
        return {"documents": len(ids)}
