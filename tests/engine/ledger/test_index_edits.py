"""Indexes of runs that edit text after their deduplication: what is compared is what the runs write."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from engine.test_run import stopped, stops
from support.masking import MaskDigits, documents, masked, write_shards
from support.protocol import ARRANGED, CutSeen, files_of, rows_of, write_input
from support.protocol import pipeline as protocol_pipeline

from corpuscurate import Pipeline, Settings, Sink, Source
from corpuscurate.core import earlier_runs
from corpuscurate.core.artefact import read_sealed, write_sealed
from corpuscurate.core.batch import Batch
from corpuscurate.core.columns import to_numpy
from corpuscurate.core.durable import read_json
from corpuscurate.core.earlier_runs import open_runs
from corpuscurate.core.errors import InputError
from corpuscurate.core.run_folder import INDEX, KEPT, STATE
from corpuscurate.core.stage import GlobalStage, Stage
from corpuscurate.core.tables import read_table
from corpuscurate.engine.estimate import plan_spec
from corpuscurate.engine.passes import dropped as dropped_rows
from corpuscurate.stages.exact import Exact
from corpuscurate.stages.length import Length
from corpuscurate.stages.minhash import MinHash
from corpuscurate.stages.normalize import Normalize
from corpuscurate.tools.explain import explain

MASK = MaskDigits(name="mask")
NEAR = MinHash(ngram=2, threshold=0.6, values=64, bands=8, rows=2)  # few bands: each is a work
BY_GRADE = {"by": "grade", "order": "desc"}


def pipeline(base: Path, source: str, stages: tuple[Stage, ...], out: str, **how: Any) -> Pipeline:
    """Several splits a run, several splits a writing task, several parts."""
    format, workers = how.pop("format", "parquet"), how.pop("workers", 1)
    settings = Settings(workers=workers, runner="local" if workers > 1 else "inprocess", **how)
    source_ = Source(paths=(source,), id="id", split_bytes=1500)
    return Pipeline(source_, stages, Sink(path=out, format=format, part_bytes=4000), settings, base)


def header(out: Path) -> Any:
    return read_sealed(out / STATE / INDEX)


def index_files(out: Path) -> dict[str, bytes]:
    """The content of every file that the index of a run names, and of its header."""
    (run,) = open_runs([str(out)])
    files = [run.kept(split) for split in range(run.splits)]
    files += [run.sketches(left, split) for left in run.header["stages"] for split in range(run.splits)]
    return {str(n): Path(file).read_bytes() for n, file in enumerate([*files, out / STATE / INDEX])}


def sketched(out: Path, label: str) -> dict[int, tuple[Any, ...]]:
    """doc_id -> the other columns of the sketches that the index names for a stage, kept documents alone."""
    (run,) = open_runs([str(out)])
    left = next(each for each in run.header["stages"] if each["label"] == label)
    found: dict[int, tuple[Any, ...]] = {}
    for split in range(run.splits):
        table = read_table(run.sketches(left, split))
        kept = np.load(run.kept(split))
        ids: list[int] = table.column("doc_id").to_pylist()
        assert ids == sorted(ids) and set(kept.tolist()) <= set(ids)
        if left["pass"] is None:
            assert ids == kept.tolist()
        columns = [
            table.column(name).to_pylist() for name in table.column_names if not name.startswith(("doc", "keep"))
        ]
        found |= {i: row for i, row in zip(ids, zip(*columns, strict=True), strict=True) if i in set(kept.tolist())}
    return found


def expected(out: Path, stage: GlobalStage) -> list[tuple[Any, ...]]:
    """The sketches of the texts of data/ in order of doc_id."""
    texts = [row["text"] for row in rows_of(out / "data")]
    batch = Batch(np.arange(len(texts), dtype=np.uint64), pa.array(texts, pa.large_string()), np.ones(len(texts), int))
    columns = stage.model_copy(update={"keep": "first"}).sketch(batch)
    return list(zip(*(to_numpy(column).tolist() for column in columns.values()), strict=True))


@pytest.mark.parametrize("stage", [Exact(), NEAR], ids=lambda stage: stage.word)
def test_old_runs_edited_text_later_and_new_runs_edit_before_they_compare(tmp_path: Path, stage: GlobalStage) -> None:
    texts = ["Übermäßig schöne Bücher über die Größe der Wälder", "ganz ohne Umlaute steht dieser andere Satz da"]
    for name, form, those in (("old", "NFD", texts), ("new", "NFC", [*texts, "etwas Neues, das sonst nirgends steht"])):
        spelled = [unicodedata.normalize(form, text) for text in those]
        write_shards(tmp_path / name, [{"id": f"{name}{i}", "text": text} for i, text in enumerate(spelled)], 1)
    pipeline(tmp_path, "old", (stage, Normalize()), "out-old").run()
    against = stage.model_copy(update={"index": (str(tmp_path / "out-old"),)})
    with pytest.raises(InputError, match="went through normalize, and those that stages\\[0\\]"):
        pipeline(tmp_path, "new", (against,), "refused").run()
    pipeline(tmp_path, "new", (Normalize(), against), "out-new").run()
    assert [row["id"] for row in rows_of(tmp_path / "out-new" / "data")] == ["new2"]
    dropped = rows_of(tmp_path / "out-new" / "dropped")
    assert [(row["id"], row["duplicate_of"], row["duplicate_of_corpus"]) for row in dropped] == [
        ("new0", "old0", "out-old"),
        ("new1", "old1", "out-old"),
    ]


@pytest.mark.parametrize(
    ("stage", "format", "first_compares"),
    [
        (Exact(), "parquet", True),
        (Exact(keep=BY_GRADE), "jsonl", False),
        (NEAR, "parquet", False),
        (NEAR.model_copy(update={"keep": "longest"}), "jsonl", True),
        (NEAR.model_copy(update={"verify": "signature"}), "parquet", True),
    ],
    ids=["exact", "exact by grade", "minhash", "minhash longest", "minhash signature"],
)
@pytest.mark.campaign(4)
def test_a_chain_of_runs_that_mask_after_their_first_deduplication(
    tmp_path: Path, stage: GlobalStage, format: str, first_compares: bool
) -> None:
    inputs = {name: documents(name, 90, seed) for seed, name in enumerate("abc")}
    given = {each["id"]: each["text"] for records in inputs.values() for each in records}
    outs: dict[str, Path] = {}
    kept_in: dict[str, dict[str, str]] = {}
    crossing = set()
    for number, (name, records) in enumerate(inputs.items()):
        write_shards(tmp_path / name, records)
        against = stage.model_copy(update={"name": "against_earlier", "index": tuple(map(str, outs.values()))})
        stages = (stage, MASK, against) if outs or first_compares else (stage, MASK)
        report = pipeline(tmp_path, name, stages, f"out-{name}", format=format).run()
        out = tmp_path / f"out-{name}"
        rows, dropped = rows_of(out / "data"), rows_of(out / "dropped")
        kept = {row["id"]: row["text"] for row in rows}
        assert report["documents"]["input"] == len(records) == len(rows) + len(dropped)
        assert kept.keys() | {row["id"] for row in dropped} == {each["id"] for each in records}
        assert kept == {key: masked(given[key]) for key in kept}
        for row in dropped:
            told = explain(out, row["id"])
            end = told["ends_at"]
            corpus = end.get("corpus", out.name)
            crossing.add((name, corpus))
            text = kept_in[corpus][end["id"]] if corpus in kept_in else kept[end["id"]]
            assert text == masked(given[row["id"]])  # those of a family are equal once masked
        for other in kept_in.values():
            assert not set(kept.values()) & set(other.values())
        if stages[-1] is against:
            assert len(set(kept.values())) == len(kept)
        assert all(left["pass"] != 0 for left in header(out)["stages"])
        for left in header(out)["stages"]:
            assert list(dict(sorted(sketched(out, left["label"]).items())).values()) == expected(out, stage)
        moved = tmp_path / "archive" / f"{number}" / f"run {name}"
        moved.parent.mkdir(parents=True)
        out.rename(moved)
        outs[name] = moved
        kept_in[moved.name] = kept
    assert {("b", "run a"), ("c", "run a"), ("c", "run b"), ("c", "out-c")} <= crossing


def test_a_writing_task_opens_an_earlier_run_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for seed, name in enumerate("ab"):
        write_shards(tmp_path / name, documents(name, 60, seed))
    pipeline(tmp_path, "a", (MASK, Exact()), "out-a").run()
    opened = []

    def opens(paths: Sequence[str]) -> list[earlier_runs.EarlierRun]:
        opened.append(paths)
        return open_runs(paths)

    monkeypatch.setattr(dropped_rows, "open_runs", opens)
    against = Exact(index=(str(tmp_path / "out-a"),))
    made = pipeline(tmp_path, "b", (MASK, against), "out-b")
    made = Pipeline(
        made.source, made.stages, made.sink.model_copy(update={"part_bytes": 1 << 30}), made.settings, tmp_path
    )
    report = made.run()
    assert header(tmp_path / "out-b")["splits"] > 3
    assert report["documents"]["dropped"] > 20
    assert opened == [(str(tmp_path / "out-a"),)]


def test_texts_that_become_equal_are_found_by_the_stage_after_the_edit_alone(tmp_path: Path) -> None:
    texts = ["call 1 now", "call 2 now", "call x now"]
    for name in "ab":
        write_shards(tmp_path / name, [{"id": f"{name}{i}", "text": text} for i, text in enumerate(texts)], 1)
    pipeline(tmp_path, "a", (Exact(), MASK), "out-a").run()
    assert [row["text"] for row in rows_of(tmp_path / "out-a" / "data")] == ["call # now", "call # now", "call x now"]
    against = Exact(name="against_earlier", index=(str(tmp_path / "out-a"),))
    pipeline(tmp_path, "b", (MASK, against), "out-b").run()
    assert rows_of(tmp_path / "out-b" / "data") == []
    ends = [(row["duplicate_of"], row["duplicate_of_corpus"]) for row in rows_of(tmp_path / "out-b" / "dropped")]
    assert ends == [("a0", "out-a"), ("a0", "out-a"), ("a2", "out-a")]


def test_a_stage_after_the_last_edit_serves_for_an_equal_one_before_it(tmp_path: Path) -> None:
    write_shards(tmp_path / "a", documents("a", 60, 1))
    other = MinHash(ngram=3, threshold=0.6)
    stages = (
        Exact(keep=BY_GRADE),
        NEAR,
        other.model_copy(update={"name": "other"}),
        MASK,
        NEAR.model_copy(update={"name": "last", "keep": "longest"}),
        other.model_copy(update={"name": "bands", "ngram": 4}),
    )
    pipeline(tmp_path, "a", stages, "out").run()
    told = {left["label"]: (left["pass"], left["sketched_by"]) for left in header(tmp_path / "out")["stages"]}
    assert told == {
        "exact": (None, "exact"),
        "minhash": (1, "last"),
        "other": (None, "other"),
        "last": (1, "last"),
        "bands": (1, "bands"),
    }
    for label, stage in (("exact", Exact()), ("minhash", NEAR), ("other", other)):
        assert list(sketched(tmp_path / "out", label).values()) == expected(tmp_path / "out", stage)
    twice = (Exact(), Exact(name="again", keep=BY_GRADE), MASK)
    pipeline(tmp_path, "a", twice, "twice").run()
    told = {left["label"]: (left["pass"], left["sketched_by"]) for left in header(tmp_path / "twice")["stages"]}
    assert told == {"exact": (None, "exact"), "again": (None, "exact")}


class Whole(Exact):
    """Sketches for later runs as it does for itself: a column of the user's is read while the texts are written."""

    def for_index(self) -> GlobalStage:
        return self


