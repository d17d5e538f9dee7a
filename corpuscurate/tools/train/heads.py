"""Trainers of heads on embeddings: `ridge` for grades, `logistic` for classes (see `quality_head`)."""

from __future__ import annotations

import math
import shutil
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import xxhash
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from corpuscurate.core.errors import InputError
from corpuscurate.methods.embed.base import Embedder, Parameters
from corpuscurate.methods.embed.learned import Learned
from corpuscurate.methods.embed.make import make_embedder
from corpuscurate.methods.quality.heads import EMBEDDER, Head, Made, Settings, linear, origin_of, write_head
from corpuscurate.methods.semantic.threads import one_pool
from corpuscurate.tools.train.data import Documents
from corpuscurate.tools.train.linear import (
    FOLDS,
    LOGISTIC_STRENGTHS,
    STRENGTHS,
    Fitted,
    aligned,
    logistic,
    ridge_path,
    tuned,
)
from corpuscurate.tools.train.trainer import register

FREQUENT = 20_000
"""Words that are looked at for those which drive the score: the most frequent ones."""
_erf = np.frompyfunc(math.erf, 1, 1)


class HeadParameters(BaseModel):
    """Parameters of `trainer: ridge` and `trainer: logistic`."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    embedder: Made = Field(
        default=Learned(),
        description="what makes vectors; `learned` without `model` learns from the training documents",
    )
    strength: float | None = Field(
        None,
        description="of the penalty on weights; null: what errs least on documents left out",
        gt=0,
    )


class _Remembered:
    """The rows of an embedder, each text embedded once: evaluation and cross-validation see documents again."""

    def __init__(self, embedder: Embedder) -> None:
        self._embedder = embedder
        self._numbers: dict[int, int] = {}
        self._rows: list[NDArray[np.float32]] = []

    def embed(self, texts: pa.LargeStringArray) -> NDArray[np.float32]:
        hashes = [xxhash.xxh3_128_intdigest(text.as_buffer()) for text in texts]
        fresh = {each: i for i, each in enumerate(hashes) if each not in self._numbers}
        if fresh:
            rows = self._embedder.embed(texts.take(pa.array(list(fresh.values()), pa.int64()))).rows
            self._numbers |= {each: len(self._rows) + i for i, each in enumerate(fresh)}
            self._rows.extend(rows)
        found = [self._rows[self._numbers[each]] for each in hashes]
        return np.stack(found) if found else np.zeros((0, self._embedder.dimension), np.float32)


class HeadTrainer:
    """A linear head by least squares on grades (ridge), or by likelihood on classes (logistic)."""

    parameters_model = HeadParameters

    def __init__(self, kind: str) -> None:
        self.name = kind
        self._memory: tuple[tuple[str, Parameters], _Remembered] | None = None

    def check(self, parameters: HeadParameters) -> None:
        """See `Trainer`: the embedder is there."""
        if not _learns(parameters.embedder):
            make_embedder(parameters.embedder)

    def train(
        self,
        documents: Documents,
        labels: NDArray[np.int64],
        rows: NDArray[np.int64],
        parameters: HeadParameters,
        folder: Path,
    ) -> HeadClassifier:
        """See `Trainer`. Documents with nothing to embed are left out."""
        grades = _grades(documents.names) if self.name == "ridge" else None
        embedder = self._embedder(documents, rows, parameters.embedder, folder)
        remembered = self._remembered(documents, embedder)
        vectors = np.concatenate([remembered.embed(texts) for texts in documents.texts(rows)])
        there = vectors.any(axis=1)
        found, wanted = vectors[there], labels[rows[there]]
        if len(np.unique(wanted)) < 2 or (grades is None and len(np.unique(wanted)) < len(documents.names)):
            raise InputError(
                f"only {int(there.sum()):,} of {len(rows):,} training documents have anything that the embedder knows,"
                " and they lack a label: another embedder is needed."
            )
        with one_pool(1):  # sums of several threads depend on their number
            if grades is not None:
                fitted = self._graded(documents, rows[there], grades[wanted], found, parameters, folder)
            elif _learns(parameters.embedder):
                fitted = self._classified(documents, rows[there], wanted, found, parameters, folder)
            else:
                fitted = logistic(found, wanted, len(documents.names), parameters.strength)
        settings = Settings(
            form=1,
            kind="ridge" if grades is not None else "logistic",
            dimension=vectors.shape[1],
            labels=list(documents.names),
            grades=None if grades is None else grades.tolist(),
            spread=None if grades is None else fitted.spread,
            strength=fitted.strength,
            embedder=embedder.model_dump(mode="json"),
            origin=origin_of(embedder),
        )
        head = Head(settings, fitted.weights, fitted.bias)
        notes = _notes(len(rows), int(there.sum()), fitted.judged)
        return HeadClassifier(head, embedder, remembered, _learns(parameters.embedder), documents, rows, notes)

    def _graded(
        self,
        documents: Documents,
        rows: NDArray[np.int64],
        grades: NDArray[np.float64],
        vectors: NDArray[np.float32],
        parameters: HeadParameters,
        folder: Path,
    ) -> Fitted:
        """A ridge whose strength, and the step from its scores to grades, come from documents that neither it nor an
        embedder that learns had seen: scores of new documents lie elsewhere than those of the ones learned from."""
        strengths = STRENGTHS if parameters.strength is None else (parameters.strength,)
        scores = np.full((len(strengths), len(rows)), np.nan)
        for inside, known, unseen in self._left_out(documents, rows, vectors, parameters, folder):
            if len(np.unique(grades[~inside])) < 2:
                continue
            for number, each in enumerate(ridge_path(known, grades[~inside], strengths)):
                scores[number, inside] = linear(unseen, each.weights, each.bias)[:, 0]
        judged = ~np.isnan(scores[0])
        if len(np.unique(grades[judged])) < 2:  # one group holds all
            least = min(ridge_path(vectors, grades, strengths), key=lambda each: each.spread)
            return least._replace(judged=0)
        best = tuned(scores[:, judged], grades[judged], strengths)
        (fitted,) = ridge_path(vectors, grades, (best.strength,))
        weights, bias = best.slope * fitted.weights, best.slope * fitted.bias + best.offset
        return fitted._replace(weights=weights, bias=bias, spread=best.spread, judged=int(judged.sum()))

    def _classified(
        self,
        documents: Documents,
        rows: NDArray[np.int64],
        labels: NDArray[np.int64],
        vectors: NDArray[np.float32],
        parameters: HeadParameters,
        folder: Path,
    ) -> Fitted:
        """The same of a logistic head, whose embedder learns: strength, and the step from its logits to those of new
        documents, come from documents left out."""
        count = len(documents.names)
        strengths = LOGISTIC_STRENGTHS if parameters.strength is None else (parameters.strength,)
        logits = np.full((len(strengths), len(rows), count), np.nan)
        for inside, known, unseen in self._left_out(documents, rows, vectors, parameters, folder):
            if len(np.unique(labels[~inside])) < count:
                continue
            for number, strength in enumerate(strengths):
                each = logistic(known, labels[~inside], count, strength)
                logits[number, inside] = linear(unseen, each.weights, each.bias)
        judged = ~np.isnan(logits[0, :, 0])
        if len(np.unique(labels[judged])) < count:
            return logistic(vectors, labels, count, parameters.strength)._replace(judged=0)
        found = [aligned(each[judged], labels[judged]) for each in logits]
        best = int(np.argmin([each.loss for each in found]))
        fitted = logistic(vectors, labels, count, strengths[best])
        slope, offsets = found[best].slope, found[best].offsets
        weights, bias = slope * fitted.weights, slope * fitted.bias + offsets
        return fitted._replace(weights=weights, bias=bias, judged=int(judged.sum()))

    def _left_out(
        self,
        documents: Documents,
        rows: NDArray[np.int64],
        vectors: NDArray[np.float32],
        parameters: HeadParameters,
        folder: Path,
    ) -> Iterator[tuple[NDArray[np.bool_], NDArray[np.float32], NDArray[np.float32]]]:
        """For each fold which rows are left out, the vectors of the others and theirs; of an embedder that learns, by
        one that learned from the others alone."""
        fold = _folds(documents, rows)
        for number in range(FOLDS):
            inside = fold == number
            if not inside.any() or inside.all():
                continue
            if _learns(parameters.embedder):
                own = self._embedder(documents, rows[~inside], parameters.embedder, folder, f"fold-{number}")
                embedder = make_embedder(own)
                known, unseen = (
                    np.concatenate([embedder.embed(texts).rows for texts in documents.texts(rows[part])])
                    for part in (~inside, inside)
                )
                yield inside, known, unseen
            else:
                yield inside, vectors[~inside], vectors[inside]

    def _embedder(
        self, documents: Documents, rows: NDArray[np.int64], parameters: Parameters, folder: Path, name: str = EMBEDDER
    ) -> Any:
        if not _learns(parameters):
            return parameters
        own = folder / name
        shutil.rmtree(own, ignore_errors=True)
        own.mkdir()
        parameters.fit(documents.texts(rows), own)
        return parameters.model_copy(update={"model": str(own)})

    def _remembered(self, documents: Documents, parameters: Parameters) -> _Remembered:
        key = (str(documents.path), parameters)
        if self._memory is None or self._memory[0] != key or _learns(parameters):
            self._memory = key, _Remembered(make_embedder(parameters))
        return self._memory[1]


class HeadClassifier:
    """A trained head with its embedder."""

    def __init__(
        self,
        head: Head,
        embedder: Parameters,
        remembered: _Remembered,
        learned: bool,
        documents: Documents,
        rows: NDArray[np.int64],
        notes: list[str],
    ) -> None:
        self.head = head
        self.names = documents.names
        self._embedder = embedder
        self._remembered = remembered
        self._learned = learned
        self._documents = documents
        self._rows = rows
        self._notes = notes

    def compact(self) -> None:
        """See `Classifier`: a head is small."""

    def notes(self) -> list[str]:
        """See `Classifier`."""
        return self._notes

    @property
    def chosen_parameters(self) -> dict[str, Any]:
        """See `Classifier`."""
        return {"strength": self.head.settings.strength}

    def probabilities(self, text: pa.LargeStringArray) -> NDArray[np.float64]:
        """See `Classifier`. Grades: a normal distribution around the score, as wide as the leave-one-out errors. A
        document with nothing to embed has the same probability for all."""
        found = self.head.outputs(self._remembered.embed(text))
        if self.head.settings.kind == "ridge":
            found = self._by_grade(found[:, 0])
        return np.where(np.isnan(found), 1 / len(self.names), found)

    def _by_grade(self, scores: NDArray[np.float64]) -> NDArray[np.float64]:
        grades = np.array(self.head.settings.grades)
        order = np.argsort(grades, kind="stable")
        borders = (grades[order][1:] + grades[order][:-1]) / 2
        spread = max(self.head.settings.spread or 0.0, 1e-9) * math.sqrt(2)
        below = 0.5 * (1 + _erf((borders[None, :] - scores[:, None]) / spread).astype(np.float64))
        ends = np.ones((len(scores), 1))
        whole = np.hstack([0 * ends, below, ends])
        shares = np.empty((len(scores), len(grades)))
        shares[:, order] = np.diff(whole, axis=1)
        shares[np.isnan(scores)] = np.nan
        return shares

    def wanted(self, positive: int) -> NDArray[np.bool_]:
        """See `Classifier`."""
        grades = self.head.settings.grades
        if grades is None:
            return np.asarray(np.arange(len(self.names)) == positive, np.bool_)
        return np.asarray(np.array(grades) >= grades[positive], np.bool_)

    def scores(self, text: pa.LargeStringArray) -> NDArray[np.float64] | None:
        """See `Classifier`. A document with nothing to embed counts as one of the least grade."""
        grades = self.head.settings.grades
        if grades is None:
            return None
        found = self.head.outputs(self._remembered.embed(text))[:, 0]
        return np.where(np.isnan(found), min(grades), found)

    def words(self, label: int, count: int) -> dict[str, list[tuple[str, float]]]:
        """See `Classifier`. A word's weight: the score of it alone, less the mean of such scores. Only for embedders
        that look words up; a transformer's score of one word says nothing."""
        if self._embedder.kind == "sentence-transformers":
            return {}
        counts: Counter[str] = Counter()
        for texts in self._documents.texts(self._rows):
            for text in texts.to_pylist():
                counts.update(set(text.lower().split()))
        known = [word for word, number in counts.most_common(FREQUENT) if number > 1]
        if not known:
            return {}
        rows = make_embedder(self._embedder).embed(pa.array(known, pa.large_string())).rows
        output = 0 if self.head.settings.kind == "ridge" else label
        weights = self.head.outputs(rows)[:, output]
        weights = np.nan_to_num(weights - np.nanmean(weights)) if np.isfinite(weights).any() else np.zeros(len(known))
        order = np.argsort(weights, kind="stable")
        kinds = {"for": order[::-1][:count], "against": order[:count]}
        return {kind: [(known[i], round(float(weights[i]), 4)) for i in found] for kind, found in kinds.items()}

    def save(self, folder: Path) -> list[str]:
        """See `Classifier`. An embedder that was learned for this head goes with it."""
        head = self.head
        if self._learned:
            shutil.copytree(str(self._embedder.model_folder()), folder / EMBEDDER)
            value = {**head.settings.embedder, "model": EMBEDDER}
            head = replace(head, settings=head.settings.model_copy(update={"embedder": value}))
        return [*write_head(head, folder), *([EMBEDDER] if self._learned else [])]

    def own_evaluation(self, documents: Documents, rows: NDArray[np.int64]) -> dict[str, Any]:
        """See `Classifier`. Of grades: errors, correlation, and precision and recall of cutting at each grade."""
        if self.head.settings.grades is None or not len(rows):
            return {}
        from corpuscurate.tools.train.evaluate import precision_recall

        grades = np.array(self.head.settings.grades)
        found = np.concatenate([np.asarray(self.scores(texts)) for texts in documents.texts(rows)])
        truth = grades[documents.labels[rows]]
        nearest = grades[np.abs(found[:, None] - grades[None, :]).argmin(axis=1)]
        spread = found.std() * truth.std()
        moment = ((found - found.mean()) * (truth - truth.mean())).mean()
        return {
            "mean_absolute_error": float(np.abs(found - truth).mean()),
            "root_mean_squared_error": float(np.sqrt(((found - truth) ** 2).mean())),
            "correlation": float(moment / spread) if spread else None,
            "nearest_grade_accuracy": float((nearest == truth).mean()),
            "cuts": [
                {"min_score": float(grade), **precision_recall(found >= grade, truth >= grade)}
                for grade in np.unique(grades)[1:]
            ],
        }

    def use(self, folder: str, label: str) -> dict[str, Any]:
        """See `Classifier`."""
        target = {} if self.head.settings.kind == "ridge" else {"target": label}
        return {"embedding_quality": {"head": folder, **target}}


