"""The recipes that come with the package, and the verb that shows them."""

from __future__ import annotations

import re

import orjson
import pytest
import yaml
from typer.testing import CliRunner

from corpuscurate.commands.app import app
from corpuscurate.core.errors import RecipeError
from corpuscurate.recipe.bundled import bundled_folder, bundled_recipe, bundled_recipes
from corpuscurate.recipe.load import load_recipe

NAMES = sorted(path.stem for path in bundled_folder().glob("*.yaml"))


def call(*arguments):
    return CliRunner().invoke(app, ["recipes", *arguments])


def test_the_list_has_every_recipe_with_its_title():
    done = call()
    assert done.exit_code == 0
    listed = orjson.loads(call("--json").stdout)
    assert [each["name"] for each in listed] == NAMES == [each.name for each in bundled_recipes()]
    for each in listed:
        assert re.search(rf"^ {each['name']} ", done.stdout, re.MULTILINE)
        assert " ".join(each["title"].split()[:4]) in done.stdout


@pytest.mark.parametrize("name", NAMES)
def test_each_has_a_title_of_one_line_and_can_be_loaded_and_copied(name, tmp_path):
    path = bundled_recipe(name)
    first = path.read_text().partition("\n")[0]
    assert re.fullmatch(r"# [A-Z].{20,115}[^.:]", first)
    assert bundled_recipe(f"{name}.yaml") == path
    done = call(name)
    assert (done.exit_code, done.stdout_bytes) == (0, path.read_bytes())
    assert orjson.loads(call(name, "--json").stdout) == {"name": name, "text": path.read_text()}
    (tmp_path / "recipe.yaml").write_bytes(done.stdout_bytes)
    written = yaml.safe_load(done.stdout)["stages"]
    spec = load_recipe(tmp_path / "recipe.yaml")
    assert len(spec.stages) + len(spec.off) == len(written)


@pytest.mark.parametrize("name", ["gophr", "../README", "", "gopher.yml"])
def test_another_name_is_refused_with_the_nearest(name):
    with pytest.raises(RecipeError, match="no recipe is called"):
        bundled_recipe(name)
    done = call(name)
    assert done.exit_code == 2
    assert "`corpuscurate recipes` lists all." in done.stderr


def test_a_near_name_is_told():
    with pytest.raises(RecipeError, match=r"gopher"):
        bundled_recipe("gophr")
