"""Which files a recipe means, and how they are opened."""

from __future__ import annotations

import glob
import gzip
import os
import zipfile
from pathlib import Path
from types import SimpleNamespace
from typing import ClassVar

import fsspec
import pytest
import zstandard
from fsspec.implementations.memory import MemoryFileSystem

from corpuscurate.core.errors import InputError, OutOfMemoryError
from corpuscurate.io import decompress, files, reading
from corpuscurate.io.base import InputFormat, input_formats, register
from corpuscurate.io.files import Truncated, expand, file_state, open_bytes, open_mapped, open_read
from corpuscurate.io.local_glob import local_glob


def put(path: Path, content: bytes = b"x\n") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def names(found) -> list[str]:
    assert [file.number for file in found] == list(range(len(found)))
    return [file.name for file in found]


def test_no_two_formats_share_a_suffix():
    taken = [suffix for format in input_formats().values() for suffix in format.suffixes]
    assert len(taken) == len(set(taken))
    text = input_formats()["text"]
    with pytest.raises(ValueError, match=r"the suffix \.md of the format notes is that of text"):
        register(InputFormat("notes", (".md",), text.read, text.split, text.columns))
    assert "notes" not in input_formats()


@pytest.mark.parametrize(
    ("name", "format", "compression"),
    [
        ("a.jsonl", "jsonl", None),
        ("a.ndjson", "jsonl", None),
        ("a.jsonl.gz", "jsonl", "gz"),
        ("a.ndjson.gzip", "jsonl", "gz"),
        ("a.jsonl.zst", "jsonl", "zst"),
        ("a.jsonl.zstd", "jsonl", "zst"),
        ("A.JSONL.GZ", "jsonl", "gz"),
        ("a.parquet", "parquet", None),
        ("a.pq", "parquet", None),
        ("a.arrow", "arrow", None),
        ("a.feather", "arrow", None),
        ("a.ipc", "arrow", None),
        ("a.txt", "text", None),
        ("a.md", "text", None),
        ("a.txt.gz", "text", "gz"),
        ("a.b.c.jsonl", "jsonl", None),
    ],
)
def test_format_by_suffix(tmp_path, name, format, compression):
    put(tmp_path / name)
    (file,) = expand([name], tmp_path, None)
    assert (file.format, file.compression, file.name, file.size) == (format, compression, name, 2)
    assert file.path == str(tmp_path / name)


def test_format_overrides_the_suffix_but_not_the_compression(tmp_path):
    put(tmp_path / "c4.json.gz")
    (file,) = expand(["c4.json.gz"], tmp_path, "jsonl")
    assert (file.format, file.compression) == ("jsonl", "gz")


def test_folders_are_walked_without_hidden_and_marker_files(tmp_path):
    for name in (
        "a.jsonl",
        "b/c.parquet",
        "b/.hidden.jsonl",
        "_SUCCESS",
        "_tmp/x.jsonl",
        ".git/x.jsonl",
        "b/notes.csv",
    ):
        put(tmp_path / "d" / name)
    assert names(expand(["d"], tmp_path, None)) == ["d/a.jsonl", "d/b/c.parquet"]
    assert names(expand(["."], tmp_path / "d", None)) == ["a.jsonl", "b/c.parquet"]


def test_folder_with_a_format_takes_what_is_of_no_other(tmp_path):
    for name in ("a.json", "b.jsonl", "c.parquet", "README.md", "noext"):
        put(tmp_path / "d" / name)
    assert names(expand(["d"], tmp_path, "jsonl")) == ["d/a.json", "d/b.jsonl", "d/noext"]


SHOWN = ["B.jsonl", "a-1.jsonl", "a.jsonl", "a/z.jsonl", "a10.jsonl", "a2.jsonl", "é.jsonl", "😀.jsonl"]


@pytest.mark.parametrize("patterns", [["."], ["**/*.jsonl"]])
def test_the_files_of_one_pattern_are_sorted_bytewise_by_shown_name(tmp_path, patterns):
    for name in SHOWN:
        put(tmp_path / name)
    assert names(expand(patterns, tmp_path, None)) == sorted(SHOWN, key=str.encode)


