"""What computes a transformer on a CPU: every backend and precision."""

from __future__ import annotations

import importlib.util
import pickle
import subprocess
import sys

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from support.embed import array, bert_folder, sentence_folder, vocabulary
from support.forms import some

from corpuscurate.core.errors import MissingExtraError, RecipeError
from corpuscurate.core.machine import processor_kind
from corpuscurate.core.spec import Settings, Sink, Source
from corpuscurate.core.stage import code_value
from corpuscurate.kernels.compile import cache_folder
from corpuscurate.methods.embed import onnx_export, precision
from corpuscurate.methods.embed.base import NOT_FINITE, folder_digest
from corpuscurate.methods.embed.make import make_embedder
from corpuscurate.methods.embed.onnx_export import Exportable, onnx_file
from corpuscurate.methods.embed.sentence import SentenceTransformers
from corpuscurate.methods.embed.sequence import SequenceClassification, SequenceScorer, shares
from corpuscurate.methods.embed.windows import Shapes, cut_batches
from corpuscurate.pipeline import Pipeline
from corpuscurate.stages.embed import Embed
from corpuscurate.stages.embedding_quality import EmbeddingQuality
from corpuscurate.stages.semantic import Semantic

LACKING = [
    name for name in ("sentence_transformers", *precision.ONNX_PACKAGES) if importlib.util.find_spec(name) is None
]
needs_onnx = pytest.mark.skipif(bool(LACKING), reason=f"not installed: {', '.join(LACKING)}")
needs_torch = pytest.mark.skipif("sentence_transformers" in LACKING, reason="sentence-transformers is not installed")
TEXTS = ["hello world", "", " \n", "the 漢字! " * 9, "a b c " * 200, "unable", "hello world again 12", "x"]
KINDS = {
    "torch bfloat16": ({"precision": "bfloat16"}, 0.99),
    "onnx float32": ({"backend": "onnx"}, 0.999999),
    "onnx float32 free": ({"backend": "onnx", "precision": "float32", "batches": "free"}, 0.999999),
    "onnx int8": ({"backend": "onnx", "precision": "int8"}, 0.98),
}
EACH = [
    pytest.param(more, least, id=name, marks=needs_onnx if "backend" in more else needs_torch)
    for name, (more, least) in KINDS.items()
]
EQUAL = [each for each in EACH if each.id != "onnx float32 free"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A tiny model."""
    return sentence_folder(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module")
def classes(tmp_path_factory):
    """A tiny classifier of three labels."""
    names = {0: "bad", 1: "fair", 2: "good"}
    return bert_folder(tmp_path_factory.mktemp("m") / "c", "BertForSequenceClassification", id2label=names)


def embedder(folder, **more):
    return make_embedder(SentenceTransformers(model=str(folder), max_unknown_ratio=1.0, **more))


def scorer(folder, target="good", **more):
    return SequenceScorer(SequenceClassification(model=str(folder), **more), target)


@pytest.mark.parametrize(("more", "least"), EACH)
@pytest.mark.parametrize("window", ["head", "mean"])
def test_rows_are_those_of_float32_in_torch_within_a_bound(folder, more, least, window):
    expected = embedder(folder, window=window).embed(array(TEXTS))
    found = embedder(folder, window=window, **more).embed(array(TEXTS))
    assert found.notes.tolist() == expected.notes.tolist()
    filled = expected.rows.any(axis=1)
    assert (found.rows.any(axis=1) == filled).all()
    assert (found.rows[filled].astype(float) * expected.rows[filled]).sum(axis=1).min() > least


@pytest.mark.parametrize(("more", "least"), EQUAL)
@settings(max_examples=some(15), deadline=None)
@given(texts=st.lists(st.sampled_from(TEXTS) | st.text("ab c漢", max_size=60), max_size=12), cut=st.integers(0, 12))
def test_rows_do_not_depend_on_the_batch_to_the_byte(folder, more, least, texts, cut):
    one = embedder(folder, window="mean", **more)
    whole = one.embed(array(texts)).rows
    parts = [one.embed(array(texts[:cut])).rows, one.embed(array(texts[cut:])).rows]
    assert np.vstack(parts).tobytes() == whole.tobytes()
    assert one.embed(array(texts[::-1])).rows[::-1].tobytes() == whole.tobytes()


@needs_onnx
def test_with_int8_a_row_depends_on_what_is_computed_at_once(folder):
    """Why each window is alone there: the scale of activations is that of the whole batch."""
    model = embedder(folder, backend="onnx", precision="int8")._model
    ids = (np.arange(60, dtype=np.int32) % 40 + 5).reshape(5, 12)
    together = model.rows(ids, np.full(5, 12, np.int32))
    alone = [model.rows(ids[i : i + 1], np.full(1, 12, np.int32))[0] for i in range(5)]
    assert any(one.tobytes() != each.tobytes() for one, each in zip(together, alone, strict=True))


@pytest.mark.parametrize("card", [False, True])
def test_windows_alone_have_their_own_length(card):
    sizes = np.array([3, 0, 22, 3])
    batches = cut_batches(sizes, Shapes(24, 2, 4, card=card, alone=True))
    assert [(batch.members.tolist(), batch.rows, batch.length) for batch in batches] == [
        ([0], 1, 5),
        ([1], 1, 2),
        ([2], 1, 24),
        ([3], 1, 5),
    ]


def test_batches_of_all_lengths_have_about_the_same_number_of_tokens():
    shapes = Shapes(100, 2, 2)
    assert shapes.lengths == [*range(4, 64, 4), 64, 72, 80, 88, 96, 100]
    assert [shapes.rows(length) for length in (8, 48, 64, 100)] == [24, 4, 1, 1]
    assert [Shapes(100, 2, 2, **more).rows(64) for more in ({"card": True}, {"fixed": False})] == [3, 3]
    assert Shapes(9, 2, 1).lengths == [4, 8, 9]
    assert Shapes(50, 2, 1, card=True).lengths == [16, 32, 48, 50]


@pytest.mark.parametrize(("more", "least"), [each for each in EACH if "torch" not in each.id])
def test_scores_of_a_classifier(classes, more, least):
    expected, found = (scorer(classes, window="mean", **each).score(array(TEXTS)) for each in ({}, more))
    assert np.isnan(found).tolist() == np.isnan(expected).tolist()
    bound = 0.05 if more.get("precision") == "int8" else 1e-5
    assert np.nanmax(np.abs(found - expected)) < bound
    again = scorer(classes, window="mean", **more)
    if "batches" not in more:
        assert np.concatenate([again.score(array([text])) for text in TEXTS]).tobytes() == found.tobytes()


@needs_onnx
def test_one_file_serves_every_label_and_a_regression(classes, tmp_path):
    good, bad = (scorer(classes, target, backend="onnx").score(array(["hello"]))[0] for target in ("good", "bad"))
    assert 0 < good != bad and good + bad < 1
    one = bert_folder(tmp_path / "r", "BertForSequenceClassification", num_labels=1, problem_type="regression")
    expected = scorer(one, None).score(array(["hello world"]))
    np.testing.assert_allclose(scorer(one, None, backend="onnx").score(array(["hello world"])), expected, atol=1e-5)


@needs_torch
@pytest.mark.parametrize("sigmoid", [False, True])
def test_shares_are_those_of_torch(sigmoid):
    import torch

    logits = np.array([[1, 2, 3], [-400, 400, 0], [0, 0, 0], [np.nan, 0, 0], [np.inf, 0, 0]], np.float32)
    wide = torch.from_numpy(logits)
    expected = (wide.sigmoid() if sigmoid else wide.softmax(dim=1)).numpy()
    for label in range(3):
        found = shares(logits, label, sigmoid)
        assert (found.dtype, found.shape) == (np.float32, (5, 1))
        np.testing.assert_allclose(found[:, 0], expected[:, label], rtol=1e-6, atol=1e-30)
    assert shares(logits, None, sigmoid).tobytes() == logits[:, :1].tobytes()


@needs_onnx
def test_rows_that_are_not_finite_are_noted(folder, monkeypatch):
    one = embedder(folder, backend="onnx")
    whole = one._model.rows

    def broken(ids, sizes):
        rows = whole(ids, sizes).copy()
        rows[(ids == vocabulary()["world"]).any(axis=1)] = np.nan
        return rows

    monkeypatch.setattr(one._model, "rows", broken)
    assert one.embed(array(["hello", "world", "x"])).notes.tolist() == [0, NOT_FINITE, 0]


# --- the file


@needs_onnx
@pytest.mark.full("test_a_damaged_file_is_made_again exports twice in one process")
def test_the_same_model_gives_the_same_file_in_every_process_and_nothing_beside_the_model(folder, tmp_path):
    before = folder_digest(folder), sorted(folder.rglob("*"))
    found = []
    for name in ("a", "b"):
        home = tmp_path / name
        home.mkdir()
        script = (
            "from pathlib import Path\n"
            "from corpuscurate.methods.embed import onnx_export\n"
            "from corpuscurate.methods.embed.sentence import SentenceTransformers as S\n"
            f"onnx_export._home = lambda: Path({str(home)!r})\n"
            f"S(model={str(folder)!r}, backend='onnx', precision='int8').load()\n"
        )
        subprocess.run([sys.executable, "-c", script], check=True)
        found.append([(path.relative_to(home), path.read_bytes()) for path in sorted(home.rglob("*.onnx*"))])
    assert found[0] == found[1]
    assert len(found[0]) == 3  # float32 and its weights; int8
    assert b"site-packages" not in b"".join(content for _, content in found[0])
    assert before == (folder_digest(folder), sorted(folder.rglob("*")))


@needs_onnx
def test_workers_of_a_known_model_load_no_torch(folder):
    parameters = SentenceTransformers(model=str(folder), backend="onnx")
    parameters.load()  # in the cache now
    script = (
        "import sys, pyarrow as pa\n"
        "from corpuscurate.methods.embed.make import make_embedder\n"
        "from corpuscurate.methods.embed.sentence import SentenceTransformers as S\n"
        f"one = make_embedder(S(model={str(folder)!r}, backend='onnx'))\n"
        "print(one.embed(pa.array(['hello world'], pa.large_string())).rows.tobytes().hex())\n"
        "print(sorted({'torch', 'transformers', 'sentence_transformers', 'onnx'} & set(sys.modules)))\n"
    )
    done = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True)
    rows, loaded = done.stdout.split("\n")[:2]
    assert loaded == "[]"
    assert rows == make_embedder(parameters).embed(array(["hello world"])).rows.tobytes().hex()


@needs_onnx
def test_a_damaged_file_is_made_again(folder, tmp_path, monkeypatch):
    """To the same bytes; nothing is written beside the model, and nothing tells where the graph was traced."""
    monkeypatch.setattr(onnx_export, "_home", lambda: tmp_path)
    before = folder_digest(folder), sorted(folder.rglob("*"))
    model = embedder(folder)._model
    made = []

    def load():
        made.append(1)
        return Exportable(model.loaded, model.run, model.facts, model.shapes.longest)

    def file(precision):
        return onnx_file("m", "digest", precision, load)

    def content():
        return {path: path.read_bytes() for path in tmp_path.rglob("*.onnx*")}

    small = file("int8")
    whole = file("float32")
    kept = content()
    assert file("int8") == small and len(made) == 1
    assert kept.keys() == {small, whole, whole.with_name(f"{whole.name}.data")}
    assert b"site-packages" not in b"".join(kept.values())
    small.write_bytes(kept[small][:-1])
    assert file("int8") == small and (content(), len(made)) == (kept, 1)  # from that of float32
    whole.write_bytes(kept[whole][:-1])
    assert file("float32") == whole and (content(), len(made)) == (kept, 2)
    assert sorted(each.suffix for each in tmp_path.iterdir()) == ["", "", ".lock", ".lock"]
    assert before == (folder_digest(folder), sorted(folder.rglob("*")))


@needs_onnx
def test_a_file_that_gives_other_rows_than_torch_is_refused(folder, tmp_path, monkeypatch):
    import torch

    monkeypatch.setattr(onnx_export, "_home", lambda: tmp_path)
    model = embedder(folder)._model
    traced = Exportable(
        model.loaded,
        lambda features: model.run(features) * (1.0 if torch.compiler.is_compiling() else 1.01),
        model.facts,
        model.shapes.longest,
    )
    with pytest.raises(
        RecipeError, match=r"the model m, exported to ONNX, gives other rows than torch .* `backend: torch`"
    ):
        onnx_file("m", "digest", "float32", lambda: traced)
    broken = traced._replace(run=lambda features: model.run(features) if features["input_ids"].sum() > 3 else None)
    with pytest.raises(RecipeError, match=r"the model m cannot be exported to ONNX: .* Use `backend: torch`"):
        onnx_file("m", "digest", "float32", lambda: broken)
    assert [path for path in tmp_path.iterdir() if path.is_dir()] == []


def test_without_a_folder_for_a_cache_the_file_is_of_this_process(monkeypatch):
    monkeypatch.setattr(onnx_export, "cache_folder", lambda: "")
    onnx_export._home.cache_clear()
    try:
        assert onnx_export._home().is_dir()
        assert onnx_export._home().name.startswith("corpuscurate-onnx-")
    finally:
        onnx_export._home.cache_clear()
    assert str(onnx_export._home()).startswith(str(cache_folder())[:1])


# --- recipes and fingerprints


@pytest.mark.parametrize("kind", [SentenceTransformers, SequenceClassification])
@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"precision": "float16"}, "precision: float16 needs device: cuda"),
        ({"precision": "int8"}, "precision: int8 needs backend: onnx"),
        ({"precision": "int8", "device": "cuda"}, "precision: int8 needs backend: onnx"),
        ({"backend": "onnx", "precision": "bfloat16"}, "precision: bfloat16 needs backend: torch"),
        ({"backend": "onnx", "device": "cuda"}, "backend: onnx computes on a CPU"),
        ({"backend": "onnx", "precision": "int8", "batches": "free"}, "leave out batches: free"),
        ({"backend": "openvino"}, "Input should be 'torch' or 'onnx'"),
    ],
)
def test_what_does_not_go_together_is_refused(kind, more, said):
    with pytest.raises(ValidationError) as error:
        kind(model="m", **more)
    assert said in str(error.value)


@needs_torch
@pytest.mark.parametrize("package", precision.ONNX_PACKAGES)
def test_without_a_package_the_extra_is_named(folder, classes, monkeypatch, package):
    monkeypatch.setattr(precision, "find_spec", lambda name: None if name == package else object())
    said = rf"backend: onnx of .* needs the package '{package}'.*(?s:.)*corpuscurate\[onnx\]"
    with pytest.raises(MissingExtraError, match=said):
        Embed(embedder=SentenceTransformers(model=str(folder), backend="onnx")).identity()
    with pytest.raises(MissingExtraError, match=said):
        EmbeddingQuality(embedder=SequenceClassification(model=str(classes), backend="onnx"), target="good").identity()
    SentenceTransformers(model=str(folder)).model_folder()


@needs_torch
@pytest.mark.parametrize("kind", [SentenceTransformers, SequenceClassification])
def test_a_fingerprint_covers_backend_precision_versions_and_the_kind_of_processor(folder, classes, monkeypatch, kind):
    def value(**more):
        if kind is SentenceTransformers:
            stage = Embed(embedder=kind(model=str(folder), **more))
        else:
            stage = EmbeddingQuality(embedder=kind(model=str(classes), **more), target="good")
        return stage.identity(), code_value(stage)

    monkeypatch.setattr(precision, "find_spec", lambda name: object())
    plain, onnx = value(), value(backend="onnx")
    assert plain[0] != onnx[0] != value(backend="onnx", precision="int8")[0]
    assert processor_kind() in plain[1] and processor_kind() in onnx[1]
    assert "onnxruntime" not in plain[1][0] and {"onnxruntime", "torch", "onnx"} <= onnx[1][0].keys()
    monkeypatch.setattr(precision, "processor_kind", lambda: "x86_64 other")
    assert value()[1] != plain[1] and value(backend="onnx")[1] != onnx[1]


def test_parameters_travel_to_workers():
    one = SentenceTransformers(model="m", backend="onnx", precision="int8")
    assert pickle.loads(pickle.dumps(one)) == one  # noqa: S301
    assert (one.batch_size, SentenceTransformers(model="m", device="cuda").batch_size) == (2, 512)


@pytest.mark.parametrize(
    "embedders",
    [
        pytest.param([each.values[0] for each in EQUAL], id="all in one run", marks=needs_onnx),
        *(pytest.param([each.values[0]], id=each.id, marks=each.marks) for each in EQUAL),
    ],
)
@pytest.mark.campaign(1 + len(EQUAL))
def test_two_workers_give_the_bytes_of_one(folder, tmp_path, embedders):
    import pyarrow as pa

    texts = [f"{text} {word}" for text in TEXTS for word in ("hello", "world", "unable to be", "12 3")] * 3
    for i in range(2):
        pq.write_table(pa.table({"text": texts[i::2]}), tmp_path / f"{i}.parquet")
    stages = [
        Embed(embedder=SentenceTransformers(model=str(folder), max_unknown_ratio=1.0, **more), name=f"e{number}")
        for number, more in enumerate(embedders)
    ]
    stages += [
        Semantic(embedding=f"e{number}.embedding", threshold=0.999, name=f"s{number}")
        for number in range(len(embedders))
    ]
    found = []
    for workers, size in ((1, 1 << 20), (2, 1000)):
        output = tmp_path / f"out-{workers}"
        source, sink = Source(paths=(str(tmp_path / "*.parquet"),)), Sink(path=str(output))
        report = Pipeline(source, stages, sink, Settings(workers=workers, batch_bytes=size)).run()
        assert report["documents"]["input"] == len(texts)
        found.append([path.read_bytes() for path in sorted((output / "data").iterdir())])
    assert found[0] == found[1]


@needs_torch
def test_a_run_begun_on_another_kind_of_processor_is_refused(folder, tmp_path, monkeypatch):
    import pyarrow as pa

    from corpuscurate.core.errors import OutputError

    pq.write_table(pa.table({"text": ["hello world"]}), tmp_path / "in.parquet")
    stage = Embed(embedder=SentenceTransformers(model=str(folder)))

    def run():
        source, sink = Source(paths=(str(tmp_path / "in.parquet"),)), Sink(path=str(tmp_path / "out"))
        return Pipeline(source, [stage], sink, Settings(runner="inprocess")).run()

    run()
    monkeypatch.setattr(precision, "processor_kind", lambda: "x86_64 other")
    with pytest.raises(OutputError, match=r"on another kind of processor .* Name another folder, or give --overwrite"):
        run()
