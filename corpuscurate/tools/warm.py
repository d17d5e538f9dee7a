"""What recipes load: the stages and formats whose kernels are worth compiling ahead; and runs of a few documents, which
compile what only the settling of a stage calls."""

from __future__ import annotations

import multiprocessing
import tempfile
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from pathlib import Path

import orjson

from corpuscurate.core.errors import CorpusCurateError
from corpuscurate.core.spec import Settings, Spec, planned
from corpuscurate.core.stage import GlobalStage
from corpuscurate.engine.progress import Progress
from corpuscurate.engine.run import run_spec
from corpuscurate.engine.runners import compile_all, needs_card
from corpuscurate.engine.runners.compiling import is_compiled, stamp
from corpuscurate.engine.runners.warm import to_text
from corpuscurate.io.base import input_formats
from corpuscurate.io.file_names import kind_of
from corpuscurate.recipe.bundled import bundled_recipes
from corpuscurate.recipe.load import load_recipe


def warm_recipes(recipes: Sequence[str], processes: int, shown: Progress, *, allow_code: bool = False) -> list[str]:
    """Compile what recipes use, all of the package where none is named; names of what was not compiled before.

    Raises RecipeError for a named recipe with a fault.
    """
    loaded = what_recipes_load(recipes, allow_code=allow_code)
    compiled = compile_all(loaded, processes, shown, load=False)
    return [*compiled, *settle_ahead(recipes, processes, shown, allow_code=allow_code)]


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


def settle_ahead(recipes: Sequence[str], processes: int, shown: Progress, *, allow_code: bool = False) -> list[str]:
    """Settle the stages of these recipes, or of all of the package, over a few documents, in several processes; labels
    of the stages that had not been settled on this machine."""
    paths = list(recipes) or [str(each.path) for each in bundled_recipes()]
    wanted = {unit: path for path in paths for unit in _settling(path, allow_code) if not is_compiled(unit)}
    if not wanted:
        return []
    shown.start("compiling what settling calls", 0, len(wanted))
    try:
        context = multiprocessing.get_context("forkserver")
        with ProcessPoolExecutor(min(processes, len(wanted)), mp_context=context) as pool:
            for _ in pool.map(_settle_one, wanted.values(), wanted, [allow_code] * len(wanted)):
                shown.task_done()
    finally:
        shown.finish()
    return [str(orjson.loads(unit)["settles"][0]) for unit in wanted]


def _settling(path: str, allow_code: bool) -> list[str]:
    """The stages of a recipe that settle, each as a text."""
    try:
        stages = load_recipe(path, allow_code=allow_code).stages
    except CorpusCurateError:  # it needs a model that is not here
        return []
    wanted = [stage for stage in stages if isinstance(stage, GlobalStage) and not needs_card(stage)]
    return [orjson.dumps({"settles": [stage.label, stage.parameters()]}, default=str).decode() for stage in wanted]


def _settle_one(path: str, unit: str, allow_code: bool) -> None:
    """Settle a stage over DOCUMENTS. What it cannot do without, such as a column, is told by the run itself."""
    spec = load_recipe(path, allow_code=allow_code)
    label = orjson.loads(unit)["settles"][0]
    stages = tuple(stage for stage in spec.stages if stage.label == label)
    with tempfile.TemporaryDirectory(prefix="corpuscurate-") as name, stamp(unit):
        source = spec.source.model_copy(update={"paths": ("*.jsonl",), "format": None})
        rows = [{source.text: text, source.id or "id": str(number)} for number, text in enumerate(_documents())]
        Path(name, "few.jsonl").write_bytes(b"\n".join(map(orjson.dumps, rows)) + b"\n")
        sink = spec.sink.model_copy(update={"path": str(Path(name) / "out")})
        settings = Settings(workers=1, runner="inprocess")
        try:
            run_spec(replace(spec, source=source, stages=stages, sink=sink, settings=settings, base=Path(name)))
        except (CorpusCurateError, OSError):
            return


def _documents() -> list[str]:
    """Near-copies, exact copies and others: enough that a stage has something to compare."""
    words = [f"word{number * number % 97}" for number in range(120)]
    texts = [" ".join(words[start : start + 80]) + "." for start in range(0, 40, 4)]
    return [*texts, *(f"{text} Once more." for text in texts), texts[0], "short"]


def _loads(spec: Spec) -> str:
    """A recipe's part. Its input need not be there: the formats follow from its names, all where these tell none."""
    told = [spec.source.format] if spec.source.format else [kind_of(path)[0] for path in spec.source.paths]
    formats = [name for name in told if name is not None]
    return to_text(planned(spec), formats if len(formats) == len(told) else list(input_formats()))
