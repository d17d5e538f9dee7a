"""Memory and processors that this process may use: those of its container (cgroups v1 and v2) or of the machine.

A limit counts wherever it stands: in the process's own group, or in any group above it that can be seen.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import psutil

GROUPS = Path("/sys/fs/cgroup")
"""Where the groups are mounted: those of version 2, and a folder a controller with those of version 1."""
OWN = Path("/proc/self/cgroup")
"""The groups of this process: `0::/path` (version 2) and `4:memory:/path` (version 1), one a line."""
VECTOR_FEATURES = (
    *("avx2", "avxvnni", "avx512f", "avx512vnni", "avx512bf16", "amx-int8", "amx-bf16"),
    *("dotprod", "i8mm", "bf16", "sve"),
)
"""Instructions, as LLVM names them, by which libraries choose how to compute products of matrices."""


def memory_bytes(groups: Path = GROUPS, own: Path = OWN) -> int:
    """Bytes of memory that this process may use."""
    limits = [int(psutil.virtual_memory().total)]
    for folder in _folders(groups, own, ("memory",)):
        limits += _numbers(folder / "memory.max")[:1]
        limits += _numbers(folder / "memory.high")[:1]
        limits += _numbers(folder / "memory.limit_in_bytes")[:1]
    return min(limit for limit in limits if limit > 0)


def processors(groups: Path = GROUPS, own: Path = OWN) -> int:
    """Number of processors that this process may use, at least 1; of a share of one, the whole part counts."""
    here = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    limits = [here]
    for folder in _folders(groups, own, ("cpu", "cpu,cpuacct", "cpuacct,cpu")):
        quota = _numbers(folder / "cpu.max")
        if not quota:
            quota = _numbers(folder / "cpu.cfs_quota_us")[:1] + _numbers(folder / "cpu.cfs_period_us")[:1]
        if len(quota) == 2 and min(quota) > 0:
            limits.append(quota[0] // quota[1])
    return max(1, min(limits))


def _folders(groups: Path, own: Path, controllers: tuple[str, ...]) -> Iterator[Path]:
    """The folders of this process's groups, and of all above, of version 2 and of some controllers of version 1."""
    paths = {"/"}
    try:
        lines = own.read_text().splitlines()
    except (OSError, ValueError):
        lines = []
    for line in lines:
        _, _, rest = line.partition(":")
        names, _, path = rest.partition(":")
        if not names or set(names.split(",")) & set(controllers):
            paths.add(path)
    for root in (groups, *(groups / controller for controller in controllers)):
        for path in paths:
            steps = [step for step in path.split("/") if step not in ("", "..")]
            for count in range(len(steps) + 1):
                yield root.joinpath(*steps[:count])


def _numbers(path: Path) -> list[int]:
    """The whole numbers of a file's first line; none where it is not there or says `max`."""
    try:
        words = path.read_text().split()
    except (OSError, ValueError):
        return []
    return [int(word) for word in words] if all(word.lstrip("-").isdigit() for word in words) else []


@cache
def processor_kind() -> str:
    """The kind of processor, such as `x86_64 znver3 avx2`: floating-point sums may end in other bits on another one."""
    from llvmlite import binding

    features = binding.get_host_cpu_features()
    there = (name for name in VECTOR_FEATURES if features.get(name))
    return " ".join([platform.machine(), binding.get_host_cpu_name(), *there])
