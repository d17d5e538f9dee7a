"""What has a marker is whole; what is wanted is decided by the fingerprint."""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from corpuscurate.core.artefact import Artefacts, marker_path
from corpuscurate.core.durable import whole_folder
from corpuscurate.core.errors import OutputError
from corpuscurate.core.os_errors import output_error, system_error
from corpuscurate.engine.ledger.resume import run_tasks
from corpuscurate.engine.task import Task, finished_result, perform


@dataclass(frozen=True)
class Writes:
    text: str = "hello"
    fails: bool = False

    def run(self, folder: Path) -> dict[str, Any]:
        (folder / "a.txt").write_text(self.text)
        if self.fails:
            raise ValueError("in the middle")
        return {"n": len(self.text)}


@dataclass(frozen=True)
class Fails:
    error: OSError

    def run(self, folder: Path) -> dict[str, Any]:
        raise self.error


def made(home: Path) -> Path:
    """Where a finished task left its file."""
    return Path(Artefacts(str(home)).folder) / "a.txt"


def test_a_finished_task_is_known_by_its_fingerprint_alone(tmp_path: Path) -> None:
    task = Task(tmp_path / "t", "f1", Writes())
    assert finished_result(task) is None
    assert perform(task) == {"n": 5}
    assert finished_result(task) == {"n": 5}
    assert finished_result(Task(tmp_path / "t", "f2", Writes())) is None
    assert list(tmp_path.iterdir()) == [], "what another fingerprint left is gone, so that the task can be done"


def test_trap_5_a_lost_a_short_and_a_changed_file_are_all_noticed(tmp_path: Path) -> None:
    task = Task(tmp_path / "t", "f1", Writes())
    for harm in (lambda p: p.unlink(), lambda p: p.write_text("hell"), lambda p: p.write_text("jello")):
        perform(task)
        harm(made(tmp_path / "t"))
        assert finished_result(task) is None
    perform(task)
    marker_path(tmp_path / "t").write_text("{")
    assert finished_result(task) is None
    perform(task)
    whole = marker_path(tmp_path / "t").read_text()
    marker_path(tmp_path / "t").write_text(whole.replace('"n": 5', '"n": 6'))
    assert finished_result(task) is None, "the result is covered too"


def test_a_failing_task_leaves_nothing_and_keeps_what_was_there(tmp_path: Path) -> None:
    task = Task(tmp_path / "t", "f1", Writes(fails=True))
    with pytest.raises(ValueError, match="in the middle"):
        perform(task)
    assert list(tmp_path.iterdir()) == []
    perform(Task(tmp_path / "t", "old", Writes("old")))
    with pytest.raises(ValueError, match="in the middle"):
        perform(task)
    assert made(tmp_path / "t").read_text() == "old"


def test_a_folder_replaces_an_older_one_whole(tmp_path: Path) -> None:
    (tmp_path / "t").mkdir()
    (tmp_path / "t" / "a.txt").write_text("old")
    with whole_folder(tmp_path / "t") as folder:
        (folder / "b.txt").write_text("new")
    assert [path.name for path in (tmp_path / "t").iterdir()] == ["b.txt"]


def test_only_what_is_not_finished_is_run_and_results_keep_their_order(tmp_path: Path) -> None:
    tasks = [Task(tmp_path / str(n), "f", Writes("x" * n)) for n in range(4)]
    perform(tasks[2])
    ran: list[str] = []

    def backwards(given: Sequence[Task], beat: Any) -> Iterator[tuple[int, dict[str, Any]]]:
        for index in reversed(range(len(given))):
            ran.append(given[index].home.name)
            yield index, perform(given[index])

    told: list[str] = []
    results = run_tasks(tasks, backwards, lambda task, *_: told.append(task.home.name), lambda name, size: None)
    assert results == [{"n": 0}, {"n": 1}, {"n": 2}, {"n": 3}]
    assert ran == ["3", "1", "0"]
    assert sorted(told) == ["0", "1", "2", "3"]


