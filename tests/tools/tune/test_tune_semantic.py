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
        from corpuscurate.pipeline import Pipeline

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
    assert "threshold" in result.output and "cosine 0.9" in result.output and "\x1b[2J" not in result.output
    assert (folder / "page.html").stat().st_size > 1000
    result = CliRunner().invoke(app, ["tune", "semantic", str(recipe), "--json", *work[:2]], catch_exceptions=False)
    assert orjson.loads(result.stdout)["documents"] == 240
