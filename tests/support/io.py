"""What the tests of readers and writers share."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from corpuscurate.core.batch import Batch
from corpuscurate.io.base import BadRecord, SourceFile, Want, input_format
from corpuscurate.io.files import expand

POSITION = np.uint64((1 << 40) - 1)


def source(path: Path, format: str | None = None) -> SourceFile:
    return expand([str(path)], path.parent, format)[0]


def batches(
    file: SourceFile, want: Want, split_bytes: int = 1 << 30
) -> Iterator[tuple[Batch | None, tuple[BadRecord, ...]]]:
    format = input_format(file.format)
    for span in format.split(file, split_bytes):
        for chunk in format.read(file, span, want):
            yield chunk.batch, chunk.bad


def read_all(file: SourceFile, want: Want, split_bytes: int = 1 << 30) -> tuple[list[dict[str, Any]], list[BadRecord]]:
    """Every document as plain values, and the bad records."""
    rows: list[dict[str, Any]] = []
    bad: list[BadRecord] = []
    for batch, broken in batches(file, want, split_bytes):
        bad += broken
        if batch is not None:
            rows += documents(batch)
    return rows, bad


def documents(batch: Batch) -> list[dict[str, Any]]:
    assert batch.text.type == pa.large_string()
    assert batch.text.null_count == 0
    assert len(batch) == len(batch.text) == len(batch.record_bytes)
    rest = batch.rest.to_pylist() if batch.rest is not None else [None] * len(batch)
    ids = batch.id.to_pylist() if batch.id is not None else [None] * len(batch)
    columns = {name: column.to_pylist() for name, column in batch.columns.items()}
    return [
        {
            "doc_id": int(batch.doc_id[at]),
            "position": int(batch.doc_id[at] & POSITION),
            "text": text,
            "bytes": int(batch.record_bytes[at]),
            "id": ids[at],
            "columns": {name: column[at] for name, column in columns.items()},
            "rest": rest[at],
        }
        for at, text in enumerate(batch.text.to_pylist())
    ]


def rich_table(rows: int = 200) -> pa.Table:
    """A table with every kind of column that users bring, nulls everywhere but in the text."""
    rng = random.Random(7)  # noqa: S311
    words = ["alpha", "béta", "gamma\n", "δέλτα", "🙂 emoji", '"quoted"', "", "tab\t"]

    def maybe(value: Any) -> Any:
        return None if rng.random() < 0.2 else value

    text = [" ".join(rng.choices(words, k=rng.randrange(30))) for _ in range(rows)]
    structs = [maybe({"x": maybe(i), "y": maybe(["p", None][: i % 3])}) for i in range(rows)]
    columns = {
        "id": pa.array([maybe(1 << 53 | i) for i in range(rows)], pa.int64()),
        "text": pa.array(text, pa.string()),
        "uint": pa.array([maybe((1 << 64) - 1 - i) for i in range(rows)], pa.uint64()),
        "float": pa.array([maybe(i / 7) for i in range(rows)], pa.float64()),
        "flag": pa.array([maybe(i % 3 == 0) for i in range(rows)], pa.bool_()),
        "when": pa.array([maybe(1_700_000_000_000_000 + i) for i in range(rows)], pa.timestamp("us", tz="UTC")),
        "money": pa.array([maybe(i) for i in range(rows)], pa.int64()).cast(pa.decimal128(30, 2)),
        "raw": pa.array([maybe(bytes([i % 256, 255])) for i in range(rows)], pa.binary()),
        "label": pa.array([maybe(rng.choice(words)) for _ in range(rows)]).dictionary_encode(),
        "view": pa.array([maybe(rng.choice(words) * 5) for _ in range(rows)], pa.string_view()),
        "large": pa.array([maybe(rng.choice(words)) for _ in range(rows)], pa.large_string()),
        "list": pa.array([maybe([maybe(j) for j in range(i % 4)]) for i in range(rows)], pa.list_(pa.int32())),
        "struct": pa.array(structs, pa.struct([("x", pa.int64()), ("y", pa.list_(pa.string()))])),
        "void": pa.nulls(rows),
    }
    return pa.table(columns)
