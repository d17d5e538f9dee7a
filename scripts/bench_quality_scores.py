"""Scores of fastText classifiers: ours beside fastText's C++, one core, in the same run.

    python scripts/bench_quality.py scores [--data FOLDER] [--work FOLDER] [--rounds 5] [--full] [--results FILE.json]

Trains (or finds in --work) a 2-label model of words and bigrams with 2 million buckets and dim 100, the same quantised
(.ftz, pruned to 100,000 features), and models of 176 labels with character n-grams, dim 16 (hierarchical softmax as in
lid.176, and plain softmax). Each round times both on the same documents, one after the other, in CPU seconds of the
thread. fastText's call is its best one: all lines at once (`multilinePredict`), k = 1. Then all scores are compared,
and the sets kept at 200 thresholds.

--full: compares on every text of the data folder, as the product's own readers give it (the column `text` of every file
that has one, and `text_b` and `html` where they are), not only those timed. --rounds 0 leaves the timing out.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import random
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import fasttext
import numpy as np
import orjson
import pyarrow as pa
from host import machine, today

from corpuscurate.core.columns import TEXT
from corpuscurate.core.spec import Source
from corpuscurate.engine.manifest import build_manifest
from corpuscurate.io.base import Want, input_format
from corpuscurate.methods.quality.fasttext_model import read_model
from corpuscurate.methods.quality.fasttext_scorer import Scorer

TOLERANCE = 3e-5
TARGETS = {"two.bin": 4.5, "two.ftz": None, "many_hs.bin": 2.0, "many_softmax.bin": 2.0}
"""Least ratio of speeds that is asked for."""
COLUMNS = ("text", "text_b", "html")
PIECE = 2000
"""Documents compared at once."""


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


def quantise(path: Path) -> None:
    model = fasttext.load_model(str(path.with_suffix(".bin")))
    model.quantize(str(path.with_suffix(".txt")), cutoff=100_000, retrain=True, qnorm=True, verbose=False)
    model.save_model(str(path))


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


def every_text(data: Path) -> Iterator[pa.LargeStringArray]:
    """All texts under a folder, by the product's readers."""
    manifest = build_manifest(Source(paths=(str(data),)), data)
    for split in manifest.splits:
        for file, span in zip(split.files, split.spans, strict=True):
            form = input_format(file.format)
            for column in sorted(set(COLUMNS) & set(form.columns(file)), key=COLUMNS.index):
                for chunk in form.read(file, span, Want(text=column)):
                    if chunk.batch is not None:
                        yield from pieces(chunk.batch.text)


def pieces(texts: pa.LargeStringArray) -> Iterator[pa.LargeStringArray]:
    yield from (texts.slice(first, PIECE) for first in range(0, len(texts), PIECE))


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


def differences(path: Path, label: str, texts: Iterable[pa.LargeStringArray]) -> dict[str, Any]:
    """Documents, the greatest difference, and documents that a threshold keeps for one of the two alone."""
    model, scorer = fasttext.load_model(str(path)), Scorer(read_model(str(path)), label)
    greatest, wrong, count, size = 0.0, 0, 0, 0
    for piece in texts:
        found = piece.to_pylist()
        more, others = compare(scorer.score(piece), theirs(model, [one_line(text) + "\n" for text in found], label))
        greatest, wrong, count = max(greatest, more), wrong + others, count + len(piece)
        size += sum(len(text.encode()) for text in found)
    return {
        "documents": count, "text_bytes": size, "greatest_difference": greatest, "allowed": TOLERANCE,
        "kept_by_one_alone": wrong,
    }  # fmt: skip


def speeds(path: Path, label: str, texts: list[str], rounds: int) -> dict[str, Any]:
    """MB/s of both in each round."""
    model, scorer = fasttext.load_model(str(path)), Scorer(read_model(str(path)), label)
    array, lines = pa.array(texts, TEXT), [one_line(text) + "\n" for text in texts]
    size = sum(len(text.encode()) for text in texts)
    scorer.score(array.slice(0, 1))
    ours, other = [], []
    for _ in range(rounds):
        ours.append(timed(lambda: scorer.score(array)))
        other.append(timed(lambda: model.f.multilinePredict(lines, 1, 0.0, "strict")))
    ratios = [b / a for a, b in zip(ours, other, strict=True)]
    megabytes = size / 1e6
    target = TARGETS[path.name]
    return {
        "documents": len(texts), "text_bytes": size, "cpu_seconds": ours, "fasttext_cpu_seconds": other,
        "mb_a_second": megabytes / float(np.median(ours)), "fasttext_mb_a_second": megabytes / float(np.median(other)),
        "ratio": float(np.median(ratios)), "least_ratio": min(ratios), "greatest_ratio": max(ratios), "target": target,
        "met": target is None or float(np.median(ratios)) >= target,
    }  # fmt: skip


