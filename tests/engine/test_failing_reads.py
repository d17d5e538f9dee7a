"""Input whose file system fails at any one call, in any pass: all documents, or an error that names the file."""

from __future__ import annotations

import gzip
import io
import os
import re
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard
from support import failing
from support.engine import digests, sentence
from support.failing import PLAN, BackendError
from support.forms import FULL

from corpuscurate import Pipeline, Settings, Sink, Source
from corpuscurate.core.errors import CorpusCurateError, InputError, OutOfMemoryError, ReadError
from corpuscurate.engine.check import read_columns
from corpuscurate.engine.manifest import build_manifest
from corpuscurate.io import reading
from corpuscurate.io.base import Want, input_format
from corpuscurate.io.files import expand
from corpuscurate.stages.exact import Exact
from corpuscurate.stages.length import Length
from corpuscurate.stages.minhash import MinHash

DOCUMENTS = 90
TEXTS = [sentence(number % 70) + (" and more" if number >= 80 else "") for number in range(DOCUMENTS)]
TABLE = pa.table({"text": TEXTS, "n": list(range(DOCUMENTS))})
LINES = b"".join(orjson.dumps(row) + b"\n" for row in TABLE.to_pylist())


def parquet() -> bytes:
    sink = io.BytesIO()
    pq.write_table(TABLE, sink, row_group_size=30, compression="zstd")
    return sink.getvalue()


def arrow(open_writer: Any) -> bytes:
    sink = io.BytesIO()
    with open_writer(sink, TABLE.schema) as writer:
        writer.write_table(TABLE, max_chunksize=30)
    return sink.getvalue()


FORMATS = {
    "jsonl": {"in/a.jsonl": LINES},
    "gz": {"in/a.jsonl.gz": gzip.compress(LINES[:9000], 1) + gzip.compress(LINES[9000:], 1)},
    "zst": {"in/a.jsonl.zst": zstandard.compress(LINES)},
    "parquet": {"in/a.parquet": parquet()},
    "arrow_file": {"in/a.arrow": arrow(pa.ipc.new_file)},
    "arrow_stream": {"in/a.arrow": arrow(pa.ipc.new_stream)},
    "text": {f"in/deep/{number}.txt": text.encode() for number, text in enumerate(TEXTS[:6])},
}
ERRORS = {
    "time-out": (TimeoutError, True),
    "reset": (ConnectionResetError, True),
    "permission": (lambda: PermissionError(13, "Permission denied"), False),
    "disk": (lambda: OSError(5, "Input/output error"), False),
    "memory": (MemoryError, False),
    "client": (BackendError, False),
}


@pytest.fixture(autouse=True)
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "RETRY_SECONDS", (0.0, 0.0, 0.0))


def read_everything(pattern: str) -> list[tuple[int, str]]:
    """doc_id and text of every document, with the calls of a run until its first pass ends. Fails for a bad record."""
    manifest = build_manifest(Source(paths=(pattern,), split_bytes=6000), Path("/"))
    assert read_columns(manifest.files).unreadable == {}
    found = []
    for split in manifest.splits:
        for file, span in zip(split.files, split.spans, strict=True):
            for chunk in input_format(file.format).read(file, span, Want(rest=True, column_types=True)):
                assert chunk.bad == (), chunk.bad
                if chunk.batch is not None:
                    found += zip(chunk.batch.doc_id.tolist(), chunk.batch.text.to_pylist(), strict=True)
    return found


def outcome(work: Any, wanted: Any) -> str:
    """ "all" where the work gives what is wanted, "error" where it raises one that names the file; fails else."""
    try:
        assert work() == wanted
        return "all"
    except CorpusCurateError as error:
        assert isinstance(error, InputError | OutOfMemoryError), error
        assert re.search(r"in/|failing://in", str(error)), error
        assert "damaged" not in str(error)
        assert "changed while" not in str(error)
        return "error"


