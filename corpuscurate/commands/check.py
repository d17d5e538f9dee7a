"""`corpuscurate check`: the recipe against the input's real columns; nothing is run."""

from __future__ import annotations

from corpuscurate.commands.guard import guarded
from corpuscurate.commands.options import (
    AllowCode,
    AsJson,
    Debug,
    Inputs,
    Output,
    Recipe,
    Runner,
    Sets,
    Workers,
    overrides,
)
from corpuscurate.commands.show import print_json, printable


@guarded
def check(
    recipe: Recipe,
    inputs: Inputs = None,
    output: Output = None,
    workers: Workers = None,
    runner: Runner = None,
    sets: Sets = None,
    allow_code: AllowCode = False,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Check a recipe against the input's real columns; nothing is run.

    Exit code 0: it can run (warnings are printed); 2: it cannot, and why.
    """
    from corpuscurate.recipe.load import load_recipe

    spec = load_recipe(recipe, overrides(inputs, output, workers, runner, sets), allow_code=allow_code)
    from corpuscurate.engine.check import check_run

    warnings = check_run(spec)
    if as_json:
        print_json({"warnings": warnings})
        return
    for warning in warnings:
        print(printable(f"warning: {warning}"))
    stages = ", ".join(stage.label for stage in spec.stages) or "none"
    print(printable(f"{recipe} can run. Stages: {stages}."))
