"""The verbs together."""

from __future__ import annotations

from typing import Annotated

import typer

from corpuscurate import __version__
from corpuscurate.commands.check import check
from corpuscurate.commands.demo import demo
from corpuscurate.commands.explain import explain
from corpuscurate.commands.forget import forget
from corpuscurate.commands.map import map_
from corpuscurate.commands.plan import plan
from corpuscurate.commands.recipes import recipes
from corpuscurate.commands.run import run
from corpuscurate.commands.stages import stages
from corpuscurate.commands.train import train
from corpuscurate.commands.tune import tune
from corpuscurate.commands.warm import warm

app = typer.Typer(
    name="corpuscurate",
    help="Curate text corpora: filter, deduplicate and account for every document.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


def _version(wanted: bool) -> None:
    if wanted:
        print(f"corpuscurate {__version__}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and leave.")
    ] = False,
) -> None:
    """Curate text corpora: filter, deduplicate and account for every document."""


for _verb in (run, check, plan, stages, recipes, explain, forget, warm, demo):
    app.command()(_verb)
app.command("map")(map_)
app.add_typer(tune, name="tune")
app.add_typer(train, name="train")
