"""Writing: values come back, bytes depend on rows alone, and a failing disk leaves a clear error and no file."""

from __future__ import annotations

import errno
import gzip
import hashlib
import io
import json
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st
from support.forms import some
from support.io import batches, read_all, rich_table, source

from corpuscurate.core.batch import Batch
from corpuscurate.core.columns import TEXT
from corpuscurate.core.digests import digest_file
from corpuscurate.core.doc_ids import doc_ids
from corpuscurate.core.errors import InputError, OutputError
from corpuscurate.io import files_out as output
from corpuscurate.io import output_rows as assemble
from corpuscurate.io import write_columns, write_lines
from corpuscurate.io.base import REST_FORM, OutputShape, Want, open_writer
from corpuscurate.io.column_types import merge, types_of_schema, unify_types
from corpuscurate.io.write_columns import write_plain_parquet

FORMATS = ["parquet", "arrow", "jsonl", "jsonl.gz", "jsonl.zst"]
ADDED = {"length.words": pa.int32(), "score.value": pa.float64(), "lang.name": pa.large_string()}


def shape(
    format: str, schema: pa.Schema, added: dict[str, pa.DataType] | None = None, group: int = 4000
) -> OutputShape:
    return OutputShape(format, schema, "text", "id", added or {}, group)


def with_added(batch: Batch) -> Batch:
    """Columns that depend on the document alone, with nulls."""
    ids = batch.doc_id.astype(np.int64)
    numbers = pa.array(ids % 97, mask=ids % 5 == 0).cast(pa.int32())
    return batch.with_columns(
        {
            "length.words": numbers,
            "score.value": pa.array(ids / 7, mask=ids % 3 == 0),
            "lang.name": pc.if_else(pa.array(ids % 4 == 0), None, pa.array([f"l{i % 3}" for i in ids.tolist()], TEXT)),
        }
    )


def pieces(batch: Batch, rng: random.Random, most: int) -> list[Batch]:
    out, at = [], 0
    while at < len(batch):
        size = rng.randint(1, most)
        out.append(batch.slice(at, min(len(batch), at + size)))
        at += size
    return out


def write(path: Path, form: OutputShape, parts: Sequence[Batch]) -> Path:
    writer = open_writer(path, form)
    try:
        for part in parts:
            writer.write(part)
        writer.close()
    except BaseException:
        writer.abort()
        raise
    return path


def load(path: Path) -> list[dict[str, Any]]:
    """The rows of an output file, read by nothing of ours."""
    data = path.read_bytes()
    if path.name.endswith("parquet"):
        return pq.read_table(io.BytesIO(data)).to_pylist()
    if path.name.endswith("arrow"):
        return pa.ipc.open_file(data).read_all().to_pylist()
    if path.name.endswith("gz"):
        data = gzip.decompress(data)
    if path.name.endswith("zst"):
        data = zstandard.ZstdDecompressor().decompressobj().decompress(data)
    assert not data or data.endswith(b"\n")
    return [json.loads(line) for line in data.split(b"\n")[:-1]]


def settled(*schemas: pa.Schema) -> pa.Schema:
    schema, _ = unify_types(merge([types_of_schema(schema) for schema in schemas]))
    return schema


