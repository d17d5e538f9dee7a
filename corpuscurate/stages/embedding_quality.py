"""`embedding_quality`: the score of a head on embeddings, as a column and as a filter."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from pydantic import Field, model_validator

from corpuscurate.core.artefact import Artefact
from corpuscurate.core.batch import Batch
from corpuscurate.core.columns import to_numpy
from corpuscurate.core.corpus import DROPS, Corpus, Settled
from corpuscurate.core.errors import InputError, RecipeError
from corpuscurate.core.filter import Filter
from corpuscurate.core.local_path import FromRecipe
from corpuscurate.core.run_folder import ROWS
from corpuscurate.core.stage import Note, Outcome, Resources, Stage
from corpuscurate.core.tables import read_table, table_writer
from corpuscurate.methods.embed.base import (
    EMBEDDING,
    NOT_FINITE,
    NOTES,
    ByKind,
    Embedded,
    Parameters,
    embedding_rows,
    noted_rows,
    of_a_column,
)
from corpuscurate.methods.embed.card import OnTokens, disk_bytes
from corpuscurate.methods.embed.card_stage import CardStage, needs_card
from corpuscurate.methods.embed.column import Column
from corpuscurate.methods.embed.corpus import embedding_basis
from corpuscurate.methods.embed.make import embedder_value, known_dimension, make_embedder
from corpuscurate.methods.embed.noted import Noted, check_noted, checked_finite, note_masks, note_warnings
from corpuscurate.methods.embed.sequence import (
    SCORE,
    Scored,
    SequenceClassification,
    SequenceScores,
    make_sequence_scorer,
    output_of,
    resolve_sequence,
    sequence_value,
)
from corpuscurate.methods.embed.vectors import vectors
from corpuscurate.methods.quality.heads import as_units, check_embedder, head_digest, read_head

Scoring = Annotated[Parameters | SequenceClassification, ByKind(more=(SequenceClassification,))]


class EmbeddingQuality(Filter):
    """Scores each document by a head on its embedding, as FineWeb-Edu did, and drops those outside the bounds.

    The score is in the unit of the labels that the head was trained on: grades such as 0..5 for a regression (not cut
    off at its ends), a probability for a head of classes. It is always added as the column `<stage>.score`. A document
    with nothing to embed has no score (null); it is dropped under `min_score`, and passes without that bound.

    `head` is a folder that `corpuscurate train quality` made. It knows its embedder; another one, or the same with
    other files, is refused. To embed once for several stages, name the head's own embedder in `embed` and its column in
    each of them. One that was learned with the head lies in the head's folder:

        - embed: {embedder: {kind: learned, model: quality/embedder}}
        - embedding_quality: {head: quality, min_score: 3, embedding: embed.embedding}
        - semantic: {threshold: 0.95, embedding: embed.embedding}

    A transformer with a head of its own needs no `head`:
    `embedder: {kind: sequence-classification, model: HuggingFaceFW/fineweb-edu-classifier}`.
    """

    word = "embedding_quality"
    source = "Penedo et al. 2024 (FineWeb-Edu), arXiv 2406.17557, section 4"
    shorthand = "head"
    measured: ClassVar[Mapping[str, pa.DataType]] = {"score": pa.float64()}

    head: Annotated[str | None, FromRecipe()] = Field(
        None, description="folder with head.json and head.safetensors; relative to the recipe", examples=["quality"]
    )
    embedder: Scoring | None = Field(None, description="what makes vectors of documents; the head's own where left out")
    target: str | None = Field(None, description="the label whose probability counts, of a head of classes")
    min_score: float | None = Field(None, description="least score that is kept", allow_inf_nan=False)
    max_score: float | None = Field(None, description="greatest score that is kept", allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _embedding_of_a_column(cls, value: Any) -> Any:
        """`embedding: NAME` is short for `embedder: {kind: column, column: NAME}`."""
        return of_a_column(value)

    @model_validator(mode="after")
    def _one_head(self) -> EmbeddingQuality:
        own = isinstance(self.embedder, SequenceClassification)
        if own and self.head is not None:
            raise ValueError("a sequence-classification model has a head of its own: leave `head` out")
        if not own and self.head is None:
            raise ValueError(
                "`head` is needed, the folder of a trained head; or `embedder: {kind: sequence-classification, model:"
                " ...}`, which has its own"
            )
        if isinstance(self.embedder, Parameters) and self.embedder.sample_to_fit():
            raise ValueError(
                f"`{self.embedder.kind}` needs `model` here: the folder of the model that the head was trained with,"
                " `embedder` in the head's own where it was learned with it. Or leave `embedder` out: the head knows"
                " its own"
            )
        return self

    def reads(self) -> tuple[str, ...]:
        """The column with embeddings, where there is one."""
        return (self.embedder.column,) if isinstance(self.embedder, Column) else ()

    def adds(self) -> Mapping[str, pa.DataType]:
        """The score."""
        return self.measured

    def measures(self) -> Mapping[str, pa.DataType]:
        """Nothing beyond the score, which is always there."""
        return {}

    def rules(self) -> Mapping[str, float | None]:
        """The bounds in force; under `min_score`, also the lack of a score."""
        return {**self.bounds(), "no_score": None} if self.min_score is not None else self.bounds()

    def check_origins(self, origins: Mapping[str, Any]) -> None:
        """The head was trained on what made the column."""
        for name, origin in origins.items():
            if self.head is None or not isinstance(origin, dict):
                raise RecipeError(f"the column {name!r} holds no embeddings of an embedder.")
            check_embedder(read_head(self.head), origin, f"{name} made with")

    def identity(self) -> dict[str, Any]:
        """The parameters, with digests of the head's and the model's files in the place of their paths.

        Raises RecipeError where they cannot be used or don't belong together.
        """
        if isinstance(self.embedder, SequenceClassification):
            output_of(resolve_sequence(self.embedder.model), self.target)
            return {**super().identity(), "embedder": sequence_value(self.embedder)}
        assert self.head is not None  # noqa: S101  by _one_head
        head = read_head(self.head)
        head.output(self.target)
        parameters = self.vectors()
        value = embedder_value(parameters)
        if not isinstance(parameters, Column):
            check_embedder(head, value, "the recipe has")
        return {**super().identity(), "head": head_digest(Path(self.head)), "embedder": value}

    def planned(self) -> Stage:
        """With a model on a card, a global stage: workers tokenise, a process of the card computes."""
        return EmbeddingQualityOnCard(name=self.name, mode=self.mode, of=self) if needs_card(self.model()) else self

    def model(self) -> Any:
        """What works on tokens, or makes vectors: the model of scores, or of the vectors that the head scores."""
        own = self.embedder
        return SequenceScores(own, self.target) if isinstance(own, SequenceClassification) else self.vectors()

    def vectors(self) -> Parameters:
        """What makes the vectors: as given, or as the head was trained."""
        assert self.head is not None  # noqa: S101  by _one_head
        if self.embedder is None or isinstance(self.embedder, SequenceClassification):
            return read_head(self.head).embedder()
        return self.embedder

    @property
    def packages(self) -> tuple[str, ...]:
        """Those of the embedder that the recipe names."""
        return () if self.embedder is None else self.embedder.distributions

    @property
    def resources(self) -> Resources:
        """Those of the embedder; where the head's own cannot be read yet, none."""
        if self.embedder is not None:
            return self.embedder.resources
        try:
            return self.vectors().resources
        except RecipeError:
            return Resources()

    def measure(self, batch: Batch) -> Mapping[str, NDArray[Any]]:
        """The scores; nan where there is none."""
        return {"score": self._scored(batch).scores}

    def _scored(self, batch: Batch) -> Scored:
        if isinstance(self.embedder, SequenceClassification):
            scored = make_sequence_scorer(self.embedder, self.target).scored(batch.text)
            return Scored(_finite(scored.scores, batch.doc_id, self.embedder), scored.notes)
        assert self.head is not None  # noqa: S101  by _one_head
        head = read_head(self.head)
        if isinstance(self.embedder, Column):
            wide = _rows(batch.columns[self.embedder.column], self.embedder.column, head.settings.dimension)
            checked_finite(noted_rows(wide), batch.doc_id, self.embedder)
            return Scored(head.score(as_units(wide), self.target), np.zeros(len(wide), np.uint8))
        found = make_embedder(self.vectors()).embed(batch.text)
        rows = checked_finite(found, batch.doc_id, self.vectors())
        return Scored(head.score(rows, self.target), found.notes)

    def apply(self, batch: Batch) -> Outcome:
        """Score, and hold the scores against the bounds."""
        found = self._scored(batch)
        return replace(self.judged(found.scores), noted=note_masks(found.notes))

    def warnings(self, noted: Mapping[str, Note], documents: int) -> list[str]:
        """Texts of unknown tokens, and those of which the model read the head alone."""
        return note_warnings(Noted.told(noted), documents, self.embedder or self.vectors(), scores=True)

    def judged(self, scores: NDArray[np.float64]) -> Outcome:
        """The outcome of scores, nan where there is none."""
        reason, value = self.judge({"score": scores}, len(scores))
        if self.min_score is not None:
            reason[np.isnan(scores)] = len(self.bounds()) + 1
        return Outcome(columns={"score": pa.array(scores, pa.float64(), from_pandas=True)}, reason=reason, value=value)


