"""What computes a transformer on a CPU: speed, cosines to float32 of torch, and decisions that differ.

Called by `bench_embedders.py DATA --backends [--minilm]`, which says what is printed.
"""

from __future__ import annotations

import random
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
from numpy.typing import NDArray
from scipy.stats import spearmanr

from corpuscurate import curate
from corpuscurate.core.machine import processor_kind
from corpuscurate.core.stage import package_version
from corpuscurate.methods.embed.base import embedding_column
from corpuscurate.methods.embed.make import make_embedder
from corpuscurate.methods.embed.precision import ONNX_PACKAGES
from corpuscurate.methods.embed.sentence import SentenceTransformers, resolve
from corpuscurate.methods.embed.sequence import SequenceClassification, SequenceScorer
from corpuscurate.stages.semantic import DEFAULT_THRESHOLD, Semantic

KINDS: dict[str, dict[str, Any]] = {
    "torch": {},
    "torch bfloat16": {"precision": "bfloat16"},
    "onnx": {"backend": "onnx"},
    "onnx int8": {"backend": "onnx", "precision": "int8"},
}
SOURCES = {"bench": "bench/part-000", "neardup": "neardup/msdocs_vba-00", "multilingual": "multilingual/tldr"}
Rows = NDArray[np.float32]
Read = Callable[[Path], list[dict[str, Any]]]


def say(**values: Any) -> None:
    print(orjson.dumps(values, option=orjson.OPT_SERIALIZE_NUMPY).decode(), flush=True)


def array(texts: list[str]) -> pa.LargeStringArray:
    return pa.array(texts, pa.large_string())


def reworded(text: str, rng: random.Random) -> str:
    """The text with 2 to 20 % of its words dropped: cosines on both sides of the default threshold."""
    share = rng.uniform(0.02, 0.2)
    return " ".join(word for word in re.split(r"\s+", text) if rng.random() >= share)


