"""Instructions that Python has no operator for, against what they stand for."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from corpuscurate.kernels.compile import kernel, uncounted
from corpuscurate.kernels.simd.rows import (
    add_eight,
    add_eight_plain,
    high_product,
    high_product_plain,
    prefetch,
    prefetch_plain,
)

NUMBERS = st.integers(0, 2**64 - 1)


@uncounted
def high(a, b):
    return high_product(a, b)


@uncounted
def add(rows, a, b, c, d, out, at):
    add_eight(rows, a, b, c, d, out, at)
    return 0


@kernel
def ask(array, at):
    prefetch(array, at)
    return array[0]


@given(a=NUMBERS, b=NUMBERS)
def test_high_product(a, b):
    assert high(np.uint64(a), np.uint64(b)) == high_product_plain(a, b) == (a * b - a * b % 2**64) // 2**64


@given(
    st.lists(st.floats(-1e6, 1e6, width=32), min_size=32, max_size=32),
    st.lists(st.integers(0, 24), min_size=4, max_size=4),
    st.integers(0, 8),
)
def test_add_eight(numbers, places, at):
    """Bit for bit: the order of the additions is a part of the meaning."""
    rows = np.array(numbers, np.float32)
    out = np.arange(16, dtype=np.float32)
    plain = out.copy()
    add_eight_plain(rows, *places, plain, at)
    add(rows, *places, out, at)
    assert out.tobytes() == plain.tobytes()
    wanted = np.arange(16, dtype=np.float32)
    a, b, c, d = (rows[k : k + 8] for k in places)
    wanted[at : at + 8] += (a + b) + (c + d)
    assert out.tobytes() == wanted.tobytes()


def test_prefetch_changes_nothing():
    array = np.arange(10.0)
    array.flags.writeable = False
    prefetch_plain(array, 0)
    assert [ask(array, at) for at in (0, 9, 10**12, -(10**12))] == [0.0] * 4
