"""Run a whole recipe over real shards and check everything the report claims, value by value.

    python scripts/check_run.py DATA [--out FOLDER]

DATA holds neardup/, books/, multilingual/ and bench/ with *.jsonl.gz shards. The recipe runs with 1 and with 2 workers,
and with other batch sizes and memory. Checked: equal bytes; input = kept +
dropped + quarantined; every dropped row names its reason; every chain of duplicates ends at a kept document or at one
that a later stage dropped; the user's columns of every kept document equal the input's (Python's own json reads it).
Prints the times, the speed and the peak memory of each run as JSON.
"""

from __future__ import annotations

import argparse
import gzip
import json
import tempfile
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from corpuscurate import Pipeline, Settings, Sink, Source
from corpuscurate.core.digests import digest_file
from corpuscurate.stages.exact import Exact
from corpuscurate.stages.gopher_quality import GopherQuality
from corpuscurate.stages.length import Length
from corpuscurate.stages.minhash import MinHash
from corpuscurate.stages.normalize import Normalize

FOLDERS = ("neardup", "books", "multilingual", "bench")
RECIPES = {
    "filters": (Normalize(), Length(min_words=50), GopherQuality(), Exact(), MinHash(threshold=0.8)),
    "duplicates": (Normalize(), Exact(), MinHash(threshold=0.8)),
}


def hold(condition: bool, *facts: Any) -> None:
    if not condition:
        raise SystemExit(f"a check failed: {facts}")


def run(data: Path, out: Path, recipe: str, sink: dict[str, Any], **settings: Any) -> dict[str, Any]:
    source = Source(paths=FOLDERS, id="id")
    made = Pipeline(source, RECIPES[recipe], Sink(path=str(out), **sink), Settings(**settings), data)
    return made.run()


def digests(out: Path) -> dict[str, str]:
    kinds = ("data", "dropped", "quarantine")
    return {f"{kind}/{path.name}": digest_file(path) for kind in kinds for path in sorted((out / kind).iterdir())}


def inputs(data: Path) -> dict[tuple[str, str], dict[str, Any]]:
    """(shard, id) -> the record without its text."""
    found = {}
    for folder in FOLDERS:
        for path in sorted((data / folder).glob("*.jsonl.gz")):
            with gzip.open(path, "rb") as file:
                for line in file:
                    record = json.loads(line)
                    record.pop("text")
                    found[f"{folder}/{path.name}", record["id"]] = record
    return found


def check(out: Path, records: dict[tuple[str, str], dict[str, Any]], report: dict[str, Any]) -> dict[str, Any]:
    counts = report["documents"]
    hold(counts["input"] == counts["kept"] + counts["dropped"] + counts["quarantined"])
    dropped = [row for path in sorted((out / "dropped").iterdir()) for row in pq.read_table(path).to_pylist()]
    kept = [row for path in sorted((out / "data").iterdir()) for row in pq.read_table(path).to_pylist()]
    hold((len(kept), len(dropped)) == (counts["kept"], counts["dropped"]))
    hold(all(row["stage"] and row["reason"] for row in dropped))
    gone = {row["doc_id"]: row for row in dropped}
    ids = [row["id"] for row in kept]
    kept_ids = set(ids)
    hold(len(ids) == len(kept_ids))
    ends = {"kept": 0, "dropped by a later stage": 0}
    order = {row["label"]: place for place, row in enumerate(report["stages"])}
    for row in dropped:
        if row["duplicate_of_doc_id"] is None:
            continue
        last = row
        while last["duplicate_of_doc_id"] in gone:
            following = gone[last["duplicate_of_doc_id"]]
            hold(order[following["stage"]] > order[last["stage"]], (last, following))
            last = following
            if last["duplicate_of_doc_id"] is None:
                break
        at_kept = last["duplicate_of_doc_id"] is not None
        hold(not at_kept or last["duplicate_of"] in kept_ids)
        ends["kept" if at_kept else "dropped by a later stage"] += 1
    by_id = {key[1]: record for key, record in records.items()}
    fields = set()
    for row in kept:
        given = by_id[row["id"]]
        fields |= given.keys()
        values = {name: row[name] for name in given}
        hold(values == given, (values, given))
        hold(all(row[name] is None for name in row.keys() - given.keys() - {"text"}))
    accounted = kept_ids | {row["id"] for row in dropped}
    hold(accounted == {key[1] for key in records})
    return {"chains": ends, "columns_compared": sorted(fields), "documents": counts}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--out", type=Path, help="where runs go; a temporary folder otherwise")
    options = parser.parse_args()
    records = inputs(options.data)
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.out or Path(temporary)
        results = {}
        for recipe in RECIPES:
            runs = {
                "1 worker": ({}, {"workers": 1}),
                "2 workers": ({}, {"workers": 2}),
                "2 workers, small batches, 1 GiB": ({}, {"workers": 2, "batch_bytes": 1 << 20, "memory": 1 << 30}),
            }
            reports, seen = {}, {}
            for title, (sink, settings) in runs.items():
                out = folder / f"{recipe}-{title.replace(' ', '-').replace(',', '')}"
                reports[title] = run(options.data, out, recipe, sink, **settings)
                seen[title] = digests(out)
                facts = check(out, records, reports[title])
            hold(len({json.dumps(value) for value in seen.values()}) == 1, "runs differ")
            results[recipe] = {
                **facts,
                "runs": {
                    title: {
                        "seconds": report["seconds"]["total"],
                        "mb_per_second": report["mb_per_second"],
                        "peak_memory_bytes": report["peak_memory_bytes"],
                        "first_batch_seconds": report["first_batch_seconds"],
                        "steps": report["seconds"],
                        "stages": {row["label"]: row["seconds"] for row in report["stages"]},
                    }
                    for title, report in reports.items()
                },
                "dropped": {row["label"]: row["reasons"] for row in reports["1 worker"]["stages"]},
                "digests": seen["1 worker"],
            }
    print(json.dumps(results, indent=2))


if __name__ == "__main__":
    main()
