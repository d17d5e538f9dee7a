"""Transformers that were fine-tuned to judge a text as a whole: FineWeb-Edu's classifier and its kind.

What `AutoModelForSequenceClassification` loads: one output is a regression, whose number is the score (FineWeb-Edu:
0..5, `HuggingFaceFW/fineweb-edu-classifier`); of several outputs, the score is the probability of a label. Weights come
from safetensors alone and no code from the model's repository is run. A model without a trained head is refused:
transformers would give it a random one. Scores do not depend on the engine's batches: `embed.windows` says how. On a
card the tokens are fed as those of embedders are: `embed.card`.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, NamedTuple

import numpy as np
import orjson
import pyarrow as pa
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator

from corpuscurate.core.digests import fingerprint
from corpuscurate.core.errors import MissingExtraError, RecipeError, did_you_mean
from corpuscurate.core.local_path import FromRecipe
from corpuscurate.core.stage import Resources
from corpuscurate.methods.embed.base import folder_digest
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
from corpuscurate.methods.embed.sentence import downloaded, groups
from corpuscurate.methods.embed.tokens import Facts, Tokeniser, facts_of, kept_facts
from corpuscurate.methods.embed.windows import Windows, cut_windows, shapes_of

_MULTI_LABEL = "multi_label_classification"


class SequenceClassification(BaseModel):
    """A transformer with its own head, such as HuggingFaceFW/fineweb-edu-classifier."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, protected_namespaces=())

    kind: Literal["sequence-classification"] = "sequence-classification"
    packages: ClassVar[tuple[str, ...]] = ("transformers", "tokenizers", "torch")

    @property
    def resources(self) -> Resources:
        """See `Stage.resources`."""
        return Resources(device=device_kind(self.device), gpus=int(self.device != "cpu"))

    @property
    def distributions(self) -> tuple[str, ...]:
        """See `base.Parameters`."""
        return (*self.packages, *(ONNX_PACKAGES if self.backend == "onnx" else ()))

    model: Annotated[str, FromRecipe(only_existing=True)] = Field(
        description="folder or Hugging Face name", min_length=1
    )
    device: Device = Field("cpu", description="where it runs")
    backend: Backend = Field(
        "torch",
        description="what computes: torch, or ONNX Runtime on a CPU (extra `onnx`), from a file it exports once",
    )
    half: bool = Field(False, description="16-bit weights and sums; only on cuda: short for precision: float16")
    precision: Precision | None = Field(
        None,
        description="of weights and sums; float32 where left out; float16 only on cuda; bfloat16 with torch, slow on"
        " processors without units for it; int8 with onnx: weights of 7 bits, and activations quantised as they come",
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
        "fixed", description="fixed: no score depends on what is computed beside it; free: faster, to the last bits"
    )

    @model_validator(mode="before")
    @classmethod
    def _card_batch(cls, value: Any) -> Any:
        return card_batch(value)

    @model_validator(mode="after")
    def _half_where_it_works(self) -> SequenceClassification:
        return check_precision(self)


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
    check_backend(parameters.backend, "a sequence-classification model")
    return parameters.model_dump(mode="json") | {"model": folder_digest(resolve_sequence(parameters.model))}


def make_sequence_scorer(parameters: SequenceClassification, target: str | None) -> SequenceScorer:
    """The scorer of these parameters, made once a process and kept."""
    return _made(parameters, target, folder_digest(resolve_sequence(parameters.model)))


@lru_cache(maxsize=2)
def _made(parameters: SequenceClassification, target: str | None, _digest: str) -> SequenceScorer:
    return SequenceScorer(parameters, target)


SCORE = "score"
"""Column of scores in files that a card's process writes."""


