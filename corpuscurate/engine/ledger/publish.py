"""The output folder: claims it for a run, and gives finished files their final names.

data/, dropped/, edits/ and quarantine/ are filled beside their final paths and renamed as whole folders; then comes the
dataset card, and report.json last. If a run is killed in between, the next run finishes the publication from PUBLISH.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import xxhash

from corpuscurate.core.artefact import Artefact, Artefacts, check, read_sealed, remove_abandoned, write_sealed
from corpuscurate.core.digests import digest_file, fingerprint
from corpuscurate.core.durable import read_json, write_json, write_whole
from corpuscurate.core.errors import DamagedError, OutputError
from corpuscurate.core.run_folder import (
    AMEND,
    AMENDING,
    BASIS,
    CARD,
    FORGOTTEN,
    FORM,
    GATHER,
    KEPT,
    KINDS,
    LOCK,
    MANIFEST,
    PUBLISH,
    PUBLISHED,
    PUBLISHING,
    REPORT,
    RUN,
    STATE,
    TEMPORARY,
    WRITE,
    is_attempt_of,
    is_measure_folder,
    is_unpublished,
    published,
)
from corpuscurate.engine.ledger.amend import finish
from corpuscurate.engine.ledger.card import card_text
from corpuscurate.engine.manifest import Manifest
from corpuscurate.engine.session import locked
from corpuscurate.engine.task import Task

SHOWN = 5
"""Changed files that an error names."""


class OutputFolder:
    """The folder that a recipe names under `output: path`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.state = path / STATE

    def finish_amendment(self, overwrite: bool) -> None:
        """Finish the change of a finished run that was interrupted, if there is one (`ledger.amend`).

        Raises OutputError where its journal is damaged, unless `overwrite`: then nothing of it is needed.
        """
        if (self.state / AMEND).exists():
            with locked(self.state):
                if overwrite and read_sealed(self.state / AMEND) is None:
                    _remove(self.state / AMEND)
                finish(self.path)

    def claim(self, identity: str, overwrite: bool, verify: bool = False) -> dict[str, Any] | None:
        """Check that the folder may be used, and change nothing. Returns the report if it holds this run, finished.

        verify: compare the digests of all its files. Raises OutputError when it holds something else, or a finished run
        whose files are not as they were written, and `overwrite` is False.
        """
        if self.path.exists() and not self.path.is_dir():
            raise OutputError(f"the output {self.path} is a file. Name a folder, new or empty.")
        there = sorted(p.name for p in self.path.iterdir()) if self.path.exists() else []
        if not there:
            return None
        run = self._run(overwrite)
        if run is None:
            if set(there) <= {STATE, FORGOTTEN}:
                return None
            raise OutputError(
                f"the output folder {self.path} is not empty and holds no corpuscurate run: {', '.join(there[:5])}"
                f"{' ...' if len(there) > 5 else ''}. Name a new or an empty folder; nothing was changed in this one."
            )
        if overwrite:
            return None
        if run["identity"] == identity:
            return self._finished(verify) if (self.path / REPORT).is_file() else None
        state = "a finished" if (self.path / REPORT).is_file() else "an unfinished"
        raise OutputError(
            f"the output folder {self.path} holds {state} run of another recipe or other input, or one made by "
            "other versions of packages or, where a model computes, on another kind of processor "
            f"(fingerprint {run['identity'][:12]}, this one is {identity[:12]}). "
            "Name another folder, or give --overwrite to replace it."
        )

    def _finished(self, verify: bool) -> dict[str, Any]:
        """The report of the run, whose files are there with their sizes and times; where a time is another one, or
        `verify` is set, with their digests. Raises OutputError."""
        again = "Put them back, or give --overwrite to write all of them again."
        try:
            report: dict[str, Any] = read_json(self.path / REPORT)
            outputs = [(str(file["name"]), int(file["bytes"]), str(file["xxh3_64"])) for file in report["outputs"]]
        except (ValueError, KeyError, TypeError) as error:
            raise OutputError(
                f"the run in {self.path} is finished, but its {REPORT} cannot be read ({error}). {again}"
            ) from error
        times = (self._read(PUBLISHED) or {}).get("times", {})
        faults = []
        for name, size, digest in outputs:
            fault = _changed(self.path / name, size, digest, times.get(name), verify)
            faults += [f"{name} {fault}"] if fault else []
        if faults:
            more = f"; and {len(faults) - SHOWN} more" if len(faults) > SHOWN else ""
            raise OutputError(
                f"the run in {self.path} is finished, but its files are not as they were written:"
                f" {'; '.join(faults[:SHOWN])}{more}. {again}"
            )
        return report

    def foreign(self, report: Mapping[str, Any]) -> list[str]:
        """Files that lie among those of the finished run and are not of it, sorted; hidden ones apart."""
        own = {str(file["name"]) for file in report["outputs"]}
        there = (path for kind in KINDS for path in (self.path / kind).rglob("*") if path.is_file())
        names = (path.relative_to(self.path).as_posix() for path in there if not path.name.startswith("."))
        return sorted(name for name in names if name not in own)

    def _run(self, overwrite: bool) -> Any:
        """The content of RUN; None where it is missing or damaged. Raises OutputError for a folder of another form."""
        value = self._read(RUN)
        if value is None or value["form"] == FORM or overwrite:
            return value
        raise OutputError(
            f"the run in {self.path} is of form {value['form']} and this version of corpuscurate writes form {FORM}, so"
            " it cannot go on with it. Give --overwrite to replace it, name another folder, or use the version that"
            " began it."
        )

    def _clear(self) -> None:
        if self._is_our_card((self._read(PUBLISHED) or {}).get("card")):
            _remove(self.path / CARD)
        for name in (
            REPORT,
            *KINDS,
            f"{STATE}/{PUBLISHED}",
            f"{STATE}/{PUBLISH}",
            f"{STATE}/{PUBLISHING}",
            f"{STATE}/{WRITE}",
            f"{STATE}/{GATHER}",
            f"{STATE}/{AMENDING}",
        ):
            _remove(self.path / name)

    def begin(self, identity: str, manifest: Manifest, overwrite: bool) -> None:
        """Note whose run this is. What an earlier run left goes: its results, and where the input was another, its
        artefacts too, since their splits mean nothing here."""
        value = [manifest.identity(split) for split in manifest.splits]
        before = self._run(overwrite)
        if before is not None and before["form"] != FORM:
            self._clear()
            before = {**before, "manifest": None}
        if overwrite or (before is not None and before["identity"] != identity):
            self._clear()
        if before is not None and before["manifest"] != fingerprint(value):
            for path in self.state.iterdir():
                if path.name != LOCK:
                    _remove(path)
        own = (path for name in (REPORT, CARD) for path in self.path.glob(f".{name}{TEMPORARY[1:]}"))
        for path in [*self.state.rglob(TEMPORARY), *own]:  # left by a run that was killed
            _remove(path)
        remove_abandoned(self.state)
        write_sealed(self.state / MANIFEST, {"splits": value, "states": manifest.states})
        write_sealed(self.state / RUN, {"form": FORM, "identity": identity, "manifest": fingerprint(value)})

    def _read(self, name: str) -> Any:
        value = read_sealed(self.state / name)
        return self._unsealed(name) if value is None and name == RUN else value

    def _unsealed(self, name: str) -> Any:
        """The content of a file without a digest, as form 1 has it."""
        try:
            value = read_json(self.state / name)
        except (FileNotFoundError, ValueError):
            return None
        return {"form": 1, **value} if isinstance(value, dict) and "identity" in value else None

    def pending_report(self, identity: str) -> tuple[dict[str, Any] | None, list[str]]:
        """The report of a run that was stopped while its files were being renamed, and what to warn of.

        None where there is none, or where one of the files is not what was written: then nothing is left of them.
        """
        report = self._read(PUBLISH)
        if report is not None and report["fingerprint"] == identity:
            try:
                for file in report["outputs"]:
                    check(Artefact(str(self._where(file)), file["bytes"], file["xxh3_64"]))
            except DamagedError as error:
                self._clear()
                return None, [f"{error}; it is made again"]
            return report, []
        if any((self.path / name).exists() for name in (*KINDS, f"{STATE}/{PUBLISH}")):
            self._clear()  # without its list nobody knows what of it is there
        return None, []

    def _where(self, file: Mapping[str, Any]) -> Path:
        """Where a file of a report that is being published is by now."""
        name = str(file["name"])
        if (self.path / name.split("/", 1)[0]).exists():
            return self.path / name
        moved = self.state / PUBLISHING / name
        return moved if moved.exists() else self.state / str(file["from"])

    def collect(self, tasks: Sequence[Task]) -> list[dict[str, Any]]:
        """The files of the writing tasks: final name, bytes, digest, and `from`, the path within the run folder."""
        files = []
        for task in tasks:
            done = Artefacts(str(task.home))
            for flat in filter(is_unpublished, done.names()):
                file = done[flat]
                where = os.path.relpath(file.uri, self.state)
                files.append({"name": published(flat), "bytes": file.size, "xxh3_64": file.digest, "from": where})
        return sorted(files, key=lambda file: str(file["name"]))

    def publish(self, report: dict[str, Any]) -> dict[str, Any]:
        """Give all files their final names, then write the report. Returns the public report."""
        write_sealed(self.state / PUBLISH, report)
        stage = self.state / PUBLISHING
        kinds = {file["name"].split("/")[0] for file in report["outputs"]}
        for kind in (kind for kind in KINDS if kind in kinds):
            if (self.path / kind).exists():
                continue
            for file in report["outputs"]:
                if file["name"].split("/")[0] == kind:
                    (stage / file["name"]).parent.mkdir(parents=True, exist_ok=True)
                    self._move(self.state / file["from"], stage / file["name"], file["bytes"])
            (stage / kind).rename(self.path / kind)
        self._write_card([str(file["name"]) for file in report["outputs"]])
        public = {**report, "outputs": [_public(file) for file in report["outputs"]]}
        write_json(self.path / REPORT, public)
        _remove(stage)
        _remove(self.state / PUBLISH)
        _remove(self.state / WRITE)
        _remove(self.state / GATHER)
        return public

    def _write_card(self, names: Sequence[str]) -> None:
        """Note sizes, times and the card's digest; then write the card, except over one that somebody else wrote."""
        card = card_text(names).encode()
        digest = xxhash.xxh3_64_hexdigest(card)
        times = {name: (self.path / name).stat().st_mtime_ns for name in names}
        path = self.path / CARD
        ours = not path.exists() or self._is_our_card(digest)
        write_sealed(self.state / PUBLISHED, {"times": times, "card": digest if ours else None})
        if ours:
            write_whole(path, card)

    def _is_our_card(self, digest: str | None) -> bool:
        """Whether the card is a file as this class left it. digest: of what was written."""
        path = self.path / CARD
        return digest is not None and path.is_file() and digest_file(path) == digest

    def _move(self, source: Path, target: Path, size: int) -> None:
        if source.exists():
            source.rename(target)
        if not target.exists() or target.stat().st_size != size:
            raise OutputError(
                f"{target} is missing or changed since it was written. Run again with --overwrite to write it anew."
            )

    def tidy(self, retain: str) -> None:
        """After success, delete what `retain` does not keep. index: keep what later runs can compare with."""
        if retain == "all":
            return
        for path in self.state.iterdir():
            is_index = (is_measure_folder(path.name) or is_attempt_of(path.name, KEPT)) and retain == "index"
            if path.is_dir() and not is_index:
                _remove_but(path, f"{BASIS}*" if retain == "index" else "")


def _remove_but(folder: Path, pattern: str) -> None:
    """Delete a folder except its children that match the pattern; the whole folder where none does."""
    kept = sorted(folder.glob(pattern)) if pattern else []
    for path in sorted(folder.iterdir()) if kept else [folder]:
        if path not in kept:
            _remove(path)


def _changed(path: Path, size: int, digest: str, time: int | None, verify: bool) -> str:
    """How a file is not what was written; "" where it is. time: of its last change, ns, where that was noted."""
    try:
        state = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return "is gone"
    if not path.is_file():
        return "is no file"
    if state.st_size != size:
        return f"has {state.st_size:,} bytes and was written with {size:,}"
    if (verify or time not in (None, state.st_mtime_ns)) and digest_file(path) != digest:
        return "has other bytes than were written"
    return ""


def _public(file: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in file.items() if key != "from"}


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
