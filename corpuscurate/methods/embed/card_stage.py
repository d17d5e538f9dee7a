"""A streaming stage whose model runs on a card, as the global stage that a run performs in its place.

Its sketches are tokens, made by the workers of the measuring pass; its settle step has the card compute them. A stage
plans itself so (`Stage.planned`) where `needs_card` says yes:

    class Embed(StreamingStage):
        def planned(self): return EmbedOnCard(name=self.name, mode=self.mode, of=self) if needs_card(...) else self
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pyarrow as pa
from pydantic import SkipValidation

from corpuscurate.core.batch import Batch
from corpuscurate.core.corpus import Corpus
from corpuscurate.core.stage import GlobalStage, Resources, StreamingStage
from corpuscurate.methods.embed.card import AskCard, ByCard, OnTokens, rows_by_card


def needs_card(value: Any) -> bool:
    """Whether parameters of a model ask for a card, and it can compute from tokens alone."""
    resources = getattr(value, "resources", None)
    return isinstance(resources, Resources) and resources.gpus > 0 and hasattr(value, "tokeniser")


class CardStage(GlobalStage):
    """What all such stages have in common. of: the streaming stage, whose name, parameters and columns it has.

    A subclass has the word and version of the streaming stage, is not `listed`, and says how it settles.
    """

    of: SkipValidation[StreamingStage]

    def on_tokens(self) -> OnTokens:
        """The model."""
        raise TypeError(f"{type(self).__name__} defines no on_tokens()")

    def reads(self) -> tuple[str, ...]:
        """As the streaming stage."""
        return self.of.reads()

    def adds(self) -> Mapping[str, pa.DataType]:
        """As the streaming stage."""
        return self.of.adds()

    def origin(self, measure: str) -> Any:
        """As the streaming stage."""
        return self.of.origin(measure)

    def measures(self) -> Mapping[str, pa.DataType]:
        """As the streaming stage."""
        return self.of.measures()

    def rules(self) -> Mapping[str, float | None]:
        """As the streaming stage."""
        return self.of.rules()

    def parameters(self) -> dict[str, Any]:
        """As the streaming stage."""
        return self.of.parameters()

    def identity(self) -> dict[str, Any]:
        """As the streaming stage."""
        return self.of.identity()

    @property
    def packages(self) -> tuple[str, ...]:
        """As the streaming stage."""
        return self.of.packages

    @property
    def resources(self) -> Resources:
        """As the streaming stage."""
        return self.of.resources

    def ahead_on_card(self) -> AskCard:
        """The model is loaded while the workers tokenise."""
        return AskCard(self.on_tokens())

    def sketch_schema(self) -> pa.Schema:
        """Tokens."""
        return self.on_tokens().tokeniser().schema

    def sketch(self, batch: Batch) -> dict[str, pa.Array]:
        """The tokens of a batch."""
        return self.on_tokens().tokeniser().tokens(batch.text).columns()

    def compute(self, corpus: Corpus, basis: Any) -> ByCard:
        """The rows of all documents that are alive. basis: everything they depend on besides these."""
        sketches = corpus.sketches()
        dropped = [corpus.dropped(split) for split in range(len(sketches))]
        return rows_by_card(corpus, self.on_tokens(), sketches, basis=basis, dropped=dropped)