@dataclass(frozen=True)
class SequenceScores:
    """Scores from tokens: see `card.OnTokens`."""

    parameters: SequenceClassification
    target: str | None

    @property
    def resources(self) -> Resources:
        """Those of the parameters."""
        return self.parameters.resources

    def tokeniser(self) -> Tokeniser:
        """See `card.OnTokens`."""
        return _tokeniser(self.parameters, folder_digest(resolve_sequence(self.parameters.model)))

    def load(self) -> SequenceModel | OnnxModel:
        """See `card.OnTokens`."""
        return _model(self.parameters, self.target, folder_digest(resolve_sequence(self.parameters.model)))

    def columns(self, rows: NDArray[np.float32], windows: Windows, notes: NDArray[np.uint8]) -> dict[str, pa.Array]:
        """See `card.OnTokens`."""
        return {SCORE: pa.array(mean_scores(rows, windows, len(notes)))}


def mean_scores(rows: NDArray[np.float32], windows: Windows, texts: int) -> NDArray[np.float64]:
    """float64[texts]: the mean of the scores of a text's windows, weighted by tokens; nan where there is none, and
    infinity where one of them is nan or infinite."""
    weights = np.bincount(windows.texts, windows.sizes, texts)
    sums = np.bincount(windows.texts, rows[:, 0].astype(np.float64) * windows.sizes, texts)
    scores = np.full(texts, np.nan)
    np.divide(sums, weights, out=scores, where=weights > 0)
    scores[(weights > 0) & ~np.isfinite(sums)] = np.inf
    return scores


class SequenceModel:
    """See `feeder.Model`. Raises RecipeError for a model that cannot be used, MissingExtraError."""

    width = 1

    def __init__(self, parameters: SequenceClassification, target: str | None) -> None:
        folder = resolve_sequence(parameters.model)
        self.name, self.device = parameters.model, parameters.device
        self._label, _ = output_of(folder, target)
        tokenizer, self._loaded = _load(folder, parameters)
        config = self._loaded.config
        self._sigmoid = config.problem_type == _MULTI_LABEL
        self.facts = facts_of(tokenizer, [], getattr(config, "max_position_embeddings", None))
        self.shapes = shapes_of(parameters, self.facts)

    def run(self, features: dict[str, Any]) -> Any:
        """See `feeder.Model`."""
        logits = self._loaded(**features).logits.float()
        if self._label is None:
            return logits[:, :1]
        shares = logits.sigmoid() if self._sigmoid else logits.softmax(dim=1)
        return shares[:, self._label : self._label + 1]


class Scored(NamedTuple):
    """scores: float64[n], nan for a text without anything but white space, infinity where the model gives nan or
    infinity; notes: uint8[n], see `base.Embedded`."""

    scores: NDArray[np.float64]
    notes: NDArray[np.uint8]


class SequenceScorer:
    """Texts to scores. Raises what `SequenceModel` raises."""

    def __init__(self, parameters: SequenceClassification, target: str | None) -> None:
        self._model = _loaded(parameters, target, folder_digest(resolve_sequence(parameters.model)))
        self._tokeniser = _tokeniser_of(parameters, self._model.facts)

    def score(self, texts: pa.LargeStringArray) -> NDArray[np.float64]:
        """The scores alone of `scored`."""
        return self.scored(texts).scores

    def scored(self, texts: pa.LargeStringArray) -> Scored:
        """Of each text; of windows the mean, weighted by tokens."""
        scores, notes = np.full(len(texts), np.nan), np.zeros(len(texts), np.uint8)
        for start, stop in groups(texts):
            tokens = self._tokeniser.tokens(texts.slice(start, stop - start))
            windows = cut_windows(tokens, self._model.facts.room(self._model.shapes.longest))
            feed = Feed(self._model, tokens, windows)
            feed.launch()
            feed.fetch()
            scores[start:stop] = mean_scores(feed.rows, windows, stop - start)
            notes[start:stop] = tokens.notes
        return Scored(scores, notes)


def _tokeniser_of(parameters: SequenceClassification, facts: Facts) -> Tokeniser:
    room = facts.room(facts.longest(parameters.max_tokens))
    return Tokeniser(facts, room if parameters.window == "head" else None)


@lru_cache(maxsize=4)
def _tokeniser(parameters: SequenceClassification, digest: str) -> Tokeniser:
    return _tokeniser_of(parameters, kept_facts(digest, parameters.packages, lambda: _facts(parameters)))


