from __future__ import annotations

import pickle
import tempfile
from pathlib import Path

import numpy as np
import orjson
import pyarrow as pa
import pytest
from pydantic import ValidationError
from support.embed import static_folder

from corpuscurate.core.batch import Batch
from corpuscurate.core.columns import TEXT
from corpuscurate.core.errors import CorpusCurateError, RecipeError
from corpuscurate.methods.embed.make import make_embedder
from corpuscurate.methods.embed.static import Static
from corpuscurate.methods.quality.heads import Head, Settings, origin_of, write_head
from corpuscurate.pipeline import curate
from corpuscurate.recipe.load import load_recipe
from corpuscurate.stages.embedding_quality import EmbeddingQuality

HOME = tempfile.TemporaryDirectory()  # of the whole run: the contract tests build the examples too
PLACE = Path(HOME.name)
STATIC = static_folder(PLACE / "static")
EMBEDDER = Static(model=str(STATIC))
WEIGHTS = np.random.default_rng(0).normal(size=(3, 8))


def head_folder(name, kind="ridge", embedder=EMBEDDER):
    labels = ["0", "3", "5"] if kind == "ridge" else ["bad", "fair", "good"]
    grades = {"grades": [0.0, 3.0, 5.0], "spread": 0.5} if kind == "ridge" else {}
    settings = Settings(
        form=1, kind=kind, dimension=8, labels=labels,
        embedder=embedder.model_dump(mode="json"), origin=origin_of(embedder), **grades,
    )  # fmt: skip
    outputs = 1 if kind == "ridge" else 3
    folder = PLACE / name
    folder.mkdir(exist_ok=True)
    write_head(Head(settings, WEIGHTS[:outputs], np.arange(outputs) + 1.5), folder)
    return str(folder)


RIDGE = head_folder("ridge")
LOGISTIC = head_folder("logistic", "logistic")
EXAMPLES = [
    {"head": RIDGE, "min_score": 1.5},
    {"head": LOGISTIC, "embedder": {"kind": "static", "model": str(STATIC)}, "target": "good", "max_score": 0.3},
]
TEXTS = ["hello world", "", "the 漢字 hello", "hello", "unable", "a b c d e"]


def batch_of(texts):
    return Batch(np.arange(len(texts), dtype=np.uint64), pa.array(texts, TEXT), np.zeros(len(texts), np.int64))


def vectors_of(texts):
    return make_embedder(EMBEDDER).embed(pa.array(texts, TEXT)).rows.astype(np.float64)


def test_scores_of_a_regression_are_in_the_unit_of_its_grades():
    outcome = EmbeddingQuality(head=RIDGE, min_score=1.5).apply(batch_of(TEXTS))
    found = outcome.columns["score"].to_pylist()
    expected = vectors_of(TEXTS) @ WEIGHTS[0] + 1.5
    assert found[1] is None
    for i in (0, 2, 3, 4, 5):
        assert found[i] == pytest.approx(expected[i], abs=1e-9)
    names = ["", *EmbeddingQuality(head=RIDGE, min_score=1.5).rules()]
    wanted = ["no_score" if i == 1 else "min_score" if expected[i] < 1.5 else "" for i in range(6)]
    assert [names[reason] for reason in outcome.reason] == wanted
    assert {"", "min_score", "no_score"} == set(wanted)
    below = [i for i, name in enumerate(wanted) if name == "min_score"]
    assert [outcome.value[i] for i in below] == [found[i] for i in below]


def test_scores_of_classes_are_probabilities():
    logits = vectors_of(TEXTS) @ WEIGHTS.T + np.array([1.5, 2.5, 3.5])
    shares = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    for index, target in ((0, "bad"), (1, "fair"), (2, "good")):
        found = EmbeddingQuality(head=LOGISTIC, target=target).apply(batch_of(TEXTS)).columns["score"].to_pylist()
        assert found[1] is None
        assert [found[i] for i in (0, 2, 3, 4, 5)] == pytest.approx(shares[[0, 2, 3, 4, 5], index], abs=1e-9)


