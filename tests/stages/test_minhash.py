import itertools

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from naive import neardup
from pydantic import ValidationError
from support.dedup import clusters_of, corpus_of, drops_of, make_batch, rows_of
from support.forms import FULL, some

from corpuscurate.core.stage import stage_class
from corpuscurate.kernels.duplicates.verify import exact_similarity
from corpuscurate.methods.dedup import bands as bands_module
from corpuscurate.methods.dedup import candidates, key_ranges, verify
from corpuscurate.methods.dedup.bands import value_column
from corpuscurate.stages import minhash
from corpuscurate.stages.minhash import MinHash

EXAMPLES = [
    {},
    {"words": "identifiers", "ngram": 2},
    {"settling": "greedy", "threshold": 0.7, "keep": "longest"},
    {"verify": "signature", "signature": "classic", "keep": {"by": "score", "order": "asc"}},
]
CATCH_ALL = {"values": 40, "bands": 40, "rows": 1}  # misses J = .5 once in 10^12, J = 1/3 once in 10^7


def settle(stage, texts, folder, **more):
    settled = stage.settle(corpus_of(stage, texts, folder, **more))
    return drops_of(settled), settled.stats


def naive_clusters(texts, n, threshold) -> dict[int, set[int]]:
    groups = neardup.components(len(texts), list(neardup.edges(texts, n, threshold)))
    return {min(group): set(group) for group in groups}


def random_corpus(seed: int, size: int, words: int = 40) -> list[str]:
    """Families of documents: copies with some words replaced, cut or appended."""
    rng = np.random.default_rng(seed)
    texts: list[str] = []
    while len(texts) < size:
        base = [f"w{i}" for i in rng.integers(0, 3000, words)]
        for _ in range(rng.integers(1, 6)):
            copy = list(base)
            for _ in range(rng.integers(0, 4)):
                copy[rng.integers(0, len(copy))] = f"x{rng.integers(0, 3000)}"
            texts.append(" ".join(copy[: len(copy) - rng.integers(0, 3)]))
    order = rng.permutation(len(texts))
    return [texts[i] for i in order][:size]


def near_copies(seed: int, size: int) -> list[str]:
    """Copies of two documents that have a third in common, with few to many words replaced, some of them alike."""
    rng = np.random.default_rng(seed)
    common = [f"c{i}" for i in range(20)]
    bases = [[*common, *(f"b{base}w{i}" for i in range(40))] for base in range(2)]
    texts = []
    for _ in range(size):
        copy = list(bases[rng.integers(0, 2)])
        for _ in range(rng.integers(0, 18)):
            copy[rng.integers(0, len(copy))] = f"x{rng.integers(0, rng.choice([3, 3000]))}"
        texts.append(" ".join(copy[: len(copy) - rng.integers(0, 6)]))
    return texts


def test_registered():
    assert stage_class("minhash") is MinHash
    assert MinHash().bands_and_rows == (21, 6)
    assert MinHash(threshold=0.75).rules() == {"near_duplicate": 0.75}


def test_golden_border(tmp_path):
    # unigrams: {a b c d} and {a b c d e} share 4 of 5
    texts = ["a b c d", "e d c b a", "f g"]
    drops, _ = settle(MinHash(ngram=1, threshold=0.8, **CATCH_ALL), texts, tmp_path / "a")
    assert drops == [{"doc_id": 1, "reason": 1, "value": 0.8, "duplicate_of": 0, "matched": 0, "similarity": 0.8}]
    drops, stats = settle(MinHash(ngram=1, threshold=0.81, **CATCH_ALL), texts, tmp_path / "b")
    assert drops == []
    assert stats["rejected"] == stats["compared"] == 1


