import json
import os
from collections import defaultdict
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from naive.siphash import siphash128
from support.dedup import clusters_of, corpus_of, drops_of, make_batch, rows_of
from support.forms import some

from corpuscurate import Pipeline, Settings, Sink, Source
from corpuscurate.core.stage import stage_class
from corpuscurate.methods.dedup import key_ranges
from corpuscurate.stages.exact import Exact

DATA = os.environ.get("CORPUSCURATE_DATA")
EXAMPLES = [{}, {"keep": {"by": "score"}}]


def expected_clusters(texts: list[str], ids: list[int]) -> dict[int, set[int]]:
    groups = defaultdict(set)
    for text, doc in zip(texts, ids, strict=True):
        groups[text].add(doc)
    return {min(group): group for group in groups.values() if len(group) > 1}


def test_registered():
    assert stage_class("exact") is Exact


def test_golden(tmp_path):
    texts = ["a", "b", "a", "", "A", "a", "", "é", "e\u0301"]
    settled = Exact().settle(corpus_of(Exact(), texts, tmp_path))
    assert drops_of(settled) == [
        {"doc_id": doc, "reason": 1, "value": None, "duplicate_of": kept, "matched": kept, "similarity": 1.0}
        for doc, kept in ((2, 0), (5, 0), (6, 3))
    ]
    assert list(Exact().rules()) == ["exact_duplicate"]
    assert settled.stats["clusters"] == [
        {"kept": 0, "size": 3, "members": [2, 5]},
        {"kept": 3, "size": 2, "members": [6]},
    ]
    assert settled.stats["sizes"] == {"2": 1, "3-4": 1}
    assert settled.stats["documents"] == 9
    assert settled.stats["duplicates"] == 3


def test_the_sketch_is_siphash():
    sketch = Exact().sketch(make_batch(["text", ""], [1, 2]))
    for i, text in enumerate((b"text", b"")):
        bytes_ = (
            np.uint64(sketch["hash_high"][i].as_py()).tobytes() + np.uint64(sketch["hash_low"][i].as_py()).tobytes()
        )
        assert bytes_ == siphash128(bytes(range(16)), text)


def test_trap_10_no_duplicates_and_no_documents(tmp_path):
    settled = Exact().settle(corpus_of(Exact(), ["a", "b", "c"], tmp_path / "a"))
    assert drops_of(settled) == []
    assert settled.stats["clusters"] == []
    empty = Exact().settle(corpus_of(Exact(), [], tmp_path / "b"))
    assert drops_of(empty) == []


def test_trap_7_extreme_doc_ids_are_only_ids(tmp_path):
    ids = [0, 5, 2**63, 2**64 - 2, 2**64 - 1]
    settled = Exact().settle(corpus_of(Exact(), ["x", "y", "x", "x", "y"], tmp_path, ids))
    assert clusters_of(drops_of(settled)) == {0: {0, 2**63, 2**64 - 2}, 5: {5, 2**64 - 1}}


@settings(max_examples=some(40), deadline=None)
@given(st.lists(st.sampled_from(["", "a", "b", "aa", "ab", "漢"]), max_size=30), st.integers(1, 4), st.integers(1, 5))
def test_equals_naive(tmp_path_factory, texts, splits, batch_rows):
    ids = [7 * i + 3 for i in range(len(texts))]
    corpus = corpus_of(Exact(), texts, tmp_path_factory.mktemp("c"), ids, splits=splits, batch_rows=batch_rows)
    drops = drops_of(Exact().settle(corpus))
    assert clusters_of(drops) == expected_clusters(texts, ids)


def test_trap_8_parts_workers_splits_and_memory_change_nothing(tmp_path, monkeypatch):
    rng = np.random.default_rng(1)
    texts = [f"text {i}" for i in rng.integers(0, 400, 1500)]
    found = []
    for i, (splits, workers, count) in enumerate([(1, 1, 1), (7, 3, 1), (3, 2, 5), (4, 8, 64)]):
        monkeypatch.setattr(key_ranges, "key_range_count", lambda corpus, rows, each, count=count: count)
        settled = Exact().settle(corpus_of(Exact(), texts, tmp_path / str(i), splits=splits, workers=workers))
        found.append((drops_of(settled), settled.stats))
    assert all(each == found[0] for each in found)
    assert clusters_of(found[0][0]) == expected_clusters(texts, list(range(1500)))


