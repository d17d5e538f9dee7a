"""Takes documents out of the run folder: sketches, docs, texts, the index. What only a resume would use is removed."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from corpuscurate.core.artefact import marker_path, read_sealed, write_sealed
from corpuscurate.core.columns import to_numpy
from corpuscurate.core.digests import digest_file, fingerprint
from corpuscurate.core.doc_ids import is_in_sorted
from corpuscurate.core.durable import link_file, sync_tree
from corpuscurate.core.run_folder import (
    AMENDING,
    BAD,
    DUPLICATE_IDS_FOUND,
    INDEX,
    KEPT,
    PUBLISH,
    attempt_folder,
    is_attempt_of,
    is_measure_folder,
    task_folder,
)
from corpuscurate.core.tables import table_writer
from corpuscurate.engine.ledger.amend import Amendment
from corpuscurate.tools.forget.finished import FinishedRun
from corpuscurate.tools.forget.targets import QUARANTINED, Target


def amend_run_folder(run: FinishedRun, targets: Sequence[Target], amendment: Amendment) -> None:
    """Prepare the change of the run folder."""
    gone = np.array(sorted({t.doc_id for t in targets if t.doc_id is not None}), np.uint64)
    bad = {run.place(t.doc_id) for t in targets if t.was == QUARANTINED and t.doc_id is not None}
    splits = sorted({t.split for t in targets if t.split is not None})
    for path in sorted(run.state.iterdir()):
        if not path.is_dir() or path.name == AMENDING or is_attempt_of(path.name, KEPT):
            continue
        if not is_measure_folder(path.name):
            amendment.remove(path)
            continue
        for home in (path / task_folder(split) for split in splits):
            _without(home, gone, bad, amendment)
    if marker_path(run.state / KEPT).exists():
        _without(run.state / KEPT, gone, bad, amendment)
    for name in (PUBLISH, DUPLICATE_IDS_FOUND):
        if (run.state / name).exists():
            amendment.remove(run.state / name)


def amend_index(run: FinishedRun, gone_rows: dict[str, int], forgotten: str, amendment: Amendment) -> None:
    """Prepare the change of the index's header. gone_rows: by part of data/; forgotten: identity of the tombstones."""
    if run.index is not None:
        parts = [[name, rows - gone_rows.get(name, 0)] for name, rows in run.index["parts"]]
        header = {**run.index, "parts": parts, "forgotten": forgotten}
        write_sealed(amendment.replacing(run.state / INDEX), header)


def _without(home: Path, gone: NDArray[np.uint64], bad: set[tuple[str, int] | None], amendment: Amendment) -> None:
    """Another attempt at a task that has all of its files without the documents; its marker is replaced later.

    A run of the recipe must not take it for its own: it has another fingerprint.
    """
    marker = read_sealed(marker_path(home))
    if not isinstance(marker, dict) or not home.with_name(marker["data"]).is_dir():  # `retain: none` leaves markers
        return
    old, new = home.with_name(marker["data"]), home.with_name(attempt_folder(home.name, uuid.uuid4().hex[:12]))
    new.mkdir()
    for name in sorted(marker["files"]):
        _copy(old / name, new / name, gone, bad)
    sync_tree(new)
    files = {path.name: (path.stat().st_size, digest_file(path)) for path in sorted(new.iterdir())}
    changed = {"fingerprint": fingerprint([marker["fingerprint"], gone])} if "fingerprint" in marker else {}
    write_sealed(amendment.replacing(marker_path(home)), {**marker, **changed, "data": new.name, "files": files})
    amendment.remove(old)


def _copy(source: Path, target: Path, gone: NDArray[np.uint64], bad: set[tuple[str, int] | None]) -> None:
    """Copy an artefact without the documents; one that has none of them gets a second name."""
    if source.suffix == ".npy":
        ids = np.load(source)
        stays = ~is_in_sorted(ids, gone)
        if stays.all():
            link_file(source, target)
        else:
            np.save(target, ids[stays])
        return
    with pa.memory_map(str(source)) as mapped:
        stored = pa.ipc.open_file(mapped)
        batches = [stored.get_batch(at) for at in range(stored.num_record_batches)]
        kept = list(_kept(batches, gone, bad if source.name == BAD else set()))
        if all(before is after for before, after in zip(batches, kept, strict=True)):
            link_file(source, target)
            return
        with table_writer(target, stored.schema) as writer:
            for batch in kept:
                if len(batch):
                    writer.write_batch(batch)


def _kept(
    batches: Sequence[pa.RecordBatch], gone: NDArray[np.uint64], bad: set[tuple[str, int] | None]
) -> Iterator[pa.RecordBatch]:
    for batch in batches:
        if "doc_id" in batch.schema.names:
            stays = ~is_in_sorted(to_numpy(batch.column("doc_id")), gone)
        elif bad:
            places = zip(*(batch.column(name).to_pylist() for name in ("file", "position")), strict=True)
            stays = np.array([place not in bad for place in places], np.bool_)
        else:
            yield batch
            continue
        yield batch if stays.all() else batch.filter(pa.array(stays))
