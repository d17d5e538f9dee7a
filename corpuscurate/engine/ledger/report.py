"""The report: input, the stats of each stage, output, and the balance that shows that nothing was lost."""

from __future__ import annotations

import platform
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

import psutil

from corpuscurate.core.errors import BalanceError
from corpuscurate.core.histogram import histogram, merge_bins
from corpuscurate.core.spec import Spec, spec_value
from corpuscurate.core.stage import GlobalStage, Stage
from corpuscurate.engine.failed_rules import add_counts, failed_row
from corpuscurate.engine.fingerprints import versions
from corpuscurate.engine.manifest import Manifest
from corpuscurate.engine.plan import Counted


@dataclass(frozen=True)
class Facts:
    """What the report is made from.

    measured: results of tasks by pass and split; settled: stats by label; written: results of the writing tasks; parts:
    [name, rows] of each file of data/; outputs: files with bytes and digests; incomplete: files not read to their end,
    see `engine.damage`; duplicate_ids: see `find_duplicate_ids`; seconds: wall time by step; started: epoch seconds.
    """

    spec: Spec
    manifest: Manifest
    identity: str
    measured: Sequence[Sequence[Mapping[str, Any]]]
    settled: Mapping[str, Mapping[str, Any]]
    counts: Sequence[Counted]
    written: Sequence[Mapping[str, Any]]
    parts: Sequence[Sequence[Any]]
    outputs: Sequence[Mapping[str, Any]]
    conflicts: Mapping[str, str]
    duplicate_ids: Mapping[str, Any]
    incomplete: Sequence[Mapping[str, Any]]
    warnings: Sequence[str]
    seconds: Mapping[str, float]
    started: float
    peak_memory_bytes: int


def build_report(facts: Facts) -> dict[str, Any]:
    """The report. Raises BalanceError, see `check_balance`."""
    first = facts.measured[0]
    by_readers = sum(sum(each["quarantined"].values()) for each in first)
    quarantined = _sum_counts(each["quarantined"] for measured in facts.measured for each in measured)
    totals = {
        "input": sum(each["documents"] for each in first) + by_readers,
        "kept": sum(each["kept"] for each in facts.written),
        "dropped": sum(each["dropped"] for each in facts.written),
        "quarantined": sum(each["quarantined"] for each in facts.written),
    }
    forgotten = sum(each.get("forgotten", 0) for each in first)  # runs before 2026-11-28 did not count them
    if forgotten:
        totals |= {"input": totals["input"] + forgotten, "forgotten": forgotten}
    rows = {
        "written": sum(count for _, count in facts.parts),
        "extra_copies": sum(count.write.extra_copies for count in facts.counts),
    }
    stages = [_stage_row(facts, index, stage) for index, stage in enumerate(facts.spec.stages)]
    check_balance(totals, rows, quarantined, stages)
    text_bytes = sum(each["text_bytes"] for each in first)
    wall = time.time() - facts.started
    return {
        "corpuscurate": versions()["corpuscurate"],
        "fingerprint": facts.identity,
        "documents": totals,
        "rows": rows,
        "bytes": {
            "files": len(facts.manifest.files),
            "stored": sum(file.size for file in facts.manifest.files),
            "records": sum(each["record_bytes"] for each in first),
            "text_in": text_bytes,
            "text_out": sum(each["text_bytes"] for each in facts.written),
        },
        "quarantined_by_reason": quarantined,
        "documents_without_id": sum(each["null_ids"] for each in first),
        "duplicate_ids": dict(facts.duplicate_ids),
        "incomplete_files": [dict(each) for each in facts.incomplete],
        "stages": stages,
        "columns_kept_as_json_text": dict(facts.conflicts),
        "warnings": list(facts.warnings),
        "seconds": {"total": round(wall, 3), **{title: round(value, 3) for title, value in facts.seconds.items()}},
        "first_batch_seconds": _first_batch(first, facts.started),
        "mb_per_second": round(text_bytes / 1e6 / wall, 2) if wall > 0 else None,
        "peak_memory_bytes": facts.peak_memory_bytes,
        "versions": {**versions(), "python": platform.python_version(), "numba": version("numba")},
        "recipe": spec_value(facts.spec),
        "outputs": list(facts.outputs),
    }


def _first_batch(first: Sequence[Mapping[str, Any]], started: float) -> dict[str, float]:
    """Seconds until the first batch was read, from the start of the process and of the run; empty on a resume."""
    times = [each["first_batch_at"] for each in first if each["first_batch_at"] is not None]
    if not times or min(times) < started:
        return {}
    begun = psutil.Process().create_time()
    return {"from_process_start": round(min(times) - begun, 3), "from_run_start": round(min(times) - started, 3)}


def _sum_counts(counts: Any) -> dict[str, int]:
    total: dict[str, int] = {}
    for each in counts:
        for reason, number in each.items():
            total[reason] = total.get(reason, 0) + number
    return dict(sorted(total.items()))


