"""What a trainer is: it learns from documents with labels, and what it has learned gives each label's probability."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pydantic import BaseModel

from corpuscurate.tools.train.data import Documents


class Classifier(Protocol):
    """A trained model."""

    def probabilities(self, text: pa.LargeStringArray) -> NDArray[np.float64]:
        """float64[n, labels], in the order of `Documents.names`; rows sum to 1."""

    def wanted(self, positive: int) -> NDArray[np.bool_]:
        """bool[labels]: which labels count as positive where the recipe names one: it alone, or of grades all from it
        on."""

    def scores(self, text: pa.LargeStringArray) -> NDArray[np.float64] | None:
        """float64[n], the score that a run cuts by, where that is not the probability of the positive label."""

    def words(self, label: int, count: int) -> dict[str, list[tuple[str, float]]]:
        """The words that speak most for and against a label, with their weights: {"for": ..., "against": ...}."""

    @property
    def chosen_parameters(self) -> dict[str, Any]:
        """The values of parameters that the recipe left to the trainer; the card shows them."""

    def compact(self) -> Classifier | None:
        """A smaller form of the same model, where the parameters ask for one and the trainer has one."""

    def notes(self) -> list[str]:
        """What the user has to know: what was done in part, or costs more than it must. Sentences."""

    def save(self, folder: Path) -> list[str]:
        """Write the model into `folder`; the names of its files, the main one first."""

    def own_evaluation(self, documents: Documents, rows: NDArray[np.int64]) -> dict[str, Any]:
        """What the training library itself says of held-out rows, for comparison; empty where it says nothing."""

    def use(self, folder: str, label: str) -> dict[str, Any]:
        """The recipe stage that scores with this model."""


class Trainer(Protocol):
    """A way to train."""

    @property
    def name(self) -> str:
        """The word in recipes."""

    @property
    def parameters_model(self) -> type[BaseModel]:
        """What `parameters` is checked against."""

    def check(self, parameters: Any) -> None:
        """Raises MissingExtraError where a package is missing."""

    def train(
        self, documents: Documents, labels: NDArray[np.int64], rows: NDArray[np.int64], parameters: Any, folder: Path
    ) -> Classifier:
        """Learn from some rows. labels: int64[n], of all documents. folder: for temporary files."""


TRAINERS: dict[str, Trainer] = {}


def register(trainer: Trainer) -> Trainer:
    """Make a trainer known under its name."""
    TRAINERS[trainer.name] = trainer
    return trainer
