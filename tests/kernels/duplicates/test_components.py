import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from naive.neardup import components

from corpuscurate.kernels.duplicates.components import best_neighbours, find, flatten, star_edges, union, union_stars

GROUPS = st.lists(st.lists(st.integers(0, 19), min_size=1, max_size=6), max_size=12)


def ragged(groups):
    members = np.array([m for group in groups for m in group], np.int64)
    return members, np.concatenate([[0], np.cumsum([len(group) for group in groups], dtype=np.int64)]).astype(np.int64)


def star_pairs(groups):
    return [(group[0], m) for group in groups for m in group[1:]]


def as_groups(parent):
    found = {}
    for i, root in enumerate(parent.tolist()):
        found.setdefault(root, []).append(i)
    assert all(root == min(group) for root, group in found.items())
    return [group for group in found.values() if len(group) > 1]


@given(GROUPS)
def test_union_stars_equals_naive(groups):
    parent = np.arange(20)
    assert union_stars(parent, *ragged(groups)) == len(groups)
    roots = flatten(parent)
    assert as_groups(parent) == components(20, star_pairs(groups))
    assert roots == len(set(parent.tolist()))


@given(GROUPS)
def test_star_edges_are_a_forest_with_the_same_components(groups):
    parent = np.arange(20)
    a, b = np.empty((2, 20), np.int64)
    edges = star_edges(parent, *ragged(groups), a, b)
    flatten(parent)
    pairs = list(zip(a[:edges].tolist(), b[:edges].tolist(), strict=True))
    assert as_groups(parent) == components(20, pairs) == components(20, star_pairs(groups))
    assert edges == 20 - len(set(parent.tolist()))


@given(st.permutations(range(30)))
def test_trap_6_chains_in_any_order_converge(order):
    parent = np.arange(31)
    for i in order:
        union(parent, i, i + 1)
    assert {find(parent, i) for i in range(31)} == {0}


def test_best_neighbours_by_hand():
    a, b = np.array([0, 0, 1, 4]), np.array([1, 2, 2, 0])
    similarity = np.array([0.9, 0.8, 0.9, 0.9])
    doc_id = np.array([50, 40, 30, 20, 2**64 - 1], np.uint64)
    out, best = np.full(5, -1), np.zeros(5)
    best_neighbours(a, b, similarity, doc_id, out, best)
    assert out.tolist() == [1, 2, 1, -1, 0]  # 0: 1 and 4 alike, 1 has the lower doc_id; 1: 2 has
    assert best.tolist() == [0.9, 0.9, 0.9, 0.0, 0.9]
