"""Embeddings of a whole corpus for a global stage: `EmbedsCorpus` to inherit from, `embed_corpus` to call in `settle`.

Steps of `learned`, each resumable: the documents that are alive and their bytes (a work a split); those with
hash(doc_id) below sample_bytes / all bytes are the sample; their text is read again (the first SAMPLE_TEXT_BYTES of
each); one work fits a model; then every document that is alive is read again and embedded with it. So the sample is a
matter of doc_ids alone, and its expected size is `sample_bytes` whatever the corpus. The other kinds have the first and
the last step only; `column` reads no text: its rows were kept by `sketch`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from pydantic import Field, model_validator

from corpuscurate.core.artefact import Artefact
from corpuscurate.core.batch import Batch
from corpuscurate.core.columns import heads, lengths_bytes, one_array, to_numpy
from corpuscurate.core.corpus import Corpus, Done
from corpuscurate.core.doc_ids import sampled
from corpuscurate.core.errors import InputError
from corpuscurate.core.run_folder import ROWS
from corpuscurate.core.stage import GlobalStage, Resources
from corpuscurate.core.tables import read_table, table_writer
from corpuscurate.methods.embed.base import (
    EMBEDDING,
    NOTES,
    EmbedderParameters,
    Parameters,
    embedding_column,
    embedding_type,
    noted_rows,
    of_a_column,
)
from corpuscurate.methods.embed.card import AskCard, rows_by_card
from corpuscurate.methods.embed.card import disk_bytes as card_bytes
from corpuscurate.methods.embed.card_stage import needs_card
from corpuscurate.methods.embed.column import Column
from corpuscurate.methods.embed.learned import Learned
from corpuscurate.methods.embed.make import embedder_value, known_dimension, make_embedder
from corpuscurate.methods.embed.vectors import vectors

SAMPLE_TEXT_BYTES = 64 << 10
"""Bytes of one document that are learned from at most: one huge document must not be the sample."""
VERSION = 4
"""Raise it when the rows change for the same parameters: then no embedding, model or decision made before is reused.
2: the sample that `learned` learns from is the one of `core.doc_ids.sampled`. 3: invisible characters part no word.
4: files of embeddings have notes, and texts of mostly unknown tokens have the zero row."""
LEARNING_SEED = 1 << 40
"""Of the sample that word vectors are learned from. No recipe can say it (seeds stay below 2^31), so that sample is
independent of all others."""


class EmbedsCorpus(GlobalStage):
    """A global stage that works on embeddings. In `settle`, call `embed_corpus(corpus, self, self.embedder)`."""

    version: ClassVar[int] = VERSION

    embedder: EmbedderParameters = Field(default=Learned(), description="what makes vectors of documents")

    @model_validator(mode="before")
    @classmethod
    def _embedding_of_a_column(cls, value: Any) -> Any:
        """`embedding: NAME` is short for `embedder: {kind: column, column: NAME}`."""
        return of_a_column(value)

    SKETCH: ClassVar[Mapping[str, pa.DataType]] = {"text_bytes": pa.int64()}

    def reads(self) -> tuple[str, ...]:
        """The column with embeddings, where there is one."""
        return (self.embedder.column,) if isinstance(self.embedder, Column) else ()

    def identity(self) -> dict[str, Any]:
        """The parameters, with the digest of the model's files in the place of its path."""
        return {**super().identity(), "embedder": embedder_value(self.embedder)}

    @property
    def packages(self) -> tuple[str, ...]:
        """Those of the embedder."""
        return self.embedder.distributions

    @property
    def resources(self) -> Resources:
        """Those of the embedder."""
        return self.embedder.resources

    def sketch_schema(self) -> pa.Schema:
        """The size of the text; the vectors where they are in a column."""
        vector = {EMBEDDING: pa.large_list(pa.float32())} if isinstance(self.embedder, Column) else {}
        return pa.schema({**self.SKETCH, **vector})

    def sketch_parameters(self) -> dict[str, Any]:
        """The column that is read, if any."""
        return {"column": self.reads()}

    def disk_bytes(self, text_bytes: int) -> int:
        """Sketches and embeddings, which are kept as float32 and in whole numbers; tokens for a card."""
        row = 8 * known_dimension(self.embedder)
        made = card_bytes(self.embedder, text_bytes, row) if needs_card(self.embedder) else row
        return super().disk_bytes(text_bytes) + made

    def sketch(self, batch: Batch) -> dict[str, pa.Array]:
        """Nothing dear: documents that an earlier global stage drops are never embedded."""
        rows: dict[str, pa.Array] = {"text_bytes": pa.array(lengths_bytes(batch.text))}
        if isinstance(self.embedder, Column):
            rows[EMBEDDING] = vectors(batch.columns[self.embedder.column], self.embedder.column)
        return rows

    def sample_text(self, batch: Batch) -> dict[str, pa.Array]:
        """The text to learn from (called by the engine, see `Corpus.reread`)."""
        return {"text": heads(batch.text, SAMPLE_TEXT_BYTES)}

    def embed_text(self, batch: Batch, *, model: str | None, embedder: Parameters) -> dict[str, pa.Array]:
        """The rows of a batch and their notes (called by the engine). model: folder of a model fitted in this run."""
        parameters = embedder if model is None else embedder.model_copy(update={"model": model})
        rows, notes = make_embedder(parameters).embed(batch.text)
        return {EMBEDDING: embedding_column(rows), NOTES: pa.array(notes)}

    def token_text(self, batch: Batch, *, embedder: Parameters) -> dict[str, pa.Array]:
        """The tokens of a batch, for a card (called by the engine)."""
        model: Any = embedder
        columns: dict[str, pa.Array] = model.tokeniser().tokens(batch.text).columns()
        return columns

    def ahead_on_card(self) -> AskCard | None:
        """The model is loaded on the card while the workers read."""
        model: Any = self.embedder
        return AskCard(model) if needs_card(model) else None


