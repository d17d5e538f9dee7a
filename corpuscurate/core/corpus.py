"""The settle step of a global stage: its works, the corpus that the engine gives it, its decision."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from corpuscurate.core.artefact import Artefact, Artefacts
from corpuscurate.core.texts import Texts


class Work(Protocol):
    """A picklable unit of work of a settle step, run on any worker; finished ones are skipped on resume.

    One with an attribute `resources` (`stage.Resources`) that asks for a card runs in the process of a card, which is
    spawned and lives as long as the run: several at once, each in a thread. An attribute `bytes` is its size for the
    progress bar.
    """

    @property
    def key(self) -> str:
        """Unique name within the stage, usable as a file name; it must name how the work is divided (`band-3of8`)."""

    def run(self, folder: Path) -> dict[str, Any]:
        """Write files into `folder` (new, empty, committed when this returns); return a JSON-able result."""


@dataclass(frozen=True, slots=True)
class Done:
    """A finished `Work`: its files by name, and its result."""

    files: Artefacts
    result: dict[str, Any]


class Corpus(Protocol):
    """What the engine gives the settle step of a global stage."""

    @property
    def memory_bytes(self) -> int:
        """Memory for all workers together; it may set how work is divided, never the result."""

    @property
    def workers(self) -> int:
        """How many works run at once."""

    def sketches(self) -> Sequence[Artefact]:
        """The stage's sketch files, an Arrow IPC file a split, in input order.

        Columns: doc_id (uint64, ascending; only documents that no streaming stage dropped), then those of `sketch`.
        """

    def dropped(self, split: int) -> NDArray[np.uint64]:
        """doc_ids in sketch file `split` that an earlier global stage dropped, ascending: leave them out."""

    def ledger(self, split: int) -> pa.Table:
        """The documents of split `split` that earlier stages dropped: rows of LEDGER, by doc_id."""

    def text(self) -> Texts:
        """The text of every document in the sketch files, as this stage saw it. Only for a stage with `keeps_text`.

        It is kept on disk, under `retain: index` after the run too, for what cannot or should not be read twice from
        the source.
        """

    def run(self, works: Sequence[Work], title: str, *, basis: Any = None) -> list[Done]:
        """Run works on the runner, with progress under `title`; results in the order of `works`.

        basis: JSON-able, everything that the results depend on besides the alive documents: the results are kept, and
        reused when other parameters of the stage change. None: they depend on all parameters.
        """

    def reread_earlier(
        self, corpus: int, base: int, wanted: Sequence[Artefact], sketch: str, title: str
    ) -> list[Artefact]:
        """As `reread` for the kept documents of an earlier run, from its data/: the `corpus`-th of the stage's
        `corpora`, counted from 0. wanted: a file a split of that run. base: the offset of its doc_ids, in `wanted` and
        in the returned files. Raises InputError when data/ does not hold the texts as the sketch saw them."""

    def reread(
        self,
        wanted: Sequence[Artefact],
        sketch: str,
        title: str,
        *,
        arguments: Mapping[str, Any] | None = None,
        basis: Any = None,
    ) -> list[Artefact]:
        """Read the text of chosen documents again, as this stage saw it, and sketch it.

        wanted: for each sketch file an `.npy` of uint64 doc_ids, ascending. sketch: name of a method of the stage,
        `(batch, **arguments) -> dict of columns`; arguments: picklable, such as the folder of a model. basis: as for
        `run`; it must cover everything that `wanted` and `arguments` depend on. Returns an Arrow IPC file a split, as
        `sketches` does.
        """


@dataclass(frozen=True, slots=True)
class Settled:
    """What a global stage decided. Each file is an Arrow IPC file, sorted by doc_id, no doc_id in two files of a kind.

    drops: rows of DROPS; with a column `failed` (`stage.FAILED`) where a document failed several rules. tags: doc_id
    and columns of `GlobalStage.adds`, and in `mode: tag` of `measures`; documents in no file get
    `GlobalStage.tag_defaults`. edits: rows of EDITS, from a stage with `edits_text`. copies: rows of COPIES, from a
    stage with `copies_documents`; a document in no file is written once. order: rows of ORDER, from a stage with
    `orders_documents`; documents in no file follow the others, by doc_id. partition: rows of PARTITION, from a stage
    with `partitions`; documents in no file belong to the first. Decisions about a document that this stage or a later
    one drops have no effect.

    stats: JSON-able, for the report: at least {"clusters": [{"kept": doc_id, "size": n}, ... the ten largest]} for
    deduplication; "warnings": [str] are shown to the user; "reasons": {reason: documents}, those that the stage finds
    outside, are the reasons of its row in `mode: tag`, where nothing is dropped.
    """

    drops: Sequence[Artefact]
    tags: Sequence[Artefact] = ()
    stats: dict[str, Any] = field(default_factory=dict)
    edits: Sequence[Artefact] = ()
    copies: Sequence[Artefact] = ()
    order: Sequence[Artefact] = ()
    partition: Sequence[Artefact] = ()


LEDGER = pa.schema(
    [
        ("doc_id", pa.uint64()),
        ("stage", pa.string()),  # label
        ("reason", pa.string()),
        ("value", pa.float64()),
        ("duplicate_of", pa.uint64()),  # the document that the stage kept; null where there is none
        ("matched", pa.uint64()),
        ("similarity", pa.float64()),
    ]
)
"""A row for every document that an earlier stage of the run dropped."""

DROPS = pa.schema(
    [
        ("doc_id", pa.uint64()),
        ("reason", pa.int16()),  # i >= 1: the i-th of Stage.rules()
        ("value", pa.float64()),
        ("duplicate_of", pa.uint64()),  # the document this stage kept; null where there is none
        ("matched", pa.uint64()),  # the verified neighbour
        ("similarity", pa.float64()),
    ]
)

INDEXED_DROPS = (
    DROPS.append(pa.field("duplicate_of_corpus", pa.int16()))  # null: this run; i >= 1: the i-th of `corpora`
).append(pa.field("matched_corpus", pa.int16()))
"""What drops look like where a stage compares with earlier runs."""

EDITS = pa.schema(
    [
        ("doc_id", pa.uint64()),
        ("start", pa.int64()),  # bytes of the text as the stage saw it; spans of a document ascend and don't overlap
        ("stop", pa.int64()),
        ("reason", pa.int16()),  # i >= 1: the i-th of Stage.rules()
        ("partner", pa.uint64()),  # the document that keeps what is cut here; null where there is none
    ]
)

COPIES = pa.schema([("doc_id", pa.uint64()), ("copies", pa.int64())])
"""copies: how often the document is written, at least once."""

ORDER = pa.schema([("doc_id", pa.uint64()), ("rank", pa.uint64())])
"""Documents are written by ascending rank, equal ranks by doc_id."""

PARTITION = pa.schema([("doc_id", pa.uint64()), ("partition", pa.int16())])
"""partition: index into `GlobalStage.partitions()`."""
