"""`on_bad_input: {max_share: ...}`: a run in which more was lost fails after the first pass, and says what."""

from __future__ import annotations

import gzip

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from corpuscurate import Pipeline, Settings, Sink, Source
from corpuscurate.core.errors import BadInputError, RecipeError
from corpuscurate.core.spec import BadShare
from corpuscurate.recipe.load import dump_recipe, spec_from_mapping
from corpuscurate.stages.exact import Exact

LINES = b"".join(orjson.dumps({"text": f"text number {row}"}) + b"\n" for row in range(99))


def run(folder, share, *, overwrite=False, paths=("*.jsonl*",), stages=()):
    source = Source(paths=paths, on_bad_input=share)
    pipeline = Pipeline(source, stages, Sink(path="out"), Settings(workers=1, runner="inprocess"), folder)
    return pipeline.run(overwrite=overwrite)


def test_records_in_quarantine(tmp_path):
    (tmp_path / "a.jsonl").write_bytes(LINES + b"broken\n")
    assert run(tmp_path, BadShare(max_share=0.01))["documents"]["quarantined"] == 1
    with pytest.raises(BadInputError) as error:
        run(tmp_path, BadShare(max_share=0.0099), overwrite=True)
    assert str(error.value) == (
        "input.on_bad_input.max_share allows 0.990%, and more was lost: 1 of 100 records (1.000%) were quarantined "
        "(broken_json 1). Mend the input or give a greater max_share, and run again with --overwrite: what was measured"
        " is used again."
    )
    assert not (tmp_path / "out" / "data").exists()


def write_lost(path):
    """A shard that is not what its name says."""
    if path.suffix == ".parquet":
        path.write_bytes(LINES)
    elif path.suffix in (".gz", ".zst", ".arrow"):
        path.write_bytes(LINES * 3)


@pytest.mark.parametrize("name", ["b.jsonl.gz", "b.jsonl.zst", "b.parquet", "b.arrow", "b.txt.gz"])
def test_a_file_that_is_not_what_its_name_says_counts_by_its_bytes(tmp_path, name):
    (tmp_path / "a.jsonl").write_bytes(LINES * 100)
    write_lost(tmp_path / name)
    report = run(tmp_path, "quarantine", paths=("*.*",))
    assert report["documents"]["quarantined"] == 1, "one record stands for the whole file"
    assert any(name in text for text in report["warnings"])
    share = (tmp_path / name).stat().st_size / report["bytes"]["stored"]
    assert run(tmp_path, BadShare(max_share=share), paths=("*.*",), overwrite=True)
    with pytest.raises(BadInputError, match=f"more was lost: {name}, which could not be read to its end, holds "):
        run(tmp_path, BadShare(max_share=share * 0.999), paths=("*.*",), overwrite=True)


def test_a_cut_file_and_the_names_of_many(tmp_path):
    (tmp_path / "a.jsonl").write_bytes(LINES)
    for number in range(5):
        (tmp_path / f"b{number}.jsonl.gz").write_bytes(gzip.compress(LINES)[:-20])
    with pytest.raises(BadInputError, match=r"b0.jsonl.gz, b1.jsonl.gz, b2.jsonl.gz and 2 more, which could not"):
        run(tmp_path, BadShare(max_share=0.2))


def test_no_share_may_be_lost_and_nothing_is(tmp_path):
    (tmp_path / "a.jsonl").write_bytes(LINES)
    assert run(tmp_path, BadShare(max_share=0))["documents"]["kept"] == 99


def test_another_bound_measures_nothing_again(tmp_path):
    (tmp_path / "a.jsonl").write_bytes(LINES + b"broken\n")
    with pytest.raises(BadInputError, match="max_share"):
        run(tmp_path, BadShare(max_share=0), stages=(Exact(),))
    measured = {path: path.stat().st_mtime_ns for path in (tmp_path / "out" / "_run" / "measure-0").rglob("docs.arrow")}
    assert run(tmp_path, BadShare(max_share=0.5), overwrite=True, stages=(Exact(),))["documents"]["kept"] == 99
    assert measured
    assert measured == {path: path.stat().st_mtime_ns for path in measured}


def test_in_a_recipe_and_back():
    given = {"input": {"paths": ["a"], "on_bad_input": {"max_share": 0.25}}, "output": {"path": "o"}}
    spec = spec_from_mapping(given)
    assert spec.source.on_bad_input == BadShare(max_share=0.25)
    assert "max_share: 0.25" in dump_recipe(spec)
    assert Source(**spec.source.model_dump(mode="json")) == spec.source


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ({"max_share": 2}, "input.on_bad_input.max_share: 2 is not allowed: must be a share from 0 to 1, such as 0.01"),
        ({"max_shar": 0.1}, "input.on_bad_input.max_shar: unknown key"),
        ("drop", "input.on_bad_input: 'drop' is not allowed: must be one of quarantine, fail or a mapping"),
    ],
)
def test_faults(value, said):
    with pytest.raises(RecipeError) as error:
        spec_from_mapping({"input": {"paths": ["a"], "on_bad_input": value}, "output": {"path": "o"}})
    assert said in str(error.value)


def test_the_report_is_that_of_the_bound(tmp_path):
    pq.write_table(pa.table({"text": ["a", None]}), tmp_path / "a.parquet")
    report = run(tmp_path, BadShare(max_share=0.5), paths=("a.parquet",))
    assert report["recipe"]["input"]["on_bad_input"] == {"max_share": 0.5}


def as_arrow(path):
    with pa.ipc.new_file(path, pa.schema([("text", pa.string())])) as writer:
        writer.write_table(pa.table({"text": ["one", "two"]}))


OTHERS = {
    "gzip": lambda path: path.write_bytes(gzip.compress(LINES)),
    "parquet": lambda path: pq.write_table(pa.table({"text": ["one", "two"]}), path),
    "arrow": as_arrow,
    "array": lambda path: path.write_text('[{"text": "one"}, {"text": "two"}]\n'),
    "csv": lambda path: path.write_text("text\none\ntwo\n"),
    "utf-16": lambda path: path.write_bytes('{"text": "one"}\n'.encode("utf-16") * 3),
    "other column": lambda path: path.write_text('{"body": "one"}\n' * 3),
}


@pytest.mark.parametrize("kind", OTHERS)
def test_a_shard_of_lines_that_is_something_else_is_named(tmp_path, kind):
    (tmp_path / "a.jsonl").write_bytes(LINES)
    OTHERS[kind](tmp_path / "b.jsonl")
    report = run(tmp_path, "quarantine")
    count = report["documents"]["quarantined"]
    assert report["documents"]["kept"] == 99
    assert (
        f"no record could be read of b.jsonl ({count:,} records): a file may not be what its name says"
        in (report["warnings"])
    )
    with pytest.raises(BadInputError, match=r"more was lost: .*b\.jsonl, which could not be read to its end, holds"):
        run(tmp_path, BadShare(max_share=0), overwrite=True)


def test_a_file_in_several_splits_of_which_one_is_good_is_read(tmp_path):
    (tmp_path / "a.jsonl").write_bytes(b"broken\n" * 400 + LINES)
    source = Source(paths="a.jsonl", split_bytes=1000)
    report = Pipeline(source, (), Sink(path="out"), Settings(workers=1, runner="inprocess"), tmp_path).run()
    assert report["documents"]["quarantined"] == 400
    assert report["warnings"] == []
