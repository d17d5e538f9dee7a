"""Files of a run folder that are damaged: noticed, made again and named; the bytes are those of a whole run."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.forms import FULL
from support.protocol import ARRANGED, CutSeen, Judge, files_of, pipeline, write_input

from corpuscurate.core import artefact
from corpuscurate.core.artefact import read_sealed, write_sealed
from corpuscurate.core.durable import read_json
from corpuscurate.core.errors import InputError, OutputError
from corpuscurate.core.stage import Stage
from corpuscurate.engine.passes.write import WriteBody
from corpuscurate.engine.run import run_spec
from corpuscurate.engine.runners import InProcessRunner
from corpuscurate.engine.runners.local import LocalRunner
from corpuscurate.engine.task import Task
from corpuscurate.stages.exact import Exact

STAGES: tuple[Stage, ...] = (Judge(name="judge"), Exact(), CutSeen(name="cut"), *ARRANGED)
SMALL = {"files": 1, "documents": 40}
OPTIONS = {"retain": "all", "split_bytes": 4_000, "part_bytes": 2_500}


class StopsBeforeWriting(InProcessRunner):
    """A runner that is killed when the first document is to be written."""

    def run(self, tasks: Sequence[Task], beat: Any, *warn: Any) -> Iterator[tuple[int, dict[str, Any]]]:
        if tasks and isinstance(tasks[0].body, WriteBody):
            raise KeyboardInterrupt
        yield from super().run(tasks, beat, *warn)


def spoil(path: Path, how: str, rng: np.random.Generator) -> None:
    """Flip a bit of a file, cut it short, or delete it."""
    content = bytearray(path.read_bytes())
    if how == "delete":
        path.unlink()
    elif how == "cut" or not content:
        path.write_bytes(content[: int(rng.integers(0, len(content)))] if content else b"x")
    else:
        content[int(rng.integers(0, len(content)))] ^= 1 << int(rng.integers(0, 8))
        path.write_bytes(content)


def kind_of(path: Path, state: Path) -> str:
    """Which kind of file it is: trials visit them in turn."""
    folder = path.relative_to(state).parts[0].split(".")[0]
    return f"{folder}/{''.join(c for c in path.name if not c.isdigit())}" if path.parent != state else path.name


@pytest.fixture(scope="module")
def stopped(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Two runs that were killed: before writing, and while files got their names; and one that was not."""
    base = tmp_path_factory.mktemp("faults")
    write_input(base / "in", **SMALL)
    pipeline(base, STAGES, "whole", **OPTIONS).run()
    with pytest.raises(KeyboardInterrupt):
        run_spec(pipeline(base, STAGES, "writing", **OPTIONS), runner=StopsBeforeWriting)
    real = Path.rename

    def rename(self: Path, target: Path) -> Path:
        if Path(target).name == "dropped":
            raise KeyboardInterrupt
        return real(self, target)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Path, "rename", rename)
        with pytest.raises(KeyboardInterrupt):
            pipeline(base, STAGES, "publishing", **OPTIONS).run()
    assert (base / "publishing" / "data").exists() and not (base / "publishing" / "dropped").exists()
    return {"base": base, **{name: base / name for name in ("whole", "writing", "publishing")}}