class EmbeddingQualityOnCard(CardStage):
    """`embedding_quality` with a model on a card."""

    word = EmbeddingQuality.word
    listed: ClassVar[bool] = False
    version: ClassVar[int] = EmbeddingQuality.version

    @property
    def _quality(self) -> EmbeddingQuality:
        assert isinstance(self.of, EmbeddingQuality)  # noqa: S101  by `planned`
        return self.of

    def on_tokens(self) -> OnTokens:
        """The model: of scores, or of the vectors that the head scores."""
        found: OnTokens = self._quality.model()
        return found

    def _basis(self) -> list[Any]:
        own = self._quality.embedder
        if isinstance(own, SequenceClassification):
            return ["scores", sequence_value(own), self._quality.target]
        return embedding_basis(self._quality.vectors())

    def disk_bytes(self, text_bytes: int) -> int:
        """Tokens, vectors where a head scores them, and scores."""
        own = self._quality.embedder
        if isinstance(own, SequenceClassification):
            return disk_bytes(own, text_bytes, 2 * _SCORE_BYTES)
        vectors = self._quality.vectors()
        return disk_bytes(vectors, text_bytes, 4 * known_dimension(vectors) + _SCORE_BYTES)

    def sketch_parameters(self) -> dict[str, Any]:
        """What tokens depend on: not the bounds."""
        return {"tokens of": self._basis()}

    def settle(self, corpus: Corpus) -> Settled:
        """Scores of all documents as a column, and what lies outside the bounds."""
        made = self.compute(corpus, self._basis())
        done = corpus.run([Judge(split, rows, self._quality) for split, rows in enumerate(made.files)], "judging")
        counts = [each.result["reasons"] for each in done]
        told = {name: sum(each[number] for each in counts) for number, name in enumerate(self.rules())}
        drops = [each.files[_DROPS] for each in done]
        model = self._quality.embedder or self._quality.vectors()
        warnings = note_warnings(made.noted, made.documents, model, scores=True)
        stats = {**made.stats, "reasons": told, "warnings": warnings}
        return Settled(drops, [each.files[ROWS] for each in done], stats)


