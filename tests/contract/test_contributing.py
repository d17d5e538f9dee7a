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
from support import forked

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


def write(copy, *guides):
    """What the guides say to write, in the places they name; the files' names."""
    names = []
    for guide in guides:
        files = files_of(guide.title)
        assert tuple(name for name, _ in files) == guide.files
        for name, content in files:
            assert not (copy / name).exists()
            (copy / name).write_text(content, encoding="utf-8")
            names.append(name)
    return names


TOGETHER = [pytest.param(GUIDES, id="all in one copy")]
ALONE = [pytest.param([guide], id=guide.word) for guide in GUIDES]


@pytest.mark.parametrize("guides", TOGETHER + ALONE)
@pytest.mark.campaign(len(TOGETHER + ALONE))
def test_guides(copy, guides):
    """All guides, in one copy; in the full form each of them in a copy of its own, too."""
    names = write(copy, *guides)
    wanted = sorted({f"{CONTRACT}/{guide.contract}" for guide in guides} | {guide.files[1] for guide in guides})
    words = " or ".join(guide.word for guide in guides)
    tests = run(copy, "-m", "pytest", "-p", "no:cacheprovider", "-n", "0", "-rA", "-k", words, *wanted)
    assert tests.returncode == 0, tests.stdout + tests.stderr
    passed = re.findall(r"^PASSED (.*)$", tests.stdout, re.MULTILINE)
    for guide in guides:
        files = {f"{CONTRACT}/{guide.contract}", guide.files[1]}
        own = [each.partition("::")[0] for each in passed if guide.word in each and each.partition("::")[0] in files]
        assert set(own) == files
        assert len(own) >= guide.least

    for command in (("ruff", "check"), ("ruff", "format", "--check")):
        styled = run(copy, "-m", *command, *names)
        assert styled.returncode == 0, styled.stdout

    uses = [["run", recipe_of(copy / guide.word, guide), "--workers", "1"] for guide in guides]
    used = run(copy, "-c", COMMANDS, json.dumps([*uses, *([["stages", "digits"]] if GUIDES[0] in guides else [])]))
    assert used.returncode == 0, used.stderr
    for guide in guides:
        (part,) = (copy / guide.word).rglob("out/data/*")
        if guide.kept:
            assert tuple(pq.read_table(part)["text"].to_pylist()) == guide.kept
        else:
            assert (part.name, part.read_text(encoding="utf-8")) == ("part-00000.tsv", "0\tab1\n1\ta23\n2\tb\\tc\n")
    if GUIDES[0] in guides:  # the catalogue tells of it
        assert "max_digit_ratio" in used.stdout
        assert "made of numbers" in used.stdout or "Drops documents" in used.stdout


COMMANDS = """
import json, sys
from corpuscurate.__main__ import main
for arguments in json.loads(sys.argv[1]):
    sys.argv = ["corpuscurate", *arguments]
    try:
        main()
    except SystemExit as end:
        assert not end.code, (arguments, end.code)
"""
"""Commands of `corpuscurate`, one after the other in one Python."""


def recipe_of(folder, guide):
    """The recipe of a guide beside its input, in a folder of its own."""
    name, content = guide.input
    (folder / name).parent.mkdir(parents=True)
    (folder / name).write_text(content, encoding="utf-8")
    recipe = (folder / name).parent / "recipe.yaml"
    recipe.write_text(guide.recipe, encoding="utf-8")
    return str(recipe)


def test_code_without_a_package(tmp_path):
    """The filter of the guide, as a plain file beside a recipe."""
    (tmp_path / "my_filters.py").write_text(files_of(GUIDES[0].title)[0][1], encoding="utf-8")
    (tmp_path / "a.jsonl").write_text(LINES, encoding="utf-8")
    (item,) = re.findall(r"^  - (\{python: .*\})$", GUIDE, re.MULTILINE)
    (tmp_path / "recipe.yaml").write_text(f"input: {{paths: a.jsonl}}\nstages:\n  - {item}\noutput: {{path: out}}")
    command = ("run", "recipe.yaml", "--workers", "1")
    assert forked.start(forked.command, *command, cwd=tmp_path).wait().returncode == 2
    used = forked.start(forked.command, *command, "--allow-code", cwd=tmp_path).wait()
    assert used.returncode == 0, used.stderr
    (part,) = (tmp_path / "out" / "data").iterdir()
    assert pq.read_table(part)["text"].to_pylist() == ["b\tc"]