@pytest.mark.parametrize(("state", "trials"), [("writing", 40), ("publishing", 20)])
def test_a_damaged_file_is_made_again_and_named(
    stopped: dict[str, Path], state: str, trials: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(8)
    wanted = files_of(stopped["whole"])
    by_kind: dict[str, list[Path]] = {}
    for path in sorted(stopped[state].rglob("*")):
        if path.is_file() and path.name != "lock":
            by_kind.setdefault(kind_of(path, stopped[state] / "_run"), []).append(path) if "_run" in path.parts else (
                by_kind.setdefault(path.relative_to(stopped[state]).parts[0], []).append(path)
            )
    if state == "publishing":  # what was measured is not looked at again
        by_kind = {kind: those for kind, those in by_kind.items() if not kind.startswith(("measure-", "settle-"))}
    kinds = sorted(by_kind)
    assert len(kinds) > 5
    named = 0
    trials = trials if FULL else min(trials, len(kinds))  # each kind is damaged once at least
    for trial in range(trials):
        monkeypatch.setattr(artefact, "_CHECKED", set())  # as in another process
        chosen = by_kind[kinds[trial % len(kinds)]]
        path = chosen[int(rng.integers(0, len(chosen)))].relative_to(stopped[state])
        how = ("flip", "cut", "delete")[(trial + trial // len(kinds)) % 3]
        out = stopped["base"] / f"{state}-{trial}"
        shutil.copytree(stopped[state], out)
        if path.name == "run.json" and state == "publishing":
            continue  # nobody knows then whose data/ it is: see below
        spoil(out / path, how, rng)
        report = run_spec(pipeline(stopped["base"], STAGES, out.name, **OPTIONS), runner=InProcessRunner)
        assert files_of(out) == wanted, (path, how)
        warned = [text for text in report["warnings"] if "is damaged" in text]
        if is_read(path, stopped[state], state):
            assert any(path.name in text and "made again" in text for text in warned), (path, how, report["warnings"])
            named += 1
        shutil.rmtree(out)
    assert named > trials // 5


def is_read(path: Path, out: Path, state: str) -> bool:
    """Whether the run that goes on reads this file: one with data, that is no scratch of a settling."""
    kind = path.parts[1].split(".")[0] if path.parts[0] == "_run" else path.parts[0]
    if state == "publishing":
        return kind in ("data", "publish", "write", "gather") and "part-" in path.name
    if kind.startswith("settle-"):
        decided = read_sealed(out / "_run" / kind / "settled.json")["files"]
        return any(str(path).endswith(name) for files in decided.values() for name, _, _ in files)
    return kind.startswith("measure-") and path.suffix == ".arrow"


def test_data_whose_owner_is_unknown_is_not_touched(stopped: dict[str, Path]) -> None:
    out = stopped["base"] / "unknown"
    shutil.copytree(stopped["publishing"], out)
    before = sorted(path for path in out.rglob("*") if path.is_file())
    (out / "_run" / "run.json").write_bytes(b"{")
    with pytest.raises(OutputError, match="is not empty and holds no corpuscurate run"):
        pipeline(stopped["base"], STAGES, "unknown", **OPTIONS).run()
    assert sorted(path for path in out.rglob("*") if path.is_file()) == before


class Damages(InProcessRunner):
    """A runner during which finished files are damaged, each once, before the wave in which they are read."""

    todo: list[tuple[str, str]] = []  # noqa: RUF012  (a test sets it)

    def run(self, tasks: Sequence[Task], beat: Any, *warn: Any) -> Iterator[tuple[int, dict[str, Any]]]:
        damage(tasks)
        yield from super().run(tasks, beat, *warn)


def damage(tasks: Sequence[Task]) -> None:
    """What `Damages.todo` names, where it is there by now."""
    if not tasks:
        return
    state = next(path for path in tasks[0].home.parents if path.name == "_run")
    for entry in list(Damages.todo):
        found = sorted(state.glob(entry[0]))
        if found:
            Damages.todo.remove(entry)
            spoil(found[0], entry[1], np.random.default_rng(1))


@pytest.mark.parametrize(
    "pattern",
    [
        "measure-0/*/docs.arrow",
        "measure-0/*/sketch-exact.arrow",
        "settle-cut/*/lines.json",
        "settle-orderer/*/order.arrow",
        "place.*/*.arrow",
        "write/*/*pieces.arrow",
        "measure-1*/*.done.json",
    ],
)
@pytest.mark.parametrize("how", ["cut", "delete"])
@pytest.mark.campaign(3)
def test_a_file_damaged_within_the_run_is_made_again(stopped: dict[str, Path], pattern: str, how: str) -> None:
    out = stopped["base"] / "within"
    shutil.rmtree(out, ignore_errors=True)
    Damages.todo = [(pattern, how)]
    report = run_spec(pipeline(stopped["base"], STAGES, "within", **OPTIONS), runner=Damages)
    assert Damages.todo == []
    assert files_of(out) == files_of(stopped["whole"])
    assert len([text for text in report["warnings"] if "made again" in text]) == 1


def test_what_workers_wrote_is_checked_by_who_reads_it(
    stopped: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    real = LocalRunner.run

    def run(self: LocalRunner, tasks: Sequence[Task], beat: Any, *warn: Any) -> Any:
        yield from real(self, tasks, beat, *warn)
        damage(tasks)  # before this process reads it

    monkeypatch.setattr(LocalRunner, "run", run)
    Damages.todo = [
        ("measure-0/*/docs.arrow", "flip"),
        ("settle-cut/cuts.*/edits.arrow", "flip"),
        ("write/*/*pieces.arrow", "cut"),
    ]
    report = pipeline(stopped["base"], STAGES, "workers", runner="local", **{**OPTIONS, "workers": 2}).run()
    assert Damages.todo == []
    assert files_of(stopped["base"] / "workers") == files_of(stopped["whole"])
    names = ("docs.arrow", "edits.arrow", "pieces.arrow")
    told = [text for text in report["warnings"] if "made again" in text]
    assert [[name for name in names if name in text] for text in told] == [
        ["docs.arrow"],
        ["edits.arrow"],
        ["pieces.arrow"],
    ]


@pytest.mark.parametrize("how", ["flip", "cut", "delete"])
@pytest.mark.parametrize("pattern", ["kept.*/*.npy", "measure-0/*/sketch-exact.arrow", "kept.done.json", "index.json"])
@pytest.mark.campaign(3)
def test_a_damaged_index_is_an_error_that_names_it(
    tmp_path: Path, pattern: str, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_input(tmp_path / "in", **SMALL)
    pipeline(tmp_path, [Exact()], "first").run()
    (path, *_) = sorted((tmp_path / "first" / "_run").glob(pattern))
    spoil(path, how, np.random.default_rng(3))
    monkeypatch.setattr(artefact, "_CHECKED", set())
    with pytest.raises(InputError, match=r"(?s)first.*[Rr]un (it|that one) again"):
        pipeline(tmp_path, [Exact(index=(str(tmp_path / "first"),))], "second").run()
    assert not (tmp_path / "second" / "data").exists()


def test_a_run_of_another_form_is_refused_and_can_be_replaced(stopped: dict[str, Path]) -> None:
    base = stopped["base"]
    for name in ("whole", "writing"):
        out = base / f"form-{name}"
        shutil.copytree(stopped[name], out)
        value = read_sealed(out / "_run" / "run.json")
        write_sealed(out / "_run" / "run.json", {**value, "form": 3})
        with pytest.raises(
            OutputError, match=r"is of form 3 and this version of corpuscurate writes form 2.*--overwrite"
        ):
            pipeline(base, STAGES, out.name, **OPTIONS).run()
        pipeline(base, STAGES, out.name, **OPTIONS).run(overwrite=True)
        assert files_of(out) == files_of(stopped["whole"])
        assert read_json(out / "report.json")["warnings"] == read_json(stopped["whole"] / "report.json")["warnings"]
