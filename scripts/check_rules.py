"""Hold the rule families against their naive twins on every document of real corpora, each convention.

    CORPUSCURATE_DATA=... python scripts/check_rules.py [--every N] [--long-every M] [--workers W] [--family NAME ...]
        [folder ...]

Reads `text` of every N-th record (all unless said) of `$CORPUSCURATE_DATA/<folder>/*.jsonl.gz`, all folders unless
some are named, and of texts longer than 20,000 characters every M-th (all unless said); compares all measures, the
reason and the value of each document, and counts the verdicts. Ends with exit code 1 when any document differs. A
family joins by a line in FAMILIES: its stage in `mode: tag`, its twin's measures, and its twin's verdict.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests"), str(ROOT / "scripts")]

from corpus_texts import chunks, files  # noqa: E402
from naive.repetition import repetition, repetition_verdict  # noqa: E402
from naive.text import gopher_measures, gopher_verdict  # noqa: E402

from corpuscurate.core.batch import Batch  # noqa: E402
from corpuscurate.core.columns import TEXT  # noqa: E402
from corpuscurate.stages.gopher_quality import GopherQuality  # noqa: E402
from corpuscurate.stages.gopher_repetition import GopherRepetition  # noqa: E402

Twin = Callable[[str], Any]
FAMILIES: dict[str, tuple[Any, Twin, Twin]] = {
    **{
        f"gopher_quality ({convention})": (
            GopherQuality(convention=convention, mode="tag"),
            partial(gopher_measures, convention=convention),
            partial(gopher_verdict, convention=convention),
        )
        for convention in ("paper", "datatrove")
    },
    **{
        f"gopher_repetition ({convention})": (
            GopherRepetition(convention=convention, mode="tag"),
            partial(repetition, convention=convention),
            partial(repetition_verdict, convention=convention),
        )
        for convention in ("paper", "datatrove", "dclm", "redpajama")
    },
}
SHOWN = 5


def differing(name: str, texts: list[str]) -> tuple[str, list[str], Counter[str]]:
    """A family, the texts on which its stage and its twin differ, and how often each verdict came."""
    stage, twin, verdict = FAMILIES[name]
    verdicts: Counter[str] = Counter()
    array = pa.array(texts, TEXT)
    outcome = stage.apply(Batch(np.arange(len(texts), dtype=np.uint64), array, np.zeros(len(texts), np.int64)))
    names = [None, *stage.rules()]
    columns = {name: column.to_pylist() for name, column in outcome.measures.items()}
    wrong = []
    for row, text in enumerate(texts):
        reason = names[outcome.reason[row]]
        found = None if reason is None else (reason, float(outcome.value[row]))
        verdicts[reason or "kept"] += 1
        if found != verdict(text) or {name: values[row] for name, values in columns.items()} != twin(text):
            wrong.append(text)
    return name, wrong, verdicts


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--every", type=int, default=1)
    parser.add_argument("--long-every", type=int, default=1)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--family", nargs="*", default=list(FAMILIES), choices=list(FAMILIES), metavar="NAME")
    parser.add_argument("folders", nargs="*")
    options = parser.parse_args()
    different = documents = characters = 0
    verdicts: dict[str, Counter[str]] = {name: Counter() for name in options.family}
    begun = time.monotonic()
    with ProcessPoolExecutor(options.workers) as pool:
        for path in files(options.folders):
            for texts in chunks(path, options.every, options.long_every):
                documents += len(texts)
                characters += sum(map(len, texts))
                for name, wrong, counts in pool.map(differing, options.family, [texts] * len(options.family)):
                    verdicts[name] += counts
                    different += len(wrong)
                    for text in wrong[:SHOWN]:
                        print(f"{path}: {name} differs from its twin on {text[:200]!r} ... ({len(text)} characters)")
            so_far = f"{documents} documents, {characters / 1e6:.1f} million characters so far, {different} differ"
            print(f"{path.name}: {so_far}, {time.monotonic() - begun:.0f} s", flush=True)
    for name, counts in verdicts.items():
        print(name, dict(counts.most_common()))
    sys.exit(different > 0 or documents == 0)


if __name__ == "__main__":
    main()
