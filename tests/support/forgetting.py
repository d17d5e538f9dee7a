"""Runs to forget documents of, and what must hold afterwards."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import zstandard
from support.engine import sentence

from corpuscurate import Pipeline, Settings, Sink, Source
from corpuscurate.core.durable import read_json
from corpuscurate.core.tables import read_table
from corpuscurate.stages.exact import Exact
from corpuscurate.stages.length import Length

PERSON = "person-4711"
WORDS: str = "Xanthippe Oberhuber-Quist lives in Zwiebelgasse 17"
"""Words that no other document has."""


def corpus(folder: Path, documents: int = 12, *, secret: str = WORDS, ids: str = "text") -> None:
    """Two shards. Document 1 of the first is PERSON's; document 3 of the second is its copy; some are too short; one
    record is broken."""
    folder.mkdir(parents=True, exist_ok=True)
    for shard in range(2):
        lines = []
        for number in range(documents):
            text = sentence(100 * shard + number)
            if number % 5 == 4:
                text = "too short"
            if (shard, number) in ((0, 1), (1, 3)):
                text = f"{sentence(1)} {secret}"
            name: Any = 1000 * shard + number if ids == "integer" else f"d{shard}-{number}"
            if (shard, number) == (0, 1):
                name = 4711 if ids == "integer" else PERSON
            lines.append(orjson.dumps({"id": name, "text": text, "n": number}))
        lines.insert(2, b'{"id": "person-4711-broken", "text": ')
        (folder / f"shard-{shard}.jsonl").write_bytes(b"\n".join(lines) + b"\n")


def curate(folder: Path, *, out: str = "out", paths: str = "in/*.jsonl", overwrite: bool = False, **how: Any) -> dict:
    """Run Length and Exact (with `index`) over the corpus of a folder."""
    sink = {"format": "parquet", "part_bytes": 1500, **how.pop("sink", {})}
    stages = how.pop("stages", None) or (
        Length(min_words=10),
        Exact(index=tuple(str(folder / each) for each in how.pop("index", ()))),
    )
    source = Source(paths=(paths,), id=how.pop("id", "id"), split_bytes=2000)
    settings = Settings(workers=1, runner="inprocess", retain=how.pop("retain", "index"))
    return Pipeline(source, tuple(stages), Sink(path=out, **sink), settings, folder).run(overwrite=overwrite)


def plain_bytes(path: Path) -> bytes:
    """What a file holds, decoded: Parquet and Arrow as JSON, compressed lines as lines."""
    if path.suffix == ".parquet":
        return orjson.dumps(pq.read_table(path).to_pylist(), default=repr)
    if path.suffix == ".arrow":
        table = read_table(path)
        return path.read_bytes() + orjson.dumps(table.to_pylist(), default=repr)
    data = path.read_bytes()
    if path.suffix == ".zst":
        return zstandard.ZstdDecompressor().decompressobj().decompress(data)
    return data


def files_with(out: Path, *needles: bytes) -> list[str]:
    """The files below a folder that hold one of some byte strings."""
    files = sorted(path for path in out.rglob("*") if path.is_file())
    return [str(path.relative_to(out)) for path in files if any(each in plain_bytes(path) for each in needles)]


def records(out: Path) -> list[dict[str, Any]]:
    """The rows of data/, in order."""
    rows: list[dict[str, Any]] = []
    for path in sorted((out / "data").rglob("part-*")):
        if path.suffix == ".parquet":
            rows += pq.read_table(path).to_pylist()
        elif path.suffix == ".arrow":
            rows += pa.ipc.open_file(path).read_all().to_pylist()
        else:
            rows += [orjson.loads(line) for line in plain_bytes(path).splitlines()]
    return rows


def balanced(out: Path) -> dict[str, int]:
    """The counts of a report, which balance and are those of the files."""
    report = read_json(out / "report.json")
    counts = report["documents"]
    assert counts["input"] == sum(number for fate, number in counts.items() if fate != "input")
    assert report["rows"]["written"] == counts["kept"] + report["rows"]["extra_copies"] == len(records(out))
    dropped = [row for path in sorted((out / "dropped").glob("*")) for row in pq.read_table(path).to_pylist()]
    assert counts["dropped"] == len(dropped) == sum(row["dropped"] for row in report["stages"])
    assert counts["quarantined"] == sum(report["quarantined_by_reason"].values())
    assert report["bytes"]["text_out"] == sum(len(row["text"].encode()) for row in records(out))
    return counts
