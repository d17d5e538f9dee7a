"""Checks of `index:` before a run: what is compared with earlier runs must be what both runs write."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from corpuscurate.core.earlier_runs import EarlierRun, must_match, open_runs
from corpuscurate.core.errors import InputError, RecipeError
from corpuscurate.core.labels import stage_name
from corpuscurate.core.spec import Spec
from corpuscurate.core.stage import GlobalStage, Stage, code_value
from corpuscurate.engine.ledger.index import edit_values
from corpuscurate.engine.plan import edits


def check_last_edits(stages: Sequence[Stage]) -> None:
    """Check that no stage edits text after one that compares with earlier runs: such a run could write a text that an
    earlier one wrote. Reads no file. Raises RecipeError with the stages to write instead."""
    last = max((place for place, stage in enumerate(stages) if edits(stage)), default=-1)
    comparing = [place for place in range(last) if _corpora(stages[place])]
    if not comparing:
        return
    later = [place for place in range(comparing[0] + 1, last + 1) if edits(stages[place])]
    one = len(comparing) == 1
    raise RecipeError(
        f"{_all(stages, comparing)}: `index` compares the text as it is there with what earlier runs wrote, but "
        f"{_all(stages, later)} {'edits' if len(later) == 1 else 'edit'} text later, so that what is compared is not "
        "what will be written, and a copy could stand in the output of both runs. Leave `index` out of "
        f"{'this stage' if one else 'these stages'}, and give the comparison with earlier runs "
        f"{'a stage' if one else 'stages'} of its own after the last edit"
        f"{_instead(stages, comparing, last)}"
    )


def _corpora(stage: Stage) -> tuple[str, ...]:
    return stage.corpora() if isinstance(stage, GlobalStage) else ()


def _all(stages: Sequence[Stage], places: Sequence[int]) -> str:
    names = [stage_name(stages, place) for place in places]
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _instead(stages: Sequence[Stage], comparing: Sequence[int], last: int) -> str:
    """The lines of a recipe with the comparisons after the last edit; "." where a stage cannot be written as one."""
    concerned = stages[comparing[0] : last + 1]
    if any(
        not stage.word or stage.code or (_corpora(stage) and "index" not in type(stage).model_fields)
        for stage in concerned
    ):
        return "."
    taken = {stage.label for stage in stages}
    lines = []
    for place in range(comparing[0], last + 1):
        lines.append(recipe_line(stages[place], {"index": None} if place in comparing else {}))
    for place in comparing:
        stage = stages[place]
        name = "against_earlier" if len(comparing) == 1 else f"{stage.word}_against_earlier"
        while name in taken:
            name += "_2"
        taken.add(name)
        lines.append(recipe_line(stage, {"name": name}))
    return ":" + "".join(f"\n    {line}" for line in lines)


def recipe_line(stage: Stage, changes: Mapping[str, Any]) -> str:
    """A stage as a line of a recipe: the parameters that were given, with changes (None: the parameter is left out)."""
    given = stage.model_dump(mode="json", exclude_unset=True)
    told = {name: value for name, value in {"name": None, **given, **changes}.items() if value is not None}
    return f"- {stage.word}: {_flow(told)}" if told else f"- {stage.word}"


_PLAIN = re.compile(r"[A-Za-z_./][\w./-]*")


def _flow(value: Any) -> str:
    """A value as YAML within a line."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{_flow(name)}: {_flow(each)}" for name, each in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_flow, value)) + "]"
    words = ("true", "false", "yes", "no", "on", "off", "null", "y", "n")
    if isinstance(value, str) and _PLAIN.fullmatch(value) and value.lower() not in words and value.strip("."):
        return value
    return json.dumps(value, ensure_ascii=False)


def check_indexes(spec: Spec) -> None:
    """Check the earlier runs that stages compare with. Raises RecipeError where one is the output folder, and
    InputError where its texts cannot be compared with those of this run."""
    for place, stage in enumerate(spec.stages):
        for path in _corpora(stage):
            if (spec.base / path).resolve() == spec.output.resolve():
                raise RecipeError(
                    f"{stage_name(spec.stages, place)}: the index {path} is the output folder, whose run would be "
                    "replaced by this one. Name another output folder."
                )
    ours = edit_values(spec.stages)  # all of them stand before a stage with an index, see `check_last_edits`
    for place, stage in enumerate(spec.stages):
        for run in open_runs(_corpora(stage)):
            code = run.stage(stage.word, stage.label)["code"]
            must_match(run, f"the code of {stage.word}", code, code_value(stage))
            if run.edits != ours:
                raise _other_edits(run, stage_name(spec.stages, place), run.edits, ours)


def _other_edits(run: EarlierRun, name: str, theirs: Sequence[Any], ours: Sequence[Any]) -> InputError:
    words = [[_word(edit) for edit in each] for each in (theirs, ours)]
    if words[0] == words[1]:
        said = f"the texts in its data/ were edited in another way than those that {name} compares"
        said += f" ({'; '.join(_differences(theirs, ours))})"
    else:
        there, here = (", then ".join(each) or "no edit" for each in words)
        said = f"the texts in its data/ went through {there}, and those that {name} compares through {here}"
    return InputError(
        f"index {run.path} cannot be compared with this run: {said}. A text that both have would be written twice. Put "
        f"the same edits with the same values before {name}, or name another index."
    )


def _word(edit: Sequence[Any]) -> str:
    """The word of an edit of `edit_values`; of a stage without one, its class, which is part of its code."""
    return str(edit[0] or edit[-2])


def _differences(theirs: Sequence[Any], ours: Sequence[Any]) -> list[str]:
    """What differs between edits of the same words in the same order."""
    found = []
    for there, here in zip(theirs, ours, strict=True):
        (_, version, parameters, *code), (_, own_version, own_parameters, *own_code) = there, here
        for name in dict.fromkeys([*own_parameters, *parameters]):
            values = parameters.get(name), own_parameters.get(name)
            if values[0] != values[1]:
                found.append(f"{_word(here)} {name}: {values[0]!r} there, {values[1]!r} here")
        if (version, code) != (own_version, own_code):
            found.append(f"{_word(here)}: its code or a package that it uses has changed")
    return found
