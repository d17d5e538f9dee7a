"""What `import corpuscurate` gives: names at first use, stages by class, a sentence where it is not set up."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import corpuscurate
import corpuscurate.stages
from corpuscurate.core.stage import stage_classes

ROOT = Path(__file__).parents[2]
OWN = {kind.__name__: kind for kind in stage_classes().values() if kind.__module__.startswith("corpuscurate.stages.")}


def python(code: str, *options: str) -> subprocess.CompletedProcess[str]:
    """Run code with this tree at the front of the path."""
    code = f"import sys; sys.path.insert(0, {str(ROOT)!r})\n{code}"
    return subprocess.run([sys.executable, *options, "-c", code], capture_output=True, text=True, check=False)


def test_the_names_of_the_package():
    assert set(corpuscurate.__all__) == set(corpuscurate._HOMES) | {"__version__"}
    assert set(corpuscurate.__all__) <= set(dir(corpuscurate))
    for name in corpuscurate.__all__:
        assert getattr(corpuscurate, name) is not None
    with pytest.raises(AttributeError, match="has no attribute 'Pipelin'"):
        corpuscurate.Pipelin  # noqa: B018


def test_the_import_loads_nothing_else_and_is_quick():
    timed = (
        "import time; t = time.perf_counter(); import corpuscurate, corpuscurate.stages; t = time.perf_counter() - t"
    )
    heavy = "[name for name in ('numpy', 'pyarrow', 'numba', 'pydantic', 'corpuscurate.core') if name in sys.modules]"
    found = [python(f"{timed}\nprint({heavy}, t < 0.1)").stdout for _ in range(5)]
    assert "[] True\n" in found  # the quickest: others may have met a busy machine


def test_every_stage_by_its_class():
    assert set(dir(corpuscurate.stages)) == set(OWN)
    for name, kind in OWN.items():
        assert getattr(corpuscurate.stages, name) is kind
        assert kind.__name__.lower() == kind.word.replace("_", "")  # or its import loads all files
    with pytest.raises(AttributeError, match=r"no attribute 'MinHsh'\. The nearest names are: MinHash"):
        corpuscurate.stages.MinHsh  # noqa: B018


def test_a_stage_is_loaded_alone_and_all_by_a_star():
    done = python(
        "from corpuscurate.stages import Length, length\n"
        "print([n for n in sys.modules if n.startswith('corpuscurate.stages.')], Length is length.Length)\n"
        "from corpuscurate.stages import *\nprint(MinHash.word)"
    )
    assert done.stdout == "['corpuscurate.stages.length'] True\nminhash\n", done.stderr


def test_a_source_tree_that_is_not_installed_runs():
    missing = (
        "import importlib.metadata as m\nfound = m.version\n"
        "def version(name):\n    if name == 'corpuscurate': raise m.PackageNotFoundError(name)\n"
        "    return found(name)\n"
        "m.version = version\n"
        "import pyarrow as pa\nfrom corpuscurate import __version__, curate\n"
        "report = curate(pa.table({'text': ['a']}), []).report\nassert report['corpuscurate'] == __version__"
    )
    done = python(missing)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    "code",
    [
        "from corpuscurate import Pipeline",
        "from corpuscurate.stages import Exact",
        "from corpuscurate.__main__ import main; main()",
    ],
)
def test_without_its_packages_there_is_a_sentence(code):
    done = python(code, "-I", "-S")
    last = done.stderr.strip().splitlines()[-1]
    assert re.search(r"corpuscurate needs the package '\w+', which this Python does not have\..*pip install", last), (
        last
    )
    assert "main()" not in code or last == done.stderr.strip()


def test_the_extra_all_has_every_other_one():
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert extras["all"] == [f"corpuscurate[{','.join(each for each in extras if each not in ('all', 'dev'))}]"]
