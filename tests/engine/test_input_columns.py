"""Columns that the names of folders give (`key=value`), and files of a folder that are not read: all is told."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from urllib.parse import quote

import fsspec
import orjson
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest

from corpuscurate import Pipeline, Settings, Sink, Source
from corpuscurate.core.errors import InputError
from corpuscurate.engine.check import check_spec
from corpuscurate.engine.input_columns import Columns, folder_columns
from corpuscurate.engine.progress import NoProgress
from corpuscurate.io.base import SourceFile
from corpuscurate.stages.exact import Exact
from corpuscurate.stages.where import Where


class Console(NoProgress):
    def __init__(self) -> None:
        self.said: list[str] = []

    def message(self, text: str) -> None:
        self.said.append(text)


def shard(folder: Path, name: str, *texts: str, **more: object) -> None:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = [{"text": text, **more} for text in texts]
    if path.suffix == ".parquet":
        pq.write_table(pa.Table.from_pylist(rows), path)
    elif path.suffix == ".arrow":
        table = pa.Table.from_pylist(rows)
        with pa.ipc.new_file(path, table.schema) as writer:
            writer.write_table(table)
    elif path.suffix == ".txt":
        path.write_text("\n".join(texts))
    else:
        lines = b"".join(orjson.dumps(row) + b"\n" for row in rows)
        path.write_bytes(gzip.compress(lines) if path.suffix == ".gz" else lines)


def run(base: Path, *stages, paths=("in",), format="parquet", **source):
    console = Console()
    given = Source(paths=paths, **source)
    pipeline = Pipeline(given, stages, Sink(path="out", format=format), Settings(workers=1, runner="inprocess"), base)
    return pipeline.run(progress=console, overwrite=True), console.said


def kept(base: Path) -> list[dict]:
    parts = sorted((base / "out" / "data").iterdir())
    if parts[0].suffix == ".parquet":
        return [row for part in parts for row in pq.read_table(part).to_pylist()]
    if parts[0].suffix == ".arrow":
        return [row for part in parts for row in pa.ipc.open_file(part).read_all().to_pylist()]
    return [json.loads(line) for part in parts for line in part.read_text().splitlines()]


@pytest.mark.parametrize("suffix", ["parquet", "arrow", "jsonl", "jsonl.gz", "txt"])
@pytest.mark.parametrize("format", ["parquet", "arrow", "jsonl"])
def test_folders_give_columns_for_every_pair_of_formats(tmp_path, suffix, format):
    shard(tmp_path / "in", f"lang=de/year=2023/a.{suffix}", "eins")
    shard(tmp_path / "in", f"lang=en/year=2024/a.{suffix}", "one")
    report, said = run(tmp_path, Exact(), format=format)
    rows = kept(tmp_path)
    assert [(row["text"], row["lang"], row["year"]) for row in rows] == [("eins", "de", 2023), ("one", "en", 2024)]
    assert (report["warnings"], said) == ([], [])


def test_types_and_values_are_those_of_pyarrow_where_they_lose_nothing(tmp_path):
    values = {"number": ["7", "-3"], "word": ["a", "7"], "odd": ["a b/c%é", "x=y"], "none": ["1", None]}
    for at in range(2):
        parts = (
            f"{key}={quote(v[at], safe='') if v[at] is not None else '__HIVE_DEFAULT_PARTITION__'}"
            for key, v in values.items()
        )
        shard(tmp_path / "in", "/".join([*parts, "a.parquet"]), f"text {at}")
    run(tmp_path)
    rows = {row["text"]: row for row in kept(tmp_path)}
    read = ds.dataset(tmp_path / "in", partitioning="hive").to_table().to_pylist()
    assert rows == {row["text"]: row for row in read}
    assert rows["text 0"] == {"text": "text 0", "number": 7, "word": "a", "odd": "a b/c%é", "none": 1}
    schema = pq.read_schema(tmp_path / "out" / "data" / "part-00000.parquet")
    assert [str(schema.field(name).type) for name in values] == ["int64", "large_string", "large_string", "int64"]


@pytest.mark.parametrize(
    ("texts", "kind"),
    [
        (["1", "2"], pa.int64()),
        (["01", "02"], pa.int64()),
        (["1", "01"], pa.large_string()),  # two folders, which stay apart
        (["9223372036854775807"], pa.int64()),
        (["9223372036854775808"], pa.large_string()),
        (["1", "x"], pa.large_string()),
        (["１"], pa.large_string()),
        (["1.5"], pa.large_string()),
        ([""], pa.large_string()),
        ([None], pa.large_string()),
    ],
)
def test_the_type_of_a_key(texts, kind):
    files = [SourceFile(at, f"f{at}", f"f{at}", 1, "jsonl", None, (("k", text),)) for at, text in enumerate(texts)]
    assert folder_columns(Source(paths="in"), files, Columns({})) == {"k": kind}


def test_a_stage_reads_such_a_column(tmp_path):
    for lang in ("de", "en"):
        shard(tmp_path / "in", f"lang={lang}/a.jsonl", f"a text {lang}")
    report, _ = run(tmp_path, Where(expression="lang == 'en'"), Exact())
    assert [row["text"] for row in kept(tmp_path)] == ["a text en"]
    assert report["documents"]["dropped"] == 1


def test_files_that_lack_a_key_have_null_there(tmp_path):
    shard(tmp_path / "in", "a.jsonl", "above")
    shard(tmp_path / "in", "lang=en/a.jsonl", "below")
    run(tmp_path)
    assert [row["lang"] for row in kept(tmp_path)] == [None, "en"]


@pytest.mark.parametrize("suffix", ["parquet", "jsonl"])
def test_a_column_of_the_files_is_kept_and_the_folders_value_told(tmp_path, suffix):
    shard(tmp_path / "in", f"lang=en/year=1/a.{suffix}", "one", lang="english")
    report, said = run(tmp_path)
    assert kept(tmp_path) == [{"text": "one", "lang": "english", "year": 1}]
    told = (
        "the names of folders say lang=en, and the input has columns of these names: those of the records are kept, "
        "and what the folders say is not read"
    )
    assert report["warnings"] == [told]
    assert said == [f"warning: {told}"]


def test_a_column_of_one_record_far_behind_the_sample_is_an_error(tmp_path):
    shard(tmp_path / "in", "lang=en/a.jsonl", *("x" * 1000 for _ in range(1100)))
    with (tmp_path / "in" / "lang=en" / "a.jsonl").open("ab") as file:
        file.write(b'{"text": "last", "lang": "fr"}\n')
    with pytest.raises(InputError) as error:
        run(tmp_path)
    assert str(error.value) == (
        "in/lang=en/a.jsonl: a record has the column 'lang', which the names of folders give, too (lang=...). Give "
        "`input: folder_columns: false` to keep that of the records."
    )
    run(tmp_path, folder_columns=False)
    assert kept(tmp_path)[-1]["lang"] == "fr"


def test_not_where_the_recipe_says_so(tmp_path):
    shard(tmp_path / "in", "lang=en/a.jsonl", "one")
    report, _ = run(tmp_path, folder_columns=False)
    assert kept(tmp_path) == [{"text": "one"}]
    assert report["warnings"] == [
        "input.folder_columns is false: what the names of folders say (lang=en) is in no column"
    ]


@pytest.mark.parametrize("path", ["in/*/*.jsonl", "in/lang=*/*.jsonl", "in/**/*.jsonl", "in/lang=??", "in"])
def test_folders_count_from_the_first_wildcard_on(tmp_path, path):
    for lang in ("de", "en"):
        shard(tmp_path / "in", f"lang={lang}/a.jsonl", lang)
    run(tmp_path, paths=(path,))
    assert [row["lang"] for row in kept(tmp_path)] == ["de", "en"]


@pytest.mark.parametrize("path", ["in/lang=en", "in/lang=en/*.jsonl", "in/lang=en/a.jsonl"])
def test_a_folder_of_the_path_itself_is_told(tmp_path, path):
    shard(tmp_path / "in", "lang=en/a.jsonl", "one")
    report, _ = run(tmp_path, paths=(path,))
    assert kept(tmp_path) == [{"text": "one"}]
    assert report["warnings"] == [
        "input.paths: what the folders lang=en say is in no column, since they are part of a path itself. Name the "
        "folder above them to have it as a column."
    ]


def test_another_path_to_the_same_files_is_another_run(tmp_path):
    shard(tmp_path / "in", "lang=en/a.jsonl", "one")
    first, _ = run(tmp_path, paths=("in/lang=en",))
    second, _ = run(tmp_path, paths=("in",))
    assert first["fingerprint"] != second["fingerprint"]
    assert kept(tmp_path) == [{"text": "one", "lang": "en"}]


def passed_over(base: Path, **source) -> list[str]:
    return check_spec(Pipeline(Source(**{"paths": ("in",), **source}), (), Sink(path="out"), base=base))


def test_files_that_are_not_read_are_counted_and_named_by_suffix(tmp_path):
    shard(tmp_path / "in", "a.jsonl", "one")
    names = ["b.json", "c.json", "d.json", "e.json", "f/x.JSON.GZ", "g.jsonl.bz2", "noext"]
    for name in names:
        (tmp_path / "in" / name).parent.mkdir(exist_ok=True)
        (tmp_path / "in" / name).write_bytes(b"{}")
    assert passed_over(tmp_path) == [
        "input.paths: 7 files of the input's folders are not read, since their suffixes tell no format: b.json, c.json,"
        " d.json and 1 more like it, noext, x.JSON.GZ, g.jsonl.bz2. Name them in `paths` to have them read, with"
        " `format:` where the suffix tells none."
    ]
    report, said = run(tmp_path)
    assert report["warnings"] == passed_over(tmp_path)
    assert said == [f"warning: {text}" for text in report["warnings"]]
    assert passed_over(tmp_path, paths=("in/*.jsonl",)) == []


def test_files_of_another_format_and_hidden_ones(tmp_path):
    for name in ("a.jsonl", "_b.jsonl", "_old/c.jsonl", ".git/d.jsonl"):
        shard(tmp_path / "in", name, "one")
    for name in ("_SUCCESS", ".DS_Store"):
        (tmp_path / "in" / name).write_bytes(b"")
    hidden = (
        'input.paths: 2 files of the input\'s folders are not read, since names of files or folders that begin with "."'
        ' or "_" are left out: _b.jsonl, c.jsonl. Name them in `paths` to have them read, with `format:` where the'
        " suffix tells none."
    )
    assert passed_over(tmp_path) == [hidden]
    shard(tmp_path / "in", "e.parquet", "two")
    assert passed_over(tmp_path, format="jsonl") == [
        "input.paths: 1 file of the input's folders is not read, since their suffixes are not of format jsonl:"
        " e.parquet. Name them in `paths` to have them read, with `format:` where the suffix tells none.",
        hidden,
    ]
    assert passed_over(tmp_path, paths=("in", "in/_b.jsonl", "in/_old/c.jsonl")) == []


def test_urls_are_listed_as_local_folders_are(tmp_path):
    system = fsspec.filesystem("memory")
    for name in ("lang=de/a.jsonl", "lang=en/a.jsonl", "lang=en/_b.jsonl", "c.json", ".git/x.json", "_SUCCESS"):
        system.pipe(f"/folders/in/{name}", b'{"text": "one"}\n')
    for path in ("memory://folders/in", "memory://folders/in/lang=*/*.jsonl", "memory://folders/in/l*"):
        run(tmp_path, paths=(path,))
        assert [row["lang"] for row in kept(tmp_path)] == ["de", "en"]
    said = passed_over(tmp_path, paths=("memory://folders/in",))
    assert [text.split(" Name them")[0] for text in said] == [
        "input.paths: 1 file of the input's folders is not read, since their suffixes tell no format: c.json.",
        "input.paths: 1 file of the input's folders is not read, since names of files or folders that begin with"
        ' "." or "_" are left out: _b.jsonl.',
    ]
