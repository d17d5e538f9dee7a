"""`corpuscurate stages`: the catalogue, and all there is to know of one stage."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Annotated, Any

import typer

from corpuscurate.commands.guard import guarded
from corpuscurate.commands.options import AsJson, Debug
from corpuscurate.commands.show import console, print_json, printable, table
from corpuscurate.core.errors import CorpusCurateError

if TYPE_CHECKING:
    from corpuscurate.core.stage import Stage

Name = Annotated[str | None, typer.Argument(metavar="[NAME]", help="A stage.", show_default=False)]


@guarded
def stages(name: Name = None, as_json: AsJson = False, debug: Debug = False) -> None:
    """List the stages, or tell all about one: parameters, columns, reasons, source."""
    from corpuscurate.core.stage import stage_class, stage_classes

    if name is not None:
        card = describe_stage(stage_class(name))
        if as_json:
            print_json(card)
        else:
            _print_card(card)
        return
    cards = [describe_stage(model) for model in stage_classes().values()]
    if as_json:
        print_json(cards)
        return
    rows = [(card["stage"], card["kind"], card["summary"]) for card in cards]
    console().print(table(("stage", "kind", "what it does"), rows))
    print("`corpuscurate stages NAME` tells all about one.")


def describe_stage(model: type[Stage]) -> dict[str, Any]:
    """All there is to know of a stage, JSON-able."""
    from corpuscurate.core.spec import is_global
    from corpuscurate.recipe.describe import all_allowed, default_text

    lines = (model.__doc__ or "").strip().splitlines()
    example, sample = _example(model)
    takes = all_allowed(model)
    return {
        "stage": model.word,
        "kind": _kind(model, sample, is_global(sample) if sample else None),
        "summary": lines[0].strip() if lines else "",
        "text": "\n".join(line.strip() for line in lines[1:]).strip(),
        "source": model.source,
        "version": model.version,
        "parameters": [
            {
                "name": field,
                "allowed": takes[field],
                "default": default_text(model, field),
                "description": info.description or "",
            }
            for field, info in model.model_fields.items()
        ],
        "reasons": dict(sample.rules()) if sample else {},
        "adds": _columns(model, sample.adds if sample else dict),
        "adds_in_mode_tag": _columns(model, sample.measures if sample else dict),
        "reads": list(sample.reads()) if sample else [],
        "recipe": example,
    }


def _columns(model: type[Stage], columns: Callable[[], Mapping[str, Any]]) -> dict[str, str]:
    """Columns with their types; none where they depend on a model file, which an example does not have."""
    with suppress(CorpusCurateError):
        return {f"{model.word}.{measure}": str(kind) for measure, kind in columns().items()}
    return {}


def _example(model: type[Stage]) -> tuple[str, Stage | None]:
    """A line for a recipe, and the stage it makes. A stage that has no defaults is made from its fields' examples."""
    from corpuscurate.recipe.load import stage_item
    from corpuscurate.recipe.yaml_tree import dump_yaml

    examples = {name: info.examples[0] for name, info in model.model_fields.items() if info.examples}
    for given in ({}, examples, {"mode": "tag"}):
        with suppress(ValueError):
            sample = model(**given)
            return dump_yaml([stage_item(sample)]).rstrip(), sample
    needed = [name for name, info in model.model_fields.items() if info.is_required()]
    return f"- {model.word}: {{{', '.join(f'{name}: ...' for name in needed)}}}", None


def _kind(model: type[Stage], sample: Stage | None, whole: bool | None) -> str:
    from corpuscurate.core.stage import GlobalStage

    if whole or issubclass(model, GlobalStage):
        return "global"
    if getattr(model, "edits_text", False):
        return "edit"
    return "annotation" if sample and not (sample.rules() or sample.measures()) else "filter"


def _print_card(card: dict[str, Any]) -> None:
    out = console()
    print(printable(f"{card['stage']} ({card['kind']}): {card['summary']}"))
    if card["text"]:
        print(printable(f"\n{card['text']}"))
    rows = [(p["name"], p["allowed"], p["default"], p["description"]) for p in card["parameters"]]
    out.print()
    out.print(table(("parameter", "allowed", "default", "what it is"), rows))
    if card["reasons"]:
        limits = [(reason, "" if limit is None else f"{limit:g}") for reason, limit in card["reasons"].items()]
        out.print(table(("reason to drop", "threshold (default)"), limits, (1,)))
    for key, title in (("adds", "column it adds"), ("adds_in_mode_tag", "column it adds with mode: tag")):
        if card[key]:
            out.print(table((title, "type"), list(card[key].items())))
    if card["reads"]:
        print(printable(f"It reads the columns {', '.join(card['reads'])}."))
    if card["source"]:
        print(printable(f"Source: {card['source']}"))
    print("In a recipe:")
    print(printable("\n".join(f"  {line}" for line in card["recipe"].splitlines())))
