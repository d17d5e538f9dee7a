"""The settle step of a global stage: the `Corpus` that the engine gives it, and its decision kept on disk."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from corpuscurate.core.artefact import Artefact, Artefacts, check, read_sealed, write_sealed
from corpuscurate.core.columns import to_numpy
from corpuscurate.core.corpus import COPIES, EDITS, LEDGER, ORDER, PARTITION, Done, Settled, Work
from corpuscurate.core.digests import fingerprint
from corpuscurate.core.doc_ids import id_range
from corpuscurate.core.durable import sync_tree
from corpuscurate.core.earlier_runs import open_runs
from corpuscurate.core.errors import DamagedError, StageError
from corpuscurate.core.run_folder import (
    BASIS,
    DOCS,
    IDENTITY,
    ROWS,
    SETTLED,
    TEXT,
    marker_of_attempt,
    reread_folder,
    settle_folder,
    sketch_file,
)
from corpuscurate.core.stage import GlobalStage, Stage, code_value
from corpuscurate.core.tables import read_table
from corpuscurate.core.texts import Texts, texts_in
from corpuscurate.engine.documents import FinishedPass, Reader, Verdicts, drop_rows, dropped_ids, edits_of
from corpuscurate.engine.passes.reread import EarlierBody, RereadBody, check_texts
from corpuscurate.engine.session import Session
from corpuscurate.engine.task import Task

DECISIONS = ("drops", "tags", "edits", "copies", "order", "partition")
"""The kinds of files in `Settled` and `Verdicts`."""


@dataclass
class EngineCorpus:
    """The engine's side of `Corpus` for one stage. index: of the stage in the pipeline.

    documents: fingerprint of the documents that it sees. done: its pass, with the verdicts of the stages before it in
    that pass; reader: how its documents are read again. bases: folders of its results that have a basis.
    """

    session: Session
    index: int
    stage: GlobalStage
    folder: Path
    fingerprint: str
    documents: str
    done: FinishedPass
    reader: Reader
    bases: set[str] = field(default_factory=set)

    @property
    def memory_bytes(self) -> int:
        """See `Corpus`."""
        return self.session.memory_bytes

    @property
    def workers(self) -> int:
        """See `Corpus`."""
        return self.session.workers

    def sketches(self) -> Sequence[Artefact]:
        """See `Corpus`."""
        name = sketch_file(self.stage.label)
        return [self.done.split(split.number)[name] for split in self.session.manifest.splits]

    def dropped(self, split: int) -> NDArray[np.uint64]:
        """See `Corpus`."""
        ids: NDArray[np.uint64] = to_numpy(read_table(self.done.split(split)[DOCS]).column("doc_id"))
        return dropped_ids(self.done.verdicts, *id_range(ids))

    def ledger(self, split: int) -> pa.Table:
        """See `Corpus`."""
        stages, seen = self.reader.stages, self.reader.passes  # the pass of this stage, with the stages before it
        tables = [LEDGER.empty_table()]
        for done in seen:
            docs = read_table(done.split(split)[DOCS])
            numbers: NDArray[np.int16] = to_numpy(docs.column("stage"))
            for number in np.unique(numbers[numbers > 0]):
                tables.append(_ledger_rows(stages[int(number) - 1], docs.filter(pa.array(numbers == number))))
            tables += [
                _ledger_rows(stages[index], rows)
                for index, rows in drop_rows(done.verdicts, *id_range(to_numpy(docs.column("doc_id"))))
            ]
        return pa.concat_tables(tables).sort_by("doc_id").combine_chunks()

    def text(self) -> Texts:
        """See `Corpus`."""
        if not self.stage.keeps_text:
            raise TypeError(f"{self.stage.label} asks for the texts of the corpus and does not declare `keeps_text`")
        return texts_in([self.done.split(split.number)[TEXT] for split in self.session.manifest.splits])

    def _home(self, basis: Any) -> tuple[Path, str]:
        """The folder of results with a basis, and the fingerprint of everything that they depend on."""
        if basis is None:
            return self.folder, self.fingerprint
        whole = fingerprint([self.documents, self.stage.word, self.stage.version, basis, *code_value(self.stage)])
        self.bases.add(BASIS + whole)
        return self.folder / (BASIS + whole), whole

    def run(self, works: Sequence[Work], title: str, *, basis: Any = None) -> list[Done]:
        """See `Corpus`."""
        folder, identity = self._home(basis)
        keep = basis is not None  # what another run may use again
        tasks = [
            Task(folder / work.key, fingerprint([identity, work.key]), work, getattr(work, "bytes", 1), durable=keep)
            for work in works
        ]
        results = self.session.tasks(f"{self.stage.label}: {title}", tasks)
        return [Done(Artefacts(str(task.home)), result) for task, result in zip(tasks, results, strict=True)]

    def reread_earlier(
        self, corpus: int, base: int, wanted: Sequence[Artefact], sketch: str, title: str
    ) -> list[Artefact]:
        """See `Corpus`."""
        run = open_runs(self.stage.corpora())[corpus]
        check_texts(run)
        tasks, first = [], 0
        for number, (part, documents) in enumerate(run.header["parts"]):
            home = self.folder / reread_folder(sketch, number, corpus)
            body = EarlierBody(run, part, first, documents, base, tuple(wanted), self.stage, sketch)
            whole = fingerprint([self.fingerprint, sketch, corpus, number])
            tasks.append(Task(home, whole, body, 1))
            first += documents
        self.session.tasks(f"{self.stage.label}: {title}", tasks)
        return [Artefacts(str(task.home))[ROWS] for task in tasks]

    def reread(
        self,
        wanted: Sequence[Artefact],
        sketch: str,
        title: str,
        *,
        arguments: Mapping[str, Any] | None = None,
        basis: Any = None,
    ) -> list[Artefact]:
        """See `Corpus`."""
        folder, identity = self._home(basis)
        tasks = []
        for split, path in zip(self.session.manifest.splits, wanted, strict=True):
            home = folder / reread_folder(sketch, split.number)
            body = RereadBody(self.reader, split, self.stage, sketch, path, dict(arguments or {}))
            whole = fingerprint([identity, sketch, split.number])
            tasks.append(Task(home, whole, body, split.bytes, durable=basis is not None))
        self.session.tasks(f"{self.stage.label}: {title}", tasks)
        return [Artefacts(str(task.home))[ROWS] for task in tasks]


def settle(
    session: Session, index: int, done: FinishedPass, reader: Reader, identity: str, documents: str
) -> tuple[Verdicts, dict[str, Any]]:
    """Run the settle step of the global stage at `index` of the pipeline, or read its decision if there is one with the
    same fingerprint. Returns verdicts, and stats for the report.

    done: its pass, with the verdicts of the stages before it in that pass. reader: of the passes before. identity:
    fingerprint of the stage and everything before it; documents: of everything before it alone.
    """
    stage = session.spec.stages[index]
    if not isinstance(stage, GlobalStage):
        raise TypeError(f"{stage.label} is not a global stage")
    folder = session.state / settle_folder(stage.label)
    known = _read_settled(folder, identity, index)
    if known is not None:
        return known
    if folder.exists() and read_sealed(folder / IDENTITY) != identity:
        _remove_all(folder, lambda name: not name.startswith(BASIS))
    folder.mkdir(parents=True, exist_ok=True)
    write_sealed(folder / IDENTITY, identity)
    seen = (*reader.passes, done)
    own = replace(reader, passes=seen, edits=edits_of(reader.stages, seen), fail_on_bad=False)
    corpus = EngineCorpus(session, index, stage, folder, identity, documents, done, own)
    settled = stage.settle(corpus)
    _remove_all(folder, lambda name: name.startswith(BASIS) and name not in corpus.bases)
    files = _checked(stage, settled)
    for made in {Path(file.uri).parent for each in files.values() for file in each}:
        sync_tree(made)  # works are not flushed, and the decision must outlast a crash of the machine
    told = {kind: [_relative(file, folder) for file in each] for kind, each in files.items()}
    write_sealed(folder / SETTLED, {"fingerprint": identity, "files": told, "stats": settled.stats})
    return Verdicts(index, **files), settled.stats


def _checked(stage: GlobalStage, settled: Settled) -> dict[str, tuple[Artefact, ...]]:
    """The files of a decision by kind. Raises StageError for a kind that the stage does not declare."""
    files = {kind: tuple(getattr(settled, kind)) for kind in DECISIONS}
    if stage.mode == "tag":
        files = {kind: each if kind == "tags" else () for kind, each in files.items()}
    allowed = {
        "edits": stage.edits_text,
        "copies": stage.copies_documents,
        "order": stage.orders_documents,
        "partition": bool(stage.partitions()),
    }
    for kind, may in allowed.items():
        if files[kind] and not may:
            raise StageError(f"stage {stage.label!r} settled with {kind}, which it does not declare (see GlobalStage).")
        for file in files[kind]:
            problem = _problem(stage, kind, read_table(file))
            if problem is not None:
                raise StageError(f"stage {stage.label!r} settled with {kind} that cannot be used: {problem}.")
    return files


_SCHEMAS = {"edits": EDITS, "copies": COPIES, "order": ORDER, "partition": PARTITION}


def _problem(stage: GlobalStage, kind: str, table: pa.Table) -> str | None:
    """What is wrong with a file of a decision; None where nothing is. Where spans lie is seen when they are cut."""
    schema = _SCHEMAS[kind]
    if table.schema.names != schema.names or table.schema.types != schema.types:
        said, wanted = (", ".join(f"{each.name}: {each.type}" for each in one) for one in (table.schema, schema))
        return f"its columns are ({said}), not ({wanted})"
    for name in schema.names:
        if name != "partner" and table.column(name).null_count:
            return f"{name} has nulls"
    ids = to_numpy(table.column("doc_id"))
    sorted_so_far = ids[:-1] <= ids[1:] if kind == "edits" else ids[:-1] < ids[1:]
    if not sorted_so_far.all():
        at = int(np.argmin(sorted_so_far))
        return f"document {ids[at + 1]} stands after {ids[at]}"
    name, least, most = {
        "edits": ("reason", 1, len(stage.rules())),
        "copies": ("copies", 1, None),
        "order": ("rank", 0, None),
        "partition": ("partition", 0, len(stage.partitions()) - 1),
    }[kind]
    values = to_numpy(table.column(name))
    wrong = values < least if most is None else (values < least) | (values > most)
    if wrong.any():
        at = int(np.argmax(wrong))
        wanted = f"at least {least}" if most is None else f"{least} to {most}"
        return f"{name} of document {ids[at]} is {values[at]}, and must be {wanted}"
    return None


def _relative(file: Artefact, folder: Path) -> list[Any]:
    return [os.path.relpath(file.uri, folder), file.size, file.digest]


def _ledger_rows(stage: Stage, rows: pa.Table) -> pa.Table:
    """Rows of docs.arrow or of DROPS that one stage dropped, as LEDGER."""
    names = pa.array(list(stage.rules()), pa.string()).take(pa.array(to_numpy(rows.column("reason")) - 1))
    columns: dict[str, Any] = {
        "doc_id": rows.column("doc_id"),
        "stage": pa.repeat(pa.scalar(stage.label, pa.string()), rows.num_rows),
        "reason": names,
    }
    for column in list(LEDGER)[3:]:
        known = column.name in rows.column_names
        columns[column.name] = rows.column(column.name) if known else pa.nulls(rows.num_rows, column.type)
    value = columns["value"].to_numpy()
    columns["value"] = pa.array(value, pa.float64(), from_pandas=True)
    return pa.table(columns, schema=LEDGER)


def discard_scratch(session: Session, stage: Stage, verdicts: Sequence[Verdicts]) -> None:
    """Delete the scratch files of a settle step: all but its decision and the results that other runs may reuse."""
    files = [file for each in verdicts for kind in DECISIONS for file in getattr(each, kind)]
    kept = {Path(file.uri).parent.name for file in files}
    kept |= {marker_of_attempt(name) for name in kept} | {SETTLED, IDENTITY}
    folder = session.state / settle_folder(stage.label)
    _remove_all(folder, lambda name: not (name.startswith(BASIS) or name in kept))


def _remove_all(folder: Path, chosen: Callable[[str], bool]) -> None:
    for path in folder.iterdir():
        if chosen(path.name):
            shutil.rmtree(path) if path.is_dir() else path.unlink()


def _read_settled(folder: Path, identity: str, index: int) -> tuple[Verdicts, dict[str, Any]] | None:
    value = read_sealed(folder / SETTLED)
    if value is None or value["fingerprint"] != identity:
        return None
    files = {
        kind: tuple(Artefact(str(folder / name), size, digest) for name, size, digest in each)
        for kind, each in value["files"].items()
    }
    try:
        for file in (file for each in files.values() for file in each):
            check(file)
    except DamagedError:
        (folder / SETTLED).unlink()
        return None
    return Verdicts(index, **files), value["stats"]
