"""Recipes: YAML -> Spec and back. Every error has file, line and key path.

Relative paths in a recipe, those of `--set` included, are relative to the recipe file; those of `--input` and
`--output` are relative to the current folder, as on any command line.
"""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from corpuscurate.core.errors import RecipeError, did_you_mean
from corpuscurate.core.labels import check_label
from corpuscurate.core.local_path import anchored, escaped, expanded
from corpuscurate.core.spec import Settings, Sink, Source, Spec
from corpuscurate.core.stage import Stage, stage_class, stage_classes
from corpuscurate.core.user_code import load_stage
from corpuscurate.recipe.describe import shorten
from corpuscurate.recipe.optional import Use, optional_text, without_missing
from corpuscurate.recipe.values import build, plain_values
from corpuscurate.recipe.yaml_tree import Node, child_path, dump_yaml, node_from, parse_yaml, read_yaml

SECTIONS = ("input", "stages", "output", "run")
CODE = "python"
"""The word of a stage from a plain Python file: `{python: my_filters.py:Digits, max_digit_ratio: 0.3}`."""
BESIDE = ("name", "mode")
"""Keys that may stand beside a stage's word: `{minhash: {...}, name: near}`."""
OPTIONAL = "optional"
"""The key beside a stage's word that lets a run go on without it, see `recipe.optional`."""

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://|[a-z0-9]+::")


@dataclass(frozen=True, slots=True)
class Overrides:
    """What a command line changes. inputs, output: relative to the current folder. sets: `key.path=yaml_value`."""

    inputs: Sequence[str] = ()
    output: str | None = None
    workers: int | None = None
    runner: str | None = None
    sets: Sequence[str] = ()


@dataclass(slots=True)
class _Use:
    """One item of `stages:` in its long form."""

    model: type[Stage]
    params: Node
    item: Node
    optional: str | None = None

    @property
    def label(self) -> str:
        name = self.params.value.get("name")
        return name.value if name is not None and isinstance(name.value, str) else self.model.word


def load_recipe(path: str | Path, overrides: Overrides | None = None, *, allow_code: bool = False) -> Spec:
    """The spec of a recipe file; its `base` is the folder of that file.

    allow_code: run the Python files that the recipe names; without it nothing of the user's is run.
    Raises RecipeError whose message has a line for every fault: `recipe.yaml:7: stages[2].minhash.threshold: ...`.
    """
    file = Path(path)
    base = file.absolute().parent
    return _spec(read_yaml(file), str(file), overrides or Overrides(), base if allow_code else None, base)


def spec_from_mapping(mapping: Mapping[str, Any], *, allow_code: bool = False) -> Spec:
    """The spec of a recipe given as plain Python values; paths of Python files, which are run where `allow_code` is
    set, start from the current folder. Raises RecipeError."""
    return _spec(node_from(dict(mapping)), "", Overrides(), Path.cwd() if allow_code else None, None)


StageLike = Stage | str | Mapping[str, Any]
"""A stage, or its form in a recipe: `"exact"`, `{"length": {"min_words": 50}}`."""


def make_stages(items: Sequence[StageLike]) -> tuple[Stage, ...]:
    """Stages from values and recipe forms. Raises RecipeError with a line for every fault: `stages[2].minhash: ...`."""
    if isinstance(items, str | Mapping | Stage) or not isinstance(items, Sequence):
        raise RecipeError(f"stages must be a list of stages, such as ['normalize', 'exact'], not {items!r}")
    faults: list[str] = []
    found: list[Stage] = []
    for number, item in enumerate(items):
        if isinstance(item, Stage):
            found.append(item)
            continue
        path = f"stages[{number}]"
        if isinstance(item, type) and issubclass(item, Stage):
            faults.append(f"{path}: {item.__name__} is a class; give a value of it: {item.__name__}(...)")
            continue
        try:
            use = _use(node_from(dict(item) if isinstance(item, Mapping) else item, "", path), None)
        except RecipeError as error:
            faults.append(str(error))
            continue
        if use.optional is not None:
            faults.append(f"{path}: {OPTIONAL} is for recipes: in Python, leave out the stage whose file is not there")
        stage, wrong = build(use.model, use.params, f"the stage {use.model.word}")
        faults.extend(wrong)
        found += [stage] if stage is not None else []
    if faults:
        raise RecipeError("\n".join(faults))
    return tuple(found)


