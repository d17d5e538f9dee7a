"""`corpuscurate run`: the main job."""

from __future__ import annotations

from typing import Annotated

import typer

from corpuscurate.commands.guard import guarded, shown_at_end
from corpuscurate.commands.options import (
    AllowCode,
    AsJson,
    Debug,
    Inputs,
    Output,
    Quiet,
    Recipe,
    Runner,
    Sets,
    Workers,
    overrides,
)
from corpuscurate.commands.show import print_json
from corpuscurate.core.run_folder import REPORT

Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace another run that the output folder holds.")]

Verify = Annotated[bool, typer.Option("--verify", help="Of a finished run, compare the digests of all its files.")]


@guarded
def run(
    recipe: Recipe,
    inputs: Inputs = None,
    output: Output = None,
    workers: Workers = None,
    runner: Runner = None,
    sets: Sets = None,
    allow_code: AllowCode = False,
    overwrite: Overwrite = False,
    verify: Verify = False,
    quiet: Quiet = False,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Run a recipe. A run that was interrupted goes on where it stopped: give the same command again.

    With --json the report is on stdout, and progress on stderr, a JSON object a line (README, "Progress for programs").
    """
    from corpuscurate.commands.json_events import JsonEvents
    from corpuscurate.commands.progress_bar import RichProgress
    from corpuscurate.commands.summary import print_summary
    from corpuscurate.engine.progress import LOST, NoProgress
    from corpuscurate.recipe.load import load_recipe

    spec = load_recipe(recipe, overrides(inputs, output, workers, runner, sets), allow_code=allow_code)
    from corpuscurate.engine.run import run_spec

    if quiet:
        report = run_spec(spec, overwrite=overwrite, verify=verify, progress=NoProgress())
    elif as_json:
        events = JsonEvents()
        events.begin(spec.output)
        report = run_spec(spec, overwrite=overwrite, verify=verify, progress=events)
        events.end(report, spec.output)
    else:
        with RichProgress() as progress:
            report = run_spec(spec, overwrite=overwrite, verify=verify, progress=progress)
    if as_json or not quiet:

        def show() -> None:
            if as_json:
                print_json(report)
                return
            print_summary(report, spec.output)
            for text in report["warnings"]:
                if text.startswith(LOST):  # it could not be shown on stderr, as the others were
                    print(f"warning: {text}")

        shown_at_end(show, f"The run is finished: see {spec.output / REPORT}.")