def test_the_largest_first_where_it_is_asked_for(tmp_path: Path) -> None:
    tasks = [Task(tmp_path / str(n), "f", Writes("x" * n), size) for n, size in enumerate([2, 5, 1, 5])]
    ran: list[str] = []

    def in_turn(given: Sequence[Task], beat: Any) -> Iterator[tuple[int, dict[str, Any]]]:
        for index, task in enumerate(given):
            ran.append(task.home.name)
            yield index, perform(task)

    done = run_tasks(tasks, in_turn, lambda *_: None, lambda name, size: None, largest_first=True)
    assert done == [{"n": 0}, {"n": 1}, {"n": 2}, {"n": 3}]
    assert ran == ["1", "3", "0", "2"]


def test_a_runner_that_leaves_out_a_task_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="without running every task"):
        run_tasks([Task(tmp_path / "t", "f", Writes())], lambda tasks, beat: iter(()), print, lambda name, size: None)


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (errno.ENOSPC, "The disk or quota is full"),
        (errno.EACCES, "Make the output folder writable"),
        (errno.EROFS, "choose another `output: path:`"),
    ],
)
def test_errors_of_the_disk_say_what_to_do(number: int, words: str, tmp_path: Path) -> None:
    error = OSError(number, "x", str(tmp_path / "f"))
    with pytest.raises(OutputError, match=words) as said:
        perform(Task(tmp_path / "t", "f", Fails(error)))
    assert str(tmp_path / "f") in str(said.value)
    assert str(output_error(said.value, tmp_path)) == str(said.value), "said once"


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EACCES, errno.EROFS, errno.EIO])
def test_an_error_that_names_a_file_elsewhere_is_none_of_the_output(number: int, tmp_path: Path) -> None:
    error = system_error(OSError(number, "x", "/elsewhere/cache/f"), tmp_path / "out")
    assert "/elsewhere/cache/f" in str(error)
    assert str(tmp_path / "out") not in str(error)
    assert "output" not in str(error)


def test_an_error_of_a_temporary_file_names_tmpdir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "scratch"))
    error = OSError(errno.ENOSPC, "No space left on device", str(tmp_path / "scratch" / "f"))
    assert "which TMPDIR names" in str(system_error(error, tmp_path / "out"))


def test_a_full_disk_that_is_not_named_is_looked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`write` tells no file. Where the output folder's disk is full, it is that one; else all are told."""
    error = OSError(errno.ENOSPC, "No space left on device")
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=1 << 20))
    assert str(system_error(error, tmp_path / "out")).startswith(f"Cannot write {tmp_path / 'out'}: No space")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=9 << 30))
    said = str(system_error(error, tmp_path / "out"))
    assert f"{tmp_path / 'out'} for the output folder: 9216 MiB free" in said
    assert f"{tempfile.gettempdir()} for temporary files (TMPDIR): 9216 MiB free" in said


def test_other_errors_pass_as_they_are(tmp_path: Path) -> None:
    error = OSError(errno.EIO, "broken")
    with pytest.raises(OSError, match="broken") as said:
        perform(Task(tmp_path / "t", "f", Fails(error)))
    assert not isinstance(said.value, OutputError)


def test_what_only_this_run_needs_is_not_flushed_to_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    flushed: list[int] = []
    monkeypatch.setattr("corpuscurate.core.durable.os.fsync", flushed.append)
    perform(Task(tmp_path / "t", "f1", Writes(), durable=False))
    assert flushed == []
    assert finished_result(Task(tmp_path / "t", "f1", Writes())) == {"n": 5}
    perform(Task(tmp_path / "u", "f1", Writes()))
    assert len(flushed) >= 3, "the file, its marker and the folder"


def test_files_that_nothing_reads_again_leave_the_cache_and_are_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    left: list[int] = []
    monkeypatch.setattr("os.posix_fadvise", lambda handle, *_: left.append(os.fstat(handle).st_ino), raising=False)
    monkeypatch.setattr("os.POSIX_FADV_DONTNEED", 4, raising=False)
    perform(Task(tmp_path / "again", "f", Writes("abc")))
    assert left == []
    task = Task(tmp_path / "last", "f", Writes("abc"), last=True)
    perform(task)
    assert made(tmp_path / "last").stat().st_ino in left
