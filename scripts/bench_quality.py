"""Scores of fastText classifiers: ours beside fastText's C++, one core, in the same run.

    python scripts/bench_quality.py --data FOLDER [--work FOLDER] [--rounds 5] [--full]

Part A. Trains (or finds in --work) a 2-label model of words and bigrams with 2 million buckets and dim 100, and models
of 176 labels with character n-grams, dim 16 (hierarchical softmax as in lid.176, and plain softmax). Each round times
both on the same documents, one after the other, in CPU seconds of the thread. fastText's call is its best one: all
lines at once (`multilinePredict`), k = 1. Then all scores are compared, and the sets kept at 200 thresholds.
--full: compares on every document of the data folder (with a text field), not only those timed.
"""

from __future__ import annotations

import argparse
import gzip
import random
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import fasttext
import numpy as np
import orjson
import pyarrow as pa

from corpuscurate.columns import TEXT
from corpuscurate.fasttext_model import read_model
from corpuscurate.fasttext_scorer import Scorer

TOLERANCE = 3e-5


def load(path: Path) -> Iterator[dict]:
    with gzip.open(path) as file:
        for line in file:
            record = orjson.loads(line)
            if isinstance(record.get("text"), str):
                yield record


def one_line(text: str) -> str:
    return " ".join(text.split("\n"))


def write_lines(path: Path, rows: list[tuple[str, str]]) -> None:
    random.Random(1).shuffle(rows)
    path.write_text("".join(f"__label__{label} {' '.join(text.split())}\n" for label, text in rows), encoding="utf-8")


def train_two(data: Path, path: Path) -> None:
    books = [("hq", record["text"]) for record in load(data / "books/classic_books.jsonl.gz")][:1200]
    docs = [("cc", record["text"]) for record in load(data / "bench/part-000.jsonl.gz")][:8000]
    lines = path.with_suffix(".txt")
    write_lines(lines, books + docs)
    fasttext.train_supervised(str(lines), dim=100, wordNgrams=2, bucket=2_000_000, epoch=2, verbose=0).save_model(
        str(path)
    )


def train_many(data: Path, path: Path, loss: str) -> None:
    rows = []
    for name in ("bible46", "tldr"):
        for number, record in enumerate(load(data / f"multilingual/{name}.jsonl.gz")):
            if number % 2 == 0:
                rows.append((f"{record['lang']}_{number // 2 % 4}", record["text"][:600]))
    chosen = set(sorted({label for label, _ in rows})[:176])
    lines = path.with_suffix(".txt")
    write_lines(lines, [row for row in rows if row[0] in chosen])
    options = {"dim": 16, "minn": 2, "maxn": 4, "bucket": 2_000_000, "epoch": 3, "loss": loss, "verbose": 0}
    fasttext.train_supervised(str(lines), **options).save_model(str(path))


def timed(action: Callable[[], object]) -> float:
    started = time.thread_time()
    action()
    return time.thread_time() - started


def theirs(model: object, lines: list[str], label: str) -> np.ndarray:
    """fastText's scores of the label, at most 1; nan where it reports no label at all, 0 where not this one."""
    names, scores = model.f.multilinePredict(lines, -1, 0.0, "strict")  # type: ignore[attr-defined]
    found = [
        dict(zip(n, s, strict=True)).get(f"__label__{label}", 0.0 if n else np.nan)
        for n, s in zip(names, scores, strict=True)
    ]
    return np.minimum(np.array(found), 1.0)


def compare(ours: np.ndarray, other: np.ndarray) -> tuple[float, int]:
    """Greatest difference, and documents on different sides of a threshold though further from it than TOLERANCE."""
    if (np.isnan(ours) != np.isnan(other)).any():
        raise SystemExit("one of the two knows no feature of a document, the other does")
    there = ~np.isnan(ours)
    ours, other = ours[there], other[there]
    wrong = 0
    for threshold in np.unique(np.quantile(other, np.linspace(0, 1, 200))):
        differ = (ours >= threshold) != (other >= threshold)
        wrong += int((differ & (np.abs(other - threshold) > TOLERANCE)).sum())
    return float(np.abs(ours - other).max()) if len(ours) else 0.0, wrong


