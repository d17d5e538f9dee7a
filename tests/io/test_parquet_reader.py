"""Reading Parquet: values, positions, pruning, and everything that can be wrong with a file."""

from __future__ import annotations

import base64
import os
import random
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyarrow.parquet import encryption
from support.forms import some
from support.io import batches, read_all, rich_table, source

from corpuscurate.core.batch import lengths_bytes
from corpuscurate.core.errors import InputError, OutOfMemoryError, ReadError
from corpuscurate.io import files, parquet, reading
from corpuscurate.io.base import Span, Want, input_format


def packed(table: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, row_group_size=2)
    return sink.getvalue().to_pybytes()


EXAMPLE = packed(pa.table({"text": ["one", "", "zwölf", "four 🦊", "five"], "n": [1, None, 3, 4, 5]}))
DAMAGED = EXAMPLE[:-9]


def write(path: Path, table: pa.Table, rows: int = 50, **options) -> Path:
    pq.write_table(table, path, row_group_size=rows, **options)
    return path


def texts(path: Path, **want) -> list[str]:
    return [row["text"] for row in read_all(source(path), Want(**want))[0]]


@pytest.mark.parametrize("batch_bytes", [1, 700, 1 << 24])
@pytest.mark.parametrize("split_bytes", [1, 30_000, 1 << 30])
def test_every_value_comes_back(tmp_path, batch_bytes, split_bytes):
    table = rich_table()
    file = source(write(tmp_path / "a.parquet", table))
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


def test_rest_keeps_types_names_and_order(tmp_path):
    table = rich_table()
    file = source(write(tmp_path / "a.parquet", table))
    batch, _ = next(batches(file, Want(rest=True)))
    assert batch.rest.schema.names == table.schema.names
    assert [str(kind) for kind in batch.rest.schema.types] == [
        str(kind) for kind in pq.read_schema(tmp_path / "a.parquet").types
    ]


def test_sizes_do_not_depend_on_what_is_read(tmp_path):
    file = source(write(tmp_path / "a.parquet", rich_table()))
    wants = [Want(), Want(rest=True), Want(id="id", batch_bytes=100), Want(columns=("struct",), batch_bytes=1)]
    sizes = [[row["bytes"] for row in read_all(file, want)[0]] for want in wants]
    assert sizes[0] == sizes[1] == sizes[2] == sizes[3]
    assert all(size >= len(text.encode()) for size, text in zip(sizes[0], texts(tmp_path / "a.parquet"), strict=True))


def test_spans_pack_row_groups(tmp_path):
    file = source(write(tmp_path / "a.parquet", rich_table(), rows=20))
    metadata = pq.read_metadata(file.path)
    sizes = [metadata.row_group(at).total_byte_size for at in range(metadata.num_row_groups)]
    limit = max(sizes) * 5 // 2
    spans = parquet.split(file, limit)
    assert [span.start for span in spans] == [0, *(span.stop for span in spans[:-1])]
    assert spans[-1].stop == len(sizes)
    assert all(span.bytes == sum(sizes[span.start : span.stop]) <= limit for span in spans)
    assert all(a.bytes + sizes[b.start] > limit for a, b in pairwise(spans))
    assert [(span.start, span.stop) for span in parquet.split(file, 1)] == [(at, at + 1) for at in range(len(sizes))]


def test_only_wanted_columns_are_read(tmp_path, monkeypatch):
    seen = []
    real = pq.ParquetFile.iter_batches

    def spy(self, *args, columns=None, **options):
        seen.append(columns)
        return real(self, *args, columns=columns, **options)

    monkeypatch.setattr(pq.ParquetFile, "iter_batches", spy)
    file = source(write(tmp_path / "a.parquet", rich_table(), rows=1000))
    read_all(file, Want(id="id", columns=("flag",)))
    read_all(file, Want(rest=True))
    assert seen == [["id", "text", "flag"], rich_table().column_names]


