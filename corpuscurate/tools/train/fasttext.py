"""fastText's own supervised training (Joulin et al. 2016, arXiv 1607.01759)."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from corpuscurate.core.errors import CorpusCurateError, InputError, MissingExtraError
from corpuscurate.methods.quality.fasttext_model import FasttextModel, read_model
from corpuscurate.methods.quality.fasttext_scorer import Scorer, tree_path
from corpuscurate.methods.quality.label_names import LABEL
from corpuscurate.tools.train.data import Documents, text_hashes
from corpuscurate.tools.train.recipe import FasttextParameters
from corpuscurate.tools.train.trainer import register

_LABEL_TOKEN = re.compile(r"(?<![^ \t\n\v\f\r\x00])__label__[^ \t\n\v\f\r\x00]*")
_LINE_ENDS = re.compile(r"[\n\x00]")
LARGE = 100_000_000
"""Bytes of a model file from which the user is told how to get a smaller one."""
FREQUENT = 20_000
"""Words that are looked at for those which drive the score: the most frequent ones."""


class FasttextTrainer:
    """Training through the package `fasttext-community`."""

    name = "fasttext"
    parameters_model = FasttextParameters

    def check(self, parameters: FasttextParameters) -> None:
        """See `Trainer`."""
        _package()

    def train(
        self,
        documents: Documents,
        labels: NDArray[np.int64],
        rows: NDArray[np.int64],
        parameters: FasttextParameters,
        folder: Path,
    ) -> FasttextClassifier:
        """See `Trainer`."""
        names = fasttext_labels(documents.names)
        lines = folder / "train.txt"
        write_lines(documents, labels, mixed(documents, rows), names, lines)
        chosen = parameters.model_dump(exclude={"quantize", "cutoff", "min_n", "max_n", "word_ngrams", "min_count"})
        schedule = parameters.schedule(len(rows))
        chosen |= schedule
        try:
            model = _package().train_supervised(
                str(lines), wordNgrams=parameters.word_ngrams, minn=parameters.min_n, maxn=parameters.max_n,
                minCount=parameters.min_count, verbose=0, **chosen,
            )  # fmt: skip
        except RuntimeError as error:
            raise CorpusCurateError(
                f"fastText's training failed: {error}. A smaller parameters.lr than {schedule['lr']:g} usually helps."
            ) from error
        path = folder / "model.bin"
        model.save_model(str(path))
        shrink = partial(_shrink, model, lines, folder / "model.ftz", parameters, schedule)
        return FasttextClassifier(path, names, schedule, parameters, shrink if parameters.quantize else None)


def _shrink(model: Any, lines: Path, path: Path, parameters: FasttextParameters, schedule: Mapping[str, Any]) -> None:
    """Write a quantised model to `path`: the words and n-grams of the greatest weight, learned once more from `lines`.
    Raises CorpusCurateError."""
    try:
        model.quantize(
            str(lines), cutoff=parameters.cutoff, retrain=True, qnorm=True, thread=parameters.thread, **schedule
        )
    except (RuntimeError, ValueError) as error:
        raise CorpusCurateError(
            f"fastText cannot make the smaller model: {error}. Train without parameters.quantize."
        ) from error
    model.save_model(str(path))


class FasttextClassifier:
    """A trained fastText model, scored by our own kernels."""

    def __init__(
        self,
        path: Path,
        names: tuple[str, ...],
        chosen_parameters: dict[str, Any],
        parameters: FasttextParameters,
        shrink: Callable[[], None] | None = None,
    ) -> None:
        """shrink: writes the quantised model beside `path`."""
        self.chosen_parameters = chosen_parameters
        self.path = path
        self.names = names
        self._parameters = parameters
        self._shrink = shrink
        model = read_model(str(path))
        self.scorers = [Scorer(model, name) for name in names]

    def compact(self) -> FasttextClassifier | None:
        """See `Classifier`: the quantised model, where `quantize` asks for one."""
        if self._shrink is None:
            return None
        self._shrink()
        self._shrink = None  # it holds the model in memory
        return FasttextClassifier(
            self.path.with_name("model.ftz"), self.names, self.chosen_parameters, self._parameters
        )

    def notes(self) -> list[str]:
        """See `Classifier`: what makes a large model small."""
        size, rows = self.path.stat().st_size, self.scorers[0].model.input.shape
        if size < LARGE or self._parameters.quantize:
            return []
        hashed = rows[0] - self.scorers[0].model.words
        return [
            f"{self.path.name} has {size / 1e6:,.0f} MB, of which {4e-6 * hashed * rows[1]:,.0f} MB are rows for"
            f" {hashed:,} buckets of n-grams. `parameters: {{quantize: true}}` also writes a small model.ftz and"
            " judges it; a smaller `parameters: {bucket: ...}` makes both smaller."
        ]

    def probabilities(self, text: pa.LargeStringArray) -> NDArray[np.float64]:
        """See `Classifier`. A document without features has the same probability for all."""
        scores = np.stack([scorer.score(text) for scorer in self.scorers], axis=1)
        scores = np.where(np.isnan(scores), 1.0, scores) + 1e-12
        return scores / scores.sum(axis=1, keepdims=True)  # type: ignore[no-any-return]

    def wanted(self, positive: int) -> NDArray[np.bool_]:
        """See `Classifier`."""
        return np.asarray(np.arange(len(self.names)) == positive, np.bool_)

    def scores(self, text: pa.LargeStringArray) -> None:
        """See `Classifier`: probabilities are the scores."""

    def words(self, label: int, count: int) -> dict[str, list[tuple[str, float]]]:
        """See `Classifier`. A word's weight: its row's logit of the label, less the mean of the others'."""
        model = self.scorers[0].model
        size = min(model.words, FREQUENT)
        outputs = _outputs(model)
        number = model.label_index(self.names[label])
        others = np.delete(outputs, number, axis=0).mean(axis=0)
        rows = model.input.rows(0, size).astype(np.float64)
        weights = (rows * (outputs[number] - others)).sum(axis=1)
        order = np.argsort(weights, kind="stable")
        return {"for": self._named(order[::-1][:count], weights), "against": self._named(order[:count], weights)}

    def _named(self, rows: NDArray[np.int64], weights: NDArray[np.float64]) -> list[tuple[str, float]]:
        model = self.scorers[0].model
        words = [model.data[model.starts[i] : model.stops[i]].tobytes().decode("utf-8", "replace") for i in rows]
        return [(word, round(float(weights[i]), 4)) for word, i in zip(words, rows, strict=True)]

    def save(self, folder: Path) -> list[str]:
        """See `Classifier`."""
        shutil.copyfile(self.path, folder / self.path.name)
        return [self.path.name]

    def own_evaluation(self, documents: Documents, rows: NDArray[np.int64]) -> dict[str, Any]:
        """fastText's precision of the first label on the held-out rows (`test`)."""
        lines = self.path.with_name("test.txt")
        write_lines(documents, documents.labels, rows, self.names, lines)
        count, precision, recall = _package().load_model(str(self.path)).test(str(lines))
        lines.unlink()
        return {"documents": int(count), "precision_at_1": float(precision), "recall_at_1": float(recall)}

    def use(self, folder: str, label: str) -> dict[str, Any]:
        """See `Classifier`."""
        return {"fasttext_quality": {"model": f"{folder}/{self.path.name}", "target": _one_word(label)}}


