"""Hold the line rules against their naive twins on every document of real corpora, and against datatrove.

    CORPUSCURATE_DATA=... python scripts/check_lines.py [--peer PYTHON] [--every N] [--only twins|peer] [folder ...]

Twins: `text` of every record of `$CORPUSCURATE_DATA/<folder>/*.jsonl.gz` through c4_quality (three conventions, with
and without end marks), fineweb_quality, refinedweb_lines and madlad_quality (two each): measures, reasons and texts.
Peer, with the Python of an environment that has datatrove and spaCy: every N-th document (`--every`, 20) through its
C4QualityFilter and FineWebQualityFilter, once with our words and sentences and once with its own; decisions and texts.
Ends with exit code 1 when a document differs from a twin, or more than one in a thousand from the peer with our words.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pyarrow as pa

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from naive.lines import c4, fineweb, madlad, olmo, refinedweb, sentences_of_line  # noqa: E402
from naive.text import words  # noqa: E402
from naive.tokens import tokens  # noqa: E402

from corpuscurate.core.batch import Batch  # noqa: E402
from corpuscurate.core.columns import TEXT  # noqa: E402
from corpuscurate.core.stage import StreamingStage  # noqa: E402
from corpuscurate.stages.c4_quality import C4Quality  # noqa: E402
from corpuscurate.stages.fineweb_quality import FinewebQuality  # noqa: E402
from corpuscurate.stages.madlad_quality import MadladQuality  # noqa: E402
from corpuscurate.stages.refinedweb_lines import RefinedwebLines  # noqa: E402

FOLDERS = (*("neardup", "books", "multilingual", "bench", "quality", "evals", "web", "html", "langid", "pairs", "pii"),)
ROWS = 2000
Found = tuple[dict[str, Any], str | None, str | None]
"""Measures, reason, and the text that is left (None where the stage edits none)."""


def texts_of(folder: Path, every: int = 1) -> Iterator[list[str]]:
    """The texts of each file, ROWS at once."""
    for path in sorted(folder.glob("*.jsonl.gz")):
        with gzip.open(path) as lines:
            records = (orjson.loads(line) for at, line in enumerate(lines) if at % every == 0)
            texts = [record["text"] for record in records if isinstance(record.get("text"), str)]
        for start in range(0, len(texts), ROWS):
            yield texts[start : start + ROWS]


def batch_of(texts: list[str]) -> Batch:
    return Batch(np.arange(len(texts), dtype=np.uint64), pa.array(texts, TEXT), np.zeros(len(texts), np.int64))


def found_by(stage: StreamingStage, texts: list[str]) -> list[Found]:
    batch = batch_of(texts)
    outcome = stage.apply(batch)
    tags = type(stage)(**{**stage.parameters(), "mode": "tag"}).apply(batch).measures
    columns = {name: column.to_pylist() for name, column in tags.items()}
    names = [None, *stage.rules()]
    left = texts if outcome.text is None else outcome.text.to_pylist()
    return [
        ({name: column[row] for name, column in columns.items()}, names[reason], left[row])
        for row, reason in enumerate(outcome.reason.tolist() if outcome.reason is not None else ())
    ]


def twin_of_c4(convention: str, terminal: bool, text: str) -> Found:
    count, new, reason = c4(text, convention, terminal)
    return {**count, "bad_words": 0}, reason, text if reason else new


def twin_of_refinedweb(convention: str, text: str) -> Found:
    count, new = refinedweb(text)
    total = count["words"]
    for name in ("removed", "flagged"):
        part = count.pop(f"{name}_words")
        count[f"{name}_word_ratio"] = part / total if total else 0.0
    rule = "removed_word_ratio" if convention == "dclm" else "flagged_word_ratio"
    reason = f"max_{rule}" if count[rule] > 0.05 else None
    return count, reason, text if reason else new


def twin_of_madlad(convention: str, text: str) -> Found:
    flags = (olmo if convention == "olmo3" else madlad)(text, words)
    size = len(flags["cursed"])
    share = sum(map(any, zip(*flags.values(), strict=True))) / max(size, 1)
    ratios = {f"{name}_ratio": sum(values) / max(size, 1) for name, values in flags.items()}
    over = share >= 0.2 if convention == "olmo3" else share > 0.2
    reason = "min_sentences" if size < 5 else "max_questionable_sentence_ratio" if over else None
    return {"sentences": size, "questionable_sentence_ratio": share, **ratios}, reason, text


def twins() -> list[tuple[str, StreamingStage, Any]]:
    """Each family and convention: its name, stage, and twin."""
    made: list[tuple[str, StreamingStage, Any]] = []
    for convention in ("paper", "paper_v1", "datatrove"):
        for terminal in (True, False):
            stage = C4Quality(convention=convention, terminal_punctuation=terminal)
            name = f"c4_quality {convention}{'' if terminal else ', any line end'}"
            made.append((name, stage, lambda text, c=convention, t=terminal: twin_of_c4(c, t, text)))
    for convention in ("code", "paper"):

        def of_fineweb(text: str, convention: str = convention) -> Found:
            size = len(tokens(text) if convention == "code" else text.split())
            return *fineweb(text, convention, size), text

        made.append((f"fineweb_quality {convention}", FinewebQuality(convention=convention), of_fineweb))
    for convention in ("dclm", "paper"):
        stage = RefinedwebLines(convention=convention)
        made.append((f"refinedweb_lines {convention}", stage, lambda text, c=convention: twin_of_refinedweb(c, text)))
    for convention in ("paper", "olmo3"):
        stage = MadladQuality(convention=convention)
        made.append((f"madlad_quality {convention}", stage, lambda text, c=convention: twin_of_madlad(c, text)))
    return made


def check_twins(data: Path, folders: list[str], every: int) -> int:
    """How many documents differ from a twin, over all families."""
    different, documents = 0, 0
    verdicts: dict[str, Counter[str]] = {}
    for folder in folders:
        for texts in texts_of(data / folder, every):
            documents += len(texts)
            for name, stage, twin in twins():
                for text, found in zip(texts, found_by(stage, texts), strict=True):
                    measures, reason, left = twin(text)
                    verdicts.setdefault(name, Counter())[reason or "kept"] += 1
                    same = {key: found[0][key] for key in measures} == measures
                    if not same or found[1] != reason or found[2] != left:
                        different += 1
                        print(f"{folder}, {name}: {text[:60]!r}: expected {measures}, {reason}; found {found[:2]}")
        print(f"{folder}: {documents} documents so far, {different} differ", flush=True)
    for name, count in verdicts.items():
        print(f"  {name}: {dict(count.most_common())}")
    return different if documents else 1


def peer(python: str, texts: list[str], whose: str) -> dict[str, Any]:
    """What datatrove makes of the texts."""
    with tempfile.TemporaryDirectory() as folder:
        source, result = Path(folder, "texts.jsonl"), Path(folder, "result.json")
        source.write_text("".join(json.dumps(text) + "\n" for text in texts))
        script = ROOT / "scripts" / "peers" / "lines_datatrove.py"
        subprocess.run([python, str(script), str(source), str(result), whose], check=True)
        return dict(json.loads(result.read_text()))


STAGES: dict[str, StreamingStage] = {
    "c4_quality": C4Quality(convention="datatrove"),
    "c4_quality as in FineWeb": C4Quality(convention="datatrove", terminal_punctuation=False),
    "fineweb_quality": FinewebQuality(convention="code"),
}
NAMES = {
    "max_lorem_ipsum_lines": "lorem_ipsum",
    "max_curly_bracket_lines": "curly_bracket",
    "min_sentences": "too_few_sentences",
    "min_lines": "empty",
    "min_terminal_line_ratio": "line_punct_ratio",
    "max_short_line_ratio": "short_line_ratio",
    "max_duplicate_character_ratio": "char_dup_ratio",
    "max_newline_ratio": "list_ratio",
}
"""Our reasons by datatrove's words."""