_DROPS = "drops.arrow"
_SCORE_BYTES = 8


@dataclass(frozen=True, slots=True)
class Judge:
    """Scores the rows of a split, and holds them against the bounds."""

    split: int
    rows: Artefact
    quality: EmbeddingQuality

    @property
    def key(self) -> str:
        """A folder a split."""
        return f"judge-{self.split:05d}"

    def run(self, folder: Path) -> dict[str, Any]:
        """Write rows.arrow (doc_id, score) and drops.arrow."""
        quality = self.quality
        counts = np.zeros(len(quality.rules()) + 1, np.int64)
        schema = pa.schema([("doc_id", pa.uint64()), (SCORE, pa.float64())])
        with table_writer(folder / ROWS, schema) as tags, table_writer(folder / _DROPS, DROPS) as drops:
            for batch in read_table(self.rows).to_batches():
                outcome = quality.judged(self._scores(batch))
                tags.write(pa.RecordBatch.from_arrays([batch.column("doc_id"), outcome.columns[SCORE]], schema=schema))
                assert outcome.reason is not None  # noqa: S101  by `judged`
                counts += np.bincount(outcome.reason, minlength=len(counts))
                out = pa.array(outcome.reason > 0)
                value = pa.array(outcome.value, from_pandas=True)
                told = [each.filter(out) for each in (batch.column("doc_id"), pa.array(outcome.reason), value)]
                nothing = [pa.nulls(len(told[0]), kind) for kind in DROPS.types[3:]]
                drops.write(pa.RecordBatch.from_arrays([*told, *nothing], schema=DROPS))
        return {"reasons": counts[1:].tolist()}

    def _scores(self, batch: pa.RecordBatch) -> NDArray[np.float64]:
        ids = to_numpy(batch.column("doc_id"))
        if SCORE in batch.schema.names:
            assert isinstance(self.quality.embedder, SequenceClassification)  # noqa: S101  it made the scores
            return _finite(to_numpy(batch.column(SCORE)), ids, self.quality.embedder)
        assert self.quality.head is not None  # noqa: S101  vectors are scored by a head
        found = Embedded(embedding_rows(batch.column(EMBEDDING)), to_numpy(batch.column(NOTES)))
        rows = checked_finite(found, ids, self.quality.vectors())
        return read_head(self.quality.head).score(rows, self.quality.target)


def _finite(
    scores: NDArray[np.float64], ids: NDArray[np.uint64], embedder: SequenceClassification
) -> NDArray[np.float64]:
    """The scores of documents. Raises InputError for infinity."""
    check_noted(Noted().with_batch(ids, np.where(np.isinf(scores), NOT_FINITE, 0).astype(np.uint8)), embedder)
    return scores


def _rows(column: pa.Array, name: str, dimension: int) -> NDArray[np.float32]:
    """A column of embeddings as rows float32[n, dimension]; null and empty lists as zero rows.

    Raises InputError for lists of another length.
    """
    lists = vectors(column, name)
    sizes = to_numpy(pc.fill_null(pc.list_value_length(lists), 0))
    wrong = np.setdiff1d(sizes, [0, dimension])
    if len(wrong):
        raise InputError(
            f"the column {name!r} holds embeddings of {int(wrong[0])} numbers, and the head was trained on embeddings"
            f" of {dimension}: they are of another embedder."
        )
    rows = np.zeros((len(lists), dimension), np.float32)
    there = sizes == dimension
    rows[there] = to_numpy(lists.filter(pa.array(there)).flatten()).reshape(-1, dimension)
    return rows
