"""Hold `signals`, `nemotron_quality` and `code_quality` against their naive twins on every document of real corpora.

    CORPUSCURATE_DATA=... python scripts/check_signals.py [--every N] [--long-every M] [folder ...]

Reads `text` of every N-th record (all unless said) of `$CORPUSCURATE_DATA/<folder>/*.jsonl.gz`, all folders unless some
are named, and of texts longer than 20,000 characters every M-th (all unless said); compares all measures of each
document, and tells how fast each stage is, in CPU time. Sums of logarithms (the entropy) may differ by 1e-12. Ends with
exit code 1 when any document differs.
"""

from __future__ import annotations

import argparse
import math
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests"), str(ROOT / "scripts")]

from corpus_texts import chunks, files  # noqa: E402
from naive.code import code_measures  # noqa: E402
from naive.nemotron import nemotron_measures  # noqa: E402
from naive.signals import document_signals, line_signals  # noqa: E402

from corpuscurate.core.batch import Batch  # noqa: E402
from corpuscurate.core.columns import TEXT  # noqa: E402
from corpuscurate.stages.code_quality import GENERATED, CodeQuality  # noqa: E402
from corpuscurate.stages.nemotron_quality import BOILERPLATE, COMMON_WORDS, NemotronQuality  # noqa: E402
from corpuscurate.stages.signals import Signals  # noqa: E402

NEED_LISTS = ("rps_doc_stop_word_fraction", "rps_doc_ldnoobw_words")
SHOWN = 20


def batch_of(texts: list[str]) -> Batch:
    return Batch(np.arange(len(texts), dtype=np.uint64), pa.array(texts, TEXT), np.zeros(len(texts), np.int64))


def rows_of(columns: dict[str, pa.Array]) -> list[dict[str, Any]]:
    return pa.RecordBatch.from_pydict(dict(columns)).to_pylist()


def same(found: Any, wanted: Any, name: str) -> bool:
    if name == "rps_doc_unigram_entropy" and found is not None and wanted is not None:
        return math.isclose(found, wanted, rel_tol=1e-12, abs_tol=1e-12)
    return bool(found == wanted)


def _signals(text: str) -> dict[str, Any]:
    found = {**document_signals(text, [], []), **line_signals(text)}
    return {name: value for name, value in found.items() if name not in NEED_LISTS}


CHECKS: dict[str, tuple[Callable[[Batch], Any], Callable[[str], dict[str, Any]]]] = {
    "signals": (lambda batch: Signals().apply(batch).columns, _signals),
    "nemotron_quality": (
        lambda batch: NemotronQuality(mode="tag").apply(batch).measures,
        lambda text: nemotron_measures(text, list(COMMON_WORDS), list(BOILERPLATE)),
    ),
    "code_quality": (
        lambda batch: CodeQuality(mode="tag").apply(batch).measures,
        lambda text: code_measures(text, list(GENERATED), 5, line_ends=False),
    ),
}


def differing(word: str, texts: list[str], columns: dict[str, pa.Array]) -> Iterator[str]:
    """A line for each document whose measures are not those of its twin."""
    for text, found in zip(texts, rows_of(columns), strict=True):
        wanted = CHECKS[word][1](text)
        wrong = {name: (found[name], value) for name, value in wanted.items() if not same(found[name], value, name)}
        if wrong:
            yield f"{word}: {text[:60]!r}: found, expected: {wrong}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--every", type=int, default=1)
    parser.add_argument("--long-every", type=int, default=1)
    parser.add_argument("folders", nargs="*")
    options = parser.parse_args()
    for run, _ in CHECKS.values():
        run(batch_of(["compile the kernels"]))
    different: Counter[str] = Counter()
    spent: Counter[str] = Counter()
    documents = size = 0
    for path in files(options.folders):
        for texts in chunks(path, options.every, options.long_every):
            batch = batch_of(texts)
            documents += len(batch)
            size += batch.text_bytes
            for word, (run, _) in CHECKS.items():
                started = time.process_time()
                columns = run(batch)
                spent[word] += time.process_time() - started
                for line in differing(word, texts, columns):
                    different[word] += 1
                    if different[word] <= SHOWN:
                        print(f"{path}: {line}")
        print(f"{path}: {documents} documents, {size / 1e6:.1f} MB so far, differing: {dict(different)}", flush=True)
    for word in CHECKS:
        print(f"{word}: {different[word]} differ, {size / spent[word] / 1e6:.0f} MB/s of CPU time")
    sys.exit(bool(different) or documents == 0)


if __name__ == "__main__":
    main()