def _outputs(model: FasttextModel) -> NDArray[np.float64]:
    """An output row for each label; for hs, whose rows are nodes of a tree, the sum of those on its path, signed."""
    outputs = model.output.rows(0, len(model.labels)).astype(np.float64)
    if model.loss != "hs":
        return outputs
    paths = [tree_path(model.label_counts, label) for label in range(len(model.labels))]
    return np.stack([np.where(right[:, None], outputs[nodes], -outputs[nodes]).sum(axis=0) for nodes, right in paths])


def _package() -> Any:
    try:
        import fasttext
    except ImportError as error:
        raise MissingExtraError("fasttext-community", "fasttext", "training a fastText model") from error
    return fasttext


def _one_word(label: str) -> str:
    return re.sub(r"[\s\x00]+", "_", label)


def fasttext_labels(names: tuple[str, ...]) -> tuple[str, ...]:
    """Labels as fastText can hold them: without white space. Raises InputError where two become one."""
    found = tuple(map(_one_word, names))
    if len(set(found)) < len(found):
        raise InputError(f"labels that differ in white space alone: {', '.join(map(repr, names))}. Use labels.rename.")
    return found


def mixed(documents: Documents, rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """The rows by the hash of their texts. fastText takes its steps in the order of the lines: all documents of one
    label after all those of another, as files mostly hold them, would be learned worse."""
    return rows[np.argsort(text_hashes(documents)[rows], kind="stable")]


def write_lines(
    documents: Documents, labels: NDArray[np.int64], rows: NDArray[np.int64], names: tuple[str, ...], path: Path
) -> None:
    """fastText's training file: a document a line, its line ends as spaces. Tokens in the text that fastText would
    take for labels are left out, as they are when it scores."""
    with path.open("w", encoding="utf-8", newline="\n") as file:
        at = 0
        for texts in documents.texts(rows):
            for text in texts.to_pylist():
                line = _LINE_ENDS.sub(" ", _LABEL_TOKEN.sub(" ", text))
                file.write(f"{LABEL}{names[labels[rows[at]]]} {line}\n")
                at += 1


register(FasttextTrainer())
