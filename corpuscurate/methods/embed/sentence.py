"""sentence-transformers models: any folder or name, safetensors only, no code from the model's repository.

Rows do not depend on the engine's batches: `embed.windows` says how. Long documents: `head` computes the first
`max_tokens` tokens; `mean` computes every window of that length and takes the mean of their unit rows, weighted by
tokens. A text without a token has the zero row, and so has one of which the model knows too few tokens. Where a card
computes, workers tokenise and a process of the card does the rest: `embed.card`.
"""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
import orjson
import pyarrow as pa
from numpy.typing import NDArray
from pydantic import Field, model_validator

from corpuscurate.core.columns import lengths_bytes
from corpuscurate.core.digests import fingerprint
from corpuscurate.core.errors import MissingExtraError, RecipeError
from corpuscurate.core.local_path import FromRecipe
from corpuscurate.core.stage import Resources, package_version
from corpuscurate.kernels.embedding.token_batches import mean_of_unit_rows
from corpuscurate.methods.embed.base import EMBEDDING, NOTES, Embedded, Parameters, embedding_column, folder_digest
from corpuscurate.methods.embed.feeder import Feed
from corpuscurate.methods.embed.onnx_export import Exportable, onnx_file
from corpuscurate.methods.embed.onnx_model import Fixed, OnnxModel
from corpuscurate.methods.embed.precision import (
    CPU_BATCH,
    ONNX_PACKAGES,
    Backend,
    Device,
    Precision,
    card_batch,
    check_backend,
    check_card,
    check_precision,
    device_kind,
    dtype_of,
    no_room_for,
)
from corpuscurate.methods.embed.tokens import Facts, Tokeniser, facts_of, kept_facts
from corpuscurate.methods.embed.windows import Windows, cut_windows, shapes_of

FILES = ["*.json", "*.txt", "*.safetensors", "*.model"]
ROWS = "sentence_embedding"
VERSION = 3
"""2: the zero row for texts of which the model knows too few tokens. 3: batches of other shapes on a CPU."""
GROUP_BYTES = 4 << 20
GROUP_TEXTS = 4096
"""Texts tokenised and sorted at once; changes nothing in the result."""


class SentenceTransformers(Parameters):
    """Any sentence-transformers model. Documents longer than `max_tokens` are cut (head) or averaged over windows."""

    kind: Literal["sentence-transformers"] = "sentence-transformers"
    packages: ClassVar[tuple[str, ...]] = ("sentence-transformers", "transformers", "tokenizers", "torch")
    model: Annotated[str, FromRecipe(only_existing=True)] = Field(
        description="folder, Hugging Face name, or installed package that holds a model", min_length=1
    )
    device: Device = Field("cpu", description="where it runs")
    backend: Backend = Field(
        "torch",
        description="what computes: torch, or ONNX Runtime on a CPU (extra `onnx`), from a file it exports once",
    )
    half: bool = Field(False, description="16-bit weights and sums; only on cuda: short for precision: float16")
    precision: Precision | None = Field(
        None,
        description="of weights and sums; the model's own, with onnx float32, where left out; float16 only on cuda;"
        " bfloat16 with torch, slow on processors without units for it; int8 with onnx: weights of 7 bits, and"
        " activations quantised as they come",
    )
    window: Literal["head", "mean"] = Field(
        "head", description="head: the first max_tokens tokens; mean: the mean over windows of that length"
    )
    max_tokens: int | None = Field(None, description="tokens of a window, special ones included; the model's own", ge=8)
    batch_size: int = Field(
        CPU_BATCH,
        description="windows of full length computed at once, or as many tokens of shorter ones; part of the result's"
        " bytes; on cuda 512 by default",
        ge=1,
        le=8192,
    )
    batches: Literal["fixed", "free"] = Field(
        "fixed", description="fixed: no row depends on what is computed beside it; free: faster, to the last bits"
    )
    max_unknown_ratio: float = Field(
        0.1, description="share of tokens unknown to the model above which a document gets no vector", ge=0, le=1
    )
    prompt: str = Field("", description='put before each text, such as "passage: " for the E5 models')

    @model_validator(mode="before")
    @classmethod
    def _card_batch(cls, value: Any) -> Any:
        return card_batch(value)

    @model_validator(mode="after")
    def _half_where_it_works(self) -> SentenceTransformers:
        return check_precision(self)

    @property
    def resources(self) -> Resources:
        """See `Stage.resources`."""
        return Resources(device=device_kind(self.device), gpus=int(self.device != "cpu"))

    @property
    def distributions(self) -> tuple[str, ...]:
        """See `base.Parameters`."""
        return (*self.packages, *(ONNX_PACKAGES if self.backend == "onnx" else ()))

    def make_embedder(self) -> SentenceEmbedder:
        """See `base.Parameters`."""
        return SentenceEmbedder(self)

    def model_folder(self) -> Path:
        """See `base.Parameters`."""
        check_backend(self.backend, "the embedder sentence-transformers")
        return resolve(self.model)

    def row_length(self) -> int:
        """See `base.Parameters`."""
        return sentence_dimension(self.model_folder())

    def tokeniser(self) -> Tokeniser:
        """See `card.OnTokens`."""
        return _tokeniser(self, folder_digest(self.model_folder()))

    def load(self) -> SentenceModel | OnnxModel:
        """See `card.OnTokens`."""
        digest = folder_digest(self.model_folder())
        return _onnx_model(self, digest) if self.backend == "onnx" else _model(self, digest)

    def columns(self, rows: NDArray[np.float32], windows: Windows, notes: NDArray[np.uint8]) -> dict[str, pa.Array]:
        """See `card.OnTokens`."""
        found = embedded(rows, windows, notes)
        return {EMBEDDING: embedding_column(found.rows), NOTES: pa.array(found.notes)}


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


