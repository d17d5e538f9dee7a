"""The index of a run: its header for later runs, and the check of its own edits against earlier runs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from corpuscurate.core.earlier_runs import must_match, open_runs
from corpuscurate.core.run_folder import measure_folder, sketch_file
from corpuscurate.core.spec import Spec
from corpuscurate.core.stage import GlobalStage, code_value
from corpuscurate.engine.plan import Pass, cut_passes, edits_before


def index_value(spec: Spec, cut: Sequence[Pass]) -> dict[str, Any]:
    """The header for later runs: the format of data/, and for each stage with comparable sketches its own header, the
    text edits before it, and whether more follow."""
    left = []
    everything = edits_before(spec.stages, cut, len(cut) - 1)
    for current in cut:
        for place in current.settling:
            stage = spec.stages[place]
            edits = edits_before(spec.stages[:place], cut, current.number)
            header = stage.index_header() if isinstance(stage, GlobalStage) else None
            if isinstance(stage, GlobalStage) and header is not None:
                left.append(
                    {
                        "word": stage.word,
                        "label": stage.label,
                        "header": header,
                        "code": code_value(stage),
                        "edits": [
                            [edit.word, edit.version, _plain(edit.identity()), *code_value(edit)] for edit in edits
                        ],
                        "edited_later": len(everything) > len(edits),
                        "folder": measure_folder(current.number),
                        "sketch": sketch_file(stage.label),
                    }
                )
    return {"text": spec.source.text, "format": spec.sink.format, "stages": left}


def _plain(identity: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in identity.items() if key != "mode"}


def check_edits(spec: Spec) -> None:
    """Check that earlier runs edited text as this one does before their stages. Raises InputError."""
    ours = {each["label"]: each["edits"] for each in index_value(spec, cut_passes(spec.stages))["stages"]}
    for stage in spec.stages:
        if isinstance(stage, GlobalStage):
            for run in open_runs(stage.corpora()):
                their_code = run.stage(stage.word, stage.label).get("code", [])
                must_match(run, f"the code of {stage.word}", their_code, code_value(stage))
                theirs = run.stage(stage.word, stage.label)["edits"]
                must_match(run, f"the edits of text before {stage.word}", theirs, ours[stage.label])
