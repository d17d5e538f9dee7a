import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from corpuscurate.kernels.embedding.whole_rows import row_squares, unit_rows, whole_rows

FLOATS = st.floats(-1, 1, width=32) | st.sampled_from([0.0, -0.0, 0.5, 1.0, -1.0])
ANY = FLOATS | st.sampled_from([math.nan, math.inf, -math.inf, float(np.float32(3e38)), float(np.float32(1e-45))])
SHAPES = st.tuples(st.integers(0, 4), st.integers(1, 9))


def drawn(data, elements, shape):
    rows = data.draw(st.lists(elements, min_size=shape[0] * shape[1], max_size=shape[0] * shape[1]))
    return np.array(rows, np.float32).reshape(shape)


@given(st.data(), SHAPES, st.floats(1, 4000))
def test_whole_rows_equal_the_definition(data, shape, length):
    rows = drawn(data, FLOATS, shape)
    dither = data.draw(st.lists(st.floats(-0.49, 0.49), min_size=shape[1], max_size=shape[1]))
    out, squares = np.empty(shape, np.int16), np.empty(shape[0], np.int32)
    assert whole_rows(rows, length, np.array(dither), out, squares) == shape[0]
    expected = [[round(x * length + d) for x, d in zip(row, dither, strict=True)] for row in rows.tolist()]
    assert out.tolist() == expected
    assert squares.tolist() == [sum(x * x for x in row) for row in expected]


def test_halves_are_rounded_to_even():
    out, squares = np.empty((1, 4), np.int16), np.empty(1, np.int32)
    whole_rows(np.array([[0.5, 0.25, -0.25, 0.75]], np.float32), 2.0, np.zeros(4), out, squares)
    assert out.tolist() == [[1, 0, 0, 2]] and squares.tolist() == [5]


@given(st.data(), SHAPES)
def test_unit_rows_equal_the_definition(data, shape):
    rows = drawn(data, ANY, shape)
    out, squares = np.empty(shape, np.float32), np.empty(shape[0])
    assert unit_rows(rows, out, squares) == shape[0]
    for row, unit, square in zip(rows.tolist(), out, squares.tolist(), strict=True):
        total = 0.0
        for x in row:
            total += x * x
        assert square == total or (math.isnan(square) and math.isnan(total))
        good = total > 0 and math.isfinite(total)
        expected = [x / math.sqrt(total) if good else 0.0 for x in row]
        assert unit.tobytes() == np.array(expected, np.float32).tobytes()


@given(st.lists(st.lists(st.integers(-4096, 4096), min_size=5, max_size=5), max_size=4))
def test_squares_equal_the_definition(rows):
    out = np.empty(len(rows), np.int32)
    row_squares(np.array(rows, np.int16).reshape(len(rows), 5), out)
    assert out.tolist() == [sum(x * x for x in row) for row in rows]
