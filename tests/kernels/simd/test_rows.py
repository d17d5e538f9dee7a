"""Instructions that Python has no operator for, against what they stand for."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from corpuscurate.kernels.compile import kernel, uncounted
from corpuscurate.kernels.simd.rows import add_eight, high_product, prefetch

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
    assert high(np.uint64(a), np.uint64(b)) == a * b >> 64


@pytest.mark.parametrize("at", [0, 1, 5])
def test_add_eight(at):
    rows = np.random.default_rng(0).normal(size=64).astype(np.float32)
    out = np.arange(16, dtype=np.float32)
    wanted = out.copy()
    a, b, c, d = (rows[k : k + 8] for k in (0, 9, 20, 56))
    wanted[at : at + 8] += (a + b) + (c + d)
    add(rows, 0, 9, 20, 56, out, at)
    assert out.tobytes() == wanted.tobytes()


def test_prefetch_changes_nothing():
    array = np.arange(10.0)
    array.flags.writeable = False
    assert [ask(array, at) for at in (0, 9, 10**12, -(10**12))] == [0.0] * 4