@pytest.mark.parametrize("pattern", ["failing://in/", "failing://in/**"])
@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.campaign(2)
def test_any_failing_call_of_the_reading_gives_all_documents_or_an_error(name: str, pattern: str) -> None:
    """Of the calls with a pattern, those that find the files are failed, and the next two: the rest are as for a
    folder."""
    PLAN.files = FORMATS[name]
    PLAN.reset()
    files = expand([pattern], Path("/"), None)
    finding = PLAN.calls
    assert len(files) == len(PLAN.files)
    PLAN.reset()
    wanted = read_everything(pattern)
    assert len(wanted) == (DOCUMENTS if name != "text" else 6)
    calls = PLAN.calls
    assert calls > finding + 2
    if "*" in pattern:
        calls = finding + 2
    step = 1 if FULL else 3  # in the short form a third of the calls for each error, for the next error other ones
    for number, (kind, (error, passing)) in enumerate(ERRORS.items()):
        for at in range(1 + number % step, calls + 1, step):
            PLAN.reset(at, error)
            found = outcome(lambda: read_everything(pattern), wanted)
            assert PLAN.failed
            is_pattern = at <= 2 and "*" in pattern  # whether there is such a file: what matches it is asked anyway
            assert is_pattern or found == ("all" if passing else "error"), (kind, at, PLAN.failed)
            PLAN.reset(at, error, lasting=True)
            assert outcome(lambda: read_everything(pattern), wanted) == "error", (kind, at)


@pytest.mark.parametrize("name", FORMATS)
def test_a_stream_that_ends_early_is_no_damage(name: str) -> None:
    PLAN.files = FORMATS[name]
    PLAN.reset()
    wanted = read_everything("failing://in/")
    calls = PLAN.calls
    for at in range(1, calls + 1):
        PLAN.reset(at, short=True)
        assert outcome(lambda: read_everything("failing://in/"), wanted) == "all"
        PLAN.reset(at, short=True, lasting=True)
        early = outcome(lambda: read_everything("failing://in/"), wanted) == "error"
        assert not early or PLAN.failed  # at the end of a file there is nothing to miss


def run(folder: Path) -> dict[str, str]:
    """The digests of the results of a run with every kind of pass; few bands: each is a work that reads no input."""
    spec = Pipeline(
        Source(paths=("failing://in/",), split_bytes=6000),
        (Exact(), MinHash(values=8, bands=2, rows=4), Length(min_words=2)),
        Sink(path=str(folder)),
        Settings(workers=1),
    )
    spec.run(overwrite=True)
    return digests(folder)


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.campaign(2)
def test_any_failing_call_of_a_run_gives_all_documents_or_an_error(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In all passes. Of the calls, EACH_CALL=1 makes each one fail, else one in nine, in the short form one in 31: a
    run takes a quarter second."""
    monkeypatch.setattr(failing, "MOST_AT_ONCE", 1 << 16)
    PLAN.files = FORMATS[name]
    PLAN.reset()
    wanted = run(tmp_path / "whole")
    calls = PLAN.calls
    PLAN.reset()
    read_everything("failing://in/")
    assert calls > PLAN.calls  # there are more passes
    step = 1 if os.environ.get("EACH_CALL") else 9 if FULL else 31
    for at in range(1, calls + 1, step):
        PLAN.reset(at, ERRORS["disk"][0])
        assert outcome(lambda at=at: run(tmp_path / f"{at}"), wanted) == "error"
        PLAN.reset(at, TimeoutError)
        assert outcome(lambda at=at: run(tmp_path / f"{at}"), wanted) == "all"  # it goes on from what was finished
        assert PLAN.failed or PLAN.calls < at


def test_a_read_error_says_what_and_what_to_do() -> None:
    PLAN.files = FORMATS["jsonl"]
    PLAN.reset(1, TimeoutError, lasting=True)
    with pytest.raises(InputError, match=r"^Cannot list failing://in/a\.jsonl: TimeoutError\.$"):
        read_everything("failing://in/a.jsonl")
    PLAN.reset()
    file = build_manifest(Source(paths=("failing://in/a.jsonl",)), Path("/")).files[0]
    PLAN.reset(1, TimeoutError, lasting=True)
    with pytest.raises(ReadError, match=r"file failing://in/a\.jsonl: TimeoutError\. It was tried 4 times\. Run again"):
        input_format("jsonl").columns(file)