def test_without_min_score_a_document_without_score_passes():
    outcome = EmbeddingQuality(head=RIDGE, max_score=-100).apply(batch_of(["", "hello"]))
    assert outcome.reason.tolist() == [0, 1]


EMBED = {"embed": {"embedder": {"kind": "static", "model": str(STATIC)}}}
SHARED = {"kind": "column", "column": "embed.embedding"}


def test_one_embedding_for_several_stages():
    """`embed` computes; `embedding_quality` and `semantic` read its column. Scores are those of the stage alone."""
    texts = [*TEXTS[2:], "hello world", "hello  world", "world the a"]
    semantic = {"semantic": {"embedder": SHARED, "threshold": 0.999, "keep": "first", "clusters": 1}}
    quality = {"embedding_quality": {"head": RIDGE, "embedder": SHARED}}
    found = curate(pa.table({"text": texts}), [EMBED, quality, semantic])
    assert found.dropped["stage"].to_pylist() == ["semantic"]
    alone = curate(pa.table({"text": texts}), [EmbeddingQuality(head=RIDGE)])
    scores = dict(zip(texts, alone.kept["embedding_quality.score"].to_pylist(), strict=True))
    kept = found.kept.select(["text", "embedding_quality.score"]).to_pylist()
    assert len(kept) == len(texts) - 1
    assert all(row["embedding_quality.score"] == scores[row["text"]] for row in kept)


def test_embeddings_are_computed_once(monkeypatch):
    import corpuscurate.stages.embed as stage

    calls = []
    whole = stage.make_embedder

    class Counting:
        def __init__(self, embedder):
            self.embedder = embedder

        def embed(self, texts):
            calls.append(len(texts))
            return self.embedder.embed(texts)

    def refuse(parameters):
        raise AssertionError("embedded again")

    monkeypatch.setattr(stage, "make_embedder", lambda parameters: Counting(whole(parameters)))
    monkeypatch.setattr("corpuscurate.stages.embedding_quality.make_embedder", refuse)
    monkeypatch.setattr("corpuscurate.methods.embed.corpus.make_embedder", refuse)
    from corpuscurate.pipeline import Pipeline
    from corpuscurate.recipe.load import spec_from_mapping

    with tempfile.TemporaryDirectory() as name:
        lines = [orjson.dumps({"text": text}) + b"\n" for text in TEXTS]
        (Path(name) / "in.jsonl").write_bytes(b"".join(lines))
        stages = [
            EMBED,
            {"embedding_quality": {"head": RIDGE, "embedder": SHARED, "min_score": 1.5}},
            {"semantic": {"embedder": SHARED, "threshold": 0.99, "clusters": 1}},
        ]
        mapping = {"input": {"paths": ["in.jsonl"]}, "stages": stages, "output": {"path": "out"}}
        spec = spec_from_mapping({**mapping, "run": {"workers": 1, "runner": "inprocess"}})
        Pipeline(spec.source, spec.stages, spec.sink, spec.settings, Path(name)).run()
    assert sum(calls) == len(TEXTS)


GOOD, BAD = "theorem proof atom energy planet history", "click buy cheap win sale prize"
LEARNED = """
input: {paths: [in.jsonl], id: id}
stages:
  - embed: {embedder: {kind: learned, model: quality/embedder}}
  - embedding_quality: {head: quality, target: good, min_score: 0.5, embedding: embed.embedding}
  - semantic: {threshold: THRESHOLD, keep: first, clusters: 1, embedding: embed.embedding}
output: {path: out, format: arrow}
run: {workers: 1, runner: inprocess}
"""


