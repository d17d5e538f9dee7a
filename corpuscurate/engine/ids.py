"""The user's ids: one type a run. The docs artefacts of the first pass hold them as text, as the readers spell them."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa
import pyarrow.compute as pc

from corpuscurate.core.columns import TEXT, one_array
from corpuscurate.core.stage import GlobalStage, Stage


def id_type(column: pa.DataType, stages: Sequence[Stage]) -> pa.DataType:
    """The type of ids in dropped/, edits/ and the report: that of the id column where it is an integer, else text.

    Ids of earlier runs may be no integers: where a stage compares with some, all are text.
    """
    compared = any(stage.corpora() for stage in stages if isinstance(stage, GlobalStage))
    return column if pa.types.is_integer(column) and not compared else TEXT


def spelled_alike(ids: pa.Array | pa.ChunkedArray, kind: pa.DataType) -> pa.Array:
    """Ids as text in which equal ids of a type are equal: JSON has two spellings of the integer 0."""
    text = one_array(ids)
    return pc.if_else(pc.equal(text, "-0"), pa.scalar("0", TEXT), text) if pa.types.is_integer(kind) else text


def ids_as(ids: pa.Array | pa.ChunkedArray, kind: pa.DataType) -> pa.Array:
    """Ids, given as text, in the run's type."""
    text = spelled_alike(ids, kind)
    return text if text.type == kind else text.cast(kind)