def embedding_basis(embedder: Parameters) -> list[Any]:
    """All that the embeddings depend on besides the documents, JSON-able (see `Corpus.run`)."""
    return ["embeddings", VERSION, embedder_value(embedder)]


def embed_corpus(corpus: Corpus, stage: EmbedsCorpus, embedder: Parameters) -> list[Artefact]:
    """The files of `embedded_corpus`."""
    return embedded_corpus(corpus, stage, embedder).files


class EmbeddedCorpus(NamedTuple):
    """files: see `embedded_corpus`; card: which card computed them and how, for the report; empty where none did."""

    files: list[Artefact]
    card: dict[str, Any]


class Chosen(NamedTuple):
    """Documents that are to be embedded, where these are not all that are alive. wanted: a file of doc_ids a split;
    basis: what they depend on, besides the documents. column: of the sketches, which has the rows of `Column`."""

    wanted: Sequence[Artefact]
    basis: Sequence[Any]
    column: str = EMBEDDING


def embedded_corpus(
    corpus: Corpus, stage: EmbedsCorpus, embedder: Parameters, chosen: Chosen | None = None
) -> EmbeddedCorpus:
    """Embed every document that is alive, or the chosen ones: one Arrow IPC file a split, in input order.

    Columns: doc_id (uint64, ascending), embedding (fixed_size_list<float32>[d], unit rows or zero rows), notes (uint8,
    see `base.Embedded`). Read them with `base.embedding_batches`. embedder: `stage.embedder`, or another one. Rows of a
    column are those of all documents, whoever is chosen. Raises InputError when a column of embeddings has rows of
    different lengths.
    """
    basis = embedding_basis(embedder)
    own = basis if chosen is None else [*chosen.basis, *basis]
    if isinstance(embedder, Column):
        return EmbeddedCorpus(_from_column(corpus, own, embedder, EMBEDDING if chosen is None else chosen.column), {})
    alive: list[Done] = []
    model: str | None = None
    sample_bytes = embedder.sample_to_fit()
    if chosen is None or sample_bytes:
        alive = corpus.run(
            [Alive(number, path, corpus.dropped(number)) for number, path in enumerate(corpus.sketches())],
            "documents to embed",
            basis=basis,
        )
    if sample_bytes:
        total = sum(done.result["bytes"] for done in alive)
        picked = corpus.run(
            [Pick(number, done.files[ALIVE], total, sample_bytes) for number, done in enumerate(alive)],
            "choosing a sample",
            basis=basis,
        )
        texts = corpus.reread([done.files[WANTED] for done in picked], "sample_text", "reading a sample", basis=basis)
        fitted = corpus.run([Fit(tuple(texts), embedder, corpus.workers)], "learning word vectors", basis=basis)
        model = fitted[0].files.folder
    wanted = [done.files[WANTED] for done in alive] if chosen is None else list(chosen.wanted)
    if needs_card(embedder):
        tokens = corpus.reread(wanted, "token_text", "tokenising", arguments={"embedder": embedder}, basis=own)
        on_card: Any = embedder
        made = rows_by_card(corpus, on_card, tokens, basis=own)
        return EmbeddedCorpus(made.files, made.stats)
    arguments = {"model": model, "embedder": embedder}
    files = corpus.reread(wanted, "embed_text", "embedding", arguments=arguments, basis=own)
    return EmbeddedCorpus(files, {})


ALIVE = "alive.arrow"
WANTED = "wanted.npy"


