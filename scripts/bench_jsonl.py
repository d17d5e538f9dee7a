"""How fast JSON lines become text and id columns: this reader beside orjson, msgspec, pysimdjson and pyarrow.json.

    python scripts/bench_jsonl.py FILE.jsonl[.gz|.zst] [ROUNDS]

Each way makes the same two Arrow columns in one thread from plain bytes in memory (this reader: from a plain file, its
own reading included); the columns are compared. MB/s of line bytes by CPU time, system time included, the best of
ROUNDS, the ways in turn. msgspec and pysimdjson are no dependencies; a way whose package is missing is left out.
"""

from __future__ import annotations

import importlib.util
import io
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import orjson
import pyarrow as pa
import pyarrow.json as pj
import xxhash

from corpuscurate.io.base import SourceFile, Span, Want
from corpuscurate.io.file_names import kind_of
from corpuscurate.io.files import open_bytes
from corpuscurate.io.jsonl import JSONL

TEXT = pa.large_string()
Columns = tuple[pa.LargeStringArray, pa.LargeStringArray]


def ours(file: SourceFile, **want: bool) -> Columns:
    span = Span(0, 0, file.size, file.size)
    batches = [chunk.batch for chunk in JSONL.read(file, span, Want(id="id", **want)) if chunk.batch is not None]
    return pa.concat_arrays([batch.text for batch in batches]), pa.concat_arrays([batch.id for batch in batches])


def with_orjson(raw: bytes) -> Columns:
    records = [orjson.loads(line) for line in raw.splitlines()]
    return pa.array([r["text"] for r in records], TEXT), pa.array([r["id"] for r in records], TEXT)


def with_msgspec(raw: bytes) -> Columns:
    import msgspec

    decode = msgspec.json.Decoder(msgspec.defstruct("Record", [("id", str), ("text", str)])).decode
    records = [decode(line) for line in raw.splitlines()]
    return pa.array([r.text for r in records], TEXT), pa.array([r.id for r in records], TEXT)


def with_simdjson(raw: bytes) -> Columns:
    import simdjson

    parser, texts, ids = simdjson.Parser(), [], []
    for line in raw.splitlines():
        record = parser.parse(line)
        texts.append(record["text"])
        ids.append(record["id"])
        del record
    return pa.array(texts, TEXT), pa.array(ids, TEXT)


def with_pyarrow(raw: bytes) -> Columns:
    table = pj.read_json(
        io.BytesIO(raw),
        pj.ReadOptions(use_threads=False, block_size=16 << 20),
        pj.ParseOptions(explicit_schema=pa.schema([("text", TEXT), ("id", TEXT)]), unexpected_field_behavior="ignore"),
    )
    return table["text"].combine_chunks(), table["id"].combine_chunks()


def digest(columns: Columns) -> str:
    hasher = xxhash.xxh3_64()
    for column in columns:
        for value in column.to_pylist():
            hasher.update(value.encode() + b"\xff")
    return hasher.hexdigest()


def plain_copy(path: Path, folder: Path) -> SourceFile:
    """The file decompressed, so that all ways begin with the same bytes."""
    _, compression = kind_of(path.name)
    source = SourceFile(0, path.name, str(path), path.stat().st_size, "jsonl", compression)
    target = folder / "plain.jsonl"
    with open_bytes(source) as reader, target.open("wb") as out:
        while block := reader.read(1 << 20):
            out.write(block)
    return SourceFile(0, target.name, str(target), target.stat().st_size, "jsonl")


def main(path: Path, rounds: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        file = plain_copy(path, Path(folder))
        raw = Path(file.path).read_bytes()
        ways: dict[str, Callable[[], Columns]] = {
            "corpuscurate": lambda: ours(file),
            "corpuscurate, with column types": lambda: ours(file, column_types=True),
            "corpuscurate, with rest for a writer": lambda: ours(file, rest=True),
            "orjson": lambda: with_orjson(raw),
            "msgspec (a struct of id and text)": lambda: with_msgspec(raw),
            "pysimdjson (one parser, two fields)": lambda: with_simdjson(raw),
            "pyarrow.json (explicit schema)": lambda: with_pyarrow(raw),
        }
        for package, way in (
            ("msgspec", "msgspec (a struct of id and text)"),
            ("simdjson", "pysimdjson (one parser, two fields)"),
        ):
            if importlib.util.find_spec(package) is None:
                del ways[way]
        digests = {name: digest(way()) for name, way in ways.items()}  # and the kernels are compiled
        best = dict.fromkeys(ways, float("inf"))
        for _ in range(rounds):
            for name, way in ways.items():
                start = time.process_time()
                way()
                best[name] = min(best[name], time.process_time() - start)
        print(f"{path.name}: {len(raw) / 1e6:.1f} MB of lines, best of {rounds}")
        for name, seconds in best.items():
            print(f"{len(raw) / 1e6 / seconds:8.0f} MB/s  {name}  (columns {digests[name]})")
        if len(set(digests.values())) != 1:
            sys.exit("the columns differ")


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    main(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 5)
