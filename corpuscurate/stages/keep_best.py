"""`keep_best`: the best fraction of the corpus by a score."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar, Literal

import numpy as np
import pyarrow as pa
from pydantic import BaseModel, ConfigDict, Field, model_validator

from corpuscurate.core.artefact import Artefact
from corpuscurate.core.batch import Batch
from corpuscurate.core.columns import group_names, numbers, one_array
from corpuscurate.core.corpus import Corpus, Done, Settled
from corpuscurate.core.stage import GlobalStage
from corpuscurate.core.tables import read_table
from corpuscurate.methods.dedup.keep import NO_SCALE, number_ranks, only_scale, target_scale
from corpuscurate.methods.top_fraction import (
    COUNTS,
    DROPPED,
    GROUPS,
    STATE,
    TAGGED,
    Count,
    Emit,
    Merge,
    Narrow,
    Rule,
    Sketches,
    Survey,
    bits_a_round,
)

SHOWN_GROUPS = 50


class Stochastic(BaseModel):
    """A random draw added to the score, seeded by the document's number: it repeats."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    pareto_alpha: float = Field(9, description="shape of the Pareto distribution; greater: less chance", gt=0)
    seed: int = Field(0, description="another draw", ge=0, le=2**63 - 1)


class KeepBest(GlobalStage):
    """Keeps the given fraction of the documents, those with the best score; of equal scores those that come first.

    The number kept is exactly the fraction of the documents that reach this stage, rounded up, in each group if `group`
    is given. Documents without a number in the column come last (reason `no_score`).

    With `stochastic`, a document is judged by its score plus a draw of a Pareto distribution, so that some with low
    scores stay: without `fraction` those above 1 are kept, which is GPT-3's rule (draw > 1 - score, scores 0..1);
    with it, the best by that sum.

    The report has the score at the cut of each group, and the histograms of all scores and of those kept. In memory
    at most 64 MB of counters a worker and the groups' names.
    """

    word = "keep_best"
    version: ClassVar[int] = 2
    source = "fraction: Li et al. 2024 (DCLM), arXiv 2406.11794; stochastic: Brown et al. 2020, arXiv 2005.14165, A"

    by: str = Field(
        description="column with the score: yours, or <stage>.<measure> of an earlier stage",
        min_length=1,
        examples=["fasttext_quality.score"],
    )
    fraction: float | None = Field(None, description="share of the documents that is kept", gt=0, le=1, examples=[0.1])
    group: str | None = Field(None, description="column; the fraction is kept of each of its values", min_length=1)
    order: Literal["desc", "asc"] = Field("desc", description="desc: great scores are good; asc: small ones")
    stochastic: Stochastic | None = Field(None, description="keep by chance, better scores with better chance")

    @model_validator(mode="after")
    def _some_rule(self) -> KeepBest:
        if self.fraction is None and self.stochastic is None:
            raise ValueError("keep_best needs `fraction`, such as 0.1, or `stochastic`")
        if self.stochastic is not None and self.order == "asc":
            raise ValueError("stochastic takes great scores as good: order must be desc")
        return self

    def reads(self) -> tuple[str, ...]:
        """The score's column, and the group's."""
        return (self.by,) if self.group is None else (self.by, self.group)

    def measures(self) -> Mapping[str, pa.DataType]:
        """Whether the document is among the best."""
        return {"is_kept": pa.bool_()}

    def rules(self) -> Mapping[str, float | None]:
        """Below the cut, whose score is in the report for each group; or without a score."""
        return {"not_among_best": None, "no_score": None}

    def sketch_parameters(self) -> dict[str, Any]:
        """The columns alone."""
        return {"by": self.by, "group": self.group}

    def sketch_schema(self) -> pa.Schema:
        """Score as float64 (null: none), its exact rank and the scale of that (see `dedup.keep`), and group."""
        grouped = [("group", pa.large_string())] if self.group is not None else []
        return pa.schema([("score", pa.float64()), ("rank", pa.uint64()), ("scale", pa.uint8()), *grouped])

    def sketch(self, batch: Batch) -> dict[str, pa.Array]:
        """The two columns as numbers and text."""
        column = one_array(batch.columns[self.by])
        found = numbers(column)
        scores = found.fill_null(np.nan).to_numpy(zero_copy_only=False)
        scores = np.where(np.isfinite(scores), scores + 0.0, np.nan)
        there = ~np.isnan(scores)
        ranks, scale = number_ranks(column, scores, there)
        columns = {
            "score": pa.array(scores, pa.float64(), from_pandas=True),
            "rank": pa.array(ranks),
            "scale": pa.array(np.where(there, scale, NO_SCALE)),
        }
        return columns if self.group is None else {**columns, "group": group_names(batch.columns[self.group])}

    def settle(self, corpus: Corpus) -> Settled:
        """Survey the scores, select the cuts bit by bit, emit the decisions."""
        draw = self.stochastic
        alpha, seed = (draw.pareto_alpha, draw.seed) if draw is not None else (None, 0)
        rule = Rule(self.fraction, self.order == "asc", alpha, seed)
        ranges = self._ranges(corpus)
        surveys = corpus.run([Survey(i, len(ranges), each) for i, each in enumerate(ranges)], "survey")
        (merged,) = corpus.run([Merge(tuple(each.files[GROUPS] for each in surveys), rule)], "groups")
        kinds = [tuple(kind) for each in surveys for kind in each.result["kinds"]]
        scale = target_scale(kinds)
        ranges = [replace(each, scale=scale) for each in ranges]
        groups = merged.files[GROUPS]
        state = merged.files[STATE]
        if self.fraction is not None:
            state = self._select(corpus, ranges, rule, merged)
        span = _span(surveys)
        tag = self.mode == "tag"
        emitted = corpus.run(
            [Emit(i, len(ranges), each, rule, groups, state, span, tag) for i, each in enumerate(ranges)], "emit"
        )
        files = [each.files[TAGGED if tag else DROPPED] for each in emitted]
        stats = self._stats(rule, surveys, emitted, groups, state, span, int(scale) or only_scale(kinds))
        return Settled([] if tag else files, files if tag else [], stats)

    def _ranges(self, corpus: Corpus) -> list[Sketches]:
        paths = list(corpus.sketches())
        size = max(1, -(-len(paths) // (4 * corpus.workers)))
        starts = range(0, len(paths), size)
        without = [corpus.dropped(split) for split in range(len(paths))]
        return [
            Sketches(tuple(paths[i : i + size]), tuple(without[i : i + size]), self.group is not None) for i in starts
        ]

    def _select(self, corpus: Corpus, ranges: list[Sketches], rule: Rule, merged: Done) -> Artefact:
        bits = bits_a_round(merged.result["groups"])
        state = merged.files[STATE]
        for done in range(0, 64, bits):
            works = [
                Count(i, len(ranges), each, rule, merged.files[GROUPS], state, done, bits)
                for i, each in enumerate(ranges)
            ]
            counts = tuple(each.files[COUNTS] for each in corpus.run(works, f"count bits {done + 1}-{done + bits}"))
            (narrowed,) = corpus.run([Narrow(counts, state, done, bits)], "narrow")
            state = narrowed.files[STATE]
        return state

    def _stats(
        self,
        rule: Rule,
        surveys: list[Done],
        emitted: list[Done],
        groups: Artefact,
        state: Artefact,
        span: tuple[float, float] | None,
        scale: int,
    ) -> dict[str, Any]:
        table = read_table(groups)
        kept = sum((np.load(each.files[COUNTS]) for each in emitted), np.zeros(table.num_rows, np.int64))
        cuts = np.load(state)["prefixes"]
        documents = table["documents"].to_numpy()
        shown = np.lexsort((np.arange(len(kept)), -documents))[:SHOWN_GROUPS]
        names = table["group"].take(pa.array(shown)).to_pylist()
        found = [
            {
                "group": name,
                "documents": int(documents[i]),
                "kept": int(kept[i]),
                "threshold": rule.key_of(int(cuts[i]), scale),
            }
            for name, i in zip(names, shown.tolist(), strict=True)
        ]
        total, scored = (sum(each.result[name] for each in surveys) for name in ("documents", "scored"))
        histogram, kept_histogram = (
            np.sum([each.result[name] for each in emitted], axis=0).tolist() if emitted else []
            for name in ("histogram", "kept_histogram")
        )
        warnings = []
        if total and not scored:
            warnings.append(f"no document has a number in the column {self.by!r}: those that come first are kept")
        return {
            "documents": total,
            "without_score": total - scored,
            "kept": int(kept.sum()),
            "fraction": self.fraction,
            "kept_fraction": float(kept.sum() / total) if total else None,
            "threshold": found[0]["threshold"] if len(kept) == 1 else None,
            "threshold_of": "score plus draw" if self.stochastic else "score",
            "groups": len(kept),
            "largest_groups": found if self.group is not None else [],
            "histogram": {"span": span, "documents": histogram, "kept": kept_histogram},
            "warnings": warnings,
        }


def _span(surveys: list[Done]) -> tuple[float, float] | None:
    spans = [each.result["span"] for each in surveys if each.result["span"]]
    return (min(low for low, _ in spans), max(high for _, high in spans)) if spans else None
