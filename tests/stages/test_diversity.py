import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from naive import neighbours as naive
from support.dedup import drops_of, rows_of
from support.semantic import COLUMN, families, settle

from corpuscurate.core.artefact import Artefacts
from corpuscurate.kernels.embedding.neighbour_lists import spread_choice
from corpuscurate.methods.semantic.vectors import quantised
from corpuscurate.stages import diversity
from corpuscurate.stages.diversity import Diversity, deal

EXAMPLES = [{"budget": 5}, {"budget": 3, "max_per_cluster": 1}]


@given(st.lists(st.integers(0, 9), min_size=1, max_size=8), st.integers(0, 60), st.none() | st.integers(1, 5))
def test_the_budget_is_dealt_as_naive(sizes, budget, cap):
    assert deal(np.array(sizes, np.int64), budget, cap).tolist() == naive.dealt(sizes, budget, cap)


def test_golden_choice():
    """On a quarter circle: after 0 degrees the farthest is 90, then 45."""
    degrees = np.radians([0, 10, 45, 80, 90])
    vectors, squares = quantised(np.stack([np.cos(degrees), np.sin(degrees)], 1).astype(np.float32))
    chosen, nearest, closest = np.zeros(3, np.int64), np.zeros(5, np.int64), np.zeros(5)
    spread_choice(vectors, squares, chosen, nearest, closest)
    assert chosen.tolist() == [0, 4, 2]
    assert nearest.tolist() == [0, 0, 2, 4, 4]
    assert closest[[1, 3]] == pytest.approx(np.cos(np.radians(10)), abs=0.005)


@pytest.mark.parametrize("cap", [None, 6])
def test_the_choice_equals_naive_within_clusters(tmp_path, monkeypatch, cap):
    rows = np.concatenate([families(3, 200), np.zeros((2, 16), np.float32)])
    stage = Diversity(embedder=COLUMN, budget=60, clusters=7, max_per_cluster=cap)
    settled = settle(stage.model_copy(update={"mode": "tag"}), rows, tmp_path / "t", splits=2)
    tags = {tag["doc_id"]: tag for tag in rows_of(settled.tags)}
    monkeypatch.setattr(diversity, "WORK_PAIRS", 300)
    drops = settle(stage, rows, tmp_path / "d", splits=3, workers=2)
    assert len(list((tmp_path / "d").glob("choose-*"))) > 2
    matrix = naive.cosines(quantised(rows[:200])[0])
    centroids = np.load(Artefacts(str(tmp_path / "t" / "centroids"))["centroids.npy"]).astype(np.int64)
    whole, squares = quantised(rows[:200])
    own = (whole.astype(np.int64) @ centroids.T) / np.sqrt(squares[:, None] * (centroids**2).sum(axis=1).astype(float))
    members = {c: [i for i in tags if tags[i]["centroid"] == c] for c in range(7)}
    quotas = naive.dealt([len(members[c]) for c in range(7)], 60, cap)
    assert max(quotas) <= (cap or 60)
    chosen: set[int] = set()
    for cluster, quota in enumerate(quotas):
        mine = naive.spread(sorted(members[cluster], key=lambda i: (-own[i, cluster], i)), matrix, quota)
        assert {i: tags[i]["turn"] for i in mine} == {i: turn for turn, i in enumerate(mine)}
        chosen |= set(mine)
    assert {i for i in tags if tags[i]["is_kept"]} == chosen
    assert len(chosen) == (60 if cap is None else 42) == settled.stats["chosen"]
    gone = drops_of(drops)
    assert {row["doc_id"] for row in gone} == set(range(202)) - chosen
    assert [row["reason"] for row in gone[-2:]] == [2, 2]
    for row in gone[:-2]:
        assert row["duplicate_of"] == row["matched"] and row["matched"] in chosen
        best = max(matrix[row["doc_id"], c] for c in chosen if tags[c]["centroid"] == tags[row["doc_id"]]["centroid"])
        assert row["similarity"] == best == matrix[row["doc_id"], row["matched"]]


def test_fewer_documents_than_the_budget_and_fewer_chosen_than_clusters(tmp_path):
    rows = families(1, 40)
    assert drops_of(settle(Diversity(embedder=COLUMN, budget=100), rows, tmp_path / "all")) == []
    settled = settle(Diversity(embedder=COLUMN, budget=2, clusters=6), rows, tmp_path / "two")
    drops = drops_of(settled)
    assert len(drops) == 38 and sum(row["matched"] is None for row in drops) > 0
    assert drops_of(settle(Diversity(embedder=COLUMN, budget=2), rows[:0], tmp_path / "none")) == []
