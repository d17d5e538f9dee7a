"""`corpuscurate warm`: compile the kernels that recipes use, so that no first run waits for them."""

from __future__ import annotations

import time
from typing import Annotated

import typer

from corpuscurate.commands.guard import guarded
from corpuscurate.commands.options import AllowCode, AsJson, Debug, Quiet
from corpuscurate.commands.show import print_json

Recipes = Annotated[
    list[str] | None,
    typer.Argument(metavar="[RECIPE]...", help="Recipe files; all that come with the package if left out."),
]
Processes = Annotated[int | None, typer.Option("--processes", "-p", min=1, help="Processes; all cores if left out.")]


@guarded
def warm(
    recipes: Recipes = None,
    processes: Processes = None,
    allow_code: AllowCode = False,
    quiet: Quiet = False,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Compile the kernels that recipes use, for Dockerfiles and images. A second call finds all compiled."""
    from corpuscurate.commands.progress_bar import RichProgress
    from corpuscurate.core.machine import processors
    from corpuscurate.engine.progress import NoProgress
    from corpuscurate.kernels.compile import cache_folder
    from corpuscurate.tools.warm import warm_recipes

    began = time.monotonic()
    count = processes or processors()
    if quiet or as_json:
        compiled = warm_recipes(recipes or (), count, NoProgress(), allow_code=allow_code)
    else:
        with RichProgress() as progress:
            compiled = warm_recipes(recipes or (), count, progress, allow_code=allow_code)
    seconds = round(time.monotonic() - began, 1)
    folder = cache_folder()
    if as_json:
        print_json({"compiled": compiled, "seconds": seconds, "cache": folder})
    elif not quiet:
        what = f"compiled for {', '.join(dict.fromkeys(compiled))}" if compiled else "all was compiled before"
        where = f"in {folder}" if folder else "but no cache folder can be written: set CORPUSCURATE_CACHE_DIR"
        print(f"{what}: {seconds} s, {where}.")
