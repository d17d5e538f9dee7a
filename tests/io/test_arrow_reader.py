"""Reading Arrow IPC files and streams."""

from __future__ import annotations

import random
from pathlib import Path

import pyarrow as pa
import pytest
from pyarrow import feather, ipc
from support.io import read_all, rich_table, source

from corpuscurate.core.errors import InputError
from corpuscurate.io import arrow_ipc
from corpuscurate.io.base import Want


def packed(table: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    with ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table, max_chunksize=2)
    return sink.getvalue().to_pybytes()


EXAMPLE = packed(pa.table({"text": ["one", "", "zwölf", "four 🦊", "five"], "n": [1, None, 3, 4, 5]}))
DAMAGED = b"no Arrow file"


def write(path: Path, table: pa.Table, rows: int = 50, stream: bool = False, compression: str | None = None) -> Path:
    options = ipc.IpcWriteOptions(compression=compression, emit_dictionary_deltas=True)
    make = ipc.new_stream if stream else ipc.new_file
    with pa.OSFile(str(path), "wb") as sink, make(sink, table.schema, options=options) as writer:
        writer.write_table(table, max_chunksize=rows)
    return path


FORMS = [(stream, compression) for stream in (False, True) for compression in (None, "zstd", "lz4")]


@pytest.mark.parametrize(("stream", "compression"), FORMS)
@pytest.mark.parametrize("batch_bytes", [1, 900, 1 << 24])
@pytest.mark.parametrize("split_bytes", [1, 1 << 30])
def test_every_value_comes_back(tmp_path, stream, compression, batch_bytes, split_bytes):
    table = rich_table()
    file = source(write(tmp_path / "a.arrow", table, stream=stream, compression=compression))
    want = Want(id="id", columns=("label", "list", "absent"), rest=True, batch_bytes=batch_bytes)
    rows, bad = read_all(file, want, split_bytes)
    expected = table.to_pylist()
    assert bad == []
    assert [row["position"] for row in rows] == list(range(200))
    assert [row["rest"] for row in rows] == expected
    assert [row["text"] for row in rows] == [row["text"] for row in expected]
    assert [row["id"] for row in rows] == [None if row["id"] is None else str(row["id"]) for row in expected]
    assert [row["columns"] for row in rows] == [
        {"label": row["label"], "list": row["list"], "absent": None} for row in expected
    ]


@pytest.mark.parametrize(("stream", "compression"), FORMS)
def test_sizes_do_not_depend_on_what_is_read(tmp_path, stream, compression):
    file = source(write(tmp_path / "a.arrow", rich_table(), stream=stream, compression=compression))
    wants = [Want(), Want(rest=True), Want(id="id", batch_bytes=100), Want(columns=("struct",), batch_bytes=1)]
    sizes = [[row["bytes"] for row in read_all(file, want)[0]] for want in wants]
    assert sizes[0] == sizes[1] == sizes[2] == sizes[3]


def test_feather(tmp_path):
    table = rich_table().select(["id", "text", "label"])
    feather.write_feather(table, str(tmp_path / "a.feather"), chunksize=30)
    rows, bad = read_all(source(tmp_path / "a.feather"), Want(rest=True))
    assert (bad, [row["rest"] for row in rows]) == ([], table.to_pylist())
    feather.write_feather(pa.table({"text": ["x"]}).to_pandas(), str(tmp_path / "b.feather"), version=2)
    assert read_all(source(tmp_path / "b.feather"), Want())[0][0]["text"] == "x"


def test_feather_version_1_is_named(tmp_path):
    (tmp_path / "a.feather").write_bytes(b"FEA1" + bytes(100) + b"FEA1")
    _, bad = read_all(source(tmp_path / "a.feather"), Want())
    assert [(r.reason, r.whole_file) for r in bad] == [("unreadable", True)]
    assert "version 1" in bad[0].detail


def test_spans(tmp_path):
    file = source(write(tmp_path / "a.arrow", rich_table(), rows=20))
    spans = arrow_ipc.split(file, 1)
    assert [(span.start, span.stop) for span in spans] == [(at, at + 1) for at in range(10)]
    limit = spans[0].bytes * 5 // 2
    packed = arrow_ipc.split(file, limit)
    assert 1 < len(packed) < 10
    assert [span.start for span in packed] == [0, *(span.stop for span in packed[:-1])]
    assert sum(span.bytes for span in packed) == sum(span.bytes for span in spans)
    stream = source(write(tmp_path / "b.arrow", rich_table(), rows=20, stream=True))
    assert [(span.start, span.stop) for span in arrow_ipc.split(stream, 1)] == [(0, 10)]


