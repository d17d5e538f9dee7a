"""Where words may end, 64 bytes at once, against plain Python."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from corpuscurate.kernels.compile import uncounted
from corpuscurate.kernels.simd.spaces import word_ends, word_ends_plain


@uncounted
def ends(data, i):
    return word_ends(data, i)


@given(st.binary(min_size=64, max_size=64), st.integers(0, 9))
def test_equal_to_the_plain_function(block, i):
    data = np.frombuffer(b" " * i + block + b"x", np.uint8)
    assert ends(data, i) == word_ends_plain(data, i)


def test_every_byte():
    for start in range(0, 256, 64):
        data = np.arange(256, dtype=np.uint8)
        assert ends(data, start) == word_ends_plain(data, start)


def test_what_the_plain_function_says_by_hand():
    data = np.frombuffer("a é\u2003Z9\n-".encode().ljust(64, b"x"), np.uint8)
    # a, space, two bytes of é, three of the em space, Z, 9, line feed, hyphen
    assert word_ends_plain(data, 0) == (0b0_1_00_001_00_1_0, 0b1_1_00_111_11_1_0)
    space = {first for first in range(0x110000) if not 0xD800 <= first < 0xE000 and chr(first).isspace()}
    assert {chr(code).encode()[0] for code in space} <= {*range(0x21), 0xC2, 0xE1, 0xE2, 0xE3}
