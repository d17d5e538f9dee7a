"""Forgets documents: takes them out of everything in an output folder, and leaves tombstones."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa

from corpuscurate.core.artefact import read_sealed, remove_abandoned, write_sealed
from corpuscurate.core.digests import digest_file
from corpuscurate.core.doc_ids import POSITION_BITS
from corpuscurate.core.durable import write_json
from corpuscurate.core.errors import InputError
from corpuscurate.core.run_folder import FORGOTTEN, PUBLISHED, REPORT, STATE, TEMPORARY
from corpuscurate.core.tombstones import (
    Tombstone,
    Tombstones,
    file_value,
    no_tombstones,
    read_tombstones,
    write_tombstones,
)
from corpuscurate.engine.ledger.amend import Amendment, finish
from corpuscurate.engine.session import locked
from corpuscurate.io.base import output_format
from corpuscurate.tools.forget import figures
from corpuscurate.tools.forget.data_rows import DataRows, find_rows
from corpuscurate.tools.forget.finished import FinishedRun, open_finished
from corpuscurate.tools.forget.ledger_rows import Ledger
from corpuscurate.tools.forget.pages import pages_in
from corpuscurate.tools.forget.run_folder import amend_index, amend_run_folder
from corpuscurate.tools.forget.sources import source_texts
from corpuscurate.tools.forget.targets import (
    Target,
    bad_records,
    copies_of,
    documents_with,
    find_targets,
    named_elsewhere,
)


@dataclass(frozen=True)
class _Plan:
    """What is to be done. already: names that were forgotten before, and when."""

    run: FinishedRun
    known: Tombstones | None
    targets: list[Target]
    rows: DataRows
    ledger: Ledger
    already: dict[str, str]
    unknown: list[str]


def forget(
    out: Path,
    names: Sequence[str],
    *,
    by_doc_id: bool = False,
    skip_unknown: bool = False,
    dry_run: bool = False,
    base: Path | None = None,
) -> dict[str, Any]:
    """Forget documents of a finished run; what was done, JSON-able.

    names: ids, each of which may belong to several documents, or doc_ids. A change that was interrupted is finished
    first. skip_unknown: go on where no document has a name. base: the folder that the recipe's relative paths start
    from; the current one, then the parent of `out`, where None.

    Returns forgotten: [{name, id, doc_id, was, file, position}]; already: {name: date}; unknown: names; copies: see
    `targets.copies_of`; in_quarantine: doc_ids of bad records that hold a name; changed, removed: files, relative to
    `out`; finished: whether an earlier change was finished. Raises InputError for a name that no document has, and
    OutputError where the run is not finished or a part is damaged. Nothing is changed then.
    """
    out = Path(out)
    if not (out / STATE).is_dir():
        open_finished(out)  # says that there is no run
        (out / STATE).mkdir()
    with locked(out / STATE):
        finished = finish(out)
        _remove_leftovers(out / STATE)
        plan = _plan(out, list(dict.fromkeys(names)), by_doc_id)
        if plan.unknown and not skip_unknown:
            raise InputError(
                f"no document of {out} has {'the doc_id' if by_doc_id else 'the id'} {', '.join(plan.unknown[:5])}"
                f"{f' and {len(plan.unknown) - 5:,} more' if len(plan.unknown) > 5 else ''}; nothing was changed. "
                "Leave it out, or give --skip-unknown."
            )
        bases = [base] if base is not None else [Path.cwd(), out.absolute().parent]
        texts = source_texts(plan.run, plan.targets, bases)
        told = _told(plan, texts, by_doc_id)
        amendment = Amendment(out)
        try:
            if plan.targets:
                _prepare(plan, texts, amendment)
            told |= {"changed": sorted(amendment.replaced), "removed": sorted(amendment.removed), "finished": finished}
            if plan.targets and not dry_run:
                amendment.commit()
        finally:
            if not amendment.committed:
                amendment.discard()
                remove_abandoned(out / STATE)
    return told


def _remove_leftovers(state: Path) -> None:
    """Delete what a process that was killed left: nothing names it."""
    for path in state.rglob(TEMPORARY):
        path.unlink(missing_ok=True)
    remove_abandoned(state)


def _plan(out: Path, names: Sequence[str], by_doc_id: bool) -> _Plan:
    run, known = open_finished(out), read_tombstones(out)
    targets = find_targets(run, names, by_doc_id) if names else []
    ids: list[tuple[str, str]] = []
    if run.docs is None and not by_doc_id and names:
        ids = [(name, id) for name in names if (id := run.spelled(name)) is not None]
    rows = find_rows(run, targets, ids)
    here = {(target.name, target.doc_id) for target in targets}
    targets += [target for target, _ in rows.found if (target.name, target.doc_id) not in here]
    found = {target.name for target in targets}
    already, unknown = {}, []
    for name in names:
        if name in found:
            continue
        elsewhere = [] if by_doc_id else named_elsewhere(run, name)
        targets += elsewhere
        date = _date(run, known, name, by_doc_id)
        if date is not None and not elsewhere:
            already[name] = date
        elif not elsewhere:
            unknown.append(name)
    return _Plan(run, known, targets, rows, Ledger(run, targets), already, unknown)


def _date(run: FinishedRun, known: Tombstones | None, name: str, by_doc_id: bool) -> str | None:
    """When a document was forgotten; None where none was."""
    if known is None:
        return None
    id = name if by_doc_id else run.spelled(name)
    found = known.with_doc_id(int(name), run.input_identity) if by_doc_id else known.with_id(id or name)
    return max((each.date for each in found), default=None)


def _prepare(plan: _Plan, texts: dict[int, str], amendment: Amendment) -> None:
    """Write all new files."""
    run, targets, rows = plan.run, plan.targets, plan.rows
    tombstones = _tombstones(plan, texts)
    write_tombstones(amendment.replacing(run.out / FORGOTTEN), tombstones)
    rewrite = output_format(run.format).without
    for part, positions in rows.positions.items():
        if rewrite is not None:
            rewrite(part, amendment.replacing(part), run.format, positions, run.text_column)
    for part in plan.ledger.touched():
        plan.ledger.rewrite(part, amendment.replacing(part))
    amend_run_folder(run, targets, amendment)
    gone = {part.relative_to(run.out).as_posix(): len(positions) for part, positions in rows.positions.items()}
    amend_index(run, gone, tombstones.identity, amendment)
    for page in pages_in(run.out):
        amendment.remove(page)
    _amend_report(plan, amendment)


def _amend_report(plan: _Plan, amendment: Amendment) -> None:
    run = plan.run
    size = sum(len(text.encode()) for _, texts in plan.rows.found for text in texts[:1])
    asked = [target.id for target in plan.targets if target.id is not None]
    report = figures.without(run.report, plan.targets, plan.rows.rows, size, documents_with(run, asked))
    times = dict((read_sealed(run.state / PUBLISHED) or {}).get("times", {}))
    for file in report["outputs"]:
        staged = amendment.staged(run.out / str(file["name"]))
        if staged is not None:
            file |= {"bytes": staged.stat().st_size, "xxh3_64": digest_file(staged)}
            times[file["name"]] = staged.stat().st_mtime_ns
    card = (read_sealed(run.state / PUBLISHED) or {}).get("card")
    write_sealed(amendment.replacing(run.state / PUBLISHED), {"times": times, "card": card})
    write_json(amendment.replacing(run.out / REPORT), report)


def _tombstones(plan: _Plan, texts: dict[int, str]) -> Tombstones:
    """Those so far and those of the targets."""
    run, known = plan.run, plan.known or no_tombstones()
    written = {(target.name, target.doc_id): found for target, found in plan.rows.found}
    date = datetime.now(UTC).date().isoformat()
    made = []
    for target in plan.targets:
        seen = [*written.get((target.name, target.doc_id), []), *_of(texts, target.doc_id)]
        place = None if target.doc_id is None else run.place(target.doc_id)
        made.append(
            Tombstone(
                target.doc_id,
                None if place is None else file_value(known.key, place[0], _state(run, target.doc_id)),
                None if target.id is None or not target.by_id else known.digest(target.id.encode()),
                tuple((len(data), known.digest(data)) for data in dict.fromkeys(map(str.encode, seen)) if data.strip()),
                target.was,
                date,
            )
        )
    integers = pa.types.is_integer(run.id_type)
    return known.added(made, integers=integers, manifest=run.input_identity)


def _state(run: FinishedRun, doc_id: int | None) -> dict[str, Any]:
    state: dict[str, Any] = run.manifest["states"][(doc_id or 0) >> POSITION_BITS]
    return state


def _of(texts: dict[int, str], doc_id: int | None) -> list[str]:
    return [] if doc_id is None or doc_id not in texts else [texts[doc_id]]


def _told(plan: _Plan, texts: dict[int, str], by_doc_id: bool) -> dict[str, Any]:
    run = plan.run
    return {
        "forgotten": [_target(run, target, texts) for target in plan.targets],
        "already": plan.already,
        "unknown": plan.unknown,
        "copies": copies_of(run, plan.targets),
        "in_quarantine": [] if by_doc_id else _in_quarantine(run, plan.targets),
        "rows": plan.rows.rows,
    }


def _target(run: FinishedRun, target: Target, texts: dict[int, str]) -> dict[str, Any]:
    place = None if target.doc_id is None else run.place(target.doc_id)
    return {
        "name": target.name,
        "id": target.id,
        "doc_id": target.doc_id,
        "was": target.was,
        "file": None if place is None else place[0],
        "position": None if place is None else place[1],
        "in_input": target.doc_id in texts,
    }


def _in_quarantine(run: FinishedRun, targets: Iterable[Target]) -> list[int]:
    """Bad records whose beginning holds one of the ids: they may be of the same person."""
    ids = [t.id.encode() for t in targets if t.id is not None and len(t.id) >= figures.LEAST_CHARACTERS]
    rows = bad_records(run) if ids else []
    return [row["doc_id"] for row in rows if any(id in row["head"] for id in ids)]