def test_parts_follow_from_memory(tmp_path):
    corpus = corpus_of(Exact(), ["a"], tmp_path, memory_bytes=1 << 20, workers=2)
    assert key_ranges.key_range_count(corpus, 10, 160) == 1
    assert key_ranges.key_range_count(corpus, 100_000, 160) == -(-100_000 * 160 // (1 << 18))


def test_dropped_documents_are_left_out(tmp_path):
    corpus = corpus_of(Exact(), ["a", "a", "b", "a", "b"], tmp_path, splits=2, gone=frozenset({0, 2}))
    settled = Exact().settle(corpus)
    assert clusters_of(drops_of(settled)) == {1: {1, 3}}
    assert settled.stats["documents"] == 3


def test_keep_by_column(tmp_path):
    stage = Exact.model_validate({"keep": {"by": "score", "order": "desc"}})
    assert stage.reads() == ("score",)
    columns = {"score": pa.array([1.0, 9.0, None, 9.0])}
    settled = stage.settle(corpus_of(stage, ["a"] * 4, tmp_path, columns=columns))
    assert clusters_of(drops_of(settled)) == {1: {0, 1, 2, 3}}


def test_columns_of_two_types_are_compared_as_numbers(tmp_path):
    stage = Exact.model_validate({"keep": {"by": "score", "order": "asc"}})
    first = make_batch(["a", "a"], [0, 1], {"score": pa.array([3, -5])})
    second = make_batch(["a", "a"], [2, 3], {"score": pa.array([-7.5, 2.0])})
    from support.dedup import DoubleCorpus

    corpus = DoubleCorpus(stage, [[first], [second]], tmp_path)
    assert clusters_of(drops_of(stage.settle(corpus))) == {2: {0, 1, 2, 3}}


def test_a_keep_column_without_values_is_reported(tmp_path):
    stage = Exact.model_validate({"keep": {"by": "source"}})
    columns = {"source": pa.array(["web", "book"])}
    settled = stage.settle(corpus_of(stage, ["a", "a"], tmp_path, columns=columns))
    assert clusters_of(drops_of(settled)) == {0: {0, 1}}
    assert "no document has a number, truth value or date in the column 'source'" in settled.stats["warnings"][0]


def test_tag_mode(tmp_path):
    stage = Exact(mode="tag")
    settled = stage.settle(corpus_of(stage, ["a", "b", "a"], tmp_path))
    assert settled.drops == []
    assert rows_of(settled.tags) == [
        {"doc_id": 0, "cluster": 0, "size": 2, "is_kept": True},
        {"doc_id": 2, "cluster": 0, "size": 2, "is_kept": False},
    ]
    assert set(stage.measures()) == {"cluster", "size", "is_kept"}
    assert stage.tag_defaults() == {"size": 1, "is_kept": True}


def test_a_giant_cluster_warns(tmp_path):
    settled = Exact().settle(corpus_of(Exact(), ["same"] * 1500 + ["other"], tmp_path))
    assert "one cluster holds 1,500 of 1,501 documents" in settled.stats["warnings"][0]


@pytest.mark.skipif(not DATA, reason="CORPUSCURATE_DATA is not set")
def test_the_72_exact_duplicates_of_the_bench_corpus(tmp_path):
    import gzip

    with gzip.open(Path(DATA, "bench/part-000.jsonl.gz"), "rt") as lines:
        texts = [json.loads(line)["text"] for line in lines]
    drops = drops_of(Exact().settle(corpus_of(Exact(), texts, tmp_path, splits=3)))
    assert clusters_of(drops) == expected_clusters(texts, list(range(len(texts))))
    assert len(drops) == 72


@pytest.mark.parametrize("paths", [("b.jsonl", "a.jsonl"), ("a.jsonl", "b.jsonl"), ("b.jsonl", "*.jsonl")])
def test_the_first_is_that_of_the_path_named_first(tmp_path, paths):
    for name in "ab":
        (tmp_path / f"{name}.jsonl").write_text(f'{{"id": "{name}", "text": "one text"}}\n')
    sink = Sink(path=str(tmp_path / "out"))
    Pipeline(Source(paths=paths, id="id"), (Exact(),), sink, Settings(workers=1), tmp_path).run()
    first, other = (paths[0][0], "a" if paths[0] == "b.jsonl" else "b")
    assert pq.read_table(tmp_path / "out" / "data")["id"].to_pylist() == [first]
    (row,) = pq.read_table(tmp_path / "out" / "dropped").to_pylist()
    assert (row["id"], row["duplicate_of"], row["doc_id"], row["duplicate_of_doc_id"]) == (other, first, 1 << 40, 0)
