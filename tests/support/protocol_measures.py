"""Stages with measures of any type, and with defects."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pyarrow as pa

from corpuscurate.core.batch import Batch
from corpuscurate.core.stage import Outcome, StreamingStage


class Large(StreamingStage):
    """Measures that a float64 cannot hold, of half precision, and of text."""

    def measures(self) -> Mapping[str, pa.DataType]:
        return {"large": pa.int64(), "half": pa.float16(), "names": pa.string()}

    def apply(self, batch: Batch) -> Outcome:
        size = len(batch)
        return Outcome(
            measures={
                "large": pa.array(np.full(size, 2**62 + 1)),
                "half": pa.array(np.full(size, 0.5, np.float16)),
                "names": pa.array(["x"] * size),
            }
        )


class TellsWrongly(StreamingStage):
    """Tells a reason that it does not have, or failed rules of another type."""

    fault: str

    def rules(self) -> Mapping[str, float | None]:
        return {"one": 1.0}

    def apply(self, batch: Batch) -> Outcome:
        if self.fault == "reason":
            return Outcome(reason=np.full(len(batch), 2, np.int16))
        return Outcome(reason=np.ones(len(batch), np.int16), failed=pa.array([[1]] * len(batch)))
