"""Kernels that allocate nothing, and what becomes of the arrays that they are given."""

import gc
import shutil
import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from numba.core.errors import NumbaError

from corpuscurate.kernels import compile as compile_module
from corpuscurate.kernels.compile import cache_folder, kernel, uncounted


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


def test_compiled_kernels_are_those_of_every_source_file(tmp_path, monkeypatch):
    """A change in any family makes another cache folder: Numba looks at a kernel's own file only (numba#4807)."""
    package = Path(compile_module.__file__).parent
    sources = sorted(package.rglob("*.py"))
    assert len({source.parent for source in sources}) > 5
    copy = tmp_path / "kernels"
    shutil.copytree(package, copy, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setenv("CORPUSCURATE_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setattr(compile_module, "__file__", str(copy / "compile.py"))
    folders = set()
    for source in [None, *sources]:
        if source is not None:
            with (copy / source.relative_to(package)).open("a") as file:
                file.write("# changed\n")
        cache_folder.cache_clear()
        folders.add(cache_folder())
    cache_folder.cache_clear()
    assert len(folders) == 1 + len(sources)
