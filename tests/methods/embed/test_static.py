from __future__ import annotations

import gzip
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.embed import ALPHABET, array, data_folder, static_folder, tokenizer_json, vocabulary
from support.forms import some

from corpuscurate.core.errors import RecipeError
from corpuscurate.methods.embed.base import EMPTY, UNKNOWN
from corpuscurate.methods.embed.make import dimension_of, make_embedder, model_digest
from corpuscurate.methods.embed.static import Static
from corpuscurate.methods.embed.tensors import read_tensors, write_tensors

TEXTS = ["hello world", "", " \n", "unable, the 漢字!", "\u200b", "héllo " * 300, "x" * 30, "[SEP] the"]


def example(folder):
    """For the contract tests."""
    return Static(model=str(static_folder(folder)))


def embedder(folder, **more):
    return make_embedder(Static(model=str(folder), **more))


def test_rows_by_hand(tmp_path):
    folder = static_folder(tmp_path / "m")
    rows, v = read_tensors(folder / "model.safetensors")["embeddings"].astype(float), vocabulary()
    found = embedder(folder).embed(array(TEXTS)).rows
    total = rows[v["hello"]] + rows[v["world"]]
    assert found[0].tolist() == pytest.approx((total / np.linalg.norm(total)).tolist(), abs=1e-6)
    assert not found[[1, 2, 4, 6]].any()
    assert np.linalg.norm(found, axis=1)[[0, 3, 5, 7]].tolist() == pytest.approx([1] * 4, abs=1e-6)


@pytest.mark.parametrize("name", ["embeddings", "embedding.weight"])
def test_unknown_tokens(tmp_path, name):
    folder = static_folder(tmp_path / "m", name=name)
    rows, v = read_tensors(folder / "model.safetensors")[name].astype(float), vocabulary()
    texts = ["hello Ψ", "Ψ", "Ψ Ω", "Ω Ψ Ξ hello", "hello world", "", "Ψ hello Ψ hello Ψ"]
    found = embedder(folder, max_unknown_ratio=0.5).embed(array(texts))
    assert found.notes.tolist() == [0, UNKNOWN, UNKNOWN, UNKNOWN, 0, EMPTY, UNKNOWN]
    assert found.rows.any(axis=1).tolist() == [True, False, False, False, True, False, False]
    total = rows[v["hello"]] + (rows[v["[UNK]"]] if name == "embedding.weight" else 0)
    assert found.rows[0].tolist() == pytest.approx((total / np.linalg.norm(total)).tolist(), abs=1e-6)
    known = embedder(folder, max_unknown_ratio=1.0).embed(array(texts))
    assert embedder(folder).embed(array(texts)).notes[0] == UNKNOWN
    assert known.notes.tolist() == [0, UNKNOWN, UNKNOWN, 0, 0, EMPTY, 0]  # unknown words alone say nothing


@pytest.mark.parametrize("dtype", [np.float32, np.float16, np.float64, np.int8])
def test_every_kind_of_numbers_gives_the_same(tmp_path, dtype):
    one = embedder(static_folder(tmp_path / "a")).embed(array(TEXTS)).rows
    assert embedder(static_folder(tmp_path / "b", dtype=dtype)).embed(array(TEXTS)).rows.tobytes() == one.tobytes()


def test_weights_and_mapping(tmp_path):
    folder, v = static_folder(tmp_path / "m"), vocabulary()
    rng = np.random.default_rng(0)
    rows = rng.standard_normal((7, 5)).astype(np.float32)
    mapping = rng.integers(0, 7, len(v))
    weights = rng.random(len(v))
    write_tensors(folder / "model.safetensors", {"embeddings": rows, "mapping": mapping, "weights": weights})
    total = sum(weights[v[t]] * rows[mapping[v[t]]] for t in ("hello", "world"))
    found = embedder(folder).embed(array(["hello world"])).rows[0]
    assert found.tolist() == pytest.approx((total / np.linalg.norm(total)).tolist(), abs=1e-6)


def test_a_model_that_was_replaced_is_noticed(tmp_path):
    folder = static_folder(tmp_path / "m")
    assert embedder(folder) is embedder(folder)
    assert embedder(folder).dimension == 8
    static_folder(folder, dimension=9)
    assert embedder(folder).dimension == 9


@settings(max_examples=some(40), deadline=None)
@given(texts=st.lists(st.text(ALPHABET + " \n", max_size=40), max_size=8), cut=st.integers(0, 8))
def test_rows_do_not_depend_on_the_batch(static, texts, cut):
    one = embedder(static)
    whole = one.embed(array(texts)).rows
    parts = np.vstack([one.embed(array(texts[:cut])).rows, one.embed(array(texts[cut:])).rows])
    assert parts.tobytes() == whole.tobytes()


@pytest.fixture(scope="module")
def static(tmp_path_factory):
    return static_folder(tmp_path_factory.mktemp("static"))


def test_max_tokens_and_truncation(tmp_path):
    folder = static_folder(tmp_path / "m")
    short = embedder(folder).embed(array(["hello"])).rows
    assert embedder(folder, max_tokens=1).embed(array(["hello world"])).rows.tobytes() == short.tobytes()
    value = tokenizer_json(truncation={"direction": "Right", "max_length": 1, "strategy": "LongestFirst", "stride": 0})
    (folder / "tokenizer.json").write_text(json.dumps(value))
    assert embedder(folder, max_tokens=9).embed(array(["hello world"])).rows.tobytes() == short.tobytes()


