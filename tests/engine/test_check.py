"""A spec against its input; messages are compared whole."""

from __future__ import annotations

import os
from dataclasses import replace

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from support.toy_stages import register_toys

from corpuscurate.core.errors import InputError, OutputError, RecipeError
from corpuscurate.core.spec import Sink, Source, Spec
from corpuscurate.engine import input_columns
from corpuscurate.engine.check import check_spec
from corpuscurate.io.files import expand


@pytest.fixture
def toys(monkeypatch):
    return register_toys(monkeypatch)


@pytest.fixture
def shards(tmp_path):
    folder = tmp_path / "shards"
    folder.mkdir()
    lines(folder / "a.jsonl", {"id": "1", "text": "x", "lang": "en"})
    lines(folder / "b.jsonl", {"text": "y", "score": 5})
    return tmp_path


def lines(path, *records):
    path.write_bytes(b"".join(orjson.dumps(record) + b"\n" for record in records))


def spec(*stages, paths=("shards/*.jsonl",), out="out", text="text", id=None, **sink):
    return Spec(Source(paths=paths, text=text, id=id), stages, Sink(path=out, **sink))


def checked(given, base):
    return check_spec(replace(given, base=base))


def refused(kind, given, base):
    with pytest.raises(kind) as error:
        checked(given, base)
    return str(error.value)


def test_nothing_to_say(shards, toys):
    stages = (toys["normalize"](), toys["length"](min_words=5), toys["minhash"]())
    assert checked(spec(*stages), shards) == []


def test_no_text_column(shards):
    assert refused(InputError, spec(text="txt"), shards) == (
        "input.text: the input has no column 'txt'. The columns there are: id, text, lang, score."
        " The nearest names are: text, score, lang."
    )
    assert refused(InputError, spec(id="ident"), shards).startswith(
        "input.id: the input has no column 'ident'. The columns there are: id, text, lang, score. The nearest names"
    )


def test_a_column_that_some_files_lack(shards):
    lines(shards / "shards" / "c.jsonl", {"body": "z"})
    assert checked(spec(id="id"), shards) == [
        "input.text: shards/c.jsonl lacks the column 'text': records without it are quarantined",
        "input.id: shards/b.jsonl, shards/c.jsonl lack the column 'id': their id will be null",
    ]


def test_columns_that_stages_read(shards, toys):
    where, score, length = toys["where"], toys["score"], toys["length"]
    read = where(expression="e", columns=("lang", "score.value"))
    assert checked(spec(score(), read), shards) == [
        "stages[1] (where): shards/b.jsonl lacks the column 'lang'",
    ]
    assert refused(InputError, spec(where(expression="e", columns=("lnag",))), shards) == (
        "stages[0] (where) reads the column 'lnag', which neither the input nor an earlier stage has."
        " The columns there are: id, text, lang, score. The nearest names are: lang, text, score."
    )
    assert refused(RecipeError, spec(read, score()), shards) == (
        "stages[0] (where) reads the column 'score.value', which is made only later, by stages[1] (score)."
        " Move that stage before this one."
    )
    reads_words = where(expression="e", columns=("length.words",))
    assert refused(RecipeError, spec(length(min_words=1), reads_words), shards) == (
        "stages[1] (where) reads the column 'length.words', which stages[0] (length) makes only with `mode: tag`."
        " Add a use of length with `mode: tag` and a name before this stage."
    )
    assert checked(spec(length(mode="tag"), reads_words), shards) == []


def test_labels(shards, toys):
    length = toys["length"]
    assert refused(RecipeError, spec(length(), length()), shards) == (
        "stages[1]: 'length' is already the name of stages[0]. The same stage twice needs a name,"
        " such as {length: {...}, name: length_2}"
    )
    assert checked(spec(length(), length(name="other")), shards) == []


def test_a_stage_never_takes_the_place_of_a_users_column(shards, toys):
    lines(shards / "shards" / "c.jsonl", {"text": "z", "score.value": 1})
    assert refused(RecipeError, spec(toys["score"]()), shards) == (
        "stages[0] (score) adds the column 'score.value', which the input has already."
        " Give the stage a name, such as {score: ..., name: score_2}."
    )
    assert checked(spec(toys["score"](name="mine")), shards) == []


def test_a_filter_after_a_deduplication_is_warned_of(shards, toys):
    minhash, length = toys["minhash"], toys["length"]
    warned = checked(spec(minhash(), length(min_words=3), toys["normalize"](), length(name="b", mode="tag")), shards)
    assert warned == [
        "stages[1] (length) filters after stages[0] (minhash) has removed duplicates: where it drops a document that"
        " was kept for its copies, they are lost with it. Put filters first."
    ]
    assert checked(spec(minhash(mode="tag"), length(min_words=3)), shards) == []


