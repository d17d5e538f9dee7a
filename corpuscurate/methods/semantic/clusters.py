"""From documents to clusters: embed, store, fit, assign. What every stage over clusters does first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pydantic import Field

from corpuscurate.core.artefact import Artefact, Artefacts
from corpuscurate.core.batch import Batch
from corpuscurate.core.corpus import DROPS, Corpus
from corpuscurate.methods.embed.base import EMBEDDING
from corpuscurate.methods.embed.column import Column
from corpuscurate.methods.embed.corpus import VERSION as EMBEDDINGS
from corpuscurate.methods.embed.corpus import EmbedsCorpus, embedded_corpus, embedding_basis
from corpuscurate.methods.embed.noted import note_warnings, refuse_not_finite
from corpuscurate.methods.semantic.column import SKETCH, stored_column, whole_lists
from corpuscurate.methods.semantic.kmeans import (
    BLOCK_ROWS,
    CENTROIDS,
    SMALL,
    Clustering,
    Fit,
    choose_clusters,
    need_faiss,
    sample_size,
)
from corpuscurate.methods.semantic.threads import one_pool
from corpuscurate.methods.semantic.vectors import Vectors, mapped, quantise
from corpuscurate.methods.semantic.visits import OWN, ClustersNear, MeasureBorder, Visits

VERSION = 4
"""Raise it when vectors, centroids or clusters change for the same parameters. 2: notes. 3: 16 bits an element. 4: all
iterations; vectors of a column are in the sketch."""
LARGEST = 10


class ClustersCorpus(EmbedsCorpus):
    """A global stage over clusters of embeddings: the parameters of spherical k-means."""

    version: ClassVar[int] = 100 * EMBEDDINGS + VERSION

    clusters: int | None = Field(None, description="clusters of k-means; from the number of documents where null", ge=1)
    sample: int | None = Field(
        None, description="documents that centroids are learned from, chosen by hash; 64 a cluster where null", ge=1
    )
    iterations: int = Field(10, description="of k-means, at most", ge=1, le=1000)
    seed: int = Field(0, description="of the sample and of the first centroids", ge=0, lt=1 << 31)

    def identity(self) -> dict[str, Any]:
        """See `Stage`. Asked for before anything runs: a missing FAISS is told now, not after the embedding."""
        need_faiss()
        return super().identity()

    def sketch_schema(self) -> pa.Schema:
        """The size of the text; the vectors, in whole numbers, where they are in a column."""
        return pa.schema({**self.SKETCH, **(SKETCH if isinstance(self.embedder, Column) else {})})

    def sketch(self, batch: Batch) -> dict[str, pa.Array]:
        """See `GlobalStage`."""
        rows = super().sketch(batch)
        lists = rows.pop(EMBEDDING, None)
        return rows if lists is None else rows | whole_lists(lists)

    def vectors_basis(self) -> list[Any]:
        """All that the stored vectors depend on, besides the documents."""
        return ["vectors", VERSION, *embedding_basis(self.embedder)]

    def clustering_basis(self, visits: Visits, small: int) -> list[Any]:
        """All that clusters depend on, besides the documents."""
        return [
            *self.vectors_basis(),
            "clusters",
            self.clusters,
            self.sample,
            self.iterations,
            self.seed,
            visits.probes,
            visits.border,
            visits.measured,
            small,
        ]


@dataclass(frozen=True, slots=True)
class Assigned:
    """The clusters of a file's rows. probes: how many clusters each row belongs to."""

    files: Artefacts
    rows: int
    probes: int

    def clusters(self) -> NDArray[np.int32]:
        """int32[n, probes], nearest first, -1 for none, memory-mapped."""
        return mapped(self.files["clusters.bin"], np.int32, (self.rows, self.probes))

    def cosines(self) -> NDArray[np.float64]:
        """float64[n]: with the centroid of the first cluster."""
        return mapped(self.files["cosines.bin"], np.float64, (self.rows,))

    def counts(self) -> NDArray[np.int64]:
        """int64[k, probes]: how many rows have a cluster as their nearest, as their second nearest, and so on."""
        counts: NDArray[np.int64] = np.load(self.files["counts.npy"])
        return counts


