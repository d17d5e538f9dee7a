"""Vectors of 64 bytes against plain Python."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numba.core.errors import TypingError

from corpuscurate.kernels.compile import uncounted
from corpuscurate.kernels.simd.bits import (
    fold_ascii,
    fold_ascii_plain,
    inside_words,
    inside_words_plain,
    leading_zeros,
    leading_zeros_plain,
    pack_offsets,
    pack_offsets_plain,
    trailing_zeros,
    trailing_zeros_plain,
)

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
    return trailing_zeros(word), leading_zeros(word)


def folded(byte: int, joiner: int) -> int:
    char = chr(byte)
    return byte if byte >= 128 or byte == joiner else ord(char.lower()) if char.isalnum() else 0


JOINERS = st.sampled_from([ord("_"), ord("a")])


@given(BYTES, st.integers(1, 64), JOINERS, st.integers(0, 9), st.integers(0, 9))
def test_fold_ascii(block, size, joiner, i, at):
    data = np.frombuffer(b"?" * i + block + b"A\xc3", np.uint8)  # read-only
    out = np.full(80, 7, np.uint8)
    expected = out.copy()
    marks = fold_ascii_plain(data, i, size, joiner, expected, at)
    assert fold(data, i, size, joiner, out, at) == marks
    assert out.tolist() == expected.tolist()


@given(BYTES, st.integers(1, 64), JOINERS)
def test_fold_ascii_in_place(block, size, joiner):
    out, expected = (np.frombuffer(bytearray(block), np.uint8) for _ in range(2))
    assert fold(out, 0, size, joiner, out, 0) == fold_ascii_plain(expected, 0, size, joiner, expected, 0)
    assert out.tolist() == expected.tolist()


@pytest.mark.parametrize("joiner", [ord("_"), ord("a")])
def test_every_byte_folds(joiner):
    out = np.empty(64, np.uint8)
    for start in range(0, 256, 64):
        fold(np.arange(256, dtype=np.uint8), start, 64, joiner, out, 0)
        assert out.tolist() == [folded(byte, joiner) for byte in range(start, start + 64)]


def test_what_the_plain_functions_say_by_hand():
    """Twins by one hand can share a mistake."""
    out = np.full(64, 7, np.uint8)
    block = "Aé_z 9~Ω".encode().ljust(64, b"!")
    assert fold_ascii_plain(np.frombuffer(block, np.uint8), 0, 8, ord("_"), out, 0) == (0b110, 0b10)
    assert bytes(out[:10]) == "aé_z\09\0\0\0".encode()[:10].ljust(10, b"\0")
    assert inside_words_plain(np.array([0, 1, 0, 255] + [0] * 60, np.uint8), 0) == 0b1010
    assert trailing_zeros_plain(0b101000) == 3 and leading_zeros_plain(0b101000) == 58
    offsets = np.full(4, 7, np.uint16)
    pack_offsets_plain(0b100101, 10, offsets, 1)
    assert offsets.tolist() == [7, 10, 12, 15]


@given(st.lists(st.sampled_from([0, 0, 1, 127, 128, 255]), min_size=64, max_size=64), st.integers(0, 9))
def test_inside_words(block, i):
    data = np.array([1] * i + block + [1], np.uint8)
    assert inside(data, i) == inside_words_plain(data, i)


@given(st.integers(1, 2**64 - 1) | st.integers(0, 63).map(lambda bit: 1 << bit))
def test_zeros_below_and_above(word):
    assert zeros(np.uint64(word)) == (trailing_zeros_plain(word), leading_zeros_plain(word))


@uncounted
def pack(word, base, out, at):
    pack_offsets(word, base, out, at)


@given(st.integers(0, 2**64 - 1), st.integers(0, 17_000), st.integers(0, 5))
def test_pack_offsets(word, base, at):
    word &= ~(word << 1)
    out = np.full(40, 7, np.uint16)
    pack(np.uint64(word), base, out, np.uint64(at))
    expected = np.full(80, 7, np.uint16)
    pack_offsets_plain(word, base, expected, at)
    written = at + word.bit_count()
    assert out[:written].tolist() == expected[:written].tolist()
    assert (out[at + 32 :] == 7).all()


@pytest.mark.parametrize("data", [np.zeros(200, np.uint8)[::2], np.zeros(100, np.int8), 3])
def test_no_other_arrays(data):
    with pytest.raises(TypingError, match="bytes in a row"):
        inside(data, 0)
    with pytest.raises(TypingError, match="bytes in a row"):
        fold(np.zeros(100, np.uint8), 0, 64, 97, data, 0)
