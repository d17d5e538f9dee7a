"""A global stage that only embeds: its stats hold a digest of all embeddings, and how often each work was done."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from corpuscurate.core.corpus import DROPS, Corpus, Settled
from corpuscurate.core.tables import table_writer
from corpuscurate.methods.embed.base import embedding_batches, embedding_shape
from corpuscurate.methods.embed.corpus import EmbedsCorpus, embed_corpus


@dataclass(frozen=True, slots=True)
class NoDrops:
    """An empty file of drops."""

    key = "drops"

    def run(self, folder: Path) -> dict[str, Any]:
        with table_writer(folder / "drops.arrow", DROPS):
            return {}


class EmbedOnly(EmbedsCorpus):
    """Embeds, drops nothing."""

    word = "embed_only"
    other: int = 0

    def rules(self) -> dict[str, None]:
        return {"never": None}

    def settle(self, corpus: Corpus) -> Settled:
        files = embed_corpus(corpus, self, self.embedder)
        digest, ids = hashlib.sha256(), []
        for path in files:
            parts = [(ids, rows) for ids, rows, _ in embedding_batches(path)]
            assert sum(len(rows) for _, rows in parts) == embedding_shape(path)[0]
            for numbers, rows in parts:
                assert rows.shape[1] == embedding_shape(path)[1]
                digest.update(rows.tobytes())
                ids.append(numbers)
        whole = np.concatenate([np.zeros(0, np.uint64), *ids])
        assert (np.diff(whole.astype(np.int64)) > 0).all()
        made = [Path(path).parent.stat().st_mtime_ns for path in files]
        done = corpus.run([NoDrops()], "nothing")
        stats = {"clusters": [], "digest": digest.hexdigest(), "ids": whole.tolist(), "made": made}
        return Settled([each.files["drops.arrow"] for each in done], stats=stats)