@dataclass(frozen=True, slots=True)
class Clustered:
    """A corpus in clusters. files, assigned: of each split. fitted: folder of centroids and sample. visits: the
    clusters in which a document is compared. stats: for the report. basis: all that this depends on."""

    files: tuple[Vectors, ...]
    assigned: tuple[Assigned, ...]
    fitted: Artefacts
    clusters: int
    visits: Visits
    stats: dict[str, Any]
    basis: list[Any]

    @property
    def rows(self) -> int:
        """Documents with a direction."""
        return sum(file.rows for file in self.files)

    @property
    def dimension(self) -> int:
        """Of the vectors."""
        return self.files[0].dimension if self.files else 1

    @property
    def one(self) -> bool:
        """Whether all documents are compared with all; then only the own cluster of each document is stored."""
        return self.visits.all_of(self.clusters)

    @property
    def stored(self) -> int:
        """Clusters that are stored for each document, at most."""
        return 1 if self.one else min(self.visits.probes, self.clusters)

    def sizes(self) -> NDArray[np.int64]:
        """int64[k, stored]: how many documents have a cluster as their nearest, as their second nearest, and so on."""
        sizes = np.zeros((self.clusters, self.stored), np.int64)
        for each in self.assigned:
            sizes += each.counts()
        return sizes


@dataclass(frozen=True, slots=True)
class Assign:
    """Find the clusters of a file's rows. threads: how many to use, which changes nothing."""

    split: int
    file: Vectors
    centroids: Artefact
    visits: Visits
    threads: int

    @property
    def key(self) -> str:
        """See `stage.Work`."""
        return f"assign-{self.split:05d}"

    def run(self, folder: Path) -> dict[str, Any]:
        """Write clusters.bin, cosines.bin and counts.npy."""
        clusters_near = ClustersNear(np.load(self.centroids), self.visits)
        vectors, squares = self.file.vectors(), self.file.squares()
        counts = np.zeros((clusters_near.clusters, self.visits.probes), np.int64)
        with (
            one_pool(self.threads),
            (folder / "clusters.bin").open("wb") as numbers_file,
            (folder / "cosines.bin").open("wb") as cosines_file,
        ):
            for start in range(0, self.file.rows, BLOCK_ROWS):
                rows = slice(start, start + BLOCK_ROWS)
                numbers, cosines = clusters_near.search(vectors[rows], squares[rows])
                numbers_file.write(numbers.tobytes())
                cosines_file.write(cosines.tobytes())
                for probe, column in enumerate(numbers.T):
                    counts[:, probe] += np.bincount(column[column >= 0], minlength=len(counts))
        np.save(folder / "counts.npy", counts)
        return {"rows": self.file.rows}