def test_patterns_stay_in_the_order_of_the_user(tmp_path):
    for name in ("a.jsonl", "b.jsonl", "c/2.jsonl", "c/1.jsonl", "d.jsonl"):
        put(tmp_path / name)
    assert names(expand(["b.jsonl", "a.jsonl"], tmp_path, None)) == ["b.jsonl", "a.jsonl"]
    assert names(expand(["d.jsonl", "c", "*.jsonl"], tmp_path, None)) == [
        *("d.jsonl", "c/1.jsonl", "c/2.jsonl"),
        *("a.jsonl", "b.jsonl"),
    ]
    assert names(expand([f"file://{tmp_path}/d.jsonl", str(tmp_path / "a.jsonl"), "*.jsonl"], tmp_path, None)) == [
        *(str(tmp_path / "d.jsonl").removeprefix("/"), "a.jsonl", "b.jsonl")
    ]


def test_urls_stay_in_the_order_of_the_user():
    system = fsspec.filesystem("memory")
    for name in ("/order/a.jsonl", "/order/b.jsonl", "/order/c.jsonl"):
        system.pipe(name, b"x")
    found = names(expand(["memory://order/c.jsonl", "memory://order/*.jsonl"], Path("/"), None))
    assert found == [f"memory:///order/{letter}.jsonl" for letter in "cab"]


def test_globs(tmp_path):
    for name in ("x/a.jsonl", "x/y/b.jsonl", "x/y/z/c.jsonl", "x/y/d.parquet", "x/.h/e.jsonl", "x/_t.jsonl"):
        put(tmp_path / name)
    assert names(expand(["x/**/*.jsonl"], tmp_path, None)) == ["x/a.jsonl", "x/y/b.jsonl", "x/y/z/c.jsonl"]
    assert names(expand(["x/?.jsonl"], tmp_path, None)) == ["x/a.jsonl"]
    assert names(expand(["x/y/[cd].*"], tmp_path, None)) == ["x/y/d.parquet"]
    assert names(expand(["x/_*.jsonl"], tmp_path, None)) == ["x/_t.jsonl"]
    assert names(expand(["x/*"], tmp_path, None)) == ["x/a.jsonl", "x/y/b.jsonl", "x/y/d.parquet", "x/y/z/c.jsonl"]


def test_each_file_once(tmp_path):
    real = put(tmp_path / "data" / "b.jsonl")
    (tmp_path / "data" / "z.jsonl").symlink_to(real)
    (tmp_path / "also").symlink_to(tmp_path / "data")
    found = expand(["data/*.jsonl", "data", "also", "also/b.jsonl", str(real), "data/../data/b.jsonl"], tmp_path, None)
    assert names(found) == ["data/b.jsonl"]
    assert names(expand(["also", "data"], tmp_path, None)) == ["also/b.jsonl"]
    assert names(expand(["data"], tmp_path, None)) == ["data/b.jsonl"]


def test_a_loop_of_links_ends(tmp_path):
    put(tmp_path / "d" / "a.jsonl")
    (tmp_path / "d" / "loop").symlink_to(tmp_path / "d")
    assert names(expand(["d"], tmp_path, None)) == ["d/a.jsonl"]


def test_names_outside_the_base_are_absolute(tmp_path):
    put(tmp_path / "else" / "a.jsonl")
    (tmp_path / "base").mkdir()
    assert names(expand(["../else/a.jsonl"], tmp_path / "base", None)) == [str(tmp_path / "else" / "a.jsonl")]
    put(tmp_path / "base2" / "a.jsonl")  # shares a prefix with base, is not below it
    assert names(expand([str(tmp_path / "base2")], tmp_path / "base", None)) == [str(tmp_path / "base2" / "a.jsonl")]


