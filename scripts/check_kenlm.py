"""Hold the scores of our reader of language models against those of KenLM itself.

    CORPUSCURATE_DATA=... python scripts/check_kenlm.py [folder ...]

Needs the package `kenlm` (`pip install kenlm` compiles it). Trains a small model of 3-grams on some lines, scores every
line of `$CORPUSCURATE_DATA/<folder>/*.jsonl.gz` (bench unless folders are named) with both, from the ARPA file and from
a binary file that this package makes and KenLM loads, and tells how fast each is in CPU time. KenLM sums a line in
float32: lines may differ by 1e-6 of their score. Ends with exit code 1 when one differs more.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from pathlib import Path

import kenlm
import numpy as np
import pyarrow as pa

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from check_signals import texts_of  # noqa: E402
from naive.ngram_lm import arpa, train  # noqa: E402

from corpuscurate.core.columns import TEXT, text_buffers  # noqa: E402
from corpuscurate.kernels.text.ngram_lm import Tables, score_lines  # noqa: E402
from corpuscurate.methods.quality.kenlm_model import arpa_image, parse_arpa, read_model  # noqa: E402

TRAINED = 400
"""Lines that the model is trained on; the trainer is the tests' own and slow."""


def ours(model: Tables, lines: list[str]) -> np.ndarray:
    column = pa.array(lines, TEXT)
    scores, tokens = np.empty(len(lines)), np.empty(len(lines), np.int64)
    score_lines(*text_buffers(column), model, scores, tokens)
    return scores


def main() -> None:
    data = Path(os.environ.get("CORPUSCURATE_DATA") or sys.exit("set CORPUSCURATE_DATA to the folder with the corpora"))
    paths = sorted(path for folder in sys.argv[1:] or ["bench"] for path in (data / folder).glob("*.jsonl.gz"))
    lines = [line for path in paths for text in texts_of(path) for line in text.split("\n")]
    lines = [line.replace("\0", "") for line in lines]  # KenLM's Python takes no zero byte
    worst = 0.0
    with tempfile.TemporaryDirectory() as folder:
        text = Path(folder, "m.arpa")
        text.write_text(arpa(train([line for line in lines if line.strip()][:TRAINED], 3)))
        binary = Path(folder, "m.bin")
        binary.write_bytes(arpa_image("", *parse_arpa(str(text))).tobytes())
        ours(read_model(str(text)), ["compile the kernel"])
        for path in (text, binary):
            theirs = kenlm.Model(str(path))
            started = time.process_time()
            wanted = np.array([theirs.score(line) for line in lines])
            between = time.process_time()
            found = ours(read_model(str(path)), lines)
            ended = time.process_time()
            worst = max(worst, float((np.abs(found - wanted) / np.maximum(np.abs(wanted), 1)).max()))
            size = sum(len(line.encode()) for line in lines) / 1e6
            print(f"{path.suffix}: {len(lines)} lines, {size:.1f} MB, greatest difference {worst:.2g} of a score")
            print(
                f"  ours {size / (ended - between):.0f} MB/s, KenLM from Python {size / (between - started):.1f} MB/s"
            )
    sys.exit(worst > 1e-6)


if __name__ == "__main__":
    main()
