"""The benchmarks of quality classifiers by one name.

python scripts/bench_quality.py scores ...      speed and equality of scores: see bench_quality_scores.py
python scripts/bench_quality.py training ...    what trained classifiers are worth: see bench_quality_training.py
python scripts/bench_quality.py [options]       scores
"""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

PARTS = ("scores", "training")


def main() -> None:
    """Hand the arguments on."""
    rest = sys.argv[1:]
    part = rest.pop(0) if rest and not rest[0].startswith("-") else "scores"
    if part not in PARTS or (rest in (["-h"], ["--help"]) and len(sys.argv) == 2):
        raise SystemExit(__doc__)
    name = f"bench_quality_{part}.py"
    sys.argv = [name, *rest]
    runpy.run_path(str(Path(__file__).with_name(name)), run_name="__main__")


if __name__ == "__main__":
    main()
