"""`where`: a condition over columns."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Annotated

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import AfterValidator, Field

from corpuscurate.core.batch import Batch
from corpuscurate.core.stage import Outcome, StreamingStage
from corpuscurate.methods.expression.nodes import Rows
from corpuscurate.methods.expression.parse import Expression, parse

FALSE, UNDECIDED = 1, 2

_parsed = lru_cache(maxsize=256)(parse)


def _check(source: str) -> str:
    parse(source)
    return source


class Where(StreamingStage):
    """Keeps documents for which an expression over their columns is true: `lang == "en" and score > 0.5`.

    Columns are the input's or `<stage>.<measure>` of an earlier stage; `col("any name")` names any of them, and `text`
    is the document's text. A column is read as what it is compared with; a value that is missing or of another type
    makes a comparison undecided, and an expression that stays undecided (after the rules of and, or, not: `False and
    undecided` is false) drops the document under that name. Say `is_null(x) or x > 1` to keep what has no value.
    Integers of up to 38 digits are compared exactly, everything else as float64; strings by code points. `len` counts
    characters. Two columns are compared as numbers where both are numbers, as strings where both are strings;
    true and false have no order.
    """

    word = "where"

    expression: Annotated[str, AfterValidator(_check)] = Field(
        description="what is true of the documents to keep", examples=['lang == "en" and score > 0.5']
    )

    @property
    def parsed(self) -> Expression:
        """The expression."""
        return _parsed(self.expression)

    def reads(self) -> tuple[str, ...]:
        """The columns the expression names."""
        return self.parsed.columns

    def measures(self) -> Mapping[str, pa.DataType]:
        """holds: whether the expression is true; null where it is undecided."""
        return {"holds": pa.bool_()}

    def rules(self) -> Mapping[str, float | None]:
        """false: the expression is. undecided: a value it needs is missing or of another type."""
        return {"false": None, "undecided": None}

    def apply(self, batch: Batch) -> Outcome:
        """Keep where true."""
        holds = self.parsed.root.truth(Rows(batch.text, batch.columns))
        if isinstance(holds, pa.Scalar):
            holds = pa.repeat(holds, len(batch))
        keep = pc.fill_null(holds, False).to_numpy(zero_copy_only=False)
        known = holds.is_valid().to_numpy(zero_copy_only=False)
        reason = np.where(keep, 0, np.where(known, FALSE, UNDECIDED)).astype(np.int16)
        return Outcome(reason=reason, measures={"holds": holds} if self.mode == "tag" else {})
