"""Real texts from the folder that CORPUSCURATE_DATA names."""

from __future__ import annotations

import gzip
import os
from itertools import islice
from pathlib import Path

import orjson


def some_texts(name: str, count: int, step: int = 7) -> list[str]:
    """Every `step`-th text of a file, `count` at most. name: its path without `.jsonl.gz`."""
    with gzip.open(Path(os.environ["CORPUSCURATE_DATA"], f"{name}.jsonl.gz")) as lines:
        return [orjson.loads(line)["text"] for line in islice(lines, 0, count * step, step)]