def cluster_corpus(
    corpus: Corpus, stage: ClustersCorpus, visits: Visits = OWN, small: int = SMALL, *, finite: bool = False
) -> Clustered:
    """Embed and cluster all documents that are alive. visits: the clusters of each document.
    small: documents up to which one cluster is enough, where the recipe names no number. finite: raise InputError
    where an embedding has NaN or infinity; otherwise such documents have no direction, and a warning says so.

    Embeddings, centroids and clusters are kept when other parameters of the stage change.
    """
    card: dict[str, Any] = {}
    if isinstance(stage.embedder, Column):
        files, noted = stored_column(corpus, stage.embedder, stage.vectors_basis())
    else:
        embedded = embedded_corpus(corpus, stage, stage.embedder)
        card = embedded.card
        files, noted = quantise(corpus, embedded.files, stage.vectors_basis())
    rows = sum(file.rows for file in files)
    documents = rows + sum(file.zeros for file in files)
    if finite:
        refuse_not_finite(noted, documents, stage.label, stage.embedder)
    wanted, reason = choose_clusters(rows, stage.clusters, small=small)
    how = Clustering(wanted, sample_size(wanted, stage.sample), stage.iterations, stage.seed)
    basis = stage.clustering_basis(visits, small)
    fitted = corpus.run([Fit(files, how, corpus.workers)], "clustering a sample", basis=basis)[0]
    k = fitted.result["clusters"]
    if visits.measured and k > 1:
        measured = corpus.run([MeasureBorder(fitted.files)], "measuring borders", basis=basis)[0].result
        visits = Visits(visits.probes, measured["border"])
    threads = max(1, corpus.workers // max(1, len(files)))
    stored = OWN if visits.all_of(k) else visits.at_most(k)
    works = [Assign(i, file, fitted.files[CENTROIDS], stored, threads) for i, file in enumerate(files)]
    done = corpus.run(works, "assigning clusters", basis=basis)
    assigned = tuple(Assigned(each.files, each.result["rows"], stored.probes) for each in done)
    stats = {
        "documents": documents,
        "without_direction": sum(file.zeros for file in files),
        "k": k,
        "k_reason": reason if k == wanted else f"{reason}; the sample holds only {k} documents",
        "sample": fitted.result["sample"],
        "mean_cosine_by_iteration": fitted.result["mean_cosine"],
        "noted": noted.value()["counts"],
        **({"card": card} if card else {}),
        "warnings": note_warnings(noted, documents, stage.embedder),
    }
    clustered = Clustered(files, assigned, fitted.files, k, visits.at_most(k), stats, basis)
    sizes = stats["cluster_sizes"] = size_distribution(clustered.sizes()[:, 0])
    stats["notes"] = [
        f"{k:,} {'cluster' if k == 1 else 'clusters'}: {stats['k_reason']}; sizes: median {sizes['median']:,}, "
        f"99 % up to {sizes['p99']:,}, largest {sizes['max']:,}."
    ]
    return clustered


def size_distribution(sizes: NDArray[np.int64]) -> dict[str, Any]:
    """How many documents clusters hold: quantiles, mean, empty ones, the largest."""
    order = np.sort(sizes)
    picks = {"min": 0.0, "p10": 0.1, "median": 0.5, "p90": 0.9, "p99": 0.99, "max": 1.0}
    return {
        **{name: int(order[round(share * (len(order) - 1))]) for name, share in picks.items()},
        "mean": round(float(sizes.mean()), 1),
        "empty": int((sizes == 0).sum()),
        "largest": [[int(i), int(sizes[i])] for i in np.lexsort((np.arange(len(sizes)), -sizes))[:LARGEST]],
    }


def skew_warning(stats: dict[str, Any]) -> list[str]:
    """A warning when one cluster is much larger than the others, since it costs the square of its size."""
    sizes = stats["cluster_sizes"]
    number, largest = sizes["largest"][0]
    total = stats["documents"] - stats["without_direction"]
    if stats["k"] < 8 or largest < 10_000 or largest < total / 10:
        return []
    return [
        f"cluster {number} of k-means holds {largest:,} of {total:,} documents (mean {sizes['mean']:,.0f}). "
        "Comparing them costs the square of that. More `clusters:` may part them; copies of one text will not part."
    ]


def without_partner(
    ids: NDArray[np.uint64], reason: int | NDArray[np.int64], value: NDArray[np.float64] | None = None
) -> pa.Table:
    """DROPS rows, sorted by doc_id, of documents that go for a reason of their own."""
    order = np.argsort(ids)
    nothing = pa.nulls(len(ids), pa.uint64())
    columns = {
        "doc_id": ids[order],
        "reason": np.broadcast_to(reason, len(ids))[order].astype(np.int16),
        "value": pa.nulls(len(ids), pa.float64()) if value is None else value[order],
        "duplicate_of": nothing,
        "matched": nothing,
        "similarity": pa.nulls(len(ids), pa.float64()),
    }
    return pa.table(columns, schema=DROPS)


def ranges(count: int, most: int) -> list[range]:
    """Cut 0..count-1 into at most `most` runs of neighbours."""
    size = max(1, -(-count // max(1, most)))
    return [range(start, min(start + size, count)) for start in range(0, count, size)]


def share_of(fraction: float, documents: int) -> int:
    """The greatest number of documents that is at most this share of `documents`.

    The fraction counts as it is written: .29 of 100 are 29, not 28.
    """
    return int(Fraction(repr(fraction)) * documents)


def joined(arrays: Sequence[NDArray[Any]], kind: Any) -> NDArray[Any]:
    """Concatenate arrays of this dtype; an empty array where there are none."""
    return np.concatenate([np.empty(0, kind), *arrays])
