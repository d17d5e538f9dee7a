"""The join of near-copies: its worked example, its result against all pairs, and the work that each shortcut saves.

Every shortcut is held by a count: without it, the bound of its test is passed many times over (`scripts/LOG.md`,
2026-11-28, has the table of mutations).
"""

from itertools import combinations

import numpy as np
import pytest
from naive.deltas import deltas
from naive.neardup import components

from corpuscurate.kernels.duplicates.components import find
from corpuscurate.kernels.duplicates.deltas import Deltas
from corpuscurate.kernels.duplicates.large_bucket_join import (
    CAPPED,
    CENTRE,
    FAR,
    JOINED,
    MET,
    NOTED,
    READ,
    SEARCHED,
    WORK,
    join_deltas,
)

BASE = set(range(1, 11))
SIX = {"a": {11}, "b": {7}, "c": {2, 6}, "d": {2, 4, 7}, "e": {6, 7, 11, 13}, "f": {2, 5, 8, 11, 12}}


class Joining:
    """A join of sets: components as lists of the sets' numbers, edges, and counts of work."""

    def __init__(self, sets, base, threshold, budget=10**9, budget_each=0, known=()):
        self.order, arrays, starts = deltas(sets, base, threshold)
        row = {number: row for row, number in enumerate(self.order)}
        n = len(sets)
        parent = np.arange(n)
        for a, b in known:
            low, high = sorted((find(parent, row[a]), find(parent, row[b])))
            parent[high] = low
        self.work = np.zeros(WORK, np.int64)
        a, b = np.full((2, n), -1, np.int64)
        similarity = np.empty(n)
        found = Deltas(**arrays), np.array(starts, np.int64)
        edges = join_deltas(*found, threshold, 0, budget, budget_each, parent, self.work, a, b, similarity)
        self.edges = [(self.order[a[i]], self.order[b[i]], similarity[i]) for i in range(edges)]
        groups: dict[int, list[int]] = {}
        for number in range(n):
            groups.setdefault(int(find(parent, row[number])), []).append(number)
        self.components = [group for group in groups.values() if len(group) > 1]


def jaccard(a, b):
    return len(a & b) / len(a | b)


def similar(sets, threshold):
    return [(i, j) for i, j in combinations(range(len(sets)), 2) if jaccard(sets[i], sets[j]) >= threshold]


def test_the_six_sets_of_the_docstring():
    sets = [BASE ^ delta for delta in SIX.values()]
    _, arrays, _ = deltas(sets, BASE, 0.75)
    assert arrays["size"].tolist() == [11, 9, 8, 7, 10, 9]
    assert arrays["reach"].round(2).tolist() == [0.57, 0.29, -0.86, -2.0, -2.57, -3.71]
    joining = Joining(sets, BASE, 0.75)
    assert joining.components == [[0, 1, 3, 4]]
    assert joining.edges == [(1, 0, 9 / 11), (3, 1, 7 / 9), (4, 0, 9 / 12)]
    wanted = {CENTRE: 5, MET: 2, FAR: 1, JOINED: 3, CAPPED: 0, SEARCHED: 9, READ: 3, NOTED: 5}
    assert {count: joining.work[count] for count in wanted} == wanted


def family(rng, size):
    """Sets around one core or two, with elements of their own, shared ones, and core ones missing."""
    core = set(range(20))
    found = []
    for _ in range(size):
        delta = set(rng.choice(20, rng.integers(0, 5), replace=False).tolist())
        own = rng.integers(100, 100 + int(rng.choice([4, 12, 300])), int(rng.integers(0, 7))).tolist()
        found.append(core ^ delta ^ set(own) ^ ({12, 13, 14, 30, 31, 32} if rng.random() < 0.3 else set()))
    return found


@pytest.mark.parametrize("threshold", [0.5, 0.6, 0.7, 0.8, 0.9])
def test_every_edge_is_similar_and_joins_two_components(threshold):
    """Also where components are known before; the budget lets everything through."""
    for seed in range(40):
        rng = np.random.default_rng(seed)
        sets = family(rng, int(rng.integers(2, 50)))
        known = [tuple(rng.integers(0, len(sets), 2).tolist()) for _ in range(int(rng.integers(0, 4)))]
        joining = Joining(sets, set(range(20)), threshold, known=known)
        pairs = similar(sets, threshold)
        assert joining.components == components(len(sets), [*pairs, *known])
        for a, b, similarity in joining.edges:
            assert jaccard(sets[a], sets[b]) == similarity
            assert (min(a, b), max(a, b)) in pairs
        joins = len(components(len(sets), known)), len(joining.components)
        before = len(sets) - sum(map(len, components(len(sets), known))) + joins[0]
        after = len(sets) - sum(map(len, joining.components)) + joins[1]
        assert len(joining.edges) == before - after == joining.work[JOINED]


