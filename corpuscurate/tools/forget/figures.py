"""The report of a run without the documents that were forgotten: counts that balance, and no id of theirs."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from corpuscurate.engine.passes.duplicate_ids import duplicate_id_warnings
from corpuscurate.tools.forget.targets import DROPPED, KEPT, NAMED, QUARANTINED, Target

BLANK = "(forgotten)"
LEAST_CHARACTERS = 4
"""Shorter ids, and numbers, are not looked for within sentences: they would be found everywhere."""


def without(
    report: Mapping[str, Any], targets: Sequence[Target], rows: int, text_bytes: int, holders: Mapping[str, list[int]]
) -> dict[str, Any]:
    """The report after forgetting. rows, text_bytes: what left data/. holders: doc_ids by id, the forgotten included.

    Bytes and measures of stages stay: they say what the run measured. Counts of documents do not include the forgotten.
    """
    was = Counter(target.was for target in targets)
    documents, counts = report["documents"], dict(report["documents"])
    for fate in (KEPT, DROPPED, QUARANTINED):
        counts[fate] -= was[fate]
    counts["forgotten"] = documents.get("forgotten", 0) + sum(was.values()) - was[NAMED]
    extra = report["rows"]["extra_copies"] - (rows - was[KEPT])
    ids = [target.id for target in targets if target.id is not None]
    made: dict[str, Any] = {
        **report,
        "documents": counts,
        "rows": {"written": report["rows"]["written"] - rows, "extra_copies": extra},
        "bytes": {**report["bytes"], "text_out": report["bytes"]["text_out"] - text_bytes},
        "quarantined_by_reason": _less(
            report["quarantined_by_reason"], [t.row["reason"] for t in _of(targets, QUARANTINED)]
        ),
        "stages": _stages(report["stages"], targets),
        "duplicate_ids": _duplicate_ids(report["duplicate_ids"], targets, holders),
    }
    nameless = [t for t in targets if t.was in (KEPT, DROPPED) and t.id is None]
    if report["recipe"]["input"]["id"] is not None:
        made["documents_without_id"] -= len(nameless)
    made["warnings"] = _warnings(made, documents)
    return {
        key: _scrubbed(value, ids) if key in ("warnings", "stages", "incomplete_files") else value
        for key, value in made.items()
    }


def _of(targets: Sequence[Target], was: str) -> list[Target]:
    return [target for target in targets if target.was == was]


def _less(counts: Mapping[str, int], reasons: Iterable[str]) -> dict[str, int]:
    left = dict(counts)
    for reason in reasons:
        left[reason] -= 1
    return {reason: number for reason, number in left.items() if number}


def _stages(stages: Sequence[Mapping[str, Any]], targets: Sequence[Target]) -> list[dict[str, Any]]:
    """A kept document went through all stages, a dropped one through those before the stage that dropped it."""
    labels = [row["label"] for row in stages]
    through, out = [0] * len(stages), [0] * len(stages)
    reasons: dict[int, list[str]] = {}
    for target in targets:
        if target.was not in (KEPT, DROPPED):
            continue
        last = labels.index(target.row["stage"]) if target.was == DROPPED else len(stages)
        for at in range(len(stages)):
            through[at] += at <= last
            out[at] += at < last
        if target.was == DROPPED:
            reasons.setdefault(last, []).append(target.row["reason"])
    return [
        {
            **row,
            "documents_in": row["documents_in"] - through[at],
            "documents_out": row["documents_out"] - out[at],
            "dropped": row["dropped"] - len(reasons.get(at, [])),
            "reasons": _less(row["reasons"], reasons.get(at, [])),
        }
        for at, row in enumerate(stages)
    ]


def _duplicate_ids(
    found: Mapping[str, Any], targets: Sequence[Target], holders: Mapping[str, list[int]]
) -> dict[str, Any]:
    """The documents with the id of an earlier one, of those that are left."""
    gone = {target.doc_id for target in targets}
    number, first = found["documents"], list(found["first"])
    for id, known in holders.items():
        left = [doc_id for doc_id in known if doc_id not in gone]
        number -= max(0, len(known) - 1) - max(0, len(left) - 1)
        first = [each for each in first if str(each["id"]) != id or each["doc_id"] in left[1:]]
    if not holders:
        first = [each for each in first if each["doc_id"] not in gone]
    return {"documents": max(0, number), "first": first}


def _warnings(report: Mapping[str, Any], before: Mapping[str, int]) -> list[str]:
    """The warnings, that about duplicate ids anew."""
    kept, about = [], " documents have the id of an earlier document in the column "
    for text in report["warnings"]:
        if about in text:
            documents = before["input"] - before["quarantined"] - before.get("forgotten", 0)
            column = report["recipe"]["input"]["id"]
            kept += duplicate_id_warnings(report["duplicate_ids"], documents, column)
        else:
            kept.append(text)
    return kept


def _scrubbed(value: Any, ids: Sequence[str]) -> Any:
    """A value of the report with BLANK for every id that stands in one of its sentences."""
    told = [id for id in ids if len(id) >= LEAST_CHARACTERS and not id.isdigit()]
    if not told:
        return value
    pattern = re.compile("|".join(rf"(?<!\w){re.escape(id)}(?!\w)" for id in sorted(told, key=len, reverse=True)))
    return _replaced(value, pattern)


def _replaced(value: Any, pattern: re.Pattern[str]) -> Any:
    if isinstance(value, str):
        return pattern.sub(BLANK, value)
    if isinstance(value, Mapping):
        return {key: _replaced(each, pattern) for key, each in value.items()}
    return [_replaced(each, pattern) for each in value] if isinstance(value, list) else value
