from __future__ import annotations

import random

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.embed import array
from support.forms import some

from corpuscurate.core.errors import RecipeError
from corpuscurate.methods.embed.learned import SETTINGS, WEIGHTS, Learned, fit, load
from corpuscurate.methods.embed.make import dimension_of, make_embedder
from corpuscurate.methods.embed.spectrum import Sparse, right_vectors

TOPICS = {
    "sea": "ship sail harbour wave anchor captain storm deck rope coast tide island",
    "kitchen": "bread flour oven butter knife sugar salt recipe dough spoon plate soup",
    "law": "court judge trial lawyer verdict clause contract witness appeal statute",
    "music": "violin melody chord rhythm concert singer drum tempo harmony opera",
}


def corpus(documents: int, seed: int = 0) -> list[str]:
    rng = random.Random(seed)  # noqa: S311
    texts = []
    for number in range(documents):
        topic = list(TOPICS.values())[number % len(TOPICS)].split()
        texts.append(
            " ".join(
                rng.choice(topic) if rng.random() < 0.5 else rng.choice(["the", "of", "and", "to"]) for _ in range(150)
            )
        )
    return texts


PARAMETERS = Learned(dimension=64)


def fitted(folder, arrays, parameters=PARAMETERS, threads=1):
    folder.mkdir()
    fit(arrays, parameters, folder, threads=threads)
    return load(folder)


def example(folder):
    """For the contract tests."""
    fitted(folder / "model", [array(corpus(20))])
    return Learned(model=str(folder / "model"))


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return fitted(tmp_path_factory.mktemp("m") / "model", [array(corpus(200))])


def test_the_same_bytes_for_any_threads_and_any_cut_of_the_sample(tmp_path):
    texts = [*corpus(60), "", "ß 漢字 " * 40]
    fitted(tmp_path / "a", [array(texts)])
    whole = {path.name: path.read_bytes() for path in (tmp_path / "a").iterdir()}
    assert set(whole) == {SETTINGS, WEIGHTS}
    for name, arrays, threads in (
        ("b", [array(texts)], 2),
        ("c", [array(texts[:7]), array([]), array(texts[7:])], 5),
    ):
        fitted(tmp_path / name, arrays, threads=threads)
        assert {path.name: path.read_bytes() for path in (tmp_path / name).iterdir()} == whole


def test_seed_changes_the_rows(tmp_path):
    one = fitted(tmp_path / "a", [array(corpus(40))])
    other = fitted(tmp_path / "b", [array(corpus(40))], PARAMETERS.model_copy(update={"seed": 1}))
    assert other.identity() != one.identity()
    assert (one.embed(array(["ship"])).rows != other.embed(array(["ship"])).rows).any()


def test_words_of_a_topic_are_near_without_a_word_in_common(model):
    def mean(a: str, b: str) -> float:
        return float((model.embed(array([a])).rows @ model.embed(array([b])).rows.T)[0, 0])

    for name, words in TOPICS.items():
        half = words.split()
        own = mean(" ".join(half[::2]), " ".join(half[1::2]))
        for other, theirs in TOPICS.items():
            if other != name:
                assert own > mean(" ".join(half[::2]), theirs) + 0.3


def test_order_of_words_and_case_do_not_matter_but_words_do(model):
    found = model.embed(array(["Ship, sail; HARBOUR", "harbour ship sail", "harbour ship sail unheard"])).rows
    np.testing.assert_allclose(found[0], found[1], atol=1e-6)
    assert 0.1 < float(found[1] @ found[2]) < 0.99


def test_words_that_were_not_learned_count_by_themselves(model):
    a, b, c = model.embed(array(["xylograph quincunx", "quincunx xylograph", "zymurgy oology"])).rows
    assert float(a @ b) == pytest.approx(1, abs=1e-6)
    assert abs(float(a @ c)) < 0.5


def test_texts_without_words_have_the_zero_row(model):
    found = model.embed(array(["", " \n\t", "...!", "ship"])).rows
    assert not found[:3].any()
    assert np.linalg.norm(found[3]) == pytest.approx(1, abs=1e-6)


