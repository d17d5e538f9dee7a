"""The house's own rules."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import orjson
import pytest
import zstandard
from support.engine import sentence

import corpuscurate
from corpuscurate.core.stage import stage_classes
from corpuscurate.engine.check_index import check_last_edits
from corpuscurate.recipe.load import load_recipe

ROOT = Path(__file__).parents[2]
SOURCES = sorted((ROOT / "corpuscurate").rglob("*.py"))
STAGES = sorted(path.stem for path in (ROOT / "corpuscurate" / "stages").glob("*.py") if path.stem != "__init__")


def project() -> dict:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())


def test_the_rules_have_something_to_look_at():
    assert len(SOURCES) > 40
    assert {"normalize", "length", "where", "gopher_quality", "exact", "minhash"} <= set(STAGES)


def test_a_stage_has_one_name_in_recipes_files_and_tests():
    words = {word for word, model in stage_classes().items() if model.__module__.startswith("corpuscurate.")}
    assert words == set(STAGES)
    for word in words:
        assert stage_classes()[word].__module__ == f"corpuscurate.stages.{word}"
        assert (ROOT / "tests" / "stages" / f"test_{word}.py").is_file(), word


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_file_has_one_idea(path):
    text = path.read_text()
    assert not re.search(r"\b(TODO|FIXME|XXX)\b", text)
    assert not text or text.startswith(('"""', "#!")), "a file begins with what it is for"


def test_no_two_test_files_share_a_name():
    names = [path.name for path in (ROOT / "tests").rglob("test_*.py")]
    assert sorted(set(names)) == sorted(names)


def test_naive_twins_never_import_the_package():
    for path in (ROOT / "tests" / "naive").glob("*.py"):
        assert not re.search(r"^\s*(from|import) corpuscurate", path.read_text(), re.MULTILINE), path.name


def test_the_two_commands_are_in_the_readme_and_in_make():
    readme = (ROOT / "README.md").read_text()
    blocks = re.findall(r"```sh\n(.*?)```", readme, re.DOTALL)
    assert "make demo\n" in blocks
    assert "make test\n" in blocks
    makefile = (ROOT / "Makefile").read_text()
    assert re.search(r"^demo: ", makefile, re.MULTILINE)
    assert re.search(r"^test: ", makefile, re.MULTILINE)


def test_continuous_integration_runs_the_readme_test_command():
    script = ROOT / ".ci" / "run"
    assert script.stat().st_mode & 0o111
    assert re.search(r"^step make test$", script.read_text(), re.MULTILINE)


def test_what_make_runs_is_there():
    for script in re.findall(r"python (scripts/\S+\.py)", (ROOT / "Makefile").read_text()):
        assert (ROOT / script).is_file(), script


def readme_blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The current folder, with the input that the README speaks of: a short document, one and its copy, others."""
    texts = {f"d{number}": sentence(number) for number in range(20)}
    texts |= {"short": "too short", "my-document": texts["d3"]}
    lines = b"".join(orjson.dumps({"id": name, "text": text}) + b"\n" for name, text in texts.items())
    (tmp_path / "shards").mkdir()
    (tmp_path / "shards" / "a.jsonl.zst").write_bytes(zstandard.compress(lines))
    (tmp_path / "recipe.yaml").write_text(readme_blocks("yaml")[0])
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_readme_recipes_are_right(folder):
    _, *others = readme_blocks("yaml")
    spec = load_recipe(folder / "recipe.yaml")
    assert [stage.label for stage in spec.stages] == ["normalize", "length", "gopher_quality", "exact", "minhash"]
    seen = []
    for stages in others:
        (folder / "other.yaml").write_text(f"input: {{paths: shards}}\noutput: {{path: out}}\n{stages}")
        made = load_recipe(folder / "other.yaml").stages
        check_last_edits(made)
        seen += [stage.word for stage in made]
    assert set(seen) == {"language", "minhash", "normalize", "url_filter", "markup", "blocklist", "pii"}


def test_the_python_of_the_readme_runs(folder, capsys):
    """One block after the other, as a reader would: what a block leaves is there for the next one."""
    pipeline, in_memory, query = readme_blocks("python")
    names: dict = {}
    exec(pipeline, names)  # noqa: S102
    assert names["report"]["documents"] == {"input": 22, "kept": 20, "dropped": 2, "quarantined": 0}
    assert {row["label"] for row in names["report"]["stages"]} == {"length", "exact"}
    assert "- exact" in capsys.readouterr().out
    exec(in_memory, names)  # noqa: S102
    assert names["result"].kept["text"].to_list() == ["one text", "another text"]
    assert names["result"].dropped["stage"].to_pylist() == ["exact"]
    assert capsys.readouterr().out.endswith("{'input': 3, 'kept': 2, 'dropped': 1, 'quarantined': 0}\n")
    exec(query, names)  # noqa: S102
    told = capsys.readouterr().out
    assert " exact " in told
    assert " d3 " in told


def test_links_of_the_documents_lead_somewhere():
    for name in ("README.md", "DESIGN.md", "CHANGELOG.md", "STYLE.md", "CONTRIBUTING.md"):
        for target in re.findall(r"\]\((?!https?://)([^)#]+)", (ROOT / name).read_text()):
            assert (ROOT / target).exists(), f"{name}: {target}"


def test_the_changelog_says_of_every_release_whether_output_changed():
    releases = re.split(r"^## ", (ROOT / "CHANGELOG.md").read_text(), flags=re.MULTILINE)[1:]
    assert corpuscurate.__version__ in releases[0].splitlines()[0]
    for release in releases:
        assert re.search(r"^Output changes: \S", release, re.MULTILINE), release.splitlines()[0]


def test_layers():
    linter = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run([linter, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="not a git checkout")
def test_nothing_that_is_made_here_is_in_the_repository():
    listed = ["git", "ls-files", "--cached", "--ignored", "--exclude-standard"]
    done = subprocess.run(listed, cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[:5] == []
