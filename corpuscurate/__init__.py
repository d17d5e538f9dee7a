"""corpuscurate: turn raw text corpora into training data, and account for every document.

>>> from corpuscurate import Pipeline, Sink, Source, curate
>>> from corpuscurate.stages import Exact, MinHash

Names are loaded at first use, so that `import corpuscurate` and `corpuscurate --version` are quick.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from corpuscurate.core.batch import Batch
    from corpuscurate.core.corpus import Corpus, Settled
    from corpuscurate.core.errors import CorpusCurateError
    from corpuscurate.core.filter import Filter
    from corpuscurate.core.spec import Settings, Sink, Source
    from corpuscurate.core.stage import GlobalStage, Outcome, Stage, StreamingStage
    from corpuscurate.pipeline import Curated, Pipeline, curate

__version__ = "0.1.0"

_HOMES = {
    "Batch": "core.batch",
    "Corpus": "core.corpus",
    "CorpusCurateError": "core.errors",
    "Curated": "pipeline",
    "Filter": "core.filter",
    "GlobalStage": "core.stage",
    "Outcome": "core.stage",
    "Pipeline": "pipeline",
    "Settings": "core.spec",
    "Settled": "core.corpus",
    "Sink": "core.spec",
    "Source": "core.spec",
    "Stage": "core.stage",
    "StreamingStage": "core.stage",
    "curate": "pipeline",
}

__all__ = [
    "Batch",
    "Corpus",
    "CorpusCurateError",
    "Curated",
    "Filter",
    "GlobalStage",
    "Outcome",
    "Pipeline",
    "Settings",
    "Settled",
    "Sink",
    "Source",
    "Stage",
    "StreamingStage",
    "__version__",
    "curate",
]

if not TYPE_CHECKING:  # a type checker would take any name for one that is here

    def __getattr__(name: str) -> object:
        if name not in _HOMES:
            raise AttributeError(f"module 'corpuscurate' has no attribute {name!r}")
        try:
            module = importlib.import_module(f"corpuscurate.{_HOMES[name]}")
        except ModuleNotFoundError as error:
            raise _not_set_up(error) from error
        globals()[name] = found = getattr(module, name)
        return found


def __dir__() -> list[str]:
    return list(__all__)


def _not_set_up(error: ModuleNotFoundError) -> ModuleNotFoundError:
    """The error to raise for a module that is missing: for a package of another project, how to install it."""
    package = (error.name or "").partition(".")[0]
    if package in ("", "corpuscurate"):
        return error
    return ModuleNotFoundError(
        f"corpuscurate needs the package {package!r}, which this Python does not have. Install corpuscurate with what"
        " it needs: `pip install corpuscurate`, or `pip install -e .` in the folder of its source code.",
        name=error.name,
    )
