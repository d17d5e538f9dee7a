"""What the tests of line rules share: batches, texts that meet the rules, real documents."""

from __future__ import annotations

import gzip
import os
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import pytest
from hypothesis import strategies as st
from support.forms import sparse

from corpuscurate.core.batch import Batch
from corpuscurate.core.columns import TEXT
from corpuscurate.core.stage import Outcome, StreamingStage

FOLDERS = ("neardup", "books", "multilingual", "bench", "quality", "evals")

PIECES = (
    *(
        "word",
        "Some longer words here",
        "A B C D E F G H I J K L M",
        "JavaScript",
        "LOREM IPSUM",
        "lorem  ipsum",
        "{",
        "[",
    ),
    *(
        "[1]",
        "[]",
        "[12٣]",
        "[edit]",
        "[citation needed]",
        "[citation",
        "]",
        ".",
        "...",
        "..",
        "!",
        "?",
        '"',
        "'",
        "”",
        ")",
    ),
    *(
        "Terms of Use",
        "privacy policy",
        "coo\u212aie Policy",
        "USE COOKIES",
        "uses cookies",
        "use of cookies",
        "terms of us",
    ),
    *(
        " ",
        "  ",
        "\t",
        "\n",
        "\n\n",
        "\r\n",
        "\r",
        "\x0b",
        "\x0c",
        "\x1c",
        "\x85",
        "\u2028",
        "\u2029",
        "\u00a0",
        "\u3000",
    ),
    *(
        "J. Smith",
        "U.S.",
        "e.g. this",
        "3.14",
        "。",
        "！",
        "؟",
        "।",
        "漢字",
        "שלום",
        "e\u0301",
        "😀",
        "’",
        "™",
        "É. ",
        "ⅷ",
    ),
    *(
        "3 likes",
        "1,2K  Followers",
        "٣ views",
        "items in cart",
        "Read more...",
        "Sign-in",
        "sign-in now",
        "12345",
        "²³",
    ),
    *(
        "SHOUT",
        "x" * 31,
        "y" * 1001,
        "é" * 1000,
        "mp3",
        "Episode",
        " sex ",
        "| ",
        " nr.",
        "(1/2)",
        "a b c d e f g h i j ",
    ),
)
"""What the rules look for, and what is nearly that."""

texts = st.lists(st.sampled_from(PIECES) | st.text(st.characters(codec="utf-8"), max_size=6), max_size=30).map("".join)


def batch_of(documents: Sequence[str]) -> Batch:
    """A batch that is a slice: its text does not begin at byte 0."""
    column = pa.array(["before", *documents, "behind"], TEXT).slice(1, len(documents))
    return Batch(np.arange(len(documents), dtype=np.uint64), column, np.zeros(len(documents), np.int64))


def verdicts(stage: StreamingStage, outcome: Outcome) -> list[str | None]:
    """The reason of each document."""
    assert outcome.reason is not None
    names = [None, *stage.rules()]
    return [names[each] for each in outcome.reason.tolist()]


def measured(outcome: Outcome) -> list[dict[str, Any]]:
    """The measures of each document."""
    columns = {name: column.to_pylist() for name, column in outcome.measures.items()}
    size = len(next(iter(columns.values())))
    return [{name: column[row] for name, column in columns.items()} for row in range(size)]


def real_documents(step: int, folders: Sequence[str] = FOLDERS) -> Sequence[str]:
    """Every `step`-th text of each file of $CORPUSCURATE_DATA, in the short form fewer."""
    if not os.environ.get("CORPUSCURATE_DATA"):
        pytest.skip("CORPUSCURATE_DATA is not set")
    return _real_documents(sparse(step), tuple(folders))


@cache
def _real_documents(step: int, folders: tuple[str, ...]) -> Sequence[str]:
    found = []
    for folder in folders:
        for path in sorted(Path(os.environ["CORPUSCURATE_DATA"], folder).glob("*.jsonl.gz")):
            with gzip.open(path) as lines:
                texts = (orjson.loads(line).get("text") for at, line in enumerate(lines) if at % step == 0)
                found += [text for text in texts if isinstance(text, str)]
    return found
