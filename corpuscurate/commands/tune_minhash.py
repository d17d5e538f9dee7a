"""`corpuscurate tune minhash`: which Jaccard similarity is a near-duplicate in this corpus, and which bands find it?"""

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

Documents = Annotated[int, typer.Option("--documents", min=1, max=1_000_000, help="Documents to match with all.")]
Examples = Annotated[int, typer.Option("--examples", min=0, max=100, help="Pairs to read at each level.")]
Label = Annotated[str | None, typer.Option("--stage", metavar="NAME", help="Which stage, where there are several.")]
Work = Annotated[
    Path | None, typer.Option("--work", metavar="FOLDER", help="Keep what is computed here, for another look.")
]


@guarded
def minhash(
    recipe: Recipe,
    inputs: Inputs = None,
    workers: Workers = None,
    runner: Runner = None,
    sets: Sets = None,
    allow_code: AllowCode = False,
    documents: Documents = 1000,
    examples: Examples = 3,
    label: Label = None,
    work: Work = None,
    quiet: Quiet = False,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Show recall, precision and the share removed for thresholds and bandings, and pairs to read.

    A sample of documents is matched with the whole corpus. Nothing is written to the output.
    """
    from corpuscurate.commands.progress_bar import RichProgress
    from corpuscurate.engine.progress import NoProgress
    from corpuscurate.recipe.load import load_recipe

    spec = load_recipe(recipe, overrides(inputs, None, workers, runner, sets), allow_code=allow_code)
    from corpuscurate.tools.tune.minhash import tune

    options: dict[str, Any] = {"documents": documents, "examples": examples, "label": label, "folder": work}
    if quiet or as_json:
        found = tune(spec, **options, progress=NoProgress())
    else:
        with RichProgress() as progress:
            found = tune(spec, **options, progress=progress)
    if as_json:
        print_json(found)
    elif not quiet:
        print_found(found)


def print_found(found: dict[str, Any]) -> None:
    """The evidence in the terminal."""
    from corpuscurate.tools.tune.minhash import summary

    print(printable(summary(found)) + "\n")
    rows = [row for level in found["levels"] for row in _rows(level, found["bandings"])]
    columns = ["threshold", "pairs a document", "removed", "bands x rows", "P", "recall", "precision", "removed so", ""]
    console().print(table(columns, rows, numbers=range(8)))
    print("P(candidate) by similarity:")
    curves = [
        [f"{each['bands']} x {each['rows']}", *(f"{p:.3f}" for p in each["s_curve"].values())]
        for each in found["bandings"]
    ]
    levels = list(found["bandings"][0]["s_curve"])
    console().print(table(["bands x rows", *levels], curves, numbers=range(len(levels) + 1)))
    for pair in found["examples"]:
        print(f"similarity {pair['similarity']:.4f}")
        for doc_id, text in pair["documents"]:
            print(f"  {doc_id}: {printable(' '.join(text.split())[:SHOWN], keep='')}")
        print()


def _rows(level: dict[str, Any], bandings: list[dict[str, Any]]) -> list[list[str]]:
    """A threshold with the banding of the recipe, that for its recall, datasketch's, and those of the presets."""
    rows: list[list[str]] = []
    for row, banding in zip(level["bandings"], bandings, strict=True):
        own = [row["bands"], row["rows"]]
        names = ["the recipe's"] if "recipe" in banding["names"] else []
        names += ["for the recall"] if own == level["chosen"] else []
        names += ["datasketch's"] if own == level["datasketch"] else []
        names += [name for name in banding["names"] if " " not in name and name != "recipe"]
        if names:
            shared = [f"{level['threshold']:.2f}", f"{level['pairs_per_document']:.3f}", _share(level["removed_ratio"])]
            rows.append(
                [
                    *(["", "", ""] if rows else shared),
                    f"{row['bands']} x {row['rows']}",
                    f"{row['probability_at_threshold']:.3f}",
                    _share(row["recall"]),
                    _share(row["precision"]),
                    _share(row["removed_ratio"]),
                    ", ".join(names),
                ]
            )
    return rows


def _share(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.2f} %"
