"""From the parameters of an embedder to the embedder: the one place that knows them all."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

from corpuscurate.core.errors import RecipeError
from corpuscurate.methods.embed.base import (
    Column,
    Embedder,
    Learned,
    Parameters,
    SentenceTransformers,
    Static,
    folder_digest,
)


def make_embedder(parameters: Parameters) -> Embedder:
    """The embedder of these parameters, made once a process and kept (the last few).

    `learned` needs `model`, the folder of a fitted one (`embed.learned.fit`); `column` has no embedder (ValueError).
    Raises RecipeError for a folder that holds no such model, MissingExtraError when a package is missing.
    """
    return _made(parameters, model_digest(parameters))  # files that changed make another embedder


@lru_cache(maxsize=4)
def _made(parameters: Parameters, _digest: str | None) -> Embedder:
    if isinstance(parameters, Static):
        from corpuscurate.methods.embed.static import StaticEmbedder

        return StaticEmbedder(parameters)
    if isinstance(parameters, SentenceTransformers):
        from corpuscurate.methods.embed.sentence import SentenceEmbedder

        return SentenceEmbedder(parameters)
    if isinstance(parameters, Learned) and parameters.model is not None:
        from corpuscurate.methods.embed.learned import load

        return load(Path(parameters.model))
    raise ValueError(f"{parameters!r} makes no embedder: its model is not fitted yet, or its rows are in a column")


def model_folder(parameters: Parameters) -> Path | None:
    """The folder with the model's files, or None where there are none. Raises RecipeError where it should be there."""
    if isinstance(parameters, SentenceTransformers):
        from corpuscurate.methods.embed.sentence import resolve

        return resolve(parameters.model)
    name = None if isinstance(parameters, Column) else parameters.model
    if name is not None and not Path(name).is_dir():
        raise RecipeError(f"the model of the embedder {parameters.kind!r} is not there: {name!r} is no folder.")
    return None if name is None else Path(name)


def model_digest(parameters: Parameters) -> str | None:
    """Fingerprint of the model's weights and settings; None for a model that the run fits itself, and for a column."""
    folder = model_folder(parameters)
    return None if folder is None else folder_digest(folder)


def embedder_value(parameters: Parameters) -> dict[str, Any]:
    """What rows depend on, JSON-able: the parameters, with the digest of the model's files in the place of its path."""
    digest = model_digest(parameters)
    return parameters.model_dump(mode="json") | ({} if digest is None else {"model": digest})


def dimension_of(parameters: Parameters) -> int:
    """Length of a row, from the model's files alone where there are any. ValueError for `column`."""
    return _dimension(parameters, model_digest(parameters))


@lru_cache(maxsize=16)
def _dimension(parameters: Parameters, _digest: str | None) -> int:
    folder = model_folder(parameters)
    if isinstance(parameters, Static) and folder is not None:
        from corpuscurate.methods.embed.static import static_dimension

        return static_dimension(folder)
    if isinstance(parameters, SentenceTransformers) and folder is not None:
        from corpuscurate.methods.embed.sentence import sentence_dimension

        return sentence_dimension(folder)
    if isinstance(parameters, Learned):
        return parameters.dimension if folder is None else make_embedder(parameters).dimension
    raise ValueError("the length of embeddings in a column is not known before it is read")
