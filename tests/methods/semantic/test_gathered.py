import numpy as np
import pytest

from corpuscurate.methods.semantic.gathered import Gathered


@pytest.fixture
def rows():
    rng = np.random.default_rng(0)
    pieces = [rng.integers(-9, 9, (size, 3)).astype(np.int16) for size in (4, 0, 7, 1)]
    at = rng.permutation(12)[:9]
    return Gathered(pieces, at, 3), np.concatenate(pieces)[at]


def test_rows_are_those_of_the_pieces(rows):
    gathered, expected = rows
    assert len(gathered) == 9
    for key in (slice(None), slice(2, 5), slice(5, 99), slice(3, 3), np.array([8, 0, 0, 3]), expected[:, 0] > 0):
        found = gathered[key]
        assert found.dtype == np.int16 and found.shape == expected[key].shape and (found == expected[key]).all()


def test_a_part_counts_from_its_first_row(rows):
    gathered, expected = rows
    part = gathered.part(2, 7)
    assert len(part) == 5 and (part[1:4] == expected[3:6]).all()


def test_a_copy_is_all_rows(rows, tmp_path):
    gathered, expected = rows
    assert (gathered.copied(tmp_path / "copy") == expected).all()
    assert gathered.part(4, 4).copied(tmp_path / "none").shape == (0, 3)
