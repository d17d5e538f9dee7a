"""What every registered reader and writer must hold to.

Each reader has a test file of its own, `tests/io/test_<format>_reader.py`. What it defines there is used here:
EXAMPLE: the bytes of a file without bad records, with the column `text`. DAMAGED: the bytes of a file that gives one
bad record and no document.
"""

from __future__ import annotations

import gzip
from functools import cache
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

import pyarrow as pa
import pytest
from support.io import read_all, source

from corpuscurate.core.digests import digest_file
from corpuscurate.io.base import (
    InputFormat,
    OutputShape,
    Want,
    input_format,
    input_formats,
    open_writer,
    output_format,
    output_formats,
)
from corpuscurate.io.column_types import merge, unify_types
from corpuscurate.io.file_names import kind_of

TESTS = Path(__file__).parents[1] / "io"


def is_ours(of: object) -> bool:
    """Of the package itself, not of another installed one."""
    return getattr(of, "__module__", "").startswith("corpuscurate.io.")


READERS = [name for name, format in input_formats().items() if is_ours(format.read)]
WRITERS = [name for name, format in output_formats().items() if is_ours(format.open)]

reading = pytest.mark.parametrize("name", READERS)
writing = pytest.mark.parametrize("name", WRITERS)


@cache
def own_tests(name: str) -> ModuleType:
    """The test file of a reader."""
    spec = spec_from_file_location(f"examples_of_{name}", TESTS / f"test_{name}_reader.py")
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def put(folder: Path, format: InputFormat, content: bytes, more: str = "") -> Path:
    path = folder / f"file{format.suffixes[0]}{more}"
    path.write_bytes(content)
    return path


@reading
def test_a_reader_has_tests_of_its_own(name):
    assert own_tests(name).EXAMPLE
    assert own_tests(name).DAMAGED
    format = input_format(name)
    assert all(suffix == suffix.lower() and suffix.rfind(".") == 0 for suffix in format.suffixes)
    assert format.suffixes


@reading
def test_any_split_and_batch_gives_the_same_rows(tmp_path, name):
    file = source(put(tmp_path, input_format(name), own_tests(name).EXAMPLE))
    whole = None
    for split_bytes in (1, 13, 1 << 30):
        for batch_bytes in (1, 40, 1 << 24):
            want = Want(id="no such column", columns=("text", "nor this"), rest=True, batch_bytes=batch_bytes)
            rows, bad = read_all(file, want, split_bytes)
            assert bad == []
            whole = whole or rows
            assert rows == whole
    assert whole
    ids = [row["doc_id"] for row in whole]
    assert ids == sorted(set(ids))
    assert all(row["bytes"] > 0 or row["text"] == "" for row in whole)
    narrow, _ = read_all(file, Want())
    assert [(row["doc_id"], row["text"], row["bytes"]) for row in narrow] == [
        (row["doc_id"], row["text"], row["bytes"]) for row in whole
    ]


@reading
def test_columns_are_told_before_reading(tmp_path, name):
    format = input_format(name)
    file = source(put(tmp_path, format, own_tests(name).EXAMPLE))
    assert format.columns(file)["text"] == "string"
    found = [
        chunk.column_types
        for span in format.split(file, 1 << 30)
        for chunk in format.read(file, span, Want(column_types=True))
    ]
    assert [types is not None for types in found] == [False] * (len(found) - 1) + [True]
    assert "text" in unify_types(found[-1])[0].names


@reading
@pytest.mark.parametrize("what", ["empty", "damaged"])
def test_what_cannot_be_read_is_one_bad_record(tmp_path, name, what):
    content = b"" if what == "empty" else own_tests(name).DAMAGED
    file = source(put(tmp_path, input_format(name), content))
    for split_bytes in (1, 1 << 30):
        rows, (bad,) = read_all(file, Want(), split_bytes)
        assert rows == []
        assert (bad.reason == "empty_file") == (what == "empty")
        assert bad.detail


@reading
def test_compressed_files(tmp_path, name):
    format = input_format(name)
    path = put(tmp_path, format, gzip.compress(own_tests(name).EXAMPLE), ".gz")
    assert kind_of(path.name) == ((name if format.compressible else None), "gz")
    if format.compressible:
        plain, _ = read_all(source(put(tmp_path, format, own_tests(name).EXAMPLE)), Want())
        rows, bad = read_all(source(path), Want())
        assert bad == []
        assert [row["text"] for row in rows] == [row["text"] for row in plain]


@writing
@pytest.mark.parametrize("reader", READERS)
def test_what_is_read_can_be_written_whatever_the_batches(tmp_path, name, reader):
    format = input_format(reader)
    file = source(put(tmp_path, format, own_tests(reader).EXAMPLE))
    schema = pa.schema([])
    if output_format(name).columnar:
        chunks = [
            chunk for span in format.split(file, 1 << 30) for chunk in format.read(file, span, Want(column_types=True))
        ]
        schema, _ = unify_types(merge([chunk.column_types for chunk in chunks if chunk.column_types is not None]))
    written = []
    for batch_bytes in (1, 1 << 24):
        want = Want(rest=True, batch_bytes=batch_bytes)
        path = tmp_path / f"part-{batch_bytes}.{name}"
        writer = open_writer(path, OutputShape(name, schema, "text", None, {}, 1 << 20))
        for span in format.split(file, 1 << 30):
            for chunk in format.read(file, span, want):
                if chunk.batch is not None:
                    writer.write(chunk.batch)
        assert writer.close() == digest_file(path)
        written.append(path.read_bytes())
    assert written[0] == written[1] != b""
    if kind_of(path.name)[0] is not None:
        texts = [row["text"] for row in read_all(file, Want())[0]]
        rows, bad = read_all(source(path), Want())
        assert ([row["text"] for row in rows], bad) == (texts, [])


@writing
def test_a_writer_that_stops_leaves_nothing(tmp_path, name):
    schema = pa.schema([("text", pa.large_string())] if output_format(name).columnar else [])
    open_writer(tmp_path / f"part.{name}", OutputShape(name, schema, "text", None, {}, 1 << 20)).abort()
    assert list(tmp_path.iterdir()) == []