@pytest.mark.parametrize(
    "name",
    [
        "with space.jsonl",
        "a[1].jsonl",
        "new\nline.jsonl",
        "star*.jsonl",
        "quote'\".jsonl",
        "ünï.jsonl",
        "-rf.jsonl",
        "a;b.jsonl",
    ],
)
def test_nasty_names(tmp_path, name):
    put(tmp_path / name, b"content")
    (file,) = expand([name], tmp_path, None)
    assert file.name == name
    with open_bytes(file) as reader:
        assert reader.read() == b"content"
    assert names(expand(["."], tmp_path, None)) == [name]


def test_base_with_glob_characters(tmp_path):
    base = tmp_path / "a[b]*"
    put(base / "x.jsonl")
    assert names(expand(["*.jsonl"], base, None)) == ["x.jsonl"]


def test_name_that_is_not_utf8(tmp_path):
    put(Path(os.fsdecode(os.fsencode(tmp_path) + b"/bad\xff.jsonl")))
    with pytest.raises(InputError, match=r"bad\\xff\.jsonl is not valid UTF-8"):
        expand(["."], tmp_path, None)


def test_no_match_says_where_and_what_is_there(tmp_path):
    put(tmp_path / "shards" / "part-0.jsonl")
    put(tmp_path / "shards" / "part-1.jsonl")
    with pytest.raises(InputError) as error:
        expand(["shards/*.parquet"], tmp_path, None)
    assert str(error.value) == (
        f"No input file matches 'shards/*.parquet'. Looked in {tmp_path}/shards. "
        f"{tmp_path}/shards holds part-1.jsonl, part-0.jsonl."
    )


def test_no_match_in_a_folder_that_is_not_there(tmp_path):
    (tmp_path / "shards").mkdir()
    with pytest.raises(InputError, match=r"shrads does not exist\. .* holds shards/\.") as error:
        expand(["shrads/*.jsonl"], tmp_path, None)
    assert "'shrads/*.jsonl'" in str(error.value)


def test_no_match_of_a_single_file(tmp_path):
    put(tmp_path / "corpus.jsonl")
    with pytest.raises(InputError, match=r"'corpsu\.jsonl'.*holds corpus\.jsonl"):
        expand(["corpsu.jsonl"], tmp_path, None)


def test_empty_folder_and_folder_of_unknown_files(tmp_path):
    (tmp_path / "d").mkdir()
    with pytest.raises(InputError, match=r"No input file matches 'd'\..*is empty"):
        expand(["d"], tmp_path, None)
    put(tmp_path / "d" / "x.csv")
    with pytest.raises(InputError, match=r"has no file of a known suffix\. .*holds x\.csv"):
        expand(["d"], tmp_path, None)


@pytest.mark.parametrize("name", ["a.csv", "a.json", "noext", "a.csv.gz"])
def test_unknown_suffix(tmp_path, name):
    put(tmp_path / name)
    with pytest.raises(InputError) as error:
        expand([name], tmp_path, None)
    message = str(error.value)
    assert name in message
    assert repr("".join(Path(name).suffixes)) in message
    assert "jsonl: .jsonl, .ndjson" in message
    assert "`format:`" in message


def test_compressed_parquet_is_refused(tmp_path):
    put(tmp_path / "a.parquet.gz")
    with pytest.raises(InputError, match=r"'\.parquet\.gz'"):
        expand(["a.parquet.gz"], tmp_path, None)
    with pytest.raises(InputError, match="Decompress it first"):
        expand(["a.parquet.gz"], tmp_path, "parquet")


def test_dangling_link_and_pipe(tmp_path):
    (tmp_path / "a.jsonl").symlink_to(tmp_path / "gone")
    with pytest.raises(InputError, match="a link to something that is not there"):
        expand(["."], tmp_path, None)
    (tmp_path / "a.jsonl").unlink()
    os.mkfifo(tmp_path / "p.jsonl")
    with pytest.raises(InputError, match="neither a file nor a folder"):
        expand(["p.jsonl"], tmp_path, None)


