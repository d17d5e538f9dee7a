from __future__ import annotations

import importlib.util
import json
import shutil

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from support.embed import array, bert_folder
from support.forms import some

from corpuscurate.core.errors import MissingExtraError, RecipeError
from corpuscurate.methods.embed.sequence import (
    SequenceClassification,
    SequenceScorer,
    output_of,
    resolve_sequence,
    sequence_value,
)

INSTALLED = importlib.util.find_spec("transformers") is not None
needs_it = pytest.mark.skipif(not INSTALLED, reason="transformers is not installed")
TEXTS = ["hello world", "", " \n", "the 漢字! " * 9, "a b c " * 200, "unable", "hello world again 12", "x"]


@pytest.fixture(scope="module")
def regression(tmp_path_factory):
    """As FineWeb-Edu's: one output."""
    pytest.importorskip("transformers")
    folder = tmp_path_factory.mktemp("regression") / "m"
    return bert_folder(folder, "BertForSequenceClassification", num_labels=1, problem_type="regression")


@pytest.fixture(scope="module")
def classes(tmp_path_factory):
    pytest.importorskip("transformers")
    names = {0: "bad", 1: "fair", 2: "good"}
    folder = tmp_path_factory.mktemp("classes") / "m"
    return bert_folder(
        folder, "BertForSequenceClassification", id2label=names, label2id={v: k for k, v in names.items()}
    )


def logits(folder, texts):
    """What the model card of FineWeb-Edu's classifier does, a text at a time."""
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForSequenceClassification.from_pretrained(folder).eval()
    found = []
    for text in texts:
        inputs = tokenizer(text, return_tensors="pt", padding="longest", truncation=True, max_length=48)
        with torch.inference_mode():
            found.append(model(**inputs).logits[0].float().numpy())
    return np.array(found, np.float64)


def scorer(folder, target=None, **more):
    return SequenceScorer(SequenceClassification(model=str(folder), batch_size=4, **more), target)


@needs_it
def test_a_regression_scores_as_transformers_does(regression):
    found = scorer(regression).score(array(TEXTS))
    assert np.isnan(found[[1, 2]]).all()
    filled = [i for i, text in enumerate(TEXTS) if text.strip()]
    expected = logits(regression, [TEXTS[i] for i in filled])[:, 0]
    np.testing.assert_allclose(found[filled], expected, atol=2e-6)
    assert np.ptp(expected) > 0.1  # or equality would say nothing


@needs_it
@pytest.mark.parametrize("batch_size", [1, 2, 3, 5, 7, 8])
def test_no_score_depends_on_its_place_in_a_batch(regression, batch_size):
    """The head has a row a window, and products of few rows sum the last ones in another order."""
    one = SequenceScorer(SequenceClassification(model=str(regression), batch_size=batch_size), None)
    texts = [" ".join(["hello", "world", "the"][: n % 3 + 1] * (n % 13 + 1)) for n in range(60)]
    together = one.score(array(texts))
    assert np.concatenate([one.score(array([text])) for text in texts]).tobytes() == together.tobytes()


@needs_it
def test_classes_score_the_probability_of_a_label(classes):
    texts = [text for text in TEXTS if text.strip()]
    expected = np.exp(logits(classes, texts))
    expected /= expected.sum(axis=1, keepdims=True)
    for index, name in enumerate(("bad", "fair", "good")):
        np.testing.assert_allclose(scorer(classes, name).score(array(texts)), expected[:, index], atol=2e-6)


@needs_it
@settings(max_examples=some(25), deadline=None)
@given(texts=st.lists(st.sampled_from(TEXTS) | st.text("ab c漢", max_size=60), max_size=12), cut=st.integers(0, 12))
def test_scores_do_not_depend_on_the_batch_to_the_byte(regression, texts, cut):
    one = made(regression)
    whole = one.score(array(texts))
    parts = np.concatenate([one.score(array(texts[:cut])), one.score(array(texts[cut:]))])
    assert parts.tobytes() == whole.tobytes()
    assert one.score(array(texts[::-1]))[::-1].tobytes() == whole.tobytes()


MADE = {}


def made(folder):
    return MADE.setdefault(str(folder), scorer(folder, window="mean"))


