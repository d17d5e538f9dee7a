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


def test_ids_of_several_kinds(tmp_path: Path) -> None:
    names = ["a", 2, 'an "b" é']
    lines = [json.dumps({"id": name, "text": f"text {at}"}, ensure_ascii=at < 2) for at, name in enumerate(names)]
    (tmp_path / "in.jsonl").write_text("\n".join(lines))
    Pipeline(Source(paths=("in.jsonl",), id="id"), (Exact(),), Sink(path="out"), Settings(workers=1), tmp_path).run()
    assert [explain(tmp_path / "out", str(name))["fate"] for name in names] == ["kept"] * 3
    with pytest.raises(InputError, match="neither in dropped/ nor in data/"):
        explain(tmp_path / "out", "3")
