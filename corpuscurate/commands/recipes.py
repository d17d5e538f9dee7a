"""`corpuscurate recipes`: the recipes that come with the package, and the text of one."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from corpuscurate.commands.guard import guarded
from corpuscurate.commands.options import AsJson, Debug
from corpuscurate.commands.show import console, print_json, table

Name = Annotated[str | None, typer.Argument(metavar="[NAME]", help="A recipe.", show_default=False)]


@guarded
def recipes(name: Name = None, as_json: AsJson = False, debug: Debug = False) -> None:
    """List the recipes that come with the package, or print one: `corpuscurate recipes c4 > recipe.yaml`."""
    from corpuscurate.recipe.bundled import bundled_recipe, bundled_recipes

    if name is not None:
        text = bundled_recipe(name).read_text(encoding="utf-8")
        if as_json:
            print_json({"name": name.removesuffix(".yaml"), "text": text})
        else:
            sys.stdout.write(text)
        return
    found = bundled_recipes()
    if as_json:
        print_json([{"name": each.name, "title": each.title, "needs": each.needs} for each in found])
        return
    console().print(table(("recipe", "what it does"), [(each.name, each.title) for each in found]))
    print("`corpuscurate recipes NAME > recipe.yaml` copies one.")
