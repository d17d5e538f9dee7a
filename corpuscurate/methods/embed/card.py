"""The phase of a card: files of tokens in, files of rows out. Workers have made the tokens; a process a card computes.

    files = rows_by_card(corpus, model, token_files, basis=basis).files   # an Arrow file a split, in input order

The splits are dealt into pools of some 32 million tokens (`POOL_TOKENS`), a work each, so that batches of one length
are full. Which splits are pooled depends on their tokens alone. A finished pool is not computed again. The first work
asks the card for its kind, which all others must have: rows of two kinds of card may differ in their last bits.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from corpuscurate.core.artefact import Artefact
from corpuscurate.core.columns import to_numpy
from corpuscurate.core.corpus import Corpus
from corpuscurate.core.digests import fingerprint
from corpuscurate.core.doc_ids import is_in_sorted
from corpuscurate.core.errors import RecipeError
from corpuscurate.core.stage import Resources
from corpuscurate.core.tables import read_table, table_writer
from corpuscurate.methods.embed.base import EMPTY
from corpuscurate.methods.embed.feeder import Feed, Model, kind_of_device
from corpuscurate.methods.embed.noted import Noted, joined_notes
from corpuscurate.methods.embed.tokens import TOKENS, Tokeniser, Tokens, tokens_in
from corpuscurate.methods.embed.windows import Windows, cut_windows

POOL_TOKENS = 32 << 20
POOL_TEXTS = 1 << 18
"""Tokens and texts of the splits that one work computes, at least: large pools fill the batches of every length."""
BYTES_A_TOKEN, TOKEN_BYTES, BESIDE_BYTES, MOST_TOKENS = 4, 4, 32, 512
"""For estimates: bytes of text a token, of its number, of doc_ids and notes beside a document; tokens of a window."""
ROWS_AT_ONCE = 1 << 14
"""Rows in a record batch of a file."""


class OnTokens(Protocol):
    """A model that works on tokens: a picklable value."""

    def tokeniser(self) -> Tokeniser:
        """What makes its tokens, made once a process; neither weights nor a card are touched."""

    def load(self) -> Model:
        """The model on its device, loaded once a process."""

    def columns(self, rows: NDArray[np.float32], windows: Windows, notes: NDArray[np.uint8]) -> dict[str, pa.Array]:
        """The columns of n texts from the rows of their windows. notes: uint8[n], what is known of the texts so far."""


def disk_bytes(parameters: Any, text_bytes: int, row: int) -> int:
    """About how many bytes the tokens of a document and its row take. parameters: with `window` and `max_tokens`; row:
    bytes of the columns that the model makes."""
    tokens = text_bytes // BYTES_A_TOKEN
    if parameters.window == "head":
        tokens = min(tokens, parameters.max_tokens or MOST_TOKENS)
    return tokens * TOKEN_BYTES + row + BESIDE_BYTES


class ByCard(NamedTuple):
    """What the card made. files: an Arrow file a split, doc_id and the columns of the model; stats: for the report;
    noted: the notes of the documents; documents: how many there were."""

    files: list[Artefact]
    stats: dict[str, Any]
    noted: Noted
    documents: int


def rows_by_card(
    corpus: Corpus,
    model: OnTokens,
    tokens: Sequence[Artefact],
    *,
    basis: Any = None,
    dropped: Sequence[NDArray[np.uint64]] | None = None,
) -> ByCard:
    """The rows of all documents in files of tokens (doc_id and `Tokeniser.schema`), one file a split.

    basis: see `Corpus.run`. dropped: documents to leave out, a split, ascending.
    """
    (asked,) = corpus.run([AskCard(model)], "asking the card", basis=basis)
    kind: str = asked.result["kind"]
    pools = _pools([_sizes(file) for file in tokens])
    works = []
    for pool in pools:
        left_out = tuple(np.zeros(0, np.uint64) if dropped is None else dropped[i] for i in pool)
        works.append(OnCard(model, tuple(pool), tuple(tokens[i] for i in pool), left_out, kind))
    done = corpus.run(works, f"computing on {kind}", basis=basis)
    files = [each.files[_file(split)] for each, pool in zip(done, pools, strict=True) for split in pool]
    noted = joined_notes([Noted.of(each.result["noted"]) for each in done])
    counted = ("windows", "tokens", "padded_tokens", "empty")
    computed = {name: sum(each.result[name] for each in done) for name in counted}
    how = {name: asked.result[name] for name in ("batch_size", "rows")}
    documents = sum(each.result["documents"] for each in done)
    return ByCard(files, {"device": kind, **how, **computed, **noted.counts}, noted, documents)


def _sizes(file: Artefact) -> tuple[int, int]:
    """(tokens, texts) of a file."""
    table = read_table(file)
    chunks = (chunk.offsets for chunk in table.column(TOKENS).chunks)
    return sum(int(offsets[-1].as_py()) - int(offsets[0].as_py()) for offsets in chunks), table.num_rows


def _pools(sizes: Sequence[tuple[int, int]]) -> list[list[int]]:
    """The splits of each pool, in order. sizes: (tokens, texts) of each split."""
    pools: list[list[int]] = []
    full = True
    tokens = texts = 0
    for split, (more_tokens, more_texts) in enumerate(sizes):
        if full:
            pools.append([])
            tokens = texts = 0
        pools[-1].append(split)
        tokens, texts = tokens + more_tokens, texts + more_texts
        full = tokens >= POOL_TOKENS or texts >= POOL_TEXTS
    return pools


def _file(split: int) -> str:
    return f"{split:05d}.arrow"


@dataclass(frozen=True)
class AskCard:
    """Loads the model, and tells the kind of the card and how it computes."""

    model: OnTokens
    key: str = field(default="card", init=False)

    @property
    def resources(self) -> Resources:
        """A card."""
        return Resources(gpus=1)

    def run(self, folder: Path) -> dict[str, Any]:
        """Write nothing."""
        with _ONE_LOADS:
            model = self.model.load()
        rows = "independent of the batch" if model.shapes.fixed else "to the last bits, dependent on the batch"
        return {"kind": kind_of_device(model.device), "batch_size": model.shapes.batch_size, "rows": rows}


_ONE_LOADS = threading.Lock()
"""Held while a model is loaded: tasks of a card are threads of one process."""
_ONE_LAUNCHES = threading.Lock()
"""Held while batches are launched. Rows are fetched and written while the next task launches its batches."""


@dataclass(frozen=True)
class OnCard:
    """The rows of a pool of splits. kind: of card; dropped: doc_ids to leave out, a split."""

    model: OnTokens
    splits: tuple[int, ...]
    files: tuple[Artefact, ...]
    dropped: tuple[NDArray[np.uint64], ...]
    kind: str

    @property
    def key(self) -> str:
        """The splits, and the kind of card: another one makes other files."""
        return f"card-{self.splits[0]:05d}-{self.splits[-1]:05d}-{fingerprint([self.kind])[:8]}"

    @property
    def resources(self) -> Resources:
        """A card."""
        return Resources(gpus=1)

    @property
    def bytes(self) -> int:
        """For the progress: bytes of tokens."""
        return sum(file.size for file in self.files)

    def run(self, folder: Path) -> dict[str, Any]:
        """Write a file a split."""
        with _ONE_LOADS:
            model = self.model.load()
        self._check_kind(kind_of_device(model.device))
        ids, pool = self._read()
        windows = cut_windows(pool, model.facts.room(model.shapes.longest))
        feed = Feed(model, pool, windows)
        with _ONE_LAUNCHES:
            feed.launch()
        feed.fetch()
        told = self._write(folder, ids, feed.rows, windows, pool.notes)
        return {
            "documents": len(told),
            "windows": len(windows.texts),
            "tokens": int(windows.sizes.sum()) + len(windows.texts) * model.shapes.special,
            "padded_tokens": feed.padded,
            "empty": int((told & EMPTY > 0).sum()),
            "noted": Noted().with_batch(np.concatenate(ids), told).value(),
        }

    def _check_kind(self, kind: str) -> None:
        if kind != self.kind:
            raise RecipeError(
                f"this run began to embed on {self.kind}, and this machine computes on {kind}: rows of the two may"
                f" differ in their last bits, and one output must not hold both. Either go on where there is"
                f" {self.kind}, or delete the output folder and begin anew here."
            )

    def _read(self) -> tuple[list[NDArray[np.uint64]], Tokens]:
        """doc_ids of each split, and the tokens of all of them."""
        ids, parts = [], []
        for file, dropped in zip(self.files, self.dropped, strict=True):
            table = read_table(file)
            if len(dropped):
                table = table.filter(pa.array(~is_in_sorted(to_numpy(table.column("doc_id")), dropped)))
            ids.append(to_numpy(table.column("doc_id")) if table.num_rows else np.zeros(0, np.uint64))
            parts += [tokens_in(batch) for batch in table.to_batches() if batch.num_rows]
        if not parts:
            return ids, Tokens(np.zeros(1, np.int64), np.zeros(0, np.uint16), np.zeros(0, np.uint8))
        ends = np.cumsum([0, *(len(part.ids) for part in parts)])
        offsets = [part.offsets[1:] + end for part, end in zip(parts, ends[:-1].tolist(), strict=True)]
        joined, notes = (np.concatenate([getattr(part, name) for part in parts]) for name in ("ids", "notes"))
        return ids, Tokens(np.concatenate([[0], *offsets]), joined, notes)

    def _write(
        self,
        folder: Path,
        ids: list[NDArray[np.uint64]],
        rows: NDArray[np.float32],
        windows: Windows,
        notes: NDArray[np.uint8],
    ) -> NDArray[np.uint8]:
        """Write the files, some rows at a time; the notes of all texts in the end."""
        told = [notes[:0]]
        text = 0
        for split, mine in zip(self.splits, ids, strict=True):
            schema = pa.schema([("doc_id", pa.uint64()), *self._columns(rows, windows, notes, 0, 0)[1].items()])
            with table_writer(folder / _file(split), schema) as writer:
                for start in range(0, len(mine), ROWS_AT_ONCE):
                    some = mine[start : start + ROWS_AT_ONCE]
                    columns, _ = self._columns(rows, windows, notes, text, text + len(some))
                    writer.write(pa.RecordBatch.from_arrays([pa.array(some), *columns.values()], schema=schema))
                    told.append(to_numpy(columns["notes"]) if "notes" in columns else notes[text : text + len(some)])
                    text += len(some)
        return np.concatenate(told)

    def _columns(
        self, rows: NDArray[np.float32], windows: Windows, notes: NDArray[np.uint8], first: int, last: int
    ) -> tuple[dict[str, pa.Array], dict[str, pa.DataType]]:
        """The columns of texts first..last - 1, and their types."""
        start, stop = np.searchsorted(windows.texts, [first, last])
        own = Windows(windows.texts[start:stop] - first, windows.starts[start:stop], windows.sizes[start:stop])
        columns = self.model.columns(rows[start:stop], own, notes[first:last])
        return columns, {name: column.type for name, column in columns.items()}