def test_a_stage_may_leave_all_columns_of_its_sketch(tmp_path: Path) -> None:
    for seed, name in enumerate("ab"):
        write_shards(tmp_path / name, documents(name, 60, seed))
    pipeline(tmp_path, "a", (Whole(keep=BY_GRADE), MASK), "out-a").run()
    (run,) = open_runs([str(tmp_path / "out-a")])
    names = read_table(run.sketches(run.header["stages"][0], 0)).column_names
    assert names == ["doc_id", "hash_high", "hash_low", "keep_rank", "keep_rank_scale"]
    assert list(sketched(tmp_path / "out-a", "exact").values()) == expected(tmp_path / "out-a", Exact())
    against = Whole(name="against", keep=BY_GRADE, index=(str(tmp_path / "out-a"),))
    assert pipeline(tmp_path, "b", (MASK, against), "out-b").run()["documents"]["dropped"] > 20
    written = [{row["text"] for row in rows_of(tmp_path / out / "data")} for out in ("out-a", "out-b")]
    assert written[0] and written[1] and not written[0] & written[1]


def test_nothing_is_sketched_while_writing_without_a_later_edit(tmp_path: Path) -> None:
    write_shards(tmp_path / "a", documents("a", 60, 1))
    cases: dict[str, tuple[Stage, ...]] = {
        "before": (MASK, Exact(), NEAR),
        "tag": (Exact(mode="tag"), Length(min_words=3)),
        "cuts that are tags": (Exact(), CutSeen(name="cut", mode="tag")),
        "no index": (Length(min_words=3), MASK),
    }
    for name, stages in cases.items():
        pipeline(tmp_path, "a", stages, name, retain="all").run()
        state = tmp_path / name / STATE
        assert not [path for path in (*state.glob(f"{KEPT}*/*"), *state.glob("write/*/*")) if "sketch" in path.name]
    assert [left["pass"] for left in header(tmp_path / "before")["stages"]] == [0, 0]
    assert [left["pass"] for left in header(tmp_path / "tag")["stages"]] == [0]
    assert header(tmp_path / "no index") is None