@settings(max_examples=some(40), deadline=None)
@given(
    texts=st.lists(st.text(max_size=30) | st.sampled_from(corpus(8)), max_size=8),
    cut=st.integers(0, 8),
)
def test_rows_do_not_depend_on_the_batch(model, texts, cut):
    texts = [text.encode("utf-8", "ignore").decode() for text in texts]
    whole = model.embed(array(texts)).rows
    assert whole.dtype == np.float32
    parts = np.vstack([model.embed(array(texts[:cut])).rows, model.embed(array(texts[cut:])).rows])
    assert parts.tobytes() == whole.tobytes()


@pytest.mark.parametrize("texts", [[], [""], ["one"], ["a a"], ["a b a b"], ["a a b b c c"] * 3])
def test_tiny_corpora(tmp_path, texts):
    found = fitted(tmp_path / "m", [array(texts)]).embed(array(["a", "", "unseen"])).rows
    assert np.linalg.norm(found, axis=1).tolist() == pytest.approx([1, 0, 1], abs=1e-5)


def test_vocabulary_is_the_most_frequent(tmp_path):
    texts = ["often " * 9 + "twice twice seldom rare", "sometimes " * 3]
    assert fit([array(texts)], PARAMETERS.model_copy(update={"vocabulary": 2}), tmp_path)["vocabulary"] == 2
    assert fit([array(texts)], PARAMETERS, tmp_path) == {"words": 16, "passages": 2, "vocabulary": 3}


def test_made_from_a_folder_as_from_a_recipe(tmp_path):
    one = fitted(tmp_path / "m", [array(corpus(20))])
    parameters = Learned(model=str(tmp_path / "m"))
    made = make_embedder(parameters)
    assert made.identity() == one.identity()
    assert dimension_of(parameters) == made.dimension == 64
    assert made.resources.device == "cpu"
    assert made.resources.memory_bytes > 0
    with pytest.raises(ValueError, match="not fitted yet"):
        make_embedder(Learned())


def test_damaged_models_are_refused(tmp_path):
    with pytest.raises(RecipeError, match=r"holds no learned model: learned\.json cannot be read"):
        load(tmp_path)
    fitted(tmp_path / "m", [array(corpus(20))])
    settings_text = (tmp_path / "m" / SETTINGS).read_text()
    (tmp_path / "m" / SETTINGS).write_text(settings_text.replace('"form": 3', '"form": 9'))
    with pytest.raises(RecipeError, match="has form 9; this version reads form 3: fit it again"):
        load(tmp_path / "m")
    (tmp_path / "m" / SETTINGS).write_text(settings_text.replace('"dimension": 64', '"dimension": 128'))
    with pytest.raises(RecipeError, match=r"is damaged: model\.safetensors does not fit learned\.json"):
        load(tmp_path / "m")
    (tmp_path / "m" / SETTINGS).write_text(settings_text)
    (tmp_path / "m" / WEIGHTS).write_bytes((tmp_path / "m" / WEIGHTS).read_bytes()[:-3])
    with pytest.raises(RecipeError, match="not a sound safetensors file"):
        load(tmp_path / "m")


def sparse(dense: np.ndarray) -> Sparse:
    rows, columns = np.nonzero(dense)
    starts = np.searchsorted(rows, np.arange(len(dense) + 1))
    return Sparse(starts, columns.astype(np.int32), dense[rows, columns].astype(np.float32), dense.shape[1])


@pytest.mark.parametrize("rank", [3, 40])
def test_right_vectors_equal_numpy(rank):
    rng = np.random.default_rng(rank)
    dense = rng.standard_normal((90, rank)) * 0.5 ** np.arange(rank) @ rng.standard_normal((rank, 70))
    found = right_vectors(sparse(dense), np.arange(70, dtype=np.uint64), 64, 3, 0, 2)
    exact = np.linalg.svd(dense)[2][:3]
    lengths = np.linalg.norm(found, axis=0)
    assert lengths[:3].tolist() == pytest.approx(np.sqrt(np.linalg.svd(dense)[1][:3]).tolist(), rel=1e-3)
    np.testing.assert_allclose(np.abs(np.sum((found[:, :3] / lengths[:3]).T * exact, axis=1)), 1, atol=1e-4)
    assert rank > 3 or not lengths[3:].any()


def test_no_text_at_all(tmp_path):
    assert fit([], PARAMETERS, tmp_path) == {"words": 0, "passages": 0, "vocabulary": 0}
    assert load(tmp_path).embed(pa.array([], pa.large_string())).rows.shape == (0, 64)
