"""The base of most filters: measures of each document, compared with bounds.

A subclass names its measures in `measured`, its bounds as fields `min_<measure>` and `max_<measure>` (None: no bound),
and computes the measures. Reasons, thresholds, values, tag columns and the check min <= max follow from the names.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pydantic import Field, model_validator

from corpuscurate.core.batch import Batch
from corpuscurate.core.stage import FAILED, Outcome, StreamingStage


class Filter(StreamingStage):
    """Drops a document when a measure lies outside its bounds; the bounds themselves are allowed values.

    The reason is the first bound that fails, in the order of the fields; the value is its measure. A measure that is
    nan lies outside no bound.
    """

    reasons: Literal["first", "all"] = Field(
        "first", description="all: dropped/ lists every rule of the stage that a document fails, not only the first"
    )

    measured: ClassVar[Mapping[str, pa.DataType]] = {}
    """Each measure with its type: a column of `mode: tag`."""

    def measure(self, batch: Batch) -> Mapping[str, NDArray[Any]]:
        """The measures of the batch, n values each; a measure that `wants` denies may be left out."""
        raise TypeError(f"{type(self).__name__} defines no measure()")

    def bounds(self) -> dict[str, int | float]:
        """The bounds in force, by name, in the order of the fields."""
        names = (name for name in type(self).model_fields if name.startswith(("min_", "max_")))
        return {name: getattr(self, name) for name in names if getattr(self, name) is not None}

    def wants(self, measure: str) -> bool:
        """Whether this measure is needed: it has a bound in force, or the mode is `tag`."""
        return self.mode == "tag" or not self.bounds().keys().isdisjoint({f"min_{measure}", f"max_{measure}"})

    def rules(self) -> Mapping[str, float | None]:
        """The bounds in force."""
        return self.bounds()

    def measures(self) -> Mapping[str, pa.DataType]:
        """All measures."""
        return self.measured

    @model_validator(mode="after")
    def _bounds_in_order(self) -> Filter:
        bounds = self.bounds()
        for name, low in bounds.items():
            high = bounds.get(f"max_{name[4:]}", low)
            if name.startswith("min_") and low > high:
                raise ValueError(f"min_{name[4:]} ({low}) is above max_{name[4:]} ({high}): no document could pass")
        return self

    def apply(self, batch: Batch) -> Outcome:
        """Compare the measures with the bounds."""
        return self.outcome(self.measure(batch), len(batch))

    def outcome(
        self,
        found: Mapping[str, NDArray[Any]],
        size: int,
        own: Mapping[str, NDArray[np.float64]] | None = None,
        noted: Mapping[str, NDArray[np.bool_]] | None = None,
    ) -> Outcome:
        """The verdict on measures of `size` documents, with those that are needed.

        own: bounds that differ by document, by name, float64[size], nan where one is off. noted: see `Outcome`.
        """
        self._check(found, size)
        reason, value = self.judge(found, size, own)
        threshold = None if own is None else self._thresholds(reason, own)
        failed = self.failed(found, size, own) if self.reasons == "all" else None
        kinds = {name: kind for name, kind in self.measures().items() if self.wants(name)}
        measures = {name: pa.array(found[name], kind) for name, kind in kinds.items()}
        return Outcome(
            reason=reason, value=value, threshold=threshold, failed=failed, measures=measures, noted=noted or {}
        )

    def _thresholds(self, reason: NDArray[np.int16], own: Mapping[str, NDArray[np.float64]]) -> NDArray[np.float64]:
        """The bound that each document failed, where it is of its own; nan elsewhere."""
        threshold = np.full(len(reason), np.nan)
        for number, name in enumerate(self.bounds(), 1):
            rows = reason == number
            threshold[rows] = own[name][rows] if name in own else np.nan
        return threshold

    def _check(self, found: Any, size: int) -> None:
        """Check that every measure that is needed is there, with a value a document. Raises TypeError or ValueError."""
        here = f"{type(self).__name__}.measure()"
        if not isinstance(found, Mapping):
            raise TypeError(f"{here} returns a {type(found).__name__}, not a dict of arrays by measure")
        bounds = {name[4:]: f"the bound {name}" for name in self.bounds()}
        wanted = {name: "`measured`" for name in self.measures() if self.wants(name)}
        for name, why in {**wanted, **bounds}.items():
            if name not in found:
                there = ", ".join(map(str, found)) or "nothing"
                raise ValueError(f"{here} returns no {name!r}, which {why} needs; it returns {there}")
        for name in (name for name in found if name in wanted or name in bounds):
            values = found[name]
            if not isinstance(values, np.ndarray):
                raise TypeError(f"{here} returns {name!r} as a {type(values).__name__}, not as a NumPy array")
            if values.shape != (size,):
                raise ValueError(f"{here} returns {name!r} of shape {values.shape} for a batch of {size} documents")

    def outside(self, name: str, values: NDArray[Any], bound: float | NDArray[np.float64]) -> NDArray[np.bool_]:
        """bool[n]: whether a measure lies outside the bound of that name, one for all or each document's; nan never
        does, and nothing lies outside the bound nan."""
        result: NDArray[np.bool_] = values < bound if name.startswith("min_") else values > bound
        return result

    def judge(
        self, found: Mapping[str, NDArray[Any]], size: int, own: Mapping[str, NDArray[np.float64]] | None = None
    ) -> tuple[NDArray[np.int16], NDArray[np.float64]]:
        """Reason int16[size] and value float64[size] of each document; nan lies inside every bound. own: see
        `outcome`."""
        reason = np.zeros(size, np.int16)
        value = np.full(size, np.nan)
        for number, (name, bound) in enumerate(self.bounds().items(), 1):
            values = found[name[4:]]
            failed = self.outside(name, values, (own or {}).get(name, bound)) & (reason == 0)
            reason[failed] = number
            value[failed] = values[failed]
        return reason, value

    def failed(
        self, found: Mapping[str, NDArray[Any]], size: int, own: Mapping[str, NDArray[np.float64]] | None = None
    ) -> pa.ListArray:
        """Every rule that each document fails, with value and threshold, in the order of the rules: FAILED[size]. own:
        see `outcome`."""
        bounds = self.bounds()
        outside = np.zeros((size, len(bounds)), np.bool_)
        values, thresholds = np.empty((size, len(bounds))), np.empty((size, len(bounds)))
        for at, (name, bound) in enumerate(bounds.items()):
            values[:, at] = found[name[4:]]
            thresholds[:, at] = (own or {}).get(name, bound)
            outside[:, at] = self.outside(name, found[name[4:]], thresholds[:, at] if own else bound)
        rows, rules = np.nonzero(outside)
        starts = np.concatenate([[0], np.cumsum(np.bincount(rows, minlength=size))]).astype(np.int32)
        listed = pa.StructArray.from_arrays(
            [
                pa.array((rules + 1).astype(np.int16)),
                pa.array(values[rows, rules], pa.float64()),
                pa.array(thresholds[rows, rules]),
            ],
            fields=list(FAILED.value_type),
        )
        return pa.ListArray.from_arrays(pa.array(starts), listed, type=FAILED)
