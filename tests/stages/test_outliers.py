import numpy as np
import pytest
from naive import neighbours as naive
from pydantic import ValidationError
from support.dedup import drops_of, rows_of
from support.semantic import COLUMN, families, settle

from corpuscurate.core.artefact import Artefacts
from corpuscurate.methods.semantic import keep_order as order
from corpuscurate.methods.semantic import neighbours as outlying
from corpuscurate.methods.semantic import pairs
from corpuscurate.methods.semantic.vectors import quantised
from corpuscurate.stages.outliers import Outliers

EXAMPLES = [{"remove_fraction": 0.1}, {"min_similarity": 0.2, "neighbours": 3}]


def tags_of(rows, folder, splits=2, **more):
    stage = Outliers(embedder=COLUMN, mode="tag", **more)
    return rows_of(settle(stage, rows, folder, splits=splits).tags)


@pytest.mark.parametrize(
    ("clusters", "probes", "neighbours"), [(1, 1, 5), (8, 8, 3), (8, 1, 4), (8, 3, 4), (8, 3, 500)]
)
def test_means_equal_naive(tmp_path, monkeypatch, clusters, probes, neighbours):
    monkeypatch.setattr(outlying, "WORK_PAIRS", 4000)
    monkeypatch.setattr(outlying, "X_ROWS", 50)
    monkeypatch.setattr(outlying, "Y_ROWS", 30)
    rows = families(2, 300, dimension=6, spread=0.6)
    tags = tags_of(rows, tmp_path / "t", clusters=clusters, probes=probes, neighbours=neighbours)
    whole = quantised(rows)[0].astype(np.int64)
    centroids = np.load(Artefacts(str(tmp_path / "t" / "centroids"))["centroids.npy"]).astype(np.int64)
    visits = np.argsort(-(whole @ centroids.T), axis=1, kind="stable")[:, :probes].tolist()
    matrix = naive.cosines(whole)
    for row, tag in enumerate(tags):
        expected = naive.mean_of_nearest(matrix, lambda a, b: visits[b][0] in visits[a], row, neighbours)
        assert tag["similarity"] == (expected if expected is None else pytest.approx(expected, abs=1e-12))


def test_the_same_bytes_by_any_parts(tmp_path, monkeypatch):
    rows = families(4, 200, dimension=6, spread=0.6)
    one = tags_of(rows, tmp_path / "a", clusters=6)
    monkeypatch.setattr(outlying, "WORK_PAIRS", 1000)
    monkeypatch.setattr(pairs, "X_ROWS", 20)
    monkeypatch.setattr(order, "ranges_for_memory", lambda corpus, rows, each: 4)
    stage = Outliers(embedder=COLUMN, mode="tag", clusters=6)
    settled = settle(stage, rows, tmp_path / "b", splits=5, workers=3, memory_bytes=3000)
    assert rows_of(settled.tags) == one
    assert len(list((tmp_path / "b").glob("order-*"))) > 1


def test_strays_go_and_zeros_stay(tmp_path):
    rows = np.concatenate([families(1, 200, dimension=16, spread=0.2, topics=3), -np.eye(4, 16), np.zeros((2, 16))])
    low = {t["doc_id"]: t["similarity"] for t in tags_of(rows, tmp_path / "t")}
    strays = sorted(low, key=low.__getitem__)[:4]
    assert set(strays) <= set(range(204))
    settled = settle(Outliers(embedder=COLUMN, remove_fraction=0.02), rows, tmp_path / "f", splits=3)
    assert {row["doc_id"] for row in drops_of(settled)} == set(strays) == {200, 201, 202, 203}
    line = (max(low[i] for i in strays) + min(v for i, v in low.items() if i not in strays)) / 2
    settled = settle(Outliers(embedder=COLUMN, min_similarity=line), rows, tmp_path / "m")
    assert {row["doc_id"]: row["value"] for row in drops_of(settled)} == {i: low[i] for i in strays}
    assert settled.stats["outliers"] == 4 and settled.stats["similarity"]["min"] == low[strays[0]]


def test_a_document_alone_has_no_measure_and_stays(tmp_path):
    for number, rows in enumerate((np.ones((1, 3)), np.zeros((0, 3)), np.zeros((2, 3)))):
        stage = Outliers(embedder=COLUMN, remove_fraction=0.9)
        assert drops_of(settle(stage, rows, tmp_path / str(number))) == []
    assert tags_of(np.ones((1, 3)), tmp_path / "t", splits=1)[0]["similarity"] is None


def test_one_of_both():
    for wrong in ({}, {"min_similarity": 0.1, "remove_fraction": 0.1}):
        with pytest.raises(ValidationError, match="min_similarity or remove_fraction"):
            Outliers(**wrong)
    assert Outliers(mode="tag").rules() == {"outlier": None}


def test_a_share_is_taken_as_it_is_written(tmp_path):
    """0.29 * 100 is 28.999999999999996 in floating point."""
    stage = Outliers(embedder=COLUMN, remove_fraction=0.29)
    assert len(drops_of(settle(stage, families(5, 100), tmp_path))) == 29