def test_too_large_and_too_many(tmp_path, monkeypatch):
    put(tmp_path / "a.jsonl", b"12345")
    put(tmp_path / "b.jsonl", b"12345")
    monkeypatch.setattr(files, "MAX_FILE_BYTES", 4)
    with pytest.raises(InputError, match=r"a\.jsonl has 5 bytes, more than 4"):
        expand(["."], tmp_path, None)
    monkeypatch.setattr(files, "MAX_FILE_BYTES", 5)
    monkeypatch.setattr(files, "MAX_FILES", 1)
    with pytest.raises(InputError, match="2 input files are more than 1"):
        expand(["."], tmp_path, None)


def test_no_permission(tmp_path, monkeypatch):
    put(tmp_path / "a.jsonl")
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(InputError, match=r"Cannot read input file .*a\.jsonl: Permission denied"):
        expand(["a.jsonl"], tmp_path, None)


def test_file_that_vanishes(tmp_path):
    path = put(tmp_path / "a.jsonl")
    (file,) = expand(["a.jsonl"], tmp_path, None)
    path.unlink()
    opens = (lambda: open_bytes(file).__enter__(), lambda: open_mapped(file), lambda: open_read(file))
    for use in (*opens, lambda: file_state(file)):
        with pytest.raises(InputError, match=r"Cannot read input file a\.jsonl: No such file"):
            use()


def test_state_changes_with_the_file(tmp_path):
    path = put(tmp_path / "a.jsonl", b"one")
    (file,) = expand(["a.jsonl"], tmp_path, None)
    before = file_state(file)
    assert before == {"size": 3, "mtime_ns": path.stat().st_mtime_ns}
    os.utime(path, ns=(1, 1))
    assert file_state(file) == {"size": 3, "mtime_ns": 1}


def test_open_at_an_offset(tmp_path):
    put(tmp_path / "a.jsonl", b"0123456789")
    put(tmp_path / "b.jsonl.gz", gzip.compress(b"0123456789"))
    plain, packed = expand(["."], tmp_path, None)
    buffer = bytearray(4)
    with open_bytes(plain, 3) as reader:
        assert reader.readinto(buffer) == 4
        assert bytes(buffer) == b"3456"
        assert reader.read(100) == b"789"
    with pytest.raises(ValueError, match="from its start"), open_bytes(packed, 3):
        pass
    with open_bytes(packed) as reader:
        assert reader.read(4) == b"0123"
        assert reader.readinto(buffer) == 4
        assert bytes(buffer) == b"4567"
        assert reader.read(100) == b"89"
        assert reader.read(100) == b""


def test_cut_file_is_told_on_the_call_after_the_last_bytes(tmp_path):
    whole = zstandard.ZstdCompressor().compressobj()
    data = whole.compress(b"line\n" * 100_000) + whole.flush(zstandard.COMPRESSOBJ_FLUSH_BLOCK)
    put(tmp_path / "a.jsonl.zst", data)
    (file,) = expand(["."], tmp_path, None)
    with open_bytes(file) as reader:
        got = reader.read(1 << 20)
        assert got == b"line\n" * 100_000
        with pytest.raises(Truncated, match="ends inside frame 1"):
            reader.read(1)


def test_fsspec_urls(tmp_path):
    system = fsspec.filesystem("memory")
    system.pipe("/corpus/a.jsonl", b"one\n")
    system.pipe("/corpus/sub/b.jsonl.gz", gzip.compress(b"two\n"))
    system.pipe("/corpus/_skip/c.jsonl", b"no\n")
    system.pipe("/corpus/notes.csv", b"no\n")
    try:
        put(tmp_path / "z.jsonl")
        found = expand(["memory://corpus", "memory://corpus/*.jsonl", "z.jsonl"], tmp_path, None)
        assert names(found) == ["memory:///corpus/a.jsonl", "memory:///corpus/sub/b.jsonl.gz", "z.jsonl"]
        contents = []
        for file in found[:2]:
            with open_bytes(file) as reader:
                contents.append(reader.read(100))
        assert contents == [b"one\n", b"two\n"]
        with open_bytes(found[0], 2) as reader:
            assert reader.read(10) == b"e\n"
        assert file_state(found[0])["size"] == 4
        assert open_mapped(found[0]).read() == b"one\n"
        with pytest.raises(InputError, match=r"No input file matches 'memory://corpus/\*\.parquet'"):
            expand(["memory://corpus/*.parquet"], tmp_path, None)
    finally:
        system.rm("/corpus", recursive=True)
    with pytest.raises(InputError, match=r"Cannot list nosuch://x: "):
        expand(["nosuch://x"], tmp_path, None)


