"""The models that tell languages apart: the one that comes with py3langid, and users' fastText files."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from corpuscurate.core.errors import InputError
from corpuscurate.kernels.fasttext.all_labels import sigmoid_all, softmax_all, tree_all
from corpuscurate.kernels.fasttext.loss import OFFSET
from corpuscurate.kernels.language.byte_ngrams import byte_ngram_scores
from corpuscurate.kernels.language.spans import best_labels, gather_spans
from corpuscurate.methods.language.py3langid_model import PACKAGE, file_digest, load_model
from corpuscurate.methods.quality.fasttext_model import FasttextModel, read_model
from corpuscurate.methods.quality.fasttext_model import file_digest as fasttext_digest
from corpuscurate.methods.quality.fasttext_scorer import Features, huffman_tree, near_steps, output_rows, sigmoid_table
from corpuscurate.methods.quality.label_names import LABEL

_CELLS = 1 << 20
"""Most logits that are formed at once."""


class TextSpans(NamedTuple):
    """Texts as spans of one buffer: text i is data[starts[i]:stops[i]], UTF-8."""

    starts: NDArray[np.int64]
    stops: NDArray[np.int64]
    data: NDArray[np.uint8]


class Found(NamedTuple):
    """The two best labels of each text, int64[n, 2], -1 for none, and their scores, float64[n, 2], in 0..1."""

    labels: NDArray[np.int64]
    scores: NDArray[np.float64]


class LanguageModel(Protocol):
    """A model of languages."""

    @property
    def name(self) -> str:
        """What its scores belong to."""

    @property
    def labels(self) -> tuple[str, ...]:
        """Its labels as it writes them, each once."""

    @property
    def normalises(self) -> bool:
        """Whether it wants texts in NFC, and those all in upper case in lower case."""

    @property
    def doubt(self) -> float:
        """The score below which it is more often wrong than right; 0 where that is not known."""

    def identify(self, texts: TextSpans, label_of: NDArray[np.int64]) -> Found:
        """The best of the labels that label_of, int64[labels], maps its own to."""


def _none(size: int) -> Found:
    return Found(np.empty((size, 2), np.int64), np.empty((size, 2)))


class Py3langid:
    """The model of the package py3langid."""

    name = PACKAGE
    normalises = True
    doubt = 0.3

    def __init__(self) -> None:
        self._model, classes = load_model()
        self.labels = tuple(dict.fromkeys(classes))
        self._label_of = np.array([self.labels.index(each) for each in classes], np.int64)

    def identify(self, texts: TextSpans, label_of: NDArray[np.int64]) -> Found:
        """See `LanguageModel`."""
        found = _none(len(texts.starts))
        mapped = label_of[self._label_of]
        byte_ngram_scores(*texts, self._model, mapped, int(mapped.max()) + 1, found.labels, found.scores)
        return found


class FasttextLabels(Features):
    """All labels of a supervised fastText model; a score is the probability that its `predict` reports."""

    normalises = False
    doubt = 0.0

    def __init__(self, model: FasttextModel) -> None:
        """Raises InputError."""
        super().__init__(model, output_rows(model))
        self.name = model.path
        self.labels = tuple(label.removeprefix(LABEL) for label in model.labels)
        self._children = huffman_tree(model.label_counts) if model.loss == "hs" else np.zeros((0, 2), np.int64)

    def identify(self, texts: TextSpans, label_of: NDArray[np.int64]) -> Found:
        """See `LanguageModel`."""
        found = _none(len(texts.starts))
        offset = 0.0 if self.model.loss == "hs" else OFFSET  # of `hs` it is in each factor
        labels = int(label_of.max()) + 1
        for first, last in self._blocks(len(texts.starts)):
            p = self._probabilities(TextSpans(texts.starts[first:last], texts.stops[first:last], texts.data))
            best_labels(p, label_of, labels, offset, found.labels[first:last], found.scores[first:last])
        return found

    def _blocks(self, size: int) -> Iterator[tuple[int, int]]:
        step = max(1, _CELLS // len(self.labels))
        return ((first, min(first + step, size)) for first in range(0, size, step))

    def _probabilities(self, texts: TextSpans) -> NDArray[np.float64]:
        """float64[n, labels]; nan where the model knows no feature of a text."""
        offsets = np.empty(len(texts.starts) + 1, np.int64)
        data = np.empty(int((texts.stops - texts.starts).sum()), np.uint8)
        gather_spans(*texts, offsets, data)
        for array in (offsets, data):
            array.setflags(write=False)
        logits, counts = self.logits(offsets, data)
        p = np.empty((len(counts), len(self.labels)))
        if self.model.loss == "hs":
            tree_all(logits, self._children, p)
            p[counts == 0] = np.nan
        elif self.model.loss == "softmax":
            softmax_all(logits, p)
        else:
            self._settle_steps(logits, offsets, data)
            sigmoid_all(logits, sigmoid_table(), p)
        return p

    def _settle_steps(self, logits: NDArray[np.float64], offsets: NDArray[np.int64], data: NDArray[np.uint8]) -> None:
        """Form those logits anew that lie so near to a step of the sigmoid's table that fastText's rounding decides."""
        for at in near_steps(logits.reshape(-1)).tolist():
            row, column = divmod(at, logits.shape[1])
            logits[row, column] = self.exact_logit(data, int(offsets[row]), int(offsets[row + 1]), column)


@lru_cache(2)
def _model(path: str | None, digest: str) -> LanguageModel:
    return Py3langid() if path is None else FasttextLabels(read_model(path))


def language_model(path: str | None) -> LanguageModel:
    """The model of a fastText file, or that of py3langid; loaded once a process. Raises InputError."""
    return _model(path, model_digest(path))


def model_digest(path: str | None) -> str:
    """The digest of the file of a model. Raises InputError, with where models can be had."""
    if path is None:
        return file_digest()
    if not Path(path).exists():
        raise InputError(
            f"the fastText model {path!r} cannot be read: No such file or directory. Language models of fastText"
            " can be had from https://fasttext.cc/docs/en/language-identification.html (lid.176.bin, lid.176.ftz) and"
            " https://huggingface.co/cis-lmu/glotlid (GlotLID); without `model:` the one of py3langid is used"
        )
    return fasttext_digest(path)
