"""Transformers that were fine-tuned to judge a text as a whole: FineWeb-Edu's classifier and its kind.

What `AutoModelForSequenceClassification` loads: one output is a regression, whose number is the score (FineWeb-Edu:
0..5, `HuggingFaceFW/fineweb-edu-classifier`); of several outputs, the score is the probability of a label. Weights come
from safetensors alone and no code from the model's repository is run. A model without a trained head is refused:
transformers would give it a random one. Scores do not depend on the engine's batches: `embed.windows` says how.
"""

from __future__ import annotations

import os
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
import orjson
import pyarrow as pa
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator

from corpuscurate.core.errors import MissingExtraError, RecipeError, did_you_mean
from corpuscurate.core.local_path import FromRecipe
from corpuscurate.core.stage import Resources
from corpuscurate.methods.embed.base import folder_digest
from corpuscurate.methods.embed.sentence import downloaded
from corpuscurate.methods.embed.windows import Shapes, Windows, groups, longest_window

VERSION = 1


class SequenceClassification(BaseModel):
    """A transformer with its own head, such as HuggingFaceFW/fineweb-edu-classifier."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, protected_namespaces=())

    kind: Literal["sequence-classification"] = "sequence-classification"
    packages: ClassVar[tuple[str, ...]] = ("transformers", "tokenizers", "torch")

    @property
    def resources(self) -> Resources:
        """See `Stage.resources`."""
        return Resources(device=self.device, gpus=int(self.device != "cpu"))

    model: Annotated[str, FromRecipe(only_existing=True)] = Field(
        description="folder or Hugging Face name", min_length=1
    )
    device: Literal["cpu", "cuda"] = Field("cpu", description="where it runs")
    half: bool = Field(False, description="16-bit weights and sums; only on cuda")
    window: Literal["head", "mean"] = Field(
        "head", description="head: the first max_tokens tokens; mean: the mean over windows of that length"
    )
    max_tokens: int | None = Field(None, description="tokens of a window, special ones included; the model's own", ge=8)
    batch_size: int = Field(32, description="texts computed at once; part of the result's bytes", ge=1, le=4096)

    @model_validator(mode="after")
    def _half_where_it_works(self) -> SequenceClassification:
        if self.half and self.device == "cpu":
            raise ValueError("half: true needs device: cuda (on a CPU 16-bit sums are slower, not faster)")
        return self


@lru_cache(maxsize=16)
def resolve_sequence(model: str) -> Path:
    """The folder of a model, or of its (cached) download. Raises RecipeError where it is not of this kind."""
    folder = Path(model) if Path(model).is_dir() else downloaded(model, "no folder")
    config = sequence_config(folder)
    if "auto_map" in config:
        raise RecipeError(f"the model in {folder} brings code of its own (auto_map), which is never run.")
    names = config.get("architectures") or []
    if not any(str(name).endswith("ForSequenceClassification") for name in names):
        raise RecipeError(
            f"the model in {folder} is {' or '.join(map(str, names)) or 'of an unknown kind'}, which has no head that "
            "scores a text: a model for sequence classification is needed. For a model of embeddings, give `head` too."
        )
    if not any(folder.glob("*.safetensors")):
        pickles = sorted(path.name for ending in ("*.bin", "*.pt") for path in folder.glob(ending))
        what = f"has its weights in {pickles[0]}, a pickle, which is never loaded" if pickles else "has no weights"
        raise RecipeError(f"the model in {folder} {what}. Save it with safetensors and use that folder.")
    return folder


def sequence_config(folder: Path) -> dict[str, Any]:
    """The content of config.json. Raises RecipeError where it cannot be read."""
    try:
        found = orjson.loads((folder / "config.json").read_bytes())
    except (OSError, ValueError) as error:
        raise RecipeError(f"{folder} holds no model of transformers: config.json cannot be read ({error}).") from error
    if not isinstance(found, dict):
        raise RecipeError(f"{folder} holds no model of transformers: config.json is no mapping.")
    return found


def output_of(folder: Path, target: str | None) -> tuple[int | None, int]:
    """(index of the label, or None for a regression; number of outputs). Raises RecipeError."""
    config = sequence_config(folder)
    labels = config.get("id2label")
    names = [str(labels[key]) for key in sorted(labels, key=int)] if labels else ["LABEL_0", "LABEL_1"]
    if len(names) == 1:
        if target is not None and target != names[0]:
            raise RecipeError(
                f"target: the model in {folder} is a regression and has no label {target!r}: leave it out."
            )
        return None, 1
    if target is None:
        raise RecipeError(
            f"target: the model in {folder} has {len(names)} labels, so say which one's probability is the score. "
            f"Its labels are: {', '.join(names)}."
        )
    if target not in names:
        raise RecipeError(
            f"target: the model in {folder} has no label {target!r}. Its labels are: {', '.join(names)}. "
            f"{did_you_mean(target, names)}"
        )
    return names.index(target), len(names)


def sequence_value(parameters: SequenceClassification) -> dict[str, Any]:
    """What scores depend on, JSON-able: the parameters, with the digest of the model's files for its path."""
    return parameters.model_dump(mode="json") | {"model": folder_digest(resolve_sequence(parameters.model))}