def spec_to_mapping(spec: Spec) -> dict[str, Any]:
    """A spec as plain values that `spec_from_mapping` reads back as the same; defaults are left out."""
    found: dict[str, Any] = {
        "input": plain_values(spec.source),
        "stages": [stage_item(stage) for stage in spec.stages],
        "output": plain_values(spec.sink),
    }
    settings = plain_values(spec.settings)
    return {**found, "run": settings} if settings else found


def dump_recipe(spec: Spec) -> str:
    """A spec as the text of a recipe."""
    return dump_yaml(spec_to_mapping(spec))


def stage_item(stage: Stage) -> Any:
    """A stage as an item of `stages:`, in its shortest form."""
    if not stage.word and stage.code is None:
        raise RecipeError(f"the stage {stage.label} has no `word`, so that no recipe can name it")
    params = plain_values(stage, leave_out=frozenset(("name",)))
    if stage.code is not None:
        named = {} if stage.name is None else {"name": stage.name}
        return {CODE: f"{escaped(stage.code.path)}:{stage.code.name}", **params, **named}
    if stage.name is not None:
        return {stage.word: params or None, "name": stage.name}
    return {stage.word: params} if params else stage.word


def _spec(root: Node, origin: str, overrides: Overrides, code_from: Path | None, base: Path | None) -> Spec:
    """code_from: the folder that paths of Python files start from; None: no such file may be run. base: the folder that
    other relative paths start from; None: the current one, and stages keep their paths as given."""
    sections, faults = _sections(root)
    uses = _uses(sections.get("stages"), faults, code_from)
    _override(sections, uses, overrides, Node({}, f"{origin}:1" if origin else "", ""))
    source = _section(Source, sections.get("input"), root, "input", faults)
    sink = _section(Sink, sections.get("output"), root, "output", faults)
    settings = _section(Settings, sections.get("run", Node({}, "", "run")), root, "run", faults)
    stages = _stages(uses, faults)
    if faults or source is None or sink is None or settings is None:
        raise RecipeError("\n".join(sorted(faults, key=_line)))
    if base is not None:
        stages = [stage.model_copy(update=dict(anchored(stage, base))) for stage in stages]
    on, off = without_missing([Use(stage, use.optional, use.item) for stage, use in zip(stages, uses, strict=True)])
    return Spec(source, on, sink, settings, base or Path(), off)


def _line(fault: str) -> int:
    """The line a fault is on, so that faults come in the order of the file; those of the command line come last."""
    found = re.match(r"(?!--)[^\n]*?:(\d+): ", fault)
    return int(found[1]) if found else 1 << 30


def _sections(root: Node) -> tuple[dict[str, Node], list[str]]:
    if not isinstance(root.value, dict):
        text = "the recipe is empty" if root.value is None else "a recipe must be a mapping"
        raise RecipeError(root.error(f"{text}; its keys are {', '.join(SECTIONS)}"))
    faults = [
        node.error(f"unknown key. {did_you_mean(key, SECTIONS)}")
        for key, node in root.value.items()
        if key not in SECTIONS
    ]
    return {key: node for key, node in root.value.items() if key in SECTIONS}, faults


def _section(model: type[Any], node: Node | None, root: Node, key: str, faults: list[str]) -> Any:
    node = node or Node({}, root.place, key)
    if node.value is None:
        node = Node({}, node.place, node.path)
    if not isinstance(node.value, dict):
        faults.append(node.error(f"must be a mapping; its keys are {', '.join(model.model_fields)}"))
        return None
    value, found = build(model, node, key)
    faults.extend(found)
    return value


