"""Documents that were forgotten, as a run knows them again: by their address, their id, their text.

They are left out where records are read, so that every pass sees the corpus without them: they have no row, no sketch
and no part in any decision, and the report counts them. Tombstones come from the output folder itself and from the
earlier runs that stages compare with (`core/tombstones.py`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from corpuscurate.core.batch import Batch
from corpuscurate.core.columns import lengths_bytes, text_buffers
from corpuscurate.core.digests import fingerprint
from corpuscurate.core.doc_ids import POSITION_BITS, is_in_sorted
from corpuscurate.core.stage import GlobalStage, Stage
from corpuscurate.core.tombstones import Tombstones, file_value, keyed_digest, read_tombstones
from corpuscurate.engine.ids import spelled_alike
from corpuscurate.engine.manifest import Manifest
from corpuscurate.io.base import BadRecord, Chunk, SourceFile


@dataclass(frozen=True, slots=True)
class Marks:
    """The digests of ids and texts of one folder, under its key. sizes: int64, of the texts, ascending, each once."""

    key: bytes
    integers: bool
    ids: frozenset[bytes]
    texts: frozenset[bytes]
    sizes: NDArray[np.int64]

    def among(
        self, column: pa.LargeStringArray, wanted: frozenset[bytes], rows: NDArray[np.int64]
    ) -> NDArray[np.bool_]:
        """bool[n]: which values of a column, of the `rows` of it alone, have one of the wanted digests."""
        found = np.zeros(len(column), np.bool_)
        offsets, data = text_buffers(column)
        view = memoryview(data.data)
        for row, start, stop in zip(rows.tolist(), offsets[rows].tolist(), offsets[rows + 1].tolist(), strict=True):
            found[row] = keyed_digest(self.key, view[start:stop]) in wanted
        return found


@dataclass(frozen=True, slots=True)
class Forgotten:
    """What a run leaves out; a picklable value. doc_ids: in the numbers of this run, ascending. identity: a fingerprint
    of all tombstones."""

    doc_ids: NDArray[np.uint64]
    marks: tuple[Marks, ...]
    identity: str

    def chosen(self, batch: Batch) -> NDArray[np.bool_]:
        """bool[n]: which documents, as they were read, are forgotten ones."""
        found = is_in_sorted(batch.doc_id, self.doc_ids)
        for marks in self.marks:
            if marks.texts:
                found |= marks.among(batch.text, marks.texts, _sized(batch.text, marks.sizes))
            if marks.ids and batch.id is not None:
                ids = spelled_alike(batch.id, pa.int64()) if marks.integers else batch.id
                there = np.flatnonzero(ids.is_valid().to_numpy(zero_copy_only=False))
                found |= marks.among(pc.fill_null(ids, ""), marks.ids, there)
        return found

    def without(self, file: SourceFile, chunk: Chunk) -> Chunk:
        """The chunk without forgotten documents and bad records."""
        bad = tuple(record for record in chunk.bad if not self._has_bad(file, record))
        batch, left_out = chunk.batch, len(chunk.bad) - len(bad)
        if batch is not None and len(batch):
            chosen = self.chosen(batch)
            if chosen.any():
                batch, left_out = batch.filter(~chosen), left_out + int(chosen.sum())
        return replace(chunk, batch=batch, bad=bad, forgotten=left_out) if left_out else chunk

    def _has_bad(self, file: SourceFile, record: BadRecord) -> bool:
        number = np.array([file.number << POSITION_BITS | record.position], np.uint64)
        return not record.whole_file and bool(is_in_sorted(number, self.doc_ids)[0])


def _sized(texts: pa.LargeStringArray, sizes: NDArray[np.int64]) -> NDArray[np.int64]:
    """The rows whose text has one of these sizes."""
    lengths = lengths_bytes(texts)
    at = np.minimum(np.searchsorted(sizes, lengths), len(sizes) - 1)
    return np.flatnonzero(sizes[at] == lengths)


def forgotten_in(out: Path, stages: Sequence[Stage], manifest: Manifest) -> Forgotten | None:
    """What a run into `out` leaves out; None where there is nothing. Raises OutputError, see `read_tombstones`."""
    folders = [folder for stage in stages if isinstance(stage, GlobalStage) for folder in stage.corpora()]
    own = read_tombstones(out)
    known = [] if own is None else [(own, True)]
    for folder in dict.fromkeys(folders):
        theirs = read_tombstones(Path(folder))
        known += [] if theirs is None or Path(folder).resolve() == out.resolve() else [(theirs, False)]
    known = [(each, is_own) for each, is_own in known if each.documents]
    if not known:
        return None
    ids = sorted({doc_id for each, _ in known for doc_id in _addresses(each, manifest)})
    marks = tuple(_marks(each, is_own) for each, is_own in known)
    return Forgotten(np.array(ids, np.uint64), marks, fingerprint([each.identity for each, _ in known]))


def _addresses(tombstones: Tombstones, manifest: Manifest) -> list[int]:
    """The doc_ids that records have in this input, where their file is as it was."""
    by_file: dict[str, list[int]] = {}
    for each in tombstones.documents:
        if each.file is not None and each.position is not None:
            by_file.setdefault(each.file, []).append(each.position)
    found = []
    for file, state in zip(manifest.files, manifest.states, strict=True) if by_file else ():
        positions = by_file.get(file_value(tombstones.key, file.name, state), [])
        found += [file.number << POSITION_BITS | position for position in positions]
    return found


def _marks(tombstones: Tombstones, is_own: bool) -> Marks:
    """The digests that count here. In another corpus an integer says nothing: it numbers the documents of its own."""
    texts = [text for each in tombstones.documents for text in each.texts]
    ids = [each.id for each in tombstones.documents if each.id is not None]
    return Marks(
        tombstones.key,
        tombstones.integers,
        frozenset(bytes.fromhex(each) for each in ids) if is_own or not tombstones.integers else frozenset(),
        frozenset(bytes.fromhex(digest) for _, digest in texts),
        np.array(sorted({size for size, _ in texts}), np.int64),
    )
