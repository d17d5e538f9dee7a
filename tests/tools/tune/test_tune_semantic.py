import itertools

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from naive import neighbours as naive
from support.semantic import families
from typer.testing import CliRunner

from corpuscurate.commands.app import app
from corpuscurate.core.errors import RecipeError
from corpuscurate.core.spec import Settings, Sink, Source, Spec
from corpuscurate.methods.embed.column import Column
from corpuscurate.methods.semantic.vectors import quantised
from corpuscurate.pipeline import Pipeline
from corpuscurate.stages.length import Length
from corpuscurate.stages.semantic import Semantic
from corpuscurate.tools.html import embedded, escaped, write_page
from corpuscurate.tools.tune.semantic import chosen_clusters, tune, write_html

EVIL = "<script>alert('x')</script> & \x1b[2J \u202e \"quoted\""


@pytest.fixture
def folder(tmp_path):
    rows = families(3, 240, dimension=8, spread=0.4)
    texts = [f"document {i} {EVIL}" for i in range(240)]
    (tmp_path / "in").mkdir()
    table = pa.table({"text": texts, "e": pa.array(list(rows), pa.list_(pa.float32()))})
    pq.write_table(table, tmp_path / "in" / "a.parquet")
    return tmp_path


def spec(folder, *stages):
    stages = stages or (Semantic(embedder=Column(column="e"), clusters=8, keep="first", pairs_from=0.9),)
    settings = Settings(workers=1, runner="inprocess")
    return Spec(Source(paths=(str(folder / "in"),)), stages, Sink(path=str(folder / "out")), settings)


def test_shares_are_those_of_runs_and_nothing_is_written(folder):
    found = tune(spec(folder), documents=10_000)
    assert not (folder / "out").exists()
    assert found["documents_compared"] == 240 and found["clusters_compared"] == 8
    levels = {level["threshold"]: level for level in found["levels"]}
    assert list(levels) == [round(0.9 + i / 100, 2) for i in range(11)]
    for rule, level in itertools.product(("independent", "paper"), (0.9, 0.95, 0.99)):
        stage = Semantic(
            embedder=Column(column="e"), clusters=8, keep="first", pairs_from=0.9, rule=rule, threshold=level
        )
        once = spec(folder, stage)
        report = Pipeline(once.source, once.stages, once.sink, once.settings).run(overwrite=True)
        assert levels[level][rule] == report["documents"]["dropped"] > 0
        assert levels[level][f"{rule}_ratio"] == levels[level][rule] / 240


def test_whole_clusters_are_compared(folder):
    found = tune(spec(folder), documents=50)
    sizes = dict(found["cluster_sizes"]["largest"])
    only = chosen_clusters(np.array([sizes[i] for i in range(8)]), 50, 0)
    assert found["documents_compared"] == sum(sizes[i] for i in np.flatnonzero(only).tolist()) >= 50
    assert found["clusters_compared"] == only.sum() < 8


@pytest.mark.parametrize("documents", [90, 240])
@pytest.mark.parametrize("visits", [{"border": 2.0}, {"probes": 8}, {"probes": 1}])
def test_documents_of_the_chosen_clusters_are_compared_as_in_a_run(folder, documents, visits):
    """Across the borders between these clusters too; those that live elsewhere are left out."""
    rows = families(5, 240, dimension=4, spread=0.6)
    table = pa.table({"text": [f"document {i}" for i in range(240)], "e": pa.array(list(rows), pa.list_(pa.float32()))})
    pq.write_table(table, folder / "in" / "a.parquet")
    stage = Semantic(embedder=Column(column="e"), clusters=8, keep="first", pairs_from=0.9, **visits)
    found = tune(spec(folder, stage), documents=documents)
    once = spec(folder, stage.model_copy(update={"mode": "tag"}))
    Pipeline(once.source, once.stages, once.sink, once.settings).run(overwrite=True)
    table = pq.read_table(folder / "out" / "data")
    home = np.array(table["semantic.centroid"].to_pylist())
    only = chosen_clusters(np.bincount(home, minlength=8), documents, 0)
    chosen = np.flatnonzero(only[home])
    assert found["documents_compared"] == len(chosen)
    matrix = naive.cosines(quantised(np.array(table["e"].to_pylist(), np.float32))[0])
    all_meet = not visits.get("probes") or (visits["probes"] == 8 and only.all())
    meets = lambda a, b: all_meet or home[a] == home[b]  # noqa: E731
    for level, rule in itertools.product(found["levels"], ("independent", "paper")):
        assert level[rule] == len(naive.decide(chosen.tolist(), matrix, meets, rule, level["threshold"]))


def test_examples_are_pairs_with_their_cosine(folder):
    found = tune(spec(folder), examples=2)
    rows = pq.read_table(folder / "in" / "a.parquet")
    vectors = quantised(np.array(rows.column("e").to_pylist(), np.float32))[0]
    assert len(found["examples"]) > 5
    for pair in found["examples"]:
        (a, text_a), (b, text_b) = pair["earlier"], pair["later"]
        assert a < b and text_a == f"document {a} {EVIL}" and text_b == f"document {b} {EVIL}"
        assert pair["cosine"] == naive.cosine(vectors[a].tolist(), vectors[b].tolist())
    levels = [np.floor((pair["cosine"] - 0.9) / 0.02) for pair in found["examples"]]
    assert levels == sorted(levels, reverse=True) and max(np.bincount(np.array(levels, int))) == 2