def _facts(parameters: SequenceClassification) -> Facts:
    folder = resolve_sequence(parameters.model)
    positions = sequence_config(folder).get("max_position_embeddings")
    return facts_of(_load_tokenizer(folder), [], positions)


def _loaded(parameters: SequenceClassification, target: str | None, digest: str) -> SequenceModel | OnnxModel:
    if parameters.backend == "onnx":
        return _onnx_model(parameters, target, digest)
    return SequenceModel(parameters, target)


def _onnx_model(parameters: SequenceClassification, target: str | None, digest: str) -> OnnxModel:
    check_backend(parameters.backend, "a sequence-classification model")
    folder = resolve_sequence(parameters.model)
    label, _ = output_of(folder, target)
    facts = kept_facts(digest, parameters.packages, lambda: _facts(parameters))
    shapes = shapes_of(parameters, facts)

    def exportable() -> Exportable:
        _, model = _load(folder, parameters.model_copy(update={"precision": None}))
        return Exportable(model, lambda features: model(**features).logits, facts, shapes.longest)

    path = onnx_file(parameters.model, fingerprint([digest, "logits"]), parameters.precision or "float32", exportable)
    sigmoid = sequence_config(folder).get("problem_type") == _MULTI_LABEL
    return OnnxModel(path, Fixed(parameters.model, facts, 1, shapes, lambda logits: shares(logits, label, sigmoid)))


def shares(logits: NDArray[np.float32], label: int | None, sigmoid: bool) -> NDArray[np.float32]:
    """float32[rows, 1], what `SequenceModel.run` gives, from logits float32[rows, labels]."""
    if label is None:
        return logits[:, :1]
    with np.errstate(over="ignore", invalid="ignore"):  # a model may give infinity
        if sigmoid:
            found = 1 / (1 + np.exp(-logits))
        else:
            powers = np.exp(logits - logits.max(axis=1, keepdims=True))
            found = powers / powers.sum(axis=1, keepdims=True)
    return found[:, label : label + 1].astype(np.float32)


@lru_cache(maxsize=2)
def _model(parameters: SequenceClassification, target: str | None, digest: str) -> SequenceModel | OnnxModel:
    return _loaded(parameters, target, digest)


def _load_tokenizer(folder: Path) -> Any:
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")  # workers are processes: no threads under them
    try:
        from transformers import AutoTokenizer
        from transformers.utils import logging as chatter
    except ImportError as error:
        raise MissingExtraError("sentence-transformers", "embed", "a sequence-classification model") from error
    chatter.disable_progress_bar()
    try:
        options = {"trust_remote_code": False, "local_files_only": True}
        tokenizer = AutoTokenizer.from_pretrained(str(folder), use_fast=True, **options)
    except Exception as error:
        raise RecipeError(f"the model in {folder} cannot be loaded: {type(error).__name__}: {error}") from error
    if not getattr(tokenizer, "is_fast", False):
        raise RecipeError(f"the model in {folder} has no fast tokenizer (tokenizer.json).")
    return tokenizer


def _load(folder: Path, parameters: SequenceClassification) -> tuple[Any, Any]:
    tokenizer = _load_tokenizer(folder)
    import torch
    from transformers import AutoModelForSequenceClassification

    check_card(parameters.device, dtype_of(parameters))
    options = {"trust_remote_code": False, "local_files_only": True, "use_safetensors": True}
    try:
        model, loaded = AutoModelForSequenceClassification.from_pretrained(
            str(folder), dtype=torch.float32, output_loading_info=True, **options
        )
    except Exception as error:
        raise RecipeError(f"the model in {folder} cannot be loaded: {type(error).__name__}: {error}") from error
    lacking = sorted(loaded["missing_keys"])
    if lacking:
        raise RecipeError(
            f"the model in {folder} lacks trained weights: {', '.join(lacking[:5])}. Random ones are no use."
        )
    try:
        model = model.to(getattr(torch, dtype_of(parameters) or "float32")).to(parameters.device)
    except torch.OutOfMemoryError as error:
        raise no_room_for(folder) from error
    return tokenizer, model.eval()
