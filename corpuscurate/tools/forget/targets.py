"""Which documents are meant: those with an id, or the one with a doc_id; and the copies that speak of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds

from corpuscurate.core.columns import TEXT, to_numpy
from corpuscurate.core.doc_ids import POSITION_BITS
from corpuscurate.core.errors import InputError
from corpuscurate.core.run_folder import EDITS, QUARANTINE
from corpuscurate.core.tables import read_table
from corpuscurate.engine.ids import spelled_alike
from corpuscurate.tools.forget.finished import FinishedRun

KEPT, DROPPED, QUARANTINED, NAMED = "kept", "dropped", "quarantined", "named"
"""What a target was. NAMED: no document of the run; its ledger names it as a document of an earlier run."""


@dataclass(frozen=True, slots=True)
class Target:
    """A document to forget. doc_id: None where the run folder does not tell it. split: the number of its split, None
    where its files are gone. by_id: its rows of data/ are all that have the id. row: its row of dropped/."""

    name: str
    doc_id: int | None
    id: str | None
    was: str
    split: int | None = None
    by_id: bool = False
    row: dict[str, Any] = field(default_factory=dict)


def find_targets(run: FinishedRun, names: Sequence[str], by_doc_id: bool) -> list[Target]:
    """The documents of `names` that the ledger knows. Without docs artefacts, kept documents are not among them."""
    if by_doc_id:
        wanted = {_number(name): name for name in names}
        return [*_by_number(run, wanted), *_quarantined(run, wanted)]
    if run.id_column is None:
        raise InputError("the recipe names no id column (`input: id:`), so documents have no ids: use --doc-id.")
    spelled = {text: name for name in names if (text := run.spelled(name)) is not None}
    return _by_id(run, spelled)


def named_elsewhere(run: FinishedRun, name: str) -> list[Target]:
    """A target for an id that only rows of dropped/ and edits/ name, as that of an earlier run's document."""
    id = run.spelled(name)
    target = Target(name, None, id, NAMED, by_id=True)
    return [target] if id is not None and _speaking(run, [target]) else []


def _number(name: str) -> int:
    if not name.isascii() or not name.isdigit() or int(name) >= 1 << 64:
        raise InputError(f"{name!r} is no doc_id: expected a number as in the column doc_id of dropped/.")
    return int(name)


def _by_id(run: FinishedRun, spelled: dict[str, str]) -> list[Target]:
    wanted = pa.array(list(spelled), TEXT)
    rows = run.dropped.to_table(filter=pc.field("id").isin(wanted.cast(run.id_type)))
    gone = {row["doc_id"]: row for row in rows.to_pylist()}
    found = [
        Target(spelled[str(row["id"])], doc_id, str(row["id"]), DROPPED, None, True, row)
        for doc_id, row in gone.items()
    ]
    if run.docs is None:
        return found
    found = []
    for split, file in enumerate(run.docs):
        table = read_table(file).select(["doc_id", "id"])
        ids = spelled_alike(table.column("id"), run.id_type)
        for row in np.flatnonzero(pc.is_in(ids, value_set=wanted).to_numpy(zero_copy_only=False)).tolist():
            doc_id, id = table.column("doc_id")[row].as_py(), ids[row].as_py()
            was = DROPPED if doc_id in gone else KEPT
            found.append(Target(spelled[id], doc_id, id, was, split, True, gone.get(doc_id, {})))
    return found


def _by_number(run: FinishedRun, wanted: dict[int, str]) -> list[Target]:
    numbers = pa.array(sorted(wanted), pa.uint64())
    rows = run.dropped.to_table(filter=pc.field("doc_id").isin(numbers))
    gone = {row["doc_id"]: row for row in rows.to_pylist()}
    if run.docs is None:
        return [Target(wanted[n], n, _text(row["id"]), DROPPED, row=row) for n, row in gone.items()]
    found = []
    for split, file in enumerate(run.docs):
        table = read_table(file).select(["doc_id", "id"])
        for row in np.flatnonzero(np.isin(to_numpy(table.column("doc_id")), numbers.to_numpy())).tolist():
            doc_id = table.column("doc_id")[row].as_py()
            id = spelled_alike(table.column("id").slice(row, 1), run.id_type)[0].as_py()
            was = DROPPED if doc_id in gone else KEPT
            by_id = was == KEPT and not run.in_input_order
            if by_id and (id is None or _documents_with(run, id) > 1):
                raise InputError(
                    f"doc_id {doc_id}: a stage ordered, dealt or copied the documents, so this one is found in data/ by"
                    f" its id alone, and {'it has none' if id is None else 'other documents have the same'}."
                    + (f" Forget all of them: corpuscurate forget {run.out} {id}" if id is not None else "")
                )
            found.append(Target(wanted[doc_id], doc_id, id, was, split, by_id, gone.get(doc_id, {})))
    return found


def _documents_with(run: FinishedRun, id: str) -> int:
    found = 0
    for file in run.docs or ():
        same = pc.equal(spelled_alike(read_table(file).column("id"), run.id_type), pa.scalar(id, TEXT))
        found += pc.sum(pc.fill_null(same, False)).as_py() or 0
    return found