def reference(folder, texts):
    """StaticEmbedding's rows; of Model2Vec's files, without the unknown token."""
    modules = pytest.importorskip("sentence_transformers.sentence_transformer.modules")
    import torch
    from tokenizers import Tokenizer

    tensors = read_tensors(folder / "model.safetensors")
    name = next(iter(tensors.keys() & {"embeddings", "embedding.weight"}))
    rows = tensors[name].astype(np.float32)
    if name == "embeddings":
        rows[1] = 0
    model = modules.StaticEmbedding(Tokenizer.from_file(str(folder / "tokenizer.json")), embedding_weights=rows)
    with torch.inference_mode():
        found = model(model.preprocess(texts))["sentence_embedding"].numpy()
    length = np.linalg.norm(found, axis=1, keepdims=True)
    return np.divide(found, length, out=np.zeros_like(found), where=length > 0)


@pytest.mark.parametrize("name", ["embeddings", "embedding.weight"])
def test_equals_sentence_transformers(tmp_path, name):
    folder, texts = static_folder(tmp_path / "m", name=name), [*TEXTS[:6], *TEXTS[7:], "hello Ψ the"]
    one = embedder(folder, max_unknown_ratio=0.5)
    np.testing.assert_allclose(one.embed(array(texts)).rows, reference(folder, texts), atol=1e-5)


def test_equals_sentence_transformers_on_real_text():
    folder = data_folder()
    model = folder.parent / "models" / "potion-base-4m-int8"
    if not model.is_dir():
        pytest.skip(f"{model} is not there")
    texts = []
    for name in ("multilingual/bible46", "multilingual/tldr", "quality/onestop_english"):
        with gzip.open(folder / f"{name}.jsonl.gz") as lines:
            texts += [json.loads(line)["text"] for number, line in enumerate(lines) if number % 173 == 0]
    found = embedder(model).embed(array(texts))
    known = found.notes & UNKNOWN == 0
    assert 0.5 < known.mean() < 1
    np.testing.assert_allclose(found.rows[known], reference(model, texts)[known], atol=1e-5)


def test_dimension_resources_and_identity(tmp_path):
    folder = static_folder(tmp_path / "m", dimension=12)
    one = embedder(folder)
    assert one.dimension == dimension_of(Static(model=str(folder))) == 12
    assert one.resources.device == "cpu"
    assert one.resources.memory_bytes > len(vocabulary()) * 12 * 4
    other = static_folder(tmp_path / "n", dimension=12)
    assert embedder(other).identity() == one.identity()  # where it stands does not matter, what is in it does
    digest = model_digest(Static(model=str(other)))
    static_folder(other, dimension=11)
    assert model_digest(Static(model=str(other))) != digest
    assert embedder(folder, max_tokens=5).identity() != one.identity()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"model": {"type": "Unigram"}}, "a Unigram model with normalizer BertNormalizer and pre-tokenizer"),
        ({"pre_tokenizer": {"type": "Metaspace"}}, "reads a WordPiece model with BertNormalizer and BertPreTokenizer"),
        ({"normalizer": None}, "Use `kind: sentence-transformers` with this folder"),
        ({"truncation": {"direction": "Left", "max_length": 5}}, "truncation from the left is not supported"),
        ({"model": {**tokenizer_json()["model"], "unk_token": "<unk>"}}, "'<unk>' is not in the vocabulary"),
        ({"model": {**tokenizer_json()["model"], "vocab": {"a": -1}}}, "token numbers below 0"),
        ({"model": {"type": "WordPiece"}}, "is not a sound tokenizer.json: KeyError: 'vocab'"),
        ({"added_tokens": [{**tokenizer_json()["added_tokens"][0], "lstrip": True}]}, "matched with single_word"),
    ],
)
def test_tokenizers_of_other_kinds_are_refused(tmp_path, changes, said):
    folder = static_folder(tmp_path / "m")
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer_json() | changes))
    with pytest.raises(RecipeError) as error:
        embedder(folder)
    assert said in str(error.value)


def test_folders_that_hold_no_such_model_are_refused(tmp_path):
    with pytest.raises(RecipeError, match="is no folder"):
        embedder(tmp_path / "nowhere")
    with pytest.raises(RecipeError, match=r"cannot read the tensors of .*model\.safetensors"):
        embedder(tmp_path)
    folder = static_folder(tmp_path / "m")
    write_tensors(folder / "model.safetensors", {"other": np.ones((3, 2), np.float32)})
    with pytest.raises(RecipeError, match=r"holds no table of embeddings: .* there are other \(3, 2\)"):
        embedder(folder)
    write_tensors(folder / "model.safetensors", {"embeddings": np.ones((3, 2), np.float32)})
    with pytest.raises(RecipeError, match="the table of embeddings has 3 rows"):
        embedder(folder)
    write_tensors(
        folder / "model.safetensors", {"embeddings": np.ones((3, 2), np.float32), "mapping": np.zeros(4, np.int64)}
    )
    with pytest.raises(RecipeError, match="there are 4 in `mapping`"):
        embedder(folder)
