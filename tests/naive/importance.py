"""DSIR's importance weights in plain Python."""

from __future__ import annotations

import math
import re
from collections import Counter

MASK = (1 << 64) - 1


def mix64(x: int) -> int:
    x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) & MASK
    return x ^ (x >> 31)


def word_hash(word: str) -> int:
    value = 0xCBF29CE484222325
    for byte in word.casefold().encode():
        value = ((value ^ byte) * 0x100000001B3) & MASK
    return mix64(value)


def buckets_of(text: str, ngrams: int, buckets: int) -> list[int]:
    hashes = [word_hash(word) for word in re.findall(r"\w+|[^\w\s]+", text)]
    found = []
    for i in range(len(hashes)):
        value = hashes[i]
        found.append(value % buckets)
        for after in hashes[i + 1 : i + ngrams]:
            value = mix64((value * 0x9E3779B97F4A7C15 + after) & MASK)
            found.append(value % buckets)
    return found


def log_weight(text: str, target: list[str], raw: list[str], ngrams: int, buckets: int) -> float:
    bags = [Counter(b for each in texts for b in buckets_of(each, ngrams, buckets)) for texts in (target, raw)]
    sizes = [sum(bag.values()) for bag in bags]
    return sum(
        math.log(bags[0][b] / sizes[0] + 1e-8) - math.log(bags[1][b] / sizes[1] + 1e-8)
        for b in buckets_of(text, ngrams, buckets)
    )


def gumbel_key(weight: float, doc_id: int, seed: int) -> float:
    start = mix64((seed + 0x9E3779B97F4A7C15) & MASK)
    uniform = ((mix64(mix64((doc_id + 0x9E3779B97F4A7C15) & MASK) ^ start) >> 11) + 0.5) * 2.0**-53
    return weight - math.log(-math.log(uniform))