@pytest.fixture(scope="module")
def corpus(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("corpus") / "a.parquet"
    pq.write_table(rich_table(), path, row_group_size=70)
    return path


@pytest.fixture(scope="module")
def lines(tmp_path_factory) -> Path:
    """JSON lines with nested and missing fields and 64-bit integers."""
    path = tmp_path_factory.mktemp("lines") / "a.jsonl"
    rows = []
    for at, row in enumerate(rich_table().to_pylist()):
        record = {
            "id": f"doc-{at}",
            "text": row["text"],
            "n": row["uint"],
            "nested": row["struct"],
            "list": row["list"],
        }
        if at % 3 == 0:
            record["date"] = "2020-01-01"
        if at % 4 == 0:
            del record["n"]
        rows.append(json.dumps(record, ensure_ascii=at % 2 == 0))
    path.write_text("\n".join(rows) + "\n")
    return path


def read_batches(path: Path, batch_bytes: int = 1 << 24) -> list[Batch]:
    want = Want(id="id", rest=True, batch_bytes=batch_bytes)
    return [with_added(batch) for batch, _ in batches(source(path), want, 10_000) if batch]


@pytest.mark.parametrize("format", ["parquet", "arrow"])
def test_columns_come_back_with_their_types(tmp_path, corpus, format):
    schema = settled(pq.read_schema(corpus))
    path = write(tmp_path / f"out.{format}", shape(format, schema, ADDED), read_batches(corpus))
    table = pq.read_table(path) if format == "parquet" else pa.ipc.open_file(path.read_bytes()).read_all()
    original = pq.read_table(corpus)
    assert table.schema.names == [*original.schema.names, *ADDED]
    assert [str(kind) for kind in table.schema.types] == [
        *(str(field.type) for field in original.schema),
        *(str(kind) for kind in ADDED.values()),
    ]
    assert table.select(original.column_names).to_pylist() == original.to_pylist()
    expected = [row for batch in read_batches(corpus) for row in pa.table(dict(batch.columns)).to_pylist()]
    assert table.select(list(ADDED)).to_pylist() == expected


def test_arrow_bytes_hold_nothing_else(tmp_path, corpus):
    """The IPC writer would write what happens to lie behind a slice: text of other documents."""
    everything = read_batches(corpus)
    secret = Batch(
        everything[0].doc_id,
        everything[0].text,
        everything[0].record_bytes,
        rest=everything[0].rest,
    )
    first = secret.slice(0, 2)
    schema = settled(pq.read_schema(corpus))
    path = write(tmp_path / "out.arrow", shape("arrow", schema), [first])
    hidden = "".join(secret.text.slice(2, 20).to_pylist()).encode()
    shown = "".join(first.text.to_pylist()).encode()
    data = path.read_bytes()
    probes = [hidden[at : at + 24] for at in range(0, len(hidden) - 24, 24)]
    assert shown[:20] in data
    assert not [probe for probe in probes if probe in data and probe not in shown]


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("origin", ["corpus", "lines"])
@pytest.mark.campaign(2)
def test_bytes_do_not_depend_on_batches(tmp_path, request, format, origin):
    path = request.getfixturevalue(origin)
    schema = (
        (settled(pq.read_schema(path)) if origin == "corpus" else lines_schema(path))
        if format in FORMATS[:2]
        else pa.schema([])
    )
    digests = set()
    for run, batch_bytes in enumerate((1 << 24, 1, 500, 5000, 1 << 24, 3000)):
        rng = random.Random(run)  # noqa: S311
        parts = [part for batch in read_batches(path, batch_bytes) for part in pieces(batch, rng, 1 + run * 37)]
        written = write(tmp_path / f"{run}.{format}", shape(format, schema, ADDED), parts)
        digests.add(hashlib.sha256(written.read_bytes()).hexdigest())
    assert len(digests) == 1


def lines_schema(path: Path) -> pa.Schema:
    from corpuscurate.io import jsonl

    file = source(path)
    found = [
        chunk.column_types
        for span in jsonl.JSONL.split(file, 1 << 30)
        for chunk in jsonl.JSONL.read(file, span, Want(id="id", column_types=True))
        if chunk.column_types
    ]
    return unify_types(merge(found))[0]


@settings(max_examples=some(40), deadline=None)
@given(data=st.data())
def test_any_rows_any_batches(tmp_path_factory, data):
    """Random rows with nulls, random cuts: same bytes, same values."""
    count = data.draw(st.integers(1, 40))

    def column(values: st.SearchStrategy, kind: pa.DataType) -> pa.Array:
        return pa.array(data.draw(st.lists(st.none() | values, min_size=count, max_size=count)), kind)

    text = data.draw(st.lists(st.text(max_size=20), min_size=count, max_size=count))
    words = st.text(max_size=8)
    rest = pa.record_batch(
        {
            "text": pa.array(text, pa.string()),
            "word": column(words, pa.string()),
            "label": column(st.sampled_from("abc"), pa.string()).dictionary_encode(),
            "view": column(words, pa.string_view()),
            "n": column(st.integers(-(1 << 63), (1 << 63) - 1), pa.int64()),
            "flag": column(st.booleans(), pa.bool_()),
            "items": column(st.lists(st.none() | words, max_size=3), pa.list_(pa.string())),
            "both": column(
                st.fixed_dictionaries({"x": st.none() | st.integers(0, 9), "y": words}),
                pa.struct([("x", pa.int8()), ("y", pa.string())]),
            ),
        }
    ).replace_schema_metadata({REST_FORM: b"columns"})
    sizes = np.array(data.draw(st.lists(st.integers(1, 60), min_size=count, max_size=count)), np.int64)
    whole = Batch(doc_ids(0, np.arange(count)), pa.array(text, TEXT), sizes, None, {}, rest)
    cuts = sorted({*data.draw(st.lists(st.integers(1, count), max_size=6)), count})
    parts = [whole.slice(a, b) for a, b in zip([0, *cuts], cuts, strict=False)]
    copies = [part.filter(np.arange(len(part)) >= 0) for part in parts]
    folder = tmp_path_factory.mktemp("any")
    group = data.draw(st.integers(1, 200))
    format = data.draw(st.sampled_from(FORMATS))
    schema = rest.schema.remove_metadata() if format in FORMATS[:2] else pa.schema([])
    written = [
        write(folder / f"{at}.{format}", shape(format, schema, group=group), batch)
        for at, batch in enumerate(([whole], parts, copies))
    ]
    assert len({path.read_bytes() for path in written}) == 1
    assert load(written[0]) == rest.to_pylist()


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("origin", ["corpus", "lines"])
def test_edited_text_is_written(tmp_path, request, format, origin):
    path = request.getfixturevalue(origin)
    schema = (
        (settled(pq.read_schema(path)) if origin == "corpus" else lines_schema(path))
        if format in FORMATS[:2]
        else pa.schema([])
    )
    parts = [batch.with_text(pc.utf8_upper(batch.text)) for batch in read_batches(path)]
    rows = load(write(tmp_path / f"out.{format}", shape(format, schema, ADDED), parts))
    before = rich_table().column("text").to_pylist()
    assert [row["text"] for row in rows] == pc.utf8_upper(pa.array(before)).to_pylist()
    added = [row for part in parts for row in pa.table(dict(part.columns)).to_pylist()]
    assert [{name: row[name] for name in ADDED} for row in rows] == added


@pytest.mark.parametrize("format", FORMATS)
def test_json_lines_keep_every_value(tmp_path, lines, format):
    schema = lines_schema(lines) if format in FORMATS[:2] else pa.schema([])
    rows = load(write(tmp_path / f"out.{format}", shape(format, schema), read_batches(lines)))
    expected = [json.loads(line) for line in lines.read_text().splitlines()]
    if format in FORMATS[:2]:
        expected = [{name: row.get(name) for name in schema.names} for row in expected]
    assert rows == expected


@pytest.mark.parametrize("format", FORMATS[2:])
def test_untouched_json_lines_are_copied(tmp_path, lines, format):
    path = write(tmp_path / f"out.{format}", shape(format, pa.schema([])), read_batches(lines))
    data = path.read_bytes()
    if format.endswith("gz"):
        data = gzip.decompress(data)
    if format.endswith("zst"):
        data = zstandard.ZstdDecompressor().decompressobj().decompress(data)
    assert data == lines.read_bytes()


@pytest.mark.parametrize("format", FORMATS)
def test_no_documents(tmp_path, corpus, format):
    schema = settled(pq.read_schema(corpus))
    path = write(
        tmp_path / f"out.{format}", shape(format, schema if format in FORMATS[:2] else pa.schema([]), ADDED), []
    )
    assert load(path) == []
    if format == "parquet":
        assert pq.read_schema(path).names == [*schema.names, *ADDED]


def simple(values: list[str], sizes: list[int] | None = None, **columns: pa.Array) -> Batch:
    text = pa.array(values, TEXT)
    rest = pa.record_batch({"text": text.cast(pa.string()), **columns}).replace_schema_metadata({REST_FORM: b"columns"})
    size = np.array(sizes or [len(value) for value in values], np.int64)
    return Batch(doc_ids(0, np.arange(len(values))), text, size, None, {}, rest)


def test_row_groups_end_at_exact_documents(tmp_path):
    batch = simple(list("abcdefghij"), [10, 10, 10, 35, 1, 1, 28, 100, 5, 5])
    path = write(tmp_path / "out.parquet", shape("parquet", pa.schema([("text", pa.string())]), group=30), [batch])
    metadata = pq.read_metadata(path)
    groups = [metadata.row_group(at).num_rows for at in range(metadata.num_row_groups)]
    assert groups == [3, 1, 3, 1, 2]  # 30, 35, 30, 100, 10
    path = write(tmp_path / "out.arrow", shape("arrow", pa.schema([("text", pa.string())]), group=30), [batch])
    reader = pa.ipc.open_file(path.read_bytes())
    assert [reader.get_batch(at).num_rows for at in range(reader.num_record_batches)] == groups


def test_row_groups_of_many_small_documents(monkeypatch):
    monkeypatch.setattr(assemble.RowGroups, "MAX_ROWS", 4)
    rows = pa.record_batch({"n": range(11)})
    groups = assemble.RowGroups(1000)
    full = groups.add(rows.slice(0, 3), np.ones(3, np.int64)) + groups.add(rows.slice(3), np.ones(8, np.int64))
    assert [table.num_rows for table in [*full, groups.rest()]] == [4, 4, 3]


def test_parquet_settings(tmp_path, corpus):
    path = write(
        tmp_path / "out.parquet", shape("parquet", settled(pq.read_schema(corpus)), ADDED), read_batches(corpus)
    )
    group = pq.read_metadata(path).row_group(0)
    chunks = {group.column(at).path_in_schema: group.column(at) for at in range(group.num_columns)}
    assert {chunk.compression for chunk in chunks.values()} == {"ZSTD"}
    assert not chunks["text"].has_dictionary_page
    assert not chunks["text"].is_stats_set
    assert chunks["large"].has_dictionary_page
    assert chunks["id"].is_stats_set


def test_text_over_what_a_string_column_holds(tmp_path, monkeypatch):
    """Cut into several arrays; a single text over the limit is an error that names it."""
    monkeypatch.setattr(assemble, "STRING_BYTES", 50)
    values = ["a" * 20, "b" * 20, "c" * 50, "", "d" * 49]
    schema = pa.schema([("text", pa.string())])
    for format in ("parquet", "arrow"):
        path = write(tmp_path / f"out.{format}", shape(format, schema, group=1 << 20), [simple(values)])
        assert [row["text"] for row in load(path)] == values
    with pytest.raises(OutputError, match="a text of 51 bytes is longer"):
        write(tmp_path / "x.parquet", shape("parquet", schema), [simple(["x" * 51])])


def test_types_of_several_files_become_one(tmp_path):
    files = {
        "a": pa.table(
            {"text": ["a"], "n": pa.array([1], pa.int8()), "kind": pa.array(["x"]).dictionary_encode(), "mixed": [1]}
        ),
        "b": pa.table(
            {
                "text": pa.array(["b"], pa.large_string()),
                "n": pa.array([1 << 40]),
                "kind": ["y"],
                "mixed": ["one"],
                "only": [2.5],
            }
        ),
        "c": pa.table(
            {
                "text": pa.array(["c"], pa.string_view()),
                "mixed": pa.array(
                    [
                        None,
                    ],
                    pa.int64(),
                ),
            }
        ),
    }
    parts = []
    for name, table in files.items():
        pq.write_table(table, tmp_path / f"{name}.parquet")
        parts += [batch for batch, _ in batches(source(tmp_path / f"{name}.parquet"), Want(rest=True)) if batch]
    schema = settled(*(table.schema for table in files.values()))
    expected = [
        {"text": "a", "n": 1, "kind": "x", "mixed": "1", "only": None},
        {"text": "b", "n": 1 << 40, "kind": "y", "mixed": '"one"', "only": 2.5},
        {"text": "c", "n": None, "kind": None, "mixed": None, "only": None},
    ]
    for format in ("parquet", "arrow"):
        path = write(tmp_path / f"out.{format}", shape(format, schema), parts)
        assert load(path) == expected
    lines = load(write(tmp_path / "out.jsonl", shape("jsonl", pa.schema([])), parts))
    assert [row["mixed"] for row in lines] == [1, "one", None]
    assert [list(row) for row in lines] == [table.column_names for table in files.values()]


def test_dictionaries_of_many_groups_in_one_arrow_file(tmp_path):
    words = [f"w{at % 300}" for at in range(1000)]
    small = pa.dictionary(pa.int8(), pa.string())
    parts = [
        simple(["t"] * 100, kind=pa.array(words[at : at + 100]).dictionary_encode().cast(small))
        for at in range(0, 1000, 100)
    ]
    schema = pa.schema([("text", pa.string()), ("kind", small)])
    for format in ("parquet", "arrow"):
        path = write(tmp_path / f"out.{format}", shape(format, schema, group=70), parts)
        assert [row["kind"] for row in load(path)] == words
    table = pa.ipc.open_file((tmp_path / "out.arrow").read_bytes()).read_all()
    assert table.schema.field("kind").type == pa.dictionary(pa.int32(), pa.string())


def test_notes_stay_but_for_the_numbers_of_fields(tmp_path):
    schema = pa.schema(
        [pa.field("text", pa.string(), metadata={"PARQUET:field_id": "1", "note": "mine"})],
        metadata={"huggingface": "{}"},
    )
    path = write(tmp_path / "out.arrow", shape("arrow", schema), [simple(["x"])])
    written = pa.ipc.open_file(path.read_bytes()).schema
    assert written.metadata == {b"huggingface": b"{}"}
    assert written.field(0).metadata == {b"note": b"mine"}


def test_added_column_that_is_there_already(tmp_path):
    schema = pa.schema([("text", pa.string()), ("length.words", pa.int64())])
    with pytest.raises(OutputError, match=r"adds the column 'length\.words'.*Give the stage another"):
        open_writer(tmp_path / "out.parquet", shape("parquet", schema, ADDED))
    assert list(tmp_path.iterdir()) == []


def test_types_that_parquet_has_not(tmp_path):
    union = pa.UnionArray.from_sparse(pa.array([0], pa.int8()), [pa.array([1])])
    batch = simple(["x"], u=union)
    with pytest.raises(OutputError, match=r"Parquet cannot hold .*`output: format: arrow`"):
        write(tmp_path / "out.parquet", shape("parquet", batch.rest.schema.remove_metadata()), [batch])
    assert list(tmp_path.iterdir()) == []
    assert load(write(tmp_path / "out.arrow", shape("arrow", batch.rest.schema.remove_metadata()), [batch])) == [
        {"text": "x", "u": 1}
    ]


def test_invalid_utf8_cannot_become_json(tmp_path):
    batch = simple(["x"], tag=pa.array([b"\xff"], pa.binary()).view(pa.string()))
    with pytest.raises(InputError, match="column 'tag' holds text that is not valid UTF-8"):
        write(tmp_path / "out.jsonl", shape("jsonl", pa.schema([])), [batch])
    path = write(tmp_path / "out.parquet", shape("parquet", batch.rest.schema.remove_metadata()), [batch])
    assert pq.read_table(path).column("tag").chunk(0).view(pa.binary()).to_pylist() == [b"\xff"]


def test_a_batch_without_rest_is_a_mistake(tmp_path):
    batch = Batch(doc_ids(0, np.arange(1)), pa.array(["x"], TEXT), np.ones(1, np.int64))
    for format in ("parquet", "jsonl"):
        writer = open_writer(tmp_path / f"x.{format}", shape(format, pa.schema([("text", pa.string())])))
        with pytest.raises(ValueError, match="read without `rest`"):
            writer.write(batch)
        writer.abort()
    assert list(tmp_path.iterdir()) == []


class FullDisk(output.Digested):
    """A file on a disk that takes so many bytes and no more."""

    room = 0
    number = errno.ENOSPC
    taken = 0

    def write(self, data: Any, /) -> int:
        self.taken += len(bytes(data))
        if self.taken > self.room:
            raise OSError(self.number, "No space left on device")
        return super().write(data)


@pytest.mark.parametrize("format", FORMATS)
def test_full_disk(tmp_path, corpus, monkeypatch, format):
    """Whenever it fills up: one clear error, and abort leaves nothing."""
    schema = settled(pq.read_schema(corpus)) if format in FORMATS[:2] else pa.schema([])
    parts = read_batches(corpus)
    size = write(tmp_path / f"whole.{format}", shape(format, schema, ADDED), parts).stat().st_size
    monkeypatch.setattr(write_lines, "BLOCK_BYTES", 1000)
    for room in (0, 3, size // 3, size // 2, size - 1):
        path = tmp_path / f"out.{format}"
        monkeypatch.setattr(FullDisk, "room", room)
        monkeypatch.setattr(output, "Digested", FullDisk)
        with pytest.raises(OutputError) as error:
            writer = None
            writer = open_writer(path, shape(format, schema, ADDED))
            for part in parts:
                writer.write(part)
            writer.close()
        assert str(path) in str(error.value)
        assert "No space left on device. The disk or quota is full" in str(error.value)
        assert "run the same recipe again" in str(error.value)
        if writer is not None:
            writer.abort()
        assert not path.exists()
        monkeypatch.undo()
        monkeypatch.setattr(write_lines, "BLOCK_BYTES", 1000)


@pytest.mark.parametrize("format", FORMATS)
def test_the_digest_made_while_writing_is_that_of_the_file(tmp_path, corpus, monkeypatch, format):
    """Also where a write is smaller or larger than a block, or ends with it."""
    schema = settled(pq.read_schema(corpus)) if format in FORMATS[:2] else pa.schema([])
    parts = read_batches(corpus)
    whole = None
    for block in (output.BLOCK_BYTES, 100, 1):
        monkeypatch.setattr(output, "BLOCK_BYTES", block)
        path = tmp_path / f"out-{block}.{format}"
        writer = open_writer(path, shape(format, schema, ADDED))
        for part in parts:
            writer.write(part)
        assert writer.close() == digest_file(path)
        whole = whole or path.read_bytes()
        assert path.read_bytes() == whole


@pytest.mark.parametrize("format", FORMATS)
def test_dev_full(corpus, format):
    schema = settled(pq.read_schema(corpus)) if format in FORMATS[:2] else pa.schema([])
    if not Path("/dev/full").exists():
        pytest.skip("no /dev/full here")
    writer = open_writer(Path("/dev/full"), shape(format, schema, ADDED))
    with pytest.raises(OutputError, match=r"Cannot write /dev/full: .*No space left"):
        for part in read_batches(corpus):
            writer.write(part)
        writer.close()
    writer.abort()
    assert Path("/dev/full").exists()


@pytest.mark.parametrize("format", FORMATS)
def test_folder_that_is_not_there(tmp_path, format):
    with pytest.raises(OutputError, match="No such file or directory"):
        open_writer(tmp_path / "gone" / f"x.{format}", shape(format, pa.schema([("text", pa.string())])))


def test_no_permission(tmp_path, monkeypatch):
    def refuse(path: Path) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(output, "Digested", refuse)
    with pytest.raises(OutputError, match=r"Permission denied\. Make the output folder writable"):
        open_writer(tmp_path / "x.jsonl", shape("jsonl", pa.schema([])))


@pytest.mark.parametrize("format", FORMATS)
def test_abort_leaves_nothing(tmp_path, corpus, format):
    schema = settled(pq.read_schema(corpus)) if format in FORMATS[:2] else pa.schema([])
    writer = open_writer(tmp_path / f"out.{format}", shape(format, schema, ADDED))
    for part in read_batches(corpus)[:2]:
        writer.write(part)
    writer.abort()
    writer.abort()
    assert list(tmp_path.iterdir()) == []


def test_gzip_header_tells_no_time_and_no_name(tmp_path, lines):
    data = write(tmp_path / "secret.jsonl.gz", shape("jsonl.gz", pa.schema([])), read_batches(lines)).read_bytes()
    assert data[:4] == b"\x1f\x8b\x08\x00"
    assert data[4:8] == bytes(4)


@pytest.mark.parametrize("format", FORMATS)
def test_own_output_is_input_again(tmp_path, corpus, format):
    schema = settled(pq.read_schema(corpus)) if format in FORMATS[:2] else pa.schema([])
    path = write(tmp_path / f"out.{format}", shape(format, schema, ADDED), read_batches(corpus))
    rows, bad = read_all(source(path), Want(id="id"))
    table = pq.read_table(corpus)
    assert bad == []
    assert [row["text"] for row in rows] == table.column("text").to_pylist()
    assert [row["id"] for row in rows] == [None if v is None else str(v) for v in table.column("id").to_pylist()]


def test_plain_parquet(tmp_path, monkeypatch):
    monkeypatch.setattr(write_columns, "PLAIN_GROUP_ROWS", 100)
    table = rich_table(250)
    for at, chunks in enumerate((250, 7, 100)):
        write_plain_parquet(tmp_path / f"{at}.parquet", pa.Table.from_batches(table.to_batches(chunks)))
    contents = {(tmp_path / f"{at}.parquet").read_bytes() for at in range(3)}
    assert len(contents) == 1
    metadata = pq.read_metadata(tmp_path / "0.parquet")
    assert [metadata.row_group(at).num_rows for at in range(3)] == [100, 100, 50]
    assert pq.read_table(tmp_path / "0.parquet").to_pylist() == table.to_pylist()
    monkeypatch.setattr(output, "Digested", FullDisk)
    with pytest.raises(OutputError, match="disk or quota is full"):
        write_plain_parquet(tmp_path / "x.parquet", table)
    assert not (tmp_path / "x.parquet").exists()
