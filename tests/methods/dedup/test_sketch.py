import numpy as np
import pyarrow as pa
import pytest
import xxhash
from hypothesis import given, settings
from hypothesis import strategies as st
from naive import neardup, sketches
from support.forms import some
from support.later import Later

from corpuscurate.kernels.text.folding import CHUNK
from corpuscurate.methods.dedup.sketch import Recipe, sign

datasketch = Later("datasketch")

TEXT = st.text(
    st.sampled_from("ab cé漢 字ßΐ.\u0301\u00a0\nA9İ\U0001f600กา\u00ad\u200d\ufe0f_")
    | st.characters(exclude_categories=["Cs"]),
    max_size=90,
)


KINDS = st.sampled_from(["unicode", "identifiers"])


def column(texts):
    return pa.array(["first", *texts], pa.large_string()).slice(1)


def long_text(seed: int, words: int) -> str:
    rng = np.random.default_rng(seed)
    return " ".join(f"{'wÉ漢'[i % 3]}{i}" for i in rng.integers(0, 5000, words))


@settings(max_examples=some(80), deadline=None)
@given(
    st.lists(TEXT, max_size=20), st.sampled_from(["words", "characters"]), st.integers(1, 6), st.integers(1, 40), KINDS
)
def test_fast_signatures_equal_naive(texts, unit, n, k, kind):
    signed = sign(Recipe("fast", unit, n, k, 7, "sha1", kind), column(texts))
    found = [sketches.hashes(text, unit, n, kind) for text in texts]
    assert signed.values.T.tolist() == [sketches.fast_signature(each, k, 7) for each in found]
    if unit == "words":
        counts = [len(neardup.shingles(text, n, kind)) for text in texts]
    else:
        counts = [len(sketches.character_shingles(text, n)) for text in texts]
    assert signed.shingles.tolist() == counts


@pytest.mark.parametrize("unit", ["words", "characters"])
@pytest.mark.parametrize("k", [1, 3, 128, 1000])
@pytest.mark.campaign(2)
def test_fast_signatures_of_long_and_repetitive_documents_equal_naive(unit, k):
    """Across chunks, with bins that fill late, and with a million repeats that must not be kept."""
    texts = [long_text(1, 3000), "same " * 20_000, long_text(2, 300), "x" * (2 * CHUNK), "two words " * 5000]
    signed = sign(Recipe("fast", unit, 5, k, 1, "sha1"), column(texts))
    assert signed.values.T.tolist() == [sketches.fast_signature(sketches.hashes(t, unit, 5), k, 1) for t in texts]


def test_golden_fast_signature_of_one_shingle():
    """By hand: one shingle h fills bins in the order its generator visits them; the rest in rounds k.."""
    h = neardup.shingle_hash(("a",))
    a = neardup.mix64(1 + neardup.SEED) | 1
    rounds = [h * a * pow(sketches.C, i, 2**64) % 2**64 for i in range(4)]
    first, second = (rounds[i] >> 63 for i in range(2))
    expected = [0, 0]
    expected[first] = rounds[0] & 0xFFFFFFFF
    late = rounds[1] if second != first else rounds[2 + 1 - first]
    expected[1 - first] = late >> 15 & 0xFFFFFFFF
    signed = sign(Recipe("fast", "words", 5, 2, 1, "sha1"), column(["a"]))
    assert signed.values[:, 0].tolist() == expected


def test_seeds_give_other_signatures():
    texts = column([long_text(3, 500)])
    first, second = (sign(Recipe("fast", "words", 5, 64, seed, "sha1"), texts).values for seed in (1, 2))
    assert not (first == second).any()


def theirs(text, unit, n, k, seed, hash_name, words="unicode"):
    hashfunc = None if hash_name == "sha1" else xxhash.xxh32_intdigest
    made = datasketch.MinHash(num_perm=k, seed=seed, hashfunc=hashfunc)
    made.update_batch(sketches.datasketch_shingles(text, unit, n, words))
    return made.hashvalues.tolist()


