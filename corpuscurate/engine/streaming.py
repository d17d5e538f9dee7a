"""Runs streaming stages over a batch: the one loop of the measuring pass and of `tune quality`."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from corpuscurate.core.batch import Batch
from corpuscurate.core.columns import TEXT
from corpuscurate.core.doc_ids import id_range
from corpuscurate.core.errors import OutOfMemoryError, StageError
from corpuscurate.core.stage import FAILED, Outcome, Stage, StreamingStage
from corpuscurate.io.base import SourceFile


@dataclass(frozen=True, slots=True)
class Passage:
    """The result of streaming stages for a batch of n documents.

    batch: the alive documents after the last stage; alive: their rows in the batch, int64. stage: int16[n], 0: alive,
    i + 1: dropped by the pipeline's stage i. reason, value, threshold, failed: of that stage, see `Outcome`; threshold
    is nan where the stage's own threshold holds. detail: of that stage, null where it gives none.
    """

    batch: Batch
    alive: NDArray[np.int64]
    stage: NDArray[np.int16]
    reason: NDArray[np.int16]
    value: NDArray[np.float64]
    threshold: NDArray[np.float64]
    failed: pa.ListArray
    detail: pa.LargeStringArray


class Observer(Protocol):
    """Called after each stage. before, after: the batch; seconds: time of the stage alone."""

    def __call__(self, stage: StreamingStage, before: Batch, outcome: Outcome, after: Batch, seconds: float) -> None:
        """Record a stage's outcome for a batch."""


def run_stages(stages: Sequence[tuple[int, StreamingStage]], batch: Batch, observe: Observer | None = None) -> Passage:
    """Apply the stages in order; each sees the documents that the ones before it did not drop.

    stages: (index in the pipeline, stage). observe: called after each stage. Raises StageError.
    """
    size = len(batch)
    alive = np.arange(size)
    stage_of, reason_of = np.zeros(size, np.int16), np.zeros(size, np.int16)
    value_of, threshold_of = np.full(size, np.nan), np.full(size, np.nan)
    lists: list[tuple[NDArray[np.int64], pa.Array]] = []
    details: list[tuple[NDArray[np.int64], pa.Array]] = []
    for index, stage in stages if size else ():  # all even where no document is left: each adds its columns
        started = time.perf_counter()
        outcome = apply_stage(stage, batch)
        seconds = time.perf_counter() - started
        after = _changed(stage, batch, outcome)
        if outcome.reason is not None and stage.mode == "drop":
            out = outcome.reason > 0
            gone = alive[out]
            stage_of[gone], reason_of[gone] = index + 1, outcome.reason[out]
            if outcome.value is not None:
                value_of[gone] = outcome.value[out]
            if outcome.threshold is not None:
                threshold_of[gone] = outcome.threshold[out]
            if outcome.failed is not None:
                lists.append((gone, outcome.failed.filter(pa.array(out))))
            if outcome.detail is not None:
                details.append((gone, outcome.detail.filter(pa.array(out))))
            alive = alive[~out]
            after = after.filter(~out)
        if observe is not None:
            observe(stage, batch, outcome, after, seconds)
        batch = after
    failed, detail = _joined(lists, size, FAILED), _joined(details, size, TEXT)
    return Passage(batch, alive, stage_of, reason_of, value_of, threshold_of, failed, detail)


def _changed(stage: StreamingStage, batch: Batch, outcome: Outcome) -> Batch:
    """The batch with the text and the columns of an outcome."""
    if outcome.text is not None:
        batch = batch.with_text(outcome.text)
    measures = {**outcome.columns, **(outcome.measures if stage.mode == "tag" else {})}
    return batch.with_columns({f"{stage.label}.{name}": column for name, column in measures.items()})


def _joined(lists: Sequence[tuple[NDArray[np.int64], pa.Array]], size: int, kind: pa.DataType) -> pa.Array:
    """An array of `size` rows from (rows, their values) of several stages; null elsewhere."""
    if not lists:
        return pa.nulls(size, kind)
    rows = np.concatenate([rows for rows, _ in lists])
    index = np.full(size, -1)
    index[rows] = np.arange(len(rows))
    return pa.concat_arrays([each for _, each in lists]).take(pa.array(index, mask=index < 0))


def apply_stage(stage: StreamingStage, batch: Batch) -> Outcome:
    """Apply a stage to a batch. Raises StageError, which names the stage, its parameters and the documents."""
    try:
        outcome = stage.apply(batch)
        _check_outcome(stage, outcome, len(batch))
        return outcome
    except Exception as error:
        raise stage_error(stage, batch, error) from error


def _check_outcome(stage: StreamingStage, outcome: Outcome, rows: int) -> None:
    """Every part of an outcome has a row a document, and reasons are those that the stage declares."""
    parts: dict[str, Any] = {
        **{name: getattr(outcome, name) for name in ("text", "reason", "value", "threshold", "failed", "detail")},
        **outcome.columns,
        **outcome.measures,
        **outcome.noted,
    }
    for name, part in parts.items():
        if part is not None and len(part) != rows:
            raise ValueError(f"{name} has {len(part)} rows for a batch of {rows} documents")
    if outcome.failed is not None and outcome.failed.type != FAILED:
        raise TypeError(f"failed is of type {outcome.failed.type}, not {FAILED}")
    if outcome.detail is not None and not stage.details:
        raise ValueError(f"detail is given, and {type(stage).__name__}.details is False")
    if outcome.reason is not None and rows:
        low, high, known = int(outcome.reason.min()), int(outcome.reason.max()), len(stage.rules())
        if low < 0 or high > known:
            raise ValueError(f"reason is {low if low < 0 else high}, and the stage has {known} reasons")


def stage_error(stage: Stage, batch: Batch, error: Exception) -> StageError | OutOfMemoryError:
    """The error for a stage that fails on a batch."""
    first, last = id_range(batch.doc_id)
    if isinstance(error, MemoryError):
        return OutOfMemoryError(
            f"out of memory: stage {stage.label!r} on documents {first}..{last}. Give `run: {{memory: ...}}` or"
            " `--workers` a smaller value. Nothing was dropped for it; running again goes on from the finished tasks."
        )
    return StageError(
        f"stage {stage.label!r} failed on documents {first}..{last}: {type(error).__name__}: {error}\n"
        f"  Its parameters: {stage.parameters()}\n"
        "  Nothing was dropped for it; finished tasks are kept, and running again goes on from there."
    )


@contextmanager
def stages_named_with(file: SourceFile) -> Iterator[None]:
    """Add the name of the documents' file to a StageError of the block."""
    try:
        yield
    except StageError as error:
        raise StageError(f"{error}\n  The documents are in {file.name}.") from error.__cause__
