from collections import defaultdict

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from naive import buckets as naive

from corpuscurate.kernels.duplicates.bands import (
    keys_in_range,
    runs_of_equal,
    shared_keys,
    sieve_add,
    sieve_passes,
    sort_by_key,
)
from corpuscurate.kernels.duplicates.components import flatten, union_stars
from corpuscurate.kernels.duplicates.components_to_parts import (
    order_buckets,
    order_by_part,
    renumber_buckets,
    spread_buckets,
    spread_components,
    union_buckets,
)
from corpuscurate.kernels.duplicates.pick_rows import find_sorted, pick_rows, pick_texts
from corpuscurate.kernels.duplicates.ranks import add_numbers, count_before, list_numbers, population, rank_of

KEYS = st.lists(st.integers(0, 5) | st.integers(0, 2**64 - 1), max_size=200)


def offsets_of(groups):
    return np.concatenate([[0], np.cumsum([len(group) for group in groups])]).astype(np.int64)


@given(KEYS, st.sampled_from([np.uint32, np.int64]))
def test_runs_of_equal_keys(values, kind):
    keys, numbers = np.array(values, np.uint64), np.arange(len(values), dtype=kind) * kind(3)
    assert sort_by_key(keys, numbers) == len(values)
    assert keys.tolist() == sorted(values)
    out, offsets = np.empty(len(keys), kind), np.empty(len(keys) // 2 + 1, kind)
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
    assert [rank_of(number, words, before) for number in asked] == [naive.rank(members, number) for number in asked]


@given(KEYS, st.integers(1, 5), st.data())
def test_keys_in_a_range(values, key_ranges, data):
    chosen = data.draw(st.lists(st.booleans(), min_size=len(values), max_size=len(values)))
    found = []
    for key_range in range(key_ranges):
        keys, numbers = np.array(values, np.uint64), np.empty(len(values), np.uint32)
        size = keys_in_range(np.array(chosen, np.bool_), 7, key_range, key_ranges, keys, numbers)
        found += list(zip(keys[:size].tolist(), numbers[:size].tolist(), strict=True))
        assert found[len(found) - size :] == naive.kept_in_front(values, chosen, 7, key_range, key_ranges)
    assert len(found) == sum(chosen)


@given(KEYS, st.sampled_from([64, 128]))
def test_shared_keys_are_those_that_pass_the_sieve(values, size):
    keys, numbers, table = (
        np.array(values, np.uint64),
        np.arange(len(values), dtype=np.uint32),
        np.zeros(size, np.uint8),
    )
    sieve_add(keys, table)
    passes = np.empty(len(keys), np.bool_)
    sieve_passes(keys, table, passes)
    expected = keys[passes].tolist(), np.flatnonzero(passes).tolist()
    passed = shared_keys(keys, numbers, table)
    assert (keys[:passed].tolist(), numbers[:passed].tolist()) == expected


ROOTS = st.lists(st.integers(0, 5), min_size=1, max_size=40)


def roots_of(labels):
    return [labels.index(label) for label in labels]


@given(ROOTS, st.integers(1, 50), st.sampled_from([np.uint32, np.int64]))
def test_components_over_parts(labels, parts, kind):
    root = np.array(roots_of(labels), kind)
    m = len(root)
    starts = np.zeros(max(m, parts + 1), np.int64)
    part, local = np.empty(m, np.uint8), np.empty(m, kind)
    assert spread_components(root, parts, starts, part, local) == len(set(labels))
    assert (part.tolist(), local.tolist()) == naive.components_in_parts(root.tolist(), parts)
    assert starts[: parts + 1].tolist() == [int((part < p).sum()) for p in range(parts + 1)]
    out, groups = np.empty(m, kind), np.empty(m, kind)
    assert order_by_part(root, part, local, starts, out, groups) == m
    assert out.tolist() == sorted(range(m), key=lambda d: (part[d], d))
    assert groups.tolist() == [local[root[d]] for d in out.tolist()]


@st.composite
def bands_of_documents(draw):
    """The component of each of some documents, and for some bands disjoint buckets of two or more of one component."""
    root = roots_of(draw(ROOTS))
    bands = []
    for _ in range(draw(st.integers(0, 5))):
        keys = draw(st.lists(st.integers(0, 2), min_size=len(root), max_size=len(root)))
        groups = defaultdict(list)
        for document, key in enumerate(keys):
            groups[root[document], key].append(document)
        bands.append([bucket for bucket in groups.values() if len(bucket) > 1])
    return root, bands


def ranked(numbers, size):
    words = np.zeros(-(-size // 64), np.uint64)
    add_numbers(np.array(numbers, np.int64), words)
    before = np.empty(len(words), np.int64)
    count_before(words, before)
    return words, before


def members_of(buckets, kind):
    return np.array([member for bucket in buckets for member in bucket], kind)


@given(bands_of_documents(), st.integers(1, 4), st.sampled_from([np.uint32, np.int64]))
def test_buckets_of_each_part(made, parts, kind):
    """Documents have the numbers 3, 6, 9, ... and their index as rank."""
    root, bands = made
    m = len(root)
    part, local = naive.components_in_parts(root, parts)
    where = *ranked(range(3, 3 * m + 3, 3), 3 * m + 3), np.array(part, np.uint8), np.array(local, kind)
    last = np.zeros((m, 2), kind)
    for buckets, expected in zip(bands, naive.without_repeats(bands), strict=True):
        numbers, offsets = 3 * members_of(buckets, kind) + kind(3), offsets_of(buckets).astype(kind)
        member_ends, bucket_ends = np.empty((2, parts + 1), np.int64)
        out, sizes = np.empty(len(numbers), kind), np.empty(len(buckets), kind)
        left = spread_buckets(numbers, offsets, *where, last, member_ends, bucket_ends, out, sizes)
        assert left == len(expected)
        found = []
        for p in range(parts):
            pieces = np.split(
                out[member_ends[p] : member_ends[p + 1]], sizes[bucket_ends[p] : bucket_ends[p + 1]].cumsum()
            )
            assert len(pieces.pop()) == 0
            found.append([piece.tolist() for piece in pieces])
        assert found == naive.buckets_of_parts(expected, part, local, parts)


@given(bands_of_documents(), st.sampled_from([np.uint32, np.int64]))
def test_joined_buckets(made, kind):
    root, bands = made
    buckets = [bucket for band in bands for bucket in band]
    m = len(root)
    words, before = ranked(range(3, 3 * m + 3, 3), 3 * m + 3)
    index = np.arange(m)[::-1].astype(kind)  # rank r has the index m - 1 - r
    parent = np.arange(m, dtype=kind)
    numbers = 3 * members_of(buckets, kind) + kind(3)
    assert union_buckets(parent, numbers, offsets_of(buckets).astype(kind), words, before, index) == len(buckets)
    flatten(parent)
    expected = np.arange(m)
    union_stars(expected, m - 1 - members_of(buckets, np.int64), offsets_of(buckets))
    flatten(expected)
    assert parent.tolist() == expected.tolist()


@given(bands_of_documents(), st.randoms(use_true_random=False))
def test_buckets_in_keep_order(made, random):
    root, bands = made
    buckets = [bucket for band in bands for bucket in band]
    groups, numbers = np.array(root, np.int64), np.array(random.sample(range(len(root)), len(root)))
    members, offsets = members_of(buckets, np.int64), offsets_of(buckets)
    order = np.empty(len(buckets), np.int64)
    assert order_buckets(members, offsets, groups, order) == len(buckets)
    assert order.tolist() == naive.by_group(buckets, root)
    out, ends = np.empty(len(members), np.int64), np.empty(len(offsets), np.int64)
    assert renumber_buckets(members, offsets, order, numbers, out, ends) == len(members)
    expected = [sorted(int(numbers[member]) for member in buckets[b]) for b in order]
    assert [out[ends[i] : ends[i + 1]].tolist() for i in range(len(buckets))] == expected


@given(st.sets(st.integers(0, 60) | st.integers(2**63, 2**64 - 1)), st.sets(st.integers(0, 60)))
def test_rows_of_sorted_ids(ids, wanted):
    ids, wanted = sorted(ids), sorted(wanted)
    out = np.empty(min(len(ids), len(wanted)), np.int64)
    found = find_sorted(np.array(ids, np.uint64), np.array(wanted, np.uint64), out)
    assert out[:found].tolist() == [ids.index(each) for each in wanted if each in ids]


@given(st.integers(1, 6), st.lists(st.integers(0, 9), max_size=20), st.sampled_from([np.uint8, np.uint16, np.uint32]))
def test_picked_rows(count, rows, kind):
    table = np.random.default_rng(count).integers(0, 2**16, (count, 12)).astype(kind)[:, :10]
    out = np.empty((len(rows), count), kind)
    assert pick_rows(table, np.array(rows, np.int64), out) == len(rows)
    assert out.tolist() == [[int(table[j, row]) for j in range(count)] for row in rows]


@given(st.lists(st.tuples(st.binary(max_size=40), st.booleans())), st.integers(0, 3))
def test_texts_equal_naive(rows, before):
    """Rows of a slice that does not begin with the bytes."""
    texts = [b"x" * before, *(text for text, _ in rows)]
    offsets = np.cumsum([0, *map(len, texts)])[1:]
    mask = np.array([kept for _, kept in rows], np.bool_)
    wanted = b"".join(text for text, kept in rows if kept)
    data = np.frombuffer(b"".join(texts), np.uint8)
    out = np.full(len(wanted) + 2, 7, np.uint8)
    assert pick_texts(offsets, data, mask, out) == len(wanted)
    assert out.tobytes() == wanted + b"\7\7"
