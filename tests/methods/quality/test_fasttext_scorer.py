from __future__ import annotations

import random
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from naive import fasttext as naive
from support.forms import some

from corpuscurate.core.columns import TEXT
from corpuscurate.core.errors import InputError
from corpuscurate.kernels.fasttext.sum_in_order import ordered_sum
from corpuscurate.kernels.fasttext.words import Vocabulary, bucket_row
from corpuscurate.methods.quality import fasttext_scorer
from corpuscurate.methods.quality.fasttext_model import read_model
from corpuscurate.methods.quality.fasttext_scorer import Scorer, input_rows, make_vocabulary, tree_path

WORDS = [
    "</s>",
    "the",
    "of",
    "house",
    "naïve",
    "漢字",
    "internationalisation",
    "internationalisations",
    "a" * 16,
    "a" * 15,
]
TEXTS = [
    "", " \n\t", "the house of the", "The house\nof\r\nthe\x00a\vb\fc", "</s> the", "the </s> house of", "x </s>y",
    "__label__yes the __label__other of", "naïve 漢字 naïves 漢", "internationalisation internationalisations a",
    "a" * 15, "a" * 16, "a" * 17, "\x01\x1f the\x02 of", "\x85the\u2028of", "the" * 400, "< > <the> =",
]  # fmt: skip


def make(loss="softmax", labels=2, dim=6, **more) -> naive.Model:
    draw = random.Random(3)  # noqa: S311
    bucket = more.get("bucket", 50)
    kept = bucket if more.get("pruned") is None else len(more["pruned"])
    rows = [[draw.uniform(-2, 2) for _ in range(dim)] for _ in range(len(WORDS) + kept)]
    names = ["__label__yes", *(f"__label__no{i}" for i in range(1, labels))]
    outputs = [[draw.uniform(-2, 2) for _ in range(dim)] for _ in range(labels)]
    return naive.Model(WORDS, names, rows, outputs, loss=loss, **{"bucket": bucket, **more})


VOCABULARY = Vocabulary(
    np.zeros(0, np.uint8), np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros((16, 4), np.uint64),
    np.zeros(0, np.int32), np.zeros(0, np.int64), 7, -1, 1, np.uint64(0), 0, 0, 2,
)  # fmt: skip
MODELS = {
    "unigrams": make(),
    "bigrams": make(word_ngrams=2),
    "4-grams": make(word_ngrams=4, bucket=7),
    "characters": make(minn=1, maxn=3),
    "characters from 0": make(minn=0, maxn=2, word_ngrams=2),
    "three labels": make(labels=3, dim=4, word_ngrams=2),
    "wide": make(labels=5, dim=19, word_ngrams=2, minn=2, maxn=4),
    "one label": make(labels=1),
    "one label, hs": make(labels=1, loss="hs", word_ngrams=2),
    "one label, ns": make(labels=1, loss="ns"),
    "one label, characters": make(labels=1, minn=2, maxn=3),
    "shortest above longest": make(minn=6, maxn=4, word_ngrams=2),
    "shortest above longest, no bucket": make(minn=3, maxn=2, bucket=0),
    "hs": make(loss="hs", labels=5, counts=[40, 7, 7, 5, 1], word_ngrams=3),
    "hs two": make(loss="hs", labels=2, minn=3, maxn=5),
    "ns": make(loss="ns", labels=3, word_ngrams=2),
    "ova": make(loss="ova", labels=3, minn=2, maxn=3),
    "pruned": make(word_ngrams=2, minn=2, maxn=3, pruned={4: 2, 17: 0, 31: 1, 49: 3, 0: 4}),
    "pruned to words": make(word_ngrams=2, pruned={}),
}


@pytest.fixture(scope="module", params=list(MODELS))
def case(request, tmp_path_factory):
    model = MODELS[request.param]
    path = tmp_path_factory.mktemp("model") / "m.bin"
    path.write_bytes(naive.model_bytes(model))
    read = read_model(str(path))
    return model, read, {project: Scorer(read, "yes", project=project) for project in (True, False)}


def in_order(model, ids, dim):
    """Rows added one after the other in float32: another order would end in other last bits."""
    total = np.zeros(dim, np.float32)
    for row in ids:
        total += np.array(model.rows[row], np.float32)
    return total.tolist()


def check(case, texts):
    model, read, scorers = case
    wanted = [naive.score(model, text, 0) for text in texts]
    vocabulary, rows = make_vocabulary(read), input_rows(read)
    for text in texts:
        data = np.frombuffer(b"zz" + text.encode() + b"zz", np.uint8)
        found = np.full(read.dim, np.nan, np.float32)
        ids = naive.features(model, text)
        assert ordered_sum(data, 2, len(data) - 2, vocabulary, rows, found) == len(ids), text
        assert found.tolist() == in_order(model, ids, read.dim), text
    for scorer in scorers.values():
        found = scorer.score(pa.array(["skipped", *texts], TEXT).slice(1))
        for text, score, want in zip(texts, found.tolist(), wanted, strict=True):
            if want is None:
                assert np.isnan(score), text
            elif model.loss in ("ns", "ova"):  # a step of fastText's table may fall either way
                assert score == pytest.approx(want, abs=1e-2), text
            else:
                assert score == pytest.approx(want, abs=2e-6), text
            assert want is None or 0 <= score <= 1


@pytest.mark.campaign(2)
def test_equal_to_the_twin(case):
    check(case, TEXTS)


PIECES = st.sampled_from([*"abthe<>_  \n\0é漢\x1f", *WORDS, "</s>", "__label__"])


