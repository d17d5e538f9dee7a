"""The worked example of CONTRIBUTING.md works: it is carried out in a copy of the project."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def copy(tmp_path):
    for name in ("corpuscurate", "tests", "pyproject.toml"):
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, tmp_path / name)
    return tmp_path


def run(folder, *command):
    environment = {**os.environ, "PYTHONPATH": str(folder), "NO_COLOR": "1", "COLUMNS": "120"}
    return subprocess.run(
        [sys.executable, *command], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )


def test_the_ten_minutes_filter(copy):
    guide = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    files = re.findall(r"^`(\S+\.py)`:\n\n```python\n(.*?)^```", guide, re.MULTILINE | re.DOTALL)
    assert [name for name, _ in files] == ["corpuscurate/stages/digits.py", "tests/stages/test_digits.py"]
    for name, content in files:
        (copy / name).write_text(content, encoding="utf-8")

    wanted = ("tests/contract/test_stages.py", "tests/stages/test_digits.py")
    tests = run(copy, "-m", "pytest", "-p", "no:cacheprovider", "-k", "digits", *wanted)
    assert tests.returncode == 0, tests.stdout + tests.stderr
    assert int(re.search(r"(\d+) passed", tests.stdout)[1]) >= 15

    told = run(copy, "-m", "corpuscurate", "stages", "digits")
    assert told.returncode == 0, told.stderr
    assert "max_digit_ratio" in told.stdout
    assert "made of numbers" in told.stdout or "Drops documents" in told.stdout

    for command in (("ruff", "check"), ("ruff", "format", "--check")):
        styled = run(copy, "-m", *command, *(name for name, _ in files))
        assert styled.returncode == 0, styled.stdout
