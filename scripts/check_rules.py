"""Hold the rule families against their naive twins on every document of real corpora, each convention.

    CORPUSCURATE_DATA=... python scripts/check_rules.py [--every N] [--family NAME ...] [folder ...]

Reads `text` of every N-th record (all unless said) of `$CORPUSCURATE_DATA/<folder>/*.jsonl.gz`, all folders unless
some are named, compares all measures, the reason and the value of each document, and counts the verdicts. Ends with
exit code 1 when any document differs. A family joins by a line in FAMILIES: its stage in `mode: tag`, its twin's
measures, and its twin's verdict.
"""

from __future__ import annotations

import argparse
import gzip
import os
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pyarrow as pa

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

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
DOCUMENTS_AT_ONCE = 1000
SHOWN = 5


def chunks(path: Path, every: int) -> Iterator[list[str]]:
    """Texts of a file, some at a time; records without text have none."""
    texts: list[str] = []
    with gzip.open(path) as lines:
        for at, line in enumerate(lines):
            text = orjson.loads(line).get("text") if at % every == 0 else None
            if isinstance(text, str):
                texts.append(text)
            if len(texts) == DOCUMENTS_AT_ONCE:
                yield texts
                texts = []
    if texts:
        yield texts


def differing(texts: list[str], stage: Any, twin: Twin, verdict: Twin, verdicts: Counter[str]) -> list[str]:
    """The texts on which a stage and its twin differ; verdicts are counted."""
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
    return wrong


def main() -> None:
    data = os.environ.get("CORPUSCURATE_DATA") or sys.exit("set CORPUSCURATE_DATA to the folder with the corpora")
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--every", type=int, default=1)
    parser.add_argument("--family", nargs="*", default=list(FAMILIES), choices=list(FAMILIES), metavar="NAME")
    parser.add_argument("folders", nargs="*")
    options = parser.parse_args()
    folders = options.folders or sorted(path.name for path in Path(data).iterdir() if any(path.glob("*.jsonl.gz")))
    different = documents = 0
    verdicts: dict[str, Counter[str]] = {name: Counter() for name in options.family}
    begun = time.process_time()
    for path in (path for folder in folders for path in sorted(Path(data, folder).glob("*.jsonl.gz"))):
        for texts in chunks(path, options.every):
            documents += len(texts)
            for name in options.family:
                wrong = differing(texts, *FAMILIES[name], verdicts[name])
                different += len(wrong)
                for text in wrong[:SHOWN]:
                    print(f"{path}: {name} differs from its twin on {text[:200]!r} ... ({len(text)} characters)")
        print(f"{path.name}: {documents} documents so far, {different} differ", flush=True)
    for name, counts in verdicts.items():
        print(name, dict(counts.most_common()))
    print(f"{documents} documents, {different} differ, {time.process_time() - begun:.0f} s")
    sys.exit(different > 0 or documents == 0)


if __name__ == "__main__":
    main()
