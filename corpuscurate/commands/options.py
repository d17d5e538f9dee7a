"""The arguments that several verbs share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from corpuscurate.recipe.load import Overrides

Recipe = Annotated[str, typer.Argument(help="The recipe file.", metavar="RECIPE", show_default=False)]
Inputs = Annotated[
    list[str] | None,
    typer.Option("--input", "-i", metavar="PATH", help="Input instead of the recipe's; may be repeated."),
]
Output = Annotated[
    str | None, typer.Option("--output", "-o", metavar="FOLDER", help="Output folder instead of the recipe's.")
]
Workers = Annotated[int | None, typer.Option("--workers", "-w", metavar="N", help="Worker processes.")]
Runner = Annotated[str | None, typer.Option("--runner", metavar="NAME", help="local or inprocess.")]
Sets = Annotated[
    list[str] | None,
    typer.Option(
        "--set", "-s", metavar="KEY=VALUE", help="Any value of the recipe, such as stages.minhash.threshold=0.9."
    ),
]
AllowCode = Annotated[
    bool,
    typer.Option(
        "--allow-code", help="Run the Python files that the recipe names. Only for a recipe and files you trust."
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="JSON on stdout and nothing else there.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress and no summary.")]
Debug = Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")]


def overrides(
    inputs: list[str] | None, output: str | None, workers: int | None, runner: str | None, sets: list[str] | None
) -> Overrides:
    """What the options change in a recipe."""
    from corpuscurate.recipe.load import Overrides

    return Overrides(inputs or (), output, workers, runner, sets or ())
