"""Stages of a recipe that are left out, with a warning, where a file they need is not there.

`optional:` beside a stage's word says so, and where the file can be had:

    - fasttext_quality: {model: lid.176.bin, target: en, min_score: 0.65}
      optional: https://fasttext.cc/docs/en/language-identification.html

A stage that reads a column of one that is left out goes with it if it is optional too (`optional: true`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from corpuscurate.core.errors import RecipeError
from corpuscurate.core.local_path import missing_files
from corpuscurate.core.stage import Stage
from corpuscurate.recipe.describe import shorten
from corpuscurate.recipe.yaml_tree import Node


@dataclass(frozen=True, slots=True)
class Use:
    """A stage of a recipe. optional: None, or where the file it needs can be had ("": unsaid). item: its place."""

    stage: Stage
    optional: str | None
    item: Node


def optional_text(node: Node) -> str | None:
    """The value of `optional:`: where the file can be had, "" for true, None for false. Raises RecipeError."""
    if isinstance(node.value, bool):
        return "" if node.value else None
    if isinstance(node.value, str) and node.value.strip():
        return node.value.strip()
    raise RecipeError(node.error(f"{shorten(node.plain())} is not allowed: must be true, or where the file can be had"))


def without_missing(uses: Sequence[Use]) -> tuple[tuple[Stage, ...], tuple[str, ...]]:
    """The stages that can run, and a warning for each that is left out.

    A file that is missing for a stage that is not optional is told where the stage is checked.
    """
    on: list[Stage] = []
    off: list[str] = []
    gone: set[str] = set()
    for use in uses:
        why = "" if use.optional is None else _missing(use, gone)
        if why:
            gone.add(use.stage.label)
            off.append(use.item.error(f"{use.stage.label} is off: {why}"))
        else:
            on.append(use.stage)
    return tuple(on), tuple(off)


def _missing(use: Use, gone: set[str]) -> str:
    """Why an optional stage cannot run; "" where it can. gone: labels of the stages that are off."""
    files = missing_files(use.stage)
    if files:
        had = f". It can be had from {use.optional}" if use.optional else ""
        return f"{files[0]} is not there{had}"
    lacking = [name for name in use.stage.reads() if name.partition(".")[0] in gone]
    return f"it reads the column {lacking[0]} of a stage that is off" if lacking else ""
