"""Documents far from everything: the mean cosine with the nearest neighbours."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pydantic import Field, model_validator

from corpuscurate.core.artefact import Artefact, Artefacts
from corpuscurate.core.columns import to_numpy
from corpuscurate.core.corpus import Corpus, Settled
from corpuscurate.core.doc_ids import is_in_sorted
from corpuscurate.core.tables import read_table, write_table
from corpuscurate.methods.dedup.clusters import DROPS_FILE, TAGS_FILE
from corpuscurate.methods.semantic.clusters import ClustersCorpus, cluster_corpus, joined, share_of, without_partner
from corpuscurate.methods.semantic.keep_order import OrderRule, order_corpus
from corpuscurate.methods.semantic.neighbours import Means, all_means, nearby
from corpuscurate.methods.semantic.vectors import Vectors
from corpuscurate.methods.semantic.visits import Visits


class Outliers(ClustersCorpus):
    """Drop, or with `mode: tag` mark, documents whose nearest neighbours are far: strays, noise, broken text.

    The measure is the mean cosine with the `neighbours` nearest documents in the own cluster and the next `probes` - 1
    ones. A threshold carries over to no other corpus or embedder: look at the column first (`mode: tag`), or give
    `remove_fraction`. A document without anything to embed, or alone in its clusters, has no measure and stays. The
    same bytes for any number of workers and threads, as `semantic`. On disk 8 bytes a neighbour and probe of each
    document.
    """

    word: ClassVar[str] = "outliers"
    version: ClassVar[int] = ClustersCorpus.version + 1
    source: ClassVar[str] = "Ramaswamy, Rastogi and Shim 2000, Efficient algorithms for mining outliers (k nearest)"
    shorthand: ClassVar[str] = "remove_fraction"

    min_similarity: float | None = Field(None, description="mean cosine below which a document goes", ge=-1, le=1)
    remove_fraction: float | None = Field(
        None, description="instead: the share of documents to drop", gt=0, lt=1, examples=[0.01]
    )
    neighbours: int = Field(10, description="nearest documents that count", ge=1, le=1000)
    probes: int = Field(3, description="clusters in which neighbours are looked for", ge=1)

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        given = (self.min_similarity is not None) + (self.remove_fraction is not None)
        if given == 2 or (given == 0 and self.mode == "drop"):
            raise ValueError("give min_similarity or remove_fraction, one of both (neither is needed with mode: tag)")
        return self

    def rules(self) -> Mapping[str, float | None]:
        """See `Stage`."""
        return {"outlier": self.min_similarity}

    def measures(self) -> Mapping[str, pa.DataType]:
        """Whether it is kept, and the mean cosine with the nearest neighbours."""
        return {"is_kept": pa.bool_(), "similarity": pa.float64()}

    def tag_defaults(self) -> Mapping[str, Any]:
        """See `GlobalStage`."""
        return {"is_kept": True}

    def settle(self, corpus: Corpus) -> Settled:
        """See `GlobalStage`."""
        clustered = cluster_corpus(corpus, self, Visits(self.probes))
        one = clustered.one
        basis = [*clustered.basis, "nearest"]
        cluster_ranges = order_corpus(corpus, clustered, [OrderRule("rule")] * len(clustered.files), one, basis)
        works = tuple(nearby(corpus, cluster_ranges, self.neighbours, one, [*basis, self.neighbours]))
        means = [Means(i, file.files["ids.bin"], works, self.neighbours) for i, file in enumerate(clustered.files)]
        done = [each.files for each in corpus.run(means, "mean cosines", basis=[*basis, self.neighbours])]
        files = tuple(zip(clustered.files, done, strict=True))
        cut = corpus.run([Cut(files, self.min_similarity, self.remove_fraction)], "choosing")[0]
        stats = {**clustered.stats, "probes": clustered.visits.probes, **cut.result}
        if self.mode == "drop":
            return Settled([cut.files[DROPS_FILE]] if stats["outliers"] else [], [], stats)
        tags = [Tag(i, file, folder, cut.files[DROPS_FILE]) for i, (file, folder) in enumerate(files)]
        return Settled([], [each.files[TAGS_FILE] for each in corpus.run(tags, "tags")], stats)


def outlying(
    ids: NDArray[np.uint64], means: NDArray[np.float64], minimum: float | None, fraction: float | None
) -> NDArray[np.bool_]:
    """Which documents go: below the minimum, or the lowest share, the higher doc_id first of equal ones."""
    if fraction is None:
        below: NDArray[np.bool_] = means < (-2.0 if minimum is None else minimum)
        return below
    order = np.lexsort((~ids, means))  # nan, which has no measure, comes last
    most = min(share_of(fraction, len(ids)), int((~np.isnan(means)).sum()))
    gone = np.zeros(len(ids), np.bool_)
    gone[order[:most]] = True
    return gone


@dataclass(frozen=True, slots=True)
class Cut:
    """Choose which documents go. files: vectors, and the folder with their means, of each split."""

    files: tuple[tuple[Vectors, Artefacts], ...]
    minimum: float | None
    fraction: float | None

    @property
    def key(self) -> str:
        """See `stage.Work`."""
        return "cut"

    def run(self, folder: Path) -> dict[str, Any]:
        """Write drops.arrow."""
        ids = joined([file.ids() for file, _ in self.files], np.uint64)
        means = all_means([path for _, path in self.files])
        gone = outlying(ids, means, self.minimum, self.fraction)
        write_table(folder / DROPS_FILE, without_partner(ids[gone], 1, means[gone]))
        known = np.sort(means[~np.isnan(means)])
        shares = {"min": 0.0, "p1": 0.01, "p5": 0.05, "p10": 0.1, "median": 0.5, "p90": 0.9, "max": 1.0}
        picks = {name: float(known[round(share * (len(known) - 1))]) for name, share in shares.items() if len(known)}
        return {
            "outliers": int(gone.sum()),
            "alone": int(np.isnan(means).sum()),
            "similarity": picks,
            "highest_of_outliers": float(means[gone].max()) if gone.any() else None,
        }


@dataclass(frozen=True, slots=True)
class Tag:
    """The columns of `mode: tag` of one split. drops: the documents that would be dropped."""

    split: int
    file: Vectors
    means: Artefacts
    drops: Artefact

    @property
    def key(self) -> str:
        """See `stage.Work`."""
        return f"tags-{self.split:05d}"

    def run(self, folder: Path) -> dict[str, Any]:
        """Write tags.arrow."""
        means = pa.array(np.fromfile(self.means["means.bin"], np.float64), from_pandas=True)
        ids = self.file.ids()
        is_kept = ~is_in_sorted(ids, to_numpy(read_table(self.drops).column("doc_id")))
        write_table(folder / TAGS_FILE, pa.table({"doc_id": ids, "is_kept": is_kept, "similarity": means}))
        return {"documents": self.file.rows}
