"""The Python and Numba versions that are claimed, and what CI's full form makes of them."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from scripts import python_versions

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
CLAIMED = ["3.11", "3.12", "3.13", "3.14"]


def test_one_range_of_python_is_claimed_everywhere():
    assert python_versions.claimed() == CLAIMED
    assert PROJECT["requires-python"] == ">=3.11,<3.15"
    order = re.search(r"for p in ([^;]*);", (ROOT / "Makefile").read_text())[1].split()
    assert order == [*(f"python{version}" for version in CLAIMED), "python3", "python"]


def test_numba_and_llvmlite_have_both_bounds():
    """Kernels use what neither documents: `tests/kernels/test_numba_options.py`."""
    for name in ("numba", "llvmlite"):
        (spec,) = [each for each in PROJECT["dependencies"] if each.startswith(name)]
        assert re.fullmatch(rf"{name}>=[\d.]+,<[\d.]+", spec), spec


def test_the_full_form_of_ci_runs_what_is_documented():
    script = (ROOT / ".ci" / "run").read_text()
    short, full = script.split('if [[ "$full" == yes ]]')
    contributing = (ROOT / "CONTRIBUTING.md").read_text()
    assert "`.ci/run --full`" in contributing
    for target in ("generic", "bounds", "versions"):
        assert f"step make {target}" in full
        assert f"step make {target}" not in short
        assert f"`make {target}`" in contributing
    done = subprocess.run([ROOT / ".ci" / "run", "--all"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (2, ".ci/run: '--all' is not known; there is --full\n")


def test_a_python_that_cannot_be_found_is_named(monkeypatch, capsys):
    monkeypatch.setattr(python_versions, "resolved", lambda version, extras: True)
    monkeypatch.setattr(python_versions, "tried", lambda python, version: True)
    own = "{}.{}".format(*sys.version_info)
    monkeypatch.setattr(sys, "argv", ["python_versions.py", own, "3.99"])
    python_versions.main()
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"-- Python {own}: {sys.executable}"
    assert lines[1] == "-- Python 3.99: no interpreter found here"
    assert lines[-1] == "NOT TRIED, for want of an interpreter: Python 3.99"


def test_a_python_without_wheels_or_that_fails_is_an_error(monkeypatch):
    monkeypatch.setattr(python_versions, "resolved", lambda version, extras: version != "3.99")
    monkeypatch.setattr(python_versions, "tried", lambda python, version: False)
    own = "{}.{}".format(*sys.version_info)
    monkeypatch.setattr(sys, "argv", ["python_versions.py", own, "3.99", "3.98"])
    with pytest.raises(SystemExit, match=rf"failed: Python {own}, 3\.99$"):
        python_versions.main()
