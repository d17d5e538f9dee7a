"""The header of a run's index: which stages have sketches for later runs, and who sketched the texts as written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from corpuscurate.core.digests import fingerprint
from corpuscurate.core.spec import Spec
from corpuscurate.core.stage import GlobalStage, Stage, code_value
from corpuscurate.engine.plan import Pass, edits, edits_before


@dataclass(frozen=True, slots=True)
class Left:
    """A stage that later runs can compare with. header: its `index_header`.

    sketcher: the stage whose sketches of the written texts serve for it. measured_in: the measuring pass that made
    them; None: the writing pass makes them.
    """

    stage: GlobalStage
    header: Mapping[str, Any]
    sketcher: GlobalStage
    measured_in: int | None


def stages_left(stages: Sequence[Stage], cut: Sequence[Pass]) -> list[Left]:
    """The stages that later runs can compare with, in order. Where text is edited after a stage, another stage with
    equal sketches serves for it: one after the last edit if there is one, else the first that the writing pass makes
    them for."""
    last = len(edits_before(stages, cut, len(cut) - 1))
    own: list[Left] = []
    for current in cut:
        for place in current.settling:
            stage = stages[place]
            header = stage.index_header() if isinstance(stage, GlobalStage) else None
            if isinstance(stage, GlobalStage) and header is not None:
                is_last = len(edits_before(stages[:place], cut, current.number)) == last
                own.append(Left(stage, header, stage, current.number if is_last else None))
    serving: dict[str, Left] = {}
    for left in sorted(own, key=lambda each: each.measured_in is None):
        serving.setdefault(_kind(left), left)
    return [replace(serving[_kind(left)], stage=left.stage) if left.measured_in is None else left for left in own]


def _kind(left: Left) -> str:
    """Equal for stages whose sketches of the same text are equal."""
    return fingerprint([left.stage.word, left.header, code_value(left.stage)])


def sketched_while_writing(stages: Sequence[Stage], cut: Sequence[Pass]) -> tuple[GlobalStage, ...]:
    """The stages that sketch the texts in the writing pass, as `GlobalStage.for_index` gives them."""
    sketchers = [left.sketcher for left in stages_left(stages, cut) if left.measured_in is None]
    return tuple({stage.label: stage.for_index() for stage in sketchers}.values())


def index_value(spec: Spec, cut: Sequence[Pass]) -> dict[str, Any]:
    """The header for later runs: the column of the text and the format of data/, the edits that the text went through,
    and for each stage with comparable sketches its own header and where the sketches are."""
    return {
        "text": spec.source.text,
        "format": spec.sink.format,
        "edits": edit_values(spec.stages),
        "stages": [
            {
                "word": left.stage.word,
                "label": left.stage.label,
                "header": left.header,
                "code": code_value(left.stage),
                "pass": left.measured_in,
                "sketched_by": left.sketcher.label,
            }
            for left in stages_left(spec.stages, cut)
        ],
    }


def edit_values(stages: Sequence[Stage]) -> list[list[Any]]:
    """What must be equal in two runs for their texts to be compared: [word, version, parameters, code ...] of each
    stage that edits text, in order."""
    return [
        [edit.word, edit.version, {k: v for k, v in edit.identity().items() if k != "mode"}, *code_value(edit)]
        for edit in stages
        if edits(edit)
    ]
