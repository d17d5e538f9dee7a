from __future__ import annotations

import random
import struct

import numpy as np
import pyarrow as pa
import pytest
from naive import fasttext as naive

from corpuscurate.core.columns import TEXT
from corpuscurate.core.errors import InputError
from corpuscurate.methods.quality.fasttext_model import Dense, Quantised, file_digest, read_model
from corpuscurate.methods.quality.fasttext_scorer import scorer

MODEL = naive.Model(
    ["</s>", "the"], ["__label__hq", "__label__cc"], [[1.0, 2.0]] * 9, [[0.5, 1.0], [2.0, 3.0]], word_ngrams=2, bucket=7
)
PRUNED = naive.Model(
    ["</s>"], ["__label__hq", "__label__cc"], [[1.0, 2.0], [3.0, 4.0]], [[0.5, 1.0], [2.0, 3.0]],
    word_ngrams=2, bucket=7, pruned={5: 0},
)  # fmt: skip
HEAD = 8 + 48 + 8
"""Bytes before the dictionary."""


def read(tmp_path, data: bytes):
    path = tmp_path / "model.bin"
    path.write_bytes(data)
    return read_model(str(path))


def test_what_is_read(tmp_path):
    model = read(tmp_path, naive.model_bytes(MODEL))
    assert (model.dim, model.word_ngrams, model.bucket, model.words, model.loss) == (2, 2, 7, 2, "softmax")
    assert model.labels == ("__label__hq", "__label__cc")
    assert isinstance(model.input, Dense)
    assert model.output.rows(0, 2).tolist() == [[0.5, 1.0], [2.0, 3.0]]
    assert model.label_index("cc") == model.label_index("__label__cc") == 1


def test_a_pruned_one(tmp_path):
    model = read(tmp_path, naive.model_bytes(PRUNED))
    assert isinstance(model.input, Quantised)
    assert model.input.rows(0, 2).tolist() == [[1.0, 2.0], [3.0, 4.0]]
    assert [column.tolist() for column in model.pruned] == [[5], [0]]


@pytest.mark.parametrize("whole", [MODEL, PRUNED])
def test_every_truncation_is_noticed(tmp_path, whole):
    data = naive.model_bytes(whole)
    for size in [*range(0, 220), *range(220, len(data), 97)]:
        with pytest.raises(InputError, match=r"truncated|no fastText model"):
            read(tmp_path, data[:size] + b"")


def test_every_changed_number_of_the_heads_ends_in_a_message_or_a_model(tmp_path):
    for whole in (MODEL, PRUNED):
        data = naive.model_bytes(whole)
        for at in [*range(0, 200, 3), *range(200, len(data) - 8, 211)]:
            for value in (b"\xff\xff\xff\x7f", b"\xff\xff\xff\xff", b"\x00\x00\x00\x80"):
                changed = data[:at] + value + data[at + 4 :]
                try:
                    found = read(tmp_path, changed)
                except InputError as error:
                    assert "model.bin" in str(error)
                else:
                    assert found.input.shape[0] >= found.words


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: struct.pack("<i", 1) + d[4:], "no fastText model: the file does not begin with fastText's mark"),
        (lambda d: d[:4] + struct.pack("<i", 99) + d[8:], "file version 99 is not known; expected 11 or 12"),
        (lambda d: d + b"x", "1 bytes follow the model's end"),
        (
            lambda d: d[:HEAD] + struct.pack("<i", 2**31 - 1) + d[HEAD + 4 :],
            "2147483647 entries, but 2 words and 2 labels",
        ),
        (
            lambda d: d[:HEAD] + struct.pack("<3i", 2**30, 2**30 - 2, 2) + d[HEAD + 12 :],
            "a dictionary of 1,073,741,824 entries should take 10,737,418,240 bytes at offset 92, but the file ends",
        ),
    ],
)
def test_messages(tmp_path, change, message):
    with pytest.raises(InputError, match=message):
        read(tmp_path, change(naive.model_bytes(MODEL)))


def test_an_unsupervised_model(tmp_path):
    with pytest.raises(InputError, match=r"unsupervised \(skipgram\): it gives word vectors and no labels"):
        read(tmp_path, naive.model_bytes(naive.Model(**{**vars(MODEL), "kind": 2})))


def test_a_matrix_with_too_few_rows(tmp_path):
    with pytest.raises(InputError, match=r"is 3 x 2, but 2 words, 7 hashed n-grams and dim 2 need 9 x 2"):
        read(tmp_path, naive.model_bytes(naive.Model(**{**vars(MODEL), "rows": MODEL.rows[:3]})))


def test_a_label_that_it_lacks(tmp_path):
    with pytest.raises(InputError, match=r"no label 'qh'. Its labels are: hq, cc. The nearest names are: hq"):
        read(tmp_path, naive.model_bytes(MODEL)).label_index("qh")


def test_no_file(tmp_path):
    with pytest.raises(InputError, match="cannot be read: No such file"):
        read_model(str(tmp_path / "none.bin"))
    with pytest.raises(InputError, match="is no file"):
        read_model(str(tmp_path))


