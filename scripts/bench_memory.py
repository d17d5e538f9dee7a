"""The memory that a run takes, beside what it was given: `run: {memory: ...}` holds for all of its processes together.

    python scripts/bench_memory.py DATA [--sizes 100MB,500MB,2GB] [--workers 1,2] [--memory 512MiB,1GiB] [--json FILE]

DATA is a folder with *.jsonl.gz, from which `amplify.py` makes each size as Parquet (kept in --work). The recipe is the
README's: normalize, length, gopher_quality, exact, minhash. Proportional memory (PSS) of the command and everything
below it is summed every 50 ms: a page that processes share counts once, and pages of mapped files count. A line of
JSON a run: the peak, what each process had at it, the second of it, wall and CPU seconds.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import yaml

EVERY_SECONDS = 0.05
RECIPE = ["normalize", {"length": {"min_words": 50}}, "gopher_quality", "exact", {"minhash": {"threshold": 0.8}}]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--sizes", default="100MB,500MB,2GB")
    parser.add_argument("--workers", default="1,2")
    parser.add_argument("--memory", default="512MiB,1GiB,4GiB")
    parser.add_argument("--work", type=Path, default=Path("bench-memory"))
    parser.add_argument("--recipe", type=Path, help="stages of another recipe")
    parser.add_argument("--batch", default="16MiB", help="batch_bytes, several with commas")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    stages = yaml.safe_load(arguments.recipe.read_text())["stages"] if arguments.recipe else RECIPE
    for size in arguments.sizes.split(","):
        shards = corpus(arguments.data, size, arguments.work)
        sizes = (each.split(",") for each in (arguments.memory, arguments.workers, arguments.batch))
        for memory, workers, batch in itertools.product(*sizes):
            run = {"memory": memory, "workers": int(workers), "batch_bytes": batch}
            line = json.dumps({"text": size, **run, **measured(shards, stages, run, arguments.work)})
            print(line, flush=True)
            if arguments.json:
                with arguments.json.open("a") as out:
                    out.write(line + "\n")


def corpus(data: Path, size: str, work: Path) -> Path:
    """The shards of this size, made where they are not there yet."""
    folder = work / size
    if not folder.exists():
        part = folder.with_suffix(".part")
        shutil.rmtree(part, ignore_errors=True)
        amplify = [sys.executable, str(Path(__file__).with_name("amplify.py"))]
        files = [str(path) for path in sorted(data.glob("*.jsonl*"))]
        subprocess.run([*amplify, *files, "--out", str(part), "--bytes", size], check=True, stdout=subprocess.DEVNULL)
        part.rename(folder)
    return folder


def measured(shards: Path, stages: list[Any], run: dict[str, Any], work: Path) -> dict[str, Any]:
    """One run, watched."""
    recipe, out = work / "recipe.yaml", work / "out"
    shutil.rmtree(out, ignore_errors=True)
    source, sink = {"paths": [str(shards.resolve())]}, {"path": str(out.resolve())}
    recipe.write_text(yaml.safe_dump({"input": source, "stages": stages, "output": sink, "run": run}))
    command = [sys.executable, "-m", "corpuscurate", "run", str(recipe), "--quiet"]
    started = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    peak, at, shares, cpu = 0, 0.0, {}, {}
    while process.poll() is None:
        each = dict(proportional(process.pid, cpu))
        if sum(each.values()) > peak:
            peak, at, shares = sum(each.values()), time.perf_counter() - started, each
        time.sleep(EVERY_SECONDS)
    seconds = time.perf_counter() - started
    said = process.stderr.read() if process.stderr else ""
    return {
        "exit": process.returncode,
        "peak_mib": round(peak / 2**20),
        "at_second": round(at, 1),
        "processes_mib": [round(size / 2**20) for size in shares.values()],
        "seconds": round(seconds, 1),
        "cpu_seconds": round(sum(cpu.values()), 1),
        "said": said.strip()[-500:],
    }


def proportional(pid: int, cpu: dict[int, float]) -> Iterator[tuple[int, int]]:
    """(process, bytes) of a process and all below it; their CPU seconds so far go to `cpu`."""
    try:
        below = psutil.Process(pid).children(recursive=True)
    except psutil.Error:
        return
    for process in [psutil.Process(pid), *below]:
        try:
            lines = Path(f"/proc/{process.pid}/smaps_rollup").read_text().splitlines()
            times = process.cpu_times()
        except (psutil.Error, OSError):
            continue
        cpu[process.pid] = times.user + times.system
        yield process.pid, next(int(line.split()[1]) << 10 for line in lines if line.startswith("Pss:"))


if __name__ == "__main__":
    os.environ.setdefault("PYTHONDONTWRITEBYTECODE", "1")
    main()
