"""Speed and agreement of the rule families, beside those of datatrove in the same run.

    CORPUSCURATE_DATA=... python scripts/bench_filters.py [--peers PYTHON] [--mb 30] [--peer-mb 1] [--linear FOLDER]

Reads `text` of bench, books and multilingual, up to `--mb` each. Every family of FAMILIES is applied in this process to
batches of 16 MB, alone and all together (so that they share the walks over words), and the best of three is told in MB
of text a second of CPU; the stages of ALONE are timed besides. `--peers` names a Python with datatrove and spaCy
(`pip install datatrove==0.10.0 spacy`): its filters run over a sample, once with its own words and once with ours, and
how many decisions agree is told, with the pairs of reasons where they differ. `--linear` writes the seconds for one
document of .1 to 100 MB as linear.csv and linear.svg. `--json FILE` keeps all figures.

A family joins by a line in FAMILIES or ALONE, a peer's filter by one in `scripts/peers/rules_datatrove.py`.
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
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pyarrow as pa

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from corpuscurate.core.batch import Batch  # noqa: E402
from corpuscurate.core.columns import TEXT, text_buffers  # noqa: E402
from corpuscurate.core.stage import StreamingStage  # noqa: E402
from corpuscurate.stages.c4_quality import C4Quality  # noqa: E402
from corpuscurate.stages.code_quality import CodeQuality  # noqa: E402
from corpuscurate.stages.fineweb_quality import FinewebQuality  # noqa: E402
from corpuscurate.stages.gopher_quality import GopherQuality  # noqa: E402
from corpuscurate.stages.gopher_repetition import GopherRepetition  # noqa: E402
from corpuscurate.stages.madlad_quality import MadladQuality  # noqa: E402
from corpuscurate.stages.nemotron_quality import NemotronQuality  # noqa: E402
from corpuscurate.stages.refinedweb_lines import RefinedwebLines  # noqa: E402
from corpuscurate.stages.signals import Signals  # noqa: E402

FOLDERS = ("bench", "books", "multilingual")
BATCH_BYTES = 16 << 20
REPEATS = 3
SIZES_MB = (0.1, 0.3, 1, 3, 10, 30, 100)

FAMILIES: dict[str, list[StreamingStage]] = {
    "gopher_quality": [GopherQuality(convention="datatrove"), GopherQuality()],
    "gopher_repetition": [
        GopherRepetition(convention="datatrove"),
        *(GopherRepetition(convention=convention) for convention in ("paper", "dclm", "redpajama")),
    ],
    "c4_quality": [C4Quality(convention="datatrove", terminal_punctuation=False), C4Quality()],
    "fineweb_quality": [FinewebQuality(convention="code"), FinewebQuality()],
}
"""Each family with the stages to time. The first is the one that decides as datatrove, the second follows the paper;
all of either kind run together, too. The first is compared with datatrove's, where `rules_datatrove.py` has it;
`bench_lines.py` compares those of lines."""


ALONE: list[StreamingStage] = [
    RefinedwebLines(),
    MadladQuality(),
    NemotronQuality(),
    CodeQuality(),
    Signals(),
]
"""More stages, whose own speed is told. datatrove 0.10 has no filter for any of them."""


def texts_of(folder: str, most_bytes: float) -> list[str]:
    """Texts of a folder of `$CORPUSCURATE_DATA`, spread over its files, up to so many bytes."""
    data = os.environ.get("CORPUSCURATE_DATA") or sys.exit("set CORPUSCURATE_DATA to the folder with the corpora")
    paths = sorted(Path(data, folder).glob("*.jsonl.gz"))
    found: list[str] = []
    for path in paths:
        left = most_bytes / len(paths)
        with gzip.open(path) as lines:
            for line in lines:
                found.append(orjson.loads(line)["text"])
                left -= len(found[-1].encode())
                if left < 0:
                    break
    return found


def batches_of(texts: list[str]) -> Iterator[Batch]:
    """New batches, which have no words yet."""
    array = pa.array(texts, TEXT)
    ends = text_buffers(array)[0]
    start = 0
    while start < len(texts):
        stop = max(int(np.searchsorted(ends, ends[start] + BATCH_BYTES, "right")) - 1, start + 1)
        part = array.slice(start, stop - start)
        yield Batch(np.arange(start, stop, dtype=np.uint64), part, np.zeros(stop - start, np.int64))
        start = stop


def seconds_of(stages: list[StreamingStage], texts: list[str]) -> float:
    """CPU seconds of the stages, one after the other on each batch; the best of REPEATS."""
    took = []
    for _ in range(REPEATS):
        batches = list(batches_of(texts))
        begun = time.process_time()
        for batch in batches:
            for stage in stages:
                stage.apply(batch)
        took.append(time.process_time() - begun)
    return min(took)


def name_of(stage: Any) -> str:
    convention = getattr(stage, "convention", None)
    return f"{stage.word} ({convention})" if convention else str(stage.word)


def reasons_of(stage: StreamingStage, texts: list[str]) -> list[str | None]:
    names = [None, *stage.rules()]
    return [names[reason] for batch in batches_of(texts) for reason in stage.apply(batch).reason.tolist()]  # type: ignore[union-attr]


def our_words(texts: list[str]) -> Iterator[list[str]]:
    for batch in batches_of(texts):
        spans = batch.words("tokens")
        data = text_buffers(batch.text)[1].tobytes()
        pieces = [data[a:b].decode() for a, b in zip(spans.starts.tolist(), spans.stops.tolist(), strict=True)]
        yield from (pieces[a:b] for a, b in zip(spans.first[:-1], spans.first[1:], strict=True))


def peers_on(python: str, texts: list[str], words: bool) -> dict[str, Any]:
    """What datatrove finds in texts, with our words or its own."""
    with tempfile.TemporaryDirectory() as folder:
        inputs = [Path(folder, "texts.jsonl")]
        inputs[0].write_text("".join(json.dumps(text) + "\n" for text in texts))
        if words:
            inputs.append(Path(folder, "words.jsonl"))
            inputs[1].write_text("".join(json.dumps(each) + "\n" for each in our_words(texts)))
        result = Path(folder, "result.json")
        script = ROOT / "scripts" / "peers" / "rules_datatrove.py"
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        subprocess.run([python, script, inputs[0], result, *inputs[1:]], check=True, env=environment)
        found: dict[str, Any] = json.loads(result.read_text())
        return found


def compare(ours: list[str | None], theirs: list[str | None]) -> tuple[float, dict[str, int]]:
    """Share of equal decisions, and how often each pair of reasons stands where they differ."""
    pairs = Counter(f"{a} | {b}" for a, b in zip(ours, theirs, strict=True) if (a is None) != (b is None))
    return 1 - pairs.total() / len(ours), dict(pairs.most_common())


def spread(texts: list[str], most_bytes: float) -> list[str]:
    """Different texts from all over a list, of about so many bytes."""
    texts = list(dict.fromkeys(texts))
    step = max(1, round(sum(map(len, texts)) / most_bytes))
    return texts[::step]


def bench(folder: str, options: argparse.Namespace) -> dict[str, Any]:
    texts = texts_of(folder, options.mb * 1e6)
    size = sum(len(text.encode()) for text in texts) / 1e6
    print(f"{folder}: {len(texts)} documents, {size:.1f} MB")
    found: dict[str, Any] = {"documents": len(texts), "MB": size, "MB_per_second": {}}
    for stages in FAMILIES.values():
        for stage in stages:
            found["MB_per_second"][name_of(stage)] = size / seconds_of([stage], texts)
    for stage in ALONE:
        found["MB_per_second"][name_of(stage)] = size / seconds_of([stage], texts)
    for kind, at in (("datatrove", 0), ("paper", 1)):
        together = [stages[at] for stages in FAMILIES.values()]
        found["MB_per_second"][f"together ({kind})"] = size / seconds_of(together, texts)
    for name, speed in found["MB_per_second"].items():
        print(f"  {name}: {speed:.0f} MB/s")
    if options.peers:
        found["datatrove"] = agreement(options.peers, spread(texts, options.peer_mb * 1e6))
    return found


def agreement(python: str, texts: list[str]) -> dict[str, Any]:
    size = sum(len(text.encode()) for text in texts) / 1e6
    own, swapped = peers_on(python, texts, words=False), peers_on(python, texts, words=True)
    found: dict[str, Any] = {"version": own["version"], "documents": len(texts), "MB": size, "families": {}}
    print(f"  datatrove {own['version']}, spaCy {own['spacy']}, {len(texts)} documents, {size:.1f} MB")
    ours = [name for name in FAMILIES if name in own]
    seconds = sum(own[name]["seconds"] for name in ours)
    mine = seconds_of([FAMILIES[name][0] for name in ours], texts)
    print(f"  together: datatrove {size / seconds:.2f} MB/s, here {size / mine:.0f} MB/s, {seconds / mine:.0f} times")
    found["times"] = seconds / mine
    for name in ours:
        reasons = reasons_of(FAMILIES[name][0], texts)
        each: dict[str, Any] = {"MB_per_second": size / own[name]["seconds"]}
        for label, peer in (("own words", own), ("our words", swapped)):
            if name in peer:
                each[label], each[f"{label}, differences"] = compare(reasons, peer[name]["reasons"])
                print(f"  {name}, {label}: {each[label]:.3%} agree, {each[f'{label}, differences']}")
        times = own[name]["seconds"] / seconds_of([FAMILIES[name][0]], texts)
        print(f"  {name}: datatrove {each['MB_per_second']:.2f} MB/s, {times:.0f} times less")
        found["families"][name] = {**each, "times": times}
    return found


def linear(folder: Path) -> dict[str, list[float]]:
    """Seconds for one document of each size, as CSV and SVG."""
    book = "\n\n".join(texts_of("books", SIZES_MB[-1] * 1e6))
    while len(book.encode()) < SIZES_MB[-1] * 1e6:
        book += "\n" + book[::-1]  # other words, so that vocabulary and n-grams grow on
    data = book.encode()
    found: dict[str, list[float]] = {}
    for stages in (*FAMILIES.values(), ALONE):
        for stage in stages:
            sizes = [data[: int(size * 1e6)].decode(errors="ignore") for size in SIZES_MB]
            found[name_of(stage)] = [_once(stage, text) for text in sizes]
            print(name_of(stage), " ".join(f"{value:.3f}" for value in found[name_of(stage)]))
    folder.mkdir(parents=True, exist_ok=True)
    rows = ["megabytes," + ",".join(found)]
    rows += [",".join(map(str, [size, *(f"{v[at]:.4f}" for v in found.values())])) for at, size in enumerate(SIZES_MB)]
    (folder / "linear.csv").write_text("\n".join(rows) + "\n")
    (folder / "linear.svg").write_text(svg(found))
    return found


def _once(stage: StreamingStage, text: str) -> float:
    took = []
    for _ in range(REPEATS if len(text) < 5e6 else 1):
        (batch,) = batches_of([text])
        begun = time.process_time()
        stage.apply(batch)
        took.append(time.process_time() - begun)
    return min(took)


WIDTH, HEIGHT, LEFT, TOP = 560, 360, 60, 20
COLOURS = (
    *("#0b6", "#36c", "#c63", "#939", "#690", "#c39", "#555", "#099"),
    *("#b80", "#06a", "#a00", "#0aa", "#660", "#33a", "#a5a"),
)


def svg(found: dict[str, list[float]]) -> str:
    """Seconds over megabytes, both logarithmic, with a grey line of slope 1."""
    low = min(min(values) for values in found.values())
    high = max(max(values) for values in found.values())
    wide, deep = np.log10(SIZES_MB[-1] / SIZES_MB[0]), np.log10(high / low)

    def at(size: float, seconds: float) -> str:
        x = LEFT + (WIDTH - LEFT - 190) * np.log10(size / SIZES_MB[0]) / wide
        return f"{x:.1f},{TOP + (HEIGHT - TOP - 40) * np.log10(high / seconds) / deep:.1f}"

    start = found[next(iter(found))][0]
    lines = [(start * size / SIZES_MB[0], size) for size in SIZES_MB]
    parts = [f'<polyline points="{" ".join(at(size, s) for s, size in lines)}" fill="none" stroke="#bbb"/>']
    for number, (name, values) in enumerate(found.items()):
        points = " ".join(at(size, value) for size, value in zip(SIZES_MB, values, strict=True))
        colour = COLOURS[number % len(COLOURS)]
        parts.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="1.5"/>')
        parts.append(f'<text x="{WIDTH - 185}" y="{TOP + 16 * number + 10}" fill="{colour}">{name}</text>')
    for size in SIZES_MB:
        parts.append(f'<text x="{at(size, low).split(",")[0]}" y="{HEIGHT - 22}" text-anchor="middle">{size:g}</text>')
    seconds = 10.0 ** np.arange(np.ceil(np.log10(low)), np.log10(high))
    for each in seconds.tolist():
        parts.append(
            f'<text x="{LEFT - 6}" y="{at(SIZES_MB[0], each).split(",")[1]}" text-anchor="end">{each:g} s</text>'
        )
    parts.append(f'<text x="{LEFT}" y="{HEIGHT - 6}">megabytes of one document; grey: proportional</text>')
    size = f'width="{WIDTH}" height="{HEIGHT}"'
    body = "\n".join(parts)
    return f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="sans-serif" font-size="11">\n{body}\n</svg>\n'


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peers", help="a Python with datatrove and spaCy")
    parser.add_argument("--mb", type=float, default=30)
    parser.add_argument("--peer-mb", type=float, default=1)
    parser.add_argument("--folders", nargs="*", default=FOLDERS)
    parser.add_argument("--linear", type=Path)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    for stage in (*(stage for stages in FAMILIES.values() for stage in stages), *ALONE):  # compile the kernels
        stage.apply(next(batches_of(["compile é"])))
    found: dict[str, Any] = {folder: bench(folder, options) for folder in options.folders}
    if options.linear:
        found["linear"] = linear(options.linear)
    if options.json:
        options.json.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
