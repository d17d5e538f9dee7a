"""`embed`: a vector for each document, as a column."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import pyarrow as pa
from pydantic import Field, field_validator

from corpuscurate.core.batch import Batch
from corpuscurate.core.corpus import Corpus, Settled
from corpuscurate.core.stage import Note, Outcome, Resources, Stage, StreamingStage
from corpuscurate.methods.embed.base import (
    EMBEDDING,
    EmbedderParameters,
    Parameters,
    embedding_column,
    embedding_type,
)
from corpuscurate.methods.embed.card import OnTokens, disk_bytes
from corpuscurate.methods.embed.card_stage import CardStage, needs_card
from corpuscurate.methods.embed.column import Column
from corpuscurate.methods.embed.corpus import embedding_basis
from corpuscurate.methods.embed.make import dimension_of, embedder_value, known_dimension, make_embedder
from corpuscurate.methods.embed.noted import Noted, check_noted, checked_finite, note_masks, note_warnings


class Embed(StreamingStage):
    """Adds `<label>.embedding`, a vector of length 1 for each document: zeros where it has nothing to embed, or most of
    its tokens are unknown to the model.

    Stages that work on embeddings make their own; use this one to have them in the output, or to share one embedding
    among several such stages: `embedding: embed.embedding`. The text is embedded as it stands at this point of the
    pipeline. A `learned` embedder needs the folder of a model that was fitted before (`model`), since
    fitting needs the whole corpus once: a head that was trained on one has it in its folder (`quality/embedder`).
    """

    word = "embed"

    embedder: EmbedderParameters = Field(
        description="what makes vectors of documents", examples=[{"kind": "static", "model": "potion-base-8M"}]
    )

    @field_validator("embedder")
    @classmethod
    def _can_stream(cls, value: Parameters) -> Parameters:
        if isinstance(value, Column):
            raise ValueError("the vectors are in a column already: there is nothing to embed")
        if value.sample_to_fit():
            raise ValueError(
                f"`{value.kind}` needs `model`, the folder of a fitted model, here: fitting needs the whole corpus "
                "once. A head trained on learned embeddings has one in its folder, `embedder`. Stages that work on "
                "embeddings fit their own"
            )
        return value

    def identity(self) -> dict[str, Any]:
        """The parameters, with the digest of the model's files in the place of its path."""
        return {**super().identity(), "embedder": embedder_value(self.embedder)}

    @property
    def packages(self) -> tuple[str, ...]:
        """Those of the embedder."""
        return self.embedder.distributions

    @property
    def resources(self) -> Resources:
        """Those of the embedder."""
        return self.embedder.resources

    def planned(self) -> Stage:
        """With a model on a card, a global stage: workers tokenise, a process of the card computes."""
        return EmbedOnCard(name=self.name, mode=self.mode, of=self) if needs_card(self.embedder) else self

    def adds(self) -> Mapping[str, pa.DataType]:
        """The vectors."""
        return {EMBEDDING: embedding_type(dimension_of(self.embedder))}

    def origin(self, measure: str) -> Any:
        """The embedder, with the digest of the model's files in the place of its path."""
        return embedder_value(self.embedder)

    def apply(self, batch: Batch) -> Outcome:
        """Embed the batch."""
        found = make_embedder(self.embedder).embed(batch.text)
        rows = checked_finite(found, batch.doc_id, self.embedder)
        return Outcome(columns={EMBEDDING: embedding_column(rows)}, noted=note_masks(found.notes))

    def warnings(self, noted: Mapping[str, Note], documents: int) -> list[str]:
        """Texts of unknown tokens, and those of which the model read the head alone."""
        return note_warnings(Noted.told(noted), documents, self.embedder)


class EmbedOnCard(CardStage):
    """`embed` with a model on a card."""

    word = Embed.word
    listed: ClassVar[bool] = False
    version: ClassVar[int] = Embed.version

    def on_tokens(self) -> OnTokens:
        """The embedder."""
        model: OnTokens = self.of.embedder  # type: ignore[attr-defined]
        return model

    def disk_bytes(self, text_bytes: int) -> int:
        """Tokens and vectors."""
        embedder: Parameters = self.of.embedder  # type: ignore[attr-defined]
        return disk_bytes(embedder, text_bytes, 4 * known_dimension(embedder))

    def sketch_parameters(self) -> dict[str, Any]:
        """What tokens depend on."""
        return self.identity()

    def settle(self, corpus: Corpus) -> Settled:
        """The vectors, as the column of all documents. Raises InputError where the model gave NaN or infinity."""
        embedder: Parameters = self.of.embedder  # type: ignore[attr-defined]
        made = self.compute(corpus, embedding_basis(embedder))
        check_noted(made.noted, embedder)
        return Settled([], made.files, {**made.stats, "warnings": note_warnings(made.noted, made.documents, embedder)})
