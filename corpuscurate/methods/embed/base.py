"""The interface of embedders: texts in, unit rows out; their parameters in recipes; and files of embeddings.

An embedder is one file in this folder with a subclass of `Parameters` that has a `kind` and says how it is made; in a
package of its own it is an entry point of the group `corpuscurate.embedders`.

How a global stage gets embeddings (see `embed.corpus`):

    class Semantic(EmbedsCorpus):                 # brings the parameter `embedder`, sketch_schema() and sketch()
        word = "semantic"
        def settle(self, corpus):
            files = embed_corpus(corpus, self, self.embedder)   # a file a split, in input order
            for ids, rows, notes in embedding_batches(files[0]): ...   # uint64[m] ascending, unit rows float32[m, d]

`sketch()` writes nothing dear, so that the measuring pass costs no embedding and documents dropped by an earlier global
stage are never embedded. `embed_corpus` covers all kinds: for `learned` it samples documents by a hash of doc_id, reads
their text again, fits, and embeds everything with the fitted model; for `column` it takes the rows from the input. The
files hold exactly the documents that are alive when the stage settles (those of `Corpus.dropped` are left out).

What it costs to embed is kept when other parameters of the stage change: the files depend on the documents and the
embedder alone (`basis` of `Corpus.run` and `Corpus.reread`; a stage can use it for its own works, say pairs).
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache, reduce
from operator import or_
from pathlib import Path
from typing import Annotated, Any, ClassVar, NamedTuple, Protocol

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    SerializationInfo,
    TypeAdapter,
    ValidationInfo,
)
from pydantic_core import CoreSchema, to_json
from pydantic_core.core_schema import plain_serializer_function_ser_schema, with_info_plain_validator_function

from corpuscurate.core.artefact import Artefact
from corpuscurate.core.columns import to_numpy
from corpuscurate.core.digests import digest_file, fingerprint
from corpuscurate.core.errors import RecipeError
from corpuscurate.core.plugins import load_plugins
from corpuscurate.core.stage import Resources
from corpuscurate.kernels.embedding import whole_rows as kernels

EMPTY = 1
"""Note: there is nothing to embed (no text, or no word that counts)."""
UNKNOWN = 2
"""Note: too many of the text's tokens are unknown to the model. The row is zero: such a text is never a duplicate."""
CUT = 4
"""Note: the row is of the head of the text alone; the model read no further."""
NOT_FINITE = 8
"""Note: the model, or the column, gave NaN or infinity. The row is zero."""


class Embedded(NamedTuple):
    """Texts as vectors. rows: float32[n, d], of length 1 or zero; notes: uint8[n], what is to be said of each row:
    the sum of EMPTY, UNKNOWN, CUT and NOT_FINITE. A row is zero if and only if one of the notes but CUT says why."""

    rows: NDArray[np.float32]
    notes: NDArray[np.uint8]


class Embedder(Protocol):
    """Texts to unit vectors. The row of a text depends on that text alone, to the byte, never on its batch."""

    @property
    def dimension(self) -> int:
        """Length of a row."""

    @property
    def resources(self) -> Resources:
        """What it occupies."""

    def embed(self, texts: pa.LargeStringArray) -> Embedded:
        """float32[n, dimension]: rows of length 1, the zero row where a text has none (empty text); and notes."""

    def identity(self) -> str:
        """Fingerprint of weights and parameters: equal ones give equal rows (same versions, same kind of CPU)."""


