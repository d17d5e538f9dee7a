import sys

import numpy as np
import pytest

from corpuscurate.core.errors import MissingExtraError
from corpuscurate.kernels.embedding.neighbour_lists import add_rows
from corpuscurate.methods.semantic.kmeans import LENGTH, Clustering, Nearest, choose_clusters, directed, fit
from corpuscurate.methods.semantic.threads import one_pool
from corpuscurate.methods.semantic.vectors import quantised
from corpuscurate.stages.semantic import Semantic


def data(seed=0, size=4000, dimension=48, topics=20):
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(topics, dimension))
    rows = centres[rng.integers(0, topics, size)] + 0.4 * rng.normal(size=(size, dimension))
    rows /= np.linalg.norm(rows, axis=1)[:, None]
    whole, squares = quantised(rows.astype(np.float32))
    return whole, squares, np.arange(size, dtype=np.uint64) * np.uint64(3)


def every_product(vectors, centroids):
    return vectors.astype(np.int64) @ centroids.astype(np.int64).T


@pytest.mark.parametrize("size", [1, 7, 19, 20, 21, 700])  # FAISS takes another path from 20 queries on
@pytest.mark.parametrize("count", [1, 3])
def test_nearest_is_the_lowest_numbered_of_equal_centroids(size, count):
    rng = np.random.default_rng(size)
    vectors = rng.integers(-9, 10, (size, 6)).astype(np.int16)
    centroids = rng.integers(-3, 4, (50, 6)).astype(np.float32)  # few values: many ties
    centroids[30:40] = centroids[5:15]
    numbers, products = Nearest(centroids).search(vectors, count)
    every = every_product(vectors, centroids)
    expected = np.argsort(-every, axis=1, kind="stable")[:, :count]
    assert (numbers == expected).all()
    assert (products == np.take_along_axis(every, expected, 1)).all()


@pytest.mark.parametrize("size", [20, 3000])
def test_more_probes_than_ties(size):
    centroids = np.tile(np.eye(4, dtype=np.float32) * LENGTH, (8, 1))
    vectors = np.full((size, 4), 100, np.int16)
    numbers, _ = Nearest(centroids).search(vectors, 5)
    assert (numbers == np.arange(5)).all()


def test_centroids_are_the_same_for_any_number_of_threads():
    vectors, squares, ids = data()
    found = []
    for threads in (1, 2, 3):
        with one_pool(threads):
            found.append(fit(vectors, squares, ids, Clustering(30, 4000, 10, 0)))
    assert all((each[0] == found[0][0]).all() and each[1] == found[0][1] for each in found)
    assert found[0][1] == sorted(found[0][1]) and found[0][1][-1] > 0.8
    other = fit(vectors, squares, ids, Clustering(30, 4000, 10, 1))
    assert (other[0] != found[0][0]).any()


def test_an_iteration_is_assignment_and_mean():
    """Against the definition: with one more iteration each centroid is the mean of the unit rows nearest to it."""
    vectors, squares, ids = data(size=600)
    before, _ = fit(vectors, squares, ids, Clustering(8, 600, 2, 0))
    after, _ = fit(vectors, squares, ids, Clustering(8, 600, 3, 0))
    nearest = np.argmax(every_product(vectors, before), axis=1)
    for number in range(8):
        mine = vectors[nearest == number] / np.sqrt(squares[nearest == number])[:, None]
        mean = mine.sum(axis=0)
        assert np.abs(after[number] - mean / np.linalg.norm(mean) * LENGTH).max() < 1


def test_sums_equal_numpy():
    rng = np.random.default_rng(1)
    vectors = rng.integers(-127, 128, (100, 5)).astype(np.int16)
    weights, labels = rng.integers(1, 8256, 100), rng.integers(0, 4, 100)
    sums = np.zeros((4, 5), np.int64)
    add_rows(vectors, weights, labels, sums)
    expected = [(vectors[labels == i].astype(np.int64) * weights[labels == i, None]).sum(axis=0) for i in range(4)]
    assert (sums == np.array(expected)).all()


def test_empty_clusters_get_a_document():
    vectors, squares = quantised(np.repeat(np.eye(3, dtype=np.float32), [5, 5, 1], axis=0))
    for seed in range(5):
        centroids, _ = fit(vectors, squares, np.arange(11, dtype=np.uint64), Clustering(3, 11, 10, seed))
        assert len(np.unique(np.argmax(every_product(vectors, centroids), axis=1))) == 3


def test_fewer_documents_than_clusters_and_none_at_all():
    vectors, squares, ids = data(size=3)
    assert len(fit(vectors, squares, ids, Clustering(10, 10, 5, 0))[0]) == 3
    empty = fit(vectors[:0], squares[:0], ids[:0], Clustering(10, 10, 5, 0))
    assert empty[0].shape == (1, 48) and empty[1] == []


def test_a_sum_without_direction():
    assert directed(np.array([[0, 0], [3, 4]])).tolist() == [[4000, 0], [2400, 3200]]


def test_the_number_of_clusters_and_why():
    assert choose_clusters(8192, None)[0] == 1
    k, reason = choose_clusters(1_000_000, None)
    assert k == 1000 and "square root of 1,000,000" in reason
    assert choose_clusters(5, 100) == (5, "the recipe says 100, more than there are documents")
    assert choose_clusters(500, 100) == (100, "as the recipe says")
    assert choose_clusters(0, None)[0] == 1
    assert choose_clusters(100, None, small=0)[0] == 10


def test_missing_faiss_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "faiss", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'corpuscurate\[semantic\]'"):
        Nearest(np.zeros((1, 2), np.float32))


def test_missing_faiss_is_told_before_anything_runs(monkeypatch):
    monkeypatch.setitem(sys.modules, "faiss", None)
    with pytest.raises(MissingExtraError, match="semantic"):
        Semantic().identity()
