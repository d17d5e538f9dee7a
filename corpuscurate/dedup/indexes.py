"""The earlier runs that a stage compares with: they are asked for before anything runs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from corpuscurate.earlier import EarlierRun, must_match, open_runs
from corpuscurate.stage import GlobalStage


def indexes_of(stage: GlobalStage) -> list[tuple[EarlierRun, Mapping[str, Any]]]:
    """The runs, and what their stage of the same kind left. Raises InputError when one cannot be compared with."""
    found = []
    for run in open_runs(stage.corpora()):
        left = run.stage(stage.word, stage.label)
        must_match(run, f"the sketches of {stage.word}", left["header"], stage.index_header())
        found.append((run, left))
    return found


def with_indexes(stage: GlobalStage, parameters: dict[str, Any]) -> dict[str, Any]:
    """The parameters as a fingerprint covers them: of each index its name and its run's fingerprint, not its path."""
    return {**parameters, "index": [[run.name, run.identity] for run, _ in indexes_of(stage)]}
