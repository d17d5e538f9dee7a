"""Which mutations of `join_deltas` do its tests find? A table, and exit 1 where one survives.

    python scripts/mutate_join_deltas.py [TESTS ...]

Each mutation switches one shortcut off or breaks one piece of bookkeeping. The tests run without compiling
(NUMBA_DISABLE_JIT), so that a mutation takes seconds.
"""

from __future__ import annotations

import os
import subprocess
import sys
import types
from pathlib import Path

HOME = Path(__file__).parent.parent
MODULE = "corpuscurate.kernels.duplicates.large_bucket_join"
SOURCE = HOME / (MODULE.replace(".", "/") + ".py")
TESTS = ["tests/kernels/duplicates/test_large_bucket_join.py"]
STOP = "        if end - at + SLACK < least:\n            break\n"
MUTATIONS = {
    "none": ("", ""),
    "no skip run": ("read = known if find(found.parent, lists.documents[first]) == root else 0", "read = 0"),
    "always skip run": (" if find(found.parent, lists.documents[first]) == root else 0", ""),
    "no run growth": ("            run += 1\n", "            run += 0\n"),
    "run grows over others": ("if joined and run == write:", "if run == write:"),
    "run grows over a gap": ("if joined and run == write:", "if joined:"),
    "run forgets what is known": ("max(run, known - (read - write))", "run"),
    "run keeps what expired": ("max(run, known - (read - write))", "max(run, known)"),
    "no expiry": ("if shared > left + SLACK:", "if shared > left + 1e9:"),
    "expiry one early": ("if shared > left + SLACK:", "if shared > left - 1 + SLACK:"),
    "no early stop": ("if shared > own_left + SLACK:", "if shared > own_left + 1e9:"),
    "early stop one early": ("if shared > own_left + SLACK:", "if shared > own_left - 1 + SLACK:"),
    "no end of the search": (STOP + "        found.work[SEARCHED]", "        found.work[SEARCHED]"),
    "end of the search one early": (
        STOP + "        found.work[SEARCHED]",
        STOP.replace("at +", "at - 1 +") + "        found.work[SEARCHED]",
    ),
    "all elements noted": (STOP + "        e =", "        e ="),
    "noted one too few": (STOP + "        e =", STOP.replace("at +", "at - 1 +") + "        e ="),
    "bitmaps reject nothing": ("return bool(apart > most)", "return False"),
    "bitmaps reject one too many": ("- 2 * shared + SLACK\n", "- 2 * shared - 1 + SLACK\n"),
    "root not followed after a join": (
        "            root = find(found.parent, i)\n            joined",
        "            joined",
    ),
    "joined not looked at again": ("            joined = find(found.parent, j) == root\n        if", "        if"),
    "components not looked at": (
        "joined = find(found.parent, j) == root\n        if not",
        "joined = False\n        if not",
    ),
    "centre compared again": ("if find(found.parent, i) != find(found.parent, 0):", "if True:"),
    "no centre": ("if find(found.parent, i) != find(found.parent, 0):", "if False:"),
    "gap not closed": ("    if write < read:\n", "    if False:\n"),
    "no budget": ("if found.work[MET] >= limit:", "if False:"),
}


def run_mutated(name: str, tests: list[str]) -> int:
    """Run the tests on a mutated module, in this process."""
    import pytest

    text = SOURCE.read_text()
    old, new = MUTATIONS[name]
    if old and text.count(old) != 1:
        raise SystemExit(f"{name}: {text.count(old)} places have {old!r}")
    module = types.ModuleType(MODULE)
    module.__file__ = str(SOURCE)
    sys.modules[MODULE] = module
    exec(compile(text.replace(old, new), str(SOURCE), "exec"), module.__dict__)  # noqa: S102
    return int(pytest.main(["-q", "-x", "-n0", "-p", "no:cacheprovider", "-W", "ignore::RuntimeWarning", *tests]))


def main() -> None:
    if sys.argv[1:2] == ["--one"]:
        raise SystemExit(run_mutated(sys.argv[2], sys.argv[3:]))
    env = {**os.environ, "NUMBA_DISABLE_JIT": "1", "PYTHONPATH": str(HOME)}
    survivors = 0
    for name in MUTATIONS:  # the first is none: what fails without a mutation finds none
        command = [sys.executable, __file__, "--one", name, *(sys.argv[1:] or TESTS)]
        done = subprocess.run(command, env=env, cwd=HOME, capture_output=True, text=True, check=False)
        if done.returncode not in (0, 1):
            raise SystemExit(done.stdout + done.stderr)
        lines = [line.split(" - ")[0] for line in done.stdout.splitlines() if line.startswith("FAILED")]
        if name == "none":
            if lines:
                raise SystemExit(f"not mutated, these fail: {', '.join(lines)}")
            continue
        survivors += not lines
        print(f"{name}: {'killed by ' + lines[0].split('::')[-1] if lines else 'SURVIVED'}", flush=True)
    raise SystemExit(survivors > 0)


if __name__ == "__main__":
    main()
