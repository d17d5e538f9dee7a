import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from naive.neardup import mix64, shingles, signature
from naive.neardup import permutations as naive_permutations
from support.forms import some

from corpuscurate.core.columns import text_buffers
from corpuscurate.kernels.sketch.characters import WORDS
from corpuscurate.kernels.sketch.minhash import lower, permutations, signatures
from corpuscurate.kernels.text.unicode import tables


def pairs(seed: int, k: int):
    a, b = np.empty((2, k), np.uint32)
    permutations(np.uint64(seed), a, b)
    return a, b


def sketch(texts: list[str], n: int, k: int, seed: int = 1):
    offsets, data = text_buffers(pa.array(["first", *texts], pa.large_string()).slice(1))
    counts, words = np.empty(len(texts), np.uint32), np.empty((2, len(texts)), np.uint64)
    out = np.empty((k, len(texts)), np.uint32)
    assert signatures(offsets, data, tables(), WORDS, n, *pairs(seed, k), counts, words, out) == len(texts)
    return out.T, counts, words


@settings(max_examples=some(60), deadline=None)
@given(
    st.lists(st.text("ab é漢", max_size=60), max_size=40), st.integers(1, 6), st.integers(1, 40), st.integers(0, 2**63)
)
def test_equals_naive(texts, n, k, seed):
    out, counts, _ = sketch(texts, n, k, seed)
    assert out.tolist() == [signature(text, n, naive_permutations(seed, k)) for text in texts]
    assert counts.tolist() == [len(shingles(text, n)) for text in texts]


def test_permutations_equal_naive_and_are_bijections():
    a, b = pairs(2**63 + 5, 64)
    assert list(zip(a.tolist(), b.tolist(), strict=True)) == naive_permutations(2**63 + 5, 64)
    assert (a % 2 == 1).all()
    assert pairs(7, 10)[0].tolist() == pairs(7, 64)[0][:10].tolist()


def test_the_hash_of_the_words_tells_sequences_apart():
    texts = ["a b", "A, b.", "b a", "a b b", "ab", "", "a", "a a", "a a a"]
    _, _, words = sketch(texts, 1, 1)
    keys = list(zip(*words.tolist(), strict=True))
    assert keys[0] == keys[1]
    assert len(set(keys)) == len(texts) - 1


def test_trap_9_values_are_full_32_bits():
    out, _, _ = sketch([" ".join(f"w{i}" for i in range(j, j + 50)) for j in range(0, 5000, 50)], 2, 64)
    assert out.max() > 2**24
    unrelated = [(" ".join(f"{prefix}{i}" for i in range(20_000))) for prefix in "xy"]
    out, _, _ = sketch(unrelated, 5, 128)
    assert (out[0] == out[1]).mean() < 0.02


def estimates(n: int, j: float, k: int, trials: int, values) -> np.ndarray:
    """Estimated similarities of pairs of sets of about n hashes each with Jaccard similarity j."""
    rng = np.random.default_rng(12345)
    both = round(2 * n * j / (1 + j))
    a, b = pairs(1, k)
    found = []
    for _ in range(trials):
        hashes = values(rng, 2 * n - both)
        left, right = np.full((2, k), 0xFFFFFFFF, np.uint32)
        lower(hashes[:n], a, b, left)
        lower(hashes[n - both :], a, b, right)
        found.append((left == right).mean())
    return np.array(found), both / (2 * n - both)


def random_hashes(rng, size):
    return rng.integers(0, 2**64, size, dtype=np.uint64)


def structured_hashes(rng, size):
    """Mixed small integers: trap 11."""
    start = int(rng.integers(0, 2**40))
    return np.array([mix64(start + i) for i in range(size)], np.uint64)


@pytest.mark.parametrize("values", [random_hashes, structured_hashes])
@pytest.mark.parametrize(("n", "trials"), [(10, 800), (30, 800), (100, 500), (1000, 200)])
@pytest.mark.parametrize("j", [0.2, 0.5, 0.8, 0.95])
def test_trap_11_bias_and_variance_of_the_estimate(values, n, trials, j):
    k = 128
    if values is structured_hashes:
        trials //= 5
    found, true = estimates(n, j, k, trials, values)
    sigma = np.sqrt(true * (1 - true) / k)
    assert abs(found.mean() - true) < 5 * sigma / np.sqrt(trials) + 0.004
    if sigma:
        # the relative error of a sample's standard deviation is 1 / sqrt(2 trials)
        assert abs(found.std() / sigma - 1) < 5 / np.sqrt(2 * trials) + 0.06
