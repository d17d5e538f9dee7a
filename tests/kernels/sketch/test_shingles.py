import itertools

import numba
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from naive.neardup import folded_words, shingle_hash, shingles
from support.forms import some

from corpuscurate.core.columns import text_buffers
from corpuscurate.kernels.sketch.shingle_sets import ROUNDS, sort_distinct
from corpuscurate.kernels.sketch.shingles import begin, new_walk, next_shingles, power_of_base
from corpuscurate.kernels.text.folding import CHUNK
from corpuscurate.kernels.text.unicode import tables

# letters, digits, marks, folding that expands, scripts without spaces, emoji, separators, invisible characters
ALPHABET = "aZ09_-' \n\0éÉßẞıİŉΐﬃſΣςАяІѠ\u0301\u0345\u0903漢字ーカあกำັဂြ한ع\u200d\u00ad\ufe0f\U000e0101\u200b😀𐐀𞤀ªⅧ½٣"
KINDS = st.sampled_from(["unicode", "identifiers"])


@numba.njit
def walk_all(offsets, data, t, n, out_offsets, out):
    walk = new_walk(n)
    power = power_of_base(n)
    at = 0
    for row in range(len(offsets) - 1):
        begin(offsets[row], offsets[row + 1], n, walk)
        made = next_shingles(data, t, n, power, walk)
        while made >= 0:
            out[at : at + made] = walk.shingles[:made]
            at += made
            made = next_shingles(data, t, n, power, walk)
        out_offsets[row + 1] = at
    return at


def sets(texts: list[str], n: int, kind: str = "unicode") -> list[list[int]]:
    near_the_end, inside = (sets_before(texts, n, after, kind) for after in ("x", "Éx" * 50))
    assert near_the_end == inside  # whether a block of 64 bytes can be read there or not
    return inside


def sets_before(texts: list[str], n: int, after: str, kind: str) -> list[list[int]]:
    offsets, data = text_buffers(pa.array(["other words", *texts, after], pa.large_string()).slice(1, len(texts)))
    data.setflags(write=False)
    out_offsets = np.zeros(len(texts) + 1, np.int64)
    out = np.empty(len(data) + 1, np.uint64)
    walk_all(offsets, data, tables(kind), n, out_offsets, out)
    return [sorted(set(out[a:b].tolist())) for a, b in itertools.pairwise(out_offsets)]


def expected(text: str, n: int, kind: str = "unicode") -> list[int]:
    return sorted({shingle_hash(shingle) for shingle in shingles(text, n, kind)})


def test_golden_words():
    assert folded_words("Don't STOP—the 2nd Straße, İo") == ["don", "t", "stop", "the", "2nd", "strasse", "i̇o"]
    assert folded_words("漢字kana カ\u3099x") == ["漢", "字", "kana", "カ\u3099", "x"]
    assert folded_words("\u0301 a\u0301b _ \u0301") == ["a\u0301b"]
    assert folded_words("\ufeffco\u00adOP\u2060er\u200date\u200f \u00ad 漢\ufe00字") == ["cooperate", "漢", "字"]
    assert folded_words("My_Name __x", "identifiers") == ["my_name", "__x"]


def test_trap_3_short_documents_have_one_shingle_and_empty_ones_none():
    cat, dog, shout, empty, blank = sets(["cat", "dog", "CAT!", "", " .,—\n"], 5)
    assert len(cat) == len(dog) == 1
    assert cat != dog
    assert cat == shout
    assert empty == blank == []


def test_a_short_document_differs_from_a_part_of_a_longer():
    short, long = sets(["a b c", "a b c d"], 4)
    assert len(short) == len(long) == 1
    assert short != long


@settings(max_examples=some(200))
@given(st.lists(st.text(ALPHABET, max_size=60), max_size=4), st.integers(1, 7), KINDS)
def test_equals_naive(texts, n, kind):
    assert sets(texts, n, kind) == [expected(text, n, kind) for text in texts]


@settings(max_examples=some(100))
@given(st.lists(st.text(max_size=80), max_size=3), st.integers(1, 4), KINDS)
def test_equals_naive_on_any_text(texts, n, kind):
    assert sets(texts, n, kind) == [expected(text, n, kind) for text in texts]


@settings(max_examples=some(60), deadline=None)
@given(
    st.integers(-70, 20),
    st.text(ALPHABET, min_size=1, max_size=40),
    st.sampled_from(["a", "ab ", "é", "漢", "x1-", "a_", "\u00ad", "é\u00ad", "漢\ufe00"]),
    KINDS,
)
def test_borders_of_chunks(shift, tail, filler, kind):
    size = CHUNK + shift
    text = (filler * size)[:size] + tail + " end of text"
    assert sets([text], 3, kind) == [expected(text, 3, kind)]


