import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from naive import neardup, sketches
from support.dedup import corpus_of, drops_of, rows_of
from support.forms import some

from corpuscurate.methods.dedup import bands as bands_module
from corpuscurate.methods.dedup import candidates, key_ranges, verify
from corpuscurate.stages.minhash import MinHash

CATCH_ALL = {"values": 40, "bands": 40, "rows": 1, "settling": "greedy"}
VOCABULARY = st.sampled_from(["a", "b", "c", "d", "É", "漢", "é", ".", "A"])


def settle(stage, texts, folder, **more):
    settled = stage.settle(corpus_of(stage, texts, folder, **more))
    return drops_of(settled), settled.stats


def families(seed: int, size: int) -> list[str]:
    rng = np.random.default_rng(seed)
    texts = []
    while len(texts) < size:
        words = [f"w{i}" for i in rng.integers(0, 3000, 40)]
        for _ in range(rng.integers(1, 7)):
            words = list(words)  # each a copy of the one before: chains
            for _ in range(rng.integers(0, 4)):
                words[rng.integers(0, len(words))] = f"x{rng.integers(0, 3000)}"
            texts.append(" ".join(words))
    return [texts[i] for i in rng.permutation(len(texts))][:size]


def test_golden_no_chains(tmp_path):
    # neighbours share 9 of 11 unigrams, the ends 8 of 12: the last is similar to none that is kept
    words = [f"w{i}" for i in range(12)]
    chain = [" ".join(words[i : i + 10]) for i in range(3)]
    drops, stats = settle(MinHash(ngram=1, threshold=0.8, **CATCH_ALL), chain, tmp_path)
    assert [(row["doc_id"], row["duplicate_of"], row["matched"], row["similarity"]) for row in drops] == [
        (1, 0, 0, 9 / 11)
    ]
    assert stats["clusters"] == [{"kept": 0, "size": 2, "members": [1]}]


@settings(max_examples=some(40))
@given(
    st.lists(st.lists(VOCABULARY, max_size=7).map(" ".join), max_size=10),
    st.integers(1, 3),
    st.sampled_from([0.5, 0.6, 0.8, 1.0]),
    st.integers(1, 3),
)
def test_greedy_equals_naive_when_bands_catch_all(tmp_path_factory, texts, ngram, threshold, splits):
    stage = MinHash(ngram=ngram, threshold=threshold, **CATCH_ALL)
    drops, _ = settle(stage, texts, tmp_path_factory.mktemp("g"), splits=splits, batch_rows=3)
    edges = neardup.edges(texts, ngram, threshold)
    expected = neardup.greedy(len(texts), edges)
    assert [row["doc_id"] for row in drops] == list(expected)
    for row in drops:
        assert row["duplicate_of"] in expected[row["doc_id"]]
        assert (
            row["similarity"]
            == row["value"]
            == edges[min(row["doc_id"], row["matched"]), max(row["doc_id"], row["matched"])]
        )


def test_greedy_in_keep_order_on_a_larger_corpus(tmp_path):
    texts = families(3, 300)
    texts += [texts[i].upper() for i in range(0, 60, 3)]
    stage = MinHash(ngram=2, threshold=0.6, recall=0.999999, settling="greedy", keep="longest")
    drops, stats = settle(stage, texts, tmp_path, splits=3)
    order = sorted(range(len(texts)), key=lambda i: (-len(texts[i].encode()), i))
    expected = neardup.greedy(len(texts), neardup.edges([texts[i] for i in order], 2, 0.6))
    assert {row["doc_id"] for row in drops} == {order[d] for d in expected}
    gone = {row["doc_id"] for row in drops}
    assert not gone & {row["duplicate_of"] for row in drops}
    assert not gone & {row["matched"] for row in drops}
    components, _ = settle(stage.model_copy(update={"settling": "components"}), texts, tmp_path / "c", splits=3)
    assert gone < {row["doc_id"] for row in components}
    assert stats["duplicates"] == len(drops)