def test_batches_are_bounded(tmp_path):
    lengths = [100] * 400 + [90_000] * 20 + [10] * 400
    table = pa.table({"text": ["x" * n for n in lengths]})
    file = source(write(tmp_path / "a.parquet", table, rows=10_000))
    sizes = [batch.text_bytes for batch, _ in batches(file, Want(batch_bytes=100_000)) if batch]
    assert sum(sizes) == sum(lengths)
    assert max(sizes) <= 100_000 + 90_000


def test_repeated_long_value_is_never_decoded_at_once(tmp_path):
    """A dictionary page of one long value: decoded as a whole it would take 2 GB."""
    value = "x" * 100_000
    column = pa.DictionaryArray.from_arrays(pa.array(np.zeros(20_000, np.int32)), pa.array([value]))
    path = write(
        tmp_path / "a.parquet", pa.table({"text": column.cast(pa.dictionary(pa.int32(), pa.string()))}), 20_000
    )
    plain = tmp_path / "b.parquet"
    with pq.ParquetWriter(plain, pa.schema([("text", pa.string())]), store_schema=False) as writer:
        writer.write_table(pa.table({"text": pa.array([value] * 2000)}), row_group_size=20_000)
    for file, rows in ((path, 20_000), (plain, 2000)):
        before = pa.total_allocated_bytes()
        seen = peak = 0
        for batch, _ in batches(source(file), Want(rest=True, batch_bytes=1 << 20)):
            peak = max(peak, pa.total_allocated_bytes() - before)
            seen += len(batch)
            assert int(lengths_bytes(batch.text).max()) == 100_000
        assert seen == rows
        assert peak < 60 << 20


@pytest.mark.parametrize(
    "kind", [pa.string(), pa.large_string(), pa.string_view(), pa.dictionary(pa.int32(), pa.string())]
)
def test_text_of_any_string_type(tmp_path, kind):
    values = ["a", None, "ünï", "", "long " * 50, None, "a"]
    path = write(tmp_path / "a.parquet", pa.table({"text": pa.array(values, pa.string()).cast(kind), "n": range(7)}), 3)
    rows, bad = read_all(source(path), Want(rest=True))
    assert [(row["position"], row["text"], row["rest"]["text"]) for row in rows] == [
        (at, value, value) for at, value in enumerate(values) if value is not None
    ]
    assert [(record.position, record.reason) for record in bad] == [(1, "null_text"), (5, "null_text")]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (pa.array([1, None, -(1 << 62)]), ["1", None, str(-(1 << 62))]),
        (pa.array([(1 << 64) - 1, 0, None], pa.uint64()), [str((1 << 64) - 1), "0", None]),
        (pa.array(["a", "", None], pa.large_string()), ["a", "", None]),
        (pa.array(["a", "b", None]).dictionary_encode(), ["a", "b", None]),
        (pa.nulls(3), [None, None, None]),
        (pa.array([1.5, None, 2.0]), ["1.5", None, "2"]),
    ],
)
def test_ids(tmp_path, values, expected):
    path = write(tmp_path / "a.parquet", pa.table({"text": ["x", "y", "z"], "id": values}))
    assert [row["id"] for row in read_all(source(path), Want(id="id"))[0]] == expected
    assert [row["id"] for row in read_all(source(path), Want(id="other"))[0]] == [None] * 3
    assert [row["id"] for row in read_all(source(path), Want())[0]] == [None] * 3


def test_id_of_a_type_that_is_none(tmp_path):
    path = write(tmp_path / "a.parquet", pa.table({"text": ["x"], "id": [[1]]}))
    with pytest.raises(InputError, match=r"a\.parquet: the id column 'id' is of type list<element: int64>"):
        read_all(source(path), Want(id="id"))


def invalid(values: list[bytes | None]) -> pa.Array:
    """Strings as they are, valid or not."""
    return pa.array(values, pa.binary()).view(pa.string())


