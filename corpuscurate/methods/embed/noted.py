"""The notes of a corpus's embeddings, counted, and what the user is told of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from corpuscurate.core.errors import InputError
from corpuscurate.core.stage import Note
from corpuscurate.methods.embed.base import CUT, NOT_FINITE, UNKNOWN, Embedded, Parameters
from corpuscurate.methods.embed.column import Column
from corpuscurate.methods.embed.sequence import SequenceClassification

COUNTED = {"unknown": UNKNOWN, "cut": CUT, "not_finite": NOT_FINITE}


@dataclass(frozen=True, slots=True)
class Noted:
    """How many documents have each note of `COUNTED`, and the lowest doc_id of them."""

    counts: Mapping[str, int] = field(default_factory=lambda: dict.fromkeys(COUNTED, 0))
    first: Mapping[str, int] = field(default_factory=dict)

    @staticmethod
    def of(value: Mapping[str, Any]) -> Noted:
        """From what `value` gives."""
        return Noted(dict(value["counts"]), dict(value["first"]))

    @staticmethod
    def told(noted: Mapping[str, Note]) -> Noted:
        """From what the engine counted of `note_masks`."""
        counts = {name: noted[name].count if name in noted else 0 for name in COUNTED}
        return Noted(counts, {name: note.first for name, note in noted.items()})

    def value(self) -> dict[str, Any]:
        """JSON-able."""
        return {"counts": dict(self.counts), "first": dict(self.first)}

    def with_batch(self, ids: NDArray[np.uint64], notes: NDArray[np.uint8]) -> Noted:
        """These and further documents. ids: doc_id uint64[m], ascending; notes: uint8[m]."""
        counts, first = dict(self.counts), dict(self.first)
        for name, bit in COUNTED.items():
            found = ids[notes & bit > 0]
            if len(found):
                counts[name] += len(found)
                first[name] = min(int(found[0]), first.get(name, int(found[0])))
        return Noted(counts, first)


def joined_notes(parts: Sequence[Noted]) -> Noted:
    """Those of several files."""
    return Noted(
        {name: sum(part.counts[name] for part in parts) for name in COUNTED},
        {
            name: min(part.first[name] for part in parts if name in part.first)
            for name in COUNTED
            if any(name in part.first for part in parts)
        },
    )


def note_masks(notes: NDArray[np.uint8]) -> dict[str, NDArray[np.bool_]]:
    """For `Outcome.noted`: bool[n] for each of `COUNTED`."""
    return {name: notes & bit > 0 for name, bit in COUNTED.items()}


def note_warnings(
    noted: Noted, documents: int, embedder: Parameters | SequenceClassification, *, scores: bool = False
) -> list[str]:
    """What the user is told. documents: in all. scores: whether documents were scored, not compared."""
    warnings = []
    name = model_name(embedder)
    if noted.counts["not_finite"]:
        warnings.append(
            f"{_share(noted, 'not_finite', documents)} have an embedding with NaN or infinity in it, from {name}: they "
            "count as documents without an embedding, and nothing is decided from it. Half precision that overflowed "
            "does this; mend the embeddings"
        )
    if noted.counts["unknown"]:
        most = getattr(embedder, "max_unknown_ratio", 0)
        warnings.append(
            f"{_share(noted, 'unknown', documents)} have no embedding: more than {most:g} of their tokens are unknown "
            f"to {name}, so they {'have no score' if scores else 'are never duplicates'}. Take a model for their "
            "languages, or `kind: learned`"
        )
    if noted.counts["cut"]:
        warnings.append(
            f"{_share(noted, 'cut', documents)} are longer than the tokens that {name} reads at once, and were "
            f"{'scored' if scores else 'judged'} by their heads alone"
            f"{'' if scores else ': those that share a heading look alike'}. `window: mean` reads them whole"
        )
    return warnings


def refuse_not_finite(noted: Noted, documents: int, stage: str, embedder: Parameters) -> None:
    """Raise InputError, with the name of the stage, where there are embeddings with NaN or infinity."""
    if noted.counts["not_finite"]:
        raise InputError(
            f"{stage}: {_share(noted, 'not_finite', documents)} have an embedding with NaN or infinity in it, from "
            f"{model_name(embedder)}: no choice can be made among them. Half precision that overflowed does this; mend "
            "the embeddings, or leave such documents out."
        )


def checked_finite(found: Embedded, ids: NDArray[np.uint64], embedder: Parameters) -> NDArray[np.float32]:
    """The rows of documents of a stream. Raises InputError where a model gave NaN or infinity."""
    check_noted(Noted().with_batch(ids, found.notes), embedder)
    return found.rows


def check_noted(noted: Noted, embedder: Parameters | SequenceClassification) -> None:
    """Raises InputError where a model gave NaN or infinity for a document."""
    if noted.counts["not_finite"]:
        raise InputError(
            f"{model_name(embedder)} gave NaN or infinity for the document with doc_id {noted.first['not_finite']}. "
            "Half precision that overflowed does this: use `half: false`, or on a card `precision: bfloat16`, or leave "
            "such documents out."
        )


def model_name(embedder: Parameters | SequenceClassification) -> str:
    """Where the embeddings, or scores, are from, for people."""
    if isinstance(embedder, Column):
        return f"the column {embedder.column!r}"
    model = getattr(embedder, "model", None)
    return f"the embedder {embedder.kind!r}" + (f" ({model})" if model else "")


def _share(noted: Noted, name: str, documents: int) -> str:
    count = noted.counts[name]
    percent = 100 * count / max(1, documents)
    return f"{count:,} of {documents:,} documents ({percent:.1f} %; such as doc_id {noted.first[name]})"
