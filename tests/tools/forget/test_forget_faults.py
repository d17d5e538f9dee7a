"""A `forget` that is killed anywhere leaves the old output, or one that the next command finishes."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import pytest
from support.forgetting import PERSON, WORDS, balanced, corpus, curate, files_with, records
from support.forms import FULL

from corpuscurate.core.errors import InputError, OutputError
from corpuscurate.core.run_folder import AMEND, STATE
from corpuscurate.engine.session import locked
from corpuscurate.tools.forget.forget import forget

STEPS = ("open", "os.rename", "os.remove", "os.rmdir", "os.link", "os.mkdir")
"""Audit events of what changes a folder."""
READING = (("r",), ("rb",))
"""Modes in which `open` changes nothing."""


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("finished")
    corpus(folder / "in")
    curate(folder)
    return folder


def killed_at(step: int, folder: Path, seen: Path) -> int:
    """Forget in a child that is gone before its `step`-th change below a folder; its exit status, 0 if it ended: then
    `seen` has the number of changes."""
    pid = os.fork()
    if pid:
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    left = step

    def watch(event: str, arguments: tuple[object, ...]) -> None:
        nonlocal left
        if event in STEPS and str(folder) in str(arguments[0]) and arguments[1:2] not in READING:
            left -= 1
            if left < 0:
                os._exit(9)

    try:
        sys.addaudithook(watch)
        forget(folder / "out", [PERSON], base=folder)
        seen.write_text(str(step - left))
        os._exit(0)
    except BaseException:
        os._exit(1)


def again(folder: Path) -> None:
    forget(folder / "out", [PERSON], base=folder)


def rerun(folder: Path) -> None:
    """A run of the recipe, which finishes what was decided; then the same command again."""
    curate(folder)
    again(folder)


def test_killed_before_any_change(finished: Path, tmp_path: Path) -> None:
    whole = shutil.copytree(finished, tmp_path / "whole")
    before = records(whole / "out")
    assert killed_at(100_000, whole, tmp_path / "seen") == 0
    after = records(whole / "out")
    assert len(before) == len(after) + 1
    changes = int((tmp_path / "seen").read_text())
    assert changes > 40
    decided = set()
    steps = range(changes) if FULL else range(changes % 7, changes, 7)
    for step in steps:
        folder = shutil.copytree(finished, tmp_path / f"trial-{step}")
        assert killed_at(step, folder, tmp_path / "seen") == 9, step
        decided.add((folder / "out" / STATE / AMEND).exists())
        if not (folder / "out" / STATE / AMEND).exists() and not (folder / "out" / "forgotten.json").exists():
            assert records(folder / "out") == before, step
        (again if step % 2 else rerun)(folder)
        assert records(folder / "out") == after, step
        assert balanced(folder / "out")["forgotten"] == 1
        assert files_with(folder / "out", PERSON.encode() + b'"', WORDS.encode()) == []
        left = sorted(path.name for path in (folder / "out" / STATE).rglob("*"))
        assert not [name for name in left if name.startswith(AMEND) or name.endswith(".tmp")], (step, left)
    assert decided == {False, True}


def test_an_index_whose_change_is_unfinished_is_refused(finished: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(finished, tmp_path / "run")
    (folder / "out" / STATE / AMEND).write_bytes(b"{}")
    with pytest.raises(InputError, match="documents are being forgotten there"):
        curate(folder, out="later", index=("out",))
    with pytest.raises(OutputError, match="is damaged: what was being changed"):
        forget(folder / "out", [PERSON], base=folder)
    curate(folder, overwrite=True)
    again(folder)
    assert balanced(folder / "out")["forgotten"] == 1


def test_two_at_once(finished: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(finished, tmp_path / "run")
    with locked(folder / "out" / STATE), pytest.raises(OutputError, match="another corpuscurate is running in"):
        forget(folder / "out", [PERSON], base=folder)
    before = records(folder / "out")
    assert len(before) == balanced(folder / "out")["kept"]
    again(folder)
    assert len(records(folder / "out")) == len(before) - 1


def test_a_full_disk_changes_nothing(finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = shutil.copytree(finished, tmp_path / "run")
    before = {path: path.read_bytes() for path in sorted((folder / "out").rglob("*")) if path.is_file()}

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("corpuscurate.tools.forget.forget.write_json", full)
    with pytest.raises(OSError, match="No space left"):
        forget(folder / "out", [PERSON], base=folder)
    assert {path: path.read_bytes() for path in sorted((folder / "out").rglob("*")) if path.is_file()} == before
