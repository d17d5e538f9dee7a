"""Unit rows that lie as real embeddings do, for benchmarks of any size: anchors, mixed with their neighbours and moved
by differences of other neighbours; and planted near copies at known cosines, moved as edits of a text move its row.

Gaussian noise around random centres will not do: it has as many dimensions as the vectors, so no pair lies near a
border of clusters and no cluster is large. `python scripts/semantic_rows.py anchors MODEL FOLDER FILE...` makes anchors
from texts (JSON lines, gzip or not) with a sentence-transformers model; without a folder of anchors they are synthetic:
a tree of topics with a spectrum like that of MiniLM's rows.
"""

from __future__ import annotations

import gzip
import json
import random
import sys
from pathlib import Path
from typing import Any

import numpy as np

BLOCK = 50_000
COPIES = 0.2
LOWEST = 0.9
"""Cosine of the farthest planted copies."""
ANCHORS = 17_000
_NEAR = 32


class Rows:
    """Blocks of rows, the same for the same folder of anchors and dimension."""

    def __init__(self, dimension: int = 384, folder: Path | None = None) -> None:
        if folder is None:
            self.anchors, self.edits = synthetic_anchors(dimension)
        else:
            self.anchors, self.edits = np.load(folder / "anchors.npy"), np.load(folder / "edits.npy")
        self._near = nearest(self.anchors)
        count = len(self.anchors)
        weights = 1 / np.arange(1, count + 1) ** 0.6
        self._shares = np.cumsum(weights / weights.sum())
        self._order = np.random.default_rng(3).permutation(count)

    def block(self, number: int, size: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Rows float32[size, d]; the planted copies, what each is a copy of, and the cosine of both."""
        rng = np.random.default_rng([7, number])
        anchors = self.anchors
        picked = np.searchsorted(self._shares, rng.random(size)).clip(max=len(anchors) - 1)
        one = self._order[picked]
        other = self._near[one, rng.integers(0, _NEAR, size)]
        share = rng.random((size, 1), np.float32) * 0.5
        rows = unit(anchors[one] * (1 - share) + anchors[other] * share)
        some = rng.integers(0, len(anchors), size)
        moved = unit(anchors[some] - anchors[self._near[some, rng.integers(0, _NEAR, size)]])
        rows = unit(rows + rng.uniform(0.3, 0.9, size).astype(np.float32)[:, None] * moved)
        order = rng.permutation(size)
        copies, sources = np.split(order, [int(COPIES * size)])
        of = sources[rng.integers(0, len(sources), len(copies))]
        cosines = rng.uniform(LOWEST, 1, len(copies)).astype(np.float32)
        away = self.edits[rng.integers(0, len(self.edits), len(copies))]
        away = away * rng.choice(np.array([-1, 1], np.float32), len(copies))[:, None]
        away = unit(away - (away * rows[of]).sum(axis=1, keepdims=True) * rows[of])
        rows[copies] = cosines[:, None] * rows[of] + np.sqrt(1 - cosines * cosines)[:, None] * away
        return rows, copies, of, cosines


def unit(rows: np.ndarray) -> np.ndarray:
    """Rows of length 1; a row of zeros becomes the first axis."""
    length = np.linalg.norm(rows, axis=1, keepdims=True)
    rows = rows / np.maximum(length, 1e-9)
    rows[length[:, 0] < 1e-6, 0] = 1
    return rows.astype(np.float32)


def nearest(anchors: np.ndarray) -> np.ndarray:
    """int32[n, _NEAR]: the nearest other anchors of each, in no order."""
    near = np.empty((len(anchors), _NEAR), np.int32)
    for start in range(0, len(anchors), 1024):
        products = anchors[start : start + 1024] @ anchors.T
        products[np.arange(len(products)), np.arange(start, start + len(products))] = -2
        near[start : start + 1024] = np.argpartition(-products, _NEAR, axis=1)[:, :_NEAR]
    return near


def synthetic_anchors(dimension: int) -> tuple[np.ndarray, np.ndarray]:
    """Anchors from a tree of topics (30 topics, 600 subtopics), and directions of edits."""
    rng = np.random.default_rng(11)
    spectrum = (np.arange(1, dimension + 1) + 20.0) ** -0.5

    def level(count: int, length: float) -> Any:
        return length * unit(rng.standard_normal((count, dimension)) * spectrum)

    topics, subtopics = level(30, 0.35), level(600, 0.55)
    parents = rng.integers(0, 30, 600)
    of = rng.integers(0, 600, ANCHORS)
    return unit(topics[parents[of]] + subtopics[of] + level(ANCHORS, 0.75)), level(2_500, 1.0).astype(np.float32)


def make_anchors(model: str, folder: Path, files: list[str]) -> None:
    """Paragraphs of texts as anchors, and edits of some of them (words dropped and replaced)."""
    from sentence_transformers import SentenceTransformer

    rng = random.Random(5)
    texts = []
    for file in files:
        with (gzip.open if file.endswith(".gz") else open)(file, "rt") as lines:
            for line in lines:
                parts = [part.strip() for part in (json.loads(line)["text"] or "").split("\n")]
                parts = [part[:260] for part in parts if len(part) >= 60]
                texts += rng.sample(parts, min(len(parts), 20))
    texts = rng.sample(texts, min(len(texts), ANCHORS))
    words = [word for text in texts[:3000] for word in text.split()]
    some = rng.sample(texts, min(len(texts), 2_500))
    encoder = SentenceTransformer(model, device="cpu")
    encoder.max_seq_length = 48
    before, after = (
        encoder.encode(each, normalize_embeddings=True) for each in (some, [edited(t, words, rng) for t in some])
    )
    cosines = (before * after).sum(axis=1, keepdims=True)
    moved = after - cosines * before
    folder.mkdir(parents=True, exist_ok=True)
    np.save(folder / "edits.npy", unit(moved[np.linalg.norm(moved, axis=1) > 0.05]))
    np.save(folder / "anchors.npy", encoder.encode(texts, normalize_embeddings=True))


def edited(text: str, words: list[str], rng: random.Random) -> str:
    """The text with some words dropped and some replaced."""
    share = rng.choice([0.03, 0.06, 0.1, 0.15])
    out = []
    for word in text.split():
        chance = rng.random()
        if chance >= share / 2:
            out.append(rng.choice(words) if chance < share else word)
    return " ".join(out)


if __name__ == "__main__":
    if sys.argv[1:2] != ["anchors"] or len(sys.argv) < 5:
        raise SystemExit(__doc__)
    make_anchors(sys.argv[2], Path(sys.argv[3]), sys.argv[4:])