def test_an_embedder_that_was_learned_with_a_head_serves_semantic_too(tmp_path, monkeypatch):
    """Train a head on learned embeddings; one recipe scores and removes duplicates by them, embedded once; another
    threshold embeds nothing again."""
    from corpuscurate.methods.embed.learned import LearnedEmbedder
    from corpuscurate.pipeline import Pipeline
    from corpuscurate.tools.train.job import train_quality
    from corpuscurate.tools.train.recipe import load_train_recipe

    draw = np.random.default_rng(0)
    rows = [
        {"id": str(i), "label": label, "text": " ".join(draw.choice(words.split(), 40))}
        for i, (label, words) in enumerate([("good", GOOD), ("bad", BAD)] * 60)
    ]
    (tmp_path / "in.jsonl").write_bytes(b"".join(orjson.dumps(row) + b"\n" for row in rows))
    (tmp_path / "train.yaml").write_text(
        "input: [{paths: [in.jsonl], label_columns: label}]\npositive: good\ntrainer: logistic\noutput: quality\n"
        "labels: {find_issues: false}\nparameters: {embedder: {kind: learned, dimension: 64}, strength: 1.0}\n"
    )
    train_quality(*load_train_recipe(tmp_path / "train.yaml"))
    asked = []
    whole = LearnedEmbedder.embed
    monkeypatch.setattr(LearnedEmbedder, "embed", lambda self, texts: asked.append(len(texts)) or whole(self, texts))
    reports = []
    for threshold in ("0.99", "0.9"):
        (tmp_path / "recipe.yaml").write_text(LEARNED.replace("THRESHOLD", threshold))
        reports.append(Pipeline.from_recipe(tmp_path / "recipe.yaml").run(overwrite=True))
        assert sum(asked) == len(rows), threshold
    kept = [report["documents"]["kept"] for report in reports]
    assert 60 >= kept[0] > kept[1] >= 1  # 60 are good; the lower threshold removes more of them
    monkeypatch.undo()
    scores = curate(
        pa.Table.from_pylist(rows), [{"embedding_quality": {"head": str(tmp_path / "quality"), "target": "good"}}]
    )
    (part,) = (tmp_path / "out" / "data").iterdir()
    found = pa.ipc.open_file(part.read_bytes()).read_all().select(["id", "embedding_quality.score"]).to_pylist()
    alone = dict(zip(scores.kept["id"].to_pylist(), scores.kept["embedding_quality.score"].to_pylist(), strict=True))
    assert all(row["embedding_quality.score"] == alone[row["id"]] >= 0.5 for row in found)


def test_a_column_that_another_embedder_made_is_refused():
    other = static_folder(PLACE / "other", setting={"lowercase": False})
    stages = [
        {"embed": {"embedder": {"kind": "static", "model": str(other)}}},
        {"embedding_quality": {"head": RIDGE, "embedder": SHARED}},
    ]
    with pytest.raises(RecipeError) as error:
        curate(pa.table({"text": TEXTS}), stages)
    said = str(error.value)
    assert said.startswith(f"stages[1] (embedding_quality): the head in {RIDGE} was trained on other embeddings")
    assert "model: trained with" in said
    assert "embed.embedding made with" in said
    with pytest.raises(RecipeError, match=r"the column 'length\.words' holds no embeddings"):
        column = {"kind": "column", "column": "length.words"}
        EmbeddingQuality(head=RIDGE, embedder=column).check_origins({"length.words": None})


def test_a_users_column():
    rows = vectors_of(TEXTS) * 7.0  # any length
    table = pa.table({"text": TEXTS, "e": pa.array([*rows[:-1].tolist(), None], pa.list_(pa.float64()))})
    stage = EmbeddingQuality(head=RIDGE, embedder={"kind": "column", "column": "e"})
    found = curate(table, [stage]).kept["embedding_quality.score"].to_pylist()
    alone = EmbeddingQuality(head=RIDGE).apply(batch_of(TEXTS)).columns["score"].to_pylist()
    assert found[1] is None
    assert found[5] is None
    assert [found[i] for i in (0, 2, 3, 4)] == pytest.approx([alone[i] for i in (0, 2, 3, 4)], abs=1e-5)
    short = pa.table({"text": ["a"], "e": [[1.0, 2.0]]})
    with pytest.raises(CorpusCurateError, match=r"'e' holds embeddings of 2 numbers, and the head was trained on .* 8"):
        curate(short, [stage])


def test_another_embedder_is_refused():
    other = static_folder(PLACE / "longer", dimension=5)
    with pytest.raises(RecipeError, match=r"trained on other embeddings.*model: trained with '[0-9a-f]{32}', the rec"):
        EmbeddingQuality(head=RIDGE, embedder={"kind": "static", "model": str(other)}).identity()
    stage = EmbeddingQuality(head=RIDGE, embedder={"kind": "static", "model": str(STATIC), "max_tokens": 3})
    with pytest.raises(RecipeError, match="max_tokens: trained with None, the recipe has 3"):
        stage.identity()


