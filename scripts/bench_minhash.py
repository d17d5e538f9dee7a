"""Near-duplicate removal beside its peers, in one run: datasketch, rensa, datatrove and Daft, each from PyPI into an
environment of its own.

Usage: bench_minhash.py [--skip PEER ...] [--parts sketch whole] [--sizes 500MB 2GB] [--results FILE.json]

sketch: text to signature, one core, text in memory as each likes it best; MB of text a CPU second, median.
whole: Parquet files to deduplicated Parquet files with all of `--workers`. Start-up is the time for a corpus of 2 MB;
the slope is seconds a GB between the two sizes, from the medians of `--repeats` rounds (Daft: at most 3), and in each
round. The corpus comes from `amplify.py`. The floor is pyarrow reading the same files and writing the rows that we
keep. datatrove is measured at small sizes and its slope extrapolated.

Real text is found by the variable CORPUSCURATE_DATA. Prints Markdown; the figures go to the results file.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import json
import os
import shutil
import statistics
import sys
import tempfile
from collections.abc import Iterable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from amplify import amplify, parse_size
from host import machine, today
from peers.measure import adopt_orphans, python_of, run, run_json

HERE = Path(__file__).parent / "peers"
PACKAGES = {
    "daft": ["daft", "numpy", "pyarrow", "scipy"],
    "rensa": ["rensa"],
    "datasketch": ["datasketch"],
    "datatrove": ["datatrove[processing,io]", "spacy"],
}
OURS = "corpuscurate"
IN, OUT = "{in}", "{out}"
SETS = {"bench": ("bench",), "neardup": ("neardup",), "multilingual": ("multilingual",)}
SUBSET = {"datasketch": 20_000_000, "datatrove": 3_000_000}
"""Bytes of text that slow peers sketch."""
START_BYTES = 2_000_000
SMALL = (4_000_000, 16_000_000)
"""Sizes of datatrove's whole job."""


