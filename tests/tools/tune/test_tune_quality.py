from __future__ import annotations

import re
import tempfile
from pathlib import Path

import numpy as np
import orjson
import pyarrow as pa
import pytest
from naive import fasttext as naive
from typer.testing import CliRunner

from corpuscurate.commands.app import app
from corpuscurate.core.errors import InputError, RecipeError
from corpuscurate.pipeline import curate
from corpuscurate.recipe.load import load_recipe
from corpuscurate.tools.tune.quality import tune, write_html

EVIL = "<script>alert('x')</script> & \x1b[2J \u202e \"quoted\""
MODEL = naive.Model(
    ["good", "bad"], ["__label__hq", "__label__cc"],
    [[2.0, 0.0], [0.0, 2.0], *([[0.0, 0.0]] * 11)], [[1.0, 0.0], [0.0, 1.0]],
    word_ngrams=1, bucket=11, minn=0, maxn=0,
)  # fmt: skip
HOME = tempfile.TemporaryDirectory()
PATH = Path(HOME.name) / "model.bin"
PATH.write_bytes(naive.model_bytes(MODEL))
STAGE = {"fasttext_quality": {"model": str(PATH), "target": "hq", "min_score": 0.5}}


def rows(count=200):
    for i in range(count):
        good = (i * 37) % 101
        lang = ["en", "de", None, EVIL][i % 4] if i % 3 else "en"
        text = f"{'good ' * good}{'bad ' * (100 - good)}\n{EVIL} {i}"
        yield {"text": "unknown" if i % 50 == 7 else text, "lang": lang, "number": i}


@pytest.fixture
def folder(tmp_path):
    data = list(rows())
    (tmp_path / "in").mkdir()
    for name, part in (("a", data[:150]), ("b", data[150:])):
        (tmp_path / "in" / f"{name}.jsonl").write_bytes(b"".join(orjson.dumps(row) + b"\n" for row in part))
    return tmp_path


def recipe(folder, *stages, **more):
    value = {
        "input": {"paths": ["in"]},
        "stages": stages or [STAGE],
        "output": {"path": "out"},
        "run": {"workers": 1, "runner": "inprocess"},
        **more,
    }
    path = folder / "r.yaml"
    path.write_bytes(orjson.dumps(value))
    return path


def found_in(folder, *stages, **options):
    spec = load_recipe(recipe(folder, *stages))
    return tune(spec, **options)


def scores():
    return np.array([naive.score(MODEL, row["text"], 0) or np.nan for row in rows()], float)


def test_shares_kept_are_those_of_runs_and_nothing_is_written(folder):
    found = found_in(folder, thresholds=[0.3, 2.0])
    assert not (folder / "out").exists()
    assert found["corpus"] == found["sampled"] == found["documents"] == 200
    assert found["without_score"] == 4
    table = pa.Table.from_pylist(list(rows()))
    for each in found["thresholds"]:
        kept = curate(
            table, [{"fasttext_quality": {**STAGE["fasttext_quality"], "min_score": min(1, each["threshold"])}}]
        )
        expected = kept.kept.num_rows if each["threshold"] <= 1 else 0
        assert each["kept_ratio"] == expected / 200, each["threshold"]
        sizes = sum(len(text.encode()) for text in kept.kept["text"].to_pylist()) if expected else 0
        assert each["kept_bytes_ratio"] == pytest.approx(sizes / sum(len(r["text"].encode()) for r in rows()))
    why = {each["threshold"]: each["why"] for each in found["thresholds"]}
    assert "the recipe's" in why[0.5]
    assert "asked for" in why[0.3]
    assert list(why) == sorted(why)
    half = next(each for each in found["thresholds"] if "keeps 50 %" in each["why"])
    assert 0.5 <= half["kept_ratio"] < 0.53  # ties go together


def test_examples_are_the_nearest_on_both_sides(folder):
    each = next(t for t in found_in(folder, examples=4)["thresholds"] if t["threshold"] == 0.5)
    ranked = np.sort(scores()[~np.isnan(scores())])
    above = [row["score"] for row in each["above"]]
    below = [row["score"] for row in each["below"]]
    assert above == pytest.approx(ranked[ranked >= 0.5][:4], abs=1e-6)
    assert below == pytest.approx(ranked[ranked < 0.5][::-1][:4], abs=1e-6)
    texts = {row["text"] for row in rows()}
    assert all(row["text"] in texts for row in [*each["above"], *each["below"]])
    assert {row["shard"].rsplit("/")[-1] for row in [*each["above"], *each["below"]]} <= {"a.jsonl", "b.jsonl"}


def test_what_each_value_of_a_column_loses(folder):
    found = found_in(folder, by=["lang"])
    each = next(t for t in found["thresholds"] if t["threshold"] == 0.5)
    kept = scores() >= 0.5
    langs = np.array([row["lang"] or "(none)" for row in rows()])
    assert {row["value"] for row in each["by"]["lang"]} == {"en", "de", "(none)", EVIL}
    for row in each["by"]["lang"]:
        own = langs == row["value"]
        assert (row["documents"], row["lost"]) == (own.sum(), (own & ~kept).sum())
        assert row["lost_ratio"] == row["lost"] / row["documents"]
    shards = {row["value"].rsplit("/")[-1]: row["documents"] for row in each["by"]["shard"]}
    assert shards == {"a.jsonl": 150, "b.jsonl": 50}