@pytest.mark.parametrize("before", ["", "a ", "word", "漢", "word of 8", "x" * 16])
@pytest.mark.parametrize("after", ["", " b", "word", "漢", "\u0301"])
def test_chunks_of_nothing_but_invisible_characters(before, after):
    text = before + "\u00ad" * (3 * CHUNK) + after
    assert sets([text], 2) == [expected(text, 2)] == sets([before + after], 2)


LENGTHS = [0, 1, 7, 8, 9, 15, 16, 17, 23, 24, 255, 256, 260, 264, 272]


@settings(max_examples=some(100), deadline=None)
@given(st.lists(st.sampled_from(LENGTHS) | st.integers(0, 40), max_size=60), st.sampled_from(["a", "é", "漢"]))
def test_long_and_short_words_in_any_order(lengths, char):
    text = " ".join(char * (length // len(char.encode())) for length in lengths)
    assert sets([text], 2) == [expected(text, 2)]


@pytest.mark.parametrize("words", [0, 1, 7, 8, 9, 15, 16, 17, 31, 32, 33, 64])
@pytest.mark.parametrize("word", ["a", "ab", "0123456789abcdefgh"])
def test_any_number_of_words(words, word):
    """Among them more words in a block of 64 bytes than are written at once, and a long one last of those gathered."""
    texts = [" ".join([word] * words + last) for last in ([], ["b"], ["0123456789abcdef"])]
    assert sets(texts, 3) == [expected(text, 3) for text in texts]


@settings(max_examples=some(60), deadline=None)
@given(st.integers(CHUNK - 90, CHUNK + 10), st.integers(0, 30), st.sampled_from([1, 8, 16, 40, 300]))
def test_words_cut_by_the_end_of_a_chunk(before, words, length):
    text = ("x " * CHUNK)[: before - before % 2] + " ".join(["y" * length] * (words + 1))
    assert sets([text], 2) == [expected(text, 2)]


@pytest.mark.parametrize("length", [1, 7, 8, 9, 255, 256, CHUNK - 1, CHUNK, CHUNK + 1, 5 * CHUNK + 3])
def test_words_of_any_length(length):
    for text in ("a" * length, f"b {'a' * length} c", "ΐ" * length, "é" * length + "漢"):
        assert sets([text], 2) == [expected(text, 2)]


def test_worst_growth_of_folding_fits_the_buffers():
    for char in ("ΐ", "ﬃ", "ŉ", "a漢", "漢a", "é漢", "İ", "\u0345", "漢"):
        text = char * (3 * CHUNK)
        assert sets([text], 1) == [expected(text, 1)]


@given(st.lists(st.integers(0, 2**64 - 1) | st.sampled_from([0, 1, 2**63, 2**64 - 1]), max_size=200))
def test_sort_distinct(values):
    array = np.array(values, np.uint64)
    left = sort_distinct(array, np.empty(len(values), np.uint64), np.empty(2 * len(values) + 2, np.uint32))
    assert array[:left].tolist() == sorted(set(values))


def sorted_distinct(array):
    left = sort_distinct(array, np.empty_like(array), np.empty(2 * len(array) + 2, np.uint32))
    return array[:left].tolist()


def test_sort_distinct_of_many_repeats():
    array = np.repeat(np.arange(5, dtype=np.uint64) << np.uint64(60), 20_000)
    assert sorted_distinct(array) == [i << 60 for i in range(5)]


@pytest.mark.parametrize("size", [2, 3, 7, 8, 9, 64, 65, 1000, 40_000])
def test_sort_distinct_of_hashes(size):
    array = np.random.default_rng(size).integers(0, 2**64, size, np.uint64)
    assert sorted_distinct(array.copy()) == np.unique(array).tolist()
    array[size // 2 :] = array[: size - size // 2]  # each twice
    assert sorted_distinct(array.copy()) == np.unique(array).tolist()


@pytest.mark.parametrize("crowd", range(1, 3 * ROUNDS))
def test_sort_distinct_where_leading_bits_are_shared(crowd):
    """Runs of up to ROUNDS are sorted by exchanges, longer ones by insertion."""
    rng = np.random.default_rng(crowd)
    array = rng.integers(0, 2**64, 300, np.uint64)
    array[rng.choice(300, crowd, replace=False)] = np.uint64(2**63) + np.arange(crowd, dtype=np.uint64)[::-1]
    assert sorted_distinct(array.copy()) == np.unique(array).tolist()


def test_sort_distinct_of_two_that_repeat_and_share_their_leading_bits():
    """Linear, not the square of the repeats."""
    array = np.tile(np.array([2**63 + 1, 2**63], np.uint64), 200_000)
    assert sorted_distinct(array) == [2**63, 2**63 + 1]
