"""The worked examples of CONTRIBUTING.md work: each is carried out in a copy of the project."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pyarrow.parquet as pq
import pytest

ROOT = Path(__file__).parents[2]
GUIDE = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
CONTRACT = "tests/contract"


@dataclass(frozen=True)
class Guide:
    """title: of the section. word: what its tests are chosen by. contract: file of contract tests. least: tests of it
    that must pass, with its own. recipe, input: what it is used for once; kept: the texts of data/, where Parquet."""

    title: str
    word: str
    files: tuple[str, str]
    contract: str
    least: int
    recipe: str
    input: tuple[str, str]
    kept: tuple[str, ...] = ()


LINES = "".join(
    json.dumps({"id": str(i), "text": text, "site": text[:1]}) + "\n" for i, text in enumerate(["ab1", "a23", "b\tc"])
)
GUIDES = [
    Guide(
        "Add a filter in ten minutes",
        "digits",
        ("corpuscurate/stages/digits.py", "tests/stages/test_digits.py"),
        "test_stages.py",
        15,
        "input: {paths: a.jsonl}\nstages: [{digits: {max_digit_ratio: 0.4}}]\noutput: {path: out}",
        ("a.jsonl", LINES),
        ("ab1", "b\tc"),
    ),
    Guide(
        "Add a reader",
        "lines",
        ("corpuscurate/io/lines.py", "tests/io/test_lines_reader.py"),
        "test_formats.py",
        12,
        "input: {paths: .}\noutput: {path: ../out}",
        ("shards/a.lines", "one\ntwo\n"),
        ("one", "two"),
    ),
    Guide(
        "Add a writer",
        "tsv",
        ("corpuscurate/io/tsv.py", "tests/io/test_tsv.py"),
        "test_formats.py",
        6,
        "input: {paths: a.jsonl, id: id}\noutput: {path: out, format: tsv}",
        ("a.jsonl", LINES),
    ),
    Guide(
        "Add an embedder",
        "trigrams",
        ("corpuscurate/methods/embed/trigrams.py", "tests/methods/embed/test_trigrams.py"),
        "test_embedders.py",
        5,
        "input: {paths: a.jsonl}\nstages: [{embed: {embedder: {kind: trigrams, dimension: 64}}}]\noutput: {path: out}",
        ("a.jsonl", LINES),
        ("ab1", "a23", "b\tc"),
    ),
    Guide(
        "Add a global stage",
        "at_most",
        ("corpuscurate/stages/at_most.py", "tests/stages/test_at_most.py"),
        "test_stages.py",
        10,
        "input: {paths: a.jsonl}\nstages: [{at_most: {column: site, documents: 1}}]\noutput: {path: out}",
        ("a.jsonl", LINES),
        ("ab1", "b\tc"),
    ),
]


@pytest.fixture
def copy(tmp_path):
    """A copy of the project, its bytecode too, but for the kernels: those are the project's own, which are compiled."""
    for name in ("corpuscurate", "tests"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("kernels"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    with (tmp_path / "corpuscurate" / "__init__.py").open("a", encoding="utf-8") as file:
        file.write(f"\n__path__.append({str(ROOT / 'corpuscurate')!r})\n")
    return tmp_path


def run(folder, *command):
    environment = {**os.environ, "PYTHONPATH": str(folder), "NO_COLOR": "1", "COLUMNS": "120"}
    return subprocess.run(
        [sys.executable, *command], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )


def files_of(title):
    section = re.split(r"^## ", GUIDE[GUIDE.index(f"## {title}\n") + 3 :], maxsplit=1, flags=re.MULTILINE)[0]
    return re.findall(r"^`(\S+\.py)`:\n\n```python\n(.*?)^```", section, re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("guide", GUIDES, ids=lambda guide: guide.word)
def test_a_guide(copy, guide):
    files = files_of(guide.title)
    assert tuple(name for name, _ in files) == guide.files
    for name, content in files:
        assert not (copy / name).exists()
        (copy / name).write_text(content, encoding="utf-8")

    wanted = (f"{CONTRACT}/{guide.contract}", guide.files[1])
    tests = run(copy, "-m", "pytest", "-p", "no:cacheprovider", "-n", "0", "-k", guide.word, *wanted)
    assert tests.returncode == 0, tests.stdout + tests.stderr
    assert int(re.search(r"(\d+) passed", tests.stdout)[1]) >= guide.least

    for command in (("ruff", "check"), ("ruff", "format", "--check")):
        styled = run(copy, "-m", *command, *guide.files)
        assert styled.returncode == 0, styled.stdout

    name, content = guide.input
    (copy / "use" / name).parent.mkdir(parents=True)
    (copy / "use" / name).write_text(content, encoding="utf-8")
    recipe = (copy / "use" / name).parent / "recipe.yaml"
    recipe.write_text(guide.recipe, encoding="utf-8")
    used = run(copy, "-m", "corpuscurate", "run", str(recipe), "--workers", "1")
    assert used.returncode == 0, used.stderr
    (part,) = (copy / "use" / "out" / "data").iterdir()
    if guide.kept:
        assert tuple(pq.read_table(part)["text"].to_pylist()) == guide.kept
    else:
        assert (part.name, part.read_text(encoding="utf-8")) == ("part-00000.tsv", "0\tab1\n1\ta23\n2\tb\\tc\n")


def test_a_guide_tells_the_catalogue(copy):
    guide = GUIDES[0]
    for name, content in files_of(guide.title):
        (copy / name).write_text(content, encoding="utf-8")
    told = run(copy, "-m", "corpuscurate", "stages", "digits")
    assert told.returncode == 0, told.stderr
    assert "max_digit_ratio" in told.stdout
    assert "made of numbers" in told.stdout or "Drops documents" in told.stdout


def test_code_without_a_package(copy):
    """The filter of the guide, as a plain file beside a recipe."""
    (copy / "my_filters.py").write_text(files_of(GUIDES[0].title)[0][1], encoding="utf-8")
    (copy / "a.jsonl").write_text(LINES, encoding="utf-8")
    (item,) = re.findall(r"^  - (\{python: .*\})$", GUIDE, re.MULTILINE)
    (copy / "recipe.yaml").write_text(f"input: {{paths: a.jsonl}}\nstages:\n  - {item}\noutput: {{path: out}}")
    assert run(copy, "-m", "corpuscurate", "run", "recipe.yaml").returncode == 2
    used = run(copy, "-m", "corpuscurate", "run", "recipe.yaml", "--allow-code", "--workers", "1")
    assert used.returncode == 0, used.stderr
    (part,) = (copy / "out" / "data").iterdir()
    assert pq.read_table(part)["text"].to_pylist() == ["b\tc"]
