"""Settling a global stage: what it is offered (`stage.Corpus`), and the memory of what it decided."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from corpuscurate.core.artefact import fingerprint, read_json, read_table, sync_tree, write_json
from corpuscurate.core.columns import to_numpy
from corpuscurate.core.corpus import Done, Work
from corpuscurate.core.doc_ids import id_range
from corpuscurate.core.earlier_runs import open_runs
from corpuscurate.core.run_folder import BASIS, DOCS, MARKER, SETTLED
from corpuscurate.core.stage import GlobalStage, Stage, code_value
from corpuscurate.engine.documents import FinishedPass, Reader, Verdicts, dropped_ids
from corpuscurate.engine.passes.measure import sketch_name
from corpuscurate.engine.passes.reread import EarlierBody, RereadBody, texts_of
from corpuscurate.engine.plan import Pass, edits_before
from corpuscurate.engine.session import Session
from corpuscurate.engine.task import Task


@dataclass
class EngineCorpus:
    """The engine's side of `stage.Corpus` for one stage.

    documents: fingerprint of the documents that it sees. done: its pass, with the verdicts of the stages before it in
    that pass; reader: how its documents are read again. bases: folders of what it made from a narrower basis.
    """

    session: Session
    stage: GlobalStage
    folder: Path
    fingerprint: str
    documents: str
    done: FinishedPass
    reader: Reader
    bases: set[str] = field(default_factory=set)

    @property
    def memory_bytes(self) -> int:
        """See `stage.Corpus`."""
        return self.session.spec.settings.memory

    @property
    def workers(self) -> int:
        """See `stage.Corpus`."""
        return self.session.spec.settings.workers

    def sketches(self) -> Sequence[Path]:
        """See `stage.Corpus`."""
        name = sketch_name(self.stage)
        return [self.done.split(split.number) / name for split in self.session.manifest.splits]

    def dropped(self, split: int) -> NDArray[np.uint64]:
        """See `stage.Corpus`."""
        ids: NDArray[np.uint64] = to_numpy(read_table(self.done.split(split) / DOCS).column("doc_id"))
        return dropped_ids(self.done.verdicts, *id_range(ids))

    def _place(self, basis: Any) -> tuple[Path, str]:
        """Where results that depend on a basis stand, and the fingerprint of all that they depend on."""
        if basis is None:
            return self.folder, self.fingerprint
        whole = fingerprint([self.documents, self.stage.word, self.stage.version, basis, *code_value(self.stage)])
        self.bases.add(BASIS + whole)
        return self.folder / (BASIS + whole), whole

    def run(self, works: Sequence[Work], title: str, *, basis: Any = None) -> list[Done]:
        """See `stage.Corpus`."""
        folder, identity = self._place(basis)
        keep = basis is not None  # what another run may use again
        tasks = [Task(folder / work.key, fingerprint([identity, work.key]), work, 1, durable=keep) for work in works]
        results = self.session.tasks(f"{self.stage.label}: {title}", tasks)
        return [Done(task.final, result) for task, result in zip(tasks, results, strict=True)]

    def reread_earlier(self, corpus: int, base: int, wanted: Sequence[Path], sketch: str, title: str) -> list[Path]:
        """See `stage.Corpus`."""
        run = open_runs(self.stage.corpora())[corpus]
        texts_of(run, self.stage)
        tasks, first = [], 0
        for number, (part, documents) in enumerate(run.header["parts"]):
            final = self.folder / f"earlier-{corpus}-{sketch}-{number:05d}"
            body = EarlierBody(run, part, first, documents, base, tuple(wanted), self.stage, sketch)
            tasks.append(Task(final, fingerprint([self.fingerprint, sketch, corpus, number]), body, 1))
            first += documents
        self.session.tasks(f"{self.stage.label}: {title}", tasks)
        return [task.final / "rows.arrow" for task in tasks]

    def reread(
        self,
        wanted: Sequence[Path],
        sketch: str,
        title: str,
        *,
        arguments: Mapping[str, Any] | None = None,
        basis: Any = None,
    ) -> list[Path]:
        """See `stage.Corpus`."""
        folder, identity = self._place(basis)
        tasks = []
        for split, path in zip(self.session.manifest.splits, wanted, strict=True):
            final = folder / f"reread-{sketch}-{split.number:05d}"
            body = RereadBody(self.reader, split, self.stage, sketch, path, dict(arguments or {}))
            whole = fingerprint([identity, sketch, split.number])
            tasks.append(Task(final, whole, body, split.bytes, durable=basis is not None))
        self.session.tasks(f"{self.stage.label}: {title}", tasks)
        return [task.final / "rows.arrow" for task in tasks]


def settle(
    session: Session, current: Pass, place: int, done: FinishedPass, reader: Reader, identity: str, documents: str
) -> tuple[Verdicts, dict[str, Any]]:
    """Settle the global stage at `place`, or read what it decided when that was done for the same fingerprint.

    identity: fingerprint of the stage and all before it; documents: of what is before it alone.
    """
    stage = session.spec.stages[place]
    if not isinstance(stage, GlobalStage):
        raise TypeError(f"{stage.label} is not a global stage")
    folder = session.state / f"settle-{stage.label}"
    known = _read_settled(folder, identity, place)
    if known is not None:
        return known
    if folder.exists() and _other_run(folder, identity):
        _remove_all(folder, lambda name: not name.startswith(BASIS))
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / "identity.json", identity)
    own = Reader(
        reader.stages,
        (*reader.passes, done),
        reader.want,
        edits_before(reader.stages, _passes_until(reader, done, current), current.number),
        reader.columns,
    )
    corpus = EngineCorpus(session, stage, folder, identity, documents, done, own)
    settled = stage.settle(corpus)
    _remove_all(folder, lambda name: name.startswith(BASIS) and name not in corpus.bases)
    drops = () if stage.mode == "tag" else tuple(settled.drops)
    for made in {path.parent for path in (*drops, *settled.tags)}:
        sync_tree(made)  # tasks of a settling are not, and its decision must outlast a crash of the machine
    write_json(
        folder / SETTLED,
        {
            "fingerprint": identity,
            "drops": [str(path.relative_to(folder)) for path in drops],
            "tags": [str(path.relative_to(folder)) for path in settled.tags],
            "stats": settled.stats,
        },
    )
    return Verdicts(place, drops, tuple(settled.tags)), settled.stats


def discard_scratch(session: Session, stage: Stage, verdicts: Sequence[Verdicts]) -> None:
    """Remove what a settled stage does not need any more: all but its decision, and what another run may use again."""
    kept = {path.parent.name for each in verdicts for path in (*each.drops, *each.tags)}
    folder = session.state / f"settle-{stage.label}"
    _remove_all(folder, lambda name: not (name.endswith(".json") or name.startswith(BASIS) or name in kept))


def _passes_until(reader: Reader, done: FinishedPass, current: Pass) -> list[Pass]:
    earlier = [Pass(number, each.streaming, ()) for number, each in enumerate(reader.passes)]
    return [*earlier, current]


def _remove_all(folder: Path, chosen: Callable[[str], bool]) -> None:
    for path in folder.iterdir():
        if chosen(path.name):
            shutil.rmtree(path) if path.is_dir() else path.unlink()


def _other_run(folder: Path, identity: str) -> bool:
    try:
        return bool(read_json(folder / "identity.json") != identity)
    except (OSError, ValueError):
        return True


def _read_settled(folder: Path, identity: str, place: int) -> tuple[Verdicts, dict[str, Any]] | None:
    try:
        value = read_json(folder / SETTLED)
    except (OSError, ValueError):
        return None
    files = [folder / name for name in [*value["drops"], *value["tags"]]]
    whole = all(path.is_file() and (path.parent / MARKER).is_file() for path in files)  # else: a removal was cut short
    if value["fingerprint"] != identity or not whole:
        return None
    drops = tuple(folder / name for name in value["drops"])
    return Verdicts(place, drops, tuple(folder / name for name in value["tags"])), value["stats"]
