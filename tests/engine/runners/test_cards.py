from __future__ import annotations

import importlib.util
import json
import multiprocessing
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from multiprocessing import forkserver
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from safetensors.numpy import load_file, save_file
from support.card import OnCard, ScoresOnCard
from support.embed import bert_folder, sentence_folder

from corpuscurate.core.artefact import read_sealed, write_sealed
from corpuscurate.core.errors import CorpusCurateError, InputError, StageError, WorkerError
from corpuscurate.core.run_folder import marker_file
from corpuscurate.core.spec import Settings, Sink, Source
from corpuscurate.engine.check import check_run
from corpuscurate.engine.estimate import plan_spec
from corpuscurate.engine.runners import cards
from corpuscurate.engine.runners.cards import visible_cards
from corpuscurate.methods.embed import card
from corpuscurate.methods.embed.sentence import SentenceTransformers
from corpuscurate.methods.embed.sequence import SequenceClassification
from corpuscurate.pipeline import Pipeline
from corpuscurate.stages.diversity import Diversity
from corpuscurate.stages.embed import Embed
from corpuscurate.stages.embedding_quality import EmbeddingQuality
from corpuscurate.stages.minhash import MinHash
from corpuscurate.stages.outliers import Outliers
from corpuscurate.stages.prototypes import Prototypes
from corpuscurate.stages.semantic import Semantic

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("sentence_transformers") is None, reason="sentence-transformers is not installed"
)
WORDS = ("hello", "world", "the", "unable", "a", "b", "xyz", "漢字", "", "12", "qqq")
TESTS = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A folder with a model, a classifier, and three files of documents of many lengths."""
    folder = tmp_path_factory.mktemp("cards")
    sentence_folder(folder)
    bert_folder(folder / "scores", "BertForSequenceClassification", num_labels=1, problem_type="regression")
    rng = random.Random(1)  # noqa: S311
    texts = [" ".join(rng.choices(WORDS, k=rng.randrange(0, 40))) for _ in range(600)]
    texts[7] = texts[301] = "☃ ☃ a"
    for i in range(3):
        pq.write_table(pa.table({"text": texts[i * 200 : (i + 1) * 200]}), folder / f"in-{i}.parquet")
    return folder


@pytest.fixture(scope="module", autouse=True)
def warm_cards():
    """Processes of cards come from a fork server that has loaded sentence-transformers, which takes ten seconds.

    That they are spawned is seen where they are started from a script of their own (`test_killed_and_resumed...`), and
    in the first test."""
    forkserver._forkserver._stop()  # one of an earlier test has loaded something else
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["sentence_transformers", "corpuscurate.engine.runners.preload", "support.card"])
    forkserver.ensure_running()
    before = cards.multiprocessing
    cards.multiprocessing = SimpleNamespace(get_context=lambda _: context)
    yield
    cards.multiprocessing = before
    forkserver._forkserver._stop()


@pytest.fixture
def spawned(monkeypatch):
    """The processes of cards as they are in a run."""
    monkeypatch.setattr(cards, "multiprocessing", multiprocessing)


def outcome(home, name, stages, workers=1, **settings):
    """The report and the bytes of all output of a run."""
    spec = Pipeline(
        Source(paths=(str(home / "in-*.parquet"),), split_bytes=9_000),
        stages,
        Sink(path=str(home / name)),
        settings=Settings(workers=workers, **settings),
    )
    report = spec.run()
    files = sorted(path for kind in ("data", "dropped") for path in (home / name / kind).iterdir())
    return report, [path.read_bytes() for path in files]


def told(report, kind):
    """The warnings of a run, without the kind of embedder in them."""
    return [text.replace(f"embedder {kind!r}", "embedder") for text in report["warnings"]]


def model(home, kind, **more):
    return kind(model=str(home / "whole"), batch_size=8, **more)


@pytest.mark.full("test_killed_and_resumed... spawns one")
def test_embed_on_a_spawned_card(home, spawned):
    streamed, expected = outcome(home, "s-spawned", [Embed(embedder=model(home, SentenceTransformers))])
    report, found = outcome(home, "c-spawned", [Embed(embedder=model(home, OnCard))], 2)
    assert found == expected
    assert report["documents"] == streamed["documents"]


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("window", ["head", "mean"])
@pytest.mark.campaign(3)
def test_embed_on_a_card_has_the_bytes_of_the_stream(home, workers, window):
    label = f"{workers}-{window}"
    streamed, expected = outcome(home, f"s-{label}", [Embed(embedder=model(home, SentenceTransformers, window=window))])
    on_card = [Embed(embedder=model(home, OnCard, window=window))]
    report, found = outcome(home, f"c-{label}", on_card, workers, batch_bytes=3000)
    assert found == expected
    assert report["documents"] == streamed["documents"]
    assert told(report, "on-card") == told(streamed, "sentence-transformers")
    assert [("heads" in text, "unknown" in text) for text in told(report, "on-card")] == [
        (False, True),
        *([(True, False)] if window == "head" else []),
    ]
    (row,) = report["stages"]
    assert (row["label"], row["stage"], row["documents_out"]) == ("embed", "embed", 600)
    assert row["stats"]["device"] == "cpu"
    assert row["stats"]["rows"] == "independent of the batch"
    assert {key: row["stats"][key] > 0 for key in ("windows", "empty", "unknown")} == dict.fromkeys(
        ("windows", "empty", "unknown"), True
    )


def test_pools_change_no_byte(home, monkeypatch):
    _, expected = outcome(home, "p-whole", [Embed(embedder=model(home, OnCard))])
    monkeypatch.setattr(card, "POOL_TOKENS", 1)
    _, found = outcome(home, "p-parts", [Embed(embedder=model(home, OnCard))])
    assert found == expected


def test_documents_dropped_before_are_not_computed_and_scores_decide(home):
    def stages(kind, **more):
        scoring = kind(model=str(home / "scores"), batch_size=8)
        return [MinHash(), EmbeddingQuality(embedder=scoring, **more)]

    scores = outcome(home, "q-all", stages(SequenceClassification))[0]
    assert scores["stages"][0]["dropped"] > 0
    column = pa.concat_arrays(
        [pq.read_table(p).column("embedding_quality.score").combine_chunks() for p in (home / "q-all/data").iterdir()]
    )
    bound = float(np.nanmedian(column.to_numpy(zero_copy_only=False)))
    streamed, expected = outcome(home, "q-s", stages(SequenceClassification, min_score=bound))
    on_card, found = outcome(home, "q-c", stages(ScoresOnCard, min_score=bound), 2)
    assert found == expected
    assert on_card["stages"][1]["stats"]["device"] == "cpu"
    assert told(on_card, "") == told(streamed, "") and "scored by their heads alone" in "".join(told(streamed, ""))
    for name in ("dropped", "reasons", "documents_in", "documents_out"):
        assert on_card["stages"][1][name] == streamed["stages"][1][name]
    tagged, found = outcome(home, "q-tc", [s.model_copy(update={"mode": "tag"}) for s in stages(ScoresOnCard)])
    streaming = [s.model_copy(update={"mode": "tag"}) for s in stages(SequenceClassification)]
    assert found == outcome(home, "q-ts", streaming)[1]
    assert tagged["documents"]["dropped"] == 0


def test_tag_mode_counts_what_would_be_dropped(home):
    several = [{"min_score": 0.0, "max_score": 0.2}, {"max_score": 0.1}, {"min_score": 9.0}]
    rows, files = [], []
    for kind in (SequenceClassification, ScoresOnCard):
        scoring = kind(model=str(home / "scores"), batch_size=8)
        stages = [
            EmbeddingQuality(embedder=scoring, mode="tag", name=f"q{number}", **bounds)
            for number, bounds in enumerate(several)
        ]
        report, found = outcome(home, f"t-{kind.__name__}", stages)
        assert report["documents"]["dropped"] == 0
        rows.append(report["stages"])
        files.append(found)
    assert files[0] == files[1]
    for streamed, on_card in zip(*rows, strict=True):
        assert sum(streamed["reasons"].values()) > 0
        for name in ("reasons", "measures", "thresholds", "edits", "documents_in", "documents_out", "dropped"):
            assert on_card[name] == streamed[name]
        assert set(on_card) - set(streamed) == {"stats"}
        assert on_card["stats"]["device"] == "cpu"
        assert "reasons" not in on_card["stats"]


def test_the_semantic_family_on_a_card_tells_which(home):
    def stages(kind):
        embedder = model(home, kind)
        return [
            Semantic(threshold=0.99, embedder=embedder),
            Outliers(remove_fraction=0.1, embedder=embedder),
            Prototypes(keep_fraction=0.5, embedder=embedder),
            Diversity(budget=20, embedder=embedder),
        ]

    streamed, expected = outcome(home, "m-s", stages(SentenceTransformers))
    report, found = outcome(home, "m-c", stages(OnCard), 2)
    assert found == expected
    for row, other in zip(report["stages"], streamed["stages"], strict=True):
        told = dict(row["stats"])
        card = told.pop("card")
        assert (card["device"], card["rows"], card["batch_size"]) == ("cpu", "independent of the batch", 8)
        assert card["windows"] > 0
        assert row["documents_in"] > row["documents_out"]
        assert told.keys() == other["stats"].keys()
        for name in ("documents", "without_direction", "k", "noted"):
            assert told[name] == other["stats"][name]


def test_numbers_that_are_not_finite_are_refused(home):
    broken = home / "nan"
    shutil.copytree(home / "scores", broken)
    weights = load_file(broken / "model.safetensors")
    save_file({**weights, "classifier.bias": weights["classifier.bias"] * np.nan}, broken / "model.safetensors")
    said = set()
    for kind in (SequenceClassification, ScoresOnCard):
        with pytest.raises(CorpusCurateError, match="gave NaN or infinity for the document with doc_id 0") as caught:
            outcome(home, f"n-{kind.__name__}", [EmbeddingQuality(embedder=kind(model=str(broken)))])
        said.add(type(caught.value))
    assert said <= {InputError, StageError}


def test_a_plan_shows_the_phase_of_a_card_and_its_files(home):
    def plan(stages):
        source, sink = Source(paths=(str(home / "in-*.parquet"),), split_bytes=9_000), Sink(path=str(home / "planned"))
        return plan_spec(Pipeline(source, stages, sink, settings=Settings(workers=1)))

    streamed = plan([Embed(embedder=model(home, SentenceTransformers)), MinHash()])
    on_card = plan([Embed(embedder=model(home, OnCard)), MinHash()])
    assert [(one["title"], one.get("on_card")) for one in on_card["passes"]] == [
        ("measure 1", None),
        ("settle embed", True),
        ("settle minhash", False),
        ("write", None),
    ]
    documents = on_card["text_bytes_estimate"] / 2000
    more = on_card["disk_bytes_estimate"] - streamed["disk_bytes_estimate"]
    assert more >= documents * (512 * 2 + 16 * 4) * 0.9  # up to 512 tokens of 2 or 4 bytes, and 16 numbers
    shared = [plan([Semantic(embedder=model(home, kind))]) for kind in (OnCard, SentenceTransformers)]
    assert shared[0]["passes"][1]["on_card"] and not shared[1]["passes"][1]["on_card"]
    assert shared[0]["disk_bytes_estimate"] > shared[1]["disk_bytes_estimate"]
    report, _ = outcome(home, "planned-run", [Embed(embedder=model(home, OnCard))])
    planned = Pipeline(
        Source(paths=(str(home / "in-*.parquet"),), split_bytes=9_000),
        [Embed(embedder=model(home, OnCard))],
        Sink(path=str(home / "planned-run")),
        settings=Settings(workers=1),
    )
    assert any("already holds this very run" in text for text in check_run(planned))
    assert report["documents"]["input"] == 600


def test_a_worker_of_a_pool_says_that_it_can_start_no_card(home, monkeypatch):
    monkeypatch.setitem(multiprocessing.current_process()._config, "daemon", True)
    with pytest.raises(WorkerError, match=r"embed: a model on a card runs in a process of its own.*ProcessPoolExec"):
        outcome(home, "pool", [Embed(embedder=model(home, OnCard))])


def test_another_kind_of_card_is_refused_with_the_choice(home):
    stages = [Embed(embedder=model(home, OnCard))]
    outcome(home, "k", stages, retain="all")
    folder = home / "k" / "_run" / "settle-embed"
    (asked,) = folder.rglob(marker_file("card"))
    write_sealed(asked, (told := read_sealed(asked)) | {"result": told["result"] | {"kind": "NVIDIA H100"}})
    (folder / "settled.json").unlink()
    (home / "k" / "report.json").unlink()
    with pytest.raises(
        CorpusCurateError, match=r"began to embed on NVIDIA H100, and this machine computes on cpu"
    ) as e:
        Pipeline(
            Source(paths=(str(home / "in-*.parquet"),), split_bytes=9_000),
            stages,
            Sink(path=str(home / "k")),
            settings=Settings(workers=1, retain="all"),
        ).run(overwrite=True)
    assert "Either go on where there is NVIDIA H100, or delete the output folder" in str(e.value)


SCRIPT = """
import sys
sys.path.insert(0, {tests!r})
from support.card import OnCard
from corpuscurate.core.spec import Settings, Sink, Source
from corpuscurate.methods.embed import card
from corpuscurate.pipeline import Pipeline
from corpuscurate.stages.embed import Embed
card.POOL_TOKENS = 1
Pipeline(
    Source(paths=({paths!r},), split_bytes=9_000),
    [Embed(embedder=OnCard(model={model!r}, batch_size=8))],
    Sink(path={output!r}),
    settings=Settings(workers=2),
).run()
"""


@pytest.mark.parametrize("by", ["another process", "the same script"])
@pytest.mark.campaign(2)
def test_killed_and_resumed_it_computes_what_is_left(home, monkeypatch, by):
    stages = [Embed(embedder=model(home, OnCard))]
    name = f"r-{by.rpartition(' ')[2]}"
    _, expected = outcome(home, f"{name}-whole", stages)
    script = home / "run.py"
    output = home / name
    values = {"tests": str(TESTS), "paths": str(home / "in-*.parquet"), "model": str(home / "whole")}
    script.write_text(SCRIPT.format(**values, output=str(output)))
    process = subprocess.Popen([sys.executable, str(script)], start_new_session=True)
    state = output / "_run" / "settle-embed"
    deadline = time.monotonic() + 300
    while process.poll() is None and time.monotonic() < deadline:
        if state.exists() and len(list(state.rglob(marker_file("card-*")))) >= 2:
            break
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    before = {path: path.stat().st_mtime_ns for path in state.rglob(marker_file("card-*"))}
    assert before
    if by == "the same script":
        assert subprocess.run([sys.executable, str(script)], check=False).returncode == 0
        found = [p.read_bytes() for kind in ("data", "dropped") for p in sorted((output / kind).iterdir())]
    else:
        monkeypatch.setattr(card, "POOL_TOKENS", 1)
        found = outcome(home, name, stages, 2)[1]
    assert found == expected
    assert {path: path.stat().st_mtime_ns for path in before} == before


def test_an_error_on_the_card_is_told_as_it_was_raised(home, monkeypatch):
    folder = home / "broken"
    if not folder.exists():
        shutil.copytree(home / "whole", folder)
        next(folder.glob("*.safetensors")).write_bytes(b"nothing")
    with pytest.raises(CorpusCurateError, match="cannot be loaded"):
        outcome(home, "e", [Embed(embedder=OnCard(model=str(folder), batch_size=8))])


def test_visible_cards(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3, 5")
    assert visible_cards() == ["3", "5"]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert visible_cards() == [""]
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
    assert visible_cards()[0] == "0"


def test_the_recipe_is_told_as_it_was_written(home):
    report, _ = outcome(home, "w", [Embed(embedder=model(home, OnCard), name="vectors")])
    (told,) = report["recipe"]["stages"]
    assert told["word"] == "embed" and told["label"] == "vectors" and told["embedder"]["kind"] == "on-card"
    assert json.dumps(told)
