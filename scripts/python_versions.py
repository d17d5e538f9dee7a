"""Does every Python that pyproject.toml claims install, import and run this package? Exit 1 where one does not.

    python scripts/python_versions.py [3.12 ...]

For each version in the classifiers, an interpreter is looked for: on PATH, in pyenv, with uv. Where there is one, the
package and its extras go into a new environment in build/, every module is imported, and two workers curate a few
documents. Where there is none, that is said, and pip's resolver tells whether every dependency has a wheel for it.
The extra `embed` is resolved only, under each version: it brings torch, which is gigabytes.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

HOME = Path(__file__).parent.parent
EXTRAS = "labels,fasttext,ftfy,semantic,map"
PLATFORMS = ("manylinux2014_x86_64", "manylinux_2_17_x86_64", "manylinux_2_27_x86_64", "manylinux_2_28_x86_64")
PROGRAM = """
import importlib, pkgutil, sys
import corpuscurate
for each in pkgutil.walk_packages(corpuscurate.__path__, "corpuscurate."):
    if not each.name.endswith("__main__"):
        importlib.import_module(each.name)
from corpuscurate import curate
rows = [{"id": str(i), "text": "word " * i} for i in range(40)]
kept = curate(rows, ["normalize", {"length": {"min_words": 20}}], workers=2).kept
assert len(kept) == 20, len(kept)
import numba
print("Python", sys.version.split()[0], "with numba", numba.__version__)
"""


def claimed() -> list[str]:
    """The versions of the classifiers, such as "3.12"."""
    project = tomllib.loads((HOME / "pyproject.toml").read_text())["project"]
    names = [each.rpartition(" :: ")[2] for each in project["classifiers"] if each.startswith("Programming Language")]
    return [name for name in names if name.startswith("3.")]


def runs(python: str, version: str) -> bool:
    """Whether it is an interpreter of that version that can be started."""
    check = f"import sys; sys.exit(sys.version_info[:2] != tuple(map(int, {version!r}.split('.'))))"
    try:
        return subprocess.run([python, "-c", check], capture_output=True, check=False).returncode == 0
    except OSError:
        return False


def interpreter(version: str) -> str | None:
    """An interpreter of that version: this one, one on PATH, of pyenv, or of uv."""
    pyenv = Path(os.environ.get("PYENV_ROOT", Path("~/.pyenv").expanduser())) / "versions"
    names = [sys.executable, f"python{version}", *map(str, sorted(pyenv.glob(f"{version}*/bin/python")))]
    if shutil.which("uv"):
        found = subprocess.run(["uv", "python", "find", version], capture_output=True, text=True, check=False)
        names += found.stdout.split()
    return next((name for name in names if runs(name, version)), None)


def tried(python: str, version: str) -> bool:
    """Whether the package can be installed and used in a new environment."""
    folder = HOME / "build" / f"python-{version}"
    shutil.rmtree(folder, ignore_errors=True)
    own = str(folder / "bin" / "python")
    pip = [own, "-m", "pip", "--disable-pip-version-check", "--no-input", "install", "--quiet"]
    with tempfile.TemporaryDirectory() as elsewhere:
        script = Path(elsewhere, "program.py")
        script.write_text(PROGRAM)
        for command in (
            [python, "-m", "venv", str(folder)],
            [*pip, f"{HOME}[{EXTRAS}]"],
            [own, str(script)],
        ):
            env = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
            if subprocess.run(command, cwd=elsewhere, env=env, check=False).returncode:
                return False
    shutil.rmtree(folder)
    return True


def resolved(version: str, extras: str) -> bool:
    """Whether pip finds a wheel of every dependency for that version on Linux, without installing any."""
    with tempfile.TemporaryDirectory() as nowhere:
        command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-input", "install", "--quiet"]
        command += ["--dry-run", "--ignore-installed", "--target", nowhere, "--python-version", version]
        command += ["--only-binary=:all:", *(f"--platform={each}" for each in PLATFORMS), f"{HOME}[{extras}]"]
        return subprocess.run(command, check=False).returncode == 0


def main() -> None:
    failed, missing = [], []
    for version in sys.argv[1:] or claimed():
        python = interpreter(version)
        print(f"-- Python {version}: {python or 'no interpreter found here'}", flush=True)
        if python is None:
            missing.append(version)
            fine = resolved(version, f"{EXTRAS},embed")
            print(f"   pip {'finds' if fine else 'does NOT find'} a wheel of every dependency", flush=True)
        else:
            fine = tried(python, version) and resolved(version, "embed")
        if not fine:
            failed.append(version)
    if missing:
        print(f"NOT TRIED, for want of an interpreter: Python {', '.join(missing)}")
    if failed:
        raise SystemExit(f"failed: Python {', '.join(failed)}")


if __name__ == "__main__":
    main()
