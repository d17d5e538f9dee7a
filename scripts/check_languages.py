"""Texts of one language within English: are different ones told apart, and rewordings found? Usage: check_languages.py
DATA [--english N] [--languages is,th,...] [--shares .001,.01,.1]

DATA: the folder with books/, langid/ and multilingual/. English: pieces of books. A language: five sentences of langid/
each (unrelated ones), or pieces of a translated Bible (three-letter names). For each language and share, the learned
embedder is fitted on the whole as a run would, and all documents of the language are compared with all.

- wrong: pairs of different texts, word Jaccard under .3, with a cosine of at least .95. In scripts without spaces words
  are two characters that follow each other.
- found: share of rewordings with a cosine of at least .95 to their original. A rewording has a tenth of its words (in
  scripts without spaces: of its characters) left out, and runs of twelve in another order.
- alone: the same, the language being the whole corpus.
"""

from __future__ import annotations

import argparse
import gzip
import random
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
from numpy.typing import NDArray

from corpuscurate.core.columns import text_buffers
from corpuscurate.kernels.embedding.wordvectors import term_bound, term_hashes
from corpuscurate.kernels.text.unicode import tables
from corpuscurate.methods.embed.learned import Learned, fit, load

THRESHOLD, DIFFERENT = 0.95, 0.3
LANGUAGES = "is,fi,tr,ru,he,ar,hi,ta,ko,th,zh,ja,est,guj,zul"


def records(path: Path) -> Iterator[dict[str, Any]]:
    with gzip.open(path) as lines:
        yield from map(orjson.loads, lines)


def pieces(text: str, size: int) -> list[str]:
    words = text.split()
    return [" ".join(words[i : i + size]) for i in range(0, len(words) - size // 2, size)]


def english(data: Path, count: int) -> list[str]:
    rng = random.Random(1)
    found = [
        piece
        for record in records(data / "books" / "classic_books.jsonl.gz")
        for piece in pieces(record["text"], rng.choice([80, 120, 180]))[:12]
    ]
    rng.shuffle(found)
    return found[:count]


def languages(data: Path) -> dict[str, list[str]]:
    found: dict[str, list[str]] = defaultdict(list)
    sentences: dict[str, list[str]] = defaultdict(list)
    for record in records(data / "langid" / "lingua_half.jsonl.gz"):
        if record["kind"] == "sentence":
            sentences[record["lang"]].append(record["text"])
    for name, texts in sentences.items():
        found[name] = [" ".join(texts[i : i + 5]) for i in range(0, len(texts) - 4, 5)]
    for record in records(data / "multilingual" / "bible46.jsonl.gz"):
        found[record["lang"]] += pieces(record["text"], 90)
    return found


def reworded(text: str, rng: random.Random) -> str:
    spaced = len(text.split()) * 12 > len(text)
    units = text.split() if spaced else list(text)
    runs = [units[i : i + 12] for i in range(0, len(units), 12)]
    rng.shuffle(runs)
    return (" " if spaced else "").join(unit for run in runs for unit in run if rng.random() >= 0.1)


def array(texts: list[str]) -> pa.LargeStringArray:
    return pa.array(texts, pa.large_string())


def terms(texts: list[str]) -> list[set[int]]:
    offsets, data = text_buffers(array(texts))
    found, borders = np.empty(int(term_bound(offsets)), np.uint64), np.empty(len(offsets), np.int64)
    term_hashes(offsets, data, tables(), borders, found)
    return [set(found[borders[i] : borders[i + 1]].tolist()) for i in range(len(texts))]


def measure(base: list[str], texts: list[str], rng: random.Random) -> dict[str, Any]:
    """base: the rest of the corpus."""
    with tempfile.TemporaryDirectory() as name:
        fit([array(base + texts)], Learned(), Path(name), threads=2)
        model = load(Path(name))
    rows = model.embed(array(texts)).rows
    again = model.embed(array([reworded(text, rng) for text in texts])).rows
    own, sets = rows @ rows.T, terms(texts)

    def different(pairs: NDArray[Any], others: list[set[int]]) -> int:
        return sum(len(sets[a] & others[b]) < DIFFERENT * len(sets[a] | others[b]) for a, b in pairs.tolist())

    wrong = different(np.argwhere(np.triu(own >= THRESHOLD, 1)), sets)
    if base:
        wrong += different(np.argwhere(rows @ model.embed(array(base)).rows.T >= THRESHOLD), terms(base))
    nearest = np.sort((own - 2 * np.eye(len(own))).max(axis=1))
    found = np.einsum("ij,ij->i", rows, again) >= THRESHOLD
    return {"wrong": wrong, "found": round(float(found.mean()), 3), "nearest": round(float(nearest[-1]), 3)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--english", type=int, default=6000)
    parser.add_argument("--languages", default=LANGUAGES)
    parser.add_argument("--shares", default=".001,.01,.1")
    given = parser.parse_args()
    base, others = english(given.data, given.english), languages(given.data)
    bad = 0
    for name in given.languages.split(","):
        rng = random.Random(5)
        texts = list(dict.fromkeys(others[name]))
        rng.shuffle(texts)
        for share in map(float, given.shares.split(",")):
            some = texts[: max(4, round(share * len(base)))]
            found, alone = measure(base, some, rng), measure([], some, rng)
            bad += found["wrong"] > 0 or found["found"] < min(0.95, alone["found"])
            print(name, share, len(some), found, "alone", alone, flush=True)
    raise SystemExit(int(bad > 0))


if __name__ == "__main__":
    main()
