"""sentence-transformers models: any folder or name, safetensors only, no code from the model's repository.

Rows do not depend on the engine's batches: `embed.windows` says how. Long documents: `head` computes the first
`max_tokens` tokens; `mean` computes every window of that length and takes the mean of their unit rows, weighted by
tokens. A text without a token has the zero row.
"""

from __future__ import annotations

import importlib.util
import os
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
import orjson
import pyarrow as pa
from pydantic import Field, model_validator

from corpuscurate.core.digests import fingerprint
from corpuscurate.core.errors import MissingExtraError, RecipeError
from corpuscurate.core.local_path import FromRecipe
from corpuscurate.core.stage import Resources
from corpuscurate.methods.embed.base import NOT_FINITE, UNKNOWN, Embedded, Parameters, folder_digest, noted_rows
from corpuscurate.methods.embed.windows import Shapes, Windows, groups, longest_window

FILES = ["*.json", "*.txt", "*.safetensors", "*.model"]
VERSION = 2
"""2: the zero row for texts of which the model knows too few tokens."""


class SentenceTransformers(Parameters):
    """Any sentence-transformers model. Documents longer than `max_tokens` are cut (head) or averaged over windows."""

    kind: Literal["sentence-transformers"] = "sentence-transformers"
    packages: ClassVar[tuple[str, ...]] = ("sentence-transformers", "transformers", "tokenizers", "torch")
    model: Annotated[str, FromRecipe(only_existing=True)] = Field(
        description="folder, Hugging Face name, or installed package that holds a model", min_length=1
    )
    device: Literal["cpu", "cuda"] = Field("cpu", description="where it runs")
    half: bool = Field(False, description="16-bit weights and sums; only on cuda")
    window: Literal["head", "mean"] = Field(
        "head", description="head: the first max_tokens tokens; mean: the mean over windows of that length"
    )
    max_tokens: int | None = Field(None, description="tokens of a window, special ones included; the model's own", ge=8)
    batch_size: int = Field(32, description="texts computed at once; part of the result's bytes", ge=1, le=4096)
    max_unknown_ratio: float = Field(
        0.1, description="share of tokens unknown to the model above which a document gets no vector", ge=0, le=1
    )
    prompt: str = Field("", description='put before each text, such as "passage: " for the E5 models')

    @model_validator(mode="after")
    def _half_where_it_works(self) -> SentenceTransformers:
        if self.half and self.device == "cpu":
            raise ValueError("half: true needs device: cuda (on a CPU 16-bit sums are slower, not faster)")
        return self

    def make_embedder(self) -> SentenceEmbedder:
        """See `base.Parameters`."""
        return SentenceEmbedder(self)

    def model_folder(self) -> Path:
        """See `base.Parameters`."""
        return resolve(self.model)

    def row_length(self) -> int:
        """See `base.Parameters`."""
        return sentence_dimension(self.model_folder())


@lru_cache(maxsize=16)
def resolve(model: str) -> Path:
    """The folder of a model: a folder, an installed package that holds one, or a (cached) download by its name.

    Downloads take JSON, text and safetensors files alone; `HF_HUB_OFFLINE=1` and the other variables of Hugging Face's
    client are respected. Raises RecipeError where there is no such model.
    """
    if Path(model).is_dir():
        return _checked(Path(model))
    packaged = _packaged(model)
    if packaged is not None:
        return _checked(packaged)
    return _checked(downloaded(model, "no folder, no installed package with a model,"))


def downloaded(model: str, what: str) -> Path:
    """The folder of a model of Hugging Face by its name. what: what else it is not, for the error."""
    try:
        import huggingface_hub
    except ImportError as error:
        raise MissingExtraError("sentence-transformers", "embed", "the embedder sentence-transformers") from error
    try:
        folder = huggingface_hub.snapshot_download(
            model, allow_patterns=FILES, ignore_patterns=["onnx/*", "openvino/*"]
        )
    except Exception as error:  # the client has a dozen kinds, from bad names to no network
        raise RecipeError(
            f"the model {model!r} is {what} and could not be had from Hugging "
            f"Face: {type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"
        ) from error
    return Path(folder)


def _packaged(model: str) -> Path | None:
    name = model.replace("-", "_")
    if not name.isidentifier():
        return None
    found = importlib.util.find_spec(name)
    for root in (found.submodule_search_locations or ()) if found else ():
        for folder in (Path(root), Path(root, "model")):
            if (folder / "modules.json").is_file():
                return folder
    return None


def _modules(folder: Path) -> list[dict[str, Any]]:
    try:
        modules: list[dict[str, Any]] = orjson.loads((folder / "modules.json").read_bytes())
    except (OSError, ValueError) as error:
        raise RecipeError(f"{folder} holds no sentence-transformers model: modules.json cannot be read.") from error
    return modules