@settings(max_examples=some(40), deadline=None)
@given(
    st.lists(TEXT, max_size=6),
    st.sampled_from(["words", "characters"]),
    st.integers(1, 5),
    st.integers(0, 2**32 - 1),
    st.sampled_from(["sha1", "xxh32"]),
    KINDS,
)
def test_equal_to_datasketch_value_for_value(texts, unit, n, seed, hash_name, words):
    signed = sign(Recipe("datasketch", unit, n, 16, seed, hash_name, words), column(texts))
    assert signed.values.T.tolist() == [theirs(text, unit, n, 16, seed, hash_name, words) for text in texts]


@pytest.mark.parametrize("hash_name", ["sha1", "xxh32"])
@pytest.mark.parametrize("unit", ["words", "characters"])
def test_equal_to_datasketch_on_long_documents(hash_name, unit):
    texts = [long_text(4, 2000), "", "!", "Ende " * 3000]
    signed = sign(Recipe("datasketch", unit, 24, 128, 1, hash_name), column(texts))
    assert signed.values.T.tolist() == [theirs(text, unit, 24, 128, 1, hash_name) for text in texts]


def test_the_plain_default_of_datasketch():
    made = datasketch.MinHash()
    for shingle in (b"the quick brown fox jumps", b"quick brown fox jumps over"):
        made.update(shingle)
    signed = sign(Recipe("datasketch", "words", 5, 128, 1, "sha1"), column(["The quick, brown fox jumps OVER!"]))
    assert signed.values[:, 0].tolist() == made.hashvalues.tolist()


@pytest.mark.parametrize("kind", ["fast", "classic", "datasketch"])
def test_trap_11_small_whole_numbers_are_mixed_first(kind):
    """Permutations of unmixed small numbers are biased (.430 for .5): half of each set's words are the other's, too."""
    found = []
    for first in range(0, 3000, 300):
        texts = [" ".join(str(i) for i in range(first + shift, first + shift + 150)) for shift in (0, 50)]
        a, b = sign(Recipe(kind, "words", 1, 256, 1, "xxh32"), column(texts)).values.T
        found.append((a == b).mean())
    assert abs(np.mean(found) - 0.5) < 4 * np.sqrt(0.25 / 256 / len(found))


@pytest.mark.parametrize("kind", ["fast", "classic", "datasketch"])
def test_trap_9_values_are_full_32_bits(kind):
    unrelated = [" ".join(f"{prefix}{i}" for i in range(20_000)) for prefix in "xy"]
    signed = sign(Recipe(kind, "words", 5, 128, 1, "xxh32"), column(unrelated))
    assert not (signed.values[:, 0] == signed.values[:, 1]).any()
    many = sign(Recipe(kind, "words", 2, 64, 1, "xxh32"), column([long_text(i, 60) for i in range(60)])).values
    assert many.max() > 2**26


@pytest.mark.parametrize("kind", ["fast", "classic", "datasketch"])
def test_the_digest_tells_sequences_apart(kind):
    texts = ["a b", "A, b.", "b a", "a b b", "ab", "", "a", "a a", "a a a"]
    words = sign(Recipe(kind, "words", 1, 4, 1, "sha1"), column(texts)).words
    keys = list(zip(*words.tolist(), strict=True))
    assert keys[0] == keys[1]
    assert len(set(keys)) == len(texts) - 1


def test_characters_of_a_document_shorter_than_the_shingle():
    """Trap 3: one shingle, of all of them; white space alone has none."""
    signed = sign(Recipe("fast", "characters", 24, 8, 1, "sha1"), column(["Cat", " cat\n", "dog", " \t ", ""]))
    assert signed.shingles.tolist() == [1, 1, 1, 0, 0]
    assert signed.values[:, 0].tolist() == signed.values[:, 1].tolist() != signed.values[:, 2].tolist()


@pytest.mark.parametrize("unit", ["words", "characters"])
@pytest.mark.parametrize("kind", ["fast", "classic", "datasketch"])
def test_invisible_characters_change_no_sketch(kind, unit):
    plain = "Die landwirtschaftlichen Genossenschaften 漢字 é ﬃ of 2026."
    marked = "\ufeff" + "".join(char + "\u00ad\u200e\ufe0f"[at % 3] for at, char in enumerate(plain))
    made = sign(Recipe(kind, unit, 3, 16, 1, "sha1"), column([plain, marked]))
    assert made.values[:, 0].tolist() == made.values[:, 1].tolist()
    assert made.words[:, 0].tolist() == made.words[:, 1].tolist()
    assert made.shingles[0] == made.shingles[1]