def test_changed_files_of_the_embedder_are_noticed():
    moving = static_folder(PLACE / "moving")
    folder = head_folder("of_moving", embedder=Static(model=str(moving)))
    before = EmbeddingQuality(head=folder).identity()
    assert before["embedder"]["model"] == origin_of(EMBEDDER)["model"]  # equal files
    static_folder(moving, dtype=np.int8)
    with pytest.raises(RecipeError, match="trained on other embeddings"):
        EmbeddingQuality(head=folder).identity()


def test_the_fingerprint_covers_the_content_of_the_head():
    copy = head_folder("copy")
    assert EmbeddingQuality(head=copy).identity() == EmbeddingQuality(head=RIDGE).identity()
    WEIGHTS[0, 0] += 1
    try:
        head_folder("copy")
    finally:
        WEIGHTS[0, 0] -= 1
    assert EmbeddingQuality(head=copy).identity() != EmbeddingQuality(head=RIDGE).identity()


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"head": "/no/head"}, "the head '/no/head' is not there: it must be a folder with head.json"),
        ({"head": str(STATIC)}, "holds no head: there is no head.json.*sequence-classification"),
        ({"head": RIDGE, "target": "5"}, r"is a regression on grades \(0, 3, 5\) and has no label '5'"),
        ({"head": LOGISTIC}, "target: say which label's probability is the score.* are: bad, fair, good"),
        ({"head": LOGISTIC, "target": "god"}, "has no label 'god'. Its labels are: bad, fair, good"),
    ],
)
def test_what_is_wrong_is_told_before_anything_runs(parameters, message):
    with pytest.raises(RecipeError, match=message):
        EmbeddingQuality(**parameters).identity()


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({}, "`head` is needed"),
        ({"head": "h", "embedder": {"kind": "sequence-classification", "model": "m"}}, "has a head of its own"),
        ({"head": "h", "embedder": "learned"}, "`learned` needs `model` here.*`embedder` in the head's own"),
        ({"head": "h", "embedding": "e", "embedder": "learned"}, "or `embedder`, which makes them; not both"),
        ({"head": "h", "min_score": 4, "max_score": 3}, r"min_score \(4.0\) is above max_score \(3.0\)"),
    ],
)
def test_what_cannot_go_together(parameters, message):
    with pytest.raises(ValidationError, match=message):
        EmbeddingQuality(**parameters)


def test_a_damaged_head(tmp_path):
    def copied(name):
        target = tmp_path / name
        target.mkdir()
        for path in Path(RIDGE).iterdir():
            (target / path.name).write_bytes(path.read_bytes())
        return target

    cut = copied("cut")
    (cut / "head.safetensors").write_bytes((cut / "head.safetensors").read_bytes()[:-3])
    with pytest.raises(RecipeError, match=r"head\.safetensors is not a sound safetensors file"):
        EmbeddingQuality(head=str(cut)).identity()
    odd = copied("odd")
    settings = orjson.loads((odd / "head.json").read_bytes())
    (odd / "head.json").write_bytes(orjson.dumps({**settings, "dimension": 9}))
    with pytest.raises(RecipeError, match=r"'weights' is float64 of shape \(1, 8\), and must be .* shape \(1, 9\)"):
        EmbeddingQuality(head=str(odd)).identity()
    (odd / "head.json").write_bytes(orjson.dumps({**settings, "kind": "forest"}))
    with pytest.raises(RecipeError, match=r"head\.json is not a sound head: kind: Input should be 'ridge' or 'logist"):
        EmbeddingQuality(head=str(odd)).identity()
    (odd / "head.json").unlink()
    (odd / "head.pkl").write_bytes(b"anything")
    with pytest.raises(RecipeError, match=r"head\.pkl is there, but pickles are never loaded"):
        EmbeddingQuality(head=str(odd)).identity()


