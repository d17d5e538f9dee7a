"""The speed of the line rules beside datatrove's, one core, and their time by document size.

    CORPUSCURATE_DATA=... python scripts/bench_lines.py [--peer PYTHON] [--sample MB] [--linear] [folder ...]

MB of text for each second of CPU time of this process, the best of three runs, in batches of 16 MB as a run has them.
Peer: datatrove's C4QualityFilter and FineWebQualityFilter in one process of the Python given, over the first `--sample`
MB (2) of each folder, in the same run. `--linear`: seconds for one document of 1 kB to 100 MB.
`scripts/bench_filters.py` may import `speeds`, `peer_speeds` and `linear`.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Iterator, Mapping
from itertools import pairwise
from pathlib import Path

import numpy as np

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests"), str(ROOT / "scripts")]

from check_lines import batch_of, peer, texts_of  # noqa: E402

from corpuscurate.core.batch import Batch  # noqa: E402
from corpuscurate.core.stage import StreamingStage  # noqa: E402
from corpuscurate.stages.c4_quality import C4Quality  # noqa: E402
from corpuscurate.stages.fineweb_quality import FinewebQuality  # noqa: E402
from corpuscurate.stages.madlad_quality import MadladQuality  # noqa: E402
from corpuscurate.stages.refinedweb_lines import RefinedwebLines  # noqa: E402

FOLDERS = ("bench", "books", "multilingual")
BATCH_BYTES = 16_000_000
SIZES = (1_000, 10_000, 100_000, 1_000_000, 10_000_000, 100_000_000)
PEERS = {
    "c4_quality datatrove": "c4_quality",
    "c4_quality datatrove, as in FineWeb": "c4_quality as in FineWeb",
    "fineweb_quality code": "fineweb_quality",
}
"""datatrove's families by the names of ours."""


def families() -> dict[str, StreamingStage]:
    """The stages that are timed."""
    return {
        "c4_quality paper": C4Quality(),
        "c4_quality datatrove": C4Quality(convention="datatrove"),
        "c4_quality datatrove, as in FineWeb": C4Quality(convention="datatrove", terminal_punctuation=False),
        "fineweb_quality paper": FinewebQuality(),
        "fineweb_quality code": FinewebQuality(convention="code"),
        "refinedweb_lines": RefinedwebLines(),
        "madlad_quality paper": MadladQuality(),
        "madlad_quality olmo3": MadladQuality(convention="olmo3"),
    }


def batches(texts: list[str]) -> list[Batch]:
    """The texts in batches of about BATCH_BYTES."""
    ends = np.cumsum([len(text.encode()) for text in texts])
    cuts = [*np.flatnonzero(np.diff(ends // BATCH_BYTES, prepend=-1)).tolist(), len(texts)]
    return [batch_of(texts[start:stop]) for start, stop in pairwise(cuts)]


def seconds(stage: StreamingStage, made: list[Batch], repeats: int = 3) -> float:
    """Least CPU seconds of this process for all batches; their shared walks are not kept between runs."""
    taken = []
    for _ in range(repeats):
        fresh = [batch.slice(0, len(batch)) for batch in made]
        begun = time.process_time()
        for batch in fresh:
            stage.apply(batch)
        taken.append(time.process_time() - begun)
    return min(taken)


def speeds(texts: list[str]) -> dict[str, float]:
    """MB/s of each family."""
    made = batches(texts)
    size = sum(batch.text_bytes for batch in made) / 1e6
    for stage in families().values():
        stage.apply(batch_of(texts[:2]))  # compile
    return {name: size / seconds(stage, made) for name, stage in families().items()}


def peer_speeds(texts: list[str], python: str) -> dict[str, float]:
    """MB/s of datatrove's families, by the names of ours."""
    found = peer(python, texts, "own")
    size = sum(len(text.encode()) for text in texts) / 1e6
    return {name: size / found[family]["seconds"] for name, family in PEERS.items()}


def linear() -> Iterator[tuple[str, int, float]]:
    """Family, bytes of a document of prose with short and long lines, and CPU seconds."""
    line = "The quick brown fox, it is said, jumps over the lazy dog. And then? It runs on.\nA short line\n\n"
    for size in SIZES:
        batch = batch_of(["".join(f"{at} {line}" for at in range(size // len(line) + 1))[:size]])
        for name, stage in families().items():
            yield name, size, seconds(stage, [batch], 1 if size > 1_000_000 else 3)


def first_texts(folder: Path, megabytes: float) -> list[str]:
    """The first texts of a folder, so many MB of them."""
    found, size = [], 0.0
    for texts in texts_of(folder):
        for text in texts:
            if size >= megabytes * 1e6:
                return found
            found.append(text)
            size += len(text.encode())
    return found


def tell(folder: str, ours: Mapping[str, float], theirs: Mapping[str, float]) -> None:
    for name, speed in ours.items():
        beside = f", datatrove {theirs[name]:.2f}, {speed / theirs[name]:.0f} times" if name in theirs else ""
        print(f"{folder}: {name} {speed:.0f} MB/s{beside}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--peer", help="the Python of an environment with datatrove and spaCy")
    parser.add_argument("--sample", type=float, default=2, help="MB of text for the peer")
    parser.add_argument("--linear", action="store_true")
    parser.add_argument("folders", nargs="*", default=FOLDERS)
    options = parser.parse_args()
    data = Path(os.environ.get("CORPUSCURATE_DATA") or sys.exit("set CORPUSCURATE_DATA to the folder with the corpora"))
    for folder in options.folders:
        texts = [text for part in texts_of(data / folder) for text in part]
        sample = first_texts(data / folder, options.sample)
        tell(folder, speeds(texts), peer_speeds(sample, options.peer) if options.peer else {})
    for name, size, taken in linear() if options.linear else ():
        print(f"{name}: {size:,} bytes in {taken:.6f} s, {taken / size * 1e9:.2f} ns a byte")


if __name__ == "__main__":
    main()
