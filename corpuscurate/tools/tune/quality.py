"""Evidence for the threshold of a quality score: what each cut keeps, what each source would lose, and documents to
read on both sides of it.

A sample of the input (by hash of doc_id) goes through the streaming stages up to the one that adds `<label>.score`,
which then drops nothing. Stages that need the whole corpus are left out and named: duplicates are still in the sample.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pydantic import Field

from corpuscurate.core.artefact import Artefact
from corpuscurate.core.batch import Batch
from corpuscurate.core.columns import TEXT, group_names, heads, lengths_bytes, to_numpy
from corpuscurate.core.corpus import Corpus, Settled
from corpuscurate.core.doc_ids import POSITION_BITS, sampled
from corpuscurate.core.errors import RecipeError
from corpuscurate.core.spec import Spec
from corpuscurate.core.stage import GlobalStage, Stage, StreamingStage
from corpuscurate.core.tables import read_table
from corpuscurate.engine.check import check_spec
from corpuscurate.engine.manifest import build_manifest
from corpuscurate.engine.plan import added_columns
from corpuscurate.engine.progress import Progress
from corpuscurate.engine.run import settle_only
from corpuscurate.engine.streaming import run_stages
from corpuscurate.tools.html import escaped, table, write_page

LABEL = "tune-quality"
SCORE = "score"
SHARD = "shard"
TEXT_BYTES = 1200
"""Shown of a document."""
KEEP = (0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
"""Shares whose thresholds are shown, besides the recipe's own and those asked for."""
SHOWN_VALUES = 30
"""Values of a column, the most frequent."""
BINS = 30
_SEED = 21


class QualityTrial(GlobalStage):
    """Scores a sample; nothing is dropped. The stats hold folders, not documents."""

    word: ClassVar[str] = ""

    documents: int = Field(20_000, description="approximate number of documents in the sample", ge=1)
    columns: tuple[str, ...] = Field((), description="columns of the input that the stages and the breakdown need")
    by: tuple[str, ...] = Field((), description="columns to break down by")
    stages: tuple[Any, ...] = Field((), description="streaming stages, the last of which scores", exclude=True)

    def identity(self) -> dict[str, Any]:
        """See `Stage`; with that of the stages, which check their files."""
        return {**super().identity(), "stages": [[stage.word, stage.identity()] for stage in self.stages]}

    def reads(self) -> tuple[str, ...]:
        """See `Stage`."""
        return self.columns

    def sketch_schema(self) -> pa.Schema:
        """Nothing beyond the doc_id is needed."""
        return pa.schema([("text_bytes", pa.int64())])

    def sketch(self, batch: Batch) -> dict[str, pa.Array]:
        """See `GlobalStage`."""
        return {"text_bytes": pa.array(lengths_bytes(batch.text))}

    def score(self, batch: Batch) -> dict[str, pa.Array]:
        """The sample's rows (called by the engine, see `Corpus.reread`): score, whether it reached the scoring stage,
        size and beginning of its text there, and the columns of the breakdown as text."""
        size = len(batch)
        passage = run_stages(list(enumerate(self.stages)), batch)
        batch, alive = passage.batch, passage.alive
        row = np.full(size, -1)
        row[alive] = np.arange(len(alive))
        where = pa.array(row, pa.int64(), mask=row < 0)
        scored = f"{self.stages[-1].label}.{SCORE}"
        scores = batch.columns[scored].take(where) if size else pa.array([], pa.float64())
        found = {
            SCORE: scores.cast(pa.float64()),
            "reached": pa.array(row >= 0),
            "text_bytes": pa.array(lengths_bytes(batch.text)).take(where).cast(pa.int64()),
            "text": heads(batch.text, TEXT_BYTES).take(where),
        }
        for number, name in enumerate(self.by):
            column = group_names(batch.columns[name]).take(where) if size else pa.array([], TEXT)
            found[f"by{number}"] = column.cast(TEXT)
        return found

    def settle(self, corpus: Corpus) -> Settled:
        """Choose the sample and score it; the stats tell where the rows are."""
        files = list(corpus.sketches())
        total = sum(read_table(path).num_rows for path in files)
        works = [Sample(number, path, total, self.documents) for number, path in enumerate(files)]
        wanted = [done.files["wanted.npy"] for done in corpus.run(works, "choosing a sample")]
        rows = corpus.reread(wanted, "score", "scoring")
        return Settled([], [], {"corpus": total, "rows": [path.uri for path in rows]})


