"""sentence-transformers models: any folder or name, safetensors only, no code from the model's repository.

How a row is made independent of the engine's batches: the shape of a computation decides how a matrix product orders
its sums, so every computation has one of a few fixed shapes. A text is padded to the next of `lengths(max_tokens)`, and
computed in a batch of exactly `batch_size` texts of that length, filled up with empty texts where there are too few.
One thread computes on a CPU. Each row of a product is summed on its own there, so neither its neighbours nor its place
among them matter (tested byte for byte; plain batches, padded to the longest text, differ by 1e-7). The promise holds
for the same versions of torch and the same kind of CPU or GPU, and for the same `batch_size`.

Long documents: `head` computes the first `max_tokens` tokens (of at most 64 characters a token, so that a huge document
is not tokenised whole); `mean` computes every window of that length and takes the mean of their unit rows, weighted by
tokens. A text without a token has the zero row.
"""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import orjson
import pyarrow as pa
from numpy.typing import NDArray

from corpuscurate.artefact import fingerprint
from corpuscurate.embed.base import Resources, SentenceTransformers, model_digest, unit_rows
from corpuscurate.errors import MissingExtraError, RecipeError

HEAD_CHARACTERS = 64
"""Characters of text that are looked at for each token of a head."""
GROUP_BYTES = 4 << 20
GROUP_TEXTS = 4096
"""Texts tokenised and sorted at once; changes nothing in the result."""
FILES = ["*.json", "*.txt", "*.safetensors", "*.model"]
VERSION = 1


class Window(NamedTuple):
    """Token numbers of a piece of a text, special ones included, and the number of its own tokens."""

    text: int
    ids: list[int]
    weight: int


def lengths(longest: int) -> list[int]:
    """The lengths that texts are padded to: steps of about a third, so that padding costs little and shapes are few."""
    steps = [length for power in range(4, 20) for length in (1 << power, 3 << power - 1)]
    return [*(length for length in steps if length < longest), longest]


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
            f"the model {model!r} is no folder, no installed package with a model, and could not be had from Hugging "
            f"Face: {type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"
        ) from error
    return _checked(Path(folder))


