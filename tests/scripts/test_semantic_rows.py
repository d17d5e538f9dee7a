import numpy as np
import pytest

from corpuscurate.methods.semantic.kmeans import Clustering, fit
from corpuscurate.methods.semantic.vectors import quantised
from corpuscurate.methods.semantic.visits import ClustersNear, Visits, measured_border
from corpuscurate.stages.semantic import Semantic
from scripts.semantic_rows import Rows


@pytest.fixture(scope="module")
def made():
    return Rows(64).block(0, 8_000)


def test_planted_copies_have_the_cosines_that_are_told(made):
    rows, copies, of, cosines = made
    assert np.abs(np.linalg.norm(rows, axis=1) - 1).max() < 1e-5
    assert np.abs((rows[copies] * rows[of]).sum(axis=1) - cosines).max() < 1e-5
    assert not set(copies.tolist()) & set(of.tolist()) and len(copies) == 1600


def test_by_default_less_than_a_hundredth_of_near_pairs_is_lost(made):
    rows, copies, of, cosines = made
    vectors, squares = quantised(rows)
    centroids, _ = fit(vectors, squares, np.arange(8_000, dtype=np.uint64), Clustering(90, 0, 10, 0))
    near = cosines >= 0.95
    lost = {}
    assert Semantic().visits == Visits(8, None, measured=True)
    border = measured_border(vectors, np.arange(8_000, dtype=np.uint64), centroids.astype(np.int16))
    assert 0 < border < 0.1
    for name, visits in (("own", Visits(1)), ("default", Visits(8, border))):
        found, _ = ClustersNear(centroids, visits).search(vectors, squares)
        a, b = found[copies[near]], found[of[near]]
        lost[name] = 1 - ((a == b[:, :1]).any(axis=1) | (b == a[:, :1]).any(axis=1)).mean()
    assert lost["default"] < 0.01 < lost["own"]
