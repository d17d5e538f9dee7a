"""What a global stage may decide: cuts, copies, an order, partitions; and that nothing else gets through."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest
from engine.test_run import stopped, stops
from support.protocol import (
    ARRANGED,
    Copier,
    CopiesNone,
    CutSeen,
    Dealer,
    DealsWrongly,
    Orderer,
    Toy,
    files_of,
    number_of,
    pipeline,
    read_part,
    rows_of,
    seen_lines,
    write_input,
)

from corpuscurate import curate
from corpuscurate.core.errors import InputError, RecipeError, StageError
from corpuscurate.core.stage import Stage
from corpuscurate.engine.run import run_spec
from corpuscurate.engine.runners import InProcessRunner
from corpuscurate.stages.exact import Exact
from corpuscurate.stages.length import Length
from corpuscurate.stages.minhash import MinHash
from corpuscurate.stages.normalize import Normalize
from corpuscurate.tools.explain import explain

FORMATS = ("parquet", "jsonl", "arrow")


def cut(text: str, spans: list[tuple[int, int, int, int | None]]) -> str:
    data = text.encode()
    for start, stop, _, _ in reversed(spans):
        data = data[:start] + data[stop:]
    return data.decode()


@pytest.mark.parametrize(
    ("sink", "kind", "workers"), [*((each, "jsonl", 1) for each in FORMATS), ("parquet", "mixed", 2)]
)
def test_cut_spans_are_gone_from_data_and_told_in_edits(tmp_path: Path, sink: str, kind: str, workers: int) -> None:
    records = write_input(tmp_path / "in", kind)
    stages = [Normalize(), CutSeen(name="cut"), Length(min_words=5), Exact()]
    report = pipeline(tmp_path, stages, format=sink).run(workers=workers)
    spans = seen_lines([(n, each["text"]) for n, each in enumerate(records)])
    texts = [cut(each["text"], those) for each, those in zip(records, spans, strict=True)]
    kept: dict[str, str] = {}
    for each, text in zip(records, texts, strict=True):
        if len(text.split()) >= 5 and text not in kept.values():
            kept[each["id"]] = text
    out = tmp_path / "out"
    assert {row["id"]: row["text"] for row in rows_of(out / "data")} == kept
    edits = rows_of(out / "edits")
    by_doc_id = [row["doc_id"] for row in edits]
    assert by_doc_id == sorted(by_doc_id)
    told = [(row["id"], row["start"], row["stop"], row["reason"], row["partner"]) for row in edits]
    names = ("", "seen", "blank")
    assert told == [
        (each["id"], a, b, names[r], None if p is None else records[p]["id"])
        for each, those in zip(records, spans, strict=True)
        for a, b, r, p in those
    ]
    assert {row["stage"] for row in edits} == {"cut"}
    ids = {row["id"]: row["doc_id"] for row in edits}
    assert all(row["partner_doc_id"] == ids.get(row["partner"], row["partner_doc_id"]) for row in edits)
    for name in ("seen", "blank"):
        mine = [row for row in edits if row["reason"] == name]
        assert report["stages"][1]["edits"][name] == {
            "documents": len({row["doc_id"] for row in mine}),
            "bytes": sum(row["stop"] - row["start"] for row in mine),
        }
    flow = report["stages"]
    assert [row["bytes_out"] for row in flow[:-1]] == [row["bytes_in"] for row in flow[1:]]
    assert report["bytes"]["text_out"] == sum(len(text.encode()) for text in kept.values())


def test_edits_are_there_where_nothing_was_cut_and_only_with_such_a_stage(tmp_path: Path) -> None:
    records = write_input(tmp_path / "in", files=1)
    pipeline(tmp_path, [CutSeen(name="cut", nothing=True)]).run()
    (part,) = (tmp_path / "out" / "edits").iterdir()
    assert part.name == "part-00000.parquet"
    assert rows_of(tmp_path / "out" / "edits") == []
    pipeline(tmp_path, [Exact()], "plain").run()
    assert not (tmp_path / "plain" / "edits").exists()
    pipeline(tmp_path, [CutSeen(name="cut", mode="tag")], "tag").run()
    assert [row["text"] for row in rows_of(tmp_path / "tag" / "data")] == [each["text"] for each in records]


@pytest.mark.parametrize(
    ("fault", "wanted"),
    [
        ("outside", r"the span 0\.\.\d+ of document \d+ lies outside its text"),
        ("huge", r"the span 0\.\.9223372036854775807 of document \d+ lies outside its text"),
        ("backwards", r"the span 3\.\.2 of document \d+ lies outside its text"),
        ("overlap", r"the span 1\.\.4 of document \d+ overlaps the one before it"),
        ("inside", r"the span \d+\.\.\d+ of document \d+ begins or ends inside a character"),
    ],
)
@pytest.mark.parametrize("later", [(), (Length(min_words=1),)])
def test_a_span_that_cannot_be_cut_names_stage_document_and_span(
    tmp_path: Path, fault: str, wanted: str, later: tuple[Stage, ...]
) -> None:
    write_input(tmp_path / "in", files=1)
    with (tmp_path / "in" / "in-9.jsonl").open("wb") as file:
        file.write(orjson.dumps({"id": "last", "text": "größe und mehr", "lang": "de"}) + b"\n")
    with pytest.raises(StageError, match=rf"(?s)stage 'cut' failed.*{wanted}.*in/in-9\.jsonl"):
        pipeline(tmp_path, [CutSeen(name="cut", fault=fault), *later]).run()
    assert not (tmp_path / "out" / "data").exists()


def arranged(records: list[dict[str, Any]]) -> tuple[dict[str, list[tuple[str, int, int]]], int]:
    """(id, copy, copy of the other stage) of each partition in order, and how many documents are kept."""
    parts: dict[str, list[tuple[str, int, int]]] = {"train": [], "test": [], "none": []}
    places = []
    kept = 0
    for number, each in enumerate(records):
        n = number_of(each["text"])
        said = Toy().decide(n)
        if said["drops"] or len(each["text"].split()) < 4:
            continue
        kept += 1
        places.append((said["order"] is None, said["order"] or 0, number, said["partition"] or 0, said["copies"] or 1))
    for _, _, number, partition, copies in sorted(places):
        parts[("train", "test", "none")[partition]] += [
            (records[number]["id"], a, b) for a in range(copies) for b in range(copies)
        ]
    return parts, kept


@pytest.mark.parametrize(
    ("sink", "kind", "workers"),
    [
        *((each, kind, 1) for each in FORMATS for kind in ("jsonl", "mixed")),
        ("jsonl", "mixed", 2),
        ("arrow", "parquet", 1),
    ],
)
@pytest.mark.campaign(3)
def test_order_partitions_copies_and_drops_together(tmp_path: Path, sink: str, kind: str, workers: int) -> None:
    records = write_input(tmp_path / "in", kind)
    report = pipeline(tmp_path, ARRANGED, format=sink).run(workers=workers)
    wanted, kept = arranged(records)
    data = tmp_path / "out" / "data"
    assert sorted(path.name for path in data.iterdir()) == ["none", "test", "train"]
    by_id = {each["id"]: each for each in records}
    for name, rows in wanted.items():
        found = rows_of(data / name)
        assert [(row["id"], row["copier.copy"], row["again.copy"]) for row in found] == rows
        for row in found:
            original = by_id[row["id"]]
            assert {key: row[key] for key in ("text", "n", "kind", "lang")} == {
                key: original[key] for key in ("text", "n", "kind", "lang")
            }
            meta = orjson.loads(row["meta"]) if isinstance(row["meta"], str) else row["meta"]
            assert meta == original["meta"]
        names = sorted(path.name for path in (data / name).iterdir())
        assert names == [f"part-{n:05d}.{sink}" for n in range(len(names))]
        assert all(read_part(path) for path in (data / name).iterdir()) or rows == []
    assert len(list((data / "train").iterdir())) > 1
    assert report["documents"]["kept"] == kept
    assert report["documents"]["input"] == len(records) == kept + report["documents"]["dropped"]
    assert report["rows"] == {
        "written": sum(map(len, wanted.values())),
        "extra_copies": sum(map(len, wanted.values())) - kept,
    }
    assert {row["stage"] for row in rows_of(tmp_path / "out" / "dropped")} == {"copier", "length"}
    assert {file["name"] for file in report["outputs"]} == set(files_of(tmp_path / "out"))


@pytest.mark.parametrize("sink", FORMATS)
def test_copies_alone_stand_side_by_side_in_input_order(tmp_path: Path, sink: str) -> None:
    records = write_input(tmp_path / "in")
    report = pipeline(tmp_path, [Copier(name="copier"), Length(min_words=4)], format=sink).run()
    wanted = []
    for each in records:
        said = Toy().decide(number_of(each["text"]))
        if not said["drops"] and len(each["text"].split()) >= 4:
            wanted += [(each["id"], copy) for copy in range(said["copies"] or 1)]
    assert [(row["id"], row["copier.copy"]) for row in rows_of(tmp_path / "out" / "data")] == wanted
    assert report["rows"]["written"] == len(wanted) == report["documents"]["kept"] + report["rows"]["extra_copies"]
    assert len(list((tmp_path / "out" / "data").iterdir())) > 1


def test_bytes_are_equal_however_it_is_run(tmp_path: Path) -> None:
    write_input(tmp_path / "in", "mixed")
    stages = [CutSeen(name="cut"), *ARRANGED]
    pipeline(tmp_path, stages, "one").run()
    wanted = files_of(tmp_path / "one")
    for number, options in enumerate(
        [{"workers": 2}, {"batch_bytes": 300}, {"batch_bytes": 100_000, "memory": 384 << 20, "retain": "none"}]
    ):
        pipeline(tmp_path, stages, f"other-{number}", **options).run()
        assert files_of(tmp_path / f"other-{number}") == wanted
    pipeline(tmp_path, stages, "splits", split_bytes=20_000).run()
    data = {name: digest for name, digest in wanted.items() if name.startswith("data")}
    assert {name: digest for name, digest in files_of(tmp_path / "splits").items() if name in data} == data


def test_a_run_stopped_at_any_task_goes_on_to_the_same_bytes(tmp_path: Path) -> None:
    write_input(tmp_path / "in", "mixed", files=2, documents=12)
    stages = [CutSeen(name="cut"), ARRANGED[0], Dealer(name="dealer"), Orderer(name="orderer"), ARRANGED[-1]]
    options = {"split_bytes": 4_000, "part_bytes": 1_500}
    numbers = stops(pipeline(tmp_path, stages, "whole", **options))
    wanted = files_of(tmp_path / "whole")
    homes: set[str] = set()
    for number in numbers:
        out = f"stopped-{number}"
        stopped(pipeline(tmp_path, stages, out, **options), number)
        homes |= {path.parent.name for path in (tmp_path / out / "_run").rglob("*.killed.attempt")}
        homes |= {path.name.split(".")[0] for path in (tmp_path / out / "_run").glob("*.killed.attempt")}
        pipeline(tmp_path, stages, out, **options).run()
        assert files_of(tmp_path / out) == wanted
    parts = [name for name in wanted if name.startswith("data/")]
    assert len(parts) > 3
    assert homes >= {
        "measure-0",
        "measure-1",
        "settle-cut",
        "settle-copier",
        "settle-orderer",
        "write",
        "place",
        "gather",
    }


@pytest.mark.parametrize("stages", [ARRANGED, ARRANGED[:1], ARRANGED[3:4], ARRANGED[2:3], (CutSeen(name="cut"),)])
def test_an_empty_corpus_and_one_of_which_nothing_is_left(tmp_path: Path, stages: tuple[Stage, ...]) -> None:
    write_input(tmp_path / "in", files=1)
    dealt = any(isinstance(stage, Dealer) for stage in stages)
    pipeline(tmp_path, [*stages, Length(min_words=1000, name="all")], "none").run()
    for path in (tmp_path / "in").iterdir():
        path.write_bytes(b"")
    pipeline(tmp_path, stages, "empty").run()
    for out in ("none", "empty"):
        data = tmp_path / out / "data"
        folders = [data / name for name in ("train", "test", "none")] if dealt else [data]
        for folder in folders:
            assert [path.name for path in folder.iterdir()] == ["part-00000.parquet"]
            assert rows_of(folder) == []


@pytest.mark.parametrize("kind", ["edits", "copies", "order", "partition"])
def test_a_decision_that_a_stage_does_not_declare_is_refused(tmp_path: Path, kind: str) -> None:
    write_input(tmp_path / "in", files=1)
    with pytest.raises(StageError, match=rf"stage 'mine' settled with {kind}, which it does not declare"):
        pipeline(tmp_path, [Toy(name="mine", kinds=(kind,))]).run()


@pytest.mark.parametrize(
    ("stage", "wanted"),
    [
        (CopiesNone(name="mine"), r"copies: copies of document \d+ is 0, and must be at least 1|copies that .* is 0"),
        (DealsWrongly(name="mine"), r"partition of document \d+ is -1, and must be 0 to 2"),
        (DealsWrongly(name="mine", wrong=3), r"partition of document \d+ is 3, and must be 0 to 2"),
    ],
)
def test_a_decision_that_cannot_be_used_names_stage_and_document(tmp_path: Path, stage: Stage, wanted: str) -> None:
    write_input(tmp_path / "in", files=1)
    with pytest.raises(StageError, match=rf"stage 'mine' settled with .*({wanted})"):
        pipeline(tmp_path, [stage]).run()


def test_two_stages_that_order_or_deal_are_refused_before_anything_runs(tmp_path: Path) -> None:
    write_input(tmp_path / "in", files=1)
    two = [Orderer(name="a"), Exact(), Orderer(name="b")]
    with pytest.raises(
        RecipeError, match=r"stages\[0\] \(a\) and stages\[2\] \(b\) all decide the order of documents.*Keep one"
    ):
        pipeline(tmp_path, two).run()
    with pytest.raises(
        RecipeError, match=r"stages\[0\] \(a\) and stages\[1\] \(b\) all deal documents among partitions"
    ):
        pipeline(tmp_path, [Dealer(name="a"), Dealer(name="b")]).run()
    assert not (tmp_path / "out").exists()
    for names in (("a/b",), (".x",), ("..",), ("Train", "train"), ("v1.0",), ("",)):
        with pytest.raises(RecipeError, match=r"stages\[0\] \(a\): the partition .* cannot be a folder of data/"):
            pipeline(tmp_path, [Dealer(name="a", names=names)]).run()


def test_one_that_only_tags_orders_and_deals_nothing(tmp_path: Path) -> None:
    records = write_input(tmp_path / "in", files=1)
    stages = [Orderer(name="a", drop_every=1 << 40), Orderer(name="b", mode="tag"), Dealer(name="c", mode="tag")]
    pipeline(tmp_path, stages).run()
    ids = [row["id"] for row in rows_of(tmp_path / "out" / "data")]
    ranks = [Toy().decide(number_of(each["text"]))["order"] for each in records]
    order = sorted(range(len(records)), key=lambda n: (ranks[n] is None, ranks[n] or 0, n))
    assert ids == [records[n]["id"] for n in order]


def test_tools_find_documents_in_partitions(tmp_path: Path) -> None:
    records = write_input(tmp_path / "in")
    pipeline(tmp_path, ARRANGED).run()
    out = tmp_path / "out"
    kept = {row["id"] for name in ("train", "test") for row in rows_of(out / "data" / name)}
    for each in records:
        assert explain(out, each["id"])["fate"] == ("kept" if each["id"] in kept else "dropped")
    with pytest.raises(InputError, match="neither in dropped/ nor in data/"):
        explain(out, "d1000")


def test_curate_returns_partitions_copies_and_order(tmp_path: Path) -> None:
    import pyarrow as pa

    records = write_input(tmp_path / "in")
    made = curate(pa.Table.from_pylist(records), ARRANGED, id="id")
    wanted, _ = arranged(records)
    names = [(row["id"], row["copier.copy"], row["again.copy"]) for row in made.kept.to_pylist()]
    assert names == [row for name in ("none", "test", "train") for row in wanted[name]]
    assert {row["stage"] for row in made.dropped.to_pylist()} == {"copier", "length"}


@pytest.mark.parametrize("arrange", [False, True])
def test_columns_of_every_layout_are_copied_and_arranged(tmp_path: Path, arrange: bool) -> None:
    import pyarrow as pa
    import pyarrow.compute as pc

    size = 40
    texts = [f"text {n} with some words" for n in range(size)]
    columns = {
        "id": pa.array([f"d{n}" for n in range(size)], pa.string_view()),
        "text": pa.array(texts),
        "view": pa.array([[n, None] if n % 3 else None for n in range(size)], pa.list_view(pa.int64())),
        "struct": pa.array(
            [{"a": str(n), "b": [n]} for n in range(size)],
            pa.struct([("a", pa.string_view()), ("b", pa.list_(pa.int8()))]),
        ),
        "runs": pc.run_end_encode(pa.array([n // 7 for n in range(size)])),
        "words": pa.array([f"w{n % 3}" if n % 4 else None for n in range(size)]).dictionary_encode(),
        "bytes": pa.array([bytes([n]) for n in range(size)], pa.binary_view()),
    }
    batches = [
        pa.record_batch({name: column.slice(at, 10) for name, column in columns.items()}) for at in (0, 10, 20, 30)
    ]
    (tmp_path / "in").mkdir()
    with (
        pa.OSFile(str(tmp_path / "in" / "a.arrow"), "wb") as file,
        pa.ipc.new_stream(file, batches[0].schema) as writer,
    ):
        for batch in batches:
            writer.write_batch(batch)
    never = 1 << 40
    stages = [
        Copier(name="copier", drop_every=never),
        *([Orderer(name="orderer", drop_every=never)] if arrange else []),
    ]
    pipeline(tmp_path, stages, format="arrow", split_bytes=300, part_bytes=600, row_group_bytes=300).run()
    said = [Toy(drop_every=never).decide(number_of(text)) for text in texts]
    order = sorted(range(size), key=lambda n: (said[n]["order"] is None, said[n]["order"] or 0, n) if arrange else n)
    wanted = [n for n in order for _ in range(said[n]["copies"] or 1)]
    found = rows_of(tmp_path / "out" / "data")
    for name, column in columns.items():
        values = column.to_pylist()
        assert [row[name] for row in found] == [values[n] for n in wanted], name


def test_an_index_over_edited_text_compares_what_was_written(tmp_path: Path) -> None:
    write_input(tmp_path / "in")
    near = {"threshold": 0.8, "seed": 1}
    pipeline(tmp_path, [MinHash(**near), CutSeen(name="cut")], "first").run()
    index = (str(tmp_path / "first"),)
    with pytest.raises(InputError, match=r"went through support\.protocol\.CutSeen, and those that .* through no edit"):
        pipeline(tmp_path, [MinHash(**near, index=index)], "uncut").run()
    with pytest.raises(InputError, match=r"CutSeen nothing: False there, True here"):
        pipeline(tmp_path, [CutSeen(name="cut", nothing=True), MinHash(**near, index=index)], "other").run()
    written = {row["text"] for row in rows_of(tmp_path / "first" / "data")}
    for verify in ("exact", "signature"):
        against = MinHash(**near, name="against", index=index, verify=verify)
        pipeline(tmp_path, [MinHash(**near), CutSeen(name="cut"), against], verify).run()
        left = {row["text"] for row in rows_of(tmp_path / verify / "data")}
        assert not {text for text in left & written if text.split()}  # one without words is no near-duplicate
        assert len(written) > len(left)
    pipeline(tmp_path, [CutSeen(name="cut"), Exact()], "before").run()
    again = [CutSeen(name="cut"), Exact(index=(str(tmp_path / "before"),))]
    assert pipeline(tmp_path, again, "again").run()["documents"]["kept"] == 0
    pipeline(tmp_path, [Exact(), Orderer(name="orderer")], "ordered").run()
    known = pipeline(tmp_path, [Exact(index=(str(tmp_path / "ordered"),))], "known").run()
    kept = {row["text"] for row in rows_of(tmp_path / "ordered" / "data")}
    assert not kept & {row["text"] for row in rows_of(tmp_path / "known" / "data")}
    assert known["documents"]["kept"] > 0


def test_in_process_and_local_runners_settle_alike(tmp_path: Path) -> None:
    write_input(tmp_path / "in")
    run_spec(pipeline(tmp_path, ARRANGED, "in-process"), runner=InProcessRunner)
    pipeline(tmp_path, ARRANGED, "local", runner="local", workers=2).run()
    assert files_of(tmp_path / "in-process") == files_of(tmp_path / "local")
    assert np.all([name.startswith(("data/", "dropped/", "quarantine/")) for name in files_of(tmp_path / "local")])
