"""Reads chosen documents again for a global stage: those of this run, and those of an earlier run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from corpuscurate.core.artefact import Artefact
from corpuscurate.core.batch import Batch
from corpuscurate.core.doc_ids import is_in_sorted
from corpuscurate.core.earlier_runs import EarlierRun
from corpuscurate.core.errors import InputError
from corpuscurate.core.run_folder import ROWS
from corpuscurate.core.stage import GlobalStage
from corpuscurate.core.tables import table_writer
from corpuscurate.engine.documents import ColumnSource, Reader, read_chunks, replay_edits
from corpuscurate.engine.manifest import Split
from corpuscurate.engine.passes.measure import sketch_rows
from corpuscurate.engine.streaming import stages_named_with
from corpuscurate.io.base import SourceFile, Want, input_format
from corpuscurate.io.file_names import kind_of


@dataclass(frozen=True, slots=True)
class RereadBody:
    """Reads chosen documents of a split again and sketches them by a method of a stage. wanted: an .npy of doc_ids.

    reader: of the passes before the stage's own, plus the edits of its own pass.
    """

    reader: Reader
    split: Split
    stage: GlobalStage
    method: str
    wanted: Artefact
    arguments: Mapping[str, Any] = field(default_factory=dict)

    def smaller(self) -> RereadBody:
        """The body with half the text at once."""
        return replace(self, reader=self.reader.smaller())

    def run(self, folder: Path) -> dict[str, Any]:
        """Write ROWS."""
        wanted: NDArray[np.uint64] = np.load(self.wanted, allow_pickle=False)
        empty = Batch(np.zeros(0, np.uint64), pa.array([], pa.large_string()), np.zeros(0, np.int64))
        schema = sketch_rows(self.stage, self.method, empty, self.arguments).schema
        rows = 0
        with table_writer(folder / ROWS, schema) as writer:
            for batch, chosen in self._chosen(wanted) if len(wanted) else ():
                made = sketch_rows(self.stage, self.method, batch, self.arguments, chosen)
                writer.write(made)
                rows += len(made)
        if rows != len(wanted):
            raise RuntimeError(f"{len(wanted)} documents were asked for and {rows} found in split {self.split.number}")
        return {"documents": rows}

    def _chosen(self, wanted: NDArray[np.uint64]) -> Iterator[tuple[Batch, NDArray[np.int64] | None]]:
        """Batches of the wanted documents, edits replayed, and None; or, without a copy of text, whole batches and the
        wanted rows. Wanted documents have been sketched, so they are alive."""
        reader = self.reader
        whole = self.method in self.stage.takes_rows and not reader.edits and not reader.columns
        columns = ColumnSource(reader, self.split.number)
        for file, chunk in read_chunks(reader, self.split):
            batch = chunk.batch
            if batch is None:
                continue
            mask = is_in_sorted(batch.doc_id, wanted)
            if not mask.any():
                continue
            if whole:
                yield batch, np.flatnonzero(mask)
                continue
            kept = batch.filter(mask)
            with stages_named_with(file):
                ready = replay_edits(reader, kept, columns.get(kept.doc_id))
            yield ready, None


def check_texts(run: EarlierRun) -> None:
    """Check that the texts of an earlier run can be read from its data/. Raises InputError."""
    instead = "Use `verify: signature`, which compares the sketches alone."
    if not run.header["in_input_order"]:
        raise InputError(
            f"index {run.path}: a stage ordered, dealt or copied its documents, so their texts cannot be found in its "
            f"data/ by number. {instead}"
        )
    if kind_of(f"part.{run.header['format']}")[0] is None:
        raise InputError(f"index {run.path}: its format {run.header['format']} can be written, not read. {instead}")
    for name, _ in run.header["parts"]:
        if not (run.path / name).is_file():
            raise InputError(
                f"index {run.path}: {name} is gone, and its texts are needed for `verify: exact`. {instead}"
            )


@dataclass(frozen=True, slots=True)
class EarlierBody:
    """Reads chosen documents of a part of an earlier run's data/ and sketches them by a method of a stage.

    first: number of documents in the parts before it; documents: number in it. wanted: a file a split, doc_ids plus
    `base`.
    """

    run_of: EarlierRun
    part: str
    first: int
    documents: int
    base: int
    wanted: tuple[Artefact, ...]
    stage: GlobalStage
    method: str

    def run(self, folder: Path) -> dict[str, Any]:
        """Write ROWS."""
        ids, ranks = self._chosen()
        empty = Batch(np.zeros(0, np.uint64), pa.array([], pa.large_string()), np.zeros(0, np.int64))
        seen = rows = 0
        with table_writer(folder / ROWS, sketch_rows(self.stage, self.method, empty).schema) as writer:
            for batch in self._batches() if len(ids) else ():
                low, high = np.searchsorted(ranks, [seen, seen + len(batch)])
                seen += len(batch)
                if low == high:
                    continue
                mask = np.zeros(len(batch), np.bool_)
                mask[ranks[low:high] - (seen - len(batch))] = True
                chosen = batch.filter(mask)
                named = Batch(ids[low:high], chosen.text, chosen.record_bytes)
                writer.write(sketch_rows(self.stage, self.method, named))
                rows += len(named)
        if len(ids) and (rows != len(ids) or seen != self.documents):
            raise InputError(f"index {self.run_of.path}: {self.part} is not as its run wrote it.")
        return {"documents": rows}

    def _chosen(self) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
        """doc_ids of the wanted documents of this part, and their rows in it."""
        ids, ranks, before = [np.empty(0, np.uint64)], [np.empty(0, np.int64)], -self.first
        for split, path in enumerate(self.wanted):
            kept = np.load(self.run_of.kept(split), mmap_mode="r")
            wanted = np.load(path)
            at = before + np.searchsorted(kept, wanted - np.uint64(self.base))
            here = (at >= 0) & (at < self.documents)
            ids.append(wanted[here])
            ranks.append(at[here])
            before += len(kept)
        return np.concatenate(ids), np.concatenate(ranks)

    def _batches(self) -> Any:
        path = self.run_of.path / self.part
        form, compression = kind_of(path.name)
        assert form is not None  # noqa: S101  by check_texts
        file = SourceFile(0, str(path), str(path), path.stat().st_size, form, compression)
        reader = input_format(form)
        want = Want(text=self.run_of.header["text"], max_record_bytes=1 << 30)
        for span in reader.split(file, 1 << 62):
            for chunk in reader.read(file, span, want):
                if chunk.bad:
                    raise InputError(f"index {self.run_of.path}: {self.part} has a record that cannot be read.")
                if chunk.batch is not None:
                    yield chunk.batch
