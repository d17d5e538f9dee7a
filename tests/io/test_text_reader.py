"""Text files: a file a document."""

from __future__ import annotations

import gzip

import pyarrow as pa
import pytest
import zstandard
from support.io import read_all, source

from corpuscurate.core.errors import InputError
from corpuscurate.io import text as textfile
from corpuscurate.io.base import REST_FORM, Want

EXAMPLE = "one\r\ntwo 🦊".encode()
DAMAGED = b"one \xff"


@pytest.mark.parametrize(
    ("name", "pack"),
    [("a.txt", bytes), ("a.md", bytes), ("a.txt.gz", gzip.compress), ("a.md.zst", zstandard.compress)],
)
def test_a_file_a_document(tmp_path, name, pack):
    path = tmp_path / name
    path.write_bytes(pack("erste\r\nzweite ü\n".encode()))
    rows, bad = read_all(source(path), Want(id="path", columns=("path", "other"), rest=True))
    assert bad == []
    (row,) = rows
    assert row["text"] == "erste\r\nzweite ü\n"
    assert (row["position"], row["id"], row["bytes"]) == (0, name, 17)
    assert row["columns"] == {"path": name, "other": None}
    assert row["rest"] == {"path": name, "text": "erste\r\nzweite ü\n"}


def test_names_of_the_columns(tmp_path):
    path = tmp_path / "a.txt"
    path.write_bytes(b"x")
    file = source(path)
    assert textfile.columns(file) == {"path": "string", "text": "string"}
    rows, _ = read_all(file, Want(text="body", id="id", rest=True))
    assert rows[0]["rest"] == {"path": "a.txt", "body": "x"}
    assert rows[0]["id"] is None
    with pytest.raises(InputError, match="cannot be named 'path'"):
        read_all(file, Want(text="path"))


def test_rest_form_and_census(tmp_path):
    path = tmp_path / "a.txt"
    path.write_bytes(b"x")
    file = source(path)
    (span,) = textfile.split(file, 1)
    document, last = textfile.read(file, span, Want(rest=True, column_types=True))
    assert document.batch.rest.schema.metadata == {REST_FORM: b"columns"}
    assert document.batch.rest.schema.types == [pa.string(), pa.large_string()]
    assert [name for name, _ in last.column_types["fields"]] == ["path", "text"]


def test_mark_at_the_beginning_is_dropped(tmp_path):
    path = tmp_path / "a.txt"
    path.write_bytes(b"\xef\xbb\xbfx\xef\xbb\xbf")
    assert read_all(source(path), Want())[0][0]["text"] == "x\ufeff"


@pytest.mark.parametrize(
    ("content", "reason", "whole_file"),
    [
        (b"", "empty_file", True),
        (b"latin-1 \xe9t\xe9", "invalid_utf8", False),
        (b"x" * 1001, "too_large", False),
    ],
)
def test_what_cannot_be_a_document(tmp_path, content, reason, whole_file):
    path = tmp_path / "a.txt"
    path.write_bytes(content)
    rows, bad = read_all(source(path), Want(max_record_bytes=1000))
    assert rows == []
    assert [(r.position, r.reason, r.whole_file, r.head) for r in bad] == [(0, reason, whole_file, content[:256])]


def test_longest_allowed(tmp_path):
    path = tmp_path / "a.txt"
    path.write_bytes(b"x" * 1000)
    assert len(read_all(source(path), Want(max_record_bytes=1000))[0]) == 1


def test_a_cut_file_is_no_document(tmp_path):
    whole = gzip.compress(b"some words of text " * 500)
    path = tmp_path / "a.txt.gz"
    for place in range(1, len(whole), 5):
        path.write_bytes(whole[:place])
        rows, bad = read_all(source(path), Want())
        assert rows == []
        assert [(r.whole_file, r.reason in ("truncated", "unreadable")) for r in bad] == [(True, True)]


def test_content_of_nothing(tmp_path):
    path = tmp_path / "a.txt.gz"
    path.write_bytes(gzip.compress(b""))
    _, bad = read_all(source(path), Want())
    assert [(r.reason, r.whole_file) for r in bad] == [("empty_file", True)]
