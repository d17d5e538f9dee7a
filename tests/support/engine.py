"""What the engine's tests share: a small corpus with every kind of fate, and the bytes of an output folder."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

WORDS = tuple(
    word
    for line in ("the of and to with that have be river stone", "light winter garden paper engine letter summer music")
    for word in line.split()
)


def sentence(seed: int, words: int = 60) -> str:
    """Deterministic prose-like text; different seeds share no long run of words."""
    state, out = seed * 2654435761 % 2**32 or 1, []
    for _ in range(words):
        state = (state * 1103515245 + 12345) % 2**31
        out.append(WORDS[(state >> 8) % len(WORDS)])
    return " ".join(out) + f" number {seed}."


def record(number: int) -> dict[str, Any]:
    """Document `number` of the small corpus: some short, some copies, some that normalize changes."""
    text = sentence(number)
    if number % 7 == 3:
        text = "too short"
    elif number % 5 == 4:
        text = sentence(number % 3)
    elif number % 11 == 5:
        text = text.replace(" ", "\r\n", 3) + "\x00 cafe\u0301"
    return {"id": f"d{number}", "text": text, "n": number, "day": "2024-01-01", "meta": {"k": [number, None]}}


def write_corpus(folder: Path, shards: int = 4, documents: int = 40, *, bad: bool = True) -> None:
    """Shards of JSON lines, with a broken line, a null text and invalid UTF-8 among them."""
    folder.mkdir(parents=True, exist_ok=True)
    for shard in range(shards):
        lines = [orjson.dumps(record(shard * documents + n)) for n in range(documents)]
        if bad:
            lines[3:3] = [b'{"id": "broken", "text": ', b'{"id": "null", "text": null}', b'{"text": "\xff\xfe"}']
        (folder / f"shard-{shard}.jsonl").write_bytes(b"\n".join(lines) + b"\n")


RESULTS = ("data", "dropped", "quarantine")


def digests(out: Path) -> dict[str, str]:
    """sha256 of every result file of a run."""
    return {
        str(path.relative_to(out)): hashlib.sha256(path.read_bytes()).hexdigest()
        for kind in RESULTS
        for path in sorted((out / kind).iterdir())
    }


def table(out: Path, kind: str) -> pa.Table:
    """All Parquet parts of a kind as one table."""
    return pa.concat_tables([pq.read_table(path) for path in sorted((out / kind).iterdir())])


def rows(out: Path, kind: str) -> list[dict[str, Any]]:
    """All Parquet parts of a kind as Python rows."""
    return table(out, kind).to_pylist()
