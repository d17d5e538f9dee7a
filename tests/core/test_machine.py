"""Memory and processors of the container: files as the kernel has them, for both versions of cgroups."""

from __future__ import annotations

import os
from pathlib import Path

import psutil
import pytest

from corpuscurate.core import spec
from corpuscurate.core.machine import memory_bytes, processors

MIB = 1 << 20
ALL = int(psutil.virtual_memory().total)
CORES = len(os.sched_getaffinity(0))


def files(folder: Path, own: str, **contents: str) -> tuple[Path, Path]:
    for name, text in contents.items():
        path = folder / "groups" / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text + "\n")
    (folder / "own").write_text(own)
    return folder / "groups", folder / "own"


@pytest.mark.parametrize(
    ("own", "contents", "expected"),
    [
        ("0::/\n", {"memory.max": "536870912"}, 512 * MIB),
        ("0::/\n", {"memory.max": "max"}, ALL),
        ("0::/\n", {"memory.max": "max", "memory.high": "268435456"}, 256 * MIB),
        ("0::/a/b\n", {"a/b/memory.max": "max", "a/memory.max": "536870912"}, 512 * MIB),
        ("0::/a/b\n", {"memory.max": "1048576000000000", "a/b/memory.max": "536870912"}, 512 * MIB),
        ("0::/../x\n", {"x/memory.max": "536870912"}, 512 * MIB),
        ("0::/not/seen/here\n", {"memory.max": "536870912"}, 512 * MIB),
        ("4:memory:/docker/1\n", {"memory/memory.limit_in_bytes": "536870912"}, 512 * MIB),
        ("4:memory:/docker/1\n", {"memory/docker/1/memory.limit_in_bytes": "536870912"}, 512 * MIB),
        ("4:memory:/\n", {"memory/memory.limit_in_bytes": "9223372036854771712"}, ALL),
        ("4:cpu:/x\n0::/\n", {"memory/x/memory.limit_in_bytes": "536870912"}, ALL),
        ("", {"memory.max": "garbage"}, ALL),
    ],
)
def test_memory(tmp_path, own, contents, expected):
    named = {name.replace("/", "__"): text for name, text in contents.items()}
    assert memory_bytes(*files(tmp_path, own, **named)) == expected


@pytest.mark.parametrize(
    ("own", "contents", "expected"),
    [
        ("0::/\n", {"cpu.max": "100000 100000"}, 1),
        ("0::/\n", {"cpu.max": "50000 100000"}, 1),
        ("0::/\n", {"cpu.max": "max 100000"}, CORES),
        ("0::/a/b\n", {"a/cpu.max": "100000 100000"}, 1),
        ("0::/\n", {"cpu.max": "100000000 100000"}, CORES),
        ("3:cpu,x:/d\n", {"cpu,cpuacct/d/cpu.cfs_quota_us": "150000", "cpu,cpuacct/d/cpu.cfs_period_us": "99999"}, 1),
        ("3:cpu:/d\n", {"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}, CORES),
        ("3:cpu:/d\n", {"cpu/cpu.cfs_quota_us": "100000"}, CORES),
        ("", {}, CORES),
    ],
)  # fmt: skip
def test_processors(tmp_path, own, contents, expected):
    named = {name.replace("/", "__"): text for name, text in contents.items()}
    assert processors(*files(tmp_path, own, **named)) == expected


def test_no_groups_at_all(tmp_path):
    nowhere = tmp_path / "no"
    assert (memory_bytes(nowhere, nowhere), processors(nowhere, nowhere)) == (ALL, CORES)


def test_the_defaults_of_a_run(monkeypatch):
    monkeypatch.setattr(spec, "memory_bytes", lambda: 768 * MIB)
    monkeypatch.setattr(spec, "processors", lambda: 1)
    assert (spec.Settings().memory, spec.Settings().workers) == (384 * MIB, 1)
    monkeypatch.setattr(spec, "memory_bytes", lambda: 100 * MIB)
    assert spec.Settings().memory == 384 * MIB, "less no run may have"
