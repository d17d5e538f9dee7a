"""Forgetting: nothing of a document is left in an output, all else stays, and no later run brings it back."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import orjson
import pyarrow.parquet as pq
import pytest
from support.forgetting import PERSON, WORDS, balanced, corpus, curate, files_with, records
from typer.testing import CliRunner

from corpuscurate.commands.app import app
from corpuscurate.core.durable import read_json
from corpuscurate.core.errors import InputError, OutputError
from corpuscurate.core.tombstones import read_tombstones
from corpuscurate.stages.exact import Exact
from corpuscurate.stages.length import Length
from corpuscurate.tools.explain import explain
from corpuscurate.tools.forget.forget import forget
from corpuscurate.tools.html import write_page


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("finished")
    corpus(folder / "in")
    curate(folder)
    return folder


@pytest.fixture
def run(finished: Path, tmp_path: Path) -> Path:
    """A copy of a finished run, input beside it, times and all."""
    shutil.copytree(finished, tmp_path / "run")
    return tmp_path / "run"


def rows_of(out: Path, kind: str) -> list[dict[str, Any]]:
    return [row for path in sorted((out / kind).glob("*")) for row in pq.read_table(path).to_pylist()]


def test_nothing_of_the_document_is_left_and_all_else_stays(run: Path) -> None:
    out = run / "out"
    before, dropped, counts = records(out), rows_of(out, "dropped"), balanced(out)
    untouched = {path: path.read_bytes() for path in (out / "data").iterdir() if PERSON not in str(pq.read_table(path))}
    write_page(out / "map.html", "Map", f"<p>{WORDS}</p>")
    (out / "mine.html").write_text("<html>a page of the user</html>")

    done = forget(out, [PERSON], base=run)

    assert files_with(out, PERSON.encode() + b'"', WORDS.encode()) == []
    assert files_with(out, b"map.html") == [] and (out / "mine.html").exists() and not (out / "map.html").exists()
    assert records(out) == [row for row in before if row["id"] != PERSON]
    assert balanced(out) == {**counts, "kept": counts["kept"] - 1, "forgotten": 1}
    named = [
        {**row, "duplicate_of": None, "matched": None} if row["duplicate_of"] == PERSON else row for row in dropped
    ]
    assert rows_of(out, "dropped") == named
    assert all(path.read_bytes() == content for path, content in untouched.items())
    assert len(untouched) == len(list((out / "data").iterdir())) - 1
    assert [each["was"] for each in done["forgotten"]] == ["kept"]
    assert [(each["id"], each["fate"], each["of"]) for each in done["copies"]] == [("d1-3", "dropped", PERSON)]
    assert len(done["in_quarantine"]) == 2 and done["forgotten"][0]["in_input"]
    assert not list((out / "_run").glob("amend*"))


def test_the_run_is_still_this_very_run_and_a_run_over_it_leaves_the_document_out(run: Path) -> None:
    out = run / "out"
    forget(out, [PERSON], base=run)
    assert curate(run)["documents"]["forgotten"] == 1  # finished: nothing to do
    report = curate(run, overwrite=True)
    assert report["documents"]["forgotten"] == 2, "the copy with the very same text, too"
    assert [text for text in report["warnings"] if "2 documents of the input were forgotten" in text]
    assert files_with(out, PERSON.encode() + b'"', WORDS.encode()) == []
    balanced(out)
    again = {path.name: path.read_bytes() for path in (out / "data").iterdir()}
    fresh = run / "fresh"
    fresh.mkdir()
    shutil.copy(out / "forgotten.json", fresh)
    curate(run, out="fresh")
    assert {path.name: path.read_bytes() for path in (fresh / "data").iterdir()} == again


def test_a_changed_input_and_another_crawl_do_not_bring_it_back(run: Path) -> None:
    out = run / "out"
    forget(out, [PERSON], base=run)
    first = run / "in" / "shard-0.jsonl"
    lines = first.read_bytes().splitlines(keepends=True)
    changed = orjson.dumps({"id": PERSON, "text": "word " * 30 + WORDS.upper()}) + b"\n"
    first.write_bytes(b"".join(lines[3:] + lines[:1]) + changed)
    assert curate(run, overwrite=True)["documents"]["forgotten"] == 2
    assert files_with(out, PERSON.encode() + b'"', WORDS.encode(), WORDS.upper().encode()) == []
    crawl = run / "crawl"
    crawl.mkdir()
    same = b"".join(line for line in lines if b"broken" not in line).replace(PERSON.encode(), b"anew")
    (crawl / "a.jsonl").write_bytes(same + changed)
    report = curate(run, out="later", paths="crawl/*.jsonl", index=("out",))
    assert report["documents"]["forgotten"] == 2, "one by its text, one by its id"
    assert files_with(run / "later", WORDS.encode(), WORDS.upper().encode()) == []


def test_a_dropped_document_and_the_copy_it_was_dropped_for(run: Path) -> None:
    out = run / "out"
    counts = balanced(out)
    done = forget(out, ["d1-3", "d0-4"], base=run)
    assert [(each["id"], each["was"]) for each in done["forgotten"]] == [("d0-4", "dropped"), ("d1-3", "dropped")]
    assert [(each["id"], each["fate"]) for each in done["copies"]] == [(PERSON, "stands")]
    assert balanced(out) == {**counts, "dropped": counts["dropped"] - 2, "forgotten": 2}
    assert files_with(out, b'"d1-3"', b'"d0-4"') == []
    assert explain(out, PERSON)["fate"] == "kept"


def test_explain_says_when(run: Path) -> None:
    out = run / "out"
    number = next(each for each in forget(out, [PERSON], base=run)["forgotten"])["doc_id"]
    found = explain(out, PERSON)
    assert (found["fate"], found["same_id"]) == ("forgotten", 1)
    said = CliRunner().invoke(app, ["explain", str(out), PERSON]).stdout
    assert said == f"{PERSON} was forgotten on {found['date']}.\n"
    assert explain(out, str(number), by_doc_id=True)["date"] == found["date"]
    chain = CliRunner().invoke(app, ["explain", str(out), "d1-3"]).stdout
    assert chain.endswith(f"doc_id {number} was forgotten on {found['date']}.\n")


def test_an_unknown_id_changes_nothing_and_a_forgotten_one_is_told(run: Path) -> None:
    out = run / "out"
    before = {path: path.read_bytes() for path in sorted(out.rglob("*")) if path.is_file()}
    with pytest.raises(InputError, match=r"no document of .* has the id nobody; nothing was changed"):
        forget(out, [PERSON, "nobody"], base=run)
    forget(out, [PERSON], base=run, dry_run=True)
    assert {path: path.read_bytes() for path in sorted(out.rglob("*")) if path.is_file()} == before
    assert forget(out, [PERSON, "nobody"], base=run, skip_unknown=True)["unknown"] == ["nobody"]
    done = forget(out, [PERSON], base=run)
    assert (done["forgotten"], list(done["already"])) == ([], [PERSON])
    assert balanced(out)["forgotten"] == 1


def test_the_command(run: Path) -> None:
    out = run / "out"
    (run / "ids").write_text(f"{PERSON}\n\nd1-3\n")
    said = CliRunner().invoke(app, ["forget", str(out), "--ids", str(run / "ids"), "--base", str(run)])
    assert said.exit_code == 0, said.output
    assert said.stdout.startswith(f"Forgot 2 documents:\n  {PERSON} (doc_id ")
    assert "The input still holds them" in said.stdout and "--doc-id" in said.stdout
    assert CliRunner().invoke(app, ["forget", str(out), "nobody"]).exit_code == 2
    assert PERSON + " was forgotten on" in CliRunner().invoke(app, ["forget", str(out), PERSON]).stdout


@pytest.mark.parametrize("format", ["jsonl", "jsonl.gz", "jsonl.zst", "arrow", "parquet"])
@pytest.mark.parametrize("retain", ["index", "none", "all"])
@pytest.mark.campaign(4)
def test_every_format_and_what_was_retained(tmp_path: Path, format: str, retain: str) -> None:
    corpus(tmp_path / "in")
    curate(tmp_path, sink={"format": format}, retain=retain)
    before, counts = records(tmp_path / "out"), balanced(tmp_path / "out")
    forget(tmp_path / "out", [PERSON], base=tmp_path)
    assert records(tmp_path / "out") == [row for row in before if row["id"] != PERSON]
    assert balanced(tmp_path / "out") == {**counts, "kept": counts["kept"] - 1, "forgotten": 1}
    assert files_with(tmp_path / "out", PERSON.encode() + b'"', WORDS.encode()) == []
    assert curate(tmp_path, sink={"format": format}, retain=retain)["documents"]["forgotten"] == 1
    shutil.rmtree(tmp_path / "in")
    corpus(tmp_path / "in")
    curate(tmp_path, sink={"format": format}, retain=retain, overwrite=True)
    assert files_with(tmp_path / "out", PERSON.encode() + b'"', WORDS.encode()) == []


def test_lines_stay_byte_for_byte(tmp_path: Path) -> None:
    corpus(tmp_path / "in")
    curate(tmp_path, sink={"format": "jsonl"})
    before = b"".join(path.read_bytes() for path in sorted((tmp_path / "out" / "data").iterdir()))
    forget(tmp_path / "out", [PERSON], base=tmp_path)
    after = b"".join(path.read_bytes() for path in sorted((tmp_path / "out" / "data").iterdir()))
    assert after == b"".join(line for line in before.splitlines(keepends=True) if PERSON.encode() not in line)


def test_an_id_of_several_documents_takes_all_and_a_doc_id_one(tmp_path: Path) -> None:
    corpus(tmp_path / "in")
    for shard in ("shard-0.jsonl", "shard-1.jsonl"):
        path = tmp_path / "in" / shard
        path.write_bytes(path.read_bytes().replace(b'-7"', b'-x"').replace(b'"d1-x"', b'"d0-x"'))
    curate(tmp_path)
    out = tmp_path / "out"
    report = read_json(out / "report.json")
    assert report["duplicate_ids"]["documents"] == 1
    counts = balanced(out)
    one = report["duplicate_ids"]["first"][0]["doc_id"]
    shutil.copytree(out, tmp_path / "two")
    done = forget(out, [str(one)], by_doc_id=True, base=tmp_path)
    assert [(each["doc_id"], each["id"]) for each in done["forgotten"]] == [(one, "d0-x")]
    assert balanced(out)["kept"] == counts["kept"] - 1
    assert len([row for row in records(out) if row["id"] == "d0-x"]) == 1
    after = read_json(out / "report.json")
    assert after["duplicate_ids"] == {"documents": 0, "first": []}
    assert not [text for text in after["warnings"] if "id of an earlier document" in text]
    done = forget(tmp_path / "two", ["d0-x"], base=tmp_path)
    assert len(done["forgotten"]) == 2
    assert balanced(tmp_path / "two") == {**counts, "kept": counts["kept"] - 2, "forgotten": 2}
    assert files_with(tmp_path / "two", b"d0-x") == []


def test_integer_ids_name_documents_of_one_corpus(tmp_path: Path) -> None:
    corpus(tmp_path / "in", ids="integer")
    curate(tmp_path)
    out = tmp_path / "out"
    with pytest.raises(InputError, match="no document"):
        forget(out, ["x"], base=tmp_path)
    done = forget(out, ["4711"], base=tmp_path)
    assert [each["id"] for each in done["forgotten"]] == ["4711"]
    assert 4711 not in [row["id"] for row in records(out)]
    assert explain(out, "4711")["fate"] == "forgotten"
    balanced(out)
    (tmp_path / "more").mkdir()
    other = {"id": 4711, "text": "quite another document that has a number which was given in a corpus of its own"}
    (tmp_path / "more" / "a.jsonl").write_bytes(orjson.dumps(other) + b"\n")
    report = curate(tmp_path, out="later", paths="more/*.jsonl", index=("out",))
    assert report["documents"]["kept"] == 1
    assert curate(tmp_path, overwrite=True)["documents"]["forgotten"] == 2


def test_a_quarantined_record_goes_by_its_number(run: Path) -> None:
    out = run / "out"
    counts = balanced(out)
    number = forget(out, [PERSON], base=run)["in_quarantine"][0]
    done = forget(out, [str(number)], by_doc_id=True, base=run)
    assert [each["was"] for each in done["forgotten"]] == ["quarantined"]
    after = {**counts, "kept": counts["kept"] - 1, "quarantined": counts["quarantined"] - 1, "forgotten": 2}
    assert balanced(out) == after
    assert len(rows_of(out, "quarantine")) == 1
    report = curate(run, overwrite=True)
    assert report["documents"]["quarantined"] == counts["quarantined"] - 1, "its place in the input is known"


def test_a_later_run_names_the_document_as_its_partner(run: Path) -> None:
    curate(run, out="later", index=("out",))
    later = run / "later"
    assert [row["duplicate_of"] for row in rows_of(later, "dropped")].count(PERSON) == 2
    done = forget(later, [PERSON], base=run)
    assert {each["was"] for each in done["forgotten"]} == {"dropped"}
    assert files_with(later, PERSON.encode() + b'"') == []
    (run / "crawl").mkdir()
    text = (run / "in" / "shard-0.jsonl").read_bytes().replace(PERSON.encode(), b"anew")
    (run / "crawl" / "a.jsonl").write_bytes(text)
    curate(run, out="other", paths="crawl/*.jsonl", index=("out",))
    done = forget(run / "other", [PERSON], base=run)
    assert [each["was"] for each in done["forgotten"]] == ["named"]
    assert files_with(run / "other", PERSON.encode() + b'"') == []
    balanced(run / "other")


def test_the_index_has_it_no_more(run: Path) -> None:
    forget(run / "out", [PERSON], base=run)
    (run / "out" / "forgotten.json").unlink()  # without the tombstone nothing in the index knows the document
    report = curate(run, out="later", index=("out",))
    assert report["documents"] | {"input": 0} == {"input": 0, "kept": 1, "dropped": 23, "quarantined": 2}
    assert [row["id"] for row in records(run / "later")] == [PERSON]


def test_a_document_without_id_goes_by_its_number(tmp_path: Path) -> None:
    corpus(tmp_path / "in")
    curate(tmp_path, id=None, stages=(Length(min_words=10),))
    out = tmp_path / "out"
    with pytest.raises(InputError, match="names no id column"):
        forget(out, [PERSON])
    second = len((tmp_path / "in" / "shard-0.jsonl").read_bytes().splitlines(keepends=True)[0])
    counts, before = balanced(out), records(out)
    forget(out, [str(second)], by_doc_id=True, base=tmp_path)
    assert records(out) == [row for row in before if row["id"] != PERSON]
    assert balanced(out) == {**counts, "kept": counts["kept"] - 1, "forgotten": 1}


def test_an_unfinished_run_and_no_run_are_refused(tmp_path: Path, run: Path) -> None:
    with pytest.raises(InputError, match="holds no finished run"):
        forget(tmp_path / "nothing", ["x"])
    (run / "out" / "report.json").unlink()
    with pytest.raises(OutputError, match=r"is not finished.*Run the recipe again"):
        forget(run / "out", [PERSON])


def test_damaged_tombstones_stop_a_run(run: Path) -> None:
    forget(run / "out", [PERSON], base=run)
    path = run / "out" / "forgotten.json"
    path.write_bytes(path.read_bytes().replace(b'"kept"', b'"lost"'))
    with pytest.raises(OutputError, match="is damaged, and it says which documents were forgotten"):
        curate(run, overwrite=True)


def test_the_tombstone_holds_neither_id_nor_text(run: Path) -> None:
    forget(run / "out", [PERSON], base=run)
    known = read_tombstones(run / "out")
    assert known is not None
    (one,) = known.documents
    content = (run / "out" / "forgotten.json").read_bytes()
    assert PERSON.encode() not in content and WORDS.encode() not in content and b"shard-0" not in content
    assert known.with_id(PERSON) == [one] and known.with_id("d1-3") == []
    forget(run / "out", ["d1-3"], base=run)
    again = read_tombstones(run / "out")
    assert again is not None and again.key == known.key and again.documents[0] == one


def test_white_space_is_no_mark_of_a_text(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    lines = [orjson.dumps({"id": name, "text": text}) for name, text in (("a", " \n"), ("b", " \n"), ("c", "word"))]
    (tmp_path / "in" / "a.jsonl").write_bytes(b"\n".join(lines) + b"\n")
    curate(tmp_path, stages=(Length(min_words=0),))
    forget(tmp_path / "out", ["a", "c"], base=tmp_path)
    known = read_tombstones(tmp_path / "out")
    assert known is not None and [len(each.texts) for each in known.documents] == [0, 1]
    assert curate(tmp_path, stages=(Length(min_words=0),), overwrite=True)["documents"]["kept"] == 1


def test_copies_of_edited_texts_are_known_by_the_source(tmp_path: Path) -> None:
    from corpuscurate.stages.normalize import Normalize

    corpus(tmp_path / "in", secret=WORDS.replace(" ", "\r\n"))
    stages = (Normalize(), Exact())
    curate(tmp_path, stages=stages)
    forget(tmp_path / "out", [PERSON], base=tmp_path)
    known = read_tombstones(tmp_path / "out")
    assert known is not None and len(known.documents[0].texts) == 2, "as written, and as read"
    assert curate(tmp_path, stages=stages, overwrite=True)["documents"]["forgotten"] == 2
