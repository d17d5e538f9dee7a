"""`fasttext_quality`: the score of a fastText classifier, as a column and as a filter."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pydantic import Field

from corpuscurate.core.batch import Batch
from corpuscurate.core.filter import Filter
from corpuscurate.core.local_path import LocalPath
from corpuscurate.core.stage import Outcome
from corpuscurate.methods.quality.fasttext_model import file_digest, read_model
from corpuscurate.methods.quality.fasttext_scorer import scorer


class FasttextQuality(Filter):
    """Scores each document with a supervised fastText model and drops those outside the bounds.

    The score is the probability that fastText's own `predict` reports for the label, at most 1: 1e-5 above the plain
    probability, as there, so that published thresholds mean the same. It is always added as the column
    `<stage>.score`. A document is one line to fastText: its line ends count as spaces. A document without any feature
    that the model knows has no score (null); it is dropped under `min_score`, and passes without that bound.

    Without bounds nothing is dropped: `keep_best` cuts by a fraction. A threshold fits the corpus it was chosen on
    (DCLM's 0.018112 is the top 10 % of *its* pool): choose yours with `keep_best` or `corpuscurate tune quality`.
    """

    word = "fasttext_quality"
    version = 3
    source = "Joulin et al. 2016, arXiv 1607.01759; as a quality filter: Li et al. 2024 (DCLM), arXiv 2406.11794"
    measured: ClassVar[Mapping[str, pa.DataType]] = {"score": pa.float64()}

    model: LocalPath = Field(description="the model file, .bin or .ftz; relative to the recipe", examples=["hq.bin"])
    target: str = Field(description="the label whose score counts, with or without __label__", min_length=1)
    min_score: float | None = Field(None, description="least score that is kept", ge=0, le=1)
    max_score: float | None = Field(None, description="greatest score that is kept", ge=0, le=1)

    def adds(self) -> Mapping[str, pa.DataType]:
        """The score."""
        return self.measured

    def measures(self) -> Mapping[str, pa.DataType]:
        """Nothing beyond the score, which is always there."""
        return {}

    def rules(self) -> Mapping[str, float | None]:
        """The bounds in force; under `min_score`, also the lack of a score."""
        return {**self.bounds(), "no_score": None} if self.min_score is not None else self.bounds()

    def identity(self) -> dict[str, Any]:
        """The parameters, with the digest of the model's content in the place of its path.

        Raises InputError where the model cannot be used or lacks the label.
        """
        read_model(self.model).label_index(self.target)
        return {**super().identity(), "model": f"xxh3-64:{file_digest(self.model)}"}

    def measure(self, batch: Batch) -> Mapping[str, NDArray[Any]]:
        """The scores; nan where there is none."""
        return {"score": scorer(self.model, self.target).score(batch.text)}

    def apply(self, batch: Batch) -> Outcome:
        """Score, and hold the scores against the bounds."""
        found = self.measure(batch)
        reason, value = self.judge(found, len(batch))
        scores = found["score"]
        if self.min_score is not None:
            reason[np.isnan(scores)] = len(self.bounds()) + 1
        return Outcome(columns={"score": pa.array(scores, pa.float64(), from_pandas=True)}, reason=reason, value=value)
