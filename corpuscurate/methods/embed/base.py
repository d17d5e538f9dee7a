"""The interface of embedders: texts in, unit rows out; their parameters in recipes; and files of embeddings.

How a global stage gets embeddings (see `embed.corpus`):

    class Semantic(EmbedsCorpus):                 # brings the parameter `embedder`, sketch_schema() and sketch()
        word = "semantic"
        def settle(self, corpus):
            files = embed_corpus(corpus, self, self.embedder)   # a file a split, in input order
            for ids, rows in embedding_batches(files[0]): ...   # uint64[m] ascending, float32[m, d] unit rows

`sketch()` writes nothing dear, so that the measuring pass costs no embedding and documents dropped by an earlier global
stage are never embedded. `embed_corpus` covers all kinds: for `learned` it samples documents by a hash of doc_id, reads
their text again, fits, and embeds everything with the fitted model; for `column` it takes the rows from the input. The
files hold exactly the documents that are alive when the stage settles (those of `Corpus.dropped` are left out).

What it costs to embed is kept when other parameters of the stage change: the files depend on the documents and the
embedder alone (`basis` of `Corpus.run` and `Corpus.reread`; a stage can use it for its own works, say pairs).
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, Literal, Protocol, TypeAlias

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from corpuscurate.core.artefact import digest_file, fingerprint
from corpuscurate.core.columns import to_numpy
from corpuscurate.core.handles import Artefact
from corpuscurate.core.local_path import FromRecipe, LocalPath


@dataclass(frozen=True, slots=True)
class Resources:
    """What an embedder occupies in each process that uses it."""

    device: Literal["cpu", "cuda"]
    memory_bytes: int
    """Weights and working memory, about."""


class Embedder(Protocol):
    """Texts to unit vectors. The row of a text depends on that text alone, to the byte, never on its batch."""

    @property
    def dimension(self) -> int:
        """Length of a row."""

    @property
    def resources(self) -> Resources:
        """What it occupies."""

    def embed(self, texts: pa.LargeStringArray) -> NDArray[np.float32]:
        """float32[n, dimension]: rows of length 1; the zero row where a text has nothing to embed (empty text)."""

    def identity(self) -> str:
        """Fingerprint of weights and parameters: equal ones give equal rows (same versions, same kind of CPU)."""


class _Parameters(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, protected_namespaces=())


class Learned(_Parameters):
    """Word vectors learned from the corpus itself: sees rewording, noise and topic, not paraphrase. No download."""

    kind: Literal["learned"] = "learned"
    dimension: int = Field(256, description="length of a vector, a multiple of 64", ge=64, le=1024, multiple_of=64)
    sample_bytes: int = Field(
        32 << 20, description="text to learn from: documents chosen by hash", ge=1 << 16, le=1 << 30
    )
    vocabulary: int = Field(100_000, description="most words that are learned", ge=1, le=2_000_000)
    seed: int = Field(0, description="of the random parts", ge=0, le=2**63 - 1)
    model: Annotated[str | None, FromRecipe()] = Field(
        None, description="folder of a model that was fitted before; nothing is fitted then"
    )


class Static(_Parameters):
    """A Model2Vec or StaticEmbedding folder (tokenizer.json and safetensors): a row a token, looked up and averaged."""

    kind: Literal["static"] = "static"
    model: LocalPath = Field(description="folder with tokenizer.json and model.safetensors", min_length=1)
    max_tokens: int | None = Field(None, description="tokens of a document that are used; all where null", ge=1)


class SentenceTransformers(_Parameters):
    """Any sentence-transformers model. Documents longer than `max_tokens` are cut (head) or averaged over windows."""

    kind: Literal["sentence-transformers"] = "sentence-transformers"
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
    prompt: str = Field("", description='put before each text, such as "passage: " for the E5 models')

    @model_validator(mode="after")
    def _half_where_it_works(self) -> SentenceTransformers:
        if self.half and self.device == "cpu":
            raise ValueError("half: true needs device: cuda (on a CPU 16-bit sums are slower, not faster)")
        return self


class Column(_Parameters):
    """Embeddings that are already there, in a column of lists of numbers; rows are brought to length 1."""

    kind: Literal["column"] = "column"
    column: str = Field(description="the column's name; `embed.embedding` for what an `embed` stage made", min_length=1)


def _named(value: Any) -> Any:
    if isinstance(value, str):
        return {"kind": value}
    return {"kind": "learned", **value} if isinstance(value, dict) else value


EmbedderParameters = Annotated[
    Annotated[Learned | Static | SentenceTransformers | Column, Field(discriminator="kind")], BeforeValidator(_named)
]
"""`embedder:` of a recipe: a mapping with `kind` (`learned` where it is left out), or the kind alone."""


def of_a_column(value: Any) -> Any:
    """A stage's parameters, `embedding: NAME` written out as `embedder: {kind: column, column: NAME}`."""
    if not isinstance(value, dict) or "embedding" not in value:
        return value
    rest = {key: each for key, each in value.items() if key != "embedding"}
    if rest.get("embedder") is not None:
        raise ValueError("give `embedding`, a column that has the vectors, or `embedder`, which makes them; not both")
    return {**rest, "embedder": {"kind": "column", "column": value["embedding"]}}


Parameters: TypeAlias = Learned | Static | SentenceTransformers | Column

EMBEDDING = "embedding"
"""Name of the column in files of embeddings."""


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


def embedding_batches(path: Path | Artefact) -> Iterator[tuple[NDArray[np.uint64], NDArray[np.float32]]]:
    """(doc_id uint64[m] ascending, unit rows float32[m, d]) of a file of embeddings, memory-mapped, batch by batch.

    How rows fall into batches depends on the run's batch size: results must not depend on it.
    """
    with pa.memory_map(os.fspath(path)) as source:
        file = pa.ipc.open_file(source)
        for number in range(file.num_record_batches):
            batch = file.get_batch(number)
            yield to_numpy(batch.column("doc_id")), embedding_rows(batch.column(EMBEDDING))


def embedding_shape(path: Path | Artefact) -> tuple[int, int]:
    """(rows, dimension) of a file of embeddings; only its footer and headers are read."""
    with pa.memory_map(os.fspath(path)) as source:
        file = pa.ipc.open_file(source)
        rows = sum(file.get_batch(number).num_rows for number in range(file.num_record_batches))
        return rows, file.schema.field(EMBEDDING).type.list_size


def unit_rows(rows: NDArray[np.float32] | NDArray[np.float64]) -> NDArray[np.float32]:
    """Rows divided by their length; zero rows, and rows that are not finite, become zero rows."""
    wide = rows.astype(np.float64)
    squares = np.zeros(len(wide))
    for column in wide.T:  # in a fixed order, whatever the number of rows: a row's bytes are its own
        squares += column * column
    good = np.isfinite(squares) & (squares > 0)
    wide[~good] = 0.0
    wide[good] /= np.sqrt(squares[good])[:, None]
    return wide.astype(np.float32)