def check_peer(data: Path, folders: list[str], every: int, python: str) -> int:
    """How many documents differ from datatrove with our words, beyond one in a thousand of a family."""
    texts = [text for folder in folders for part in texts_of(data / folder, every) for text in part]
    size = sum(len(text.encode()) for text in texts) / 1e6
    too_many = 0
    for whose in ("ours", "own"):
        theirs = peer(python, texts, whose)
        label = "our words and sentences" if whose == "ours" else "its own"
        print(f"datatrove {theirs['version']} with {label}, {len(texts)} documents, {size:.1f} MB")
        for family, stage in STAGES.items():
            found = found_by(stage, texts)
            decisions: Counter[tuple[str, str]] = Counter()
            edits = 0
            for (_, reason, left), why, text in zip(
                found, theirs[family]["reasons"], theirs[family]["texts"], strict=True
            ):
                named = NAMES[reason] if reason else None
                if named != why:
                    decisions[named or "kept", why or "kept"] += 1
                elif why is None and left != text:
                    edits += 1
            kept = sum(count for (ours, why), count in decisions.items() if "kept" in (ours, why))
            agree = 1 - kept / len(texts)
            print(f"  {family}: {agree:.3%} of decisions agree; texts that differ {edits};", end=" ")
            print(f"ours and theirs where not: {decisions.most_common()}; {size / theirs[family]['seconds']:.2f} MB/s")
            if whose == "ours":
                too_many += max(kept + edits - len(texts) // 1000, 0)
        if whose == "own":
            compare_sentences(texts, theirs["sentences"])
    return too_many


def compare_sentences(texts: list[str], theirs: list[int]) -> None:
    """Print counts of sentences beside spaCy's (lines of `str.splitlines()`)."""
    ours = [sum(len(sentences_of_line(line)) for line in text.splitlines()) for text in texts]
    equal = sum(a == b for a, b in zip(ours, theirs, strict=True))
    more = sum(a > b for a, b in zip(ours, theirs, strict=True))
    counts = f"{sum(ours)} ours, {sum(theirs)} spaCy's"
    print(f"  sentences: {counts}; equal in {equal} documents of {len(texts)}, more in {more}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--peer", help="the Python of an environment with datatrove and spaCy")
    parser.add_argument("--every", type=int, default=20, help="compare every n-th document with the peer")
    parser.add_argument("--only", choices=["twins", "peer"])
    parser.add_argument("--sample", type=int, default=1, help="hold every n-th document against the twins")
    parser.add_argument("folders", nargs="*", default=FOLDERS)
    options = parser.parse_args()
    data = Path(os.environ.get("CORPUSCURATE_DATA") or sys.exit("set CORPUSCURATE_DATA to the folder with the corpora"))
    different = 0 if options.only == "peer" else check_twins(data, list(options.folders), options.sample)
    if options.peer and options.only != "twins":
        different += check_peer(data, list(options.folders), options.every, options.peer)
    sys.exit(different > 0)


if __name__ == "__main__":
    main()
