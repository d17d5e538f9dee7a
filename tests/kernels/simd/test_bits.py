"""Vectors of 64 bytes against plain Python."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numba.core.errors import TypingError

from corpuscurate.kernels.compile import uncounted
from corpuscurate.kernels.simd.bits import fold_ascii, inside_words, pack_offsets, trailing_zeros

BYTES = st.binary(min_size=64, max_size=64) | st.text("aZ09_ [@`{/:\x7f\x80", min_size=64, max_size=64).map(
    lambda text: text.encode("latin-1")
)


@uncounted
def fold(data, i, size, joiner, out, at):
    return fold_ascii(data, i, size, joiner, out, at)


@uncounted
def inside(data, i):
    return inside_words(data, i)


@uncounted
def zeros(word):
    return trailing_zeros(word)


def folded(byte: int, joiner: int) -> int:
    char = chr(byte)
    return byte if byte >= 128 or byte == joiner else ord(char.lower()) if char.isalnum() else 0


def as_mask(marks) -> int:
    return sum(1 << j for j, mark in enumerate(marks) if mark)


JOINERS = st.sampled_from([ord("_"), ord("a")])


@given(BYTES, st.integers(1, 64), JOINERS, st.integers(0, 9), st.integers(0, 9))
def test_fold_ascii(block, size, joiner, i, at):
    data = np.frombuffer(b"?" * i + block + b"A\xc3", np.uint8)  # read-only
    out = np.full(80, 7, np.uint8)
    others, leads = fold(data, i, size, joiner, out, at)
    expected = [folded(byte, joiner) for byte in block[:size]]
    assert out.tolist() == [7] * at + expected + [0] * (64 - size) + [7] * (16 - at)
    assert others == as_mask(byte >= 0x80 for byte in block[:size])
    assert leads == as_mask(byte >= 0xC0 for byte in block[:size])


@given(BYTES, st.integers(1, 64), JOINERS)
def test_fold_ascii_in_place(block, size, joiner):
    out = np.frombuffer(bytearray(block), np.uint8)
    fold(out, 0, size, joiner, out, 0)
    assert out.tolist() == [folded(byte, joiner) for byte in block[:size]] + [0] * (64 - size)


@pytest.mark.parametrize("joiner", [ord("_"), ord("a")])
def test_every_byte_folds(joiner):
    out = np.empty(64, np.uint8)
    for start in range(0, 256, 64):
        fold(np.arange(256, dtype=np.uint8), start, 64, joiner, out, 0)
        assert out.tolist() == [folded(byte, joiner) for byte in range(start, start + 64)]


@given(st.lists(st.sampled_from([0, 0, 1, 127, 128, 255]), min_size=64, max_size=64), st.integers(0, 9))
def test_inside_words(block, i):
    data = np.array([1] * i + block + [1], np.uint8)
    assert inside(data, i) == as_mask(block)


@given(st.integers(1, 2**64 - 1) | st.integers(0, 63).map(lambda bit: 1 << bit))
def test_trailing_zeros(word):
    assert zeros(np.uint64(word)) == (word & -word).bit_length() - 1


@uncounted
def pack(word, base, out, at):
    pack_offsets(word, base, out, at)


@given(st.integers(0, 2**64 - 1), st.integers(0, 17_000), st.integers(0, 5))
def test_pack_offsets(word, base, at):
    word &= ~(word << 1)
    out = np.full(40, 7, np.uint16)
    pack(np.uint64(word), base, out, np.uint64(at))
    offsets = [base + index for index in range(64) if word >> index & 1]
    assert out[: at + len(offsets)].tolist() == [7] * at + offsets
    assert (out[at + 32 :] == 7).all()


@pytest.mark.parametrize("data", [np.zeros(200, np.uint8)[::2], np.zeros(100, np.int8), 3])
def test_no_other_arrays(data):
    with pytest.raises(TypingError, match="bytes in a row"):
        inside(data, 0)
    with pytest.raises(TypingError, match="bytes in a row"):
        fold(np.zeros(100, np.uint8), 0, 64, 97, data, 0)
