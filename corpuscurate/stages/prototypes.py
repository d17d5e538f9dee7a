"""Pruning by the distance to the nearest prototype: keep the hard documents, or the easy ones."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pydantic import Field

from corpuscurate.core.artefact import Artefact
from corpuscurate.core.columns import one_array
from corpuscurate.core.corpus import Corpus, Settled
from corpuscurate.core.doc_ids import is_in_sorted
from corpuscurate.core.tables import read_table, write_table
from corpuscurate.methods.dedup.clusters import DROPS_FILE, TAGS_FILE
from corpuscurate.methods.semantic.clusters import (
    Assigned,
    ClustersCorpus,
    cluster_corpus,
    joined,
    size_distribution,
    without_partner,
)
from corpuscurate.methods.semantic.vectors import Vectors


class Prototypes(ClustersCorpus):
    """Keep a share of the documents: the hardest, farthest from the centroid of their cluster, or the easiest.

    Sorscher et al. 2022: the distance to the nearest prototype tells how typical a document is. Keep the hard ones
    where data is plenty, the easy ones where it is scarce. D4 (Tirumala et al. 2023) is `semantic`, then
    `prototypes`, which clusters again what is left, so that crowds of copies make no prototypes.

    `balance` protects small topics: each cluster keeps at least balance * keep_fraction of its documents; the others
    are chosen over the whole corpus. Documents without anything to embed have no distance and stay. The same bytes
    for any number of workers and threads, as `semantic`. In memory 32 bytes a document.
    """

    word: ClassVar[str] = "prototypes"
    source: ClassVar[str] = "Sorscher et al. 2022, arXiv 2206.14486; Tirumala et al. 2023 (D4), arXiv 2308.12284"
    shorthand: ClassVar[str] = "keep_fraction"

    keep_fraction: float = Field(0.8, description="share of the documents to keep", gt=0, lt=1)
    keep: Literal["hard", "easy"] = Field("hard", description="hard: far from the centroid; easy: near it")
    balance: float = Field(
        0.5, description="each cluster keeps at least balance * keep_fraction of its documents", ge=0, le=1
    )

    def rules(self) -> Mapping[str, float | None]:
        """See `Stage`."""
        return {"prototypical" if self.keep == "hard" else "far_from_prototype": None}

    def measures(self) -> Mapping[str, pa.DataType]:
        """The number of the cluster, the cosine with its centroid, and whether the document would be kept."""
        return {"centroid": pa.int32(), "centroid_similarity": pa.float64(), "is_kept": pa.bool_()}

    def tag_defaults(self) -> Mapping[str, Any]:
        """See `GlobalStage`."""
        return {"is_kept": True}

    def settle(self, corpus: Corpus) -> Settled:
        """See `GlobalStage`."""
        clustered = cluster_corpus(corpus, self, small=0)
        files = tuple(zip(clustered.files, clustered.assigned, strict=True))
        ranked = corpus.run([Prune(files, clustered.clusters, self.keep_fraction, self.keep, self.balance)], "ranking")[
            0
        ]
        stats = {**clustered.stats, **ranked.result}
        if self.mode == "drop":
            return Settled([ranked.files[DROPS_FILE]] if stats["pruned"] else [], [], stats)
        tags = [Tag(i, file, assigned, ranked.files[DROPS_FILE]) for i, (file, assigned) in enumerate(files)]
        return Settled([], [done.files[TAGS_FILE] for done in corpus.run(tags, "tags")], stats)


def pruned(
    ids: NDArray[np.uint64],
    clusters: NDArray[np.int32],
    cosines: NDArray[np.float64],
    count: int,
    keep_fraction: float,
    keep: str,
    balance: float,
) -> NDArray[np.bool_]:
    """Which documents are kept. ids, clusters, cosines: of each; count: clusters."""
    order = np.lexsort((ids, cosines if keep == "hard" else -cosines))
    budget = int(np.floor(keep_fraction * len(ids) + 0.5))
    by_cluster = order[np.argsort(clusters[order], kind="stable")]
    sizes = np.bincount(clusters, minlength=count)
    starts = np.cumsum(sizes) - sizes
    rank = np.empty(len(ids), np.int64)  # within the cluster
    rank[by_cluster] = np.arange(len(ids)) - np.repeat(starts, sizes)
    quota = np.floor(balance * keep_fraction * sizes + 1e-9).astype(np.int64)
    kept: NDArray[np.bool_] = rank < quota[clusters]
    rest = order[~kept[order]]
    kept[rest[: budget - int(kept.sum())]] = True
    return kept


@dataclass(frozen=True, slots=True)
class Prune:
    """Rank all documents and choose."""

    files: tuple[tuple[Vectors, Assigned], ...]
    clusters: int
    keep_fraction: float
    keep: str
    balance: float

    @property
    def key(self) -> str:
        """See `stage.Work`."""
        return "prune"

    def run(self, folder: Path) -> dict[str, Any]:
        """Write drops.arrow."""
        ids = joined([file.ids() for file, _ in self.files], np.uint64)
        cosines = joined([assigned.cosines() for _, assigned in self.files], np.float64)
        clusters = joined([assigned.clusters()[:, 0] for _, assigned in self.files], np.int32)
        kept = pruned(ids, clusters, cosines, self.clusters, self.keep_fraction, self.keep, self.balance)
        write_table(folder / DROPS_FILE, without_partner(ids[~kept], 1, cosines[~kept]))
        edge = cosines[kept]
        return {
            "pruned": int((~kept).sum()),
            "cosine_of_kept": [float(edge.min()), float(edge.max())] if len(edge) else None,
            "kept_by_cluster": size_distribution(np.bincount(clusters[kept], minlength=self.clusters)),
        }


@dataclass(frozen=True, slots=True)
class Tag:
    """The columns of `mode: tag` of one split."""

    split: int
    file: Vectors
    assigned: Assigned
    drops: Artefact

    @property
    def key(self) -> str:
        """See `stage.Work`."""
        return f"tags-{self.split:05d}"

    def run(self, folder: Path) -> dict[str, Any]:
        """Write tags.arrow."""
        ids = self.file.ids()
        gone = is_in_sorted(ids, one_array(read_table(self.drops).column("doc_id")).to_numpy())
        table = pa.table(
            {
                "doc_id": ids,
                "centroid": np.ascontiguousarray(self.assigned.clusters()[:, 0]),
                "centroid_similarity": np.ascontiguousarray(self.assigned.cosines()),
                "is_kept": ~gone,
            }
        )
        write_table(folder / TAGS_FILE, table)
        return {"documents": len(ids)}
