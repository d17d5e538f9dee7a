"""What trained quality classifiers are worth, beside fastText's own training and evaluation of the same documents.

    python scripts/bench_quality.py training [--data FOLDER] [--sets NAME ...] [--seeds N] [--results FILE.json]

sets: clickbait (16,000 clickbait and 16,000 news headlines), onestop (189 articles at three reading levels; all
versions of an article stay on one side), books (chapters of books against pages of documentation; all chapters of a
book stay on one side). Each goes through `corpuscurate train quality` as it is, with default parameters: fastText, and
heads on learned embeddings. Beside it the package `fasttext` trains with the same parameters on the same documents,
from lines that this script writes (in the same order, by the hash of the text), and says with its own `test` what it
is worth on the same held-out ones.

onestop is small (114 held-out documents): figures are means over --seeds splits, with the standard deviation.

noise: a tenth of the training labels of a set with two labels is flipped. What share of them confident learning lists,
how much of its list was flipped, and F1 on the held-out part, whose labels stay as they were: of the clean labels, of
the noisy ones, and with `--drop-label-issues`.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import fasttext
import numpy as np
import orjson
import xxhash
from host import machine, today

from corpuscurate.tools.train.data import Documents, gather
from corpuscurate.tools.train.evaluate import roc_auc
from corpuscurate.tools.train.near_copies import cluster_hashes, clusters, exact_and_near
from corpuscurate.tools.train.recipe import FasttextParameters, load_train_recipe
from corpuscurate.tools.train.split import Split, split

POINT = 0.01
NOISE = 0.1
POSITIVE = {"clickbait": "clickbait", "onestop": "adv", "books": "book"}
LEVELS = {"ele": "0", "int": "1", "adv": "2"}
HEADS = {"clickbait": ["logistic"], "onestop": ["logistic", "ridge"], "books": ["logistic"]}
FIGURES = ("f1", "accuracy", "roc_auc")


def records(path: Path) -> Iterator[dict[str, Any]]:
    with gzip.open(path) as file:
        yield from map(orjson.loads, file)


def write_set(name: str, data: Path, path: Path) -> None:
    """The labelled documents of a set as JSON lines: id, text, label, group."""
    if name == "clickbait":
        rows = [{**row, "group": None} for row in records(data / "quality/clickbait.jsonl.gz")]
    elif name == "onestop":
        rows = [{**row, "group": row["parallel_id"]} for row in records(data / "quality/onestop_english.jsonl.gz")]
    else:
        rows = [
            {**row, "label": "book", "group": row["id"].split("#")[0]}
            for row in records(data / "books/classic_books.jsonl.gz")
        ]
        rows += [{**row, "label": "documentation", "group": None} for row in records(data / "bench/part-000.jsonl.gz")]
    write_rows(path, rows)


def write_rows(path: Path, rows: list[dict[str, Any]]) -> None:
    path.write_bytes(
        b"".join(orjson.dumps({k: row[k] for k in ("id", "text", "label", "group")}) + b"\n" for row in rows)
    )


def one_line(text: str) -> str:
    return text.replace("\n", " ")


def train(folder: Path, name: str, positive: str, *options: str, **more: Any) -> dict[str, Any]:
    """The card of `corpuscurate train quality` on folder/NAME.jsonl, and the seconds it took (`seconds`)."""
    output = folder / f"{name}-model"
    value = {
        "input": [{"paths": [f"{name}.jsonl"], "label_columns": "label", "group": "group", "id": "id"}],
        "positive": positive,
        "output": str(output),
        **more,
    }
    recipe = folder / f"{name}.yaml"
    recipe.write_bytes(orjson.dumps(value))  # JSON is YAML
    started = time.monotonic()
    subprocess.run(
        [sys.executable, "-m", "corpuscurate", "train", "quality", str(recipe), "--quiet", *options], check=True
    )
    return {**orjson.loads((output / "card.json").read_bytes()), "seconds": time.monotonic() - started}


def parts_of(folder: Path, name: str) -> tuple[Documents, Split]:
    """The documents and the split of the last training of that name, found again."""
    recipe, base = load_train_recipe(folder / f"{name}.yaml")
    own = folder / f"{name}-parts"
    own.mkdir(exist_ok=True)
    documents = gather(recipe, base, own)
    exact, near = exact_and_near(documents, own, recipe.split.threshold, 1)
    cluster = cluster_hashes(documents, clusters(documents, exact, near))
    return documents, split(documents.labels, exact, cluster, recipe.split.test, recipe.split.seed)


def check_same(card: dict[str, Any], documents: Documents, parts: Split) -> None:
    """The split found again is the one that was trained on."""
    for i, name in enumerate(documents.names):
        found = [int((documents.labels[rows] == i).sum()) for rows in (parts.train, parts.test)]
        if found != [card["data"]["counts"][name][part] for part in ("training", "test")]:
            raise SystemExit(f"the split of {name} is not that of the card")


def by_fasttext(folder: Path, name: str, positive: str) -> dict[str, Any]:
    """fastText's own training and evaluation of the same documents with the same parameters."""
    documents, parts = parts_of(folder, name)
    card = orjson.loads((folder / f"{name}-model" / "card.json").read_bytes())
    check_same(card, documents, parts)
    texts = documents.table.column("text").to_pylist()
    files = {}
    mixed = sorted(parts.train.tolist(), key=lambda row: xxhash.xxh3_64_intdigest(texts[row].encode()))
    for part, rows in (("training", mixed), ("test", parts.test)):
        files[part] = folder / f"{name}-{part}.txt"
        lines = [f"__label__{documents.names[documents.labels[row]]} {one_line(texts[row])}\n" for row in rows]
        files[part].write_text("".join(lines), encoding="utf-8")
    own = {"quantize", "cutoff"}
    given = {key: card["parameters"][key] for key in FasttextParameters.model_fields if key not in own}
    names = {"min_n": "minn", "max_n": "maxn", "word_ngrams": "wordNgrams", "min_count": "minCount"}
    chosen = {names.get(key, key): value for key, value in given.items()}
    model = fasttext.train_supervised(str(files["training"]), verbose=0, **chosen)
    _, precision_at_1, _ = model.test(str(files["test"]))
    label = f"__label__{positive}"
    lines = [one_line(texts[row]) + "\n" for row in parts.test]
    labels, scores = model.f.multilinePredict(lines, -1, 0.0, "strict")
    found = [dict(zip(a, b, strict=True)).get(label, 0.0) for a, b in zip(labels, scores, strict=True)]
    wanted = documents.labels[parts.test] == documents.names.index(positive)
    return {
        "f1": model.test_label(str(files["test"]))[label]["f1score"],
        "accuracy": precision_at_1,
        "roc_auc": roc_auc(np.array(found), wanted),
    }


