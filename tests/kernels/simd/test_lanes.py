"""Steps over eight numbers against plain Python."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from naive.neardup import word_hash

from corpuscurate.kernels.compile import uncounted
from corpuscurate.kernels.simd.lanes import FEW, LANES, hash_words, hash_words_plain, next_hits, next_hits_plain

C = 0xD1342543DE82EF95


@uncounted
def hashed(folded, starts, ends, k, words, long_words, longer):
    return hash_words(folded, starts, ends, k, words, long_words, longer)


@uncounted
def hit(x, i, k, lower, upper, hits, count):
    return next_hits(x, i, k, lower, upper, hits, count)


@given(
    st.lists(st.text("aé\x7f", max_size=30).map(str.encode), min_size=LANES, max_size=LANES),
    st.integers(0, 3),
    st.integers(0, 3),
)
def test_hash_words(words, k, longer):
    text = np.frombuffer(b"\0".join(words).ljust(600, b"?"), np.uint8)  # read-only
    ends = np.cumsum([len(word) + 1 for word in words]) - 1
    starts = np.array([0] * k + [end - len(word) for end, word in zip(ends, words, strict=True)], np.uint16)
    ends = np.array([0] * k + ends.tolist(), np.uint16)
    out, long_words = np.full((2, 30), 5, np.uint64)
    count = hashed(text, starts, ends, np.uint64(k), out, long_words, np.uint64(longer))
    plain, plain_long = np.full((2, 30), 5, np.uint64)
    assert count == hash_words_plain(text, starts, ends, k, plain, plain_long, longer)
    assert long_words[:count].tolist() == plain_long[:count].tolist()
    short = [k + i for i, word in enumerate(words) if len(word) < 16]
    assert out[short].tolist() == plain[short].tolist()
    for i, word in enumerate(words):
        assert len(word) >= 16 or out[k + i] == word_hash(word.decode())
    assert (np.delete(out, range(k, k + LANES)) == 5).all()
    assert (long_words[longer + LANES :] == 5).all()


@given(
    st.lists(st.integers(0, 2**64 - 1), min_size=LANES, max_size=LANES),
    st.integers(1, FEW),
    st.integers(0, 2**FEW - 1) | st.sampled_from([0, 2**FEW - 1]),
    st.integers(0, 3),
)
def test_next_hits(numbers, k, is_open, count):
    x = np.array([9] * 3 + numbers + [9], np.uint64)
    hits = np.full(20, 5, np.uint64)
    halves = np.uint64(is_open & 2**64 - 1), np.uint64(is_open >> 64)
    plain, plain_hits = x.copy(), hits.copy()
    found = hit(x, np.uint64(3), np.uint64(k), *halves, hits, np.uint64(count))
    assert found == next_hits_plain(plain, 3, k, int(halves[0]), int(halves[1]), plain_hits, count)
    assert x.tolist() == plain.tolist() == [9] * 3 + [number * C % 2**64 for number in numbers] + [9]
    assert hits[:found].tolist() == plain_hits[:found].tolist()
    assert (hits[count + LANES :] == 5).all()