@given(st.integers(1, 10_000), st.integers(1, 999))
def test_the_border_is_that_of_the_decimal(union, thousandths):
    """J >= t exactly when intersection * 1000 >= thousandths * union, in whole numbers."""
    threshold = thousandths / 1000
    for intersection in {max(1, thousandths * union // 1000), min(union, thousandths * union // 1000 + 1)}:
        a = np.arange(union, dtype=np.uint64)
        found = exact_similarity(a, a[:intersection], threshold)
        assert (found >= 0) == (intersection * 1000 >= thousandths * union)


def test_matched_is_the_neighbour_and_duplicate_of_the_kept(tmp_path):
    # a chain: neighbours share 9 of 11 unigrams, the ends 8 of 12
    words = [f"w{i}" for i in range(12)]
    chain = [" ".join(words[i : i + 10]) for i in range(3)]
    drops, stats = settle(MinHash(ngram=1, threshold=0.8, **CATCH_ALL), chain, tmp_path)
    assert [(row["doc_id"], row["duplicate_of"], row["matched"]) for row in drops] == [(1, 0, 0), (2, 0, 1)]
    assert [row["similarity"] for row in drops] == [9 / 11, 9 / 11]
    assert stats["verified"] == 2 and stats["clusters"] == [{"kept": 0, "size": 3, "members": [1, 2]}]


VOCABULARY = st.sampled_from(["a", "b", "c", "d", "É", "漢", "é", ".", "A"])


@settings(max_examples=some(30))
@given(
    st.lists(st.lists(VOCABULARY, max_size=7).map(" ".join), max_size=10),
    st.integers(1, 3),
    st.sampled_from([0.5, 0.6, 0.8, 1.0]),
    st.integers(1, 3),
)
def test_components_equal_naive_when_bands_catch_all(tmp_path_factory, texts, ngram, threshold, splits):
    stage = MinHash(ngram=ngram, threshold=threshold, **CATCH_ALL)
    drops, stats = settle(stage, texts, tmp_path_factory.mktemp("c"), splits=splits, batch_rows=3)
    assert clusters_of(drops) == naive_clusters(texts, ngram, threshold)
    edges = neardup.edges(texts, ngram, threshold)
    for row in drops:
        pair = tuple(sorted((row["doc_id"], row["matched"])))
        assert row["similarity"] == row["value"] == edges[pair]
    assert stats["without_words"] == sum(not neardup.shingles(text, ngram) for text in texts)


@settings(max_examples=some(60))
@given(
    st.lists(st.lists(st.sampled_from("abcdefghij"), min_size=1, max_size=9).map(" ".join), min_size=2, max_size=14),
    st.sampled_from([0.3, 0.5, 0.6, 0.75, 0.8, 1.0]),
    st.integers(1, 6),
)
def test_large_buckets_equal_naive(tmp_path_factory, texts, threshold, large):
    stage = MinHash(ngram=1, threshold=threshold, **CATCH_ALL)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(minhash, "LARGE_BUCKET", large)
        drops, stats = settle(stage, texts, tmp_path_factory.mktemp("large"))
    assert clusters_of(drops) == naive_clusters(texts, 1, threshold)
    edges = neardup.edges(texts, 1, threshold)
    assert all(row["similarity"] == edges[tuple(sorted((row["doc_id"], row["matched"])))] for row in drops)
    assert stats["capped"]["buckets"] == 0


@pytest.mark.parametrize("kind", ["exact", "signature"])
@pytest.mark.parametrize("threshold", [0.5, 0.7, 0.8, 0.9])
@pytest.mark.campaign(3)
def test_large_and_small_buckets_agree(tmp_path, monkeypatch, kind, threshold):
    texts = near_copies(int(100 * threshold), 300 if FULL else 150)
    stage = MinHash(ngram=2, threshold=threshold, verify=kind, values=64, bands=64, rows=1)
    found = []
    for large in (0, 50, 1000):
        monkeypatch.setattr(minhash, "LARGE_BUCKET", large)
        drops, stats = settle(stage, texts, tmp_path / str(large))
        found.append(clusters_of(drops))
        assert stats["capped"]["buckets"] == 0
    assert found[0] == found[1] == found[2]
    if kind == "exact":
        assert found[0] == naive_clusters(texts, 2, threshold)


def test_near_duplicates_of_a_larger_corpus_equal_naive(tmp_path):
    texts = random_corpus(3, 400)
    drops, stats = settle(MinHash(ngram=3, threshold=0.6, recall=0.999999), texts, tmp_path, splits=3)
    assert clusters_of(drops) == naive_clusters(texts, 3, 0.6)
    assert stats["rejected"] > 0 and stats["rejected_by_signature"] > 0
    assert stats["duplicates"] == len(drops)


@pytest.mark.parametrize("kind", ["exact", "signature", "none"])
@pytest.mark.campaign(3)
def test_trap_8_nothing_but_the_corpus_changes_the_result(tmp_path, monkeypatch, kind):
    texts = random_corpus(4, 300)
    texts += texts[:20] + [text.upper() + "!" for text in texts[20:40]] + ["", " "]
    stage = MinHash(ngram=3, threshold=0.6, values=48, verify=kind, keep="longest")
    monkeypatch.setattr(minhash, "LARGE_BUCKET", 2)
    monkeypatch.setattr(verify, "BUDGET", 0)
    monkeypatch.setattr(verify, "BUDGET_EACH", 0)
    found = []
    for i, (splits, workers, memory, count) in enumerate([(1, 1, 1 << 30, 1), (3, 3, 1 << 30, 2), (2, 16, 1 << 14, 3)]):
        monkeypatch.setattr(key_ranges, "key_range_count", lambda corpus, rows, each, count=count: count)
        monkeypatch.setattr(bands_module, "ranges_for_memory", lambda corpus, rows, each, count=count: count)
        monkeypatch.setattr(candidates, "_SMALL", 1 if count > 1 else 10**9)
        corpus = {"splits": splits, "workers": workers, "memory_bytes": memory, "batch_rows": 100 * count}
        found.append(settle(stage, texts, tmp_path / str(i), **corpus))
    assert all(each == found[0] for each in found)
    assert found[0][0]
    assert (found[0][1]["capped"]["buckets"] > 0) == (kind != "none")


def test_trap_1_candidates_are_verified_before_they_join(tmp_path):
    # a common half, and a half of one's own: J = 1/3, so unverified bands of one row chain all of them
    common = " ".join(f"c{i}" for i in range(30))
    texts = [common + " " + " ".join(f"d{j}x{i}" for i in range(30)) for j in range(60)]
    loose = MinHash(ngram=1, threshold=0.8, verify="none", **CATCH_ALL)
    assert len(settle(loose, texts, tmp_path / "none")[0]) == 59
    for kind in ("exact", "signature"):
        drops, stats = settle(loose.model_copy(update={"verify": kind}), texts, tmp_path / kind)
        assert drops == []
        assert stats["compared"] == 60 * 59 // 2 if kind == "signature" else stats["prefiltered"] < 20


def test_trap_2_two_true_clusters_in_one_bucket_stay_two(tmp_path):
    common = [f"c{i}" for i in range(30)]
    families = [[*common, *(f"f{f}w{i}" for i in range(30))] for f in range(2)]
    texts = [" ".join([*family, f"own{i}"]) for i in range(3) for family in families]
    drops, _ = settle(MinHash(ngram=1, threshold=0.8, **CATCH_ALL), texts, tmp_path)
    assert clusters_of(drops) == {0: {0, 2, 4}, 1: {1, 3, 5}}


def test_trap_3_short_and_empty_documents(tmp_path):
    texts = ["cat", "dog", "Cat.", "", "!!", "", "cat dog"]
    drops, stats = settle(MinHash(), texts, tmp_path)
    assert clusters_of(drops) == {0: {0, 2}}
    assert stats["without_words"] == 3


@pytest.mark.parametrize("unit", ["words", "characters"])
@pytest.mark.parametrize("signature", ["fast", "classic", "datasketch"])
def test_invisible_characters_make_no_other_document(tmp_path, unit, signature):
    """Soft hyphens of web pages and PDF text, joiners, direction marks: the same words on the screen."""
    page = (
        "The committee published its comprehensive investigation of agricultural cooperatives and their "
        "responsibilities towards neighbouring municipalities, where investments in renewable infrastructure stopped."
    )
    marks = ["\u00ad", "\u2060", "\u200e", "\ufeff", "\u200d", "\ufe0f"]
    copies = [" ".join(word[:3] + mark + word[3:] + mark for word in page.split()) for mark in marks]
    parted = page.replace("o", "o\u200b")  # a zero width space is a border between words
    drops, _ = settle(MinHash(unit=unit, signature=signature), [page, *copies, parted], tmp_path)
    assert [(row["doc_id"], row["similarity"]) for row in drops] == [(i, 1.0) for i in range(1, 7)]


def test_identifiers_are_words_where_wanted(tmp_path):
    texts = ["read_the_file write_the_file", "read the file, write the file", "READ_the_file write_the_file!"]
    drops, _ = settle(MinHash(ngram=2), texts, tmp_path / "unicode")
    assert clusters_of(drops) == {0: {0, 1, 2}}
    drops, stats = settle(MinHash(ngram=2, words="identifiers"), texts, tmp_path / "identifiers")
    assert clusters_of(drops) == {0: {0, 2}}
    assert stats["identical"] == 1


@settings(max_examples=some(30))
@given(st.lists(st.lists(st.sampled_from(["a_b", "a", "_", "b", "c_", "É_é"]), max_size=6).map(" ".join), max_size=8))
def test_components_of_identifiers_equal_naive(tmp_path_factory, texts):
    stage = MinHash(ngram=1, threshold=0.6, words="identifiers", **CATCH_ALL)
    drops, _ = settle(stage, texts, tmp_path_factory.mktemp("i"))
    pairs = neardup.edges(texts, 1, 0.6, "identifiers")
    groups = neardup.components(len(texts), list(pairs))
    assert clusters_of(drops) == {min(group): set(group) for group in groups}
    assert all(row["similarity"] == pairs[tuple(sorted((row["doc_id"], row["matched"])))] for row in drops)


def test_trap_4_and_7_documents_are_known_by_any_doc_id(tmp_path):
    text = "the same words in the same order"
    ids = [0, 2**40, 2**63, 2**64 - 2, 2**64 - 1]
    texts = [text, "quite another", text + " x", text, text + " x"]
    stage = MinHash(ngram=1, threshold=0.8, **CATCH_ALL)
    drops, _ = settle(stage, texts, tmp_path, ids=ids, splits=3)
    assert clusters_of(drops) == {0: {0, 2**63, 2**64 - 2, 2**64 - 1}}


def test_trap_10_no_duplicates_and_no_documents(tmp_path):
    for i, texts in enumerate([[], [""], ["a b"], ["a b", "c d", "e f"]]):
        drops, stats = settle(MinHash(), texts, tmp_path / str(i), splits=2)
        assert drops == []
        assert stats["clusters_total"] == 0 and stats["clusters"] == []


def test_a_bucket_of_like_documents_costs_one_comparison_each(tmp_path):
    rng = np.random.default_rng(1)
    words = [f"w{i}" for i in range(20)]
    texts = [" ".join(rng.permutation(words)) for _ in range(3000)]  # equal sets, different sequences
    drops, stats = settle(MinHash(ngram=1), texts, tmp_path)
    assert len(drops) == 2999 and stats["compared"] == 2999 and stats["identical"] == 0
    assert {row["duplicate_of"] for row in drops} == {0}


def test_identical_documents_collapse_before_all_else(tmp_path):
    texts = ["A b c d e f"] * 500 + ["a B c, d e f"] * 500 + ["a b c d e f g"]
    drops, stats = settle(MinHash(ngram=1), texts, tmp_path)
    assert stats["identical"] == 999 and stats["compared"] == 1
    assert len(drops) == 1000
    assert {row["duplicate_of"] for row in drops} == {0}
    assert drops[-1]["similarity"] == 6 / 7


def test_copies_of_a_dropped_document_follow_it(tmp_path):
    long = "a b c d e f g h i j"
    texts = [long, long, long + " k", long + " K"]
    drops, stats = settle(MinHash(ngram=1, keep="longest"), texts, tmp_path)
    assert [(row["doc_id"], row["duplicate_of"], row["matched"], row["similarity"]) for row in drops] == [
        (0, 2, 2, 10 / 11),
        (1, 2, 0, 1.0),
        (3, 2, 2, 1.0),
    ]
    assert stats["clusters"] == [{"kept": 2, "size": 4, "members": [0, 1, 3]}]


def test_a_hard_bucket_is_capped_and_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr(minhash, "LARGE_BUCKET", 10)
    monkeypatch.setattr(verify, "BUDGET", 0)
    monkeypatch.setattr(verify, "BUDGET_EACH", 0)
    stage = MinHash(ngram=1, threshold=0.7, values=64, bands=64, rows=1)
    _, stats = settle(stage, near_copies(1, 200), tmp_path)
    capped = stats["capped"]
    assert capped["buckets"] > 0
    assert capped["documents"] > 100
    assert capped["comparisons_skipped"] > 0
    assert "comparisons were left out" in stats["warnings"][0]


def test_a_document_whose_shingles_are_missing_stops_the_run(tmp_path, monkeypatch):
    texts = ["a b c d e f g h", "a b c d e f g i"]
    stage = MinHash(ngram=1, threshold=0.7, **CATCH_ALL)
    corpus = corpus_of(stage, texts, tmp_path)
    monkeypatch.setattr(corpus, "batches", [[make_batch([texts[0], "!"], [0, 1])]])  # the file changed meanwhile
    with pytest.raises(RuntimeError, match="shingles of document 1 are missing: its text changed"):
        stage.settle(corpus)


def test_splits_without_documents(tmp_path):
    texts = ["a b c d e", "a b c d f"]
    for splits in (2, 3, 5):
        drops, _ = settle(MinHash(ngram=1, threshold=0.6, **CATCH_ALL), texts, tmp_path / str(splits), splits=splits)
        assert clusters_of(drops) == {0: {0, 1}}


def test_dropped_documents_take_no_part(tmp_path):
    texts = ["a b c d e f"] * 4
    drops, stats = settle(MinHash(), texts, tmp_path, splits=2, gone=frozenset({0, 2}))
    assert clusters_of(drops) == {1: {1, 3}}
    assert stats["documents"] == 2


def test_verify_none_knows_no_similarity(tmp_path):
    texts = ["a b c d e f g h i j k l", "a b c d e f g h i j k m"]
    drops, _ = settle(MinHash(ngram=1, verify="none"), texts, tmp_path)
    assert drops == [{"doc_id": 1, "reason": 1, "value": None, "duplicate_of": 0, "matched": 0, "similarity": None}]


@pytest.mark.parametrize("settling", ["components", "greedy"])
@pytest.mark.parametrize("bits", [8, 16, 32])
def test_verify_signature_estimates(tmp_path, bits, settling):
    texts = [" ".join(f"w{i}" for i in range(j, j + 100)) for j in (0, 5)]
    stage = MinHash(ngram=1, verify="signature", value_bits=bits, settling=settling)
    (row,), _ = settle(stage, texts, tmp_path)
    sketch = stage.sketch(make_batch(texts, range(2)))
    equal = sum(a == b for a, b in (sketch[value_column(j)].to_pylist() for j in range(128))) / 128
    chance = 1 / 256 if bits == 8 else 0  # a share of (1 - J) / 256 of the values agrees by accident
    assert row["similarity"] == pytest.approx((equal - chance) / (1 - chance), abs=1e-12)
    assert abs(row["similarity"] - 95 / 105) < 5 * np.sqrt(95 / 105 * 10 / 105 / 128)


def test_an_estimate_at_the_threshold(tmp_path):
    texts = [" ".join(f"w{i}" for i in range(j, j + 100)) for j in (0, 5)]
    (row,), _ = settle(MinHash(ngram=1, verify="signature"), texts, tmp_path / "first")
    for margin, drops in ((-1e-9, 1), (1e-9, 0)):
        stage = MinHash(ngram=1, verify="signature", threshold=row["similarity"] + margin, bands=20, rows=5)
        found, _ = settle(stage, texts, tmp_path / str(drops))
        assert len(found) == drops


def test_keep_by_column(tmp_path):
    stage = MinHash.model_validate({"keep": {"by": "source", "rank": ["book", "web"]}})
    columns = {"source": pa.array(["web", "spam", "book", "web"])}
    drops, _ = settle(stage, ["a b c d e f"] * 4, tmp_path, columns=columns)
    assert clusters_of(drops) == {2: {0, 1, 2, 3}}


def test_tag_mode(tmp_path):
    stage = MinHash(mode="tag")
    settled = stage.settle(corpus_of(stage, ["a b c", "d e f", "A b c"], tmp_path))
    assert settled.drops == []
    assert rows_of(settled.tags) == [
        {"doc_id": 0, "cluster": 0, "size": 2, "is_kept": True},
        {"doc_id": 2, "cluster": 0, "size": 2, "is_kept": False},
    ]


def test_a_giant_component_and_a_poor_banding_warn(tmp_path):
    _, stats = settle(MinHash(bands=2, rows=50), ["same words here"] * 1100, tmp_path)
    assert "find a pair exactly as similar as the threshold 0.8 with probability 0.000" in stats["warnings"][1]
    assert "one cluster holds 1,100 of 1,100 documents (100.0 %)" in stats["warnings"][0]


def test_sketches_serve_every_threshold():
    own = MinHash().sketch_parameters()
    for other in ({"threshold": 0.9}, {"bands": 4, "rows": 5}, {"verify": "none"}, {"recall": 0.5}, {"mode": "tag"}):
        assert MinHash(**other).sketch_parameters() == own
    for other in ({"threshold": 0.5}, {"bands": 4, "rows": 3}):  # 24 bits a band would be too few
        assert MinHash(**other, value_bits=8).sketch_parameters() == own
        assert MinHash(**other).sketch_parameters() == {**own, "value_bits": 16}
    for other in ({"ngram": 4}, {"values": 64}, {"seed": 2}, {"keep": "longest"}, {"words": "identifiers"}):
        assert MinHash(**other).sketch_parameters() != own
    assert MinHash(words="identifiers").index_header() != MinHash().index_header()


def test_the_sketch_does_not_depend_on_batches():
    texts = [*random_corpus(5, 40), "", "漢字 x", "a"]
    whole = make_batch(texts, range(len(texts)))
    stage = MinHash(values=20)
    together = stage.sketch(whole)
    assert list(together) == stage.sketch_schema().names
    for name, column in together.items():
        assert column.type == stage.sketch_schema().field(name).type
        apart = [stage.sketch(whole.slice(i, i + 1))[name] for i in range(len(texts))]
        assert column.to_pylist() == list(itertools.chain(*(each.to_pylist() for each in apart)))


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"bands": 3}, "bands and rows are given together"),
        ({"bands": 13, "rows": 10}, "bands x rows is 130, but a signature has 128 values"),
        ({"threshold": 0}, "greater than 0"),
        ({"threshold": 1.5}, "less than or equal to 1"),
        ({"ngram": 0}, "greater than or equal to 1"),
        ({"words": "letters"}, "'unicode' or 'identifiers'"),
        ({"unit": "characters", "words": "identifiers"}, "says what a word is, but shingles are made of characters"),
    ],
)
def test_wrong_parameters(wrong, says):
    with pytest.raises(ValidationError, match=says):
        MinHash(**wrong)


def test_five_deviations_below_the_threshold():
    # by hand: 128 * (.8 - 5 * sqrt(.8 * .2 / 128)) = 79.77
    assert verify.fewest_equal_values(0.8, 128) == 80
    assert verify.fewest_equal_values(1.0, 128) == 128
    assert verify.fewest_equal_values(0.05, 16) == 0
