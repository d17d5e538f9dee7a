"""Why was this document removed? The answer from a finished run's own ledger."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds

from corpuscurate.core.durable import read_json
from corpuscurate.core.errors import InputError
from corpuscurate.core.run_folder import DATA, DROPPED, REPORT

STEPS = 1000
"""Longest chain of duplicates that is followed; a chain ends after a step a stage, so this is never reached."""


def explain(out: Path, name: str, *, by_doc_id: bool = False) -> dict[str, Any]:
    """What became of a document: {"fate": kept | dropped, "chain": [...]}.

    out: the output folder of a finished run. name: the user's id, or the doc_id where `by_doc_id`. chain: rows of
    dropped/, first the document's own; where it was dropped as a duplicate, the kept document's row follows if a later
    stage dropped that one too. "ends_at": the id and doc_id of the document that stands for it in data/, or None;
    with "corpus" where it is a document of an earlier run.
    Raises InputError when the folder holds no finished run or no such document.
    """
    report = _report(out)
    dropped = ds.dataset(out / DROPPED, format="parquet")
    rows = _find(dropped, name, by_doc_id)
    if not rows:
        _must_be_kept(out, report, name, by_doc_id)
        return {"fate": "kept", "chain": [], "ends_at": {"id": None if by_doc_id else name, "doc_id": None}}
    chain = [rows[0]]
    end: dict[str, Any] | None = None
    while len(chain) < STEPS and chain[-1]["duplicate_of_doc_id"] is not None:
        if chain[-1].get("duplicate_of_corpus") is not None:
            end = _end(chain[-1])
            break
        following = _rows(dropped, pc.field("doc_id") == pa.scalar(chain[-1]["duplicate_of_doc_id"], pa.uint64()))
        if not following:
            end = _end(chain[-1])
            break
        chain.append(following[0])
    return {"fate": "dropped", "chain": chain, "ends_at": end, "same_id": len(rows)}


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


def _find(dropped: ds.Dataset, name: str, by_doc_id: bool) -> list[dict[str, Any]]:
    if not by_doc_id:
        wanted = _as_type(name, dropped.schema.field("id").type)
        return [] if wanted is None else _rows(dropped, pc.field("id") == wanted)
    if not name.isascii() or not name.isdigit() or int(name) >= 1 << 64:
        raise InputError(f"{name!r} is no doc_id: expected a number as in the column doc_id of dropped/.")
    return _rows(dropped, pc.field("doc_id") == pa.scalar(int(name), pa.uint64()))


def _as_type(name: str, kind: pa.DataType) -> pa.Scalar | None:
    """An id as a value of the type of its column; None where it is none of that type."""
    try:
        return pa.scalar(name).cast(kind)
    except pa.ArrowInvalid:
        return None


def _rows(dropped: ds.Dataset, condition: pc.Expression) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = dropped.to_table(filter=condition).to_pylist()  # one document, or a few of one id
    return found


_SEARCHED = ("parquet", "arrow")
"""Formats of data/ that pyarrow can search for a document."""


def _must_be_kept(out: Path, report: dict[str, Any], name: str, by_doc_id: bool) -> None:
    """Raise InputError unless the document is in data/, as far as that can be seen there."""
    from corpuscurate.io.json_columns import is_json_text  # brings the kernels, which nothing else here needs

    sink, column = report["recipe"]["output"]["format"], report["recipe"]["input"]["id"]
    if by_doc_id or column is None or sink not in _SEARCHED:
        hint = "" if by_doc_id or column else " The recipe names no id column (`input: id:`): use --doc-id."
        raise InputError(
            f"no document {name!r} in {out / DROPPED}: it was kept, or it is no document of this run.{hint}"
        )
    data = ds.dataset(out / DATA, format=sink)
    field = data.schema.field(column)
    spelled = [name]
    if is_json_text(field):  # ids of several kinds stand there as JSON; a string may be escaped in other ways as well
        spelled += [json.dumps(name), json.dumps(name, ensure_ascii=False)]
    if not _holds(data, column, spelled):
        raise InputError(f"no document with {column} = {name!r} in {out}: neither in dropped/ nor in data/.")


def _holds(data: ds.Dataset, column: str, spelled: list[str]) -> bool:
    """Whether a document of data/ has an id of such a spelling, as dropped/ spells it."""
    from corpuscurate.io.columnar import id_text

    wanted = pa.array(spelled, pa.large_string())
    kind = data.schema.field(column).type
    if kind in (pa.string(), pa.large_string()):
        return bool(data.count_rows(filter=pc.field(column).isin(wanted.cast(kind))))
    for batch in data.to_batches(columns=[column]):
        if pc.any(pc.is_in(id_text(batch.column(column)), wanted)).as_py():
            return True
    return False
