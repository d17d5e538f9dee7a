"""Evidence for the threshold of `semantic`: how many pairs there are at each cosine, what each threshold would remove,
and pairs to read.

The whole corpus is embedded and clustered, as in a run. Then the documents of whole clusters, chosen by hash, are
compared with each other, across borders between these clusters as in a run: scattered documents would have lost their
neighbours.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pydantic import Field

from corpuscurate.core.artefact import Artefacts
from corpuscurate.core.batch import Batch
from corpuscurate.core.columns import heads
from corpuscurate.core.corpus import Corpus, Settled
from corpuscurate.core.doc_ids import hashed
from corpuscurate.core.errors import RecipeError
from corpuscurate.core.spec import Spec
from corpuscurate.core.tables import read_table
from corpuscurate.engine.progress import Progress
from corpuscurate.engine.run import settle_only
from corpuscurate.kernels.embedding.neighbour_lists import BINS
from corpuscurate.methods.dedup.sketches import sources_of
from corpuscurate.methods.semantic.clusters import Clustered, cluster_corpus, share_of
from corpuscurate.methods.semantic.confirm import Confirming
from corpuscurate.methods.semantic.decide import Decide
from corpuscurate.methods.semantic.gather import gather
from corpuscurate.methods.semantic.keep_order import ClusterRange, OrderRule, order_corpus
from corpuscurate.methods.semantic.listed import listed
from corpuscurate.methods.semantic.pairs import Found, find_pairs
from corpuscurate.methods.semantic.vectors import Vectors
from corpuscurate.stages.semantic import Semantic
from corpuscurate.tools.html import escaped, table, write_page

STEP = 0.02
"""Width of a level of example pairs."""
TEXT_BYTES = 600
"""Shown of a document."""
LABEL = "tune-semantic"
RULES = (
    "independent (rule: independent): a document goes that is near an earlier one that stays, so what goes has a near "
    "one in the output.",
    "paper (rule: paper): it goes that is near any earlier one, gone or not, so chains shrink to their first: more "
    "goes, and some of it is near nothing that stays.",
)


class SemanticTrial(Semantic):
    """`semantic` on a sample of whole clusters; nothing is dropped, the stats tell what would be."""

    word: ClassVar[str] = ""

    documents: int = Field(50_000, description="documents in the clusters that are compared, at least", ge=1)
    examples: int = Field(3, description="pairs to read at each level", ge=0, le=100)

    def sample_heads(self, batch: Batch) -> dict[str, pa.Array]:
        """The beginning of each text (called by the engine, see `Corpus.reread`)."""
        return {"text": heads(batch.text, TEXT_BYTES)}

    def settle(self, corpus: Corpus) -> Settled:
        """See `GlobalStage`."""
        clustered = cluster_corpus(corpus, self, self.visits)
        only = chosen_clusters(clustered.sizes()[:, 0], self.documents, self.seed)
        basis = [*clustered.basis, "trial", self.documents, self.parameters()["keep"]]
        one = clustered.one and bool(only.all())
        cluster_ranges = order_corpus(corpus, clustered, self._order_rules(corpus, clustered), one, basis, only)
        found = find_pairs(corpus, cluster_ranges, self.floor, one, basis)
        documents = int(clustered.sizes()[only, 0].sum())
        confirming = None
        if self.confirm is not None:
            confirming = gather(corpus, self, self.confirm, found, clustered.files, self.floor, basis)
        steps = np.arange(int(np.ceil(self.floor * 100 - 1e-9)), 101)
        decide = Decide(
            found.works, found.cluster_ranges, one, found.floor, self.rule, 1.0, None, documents, True,
            corpus.memory_bytes // 2, tuple((steps / 100).tolist()), confirming,
        )  # fmt: skip
        decided = corpus.run([decide], "thresholds")[0].result
        levels = [_level(level, documents, found.histogram) for level in decided["levels"]]
        stats = {
            **clustered.stats,
            "clusters_compared": int(only.sum()),
            "documents_compared": documents,
            "pairs_from": self.floor,
            "threshold": self._marked(levels, documents),
            "remove_fraction": self.remove_fraction,
            "rule": self.rule,
            "confirm": None if self.confirm is None else [self.confirm.measure, self.confirm.threshold],
            "levels": levels,
            "histogram": found.histogram.tolist(),
            "examples": self._examples(corpus, clustered, found, confirming),
        }
        return Settled([], [], stats)

    def _marked(self, levels: Sequence[Mapping[str, Any]], documents: int) -> float | None:
        """The recipe's threshold; for a share to remove the lowest of these that keeps to it, None where none does."""
        if self.remove_fraction is None:
            return self.cosine
        most = share_of(self.remove_fraction, documents)
        return min((level["threshold"] for level in levels if level[self.rule] <= most), default=None)

    def _order_rules(self, corpus: Corpus, clustered: Clustered) -> list[OrderRule]:
        rule = self.shared_rule
        if rule is None:
            return [OrderRule(str(self.keep))] * len(clustered.files)
        return [OrderRule("rule", source) for source in sources_of(corpus, rule).files]

    def _examples(
        self, corpus: Corpus, clustered: Clustered, found: Found, confirming: Confirming | None
    ) -> list[dict[str, Any]]:
        pick = Pick(
            found.works, found.cluster_ranges, found.floor, self.examples, clustered.files, confirming,
            corpus.memory_bytes // 2,
        )  # fmt: skip
        picked = corpus.run([pick], "choosing examples")[0]
        wanted = [picked.files[f"{number:05d}.npy"] for number in range(len(clustered.files))]
        texts: dict[int, str] = {}
        for path in corpus.reread(wanted, "sample_heads", "reading examples"):
            rows = read_table(path)
            texts |= dict(zip(rows.column("doc_id").to_pylist(), rows.column("text").to_pylist(), strict=True))
        return [
            {"cosine": cosine, "confirm": value, "earlier": [a, texts[a]], "later": [b, texts[b]]}
            for a, b, cosine, value in picked.result["pairs"]
        ]


