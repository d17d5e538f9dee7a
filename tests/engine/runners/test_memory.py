import ctypes
import os
import subprocess
import sys

import pyarrow as pa
import pytest

from corpuscurate.engine.runners.memory import worker_environment

PROGRAM = """
import resource, sys, time
import numpy as np, pyarrow as pa
from corpuscurate.engine.runners.memory import keep_freed_memory
if sys.argv[1] == "kept":
    keep_freed_memory()
def use():
    for size in (3, 20, 60):
        np.empty(size << 20, np.uint8)[::4096] = 1
        np.frombuffer(pa.allocate_buffer(size << 20), np.uint8)[::4096] = 1
        time.sleep(0.02)  # longer than mimalloc waits of itself
for _ in range(8):
    use()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(8):
    use()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def faults(how: str, variables: dict[str, str]) -> int:
    """Page faults of eight rounds after eight others."""
    whole = {**os.environ, **variables}
    done = subprocess.run([sys.executable, "-c", PROGRAM, how], capture_output=True, text=True, check=True, env=whole)
    return int(done.stdout)


@pytest.mark.skipif(
    not hasattr(ctypes.CDLL(None), "mallopt") or "mimalloc" not in pa.supported_memory_backends(),
    reason="neither glibc nor mimalloc: nothing is changed here",
)
def test_a_worker_uses_its_freed_memory_again() -> None:
    assert faults("kept", worker_environment()) < min(50, faults("given back", {}))


def test_the_users_own_delay_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MIMALLOC_PURGE_DELAY", raising=False)
    assert worker_environment() == {"MIMALLOC_PURGE_DELAY": "10000"}
    monkeypatch.setenv("MIMALLOC_PURGE_DELAY", "7")
    assert worker_environment() == {"MIMALLOC_PURGE_DELAY": "7"}