def test_a_sample_is_a_matter_of_doc_ids(folder):
    one, two = (found_in(folder, documents=60, examples=100) for _ in range(2))
    assert one == two
    assert 30 < one["sampled"] < 90
    assert one["corpus"] == 200
    spec = load_recipe(recipe(folder, STAGE, run={"workers": 2, "runner": "local", "batch_bytes": 4096}))
    assert tune(spec, documents=60, examples=100) == one


def test_stages_before_count_and_global_ones_are_named(folder):
    stages = [
        {"where": "number < 100"},
        {"normalize": {}},
        {"minhash": {}},
        STAGE,
        {"keep_best": {"by": "fasttext_quality.score", "fraction": 0.5}},
    ]
    found = found_in(folder, *stages, by=["number"])
    assert (found["sampled"], found["documents"]) == (200, 100)
    assert found["left_out"] == ["minhash"]
    values = {row["value"] for row in found["thresholds"][0]["by"]["number"]}
    assert values <= {str(i) for i in range(100)}


def test_a_score_that_is_kept_when_small(folder):
    stage = {"fasttext_quality": {"model": str(PATH), "target": "cc", "max_score": 0.4}}
    found = found_in(folder, stage)
    each = next(t for t in found["thresholds"] if t["threshold"] == 0.4)
    kept = curate(pa.Table.from_pylist(list(rows())), [stage]).kept.num_rows
    assert found["kept"] == "up to the threshold"
    assert each["kept_ratio"] == pytest.approx((kept - 4) / 200)  # those without a score pass, and are not counted
    assert all(row["score"] <= 0.4 for row in each["below"])
    assert all(row["score"] > 0.4 for row in each["above"])


def test_any_stage_that_scores_can_be_tuned(folder):
    from support.embed import static_folder

    from corpuscurate.methods.embed.static import Static
    from corpuscurate.methods.quality.heads import Head, Settings, origin_of, write_head

    embedder = Static(model=str(static_folder(folder / "static")))
    settings = Settings(
        form=1, kind="ridge", dimension=8, labels=["0", "5"], grades=[0.0, 5.0], spread=1.0,
        embedder=embedder.model_dump(mode="json"), origin=origin_of(embedder),
    )  # fmt: skip
    (folder / "head").mkdir()
    write_head(Head(settings, np.arange(8.0)[None, :], np.array([2.0])), folder / "head")
    stages = [
        {"embed": {"embedder": {"kind": "static", "model": "static"}}},
        {"embedding_quality": {"head": "head", "embedder": {"kind": "column", "column": "embed.embedding"}}},
    ]
    found = found_in(folder, *stages)
    assert found["documents"] == 200
    alone = curate(pa.Table.from_pylist(list(rows())), [{"embedding_quality": {"head": str(folder / "head")}}]).kept
    expected = np.sort(alone["embedding_quality.score"].to_numpy())
    half = next(each for each in found["thresholds"] if "keeps 50 %" in each["why"])
    assert half["threshold"] == expected[100]


def test_the_page_holds_no_markup_of_documents(folder):
    write_html(found_in(folder, by=["lang"]), folder / "page.html")
    page = (folder / "page.html").read_text()
    assert "<script" not in page
    assert "\x1b" not in page
    assert "\u202e" not in page
    assert "&lt;script&gt;alert(&#x27;x&#x27;)&lt;/script&gt; &amp;" in page
    assert not re.search(r'(src|href)\s*=(?!"#t[0-9]+")', page)
    assert "http" not in page.replace("http-equiv", "")


@pytest.mark.parametrize(
    ("stages", "options", "error", "message"),
    [
        ([{"length": {"min_words": 1}}], {}, RecipeError, r"no stage that adds a score, such as .* its stages: length"),
        ([STAGE], {"label": "other"}, RecipeError, r"no stage 'other' that adds a score"),
        (
            [STAGE, {**STAGE, "name": "two"}],
            {},
            RecipeError,
            r"several stages add a score: fasttext_quality, two\. Say",
        ),
        ([STAGE], {"by": ["langg"]}, InputError, r"reads the column 'langg', which neither .* nearest names are: lang"),
        (
            [{"fasttext_quality": {"model": "/no/model.bin", "target": "hq"}}],
            {},
            InputError,
            r"'/no/model\.bin' cannot be read",
        ),
    ],
)
def test_what_is_wrong_is_told(folder, stages, options, error, message):
    with pytest.raises(error, match=message):
        found_in(folder, *stages, **options)


def test_an_empty_sample(folder):
    found = found_in(folder, {"where": "number < 0"}, {**STAGE})
    assert found["documents"] == 0
    assert [each["kept_ratio"] for each in found["thresholds"]] == [0.0]
    write_html(found, folder / "page.html")


def test_the_command(folder):
    path = str(recipe(folder))
    page = folder / "page.html"
    result = CliRunner().invoke(
        app, ["tune", "quality", path, "--by", "lang", "-t", "0.25", "--html", str(page)], catch_exceptions=False
    )
    assert result.exit_code == 0, result.output
    assert "0.25" in result.output
    assert "Around 0.5:" in result.output
    assert "\x1b[2J" not in result.output
    assert "\u202e" not in result.output
    assert page.stat().st_size > 1000
    result = CliRunner().invoke(app, ["tune", "quality", path, "--json"], catch_exceptions=False)
    assert orjson.loads(result.stdout)["sampled"] == 200
