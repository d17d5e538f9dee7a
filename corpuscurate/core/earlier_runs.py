"""Earlier runs as indexes: the files of a finished run that a later run is deduplicated against.

`_run/index.json` is the header: the stages that have sketches, how the sketches were made, the edits that the texts
went through, the parts of data/. The task `_run/kept` has, a file a split, the doc_ids of the documents in data/,
ascending, 8 bytes each. The sketches are of the texts in data/, as the run wrote them: those of a measuring pass where
no later stage edits text; otherwise files of `_run/kept`, made by the writing pass, and then the header does not name
those of the unedited text. The user's ids stay in the folders of the measuring passes.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from corpuscurate.core.artefact import Artefact, Artefacts, attempt, commit, read_sealed, remove_task, write_sealed
from corpuscurate.core.doc_ids import POSITION_BITS
from corpuscurate.core.durable import link_file, read_json
from corpuscurate.core.errors import DamagedError, InputError
from corpuscurate.core.run_folder import (
    AMEND,
    DOCS,
    INDEX,
    INDEX_FORM,
    KEPT,
    REPORT,
    STATE,
    kept_file,
    measure_folder,
    sketch_file,
    task_folder,
    written_sketch_file,
)
from corpuscurate.core.stage import GlobalStage

_FILES = 1 << (64 - POSITION_BITS)


@dataclass(frozen=True, slots=True)
class EarlierRun:
    """A finished run as an index. path: its output folder. name: its name in dropped/. header: the content of INDEX."""

    path: Path
    name: str
    header: Mapping[str, Any]

    @property
    def identity(self) -> str:
        """Its fingerprint."""
        return str(self.header["identity"])

    @property
    def splits(self) -> int:
        """Number of splits of its input, which is the number of sketch files and of files of kept doc_ids."""
        return int(self.header["splits"])

    @property
    def edits(self) -> Any:
        """The text edits of the run, in order, as the header has them: all that its texts went through."""
        return self.header["edits"]

    @property
    def forgotten(self) -> list[str]:
        """A fingerprint of what was forgotten there; empty where nothing was."""
        return [str(self.header["forgotten"])] if "forgotten" in self.header else []

    def kept(self, split: int) -> Artefact:
        """The doc_ids of a split that are in data/, ascending."""
        return self._index_files[kept_file(split)]

    @property
    def _index_files(self) -> Artefacts:
        return Artefacts(str(self.path / STATE / KEPT))

    def sketches(self, left: Mapping[str, Any], split: int) -> Artefact:
        """The sketches of a split, of the texts as the run wrote them, by the header entry of a stage: rows by doc_id,
        of all kept documents at least."""
        if left["pass"] is None:
            return self._index_files[written_sketch_file(left["sketched_by"], split)]
        return self.artefact(measure_folder(left["pass"]), split, sketch_file(left["sketched_by"]))

    def artefact(self, folder: str, split: int, name: str) -> Artefact:
        """An artefact of a measuring pass."""
        return Artefacts(str(self.path / STATE / folder / task_folder(split)))[name]

    def docs(self, split: int) -> Artefact:
        """The docs artefact of a split, from the first pass."""
        return self.artefact(measure_folder(0), split, DOCS)

    def stage(self, word: str, label: str) -> Mapping[str, Any]:
        """The header entry of its stage with that word; the one with the same label where there are several.

        Raises InputError when it has none.
        """
        found: list[Mapping[str, Any]] = [each for each in self.header["stages"] if each["word"] == word]
        if not found:
            raise InputError(f"index {self.path}: that run had no stage {word!r}, so there is nothing to compare with.")
        return next((each for each in found if each["label"] == label), found[0])

    def first_ids(self) -> NDArray[np.uint64]:
        """uint64[splits], ascending: the split of a doc_id is the last one whose element is not above it."""
        return np.array(self.header["first_ids"], np.uint64)


def write_index(
    state: Path, header: Mapping[str, Any], kept: Iterable[NDArray[np.uint64]], sketches: Sequence[Artefact] = ()
) -> None:
    """Write the index of a finished run into its folder `_run`.

    kept: the kept doc_ids, split by split. sketches: files of writing tasks, which would go with these.
    """
    home = state / KEPT
    remove_task(home)
    with attempt(home) as folder:
        for split, ids in enumerate(kept):
            np.save(folder / kept_file(split), ids)
        for file in sketches:
            link_file(Path(file), folder / file.name)
        commit(home, folder, {}, digests={file.name: file.digest for file in sketches})
    write_sealed(state / INDEX, {"form": INDEX_FORM, **header})


def open_runs(paths: Sequence[str]) -> list[EarlierRun]:
    """The runs in these output folders. Raises InputError where one cannot be an index."""
    names = [Path(path).name for path in paths]
    return [
        _open(Path(path), name if names.count(name) == 1 else path) for path, name in zip(paths, names, strict=True)
    ]


def _open(path: Path, name: str) -> EarlierRun:
    try:
        report = read_json(path / REPORT)
    except (FileNotFoundError, NotADirectoryError, ValueError) as error:
        raise InputError(
            f"index {path} holds no finished run: there is no {REPORT}. Name a run's output folder."
        ) from error
    if (path / STATE / AMEND).exists():
        raise InputError(
            f"index {path}: documents are being forgotten there, or that was interrupted. Finish it first:"
            f" corpuscurate forget {path}"
        )
    header = read_sealed(path / STATE / INDEX)
    if header is None:
        raise InputError(f"index {path}: its run left no sketches. {_AGAIN}")
    if header["form"] != INDEX_FORM:
        raise InputError(
            f"index {path}: {STATE}/{INDEX} is of form {header['form']}, and this version of corpuscurate reads form "
            f"{INDEX_FORM}, with sketches of the texts as the run wrote them. {_AGAIN}"
        )
    if header["identity"] != report["fingerprint"]:
        raise InputError(f"index {path}: {STATE}/{INDEX} is not that of its report. {_AGAIN}")
    run = EarlierRun(path, name, header)
    try:
        wanted = [run.kept(split) for split in range(run.splits)]
        wanted += [run.sketches(left, split) for left in header["stages"] for split in range(run.splits)]
    except DamagedError as error:
        where = os.path.relpath(error.path, path)
        raise InputError(f"index {path}: {where} is gone or damaged. {_AGAIN}") from error
    missing = [file for file in wanted if not Path(file.uri).is_file()]
    if missing:
        raise InputError(f"index {path}: {os.path.relpath(missing[0].uri, path)} is gone. {_AGAIN}")
    return run


_AGAIN = (
    "Run it again with a deduplication and `run: {retain: index}` (the default); `--overwrite` replaces what is there."
)


def must_match(run: EarlierRun, what: str, theirs: Any, ours: Any) -> None:
    """Raise InputError, with the values that differ, where sketches of two runs cannot be compared."""
    if theirs == ours:
        return
    if isinstance(theirs, Mapping) and isinstance(ours, Mapping):
        keys = [key for key in {**ours, **theirs} if theirs.get(key) != ours.get(key)]
        lines = [f"{key}: {theirs.get(key)!r} there, {ours.get(key)!r} here" for key in keys]
    else:
        lines = [f"{theirs!r} there, {ours!r} here"]
    raise InputError(
        f"index {run.path} cannot be compared with this run: {what} differ ({'; '.join(lines)}). "
        "Use the same values in both, or another index."
    )


@dataclass(frozen=True, slots=True)
class Numbers:
    """One numbering for the doc_ids of several corpora: this run's stay, those of the i-th index start at bases[i]."""

    names: tuple[str, ...] = ()
    bases: tuple[int, ...] = ()

    def is_own(self, ids: NDArray[np.uint64]) -> NDArray[np.bool_]:
        """Which documents are this run's."""
        return ids < np.uint64(self.bases[0]) if self.bases else np.ones(len(ids), np.bool_)

    def corpus(self, ids: NDArray[np.uint64]) -> NDArray[np.int16]:
        """0 for this run, i for the i-th index, counted from 1."""
        return np.searchsorted(np.array(self.bases, np.uint64), ids, "right").astype(np.int16)

    def local(self, ids: NDArray[np.uint64]) -> NDArray[np.uint64]:
        """The doc_ids in the numbering of their own corpus."""
        return ids - np.array([0, *self.bases], np.uint64)[self.corpus(ids)]