@pytest.mark.parametrize(
    ("paths", "out"),
    [
        (("shards",), "shards/out"),
        (("**/*.parquet", "shards/a.jsonl"), "out"),
        (("*", "shards/a.jsonl"), "out"),
        (("shards/*", "shards/a.jsonl"), "shards/x"),
        (("shards/../**/part-*.jsonl", "shards/a.jsonl"), "out"),
        (("link/**", "shards/a.jsonl"), "shards/x"),
        (("**/*.arrow", "shards/a.jsonl"), "out"),
        (("shards", "."), "elsewhere"),
    ],
)
def test_output_where_the_input_is_looked_for(shards, paths, out):
    os.symlink(shards / "shards", shards / "link")  # noqa: PTH211
    pq.write_table(pa.table({"text": ["a"]}), shards / "part-1.parquet")
    lines(shards / "part-1.jsonl", {"text": "a"})
    with pa.ipc.new_file(shards / "part-1.arrow", pa.schema([("text", pa.string())])) as writer:
        writer.write(pa.record_batch({"text": ["a"]}))
    message = refused(InputError, spec(paths=paths, out=out, format="jsonl"), shards)
    assert message.endswith("the output would be read as input. Choose a folder outside it.")
    assert message.startswith(f"output.path: {shards / out} lies where input.paths looks (")


def test_output_that_holds_input(shards):
    assert refused(InputError, spec(out="shards"), shards) == (
        f"output.path: {shards}/shards holds the input file shards/a.jsonl. Choose a folder that holds no input."
    )
    assert refused(InputError, spec(out="."), shards).endswith("Choose a folder that holds no input.")
    assert refused(OutputError, spec(out="shards/a.jsonl", paths="shards/b.jsonl"), shards) == (
        f"output.path: {shards}/shards/a.jsonl is a file; it must be a folder"
    )


@pytest.mark.parametrize("paths", [("shards/*.jsonl",), ("shards",), ("s*/a.jsonl",), ("**/*.jsonl",)])
def test_output_beside_the_input(shards, paths):
    assert checked(spec(paths=paths, out="out"), shards) == []


def test_files_that_cannot_be_read_are_no_reason_to_stop(shards):
    (shards / "shards" / "bad.parquet").write_bytes(b"PAR1 no")
    (warning,) = checked(spec(paths=("shards",)), shards)
    assert warning.startswith("shards/bad.parquet cannot be read and will be quarantined: ")


def test_nothing_can_be_read(tmp_path, toys):
    (tmp_path / "a.jsonl").write_bytes(b"")
    given = spec(toys["where"](expression="e", columns=("x",)), paths="a.jsonl")
    assert checked(given, tmp_path) == [
        "no file of the input has a record that can be read: the columns were not checked"
    ]


def test_of_many_files_some_are_looked_at(shards, monkeypatch):
    monkeypatch.setattr(input_columns, "SAMPLE_FILES", 2)
    for number in range(5):
        lines(shards / "shards" / f"x{number}.jsonl", {"text": "x"})
    looked = input_columns.read_columns(expand(("shards",), shards, None))
    assert list(looked.of) == ["shards/a.jsonl", "shards/x2.jsonl"]


def test_a_model_that_is_not_there_is_told_before_anything_runs(tmp_path):
    from corpuscurate.stages.fasttext_quality import FasttextQuality

    (tmp_path / "a.jsonl").write_text('{"text": "words"}\n')
    stage = FasttextQuality(model=str(tmp_path / "no.bin"), target="hq")
    spec = Spec(Source(paths=("a.jsonl",)), (stage,), Sink(path="out"))
    with pytest.raises(InputError, match=r"no\.bin"):
        checked(spec, tmp_path)


@pytest.mark.parametrize("path", ["s3://bucket/out", "file:///tmp/out"])
def test_an_output_that_is_no_local_folder(shards, path):
    with pytest.raises(RecipeError, match=r"output\.path: .*://.* is a URL, and the output must be a folder of this"):
        checked(Spec(Source(paths="shards"), (), Sink(path=path)), shards)


def test_an_output_in_the_home_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert Sink(path="~/out").path == str(tmp_path / "out")
    assert Sink(path="~nobody-of-that-name/out").path == "~nobody-of-that-name/out"


def test_a_columnar_file_without_the_text_is_told_before_it_is_read(shards):
    pq.write_table(pa.table({"body": ["z"], "id": ["3"]}), shards / "shards" / "c.parquet")
    assert refused(InputError, spec(paths=("shards",)), shards) == (
        "input.text: shards/c.parquet lacks the column 'text'. The columns there are: body, id."
        " The nearest names are: id, body."
    )


def test_a_columnar_file_whose_text_is_no_string_is_told_before_it_is_read(shards):
    pq.write_table(pa.table({"text": [["z"]]}), shards / "shards" / "d.parquet")
    assert refused(InputError, spec(paths=("shards",)), shards) == (
        "input.text: in shards/d.parquet the column 'text' is of type list<element: string>, not a string."
    )


def test_the_output_folder_of_a_run_is_no_input(shards, toys):
    from corpuscurate import Pipeline, Settings

    made = spec()
    Pipeline(made.source, (), made.sink, Settings(workers=1, runner="inprocess"), shards).run()
    assert refused(InputError, spec(paths=("out",), out="next"), shards) == (
        "input.paths: out is the output folder of a run: beside the documents it holds those that were dropped."
        " Name out/data."
    )
    assert checked(spec(paths=("out/data",), out="next"), shards) == []
