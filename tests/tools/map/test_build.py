import sys

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from support.semantic import families
from typer.testing import CliRunner

from corpuscurate import Pipeline, Settings, Sink, Source
from corpuscurate.commands.app import app
from corpuscurate.core.errors import InputError, MissingExtraError, OutputError
from corpuscurate.methods.semantic.vectors import quantised
from corpuscurate.stages.length import Length
from corpuscurate.stages.semantic import Semantic
from corpuscurate.tools.map.build import lay_out, make_map
from corpuscurate.tools.map.page import MARGIN, SIZE, group, scaled

EVIL = "</script><script>alert('x')</script><!-- & \u2028"


@pytest.fixture
def folder(tmp_path):
    rows = families(3, 120, dimension=8, spread=0.3, topics=3)
    (tmp_path / "in").mkdir()
    for shard in range(2):
        numbers = range(shard * 60, shard * 60 + 60)
        texts = ["short" if i % 10 == 0 else f"document number {i} {EVIL}" for i in numbers]
        column = pa.array(list(rows[shard * 60 : shard * 60 + 60]), pa.list_(pa.float32()))
        pq.write_table(pa.table({"text": texts, "e": column}), tmp_path / "in" / f"{shard}.parquet")
    stage = Semantic(embedder={"kind": "column", "column": "e"}, threshold=0.97)
    settings = Settings(workers=1, runner="inprocess")
    pipeline = Pipeline(Source(paths=("in",)), (Length(min_words=2), stage), Sink(path="out"), settings, tmp_path)
    pipeline.run()
    return tmp_path


@pytest.mark.filterwarnings("ignore")
def test_points_tell_shard_cluster_and_fate(folder):
    made = make_map(folder / "out", documents=1000, base=folder)
    table = pq.read_table(folder / "out" / "map.parquet")
    assert made["documents"] == table.num_rows == 120
    dropped = {
        r["doc_id"]: f"{r['stage']}: {r['reason']}" for r in pq.read_table(folder / "out" / "dropped").to_pylist()
    }
    rows = table.to_pylist()
    assert [row["fate"] for row in rows] == [dropped.get(row["doc_id"], "kept") for row in rows]
    assert {row["fate"] for row in rows} >= {"kept", "length: min_words", "semantic: semantic_duplicate"}
    assert [row["shard"][-9:] for row in rows] == ["0.parquet"] * 60 + ["1.parquet"] * 60
    assert np.isfinite(table.column("x").to_numpy()).all() and len(set(table.column("x").to_pylist())) > 100
    page = (folder / "out" / "map.html").read_text()
    assert (
        page.count("<script>") == 1 and "alert('x')</script>" not in page and "\u2028" not in page.split("const D=")[0]
    )
    assert "http" not in page.replace("http-equiv", "") and "src=" not in page and "href=" not in page
    data = orjson.loads(page.split("const D=")[1].split(";\nconst canvas")[0])
    assert data["text"][1] == f"document number 1 {EVIL}"
    assert sum(int(name.split("(")[1][:-1]) for name in data["groups"]["fate"]["names"]) == 120


@pytest.mark.filterwarnings("ignore")
def test_a_small_sample_and_the_command(folder, monkeypatch):
    monkeypatch.chdir(folder)
    result = CliRunner().invoke(app, ["map", "out", "--documents", "3", "-o", "here", "--json"], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    assert orjson.loads(result.stdout)["documents"] == pq.read_table(folder / "here" / "map.parquet").num_rows < 12
    assert (folder / "here" / "map.html").is_file()
    assert not (folder / "out" / "map.html").exists()


def test_another_input_than_the_run_read_is_refused(folder):
    (folder / "in" / "2.parquet").write_bytes((folder / "in" / "1.parquet").read_bytes())
    with pytest.raises(InputError, match="has changed since the run"):
        make_map(folder / "out", base=folder)


def test_no_finished_run(tmp_path):
    with pytest.raises(OutputError, match="holds no finished run"):
        make_map(tmp_path)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("size", [0, 1, 4, 30])
def test_layouts_of_any_size(size):
    vectors = quantised(families(1, size, topics=2) if size else np.zeros((0, 4), np.float32))[0]
    found = lay_out(vectors, 0)
    assert found.shape == (size, 2) and found.dtype == np.float32 and np.isfinite(found).all()
    assert (lay_out(vectors, 0) == found).all()


def test_missing_umap_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "umap", None)
    with pytest.raises(MissingExtraError, match=r"corpuscurate\[map\]"):
        lay_out(np.ones((9, 2), np.int8), 0)


def test_groups_and_pixels():
    assert group(["b", "a", "b", "c"]) == {"of": [0, 1, 0, 2], "names": ["b (2)", "a (1)", "c (1)"]}
    pixels = scaled(np.array([[0, 5], [1, 5], [0.5, 5]], np.float32))
    assert pixels.tolist() == [[MARGIN, MARGIN], [SIZE - MARGIN, MARGIN], [SIZE / 2, MARGIN]]
    assert scaled(np.zeros((0, 2), np.float32)).shape == (0, 2)