class Parameters(BaseModel):
    """The parameters of an embedder, an `embedder:` of a recipe. A subclass with a `kind` of its own makes it known:
    `kind: Literal["my-kind"] = "my-kind"`. Frozen and picklable; equal ones make equal embedders."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, protected_namespaces=())

    kind: str
    packages: ClassVar[tuple[str, ...]] = ()
    """Distributions whose version may change a row, see `Stage.packages`."""

    @property
    def distributions(self) -> tuple[str, ...]:
        """`packages`, and those that these parameters need besides."""
        return self.packages

    @property
    def resources(self) -> Resources:
        """See `Stage.resources`."""
        device = getattr(self, "device", "cpu")
        return Resources(device=device, gpus=int(device != "cpu"))

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        super().__pydantic_init_subclass__(**kwargs)
        if "kind" in cls.__annotations__:  # its own: a subclass without one does not take its parent's place
            _KINDS[cls.model_fields["kind"].default] = cls

    def make_embedder(self) -> Embedder:
        """The embedder; `make.make_embedder` keeps it. Packages that are slow to import are imported here, and a
        missing one raises MissingExtraError. Raises RecipeError for files that cannot be used, ValueError where there
        is no embedder (yet)."""
        raise ValueError(f"{self!r} makes no embedder: its model is not fitted yet, or its rows are in a column")

    def model_folder(self) -> Path | None:
        """The folder with the model's files, whose digest says what rows depend on; None where there is none. Raises
        RecipeError where it should be there."""
        return None

    def row_length(self) -> int:
        """Length of a row, without loading weights where it can be told so. ValueError where it is not known."""
        return self.make_embedder().dimension

    def sample_to_fit(self) -> int:
        """About how many bytes of text a model must be fitted on first (`fit`); 0 where none must."""
        return 0

    def fit(self, texts: Iterable[pa.LargeStringArray], folder: Path, *, threads: int = 1) -> dict[str, Any]:
        """Fit a model and write its files into `folder`, which exists; nothing depends on `threads`. JSON-able counts.

        Only for those with a field `model`, which is set to the folder afterwards.
        """
        raise ValueError(f"nothing is fitted for the embedder {self.kind!r}")


_KINDS: dict[str, type[Parameters]] = {}


def embedder_kinds() -> dict[str, type[Parameters]]:
    """The parameters of every embedder by kind, entry points included, sorted."""
    load_plugins("corpuscurate.methods.embed", "corpuscurate.embedders")
    return dict(sorted(_KINDS.items()))


@dataclass(frozen=True, slots=True)
class ByKind:
    """Annotation of a field: one of the embedders that are known when a value is checked, told by its `kind`; the kind
    alone may stand for a mapping. default: the kind of a mapping that names none; "" to refuse it. without: kinds
    that don't fit; more: further models with a `kind`."""

    default: str = ""
    without: tuple[str, ...] = ()
    more: tuple[type[BaseModel], ...] = ()

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        dumped = plain_serializer_function_ser_schema(_dumped, info_arg=True)
        return with_info_plain_validator_function(self._checked, serialization=dumped)

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return handler(self._union().core_schema)

    def _union(self) -> TypeAdapter[Any]:
        known = [model for kind, model in embedder_kinds().items() if kind not in self.without]
        return _union_of((*known, *self.more))

    def _checked(self, value: Any, info: ValidationInfo) -> Any:
        if isinstance(value, str):
            value = {"kind": value}
        elif isinstance(value, dict) and self.default:
            value = {"kind": self.default, **value}
        if info.mode == "json":  # as strict as JSON can be: lists for tuples
            return self._union().validate_json(to_json(value), context=info.context)
        return self._union().validate_python(value, context=info.context)


def _dumped(value: BaseModel, info: SerializationInfo) -> dict[str, Any]:
    return value.model_dump(mode=info.mode)


@lru_cache(maxsize=16)
def _union_of(models: tuple[type[BaseModel], ...]) -> TypeAdapter[Any]:
    union: Any = reduce(or_, models)
    return TypeAdapter(Annotated[union, Field(discriminator="kind")])


EmbedderParameters = Annotated[Parameters, ByKind(default="learned")]
"""`embedder:` of a recipe: a mapping with `kind` (`learned` where it is left out), or the kind alone."""


def of_a_column(value: Any) -> Any:
    """A stage's parameters, `embedding: NAME` written out as `embedder: {kind: column, column: NAME}`."""
    if not isinstance(value, dict) or "embedding" not in value:
        return value
    rest = {key: each for key, each in value.items() if key != "embedding"}
    if rest.get("embedder") is not None:
        raise ValueError("give `embedding`, a column that has the vectors, or `embedder`, which makes them; not both")
    return {**rest, "embedder": {"kind": "column", "column": value["embedding"]}}


EMBEDDING = "embedding"
"""Name of the column of rows in files of embeddings."""
NOTES = "notes"
"""Name of the column of notes in files of embeddings, uint8 (see `Embedded`)."""


