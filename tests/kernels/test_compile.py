"""Kernels that allocate nothing, and what becomes of the arrays that they are given."""

import ast
import gc
import multiprocessing
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from numba.core.errors import NumbaError
from support import forked

from corpuscurate.kernels import compile as compile_module
from corpuscurate.kernels.compile import cache_folder, kernel, module_digests, uncounted


class Two(NamedTuple):
    left: np.ndarray
    right: np.ndarray


@uncounted
def fill(two, value):
    for at in range(len(two.left)):
        part = two.left[at:]
        part[0] = value
        two.right[at] = two.left[at] + 1


@kernel
def allocate_and_fill(rounds, out):
    for number in range(rounds):
        two = Two(np.zeros(1000, np.int64), np.zeros(1000, np.int64))
        fill(two, number)
        out[number] = two.right.sum()


@uncounted
def allocates(n):
    return np.zeros(n, np.int64).sum()


def test_leaf_leaves_the_counts_of_its_arrays_as_they_are():
    two = Two(np.zeros(10, np.int64), np.zeros(10, np.int64))
    counts = [sys.getrefcount(each) for each in two]
    for value in range(100):
        fill(two, value)
    gc.collect()
    assert [sys.getrefcount(each) for each in two] == counts
    assert two.left.tolist() == [99] * 10
    assert two.right.tolist() == [100] * 10


def test_leaf_works_on_arrays_that_a_kernel_allocates():
    out = np.empty(10_000, np.int64)
    allocate_and_fill(len(out), out)
    assert (out == 1000 * (np.arange(len(out)) + 1)).all()


def test_leaf_cannot_allocate():
    with pytest.raises(NumbaError, match="array"):
        allocates(3)


def imported(path, package):
    """The files that a source file imports from the package, by Python's own parser."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names.update(each.name for each in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0
            names.update([node.module, *(f"{node.module}.{each.name}" for each in node.names)])
    at = {package.parent.parent.joinpath(*name.split(".")).with_suffix(".py") for name in names}
    return {each for each in at if each.is_relative_to(package) and each.exists()}


def test_compiled_kernels_are_those_of_every_source_file_that_they_are_made_of(tmp_path):
    """A change of a file makes other folders for all that import it, directly or not, and for no other: Numba looks at
    a kernel's own file only (numba#4807)."""
    package = Path(compile_module.__file__).parent
    copy = tmp_path / "corpuscurate" / "kernels"
    shutil.copytree(package, copy, ignore=shutil.ignore_patterns("__pycache__"))
    sources = sorted(copy.rglob("*.py"))
    assert len({source.parent for source in sources}) > 5
    imports = {source: imported(source, copy) for source in sources}

    def digests():
        module_digests.cache_clear()
        return module_digests(copy)

    before = digests()
    assert len(before) == len(sources)
    for changed in sources:
        with changed.open("a") as file:
            file.write("# changed\n")
        after = digests()
        reached = {changed}
        while more := {each for each in sources if imports[each] & reached} - reached:
            reached |= more
        assert {each for each in sources if before[each] != after[each]} == reached
        before = after
    module_digests.cache_clear()
    assert len(reached) < len(sources)


def test_every_form_of_an_import_is_seen(tmp_path):
    room = tmp_path / "kernels"
    for name in ("a", "b/c", "b/d", "e/f", "e/g/h"):
        (room / name).parent.mkdir(parents=True, exist_ok=True)
        (room / f"{name}.py").touch()
    for line, names in {
        "from corpuscurate.kernels.a import (\n    x,\n)": ["a"],
        "def f():\n    import corpuscurate.kernels.a": ["a"],
        "import corpuscurate.kernels.b.c as c": ["b/c"],
        "from corpuscurate.kernels.b import (\n    c,\n)": ["b/c", "b/d"],
        "from corpuscurate.kernels import e": ["a", "b/c", "b/d", "e/f", "e/g/h"],
        "from corpuscurate.core.batch import a": [],
    }.items():
        assert compile_module._imports(room, line.encode()) == {room / f"{name}.py" for name in names}


def test_environments_share_what_was_compiled_and_another_numba_does_not(monkeypatch):
    package = Path(compile_module.__file__).parent
    folder = compile_module._module_folder(package / "text" / "words.py")
    assert re.fullmatch(r"text\.words-[0-9a-f]{16}", folder)
    monkeypatch.setattr(compile_module.numba, "__version__", "0.0")
    module_digests.cache_clear()
    assert compile_module._module_folder(package / "text" / "words.py") != folder
    module_digests.cache_clear()


def test_a_machine_is_cold_until_a_kernel_of_these_sources_is_compiled(monkeypatch, tmp_path):
    monkeypatch.setenv("CORPUSCURATE_CACHE_DIR", str(tmp_path))
    cache_folder.cache_clear()
    assert compile_module.is_cold()
    older = tmp_path / "kernels" / "text.words-0123456789abcdef"
    older.mkdir(parents=True)
    (older / "count_words.nbi").touch()
    assert compile_module.is_cold()
    made = (
        tmp_path / "kernels" / compile_module._module_folder(Path(compile_module.__file__).parent / "text" / "words.py")
    )
    made.mkdir()
    (made / "count_words.nbi").touch()
    assert not compile_module.is_cold()
    cache_folder.cache_clear()


CACHED = """
import sys
from one_kernel import add_one
print(add_one(41), sum(add_one.stats.cache_hits.values()))
"""
KERNEL = """
from corpuscurate.kernels.compile import kernel
@kernel
def add_one(n):
    return n + 1
"""


