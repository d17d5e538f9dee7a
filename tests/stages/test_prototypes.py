import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from naive import neighbours as naive
from support.dedup import drops_of, rows_of
from support.semantic import COLUMN, families, settle

from corpuscurate import Pipeline, Settings, Sink, Source
from corpuscurate.stages.prototypes import Prototypes, pruned
from corpuscurate.stages.semantic import Semantic

EXAMPLES = [{}, {"keep_fraction": 0.5, "keep": "easy", "balance": 1.0}]

DOCUMENTS = st.lists(st.tuples(st.sampled_from([0.1, 0.2, 0.5, 0.9, -0.3]), st.integers(0, 3)), max_size=30)


@given(DOCUMENTS, st.floats(0.01, 0.99), st.sampled_from(["hard", "easy"]), st.sampled_from([0.0, 0.5, 1.0]))
def test_what_is_kept_equals_naive(documents, fraction, keep, balance):
    cosines, clusters = [c for c, _ in documents], [k for _, k in documents]
    kept = pruned(
        np.arange(len(documents), dtype=np.uint64), np.array(clusters, np.int32), np.array(cosines, np.float64), 4,
        fraction, keep, balance,
    )  # fmt: skip
    assert set(np.flatnonzero(kept).tolist()) == naive.pruned(cosines, clusters, fraction, keep, balance)


def test_golden():
    cosines, clusters = np.array([0.9, 0.8, 0.7, 0.6]), np.array([0, 0, 1, 1], np.int32)
    ids = np.arange(4, dtype=np.uint64)
    assert pruned(ids, clusters, cosines, 2, 0.5, "hard", 0.0).tolist() == [False, False, True, True]
    assert pruned(ids, clusters, cosines, 2, 0.5, "easy", 0.0).tolist() == [True, True, False, False]
    assert pruned(ids, clusters, cosines, 2, 0.5, "hard", 1.0).tolist() == [False, True, False, True]


@pytest.mark.parametrize("keep", ["hard", "easy"])
def test_the_stage_equals_naive_on_the_clusters_it_tells(tmp_path, keep):
    rows = np.concatenate([families(1, 300), np.zeros((2, 16), np.float32)])
    stage = Prototypes(embedder=COLUMN, keep_fraction=0.7, keep=keep, clusters=7)
    tags = rows_of(settle(stage.model_copy(update={"mode": "tag"}), rows, tmp_path / "t", splits=2).tags)
    expected = naive.pruned([t["centroid_similarity"] for t in tags], [t["centroid"] for t in tags], 0.7, keep, 0.5)
    assert {t["doc_id"] for t in tags if t["is_kept"]} == expected
    settled = settle(stage, rows, tmp_path / "d", splits=3, workers=2)
    drops = drops_of(settled)
    assert {row["doc_id"] for row in drops} == set(range(300)) - expected
    assert all(row["value"] == tags[row["doc_id"]]["centroid_similarity"] and row["matched"] is None for row in drops)
    assert len(drops) == 90 == settled.stats["pruned"]
    assert settled.stats["without_direction"] == 2


def test_nothing_to_prune(tmp_path):
    for number, rows in enumerate((np.zeros((0, 4)), np.zeros((3, 4)), np.ones((1, 4)))):
        assert drops_of(settle(Prototypes(embedder=COLUMN), rows, tmp_path / str(number))) == []


def test_d4_semantic_then_clusters_again_on_what_is_left(tmp_path):
    rows = np.repeat(families(3, 100, dimension=8, spread=1.0), 3, axis=0)
    table = pa.table({"text": [f"t{i}" for i in range(300)], "e": pa.array(list(rows), pa.list_(pa.float32()))})
    (tmp_path / "in").mkdir()
    pa.parquet.write_table(table, tmp_path / "in" / "a.parquet")
    stages = (Semantic(embedder=COLUMN, threshold=0.999), Prototypes(embedder=COLUMN, keep_fraction=0.5))
    source, settings = Source(paths=(str(tmp_path / "in"),)), Settings(workers=1, runner="inprocess")
    report = Pipeline(source, stages, Sink(path=str(tmp_path / "out")), settings).run()
    first, second = report["stages"]
    assert first["dropped"] == 200 and second["stats"]["documents"] == 100
    assert second["dropped"] == 50 == report["documents"]["kept"]