def check_balance(
    totals: Mapping[str, int],
    rows: Mapping[str, int],
    quarantined: Mapping[str, int],
    stages: Sequence[Mapping[str, Any]],
) -> None:
    """Compare the counts of measuring passes, settle steps and writing pass. Raises BalanceError."""
    by_stage = sum(row["dropped"] for row in stages)
    problems = []
    if totals["input"] != sum(number for fate, number in totals.items() if fate != "input"):
        problems.append("input is not kept + dropped + quarantined" + " + forgotten" * ("forgotten" in totals))
    if rows["written"] != totals["kept"] + rows["extra_copies"]:
        problems.append("the rows of data/ are not kept + extra copies")
    if by_stage != totals["dropped"]:
        problems.append(f"the stages dropped {by_stage}")
    if sum(quarantined.values()) != totals["quarantined"]:
        problems.append(f"the passes set {sum(quarantined.values())} aside")
    if problems:
        raise BalanceError(
            f"input = kept + dropped + quarantined does not hold: {'; '.join(problems)}; counts: {dict(totals)}"
        )


def _stage_row(facts: Facts, index: int, stage: Stage) -> dict[str, Any]:
    stats = [
        stats["stages"][stage.label]
        for measured in facts.measured
        for stats in measured
        if stage.label in stats["stages"]
    ]
    row: dict[str, Any] = {"label": stage.label, "stage": stage.word, "mode": stage.mode}
    row |= {key: sum(each[key] for each in stats) for key in ("documents_in", "bytes_in")}
    row |= {key: sum(each[key] for each in stats) for key in ("documents_out", "bytes_out")}
    seconds = sum(each["seconds"] for each in stats)
    row["reasons"] = _sum_counts(each["reasons"] for each in stats)
    row["edits"] = _edits(stats)
    row["measures"] = _measures(stats)
    failed = add_counts(each.get("failed", {}) for each in stats)
    if failed:
        row["failed"] = failed_row(failed, list(stage.rules()))
    if isinstance(stage, GlobalStage):
        row |= _global_row(facts, index, stage, row)
    row["dropped"] = row["documents_in"] - row["documents_out"]
    row["seconds"] = round(seconds, 3)
    row["mb_per_second"] = round(row["bytes_in"] / 1e6 / seconds, 1) if seconds > 0 else None
    row["thresholds"] = dict(stage.rules())
    return row


def _global_row(facts: Facts, index: int, stage: GlobalStage, row: Mapping[str, Any]) -> dict[str, Any]:
    """Entries of a global stage's row. Its sketches also cover documents that earlier stages of the pass dropped."""
    sharing = [each for each, other in enumerate(facts.spec.stages[:index]) if isinstance(other, GlobalStage)]
    before = []
    for each in reversed(sharing):
        if any(not isinstance(s, GlobalStage) for s in facts.spec.stages[each + 1 : index]):
            break
        before.append(each)
    gone = [count.taken[each] for count in facts.counts for each in before if each in count.taken]
    taken = [count.taken[index] for count in facts.counts if index in count.taken]
    documents_in = row["documents_in"] - sum(t.documents for t in gone)
    bytes_in = row["bytes_in"] - sum(t.bytes for t in gone)
    names = list(stage.rules())
    reasons = _sum_counts({names[number - 1]: n for number, n in t.reasons.items()} for t in taken)
    cuts = [count.cut.get(index, {}) for count in facts.counts]
    edits = _edits([{"edits": {names[number - 1]: cut for number, cut in each.items()}} for each in cuts])
    stats = dict(facts.settled[stage.label])
    would = stats.pop("reasons", {})
    if stage.mode == "tag":
        reasons = _sum_counts([{name: count for name, count in would.items() if count}])
    return {
        "edits": edits,
        "documents_in": documents_in,
        "bytes_in": bytes_in,
        "documents_out": documents_in - sum(t.documents for t in taken),
        "bytes_out": bytes_in - sum(t.bytes for t in taken) - sum(cut["bytes"] for cut in edits.values()),
        "reasons": reasons,
        "stats": stats,
    }


def _measures(stats: Sequence[Mapping[str, Any]]) -> dict[str, list[list[float]]]:
    """Histogram of each measure of the rules in force: [lower edge, upper edge, documents]."""
    names = list(dict.fromkeys(name for each in stats for name in each["measures"]))
    return {name: histogram(merge_bins(each["measures"].get(name, {}) for each in stats)) for name in names}


def _edits(stats: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, int]]:
    total: dict[str, list[int]] = {}
    for each in stats:
        for reason, (documents, size) in each["edits"].items():
            before = total.get(reason, [0, 0])
            total[reason] = [before[0] + documents, before[1] + size]
    return {reason: {"documents": n, "bytes": size} for reason, (n, size) in sorted(total.items())}
