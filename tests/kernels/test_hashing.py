import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st
from naive.neardup import mix64 as naive_mix64
from naive.siphash import siphash128 as naive_siphash128

from corpuscurate.core.columns import text_buffers
from corpuscurate.kernels.hashing import KEY, load64, mix64, siphash128

REFERENCE_KEY = bytes(range(16))


def hashes(messages: list[bytes], key=KEY) -> list[bytes]:
    offsets, data = text_buffers(pa.array([b"", *messages, b"tail"], pa.large_binary()).slice(1, len(messages)))
    data.setflags(write=False)
    first, second = np.empty((2, len(messages)), np.uint64)
    assert siphash128(offsets, data, *key, first, second) == len(messages)
    return [a.tobytes() + b.tobytes() for a, b in zip(first, second, strict=True)]


def test_published_vector():
    # vectors_sip128[0] of github.com/veorq/SipHash, vectors.h
    assert hashes([b""])[0].hex() == "a3817f04ba25a8e66df67214c7550293"
    assert naive_siphash128(REFERENCE_KEY, b"").hex() == "a3817f04ba25a8e66df67214c7550293"
    # vectors_sip128[1]
    assert hashes([b"\0"])[0].hex() == "da87c1d86b99af44347659119b22fc45"


def test_key_is_that_of_the_reference_vectors():
    assert b"".join(word.tobytes() for word in KEY) == REFERENCE_KEY


def test_reference_inputs_of_every_length():
    messages = [bytes(range(size)) for size in range(64)]
    assert hashes(messages) == [naive_siphash128(REFERENCE_KEY, message) for message in messages]


@given(st.lists(st.binary(max_size=300), max_size=5), st.binary(min_size=16, max_size=16))
def test_equals_naive(messages, key):
    words = tuple(np.frombuffer(key, np.uint64))
    assert hashes(messages, words) == [naive_siphash128(key, message) for message in messages]


def test_length_beyond_a_byte_counts():
    assert len(set(hashes([b"a" * 255, b"a" * 256, b"a" * 257, b"a" * 511, b"a" * 512]))) == 5


@given(st.integers(0, 2**64 - 1))
def test_mix64_equals_naive(x):
    assert int(mix64(np.uint64(x))) == naive_mix64(x)


@given(st.binary(min_size=8, max_size=30), st.data())
def test_load64(data, draw):
    at = draw.draw(st.integers(0, len(data) - 8))
    assert int(load64(np.frombuffer(data, np.uint8), at)) == int.from_bytes(data[at : at + 8], "little")
