"""Stages from a plain Python file beside a recipe, `- python: my_filters.py:Digits`.

Only `load_stage` runs the file, and only its callers that have the user's permission call it. The file becomes a module
below this one, `corpuscurate.core.user_code.my_filters_<digest>`, so that its stages pickle by name. A worker process
receives the sources that its caller has loaded (`sources`, `know`) and runs them, not the files, which may have changed
since. The name ends in a digest of path and content: a changed file is another module.

The digest of the content is part of the stage's fingerprint (`Stage.code`); modules that the file imports are not.
"""

from __future__ import annotations

import importlib
import os
import re
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import CodeType, ModuleType

import xxhash

from corpuscurate.core.errors import RecipeError, did_you_mean
from corpuscurate.core.stage import Code, GlobalStage, Stage, StreamingStage

__path__: list[str] = []
"""Makes this a package to the import system; its modules come from `_Finder` alone."""

_BASES = "StreamingStage, Filter or GlobalStage"


@dataclass(frozen=True, slots=True)
class Source:
    """A Python file: its path and the content that was read."""

    path: str
    content: bytes

    @property
    def digest(self) -> str:
        """xxh3-128 of the content alone, 32 hex digits."""
        return xxhash.xxh3_128_hexdigest(self.content)

    @property
    def module(self) -> str:
        """The full name of its module."""
        whole = xxhash.xxh3_64_hexdigest(self.path.encode("utf-8", "surrogateescape") + b"\0" + self.content)
        return f"{__name__}.{re.sub(r'[^A-Za-z0-9_]', '_', Path(self.path).stem)}_{whole}"


_SOURCES: dict[str, Source] = {}


def sources() -> tuple[Source, ...]:
    """The sources loaded in this process, for `know` in another one."""
    return tuple(_SOURCES.values())


def know(given: Iterable[Source]) -> None:
    """Make modules of these sources importable in this process; none is run yet."""
    _SOURCES.update({source.module: source for source in given})


class _Finder(MetaPathFinder, Loader):
    """Finds and runs the modules of known sources."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname not in _SOURCES:
            return None
        return ModuleSpec(fullname, self, origin=_SOURCES[fullname].path)

    def exec_module(self, module: ModuleType) -> None:
        source = _SOURCES[module.__name__]
        module.__file__ = source.path
        exec(_compiled(source), module.__dict__)  # noqa: S102  what the user allowed
        for name, kind in _stages_in(module).items():
            if not kind.__dict__.get("word"):
                kind.word = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()
            kind.code = Code(source.path, name, source.digest)


sys.meta_path.append(_Finder())


def _compiled(source: Source) -> CodeType:
    return compile(source.content, source.path, "exec", dont_inherit=True)


def _stages_in(module: ModuleType) -> dict[str, type[Stage]]:
    """The stages that a module defines, by name."""
    return {
        name: kind
        for name, kind in vars(module).items()
        if isinstance(kind, type)
        and issubclass(kind, (StreamingStage, GlobalStage))
        and kind.__module__ == module.__name__
    }


def split_reference(reference: str) -> tuple[str, str]:
    """Path and class of `my_filters.py:Digits`. Raises RecipeError for anything else."""
    path, colon, name = reference.rpartition(":")
    if not colon or not path.endswith(".py") or not name.isidentifier():
        raise RecipeError(f"{reference!r} names no class of a Python file: write FILE.py:CLASS")
    return path, name


def load_stage(reference: str, base: Path) -> type[Stage]:
    """Run a Python file and return one of its stages. The caller has made sure that the user allows it.

    reference: `FILE.py:CLASS`; a relative path starts from `base`. Raises RecipeError for a file that cannot be read or
    run, and for a class that is not there or is no stage.
    """
    path, name = split_reference(reference)
    file = (base / os.path.expanduser(path)).resolve()  # noqa: PTH111  (`Path` fails for an unknown user)
    try:
        source = Source(str(file), file.read_bytes())
    except OSError as error:
        raise RecipeError(f"{path} cannot be read ({file}): {error.strerror}") from error
    know([source])
    try:
        module = importlib.import_module(source.module)
    except Exception as error:
        del _SOURCES[source.module]
        raise RecipeError(
            f"{path} cannot be loaded{_line_in(error, source)}: {type(error).__name__}: {error}"
        ) from error
    stages = _stages_in(module)
    if name in stages:
        return stages[name]
    there = f"Its stages are: {', '.join(stages)}. {did_you_mean(name, stages)}" if stages else "It defines no stage."
    if hasattr(module, name):
        raise RecipeError(f"{name} of {path} is no stage of its own: it must be a class there, below {_BASES}. {there}")
    raise RecipeError(f"{path} has no class {name!r}. {there}")


def _line_in(error: Exception, source: Source) -> str:
    """The line of the file that an error comes from, where there is one."""
    if isinstance(error, SyntaxError):
        return ""  # its own text has it
    line, trace = 0, error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == source.path:
            line = trace.tb_lineno
        trace = trace.tb_next
    return f" (line {line})" if line else ""
