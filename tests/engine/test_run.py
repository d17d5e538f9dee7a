"""Whole runs: nothing lost, the same bytes however it is run, resume, refusals."""

from __future__ import annotations

import errno
import fcntl
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import orjson
import psutil
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from support.engine import digests, record, rows, table, write_corpus
from support.forms import FULL

from corpuscurate import Pipeline, Settings, Sink, Source
from corpuscurate.core.artefact import write_sealed
from corpuscurate.core.durable import read_json
from corpuscurate.core.errors import BadInputError, InputError, OutputError, StageError
from corpuscurate.core.run_folder import SETTLED, attempt_folder
from corpuscurate.core.stage import Stage
from corpuscurate.engine import session
from corpuscurate.engine.passes.write import WriteBody
from corpuscurate.engine.progress import NoProgress
from corpuscurate.engine.run import run_spec
from corpuscurate.engine.runners import InProcessRunner
from corpuscurate.engine.task import Task, perform
from corpuscurate.stages.exact import Exact
from corpuscurate.stages.length import Length
from corpuscurate.stages.minhash import MinHash
from corpuscurate.stages.normalize import Normalize
from corpuscurate.stages.where import Where

NEAR = MinHash(threshold=0.8, values=64, bands=5, rows=4)  # few bands: each is a task, and all are alike
STAGES: tuple[Stage, ...] = (Normalize(), Length(min_words=10), Exact(), NEAR)


def pipeline(folder: Path, out: str = "out", stages: Sequence[Stage] = STAGES, **sink: Any) -> Pipeline:
    source = Source(paths=(str(folder / "in" / "*.jsonl"),), id="id", split_bytes=20_000)
    target = Sink(path=str(folder / out), **{"part_bytes": 15_000, "row_group_bytes": 5_000, **sink})
    return Pipeline(source, tuple(stages), target, Settings(workers=1, memory=1 << 30), folder)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_corpus(tmp_path / "in")
    return tmp_path


def test_every_document_is_kept_dropped_or_quarantined_and_columns_are_as_they_were(folder: Path) -> None:
    report = pipeline(folder).run()
    out = folder / "out"
    counts = report["documents"]
    assert counts["input"] == 4 * 43 == counts["kept"] + counts["dropped"] + counts["quarantined"]
    assert report["quarantined_by_reason"] == {"broken_json": 4, "invalid_utf8": 4, "null_text": 4}
    kept, dropped, bad = rows(out, "data"), rows(out, "dropped"), rows(out, "quarantine")
    assert (len(kept), len(dropped), len(bad)) == (counts["kept"], counts["dropped"], counts["quarantined"])
    by_id = {f"d{n}": record(n) for n in range(160)}
    assert [row["n"] for row in kept] == sorted(row["n"] for row in kept)
    for row in kept:
        original = by_id.pop(row["id"])
        assert row["text"] == original["text"].replace("\r\n", "\n").replace("\x00", "").replace("e\u0301", "é")
        assert {key: row[key] for key in ("n", "day", "meta")} == {key: original[key] for key in ("n", "day", "meta")}
    for row in dropped:
        by_id.pop(row["id"])
    assert by_id == {}
    assert {row["file"].rsplit("/")[-1] for row in bad} == {f"shard-{n}.jsonl" for n in range(4)}


def test_dropped_rows_say_why_and_lead_back(folder: Path) -> None:
    pipeline(folder).run()
    dropped = rows(folder / "out", "dropped")
    assert [row["doc_id"] for row in dropped] == sorted(row["doc_id"] for row in dropped)
    kept_ids = {row["id"] for row in rows(folder / "out", "data")}
    stage_of = {row["id"]: row["stage"] for row in dropped}
    for row in dropped:
        line = (folder / row["shard"]).read_bytes()[row["position"] :].split(b"\n")[0]
        assert orjson.loads(line)["id"] == row["id"]
        if row["stage"] == "length":
            assert (row["reason"], row["value"], row["threshold"]) == ("min_words", 2.0, 10.0)
            assert row["duplicate_of"] is row["matched"] is row["similarity"] is None
        else:
            assert row["duplicate_of"] in kept_ids or stage_of[row["duplicate_of"]] not in ("exact",)
            assert row["matched_doc_id"] is not None
    assert set(stage_of.values()) == {"length", "exact"}