def _uses(node: Node | None, faults: list[str], code_from: Path | None) -> list[_Use]:
    if node is None or node.value is None:
        return []
    if not isinstance(node.value, list):
        faults.append(node.error("must be a list of stages, each on a line that begins with `- `"))
        return []
    uses = []
    for item in node.value:
        try:
            uses.append(_use(item, code_from))
        except RecipeError as error:
            faults.append(str(error))
    return uses


def _use(item: Node, code_from: Path | None) -> _Use:
    """The long form of `- normalize`, `- length: {...}`, `- where: "..."` or `- {minhash: {...}, name: near}`."""
    if isinstance(item.value, str):
        model = _model(item.value, item)
        return _Use(model, Node({}, item.place, child_path(item.path, item.value)), item)
    if not isinstance(item.value, dict) or not item.value:
        raise RecipeError(
            item.error("a stage must be its name, or its name with a mapping: `- length: {min_words: 50}`")
        )
    optional = optional_text(item.value[OPTIONAL]) if OPTIONAL in item.value else None
    if CODE in item.value:
        held_back = (CODE, OPTIONAL)
        params = Node({key: value for key, value in item.value.items() if key not in held_back}, item.place, item.path)
        return _Use(_code_model(item.value[CODE], code_from), params, item, optional)
    words = [key for key in item.value if key not in (*BESIDE, OPTIONAL)]
    if len(words) != 1:
        raise RecipeError(_not_one_word(item, words))
    held = item.value[words[0]]
    model = _model(words[0], held)
    params = Node(_parameters(model, held), held.place, held.path)
    for key in BESIDE:
        if key in item.value and key in params.value:
            raise RecipeError(item.value[key].error(f"{key} is there twice: here and at {params.value[key].path}"))
        if key in item.value:
            params.value[key] = item.value[key]
    return _Use(model, params, item, optional)


def _code_model(node: Node, code_from: Path | None) -> type[Stage]:
    """The stage that `python:` names."""
    if not isinstance(node.value, str):
        raise RecipeError(node.error("must be FILE.py:CLASS; the parameters of the stage stand beside it"))
    if code_from is None:
        raise RecipeError(
            node.error(
                f"{shorten(node.value)} is code of yours, which runs only where you allow it: give --allow-code"
                " (in Python: allow_code=True) if you trust this recipe and that file"
            )
        )
    try:
        return load_stage(expanded(node.value), code_from)
    except (RecipeError, ValueError) as error:
        raise RecipeError(node.error(str(error))) from error


def _model(word: str, node: Node) -> type[Stage]:
    try:
        return stage_class(word)
    except RecipeError as error:
        raise RecipeError(node.error(str(error))) from None


def _not_one_word(item: Node, words: list[str]) -> str:
    known = [word for word in words if word in stage_classes()]
    if not words:
        return item.error(f"no stage stands beside {' and '.join(item.value)}")
    if len(known) == 1:
        others = [word for word in words if word not in known]
        return item.error(
            f"{', '.join(others)} stands beside {known[0]}: indent the parameters of {known[0]} under it,"
            f" or write `- {known[0]}: {{{others[0]}: ...}}`"
        )
    return item.error(f"one stage an item, but here are {', '.join(words)}; begin each with `- `")


def _parameters(model: type[Stage], held: Node) -> dict[str, Node]:
    if isinstance(held.value, dict):
        return dict(held.value)
    if held.value is None:
        return {}
    field = shorthand_field(model)
    if not field:
        keys = ", ".join(model.model_fields)
        raise RecipeError(held.error(f"{held.plain()!r} is not allowed: must be a mapping; its keys are {keys}"))
    return {field: Node(held.value, held.place, child_path(held.path, field))}


def shorthand_field(model: type[Stage]) -> str:
    """The field that `- word: value` sets: the one the stage names, or its only required one; "" for none."""
    if model.shorthand:
        return model.shorthand
    required = [name for name, info in model.model_fields.items() if info.is_required()]
    return required[0] if len(required) == 1 else ""


