"""Heads: what turns an embedding into a score. A folder with head.json and head.safetensors, numbers and JSON only.

ridge: one output, the score in the unit of the labels it was trained on (0..5 for FineWeb-Edu's). logistic: an output
a label, whose softmax gives probabilities; the score is that of one label.

A head means something only on the embeddings it was trained on, so it carries what made them: parameters, and the
digest of the model's files. `check_embedder` compares; settings that change no meaning (device, half, batch_size) may
differ.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, model_validator

from corpuscurate.core.digests import digest_file, fingerprint
from corpuscurate.core.durable import read_json, write_json
from corpuscurate.core.errors import RecipeError, did_you_mean
from corpuscurate.methods.embed.base import ByKind, Parameters, unit_rows
from corpuscurate.methods.embed.make import embedder_value
from corpuscurate.methods.embed.tensors import read_tensors, write_tensors
from corpuscurate.methods.quality.label_names import label_name

SETTINGS = "head.json"
WEIGHTS = "head.safetensors"
EMBEDDER = "embedder"
"""Folder within a head's own for an embedder that was learned together with it."""
_INDIFFERENT = ("device", "half", "precision", "backend", "batch_size", "batches")
_UNIT = 1e-5
"""A row whose squared length is so near 1 is taken as it stands: it was divided by its length before."""

Made = Annotated[Parameters, ByKind(without=("column",))]
_EMBEDDERS: TypeAdapter[Parameters] = TypeAdapter(Made)


class Settings(BaseModel):
    """The content of head.json. grades: what each label counts for, of a ridge. spread: standard deviation of what a
    ridge got wrong. strength: of the penalty. embedder: its parameters; origin: what `embedder_value` says of it."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    form: Literal[1]
    kind: Literal["ridge", "logistic"]
    dimension: int = Field(ge=1)
    labels: list[str] = Field(min_length=2)
    grades: list[float] | None = None
    spread: float | None = None
    strength: float | None = None
    embedder: dict[str, Any]
    origin: dict[str, Any]

    @model_validator(mode="after")
    def _whole(self) -> Settings:
        if self.kind == "ridge" and (self.grades is None or self.spread is None):
            raise ValueError("a ridge needs grades and spread")
        if len(self.grades or self.labels) != len(self.labels):
            raise ValueError("there must be a grade for each label")
        return self


@dataclass(frozen=True)
class Head:
    """settings; weights float64[outputs, dimension]; bias float64[outputs]; the folder it was read from."""

    settings: Settings
    weights: NDArray[np.float64]
    bias: NDArray[np.float64]
    folder: Path | None = None

    def embedder(self) -> Parameters:
        """The embedder it was trained with, to be used where it was then; one that lies in the folder, from there."""
        given = dict(self.settings.embedder)
        if given.get("model") == EMBEDDER and self.folder is not None:
            given["model"] = str(self.folder / EMBEDDER)
        return _EMBEDDERS.validate_python(given)

    def output(self, target: str | None) -> int:
        """Which output is the score. Raises RecipeError for a label that there is not."""
        settings = self.settings
        if settings.kind == "ridge":
            if target is not None:
                raise RecipeError(
                    f"target: the head in {self.folder} is a regression on grades ({', '.join(settings.labels)}) and"
                    f" has no label {target!r}: leave `target` out, and cut with min_score."
                )
            return 0
        if target is None:
            raise RecipeError(
                f"target: say which label's probability is the score. The labels of the head in {self.folder} are: "
                f"{', '.join(settings.labels)}."
            )
        if target in settings.labels:
            return settings.labels.index(target)
        found = [i for i, name in enumerate(settings.labels) if label_name(name) == label_name(target)]
        if len(found) != 1:
            raise RecipeError(
                f"target: the head in {self.folder} has no label {target!r}. Its labels are: "
                f"{', '.join(settings.labels)}. {did_you_mean(target, settings.labels)}"
            )
        return found[0]

    def outputs(self, rows: NDArray[np.float32]) -> NDArray[np.float64]:
        """float64[n, outputs] of unit rows float32[n, dimension]: a ridge's score, a logistic head's probabilities;
        nan for zero rows."""
        found = linear(rows, self.weights, self.bias)
        if self.settings.kind == "logistic":
            found = softmax(found)
        found[~rows.any(axis=1)] = np.nan
        return found

    def score(self, rows: NDArray[np.float32], target: str | None = None) -> NDArray[np.float64]:
        """float64[n], the score of unit rows; nan for zero rows (nothing to judge by). Raises RecipeError."""
        if rows.shape[1] != self.settings.dimension:
            raise RecipeError(
                f"the head in {self.folder} was trained on embeddings of {self.settings.dimension} numbers, and these"
                f" have {rows.shape[1]}: they are of another embedder."
            )
        return np.ascontiguousarray(self.outputs(rows)[:, self.output(target)])


def linear(rows: NDArray[np.float32], weights: NDArray[np.float64], bias: NDArray[np.float64]) -> NDArray[np.float64]:
    """float64[n, outputs]: rows times weights plus bias, each sum in the order of the columns: a matrix product would
    give a row other last bits in another batch."""
    found = np.repeat(bias[None, :], len(rows), axis=0)
    for start in range(0, len(rows), 4096):
        columns = np.ascontiguousarray(rows[start : start + 4096].T).astype(np.float64)
        for output, factors in enumerate(weights):
            sums = np.zeros(columns.shape[1])
            for column, factor in zip(columns, factors.tolist(), strict=True):
                sums += column * factor
            found[start : start + 4096, output] += sums
    return found


def softmax(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    """Rows that sum to 1."""
    found = np.exp(logits - logits.max(axis=1, keepdims=True))
    total = np.zeros(len(found))
    for column in found.T:
        total += column
    shares: NDArray[np.float64] = found / total[:, None]
    return shares


def as_units(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    """Rows of length 1; those that have it already to the last bit as they are, so that they score as they would have
    before they were stored."""
    squares = np.zeros(len(rows))
    for column in rows.T:
        squares += column.astype(np.float64) ** 2
    return np.where((np.abs(squares - 1) < _UNIT)[:, None], rows, unit_rows(rows))


def meaning(value: Mapping[str, Any]) -> dict[str, Any]:
    """What of `embedder_value` decides what embeddings mean; of a learned model its files alone."""
    if value.get("kind") == "learned":
        return {"kind": "learned", "model": value.get("model")}
    return {name: part for name, part in value.items() if name not in _INDIFFERENT}


def check_embedder(head: Head, value: Mapping[str, Any], where: str) -> None:
    """Raises RecipeError where a head was trained on other embeddings. value: `embedder_value` of what is used."""
    trained, used = meaning(head.settings.origin), meaning(value)
    if trained == used:
        return
    names = sorted({name for name in trained.keys() | used.keys() if trained.get(name) != used.get(name)})
    shown = "; ".join(f"{name}: trained with {trained.get(name)!r}, {where} {used.get(name)!r}" for name in names)
    raise RecipeError(
        f"the head in {head.folder} was trained on other embeddings, so its scores would mean nothing. {shown}"
        f"{' (digests of the files)' if 'model' in names else ''}. Use the embedder it was trained with, or train"
        " again."
    )


def write_head(head: Head, folder: Path) -> list[str]:
    """Write head.json and head.safetensors into `folder`; their names."""
    write_json(folder / SETTINGS, head.settings.model_dump(mode="json"))
    write_tensors(folder / WEIGHTS, {"weights": head.weights, "bias": head.bias})
    return [SETTINGS, WEIGHTS]


def origin_of(parameters: Parameters) -> dict[str, Any]:
    """What a head says of the embedder it was trained with."""
    return embedder_value(parameters)


def read_head(folder: str) -> Head:
    """The head in a folder, read once a process while its files stay the same. Raises RecipeError."""
    path = Path(folder)
    if not path.is_dir():
        raise RecipeError(f"the head {folder!r} is not there: it must be a folder with {SETTINGS} and {WEIGHTS}.")
    return _read(path, head_digest(path))


def head_digest(folder: Path) -> str:
    """Fingerprint of a head's two files, asked of them anew only when their times or sizes change."""
    paths = [path for path in (folder / SETTINGS, folder / WEIGHTS) if path.is_file()]
    return _digest(tuple((str(path), path.stat().st_mtime_ns, path.stat().st_size) for path in paths))


