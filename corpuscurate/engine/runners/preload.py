"""The imports of the fork server, which every worker inherits: Arrow, Numba, all stages.

Threads are held to one a worker: parallelism is tasks. The variables must be set before the libraries load.
"""

from __future__ import annotations

import os

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"):
    os.environ.setdefault(_name, "1")

from corpuscurate.core.stage import stage_classes  # noqa: E402
from corpuscurate.engine.passes import measure as _measure  # noqa: E402, F401  (imported for its side effect: it is loaded)
from corpuscurate.engine.passes import write as _write  # noqa: E402, F401
from corpuscurate.engine.runners.warm import VARIABLE, from_text  # noqa: E402
from corpuscurate.io.base import input_formats  # noqa: E402

stage_classes()
input_formats()
if _wanted := os.environ.get(VARIABLE):
    from_text(_wanted)
