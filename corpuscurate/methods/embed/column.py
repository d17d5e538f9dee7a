"""Embeddings that are in a column already: nothing is embedded, so there is no embedder."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from corpuscurate.methods.embed.base import Parameters


class Column(Parameters):
    """Embeddings that are already there, in a column of lists of numbers; rows are brought to length 1."""

    kind: Literal["column"] = "column"
    column: str = Field(description="the column's name; `embed.embedding` for what an `embed` stage made", min_length=1)

    def row_length(self) -> int:
        """Not known."""
        raise ValueError("the length of embeddings in a column is not known before it is read")
