"""Anchors of personal data in 64 bytes, against plain Python."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numba.core.errors import TypingError

from corpuscurate.kernels.compile import uncounted
from corpuscurate.kernels.simd.anchors import REACH, anchors, anchors_plain, ones, ones_plain

PARTS = ["@", "＠", "a", "Z", ".", ":", "1", "９", "٣", "۴", "४", "๕", "0", "é", "漢", "[", "`", "{", "\x7f", "ໄ", "᠐"]


@uncounted
def marks(data, i):
    return anchors(data, i)


@uncounted
def count(word):
    return ones(word)


@given(st.lists(st.sampled_from(PARTS) | st.characters(codec="utf-8")), st.integers(0, 9))
def test_marks(parts, i):
    data = "".join(parts).encode()
    data = np.frombuffer(data + b"1" * max(REACH + 9 - len(data), 0), np.uint8)
    assert marks(data, i) == anchors_plain(data, i)


@given(st.integers(0, 2**64 - 1))
def test_ones(word):
    assert count(np.uint64(word)) == ones_plain(word)


def test_only_bytes_in_a_row_are_taken():
    with pytest.raises(TypingError, match="bytes in a row are needed"):
        marks(np.zeros(200, np.uint8)[::2], 0)
