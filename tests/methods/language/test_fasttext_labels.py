"""All labels of a fastText model, against fastText's own `predict` on models that it trains here."""

from __future__ import annotations

import random

import fasttext
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from naive import fasttext as naive
from support.forms import some

from corpuscurate.core.columns import TEXT, text_buffers
from corpuscurate.methods.language.models import FasttextLabels, TextSpans, language_model
from corpuscurate.methods.quality.fasttext_model import read_model
from corpuscurate.methods.quality.label_names import LABEL

ALPHABETS = {
    "eng_Latn": "abcdefgh",
    "deu_Latn": "äefgührs",
    "ell_Grek": "αβγδεζηθ",
    "rus_Cyrl": "абвгдежз",
    "hin_Deva": "कखगघङचछज",
}
KINDS = {
    "hs": {"loss": "hs", "minn": 2, "maxn": 4},
    "softmax": {"loss": "softmax", "minn": 2, "maxn": 5},
    "ova": {"loss": "ova", "wordNgrams": 2},
}
QUANTISED = {
    "lid.176.ftz": ("hs", {"cutoff": 600, "retrain": True, "qnorm": True}),
    "quantised": ("softmax", {"dsub": 3}),
    "quantised output": ("softmax", {"qout": True, "qnorm": True}),
}
MANY = 256  # labels, of which fastText quantises no fewer


def sentence(draw, letters):
    words = ["".join(draw.choice(letters) for _ in range(draw.randint(1, 6))) for _ in range(draw.randint(2, 12))]
    return " ".join(words)


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    folder = tmp_path_factory.mktemp("fasttext")
    draw = random.Random(7)  # noqa: S311
    lines = [f"{LABEL}{name} {sentence(draw, letters)}" for _ in range(80) for name, letters in ALPHABETS.items()]
    (folder / "train.txt").write_text("\n".join(lines[:-40]) + "\n", encoding="utf-8")
    many = [f"{LABEL}l{k} {sentence(draw, 'abcdefghäüαβγабв')}" for k in range(MANY)]
    (folder / "many.txt").write_text("\n".join(many) + "\n", encoding="utf-8")
    common = {
        "input": str(folder / "train.txt"),
        "dim": 7,
        "epoch": 3,
        "lr": 0.4,
        "bucket": 2000,
        "thread": 1,
        "verbose": 0,
    }
    found = {}
    for name, options in KINDS.items():
        found[name] = fasttext.train_supervised(**common, **options)
        found[name].save_model(str(folder / f"{name}.bin"))
    for name, (kind, options) in QUANTISED.items():
        more = {"input": str(folder / "many.txt")} if "qout" in options else {}
        made = fasttext.train_supervised(**common | more, **KINDS[kind])
        made.quantize(input=common["input"], thread=1, verbose=0, **options)
        made.save_model(str(folder / f"{name}.ftz"))
        found[name] = made
    suffix = {name: "ftz" if name in QUANTISED else "bin" for name in found}
    return {name: (found[name], language_model(str(folder / f"{name}.{suffix[name]}"))) for name in found}


def identified(model, texts):
    offsets, data = text_buffers(pa.array(texts, TEXT))
    found = model.identify(TextSpans(offsets[:-1], offsets[1:], data), np.arange(len(model.labels)))
    return found.labels, found.scores


def probabilities(package, text):
    """Of every label, as `predict` has them. Its scores may exceed 1."""
    pairs = package.f.predict(text.replace("\n", " ") + "\n", len(package.labels), 0.0, "strict")
    return {label: min(p, 1.0) for p, label in pairs}


@pytest.mark.parametrize("name", [*KINDS, *QUANTISED])
def test_equal_to_fasttext(models, name):
    package, model = models[name]
    draw = random.Random(8)  # noqa: S311
    letters = "".join(ALPHABETS.values())
    texts = [sentence(draw, part) for part in (*ALPHABETS.values(), letters, letters) for _ in range(8)]
    texts += ["", "a", "x\ny\tz", "</s> a", "नमस्ते", "\x00 a", "ab " * 300]
    labels, scores = identified(model, texts)
    for text, pair, found in zip(texts, labels, scores, strict=True):
        wanted = probabilities(package, text)
        for label, score in zip(pair, found, strict=True):
            if label >= 0:
                assert score == pytest.approx(wanted[LABEL + model.labels[label]], abs=3e-5)
        best = sorted(wanted.values(), reverse=True)
        assert found[0] == pytest.approx(best[0], abs=3e-5)
        if pair[1] >= 0:
            assert found[1] == pytest.approx(best[1], abs=3e-5)


def test_labels_that_count_as_one_add_up(models):
    package, model = models["softmax"]
    (one,), (score,) = (
        each.tolist() for each in model.identify(spans_of("ab fg"), np.array([0, 0, *range(1, len(model.labels) - 1)]))
    )
    wanted = probabilities(package, "ab fg")
    sums = [wanted[LABEL + model.labels[0]] + wanted[LABEL + model.labels[1]] - 1e-5]
    sums += [wanted[LABEL + label] for label in model.labels[2:]]
    assert score[0] == pytest.approx(max(sums), abs=3e-5)
    assert one[0] == int(np.argmax(sums))


def spans_of(text):
    offsets, data = text_buffers(pa.array([text], TEXT))
    return TextSpans(offsets[:-1], offsets[1:], data)


SMALL = {
    loss: naive.Model(
        ["a", "b", "c"], [f"{LABEL}l{k}" for k in range(4)],
        [[1.0, 0.5, -1.0], [-1.0, 2.0, 0.3], [0.2, 0.1, 3.0]],
        [[1.0, 0.0, 0.4], [0.0, 1.0, -2.0], [0.5, 0.5, 1.0], [-1.0, 0.2, 0.1]], loss=loss, counts=[9, 7, 2, 1],
    )
    for loss in naive.LOSSES
}  # fmt: skip


@settings(max_examples=some(30), deadline=None)
@given(st.lists(st.text("ab c", max_size=8), min_size=1, max_size=3), st.sampled_from(sorted(SMALL)))
def test_equal_to_the_definition(tmp_path_factory, texts, loss):
    path = tmp_path_factory.mktemp("small") / "model.bin"
    path.write_bytes(naive.model_bytes(SMALL[loss]))
    labels, scores = identified(FasttextLabels(read_model(str(path))), texts)
    for text, pair, found in zip(texts, labels, scores, strict=True):
        wanted = [naive.score(SMALL[loss], text, k) for k in range(4)]
        if wanted[0] is None:
            assert (pair.tolist(), found.tolist()) == ([-1, -1], [0, 0])
        else:
            assert found[0] == pytest.approx(min(max(wanted), 1), abs=1e-6)
            assert wanted[pair[0]] == pytest.approx(max(wanted), abs=1e-6)