@pytest.mark.parametrize("retain", ["all", "index", "none"])
@pytest.mark.campaign(2)
def test_retain_says_whether_there_is_an_index(tmp_path: Path, retain: str) -> None:
    for seed, name in enumerate("ab"):
        write_shards(tmp_path / name, documents(name, 60, seed))
    stages = (Exact(), NEAR, MASK)
    pipeline(tmp_path, "a", stages, "out-a", retain=retain).run()
    pipeline(tmp_path, "a", stages, "other").run()
    assert files_of(tmp_path / "out-a") == files_of(tmp_path / "other")
    against = pipeline(tmp_path, "b", (MASK, NEAR.model_copy(update={"index": (str(tmp_path / "out-a"),)})), "out-b")
    if retain == "none":
        assert not list((tmp_path / "out-a" / STATE).rglob("*sketch*"))
        with pytest.raises(InputError, match=r"is gone or damaged. Run it again .*`run: \{retain: index\}`"):
            against.run()
        return
    assert (
        len(list((tmp_path / "out-a" / STATE).glob(f"{KEPT}.*/*sketch*"))) == 2 * header(tmp_path / "out-a")["splits"]
    )
    assert against.run()["documents"]["dropped"] > 20


def test_equal_bytes_with_two_workers_and_after_a_stop_at_any_task(tmp_path: Path) -> None:
    for seed, name in enumerate("ab"):
        write_shards(tmp_path / name, documents(name, 50, seed), 2)
    first = (Exact(keep=BY_GRADE), MASK)
    numbers = stops(pipeline(tmp_path, "a", first, "a-one"))
    pipeline(tmp_path, "a", first, "a-two", workers=2).run()
    wanted = index_files(tmp_path / "a-one")
    assert index_files(tmp_path / "a-two") == wanted
    assert files_of(tmp_path / "a-two") == files_of(tmp_path / "a-one")
    index = (str(tmp_path / "a-one"),)
    second = (NEAR, MASK, Exact(index=index), Exact(name="again", mode="tag", index=index))
    pipeline(tmp_path, "b", second, "b-one").run()
    pipeline(tmp_path, "b", second, "b-two", workers=2).run()
    assert files_of(tmp_path / "b-two") == files_of(tmp_path / "b-one")
    assert index_files(tmp_path / "b-two") == index_files(tmp_path / "b-one")
    for number in numbers:
        out = f"stopped-{number}"
        stopped(pipeline(tmp_path, "a", first, out), number)
        pipeline(tmp_path, "a", first, out).run()
        assert files_of(tmp_path / out) == files_of(tmp_path / "a-one")
        assert index_files(tmp_path / out) == wanted