@dataclass(frozen=True, slots=True)
class Alive:
    """The documents of a split that are to be embedded. dropped: those to leave out, ascending."""

    split: int
    sketches: Artefact
    dropped: NDArray[np.uint64]

    @property
    def key(self) -> str:
        """A folder a split."""
        return f"alive-{self.split:05d}"

    def run(self, folder: Path) -> dict[str, Any]:
        """Write wanted.npy and alive.arrow (doc_id, text_bytes)."""
        table = read_table(self.sketches).select(["doc_id", "text_bytes"])
        left = ~np.isin(to_numpy(table.column("doc_id")), self.dropped)
        table = table.filter(pa.array(left))
        with table_writer(folder / ALIVE, table.schema) as writer:
            writer.write_table(table)
        np.save(folder / WANTED, to_numpy(table.column("doc_id")).astype(np.uint64))
        size = np.minimum(to_numpy(table.column("text_bytes")), SAMPLE_TEXT_BYTES)
        return {"documents": table.num_rows, "bytes": int(size.sum())}


@dataclass(frozen=True, slots=True)
class Pick:
    """The sample of a split. total: bytes to learn from in the whole corpus (see `SAMPLE_TEXT_BYTES`); sample_bytes:
    how many of them are wanted."""

    split: int
    alive: Artefact
    total: int
    sample_bytes: int

    @property
    def key(self) -> str:
        """A folder a split."""
        return f"pick-{self.split:05d}"

    def run(self, folder: Path) -> dict[str, Any]:
        """Write wanted.npy."""
        ids: NDArray[np.uint64] = to_numpy(read_table(self.alive).column("doc_id")).astype(np.uint64)
        picked = ids[sampled(ids, LEARNING_SEED, self.sample_bytes, self.total)]
        np.save(folder / WANTED, picked)
        return {"documents": len(picked)}


@dataclass(frozen=True, slots=True)
class Fit:
    """Learning from the texts of the sample. threads: how many, which changes nothing in the result."""

    texts: tuple[Artefact, ...]
    embedder: Parameters
    threads: int

    @property
    def key(self) -> str:
        """One of a kind."""
        return "model"

    def run(self, folder: Path) -> dict[str, Any]:
        """Write the model's files."""
        arrays = (one_array(read_table(path).column("text")) for path in self.texts)
        return self.embedder.fit(arrays, folder, threads=self.threads)


@dataclass(frozen=True, slots=True)
class FromColumn:
    """Rows that were in the input, brought to length 1. dimension: of every row. column: of the sketches."""

    split: int
    sketches: Artefact
    dropped: NDArray[np.uint64]
    dimension: int
    column: str = EMBEDDING

    @property
    def key(self) -> str:
        """A folder a split."""
        return f"{'column' if self.column == EMBEDDING else self.column}-{self.split:05d}"

    def run(self, folder: Path) -> dict[str, Any]:
        """Write rows.arrow."""
        kind = embedding_type(self.dimension)
        schema = pa.schema([("doc_id", pa.uint64()), (EMBEDDING, kind), (NOTES, pa.uint8())])
        with table_writer(folder / ROWS, schema) as writer:
            for batch in read_table(self.sketches).to_batches():
                left = pa.array(~np.isin(to_numpy(batch.column("doc_id")), self.dropped))
                kept = batch.filter(left)
                lists = kept.column(self.column)
                rows = np.zeros((len(kept), self.dimension), np.float32)
                there = to_numpy(pc.equal(pc.list_value_length(lists), self.dimension)).astype(bool)
                rows[there] = to_numpy(lists.filter(pa.array(there)).flatten()).reshape(-1, self.dimension)
                units, notes = noted_rows(rows)
                columns = [kept.column("doc_id"), embedding_column(units), pa.array(notes)]
                writer.write(pa.RecordBatch.from_arrays(columns, schema=schema))
        return {}


def _from_column(corpus: Corpus, basis: Any, embedder: Column, column: str) -> list[Artefact]:
    """column: of the sketches."""
    sketches = corpus.sketches()
    lengths: set[int] = set()
    for path in sketches:
        found = pc.unique(pc.list_value_length(read_table(path).column(column)))
        lengths |= {int(value) for value in found.to_pylist() if value}
    if len(lengths) > 1:
        raise InputError(
            f"the column {embedder.column!r} holds embeddings of different lengths: {sorted(lengths)}. "
            "All must come from one model."
        )
    dimension = lengths.pop() if lengths else 1
    works = [
        FromColumn(number, path, corpus.dropped(number), dimension, column) for number, path in enumerate(sketches)
    ]
    return [done.files[ROWS] for done in corpus.run(works, "reading embeddings", basis=basis)]