def embedded(rows: NDArray[np.float32], windows: Windows, notes: NDArray[np.uint8]) -> Embedded:
    """The rows of texts from those of their windows. notes: of the texts so far."""
    out, told = np.empty((len(notes), rows.shape[1]), np.float32), notes.copy()
    mean_of_unit_rows(rows, windows.texts, windows.sizes, told, out)
    return Embedded(out, told)


class SentenceModel:
    """See `feeder.Model`."""

    def __init__(self, parameters: SentenceTransformers) -> None:
        folder = parameters.model_folder()
        self.name, self.device = parameters.model, parameters.device
        self.loaded = _load(folder, parameters.device, dtype_of(parameters))
        self.facts = _facts(self.loaded, folder)
        self.width = sentence_dimension(folder)
        self.shapes = shapes_of(parameters, self.facts)
        self.weight_bytes = sum(part.numel() * part.element_size() for part in self.loaded.parameters())

    def run(self, features: dict[str, Any]) -> Any:
        """See `feeder.Model`."""
        return self.loaded(features)[ROWS]


class SentenceEmbedder:
    """See `base.Embedder` and the module's text."""

    def __init__(self, parameters: SentenceTransformers) -> None:
        self._parameters = parameters
        self._model = parameters.load()
        self._tokeniser = make_tokeniser(parameters, self._model.facts)
        self.dimension = self._model.width
        digest = folder_digest(parameters.model_folder())
        self._identity = fingerprint([VERSION, parameters.model_dump(exclude={"model"}), digest])

    @property
    def resources(self) -> Resources:
        """See `base.Embedder`."""
        activations = 64 * self._parameters.batch_size * self._model.shapes.longest * self.dimension
        return Resources(
            memory_bytes=self._model.weight_bytes + activations,
            device=self._parameters.resources.device,
            gpus=int(self._parameters.device != "cpu"),
        )

    def identity(self) -> str:
        """See `base.Embedder`."""
        return self._identity

    def embed(self, texts: pa.LargeStringArray) -> Embedded:
        """See `base.Embedder`."""
        parts = [self._group(texts.slice(start, stop - start)) for start, stop in groups(texts)]
        if not parts:
            return Embedded(np.zeros((0, self.dimension), np.float32), np.zeros(0, np.uint8))
        return Embedded(np.concatenate([each.rows for each in parts]), np.concatenate([each.notes for each in parts]))

    def _group(self, texts: pa.LargeStringArray) -> Embedded:
        tokens = self._tokeniser.tokens(texts)
        room = self._model.facts.room(self._model.shapes.longest)
        windows = cut_windows(tokens, room)
        feed = Feed(self._model, tokens, windows)
        feed.launch()
        feed.fetch()
        return embedded(feed.rows, windows, tokens.notes)


