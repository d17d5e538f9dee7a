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
from corpuscurate.methods.semantic.pairs import ENTRY, LIST, Found
from corpuscurate.methods.semantic.vectors import Vectors, mapped

_BLOCK = 1 << 20
SECOND_EMBEDDING = "second_embedding"
"""Column of a sketch: the second embedding of a document, where that is in a column of the input."""


@dataclass(frozen=True, slots=True)
class NearDocuments:
    """Find the documents that stand in pairs with a cosine of at least `least`. works: folders of `Pairs`; files: of
    each split."""

    works: tuple[Artefacts, ...]
    files: tuple[Vectors, ...]
    least: float

    @property
    def key(self) -> str:
        """See `corpus.Work`."""
        return f"near-{len(self.works)}-{self.least}"

    def run(self, folder: Path) -> dict[str, Any]:
        """Write <split>.npy, the doc_ids of each split, ascending."""
        near = np.unique(joined([np.unique(self._of(path)) for path in self.works], np.uint64))
        for number, file in enumerate(self.files):
            low, high = np.searchsorted(near, id_range(file.ids()))
            mine = near[low : high + 1]
            np.save(folder / f"{number:05d}.npy", mine[is_in_sorted(mine, file.ids())])
        return {"documents": len(near)}

    def _of(self, path: Artefacts) -> NDArray[np.uint64]:
        """The doc_ids of one work, unsorted."""
        lists, unlisted = np.fromfile(path["lists.bin"], LIST), np.fromfile(path["unlisted.bin"], ENTRY)
        size = int(lists["size"].sum())
        entries = mapped(path["entries.bin"], ENTRY, (size,))
        later = np.repeat(np.ascontiguousarray(lists["doc_id"]), lists["size"])
        found = [lists["doc_id"][lists["beyond"] >= self.least], unlisted["doc_id"][unlisted["cosine"] >= self.least]]
        for start in range(0, size, _BLOCK):
            block = entries[start : start + _BLOCK]
            here = block["cosine"] >= self.least
            found += [np.unique(block["doc_id"][here]), np.unique(later[start : start + _BLOCK][here])]
        return np.concatenate(found)


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
    near = corpus.run([NearDocuments(found.works, tuple(files), least)], "near documents", basis=own)[0]
    wanted = [near.files[f"{number:05d}.npy"] for number in range(len(files))]
    if confirm.embedder is None:
        read = corpus.reread(wanted, "confirming_units", "reading near documents", basis=own)
    else:
        chosen = Chosen(wanted, own, SECOND_EMBEDDING)
        read = embedded_corpus(corpus, stage, confirm.embedder, chosen).files
    return Confirming(confirm, tuple(wanted), tuple(read))
