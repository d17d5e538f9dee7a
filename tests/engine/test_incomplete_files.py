"""Files that end too early: each is named, with what was read of it, on the console, in the summary, in the report."""

from __future__ import annotations

import gzip
from pathlib import Path

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard

from corpuscurate import Pipeline, Settings, Sink, Source
from corpuscurate.commands.summary import print_summary
from corpuscurate.engine import damage
from corpuscurate.engine.progress import NoProgress

ROWS = [{"text": f"text number {row} of {row % 7}"} for row in range(400)]
LINES = b"".join(orjson.dumps(row) + b"\n" for row in ROWS)


class Console(NoProgress):
    def __init__(self) -> None:
        self.said: list[str] = []

    def message(self, text: str) -> None:
        self.said.append(text)


def run(folder: Path, *paths: str) -> tuple[dict, list[str]]:
    console = Console()
    source = Source(paths=paths, split_bytes=2000)
    report = Pipeline(source, (), Sink(path="out"), Settings(workers=1), folder).run(progress=console)
    return report, console.said


def arrow(path: Path) -> None:
    with pa.ipc.new_file(path, pa.schema([("text", pa.string())])) as writer:
        writer.write_table(pa.Table.from_pylist(ROWS), max_chunksize=50)


def write_cut(path: Path) -> None:
    """A file of ROWS that ends too early."""
    whole = path.with_name("whole")
    if path.suffix == ".parquet":
        pq.write_table(pa.Table.from_pylist(ROWS), whole)
    elif path.suffix == ".arrow":
        arrow(whole)
    else:
        packed = {".gz": gzip.compress, ".zst": zstandard.ZstdCompressor().compress, ".jsonl": bytes}[path.suffix]
        whole.write_bytes(packed(LINES))
    content = whole.read_bytes()
    path.write_bytes(content[: len(content) * 3 // 5])
    whole.unlink()


NAMES = ["cut.jsonl", "cut.jsonl.gz", "cut.jsonl.zst", "cut.arrow", "cut.parquet", "cut.txt.gz"]


@pytest.mark.parametrize("name", NAMES)
def test_the_file_what_was_read_and_that_the_rest_is_unknown(tmp_path, name, capsys):
    (tmp_path / "good.jsonl").write_bytes(LINES)
    write_cut(tmp_path / name)
    report, said = run(tmp_path, "good.jsonl", name)
    read = report["documents"]["kept"] - len(ROWS)
    (told,) = report["incomplete_files"]
    assert (told["file"], told["documents"]) == (name, read)
    assert told["bytes"] == report["bytes"]["records"] - sum(len(orjson.dumps(row)) for row in ROWS)
    assert (read > 0) == (name not in ("cut.jsonl.zst", "cut.parquet", "cut.txt.gz"))  # a frame is one block
    start = (
        f"{name} could not be read to its end: {told['detail']}. {read:,} documents ({told['bytes']:,} bytes) were read"
    )
    (warning,) = [text for text in report["warnings"] if "could not be read to its end" in text]
    assert warning.startswith(start)
    assert warning.endswith("how many more there were is unknown.")
    assert f"warning: {warning}" in said
    print_summary(report, tmp_path / "out")
    (line,) = [line for line in capsys.readouterr().out.splitlines() if line.startswith("incomplete: ")]
    assert line.startswith(f"incomplete: {name}: {read:,} documents (")
    assert "what followed is unknown (truncated: " in line


def test_whole_files_and_single_bad_records_are_not_incomplete(tmp_path):
    (tmp_path / "a.jsonl").write_bytes(LINES + b"broken\n{}\n" + LINES.rstrip())
    (tmp_path / "b.jsonl").write_bytes(b"")
    report, said = run(tmp_path, "*.jsonl")
    assert report["quarantined_by_reason"] == {"broken_json": 1, "empty_file": 1, "missing_text": 1}
    assert (report["incomplete_files"], report["warnings"]) == ([], [])
    assert not said


def test_parts_of_one_file_are_counted_together(tmp_path):
    """A damaged row group is a part of the file; what was read before and behind it counts."""
    path = tmp_path / "a.parquet"
    pq.write_table(pa.Table.from_pylist(ROWS), path, row_group_size=100, compression="none", use_dictionary=False)
    chunk = pq.ParquetFile(path).metadata.row_group(1).column(0)
    content = bytearray(path.read_bytes())
    content[chunk.data_page_offset : chunk.data_page_offset + 4] = b"\xff" * 4
    path.write_bytes(content)
    report, _ = run(tmp_path, "a.parquet")
    (told,) = report["incomplete_files"]
    assert (told["file"], told["reason"], told["documents"]) == ("a.parquet", "unreadable", 300)
    assert report["documents"]["kept"] == 300


def test_many_files_are_named_in_the_report_and_counted_on_the_console(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(damage, "WARNED", 2)
    for number in range(7):
        (tmp_path / f"{number}.jsonl").write_bytes(b'{"text": "one"}\n{"text": "tw')
    report, _ = run(tmp_path, "*.jsonl")
    assert [each["file"] for each in report["incomplete_files"]] == [f"{number}.jsonl" for number in range(7)]
    assert len(report["warnings"]) == 3
    assert report["warnings"][-1] == "5 more files could not be read to their end: see incomplete_files."
    print_summary(report, tmp_path / "out")
    assert "2 more input files could not be read to their end: see the report" in capsys.readouterr().out