def measure(folder: Path, name: str, data: Path, seeds: int) -> list[dict[str, Any]]:
    """A row a trainer."""
    positive = POSITIVE[name]
    write_set(name, data, folder / f"{name}.jsonl")
    rows = [measured("fasttext", name, folder, positive, seeds)]
    for trainer in HEADS[name]:
        if trainer == "ridge":
            write_levels(folder / f"{name}.jsonl")
        rows.append(measured(trainer, name, folder, LEVELS[positive] if trainer == "ridge" else positive, seeds))
    return rows


def write_levels(path: Path) -> None:
    rows = [orjson.loads(line) for line in path.read_bytes().splitlines()]
    write_rows(path, [{**row, "label": LEVELS[row["label"]]} for row in rows])


def measured(trainer: str, name: str, folder: Path, positive: str, seeds: int) -> dict[str, Any]:
    """The figures of a trainer, means over the splits; of fastText the package's own beside ours."""
    ours, theirs, counts = [], [], (0, 0)
    for seed in range(seeds if name == "onestop" else 1):
        with tempfile.TemporaryDirectory(dir=folder) as scratch:
            own = Path(scratch)
            (own / f"{name}.jsonl").symlink_to(folder / f"{name}.jsonl")
            labels = {"find_issues": False}
            card = train(own, name, positive, trainer=trainer, split={"seed": seed}, labels=labels)
            ours.append({**{key: card["test"][key] for key in FIGURES}, "seconds": card["seconds"]})
            if trainer == "fasttext":
                theirs.append(by_fasttext(own, name, positive))
            sizes = card["data"]["counts"].values()
            counts = sum(size["training"] for size in sizes), card["test"]["documents"]
    row = {"set": name, "trainer": trainer, "positive": positive, "splits": len(ours)}
    row |= {"training_documents": counts[0], "test_documents": counts[1], "ours": mean(ours)}
    if theirs:
        row |= {"fasttext": mean(theirs)}
        apart = [abs(a[key] - b[key]) for a, b in zip(ours, theirs, strict=True) for key in FIGURES]
        row |= {"greatest_difference": max(apart), "within_a_point": max(apart) <= POINT}
    tell(orjson.dumps(row).decode())
    return row


def mean(rows: list[dict[str, float]]) -> dict[str, float]:
    found = {key: float(np.mean([row[key] for row in rows])) for key in rows[0]}
    spread = {f"{key}_deviation": float(np.std([row[key] for row in rows])) for key in FIGURES}
    return found | (spread if len(rows) > 1 else {})