def run_cached(folder):
    """What a Python does that calls a kernel of its own, whose cache folder is known from the environment."""
    cache_folder.cache_clear()
    sys.path.insert(0, folder)
    exec(CACHED, {})  # noqa: S102  what `python -c` does


def call_kernel(folder):
    """Stdout and stderr of a process that calls a kernel of its own, whose cache is below `folder`."""
    if not (folder / "one_kernel.py").exists():
        (folder / "one_kernel.py").write_text(KERNEL)
    variables = {"CORPUSCURATE_CACHE_DIR": str(folder / "cache")}
    done = forked.start(run_cached, str(folder), environment=variables).wait()
    assert done.returncode == 0, done.stderr
    return done


def test_of_several_processes_one_compiles_and_the_others_wait(tmp_path):
    (tmp_path / "one_kernel.py").write_text(KERNEL)
    variables = {"CORPUSCURATE_CACHE_DIR": str(tmp_path / "cache")}
    started = [forked.start(run_cached, str(tmp_path), environment=variables) for _ in range(3)]
    assert sorted(each.wait().stdout for each in started) == ["42 0\n", "42 1\n", "42 1\n"]


def hold_turn(path, told):
    turn = compile_module.Turn(path)
    Path(told).touch()
    time.sleep(60)
    turn.over()


def test_a_turn_ends_with_its_process_and_nobody_waits_for_ever(tmp_path, monkeypatch):
    lock, told = tmp_path / "lock", tmp_path / "told"
    process = multiprocessing.get_context("fork").Process(target=hold_turn, args=(str(lock), str(told)))
    process.start()
    while not told.exists():
        time.sleep(0.01)
    monkeypatch.setattr(compile_module, "TURN_SECONDS", 0.1)
    turn = compile_module.Turn(str(lock))
    assert turn.waited  # and goes on without it
    turn.over()
    monkeypatch.setattr(compile_module, "TURN_SECONDS", 30)
    process.kill()
    compile_module.Turn(str(lock)).over()
    process.join()
    assert not compile_module.Turn(str(lock)).waited


def test_without_locks_every_process_compiles(tmp_path, monkeypatch):
    def fails(*_):
        raise OSError(37, "No locks available")

    monkeypatch.setattr(compile_module.fcntl, "lockf", fails)
    turn = compile_module.Turn(str(tmp_path / "lock"))
    assert not turn.waited
    turn.over()
    monkeypatch.setattr(compile_module, "fcntl", None)
    assert not compile_module.Turn(str(tmp_path / "lock")).waited


def test_a_python_that_is_started_finds_what_another_one_compiled(tmp_path):
    assert call_kernel(tmp_path).stdout == "42 0\n"
    env = {**os.environ, "CORPUSCURATE_CACHE_DIR": str(tmp_path / "cache")}
    env["PYTHONPATH"] = os.pathsep.join([str(tmp_path), *sys.path])
    done = subprocess.run([sys.executable, "-c", CACHED], capture_output=True, text=True, env=env, check=True)
    assert (done.stdout, done.stderr) == ("42 1\n", "")


def test_a_broken_file_of_the_cache_costs_a_compilation(tmp_path):
    """Cut to nothing, cut short, a bit flipped, other text: each is found, told once, and made good."""
    assert call_kernel(tmp_path).stdout == "42 0\n"
    assert call_kernel(tmp_path).stdout == "42 1\n"
    index, code = (next((tmp_path / "cache").rglob(f"*{suffix}")) for suffix in (".nbi", ".nbc"))
    for path in (index, code):
        whole = path.read_bytes()
        at = 3 * len(whole) // 4
        flipped = whole[:at] + bytes([whole[at] ^ 4]) + whole[at + 1 :]
        for content in (b"", whole[:2], whole[: len(whole) // 2], flipped, b"text " * 100):
            path.write_bytes(content)
            done = call_kernel(tmp_path)
            assert done.stdout == "42 0\n"
            assert done.stderr.count("holds a broken file") == 1
            assert str(tmp_path / "cache") in done.stderr
            assert call_kernel(tmp_path).stdout == "42 1\n"
        path.unlink()
        assert call_kernel(tmp_path).stdout == "42 0\n"


def test_a_cache_that_cannot_be_written_or_read_ends_nothing(monkeypatch, tmp_path, caplog):
    monkeypatch.setenv("CORPUSCURATE_CACHE_DIR", str(tmp_path / "cache"))
    cache_folder.cache_clear()
    monkeypatch.setattr(compile_module, "_WARNED", set())

    def fails(*_):
        raise OSError(28, "No space left on device")

    @kernel
    def add_two(n):
        return n + 2

    with monkeypatch.context() as patched:
        patched.setattr(compile_module._CheckedFile, "save", fails)
        assert add_two(1) == 3
        assert add_two(1.5) == 3.5
    assert [record.message.count("cannot be written") for record in caplog.records] == [1]
    assert str(tmp_path / "cache") in caplog.text

    caplog.clear()
    with monkeypatch.context() as patched:
        patched.setattr(compile_module._CheckedFile, "load", fails)

        @kernel
        def add_three(n):
            return n + 3

        assert add_three(1) == 4
        patched.setattr(compile_module, "_HelpfulCache", fails)

        @kernel
        def add_four(n):
            return n + 4

        assert add_four(1) == 5
    assert "cannot be read" in caplog.text
    cache_folder.cache_clear()