def bench(path: Path, label: str, texts: list[str], rounds: int, target: float, everything: list[Path]) -> None:
    model, scorer = fasttext.load_model(str(path)), Scorer(read_model(str(path)), label)
    array, lines = pa.array(texts, TEXT), [one_line(text) + "\n" for text in texts]
    size = sum(len(text.encode()) for text in texts) / 1e6
    scorer.score(array)
    ratios, speeds = [], []
    for _ in range(rounds):
        ours = timed(lambda: scorer.score(array))
        other = timed(lambda: model.f.multilinePredict(lines, 1, 0.0, "strict"))
        ratios.append(other / ours)
        speeds.append((size / ours, size / other))
    median = float(np.median(ratios))
    ours_speed, other_speed = np.median(np.array(speeds), axis=0)
    print(f"{path.name}: {len(texts):,} documents, {size:.1f} MB, {len(read_model(str(path)).labels)} labels")
    print(f"  ours {ours_speed:.0f} MB/s, fastText {other_speed:.1f} MB/s; ratio median {median:.2f}, ", end="")
    print(f"{min(ratios):.2f} to {max(ratios):.2f} (target {target}: {'met' if median >= target else 'MISSED'})")
    greatest, wrong = compare(scorer.score(array), theirs(model, lines, label))
    count = len(texts)
    for file in everything:
        batch: list[str] = []
        for record in load(file):
            batch.append(record["text"])
            if len(batch) == 2000:
                greatest, wrong, count = _merge(scorer, model, label, batch, greatest, wrong, count)
                batch = []
        greatest, wrong, count = _merge(scorer, model, label, batch, greatest, wrong, count)
    print(
        f"  greatest difference {greatest:.2e} on {count:,} documents (allowed {TOLERANCE:.0e}); {wrong} kept otherwise"
    )


def _merge(
    scorer: Scorer, model: object, label: str, batch: list[str], greatest: float, wrong: int, count: int
) -> tuple[float, int, int]:
    if not batch:
        return greatest, wrong, count
    lines = [one_line(text) + "\n" for text in batch]
    more, others = compare(scorer.score(pa.array(batch, TEXT)), theirs(model, lines, label))
    return max(greatest, more), wrong + others, count + len(batch)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--work", type=Path, default=Path(tempfile.gettempdir(), "corpuscurate-bench-quality"))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--full", action="store_true")
    given = parser.parse_args()
    given.work.mkdir(parents=True, exist_ok=True)
    models = {
        "two.bin": lambda path: train_two(given.data, path),
        "many_hs.bin": lambda path: train_many(given.data, path, "hs"),
        "many_softmax.bin": lambda path: train_many(given.data, path, "softmax"),
    }
    for name, train in models.items():
        if not (given.work / name).exists():
            train(given.work / name)
    everything = []
    if given.full:
        everything = sorted(path for path in given.data.rglob("*.jsonl.gz") if "gold" not in path.parts)
    plain = [
        r["text"] for name in ("books/classic_books", "bench/part-000") for r in load(given.data / f"{name}.jsonl.gz")
    ]
    bench(given.work / "two.bin", "hq", plain, given.rounds, 4.5, everything)
    many = [r["text"][:4000] for r in load(given.data / "multilingual/bible46.jsonl.gz")][:1500]
    many += [r["text"] for r in load(given.data / "multilingual/tldr.jsonl.gz")][:8000]
    for name in ("many_hs.bin", "many_softmax.bin"):
        label = read_model(str(given.work / name)).labels[0].removeprefix("__label__")
        bench(given.work / name, label, many, given.rounds, 2.0, everything if name == "many_hs.bin" else [])


if __name__ == "__main__":
    main()
