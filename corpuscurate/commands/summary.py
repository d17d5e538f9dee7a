"""The end of a run in a few lines: what each stage did, what it took, where the files are."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from corpuscurate.commands.show import console, printable, size, table
from corpuscurate.core.run_folder import DATA, DROPPED, QUARANTINE, REPORT

FOLDERS = (
    (DATA, "kept", "the documents that were kept"),
    (DROPPED, "dropped", "a row for every document that was not, and why"),
    (QUARANTINE, "quarantined", "input records that could not be read"),
)
"""Folder, the count that tells whether anything is in it, and what that is."""


SHOWN_FILES = 5
"""Incomplete input files that are named."""


def print_summary(report: Mapping[str, Any], output: Path) -> None:
    """Print the summary of a report on stdout. output: the folder it stands in."""
    rows = [
        (
            row["label"],
            f"{row['documents_in']:,}",
            f"{row['documents_out']:,}",
            f"{row['dropped']:,}",
            what_was_done(row),
            f"{row['seconds']:.1f}",
            "-" if row["mb_per_second"] is None else f"{row['mb_per_second']:.0f}",
        )
        for row in report["stages"]
    ]
    out = console()
    if rows:
        headings = ("stage", "in", "out", "dropped", "why", "seconds", "MB/s")
        out.print(table(headings, rows, (1, 2, 3, 5, 6)))
    for row in report["stages"]:
        for note in row.get("stats", {}).get("notes", []):
            print(printable(f"{row['label']}: {note}"))
        print_failed(row)
    counts = report["documents"]
    print(
        f"{counts['input']:,} documents in = {counts['kept']:,} kept + {counts['dropped']:,} dropped"
        f" + {counts['quarantined']:,} quarantined"
        + (f" + {counts['forgotten']:,} forgotten" if counts.get("forgotten") else "")
    )
    if report["quarantined_by_reason"]:
        print(printable(f"quarantined: {_counts(report['quarantined_by_reason'])}"))
    incomplete = report.get("incomplete_files", [])
    for each in incomplete[:SHOWN_FILES]:
        print(printable(_read_of(each)))
    if len(incomplete) > SHOWN_FILES:
        print(f"{len(incomplete) - SHOWN_FILES:,} more input files could not be read to their end: see the report")
    print(_cost(report))
    for name, count, text in FOLDERS:
        if counts[count]:
            print(printable(f"  {output / name}/  {text}"))
    print(printable(f"  {output / REPORT}  all the figures"))


def print_failed(row: Mapping[str, Any]) -> None:
    """Print how often each rule of a stage fails, and how often it is the only one; nothing unless the stage lists all
    (`reasons: all`)."""
    if row.get("failed"):
        rows = [(rule, f"{each['documents']:,}", f"{each['alone']:,}") for rule, each in row["failed"].items()]
        console().print(table((f"rule of {row['label']}", "fail it", "fail no other"), rows, (1, 2)))


def what_was_done(row: Mapping[str, Any]) -> str:
    """Reasons for drops and edits of a stage, the most frequent first."""
    parts = [_counts(row["reasons"])] if row["reasons"] else []
    parts += [f"edited: {_counts({k: v['documents'] for k, v in row['edits'].items()})}"] if row["edits"] else []
    return "; ".join(parts)


def _counts(counts: Mapping[str, int]) -> str:
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return ", ".join(f"{name} {count:,}" for name, count in ordered if count)


def _read_of(file: Mapping[str, Any]) -> str:
    return (
        f"incomplete: {file['file']}: {file['documents']:,} documents ({size(file['bytes'])}) were read, "
        f"what followed is unknown ({file['reason']}: {file['detail']})"
    )


def _cost(report: Mapping[str, Any]) -> str:
    text = f"{size(report['bytes']['text_in'])} of text in {report['seconds']['total']:.1f} s"
    rate = f", {report['mb_per_second']:.1f} MB/s" if report["mb_per_second"] else ""
    return f"{text}{rate}, peak memory {size(report['peak_memory_bytes'])}"