@needs_it
def test_the_mean_over_windows(regression):
    pieces = ["a b c d e f g h i j k l m n o p q r s t u v w x y z " * 2, "hello world " * 10]
    pieces[0] = " ".join(pieces[0].split()[:46])  # a window: 48 positions less two special tokens
    text = " ".join(pieces)
    rows = scorer(regression).score(array(pieces))
    assert scorer(regression).score(array([text])).tobytes() == rows[:1].tobytes()
    expected = (46 * rows[0] + 20 * rows[1]) / 66
    assert scorer(regression, window="mean").score(array([text]))[0] == pytest.approx(expected, abs=1e-9)


@needs_it
def test_labels(regression, classes):
    assert output_of(regression, None) == (None, 1)
    assert output_of(classes, "good") == (2, 3)
    with pytest.raises(RecipeError, match=r"has no label 'god'\. Its labels are: bad, fair, good\. The nearest names"):
        output_of(classes, "god")
    with pytest.raises(RecipeError, match=r"has 3 labels, so say which one's probability is the score"):
        output_of(classes, None)
    with pytest.raises(RecipeError, match=r"is a regression and has no label 'good': leave it out"):
        output_of(regression, "good")


@needs_it
def test_identity_is_of_the_files(regression, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(regression, copy)
    one = sequence_value(SequenceClassification(model=str(regression)))
    assert one == sequence_value(SequenceClassification(model=str(copy)))
    config = json.loads((copy / "config.json").read_text())
    (copy / "config.json").write_text(json.dumps({**config, "layer_norm_eps": 1e-3}))
    assert one != sequence_value(SequenceClassification(model=str(copy)))


@needs_it
def test_a_model_without_a_trained_head_is_refused(tmp_path):
    """transformers would make a random head and go on."""
    folder = bert_folder(tmp_path / "m", "BertModel", num_labels=1)
    with pytest.raises(RecipeError, match=r"is BertModel, which has no head that scores a text"):
        resolve_sequence(str(folder))
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "architectures": ["BertForSequenceClassification"]}))
    resolve_sequence.cache_clear()
    with pytest.raises(RecipeError, match=r"lacks trained weights: .*classifier\.bias"):
        scorer(folder)


def config_in(folder, **config):
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(config))
    return folder


def test_pickles_and_foreign_code_are_never_loaded(tmp_path):
    kind = {"architectures": ["BertForSequenceClassification"]}
    one = config_in(tmp_path / "a", **kind)
    (one / "pytorch_model.bin").write_bytes(b"anything")
    with pytest.raises(RecipeError, match=r"weights in pytorch_model\.bin, a pickle, which is never loaded"):
        resolve_sequence(str(one))
    with pytest.raises(RecipeError, match="brings code of its own"):
        resolve_sequence(str(config_in(tmp_path / "b", auto_map={"AutoConfig": "x.Y"}, **kind)))
    with pytest.raises(RecipeError, match="has no weights"):
        resolve_sequence(str(config_in(tmp_path / "c", **kind)))
    (tmp_path / "d").mkdir()
    with pytest.raises(RecipeError, match=r"config\.json cannot be read"):
        resolve_sequence(str(tmp_path / "d"))


def test_a_model_that_is_nowhere(monkeypatch):
    hub = pytest.importorskip("huggingface_hub")
    monkeypatch.setattr(hub, "snapshot_download", lambda *_, **__: (_ for _ in ()).throw(OSError("offline mode")))
    with pytest.raises(RecipeError, match=r"'no/such-judge' is no folder and could not be had .* OSError: offline"):
        resolve_sequence("no/such-judge")


@needs_it
def test_a_name_is_fetched_without_pickles(regression, monkeypatch):
    hub = pytest.importorskip("huggingface_hub")
    asked = []

    def download(model, *, allow_patterns, ignore_patterns):
        asked.append((model, allow_patterns))
        return str(regression)

    monkeypatch.setattr(hub, "snapshot_download", download)
    assert resolve_sequence("HuggingFaceFW/a-classifier-of-this-test") == regression
    assert asked == [("HuggingFaceFW/a-classifier-of-this-test", ["*.json", "*.txt", "*.safetensors", "*.model"])]


@needs_it
def test_without_the_package_the_extra_is_named(regression, monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(MissingExtraError, match=r"corpuscurate\[embed\]"):
        scorer(regression)


def test_half_only_on_cuda():
    with pytest.raises(ValidationError, match="half: true needs device: cuda"):
        SequenceClassification(model="m", half=True)