def bench(path: Path, label: str, texts: list[str], rounds: int, data: Path | None) -> dict[str, Any]:
    """The row of a model. data: the folder to compare all of."""
    row: dict[str, Any] = {"model": path.name, "labels": len(read_model(str(path)).labels)}
    if rounds:
        row["speed"] = speeds(path, label, texts, rounds)
    row["timed_documents"] = differences(path, label, pieces(pa.array(texts, TEXT)))
    if data is not None:
        row["all_documents"] = differences(path, label, every_text(data))
    print(f"{path.name}: {json.dumps(row)}", file=sys.stderr, flush=True)
    return row


def markdown(rows: list[dict[str, Any]]) -> str:
    """The results as a table."""
    lines = [
        "| model | labels | MB/s | fastText MB/s | ratio | target | compared | greatest difference | kept by one |"
    ]
    lines += ["|---|---:|---:|---:|---:|---:|---:|---:|---:|"]
    for row in rows:
        speed, same = row.get("speed"), row.get("all_documents", row["timed_documents"])
        cells = ["", "", "", ""]
        if speed:
            ratio = f"{speed['ratio']:.2f} ({speed['least_ratio']:.2f} to {speed['greatest_ratio']:.2f})"
            met = "" if speed["target"] is None else f"{speed['target']} {'met' if speed['met'] else 'MISSED'}"
            cells = [f"{speed['mb_a_second']:.0f}", f"{speed['fasttext_mb_a_second']:.0f}", ratio, met]
        lines.append(
            f"| {row['model']} | {row['labels']} | {' | '.join(cells)} | {same['documents']:,} "
            f"| {same['greatest_difference']:.1e} | {same['kept_by_one_alone']} |"
        )
    return "\n".join(lines)


def options() -> argparse.Namespace:
    """The command line."""
    data = os.environ.get("CORPUSCURATE_DATA")
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=data, required=data is None, help="or CORPUSCURATE_DATA")
    parser.add_argument("--work", type=Path, default=Path(tempfile.gettempdir(), "corpuscurate-bench-quality"))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--models", nargs="+", default=[*TARGETS], choices=[*TARGETS])
    parser.add_argument("--full", action="store_true")
    parser.add_argument("--results", type=Path, help="JSON file to write")
    return parser.parse_args()


def main() -> None:
    """Measure, print, write."""
    given = options()
    host = machine()
    given.work.mkdir(parents=True, exist_ok=True)
    make: dict[str, Callable[[Path], None]] = {
        "two.bin": lambda path: train_two(given.data, path),
        "two.ftz": quantise,
        "many_hs.bin": lambda path: train_many(given.data, path, "hs"),
        "many_softmax.bin": lambda path: train_many(given.data, path, "softmax"),
    }
    for name, action in make.items():
        if not (given.work / name).exists():
            action(given.work / name)
    plain = [
        r["text"] for name in ("books/classic_books", "bench/part-000") for r in load(given.data / f"{name}.jsonl.gz")
    ]
    many = [r["text"][:4000] for r in load(given.data / "multilingual/bible46.jsonl.gz")][:1500]
    many += [r["text"] for r in load(given.data / "multilingual/tldr.jsonl.gz")][:8000]
    everything = given.data if given.full else None
    rows = []
    for name in given.models:
        two = name.startswith("two")
        label = "hq" if two else read_model(str(given.work / name)).labels[0].removeprefix("__label__")
        rows.append(bench(given.work / name, label, plain if two else many, given.rounds, everything))
    print(markdown(rows))
    if given.results:
        versions = {name: version(name) for name in ("corpuscurate", "fasttext-community", "numba", "numpy")}
        result = {"date": today(), "machine": host, "versions": versions, "models": rows}
        given.results.parent.mkdir(parents=True, exist_ok=True)
        given.results.write_text(json.dumps(result, indent=1) + "\n")
    found = [row[part] for row in rows for part in ("timed_documents", "all_documents") if part in row]
    if any(each["greatest_difference"] > TOLERANCE or each["kept_by_one_alone"] for each in found):
        raise SystemExit("scores are not fastText's own")


if __name__ == "__main__":
    main()
