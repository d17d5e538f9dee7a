"""The set-up that `make` does, with a Python that only writes down what it is asked."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")

FAKE = """#!/bin/sh
echo "$*" >> "{log}"
case "$*" in
  "-m venv "*) test -z "$NO_VENV" || exit 1
    mkdir -p "$3/bin" && cp "$0" "$3/bin/python" && printf '#!/bin/sh\\necho "corpuscurate $*" >> "{log}"\\n' \
      > "$3/bin/corpuscurate" && chmod +x "$3/bin/corpuscurate" ;;
  "-m virtualenv "*) NO_VENV= "$0" -m venv .venv ;;
  *"pip "*install*) test -z "$NO_NET" || exit 1 ;;
  *pytest*) test -z "$PYTHONDONTWRITEBYTECODE" || echo "without bytecode" >> "{log}" ;;
esac
"""


@pytest.fixture
def checkout(tmp_path):
    for name in ("Makefile", "pyproject.toml", "constraints.txt"):
        shutil.copy(ROOT / name, tmp_path / name)
    fake = tmp_path / "fake-python"
    fake.write_text(FAKE.format(log=tmp_path / "log"))
    fake.chmod(0o755)
    return tmp_path


def call(checkout: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """`make` as from a shell, though these tests may themselves be run by `make`."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("MAKE", "MFLAGS", "PYTEST"))}
    return subprocess.run(
        ["make", *arguments],
        cwd=checkout,
        capture_output=True,
        text=True,
        check=False,
        env={**kept, **environment},
    )


def make(checkout: Path, *targets: str, **environment: str) -> tuple[int, list[str]]:
    """Exit code and what Python was asked, in order."""
    log = checkout / "log"
    log.unlink(missing_ok=True)
    done = call(checkout, *targets, f"PYTHON={checkout / 'fake-python'}", **environment)
    asked = log.read_text().splitlines() if log.exists() else []
    return done.returncode, asked


INSTALL = "-m pip --disable-pip-version-check --no-input install --quiet"
PIP = f"{INSTALL} --editable"
PIP_DEV = f"{INSTALL} --constraint constraints.txt --editable .[all,dev]"


def test_the_set_up_is_done_once(checkout):
    assert make(checkout, "demo") == (0, ["-m venv .venv", f"{PIP} .", "corpuscurate demo --output demo-out"])
    assert make(checkout, "demo") == (0, ["corpuscurate demo --output demo-out"])
    run = "-m pytest -n auto --dist loadfile --no-loadscope-reorder"
    assert make(checkout, "test") == (0, [PIP_DEV, run])
    assert make(checkout, "test", "PYTEST_ARGS=-k x", PYTHONDONTWRITEBYTECODE="1") == (0, [f"{run} -k x"])
    assert make(checkout, "demo") == (0, ["corpuscurate demo --output demo-out"])


def test_tests_first(checkout):
    code, asked = make(checkout, "test")
    assert (code, asked[:2]) == (0, ["-m venv .venv", PIP_DEV])
    assert make(checkout, "demo") == (0, ["corpuscurate demo --output demo-out"])


def test_the_set_up_is_done_again_when_the_project_file_changes(checkout):
    make(checkout, "demo")
    stamp = (checkout / ".venv" / ".installed").stat().st_mtime
    os.utime(checkout / "pyproject.toml", (stamp + 5, stamp + 5))
    assert make(checkout, "demo")[1] == [f"{PIP} .", "corpuscurate demo --output demo-out"]


def test_a_set_up_that_failed_is_tried_again(checkout):
    code, asked = make(checkout, "demo", NO_NET="1")
    assert (code, asked) == (2, ["-m venv .venv", f"{PIP} ."])
    assert make(checkout, "demo")[1] == [f"{PIP} .", "corpuscurate demo --output demo-out"]


def test_a_python_without_venv(checkout):
    code, asked = make(checkout, "demo", NO_VENV="1")
    assert code == 0
    assert asked[:3] == [
        "-m venv .venv",
        "-m pip install --quiet --target build/virtualenv virtualenv",
        "-m virtualenv --quiet .venv",
    ]


def test_no_python_is_a_plain_message(checkout):
    done = call(checkout, "demo", "PYTHON=")
    assert done.returncode == 2
    assert "make: Python 3.11 or later is needed, and none was found\n" in done.stderr


def test_help_and_clean(checkout):
    make(checkout, "demo")
    done = call(checkout)
    assert done.stdout.splitlines()[0].startswith("help")
    assert {line.split()[0] for line in done.stdout.splitlines()} >= {
        "demo",
        "test",
        "lint",
        "format",
        "bench",
        "clean",
    }
    assert make(checkout, "clean")[0] == 0
    assert not (checkout / ".venv").exists()
