"""Why was this document removed? The answer from a finished run's own ledger."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds

from corpuscurate.core.artefact import Artefact, Artefacts, read_sealed
from corpuscurate.core.columns import TEXT, to_numpy
from corpuscurate.core.doc_ids import is_in_sorted
from corpuscurate.core.durable import read_json
from corpuscurate.core.errors import DamagedError, InputError
from corpuscurate.core.run_folder import DATA, DOCS, DROPPED, MANIFEST, REPORT, RUN, STATE, measure_folder, task_folder
from corpuscurate.core.tables import read_table
from corpuscurate.core.tombstones import Tombstones, read_tombstones
from corpuscurate.engine.ids import spelled_alike

STEPS = 1000
"""Longest chain of duplicates that is followed; a chain ends after a step a stage, so this is never reached."""
MOST = 100
"""Documents with one id that are told of."""


def explain(out: Path, name: str, *, by_doc_id: bool = False) -> dict[str, Any]:
    """What became of a document: {"fate": kept | dropped | forgotten, "chain": [...], "ends_at": {...}}.

    out: the output folder of a finished run. name: the user's id, or the doc_id where `by_doc_id`. chain: rows of
    dropped/, first the document's own; where it was dropped as a duplicate, the kept document's row follows if a later
    stage dropped that one too. "ends_at": the id and doc_id of the document that stands for it in data/, or None;
    with "corpus" where it is a document of an earlier run. The doc_id of a kept document is None where the run folder
    does not tell it. A forgotten document has its "date" alone; "ends_at" has "forgotten", a date, for one.

    Where several documents have the id, "same_id" is their number, and "others" has the same for the others (`MOST`
    documents at most, the first one included): dropped ones first, each kind by doc_id.
    Raises InputError when the folder holds no finished run or no such document.
    """
    report = _report(out)
    dropped = ds.dataset(out / DROPPED, format="parquet")
    gone = _find(dropped, name, by_doc_id).sort_by("doc_id")
    kept: Sequence[int | None] = []
    if not by_doc_id and (not gone.num_rows or _has_duplicate_ids(report)):
        kept = _kept(out, report, name, gone)
    forgotten = _forgotten(out)
    if not gone.num_rows and not kept:
        dates = forgotten.of(name, gone.schema.field("id").type, by_doc_id)
        if dates:
            told: dict[str, Any] = {"fate": "forgotten", "chain": [], "ends_at": None, "date": max(dates)}
            return {**told, "same_id": len(dates), "others": []}
        raise _unknown(out, report, name, by_doc_id)
    answers = [_followed(dropped, row, forgotten) for row in gone.slice(0, MOST).to_pylist()]
    user = _as_type(name, gone.schema.field("id").type)
    ends = ({"id": name if user is None else user.as_py(), "doc_id": each} for each in kept)
    answers += [{"fate": "kept", "chain": [], "ends_at": end} for end in islice(ends, MOST - len(answers))]
    return {**answers[0], "same_id": gone.num_rows + len(kept), "others": answers[1:]}


@dataclass(frozen=True)
class _Forgotten:
    """The tombstones of an output folder, if there are any. manifest: the fingerprint of its input."""

    tombstones: Tombstones | None
    manifest: str | None

    def of(self, name: str, kind: pa.DataType, by_doc_id: bool) -> list[str]:
        """When the documents with an id, or with a doc_id, were forgotten."""
        if self.tombstones is None:
            return []
        if by_doc_id:
            return [each.date for each in self.tombstones.with_doc_id(int(name), self.manifest)]
        user = _as_type(name, kind)
        return [] if user is None else [each.date for each in self.tombstones.with_id(str(user.as_py()))]

    def end(self, end: dict[str, Any]) -> dict[str, Any]:
        """The end of a chain, with `forgotten`, a date, where that document was forgotten."""
        dates = [] if "corpus" in end else self.of(str(end["doc_id"]), TEXT, by_doc_id=True)
        return {**end, "forgotten": max(dates)} if dates else end


def _forgotten(out: Path) -> _Forgotten:
    run = read_sealed(out / STATE / RUN)
    return _Forgotten(read_tombstones(out), None if run is None else run["manifest"])


def _followed(dropped: ds.Dataset, row: dict[str, Any], forgotten: _Forgotten) -> dict[str, Any]:
    """What became of a dropped document. row: its own of dropped/."""
    chain = [row]
    end: dict[str, Any] | None = None
    while len(chain) < STEPS and chain[-1]["duplicate_of_doc_id"] is not None:
        if chain[-1].get("duplicate_of_corpus") is not None:
            end = _end(chain[-1])
            break
        partner = pa.scalar(chain[-1]["duplicate_of_doc_id"], pa.uint64())
        following = dropped.to_table(filter=pc.field("doc_id") == partner).to_pylist()
        if not following:
            end = forgotten.end(_end(chain[-1]))
            break
        chain.append(following[0])
    return {"fate": "dropped", "chain": chain, "ends_at": end}


def _end(row: dict[str, Any]) -> dict[str, Any]:
    found = {"id": row["duplicate_of"], "doc_id": row["duplicate_of_doc_id"]}
    corpus = row.get("duplicate_of_corpus")
    return found if corpus is None else {**found, "corpus": corpus}


def _report(out: Path) -> dict[str, Any]:
    try:
        report: dict[str, Any] = read_json(out / REPORT)
    except (FileNotFoundError, NotADirectoryError, ValueError) as error:
        raise InputError(
            f"{out} holds no finished run: there is no report.json. Name a run's output folder."
        ) from error
    return report


def _has_duplicate_ids(report: dict[str, Any]) -> bool:
    """Whether several documents of the run may have one id; runs before 2026-11-28 did not count them."""
    return "duplicate_ids" not in report or report["duplicate_ids"]["documents"] > 0


def _find(dropped: ds.Dataset, name: str, by_doc_id: bool) -> pa.Table:
    if not by_doc_id:
        wanted = _as_type(name, dropped.schema.field("id").type)
        return dropped.schema.empty_table() if wanted is None else dropped.to_table(filter=pc.field("id") == wanted)
    if not name.isascii() or not name.isdigit() or int(name) >= 1 << 64:
        raise InputError(f"{name!r} is no doc_id: expected a number as in the column doc_id of dropped/.")
    return dropped.to_table(filter=pc.field("doc_id") == pa.scalar(int(name), pa.uint64()))


def _as_type(name: str, kind: pa.DataType) -> pa.Scalar | None:
    """An id as a value of the type of its column; None where it is none of that type."""
    try:
        return pa.scalar(name).cast(kind)
    except pa.ArrowInvalid:
        return None


_SEARCHED = ("parquet", "arrow")
"""Formats of data/ that pyarrow can search for a document."""


def _unknown(out: Path, report: dict[str, Any], name: str, by_doc_id: bool) -> InputError:
    """The error for a document that was not found."""
    column = report["recipe"]["input"]["id"]
    if by_doc_id or column is None or not _can_tell_kept(out, report):
        hint = "" if by_doc_id or column else " The recipe names no id column (`input: id:`): use --doc-id."
        return InputError(
            f"no document {name!r} in {out / DROPPED}: it was kept, or it is no document of this run.{hint}"
        )
    return InputError(f"no document with {column} = {name!r} in {out}: neither in dropped/ nor in data/.")


def _can_tell_kept(out: Path, report: dict[str, Any]) -> bool:
    return report["recipe"]["output"]["format"] in _SEARCHED or _docs(out) is not None


def _kept(out: Path, report: dict[str, Any], name: str, gone: pa.Table) -> Sequence[int | None]:
    """The doc_ids of the kept documents with an id, ascending; None for each where only data/ can be searched. gone:
    rows of the dropped ones."""
    sink, column = report["recipe"]["output"]["format"], report["recipe"]["input"]["id"]
    if column is None:
        return []
    docs = _docs(out)
    if docs is None:
        return [None] * _rows_in_data(out, sink, column, name) if sink in _SEARCHED else []
    kind = gone.schema.field("id").type
    user = _as_type(name, kind)
    if user is None:
        return []
    wanted, found = user.cast(TEXT), [np.empty(0, np.uint64)]
    for file in docs:
        for batch in read_table(file).select(["doc_id", "id"]).to_batches():
            same = pc.fill_null(pc.equal(spelled_alike(batch.column("id"), kind), wanted), False)
            found.append(to_numpy(batch.column("doc_id").filter(same)))
    ids = np.concatenate(found)
    kept: list[int | None] = ids[~is_in_sorted(ids, to_numpy(gone.column("doc_id")))].tolist()
    return kept


def _docs(out: Path) -> list[Artefact] | None:
    """The docs artefacts of the first pass; None where the run folder has them no more (`retain: none`)."""
    manifest = read_sealed(out / STATE / MANIFEST)
    splits = range(0 if manifest is None else len(manifest["splits"]))
    folder = out / STATE / measure_folder(0)
    try:
        return [Artefacts(str(folder / task_folder(split)))[DOCS] for split in splits] or None
    except DamagedError:
        return None


def _rows_in_data(out: Path, sink: str, column: str, name: str) -> int:
    """How many rows of data/ have an id, as dropped/ spells it."""
    from corpuscurate.io.columnar import id_text  # brings the kernels, which nothing else here needs
    from corpuscurate.io.json_columns import is_json_text

    data = ds.dataset(out / DATA, format=sink)
    if column not in data.schema.names:
        return 0
    field = data.schema.field(column)
    spelled = [name]
    if is_json_text(field):  # as runs before 2026-11-27 wrote ids of several kinds; there are more ways to escape
        spelled += [json.dumps(name), json.dumps(name, ensure_ascii=False)]
    wanted = pa.array(spelled, TEXT)
    if field.type in (pa.string(), TEXT):
        return int(data.count_rows(filter=pc.field(column).isin(wanted.cast(field.type))))
    batches = data.to_batches(columns=[column])
    return sum(pc.sum(pc.is_in(id_text(batch.column(column)), wanted)).as_py() or 0 for batch in batches)
