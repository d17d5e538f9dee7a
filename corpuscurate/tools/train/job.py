"""`corpuscurate train quality`, from the recipe to the model with its card."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import orjson
from numpy.typing import NDArray

from corpuscurate.core.durable import whole_folder
from corpuscurate.core.errors import InputError, OutputError, RecipeError
from corpuscurate.core.local_path import anchored
from corpuscurate.engine.fingerprints import versions
from corpuscurate.tools.train import fasttext, heads  # noqa: F401  register themselves
from corpuscurate.tools.train.card import write_card
from corpuscurate.tools.train.data import Documents, beginnings, gather
from corpuscurate.tools.train.evaluate import evaluate, telling
from corpuscurate.tools.train.issues import (
    available,
    consensus,
    likely_wrong,
    need_cleanlab,
    not_judged,
    out_of_fold,
    predict,
    unit_scores,
)
from corpuscurate.tools.train.near_copies import cluster_hashes, clusters, exact_and_near
from corpuscurate.tools.train.recipe import TrainRecipe, build_parameters, unknown
from corpuscurate.tools.train.split import Split, check_split, split
from corpuscurate.tools.train.trainer import TRAINERS, Classifier, Trainer

SHOWN_WORDS = 25
SHOWN_DOCUMENTS = 10


def train_quality(
    recipe: TrainRecipe,
    base: Path,
    *,
    drop_label_issues: bool = False,
    workers: int = 1,
    say: Callable[[str], None] = lambda text: None,
) -> dict[str, Any]:
    """Train, evaluate, and write the model, card.json, card.md and label_issues.jsonl. Returns the card.

    base: the folder that relative paths start from. Raises RecipeError, InputError, OutputError, MissingExtraError.
    """
    if workers < 1:
        raise RecipeError(f"workers: {workers} is not allowed: must be >= 1.")
    if drop_label_issues and not recipe.labels.find_issues:
        raise RecipeError("labels.find_issues: false finds no labels to drop, but they are to be dropped.")
    if drop_label_issues:
        need_cleanlab()
    trainer = TRAINERS.get(recipe.trainer)
    if trainer is None:
        raise unknown(recipe.trainer, TRAINERS, "trainer")
    parameters = build_parameters(trainer.parameters_model, recipe.parameters, recipe.trainer)
    parameters = parameters.model_copy(update=dict(anchored(parameters, base)))
    trainer.check(parameters)
    output = base / os.path.expanduser(recipe.output)  # noqa: PTH111  (`Path` fails for an unknown user)
    if output.exists() and (not output.is_dir() or any(output.iterdir())):
        raise OutputError(f"output: {output} is there already and not empty. Choose another folder, or remove it.")
    with tempfile.TemporaryDirectory(prefix="corpuscurate-train-") as temporary:
        folder = Path(temporary)
        job = _Job(recipe, trainer, parameters, folder, workers, say)
        return job.run(base, output, drop_label_issues)


class _Issues(NamedTuple):
    """Training rows whose label is likely wrong, with a list of them for review; not_judged: documents, by label, whose
    label could not be looked at."""

    looked_for: bool
    rows: NDArray[np.int64] = np.zeros(0, np.int64)
    listed: Sequence[dict[str, Any]] = ()
    not_judged: Mapping[str, int] = {}


class _Job:
    """One training with what it found so far."""

    def __init__(
        self,
        recipe: TrainRecipe,
        trainer: Trainer,
        parameters: Any,
        folder: Path,
        workers: int,
        say: Callable[[str], None],
    ) -> None:
        self.recipe = recipe
        self.trainer = trainer
        self.parameters = parameters
        self.folder = folder
        self.workers = workers
        self.say = say

    def run(self, base: Path, output: Path, drop: bool) -> dict[str, Any]:
        """All of it."""
        recipe = self.recipe
        documents = gather(recipe, base, self.folder)
        for note in documents.notes:
            self.say(f"warning: {note}")
        self.say(f"{len(documents.labels):,} labelled documents; looking for copies and near-copies")
        exact, near = exact_and_near(documents, self.folder, recipe.split.threshold, self.workers)
        cluster = cluster_hashes(documents, clusters(documents, exact, near))
        labels, annotators = self._agreed(documents, exact, cluster)
        parts = split(labels, exact, cluster, recipe.split.test, recipe.split.seed)
        check_split(parts, labels, documents.names, recipe.labels)
        found = self._issues(documents, labels, parts)
        rows = np.setdiff1d(parts.train, found.rows) if drop and found.looked_for else parts.train
        if lost := [name for i, name in enumerate(documents.names) if not (labels[rows] == i).any()]:
            raise InputError(
                f"--drop-label-issues would drop all training documents with the label {lost[0]!r}: the model takes"
                " them for others. Look at them without that option: label_issues.jsonl lists them."
            )
        self.say(f"training on {len(rows):,} documents")
        classifier = self._train(documents, labels, rows, self.folder)
        small = classifier.compact()
        self.say(f"evaluating on {len(parts.test):,} documents")
        card = self._card(documents, labels, classifier, parts)
        card["label_issues"] = {
            "looked_for": found.looked_for,
            "found": len(found.rows),
            "dropped": bool(drop and found.looked_for),
            "not_judged": found.not_judged,
        }
        card["annotators"] = annotators
        card["use"] = classifier.use(str(output), documents.positive)
        card["notes"] = [*classifier.notes(), *_notes(card), *documents.notes]
        with whole_folder(output) as part:
            card["files"] = classifier.save(part)
            if small is not None:
                card["small"] = self._small(documents, labels, small, parts, output)
                card["files"] += small.save(part)
            card["file_bytes"] = {name: _size(part / name) for name in card["files"]}
            write_card(part, card)
            if found.looked_for:
                (part / "label_issues.jsonl").write_bytes(b"".join(orjson.dumps(row) + b"\n" for row in found.listed))
        return card

    def _train(
        self, documents: Documents, labels: NDArray[np.int64], rows: NDArray[np.int64], folder: Path
    ) -> Classifier:
        return self.trainer.train(documents, labels, rows, self.parameters, folder)

    def _agreed(
        self, documents: Documents, exact: NDArray[np.int64], cluster: NDArray[np.uint64]
    ) -> tuple[NDArray[np.int64], dict[str, Any] | None]:
        """The labels; where annotators were several, their weighted consensus."""
        if documents.votes.shape[1] < 2 or not self.recipe.labels.find_issues:
            return documents.labels, None
        need_cleanlab()
        self.say("several annotators: cross-validating for their consensus")
        rows = np.arange(len(documents.labels))
        count = self.recipe.labels.folds
        found = out_of_fold(self._train, documents, documents.labels, rows, cluster, count, self.folder)
        labels, stats = consensus(documents.votes, found.probabilities)
        return labels, {**stats, "not_judged": not_judged(documents.labels, found, documents.names)}

    def _issues(self, documents: Documents, labels: NDArray[np.int64], parts: Split) -> _Issues:
        """Training rows whose label is likely wrong."""
        if not self.recipe.labels.find_issues:
            return _Issues(False)
        if not available():
            self.say("labels that are likely wrong are not looked for: pip install 'corpuscurate[labels]'")
            return _Issues(False)
        self.say(f"looking for labels that are likely wrong: {self.recipe.labels.folds} trainings")
        rows = parts.train
        count = self.recipe.labels.folds
        judged = out_of_fold(self._train, documents, labels, rows, parts.cluster, count, self.folder)
        found = judged.probabilities
        indices = likely_wrong(labels[rows], judged)
        chosen = rows[indices]
        table = documents.table
        ids, sources = (_values(table, name, chosen) for name in ("id", "source"))
        texts = beginnings(documents, chosen.tolist())
        listed = [
            {
                "row": int(row),
                "id": ids[i],
                "source": sources[i],
                "label": documents.names[labels[row]],
                "likely": documents.names[int(found[index].argmax())],
                "probability_of_label": round(float(found[index, labels[row]]), 6),
                "text": texts[i],
            }
            for i, (row, index) in enumerate(zip(chosen.tolist(), indices.tolist(), strict=True))
        ]
        return _Issues(True, chosen, listed, not_judged(labels[rows], judged, documents.names))

    def _card(
        self, documents: Documents, labels: NDArray[np.int64], classifier: Classifier, parts: Split
    ) -> dict[str, Any]:
        recipe, names = self.recipe, documents.names
        positive = names.index(documents.positive)
        probabilities = predict(classifier, documents, parts.test)
        held = labels[parts.test]
        wanted = classifier.wanted(positive)
        graded = unit_scores(classifier, documents, parts.test)
        scores = probabilities[:, wanted].sum(axis=1) if graded is None else graded
        sources = _values(documents.table, "source", parts.test)
        chosen = telling(scores, wanted[held], SHOWN_DOCUMENTS)
        return {
            "trainer": recipe.trainer,
            "positive": documents.positive,
            "labels": list(names),
            "counted_as_positive": [name for name, is_wanted in zip(names, wanted, strict=True) if is_wanted],
            "score": "probability" if graded is None else "grade",
            "parameters": {**self.parameters.model_dump(mode="json"), **classifier.chosen_parameters},
            "split": recipe.split.model_dump(mode="json"),
            "versions": versions(),
            "test": {
                **evaluate(probabilities, held, names, wanted, sources, graded),
                "nothing_known": int((probabilities == probabilities[:, :1]).all(axis=1).sum()),
            },
            "own_evaluation": classifier.own_evaluation(documents, parts.test),
            "words": classifier.words(positive, SHOWN_WORDS),
            "documents": {
                kind: self._shown(documents, names, held, scores, parts.test, indices)
                for kind, indices in chosen.items()
            },
            "data": {
                "files": documents.digests,
                "counts": {
                    name: {"training": int((labels[parts.train] == i).sum()), "test": int((held == i).sum())}
                    for i, name in enumerate(names)
                },
                "duplicates": len(parts.duplicates),
                "contradictory": len(parts.contradictory),
                "unlabelled": documents.unlabelled,
                "quarantined": documents.quarantined,
            },
        }

    def _small(
        self, documents: Documents, labels: NDArray[np.int64], small: Classifier, parts: Split, output: Path
    ) -> dict[str, Any]:
        """The same figures for the smaller form of the model."""
        wanted = small.wanted(documents.names.index(documents.positive))
        sources = _values(documents.table, "source", parts.test)
        probabilities = predict(small, documents, parts.test)
        return {
            "test": evaluate(probabilities, labels[parts.test], documents.names, wanted, sources),
            "use": small.use(str(output), documents.positive),
        }

    def _shown(
        self,
        documents: Documents,
        names: tuple[str, ...],
        held: NDArray[np.int64],
        scores: NDArray[np.float64],
        rows: NDArray[np.int64],
        indices: NDArray[np.int64],
    ) -> list[dict[str, Any]]:
        ids = _values(documents.table, "id", rows[indices])
        texts = beginnings(documents, rows[indices].tolist())
        return [
            {"id": ids[i], "label": names[held[index]], "score": float(scores[index]), "text": texts[i]}
            for i, index in enumerate(indices.tolist())
        ]


def _values(table: Any, name: str, rows: NDArray[np.int64]) -> list[Any]:
    import pyarrow as pa

    return list(table.column(name).take(pa.array(rows)).to_pylist())


def _notes(card: dict[str, Any]) -> list[str]:
    """What was done in part."""
    found = []
    if counts := card["label_issues"]["not_judged"]:
        found.append(
            f"Whether their label is likely wrong was not looked at for {_counted(counts)}: near-copies and groups stay"
            " together, and without their part no document of that label is left to learn it from."
        )
    if counts := (card["annotators"] or {}).get("not_judged"):
        found.append(
            f"Annotators were weighed without a model for {_counted(counts)}: without their part no document of that"
            " label is left to learn it from."
        )
    if card["test"]["nothing_known"]:
        found.append(
            f"The model knows nothing in {card['test']['nothing_known']:,} of {card['test']['documents']:,} held-out"
            " documents: they count with the same probability for each label, and a run gives them no score."
        )
    return found


def _counted(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count:,} documents with the label {name!r}" for name, count in counts.items())


def _size(path: Path) -> int:
    """Bytes of a file, or of all files in a folder."""
    return path.stat().st_size if path.is_file() else sum(f.stat().st_size for f in path.rglob("*") if f.is_file())
