"""Texts of real corpora, some at a time, for the scripts that hold a stage against its naive twin."""

from __future__ import annotations

import gzip
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import orjson

LONG_CHARACTERS = 20_000
"""More than this are a long text: the time of a twin goes with the characters, its cases with the documents."""
TEXTS_AT_ONCE, CHARACTERS_AT_ONCE = 500, 200_000


def files(folders: list[str]) -> list[Path]:
    """The files of `$CORPUSCURATE_DATA/<folder>/*.jsonl.gz`, of all folders that have some unless some are named."""
    data = Path(os.environ.get("CORPUSCURATE_DATA") or sys.exit("set CORPUSCURATE_DATA to the folder with the corpora"))
    names = folders or sorted(path.name for path in data.iterdir() if path.is_dir())
    return [path for name in names for path in sorted((data / name).glob("*.jsonl.gz"))]


def chunks(path: Path, every: int = 1, long_every: int = 1) -> Iterator[list[str]]:
    """`text` of every N-th record of a file, of the long ones among them every M-th; records without have none."""
    texts: list[str] = []
    size = long = 0
    with gzip.open(path) as lines:
        for at, line in enumerate(lines):
            record = orjson.loads(line) if at % every == 0 else None
            text = record.get("text") if isinstance(record, dict) else None
            if not isinstance(text, str):
                continue
            if len(text) > LONG_CHARACTERS:
                long += 1
                if long % long_every:
                    continue
            texts.append(text)
            size += len(text)
            if len(texts) == TEXTS_AT_ONCE or size > CHARACTERS_AT_ONCE:
                yield texts
                texts, size = [], 0
    if texts:
        yield texts
