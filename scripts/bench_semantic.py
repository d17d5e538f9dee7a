"""The benchmarks of semantic deduplication by one name: quality of embedders, and scale.

python scripts/bench_semantic.py embedders ...                      see bench_embedders.py
python scripts/bench_semantic.py correct | scale | phases | lost | kmeans | faiss | semhash ...
                                                                    see bench_semantic_scale.py
"""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

SCALE = ("correct", "scale", "phases", "lost", "kmeans", "faiss", "semhash")


def main() -> None:
    """Hand the arguments on."""
    wanted = sys.argv[1] if len(sys.argv) > 1 else ""
    if wanted not in ("embedders", *SCALE):
        raise SystemExit(__doc__)
    name = "bench_embedders.py" if wanted == "embedders" else "bench_semantic_scale.py"
    sys.argv = [name, *sys.argv[2 if wanted == "embedders" else 1 :]]
    runpy.run_path(str(Path(__file__).with_name(name)), run_name="__main__")


if __name__ == "__main__":
    main()