def test_a_budget_leaves_entries_out_and_counts_them():
    rng = np.random.default_rng(5)
    sets = family(rng, 60)
    full = Joining(sets, set(range(20)), 0.7)
    assert full.work[CAPPED] == 0
    some = Joining(sets, set(range(20)), 0.7, budget=10)
    assert some.work[MET] == 10 < full.work[MET]
    assert some.work[CAPPED] > 0
    each = Joining(sets, set(range(20)), 0.7, budget=10, budget_each=1)
    assert 10 < each.work[MET] <= 10 + len(sets)


def copies(n):
    """Near-copies of which all have the same two elements less than the base: one crowd in two lists."""
    return [set(range(3, 60)) ^ {100 + i} for i in range(n)], set(range(1, 60))


def test_a_crowd_of_one_component_is_skipped():
    """Skip run, run growth: without either each document reads the whole list, n^2 entries."""
    n = 400
    sets, base = copies(n)
    joining = Joining(sets, base, 0.8)
    assert joining.components == [list(range(n))]
    assert joining.work[NOTED] >= n
    assert joining.work[READ] <= 2 * n
    assert joining.work[MET] == 0


def test_a_run_is_of_one_component_alone():
    """All similar pairs of this bucket but one are joined without the last document, i; it is similar to q alone, which
    it meets in one list only: that of element 100. There q stands behind members of i's own component.

    In turn: x, p and q are noted; r reads x and p, which are in its component, and passes over q; s reads r behind q;
    b, of no component, finds x expired. A run that counts q, or that still counts x, hides q from i.
    """
    base, first = set(range(40)), {100}
    e, f, g = (set(range(start, start + 15)) for start in (200, 300, 400))
    e = set(sorted(e)[:11])
    named = {
        "c": set(),
        "x": first | set(sorted(f)[:5]),
        "p": first | f,
        "q": first | e | set(range(500, 505)),
        "r": first | f | {0},
        "s": first | f | {1},
        "b": first | g | {600, 601},
        "i": first | e | {2, 3, 4, 5, 6},
    }
    others = [e | f | g | set(range(700 + 30 * n, 730 + 30 * n)) for n in range(6)]  # so that 100 is the rarest
    names, sets = list(named), [base ^ delta for delta in [*named.values(), *others]]
    at = names.index
    known = [(at("c"), at("x")), (at("c"), at("p")), (at("c"), at("i"))]
    joining = Joining(sets, base, 0.8, known=known)
    assert [names[number] for number in joining.order[: len(names)]] == names
    pairs = similar(sets, 0.8)
    assert joining.components == components(len(sets), [*pairs, *known]) == [[0, 1, 2, 3, 4, 5, 7]]
    assert [(names[a], names[b]) for a, b, _ in joining.edges][-1] == ("i", "q")
    assert joining.work[READ] == 33  # one more for each entry that a gap leaves behind


def crowd(rng, n, own):
    """Near-copies of a long set; every second one has 3 or 4 pieces replaced, which puts it near the threshold.

    own: whether what stands there is a document's own; else documents have it in common.
    """
    found = []
    for i in range(n):
        edits = int(rng.integers(3, 5)) if i % 2 else int(rng.integers(0, 2))
        delta = set()
        for place in rng.choice(100, edits, replace=False).tolist():
            delta |= {x for x in range(place, place + 5) if x < 100}
            delta |= (
                {1000 + 500 * i + x for x in range(place, place + 5)} if own else {200 + 5 * place, 201 + 5 * place}
            )
        found.append(set(range(100)) ^ delta)
    return found


@pytest.fixture(scope="module")
def hard():
    """Of documents that have little in common but the base: no comparison with an entry is needed."""
    sets = crowd(np.random.default_rng(1), 300, own=True)
    joining = Joining(sets, set(range(100)), 0.8)
    assert joining.components == components(300, similar(sets, 0.8))
    return joining.work


@pytest.fixture(scope="module")
def deleted():
    """Of documents that have their changes in common."""
    sets = crowd(np.random.default_rng(1), 300, own=False)
    joining = Joining(sets, set(range(100)), 0.8)
    assert joining.components == components(300, similar(sets, 0.8))
    return joining.work


def test_the_search_and_the_notes_are_of_few_elements(hard):
    """Prefixes: with all elements searched and noted, 2,752 lists and as many entries."""
    assert hard[SEARCHED] <= 2200
    assert hard[NOTED] <= 400


def test_what_cannot_be_similar_is_not_compared(hard):
    """Expiry and early stop: without the first 2,811 comparisons and 3,088 entries, without the second 616 entries."""
    assert hard[MET] == 0
    assert hard[READ] <= 550


def test_comparisons_of_a_crowd_with_changes_in_common(deleted):
    """Without expiry 3,671 comparisons, without early stop 1,606, without bitmaps all of them in full."""
    assert deleted[MET] <= 1550
    assert deleted[FAR] >= 1000


def test_runs_of_a_crowd_with_changes_in_common(deleted):
    """Without runs 9,119 entries are read; 3,978 where a run is forgotten whose list another component has read."""
    assert deleted[READ] <= 3900
