"""Stages for tests of recipes: what the messages say must not change when the catalogue grows."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import pyarrow as pa
import pytest
from pydantic import BaseModel, ConfigDict, Field, model_validator

import corpuscurate.core.stage as stage_module
from corpuscurate.core.spec import Bytes
from corpuscurate.core.stage import GlobalStage, Stage, StreamingStage, stage_classes


def register_toys(monkeypatch: pytest.MonkeyPatch) -> dict[str, type[Stage]]:
    """Only these stages are known until the test ends; the registry is as before after it."""
    stage_classes()
    monkeypatch.setattr(stage_module, "_REGISTRY", {})

    class Minhash(GlobalStage):
        """Near duplicates."""

        word = "minhash"
        threshold: float = Field(0.8, gt=0, le=1, description="least similarity")
        words: tuple[str, ...] = ()
        bands: int | Literal["auto"] = "auto"
        room: Bytes = Field(1 << 30, ge=1 << 20)

        def rules(self) -> dict[str, float | None]:
            return {"near": self.threshold}

    class Length(StreamingStage):
        """Short documents."""

        word = "length"
        min_words: int | None = Field(None, ge=0)
        max_words: int | None = Field(None, ge=0)

        @model_validator(mode="after")
        def _order(self) -> Any:
            if self.min_words is not None and self.max_words is not None and self.min_words > self.max_words:
                raise ValueError(f"min_words ({self.min_words}) is above max_words ({self.max_words})")
            return self

        def rules(self) -> dict[str, float | None]:
            return {"too_short": self.min_words}

        def measures(self) -> dict[str, pa.DataType]:
            return {"words": pa.int64()}

    class Where(StreamingStage):
        """A condition."""

        word = "where"
        expression: str
        columns: tuple[str, ...] = ()

        def reads(self) -> tuple[str, ...]:
            return self.columns

        def rules(self) -> dict[str, float | None]:
            return {"false": None}

    class Normalize(StreamingStage):
        """One form."""

        word = "normalize"
        shorthand = "form"
        form: Literal["NFC", "NFKC"] = "NFC"

    class Score(StreamingStage):
        """A column."""

        word = "score"

        def adds(self) -> dict[str, pa.DataType]:
            return {"value": pa.float64()}

    class Learned(BaseModel):
        model_config = ConfigDict(extra="forbid", strict=True)
        kind: Literal["learned"]
        dimensions: int = Field(ge=2, le=4096)

    class Table(BaseModel):
        model_config = ConfigDict(extra="forbid", strict=True)
        kind: Literal["table"]
        path: str = Field(min_length=1)

    class Embed(StreamingStage):
        """Vectors."""

        word = "embed"
        embedder: Annotated[Learned | Table, Field(discriminator="kind")]
        weights: tuple[Annotated[float, Field(gt=0)], ...] = ()

    return {cls.word: cls for cls in (Minhash, Length, Where, Normalize, Score, Embed)}
