"""Evidence for the threshold and the banding of `minhash`: what each would find and remove, and pairs to read.

A sample of documents is matched with the whole corpus (`dedup.trial`), and the true similarity of each pair is
computed, so recall is that of all pairs of the sampled documents, not of those that a banding happened to find.
"""

from __future__ import annotations

import tempfile
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pydantic import Field

from corpuscurate.core.batch import Batch
from corpuscurate.core.columns import heads
from corpuscurate.core.corpus import Corpus, Done, Settled
from corpuscurate.core.errors import RecipeError
from corpuscurate.core.spec import Spec
from corpuscurate.core.tables import read_table
from corpuscurate.engine.progress import Progress
from corpuscurate.engine.run import settle_only
from corpuscurate.methods.dedup.bands import candidate_probability, choose_bands, datasketch_bands, s_curve
from corpuscurate.methods.dedup.presets import PRESETS
from corpuscurate.methods.dedup.sketches import Sources, first_ids, sources_of
from corpuscurate.methods.dedup.verify import fewest_equal_values
from corpuscurate.stages.minhash import MinHash
from corpuscurate.tools.tune.minhash_sample import Judge, Match, Merge, Queries

LEVELS = (0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95)
TEXT_BYTES = 600
"""Shown of a document."""
MATCHES = 100
"""Matches of a document that are compared; more are sampled, and stand for the others."""
LABEL = "tune-minhash"

Banding = tuple[int, int]


class MinHashTrial(MinHash):
    """`minhash` on a sample of query documents; nothing is dropped, the stats tell what would be."""

    word: ClassVar[str] = ""

    documents: int = Field(1000, description="query documents", ge=1, le=1_000_000)
    examples: int = Field(3, description="pairs to read at each level", ge=0, le=100)

    def sample_heads(self, batch: Batch) -> dict[str, pa.Array]:
        """The beginning of each text (called by the engine, see `Corpus.reread`)."""
        return {"text": heads(batch.text, TEXT_BYTES)}

    def bandings(self) -> dict[Banding, list[str]]:
        """Each banding to judge, with its names. At most 64."""
        named: dict[Banding, list[str]] = {self.bands_and_rows: ["recipe"]}
        for level in LEVELS:
            named.setdefault(choose_bands(level, self.values, self.recall), []).append(f"recall {level:.2f}")
            named.setdefault(datasketch_bands(level, self.values), []).append(f"datasketch {level:.2f}")
        for name, preset in PRESETS.items():
            if preset["bands"] * preset["rows"] <= self.values:
                named.setdefault((preset["bands"], preset["rows"]), []).append(name)
        return named

    def settle(self, corpus: Corpus) -> Settled:
        """See `GlobalStage`."""
        sources = sources_of(corpus, self.keep)
        queries = corpus.run([Queries(sources.files, self.documents, self.values)], "queries")[0]
        bandings = self.bandings()
        merged = self._match(corpus, sources, queries, tuple(bandings))
        judged = self._judge(corpus, sources, merged)
        pairs, counts = np.load(merged.files["pairs.npy"]), np.load(merged.files["counts.npy"])
        similarity = np.load(judged.files["similarity.npy"])
        weight = _weights(pairs, np.load(queries.files["ids.npy"]), counts)
        stats = {
            **queries.result,
            **merged.result,
            "sampled_matches": int((counts > MATCHES).sum()),
            "bandings": [
                {"bands": b, "rows": r, "names": names, "s_curve": s_curve(b, r)} for (b, r), names in bandings.items()
            ],
            "levels": [
                _level(level, self, pairs, similarity, weight, bandings, queries.result["queries"]) for level in LEVELS
            ],
            "examples": self._examples(corpus, sources, judged, pairs, similarity),
        }
        return Settled([], [], stats)

    def _match(self, corpus: Corpus, sources: Sources, queries: Done, bandings: tuple[Banding, ...]) -> Done:
        few = fewest_equal_values(LEVELS[0], self.values)
        matched = corpus.run(
            [
                Match(number, file, queries.files, self.values, few, bandings, MATCHES)
                for number, file in enumerate(sources.files)
            ],
            "matching",
        )
        return corpus.run([Merge(tuple(done.files for done in matched), first_ids(sources), MATCHES)], "merging")[0]

    def _judge(self, corpus: Corpus, sources: Sources, merged: Done) -> Done:
        wanted = [merged.files[f"{number:05d}.npy"] for number in range(len(sources.files))]
        units = tuple(corpus.reread(wanted, "candidate_units", "units of pairs"))
        share = corpus.memory_bytes // 4
        work = Judge(merged.files, units, self.ngram, share, LEVELS, self.examples, first_ids(sources))
        return corpus.run([work], "comparing")[0]

    def _examples(
        self, corpus: Corpus, sources: Sources, judged: Done, pairs: NDArray[Any], similarity: NDArray[np.float64]
    ) -> list[dict[str, Any]]:
        wanted = [judged.files[f"{number:05d}.npy"] for number in range(len(sources.files))]
        texts: dict[int, str] = {}
        for path in corpus.reread(wanted, "sample_heads", "reading examples"):
            rows = read_table(path)
            texts |= dict(zip(rows.column("doc_id").to_pylist(), rows.column("text").to_pylist(), strict=True))
        chosen = sorted(judged.result["examples"], key=lambda i: -similarity[i])
        return [
            {
                "similarity": float(similarity[i]),
                "documents": [
                    [int(each), texts[int(each)]] for each in sorted((pairs["query"][i], pairs["doc_id"][i]))
                ],
            }
            for i in chosen
        ]


