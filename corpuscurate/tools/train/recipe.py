"""The recipe of `corpuscurate train quality`: documents and labels, what is trained, what is held out."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from corpuscurate.core.errors import RecipeError, did_you_mean
from corpuscurate.core.local_path import RecipePath
from corpuscurate.core.spec import InputFormatName, Paths
from corpuscurate.methods.quality.label_names import label_name
from corpuscurate.recipe.values import build
from corpuscurate.recipe.yaml_tree import node_from, read_yaml


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


def _as_tuple(value: Any) -> Any:
    return (value,) if isinstance(value, str) else tuple(value) if isinstance(value, list) else value


Columns = Annotated[tuple[str, ...], BeforeValidator(_as_tuple)]


class LabelledInput(_Section):
    """Documents with a label: one for all of them, or a column, or a column an annotator."""

    paths: Paths = Field(description="files, folders or globs", min_length=1)
    format: InputFormatName | None = Field(None, description="instead of the suffix")
    text: str = Field("text", description="column with the text")
    id: str | None = Field(None, description="column with your own id, shown in lists of documents")
    label: str | None = Field(None, description="the label of all these documents", min_length=1)
    label_columns: Columns = Field((), description="column with the label, or one column for each annotator")
    source: str | None = Field(None, description="name of these documents in the breakdown; the file's name otherwise")
    group: str | None = Field(None, description="column: documents with one value stay on one side of the split")

    @model_validator(mode="after")
    def _one_kind_of_label(self) -> LabelledInput:
        if (self.label is None) == (not self.label_columns):
            raise ValueError("give either `label`, the same for all its documents, or `label_columns`")
        if self.label is not None and not label_name(self.label):
            raise ValueError(f"label: {self.label!r} is no label: there is nothing in it")
        return self


class SplitRule(_Section):
    """How the test part is held out."""

    test: float = Field(0.2, description="share of the clusters of near-copies that is held out", gt=0, lt=1)
    threshold: float = Field(0.8, description="Jaccard similarity from which documents stay together", gt=0, le=1)
    seed: int = Field(0, description="another split", ge=0)


class Labels(_Section):
    """What is done about labels."""

    rename: dict[str, str] = Field({}, description="spelling in the data -> label; '' for no label")
    min_documents: int = Field(50, description="fewest different documents of each label", ge=2)
    find_issues: bool = Field(True, description="list labels that are likely wrong (confident learning)")
    folds: int = Field(3, description="parts of the cross-validation behind that", ge=2, le=20)


STEPS = 20_000
"""Documents times passes times learning rate that a fastText training is given at least, within bounds."""


class FasttextParameters(_Section):
    """fastText's own parameters of supervised training."""

    dim: int = Field(100, description="size of the vectors", ge=1, le=2000)
    word_ngrams: int = Field(2, description="longest word n-gram", ge=1, le=10)
    min_n: int = Field(0, description="shortest character n-gram; 0 for none", ge=0, le=20)
    max_n: int = Field(0, description="longest character n-gram; 0 for none", ge=0, le=20)
    bucket: int = Field(2_000_000, description="rows for hashed n-grams", ge=1, le=1 << 30)
    min_count: int = Field(1, description="fewest occurrences of a word", ge=1)
    epoch: int | None = Field(
        None, description="passes over the documents; null: 5, and up to 50 where there are few documents", ge=1
    )
    lr: float | None = Field(
        None, description="learning rate; null: 0.1, and up to 1 where there are few documents", gt=0
    )
    loss: Literal["softmax", "hs", "ns", "ova"] = Field("softmax", description="loss")
    thread: int = Field(1, description="threads; only with 1 does training repeat to the byte", ge=1)
    seed: int = Field(0, description="of the random numbers", ge=0)
    quantize: bool = Field(False, description="also write model.ftz, a hundredth of the size or less, and judge it")
    cutoff: int = Field(
        100_000, description="words and n-grams that model.ftz keeps, those of the greatest weight; 0 for all", ge=0
    )

    @model_validator(mode="after")
    def _some_characters(self) -> FasttextParameters:
        if 0 < self.max_n < self.min_n:
            raise ValueError(
                f"min_n ({self.min_n}) is above max_n ({self.max_n}), so that there would be no character n-grams:"
                " give min_n at most max_n, or max_n: 0 for none"
            )
        return self

    def schedule(self, documents: int) -> dict[str, Any]:
        """`epoch` and `lr` for a number of training documents.

        fastText takes a step a document, and its own defaults (5 and 0.1) are for hundreds of thousands of them. Where
        there are fewer, passes are added up to 50 and then steps lengthened up to 1, until documents * epoch * lr
        reaches STEPS. More learns clean labels a little better, and wrong ones by heart (`scripts/LOG.md`).
        """
        epoch = self.epoch or min(max(-(-STEPS // documents), 5), 50)
        lr = self.lr or min(max(STEPS / (documents * epoch), 0.1), 1.0)
        return {"epoch": epoch, "lr": lr}


class TrainRecipe(_Section):
    """All of it."""

    input: tuple[LabelledInput, ...] = Field(description="labelled documents", min_length=1)
    positive: str = Field(description="the label whose probability is the score", min_length=1)
    labels: Labels = Field(default_factory=Labels, description="what is done about labels")
    split: SplitRule = Field(default_factory=SplitRule, description="what is held out")
    trainer: str = Field("fasttext", description="what is trained")
    parameters: dict[str, Any] = Field({}, description="the trainer's own parameters")
    output: Annotated[str, RecipePath()] = Field(
        description="folder for the model and its card; must be new or empty", min_length=1
    )


def load_train_recipe(path: str | Path) -> tuple[TrainRecipe, Path]:
    """The recipe of a file and the folder its relative paths start from.

    Raises RecipeError with a line for every fault: file, line, key path.
    """
    file = Path(path)
    root = read_yaml(file)
    if not isinstance(root.value, dict):
        raise RecipeError(
            root.error(f"a training recipe must be a mapping; keys: {', '.join(TrainRecipe.model_fields)}")
        )
    found, faults = build(TrainRecipe, root, "the training recipe")
    if found is None:
        raise RecipeError("\n".join(faults))
    return found, file.absolute().parent


def build_parameters(model: type[BaseModel], given: Mapping[str, Any], trainer: str) -> Any:
    """The trainer's parameters, checked. Raises RecipeError."""
    node = node_from(dict(given), "", "parameters")
    found, faults = build(model, node, f"the trainer {trainer}")
    if found is None:
        raise RecipeError("\n".join(faults))
    return found


def unknown(name: str, known: Mapping[str, Any], what: str) -> RecipeError:
    """The error for a name that is not known."""
    return RecipeError(f"unknown {what} {name!r}. {did_you_mean(name, known)}")