def test_invalid_utf8_is_quarantined(tmp_path):
    values = [
        b"good",
        b"bad\xff\xfe",
        b"\xc3\xa9",
        b"cut \xc3",
        None,
        b"\xed\xa0\x80",
        b"fine",
        b"\xf4\x90\x80\x80" + b"x" * 400,
    ]
    table = pa.table({"text": invalid(values), "n": range(8)})
    rows, bad = read_all(source(write(tmp_path / "a.parquet", table, 5)), Want(rest=True))
    assert [(row["position"], row["text"], row["rest"]["n"]) for row in rows] == [
        (0, "good", 0),
        (2, "é", 2),
        (6, "fine", 6),
    ]
    assert [(record.position, record.reason, record.whole_file) for record in bad] == [
        (1, "invalid_utf8", False),
        (3, "invalid_utf8", False),
        (4, "null_text", False),
        (5, "invalid_utf8", False),
        (7, "invalid_utf8", False),
    ]
    assert bad[0].head == b"bad\xff\xfe"
    assert len(bad[-1].head) == 256


def test_invalid_utf8_in_id_and_in_other_columns(tmp_path):
    table = pa.table(
        {"text": ["a", "b", "c"], "id": invalid([b"1", b"\xff", None]), "tag": invalid([b"\xff", b"t", None])}
    )
    path = write(tmp_path / "a.parquet", table)
    rows, bad = read_all(source(path), Want(id="id", columns=("tag",)))
    assert [(row["text"], row["id"], row["columns"]["tag"]) for row in rows] == [("a", "1", None), ("c", None, None)]
    assert [(record.position, record.reason) for record in bad] == [(1, "invalid_utf8")]
    assert "'id'" in bad[0].detail
    assert texts(path) == ["a", "b", "c"]


def test_too_large(tmp_path):
    table = pa.table({"text": ["x" * 50, "y" * 5000, "z"]})
    rows, bad = read_all(source(write(tmp_path / "a.parquet", table)), Want(max_record_bytes=1000))
    assert [row["text"][0] for row in rows] == ["x", "z"]
    assert [(r.position, r.reason, r.head, r.detail) for r in bad] == [
        (1, "too_large", b"y" * 256, "5000 bytes, more than 1000")
    ]


def test_missing_and_wrong_columns(tmp_path):
    path = write(tmp_path / "a.parquet", pa.table({"body": ["x"], "n": [1]}))
    with pytest.raises(InputError) as error:
        read_all(source(path), Want())
    assert str(error.value) == (
        "a.parquet has no column 'text' for the text. Its columns are: body (string), n (int64). "
        "Name the one that holds the text with `text:`."
    )
    with pytest.raises(InputError, match=r"the text column 'n' is of type int64, not a string.*body \(string\)"):
        read_all(source(path), Want(text="n"))
    assert texts(path, text="body") == ["x"]


def test_column_of_nulls_as_text(tmp_path):
    path = write(tmp_path / "a.parquet", pa.table({"text": pa.nulls(3)}))
    rows, bad = read_all(source(path), Want(rest=True))
    assert rows == []
    assert [record.reason for record in bad] == ["null_text"] * 3


def test_names_with_dots_and_twins(tmp_path):
    table = pa.table({"a": [1], "a.b": ["dotted"], "text": ["x"], "text.more": ["y"]})
    rows, _ = read_all(source(write(tmp_path / "a.parquet", table)), Want(columns=("a.b", "a")))
    assert (rows[0]["text"], rows[0]["columns"]) == ("x", {"a.b": "dotted", "a": 1})
    twins = pa.Table.from_arrays([pa.array(["x"]), pa.array(["y"])], names=["text", "text"])
    with pytest.raises(InputError, match="'text' stands for more than one column"):
        read_all(source(write(tmp_path / "b.parquet", twins)), Want())


