"""A small in-process stand-in for the engine's side of a global stage: sketches from batches, works inline."""

from __future__ import annotations

import itertools
import pickle
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa

from corpuscurate.core.artefact import Artefact, Artefacts, attempt, commit
from corpuscurate.core.batch import Batch
from corpuscurate.core.columns import lengths_bytes
from corpuscurate.core.corpus import DROPS, Done, Settled
from corpuscurate.core.digests import digest_file
from corpuscurate.core.stage import FAILED, GlobalStage
from corpuscurate.core.tables import read_table, table_writer


def make_batch(texts: Sequence[str], ids: Sequence[int], columns: dict[str, pa.Array] | None = None) -> Batch:
    text = pa.array(list(texts), pa.large_string())
    return Batch(np.array(ids, np.uint64), text, lengths_bytes(text), None, columns or {})


def artefact_of(path: Path) -> Artefact:
    """A file that a test wrote, as a handle."""
    return Artefact(str(path), path.stat().st_size, digest_file(path))


@dataclass
class DoubleCorpus:
    """batches: those of each split. gone: doc_ids that an earlier global stage dropped."""

    stage: GlobalStage
    batches: list[list[Batch]]
    folder: Path
    memory_bytes: int = 1 << 30
    workers: int = 1
    gone: frozenset[int] = frozenset()
    keys: set[str] = field(default_factory=set)
    rereads: int = 0

    def __post_init__(self) -> None:
        schema = pa.schema([("doc_id", pa.uint64()), *self.stage.sketch_schema()])
        self.paths = []
        for number, batches in enumerate(self.batches):
            path = self.folder / f"sketch-{number}.arrow"
            self.folder.mkdir(parents=True, exist_ok=True)
            with table_writer(path, schema) as writer:
                for batch in batches:
                    rows = {"doc_id": pa.array(batch.doc_id), **self.stage.sketch(batch)}
                    assert list(rows) == schema.names
                    writer.write(pa.record_batch(rows, schema=schema))
            self.paths.append(artefact_of(path))

    def sketches(self) -> Sequence[Artefact]:
        return self.paths

    def dropped(self, split: int):
        ids = [int(i) for batch in self.batches[split] for i in batch.doc_id if int(i) in self.gone]
        return np.array(ids, np.uint64)

    def run(self, works, title: str, *, basis=None) -> list[Done]:
        done = []
        for work in works:
            assert work.key not in self.keys
            assert "/" not in work.key
            self.keys.add(work.key)
            home = self.folder / work.key
            with attempt(home) as folder:
                result = pickle.loads(pickle.dumps(work)).run(folder)  # noqa: S301
                assert commit(home, folder, {})
            done.append(Done(Artefacts(str(home)), result))
        return done

    def reread(
        self, wanted: Sequence[Artefact], sketch: str, title: str, *, arguments=None, basis=None
    ) -> list[Artefact]:
        self.rereads += 1
        assert len(wanted) == len(self.batches)
        paths = []
        for number, (batches, path) in enumerate(zip(self.batches, wanted, strict=True)):
            ids = np.load(path)
            assert ids.dtype == np.uint64
            assert (np.diff(ids.astype(object)) > 0).all()
            known = {int(i) for batch in batches for i in batch.doc_id}
            assert set(ids.tolist()) <= known - self.gone
            tables = []
            for batch in [
                make_batch([], []),
                *batches,
            ]:  # as in the engine, no documents have columns too
                chosen = batch.filter(np.isin(batch.doc_id, ids))
                tables.append(
                    pa.table({"doc_id": chosen.doc_id, **getattr(self.stage, sketch)(chosen, **arguments or {})})
                )
            out = self.folder / f"reread-{sketch}-{number}.arrow"
            table = pa.concat_tables(tables)
            with table_writer(out, table.schema) as writer:
                writer.write_table(table)
            paths.append(artefact_of(out))
        return paths


def rows_of(paths: Sequence[Artefact]) -> list[dict]:
    """All rows of drop or tag files, by doc_id; each file must be sorted and no doc_id may be in two."""
    rows: list[dict] = []
    for path in paths:
        part = read_table(path).to_pylist()
        ids = [row["doc_id"] for row in part]
        assert ids == sorted(ids)
        rows += part
    ids = [row["doc_id"] for row in rows]
    assert len(set(ids)) == len(ids)
    return sorted(rows, key=lambda row: row["doc_id"])


def drops_of(settled: Settled) -> list[dict]:
    for path in settled.drops:
        assert set(read_table(path).schema) - {pa.field("failed", FAILED)} == set(DROPS)
    return rows_of(settled.drops)


def clusters_of(drops: list[dict]) -> dict[int, set[int]]:
    """Members of each cluster by the document that was kept."""
    found: dict[int, set[int]] = {}
    for row in drops:
        found.setdefault(row["duplicate_of"], {row["duplicate_of"]}).add(row["doc_id"])
    return found


def corpus_of(
    stage: GlobalStage,
    texts: Sequence[str],
    folder: Path,
    ids: Sequence[int] | None = None,
    columns: dict[str, pa.Array] | None = None,
    splits: int = 1,
    batch_rows: int = 1000,
    **settings,
) -> DoubleCorpus:
    """Documents in order, in `splits` files of about equal size, sketched `batch_rows` at a time."""
    ids = range(len(texts)) if ids is None else ids
    whole = make_batch(texts, ids, columns)
    borders = [round(i * len(texts) / splits) for i in range(splits + 1)]
    batches = [
        [whole.slice(i, min(i + batch_rows, stop)) for i in range(start, stop, batch_rows)]
        for start, stop in itertools.pairwise(borders)
    ]
    return DoubleCorpus(stage, batches, folder, **settings)
