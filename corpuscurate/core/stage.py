"""The two kinds of stage, what they return, and their registration.

A stage is a frozen, picklable value of parameters. A `StreamingStage` maps a batch to an `Outcome`; it never drops rows
itself: the engine does, so that counts, the row of each dropped document, `mode: tag`, resume and statistics
are the same for all. A `GlobalStage` needs the whole corpus once: it sketches batches, then settles over the sketches.

To register: subclass in a module of `corpuscurate.stages` (or of a package with an entry point in the group
`corpuscurate.stages`) with `word = "recipe_word"`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from typing import Any, ClassVar, Literal

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from corpuscurate.core.batch import Batch
from corpuscurate.core.code_digest import code_digest
from corpuscurate.core.corpus import Corpus, Settled, Work
from corpuscurate.core.errors import RecipeError, did_you_mean
from corpuscurate.core.plugins import load_plugins


@dataclass(frozen=True, slots=True)
class Edit:
    """What a stage removed or replaced for one reason: number of documents, and bytes removed (may be negative)."""

    documents: int
    bytes: int

    def __add__(self, other: Edit) -> Edit:
        return Edit(self.documents + other.documents, self.bytes + other.bytes)


FAILED = pa.list_(pa.struct([("rule", pa.int16()), ("value", pa.float64()), ("threshold", pa.float64())]))
"""The rules that a document failed: number as in `Outcome.reason`, value, threshold (null: the stage's own)."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result of a streaming stage for a batch of n rows; every part is optional.

    text: the new text, n rows. columns: columns always added, keyed by measure (the engine prefixes the stage's
    label). reason: int16[n], 0 = keep, i >= 1 = drop for the i-th of `Stage.rules()`; the first rule that fails.
    value: float64[n], the value measured by that rule (nan elsewhere). threshold: float64[n], the threshold of that
    rule where it differs by document; None or nan: the threshold of `Stage.rules()`. failed: FAILED[n], every rule
    that failed, for dropped/; null: only the first one is reported. measures: the measures of the rules in force,
    always; the report shows their histograms, and in `mode: tag` they are columns. edits: what was removed, by reason.
    detail: large_string[n], for dropped/, what a document met where a number does not tell it (list, line and entry);
    null elsewhere; of stages with `details` alone. noted: bool[n] each, documents that the user may have to know of, by
    a name that `StreamingStage.warnings` knows.
    """

    text: pa.LargeStringArray | None = None
    columns: Mapping[str, pa.Array] = field(default_factory=dict)
    reason: NDArray[np.int16] | None = None
    value: NDArray[np.float64] | None = None
    threshold: NDArray[np.float64] | None = None
    failed: pa.ListArray | None = None
    detail: pa.LargeStringArray | None = None
    measures: Mapping[str, pa.Array] = field(default_factory=dict)
    edits: Mapping[str, Edit] = field(default_factory=dict)
    noted: Mapping[str, NDArray[np.bool_]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Note:
    """The documents of a name in `Outcome.noted`: how many, and the lowest doc_id."""

    count: int
    first: int


@dataclass(frozen=True, slots=True)
class Code:
    """The origin of a stage from a plain Python file (`core.user_code`): the path of the file, the name of the class
    in it, and the digest of the file's content."""

    path: str
    name: str
    digest: str


@dataclass(frozen=True, slots=True)
class Resources:
    """What a stage, or a model, needs of a machine.

    cpus: processors of a task. memory_bytes: once a process, besides batches: weights, tables, working memory. gpus:
    cards of a task. processes: child processes that a task starts. device: kind of device and backend whose numbers
    are in the output, such as `cuda`; fingerprints cover it.
    """

    cpus: int = 1
    memory_bytes: int = 0
    gpus: int = 0
    processes: int = 0
    device: str = "cpu"


class Stage(BaseModel):
    """A rule with its parameters. Fields are recipe keys; their descriptions and bounds are the documentation."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    word: ClassVar[str] = ""
    """The word in recipes; also the file name and the test name."""
    version: ClassVar[int] = 1
    """Part of the fingerprint: raise it when the output changes for the same parameters."""
    listed: ClassVar[bool] = True
    """False for what a stage is `planned` as: recipes name the stage itself."""
    source: ClassVar[str] = ""
    """Where the rule was published."""
    code: ClassVar[Code | None] = None
    """Set for a stage that a recipe takes from a plain Python file."""
    shorthand: ClassVar[str] = ""
    """The field that `- word: value` sets; without it, the only required one."""

    name: str | None = Field(
        None,
        description="label of this use, needed when a stage occurs twice",
        pattern=r"^[A-Za-z][A-Za-z0-9_-]{0,63}$",
    )
    mode: Literal["drop", "tag"] = Field("drop", description="tag: write the measures as columns, drop nothing")

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        super().__pydantic_init_subclass__(**kwargs)
        own = cls.__dict__.get("word") if cls.listed else None  # one without a word does not take its parent's place
        if own and not cls.__module__.startswith(USER_CODE):  # nor does a user's file take that of a word in recipes
            _REGISTRY[cls.word] = cls

    @property
    def label(self) -> str:
        """The name of this use: in dropped/, the report, column prefixes and `--set`. Without a name and a word it is
        that of the class."""
        return self.name or self.word or type(self).__name__.lstrip("_")

    def reads(self) -> tuple[str, ...]:
        """Columns the stage needs besides the text: the user's, or `<stage>.<measure>` of an earlier stage."""
        return ()

    def adds(self) -> Mapping[str, pa.DataType]:
        """Columns the stage always adds, by measure, with their types."""
        return {}

    def origin(self, measure: str) -> Any:
        """What an added column was made with, JSON-able, for later stages that depend on it; None: nothing is
        recorded. The origin of an embedding is its embedder."""
        return None

    def check_origins(self, origins: Mapping[str, Any]) -> None:
        """Check the origins of the columns that the stage reads, before a run. origins: by full column name, those of
        columns that earlier stages add.

        Raises RecipeError where one does not fit.
        """

    def measures(self) -> Mapping[str, pa.DataType]:
        """Columns the stage adds in `mode: tag`, by measure, with their types."""
        return {}

    def rules(self) -> Mapping[str, float | None]:
        """Each rule that may drop or edit a document, in the order of its number, with its threshold (None: it has
        none). Its name is the reason in the ledger."""
        return {}

    def parameters(self) -> dict[str, Any]:
        """The parameters as plain values, defaults included."""
        return self.model_dump(mode="json", exclude={"name"})

    @property
    def packages(self) -> tuple[str, ...]:
        """Distributions whose version may change the stage's output; fingerprints cover it. Those of every run
        (corpuscurate, NumPy, pyarrow) are not listed."""
        return ()

    @property
    def resources(self) -> Resources:
        """What a task of the stage needs, from its parameters alone: no model is loaded for it."""
        return Resources()

    def planned(self) -> Stage:
        """The stage that a run performs in the place of this one: with the same word, version, parameters, identity,
        reasons and added columns. A streaming stage that needs a card is planned as a global one, so that workers make
        tokens and the card computes in a phase of its own."""
        return self

    def ahead_on_card(self) -> Work | None:
        """A work that a process of a card performs as soon as it starts, to load what the stage's works there need;
        what it returns or raises is ignored."""
        return None

    def identity(self) -> dict[str, Any]:
        """What the fingerprint covers: the parameters, with the digest of a file that the stage reads, not its path.

        Called before a run: raise InputError or RecipeError here when such a file cannot be used.
        """
        return self.parameters()


def code_value(stage: Stage) -> list[Any]:
    """The part of a fingerprint that covers what a stage is made of: the versions of its packages and its kind of
    device; for a stage from outside this package also the name of its class and the digest of its code."""
    kind = type(stage)
    versions = {name: package_version(name) for name in stage.packages}
    made_with: list[Any] = [each for each in (versions, stage.resources.device) if each not in ({}, "cpu")]
    if kind.code is not None:
        return [*made_with, kind.code.name, kind.code.digest]
    if kind.__module__.startswith("corpuscurate."):  # a trial of `tune` has no word, and is told by its name
        return made_with if kind.__dict__.get("word") else [*made_with, f"{kind.__module__}.{kind.__qualname__}"]
    return [*made_with, f"{kind.__module__}.{kind.__qualname__}", code_digest(kind)]


def package_version(package: str) -> str:
    """The version of a distribution, or `not installed`."""
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


class StreamingStage(Stage):
    """Batch in, outcome out; no state between batches, so any split into batches gives the same rows."""

    edits_text: ClassVar[bool] = False
    """Whether `apply` may return text: such a stage is replayed when the text is read again."""
    details: ClassVar[bool] = False
    """Whether `apply` returns details: dropped/ then has a column `detail`."""

    def apply(self, batch: Batch) -> Outcome:
        """The outcome for a batch; deterministic, row by row."""
        raise TypeError(f"{type(self).__name__} defines no apply()")

    @property
    def hides(self) -> bool:
        """Whether the stage takes values out of the text that no file of the run may keep: what is kept of the text of
        dropped documents goes through `hidden` first, and of unreadable records only the shape is kept."""
        return False

    def hidden(self, text: pa.LargeStringArray) -> pa.LargeStringArray:
        """Texts without the values that the stage hides, of documents that it may never have seen."""
        return text

    def warnings(self, noted: Mapping[str, Note], documents: int) -> list[str]:
        """What the user is told after the pass. noted: of the names in `Outcome.noted` that any document has.
        documents: how many the stage saw."""
        return []


class GlobalStage(Stage):
    """A rule over the whole corpus: `sketch` each batch, then `settle` once."""

    takes_rows: ClassVar[frozenset[str]] = frozenset()
    """Sketch methods for `Corpus.reread` that take a parameter `rows` (int64, ascending; None: all), the rows of the
    wanted documents in the batch, which saves a copy of their text."""

    edits_text: ClassVar[bool] = False
    """Whether `settle` may return edits: the stages after it are measured anew, on the text as edited."""
    keeps_text: ClassVar[bool] = False
    """Whether `settle` asks for `Corpus.text`: its pass then writes the text of every document it sketches."""
    copies_documents: ClassVar[bool] = False
    """Whether `settle` may return copies: data/ gains the column `<label>.copy` (int32, 0 for the first)."""
    orders_documents: ClassVar[bool] = False
    """Whether `settle` returns an order. At most one stage of a pipeline may."""

    def partitions(self) -> tuple[str, ...]:
        """Names of the partitions (folders within data/) that `settle` assigns documents to; empty: it assigns none."""
        return ()

    def corpora(self) -> tuple[str, ...]:
        """Output folders of earlier runs whose documents it compares with."""
        return ()

    def index_header(self) -> dict[str, Any] | None:
        """The values that must be equal in two runs for their sketches to be compared, text edits apart, JSON-able.
        None: the sketches are no index for later runs.

        An index holds sketches of the texts as the run writes them: where a later stage edits text, the writing pass
        sketches it once more."""
        return None

    def for_index(self) -> GlobalStage:
        """The stage that makes the sketches for later runs where later stages edit the text: with the `index_header` of
        this one, and without columns that only its own settle step reads. All columns by default."""
        return self

    def sketch_schema(self) -> pa.Schema:
        """Columns of a sketch row, without doc_id."""
        raise TypeError(f"{type(self).__name__} defines no sketch_schema()")

    def sketch_parameters(self) -> dict[str, Any]:
        """The parameters that the sketch depends on: when any other one changes, the sketches are reused."""
        return self.parameters()

    def sketch(self, batch: Batch) -> dict[str, pa.Array]:
        """The sketch columns, a row a document; deterministic, row by row."""
        raise TypeError(f"{type(self).__name__} defines no sketch()")

    def disk_bytes(self, text_bytes: int) -> int:
        """About how many bytes its sketches and works take on disk for a document with so many bytes of text; for the
        estimate before a run, and without loading a model."""
        return row_bytes(self.sketch_schema())

    def settle(self, corpus: Corpus) -> Settled:
        """Decide from all sketches. The result depends on them, the parameters and earlier drops alone."""
        raise TypeError(f"{type(self).__name__} defines no settle()")

    def tag_defaults(self) -> Mapping[str, Any]:
        """Values of `measures` for documents that `Settled.tags` leaves out (missing key: null)."""
        return {}


def row_bytes(schema: pa.Schema) -> int:
    """About how many bytes a row takes."""
    return sum(_width(kind) for kind in schema.types)


def _width(kind: pa.DataType) -> int:
    try:
        return int(kind.bit_width) // 8
    except ValueError:
        return 16


_REGISTRY: dict[str, type[Stage]] = {}
USER_CODE = "corpuscurate.core.user_code."
"""Prefix of the module names of a user's plain Python files."""


def stage_classes() -> dict[str, type[Stage]]:
    """Every stage by its recipe word, entry points included, sorted."""
    load_plugins("corpuscurate.stages", "corpuscurate.stages")
    return dict(sorted(_REGISTRY.items()))


def stage_class(word: str) -> type[Stage]:
    """The stage of a recipe word. Raises RecipeError with the nearest names."""
    known = stage_classes()
    if word not in known:
        raise RecipeError(f"unknown stage {word!r}. {did_you_mean(word, known)} `corpuscurate stages` lists all.")
    return known[word]