def test_empty_file_and_no_rows(tmp_path):
    (tmp_path / "empty.parquet").write_bytes(b"")
    rows, bad = read_all(source(tmp_path / "empty.parquet"), Want())
    assert (rows, [(r.reason, r.whole_file) for r in bad]) == ([], [("empty_file", True)])
    path = write(tmp_path / "none.parquet", rich_table().slice(0, 0))
    assert read_all(source(path), Want(rest=True)) == ([], [])
    file = source(path)
    (span,) = parquet.split(file, 100)
    (chunk,) = parquet.read(file, span, Want(column_types=True))
    assert [name for name, _ in chunk.column_types["fields"]] == rich_table().column_names


def test_census_once_a_span(tmp_path):
    file = source(write(tmp_path / "a.parquet", rich_table()))
    for span in parquet.split(file, 20_000):
        chunks = list(parquet.read(file, span, Want(column_types=True, batch_bytes=100)))
        assert [chunk.column_types is not None for chunk in chunks] == [False] * (len(chunks) - 1) + [True]


def test_columns_for_check(tmp_path):
    path = write(tmp_path / "a.parquet", pa.table({"text": ["x"], "n": pa.array([1], pa.int32())}))
    assert parquet.columns(source(path)) == {"text": "string", "n": "int32"}
    path.write_bytes(b"PAR1nonsense")
    with pytest.raises(InputError, match="footer is missing"):
        parquet.columns(source(path))
    path.write_bytes(b"")
    with pytest.raises(InputError, match="is empty"):
        parquet.columns(source(path))