def test_the_page_holds_no_markup_of_documents(folder, tmp_path):
    write_html(tune(spec(folder)), tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text()
    assert "<script" not in page and "\x1b" not in page and "\u202e" not in page
    assert "&lt;script&gt;alert(&#x27;x&#x27;)&lt;/script&gt; &amp;" in page
    assert "http://" not in page and "https://" not in page and "src=" not in page


@pytest.mark.parametrize(
    ("parameters", "marked", "said"),
    [
        ({"threshold": 0.955}, "0.95", "&gt; marks the recipe&#x27;s threshold, 0.955, with rule: independent."),
        ({"rule": "paper"}, "0.95", "&gt; marks the recipe&#x27;s threshold, 0.95, with rule: paper."),
        ({"remove_fraction": 0.2}, None, "&gt; marks the lowest threshold here that keeps to the recipe&#x27;s"),
        ({"confirm": 0.3}, "0.95", "Pairs whose containment is below 0.3 (confirm) remove nothing"),
    ],
)
def test_the_page_marks_the_threshold_and_explains_the_rules(folder, tmp_path, parameters, marked, said):
    stage = Semantic(embedder=Column(column="e"), clusters=8, keep="first", pairs_from=0.9, **parameters)
    found = tune(spec(folder, stage))
    write_html(found, tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text()
    if marked is None:
        levels = {level["threshold"]: level["independent"] for level in found["levels"]}
        marked = f"{min(level for level, removed in levels.items() if removed <= 48):.2f}"
        assert levels[round(float(marked) - 0.01, 2)] > 48
    assert page.count("<strong>&gt; ") == 1 and f"<strong>&gt; {marked}</strong>" in page
    assert said in page
    assert "independent (rule: independent): a document goes that is near an earlier one that stays" in page
    assert "paper (rule: paper): it goes that is near any earlier one, gone or not" in page
    told = [line.split("</h3>")[0] for line in page.split("<h3>")[1:]]
    cosines = [float(each.split()[1].strip(",;")) for each in told]
    assert cosines == sorted(cosines, reverse=True)
    sides = ["at or above" in each for each in told]
    assert sides == [pair["cosine"] >= found["threshold"] for pair in found["examples"]] and True in sides
    assert all(("confirmed" in each) == ("confirm" in parameters) for each in told)


def test_what_is_not_confirmed_counts_for_nothing(tmp_path):
    """Shares are those of runs with `confirm`, too, and each pair to read has its second value."""
    rng = np.random.default_rng(1)
    texts = [" ".join(rng.choice(["a", "b", "c", "d", "e"], 4)) for _ in range(200)]
    (tmp_path / "in").mkdir()
    rows = families(3, 200, dimension=3, spread=0.1, topics=2)
    table = pa.table({"text": texts, "e": pa.array(list(rows), pa.list_(pa.float32()))})
    pq.write_table(table, tmp_path / "in" / "a.parquet")
    stage = {"embedder": Column(column="e"), "keep": "first", "pairs_from": 0.9, "confirm": 0.6}
    found = tune(spec(tmp_path, Semantic(**stage)), documents=10_000)
    plain = tune(spec(tmp_path, Semantic(**{**stage, "confirm": None})), documents=10_000)
    levels, other = ({level["threshold"]: level for level in each["levels"]} for each in (found, plain))
    for rule, level in itertools.product(("independent", "paper"), (0.9, 0.96, 0.99)):
        one = spec(tmp_path, Semantic(**stage, rule=rule, threshold=level))
        report = Pipeline(one.source, one.stages, one.sink, one.settings).run(overwrite=True)
        assert 0 < levels[level][rule] == report["documents"]["dropped"] < other[level][rule]
    for pair in found["examples"]:
        earlier, later = (set(itertools.pairwise(pair[side][1].split())) for side in ("earlier", "later"))
        assert pair["confirm"] == len(later & earlier) / len(later)
    assert [pair["cosine"] for pair in found["examples"]] == [pair["cosine"] for pair in plain["examples"]]


def test_escapes():
    assert escaped("a\x00<b>\n") == "a\\u0000&lt;b&gt;\n"
    assert orjson.loads(embedded({"t": "</script><!--"})) == {"t": "</script><!--"}
    assert "<" not in embedded("</script>")


def test_a_page_forbids_what_is_not_in_it(tmp_path):
    write_page(tmp_path / "p.html", "t<", "body", script="1")
    page = (tmp_path / "p.html").read_text()
    assert "default-src 'none'" in page and "<title>t&lt;</title>" in page and "<script>1</script>" in page


def test_no_such_stage(folder):
    with pytest.raises(RecipeError, match="no stage 'semantic' to tune; its stages: length"):
        tune(spec(folder, Length(min_words=1)))


def test_the_command(folder):
    recipe = folder / "r.yaml"
    recipe.write_text(
        "input: {paths: [in]}\nstages:\n  - semantic: {embedder: {kind: column, column: e}, clusters: 8}\n"
        "output: {path: out}\nrun: {workers: 1, runner: inprocess}\n"
    )
    work = ["--work", str(folder / "work"), "--html", str(folder / "page.html")]
    result = CliRunner().invoke(app, ["tune", "semantic", str(recipe), *work], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    assert "> 0.95" in result.output and "cosine 0.9" in result.output and "\x1b[2J" not in result.output
    assert "240 documents in 8 clusters" in result.output and "paper (rule: paper): it goes" in result.output
    assert (folder / "page.html").stat().st_size > 1000
    result = CliRunner().invoke(app, ["tune", "semantic", str(recipe), "--json", *work[:2]], catch_exceptions=False)
    assert orjson.loads(result.stdout)["documents"] == 240