@pytest.mark.parametrize(("stream", "compression"), FORMS)
def test_cut_anywhere_gives_the_record_batches_before(tmp_path, stream, compression):
    table = rich_table(100).drop(["view", "label"])
    path = write(tmp_path / "a.arrow", table, rows=20, stream=stream, compression=compression)
    whole = path.read_bytes()
    expected = table.column("text").to_pylist()
    reached = set()
    for place in [*range(1, 20), *range(20, len(whole), len(whole) // 60), *range(len(whole) - 20, len(whole))]:
        path.write_bytes(whole[:place])
        rows, bad = read_all(source(path), Want(rest=place % 2 == 0))
        assert [row["text"] for row in rows] == expected[: len(rows)]
        assert len(rows) % 20 == 0
        reached.add(len(rows))
        if stream and len(rows) == 100:
            continue  # the mark at a stream's end may be left out
        if stream and not bad:  # cut exactly between two messages: a proper, shorter stream
            continue
        assert [r.whole_file for r in bad] == [True], place
        assert bad[0].reason in ("truncated", "unreadable")
        if rows:
            assert (bad[0].reason, bad[0].position) == ("truncated", len(rows))
    assert reached >= {0, 20, 40, 60, 80}


def test_a_lost_footer_keeps_all_record_batches(tmp_path):
    path = write(tmp_path / "a.arrow", rich_table(100), rows=20)
    path.write_bytes(path.read_bytes()[:-30])
    rows, bad = read_all(source(path), Want(rest=True))
    assert [row["rest"] for row in rows] == rich_table(100).to_pylist()
    assert [(r.reason, r.position, r.whole_file) for r in bad] == [("truncated", 100, True)]
    assert "100 rows could be read" in bad[0].detail


def test_a_damaged_record_batch_costs_itself(tmp_path):
    table = pa.table({"text": [f"{at} " * 200 for at in range(100)], "n": range(100)})
    path = write(tmp_path / "a.arrow", table, rows=20, compression="zstd")
    data = bytearray(path.read_bytes())
    magic = b"\x28\xb5\x2f\xfd"  # of a compressed buffer
    frames = [at for at in range(len(data) - 4) if data[at : at + 4] == magic]
    text_frame = frames[len(frames) * 2 // 5 + 1]  # record batch 2 of 5: offsets, text, n
    data[text_frame : text_frame + 4] = b"XXXX"
    path.write_bytes(bytes(data))
    outcomes = []
    for want in (Want(), Want(batch_bytes=10), Want(rest=True)):
        try:
            rows, bad = read_all(source(path), want)
        except InputError as error:
            outcomes.append(str(error))
            continue
        outcomes.append(([row["position"] for row in rows], [(r.position, r.reason) for r in bad]))
        assert [row["text"] for row in rows] == [f"{row['position']} " * 200 for row in rows]
    assert outcomes[0] == outcomes[1] == outcomes[2] == ([*range(40), *range(60, 100)], [(40, "unreadable")])


def test_offsets_that_lie_are_refused(tmp_path):
    good = pa.array(["a", "bb", "ccc"])
    offsets = pa.py_buffer(b"".join(value.to_bytes(4, "little") for value in (0, 1, 1 << 30, 6)))
    lie = pa.StringArray.from_buffers(3, offsets, good.buffers()[2])
    path = tmp_path / "a.arrow"
    with pa.OSFile(str(path), "wb") as sink, ipc.new_file(sink, pa.schema([("text", pa.string())])) as writer:
        writer.write_batch(pa.record_batch([good], names=["text"]))
        writer.write_batch(pa.record_batch([lie], names=["text"]))
    rows, bad = read_all(source(path), Want())
    assert [row["text"] for row in rows] == ["a", "bb", "ccc"]
    assert [(r.position, r.reason, r.whole_file) for r in bad] == [(3, "unreadable", True)]


@pytest.mark.parametrize("stream", [False, True])
def test_invalid_utf8_nulls_and_sizes(tmp_path, stream):
    stored = pa.array([b"good", b"bad\xff", None, b"x" * 3000, b"\xc3\xa9"], pa.binary()).view(pa.string())
    table = pa.table({"text": stored, "n": range(5)})
    path = write(tmp_path / "a.arrow", table, rows=2, stream=stream)
    rows, bad = read_all(source(path), Want(rest=True, max_record_bytes=2000))
    assert [(row["text"], row["rest"]["n"]) for row in rows] == [("good", 0), ("é", 4)]
    assert [(r.position, r.reason) for r in bad] == [(1, "invalid_utf8"), (2, "null_text"), (3, "too_large")]


def test_missing_and_wrong_columns(tmp_path):
    path = write(tmp_path / "a.arrow", pa.table({"body": ["x"], "n": [1]}))
    with pytest.raises(InputError, match=r"a\.arrow has no column 'text'.*body \(string\), n \(int64\)"):
        read_all(source(path), Want())
    with pytest.raises(InputError, match="of type int64, not a string"):
        read_all(source(path), Want(text="n"))


def test_empty_and_not_arrow(tmp_path):
    path = tmp_path / "a.arrow"
    path.write_bytes(b"")
    _, bad = read_all(source(path), Want())
    assert [(r.reason, r.whole_file) for r in bad] == [("empty_file", True)]
    for content in (b"{}\n" * 50, b"\xff" * 100, b"PAR1" * 20, bytes(200)):
        path.write_bytes(content)
        rows, bad = read_all(source(path), Want())
        assert rows == []
        assert [r.whole_file for r in bad] in ([True], []), content
        assert bad, content
        with pytest.raises(InputError, match="not an Arrow IPC file or stream"):
            arrow_ipc.columns(source(path))


@pytest.mark.parametrize("stream", [False, True])
def test_no_rows(tmp_path, stream):
    path = write(tmp_path / "a.arrow", rich_table().slice(0, 0), stream=stream)
    assert read_all(source(path), Want(rest=True)) == ([], [])
    file = source(path)
    (span,) = arrow_ipc.split(file, 100)
    assert [chunk.column_types is not None for chunk in arrow_ipc.read(file, span, Want(column_types=True))] == [True]
    assert arrow_ipc.columns(file)["text"] == "string"


def test_flipped_bytes_never_crash(tmp_path):
    table = rich_table(60).select(["id", "text", "list", "struct", "label", "view"])
    rng = random.Random(5)  # noqa: S311
    for stream, compression in FORMS:
        path = write(tmp_path / "a.arrow", table, rows=20, stream=stream, compression=compression)
        whole = path.read_bytes()
        for _ in range(40):
            data = bytearray(whole)
            data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
            path.write_bytes(bytes(data))
            try:
                rows, _ = read_all(source(path), Want(id="id", rest=True, batch_bytes=300))
            except (InputError, UnicodeDecodeError):  # the second from this test: `rest` may hold any bytes
                continue
            positions = [row["position"] for row in rows]
            assert positions == sorted(set(positions))


def part(tag: str, rows: int = 4, *, stream: bool = False) -> bytes:
    """A file or stream of two rows a record batch."""
    table = pa.table({"text": [f"{tag}{row}" for row in range(rows)]})
    sink = pa.BufferOutputStream()
    with (ipc.new_stream if stream else ipc.new_file)(sink, table.schema) as writer:
        writer.write_table(table, max_chunksize=2)
    return sink.getvalue().to_pybytes()


def other_columns() -> bytes:
    table = pa.table({"text": ["x"], "n": [1]})
    sink = pa.BufferOutputStream()
    with ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue().to_pybytes()


ONE, TWO = part("a", stream=True), part("b", stream=True)
SEVERAL = {
    "streams": (ONE + TWO + part("c", 3, stream=True), 11, None),
    "files": (part("a") + part("b") + part("c", 3), 11, None),
    "files, the last cut off": (part("a") + part("b")[:-30], 8, "footer"),
    "a stream and zeros": (ONE + bytes(100), 4, None),
    "a stream and something else": (ONE + b"something else", 4, f"no Arrow stream stands at byte {len(ONE)}"),
    "a stream and a file": (ONE + part("b"), 4, "no Arrow stream"),
    "a file and a stream": (part("a") + TWO, 4, "footer"),
    "other columns": (ONE + other_columns() + TWO, 4, "other columns"),
}


@pytest.mark.parametrize("case", SEVERAL)
@pytest.mark.parametrize("split_bytes", [1, 1 << 30])
def test_what_follows_an_end_is_read_or_told(tmp_path, case, split_bytes):
    data, rows, told = SEVERAL[case]
    (tmp_path / "a.arrow").write_bytes(data)
    for rest in (False, True):
        found, bad = read_all(source(tmp_path / "a.arrow"), Want(rest=rest), split_bytes)
        names = [f"{tag}{row}" for tag in "abc" for row in range(3 if tag == "c" else 4)]
        assert [row["text"] for row in found] == names[:rows]
        assert [row["position"] for row in found] == list(range(rows))
        assert [record.whole_file for record in bad] == ([True] if told else [])
        assert not told or told in bad[0].detail


@pytest.mark.parametrize("rows", [0, 1, 7])
@pytest.mark.parametrize("compression", ["uncompressed", "lz4", "zstd"])
def test_files_of_polars_have_no_stream(tmp_path, rows, compression):
    polars = pytest.importorskip("polars")
    texts = [f"text {row}" for row in range(rows)]
    frame = polars.DataFrame({"text": polars.Series(texts, dtype=polars.String)})
    frame = frame.with_columns(label=polars.lit("x").cast(polars.Categorical))
    frame.write_ipc(tmp_path / "a.arrow", record_batch_size=2, compression=compression)
    file = source(tmp_path / "a.arrow")
    found, bad = read_all(file, Want(rest=True, columns=("label",)), 1)
    assert (bad, [row["text"] for row in found], {row["rest"]["label"] for row in found} - {"x"}) == ([], texts, set())
    assert set(arrow_ipc.columns(file)) == {"text", "label"}
    data = (tmp_path / "a.arrow").read_bytes()
    (tmp_path / "a.arrow").write_bytes(data + data)  # the places in the second footer lead into the first file
    found, bad = read_all(source(tmp_path / "a.arrow"), Want(rest=True), 1)
    assert len(found) == 2 * rows or [record.whole_file for record in bad] == [True]