def test_paths_are_relative_to_the_recipe(tmp_path):
    (tmp_path / "recipe.yaml").write_text(
        "input: {paths: [x.jsonl]}\nstages:\n  - embedding_quality: quality/head\n"
        "  - {embedding_quality: {embedder: {kind: sequence-classification, model: judge}}, name: two}\n"
        "output: {path: out}\n"
    )
    (tmp_path / "judge").mkdir()
    spec = load_recipe(tmp_path / "recipe.yaml")
    assert spec.stages[0].head == str(tmp_path / "quality" / "head")
    assert spec.stages[1].embedder.model == str(tmp_path / "judge")


def test_the_preset():
    path = Path(__file__).parents[2] / "configs" / "fineweb-edu.yaml"
    spec = load_recipe(path)
    (stage,) = (stage for stage in spec.stages if isinstance(stage, EmbeddingQuality))
    assert stage.min_score == 3
    assert stage.head == str(path.parent / "quality")
    shown = [line.lstrip("# ") for line in path.read_text().splitlines() if line.lstrip("# ").startswith("- embed")]
    for line in shown:  # also what is commented out
        assert load_recipe_text(line)


def load_recipe_text(stage):
    with tempfile.TemporaryDirectory() as name:
        file = Path(name) / "r.yaml"
        embed = "  - embed: {embedder: {kind: static, model: m}}\n" if stage.startswith("- embedding") else ""
        file.write_text(f"input: {{paths: [x]}}\nstages:\n{embed}  {stage}\noutput: {{path: out}}\n")
        return load_recipe(file).stages


def test_a_mistake_in_a_recipe_is_told_with_its_place(tmp_path):
    (tmp_path / "recipe.yaml").write_text(
        "input: {paths: [x.jsonl]}\nstages:\n  - embedding_quality: {head: h, min_scor: 3}\noutput: {path: out}\n"
    )
    with pytest.raises(RecipeError, match=r"recipe\.yaml:3: .*min_scor.*min_score"):
        load_recipe(tmp_path / "recipe.yaml")


def test_a_whole_run_equals_the_stage_alone():
    stage = EmbeddingQuality(head=RIDGE, min_score=1.5)
    found = curate(pa.table({"text": TEXTS}), [pickle.loads(pickle.dumps(stage))])  # noqa: S301
    alone = stage.apply(batch_of(TEXTS))
    scores = alone.columns["score"].to_pylist()
    kept = [i for i, reason in enumerate(alone.reason) if reason == 0]
    assert found.kept["text"].to_pylist() == [TEXTS[i] for i in kept]
    assert found.kept["embedding_quality.score"].to_pylist() == [scores[i] for i in kept]


def test_a_transformer_with_its_own_head():
    pytest.importorskip("transformers")
    from support.embed import bert_folder

    from corpuscurate.methods.embed.sequence import SequenceClassification, SequenceScorer

    folder = PLACE / "judge"
    if not folder.exists():
        bert_folder(folder, "BertForSequenceClassification", num_labels=1, problem_type="regression")
    parameters = SequenceClassification(model=str(folder), batch_size=4)
    found = curate(pa.table({"text": TEXTS}), [EmbeddingQuality(embedder=parameters)]).kept
    expected = SequenceScorer(parameters, None).score(pa.array(TEXTS, TEXT))
    scores = found["embedding_quality.score"]
    assert scores.null_count == 1
    assert scores.fill_null(np.nan).to_numpy().tobytes() == expected.tobytes()
    long = pa.table({"text": ["hello world " * 200, "hello", "world hello " * 200]})
    (told,) = curate(long, [EmbeddingQuality(embedder=parameters)]).report["warnings"]
    assert told.startswith(
        "embedding_quality: 2 of 3 documents (66.7 %; such as doc_id 0) are longer than the tokens that"
    )
    assert told.endswith("were scored by their heads alone. `window: mean` reads them whole")
    whole = parameters.model_copy(update={"window": "mean"})
    assert curate(long, [EmbeddingQuality(embedder=whole)]).report["warnings"] == []
    with pytest.raises(RecipeError, match="is a regression and has no label 'x'"):
        EmbeddingQuality(embedder=parameters, target="x").identity()