def test_a_run_killed_while_it_leaves_its_index_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_shards(tmp_path / "a", documents("a", 60, 1))
    stages = (Exact(), MASK)
    pipeline(tmp_path, "a", stages, "whole").run()
    real = earlier_runs.link_file
    seen = []

    def link(source: Path, target: Path) -> None:
        seen.append(target)
        if len(seen) == 3:
            raise KeyboardInterrupt
        real(source, target)

    monkeypatch.setattr(earlier_runs, "link_file", link)
    with pytest.raises(KeyboardInterrupt):
        pipeline(tmp_path, "a", stages, "out").run()
    monkeypatch.undo()
    pipeline(tmp_path, "a", stages, "out").run()
    assert index_files(tmp_path / "out") == index_files(tmp_path / "whole")
    assert read_json(tmp_path / "out" / "report.json")["warnings"] == []


@pytest.mark.parametrize("stage", [Exact(), NEAR.model_copy(update={"verify": "signature"})], ids=["exact", "minhash"])
def test_runs_that_cut_order_deal_and_copy(tmp_path: Path, stage: GlobalStage) -> None:
    write_input(tmp_path / "in", "mixed")
    protocol_pipeline(tmp_path, [stage, CutSeen(name="cut"), *ARRANGED], "first").run()
    (left,) = header(tmp_path / "first")["stages"]
    assert (left["pass"], header(tmp_path / "first")["in_input_order"]) == (None, False)
    found = sketched(tmp_path / "first", stage.label)
    rows = [row for part in sorted((tmp_path / "first" / "data").iterdir()) for row in rows_of(part)]
    once = {row["id"]: row["text"] for row in rows}
    assert len(rows) > len(once) == len(found)
    records = [{"id": f"again {key}", "text": text} for key, text in once.items()]
    write_shards(tmp_path / "again", [*records, {"id": "new", "text": "nothing that stands elsewhere"}], 1)
    compare = stage.model_copy(update={"name": "against", "index": (str(tmp_path / "first"),)})
    pipeline(tmp_path, "again", (CutSeen(name="cut"), compare), "second").run()
    assert [row["id"] for row in rows_of(tmp_path / "second" / "data")] == ["new"]
    dropped = rows_of(tmp_path / "second" / "dropped")
    assert {row["id"]: (row["duplicate_of"], row["duplicate_of_corpus"]) for row in dropped} == {
        f"again {key}": (key, "first") for key in once
    }


