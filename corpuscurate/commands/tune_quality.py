"""`corpuscurate tune quality`: where to cut by a quality score, in this corpus?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from corpuscurate.commands.guard import guarded
from corpuscurate.commands.options import (
    AllowCode,
    AsJson,
    Debug,
    Inputs,
    Quiet,
    Recipe,
    Runner,
    Sets,
    Workers,
    overrides,
)
from corpuscurate.commands.show import console, print_json, printable, table

SHOWN = 300
"""Characters of a document in the terminal."""
SHOWN_VALUES = 8
"""Values of a column in the terminal; the page and --json have more."""

Documents = Annotated[int, typer.Option("--documents", min=1, max=10_000_000, help="Documents to score, about.")]
Examples = Annotated[int, typer.Option("--examples", min=0, max=100, help="Documents on each side of a threshold.")]
By = Annotated[
    list[str] | None,
    typer.Option("--by", metavar="COLUMN", help="Also tell what each value of this column loses; may be repeated."),
]
Thresholds = Annotated[
    list[float] | None, typer.Option("--threshold", "-t", help="A threshold to show too; may be repeated.")
]
Html = Annotated[Path | None, typer.Option("--html", metavar="FILE", help="Write a page with everything.")]
Label = Annotated[str | None, typer.Option("--stage", metavar="NAME", help="Which stage, where there are several.")]


@guarded
def quality(
    recipe: Recipe,
    inputs: Inputs = None,
    workers: Workers = None,
    runner: Runner = None,
    sets: Sets = None,
    allow_code: AllowCode = False,
    documents: Documents = 20_000,
    examples: Examples = 3,
    by: By = None,
    thresholds: Thresholds = None,
    label: Label = None,
    html: Html = None,
    quiet: Quiet = False,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Show documents around each candidate threshold, the share kept, and what each source would lose.

    A sample of the input is scored, whatever stage adds the score. Nothing is written to the output.
    """
    from corpuscurate.commands.progress_bar import RichProgress
    from corpuscurate.engine.progress import NoProgress
    from corpuscurate.recipe.load import load_recipe

    spec = load_recipe(recipe, overrides(inputs, None, workers, runner, sets), allow_code=allow_code)
    from corpuscurate.tools.tune.quality import tune, write_html

    options: dict[str, Any] = {"documents": documents, "examples": examples, "label": label}
    options |= {"by": by or (), "thresholds": thresholds or ()}
    if quiet or as_json:
        found = tune(spec, **options, progress=NoProgress())
    else:
        with RichProgress() as progress:
            found = tune(spec, **options, progress=progress)
    if html is not None:
        write_html(found, html)
    if as_json:
        print_json(found)
    elif not quiet:
        print_found(found, html)


def print_found(found: dict[str, Any], html: Path | None) -> None:
    """The evidence in the terminal."""
    from corpuscurate.tools.tune.quality import summary

    print(printable(summary(found)))
    rows = [
        (
            f"{each['threshold']:.6g}",
            ", ".join(each["why"]),
            f"{100 * each['kept_ratio']:.2f} %",
            f"{100 * each['kept_bytes_ratio']:.2f} %",
            *(_losses(values) for values in each["by"].values()),
        )
        for each in found["thresholds"]
    ]
    names = [f"lost of each {name}" for name in found["thresholds"][0]["by"]] if rows else []
    console().print(table(("threshold", "", "documents kept", "bytes kept", *names), rows, (0, 2, 3)))
    for each in found["thresholds"]:
        print(f"Around {each['threshold']:.6g}:")
        for row in [*reversed(each["above"]), *each["below"]]:
            text = " ".join(row["text"].split())[:SHOWN]
            print(printable(f"  {row['score']:.6g}  {row['shard']} {row['doc_id']}: {text}", keep=""))
    if html is not None:
        print(printable(f"The page is {html}."))
    print(printable(f"Then: corpuscurate run RECIPE --set stages.{found['stage']}.min_score=...", keep=""))


def _losses(values: list[dict[str, Any]]) -> str:
    shown = ", ".join(f"{each['value']} {100 * each['lost_ratio']:.0f} %" for each in values[:SHOWN_VALUES])
    return f"{shown}, .." if len(values) > SHOWN_VALUES else shown
