"""Runs that are killed, and runs whose files lose a bit, end in the bytes of a run that was left alone.

    python scripts/faults.py kills --trials 100 --input FOLDER [--seed 1] [--json FILE]
    python scripts/faults.py flips --trials 100 --input FOLDER [--seed 1] [--json FILE]
    python scripts/faults.py signals --trials 100 --busy 8 --input FOLDER [--seed 1] [--json FILE]

The recipe has streaming and global stages, a stage after a global one, and small splits and parts, so that a run has
many tasks and all kinds of files. Each trial starts it in a session of its own with 1 or 2 workers and kills the whole
session (SIGKILL) at a random moment. `kills`: it is resumed and killed again until one attempt ends by itself.
`signals`: the command alone gets SIGINT, SIGTERM or SIGHUP, while `--busy` loops take the processors; told are the
seconds until no process of it is left, and the trial is wrong where it did not say how to go on; then it is resumed.
`flips`: one random bit of one random file of `_run/` is flipped, then it is resumed. Compared with the undisturbed run:
xxh3-64 of every file of data/, dropped/, edits/ and quarantine/. Exit status 1 where a trial ended in other bytes. A
trial that was refused with an error counts apart if its output is whole: nobody knows whose data/ it is where a bit of
`_run/run.json` of a finished run has flipped.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import xxhash
import yaml

KINDS = ("data", "dropped", "edits", "quarantine")
STAGES: list[Any] = [
    "normalize",
    "gopher_quality",
    "exact",
    {"minhash": {"threshold": 0.7, "keep": "longest"}},
    {"length": {"min_words": 30}},
    {"minhash": {"name": "again", "threshold": 0.6, "mode": "tag"}},
]


class Job:
    """The recipe over the input; every trial has an output folder of its own."""

    def __init__(self, home: Path, input_: Path) -> None:
        self.home = home
        self.recipe = home / "recipe.yaml"
        source = {"paths": [str(input_)], "split_bytes": 1 << 20}
        sink = {"path": "out", "part_bytes": 1 << 20}
        self.recipe.write_text(
            yaml.safe_dump({"input": source, "stages": STAGES, "output": sink, "run": {"retain": "all"}})
        )

    def start(self, out: Path, workers: int) -> subprocess.Popen[str]:
        """Start a run in a session of its own."""
        arguments = ["run", str(self.recipe), "--output", str(out), "--workers", str(workers), "--quiet"]
        return subprocess.Popen(
            [sys.executable, "-m", "corpuscurate", *arguments],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def killed_after(self, out: Path, workers: int, seconds: float) -> bool:
        """Whether the run was still going after so many seconds, and was killed. Raises SystemExit where it failed."""
        process = self.start(out, workers)
        try:
            _, told = process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
            return True
        if process.returncode:
            raise SystemExit(f"{out}: exit status {process.returncode}\n{told}")
        return False

    def finish(self, out: Path, workers: int) -> tuple[int, str]:
        """Run to the end: exit status and messages."""
        process = self.start(out, workers)
        _, told = process.communicate()
        return process.returncode, told


def digests(out: Path) -> dict[str, str]:
    """xxh3-64 of each published file."""
    files = [path for kind in KINDS if (out / kind).is_dir() for path in sorted((out / kind).rglob("*"))]
    return {str(path.relative_to(out)): xxhash.xxh3_64_hexdigest(path.read_bytes()) for path in files if path.is_file()}


def killed_once(job: Job, out: Path, seconds: list[float], rng: random.Random) -> None:
    """Start a run anew and kill it; again, with less time, where it ended before. seconds: how long a run takes."""
    while not job.killed_after(out, rng.choice((1, 2)), rng.uniform(0.1, 1) * seconds[0]):
        seconds[0] *= 0.9
        shutil.rmtree(out)


def kill_trial(job: Job, out: Path, seconds: list[float], rng: random.Random) -> tuple[str, Counter[str]]:
    """Kill and resume until an attempt ends by itself. Returns what is wrong ("": nothing) and counts."""
    killed_once(job, out, seconds, rng)
    seen = Counter(kills=1)
    for _ in range(rng.randint(0, 3)):
        if not job.killed_after(out, rng.choice((1, 2)), rng.uniform(0.1, 1) * seconds[0]):
            return "", seen
        seen["kills"] += 1
    status, told = job.finish(out, rng.choice((1, 2)))
    return (told if status else ""), seen


def flip_trial(job: Job, out: Path, seconds: list[float], rng: random.Random) -> tuple[str, Counter[str]]:
    """Kill once, flip a bit of a file of the run folder, resume. Returns what is wrong ("": nothing) and counts."""
    files: list[Path] = []
    while not files:
        shutil.rmtree(out, ignore_errors=True)
        killed_once(job, out, seconds, rng)
        files = sorted(path for path in (out / "_run").rglob("*") if path.is_file() and path.stat().st_size)
        files = [path for path in files if path.name != "lock"]
    path = rng.choice(files)
    content = bytearray(path.read_bytes())
    content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
    path.write_bytes(content)
    seen = Counter({f"flipped in {kind_of(path, out)}": 1})
    status, told = job.finish(out, rng.choice((1, 2)))
    seen["named and made again"] += "is damaged" in told
    return (told if status else ""), seen


def kind_of(path: Path, out: Path) -> str:
    """The kind of a file of the run folder: its first folder without numbers, and its name."""
    first = path.relative_to(out / "_run").parts[0].split(".")[0].rstrip("0123456789-")
    return first if path.parent == out / "_run" else f"{first}/{path.name}"


def signal_trial(job: Job, out: Path, seconds: list[float], rng: random.Random) -> tuple[str, Counter[str]]:
    """Signal the command, wait until all of its processes are gone, resume. As `kill_trial`; ms: the milliseconds."""
    while True:
        process = job.start(out, rng.choice((1, 2)))
        try:
            process.communicate(timeout=rng.uniform(0.1, 1) * seconds[0])
        except subprocess.TimeoutExpired:
            break
        seconds[0] *= 0.9
        shutil.rmtree(out)
    below = psutil.Process(process.pid).children(recursive=True)
    number = rng.choice((signal.SIGINT, signal.SIGTERM, signal.SIGHUP))
    begun = time.perf_counter()
    process.send_signal(number)
    _, told = process.communicate()
    psutil.wait_procs(below)
    seen = Counter(ms=round(1000 * (time.perf_counter() - begun)))
    if process.returncode not in (128 + number, -number, 0):
        return f"{number.name}: exit status {process.returncode}\n{told}", seen
    if process.returncode > 0 and "goes on from there" not in told:
        return f"{number.name}: it did not say how to go on: {told}", seen
    status, told = job.finish(out, rng.choice((1, 2)))
    return (told if status else ""), seen


TRIALS = {"kills": kill_trial, "flips": flip_trial, "signals": signal_trial}


@contextmanager
def busy(loops: int) -> Iterator[None]:
    """So many processes that do nothing but take time."""
    begun = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(loops)]
    try:
        yield
    finally:
        for process in begun:
            process.kill()
            process.wait()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=tuple(TRIALS))
    parser.add_argument("--input", type=Path, required=True)
    parser.add_argument("--trials", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--busy", type=int, default=0, help="processes that take time beside, from the first trial on")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    rng = random.Random(given.seed)
    wrong: list[dict[str, Any]] = []
    refused: list[dict[str, Any]] = []
    counts = Counter[str]()
    slowest = 0
    with tempfile.TemporaryDirectory() as folder:
        job = Job(Path(folder), given.input.absolute())
        job.finish(Path(folder, "warm"), 1)  # kernels are compiled
        started = time.perf_counter()
        status, told = job.finish(Path(folder, "whole"), 1)
        if status:
            raise SystemExit(told)
        seconds = time.perf_counter() - started
        wanted = digests(Path(folder, "whole"))
        expected = [seconds]
        for number in range(given.trials):
            out = Path(folder, f"trial-{number}")
            with busy(given.busy):
                message, seen = TRIALS[given.what](job, out, expected, rng)
            slowest = max(slowest, seen.pop("ms", 0))
            counts += seen
            differs = digests(out) != wanted
            if message or differs:
                (wrong if differs else refused).append({"trial": number, "told": message[-2000:], **seen})
            shutil.rmtree(out)
            print(f"{number + 1}: {len(wrong)} wrong, {len(refused)} refused, {dict(seen)}, {slowest} ms", flush=True)
    result = {
        "what": given.what,
        "trials": given.trials,
        "seed": given.seed,
        "files": len(wanted),
        "seconds_undisturbed": round(seconds, 1),
        "slowest_end_ms": slowest,
        "wrong": wrong,
        "refused": refused,
        **dict(sorted(counts.items())),
    }
    print(json.dumps(result, indent=1))
    if given.json:
        given.json.write_text(json.dumps(result, indent=1) + "\n")
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