def groups(texts: pa.LargeStringArray) -> Iterator[tuple[int, int]]:
    """Spans (start, stop) of texts that are tokenised and sorted at once."""
    ends = np.cumsum(lengths_bytes(texts))
    start, done = 0, 0
    while start < len(texts):
        stop = int(np.searchsorted(ends, done + GROUP_BYTES, "right"))
        stop = min(max(stop, start + 1), start + GROUP_TEXTS, len(texts))
        yield start, stop
        start, done = stop, int(ends[stop - 1])


def make_tokeniser(parameters: SentenceTransformers, facts: Facts) -> Tokeniser:
    """The tokeniser of a model with these facts."""
    room = facts.room(facts.longest(parameters.max_tokens))
    limit = room if parameters.window == "head" else None
    return Tokeniser(facts, limit, parameters.prompt, parameters.max_unknown_ratio)


@lru_cache(maxsize=4)
def _tokeniser(parameters: SentenceTransformers, digest: str) -> Tokeniser:
    folder = parameters.model_folder()
    return make_tokeniser(parameters, _known_facts(parameters, folder, digest))


def _known_facts(parameters: SentenceTransformers, folder: Path, digest: str) -> Facts:
    return kept_facts(digest, parameters.packages, lambda: _facts(_load(folder, "cpu", None), folder))


@lru_cache(maxsize=2)
def _model(parameters: SentenceTransformers, _digest: str) -> SentenceModel:
    return SentenceModel(parameters)


@lru_cache(maxsize=2)
def _onnx_model(parameters: SentenceTransformers, digest: str) -> OnnxModel:
    folder = parameters.model_folder()
    facts = _known_facts(parameters, folder, digest)
    shapes = shapes_of(parameters, facts)

    def exportable() -> Exportable:
        model = _load(folder, "cpu", "float32")
        return Exportable(model, lambda features: model(features)[ROWS], facts, shapes.longest)

    made_by = fingerprint([digest, ROWS, package_version("sentence-transformers")])
    path = onnx_file(parameters.model, made_by, parameters.precision or "float32", exportable)
    return OnnxModel(path, Fixed(parameters.model, facts, sentence_dimension(folder), shapes, lambda rows: rows))


def _load(folder: Path, device: str, dtype: str | None) -> Any:
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")  # workers are processes: no threads under them
    try:
        import torch
        from sentence_transformers import SentenceTransformer
        from transformers.utils import logging as chatter
    except ImportError as error:
        raise MissingExtraError("sentence-transformers", "embed", "the embedder sentence-transformers") from error
    check_card(device, dtype)
    chatter.disable_progress_bar()
    try:
        model = SentenceTransformer(
            str(folder),
            device=device,
            trust_remote_code=False,
            local_files_only=True,
            model_kwargs={"use_safetensors": True},
        )
    except torch.OutOfMemoryError as error:
        raise no_room_for(folder) from error
    except Exception as error:
        raise RecipeError(f"the model in {folder} cannot be loaded: {type(error).__name__}: {error}") from error
    return (model if dtype is None else model.to(getattr(torch, dtype))).eval()


def _facts(model: Any, folder: Path) -> Facts:
    tokenizer = model.tokenizer
    if not hasattr(tokenizer, "num_special_tokens_to_add") or not getattr(tokenizer, "is_fast", False):
        raise RecipeError(f"the model in {folder} is not a transformer with a fast tokenizer; try `kind: static`.")
    settings = getattr(getattr(model[0], "auto_model", None), "config", None)
    positions = getattr(settings, "max_position_embeddings", None)
    return facts_of(tokenizer, [getattr(model, "max_seq_length", None)], positions)
