"""Word vectors from their definition, in plain Python: hashes of words, sign vectors, passages, document vectors."""

from __future__ import annotations

import math

from naive.neardup import mix64, shingle_hash, shingles

MASK = (1 << 64) - 1
GOLDEN = 0x9E3779B97F4A7C15


def hashes(text: str) -> list[int]:
    """The hash of a word is that of a shingle of one word."""
    return [shingle_hash(shingle) for shingle in shingles(text, 1)]


def signs(word: int, seed: int, dimension: int) -> list[int]:
    found = []
    for block in range((dimension + 63) // 64):
        bits = mix64((mix64(word ^ seed) + GOLDEN * (block + 1)) & MASK)
        found += [1 if bits >> j & 1 else -1 for j in range(64)]
    return found[:dimension]


def passages(sizes: list[int], chunk: int) -> list[int]:
    """Where passages begin among all words, and the end."""
    starts, at = [], 0
    for size in sizes:
        pieces = max(1, (size + chunk // 2) // chunk)
        starts += [at + i * size // pieces for i in range(pieces)] if size else []
        at += size
    return [*starts, at]


def unit(row: list[float]) -> list[float]:
    length = math.sqrt(math.fsum(x * x for x in row))
    return [x / length for x in row] if length else row


def document(text: str, rows: dict[int, list[float]], factors: dict[int, float], seed: int, d: int) -> list[float]:
    """The unit sum of the rows of known words and the sign vectors of others."""
    total = [0.0] * d
    for word in hashes(text):
        scale = factors.get(word, 1 / math.sqrt(d))
        row = rows.get(word) or signs(word, seed, d)
        total = [x + scale * y for x, y in zip(total, row, strict=True)]
    return unit(total)
