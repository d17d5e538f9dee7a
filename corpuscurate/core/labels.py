"""Labels: the names of a pipeline's stages, in columns, in file names, in `--set` and in dropped/."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from corpuscurate.core.errors import RecipeError
from corpuscurate.core.stage import Stage

_LABEL = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,63}")


def check_label(label: str, taken: Mapping[str, str]) -> str:
    """What is wrong with a stage's label, or "". taken: earlier labels, each with the position of its stage."""
    if not _LABEL.fullmatch(label):
        return f"the name {label!r} is not allowed: must be a letter, then up to 63 letters, digits, _ or -"
    if label in taken:
        return (
            f"{label!r} is already the name of {taken[label]}. The same stage twice needs a name,"
            f" such as {{{label}: {{...}}, name: {label}_2}}"
        )
    return ""


def check_labels(stages: Sequence[Stage]) -> None:
    """Check that every label is unique and valid in column and file names. Raises RecipeError."""
    taken: dict[str, str] = {}
    for place, stage in enumerate(stages):
        if fault := check_label(stage.label, taken):
            raise RecipeError(f"stages[{place}]: {fault}")
        taken[stage.label] = f"stages[{place}]"


def stage_name(stages: Sequence[Stage], place: int) -> str:
    """How a stage is named in messages: `stages[2] (minhash)`."""
    return f"stages[{place}] ({stages[place].label})"