def _stages(uses: list[_Use], faults: list[str]) -> list[Stage]:
    stages: list[Stage] = []
    taken: dict[str, str] = {}
    for use in uses:
        stage, found = build(use.model, use.params, f"the stage {use.model.word}")
        faults.extend(found)
        if stage is None:
            continue
        fault = check_label(stage.label, taken)
        if fault:
            faults.append(use.item.error(fault))
        taken.setdefault(stage.label, use.item.path)
        stages.append(stage)
    return stages


def _override(sections: dict[str, Node], uses: list[_Use], overrides: Overrides, root: Node) -> None:
    if overrides.inputs:
        patterns = [_from_here(given, pattern=True) for given in overrides.inputs]
        _put(sections, ("input", "paths"), node_from(patterns, "--input", ""), root)
    if overrides.output is not None:
        _put(sections, ("output", "path"), Node(_from_here(overrides.output), "--output", ""), root)
    if overrides.workers is not None:
        _put(sections, ("run", "workers"), Node(overrides.workers, "--workers", ""), root)
    if overrides.runner is not None:
        _put(sections, ("run", "runner"), Node(overrides.runner, "--runner", ""), root)
    for text in overrides.sets:
        _set(sections, uses, text, root)


def _from_here(given: str, *, pattern: bool = False) -> str:
    """A path of the command line as an absolute one; URLs stay. The shell has replaced its variables: a dollar sign
    that is left is one."""
    if not given or _SCHEME.match(given):
        return escaped(given)
    whole = Path.cwd() / os.path.expanduser(given)  # noqa: PTH111  (`Path` fails for a user that is not there)
    if not pattern or os.path.lexists(whole):
        return escaped(str(whole))
    return escaped(str(Path(glob.escape(str(Path.cwd()))) / os.path.expanduser(given)))  # noqa: PTH111


def _put(sections: dict[str, Node], steps: tuple[str, ...], value: Node, root: Node) -> None:
    """Put a value into a section, making the mappings on the way."""
    held = sections
    path = ""
    for step in steps[:-1]:
        path = child_path(path, step)
        below = held.get(step)
        if below is None or below.value is None:
            below = held[step] = Node({}, root.place, path)
        if not isinstance(below.value, dict):
            raise RecipeError(value.error(f"{path} is not a mapping"))
        held = below.value
    held[steps[-1]] = value


def _set(sections: dict[str, Node], uses: list[_Use], text: str, root: Node) -> None:
    place = f"--set {text}"
    key, equals, raw = text.partition("=")
    steps = tuple(key.strip().split("."))
    if not equals or not all(steps) or len(steps) < 2:
        raise RecipeError(
            f"{place}: must be key.path=value, such as stages.minhash.threshold=0.9 or input.text=content"
        )
    value = parse_yaml(raw, place, lines=False)
    if steps[0] not in SECTIONS:
        raise RecipeError(f"{place}: unknown key {steps[0]!r}. {did_you_mean(steps[0], SECTIONS)}")
    if steps[0] != "stages":
        _put(sections, steps, value, root)
        return
    use = _labelled(uses, steps[1], place)
    if len(steps) < 3:
        raise RecipeError(f"{place}: names no parameter; its keys are {', '.join(use.model.model_fields)}")
    _put({"": use.params}, ("", *steps[2:]), value, root)


def _labelled(uses: list[_Use], label: str, place: str) -> _Use:
    same = [use for use in uses if use.label == label]
    if len(same) == 1:
        return same[0]
    labels = [use.label for use in uses]
    if not labels:
        raise RecipeError(f"{place}: the recipe has no stages")
    if same:
        raise RecipeError(f"{place}: two stages are called {label!r}; give one of them a name")
    raise RecipeError(f"{place}: the recipe has no stage {label!r}. {did_you_mean(label, labels)}")
