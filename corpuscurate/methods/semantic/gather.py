"""Gather what near documents are confirmed by: which documents stand in near pairs, and their n-grams or embeddings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from corpuscurate.core.artefact import Artefacts
from corpuscurate.core.corpus import Corpus
from corpuscurate.core.doc_ids import id_range, is_in_sorted
from corpuscurate.methods.embed.corpus import Chosen, EmbedsCorpus, embedded_corpus
from corpuscurate.methods.semantic.clusters import joined
from corpuscurate.methods.semantic.confirm import Confirm, Confirming
from corpuscurate.methods.semantic.keep_order import ClusterRange
from corpuscurate.methods.semantic.listed import listed, range_of
from corpuscurate.methods.semantic.pairs import UNLISTED, Found
from corpuscurate.methods.semantic.vectors import Vectors

SECOND_EMBEDDING = "second_embedding"
"""Column of a sketch: the second embedding of a document, where that is in a column of the input."""


@dataclass(frozen=True, slots=True)
class NearDocuments:
    """Find the documents that stand in pairs with a cosine of at least `least`. works: folders of `Pairs`; files: of
    each split. In memory a byte for each row of a cluster range, 8 for each such document, in each of its clusters."""

    works: tuple[Artefacts, ...]
    cluster_ranges: tuple[ClusterRange, ...]
    files: tuple[Vectors, ...]
    least: float

    @property
    def key(self) -> str:
        """See `corpus.Work`."""
        return f"near-{len(self.works)}-{self.least}"

    def run(self, folder: Path) -> dict[str, Any]:
        """Write <split>.npy, the doc_ids of each split, ascending."""
        works: dict[int, list[Artefacts]] = {}
        for path in self.works:
            works.setdefault(range_of(path), []).append(path)
        works.pop(-1, None)  # without any pair
        near = np.unique(joined([self._of(number, paths) for number, paths in works.items()], np.uint64))
        for number, file in enumerate(self.files):
            low, high = np.searchsorted(near, id_range(file.ids()))
            mine = near[low : high + 1]
            np.save(folder / f"{number:05d}.npy", mine[is_in_sorted(mine, file.ids())])
        return {"documents": len(near)}

    def _of(self, number: int, paths: Sequence[Artefacts]) -> NDArray[np.uint64]:
        """The doc_ids of one cluster range, each once for each of its clusters there. paths: of its works."""
        ids = self.cluster_ranges[number].table()["doc_id"]
        near = np.zeros(len(ids), np.bool_)
        for path in paths:
            for block in listed(path, self.cluster_ranges):
                here = block.cosines >= self.least
                near[block.rows[here]] = True
                near[block.lists["row"][block.owner[here]]] = True
                near[block.lists["row"][block.lists["beyond"] >= self.least]] = True
            unlisted = np.fromfile(path["unlisted.bin"], UNLISTED)
            near[unlisted["row"][unlisted["cosine"] >= self.least]] = True
        return ids[near]


def gather(
    corpus: Corpus,
    stage: EmbedsCorpus,
    confirm: Confirm,
    found: Found,
    files: Sequence[Vectors],
    least: float,
    basis: Sequence[Any],
) -> Confirming:
    """Read what the documents in near pairs are confirmed by. least: the cosine from which a pair is near. files: of
    each split. basis: all that the pairs depend on, besides the documents."""
    own = [*basis, found.floor, least, *confirm.gathered()]
    near = corpus.run(
        [NearDocuments(found.works, found.cluster_ranges, tuple(files), least)], "near documents", basis=own
    )[0]
    wanted = [near.files[f"{number:05d}.npy"] for number in range(len(files))]
    if confirm.embedder is None:
        read = corpus.reread(wanted, "confirming_units", "reading near documents", basis=own)
    else:
        chosen = Chosen(wanted, own, SECOND_EMBEDDING)
        read = embedded_corpus(corpus, stage, confirm.embedder, chosen).files
    return Confirming(confirm, tuple(wanted), tuple(read))
