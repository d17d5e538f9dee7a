"""`corpuscurate plan`: passes, tasks, what will be read and written, the disk needed; nothing is run. It refuses what
`corpuscurate check` refuses."""

from __future__ import annotations

from typing import Any

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
from corpuscurate.commands.show import console, print_json, printable, size, table


@guarded
def plan(
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
    """Show the passes, tasks, reading, writing and disk space of a run; nothing is run."""
    from corpuscurate.recipe.load import load_recipe

    spec = load_recipe(recipe, overrides(inputs, output, workers, runner, sets), allow_code=allow_code)
    from corpuscurate.engine.check import check_run
    from corpuscurate.engine.estimate import plan_spec

    warnings = check_run(spec)
    found = plan_spec(spec)
    planned = {**found, "warnings": [*warnings, *found["warnings"]]}
    if as_json:
        print_json(planned)
    else:
        print_plan(planned)


def _tasks(one: dict[str, Any]) -> str:
    if one["tasks"] is not None:
        return f"{one['tasks']:,}"
    return "as needed, on a card" if one["on_card"] else "as needed"


def print_plan(planned: dict[str, Any]) -> None:
    """A plan as a table, after its warnings."""
    for warning in planned["warnings"]:
        print(printable(f"warning: {warning}"))
    rows = [
        (
            one["title"],
            ", ".join(one["stages"]),
            _tasks(one),
            size(one["read_bytes"]) if one["read_bytes"] else "artefacts",
        )
        for one in planned["passes"]
    ]
    console().print(table(("pass", "stages", "tasks", "reads"), rows, (2, 3)))
    text = f"{planned['files']:,} files, {size(planned['stored_bytes'])} stored"
    print(f"Input:  {text}, about {size(planned['text_bytes_estimate'])} of text.")
    print(printable(f"Output: {planned['output']}"))
    print(
        f"Disk:   about {size(planned['disk_bytes_estimate'])} needed at most, {size(planned['disk_free_bytes'])} free."
    )
    memory = planned["memory"]
    phases = ", ".join(f"{name} {size(most)}" for name, most in memory["by_phase"].items())
    models = f", {size(memory['models'])} models" if memory["models"] else ""
    print(
        f"Memory: at most {size(memory['limit'])} with {memory['workers']} workers ({phases}); of it"
        f" {size(memory['processes'])} processes{models}, {size(memory['batches'])} batches."
    )
