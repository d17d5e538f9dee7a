"""A model that ONNX Runtime computes on a CPU: fed as those of torch are, without torch in the process.

Rows do not depend on the batch for the reasons in `embed.windows`: float32 has fixed shapes, int8 computes each window
alone.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from corpuscurate.methods.embed.onnx_export import OUTPUT, inputs, open_session
from corpuscurate.methods.embed.tokens import Facts
from corpuscurate.methods.embed.windows import Shapes

Rows = NDArray[np.float32]


class Fixed(NamedTuple):
    """What is known of a model before it is loaded. finish: rows from what the file gives."""

    name: str
    facts: Facts
    width: int
    shapes: Shapes
    finish: Callable[[Rows], Rows]


class OnnxModel:
    """See `feeder.Model` and `feeder.OnHost`."""

    device = "cpu"

    def __init__(self, path: Path, fixed: Fixed) -> None:
        self.name, self.facts, self.width, self.shapes, self._finish = fixed
        self.weight_bytes = sum(each.stat().st_size for each in path.parent.iterdir())
        self._session = open_session(path)

    def rows(self, ids: NDArray[np.int32], sizes: NDArray[np.int32]) -> Rows:
        """See `feeder.OnHost`."""
        return self._finish(self._session.run([OUTPUT], inputs(self.facts, ids, sizes))[0])
