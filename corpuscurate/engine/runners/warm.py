"""Loads the kernels before the work begins: once in the fork server, so that no worker compiles or loads them again.

Stages and readers get a batch of three tiny documents. Errors are ignored here: the run meets them too, and reports
them with the document.
"""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pyarrow as pa

from corpuscurate.core.batch import Batch
from corpuscurate.core.columns import JSON
from corpuscurate.core.spec import Spec
from corpuscurate.core.stage import GlobalStage, Stage, StreamingStage, stage_class
from corpuscurate.engine.runners.compiling import compile_units
from corpuscurate.io.base import SourceFile, Want, input_format, output_format

LOG = logging.getLogger(__name__)
TEXTS = ("One small document, with a few words.\r\n- and a line …", "Ünïcode text: 文字, \u0301 and more.", "")
VARIABLE = "CORPUSCURATE_WARM"
"""Environment variable that says what the fork server loads: JSON made by `to_text`."""


def to_text(spec: Spec, formats: Sequence[str]) -> str:
    """What to load for a spec, for `from_text` in another process; not the stages of a caller's script or file."""
    stages = [s for s in spec.stages if type(s).__module__ != "__main__" and s.code is None]
    value = {
        "stages": [[s.word, s.parameters()] for s in stages],  # of a planned one, those of the stage in recipes
        "formats": sorted(set(formats)),
        "column_types": output_format(spec.sink.format).columnar or spec.source.id is not None,
    }
    return orjson.dumps(value).decode()


NOTHING = '{"stages": [], "formats": [], "column_types": false}'
"""What `to_text` gives where there is nothing to load."""


def units_of(text: str) -> list[str]:
    """What `to_text` named, each stage and each format alone, as such texts."""
    value = orjson.loads(text)
    made = [{**value, "stages": [stage], "formats": []} for stage in value["stages"]]
    made += [{**value, "stages": [], "formats": [name]} for name in value["formats"]]
    return list(dict.fromkeys(orjson.dumps(each).decode() for each in made))


def from_text(text: str) -> None:
    """Load what `to_text` named, after what is to be compiled in several processes (`with_compiling`)."""
    value = orjson.loads(text)
    if "compile" in value:
        how = value["compile"]
        compile_units(how["units"], how["processes"], Path(how["told"]), from_text)
    for word, parameters in value["stages"]:
        _passing_over(lambda w=word, p=parameters: warm_stage(stage_class(w).model_validate(p, strict=False)))
    for name in value["formats"]:  # last: on a new machine the caller compiles these meanwhile
        _passing_over(lambda name=name: warm_format(name, value["column_types"]))


def with_compiling(text: str, how: dict[str, Any]) -> str:
    """What to load, and before that to compile. how: see `compiling.compile_ahead`."""
    return orjson.dumps({**orjson.loads(text), "compile": how}).decode()


def _passing_over(load: Any) -> None:
    try:
        load()
    except Exception:
        LOG.debug("kernels were not loaded ahead", exc_info=True)


def warm_stage(stage: Stage) -> None:
    """Run a stage, as it is planned, on a tiny batch: what needs a card is not run here."""
    stage = stage.planned()
    size = len(TEXTS)
    columns = {name: pa.array(['"a"', "1", None], pa.large_string()).cast(JSON) for name in stage.reads()}
    batch = Batch(
        np.arange(size, dtype=np.uint64), pa.array(TEXTS, pa.large_string()), np.full(size, 9), columns=columns
    )
    batch.filter(np.array([True, False, True]))
    if isinstance(stage, StreamingStage):
        stage.apply(batch)
    elif isinstance(stage, GlobalStage):
        stage.sketch(batch)


def warm_format(name: str, column_types: bool) -> None:
    """Read a tiny file, where the format has kernels of its own."""
    format = input_format(name)
    if not format.sample:
        return
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, f"warm{format.suffixes[0]}")
        path.write_bytes(format.sample)
        file = SourceFile(0, path.name, str(path), len(format.sample), name)
        for rest in (False, True):
            want = Want(id="id", columns=("n",), rest=rest, column_types=column_types)
            for span in format.split(file, 1 << 20):
                list(format.read(file, span, want))