def test_an_index_of_another_form_is_refused(tmp_path: Path) -> None:
    write_shards(tmp_path / "a", documents("a", 30, 1))
    pipeline(tmp_path, "a", (Exact(),), "out-a").run()
    path = tmp_path / "out-a" / STATE / INDEX
    write_sealed(path, {**header(tmp_path / "out-a"), "form": 2})
    with pytest.raises(InputError) as error:
        pipeline(tmp_path, "a", (Exact(index=(str(tmp_path / "out-a"),)),), "out-b").run()
    assert str(error.value) == (
        f"index {tmp_path / 'out-a'}: _run/index.json is of form 2, and this version of corpuscurate reads form 3, with"
        " sketches of the texts as the run wrote them. Run it again with a deduplication and `run: {retain: index}` "
        "(the default); `--overwrite` replaces what is there."
    )
    pipeline(tmp_path, "a", (Exact(),), "out-a").run(overwrite=True)
    report = pipeline(tmp_path, "a", (Exact(index=(str(tmp_path / "out-a"),)),), "out-b").run()
    assert report["documents"]["kept"] == 0


def test_plan_counts_the_disk_of_the_second_sketches(tmp_path: Path) -> None:
    write_shards(tmp_path / "a", documents("a", 900, 1))

    def disk(*stages: Stage, **how: Any) -> int:
        return int(plan_spec(pipeline(tmp_path, "a", stages, "out", **how))["disk_bytes_estimate"])

    assert disk(NEAR, MASK) > disk(MASK, NEAR)
    assert disk(NEAR, MASK, retain="none") == disk(MASK, NEAR)