def corpora(read: Read, data: Path, documents: int) -> Iterator[tuple[str, list[str]]]:
    """So many documents of each source, evenly spaced but for neardup, and a rewording of every second one."""
    rng = random.Random(11)
    for name, place in SOURCES.items():
        found = [record["text"] for record in read(data / f"{place}.jsonl.gz")]
        found = [text for text in found if len(text.split()) >= 10]
        step = 1 if name == "neardup" else max(1, len(found) // documents)
        texts = found[::step][:documents]
        yield name, texts + [reworded(text, rng) for text in texts[::2]]


def timed(work: Callable[[], Any]) -> tuple[Any, float, float]:
    """What it gives, CPU seconds and wall seconds."""
    wall, cpu = time.time(), time.process_time()
    found = work()
    return found, time.process_time() - cpu, time.time() - wall


def speeds(model: str, texts: list[str], kinds: dict[str, dict[str, Any]], slow: int) -> None:
    """CPU seconds a document of `encode` and of each kind, in turn, the best of two. slow: documents for bfloat16."""
    import torch
    from sentence_transformers import SentenceTransformer

    torch.set_num_threads(1)
    package = SentenceTransformer(str(resolve(model)), device="cpu")
    works: dict[str, Callable[[list[str]], Any]] = {"encode": lambda chosen: package.encode(chosen, batch_size=32)}
    for kind, more in kinds.items():
        embedder = make_embedder(SentenceTransformers(model=model, **more))
        works[kind] = lambda chosen, embedder=embedder: embedder.embed(array(chosen))
    best: dict[str, float] = {}
    for _ in range(2):
        for kind, work in works.items():
            chosen = texts[:slow] if "bfloat16" in kind else texts
            _, cpu, _ = timed(lambda work=work, chosen=chosen: work(chosen))
            best[kind] = min(best.get(kind, np.inf), cpu / len(chosen))
    for kind, cpu in best.items():
        found = {"cpu_seconds_a_document": round(cpu, 4), "documents_a_second_a_core": round(1 / cpu, 1)}
        say(speed=kind, model=model, documents=len(texts), **found, times_of_encode=round(best["encode"] / cpu, 2))


def kept(rows: Rows, keep: Any) -> set[int]:
    """The documents that `semantic` keeps at its default threshold."""
    table = pa.table({"text": [str(i) for i in range(len(rows))], "e": embedding_column(rows)})
    outcome = pa.table(curate(table, [Semantic(embedding="e", keep=keep)]).kept)
    return {int(text) for text in outcome.column("text").to_pylist()}


def decisions(name: str, texts: list[str], embed: dict[str, Callable[[list[str]], Rows]]) -> None:
    """Cosines to float32 of torch, and documents kept by one and dropped by the other."""
    expected = embed["torch"](texts)
    before = {keep: kept(expected, keep) for keep in ("hard", "first")}
    for kind, make in embed.items():
        if kind == "torch":
            continue
        rows = make(texts)
        filled = expected.any(axis=1)
        cosines = (rows[filled].astype(np.float64) * expected[filled]).sum(axis=1)
        after = {keep: kept(rows, keep) for keep in before}
        pairs = [np.triu(each @ each.T, 1)[np.triu_indices(len(each), 1)] for each in (expected, rows)]
        near = pairs[0] >= DEFAULT_THRESHOLD - 0.1
        say(
            corpus=name,
            kind=kind,
            documents=len(texts),
            cosine_least=round(float(cosines.min()), 6),
            cosine_1st_percentile=round(float(np.quantile(cosines, 0.01)), 6),
            cosine_mean=round(float(cosines.mean()), 6),
            pair_cosine_error_near=round(float(np.abs(pairs[1] - pairs[0])[near].max(initial=0)), 5),
            dropped={keep: [len(texts) - len(each[keep]) for each in (before, after)] for keep in before},
            decisions_that_differ={keep: len(before[keep] ^ after[keep]) for keep in before},
        )


def graded(model: str, texts: list[str], grades: NDArray[np.float64], folder: Path, tokens: int) -> Path:
    """A regression of transformers: the encoder of a sentence-transformers model, and a head fitted to the grades."""
    import torch
    import transformers

    made = transformers.AutoModelForSequenceClassification.from_pretrained(
        str(resolve(model)), num_labels=1, problem_type="regression"
    )
    tokenizer = transformers.AutoTokenizer.from_pretrained(str(resolve(model)))
    made.eval()
    features = []
    with torch.inference_mode():
        for text in texts:
            found = tokenizer(text, truncation=True, max_length=tokens, return_tensors="pt")
            features.append(made.base_model(**found).pooler_output[0].numpy())
        wide = np.column_stack([np.array(features, np.float64), np.ones(len(texts))])
        solved = np.linalg.solve(wide.T @ wide + 0.3 * np.eye(wide.shape[1]), wide.T @ grades)
        made.classifier.weight.copy_(torch.from_numpy(solved[None, :-1]))
        made.classifier.bias.copy_(torch.from_numpy(solved[-1:]))
    made.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def scores(folder: Path, texts: list[str], kinds: dict[str, dict[str, Any]], tokens: int) -> None:
    """Scores of a regression: difference, rank agreement, and equal rounded grades."""
    found = {
        kind: SequenceScorer(SequenceClassification(model=str(folder), max_tokens=tokens, **more), None).score(
            array(texts)
        )
        for kind, more in kinds.items()
    }
    expected = found.pop("torch")
    for kind, each in found.items():
        say(
            scores=kind,
            documents=len(texts),
            greatest_difference=round(float(np.abs(each - expected).max()), 5),
            spread=round(float(expected.std()), 4),
            spearman=round(float(spearmanr(expected, each).statistic), 6),
            equal_grades=round(float((np.rint(each) == np.rint(expected)).mean()), 4),
        )


def measure(
    read: Read,
    data: Path,
    model: str,
    folder: Path,
    documents: int,
    tokens: int | None,
    kinds: dict[str, dict[str, Any]],
) -> None:
    """Everything for one model."""
    names = ("torch", "transformers", "sentence-transformers", *ONNX_PACKAGES)
    say(processor=processor_kind(), **{name: package_version(name) for name in names})
    bulk = [record["text"] for record in read(data / "bench" / "part-000.jsonl.gz")]
    say(text="bench, evenly spaced: documents of all lengths, cut at the model's own number of tokens")
    speeds(model, bulk[:: max(1, len(bulk) // documents)][:documents], kinds, max(2, documents // 8))
    say(text="clickbait: headlines, some 14 tokens")
    short = [record["text"] for record in read(data / "quality" / "clickbait.jsonl.gz")]
    speeds(model, short[: 8 * documents], kinds, documents)

    def embedding(more: dict[str, Any]) -> Callable[[list[str]], Rows]:
        embedder = make_embedder(SentenceTransformers(model=model, max_tokens=tokens, max_unknown_ratio=1.0, **more))
        return lambda texts: embedder.embed(array(texts)).rows

    embed = {kind: embedding(more) for kind, more in kinds.items()}
    for name, texts in corpora(read, data, documents):
        decisions(name, texts, embed)
    levels = read(data / "quality" / "onestop_english.jsonl.gz")
    rng = random.Random(2)
    rng.shuffle(levels)
    grade = {"ele": 0.0, "int": 1.0, "adv": 2.0}
    levels = levels[: 3 * documents]
    grades = np.array([grade[record["label"]] for record in levels])
    texts = [record["text"] for record in levels]
    head = graded(model, texts[documents:], grades[documents:], folder / "head", tokens or 128)
    scores(head, texts[:documents], kinds, tokens or 128)
