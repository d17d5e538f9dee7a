"""The join of large buckets against all pairs."""

from itertools import combinations

import numpy as np
import pytest
from naive.neardup import components

from corpuscurate.kernels.duplicates.components import find
from corpuscurate.kernels.duplicates.verify import COUNTS, EXACT, SIGNATURE, Rule, Sketches
from corpuscurate.methods.dedup.large_buckets import join_large_buckets


def joined(buckets, sketches: Sketches, kind: int, threshold: float, size: int):
    parent = np.arange(size)
    counts = np.zeros(COUNTS, np.int64)
    rule = Rule(kind, threshold, 0, 1, 10**6, 10**6)
    covered = np.zeros(size, np.bool_)
    edges = join_large_buckets(buckets, sketches, rule, parent, counts, covered)
    groups: dict[int, list[int]] = {}
    for i in range(size):
        groups.setdefault(int(find(parent, i)), []).append(i)
    return [group for group in groups.values() if len(group) > 1], edges


def family(rng: np.random.Generator, size: int) -> list[list[int]]:
    """Sets around two cores, each with a few of many own elements, some shared by several and some core ones missing;
    the cores themselves are not among them."""
    cores = [list(range(20)), list(range(12, 32))]
    found = []
    for _ in range(size):
        core = cores[rng.integers(0, 2) if size % 2 else 0]
        kept = [x for x in core if rng.random() > rng.choice([0.05, 0.2])]
        extra = rng.integers(100, 100 + rng.choice([4, 12, 2000]), rng.integers(0, 7))
        found.append(sorted({*kept, *extra.tolist()}) or [1])
    return found


@pytest.mark.parametrize("threshold", [0.35, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0])
@pytest.mark.campaign(2)
def test_sets_are_joined_as_all_pairs_are(threshold):
    several = 0
    for seed in range(60):
        rng = np.random.default_rng(seed)
        sets = family(rng, int(rng.integers(2, 60)))
        offsets = np.concatenate([[0], np.cumsum([len(each) for each in sets])]).astype(np.int64)
        values = np.array([x for each in sets for x in each], np.uint64)
        sketches = Sketches(np.arange(len(sets)), np.zeros((1, 1), np.uint32), offsets, values)
        similar = {}
        for i, j in combinations(range(len(sets)), 2):
            a, b = set(sets[i]), set(sets[j])
            if len(a & b) / len(a | b) >= threshold:
                similar[i, j] = len(a & b) / len(a | b)
        found, edges = joined([np.arange(len(sets))], sketches, EXACT, threshold, len(sets))
        assert found == components(len(sets), list(similar))
        for a, b, similarity in zip(*edges, strict=True):
            assert similar[min(a, b), max(a, b)] == similarity
        several += len(found) > 1
    assert several > 5 or not 0.6 <= threshold <= 0.9


@pytest.mark.parametrize("threshold", [0.4, 0.6, 0.75, 0.9])
@pytest.mark.campaign(2)
def test_signatures_are_joined_as_all_pairs_are(threshold):
    for seed in range(40):
        rng = np.random.default_rng(seed)
        size, width = int(rng.integers(2, 40)), 16
        signatures = np.where(rng.random((size, width)) < rng.choice([0.3, 0.6]), rng.integers(0, 4, (size, width)), 7)
        signatures = signatures.astype(np.uint32)
        sketches = Sketches(np.arange(size), signatures, np.zeros(1, np.int64), np.empty(0, np.uint64))
        similar = [
            (i, j)
            for i, j in combinations(range(size), 2)
            if (signatures[i] == signatures[j]).sum() / width >= threshold
        ]
        found, _ = joined([np.arange(size)], sketches, SIGNATURE, threshold, size)
        assert found == components(size, similar)