def noise(folder: Path, name: str, data: Path, seed: int) -> dict[str, Any]:
    """Planted label noise: what is found, and what finding it is worth."""
    positive = POSITIVE[name]
    write_set(name, data, folder / f"{name}.jsonl")
    labels = {"find_issues": False}
    clean = train(folder, name, positive, labels=labels)
    documents, parts = parts_of(folder, name)
    check_same(clean, documents, parts)
    rows = [orjson.loads(line) for line in (folder / f"{name}.jsonl").read_bytes().splitlines()]
    planted = set(random.Random(seed).sample(parts.train.tolist(), round(NOISE * len(parts.train))))
    flip = dict(zip(documents.names, documents.names[::-1], strict=True))
    wrong = {rows[i]["text"] for i in planted}  # copies of a document are wrong together, and stay copies
    changed = [
        {**row, "id": str(i), "label": flip[row["label"]] if row["text"] in wrong else row["label"]}
        for i, row in enumerate(rows)
    ]
    write_rows(folder / "noisy.jsonl", changed)
    noisy = train(folder, "noisy", positive)
    lines = (folder / "noisy-model" / "label_issues.jsonl").read_bytes().splitlines()
    listed = {int(orjson.loads(line)["id"]) for line in lines}
    (folder / "noisy-model").rename(folder / "noisy-before")
    dropped = train(folder, "noisy", positive, "--drop-label-issues")
    if not noisy["test"]["documents"] == dropped["test"]["documents"] == clean["test"]["documents"]:
        raise SystemExit("the noisy set was split otherwise than the clean one")
    found = len(listed & planted)
    row = {
        "set": name, "seed": seed, "training_documents": len(parts.train), "planted": len(planted),
        "listed": len(listed), "found": found, "share_found": found / len(planted), "precision": found / len(listed),
        "f1_clean": clean["test"]["f1"], "f1_before": noisy["test"]["f1"], "f1_after": dropped["test"]["f1"],
        "roc_auc_clean": clean["test"]["roc_auc"], "roc_auc_before": noisy["test"]["roc_auc"],
        "roc_auc_after": dropped["test"]["roc_auc"], "seconds": dropped["seconds"],
    }  # fmt: skip
    tell(orjson.dumps(row).decode())
    return row


def tell(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def markdown(result: dict[str, Any]) -> str:
    """The results as tables."""
    lines = ["| set | trainer | training, held out | F1 | accuracy | ROC-AUC | fastText's own |"]
    lines += ["|---|---|---:|---:|---:|---:|---:|"]
    for row in result["sets"]:
        ours, theirs = row["ours"], row.get("fasttext")
        cells = [_figure(ours, key) for key in FIGURES]
        other = ", ".join(_figure(theirs, key) for key in FIGURES) if theirs else ""
        sizes = f"{row['training_documents']:,}, {row['test_documents']:,}"
        lines.append(f"| {row['set']} | {row['trainer']} | {sizes} | {' | '.join(cells)} | {other} |")
    lines += ["", "| noise in | planted | listed | found | precision | F1 clean, noisy, after |"]
    lines += ["|---|---:|---:|---:|---:|---:|"]
    for row in result["noise"]:
        figures = ", ".join(f"{row[f'f1_{key}']:.3f}" for key in ("clean", "before", "after"))
        shares = f"{row['share_found']:.3f} | {row['precision']:.3f}"
        lines.append(f"| {row['set']} | {row['planted']:,} | {row['listed']:,} | {shares} | {figures} |")
    return "\n".join(lines)


def _figure(row: dict[str, float], key: str) -> str:
    spread = row.get(f"{key}_deviation")
    return f"{row[key]:.3f}" + (f" ± {spread:.3f}" if spread is not None else "")


def main() -> None:
    data = os.environ.get("CORPUSCURATE_DATA")
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=data, required=data is None, help="or CORPUSCURATE_DATA")
    parser.add_argument("--sets", nargs="*", default=[*POSITIVE], choices=[*POSITIVE])
    parser.add_argument("--noise", nargs="*", default=["clickbait", "books"], choices=["clickbait", "books"])
    parser.add_argument("--seeds", type=int, default=5, help="splits of onestop")
    parser.add_argument("--results", type=Path, help="JSON file to write")
    given = parser.parse_args()
    result: dict[str, Any] = {
        "date": today(),
        "machine": machine(),
        "versions": {name: version(name) for name in ("corpuscurate", "fasttext-community", "cleanlab", "numpy")},
    }
    with tempfile.TemporaryDirectory(prefix="corpuscurate-bench-") as name:
        folder = Path(name)
        result["sets"] = [row for each in given.sets for row in measure(folder, each, given.data, given.seeds)]
        result["noise"] = []
        for each in given.noise:
            with tempfile.TemporaryDirectory(dir=folder) as own:
                result["noise"].append(noise(Path(own), each, given.data, 0))
    print(markdown(result))
    if given.results:
        given.results.parent.mkdir(parents=True, exist_ok=True)
        given.results.write_text(json.dumps(result, indent=1) + "\n")
    if not all(row.get("within_a_point", True) for row in result["sets"]):
        raise SystemExit("a figure is more than a point from fastText's own")


if __name__ == "__main__":
    main()
