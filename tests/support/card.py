"""A card that is none: models that ask for a card and compute on the CPU, through the process of a card.

Everything but the device is what a card's run has: planning, tokens by workers, a spawned process, pools, files.
"""

from __future__ import annotations

from typing import Literal

from corpuscurate.core.stage import Resources
from corpuscurate.methods.embed.sentence import SentenceTransformers
from corpuscurate.methods.embed.sequence import SequenceClassification


class OnCard(SentenceTransformers):
    """`sentence-transformers` on that card."""

    kind: Literal["on-card"] = "on-card"

    @property
    def resources(self) -> Resources:
        """A card, of the kind cpu."""
        return Resources(gpus=1)


class ScoresOnCard(SequenceClassification):
    """`sequence-classification` on that card."""

    @property
    def resources(self) -> Resources:
        """A card, of the kind cpu."""
        return Resources(gpus=1)