def chosen_clusters(sizes: NDArray[np.int64], documents: int, seed: int) -> NDArray[np.bool_]:
    """bool[k]: clusters in the order of the hash of their number, until they hold at least `documents` documents."""
    order = np.argsort(hashed(np.arange(len(sizes), dtype=np.uint64), seed + 5), kind="stable")
    before = np.cumsum(sizes[order]) - sizes[order]
    only = np.zeros(len(sizes), np.bool_)
    only[order[before < documents]] = True
    return only


def _level(level: dict[str, Any], documents: int, histogram: NDArray[np.int64]) -> dict[str, Any]:
    first = round(level["threshold"] * BINS)
    return {
        **level,
        "pairs": int(histogram[first : min(first + BINS // 100, BINS + 1)].sum()),
        "independent_ratio": level["independent"] / max(1, documents),
        "paper_ratio": level["paper"] / max(1, documents),
    }


@dataclass(frozen=True, slots=True)
class Pick:
    """Choose pairs to read, by hash, at each level of cosines. works: folders of `Pairs`. confirming: what pairs are
    confirmed by, if anything."""

    works: tuple[Artefacts, ...]
    cluster_ranges: tuple[ClusterRange, ...]
    floor: float
    count: int
    files: tuple[Vectors, ...]
    confirming: Confirming | None
    share_bytes: int

    @property
    def key(self) -> str:
        """See `stage.Work`."""
        return f"examples-{len(self.works)}"

    def run(self, folder: Path) -> dict[str, Any]:
        """Write the doc_ids to read of each split, <split>.npy."""
        best: dict[int, list[tuple[int, int, int, float]]] = {}
        for path in self.works:
            for level, rows in self._candidates(path):
                best[level] = sorted([*best.get(level, []), *rows])[: self.count]
        pairs = [(a, b, cosine) for rows in best.values() for _, a, b, cosine in rows]
        pairs.sort(key=lambda pair: (-pair[2], pair))
        ids = np.unique(np.array([each for a, b, _ in pairs for each in (a, b)], np.uint64))
        for number, file in enumerate(self.files):
            np.save(folder / f"{number:05d}.npy", np.intersect1d(ids, file.ids()))
        return {"pairs": self._with_values(pairs, ids, folder / "opinion.tmp")}

    def _with_values(self, pairs: list[tuple[int, int, float]], ids: NDArray[np.uint64], scratch: Path) -> list[Any]:
        """The pairs, each with the value that confirms it or not; None where there is none."""
        if self.confirming is None or not pairs:
            return [(*pair, None) for pair in pairs]
        opinion = self.confirming.opinion(scratch, self.share_bytes, ids)
        earlier, later = (np.array([pair[side] for pair in pairs], np.uint64) for side in (0, 1))
        values = opinion.values(later, earlier)
        scratch.unlink(missing_ok=True)
        return [(*pair, None if np.isnan(value) else float(value)) for pair, value in zip(pairs, values, strict=True)]

    def _candidates(self, path: Artefacts) -> Iterator[tuple[int, list[tuple[int, int, int, float]]]]:
        """Of each level the pairs of one work with the lowest hash: (hash, earlier, later, cosine)."""
        for block in listed(path, self.cluster_ranges):
            ids = self.cluster_ranges[block.lists["range"][0]].table()["doc_id"]
            later, earlier = block.lists["doc_id"][block.owner], np.ascontiguousarray(ids[block.rows])
            levels = np.floor((block.cosines - self.floor) / STEP + 1e-9).astype(np.int64)
            levels[block.cosines >= 1.0] = np.iinfo(np.int64).max
            order = hashed(later ^ hashed(earlier, 11), 13)
            for level in np.unique(levels).tolist():
                here = np.flatnonzero(levels == level)
                rows = here[np.argsort(order[here], kind="stable")[: self.count]]
                yield (
                    level,
                    [(int(order[i]), int(earlier[i]), int(later[i]), float(block.cosines[i])) for i in rows],
                )


def tune(
    spec: Spec,
    *,
    documents: int = 50_000,
    examples: int = 3,
    label: str | None = None,
    folder: Path | None = None,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """The evidence for the stage `semantic` of a recipe (its label, where there are several).

    folder: kept for another look, a temporary one where None. Raises RecipeError where there is no such stage, and the
    errors of a run.
    """
    indices = [i for i, stage in enumerate(spec.stages) if isinstance(stage, Semantic) and label in (None, stage.label)]
    if not indices:
        known = ", ".join(stage.label for stage in spec.stages)
        raise RecipeError(f"the recipe has no stage {label or 'semantic'!r} to tune; its stages: {known}.")
    stage = spec.stages[indices[0]]
    own = {name: getattr(stage, name) for name in Semantic.model_fields}
    trial = SemanticTrial(**{**own, "mode": "drop", "name": LABEL, "documents": documents, "examples": examples})
    shortened = replace(spec, stages=(*spec.stages[: indices[0]], trial))
    with _folder(folder) as work:
        return dict(settle_only(shortened, folder=work, progress=progress)[LABEL])


@contextmanager
def _folder(folder: Path | None) -> Iterator[Path]:
    if folder is not None:
        yield folder
        return
    with tempfile.TemporaryDirectory(prefix="corpuscurate-tune-") as name:
        yield Path(name)


def is_marked(found: dict[str, Any], level: dict[str, Any]) -> bool:
    """Whether this is the highest level that the recipe's threshold reaches."""
    threshold = found["threshold"]
    return threshold is not None and level["threshold"] - 1e-9 <= threshold < level["threshold"] + 0.01 - 1e-9


def words(found: dict[str, Any]) -> list[str]:
    """What the figures mean: what was compared, the two rules, what confirms pairs, what is marked."""
    said = [summary(found), *RULES]
    if found["confirm"] is not None:
        measure, least = found["confirm"]
        said.append(f"Pairs whose {measure} is below {least:g} (confirm) remove nothing, whatever their cosine.")
    if found["threshold"] is not None:
        what = "the recipe's threshold"
        if found["remove_fraction"] is not None:
            what = f"the lowest threshold here that keeps to the recipe's remove_fraction {found['remove_fraction']:g}"
        said.append(f"> marks {what}, {found['threshold']:g}, with rule: {found['rule']}.")
    return said


def examples(found: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """The pairs to read by cosine, the nearest first, each with a heading that says on which side of the threshold it
    is."""
    for pair in found["examples"]:
        said = f"cosine {pair['cosine']:.4f}"
        if found["threshold"] is not None:
            said += ", at or above the threshold" if pair["cosine"] >= found["threshold"] else ", below the threshold"
        if found["confirm"] is not None:
            measure, least = found["confirm"]
            value = pair["confirm"]
            agrees = value is not None and value >= least
            said += f"; {measure} {'of nothing' if value is None else f'{value:.4f}'}"
            said += ", confirmed" if agrees else ", not confirmed"
        yield said, pair


def write_html(found: dict[str, Any], path: Path) -> None:
    """The evidence as one page."""
    most = max([1, *(level["pairs"] for level in found["levels"])])
    rows = [
        [
            f"<strong>&gt; {level['threshold']:.2f}</strong>"
            if is_marked(found, level)
            else f"{level['threshold']:.2f}",
            f"{100 * level['independent_ratio']:.2f} %",
            f"{100 * level['paper_ratio']:.2f} %",
            f"{level['pairs']:,}",
            f'<span class="bar" style="width:{20 * level["pairs"] / most:.2f}rem"></span>',
        ]
        for level in found["levels"]
    ]
    head = ["threshold", "removed (independent)", "removed (paper)", "pairs in this hundredth", ""]
    parts = [*(f"<p>{escaped(said)}</p>" for said in words(found)), table(head, rows), "<h2>Pairs to read</h2>"]
    for said, pair in examples(found):
        parts.append(f"<h3>{escaped(said)}</h3><div class='pair'>")
        for doc_id, text in (pair["earlier"], pair["later"]):
            parts.append(f"<div><span class='note'>doc_id {doc_id}</span><pre>{escaped(text)}</pre></div>")
        parts.append("</div>")
    write_page(path, "Threshold of semantic deduplication", "".join(parts))


def summary(found: dict[str, Any]) -> str:
    """What was compared, in a sentence."""
    return (
        f"{found['documents']:,} documents in {_counted(found['k'])} ({found['k_reason']}); all documents of "
        f"{_counted(found['clusters_compared'])} were compared: {found['documents_compared']:,}. Shares are of those."
    )


def _counted(clusters: int) -> str:
    return f"{clusters:,} {'cluster' if clusters == 1 else 'clusters'}"