@lru_cache(maxsize=8)
def _digest(states: tuple[tuple[str, int, int], ...]) -> str:
    return fingerprint([digest_file(Path(name)) for name, _, _ in states])


@lru_cache(maxsize=8)
def _read(folder: Path, _digest: str) -> Head:
    if not (folder / SETTINGS).is_file():
        pickles = sorted(path.name for kind in ("*.pkl", "*.joblib", "*.pt", "*.bin") for path in folder.glob(kind))
        hint = f" ({pickles[0]} is there, but pickles are never loaded)" if pickles else ""
        raise RecipeError(
            f"{folder} holds no head: there is no {SETTINGS}{hint}. Train one with `corpuscurate train quality`; for a"
            " model of transformers with its own head use `embedder: {kind: sequence-classification, model: ...}`."
        )
    try:
        settings = Settings.model_validate(read_json(folder / SETTINGS))
        _EMBEDDERS.validate_python(settings.embedder)
    except (OSError, ValueError) as error:
        said = error.errors()[0] if isinstance(error, ValidationError) else None
        why = f"{'.'.join(map(str, said['loc']))}: {said['msg']}" if said else str(error)
        raise RecipeError(f"{folder / SETTINGS} is not a sound head: {why}") from error
    tensors = read_tensors(folder / WEIGHTS)
    outputs = 1 if settings.kind == "ridge" else len(settings.labels)
    wanted = {"weights": (outputs, settings.dimension), "bias": (outputs,)}
    for name, shape in wanted.items():
        tensor = tensors.get(name)
        if tensor is None or tensor.shape != shape or tensor.dtype != np.float64 or not np.isfinite(tensor).all():
            there = "missing" if tensor is None else f"{tensor.dtype} of shape {tensor.shape}"
            raise RecipeError(
                f"{folder / WEIGHTS} does not belong to {SETTINGS}: {name!r} is {there}, and must be finite float64 of"
                f" shape {shape}."
            )
    return Head(settings, tensors["weights"], tensors["bias"], folder)
