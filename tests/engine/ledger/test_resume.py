"""What is there under its final name is whole; what is wanted is decided by the fingerprint."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from corpuscurate.core.artefact import whole_folder
from corpuscurate.core.errors import OutputError
from corpuscurate.engine.ledger.resume import result_of, run_tasks
from corpuscurate.engine.task import Task, explain_os_error, perform


@dataclass(frozen=True)
class Writes:
    text: str = "hello"
    fails: bool = False

    def run(self, folder: Path) -> dict[str, Any]:
        (folder / "a.txt").write_text(self.text)
        if self.fails:
            raise ValueError("in the middle")
        return {"n": len(self.text)}


def test_a_finished_task_is_known_by_its_fingerprint_alone(tmp_path: Path) -> None:
    task = Task(tmp_path / "t", "f1", Writes())
    assert result_of(task) is None
    assert perform(task) == {"n": 5}
    assert result_of(task) == {"n": 5}
    assert result_of(Task(tmp_path / "t", "f2", Writes())) is None


def test_trap_5_a_lost_a_short_and_a_changed_file_are_all_noticed(tmp_path: Path) -> None:
    task = Task(tmp_path / "t", "f1", Writes())
    for harm in (lambda p: p.unlink(), lambda p: p.write_text("hell"), lambda p: p.write_text("jello")):
        perform(task)
        harm(tmp_path / "t" / "a.txt")
        assert result_of(task) is None
    (tmp_path / "t" / "done.json").write_text("{")
    assert result_of(task) is None


def test_a_failing_task_leaves_nothing_under_its_name_and_keeps_what_was_there(tmp_path: Path) -> None:
    task = Task(tmp_path / "t", "f1", Writes(fails=True))
    with pytest.raises(ValueError, match="in the middle"):
        perform(task)
    assert list(tmp_path.iterdir()) == []
    perform(Task(tmp_path / "t", "old", Writes("old")))
    with pytest.raises(ValueError, match="in the middle"):
        perform(task)
    assert (tmp_path / "t" / "a.txt").read_text() == "old"


def test_a_folder_replaces_an_older_one_whole(tmp_path: Path) -> None:
    perform(Task(tmp_path / "t", "old", Writes("old")))
    with whole_folder(tmp_path / "t") as folder:
        (folder / "b.txt").write_text("new")
    assert [path.name for path in (tmp_path / "t").iterdir()] == ["b.txt"]


def test_only_what_is_not_finished_is_run_and_accounts_keep_their_order(tmp_path: Path) -> None:
    tasks = [Task(tmp_path / str(n), "f", Writes("x" * n)) for n in range(4)]
    perform(tasks[2])
    ran: list[str] = []

    def backwards(given: Sequence[Task], beat: Any) -> Iterator[tuple[int, dict[str, Any]]]:
        for place in reversed(range(len(given))):
            ran.append(given[place].final.name)
            yield place, perform(given[place])

    told: list[str] = []
    accounts = run_tasks(tasks, backwards, lambda task: told.append(task.final.name), lambda name, size: None)
    assert accounts == [{"n": 0}, {"n": 1}, {"n": 2}, {"n": 3}]
    assert ran == ["3", "1", "0"]
    assert sorted(told) == ["0", "1", "2", "3"]


def test_the_largest_first_where_it_is_asked_for(tmp_path: Path) -> None:
    tasks = [Task(tmp_path / str(n), "f", Writes("x" * n), size) for n, size in enumerate([2, 5, 1, 5])]
    ran: list[str] = []

    def in_turn(given: Sequence[Task], beat: Any) -> Iterator[tuple[int, dict[str, Any]]]:
        for place, task in enumerate(given):
            ran.append(task.final.name)
            yield place, perform(task)

    done = run_tasks(tasks, in_turn, lambda task: None, lambda name, size: None, largest_first=True)
    assert done == [{"n": 0}, {"n": 1}, {"n": 2}, {"n": 3}]
    assert ran == ["1", "3", "0", "2"]


def test_a_runner_that_leaves_out_a_task_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="without running every task"):
        run_tasks([Task(tmp_path / "t", "f", Writes())], lambda tasks, beat: iter(()), print, lambda name, size: None)


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (errno.ENOSPC, "the disk is full"),
        (errno.EACCES, "no permission to write there"),
        (errno.EROFS, "read-only"),
    ],
)
def test_errors_of_the_disk_say_what_to_do(number: int, words: str, tmp_path: Path) -> None:
    error = explain_os_error(OSError(number, "x", str(tmp_path / "f")), tmp_path)
    assert isinstance(error, OutputError)
    assert words in str(error)
    assert str(tmp_path / "f") in str(error)


def test_other_errors_pass_as_they_are(tmp_path: Path) -> None:
    error = OSError(errno.EIO, "broken")
    assert explain_os_error(error, tmp_path) is error


def test_what_only_this_run_needs_is_not_flushed_to_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    flushed: list[int] = []
    monkeypatch.setattr("corpuscurate.core.artefact.os.fsync", flushed.append)
    perform(Task(tmp_path / "t", "f1", Writes(), durable=False))
    assert flushed == []
    assert result_of(Task(tmp_path / "t", "f1", Writes())) == {"n": 5}
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
    assert (tmp_path / "last" / "a.txt").stat().st_ino in left
    assert result_of(task) == {"n": 3}