def test_file_url(tmp_path):
    path = put(tmp_path / "a.jsonl")
    assert expand([f"file://{path}"], tmp_path, None)[0].path == str(path)


@pytest.mark.parametrize("key", ["ETag", "Last-Modified", "LastModified", "mtime"])
def test_state_of_a_remote_file_changes_with_what_its_system_tells(monkeypatch, key):
    memory = fsspec.filesystem("memory")
    memory.pipe("/state/a.jsonl", b"x\n")
    try:
        (file,) = expand(["memory://state/a.jsonl"], Path("/"), None)
        states = []
        for told in ("monday", "tuesday"):
            info = {"name": "/state/a.jsonl", "size": 2, "type": "file", key: told}
            monkeypatch.setattr(type(memory), "info", lambda self, path, info=info, **_: info)
            states.append(file_state(file))
        assert states[0] != states[1]
        assert states[1]["version"] == "tuesday"
    finally:
        monkeypatch.undo()
        memory.rm("/state", recursive=True)


def test_urls_with_more_than_a_protocol_and_a_path(tmp_path):
    with zipfile.ZipFile(tmp_path / "z.zip", "w") as archive:
        for name in ("in/a.jsonl", "in/b.jsonl"):
            archive.writestr(name, name)
    for inside in ("in/*.jsonl", "in"):
        found = expand([f"zip://{inside}::{tmp_path}/z.zip"], Path("/"), None)
        assert names(found) == [f"zip://in/{name}.jsonl::{tmp_path}/z.zip" for name in "ab"]
        for file in found:
            assert file_state(file)["size"] == 10
            with open_bytes(file, 3) as reader:
                assert reader.read() == b"%s.jsonl" % b"ab"[file.number : file.number + 1]


def test_urls_with_a_host():
    class Hosted(MemoryFileSystem):
        protocol = "hosted"
        store: ClassVar[dict[str, object]] = {}
        pseudo_dirs: ClassVar[list[str]] = [""]

        def __init__(self, host: str, **options: object) -> None:
            super().__init__(host=host, **options)

        @classmethod
        def _strip_protocol(cls, path: str) -> str:
            inside = path.split("/", 3)[3] if "://" in path else path
            return "/" + inside.strip("/")

        @staticmethod
        def _get_kwargs_from_urls(url: str) -> dict[str, str]:
            host = url.partition("//")[2].partition("/")[0]
            return {"host": host} if host else {}

    fsspec.register_implementation("hosted", Hosted, clobber=True)
    Hosted("there").pipe("/in/a.jsonl", b"x\n")
    (file,) = expand(["hosted://there/in/*.jsonl"], Path("/"), None)
    assert file.path == file.name == "hosted://there/in/a.jsonl"
    assert file_state(file)["size"] == 2
    with open_bytes(file) as reader:
        assert reader.read() == b"x\n"