@pytest.mark.parametrize("sink_format", ["parquet", "jsonl.zst", "jsonl", "arrow"])
def test_workers_batches_and_memory_never_change_a_byte(folder: Path, sink_format: str) -> None:
    made = pipeline(folder, "one", format=sink_format)
    made.run()
    wanted = digests(folder / "one")
    assert sum(name.startswith("data/") for name in wanted) > 1
    for number, settings in enumerate(
        [Settings(workers=2, memory=1 << 30), Settings(workers=1, batch_bytes=300, memory=384 << 20)]
    ):
        other = pipeline(folder, f"other-{number}", format=sink_format)
        Pipeline(other.source, other.stages, other.sink, settings, folder).run()
        assert digests(folder / f"other-{number}") == wanted


class StopsAfter(InProcessRunner):
    """A runner that is killed after some tasks, in the middle of the next."""

    left = 0

    def run(self, tasks: Sequence[Task], beat: Any, *warn: Any) -> Iterator[tuple[int, dict[str, Any]]]:
        for index, task in enumerate(tasks):
            if StopsAfter.left == 0:
                half = task.home.with_name(attempt_folder(task.home.name, "killed"))
                half.mkdir(parents=True)
                (half / "data.part-00000.parquet").write_bytes(b"half")
                raise KeyboardInterrupt
            StopsAfter.left -= 1
            yield index, perform(task)


def stops(spec: Pipeline) -> list[int]:
    """Run it, and tell the numbers of tasks after which to stop an equal run: in the full form each, in the short form
    the first of each wave of tasks, and one in nine."""
    waves: list[int] = []

    class Counts(InProcessRunner):
        def run(self, tasks: Sequence[Task], beat: Any, *warn: Any) -> Iterator[tuple[int, dict[str, Any]]]:
            waves.append(len(tasks))
            yield from super().run(tasks, beat, *warn)

    run_spec(spec, runner=Counts)
    total = sum(waves)
    assert total > 10
    firsts = {sum(waves[:number]) for number in range(len(waves))} - {total}
    return [number for number in range(total) if FULL or number in firsts or number % 9 == 0]


def stopped(spec: Pipeline, number: int) -> None:
    """Run it until so many tasks are done."""
    StopsAfter.left = number
    with pytest.raises(KeyboardInterrupt):
        run_spec(spec, runner=StopsAfter)


def test_a_run_stopped_at_any_task_goes_on_to_the_same_bytes(folder: Path) -> None:
    numbers = stops(pipeline(folder, "whole"))
    wanted = digests(folder / "whole")
    for number in numbers:
        out = f"stopped-{number}"
        stopped(pipeline(folder, out), number)
        assert not (folder / out / "data").exists()
        report = pipeline(folder, out).run()
        assert report["documents"]["input"] == 172
        assert digests(folder / out) == wanted


