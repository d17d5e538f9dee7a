"""Why was this document removed? Answered from what the run itself wrote."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support.engine import rows, write_corpus
from typer.testing import CliRunner

from corpuscurate import Pipeline, Settings, Sink, Source
from corpuscurate.commands.app import app
from corpuscurate.core.errors import InputError
from corpuscurate.stages.exact import Exact
from corpuscurate.stages.length import Length
from corpuscurate.tools.explain import explain


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("explained")
    write_corpus(folder / "in")
    stages = (Length(min_words=10), Exact(), Length(max_characters=370, name="long"))
    source = Source(paths=("in/*.jsonl",), id="id")
    Pipeline(source, stages, Sink(path="out"), Settings(workers=1), folder).run()
    return folder / "out"


def test_a_filtered_document_has_its_reason_value_and_threshold(run: Path) -> None:
    found = explain(run, "d3")
    assert found["fate"] == "dropped"
    assert found["ends_at"] is None
    assert [(r["stage"], r["reason"], r["value"]) for r in found["chain"]] == [("length", "min_words", 2.0)]


def test_a_chain_is_followed_to_a_kept_document_or_to_the_one_a_later_stage_dropped(run: Path) -> None:
    kept = {row["id"] for row in rows(run, "data")}
    dropped = {row["id"]: row for row in rows(run, "dropped")}
    ends = set()
    for name, row in dropped.items():
        found = explain(run, name)
        if row["stage"] != "exact":
            continue
        if found["ends_at"] is not None:
            assert found["ends_at"]["id"] in kept
            ends.add("kept")
        else:
            assert found["chain"][-1]["stage"] == "long"
            assert found["chain"][-1]["id"] == row["duplicate_of"]
            ends.add("dropped later")
    assert ends == {"kept", "dropped later"}


def test_a_kept_document_is_said_to_be_kept_and_an_unknown_one_unknown(run: Path) -> None:
    kept = rows(run, "data")[0]["id"]
    assert explain(run, kept)["fate"] == "kept"
    with pytest.raises(InputError, match=r"no document with id = 'nobody'.*neither in dropped/ nor in data/"):
        explain(run, "nobody")
    with pytest.raises(InputError, match="holds no finished run"):
        explain(run / "data", "x")
    with pytest.raises(InputError, match="'-1' is no doc_id"):
        explain(run, "-1", by_doc_id=True)


def test_the_command_says_it_in_words(run: Path) -> None:
    row = next(r for r in rows(run, "dropped") if r["stage"] == "exact")
    said = CliRunner().invoke(app, ["explain", str(run), row["id"]]).stdout
    assert f"{row['id']} (doc_id {row['doc_id']}), {row['shard']} at {row['position']}, was dropped by exact" in said
    assert f"exact_duplicate of {row['duplicate_of']} (doc_id {row['duplicate_of_doc_id']}); similarity 1.0000" in said
    said = CliRunner().invoke(app, ["explain", str(run), str(row["doc_id"]), "--doc-id"]).stdout
    assert "was dropped by exact" in said
    said = CliRunner().invoke(app, ["explain", str(run), "d3"]).stdout
    assert said.endswith("was dropped by length: min_words (measured 2, threshold 10).\n")
    assert CliRunner().invoke(app, ["explain", str(run), "nobody"]).exit_code == 2


def shared(folder: Path, format: str, retain: str = "index") -> dict:
    """A run whose id "x" belongs to four documents: one too short, one duplicate, two kept."""
    long = ["first " * 20, "second " * 20]
    records = [
        ("x", long[0]),
        ("y", long[1]),
        ("x", "short"),
        ("x", long[1]),
        ("x", "third " * 20),
        (7, "fourth " * 20),
    ]
    lines = "".join(json.dumps({"id": id, "text": text}) + "\n" for id, text in records)
    (folder / "in.jsonl").write_text(lines)
    source, sink = Source(paths=("in.jsonl",), id="id"), Sink(path="out", format=format)
    settings = Settings(workers=1, retain=retain)
    return Pipeline(source, (Length(min_words=10), Exact()), sink, settings, folder).run()


@pytest.mark.parametrize("format", ["parquet", "arrow", "jsonl"])
def test_all_documents_that_share_an_id_are_shown(tmp_path: Path, format: str) -> None:
    report = shared(tmp_path, format)
    assert report["duplicate_ids"]["documents"] == 3
    found = explain(tmp_path / "out", "x")
    assert found["same_id"] == 4
    every = [found, *found["others"]]
    assert [each["fate"] for each in every] == ["dropped", "dropped", "kept", "kept"]
    assert [each["chain"][0]["stage"] for each in every[:2]] == ["length", "exact"]
    doc_ids = [each["chain"][0]["doc_id"] for each in every[:2]] + [each["ends_at"]["doc_id"] for each in every[2:]]
    rest = {each["doc_id"] for each in report["duplicate_ids"]["first"]}
    assert set(doc_ids) == {0, *rest}
    assert every[1]["ends_at"]["id"] == "y"
    one = explain(tmp_path / "out", str(doc_ids[1]), by_doc_id=True)
    assert (one["same_id"], one["others"], one["chain"]) == (1, [], every[1]["chain"])
    seven = (tmp_path / "in.jsonl").read_text().index('{"id": 7')
    kept = {"fate": "kept", "chain": [], "ends_at": {"id": "7", "doc_id": seven}}
    assert explain(tmp_path / "out", "7") == {**kept, "same_id": 1, "others": []}
    with pytest.raises(InputError, match="neither in dropped/ nor in data/"):
        explain(tmp_path / "out", "z")
    said = CliRunner().invoke(app, ["explain", str(tmp_path / "out"), "x"]).stdout.splitlines()
    assert said[0] == "4 documents have the id x."
    assert said[1].endswith("was dropped by length: min_words (measured 1, threshold 10).")
    assert [line for line in said if "was kept: it is in" in line] == [
        f"x (doc_id {doc_id}) was kept: it is in {tmp_path / 'out' / 'data'}." for doc_id in doc_ids[2:]
    ]


def test_without_the_run_folder_kept_documents_are_found_in_data(tmp_path: Path) -> None:
    shared(tmp_path, "parquet", "none")
    found = explain(tmp_path / "out", "x")
    assert found["same_id"] == 4
    assert [each["ends_at"] for each in found["others"][1:]] == [{"id": "x", "doc_id": None}] * 2
    assert explain(tmp_path / "out", "7")["ends_at"] == {"id": "7", "doc_id": None}
    with pytest.raises(InputError, match="no document with id = 'z'"):
        explain(tmp_path / "out", "z")


def test_without_the_run_folder_json_lines_cannot_be_searched(tmp_path: Path) -> None:
    shared(tmp_path, "jsonl", "none")
    assert explain(tmp_path / "out", "x")["same_id"] == 2
    with pytest.raises(InputError, match=r"no document 'y' in .*: it was kept, or it is no document of this run"):
        explain(tmp_path / "out", "y")


def test_many_documents_with_one_id(tmp_path: Path) -> None:
    (tmp_path / "in.jsonl").write_text("".join(f'{{"id": 5, "text": "{n % 150}"}}\n' for n in range(300)))
    Pipeline(Source(paths=("in.jsonl",), id="id"), (Exact(),), Sink(path="out"), Settings(workers=1), tmp_path).run()
    found = explain(tmp_path / "out", "5")
    assert (found["same_id"], len(found["others"])) == (300, 99)
    assert found["chain"][0]["id"] == 5
    said = CliRunner().invoke(app, ["explain", str(tmp_path / "out"), "5"]).stdout.splitlines()
    assert (said[0], said[-1]) == ("300 documents have the id 5.", "200 more documents have this id.")


def test_ids_of_several_kinds(tmp_path: Path) -> None:
    names = ["a", 2, 'an "b" é']
    lines = [json.dumps({"id": name, "text": f"text {at}"}, ensure_ascii=at < 2) for at, name in enumerate(names)]
    (tmp_path / "in.jsonl").write_text("\n".join(lines))
    Pipeline(Source(paths=("in.jsonl",), id="id"), (Exact(),), Sink(path="out"), Settings(workers=1), tmp_path).run()
    assert [explain(tmp_path / "out", str(name))["fate"] for name in names] == ["kept"] * 3
    with pytest.raises(InputError, match="neither in dropped/ nor in data/"):
        explain(tmp_path / "out", "3")