def _weights(pairs: NDArray[Any], ids: NDArray[np.uint64], counts: NDArray[np.int64]) -> NDArray[np.float64]:
    """How many matches each pair stands for."""
    at = np.searchsorted(ids, pairs["query"])
    kept = np.bincount(at, minlength=len(ids))
    return (counts[at] / kept[at]).astype(np.float64)


def _level(
    level: float,
    stage: MinHash,
    pairs: NDArray[Any],
    similarity: NDArray[np.float64],
    weight: NDArray[np.float64],
    bandings: dict[Banding, list[str]],
    queries: int,
) -> dict[str, Any]:
    """What a threshold finds and removes: in truth, and under each banding."""
    similar = similarity >= level
    earlier = (pairs["keep_rank"] < pairs["query_keep_rank"]) | (
        (pairs["keep_rank"] == pairs["query_keep_rank"]) & (pairs["doc_id"] < pairs["query"])
    )
    total = float(weight[similar].sum())

    def removed(found: NDArray[np.bool_]) -> float:
        return len(np.unique(pairs["query"][similar & earlier & found])) / max(1, queries)

    rows = []
    for number, (bands, size) in enumerate(bandings):
        met = (pairs["met"] >> np.uint64(number) & np.uint64(1)) == 1
        candidates = float(weight[met].sum())
        found = float(weight[met & similar].sum())
        rows.append(
            {
                "bands": bands,
                "rows": size,
                "probability_at_threshold": candidate_probability(level, bands, size),
                "recall": found / total if total else None,
                "precision": found / candidates if candidates else None,
                "removed_ratio": removed(met),
            }
        )
    return {
        "threshold": level,
        "pairs_per_document": total / max(1, queries),
        "removed_ratio": removed(np.ones(len(pairs), np.bool_)),
        "chosen": list(choose_bands(level, stage.values, stage.recall)),
        "datasketch": list(datasketch_bands(level, stage.values)),
        "bandings": rows,
    }


def tune(
    spec: Spec,
    *,
    documents: int = 1000,
    examples: int = 3,
    label: str | None = None,
    folder: Path | None = None,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """The evidence for the stage `minhash` of a recipe (its label, where there are several).

    documents: queries. examples: pairs to read at each level. folder: kept for another look, a temporary one where
    None. Raises RecipeError where there is no such stage, and the errors of a run.
    """
    found = [(i, each) for i, each in enumerate(spec.stages) if isinstance(each, MinHash)]
    index, stage = next(((i, each) for i, each in found if label in (None, each.label)), (0, None))
    if stage is None:
        known = ", ".join(stage.label for stage in spec.stages)
        raise RecipeError(f"the recipe has no stage {label or 'minhash'!r} to tune; its stages: {known}.")
    own = {name: getattr(stage, name) for name in MinHash.model_fields if name != "index"}
    trial = MinHashTrial(**{**own, "mode": "drop", "name": LABEL, "documents": documents, "examples": examples})
    shortened = replace(spec, stages=(*spec.stages[:index], trial))
    work: AbstractContextManager[str | Path] = (
        nullcontext(folder) if folder else tempfile.TemporaryDirectory(prefix="corpuscurate-tune-")
    )
    with work as name:
        stats = settle_only(shortened, folder=Path(name), progress=progress)[LABEL]
    return {**stats, "index": list(stage.index)}


def summary(found: dict[str, Any]) -> str:
    """What was compared, in a sentence or two."""
    text = (
        f"{found['queries']:,} of {found['documents']:,} documents were matched with all: {found['matches']:,} pairs. "
        "Removed: the share of documents that have a similar one before them in keep order; chains of similar "
        "documents remove more where `settling` is components."
    )
    if found["sampled_matches"]:
        text += f" Of {found['sampled_matches']:,} documents with more than {MATCHES} matches, {MATCHES} were compared."
    if found["index"]:
        text += f" The documents of index {', '.join(found['index'])} were not looked at."
    return text
