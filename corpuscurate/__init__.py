"""corpuscurate: turn raw text corpora into training data, and account for every document.

>>> from corpuscurate import Pipeline, Sink, Source, curate
>>> from corpuscurate.stages.exact import Exact

Names are loaded at first use, so that `import corpuscurate` and `corpuscurate --version` are quick.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from corpuscurate.core.errors import CorpusCurateError
    from corpuscurate.core.spec import Settings, Sink, Source
    from corpuscurate.core.stage import GlobalStage, Outcome, Stage, StreamingStage
    from corpuscurate.pipeline import Curated, Pipeline, curate

_HOMES = {
    "CorpusCurateError": "core.errors",
    "Curated": "pipeline",
    "GlobalStage": "core.stage",
    "Outcome": "core.stage",
    "Pipeline": "pipeline",
    "Settings": "core.spec",
    "Sink": "core.spec",
    "Source": "core.spec",
    "Stage": "core.stage",
    "StreamingStage": "core.stage",
    "curate": "pipeline",
}

__all__ = [
    "CorpusCurateError",
    "Curated",
    "GlobalStage",
    "Outcome",
    "Pipeline",
    "Settings",
    "Sink",
    "Source",
    "Stage",
    "StreamingStage",
    "curate",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'corpuscurate' has no attribute {name!r}")
    return getattr(importlib.import_module(f"corpuscurate.{_HOMES[name]}"), name)
