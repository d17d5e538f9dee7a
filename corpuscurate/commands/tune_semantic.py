"""`corpuscurate tune semantic`: which cosine is a duplicate, in this corpus and for this embedder?"""

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

Documents = Annotated[int, typer.Option("--documents", min=1, help="Documents to compare, in whole clusters.")]
Examples = Annotated[int, typer.Option("--examples", min=0, max=100, help="Pairs to read at each level.")]
Html = Annotated[Path | None, typer.Option("--html", metavar="FILE", help="Write a page with everything.")]
Label = Annotated[str | None, typer.Option("--stage", metavar="NAME", help="Which stage, where there are several.")]
Work = Annotated[
    Path | None, typer.Option("--work", metavar="FOLDER", help="Keep what is computed here, for another look.")
]


@guarded
def semantic(
    recipe: Recipe,
    inputs: Inputs = None,
    workers: Workers = None,
    runner: Runner = None,
    sets: Sets = None,
    allow_code: AllowCode = False,
    documents: Documents = 50_000,
    examples: Examples = 3,
    label: Label = None,
    html: Html = None,
    work: Work = None,
    quiet: Quiet = False,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Show pairs by cosine, the share that each threshold removes, and pairs to read. Nothing is written to the output.

    The whole corpus is embedded and clustered; whole clusters are compared.
    """
    from corpuscurate.commands.progress_bar import RichProgress
    from corpuscurate.engine.progress import NoProgress
    from corpuscurate.recipe.load import load_recipe

    spec = load_recipe(recipe, overrides(inputs, None, workers, runner, sets), allow_code=allow_code)
    from corpuscurate.tools.tune.semantic import tune, write_html

    options: dict[str, Any] = {"documents": documents, "examples": examples, "label": label, "folder": work}
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
    from corpuscurate.tools.tune.semantic import examples, is_marked, words

    for said in words(found):
        print(printable(said))
    most = max([1, *(level["pairs"] for level in found["levels"])])
    rows = [
        (
            f"{'> ' if is_marked(found, level) else ''}{level['threshold']:.2f}",
            f"{100 * level['independent_ratio']:.2f} %",
            f"{100 * level['paper_ratio']:.2f} %",
            f"{level['pairs']:,}",
            "#" * round(30 * level["pairs"] / most),
        )
        for level in found["levels"]
    ]
    console().print(table(("threshold", "independent", "paper", "pairs here", ""), rows, (1, 2, 3)))
    for said, pair in examples(found):
        print(said)
        for doc_id, text in (pair["earlier"], pair["later"]):
            print(printable(f"  {doc_id}: {' '.join(text.split())[:SHOWN]}"))
    if html is not None:
        print(printable(f"The page is {html}."))
    print("Then: corpuscurate run RECIPE --set stages.semantic.threshold=...")