def _checked(folder: Path) -> Path:
    """Refuse what would need a pickle or foreign code to be loaded."""
    for module in _modules(folder):
        kind, subfolder = str(module.get("type")), folder / str(module.get("path", ""))
        if not kind.startswith("sentence_transformers."):
            raise RecipeError(f"the model in {folder} needs the class {kind}: foreign code is never run.")
        pickles = sorted(path.name for ending in ("*.bin", "*.pt", "*.pkl") for path in subfolder.glob(ending))
        if pickles and not any(subfolder.glob("*.safetensors")):
            raise RecipeError(
                f"the model in {folder} has its weights in {pickles[0]}, a pickle, which is never loaded. Save it with "
                "safetensors (`SentenceTransformer(...).save(folder)`) and use that folder."
            )
    return folder


def sentence_dimension(folder: Path) -> int:
    """Length of a row of the model in `folder`, as its settings tell it."""
    found = 0
    for module in _modules(folder):
        path = folder / str(module.get("path", "")) / "config.json"
        settings = orjson.loads(path.read_bytes()) if path.is_file() else {}
        for key in ("out_features", "word_embedding_dimension", "embedding_dimension", "hidden_size", "hidden_dim"):
            if type(settings.get(key)) is int and (key != "hidden_size" or not found):
                found = settings[key]
                break
    if not found:
        raise RecipeError(f"the model in {folder} does not tell the length of its embeddings in any config.json.")
    return found


class SentenceEmbedder:
    """See `base.Embedder` and the module's text."""

    def __init__(self, parameters: SentenceTransformers) -> None:
        self._parameters = parameters
        folder = resolve(parameters.model)
        self._model = _load(folder, parameters)
        self._tokenizer = self._model.tokenizer
        if not hasattr(self._tokenizer, "num_special_tokens_to_add") or not getattr(self._tokenizer, "is_fast", False):
            raise RecipeError(f"the model in {folder} is not a transformer with a fast tokenizer; try `kind: static`.")
        self._longest = _longest(self._model, self._tokenizer, parameters)
        head = parameters.window == "head"
        room, device, prompt = parameters.batch_size, parameters.device, parameters.prompt
        shapes = Shapes(self._longest, room, head, device, prompt, parameters.max_unknown_ratio)
        self._windows = Windows(self._tokenizer, shapes)
        self.dimension = sentence_dimension(folder)
        self._identity = fingerprint([VERSION, parameters.model_dump(exclude={"model"}), folder_digest(folder)])

    @property
    def resources(self) -> Resources:
        """See `base.Embedder`."""
        weights = sum(part.numel() * part.element_size() for part in self._model.parameters())
        activations = 64 * self._parameters.batch_size * self._longest * self.dimension
        return Resources(
            memory_bytes=weights + activations,
            device=self._parameters.device,
            gpus=int(self._parameters.device != "cpu"),
        )

    def identity(self) -> str:
        """See `base.Embedder`."""
        return self._identity

    def embed(self, texts: pa.LargeStringArray) -> Embedded:
        """See `base.Embedder`."""
        sums = np.zeros((len(texts), self.dimension), np.float64)
        notes = np.zeros(len(texts), np.uint8)
        for start, stop in groups(texts):
            windows, notes[start:stop] = self._windows.of(texts.slice(start, stop - start))
            rows, broken = noted_rows(self._windows.compute(windows, self.dimension, self._compute))
            for window, row, note in zip(windows, rows, broken.tolist(), strict=True):
                sums[start + window.text] += row.astype(np.float64) * window.weight
                notes[start + window.text] |= note & NOT_FINITE
        sums[notes & NOT_FINITE > 0] = 0.0
        rows, empty = noted_rows(sums)
        why = notes & (UNKNOWN | NOT_FINITE) > 0  # the zero row of these is said already
        return Embedded(rows, notes | np.where(why, 0, empty).astype(np.uint8))

    def _compute(self, features: dict[str, Any]) -> Any:
        return self._model(features)["sentence_embedding"]


def _load(folder: Path, parameters: SentenceTransformers) -> Any:
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")  # workers are processes: no threads under them
    try:
        import torch
        from sentence_transformers import SentenceTransformer
        from transformers.utils import logging as chatter
    except ImportError as error:
        raise MissingExtraError("sentence-transformers", "embed", "the embedder sentence-transformers") from error
    if parameters.device == "cuda" and not torch.cuda.is_available():
        raise RecipeError("`device: cuda` of the embedder: torch sees no CUDA device here. Use `device: cpu`.")
    chatter.disable_progress_bar()
    try:
        model = SentenceTransformer(
            str(folder),
            device=parameters.device,
            trust_remote_code=False,
            local_files_only=True,
            model_kwargs={"use_safetensors": True},
        )
    except Exception as error:
        raise RecipeError(f"the model in {folder} cannot be loaded: {type(error).__name__}: {error}") from error
    return (model.half() if parameters.half else model).eval()


def _longest(model: Any, tokenizer: Any, parameters: SentenceTransformers) -> int:
    """Tokens of a window: the recipe's, within what the model can take."""
    limits = [getattr(model, "max_seq_length", None), getattr(tokenizer, "model_max_length", None)]
    settings = getattr(getattr(model[0], "auto_model", None), "config", None)
    return longest_window(limits, getattr(settings, "max_position_embeddings", None), parameters.max_tokens)
