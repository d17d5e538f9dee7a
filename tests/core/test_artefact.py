"""Artefacts: found through markers, checked once a process, committed by the first attempt alone."""

from __future__ import annotations

import errno
import os
import pickle
from pathlib import Path

import numpy as np
import pytest

from corpuscurate.core import artefact
from corpuscurate.core.artefact import (
    Artefacts,
    attempt,
    commit,
    create_sealed,
    marker_path,
    read_commit,
    read_sealed,
    remove_abandoned,
    remove_task,
    write_sealed,
)
from corpuscurate.core.errors import DamagedError


def make(home: Path, content: bytes = b"content", **more: bytes) -> Artefacts:
    with attempt(home) as folder:
        (folder / "a.bin").write_bytes(content)
        for name, other in more.items():
            (folder / name).write_bytes(other)
        assert commit(home, folder, {"told": 1})
    return Artefacts(str(home))


@pytest.fixture(autouse=True)
def another_process(monkeypatch):
    """As in a process that wrote nothing."""
    monkeypatch.setattr(artefact, "_CHECKED", set())


def test_a_task_is_found_by_name(tmp_path):
    made = make(tmp_path / "t.x-1", b=b"other")
    assert made.names() == ["a.bin", "b"]
    assert made.name == "t.x-1"
    assert "b" in made
    assert Path(made["a.bin"]).read_bytes() == b"content"
    assert made["a.bin"].size == 7
    assert pickle.loads(pickle.dumps(made["b"])) == made["b"]  # noqa: S301
    with pytest.raises(DamagedError, match="no file 'c'"):
        _ = made["c"]
    with pytest.raises(DamagedError, match="not finished"):
        Artefacts(str(tmp_path / "other")).names()


def test_whoever_opens_a_file_has_it_checked(tmp_path):
    with attempt(tmp_path / "t") as folder:
        np.save(folder / "a.npy", np.arange(5))
        commit(tmp_path / "t", folder, {})
    made = Artefacts(str(tmp_path / "t"))
    artefact._CHECKED.clear()
    assert np.load(made["a.npy"]).tolist() == [0, 1, 2, 3, 4]
    raw = bytearray(Path(made["a.npy"].uri).read_bytes())
    raw[-1] ^= 1
    Path(made["a.npy"].uri).write_bytes(raw)
    np.load(made["a.npy"])  # checked once a process: a run does not read everything many times
    artefact._CHECKED.clear()
    with pytest.raises(DamagedError, match=r"a\.npy is damaged: its bytes are not those that were written"):
        np.load(made["a.npy"])
    assert pickle.loads(pickle.dumps(DamagedError("p", "why"))).path == "p"  # noqa: S301


@pytest.mark.parametrize("harm", ["cut", "gone", "flip"])
def test_what_is_damaged_does_not_count_as_done(tmp_path, harm):
    made = make(tmp_path / "t")
    path = Path(made["a.bin"].uri)
    if harm == "gone":
        path.unlink()
    else:
        path.write_bytes(b"conten" if harm == "cut" else b"contenu")
    artefact._CHECKED.clear()
    assert read_commit(tmp_path / "t") is None
    assert list(tmp_path.iterdir()) == []


def test_every_flipped_bit_of_a_marker_is_noticed(tmp_path):
    make(tmp_path / "t")
    marker = marker_path(tmp_path / "t")
    whole = marker.read_bytes()
    value = read_sealed(marker)
    assert value["told"] == 1
    for place in range(len(whole)):
        for bit in range(8):
            raw = bytearray(whole)
            raw[place] ^= 1 << bit
            marker.write_bytes(raw)
            assert read_sealed(marker) in (None, value), (place, bit)  # white space may differ


def test_the_first_attempt_stands_and_a_later_one_leaves_nothing(tmp_path):
    home = tmp_path / "t"
    with attempt(home) as first, attempt(home) as second:
        (first / "a.bin").write_bytes(b"first")
        (second / "a.bin").write_bytes(b"second")
        assert commit(home, second, {})
        assert not commit(home, first, {})
    assert Path(Artefacts(str(home))["a.bin"]).read_bytes() == b"second"
    assert len(list(tmp_path.iterdir())) == 2, "one folder, one marker"


def test_what_no_marker_names_is_removed(tmp_path):
    make(tmp_path / "in" / "t")
    for name in ("t", "u"):
        with attempt(tmp_path / "in" / name) as folder:
            (folder / "half").write_bytes(b"")
    before = {path.name for path in (tmp_path / "in").iterdir()}
    remove_abandoned(tmp_path)
    assert {path.name for path in (tmp_path / "in").iterdir()} < before
    assert Artefacts(str(tmp_path / "in" / "t")).names() == ["a.bin"]
    remove_task(tmp_path / "in" / "t")
    assert list((tmp_path / "in").iterdir()) == []


def test_an_attempt_that_fails_leaves_nothing(tmp_path):
    with pytest.raises(ValueError, match="half way"), attempt(tmp_path / "t") as folder:
        (folder / "a").write_bytes(b"x")
        raise ValueError("half way")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("links", [True, False])
def test_created_only_where_there_is_none(tmp_path, monkeypatch, links):
    if not links:

        def refuse(*_):
            raise OSError(errno.EPERM, "no links here")

        monkeypatch.setattr(os, "link", refuse)
    path = tmp_path / "x.json"
    assert create_sealed(path, {"n": 1})
    assert not create_sealed(path, {"n": 2})
    assert read_sealed(path) == {"n": 1}
    write_sealed(path, {"n": 3})
    assert read_sealed(path) == {"n": 3}
    assert [each.name for each in tmp_path.iterdir()] == ["x.json"]