def test_a_run_stopped_while_files_get_their_names_is_finished_by_the_next(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipeline(folder, "whole").run()
    wanted = digests(folder / "whole")
    real = Path.rename
    step = 1 if FULL else 3
    for number in range(0, 100, step):
        out = f"stopped-{number}"
        left = [number]

        def rename(self: Path, target: Path, left: list[int] = left) -> Path:
            if "publish" in self.parts or "publish" in Path(target).parts:
                if left[0] == 0:
                    raise KeyboardInterrupt
                left[0] -= 1
            return real(self, target)

        monkeypatch.setattr(Path, "rename", rename)
        try:
            pipeline(folder, out).run()
        except KeyboardInterrupt:
            monkeypatch.setattr(Path, "rename", real)
            pipeline(folder, out).run()
            assert digests(folder / out) == wanted
            assert not (folder / out / "_run" / "publish.json").exists()
            continue
        monkeypatch.setattr(Path, "rename", real)
        break
    assert number > 5


def test_a_finished_run_is_not_repeated_and_another_recipe_is_refused(folder: Path) -> None:
    first = pipeline(folder).run()
    before = {path: path.stat().st_mtime_ns for path in (folder / "out").rglob("*.parquet")}
    assert pipeline(folder).run() == read_json(folder / "out" / "report.json")
    assert {path: path.stat().st_mtime_ns for path in (folder / "out").rglob("*.parquet")} == before
    other = pipeline(folder, stages=(Length(min_words=20),))
    with pytest.raises(OutputError, match=r"holds a finished run of another recipe or other input.* --overwrite"):
        other.run()
    assert other.run(overwrite=True)["fingerprint"] != first["fingerprint"]
    assert digests(folder / "out") != {}


def test_overwriting_gives_the_bytes_of_a_fresh_run(folder: Path) -> None:
    for threshold in (0.5, 0.9):
        stages = (*STAGES[:-1], MinHash(threshold=threshold))
        pipeline(folder, stages=stages).run(overwrite=True)
        pipeline(folder, f"fresh-{threshold}", stages=stages).run()
        assert digests(folder / "out") == digests(folder / f"fresh-{threshold}")


def test_a_folder_with_something_else_is_never_touched(folder: Path) -> None:
    (folder / "out").mkdir()
    (folder / "out" / "thesis.txt").write_text("mine")
    for overwrite in (False, True):
        with pytest.raises(OutputError, match=r"not empty and holds no corpuscurate run: thesis\.txt"):
            pipeline(folder).run(overwrite=overwrite)
    assert [path.name for path in (folder / "out").iterdir()] == ["thesis.txt"]
    (folder / "file").write_text("x")
    with pytest.raises(OutputError, match="is a file"):
        pipeline(folder, "file").run()


def test_changed_input_is_another_run(folder: Path) -> None:
    pipeline(folder).run()
    write_corpus(folder / "in", documents=41)
    with pytest.raises(OutputError, match="other input"):
        pipeline(folder).run()
    pipeline(folder).run(overwrite=True)
    pipeline(folder, "fresh").run()
    assert digests(folder / "out") == digests(folder / "fresh")


def test_a_filter_after_a_deduplication_gets_a_pass_of_its_own(folder: Path) -> None:
    stages = (Normalize(), Exact(), Length(min_words=10), MinHash(threshold=0.8), Length(max_words=65, name="long"))
    report = pipeline(folder, stages=stages).run()
    assert any("after" in text for text in report["warnings"])
    flow = [(row["documents_in"], row["documents_out"]) for row in report["stages"]]
    assert all(before[1] == after[0] for before, after in pairwise(flow))
    assert flow[0][0] == 160
    dropped = {row["stage"] for row in rows(folder / "out", "dropped")}
    assert dropped >= {"exact", "length"}
    texts = table(folder / "out", "data").column("text").to_pylist()
    assert not any("\r" in text or len(text.split()) < 10 for text in texts)


def test_tagging_drops_nothing_and_later_stages_read_the_columns(folder: Path) -> None:
    stages = (
        Length(min_words=10, mode="tag"),
        Exact(mode="tag"),
        Where(expression='col("length.words") > 5 and col("exact.is_kept")'),
    )
    report = pipeline(folder, stages=stages).run()
    plain = pipeline(folder, "plain", stages=(Length(min_words=6), Exact())).run()
    kept = table(folder / "out", "data")
    assert report["documents"]["kept"] == plain["documents"]["kept"]
    assert kept.column("id").to_pylist() == table(folder / "plain", "data").column("id").to_pylist()
    assert {"length.words", "length.characters", "exact.cluster", "exact.size", "exact.is_kept"} <= set(
        kept.column_names
    )
    assert report["stages"][0]["dropped"] == report["stages"][1]["dropped"] == 0
    assert kept.column("exact.is_kept").to_pylist() == [True] * kept.num_rows
    assert max(kept.column("exact.size").to_pylist()) > 1


def test_dropped_text_is_the_text_as_it_was_read(folder: Path) -> None:
    pipeline(folder, dropped_text=True).run()
    for row in rows(folder / "out", "dropped"):
        assert row["text"] == record(int(row["id"][1:]))["text"]


def test_untouched_json_lines_come_out_byte_for_byte(folder: Path) -> None:
    pipeline(folder, stages=(Length(min_words=10),), format="jsonl").run()
    lines = b"".join(path.read_bytes() for path in sorted((folder / "out" / "data").iterdir())).splitlines()
    given = b"".join(path.read_bytes() for path in sorted((folder / "in").iterdir())).splitlines()
    assert len(lines) > 100
    assert [line for line in given if line in set(lines)] == lines


def test_on_bad_input_fail_names_the_record(folder: Path) -> None:
    made = pipeline(folder)
    source = made.source.model_copy(update={"on_bad_input": "fail"})
    with pytest.raises(BadInputError, match=r"shard-0\.jsonl, position \d+: broken_json: .*\n.*begins with"):
        Pipeline(source, made.stages, made.sink, made.settings).run()


def test_input_that_changes_between_two_passes_is_an_error(folder: Path) -> None:
    StopsAfter.left = 4
    with pytest.raises(KeyboardInterrupt):
        run_spec(pipeline(folder, stages=(Length(min_words=10),)), runner=StopsAfter)
    shard = folder / "in" / "shard-0.jsonl"
    state = shard.stat()
    shard.write_bytes(shard.read_bytes().replace(b'{"id":"d1"', b'{"id":"dX"', 1)[:-200] + b" " * 199 + b"\n")
    import os

    os.utime(shard, ns=(state.st_atime_ns, state.st_mtime_ns))
    with pytest.raises(InputError, match=r"shard-0\.jsonl changed while the run was reading it"):
        pipeline(folder, stages=(Length(min_words=10),)).run()


class Meddles(InProcessRunner):
    """A runner during which the input is written anew, between the passes."""

    def run(self, tasks: Sequence[Task], beat: Any, *warn: Any) -> Iterator[tuple[int, dict[str, Any]]]:
        if tasks and isinstance(tasks[0].body, WriteBody):
            pq.write_table(pa.table({"text": ["other text", "one text"]}), tasks[0].home.parents[3] / "rows.parquet")
        yield from super().run(tasks, beat, *warn)


def test_rows_that_change_places_between_two_passes_are_an_error(tmp_path: Path) -> None:
    pq.write_table(pa.table({"text": ["one text", "other text"]}), tmp_path / "rows.parquet")
    made = Pipeline(Source(paths=("rows.parquet",)), (Length(min_words=1),), Sink(path="out"), Settings(), tmp_path)
    with pytest.raises(InputError, match=r"rows\.parquet changed while the run was reading it"):
        run_spec(made, runner=Meddles)
    assert not (tmp_path / "out" / "data").exists()


class Fails(Length):
    """A stage with a defect."""

    def apply(self, batch: Any) -> Any:
        raise ZeroDivisionError("oh")


@pytest.mark.parametrize("workers", [1, 2])
def test_trap_21_a_failing_stage_drops_nothing_and_says_where(folder: Path, workers: int) -> None:
    made = pipeline(folder, stages=(Fails(min_words=1, name="mine"),))
    wanted = r"(?s)stage 'mine' failed on documents \d+\.\.\d+: ZeroDivisionError: oh\n.*are in in/shard-\d\.jsonl"
    with pytest.raises(StageError, match=wanted):
        made.run(workers=workers)
    assert not (folder / "out" / "data").exists()


def test_an_empty_result_and_an_empty_input_still_make_files(folder: Path) -> None:
    report = pipeline(folder, stages=(Length(min_words=1000),)).run()
    assert report["documents"]["kept"] == 0
    assert table(folder / "out", "data").schema.names == ["id", "text", "n", "day", "meta"]
    for path in (folder / "in").iterdir():
        path.write_bytes(b"")
    report = pipeline(folder, "empty").run()
    assert report["documents"] == {"input": 4, "kept": 0, "dropped": 0, "quarantined": 4}
    assert {row["reason"] for row in rows(folder / "empty", "quarantine")} == {"empty_file"}


def test_kept_artefacts_follow_retain(folder: Path) -> None:
    for retain, wanted in (
        ("all", {"measure-0", "settle-exact", "kept"}),
        ("index", {"measure-0", "kept"}),
        ("none", set()),
    ):
        made = pipeline(folder, retain, stages=(Exact(),))
        Pipeline(made.source, made.stages, made.sink, Settings(workers=1, retain=retain), folder).run()  # type: ignore[arg-type]
        state = folder / retain / "_run"
        assert {path.name.split(".")[0] for path in state.iterdir() if path.is_dir()} == wanted
        assert (state / "run.json").exists()
        assert pipeline(folder, retain, stages=(Exact(),)).run()["documents"]["input"] == 172


def test_two_runs_at_once_in_one_folder_are_refused(folder: Path) -> None:
    from corpuscurate.engine.session import locked

    with locked(folder / "out" / "_run"), pytest.raises(OutputError, match="another corpuscurate is running in"):
        pipeline(folder).run()


def test_parquet_keeps_the_types_of_parquet(folder: Path) -> None:
    import pyarrow.parquet as pq

    given = pa.table(
        {
            "id": pa.array([7, 8, None], pa.int32()),
            "text": pa.array(["one two", "three", "one two"]),
            "when": pa.array([1, 2, None], pa.timestamp("us", tz="UTC")),
            "tags": pa.array([["a"], [], None], pa.list_(pa.string())),
            "kind": pa.array(["x", "y", "x"]).dictionary_encode(),
        }
    )
    (folder / "pq").mkdir()
    pq.write_table(given, folder / "pq" / "a.parquet", row_group_size=1)
    sink = Sink(path=str(folder / "out"))
    source = Source(paths=(str(folder / "pq"),), id="id", split_bytes=1)
    Pipeline(source, (Exact(),), sink, Settings(workers=1)).run()
    assert table(folder / "out", "data").equals(given.slice(0, 2))
    (row,) = rows(folder / "out", "dropped")
    assert (row["id"], row["duplicate_of"], row["position"]) == (None, 7, 2)


@pytest.mark.parametrize("sink_format", ["parquet", "jsonl"])
def test_a_field_with_the_name_of_an_added_column_is_refused_wherever_it_stands(folder: Path, sink_format: str) -> None:
    with (folder / "in" / "shard-2.jsonl").open("ab") as shard:
        filler = b'{"text": "' + b"many words " * 6000 + b'"}\n'  # what is looked at before the run ends within these
        shard.write(filler * 100 + b'{"id": "x", "text": "a text", "length.words": 7}\n')
    with pytest.raises(InputError, match=r"shard-2\.jsonl.* the column 'length\.words'"):
        pipeline(folder, stages=(Length(min_words=10, mode="tag"),), format=sink_format).run()


def test_what_a_settling_decided_is_flushed_to_disk_before_it_counts(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flushed: list[Path] = []
    missing: list[Path] = []
    decided: list[Path] = []

    def remember(path: Path, value: Any, **options: Any) -> None:
        if path.name == SETTLED:
            folders = [(path.parent / name).parent for name, _, _ in value["files"]["drops"]]
            decided.extend(folders)
            missing.extend(each for each in folders if each not in flushed)
        write_sealed(path, value, **options)

    monkeypatch.setattr("corpuscurate.engine.passes.settle.sync_tree", flushed.append)
    monkeypatch.setattr("corpuscurate.engine.passes.settle.write_sealed", remember)
    pipeline(folder).run()
    assert decided and not missing


def test_a_decision_whose_removal_was_cut_short_is_made_again(folder: Path) -> None:
    run = replace(pipeline(folder), settings=Settings(workers=1, runner="inprocess", retain="all"))
    run.run()
    wanted = digests(folder / "out")
    removed = list((folder / "out" / "_run").glob("settle-*/*.attempt/drops.arrow"))
    for path in removed:
        path.unlink()  # and its marker is still there
    run.run(overwrite=True)
    assert removed
    assert digests(folder / "out") == wanted


def test_a_warning_names_its_stage_once(folder: Path) -> None:
    near = MinHash(name="near", bands=2, rows=50)
    warnings = pipeline(folder, stages=(near,)).run()["warnings"]
    assert [text.count("near:") for text in warnings] == [1]
    assert warnings[0].startswith("near: 2 bands of 50 rows find a pair")


@pytest.mark.parametrize("sink_format", ["parquet", "jsonl", "arrow"])
def test_list_views_lose_no_row(tmp_path: Path, sink_format: str) -> None:
    values = [[1, 2], None, [], [3]]
    given = pa.table({"text": ["a", "b", "c", "d"], "v": pa.array(values, pa.list_view(pa.int64()))})
    (tmp_path / "in").mkdir()
    with pa.OSFile(str(tmp_path / "in" / "a.arrow"), "wb") as file, pa.ipc.new_file(file, given.schema) as writer:
        writer.write_table(given)
    source, sink = Source(paths=("in/*.arrow",)), Sink(path="out", format=sink_format)  # type: ignore[arg-type]
    Pipeline(source, (), sink, Settings(workers=1), tmp_path).run()
    (part,) = (tmp_path / "out" / "data").iterdir()
    if sink_format == "jsonl":
        found = [orjson.loads(line)["v"] for line in part.read_bytes().splitlines()]
    elif sink_format == "arrow":
        found = pa.ipc.open_file(part).read_all().column("v").to_pylist()
    else:
        found = table(tmp_path / "out", "data").column("v").to_pylist()
    assert found == values


class Breaks(NoProgress):
    """A display that fails at one of its methods, from the n-th call on."""

    def __init__(self, name: str, error: Exception, after: int = 0) -> None:
        self.calls = 0

        def fails(*_: Any) -> None:
            self.calls += 1
            if self.calls > after:
                raise error

        setattr(self, name, fails)


@pytest.mark.parametrize("name", ["start", "advance", "task_done", "finish", "message"])
@pytest.mark.parametrize(
    "error", [OSError(28, "No space left on device"), BrokenPipeError(), ValueError("I/O operation on closed file")]
)
@pytest.mark.campaign(3)
def test_a_display_that_breaks_ends_no_run(folder: Path, name: str, error: Exception) -> None:
    spec = Pipeline(Source(paths=("in/*.jsonl",), id="id"), (Exact(),), Sink(path="out"), Settings(workers=1), folder)
    display = Breaks(name, error)
    report = run_spec(spec, progress=display)
    assert report["documents"]["input"] > 100
    if name == "message":  # nothing to say in this run
        return
    (said,) = [text for text in report["warnings"] if "progress" in text]
    why = str(error) or type(error).__name__
    assert said.startswith(f"the progress could not be shown any more ({why}); the run went on")
    assert display.calls == 1
    assert said in orjson.loads((folder / "out" / "report.json").read_bytes())["warnings"]


def test_a_file_system_without_one_kind_of_lock(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: Any) -> None:
        raise OSError(errno.ENOSYS, "Function not implemented")

    state = folder / "out" / "_run"
    monkeypatch.setattr(fcntl, "flock", fails)
    with session.locked(state):
        command = f"import fcntl; fcntl.lockf(open({str(state / 'lock')!r}, 'a'), fcntl.LOCK_EX | fcntl.LOCK_NB)"
        other = subprocess.run([sys.executable, "-c", command], capture_output=True, text=True, check=False)
        assert "BlockingIOError" in other.stderr
    monkeypatch.setattr(fcntl, "lockf", fails)
    with pytest.raises(OutputError, match=r"Cannot lock .*_run/lock: Function not implemented\..*another one"):
        session.locked(state).__enter__()


def test_a_memory_watch_that_fails_ends_no_run(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: Any) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", fails)
    with session.MemoryWatch() as watch:
        pass
    assert watch.peak_bytes == 0
    monkeypatch.undo()
    monkeypatch.setattr(psutil, "Process", lambda _: (_ for _ in ()).throw(psutil.AccessDenied(1)))
    with session.MemoryWatch() as watch:
        pass
    assert watch.peak_bytes == 0
