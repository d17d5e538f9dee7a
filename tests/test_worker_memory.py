import subprocess
import sys

PROGRAM = """
import resource, sys
import numpy as np, pyarrow as pa
from corpuscurate.runners.memory import keep_freed_memory
if sys.argv[1] == "kept":
    keep_freed_memory()
def use():
    for size in (3, 20, 60):
        np.empty(size << 20, np.uint8)[::4096] = 1
        np.frombuffer(pa.allocate_buffer(size << 20), np.uint8)[::4096] = 1
for _ in range(8):
    use()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(8):
    use()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before, pa.default_memory_pool().backend_name)
"""


def faults(how: str) -> tuple[int, str]:
    done = subprocess.run([sys.executable, "-c", PROGRAM, how], capture_output=True, text=True, check=True)
    count, pool = done.stdout.split()
    return int(count), pool


def test_a_worker_uses_its_freed_memory_again():
    """With glibc. Elsewhere nothing changes, and nothing may fail."""
    kept, pool = faults("kept")
    given_back, own = faults("given back")
    if pool == own:
        assert kept <= 2 * given_back + 100
    else:
        assert pool == "system"
        assert kept < min(50, given_back)
