"""Every stage that a recipe can name, one file a stage: file name = recipe word = test name.

>>> from corpuscurate.stages import Exact, MinHash

A class is found by the file that its name leads to, which alone is loaded then; `dir()` loads all files and lists the
classes that they register. The block for type checkers is written by `scripts/stage_imports.py` (`make format`).
"""

from __future__ import annotations

import importlib
import pkgutil
from typing import TYPE_CHECKING

from corpuscurate import _not_set_up

if TYPE_CHECKING:
    from corpuscurate.stages.blocklist import Blocklist as Blocklist
    from corpuscurate.stages.c4_quality import C4Quality as C4Quality
    from corpuscurate.stages.code_quality import CodeQuality as CodeQuality
    from corpuscurate.stages.diversity import Diversity as Diversity
    from corpuscurate.stages.embed import Embed as Embed
    from corpuscurate.stages.embedding_quality import EmbeddingQuality as EmbeddingQuality
    from corpuscurate.stages.exact import Exact as Exact
    from corpuscurate.stages.fasttext_quality import FasttextQuality as FasttextQuality
    from corpuscurate.stages.fineweb_quality import FinewebQuality as FinewebQuality
    from corpuscurate.stages.gopher_quality import GopherQuality as GopherQuality
    from corpuscurate.stages.gopher_repetition import GopherRepetition as GopherRepetition
    from corpuscurate.stages.importance import Importance as Importance
    from corpuscurate.stages.keep_best import KeepBest as KeepBest
    from corpuscurate.stages.language import Language as Language
    from corpuscurate.stages.length import Length as Length
    from corpuscurate.stages.madlad_quality import MadladQuality as MadladQuality
    from corpuscurate.stages.markup import Markup as Markup
    from corpuscurate.stages.minhash import MinHash as MinHash
    from corpuscurate.stages.nemotron_quality import NemotronQuality as NemotronQuality
    from corpuscurate.stages.normalize import Normalize as Normalize
    from corpuscurate.stages.outliers import Outliers as Outliers
    from corpuscurate.stages.perplexity import Perplexity as Perplexity
    from corpuscurate.stages.pii import Pii as Pii
    from corpuscurate.stages.prototypes import Prototypes as Prototypes
    from corpuscurate.stages.refinedweb_lines import RefinedwebLines as RefinedwebLines
    from corpuscurate.stages.semantic import Semantic as Semantic
    from corpuscurate.stages.signals import Signals as Signals
    from corpuscurate.stages.url_filter import UrlFilter as UrlFilter
    from corpuscurate.stages.where import Where as Where

if not TYPE_CHECKING:

    def __getattr__(name: str) -> object:
        if name == "__all__":  # of `import *`
            return sorted(_classes())
        if name[:1].isupper():
            try:
                found = _by_file(name) or _classes().get(name)
            except ModuleNotFoundError as error:
                raise _not_set_up(error) from error
            if found is not None:
                globals()[name] = found
                return found
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}{_nearest(name)}")


def __dir__() -> list[str]:
    return sorted(_classes())


def _by_file(name: str) -> object | None:
    """The class of this name in the file of the same name: `KeepBest` is in keep_best.py."""
    for module in pkgutil.iter_modules(__path__):
        if module.name.replace("_", "") == name.lower():
            return getattr(importlib.import_module(f"{__name__}.{module.name}"), name, None)
    return None


def _classes() -> dict[str, object]:
    """The stages that the files of this package register, by the name of the class."""
    from corpuscurate.core.stage import stage_classes

    return {kind.__name__: kind for kind in stage_classes().values() if kind.__module__.startswith(f"{__name__}.")}


def _nearest(name: str) -> str:
    from corpuscurate.core.errors import did_you_mean

    return f". {did_you_mean(name, _classes())}" if name[:1].isupper() else ""