def _packaged(model: str) -> Path | None:
    name = model.replace("-", "_")
    if not name.isidentifier():
        return None
    found = importlib.util.find_spec(name)
    for place in (found.submodule_search_locations or ()) if found else ():
        for folder in (Path(place), Path(place, "model")):
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
        kind, place = str(module.get("type")), folder / str(module.get("path", ""))
        if not kind.startswith("sentence_transformers."):
            raise RecipeError(f"the model in {folder} needs the class {kind}: foreign code is never run.")
        pickles = sorted(path.name for ending in ("*.bin", "*.pt", "*.pkl") for path in place.glob(ending))
        if pickles and not any(place.glob("*.safetensors")):
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
        self._before, self._after = _frame(self._tokenizer)
        self._longest = _longest(self._model, self._tokenizer, parameters)
        if self._longest <= len(self._before) + len(self._after):
            raise RecipeError(f"max_tokens ({self._longest}) leaves no room beside the special tokens.")
        self._lengths = np.array(lengths(self._longest))
        self._typed = "token_type_ids" in self._tokenizer.model_input_names
        self.dimension = sentence_dimension(folder)
        self._identity = fingerprint([VERSION, parameters.model_dump(exclude={"model"}), model_digest(parameters)])

    @property
    def resources(self) -> Resources:
        """See `base.Embedder`."""
        weights = sum(part.numel() * part.element_size() for part in self._model.parameters())
        activations = 64 * self._parameters.batch_size * self._longest * self.dimension
        return Resources(self._parameters.device, weights + activations)

    def identity(self) -> str:
        """See `base.Embedder`."""
        return self._identity

    def embed(self, texts: pa.LargeStringArray) -> NDArray[np.float32]:
        """See `base.Embedder`."""
        sums = np.zeros((len(texts), self.dimension), np.float64)
        for start, stop in _groups(texts):
            windows = self._windows(texts.slice(start, stop - start))
            rows = self._rows(windows)
            for window, row in zip(windows, rows, strict=True):
                sums[start + window.text] += row.astype(np.float64) * window.weight
        return unit_rows(sums)

    def _windows(self, texts: pa.LargeStringArray) -> list[Window]:
        room = self._longest - len(self._before) - len(self._after)
        head = self._parameters.window == "head"
        strings = texts.to_pylist()  # the tokenizer takes nothing else, and the model costs a thousand times more
        if head:
            strings = [string[: HEAD_CHARACTERS * self._longest] for string in strings]
        filled = [i for i, string in enumerate(strings) if string.strip()]
        if not filled:
            return []
        prompted = [self._parameters.prompt + strings[i] for i in filled]
        tokens = self._tokenizer(prompted, add_special_tokens=False, truncation=False, padding=False, verbose=False)
        windows = []
        for i, ids in zip(filled, tokens["input_ids"], strict=True):
            for start in range(0, min(len(ids), room) if head else len(ids), room):
                piece = ids[start : start + room]
                windows.append(Window(i, [*self._before, *piece, *self._after], len(piece)))
        return windows

    def _rows(self, windows: list[Window]) -> NDArray[np.float32]:
        sizes = np.array([len(window.ids) for window in windows], np.int64)
        padded = self._lengths[np.searchsorted(self._lengths, sizes)]
        rows = np.empty((len(windows), self.dimension), np.float32)
        batch = self._parameters.batch_size
        for length in np.unique(padded).tolist():
            members = np.flatnonzero(padded == length)
            for start in range(0, len(members), batch):
                chosen = members[start : start + batch]
                rows[chosen] = self._compute([windows[i].ids for i in chosen.tolist()], length)[: len(chosen)]
        return unit_rows(rows)

    def _compute(self, texts: list[list[int]], length: int) -> NDArray[np.float32]:
        """The rows of a batch of fixed shape [batch_size, length]."""
        import torch

        texts = texts + [[*self._before, *self._after] or [0]] * (self._parameters.batch_size - len(texts))
        pad = self._tokenizer.pad_token_id or 0
        ids = torch.tensor([text + [pad] * (length - len(text)) for text in texts])
        sizes = torch.tensor([[len(text)] for text in texts])
        features = {"input_ids": ids, "attention_mask": (torch.arange(length) < sizes).long()}
        if self._typed:
            features["token_type_ids"] = torch.zeros_like(ids)
        features = {name: part.to(self._parameters.device) for name, part in features.items()}
        threads = torch.get_num_threads()
        torch.set_num_threads(1)
        try:
            with torch.inference_mode():
                found = self._model(features)["sentence_embedding"]
        finally:
            torch.set_num_threads(threads)
        rows: NDArray[np.float32] = found.float().cpu().numpy()
        return rows


def _groups(texts: pa.LargeStringArray) -> Iterator[tuple[int, int]]:
    from corpuscurate.columns import lengths_bytes

    ends = np.cumsum(lengths_bytes(texts))
    start, done = 0, 0
    while start < len(texts):
        stop = int(np.searchsorted(ends, done + GROUP_BYTES, "right"))
        stop = min(max(stop, start + 1), start + GROUP_TEXTS, len(texts))
        yield start, stop
        start, done = stop, int(ends[stop - 1])


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


def _frame(tokenizer: Any) -> tuple[list[int], list[int]]:
    """The special tokens before and after a text."""
    whole = tokenizer("a", add_special_tokens=True)["input_ids"]
    inner = tokenizer("a", add_special_tokens=False)["input_ids"]
    for start in range(len(whole) - len(inner) + 1):
        if whole[start : start + len(inner)] == inner:
            return whole[:start], whole[start + len(inner) :]
    raise RecipeError("the model's tokenizer does not put its special tokens around a text")


def _longest(model: Any, tokenizer: Any, parameters: SentenceTransformers) -> int:
    """Tokens of a window: the recipe's, within what the model can take."""
    limits = [getattr(model, "max_seq_length", None), getattr(tokenizer, "model_max_length", None)]
    most = min((int(limit) for limit in limits if limit and limit < 1 << 20), default=512)
    settings = getattr(getattr(model[0], "auto_model", None), "config", None)
    positions = getattr(settings, "max_position_embeddings", None) or most
    if parameters.max_tokens is None:
        return min(most, positions)
    if parameters.max_tokens > positions:
        raise RecipeError(f"max_tokens ({parameters.max_tokens}) is more than the {positions} positions of the model.")
    return parameters.max_tokens