def checked_folder(kind: str, name: str) -> Path:
    """The folder of a model. Raises RecipeError where it is none."""
    if not Path(name).is_dir():
        raise RecipeError(f"the model of the embedder {kind!r} is not there: {name!r} is no folder.")
    return Path(name)


def folder_digest(folder: Path) -> str:
    """Fingerprint of a model's files, asked of them anew only when their times or sizes change."""
    files = sorted(path for path in folder.rglob("*") if path.suffix in (".safetensors", ".json", ".txt", ".model"))
    states = tuple((str(path.relative_to(folder)), path.stat().st_mtime_ns, path.stat().st_size) for path in files)
    return _digest(folder, states)


@lru_cache(maxsize=16)
def _digest(folder: Path, states: tuple[tuple[str, int, int], ...]) -> str:
    return fingerprint([[name, digest_file(folder / name)] for name, _, _ in states])


def embedding_type(dimension: int) -> pa.DataType:
    """The Arrow type of a column of embeddings."""
    return pa.list_(pa.float32(), dimension)


def embedding_column(rows: NDArray[np.float32]) -> pa.FixedSizeListArray:
    """float32[n, d] as an Arrow column, without a copy."""
    flat = pa.array(np.ascontiguousarray(rows, np.float32).reshape(-1))
    return pa.FixedSizeListArray.from_arrays(flat, rows.shape[1])


def embedding_rows(column: pa.FixedSizeListArray) -> NDArray[np.float32]:
    """A column of embeddings as float32[n, d], without a copy (then read-only)."""
    rows: NDArray[np.float32] = to_numpy(column.flatten()).reshape(len(column), column.type.list_size)
    return rows


class EmbeddedDocuments(NamedTuple):
    """A batch of a file of embeddings. ids: doc_id uint64[m], ascending; rows: float32[m, d]; notes: uint8[m]."""

    ids: NDArray[np.uint64]
    rows: NDArray[np.float32]
    notes: NDArray[np.uint8]


def embedding_batches(path: Path | Artefact) -> Iterator[EmbeddedDocuments]:
    """The batches of a file of embeddings, memory-mapped.

    How rows fall into batches depends on the run's batch size: results must not depend on it.
    """
    with pa.memory_map(os.fspath(path)) as source:
        file = pa.ipc.open_file(source)
        for number in range(file.num_record_batches):
            batch = file.get_batch(number)
            ids, notes = to_numpy(batch.column("doc_id")), to_numpy(batch.column(NOTES))
            yield EmbeddedDocuments(ids, embedding_rows(batch.column(EMBEDDING)), notes)


def embedding_shape(path: Path | Artefact) -> tuple[int, int]:
    """(rows, dimension) of a file of embeddings; only its footer and headers are read."""
    with pa.memory_map(os.fspath(path)) as source:
        file = pa.ipc.open_file(source)
        rows = sum(file.get_batch(number).num_rows for number in range(file.num_record_batches))
        return rows, file.schema.field(EMBEDDING).type.list_size


def unit_rows(rows: NDArray[np.float32] | NDArray[np.float64]) -> NDArray[np.float32]:
    """Rows divided by their length; zero rows, and rows that are not finite, become zero rows."""
    return noted_rows(rows).rows


def noted_rows(rows: NDArray[np.float32] | NDArray[np.float64]) -> Embedded:
    """Rows divided by their length, and a note where there is none: EMPTY for zero rows, NOT_FINITE for rows with NaN
    or infinity, which become zero rows too."""
    units, squares = np.empty(rows.shape, np.float32), np.empty(len(rows))
    kernels.unit_rows(rows, units, squares)  # a row's bytes are its own, whatever the number of rows
    notes = np.where(np.isfinite(squares), np.where(squares > 0, 0, EMPTY), NOT_FINITE).astype(np.uint8)
    return Embedded(units, notes)


def noted(rows: NDArray[np.float32]) -> Embedded:
    """Unit rows with their notes: EMPTY where a row is zero."""
    return Embedded(rows, np.where(rows.any(axis=1), 0, EMPTY).astype(np.uint8))