def test_the_digest_is_that_of_the_content(tmp_path):
    for name in ("a.bin", "b.bin"):
        (tmp_path / name).write_bytes(naive.model_bytes(MODEL))
    assert file_digest(str(tmp_path / "a.bin")) == file_digest(str(tmp_path / "b.bin"))
    (tmp_path / "b.bin").write_bytes(naive.model_bytes(PRUNED))
    assert file_digest(str(tmp_path / "a.bin")) != file_digest(str(tmp_path / "b.bin"))


def test_product_quantisers_with_a_short_last_part():
    centroids = np.arange(2 * 256 * 2, dtype=np.float32).reshape(2, 256, 2)
    matrix = Quantised(np.array([[1, 2]], np.uint8), centroids, 3, np.array([2.0], np.float32))
    assert matrix.rows(0, 1).tolist() == [[2 * 2.0, 2 * 3.0, 2 * float(centroids[1, 2, 0])]]


def changed(**more):
    return naive.model_bytes(naive.Model(**{**vars(MODEL), **more}))


def test_ngrams_that_fasttext_does_not_form(tmp_path):
    """fastText trains, saves and loads such models; they have no n-grams of characters, or of words."""
    assert read(tmp_path, changed(minn=6, maxn=4)).maxn == 0
    for minn, maxn in ((-3, 4), (-3, -4), (-3, 0)):
        found = read(tmp_path, changed(minn=minn, maxn=maxn))
        assert (found.minn, found.maxn) == (0, 0)
    assert read(tmp_path, changed(word_ngrams=-4, bucket=0)).word_ngrams == 1
    assert read(tmp_path, changed(minn=6, maxn=4, word_ngrams=1, bucket=0)).bucket == 0


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"minn": 1, "maxn": 5000}, "argument maxn is 5,000: n-grams of more than 4,096 are not scored"),
        ({"minn": 2, "maxn": -1}, "argument maxn is -1: n-grams of more than 4,096 are not scored"),
        ({"word_ngrams": 5000}, "argument wordNgrams is 5,000: n-grams of more than 4,096 are not scored"),
        ({"bucket": 0}, "damaged: its argument bucket is 0"),
    ],
)
def test_arguments_that_cannot_be_scored(tmp_path, more, message):
    with pytest.raises(InputError, match=message):
        read(tmp_path, changed(**more))


def test_a_label_in_another_spelling(tmp_path):
    model = read(tmp_path, changed(labels=["__label__1.0", "__label__0"]))
    assert [model.label_index(name) for name in ("1", "1.0", "__label__1", "0.0")] == [0, 0, 0, 1]


@pytest.mark.parametrize(
    "settings",
    [
        {"minn": 6, "maxn": 4},
        {"minn": 6, "maxn": 4, "wordNgrams": 3},
        {"minn": 0, "maxn": 3},
        {"minn": -1, "maxn": 2},
        {"minn": -2, "maxn": -1},
        {"minn": 2, "maxn": 80},
        {"wordNgrams": 70},
        {"wordNgrams": 0},
        {"loss": "hs", "minCount": 1000},
        {"loss": "ova", "minn": 9, "maxn": 1},
        {"label": "__class__"},
        {"quantize": {"dsub": 20, "qnorm": True}},
        {"quantize": {"dsub": 3}, "minn": 5, "maxn": 3, "wordNgrams": 2},
        {"quantize": {"cutoff": 300, "qnorm": True}, "wordNgrams": 2},
        {"quantize": {"cutoff": 300}, "minn": 9, "maxn": 3, "wordNgrams": 2},
        {"quantize": {"cutoff": 300}, "minn": 2, "maxn": 3, "dim": 1},
    ],
    ids=str,
)
@pytest.mark.parametrize("labels", [("hq", "lq", "cc"), ("hq",)])
@pytest.mark.campaign(2)
def test_models_that_fasttext_makes_score_as_it_does(tmp_path, settings, labels):
    """What is valid is what fastText itself trains, saves and predicts with."""
    fasttext = pytest.importorskip("fasttext", reason="fasttext-community is not installed")
    draw = random.Random(5)  # noqa: S311
    settings = dict(settings)
    prefix, quantize = settings.get("label", "__label__"), settings.pop("quantize", None)
    words = {label: [f"{label}{i}word" for i in range(300)] for label in labels}
    text = lambda label: " ".join(draw.choices(words[label], k=12))  # noqa: E731
    lines = [f"{prefix}{label} {text(label)}" for _ in range(150) for label in labels]
    (tmp_path / "t.txt").write_text("\n".join(lines) + "\n")
    given = {"dim": 6, "bucket": 700, "epoch": 3, "thread": 1, "verbose": 0, **settings}
    model = fasttext.train_supervised(str(tmp_path / "t.txt"), **given)
    if quantize is not None:
        model.quantize(**quantize)
    path = str(tmp_path / "m.bin")
    model.save_model(path)
    model = fasttext.load_model(path)
    texts = [text(label) for label in labels] + ["", "zebra", "hq1word zebra", "hq1word </s> lq2word"]
    found = scorer(path, f"{prefix}hq").score(pa.array(texts, TEXT)).tolist()
    for text_, score in zip(texts, found, strict=True):
        wanted = dict(zip(*model.predict(text_, k=len(labels)), strict=True))
        if not wanted:
            assert np.isnan(score), text_
        else:
            assert score == pytest.approx(min(wanted.get(f"{prefix}hq", 0.0), 1.0), abs=2e-5), text_