ALONE = Numbers()
"""No earlier run."""


def number_runs(runs: Sequence[EarlierRun], last_own: int) -> Numbers:
    """Number earlier runs after this one, whose last doc_id is `last_own` (-1: none). Each has a base of its own, even
    one that kept nothing. Raises InputError when all files together are too many for a doc_id."""
    following = (last_own >> POSITION_BITS) + 1
    bases = []
    for run in runs:
        bases.append(following << POSITION_BITS)
        last = max((int(ids[-1]) for ids in _kept_ids(run) if len(ids)), default=0)
        following += (last >> POSITION_BITS) + 1
        if following > _FILES:
            raise InputError(f"index {run.path}: this run and its indexes have over {_FILES:,} files together.")
    return Numbers(tuple(run.name for run in runs), tuple(bases))


def _kept_ids(run: EarlierRun) -> Iterable[NDArray[np.uint64]]:
    return (np.load(run.kept(split), mmap_mode="r") for split in range(run.splits))


def indexes_of(stage: GlobalStage) -> list[tuple[EarlierRun, Mapping[str, Any]]]:
    """The stage's earlier runs, each with the header entry of its stage. Raises InputError where one does not fit."""
    found = []
    for run in open_runs(stage.corpora()):
        left = run.stage(stage.word, stage.label)
        must_match(run, f"the sketches of {stage.word}", left["header"], stage.index_header())
        found.append((run, left))
    return found


def with_indexes(stage: GlobalStage, parameters: dict[str, Any]) -> dict[str, Any]:
    """The parameters for a fingerprint: each index by its name and the fingerprint of its run, not by its path, and by
    its form, which says of what texts its sketches are; and by what was forgotten there, if anything was."""
    return {
        **parameters,
        "index": [[run.name, run.identity, INDEX_FORM, *run.forgotten] for run, _ in indexes_of(stage)],
    }