@pytest.mark.parametrize("pattern", ["in/**/*.jsonl", "in/*/*.jsonl", "in/**", "in", "in/*"])
def test_a_folder_that_cannot_be_listed_is_never_left_out(tmp_path, monkeypatch, pattern):
    """`glob` and `os.walk` pass over it by themselves."""
    put(tmp_path / "in/one/a.jsonl")
    put(tmp_path / "in/two/b.jsonl")
    assert names(expand([pattern], tmp_path, None)) == ["in/one/a.jsonl", "in/two/b.jsonl"]
    scandir, calls = os.scandir, []

    def fails(path):
        if str(path).endswith("two"):
            calls.append(path)
            raise OSError(*error, str(path))
        return scandir(path)

    monkeypatch.setattr(reading, "RETRY_SECONDS", (0.0, 0.0))
    monkeypatch.setattr(os, "scandir", fails)
    for error in ((5, "Input/output error"), (13, "Permission denied"), (116, "Stale file handle")):
        with pytest.raises(InputError, match=rf"Cannot list the folder .*in/two: {error[1]}\."):
            expand([pattern], tmp_path, None)


def test_globs_match_as_those_of_the_standard_library(tmp_path):
    for name in ("a/b/c.jsonl", "a/b.jsonl", ".hid/x.jsonl", "a/.h.jsonl", "z.jsonl", "a/b/d/e.jsonl", "[x]/y.jsonl"):
        put(tmp_path / name)
    (tmp_path / "link").symlink_to(tmp_path / "a")
    (tmp_path / "gone").symlink_to(tmp_path / "nothing")
    patterns = [
        "*",
        "**",
        "**/",
        "*/",
        "a/*",
        "**/*.jsonl",
        "a/**/c.jsonl",
        "*/b/*",
        ".*/*",
        "a/.*",
        "[az]*",
        "?.jsonl",
    ]
    patterns += ["[[]x]/*", "a/**/**/e.jsonl", "**/b/**", "no/*", "z.jsonl/*", "a/*/", "link/**/*.jsonl", "gon?"]
    for pattern in patterns:
        whole = f"{tmp_path}/{pattern}"
        wanted = {path.rstrip("/") for path in glob.glob(whole, recursive=True)}  # noqa: PTH207
        found = local_glob(whole, lambda error: pytest.fail(str(error)))
        assert {path.rstrip("/") for path in found} == wanted, pattern
    (tmp_path / "a" / "loop").symlink_to(tmp_path)
    found = local_glob(f"{tmp_path}/**/c.jsonl", lambda error: pytest.fail(str(error)))
    assert [path.removeprefix(f"{tmp_path}/") for path in found] == ["a/b/c.jsonl", "link/b/c.jsonl"]


def test_no_memory_for_decompression_is_no_damage(tmp_path, monkeypatch):
    """Each library says it in its own way."""

    class Module:
        class decompressobj:  # noqa: N801
            def __init__(self, wbits):
                self.eof = False

            def decompress(self, data, most):
                raise MemoryError

    class Reader:
        def __enter__(self):
            return self

        def __exit__(self, *_):
            return None

        def read(self, size):
            raise zstandard.ZstdError("zstd decompress error: Allocation error : not enough memory")

    monkeypatch.setattr(decompress, "_fast", Module)
    packed = {"a.jsonl.gz": gzip.compress(b"x"), "a.jsonl.zst": zstandard.compress(b"x")}
    monkeypatch.setattr(
        decompress,
        "zstandard",
        SimpleNamespace(
            ZstdError=zstandard.ZstdError,
            ZstdDecompressor=lambda **_: SimpleNamespace(stream_reader=lambda *_, **__: Reader()),
        ),
    )
    for name, content in packed.items():
        put(tmp_path / name, content)
        (file,) = expand([name], tmp_path, None)
        with pytest.raises(OutOfMemoryError, match=f"out of memory while {name} was read"):
            input_formats()["jsonl"].columns(file)


def test_a_file_without_a_size_is_an_error_and_not_empty(monkeypatch):
    system = fsspec.filesystem("memory")
    system.pipe("/sizeless/a.jsonl", b"one\n")
    info = MemoryFileSystem.info
    monkeypatch.setattr(MemoryFileSystem, "info", lambda self, path, **_: {**info(self, path), "size": None})
    with pytest.raises(InputError, match=r"/sizeless/a\.jsonl: its size is not told\. Download it"):
        expand(["memory://sizeless/a.jsonl"], Path("/"), None)