def test_cut_anywhere_is_one_bad_record(tmp_path):
    path = write(tmp_path / "a.parquet", rich_table(60), 20)
    whole = path.read_bytes()
    for place in [*range(1, 30), *range(30, len(whole), len(whole) // 25), *range(len(whole) - 30, len(whole))]:
        path.write_bytes(whole[:place])
        rows, bad = read_all(source(path), Want(rest=True))
        assert rows == []
        assert [(r.whole_file, r.reason) for r in bad] in (
            [(True, "truncated")],
            [(True, "unreadable")],
        ), place
        if place >= 4 and whole[:place][-4:] != b"PAR1":
            assert bad[0].reason == "truncated", place


@pytest.mark.parametrize(
    "content", [b"{}\n" * 100, b"PAR1" + b"\xff" * 100 + b"PAR1", b"PARE" + b"x" * 50 + b"PARE", b"\0"]
)
def test_not_parquet_at_all(tmp_path, content):
    path = tmp_path / "a.parquet"
    path.write_bytes(content)
    rows, bad = read_all(source(path), Want())
    assert rows == []
    assert [(r.whole_file, r.reason) for r in bad] == [(True, "unreadable")]


def plain_file(path: Path, checksums: bool) -> tuple[Path, list[dict]]:
    table = pa.table(
        {
            "id": range(3000),
            "text": [f"text number {at} " + "abcdefgh" * (at % 9) for at in range(3000)],
            "meta": [f"meta {at}" for at in range(3000)],
        }
    )
    pq.write_table(
        table, path, row_group_size=1000, compression="zstd", data_page_size=2000, use_dictionary=False,
        write_batch_size=50, write_page_checksum=checksums,
    )  # fmt: skip
    return path, table.to_pylist()


def damage(path: Path, group: int, column: int, share: float) -> None:
    chunk = pq.read_metadata(path).row_group(group).column(column)
    data = bytearray(path.read_bytes())
    at = chunk.data_page_offset + int(chunk.total_compressed_size * share)
    data[at : at + 30] = bytes(byte ^ 0x5A for byte in data[at : at + 30])
    path.write_bytes(bytes(data))


def test_damaged_row_group_costs_itself_whatever_the_batches(tmp_path):
    path, expected = plain_file(tmp_path / "a.parquet", checksums=True)
    damage(path, 1, 1, 0.5)
    results = []
    for want in (Want(batch_bytes=1), Want(batch_bytes=5000), Want(), Want(id="id"), Want(id="id", rest=True)):
        rows, bad = read_all(source(path), want)
        results.append(([row["position"] for row in rows], [(r.position, r.reason, r.whole_file) for r in bad]))
        assert [row["text"] for row in rows] == [expected[row["position"]]["text"] for row in rows]
    assert all(result == results[0] for result in results)
    positions, bad = results[0]
    (place, reason, whole) = bad[0]
    assert (reason, whole, len(bad)) == ("unreadable", True, 1)
    assert 1000 < place < 2000
    assert positions == [*range(place), *range(2000, 3000)]


def test_damage_in_another_column_stops_the_writing_pass_only(tmp_path):
    path, _ = plain_file(tmp_path / "a.parquet", checksums=True)
    damage(path, 2, 2, 0.5)
    rows, bad = read_all(source(path), Want(id="id"))
    assert (len(rows), bad) == (3000, [])
    with pytest.raises(InputError, match=r"a\.parquet: in row group 2 the text can be read, another column cannot"):
        read_all(source(path), Want(id="id", rest=True))


def test_flipped_bytes_never_crash(tmp_path):
    path, _ = plain_file(tmp_path / "a.parquet", checksums=True)
    whole = path.read_bytes()
    rng = random.Random(1)  # noqa: S311
    for _ in range(60):
        data = bytearray(whole)
        for _ in range(rng.randrange(1, 4)):
            data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
        path.write_bytes(bytes(data))
        try:
            rows, bad = read_all(source(path), Want(batch_bytes=10_000))
        except InputError:
            continue
        positions = [row["position"] for row in rows]
        assert positions == sorted(set(positions))
        assert bad or [row["position"] for row in rows] == list(range(len(rows)))


def test_a_missing_file_is_an_input_error(tmp_path):
    path = write(tmp_path / "a.parquet", rich_table())
    file = source(path)
    path.unlink()
    with pytest.raises(InputError, match="No such file"):
        read_all(file, Want())


@settings(max_examples=some(40), deadline=None)
@given(
    values=st.lists(st.one_of(st.none(), st.text(max_size=30), st.binary(max_size=6)), max_size=60),
    group=st.integers(1, 20),
    batch_bytes=st.integers(1, 200),
)
def test_any_strings(tmp_path_factory, values, group, batch_bytes):
    stored = [value.encode("utf-8", "surrogatepass") if isinstance(value, str) else value for value in values]
    path = write(tmp_path_factory.mktemp("any") / "a.parquet", pa.table({"text": invalid(stored)}), group)
    rows, bad = read_all(source(path), Want(batch_bytes=batch_bytes))
    good = {}
    for at, value in enumerate(stored):
        try:
            good[at] = value.decode() if value is not None else None
        except UnicodeDecodeError:
            good[at] = None
    assert {row["position"]: row["text"] for row in rows} == {at: text for at, text in good.items() if text is not None}
    assert [record.position for record in bad] == [at for at, text in good.items() if text is None]


class Keys(encryption.KmsClient):
    """A key server that gives keys away."""

    def __init__(self, config):
        super().__init__()

    def wrap_key(self, key, master):
        return base64.b64encode(key)

    def unwrap_key(self, key, master):
        return base64.b64decode(key)


@pytest.mark.parametrize("column", ["text", "n"])
@pytest.mark.parametrize("plain", [True, False])
def test_encrypted_columns_are_an_unreadable_file(tmp_path, column, plain):
    """With a plain footer, a look at such a column would abort the process."""
    how = encryption.EncryptionConfiguration(footer_key="k", column_keys={"c": [column]}, plaintext_footer=plain)
    connection = encryption.KmsConnectionConfig()
    properties = encryption.CryptoFactory(Keys).file_encryption_properties(connection, how)
    table = pa.table({"text": ["one a"], "n": [1]})
    with pq.ParquetWriter(str(tmp_path / "a.parquet"), table.schema, encryption_properties=properties) as sink:
        sink.write_table(table)
    file = source(tmp_path / "a.parquet")
    for rest in (True, False):
        rows, bad = read_all(file, Want(rest=rest))
        assert rows == []
        assert [(record.reason, "encrypted" in record.detail) for record in bad] == [("unreadable", True)]
    with pytest.raises(
        InputError, match=r"a\.parquet: the Parquet file (is encrypted|has encrypted columns, whose keys)"
    ):
        input_format("parquet").columns(file)


def test_no_memory_is_no_damage(tmp_path, monkeypatch):
    """However Arrow says it; but a size that no file of these bytes can hold is damage."""
    pq.write_table(pa.table({"text": ["one", "two"]}), tmp_path / "a.parquet")
    file = source(tmp_path / "a.parquet")

    def fails(*_, **__):
        raise pa.ArrowMemoryError(f"malloc of size {asked} failed")

    monkeypatch.setattr(pq.ParquetFile, "iter_batches", lambda *_, **__: (fails() for _ in range(1)))
    asked = 20 << 20
    with pytest.raises(OutOfMemoryError, match=r"out of memory while a\.parquet was read"):
        list(input_format("parquet").read(file, Span(0, 0, 1, 9), Want()))
    asked = 1 << 60
    (chunk,) = input_format("parquet").read(file, Span(0, 0, 1, 9), Want())
    assert [record.reason for record in chunk.bad] == ["unreadable"]
    monkeypatch.setattr(files, "open_local", lambda _: (_ for _ in ()).throw(OSError(12, "Cannot allocate memory")))
    for use in (lambda: input_format("parquet").split(file, 9), lambda: input_format("parquet").columns(file)):
        with pytest.raises(OutOfMemoryError, match=r"a\.parquet"):
            use()


@pytest.mark.parametrize("sizes", [(4, 4), (0, 0), (4, 60), (60, 5, 0)])
@pytest.mark.parametrize("index", [False, True])
def test_files_appended_to_one_another_are_told(tmp_path, sizes, index):
    whole = b""
    for number, rows in enumerate(sizes):
        texts = [f"PAR1PAR1 {number} {row}" for row in range(rows)]
        path = tmp_path / f"{number}.parquet"
        pq.write_table(
            pa.table({"text": pa.array(texts, pa.string())}),
            path,
            row_group_size=3,
            compression="none",
            write_page_index=index,
        )
        rows_alone, bad = read_all(source(path), Want(rest=True), 1)
        assert ([row["text"] for row in rows_alone], bad) == (texts, [])
        whole += path.read_bytes()
    (tmp_path / "a.parquet").write_bytes(whole)
    found, bad = read_all(source(tmp_path / "a.parquet"), Want(rest=True), 1)
    assert (found, [(record.reason, record.whole_file) for record in bad]) == ([], [("unreadable", True)])
    assert "several Parquet files" in bad[0].detail


def test_a_local_file_that_is_cut_while_it_is_read(tmp_path, monkeypatch):
    """It is read, not mapped: a page that is gone is an error that names the file, not the end of the process."""
    monkeypatch.setattr(reading, "RETRY_SECONDS", ())
    path = tmp_path / "a.parquet"
    texts = [random.Random(n).randbytes(4000).hex() for n in range(3000)]  # noqa: S311
    pq.write_table(pa.table({"text": texts}), path, row_group_size=300, use_dictionary=False)
    file = source(path)
    chunks = parquet.PARQUET.read(
        file, parquet.PARQUET.split(file, 1 << 30)[0], Want("text", None, batch_bytes=1 << 20)
    )
    next(chunks)
    os.truncate(path, path.stat().st_size // 2)
    with pytest.raises(ReadError, match=r"a\.parquet.*it ends after \d+ of the \d+ bytes"):
        list(chunks)
