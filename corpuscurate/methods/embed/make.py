"""From the parameters of an embedder to the embedder, made once a process; and what its rows depend on."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from corpuscurate.methods.embed.base import Embedder, Parameters, folder_digest


def make_embedder(parameters: Parameters) -> Embedder:
    """The embedder of these parameters, made once a process and kept (the last few).

    `learned` needs `model`, the folder of a fitted one; `column` has no embedder (ValueError). Raises RecipeError for a
    folder that holds no such model, MissingExtraError when a package is missing.
    """
    return _made(parameters, model_digest(parameters))  # files that changed make another embedder


@lru_cache(maxsize=4)
def _made(parameters: Parameters, _digest: str | None) -> Embedder:
    return parameters.make_embedder()


def model_digest(parameters: Parameters) -> str | None:
    """Fingerprint of the model's weights and settings; None where it has no files, or they are not made yet."""
    folder = parameters.model_folder()
    return None if folder is None else folder_digest(folder)


def embedder_value(parameters: Parameters) -> dict[str, Any]:
    """What rows depend on, JSON-able: the parameters, with the digest of the model's files in the place of its path."""
    digest = model_digest(parameters)
    return parameters.model_dump(mode="json") | ({} if digest is None else {"model": digest})


def dimension_of(parameters: Parameters) -> int:
    """Length of a row, from the model's files alone where there are any. ValueError for `column`."""
    return _dimension(parameters, model_digest(parameters))


def known_dimension(parameters: Parameters) -> int:
    """Length of a row for estimates; 0 where it is not known before the run (`column`)."""
    try:
        return dimension_of(parameters)
    except ValueError:
        return 0


@lru_cache(maxsize=16)
def _dimension(parameters: Parameters, _digest: str | None) -> int:
    return parameters.row_length()
