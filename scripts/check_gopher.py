"""Hold `gopher_quality` against its naive twin on every document of real corpora.

    CORPUSCURATE_DATA=... python scripts/check_gopher.py [folder ...]

Reads `text` of every record of `$CORPUSCURATE_DATA/<folder>/*.jsonl.gz` (neardup, books, multilingual and bench unless
folders are named), compares all measures, the reason and the value of each document, and tells the speed of both.
Ends with exit code 1 when any document differs.
"""

from __future__ import annotations

import gzip
import os
import sys
import time
from collections import Counter
from pathlib import Path

import numpy as np
import orjson
import pyarrow as pa

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from naive.text import gopher_statistics, gopher_verdict  # noqa: E402

from corpuscurate.core.batch import Batch  # noqa: E402
from corpuscurate.core.columns import TEXT  # noqa: E402
from corpuscurate.stages.gopher_quality import GopherQuality  # noqa: E402

FOLDERS = ("neardup", "books", "multilingual", "bench")


def batch_of(path: Path) -> Batch:
    with gzip.open(path) as lines:
        texts = pa.array([orjson.loads(line)["text"] for line in lines], TEXT)
    return Batch(np.arange(len(texts), dtype=np.uint64), texts, np.zeros(len(texts), np.int64))


def ratio(part: int, whole: int) -> float:
    return part / whole if whole else 0.0


def expected_measures(text: str) -> dict[str, float]:
    count = gopher_statistics(text)
    words, lines = count["words"], count["lines"]
    return {
        "words": words,
        "mean_word_length": ratio(count["characters"], words),
        "hash_ratio": ratio(count["hashes"], words),
        "ellipsis_ratio": ratio(count["ellipses"], words),
        "bullet_line_ratio": ratio(count["bullet_lines"], lines),
        "ellipsis_line_ratio": ratio(count["ellipsis_lines"], lines),
        "alphabetic_word_ratio": ratio(count["alphabetic_words"], words),
        "stop_words": count["stop_words"],
    }


def compare(path: Path, batch: Batch) -> tuple[int, Counter[str]]:
    """How many documents differ, and the verdicts."""
    stage = GopherQuality(mode="tag")
    outcome = stage.apply(batch)
    measures = {name: column.to_pylist() for name, column in outcome.measures.items()}
    names = list(stage.rules())
    different = 0
    verdicts: Counter[str] = Counter()
    for row, text in enumerate(batch.text.to_pylist()):
        reason = int(outcome.reason[row])
        verdict = (names[reason - 1], float(outcome.value[row])) if reason else None
        found = {name: values[row] for name, values in measures.items()}
        verdicts[verdict[0] if verdict else "kept"] += 1
        if verdict != gopher_verdict(text) or found != expected_measures(text):
            different += 1
            print("expected", gopher_verdict(text), expected_measures(text), end="; found ")
            print(f"{path}, document {row}: {verdict}, {found}")
    return different, verdicts


def main() -> None:
    data = os.environ.get("CORPUSCURATE_DATA") or sys.exit("set CORPUSCURATE_DATA to the folder with the corpora")
    GopherQuality().apply(batch_of_one("compile the kernels"))
    different, documents, size, fast, slow = 0, 0, 0, 0.0, 0.0
    verdicts: Counter[str] = Counter()
    for folder in sys.argv[1:] or FOLDERS:
        for path in sorted(Path(data, folder).glob("*.jsonl.gz")):
            batch = batch_of(path)
            started = time.perf_counter()
            GopherQuality().apply(batch)
            took = time.perf_counter() - started
            started = time.perf_counter()
            wrong, found = compare(path, batch)
            slow += time.perf_counter() - started
            fast += took
            different += wrong
            verdicts += found
            documents += len(batch)
            size += batch.text_bytes
            print(f"{path.name}: {len(batch)} documents, {wrong} differ, {batch.text_bytes / took / 1e6:.0f} MB/s")
    print(f"{documents} documents, {size / 1e6:.1f} MB: {different} differ")
    print(f"stage {size / fast / 1e6:.0f} MB/s, twin (twice, with comparison) {size / slow / 1e6:.1f} MB/s")
    print(dict(verdicts.most_common()))
    sys.exit(different > 0 or documents == 0)


def batch_of_one(text: str) -> Batch:
    return Batch(np.zeros(1, np.uint64), pa.array([text], TEXT), np.zeros(1, np.int64))


if __name__ == "__main__":
    main()
