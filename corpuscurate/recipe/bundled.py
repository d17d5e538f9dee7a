"""The recipes that come with the package."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from corpuscurate.core.errors import CorpusCurateError, RecipeError, did_you_mean


@dataclass(frozen=True, slots=True)
class Bundled:
    """A recipe of the package. title: the first line of its comment; needs: where the files can be had that its
    optional stages need."""

    name: str
    title: str
    needs: tuple[str, ...]
    path: Path


def bundled_folder() -> Path:
    """The folder of the recipes: inside the package when installed, beside it in a checkout."""
    here = Path(__file__).parents[1]
    for folder in (here / "configs", here.parent / "configs"):
        if (folder / "example.yaml").is_file():
            return folder
    raise CorpusCurateError("the recipes are not in this installation: install corpuscurate again")


def bundled_recipes() -> list[Bundled]:
    """All of them, by name."""
    return [_read(path) for path in sorted(bundled_folder().glob("*.yaml"), key=lambda path: path.stem)]


def bundled_recipe(name: str) -> Path:
    """The file of one, named with or without `.yaml`. Raises RecipeError with the nearest names."""
    known = {path.stem: path for path in sorted(bundled_folder().glob("*.yaml"))}
    word = name.removesuffix(".yaml")
    if word not in known:
        raise RecipeError(
            f"no recipe is called {name!r}. {did_you_mean(word, known)} `corpuscurate recipes` lists all."
        )
    return known[word]


def _read(path: Path) -> Bundled:
    text = path.read_text(encoding="utf-8")
    title = text.partition("\n")[0].lstrip("#").strip()
    needs = tuple(re.findall(r"^\s+optional: (\S.*?)(?:\s+#.*)?$", text, re.MULTILINE))
    return Bundled(path.stem, title, tuple(each for each in dict.fromkeys(needs) if each != "true"), path)