@dataclass(frozen=True, slots=True)
class Sample:
    """The documents of a split that belong to the sample. total: documents of the corpus."""

    split: int
    sketches: Artefact
    total: int
    documents: int

    @property
    def key(self) -> str:
        """See `stage.Work`."""
        return f"sample-{self.split:05d}"

    def run(self, folder: Path) -> dict[str, Any]:
        """Write wanted.npy."""
        ids = to_numpy(read_table(self.sketches).column("doc_id")).astype(np.uint64)
        np.save(folder / "wanted.npy", ids[sampled(ids, _SEED, self.documents, self.total)])
        return {}


def tune(
    spec: Spec,
    *,
    documents: int = 20_000,
    examples: int = 3,
    by: Sequence[str] = (),
    thresholds: Sequence[float] = (),
    label: str | None = None,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """The evidence for the quality stage of a recipe (its label, where there are several).

    examples: documents on each side of a threshold. by: columns of the input, or of stages before. thresholds: shown
    besides those of KEEP and the recipe's own. Raises RecipeError where there is no such stage, and a run's errors.
    """
    index = _scoring_index(spec.stages, label)
    check_spec(spec)
    scoring = spec.stages[index]
    before = [stage for stage in spec.stages[:index] if isinstance(stage, StreamingStage)]
    left_out = [stage.label for stage in spec.stages[:index] if isinstance(stage, GlobalStage)]
    columns = _columns(before, scoring, spec.stages[:index], by)
    low, high = getattr(scoring, "min_score", None), getattr(scoring, "max_score", None)
    free: dict[str, Any] = {name: None for name in ("min_score", "max_score") if name in type(scoring).model_fields}
    stages = (*before, scoring.model_copy(update={**free, "mode": "tag"}))
    trial = QualityTrial(name=LABEL, documents=documents, columns=columns, by=tuple(by), stages=stages)
    with tempfile.TemporaryDirectory(prefix="corpuscurate-tune-") as folder:
        shortened = replace(spec, stages=(trial,))
        stats = settle_only(shortened, folder=Path(folder), progress=progress)[LABEL]
        rows = pa.concat_tables([read_table(Path(path)) for path in stats["rows"]])
        names = [file.name for file in build_manifest(spec.source, spec.base).files]
        upward = low is not None or high is None
        own = [bound for bound in (low, high) if bound is not None]
        evidence = _Evidence(rows, names, tuple(by), upward, examples)
        found = evidence.tell(own, thresholds)
    return {
        "stage": scoring.label,
        "kept": "from the threshold up" if upward else "up to the threshold",
        "corpus": stats["corpus"],
        "left_out": left_out,
        "recipe": {"min_score": low, "max_score": high},
        **found,
    }


def _scoring_index(stages: Sequence[Stage], label: str | None) -> int:
    """The index of the one stage that adds a score, of this label if any. Raises RecipeError for none or several."""
    scoring = [i for i, stage in enumerate(stages) if isinstance(stage, StreamingStage) and SCORE in stage.adds()]
    indices = [i for i in scoring if label in (None, stages[i].label)]
    if not indices:
        known = ", ".join(stage.label for stage in stages)
        what = "that adds a score" if label is None else f"{label!r} that adds a score"
        raise RecipeError(f"the recipe has no stage {what}, such as fasttext_quality; its stages: {known}.")
    if len(indices) > 1:
        raise RecipeError(
            f"several stages add a score: {', '.join(stages[i].label for i in indices)}. Say --stage NAME."
        )
    return indices[0]


def _columns(
    before: Sequence[Stage], scoring: Stage, all_before: Sequence[Stage], by: Sequence[str]
) -> tuple[str, ...]:
    """The columns of the input that are needed. Raises RecipeError for one that only a stage left out makes."""
    made = set(added_columns([*before, scoring]))
    wanted = dict.fromkeys(name for names in (*(s.reads() for s in (*before, scoring)), by) for name in names)
    for stage in all_before:
        if isinstance(stage, GlobalStage):
            lost = [name for name in wanted if name in added_columns([stage])]
            if lost:
                raise RecipeError(f"the column {lost[0]!r} is made by {stage.label}, which needs the whole corpus.")
    return tuple(name for name in wanted if name not in made)


class _Evidence:
    """The scored sample: rows that reached the stage, by score."""

    def __init__(self, rows: pa.Table, shards: list[str], by: tuple[str, ...], upward: bool, examples: int) -> None:
        self.sampled = rows.num_rows
        rows = rows.filter(rows.column("reached")).combine_chunks()
        self.rows = rows
        self.shards = shards
        self.upward = upward
        self.examples = examples
        found = rows.column(SCORE).fill_null(np.nan).to_numpy()
        self.scores: NDArray[np.float64] = np.where(np.isfinite(found), found, np.nan)
        self.bytes: NDArray[np.int64] = rows.column("text_bytes").to_numpy().astype(np.int64)
        ids = rows.column("doc_id").to_numpy() >> np.uint64(POSITION_BITS)
        groups = {SHARD: pa.array([shards[int(i)] for i in ids], TEXT)}
        groups |= {name: rows.column(f"by{number}").combine_chunks() for number, name in enumerate(by)}
        self.groups = {name: column.fill_null("(none)").dictionary_encode() for name, column in groups.items()}
        there = np.flatnonzero(~np.isnan(self.scores))
        self.order = there[np.argsort(self.scores[there], kind="stable")]

    def tell(self, own: Sequence[float], wanted: Sequence[float]) -> dict[str, Any]:
        """Everything, JSON-able. own: the recipe's bounds."""
        ranked = self.scores[self.order]
        candidates: dict[float, list[str]] = {float(value): ["the recipe's"] for value in own}
        for value in wanted:
            candidates.setdefault(float(value), []).append("asked for")
        for share in KEEP if len(ranked) else ():
            kept = max(1, round(share * len(self.scores)))
            at = len(ranked) - kept if self.upward else kept - 1
            if 0 <= at < len(ranked):
                candidates.setdefault(float(ranked[at]), []).append(f"keeps {100 * share:g} %")
        return {
            "sampled": self.sampled,
            "documents": len(self.scores),
            "without_score": int(np.isnan(self.scores).sum()),
            "histogram": self._histogram(ranked),
            "thresholds": [self._threshold(value, candidates[value]) for value in sorted(candidates)],
        }

    def _histogram(self, ranked: NDArray[np.float64]) -> dict[str, list[float]]:
        if not len(ranked):
            return {"edges": [], "documents": []}
        counts, edges = np.histogram(ranked, BINS)
        return {"edges": edges.tolist(), "documents": counts.tolist()}

    def _threshold(self, threshold: float, why: list[str]) -> dict[str, Any]:
        kept = self.scores >= threshold if self.upward else self.scores <= threshold
        ranked = self.scores[self.order]
        border = int(np.searchsorted(ranked, threshold, "left" if self.upward else "right"))
        return {
            "threshold": threshold,
            "why": why,
            "kept_ratio": _share(kept.sum(), len(kept)),
            "kept_bytes_ratio": _share(self.bytes[kept].sum(), self.bytes.sum()),
            "by": {name: self._losses(kept, column) for name, column in self.groups.items()},
            "below": self._examples(self.order[max(0, border - self.examples) : border][::-1]),
            "above": self._examples(self.order[border : border + self.examples]),
        }

    def _losses(self, kept: NDArray[np.bool_], column: pa.DictionaryArray) -> list[dict[str, Any]]:
        numbers = column.indices.to_numpy()
        names = column.dictionary.to_pylist()
        documents = np.bincount(numbers, minlength=len(names))
        left = np.bincount(numbers[kept], minlength=len(names))
        order = sorted(range(len(names)), key=lambda i: (-documents[i], names[i]))[:SHOWN_VALUES]
        return [
            {
                "value": names[i],
                "documents": int(documents[i]),
                "lost": int(documents[i] - left[i]),
                "lost_ratio": _share(documents[i] - left[i], documents[i]),
            }
            for i in order
        ]

    def _examples(self, rows: NDArray[np.int64]) -> list[dict[str, Any]]:
        taken = self.rows.select(["doc_id", "text"]).take(pa.array(rows, pa.int64()))
        pairs = zip(taken.column("doc_id").to_pylist(), taken.column("text").to_pylist(), strict=True)
        return [
            {
                "doc_id": doc_id,
                "shard": self.shards[doc_id >> POSITION_BITS],
                "score": float(self.scores[row]),
                "text": text,
            }
            for row, (doc_id, text) in zip(rows.tolist(), pairs, strict=True)
        ]


def _share(part: Any, whole: Any) -> float:
    return float(part) / float(whole) if whole else 0.0


def summary(found: Mapping[str, Any]) -> str:
    """What was scored, in a few sentences."""
    parts = [
        f"{found['sampled']:,} of {found['corpus']:,} documents, of which {found['documents']:,} reach"
        f" {found['stage']} and {found['without_score']:,} of those have no score."
    ]
    if found["left_out"]:
        parts.append(f"Left out, as they need the whole corpus: {', '.join(found['left_out'])}.")
    parts.append(f"Kept is what scores {found['kept']}.")
    return " ".join(parts)


def write_html(found: Mapping[str, Any], path: Path) -> None:
    """The evidence as one page."""
    rows = [
        [
            f'<a href="#t{number}">{each["threshold"]:.6g}</a>',
            escaped(", ".join(each["why"])),
            f"{100 * each['kept_ratio']:.2f} %",
            f"{100 * each['kept_bytes_ratio']:.2f} %",
        ]
        for number, each in enumerate(found["thresholds"])
    ]
    parts = [f"<p>{escaped(summary(found))}</p>", table(["threshold", "", "documents kept", "bytes kept"], rows)]
    edges, counts = found["histogram"]["edges"], found["histogram"]["documents"]
    bars = [
        [f"{edges[i]:.4g} .. {edges[i + 1]:.4g}", f"{count:,}", _bar(count / max(1, *counts))]
        for i, count in enumerate(counts)
    ]
    parts += ["<h2>Scores</h2>", table(["score", "documents", ""], bars)]
    for number, each in enumerate(found["thresholds"]):
        kept = f"{100 * each['kept_ratio']:.2f} % kept"
        parts.append(f'<h2 id="t{number}">{each["threshold"]:.6g} <span class="note">{kept}</span></h2>')
        for name, values in each["by"].items():
            cells = [
                [escaped(v["value"]), f"{v['documents']:,}", f"{100 * v['lost_ratio']:.1f} %", _bar(v["lost_ratio"])]
                for v in values
            ]
            parts.append(table([f"what each {name} loses", "documents", "lost", ""], cells))
        sides = ("below", "above") if found["kept"].startswith("from") else ("above", "below")
        parts.append("<div class='pair'>")
        for side, what in zip(sides, ("dropped", "kept"), strict=True):
            parts.append(f"<div><h3>Nearest that is {what}</h3>{''.join(map(_example, each[side]))}</div>")
        parts.append("</div>")
    write_page(path, f"Threshold of {found['stage']}", "".join(parts))


def _bar(share: float) -> str:
    return f'<span class="bar" style="width:{20 * share:.2f}rem"></span>'


def _example(row: Mapping[str, Any]) -> str:
    note = f"{row['score']:.6g} &middot; {escaped(row['shard'])} &middot; doc_id {row['doc_id']}"
    return f"<p class='note'>{note}</p><pre>{escaped(row['text'])}</pre>"
