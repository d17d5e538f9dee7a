"""`corpuscurate train`: quality classifiers."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from corpuscurate.commands.guard import guarded
from corpuscurate.commands.options import AsJson, Debug, Quiet, Recipe, Workers
from corpuscurate.commands.show import print_json, printable, size

train = typer.Typer(help="Train a classifier from labelled documents.", no_args_is_help=True)

DropIssues = Annotated[
    bool, typer.Option("--drop-label-issues", help="Leave out training documents whose label is likely wrong.")
]


@train.callback()
def root() -> None:
    """Train a classifier from labelled documents."""


@train.command()
@guarded
def quality(
    recipe: Recipe,
    drop_label_issues: DropIssues = False,
    workers: Workers = None,
    quiet: Quiet = False,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Train a quality classifier, and say what it is worth: the model, with a card of its data and figures."""
    import sys

    from corpuscurate.tools.train.job import train_quality
    from corpuscurate.tools.train.recipe import load_train_recipe

    loaded, base = load_train_recipe(recipe)

    def say(text: str) -> None:
        if not quiet:
            print(printable(text), file=sys.stderr, flush=True)

    card = train_quality(
        loaded, base, drop_label_issues=drop_label_issues, workers=1 if workers is None else workers, say=say
    )
    if as_json:
        print_json(card)
    elif not quiet:
        _summary(card, base / os.path.expanduser(loaded.output))  # noqa: PTH111  (`Path` fails for an unknown user)


def _summary(card: dict, output: Path) -> None:  # type: ignore[type-arg]
    test = card["test"]
    print(
        f"Held out: {test['documents']:,} documents. Precision {test['precision']:.3f}, recall {test['recall']:.3f},"
        f" F1 {test['f1']:.3f}, ROC-AUC {test['roc_auc']:.3f},"
        f" calibration error {test['calibration']['expected_calibration_error']:.3f}."
    )
    if small := card.get("small"):
        found = small["test"]
        print(
            f"The small model: precision {found['precision']:.3f}, recall {found['recall']:.3f}, F1 {found['f1']:.3f},"
            f" ROC-AUC {found['roc_auc']:.3f}."
        )
    for note in card["notes"]:
        print(printable(f"Note: {note}"))
    sizes = ", ".join(f"{name} {size(count)}" for name, count in card["file_bytes"].items())
    print(f"Model and card: {printable(str(output))} ({printable(sizes)}; read card.md)")
    for use in (card["use"], *([small["use"]] if small else [])):
        (word, parameters), *_ = use.items()
        pairs = ", ".join(f"{key}: {value}" for key, value in parameters.items())
        print(f"To score with it: - {word}: {{{printable(pairs)}}}")
