import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from naive.neardup import edges
from support.forms import some

from scripts.exact_jaccard import all_pairs, gold_sets, our_sets


@settings(max_examples=some(60))
@given(
    st.lists(st.text("abcd é漢", max_size=25), max_size=14), st.integers(1, 3), st.sampled_from([0.1, 0.5, 0.8, 1.0])
)
def test_equals_naive(texts, ngram, threshold):
    a, b, both, either = all_pairs(our_sets(texts, ngram), threshold)
    found = {(x, y): j for x, y, j in zip(a.tolist(), b.tolist(), (both / either).tolist(), strict=True)}
    assert found == edges(texts, ngram, threshold)


def test_the_tokens_of_the_gold():
    ends, values = gold_sets(["one_two three", "One_Two THREE", "x", "three one_two"], 2)
    assert np.diff(ends).tolist() == [1, 1, 0, 1]
    assert values[0] == values[1] != values[2]


@pytest.mark.parametrize("seed", [1, 2])
def test_many_pairs(seed):
    rng = np.random.default_rng(seed)
    texts = [" ".join(f"w{i}" for i in rng.integers(0, 12, 10)) for _ in range(150)]
    a, b, _, _ = all_pairs(our_sets(texts, 1), 0.5)
    assert set(zip(a.tolist(), b.tolist(), strict=True)) == set(edges(texts, 1, 0.5))


def test_documents_without_shingles_between_others():
    texts = ["", "one two", "", "two", "", "", "one two"]
    for _ in range(3):
        a, b, _, _ = all_pairs(our_sets(texts, 1), 0.5)
        assert list(zip(a.tolist(), b.tolist(), strict=True)) == [(1, 3), (1, 6), (3, 6)]