def _notes(given: int, learned: int, judged: int | None) -> list[str]:
    """What was done in part. given: training documents; learned: those with anything to embed; judged: see `Fitted`."""
    found = []
    if learned < given:
        found.append(
            f"{given - learned:,} of {given:,} training documents have nothing that the embedder knows: nothing was"
            " learned from them."
        )
    if judged is not None and judged < learned:
        found.append(
            f"The strength of the penalty and the correction for new documents come from {judged:,} of {learned:,}"
            " training documents, left out in turn: without the others, whose group has all documents of some label,"
            " that label cannot be learned."
            if judged
            else "The head is not corrected for new documents, whose scores lie elsewhere than those of the documents"
            " learned from: for that no documents could be left out, as a single group has all documents of some label."
        )
    return found


def _folds(documents: Documents, rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """A fold for each row, int64[rows]: by the hash of its group, whose documents stay together, or of its number."""
    groups = documents.table.column("group").take(pa.array(rows)).to_pylist()
    names = [f"row {row}" if group is None else f"group {group}" for row, group in zip(rows, groups, strict=True)]
    return np.array([xxhash.xxh3_64_intdigest(name.encode()) % FOLDS for name in names], np.int64)


def _learns(parameters: Parameters) -> bool:
    return parameters.sample_to_fit() > 0


def _grades(names: tuple[str, ...]) -> NDArray[np.float64]:
    """Labels as numbers. Raises InputError where one is none, or two are the same."""
    found = []
    for name in names:
        try:
            found.append(float(name))
        except ValueError:
            found.append(math.nan)
        if not math.isfinite(found[-1]):
            raise InputError(
                f"trainer: ridge needs grades, and the label {name!r} is no number. Give numbers with labels.rename"
                " (such as {poor: '0', good: '5'}), or use `trainer: logistic` for classes."
            )
    if len(set(found)) < len(found):
        raise InputError(f"labels that are the same number: {', '.join(names)}. Use labels.rename.")
    return np.array(found)


register(HeadTrainer("ridge"))
register(HeadTrainer("logistic"))