@pytest.mark.parametrize("kind", ["exact", "signature", "none"])
@pytest.mark.campaign(2)
def test_trap_8_nothing_but_the_corpus_changes_the_result(tmp_path, monkeypatch, kind):
    texts = families(4, 250)
    texts += texts[:20] + [text.upper() + "!" for text in texts[20:40]] + ["", " "]
    stage = MinHash(ngram=2, threshold=0.6, values=48, verify=kind, keep="longest", settling="greedy")
    monkeypatch.setattr(verify, "BUDGET", 0)
    monkeypatch.setattr(verify, "GREEDY_BUDGET_EACH", 1)
    found = []
    for i, (splits, workers, memory, count) in enumerate([(1, 1, 1 << 30, 1), (3, 3, 1 << 30, 2), (2, 16, 1 << 14, 3)]):
        monkeypatch.setattr(key_ranges, "key_range_count", lambda corpus, rows, each, count=count: count)
        monkeypatch.setattr(bands_module, "ranges_for_memory", lambda corpus, rows, each, count=count: count)
        monkeypatch.setattr(candidates, "_SMALL", 1 if count > 1 else 10**9)
        corpus = {"splits": splits, "workers": workers, "memory_bytes": memory, "batch_rows": 100 * count}
        found.append(settle(stage, texts, tmp_path / str(i), **corpus))
    assert all(each == found[0] for each in found)
    assert found[0][0]


def test_a_copy_of_a_dropped_document_is_dropped_by_what_dropped_it(tmp_path):
    long = "a b c d e f g h i j"
    drops, _ = settle(MinHash(ngram=1, keep="longest", **CATCH_ALL), [long, long, long + " k", long + " K"], tmp_path)
    assert [(row["doc_id"], row["duplicate_of"], row["matched"], row["similarity"]) for row in drops] == [
        (0, 2, 2, 10 / 11),
        (1, 2, 2, 10 / 11),
        (3, 2, 2, 1.0),
    ]


def test_a_hard_bucket_is_bounded_and_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr(verify, "BUDGET", 100)
    monkeypatch.setattr(verify, "GREEDY_BUDGET_EACH", 2)
    common = " ".join(f"c{i}" for i in range(50))
    texts = [common + " " + " ".join(f"d{j}x{i}" for i in range(30)) for j in range(60)]  # J = 50 / 110
    stage = MinHash(ngram=1, threshold=0.5, settling="greedy", bands=1, rows=1, values=1, recall=0.4)
    drops, stats = settle(stage, texts, tmp_path)
    capped = stats["capped"]
    assert drops == [] and capped["buckets"] == 1
    assert stats["compared"] <= 100 + 2 * capped["documents"]
    assert stats["compared"] + capped["comparisons_skipped"] == stats["pairs_in_buckets"]
    assert "comparisons were left out" in stats["warnings"][0]


def test_tag_mode(tmp_path):
    words = [f"w{i}" for i in range(12)]
    chain = [" ".join(words[i : i + 10]) for i in range(3)]
    stage = MinHash(ngram=1, threshold=0.8, mode="tag", **CATCH_ALL)
    settled = stage.settle(corpus_of(stage, chain, tmp_path))
    assert rows_of(settled.tags) == [
        {"doc_id": 0, "cluster": 0, "size": 2, "is_kept": True},
        {"doc_id": 1, "cluster": 0, "size": 2, "is_kept": False},
    ]


@pytest.mark.parametrize("signature", ["fast", "classic", "datasketch"])
@pytest.mark.parametrize("unit", ["words", "characters"])
@pytest.mark.campaign(2)
def test_every_signature_and_unit_finds_what_there_is(tmp_path, signature, unit):
    texts = families(5, 120)
    ngram = 2 if unit == "words" else 8
    stage = MinHash(unit=unit, ngram=ngram, threshold=0.6, recall=0.999999, signature=signature, shingle_hash="xxh32")
    drops, _ = settle(stage, texts, tmp_path)
    made = sketches.character_shingles if unit == "characters" else neardup.shingles
    own = [set(made(text, ngram)) for text in texts]
    pairs = itertools.combinations(range(len(texts)), 2)
    edges = [(i, j) for i, j in pairs if len(own[i] & own[j]) / len(own[i] | own[j]) >= 0.6]
    expected = {member for group in neardup.components(len(texts), edges) for member in group if member != min(group)}
    assert {row["doc_id"] for row in drops} == expected != set()
