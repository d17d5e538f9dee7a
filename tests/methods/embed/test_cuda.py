"""On a card of CUDA; skipped where there is none."""

from __future__ import annotations

import importlib.util
import random

import numpy as np
import pyarrow.parquet as pq
import pytest
from support.embed import array, bert_folder, sentence_folder

from corpuscurate.core.errors import OutOfMemoryError
from corpuscurate.core.spec import Settings, Sink, Source
from corpuscurate.methods.embed.make import make_embedder
from corpuscurate.methods.embed.sentence import SentenceTransformers
from corpuscurate.methods.embed.sequence import SequenceClassification, SequenceScorer
from corpuscurate.pipeline import Pipeline
from corpuscurate.stages.embed import Embed
from corpuscurate.stages.semantic import Semantic


@pytest.fixture(scope="module", autouse=True)
def _card():
    """Skip, in the process that runs these tests, where there is no card: only torch knows."""
    if importlib.util.find_spec("torch") is None or importlib.util.find_spec("sentence_transformers") is None:
        pytest.skip("torch and sentence-transformers are not installed")
    import torch

    if not torch.cuda.is_available():
        pytest.skip("no card of CUDA")


WORDS = ("hello", "world", "the", "unable", "a", "b", "xyz", "漢字", "12")
RNG = random.Random(4)  # noqa: S311
TEXTS = [" ".join(RNG.choices(WORDS, k=RNG.randrange(0, 40))) for _ in range(300)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A tiny model."""
    return sentence_folder(tmp_path_factory.mktemp("model"))


def on_card(folder, **more):
    return SentenceTransformers(model=str(folder), device="cuda", **more)


@pytest.mark.parametrize(("precision", "least"), [("float32", 0.99999), ("float16", 0.999), ("bfloat16", 0.99)])
@pytest.mark.parametrize("window", ["head", "mean"])
def test_rows_are_close_to_those_of_the_cpu(folder, precision, least, window):
    expected = make_embedder(SentenceTransformers(model=str(folder), window=window)).embed(array(TEXTS))
    for batches in ("fixed", "free"):
        made = on_card(folder, precision=precision, window=window, batches=batches, batch_size=16)
        found = make_embedder(made).embed(array(TEXTS))
        assert found.notes.tolist() == expected.notes.tolist()
        there = expected.rows.any(axis=1)
        assert (found.rows.any(axis=1) == there).all()
        cosines = (found.rows[there].astype(float) * expected.rows[there]).sum(axis=1)
        assert cosines.min() > least


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_rows_do_not_depend_on_the_batch_to_the_byte(folder, precision):
    one = make_embedder(on_card(folder, precision=precision, window="mean", batch_size=8))
    whole = one.embed(array(TEXTS)).rows
    for cut in (1, 7, 150):
        parts = [one.embed(array(TEXTS[:cut])).rows, one.embed(array(TEXTS[cut:])).rows]
        assert np.concatenate(parts).tobytes() == whole.tobytes()
    assert one.embed(array(TEXTS[::-1])).rows[::-1].tobytes() == whole.tobytes()


def test_scores_are_close_to_those_of_the_cpu(tmp_path):
    model = str(bert_folder(tmp_path / "m", "BertForSequenceClassification", num_labels=1, problem_type="regression"))
    expected = SequenceScorer(SequenceClassification(model=model), None).score(array(TEXTS))
    found = SequenceScorer(SequenceClassification(model=model, device="cuda"), None).score(array(TEXTS))
    np.testing.assert_allclose(found, expected, atol=1e-3)


@pytest.fixture(scope="module")
def shards(tmp_path_factory):
    import pyarrow as pa

    place = tmp_path_factory.mktemp("shards")
    for i in range(3):
        pq.write_table(pa.table({"text": TEXTS[i * 100 : (i + 1) * 100]}), place / f"{i}.parquet")
    return place


def outcome(shards, output, stages, workers, **settings):
    settings = Settings(workers=workers, **settings)
    report = Pipeline(
        Source(paths=(str(shards / "*.parquet"),), split_bytes=5_000), stages, Sink(path=str(output)), settings=settings
    ).run()
    return report, [path.read_bytes() for path in sorted((output / "data").iterdir())]


def test_a_run_tells_the_card_and_its_bytes_do_not_depend_on_the_workers(folder, shards, tmp_path):
    import torch

    stages = [Embed(embedder=on_card(folder, precision="bfloat16", batch_size=16))]
    report, expected = outcome(shards, tmp_path / "1", stages, 1)
    stats = report["stages"][0]["stats"]
    assert stats["device"].startswith(torch.cuda.get_device_name(0))
    assert "compute capability" in stats["device"] and str(torch.version.cuda) in stats["device"]
    assert stats["rows"] == "independent of the batch"
    for workers, size in ((2, 1000), (3, 100_000)):
        assert outcome(shards, tmp_path / str(workers), stages, workers, batch_bytes=size)[1] == expected
    free = [Embed(embedder=on_card(folder, batches="free"))]
    assert outcome(shards, tmp_path / "f", free, 2)[0]["stages"][0]["stats"]["rows"] != stats["rows"]


def test_semantic_duplicates_with_two_workers(folder, shards, tmp_path):
    report, found = outcome(shards, tmp_path / "s", [Semantic(embedder=on_card(folder))], 2)
    assert report["stages"][0]["stats"]["card"]["device"] != "cpu"
    assert found == outcome(shards, tmp_path / "t", [Semantic(embedder=on_card(folder))], 1)[1]


def test_too_little_memory_is_told_with_what_to_do(folder, monkeypatch):
    import torch

    one = make_embedder(on_card(folder, batch_size=64))

    def full(*_):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 9 GiB.")

    monkeypatch.setattr(one._model, "run", full)
    with pytest.raises(OutOfMemoryError, match=r"out of memory on the card: .* with batch_size 64 .* smaller"):
        one.embed(array(TEXTS))