class Bench:
    """The options, and the environments, folders and results of one run."""

    def __init__(self, given: argparse.Namespace, work: Path) -> None:
        self.given, self.work = given, work
        self.pythons = {
            name: python_of(given.envs, name, PACKAGES[name]) for name in PACKAGES if name not in given.skip
        }
        self.sketches: list[dict[str, Any]] = []
        self.whole: list[dict[str, Any]] = []

    # -- text to signature

    def sketch(self) -> None:
        """Every program on every set; peers on English alone."""
        for name, folders in SETS.items():
            file = self.work / f"{name}.jsonl"
            write_texts([self.given.data / folder for folder in folders], file)
            command = [sys.executable, str(HERE / "sketch_ours.py"), str(file)]
            self._sketch(name, OURS, command, 7)
            self._sketch(name, f"{OURS}, classic", [*command, "--signature", "classic"], 7)
            if name == "multilingual":
                continue
            for peer, python in self.pythons.items():
                repeats = 1 if peer == "datatrove" else 3
                command = [python, str(HERE / f"sketch_{peer}.py"), str(file), "--limit", str(SUBSET.get(peer, 0))]
                self._sketch(name, peer, command, repeats)

    def _sketch(self, name: str, who: str, command: list[str], repeats: int) -> None:
        row = run_json([*command, "--repeats", str(repeats)])
        cpu, wall = statistics.median(row["cpu_seconds"]), statistics.median(row["wall_seconds"])
        row |= {"set": name, "program": who, "mb_per_cpu_second": row["bytes"] / 1e6 / cpu}
        row |= {"mb_per_second": row["bytes"] / 1e6 / wall}
        self.sketches.append(row)
        tell(f"{name:12} {who:12} {row['mb_per_cpu_second']:8.1f} MB/s a core")

    # -- files to files

    def whole_jobs(self) -> None:
        """Round after round, in each all programs in turn at both sizes: a host whose speed swings meets all of them.
        Ours first: the floor writes what we kept."""
        workers = str(self.given.workers)
        for number in range(max(3, self.given.repeats)):
            for size in [START_BYTES, *self.given.sizes]:
                if number >= (3 if size == START_BYTES else self.given.repeats):
                    continue
                source, masks = self.corpus(size), self.work / f"masks-{size}"
                self._whole(OURS, size, source, ["whole_ours.py", IN, OUT, workers])
                write_masks(source, self.work / "out" / "data", masks)
                self._whole("pyarrow", size, source, ["whole_pyarrow.py", IN, OUT, str(masks), workers])
                if "daft" in self.pythons and number < 3:
                    self._whole("daft", size, source, ["whole_daft.py", IN, OUT])
        if "datatrove" in self.pythons:
            for size in SMALL:
                scratch = str(self.work / "datatrove")
                self._whole("datatrove", size, self.corpus(size, 4), ["whole_datatrove.py", IN, OUT, scratch, workers])
        self.whole.sort(key=lambda row: row["program"] == "datatrove")

    def corpus(self, size: int, files: int = 1) -> Path:
        """The amplified corpus of `size` bytes of text, made when it is not there."""
        folder = self.work / f"corpus-{size}"
        if not folder.is_dir():
            tell(f"making {size / 1e6:,.0f} MB of text")
            making = folder.with_suffix(".part")
            shutil.rmtree(making, ignore_errors=True)
            file_bytes = -(-size // files) if files > 1 else 128 << 20
            amplify(sorted((self.given.data / "bench").glob("*.jsonl.gz")), making, size, file_bytes=file_bytes)
            making.rename(folder)
        return folder

    def _whole(self, who: str, size: int, source: Path, arguments: list[str]) -> None:
        """One more run. arguments: program and arguments, IN and OUT for the folders."""
        out = self.work / "out"
        for old in (out, self.work / "datatrove"):
            shutil.rmtree(old, ignore_errors=True)
        filled = [{IN: str(source), OUT: str(out)}.get(each, each) for each in arguments[1:]]
        took = run([self.pythons.get(who, sys.executable), str(HERE / arguments[0]), *filled])
        documents, removed, digest = what_was_removed(source, out / "data" if who == OURS else out)
        known = [row for row in self.whole if (row["program"], row["text_bytes"]) == (who, size)]
        row = known[0] if known else self._new_row(who, size, documents, removed, digest)
        if row["removed_digest"] != digest:
            raise RuntimeError(f"{who} removed other documents of {source} than in the run before")
        row["wall_seconds"].append(took.wall_seconds)
        row["cpu_seconds"].append(took.cpu_seconds)
        row["peak_bytes"] = max(row["peak_bytes"], took.peak_bytes)
        order = sorted(range(len(row["wall_seconds"])), key=row["wall_seconds"].__getitem__)
        middle = order[len(order) // 2]
        row["wall_median"], row["cpu_of_median"] = row["wall_seconds"][middle], row["cpu_seconds"][middle]
        if who == OURS and middle == len(row["wall_seconds"]) - 1:
            report = json.loads(took.output)
            row |= {"seconds": report["seconds"], "stats": without_lists(report["stages"][0]["stats"])}
        tell(
            f"{size / 1e6:8,.0f} MB {who:12} {took.wall_seconds:7.2f} s wall {took.cpu_seconds:7.2f} s CPU "
            f"{took.peak_bytes / 1e6:7,.0f} MB, {removed:,} of {documents:,} removed ({digest})"
        )

    def _new_row(self, who: str, size: int, documents: int, removed: int, digest: str) -> dict[str, Any]:
        row: dict[str, Any] = {
            "program": who,
            "version": self._version(who),
            "text_bytes": size,
            "documents": documents,
            "removed": removed,
            "removed_digest": digest,
            "wall_seconds": [],
            "cpu_seconds": [],
            "peak_bytes": 0,
        }
        self.whole.append(row)
        return row

    def _version(self, who: str) -> str:
        if who in (OURS, "pyarrow"):
            return version(who)
        code = f"from importlib.metadata import version; import json; print(json.dumps({{'v': version({who!r})}}))"
        return str(run_json([self.pythons[who], "-c", code])["v"])


def tell(text: str) -> None:
    """Progress."""
    print(text, file=sys.stderr, flush=True)


def write_texts(folders: Iterable[Path], out: Path) -> None:
    """The texts of all JSON lines in the folders as JSON lines without compression."""
    with out.open("w", encoding="utf-8") as file:
        for path in sorted(path for folder in folders for path in folder.glob("*.jsonl.gz")):
            with gzip.open(path, "rt", encoding="utf-8") as lines:
                file.writelines(json.dumps({"text": json.loads(line)["text"]}) + "\n" for line in lines)


def read_ids(folder: Path) -> pa.Array:
    """The `id` column of all Parquet files."""
    paths = sorted(folder.glob("**/*.parquet"))
    columns = [pq.read_table(path, columns=["id"])["id"].cast(pa.large_string()) for path in paths]
    return pa.concat_arrays([chunk for column in columns for chunk in column.chunks])


def what_was_removed(source: Path, data: Path) -> tuple[int, int, str]:
    """Documents of the input, how many of them the output lacks, and a digest of the sorted ids of those."""
    before, after = read_ids(source), read_ids(data)
    gone = before.filter(pc.invert(pc.is_in(before, value_set=after)))
    if len(gone) + len(after) != len(before) or len(after.unique()) != len(after):
        raise RuntimeError(f"{data} is not a part of {source}: {len(before)} in, {len(after)} out, {len(gone)} gone")
    names = "\n".join(sorted(gone.to_pylist()))
    return len(before), len(gone), hashlib.blake2b(names.encode(), digest_size=8).hexdigest()


def write_masks(source: Path, data: Path, out: Path) -> None:
    """For each shard which rows were kept, for the floor."""
    out.mkdir(exist_ok=True)
    kept = read_ids(data)
    for path in source.glob("*.parquet"):
        ids = pq.read_table(path, columns=["id"])["id"].cast(pa.large_string())
        np.save(out / f"{path.stem}.npy", pc.is_in(ids, value_set=kept).to_numpy())


def without_lists(stats: dict[str, Any]) -> dict[str, Any]:
    """The numbers of a stage's stats."""
    return {key: value for key, value in stats.items() if isinstance(value, int | float)}


def slopes(whole: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """For each program: seconds at the smallest corpus, and seconds a GB between the two largest, wall and CPU, of the
    medians; and wall in each round."""
    found = {}
    for who in dict.fromkeys(row["program"] for row in whole):
        rows = sorted((row for row in whole if row["program"] == who), key=lambda row: row["text_bytes"])
        if len(rows) < 2:
            continue
        low, high = rows[-2], rows[-1]
        gigabytes = (high["text_bytes"] - low["text_bytes"]) / 1e9
        found[who] = {
            "start_seconds": rows[0]["wall_median"],
            "wall_seconds_a_gb": (high["wall_median"] - low["wall_median"]) / gigabytes,
            "cpu_seconds_a_gb": (high["cpu_of_median"] - low["cpu_of_median"]) / gigabytes,
            "wall_seconds_a_gb_each": [
                (b - a) / gigabytes for a, b in zip(low["wall_seconds"], high["wall_seconds"], strict=True)
            ],
        }
    return found


def markdown(result: dict[str, Any]) -> str:
    """The results as tables."""
    host = result["machine"]
    lines = [f"{host['processor']}, {host['cores']} cores, {result['date']}, load before {host['load_before']:.1f}", ""]
    if result["sketch"]:
        lines += ["| text | program | version | MB | MB/s a core | ours is |", "|---|---|---|---:|---:|---:|"]
        ours = {row["set"]: row["mb_per_cpu_second"] for row in result["sketch"] if row["program"] == OURS}
        for row in result["sketch"]:
            speed = row["mb_per_cpu_second"]
            lines.append(
                f"| {row['set']} | {row['program']} | {row['version']} | {row['bytes'] / 1e6:.0f} | {speed:.1f} "
                f"| {ours[row['set']] / speed:.1f} x |"
            )
    if result["whole"]:
        lines += ["", "| program | version | MB | wall s | CPU s | peak MB | removed | digest of the removed |"]
        lines += ["|---|---|---:|---:|---:|---:|---:|---|"]
        for row in result["whole"]:
            lines.append(
                f"| {row['program']} | {row['version']} | {row['text_bytes'] / 1e6:,.0f} | {row['wall_median']:.2f} "
                f"| {row['cpu_of_median']:.2f} | {row['peak_bytes'] / 1e6:,.0f} "
                f"| {row['removed']:,} of {row['documents']:,} | {row['removed_digest']} |"
            )
        lines += ["", "| program | start-up s | s a GB | CPU s a GB | beside ours, wall | CPU | wall, round by round |"]
        lines += ["|---|---:|---:|---:|---:|---:|---|"]
        base = result["slopes"][OURS]
        for who, slope in result["slopes"].items():
            ratios = [slope[name] / base[name] for name in ("wall_seconds_a_gb", "cpu_seconds_a_gb")]
            rounds = zip(slope["wall_seconds_a_gb_each"], base["wall_seconds_a_gb_each"], strict=False)
            each = [f"{theirs / ours:.2f} x" for theirs, ours in rounds] if who != "datatrove" else []
            lines.append(
                f"| {who} | {slope['start_seconds']:.2f} | {slope['wall_seconds_a_gb']:.2f} "
                f"| {slope['cpu_seconds_a_gb']:.2f} | {ratios[0]:.2f} x | {ratios[1]:.2f} x | {', '.join(each)} |"
            )
    return "\n".join(lines)


def options() -> argparse.Namespace:
    """The command line."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "corpuscurate-bench"
    data = os.environ.get("CORPUSCURATE_DATA")
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=data, required=data is None, help="or CORPUSCURATE_DATA")
    parser.add_argument("--envs", type=Path, default=cache / "envs", help="environments of the peers; reused")
    parser.add_argument("--work", type=Path, help="where the corpora stay, to be used again; else a temporary folder")
    parser.add_argument("--skip", nargs="*", default=[], choices=[*PACKAGES], help="peers to leave out")
    parser.add_argument("--parts", nargs="+", default=["sketch", "whole"], choices=["sketch", "whole"])
    parser.add_argument("--sizes", nargs="+", type=parse_size, default=[500_000_000, 2_000_000_000])
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=1, help="rounds of whole jobs; the median counts")
    parser.add_argument("--results", type=Path, help="JSON file to write")
    return parser.parse_args()


def main() -> None:
    """Measure, print, write."""
    given = options()
    adopt_orphans()
    host = machine()
    with tempfile.TemporaryDirectory(prefix="corpuscurate-bench-") as folder:
        work = given.work or Path(folder)
        work.mkdir(parents=True, exist_ok=True)
        bench = Bench(given, work.absolute())
        if "sketch" in given.parts:
            bench.sketch()
        if "whole" in given.parts:
            bench.whole_jobs()
            shutil.rmtree(bench.work / "out", ignore_errors=True)
    result = {
        "date": today(),
        "machine": host,
        "workers": given.workers,
        "sketch": bench.sketches,
        "whole": bench.whole,
        "slopes": slopes(bench.whole),
    }
    print(markdown(result))
    if given.results:
        given.results.parent.mkdir(parents=True, exist_ok=True)
        given.results.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
