"""Embeddings through a stage without the engine: a column of vectors in, decisions out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from support.dedup import corpus_of

from corpuscurate.methods.embed.column import Column

COLUMN = Column(column="e")


def families(seed: int, size: int, dimension: int = 16, spread: float = 0.25, topics: int = 12) -> np.ndarray:
    """Rows around few directions: many near ones, chains of near ones."""
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(topics, dimension))
    rows = centres[rng.integers(0, topics, size)] + spread * rng.normal(size=(size, dimension))
    return (rows / np.linalg.norm(rows, axis=1)[:, None]).astype(np.float32)


def lists_of(rows: np.ndarray) -> pa.Array:
    return pa.array(list(np.asarray(rows, np.float32)), pa.list_(pa.float32()))


def settle(stage: Any, rows: np.ndarray, folder: Path, texts: Any = None, columns: Any = None, **more: Any) -> Any:
    texts = [f"document {i}" for i in range(len(rows))] if texts is None else texts
    columns = {"e": lists_of(rows), **(columns or {})}
    return stage.settle(corpus_of(stage, texts, folder, columns=columns, **more))
