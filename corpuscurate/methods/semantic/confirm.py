"""The second opinion on near documents: what a recipe says of it, and its values for pairs of documents.

A pair whose embeddings are near counts only where a second value agrees: the share of the n-grams of the document that
goes which the other one has (containment, Broder 1997), or the cosine of another embedder. It is asked of documents
alone that stand in near pairs (`near_documents`): their text is read again, and no more of it is held than `memory`
allows, the rest in a file that the system may page.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    model_serializer,
    model_validator,
)

from corpuscurate.core.artefact import Artefact
from corpuscurate.kernels.duplicates.queries import pair_containments
from corpuscurate.kernels.hashing import HASH_VERSION
from corpuscurate.kernels.text.unicode import WORDS_DESCRIPTION, Words
from corpuscurate.methods.dedup.sketch import Unit
from corpuscurate.methods.dedup.unit_files import Units, room_for
from corpuscurate.methods.embed.base import EmbedderParameters, embedding_batches, embedding_shape
from corpuscurate.methods.embed.corpus import embedding_basis
from corpuscurate.methods.embed.make import embedder_value
from corpuscurate.methods.semantic.clusters import joined
from corpuscurate.methods.semantic.vectors import quantised

_PAIRS = 1 << 12
"""Pairs whose vectors are multiplied at a time."""


class Confirm(BaseModel):
    """What must agree before a document goes: `containment`, or `embedder` with `similarity`."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    containment: float | None = Field(
        None, description="least share of its n-grams that the document which decides has, too", gt=0, le=1
    )
    unit: Unit = Field("words", description="what n-grams are made of, normalised as minhash does")
    words: Words = Field("unicode", description=WORDS_DESCRIPTION)
    ngram: int = Field(2, description="words or characters of an n-gram", ge=1, le=1000)
    embedder: EmbedderParameters | None = Field(None, description="another embedder, in the place of containment")
    similarity: float | None = Field(None, description="least cosine of its embeddings", gt=0, le=1)

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if (self.containment is None) == (self.embedder is None):
            raise ValueError("give `containment`, or `embedder` with `similarity`, and not both")
        if (self.embedder is None) != (self.similarity is None):
            raise ValueError("`embedder` and `similarity`, the least cosine of its embeddings, are given together")
        grams = {"unit": "words", "words": "unicode", "ngram": 2}
        if self.embedder is not None and any(getattr(self, name) != value for name, value in grams.items()):
            raise ValueError(
                f"{', '.join(grams)} say what containment is measured by; leave them out beside `embedder`"
            )
        if self.unit == "characters" and self.words != "unicode":
            raise ValueError(f"words: {self.words} says what a word is, but n-grams are made of characters")
        return self

    @model_serializer(mode="wrap")
    def _given(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        fields = type(self).model_fields
        return {name: value for name, value in dump(self).items() if getattr(self, name) != fields[name].default}

    @property
    def measure(self) -> str:
        """The name of its value: a reason in dropped/, a column in `mode: tag`."""
        return "containment" if self.embedder is None else "second_similarity"

    @property
    def threshold(self) -> float:
        """The least value that agrees."""
        return float(self.containment or self.similarity or 0.0)

    def gathered(self) -> list[Any]:
        """All that the values depend on besides the pairs, JSON-able: not the threshold."""
        if self.embedder is not None:
            return ["confirm", *embedding_basis(self.embedder)]
        return ["confirm", self.unit, self.words, HASH_VERSION]

    def value(self) -> dict[str, Any]:
        """What fingerprints cover: the digest of a model's files in the place of its path."""
        plain = self.model_dump(mode="json", exclude={"embedder"})
        return plain | ({} if self.embedder is None else {"embedder": embedder_value(self.embedder)})


def _containment(value: Any) -> Any:
    """`confirm: 0.3` is short for `confirm: {containment: 0.3}`."""
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return {"containment": value} if number else value


ConfirmParameters = Annotated[
    Confirm, BeforeValidator(_containment, json_schema_input_type=Annotated[float, Field(gt=0, le=1)] | Confirm)
]
"""`confirm:` of a recipe."""


class SecondOpinion(ABC):
    """The confirming values of pairs. ids: uint64[m], ascending, the documents that have something to compare.
    threshold: the least value that agrees."""

    def __init__(self, ids: NDArray[np.uint64], threshold: float) -> None:
        self._ids, self.threshold = ids, threshold

    def values(self, later: NDArray[np.uint64], earlier: NDArray[np.uint64]) -> NDArray[np.float64]:
        """float64[n]: the value of each pair of doc_ids, the document that may go first; nan where there is none.
        Raises RuntimeError for a document that was not gathered."""
        return self._of(self._rows(later), self._rows(earlier))

    def agrees(self, later: NDArray[np.uint64], earlier: NDArray[np.uint64]) -> NDArray[np.bool_]:
        """bool[n]: whether the value reaches the threshold."""
        return self.values(later, earlier) >= self.threshold

    def _rows(self, ids: NDArray[np.uint64]) -> NDArray[np.int64]:
        rows = np.searchsorted(self._ids, ids)
        if len(rows) and (rows.max() >= len(self._ids) or not np.array_equal(self._ids[rows], ids)):
            raise RuntimeError("a near document was not gathered to be confirmed")
        return rows

    @abstractmethod
    def _of(self, later: NDArray[np.int64], earlier: NDArray[np.int64]) -> NDArray[np.float64]:
        """See `values`; rows of the documents."""


class _Containment(SecondOpinion):
    """The share of the n-grams of a document that another one has, from their sorted hashes."""

    def __init__(
        self, files: Sequence[Artefact], ids: NDArray[np.uint64], confirm: Confirm, scratch: Path, share_bytes: int
    ) -> None:
        super().__init__(ids, confirm.threshold)
        units = Units(files, ids, without=True)
        self._sets = room_for(int(units.most_shingles(confirm.ngram).sum()), scratch, share_bytes)
        self._offsets = units.sets(np.arange(len(ids)), confirm.ngram, self._sets)

    def _of(self, later: NDArray[np.int64], earlier: NDArray[np.int64]) -> NDArray[np.float64]:
        found = np.empty(len(later), np.float64)
        pair_containments(later, earlier, self._offsets, self._sets, found)
        return found


class _Cosines(SecondOpinion):
    """Cosines of embeddings in whole numbers (`semantic.vectors`)."""

    def __init__(
        self, files: Sequence[Artefact], ids: NDArray[np.uint64], confirm: Confirm, scratch: Path, share_bytes: int
    ) -> None:
        super().__init__(ids, confirm.threshold)
        dimension = max((embedding_shape(path)[1] for path in files), default=1)
        shape = (len(ids), dimension)
        small = 2 * len(ids) * dimension <= share_bytes
        self._vectors = np.zeros(shape, np.int16) if small else np.memmap(scratch, np.int16, "w+", shape=shape)
        self._squares = np.zeros(len(ids), np.float64)
        for path in files:
            for batch in embedding_batches(path):
                rows = np.minimum(np.searchsorted(ids, batch.ids), max(len(ids) - 1, 0))
                here = np.flatnonzero(ids[rows] == batch.ids) if len(ids) else np.zeros(0, np.int64)
                whole, squares = quantised(batch.rows[here])
                self._vectors[rows[here]], self._squares[rows[here]] = whole, squares

    def _of(self, later: NDArray[np.int64], earlier: NDArray[np.int64]) -> NDArray[np.float64]:
        found = np.empty(len(later), np.float64)
        for start in range(0, len(later), _PAIRS):
            a, b = later[start : start + _PAIRS], earlier[start : start + _PAIRS]
            x, y = (self._vectors[rows].astype(np.float32) for rows in (a, b))
            products = np.einsum("ij,ij->i", x, y).astype(np.float64)
            with np.errstate(invalid="ignore"):  # 0 / 0, where one has no direction: nan
                found[start : start + _PAIRS] = products / np.sqrt(self._squares[a] * self._squares[b])
        return found


@dataclass(frozen=True, slots=True)
class Confirming:
    """What was gathered of the documents in near pairs. wanted: their doc_ids, files: units or embeddings, each a file
    a split."""

    confirm: Confirm
    wanted: tuple[Artefact, ...]
    files: tuple[Artefact, ...]

    def opinion(self, scratch: Path, share_bytes: int, ids: NDArray[np.uint64] | None = None) -> SecondOpinion:
        """The values of all these documents, or of `ids` (ascending). scratch: a file for what exceeds share_bytes."""
        if ids is None:
            ids = joined([np.load(path) for path in self.wanted], np.uint64)
        kind = _Containment if self.confirm.embedder is None else _Cosines
        return kind(self.files, ids, self.confirm, scratch, share_bytes)
