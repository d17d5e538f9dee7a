"""What recipes load: the stages and formats whose kernels are worth compiling ahead."""

from __future__ import annotations

from collections.abc import Sequence

import orjson

from corpuscurate.core.errors import CorpusCurateError
from corpuscurate.core.spec import Spec, planned
from corpuscurate.engine.runners.warm import to_text
from corpuscurate.io.base import input_formats
from corpuscurate.io.file_names import kind_of
from corpuscurate.recipe.bundled import bundled_recipes
from corpuscurate.recipe.load import load_recipe


def what_recipes_load(recipes: Sequence[str], *, allow_code: bool = False) -> str:
    """What these recipes load, or all that come with the package where none is named: see `runners.warm.to_text`.

    Raises RecipeError for a named recipe with a fault; one of the package that lacks a file of its own is left out.
    """
    texts = [_loads(load_recipe(name, allow_code=allow_code)) for name in recipes]
    for each in () if recipes else bundled_recipes():
        try:
            texts.append(_loads(load_recipe(each.path)))
        except CorpusCurateError:  # it needs a model that is not here
            continue
    values = [orjson.loads(text) for text in texts]
    stages = {orjson.dumps(stage): stage for value in values for stage in value["stages"]}
    return orjson.dumps(
        {
            "stages": list(stages.values()),
            "formats": sorted({name for value in values for name in value["formats"]}),
            "column_types": any(value["column_types"] for value in values),
        }
    ).decode()


def _loads(spec: Spec) -> str:
    """A recipe's part. Its input need not be there: the formats follow from its names, all where these tell none."""
    told = [spec.source.format] if spec.source.format else [kind_of(path)[0] for path in spec.source.paths]
    formats = [name for name in told if name is not None]
    return to_text(planned(spec), formats if len(formats) == len(told) else list(input_formats()))