def make_sequence_scorer(parameters: SequenceClassification, target: str | None) -> SequenceScorer:
    """The scorer of these parameters, made once a process and kept."""
    return _made(parameters, target, folder_digest(resolve_sequence(parameters.model)))


@lru_cache(maxsize=2)
def _made(parameters: SequenceClassification, target: str | None, _digest: str) -> SequenceScorer:
    return SequenceScorer(parameters, target)


class SequenceScorer:
    """Texts to scores. Raises RecipeError for a model that cannot be used, MissingExtraError without transformers."""

    def __init__(self, parameters: SequenceClassification, target: str | None) -> None:
        folder = resolve_sequence(parameters.model)
        self._label, self._outputs = output_of(folder, target)
        tokenizer, self._model = _load(folder, parameters)
        config = self._model.config
        self._sigmoid = config.problem_type == "multi_label_classification"
        limits = [getattr(tokenizer, "model_max_length", None)]
        longest = longest_window(limits, getattr(config, "max_position_embeddings", None), parameters.max_tokens)
        shapes = Shapes(longest, parameters.batch_size, parameters.window == "head", parameters.device)
        self._windows = Windows(tokenizer, shapes)

    def score(self, texts: pa.LargeStringArray) -> NDArray[np.float64]:
        """float64[n]; nan for a text without anything but white space. Of windows the mean, weighted by tokens."""
        sums, weights = np.zeros(len(texts)), np.zeros(len(texts))
        for start, stop in groups(texts):
            windows, _ = self._windows.of(texts.slice(start, stop - start))
            rows = self._windows.compute(windows, 1, self._compute)[:, 0].astype(np.float64)
            for window, row in zip(windows, rows.tolist(), strict=True):
                sums[start + window.text] += row * window.weight
                weights[start + window.text] += window.weight
        scores = np.full(len(texts), np.nan)
        np.divide(sums, weights, out=scores, where=weights > 0)
        return scores

    def _compute(self, features: dict[str, Any]) -> Any:
        logits = self._model(**features).logits.float()
        if self._label is None:
            return logits[:, :1]
        shares = logits.sigmoid() if self._sigmoid else logits.softmax(dim=1)
        return shares[:, self._label : self._label + 1]


def _load(folder: Path, parameters: SequenceClassification) -> tuple[Any, Any]:
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")  # workers are processes: no threads under them
    try:
        import torch
        from transformers import AutoModelForSequenceClassification, AutoTokenizer
        from transformers.utils import logging as chatter
    except ImportError as error:
        raise MissingExtraError("sentence-transformers", "embed", "a sequence-classification model") from error
    if parameters.device == "cuda" and not torch.cuda.is_available():
        raise RecipeError("`device: cuda` of the embedder: torch sees no CUDA device here. Use `device: cpu`.")
    chatter.disable_progress_bar()
    options = {"trust_remote_code": False, "local_files_only": True}
    try:
        tokenizer = AutoTokenizer.from_pretrained(str(folder), use_fast=True, **options)
        model, loaded = AutoModelForSequenceClassification.from_pretrained(
            str(folder), use_safetensors=True, dtype=torch.float32, output_loading_info=True, **options
        )
    except Exception as error:
        raise RecipeError(f"the model in {folder} cannot be loaded: {type(error).__name__}: {error}") from error
    lacking = sorted(loaded["missing_keys"])
    if lacking:
        raise RecipeError(
            f"the model in {folder} lacks trained weights: {', '.join(lacking[:5])}. Random ones are no use."
        )
    if not getattr(tokenizer, "is_fast", False):
        raise RecipeError(f"the model in {folder} has no fast tokenizer (tokenizer.json).")
    model = model.half() if parameters.half else model
    return tokenizer, model.to(parameters.device).eval()
