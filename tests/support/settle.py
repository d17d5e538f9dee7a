"""What the contract tests of `settle()` share: a corpus of any partition, decisions as rows, and what holds of each.

`SettleCorpus` keeps the results of works as the engine does, so that a settling can stop and be called again.
"""

from __future__ import annotations

import pickle
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
from numpy.typing import NDArray
from support.dedup import artefact_of

from corpuscurate.core.artefact import Artefact, Artefacts, attempt, commit
from corpuscurate.core.batch import Batch
from corpuscurate.core.columns import JSON, TEXT, lengths_bytes
from corpuscurate.core.corpus import DROPS, INDEXED_DROPS, Done, Settled, Work
from corpuscurate.core.stage import FAILED, GlobalStage
from corpuscurate.core.tables import read_table, table_writer

FILE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,199}")
TAKEN = ("basis-", "reread-", "earlier-", "identity.json", "settled.json")
"""How names of what the engine itself puts beside the works begin."""


def documents(seed: int, size: int) -> Batch:
    """Families of near and exact copies, some strays and empty texts, with the columns that stages may read.

    Columns: `embedding` (list<float32>[16]: families, exact copies, strays at right angles to all others, zero rows and
    nulls), and those of `VALUES`. doc_ids ascend with gaps over three files.
    """
    rng = np.random.default_rng(seed)
    texts: list[str] = []
    rows: list[NDArray[np.float32] | None] = []
    axes = iter(np.eye(16, dtype=np.float32)[8:])
    while len(texts) < size:
        base = [f"w{number}" for number in rng.integers(0, 2000, 50)]
        centre = rng.normal(size=8)
        for _ in range(rng.integers(1, 6)):
            copy = list(base)
            changes = rng.integers(0, 4)
            for _ in range(changes):
                copy[rng.integers(0, len(copy))] = f"x{rng.integers(0, 2000)}"
            texts.append(" ".join(copy))
            rows.append(np.append(centre + 0.1 * changes * rng.normal(size=8), np.zeros(8)).astype(np.float32))
        if rng.random() < 0.2:
            texts += ["", " \n", "one"]
            rows += [np.zeros(16, np.float32), None, next(axes, None)]
    order = rng.permutation(len(texts))[:size]
    positions = np.cumsum(rng.integers(1, 500, size)).astype(np.uint64)
    doc_id = positions + (np.arange(size, dtype=np.uint64) * np.uint64(3) // np.uint64(max(size, 1)) << np.uint64(40))
    return as_batch([texts[i] for i in order], doc_id, [rows[i] for i in order])


def as_batch(texts: Sequence[str], doc_id: NDArray[np.uint64], rows: Sequence[NDArray[Any] | None]) -> Batch:
    """A batch with all columns."""
    text = pa.array(list(texts), TEXT)
    embedding = pa.array(list(rows), pa.list_(pa.float32()))
    columns = {"embedding": embedding, **{name: json_column(name, doc_id) for name in ("score", "lang")}}
    return Batch(doc_id, text, lengths_bytes(text), None, columns)


def equal_documents(size: int) -> Batch:
    """Documents that are equal in all but the doc_id, and in columns made of it."""
    return as_batch(["the same words in the same order"] * size, np.arange(size, dtype=np.uint64), [np.ones(16)] * size)


VALUES = {
    "lang": ['"en"', '"de"', '"fr"', None, "5"],
    "score": ["1", "0.2", '"x"', None, "null", "-3", "0.6", "2", "0.25", "0.75", "1e3", "0.6"],
}


def json_column(name: str, doc_id: NDArray[np.uint64]) -> pa.Array:
    """JSON values with many ties, nulls and other kinds; which one is a matter of the doc_id."""
    values = VALUES[name]
    column = [values[int(number) * 2654435761 % 2**32 % len(values)] for number in doc_id]
    return pa.ExtensionArray.from_storage(JSON, pa.array(column, TEXT))


def one_split(batch: Batch) -> list[list[Batch]]:
    return [[batch]]


def each_alone(batch: Batch) -> list[list[Batch]]:
    """A document a split."""
    return [[batch.slice(row, row + 1)] for row in range(len(batch))]


def any_partition(batch: Batch, rng: np.random.Generator) -> list[list[Batch]]:
    """Splits of batches in input order, both of any size, also empty; a split may have no batch at all."""
    splits: list[list[Batch]] = []
    for start, stop in _cut(0, len(batch), int(rng.integers(0, 8)), rng):
        cuts = _cut(start, stop, int(rng.integers(0, 4)), rng)
        splits.append([batch.slice(*cut) for cut in cuts] if stop > start or rng.random() < 0.5 else [])
    return splits


def _cut(start: int, stop: int, cuts: int, rng: np.random.Generator) -> list[tuple[int, int]]:
    return list(pairwise([start, *sorted(rng.integers(start, stop + 1, cuts).tolist()), stop]))


class StoppedError(Exception):
    """What ends a settling after a wave of works."""


@dataclass
class SettleCorpus:
    """A corpus of given splits. gone: doc_ids that an earlier global stage dropped.

    one_wave: each settling ends with StoppedError once it has run works that were not run before, as where the next
    wave is a batch system's next job. Results are kept by key; call `again` before the next settling.
    """

    stage: GlobalStage
    splits: list[list[Batch]]
    folder: Path
    memory_bytes: int = 1 << 30
    workers: int = 1
    gone: frozenset[int] = frozenset()
    one_wave: bool = False
    finished: dict[Path, dict[str, Any]] = field(default_factory=dict)
    waves: list[list[str]] = field(default_factory=list)
    """Folders that each call of `run` or `reread` named, in the settling at hand."""

    def __post_init__(self) -> None:
        schema = pa.schema([("doc_id", pa.uint64()), *self.stage.sketch_schema()])
        self.folder.mkdir(parents=True)
        self.paths = [self.folder / f"sketch-{number}.arrow" for number in range(len(self.splits))]
        for path, batches in zip(self.paths, self.splits, strict=True):
            with table_writer(path, schema) as writer:
                for batch in batches:
                    rows = {"doc_id": pa.array(batch.doc_id), **self.stage.sketch(batch)}
                    writer.write(pa.record_batch(rows, schema=schema))

    @property
    def doc_ids(self) -> set[int]:
        """The documents that are alive."""
        return {int(number) for batches in self.splits for batch in batches for number in batch.doc_id} - self.gone

    def sketches(self) -> Sequence[Artefact]:
        """See `Corpus`."""
        return [artefact_of(path) for path in self.paths]

    def dropped(self, split: int) -> NDArray[np.uint64]:
        """See `Corpus`."""
        ids = [int(number) for batch in self.splits[split] for number in batch.doc_id if int(number) in self.gone]
        return np.array(ids, np.uint64)

    def run(self, works: Sequence[Work], title: str, *, basis: Any = None) -> list[Done]:
        """See `Corpus`. Each work runs as an unpickled copy, in the folder of an attempt."""
        assert title
        keys = [work.key for work in works]
        for key in keys:
            assert FILE_NAME.fullmatch(key)
            assert not key.startswith(TAKEN)
        homes = [self._home(basis) / key for key in keys]
        return self._wave(homes, list(works))

    def reread(
        self,
        wanted: Sequence[Artefact],
        sketch: str,
        title: str,
        *,
        arguments: Mapping[str, Any] | None = None,
        basis: Any = None,
    ) -> list[Artefact]:
        """See `Corpus`. Every other split is read with `rows` where the stage takes them."""
        assert title
        homes = [self._home(basis) / f"reread-{sketch}-{number}" for number in range(len(self.splits))]
        works = [
            Reread(self.stage, sketch, batches, path, dict(arguments or {}), number % 2 == 1, self.gone)
            for number, (batches, path) in enumerate(zip(self.splits, wanted, strict=True))
        ]
        return [done.files["rows.arrow"] for done in self._wave(homes, works)]

    def again(self) -> None:
        """Begin a new settling."""
        self.waves = []

    def _home(self, basis: Any) -> Path:
        return self.folder if basis is None else self.folder / f"basis-{orjson.dumps(basis).hex()[-40:]}"

    def _wave(self, homes: list[Path], works: list[Any]) -> list[Done]:
        names = [str(home.relative_to(self.folder)) for home in homes]
        named = {name.lower() for wave in self.waves for name in wave}  # some file systems ignore case
        assert len({name.lower() for name in names} - named) == len(names), "a key is there twice"
        self.waves.append(names)
        new = [(home, work) for home, work in zip(homes, works, strict=True) if home not in self.finished]
        assert len(new) in (0, len(works)), "a wave that was run has other keys when it is asked for again"
        fresh: dict[Path, dict[str, Any]] = {}
        for home, work in new:
            with attempt(home) as folder:
                fresh[home] = pickle.loads(pickle.dumps(work)).run(folder)  # noqa: S301
                assert commit(home, folder, {}, durable=False)
            kept = orjson.loads(orjson.dumps(fresh[home]))
            assert kept == fresh[home], "a result is another one once it was JSON"
            self.finished[home] = kept
        if new and self.one_wave:
            raise StoppedError
        return [Done(Artefacts(str(home)), fresh.get(home, self.finished[home])) for home in homes]


@dataclass(frozen=True)
class Reread:
    """Chosen documents of a split, sketched by a method of the stage."""

    stage: GlobalStage
    sketch: str
    batches: list[Batch]
    wanted: Artefact
    arguments: dict[str, Any]
    by_rows: bool
    gone: frozenset[int]

    def run(self, folder: Path) -> dict[str, Any]:
        ids = np.load(self.wanted)
        assert ids.dtype == np.uint64
        assert (ids[1:] > ids[:-1]).all()
        known = {int(number) for batch in self.batches for number in batch.doc_id}
        assert set(ids.tolist()) <= known - self.gone
        made = [self._rows(as_empty(), np.zeros(0, np.int64))]
        made += [self._rows(batch, np.flatnonzero(np.isin(batch.doc_id, ids))) for batch in self.batches]
        with table_writer(folder / "rows.arrow", made[0].schema) as writer:
            for rows in made:
                writer.write(rows)
        return {"documents": len(ids)}

    def _rows(self, batch: Batch, rows: NDArray[np.int64]) -> pa.RecordBatch:
        mask = np.zeros(len(batch), np.bool_)
        mask[rows] = True
        method = getattr(self.stage, self.sketch)
        if self.by_rows and self.sketch in self.stage.takes_rows:
            columns = method(batch, **self.arguments, rows=rows)
        else:
            columns = method(batch.filter(mask), **self.arguments)
        return pa.record_batch({"doc_id": pa.array(batch.doc_id[rows]), **columns})


def as_empty() -> Batch:
    """No documents, and no columns, as where the engine asks a method for its schema."""
    return Batch(np.zeros(0, np.uint64), pa.array([], TEXT), np.zeros(0, np.int64))


@dataclass(frozen=True)
class Decision:
    """What a settling decided, as rows by doc_id, so that decisions can be compared. stats: as JSON."""

    drops: dict[int, dict[str, Any]]
    tags: dict[int, dict[str, Any]]
    stats: bytes = field(compare=False)


def decide(corpus: SettleCorpus) -> Decision:
    """Settle the corpus, and check all that holds of every decision."""
    return decision_of(corpus, corpus.stage.settle(corpus))


def decision_of(corpus: SettleCorpus, settled: Settled) -> Decision:
    """The decision, after the checks that it can be alone put to."""
    stage = corpus.stage
    made = {Artefacts(str(home))[name].uri for home in corpus.finished for name in Artefacts(str(home)).names()}
    for path in (*settled.drops, *settled.tags):
        assert path.uri in made, "a file that no work made"
    drops, tags = _rows(settled.drops), _rows(settled.tags)
    for path in settled.drops:
        schema = read_table(path).schema
        assert [each for each in schema if each != pa.field("failed", FAILED)] in (list(DROPS), list(INDEXED_DROPS))
    assert stage.mode == "drop" or not drops
    _check_tags(stage, settled.tags)
    assert drops.keys() <= corpus.doc_ids
    assert tags.keys() <= corpus.doc_ids
    _check_drops(stage, drops, corpus.doc_ids)
    return Decision(drops, tags, orjson.dumps(settled.stats))


def _rows(paths: Sequence[Artefact]) -> dict[int, dict[str, Any]]:
    found: dict[int, dict[str, Any]] = {}
    for path in paths:
        part = read_table(path).to_pylist()
        ids = [row["doc_id"] for row in part]
        assert all(low < high for low, high in pairwise(ids)), "doc_ids of a file ascend"
        assert not found.keys() & set(ids), "a document is in two files"
        found |= {row["doc_id"]: row for row in part}
    return found


def _check_tags(stage: GlobalStage, paths: Sequence[Artefact]) -> None:
    kinds = {"doc_id": pa.uint64(), **stage.adds(), **(stage.measures() if stage.mode == "tag" else {})}
    assert not paths or len(kinds) > 1, "tags of a stage that adds no column"
    for path in paths:
        schema = read_table(path).schema
        assert set(schema.names) == set(kinds)
        assert {name: schema.field(name).type for name in kinds} == kinds


def _check_drops(stage: GlobalStage, drops: Mapping[int, Mapping[str, Any]], alive: set[int]) -> None:
    thresholds = [None, *stage.rules().values()]
    sides: dict[int, set[bool]] = {}
    for number, row in drops.items():
        assert 1 <= row["reason"] < len(thresholds)
        threshold = thresholds[row["reason"]]
        if threshold is not None:
            sides.setdefault(row["reason"], set()).add(row["value"] >= threshold)
        for name in ("duplicate_of", "matched"):
            corpus = row.get(f"{name}_corpus")
            assert corpus is None or 1 <= corpus <= len(stage.corpora())
            assert corpus is not None or row[name] is None or row[name] in alive - {number}
        assert row.get("duplicate_of_corpus") is not None or row["duplicate_of"] not in drops, "what is named is kept"
        assert (row["similarity"] is None) or row["matched"] is not None
    assert all(len(found) == 1 for found in sides.values()), "a threshold has all that is dropped on one side"
