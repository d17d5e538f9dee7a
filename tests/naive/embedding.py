"""Word vectors from their definition, in plain Python: hashes of terms, sign vectors, passages, document vectors."""

from __future__ import annotations

import math
from collections import Counter

from naive.neardup import folded_words, mix64, shingle_hash
from naive.text import is_single

MASK = (1 << 64) - 1
GOLDEN = 0x9E3779B97F4A7C15


def hashes(text: str) -> list[int]:
    """The hash of a term is that of a shingle: of one word; or of two letters of a script without spaces that follow
    each other; a letter beside which no other such letter stands is a term by itself."""
    words = folded_words(text)
    single = [is_single(word[0]) for word in words]
    found = []
    for i, word in enumerate(words):
        after = i > 0 and single[i - 1]
        before = i + 1 < len(words) and single[i + 1]
        if single[i] and after:
            found.append((words[i - 1], word))
        elif not (single[i] and before):
            found.append((word,))
    return [shingle_hash(term) for term in found]


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


def document(
    text: str,
    rows: dict[int, list[float]],
    weights: dict[int, float],
    seed: int,
    d: int,
    share: float,
    narrow: float,
) -> list[float]:
    """The topic (of the unit rows) and the words (of the sign vectors) of a document, as one unit vector."""
    topic, words, learned, whole = [0.0] * d, [0.0] * d, 0.0, 0.0
    for term, count in Counter(hashes(text)).items():
        weight = weights.get(term, 1.0) * (1 + math.log(count))
        words = [x + weight * y for x, y in zip(words, signs(term, seed, d), strict=True)]
        whole += weight
        if any(rows.get(term, ())):
            topic = [x + weight * y for x, y in zip(topic, unit(rows[term]), strict=True)]
            learned += weight
    topic, words = unit(topic), unit(words)
    if not any(topic):
        return words
    along = math.fsum(x * y for x, y in zip(topic, words, strict=True))
    words = unit([y - along * x for x, y in zip(topic, words, strict=True)])
    own = min(1, 4 * learned / whole) * (1 - share - narrow * math.fsum(x**4 for x in topic))
    return unit([math.sqrt(own) * x + math.sqrt(1 - own) * y for x, y in zip(topic, words, strict=True)])