@settings(max_examples=some(40), deadline=None)
@given(texts=st.lists(st.lists(PIECES, max_size=30).map("".join), max_size=4))
@pytest.mark.campaign(2)
def test_any_text(case, texts):
    check(case, texts)


@pytest.mark.campaign(2)
def test_many_words_cross_the_blocks(case):
    check(case, [" ".join(WORDS[1:] * 300), "unknown words " * 700, "x" * 5000])


def test_a_batch_may_be_cut_anywhere(case):
    _, _, scorers = case
    texts = pa.array(TEXTS * 2, TEXT)
    for scorer in scorers.values():
        whole = scorer.score(texts)
        parts = np.concatenate([scorer.score(texts.slice(*cut)) for cut in ((0, 5), (5, 0), (5, 1), (6,))])
        assert whole.tobytes() == parts.tobytes()


@pytest.mark.parametrize("most", [31, 64, 300])
def test_long_ngrams(tmp_path, most):
    """Words of so many n-grams are summed block by block, each time they occur; the twin adds in float64, so texts are
    short of the features from which fastText's own rounding shows."""
    model = make(minn=1, maxn=most, word_ngrams=most)
    (tmp_path / "m.bin").write_bytes(naive.model_bytes(model))
    read = read_model(str(tmp_path / "m.bin"))
    scorers = {project: Scorer(read, "yes", project=project) for project in (True, False)}
    check(
        (model, read, scorers), ["unknown13char " * 40, "x" * 200, "the nowhere the nowhere", " ".join(WORDS[1:]) * 5]
    )


def test_words_that_were_seen_before_change_no_bit(case):
    """Unknown words are remembered: in another order, alone, or pushed out of their place they score the same."""
    _, _, scorers = case
    draw = random.Random(5)  # noqa: S311
    words = ["".join(draw.choices("abcdé漢", k=draw.randint(1, 24))) for _ in range(4000)]
    texts = [" ".join(draw.choices(words, k=draw.randint(1, 90))) for _ in range(300)]
    order = draw.sample(range(300), 300)
    for scorer in scorers.values():
        whole = scorer.score(pa.array(texts, TEXT))
        shuffled = scorer.score(pa.array([texts[i] for i in order], TEXT))
        alone = np.concatenate([scorer.score(pa.array([text], TEXT)) for text in texts[:40]])
        assert whole[order].tobytes() == shuffled.tobytes()
        assert whole[:40].tobytes() == alone.tobytes()


def test_documents_of_many_features_are_summed_as_fasttext_does(case, monkeypatch):
    model, _, scorers = case
    text = " ".join(["the house of", "naïve 漢字 unknown internationalisation"] * 40)
    near = [scorer.score(pa.array([text], TEXT))[0] for scorer in scorers.values()]
    monkeypatch.setattr(fasttext_scorer, "MANY", 100)
    ids = naive.features(model, text)
    hidden = np.array(in_order(model, ids, len(model.outputs[0])), np.float32) * np.float32(1 / len(ids))
    wanted = naive.score_of_mean(model, hidden.tolist(), 0)
    ordered = [scorer.score(pa.array([text], TEXT))[0] for scorer in scorers.values()]
    assert ordered == pytest.approx([wanted] * 2, abs=1e-7 if model.loss not in ("ns", "ova") else 1e-2)
    if len(model.labels) > 1 and len(ids) >= 100 and model.loss not in ("ns", "ova"):
        assert near != ordered  # it makes a difference


@given(h=st.integers(0, 2**64 - 1), bucket=st.integers(1, 2**31 - 1) | st.sampled_from([1 << k for k in range(31)]))
def test_the_bucket_of_a_hash(h, bucket):
    read = vocabulary_of_buckets(bucket)
    assert bucket_row(read, np.uint64(h)) == 7 + h % bucket


def vocabulary_of_buckets(bucket):
    inverse = np.uint64((2**64 - 1) // bucket)
    return VOCABULARY._replace(words=7, bucket=bucket, inverse=inverse)


def test_golden_hashes():
    # Fowler, Noll, Vo: published FNV-1a 32 test vectors
    assert naive.fnv(b"") == 0x811C9DC5
    assert naive.fnv(b"a") == 0xE40C292C
    assert naive.fnv(b"foobar") == 0xBF9CF968


def test_golden_tree():
    # counts 5 2 1: leaves 1 and 2 meet under node 0 (row 0), its sum 3 meets 5 under the root (row 1)
    nodes, right = tree_path(np.array([5, 2, 1]), 0)
    assert (nodes.tolist(), right.tolist()) == ([1], [True])
    nodes, right = tree_path(np.array([5, 2, 1]), 1)
    assert (nodes.tolist(), right.tolist()) == ([1, 0], [False, True])
    nodes, right = tree_path(np.array([5, 2, 1]), 2)
    assert (nodes.tolist(), right.tolist()) == ([1, 0], [False, False])


def test_scores_that_fastText_reports_above_one_end_at_one(tmp_path):
    model = replace(make(dim=1), rows=[[50.0]] * (len(WORDS) + 50), outputs=[[1.0], [-1.0]])
    (tmp_path / "m.bin").write_bytes(naive.model_bytes(model))
    assert Scorer(read_model(str(tmp_path / "m.bin")), "yes").score(pa.array(["the"], TEXT)).tolist() == [1.0]


def test_weights_that_are_not_finite(tmp_path):
    model = replace(make(), rows=[[float("nan")] * 6] * (len(WORDS) + 50))
    (tmp_path / "m.bin").write_bytes(naive.model_bytes(model))
    with pytest.raises(InputError, match="not finite: train it again"):
        Scorer(read_model(str(tmp_path / "m.bin")), "yes")
