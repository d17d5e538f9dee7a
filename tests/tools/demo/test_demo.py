"""The demo on this very installation: what a first user sees."""

from __future__ import annotations

import io
import json
import subprocess
import sys

import pyarrow.parquet as pq
import pytest
import zstandard
from typer.testing import CliRunner

from corpuscurate.commands.app import app
from corpuscurate.recipe.bundled import bundled_recipe
from corpuscurate.recipe.load import load_recipe
from corpuscurate.tools.demo import demo
from corpuscurate.tools.demo import text as demo_text
from corpuscurate.tools.demo.demo import Pair, pairs
from corpuscurate.tools.demo.text import Document, collect, write_shards


def read(paths):
    lines = []
    for path in paths:
        with path.open("rb") as file:
            text = zstandard.ZstdDecompressor().stream_reader(file)
            lines += [json.loads(line) for line in io.TextIOWrapper(text, "utf-8")]
    return lines


def call(*arguments):
    return CliRunner().invoke(app, ["demo", *map(str, arguments)])


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("demo") / "demo-out"
    command = [sys.executable, "-m", "corpuscurate", "demo", "--output", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
    assert done.returncode == 0, done.stderr
    return folder, done.stdout


def test_the_same_installation_gives_the_same_text_and_nothing_is_imported():
    code = (
        "import sys, corpuscurate.tools.demo.text as d\nd.PACKAGES_BYTES, d.FILE_BYTES = 1 << 20, 20_000\n"
        "before = set(sys.modules)\nfound = d.collect()\n"
        "print(sorted(name for name in set(sys.modules) - before if not name.startswith(('encodings', 'email')))[:9])\n"
        "import hashlib; print(hashlib.sha256(repr(found).encode()).hexdigest())"
    )
    said = [
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=env).stdout
        for env in ({"PYTHONHASHSEED": "1"}, {"PYTHONHASHSEED": "2"})
    ]
    assert said[0] == said[1]
    imported = said[0].splitlines()[0]
    assert "antigravity" not in imported  # the module that opens a browser when it is imported
    assert imported.count("'") <= 6


def test_what_is_collected(made):
    """What the demo wrote is what `collect` found."""
    records = read(sorted((made[0] / "shards").iterdir()))
    found = {record["id"]: record for record in records}
    assert [record["id"] for record in records] == sorted(found)
    decoder = found["docstring/json/decoder.py::JSONDecoder"]["text"]
    assert decoder.startswith("Simple JSON <https://json.org> decoder")
    assert found["docstring/bisect.py"]["text"] == "Bisection algorithms."
    assert found["topic/if"]["text"].startswith('The "if" statement')
    assert "readme/numpy" in found
    assert any(name.startswith("licence/numpy/") for name in found)


def test_packages_give_no_docstrings_beyond_their_share(monkeypatch):
    monkeypatch.setattr(demo_text, "PACKAGES_BYTES", 0)
    monkeypatch.setattr(demo_text, "_standard_library", list)
    found = {document.id: document for document in collect()}
    assert list(found) == sorted(found)
    assert "readme/numpy" in found
    assert not any("::" in name for name in found)


def test_shards_hold_every_document_once_in_order(tmp_path, monkeypatch):
    monkeypatch.setattr(demo_text, "SHARD_BYTES", 200)
    documents = [Document(f"id{n}", "kind", "package", f"text {n} \u2028 é" * 3) for n in range(20)]
    paths = write_shards(documents, tmp_path / "shards")
    assert [path.name for path in paths] == [f"docs-{n:05d}.jsonl.zst" for n in range(len(paths))]
    assert len(paths) > 3
    assert [Document(**record) for record in read(paths)] == documents


def test_half_characters_are_left_out(monkeypatch):
    broken = Document("b", "k", "p", "a \ud800 b")
    monkeypatch.setattr(demo_text, "_standard_library", lambda: [broken, Document("a", "k", "p", "fine")])
    monkeypatch.setattr(demo_text, "_packages", lambda: [Document("c", "k", "p", "  \n")])
    assert [document.id for document in collect()] == ["a"]


def test_the_demo_accounts_for_everything_and_shows_three_pairs(made):
    folder, said = made
    report = json.loads((folder / "curated" / "report.json").read_text())
    counts = report["documents"]
    records = read(sorted((folder / "shards").iterdir()))
    assert counts["input"] == len(records) == counts["kept"] + counts["dropped"]
    assert counts["quarantined"] == 0
    near = next(row for row in report["stages"] if row["label"] == "minhash")
    assert near["dropped"] >= 20  # the standard library alone has that many
    for number in (1, 2, 3):
        assert f"Removed {number}: " in said
    assert "Removed 4: " not in said
    assert str(folder / "curated" / "dropped") in said
    assert "\x1b" not in said


def test_the_pairs_are_what_dropped_and_data_say(made):
    folder, _ = made
    out = folder / "curated"
    texts = {record["id"]: record["text"] for record in read(sorted((folder / "shards").iterdir()))}
    kept = set(pq.read_table(out / "data", columns=["id"])["id"].to_pylist())
    found = pairs(out)
    assert len(found) == 3
    assert any(pair.stage == "minhash" and pair.similarity < 1 for pair in found)
    for pair in found:
        assert pair.kept_id in kept
        assert pair.dropped_id not in kept
        assert pair.dropped_id in texts
        assert isinstance(pair, Pair)


def test_a_second_demo_keeps_a_changed_recipe(tmp_path, monkeypatch):
    few = [Document(f"d{n}", "docstring", "python", f"{'some words of a document ' * 9}{n // 2}") for n in range(40)]
    monkeypatch.setattr(demo, "collect", lambda: few)
    folder = tmp_path / "demo-out"
    first = call("--output", folder)
    assert first.exit_code == 0, first.stderr
    assert "40 documents were collected into 1 shards" in first.stdout
    recipe = folder / "recipe.yaml"
    recipe.write_text(recipe.read_text().replace("min_words: 20", "min_words: 21"))
    second = call("--quiet", "--output", folder)
    assert (second.exit_code, second.stdout, second.stderr) == (0, "", "")
    report = json.loads((folder / "curated" / "report.json").read_text())
    assert next(row for row in report["stages"] if row["label"] == "length")["thresholds"] == {"min_words": 21}


def test_a_folder_with_something_else_is_left_alone(tmp_path):
    (tmp_path / "thesis.txt").write_text("mine")
    done = call("--output", tmp_path)
    assert done.exit_code == 1
    assert done.stderr == (
        f"error: {tmp_path} holds something else than a demo. Choose another folder with --output.\n"
    )
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_bundled_recipes_are_valid():
    folder = bundled_recipe("demo.yaml").parent
    names = sorted(path.name for path in folder.glob("*.yaml"))
    assert {"demo.yaml", "example.yaml", "gopher.yaml", "tag_only.yaml"} <= set(names)
    for name in names:
        spec = load_recipe(folder / name)
        assert spec.base == folder
        assert spec.stages
