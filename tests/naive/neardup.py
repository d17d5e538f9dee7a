"""Shingles, MinHash and exact near-duplicate clusters from their definitions, in plain Python."""

from __future__ import annotations

from itertools import combinations

from naive.text import without_invisible, words

MASK = (1 << 64) - 1
MASK32 = (1 << 32) - 1
BASE = 0xD1342543DE82EF95
SEED = 0x9E3779B97F4A7C15


def mix64(x: int) -> int:
    x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9 & MASK
    x = (x ^ (x >> 27)) * 0x94D049BB133111EB & MASK
    return x ^ (x >> 31)


def folded_words(text: str, kind: str = "unicode") -> list[str]:
    """Words, folded character by character, without what is invisible. kind: see `naive.text.words`."""
    return ["".join(char.casefold() for char in without_invisible(word)) for word in words(text, kind)]


def shingles(text: str, n: int, kind: str = "unicode") -> list[tuple[str, ...]]:
    """Windows of n words, repeats included; a shorter document is one shingle; one without words has none."""
    found = folded_words(text, kind)
    if not found:
        return []
    return [tuple(found[i : i + n]) for i in range(max(1, len(found) - n + 1))]


def word_hash(word: str) -> int:
    data = word.encode()
    h = SEED
    while len(data) >= 8:
        h = mix64(h ^ int.from_bytes(data[:8], "little"))
        data = data[8:]
    return mix64(h ^ int.from_bytes(data, "little") ^ (len(word.encode()) % 256) << 56)


def shingle_hash(shingle: tuple[str, ...]) -> int:
    total = 0
    for word in shingle:
        total = (total * BASE + word_hash(word)) & MASK
    return mix64(total)


def permutations(seed: int, k: int) -> list[tuple[int, int]]:
    state, pairs = seed, []
    for _ in range(k):
        state = (state + SEED) & MASK
        a = mix64(state) >> 32 | 1
        state = (state + SEED) & MASK
        pairs.append((a, mix64(state) >> 32))
    return pairs


def signature(text: str, n: int, pairs: list[tuple[int, int]]) -> list[int]:
    hashes = {shingle_hash(shingle) >> 32 for shingle in shingles(text, n)}
    return [min((a * h + b) & MASK32 for h in hashes) if hashes else MASK32 for a, b in pairs]


def jaccard(a: set[object], b: set[object]) -> tuple[int, int]:
    """Intersection and union of two sets."""
    return len(a & b), len(a | b)


def edges(texts: list[str], n: int, threshold: float, kind: str = "unicode") -> dict[tuple[int, int], float]:
    """All pairs whose exact Jaccard similarity is at least the threshold. No words, no pair."""
    sets = [set(shingles(text, n, kind)) for text in texts]
    found = {}
    for i, j in combinations(range(len(texts)), 2):
        both, either = len(sets[i] & sets[j]), len(sets[i] | sets[j])
        if both and both / either >= threshold:
            found[i, j] = both / either
    return found


def components(size: int, pairs: list[tuple[int, int]]) -> list[list[int]]:
    """Connected components of two or more, by repeated relabelling."""
    label = list(range(size))
    changed = True
    while changed:
        changed = False
        for a, b in pairs:
            low = min(label[a], label[b])
            if label[a] != low or label[b] != low:
                label[a] = label[b] = low
                changed = True
    groups: dict[int, list[int]] = {}
    for member, root in enumerate(label):
        groups.setdefault(root, []).append(member)
    return [group for group in groups.values() if len(group) > 1]


def candidate_probability(j: float, bands: int, rows: int) -> float:
    return 1 - (1 - j**rows) ** bands


def greedy(size: int, pairs: dict[tuple[int, int], float]) -> dict[int, set[int]]:
    """In order, drop what is similar to a kept document: the kept documents that could drop each dropped one."""
    kept: list[int] = []
    dropped = {}
    for d in range(size):
        by = {e for e in kept if (e, d) in pairs}
        if by:
            dropped[d] = by
        else:
            kept.append(d)
    return dropped
