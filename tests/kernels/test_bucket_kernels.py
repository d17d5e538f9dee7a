import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from naive import buckets as naive

from corpuscurate.kernels.bands import runs_of_equal, sort_by_key
from corpuscurate.kernels.planning import spread_buckets
from corpuscurate.kernels.ranks import add_numbers, count_before, list_numbers, population, ranks_of

KEYS = st.lists(st.integers(0, 5) | st.integers(0, 2**64 - 1), max_size=200)


def offsets_of(groups):
    return np.concatenate([[0], np.cumsum([len(group) for group in groups])]).astype(np.int64)


@given(KEYS)
def test_runs_of_equal_keys(values):
    keys, numbers = np.array(values, np.uint64), np.arange(len(values)) * 3
    assert sort_by_key(keys, numbers) == len(values)
    assert keys.tolist() == sorted(values)
    out, offsets = np.empty(len(keys), np.int64), np.empty(len(keys) // 2 + 1, np.int64)
    runs = runs_of_equal(keys, numbers, out, offsets)
    found = [out[offsets[i] : offsets[i + 1]].tolist() for i in range(runs)]
    assert found == naive.equal_keys(values, [3 * i for i in range(len(values))])


def test_sorting_is_stable_and_linear_for_a_million_equal_keys():
    keys = np.full(1_000_000, 7, np.uint64)
    keys[::2] = 2**63
    numbers = np.arange(len(keys))
    sort_by_key(keys, numbers)
    assert (keys[: len(keys) // 2] == 7).all()
    assert numbers.tolist() == [*range(1, 1_000_000, 2), *range(0, 1_000_000, 2)]


@pytest.mark.parametrize("word", [0, 1, 2**63, 2**64 - 1, 0x0123456789ABCDEF])
def test_population(word):
    assert population(np.uint64(word)) == word.bit_count()


@given(st.lists(st.integers(0, 299), max_size=80), st.lists(st.integers(0, 299), max_size=40))
def test_ranks(members, asked):
    words = np.zeros(5, np.uint64)
    add_numbers(np.array(members, np.int64), words)
    before = np.empty(5, np.int64)
    size = count_before(words, before)
    assert size == len(set(members))
    out = np.empty(size, np.int64)
    assert list_numbers(words, out) == size
    assert out.tolist() == sorted(set(members))
    ranks = np.empty(len(asked), np.int64)
    ranks_of(np.array(asked, np.int64), words, before, ranks)
    assert ranks.tolist() == [naive.rank(members, number) for number in asked]


@given(
    st.lists(st.lists(st.integers(0, 4), min_size=2, max_size=5), max_size=30),
    st.integers(1, 4),
    st.randoms(use_true_random=False),
)
def test_buckets_of_each_part(chosen, parts, random):
    """Components 0..5 of five documents each; a bucket lies within one component."""
    root = np.repeat(np.arange(6) * 5, 5)
    part = np.repeat(np.array([random.randrange(parts) for _ in range(6)]), 5)
    local = np.array([random.randrange(100) for _ in range(30)])
    groups = [[5 * random.randrange(6) + member for member in group] for group in chosen]
    groups = [[group[0] // 5 * 5 + member % 5 for member in group] for group in groups]
    members = np.array([member for group in groups for member in group], np.int64)
    member_ends, bucket_ends = np.empty((2, parts + 1), np.int64)
    out, sizes, of = np.empty(len(members), np.int64), *np.empty((2, len(groups)), np.int64)
    made = spread_buckets(
        members, offsets_of(groups), root, part, local, parts, member_ends, bucket_ends, out, sizes, of
    )
    assert made == len(groups)
    found = []
    for p in range(parts):
        at, here = member_ends[p], []
        for i in range(bucket_ends[p], bucket_ends[p + 1]):
            here.append((out[at : at + sizes[i]].tolist(), int(of[i])))
            at += sizes[i]
        assert at == member_ends[p + 1]
        found.append(here)
    assert found == naive.buckets_of_parts(groups, root.tolist(), part.tolist(), local.tolist(), parts)
