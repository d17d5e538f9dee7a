"""corpuscurate: the recipe `stages: [minhash]` with its defaults (threshold 0.8, `verify: exact`).

Usage: whole_ours.py IN OUT WORKERS
"""

import json
import sys

from corpuscurate import Pipeline, Settings, Sink, Source
from corpuscurate.stages.minhash import MinHash


def main() -> None:
    """Run it and print the report."""
    source, target, workers = sys.argv[1], sys.argv[2], int(sys.argv[3])
    pipeline = Pipeline(Source(paths=(source,), id="id"), (MinHash(),), Sink(path=target), Settings(workers=workers))
    print(json.dumps(pipeline.run()))


if __name__ == "__main__":
    main()
