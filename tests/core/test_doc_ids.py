import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.forms import some

from corpuscurate.core.doc_ids import POSITION_BITS, between, doc_ids, hashed, id_range, is_in_sorted, sampled
from corpuscurate.methods.embed.corpus import LEARNING_SEED

MOST = 2**64 - 1
IDS = st.one_of(
    st.integers(0, 12),
    st.integers(2**63 - 6, 2**63 + 6),
    st.integers(MOST - 6, MOST),
    st.integers(0, MOST),
)
SEEDS = st.one_of(st.integers(0, 2**31), st.just(LEARNING_SEED))


def array(values, cut=0) -> np.ndarray:
    """The values, read-only: a slice of a longer array whose other elements are 2**63, which must not be seen."""
    whole = np.full(len(values) + 2 * cut, 2**63, np.uint64)
    whole[cut : cut + len(values)] = np.array(values, np.uint64)
    whole.flags.writeable = False
    return whole[cut : cut + len(values)]


def splitmix(value: int, seed: int) -> int:
    """The output of SplitMix64 (Steele, Lea and Flood 2014) for a state, in whole numbers of Python."""
    x = (value + seed * 0x9E3779B97F4A7C15 + 0x3C79AC492BA7B653) % 2**64
    x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) % 2**64
    x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) % 2**64
    return x ^ (x >> 31)


@given(st.integers(0, 2**24 - 1), st.lists(st.integers(0, 2**40 - 1), max_size=9), st.integers(0, 2))
def test_a_doc_id_is_file_number_and_position(file, positions, cut):
    whole = np.zeros(len(positions) + 2 * cut, np.int64)
    whole[cut : cut + len(positions)] = positions
    whole.flags.writeable = False
    found = doc_ids(file, whole[cut : cut + len(positions)])
    assert found.dtype == np.uint64
    assert found.tolist() == [file * 2**40 + position for position in positions]
    assert (found >> np.uint64(POSITION_BITS)).tolist() == [file] * len(positions)


@given(st.lists(IDS, max_size=30), st.lists(IDS, max_size=30), st.integers(0, 2))
def test_membership_equals_that_of_a_set(ids, wanted, cut):
    """ids: in any order, with repetitions."""
    found = is_in_sorted(array(ids, cut), array(sorted(wanted), cut))
    assert found.dtype == np.bool_
    assert found.tolist() == [each in wanted for each in ids]


@given(st.lists(IDS, max_size=30), IDS, IDS, st.integers(0, 2))
def test_between_is_a_view_of_the_ids_in_a_closed_range(ids, first, last, cut):
    whole = array(sorted(ids), cut)
    found = between(whole, np.uint64(first), np.uint64(last))
    assert found.tolist() == [each for each in sorted(ids) if first <= each <= last]
    assert not len(found) or np.shares_memory(found, whole)


@given(st.lists(IDS, max_size=9), st.integers(0, 2))
def test_the_range_of_ids_holds_them_all_and_that_of_none_holds_nothing(ids, cut):
    low, high = id_range(array(sorted(ids), cut))
    assert (low, high) == ((min(ids), max(ids)) if ids else (1, 0))
    assert len(between(array(sorted(ids)), np.uint64(low), np.uint64(high))) == len(ids)


@given(st.lists(IDS, max_size=9), SEEDS, st.integers(0, 2))
def test_hashes_equal_splitmix64(ids, seed, cut):
    found = hashed(array(ids, cut), seed)
    assert found.dtype == np.uint64
    assert found.tolist() == [splitmix(each, seed) for each in ids]


def test_splitmix64_golden():
    """The first outputs of the published generator, seeded with 1234567: https://prng.di.unimi.it/splitmix64.c."""
    golden, step = 0x9E3779B97F4A7C15, 0x3C79AC492BA7B653
    states = np.array([(1234567 + (i + 1) * golden - step) % 2**64 for i in range(3)], np.uint64)
    assert hashed(states, 0).tolist() == [6457827717110365317, 3203168211198807973, 9817491932198370423]


@given(st.lists(IDS, max_size=20), SEEDS, st.integers(0, 2**50), st.integers(0, 2**50), st.integers(0, 2))
def test_a_sample_is_a_matter_of_the_id_alone(ids, seed, wanted, total, cut):
    found = sampled(array(ids, cut), seed, wanted, total)
    assert found.dtype == np.bool_
    assert found.tolist() == [wanted >= total or splitmix(each, seed) < (wanted << 64) // total for each in ids]


@settings(max_examples=some(20))
@given(SEEDS, st.integers(1, 10**9))
def test_a_larger_sample_of_the_same_seed_contains_the_smaller(seed, wanted):
    ids = np.arange(2000, dtype=np.uint64) << np.uint64(POSITION_BITS)
    small, large = sampled(ids, seed, wanted, 10**9), sampled(ids, seed, wanted + wanted // 10, 10**9)
    assert not (small & ~large).any()


@pytest.mark.parametrize("seed", [0, 3, LEARNING_SEED])
def test_a_sample_has_about_the_size_that_is_asked_for(seed):
    ids = np.arange(200_000, dtype=np.uint64) << np.uint64(13)
    for share in (0.5, 0.01):
        assert sampled(ids, seed, int(share * 1e9), 10**9).mean() == pytest.approx(share, rel=0.1)
    assert len(np.unique(hashed(ids, seed))) == len(ids)


def test_samples_of_different_seeds_are_independent():
    ids = np.arange(200_000, dtype=np.uint64) * np.uint64(977)
    one, other = (sampled(ids, seed, 1, 10) for seed in (0, LEARNING_SEED))
    assert (one & other).mean() == pytest.approx(0.01, rel=0.1)
