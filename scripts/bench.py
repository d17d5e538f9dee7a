"""Speed and memory of the main job: a recipe over real shards, with 1 and with more workers, each in a new process.

Input: the files given, else the bench corpus below CORPUSCURATE_DATA, else the text of this Python installation.
Prints a table; ends with an error when the outputs of two worker counts differ.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from corpuscurate.recipe.bundled import bundled_recipe
from corpuscurate.tools.demo.text import collect, write_shards


def default_input(folder: Path) -> list[str]:
    """What is measured when nothing is named."""
    data = os.environ.get("CORPUSCURATE_DATA")
    if data and Path(data, "bench").is_dir():
        return [str(Path(data, "bench"))]
    return [str(path) for path in write_shards(collect(), folder / "shards")]


def measure(recipe: Path, inputs: list[str], workers: int, output: Path) -> dict[str, Any]:
    """The report of one run in a process of its own."""
    command = [sys.executable, "-m", "corpuscurate", "run", str(recipe), "--json", "--quiet", "--workers", str(workers)]
    command += ["--output", str(output), *(part for path in inputs for part in ("--input", path))]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True, stdin=subprocess.DEVNULL)
    report: dict[str, Any] = json.loads(done.stdout)
    return report


def show(report: dict[str, Any], workers: int) -> None:
    """A run in a few lines."""
    counts, memory = report["documents"], report["peak_memory_bytes"] / 1e6
    print(f"\n{workers} workers: {report['bytes']['text_in'] / 1e6:.1f} MB of text, {counts['input']:,} documents")
    took, rate = report["seconds"]["total"], report["mb_per_second"]
    print(f"  {rate:.1f} MB/s in {took:.2f} s, {memory:,.0f} MB of memory at most")
    for title, seconds in report["seconds"].items():
        print(f"  {seconds:8.2f} s  {title}")
    for row in report["stages"]:
        speed = "-" if row["mb_per_second"] is None else f"{row['mb_per_second']:.0f}"
        print(f"  {speed:>8} MB/s in {row['label']}: {row['documents_in']:,} -> {row['documents_out']:,}")


def main() -> None:
    """Measure and compare."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("inputs", nargs="*", help="files, folders or globs")
    parser.add_argument("--recipe", type=Path, default=bundled_recipe("example.yaml"))
    parser.add_argument("--workers", type=int, nargs="+", default=[1, os.cpu_count() or 1])
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="corpuscurate-bench-") as folder:
        inputs = given.inputs or default_input(Path(folder))
        digests = []
        for workers in dict.fromkeys(given.workers):
            report = measure(given.recipe, inputs, workers, Path(folder, f"out-{workers}"))
            show(report, workers)
            digests.append({file["name"]: file["xxh3_64"] for file in report["outputs"]})
    if any(digest != digests[0] for digest in digests):
        sys.exit("the outputs of the runs differ")
    print(f"\nThe {len(digests[0])} output files of all runs are equal.")


if __name__ == "__main__":
    main()
