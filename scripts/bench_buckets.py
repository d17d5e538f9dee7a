"""Buckets of a million: near-duplicate removal where everything is in one bucket, through the whole engine.

Kinds: `punctuation` (the same words, other punctuation), `copies` (one word of 104 replaced, or none), `hard` (every
second document has 3 or 4 words replaced: its similarity to the original and to the others is just under the threshold
or lower), `deleted` (as hard, but words are taken out, so that copies have their differences in common). One original
is among the documents. Prints time, memory, and what was kept.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

WORDS = 104
KINDS = ("punctuation", "copies", "hard", "deleted")
ENDS = (".", ",", ";", "!", "?", ":")
SHARD = 50_000


def document(kind: str, number: int, rng: np.random.Generator) -> str:
    """A document of the bucket; number 0 is the original."""
    words = [f"word{i}" for i in range(WORDS)]
    if kind == "punctuation":
        digits = number
        for i in range(12):
            words[i] += ENDS[digits % 6]
            digits //= 6
        return " ".join(words)
    edits = 0 if number == 0 else int(rng.integers(0, 2))
    if kind != "copies" and number % 2:
        edits = int(rng.integers(3, 5))
    for place in sorted(rng.choice(WORDS, edits, replace=False).tolist(), reverse=True):
        if kind == "deleted":
            del words[place]
        else:
            words[place] = f"own{number}x{place}"
    return " ".join(words)


def write(folder: Path, kind: str, documents: int) -> None:
    """Shards of JSON lines."""
    rng = np.random.default_rng(1)
    for start in range(0, documents, SHARD):
        lines = [
            json.dumps({"id": i, "text": document(kind, i, rng)}) for i in range(start, min(start + SHARD, documents))
        ]
        (folder / f"shard-{start // SHARD:05d}.jsonl").write_text("\n".join(lines) + "\n")


def measure(folder: Path, options: str, workers: int, memory: str) -> dict[str, Any]:
    """The report of a run."""
    recipe = folder / "recipe.yaml"
    recipe.write_text(
        f"input: {{paths: [in/*.jsonl]}}\nstages:\n  - minhash: {{{options}}}\noutput: {{path: out}}\n"
        f"run: {{memory: {memory}, workers: {workers}}}\n"
    )
    command = [sys.executable, "-m", "corpuscurate", "run", str(recipe), "--json", "--quiet"]
    report: dict[str, Any] = json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout)
    return report


def main() -> None:
    """Measure each kind."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kinds", nargs="*", default=KINDS)
    parser.add_argument("--documents", type=int, default=1_000_000)
    parser.add_argument("--options", default="threshold: 0.8")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--memory", default="8GiB")
    given = parser.parse_args()
    for kind in given.kinds:
        with tempfile.TemporaryDirectory(prefix="corpuscurate-buckets-") as name:
            folder = Path(name)
            (folder / "in").mkdir()
            write(folder / "in", kind, given.documents)
            report = measure(folder, given.options, given.workers, given.memory)
        stats = report["stages"][0]["stats"]
        seconds, counts = report["seconds"], report["documents"]
        print(f"{kind}: {counts['input']:,} documents, {counts['kept']:,} kept, {seconds['total']:.1f} s", end="")
        print(f", settling {seconds['settling minhash']:.1f} s, {report['peak_memory_bytes'] / 1e9:.2f} GB at most")
        print("  " + ", ".join(f"{title} {value:.1f}" for title, value in seconds.items()))
        names = [
            "identical",
            "candidates",
            "prefiltered",
            "largest_bucket",
            "compared",
            "verified",
            "rejected",
            "capped",
        ]
        print("  " + ", ".join(f"{each}: {stats[each]}" for each in names), flush=True)


if __name__ == "__main__":
    main()