def documents_with(run: FinishedRun, ids: Iterable[str]) -> dict[str, list[int]]:
    """The doc_ids that have each id, ascending; empty where the docs artefacts are gone."""
    wanted = pa.array(sorted(set(ids)), TEXT)
    found: dict[str, list[int]] = {id: [] for id in ids}
    for file in run.docs or ():
        table = read_table(file).select(["doc_id", "id"])
        spelled = spelled_alike(table.column("id"), run.id_type)
        for row in np.flatnonzero(pc.is_in(spelled, value_set=wanted).to_numpy(zero_copy_only=False)).tolist():
            found[spelled[row].as_py()].append(table.column("doc_id")[row].as_py())
    return found


def _text(id: Any) -> str | None:
    return None if id is None else str(id)


def _quarantined(run: FinishedRun, wanted: dict[int, str]) -> list[Target]:
    """Bad records by their number; the rest of a file that could not be read is none."""
    found = []
    for row in bad_records(run):
        doc_id = row["doc_id"]
        if doc_id in wanted and not row["whole_file"]:
            found.append(Target(wanted[doc_id], doc_id, None, QUARANTINED, run.split_with_bad(doc_id), False, row))
    return found


def bad_records(run: FinishedRun) -> list[dict[str, Any]]:
    """The rows of quarantine/, each with its doc_id."""
    parts = run.parts(QUARANTINE)
    rows = ds.dataset(parts, format="parquet").to_table().to_pylist() if parts else []
    numbers = {name: number for number, name in enumerate(run.files)}
    return [{**row, "doc_id": numbers.get(row["file"], 1 << 24) << POSITION_BITS | row["position"]} for row in rows]


def copies_of(run: FinishedRun, targets: Sequence[Target]) -> list[dict[str, Any]]:
    """Documents that share content with the targets by the ledger, themselves no targets: {id, doc_id, corpus, fate,
    stage, reason, similarity, of}. fate: "dropped" for what was dropped as their duplicate or cut for their sake,
    "stands" for what they were dropped as a duplicate of."""
    own = {target.doc_id for target in targets}
    found: dict[tuple[Any, Any, str], dict[str, Any]] = {}
    for row in _speaking(run, targets):
        if row["doc_id"] not in own:
            found.setdefault((row["doc_id"], None, "dropped"), row)
    for target in targets:
        for name in ("duplicate_of", "matched"):
            doc_id, corpus = target.row.get(f"{name}_doc_id"), target.row.get(f"{name}_corpus")
            if doc_id is None or (corpus is None and doc_id in own):
                continue
            row = {key: target.row[key] for key in ("stage", "reason", "similarity")}
            told = {"id": target.row[name], "doc_id": doc_id, "corpus": corpus, "fate": "stands", "of": target.name}
            found.setdefault((doc_id, corpus, "stands"), {**told, **row})
    return list(found.values())


def _speaking(run: FinishedRun, targets: Sequence[Target]) -> list[dict[str, Any]]:
    """Rows of dropped/ and edits/ that name a target as their partner."""
    rows = []
    for table, names in ((run.dropped, ("duplicate_of", "matched")), (_edits(run), ("partner",))):
        if table is None:
            continue
        for name in names:
            kind = table.schema.field(name).type
            for row in table.to_table(filter=_names_one(name, kind, targets)).to_pylist():
                partner, number = _text(row[name]), row[f"{name}_doc_id"]
                of = next(t.name for t in targets if number == t.doc_id or (partner is not None and partner == t.id))
                told = {key: row.get(key) for key in ("id", "doc_id", "stage", "reason", "similarity")}
                rows.append({**told, "corpus": None, "fate": "dropped", "of": of})
    return rows


def _edits(run: FinishedRun) -> ds.Dataset | None:
    parts = run.parts(EDITS)
    return ds.dataset(parts, format="parquet") if parts else None


def partner_is_one(table: pa.Table, name: str, targets: Sequence[Target]) -> Any:
    """bool[n]: which rows name one of the targets in a column of partners."""
    marked = table.append_column("__row", pa.array(np.arange(table.num_rows)))
    rows = marked.filter(_names_one(name, table.schema.field(name).type, targets)).column("__row")
    named = np.zeros(table.num_rows, np.bool_)
    named[rows.to_numpy()] = True
    return named


def _names_one(name: str, kind: pa.DataType, targets: Sequence[Target]) -> pc.Expression:
    """Whether a row names one of the targets in a column of partners."""
    numbers = pa.array(sorted({t.doc_id for t in targets if t.doc_id is not None}), pa.uint64())
    ids = pa.array(sorted({t.id for t in targets if t.id is not None and (t.by_id or t.doc_id is None)}), TEXT)
    own = pc.field(f"{name}_doc_id").isin(numbers)
    if name != "partner":
        own = own & pc.field(f"{name}_corpus").is_null()
    return own | pc.field(name).isin(ids.cast(kind))
