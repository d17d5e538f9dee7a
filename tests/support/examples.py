"""Parameters to try stages with: EXAMPLES of each stage's own test file, `tests/stages/test_<word>.py`."""

from __future__ import annotations

import sys
from functools import cache
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any

from corpuscurate.core.stage import Stage, stage_classes

TESTS = Path(__file__).parents[1] / "stages"


def ours() -> dict[str, type[Stage]]:
    """The stages of the package itself, not those that other installed packages bring."""
    return {word: kind for word, kind in stage_classes().items() if kind.__module__.startswith("corpuscurate.stages.")}


@cache
def own_tests(word: str) -> ModuleType:
    """The test file of a stage."""
    spec = spec_from_file_location(f"examples_of_{word}", TESTS / f"test_{word}.py")
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def examples(word: str, kind: type[Stage]) -> list[dict[str, Any]]:
    """Parameters to try the stage with, for one from elsewhere of the module that defines it; none where there are
    none and it cannot do without."""
    needed = any(field.is_required() for field in kind.model_fields.values())
    if word not in ours():
        return getattr(sys.modules[kind.__module__], "EXAMPLES", [] if needed else [{}])
    if not (TESTS / f"test_{word}.py").exists():
        return []
    return getattr(own_tests(word), "EXAMPLES", [] if needed else [{}])
