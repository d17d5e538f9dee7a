"""Changes to the files of a finished run that all happen, or none.

New files are written whole into AMENDING first. The journal AMEND, sealed, then names all that is to be replaced and
removed: with it the change is decided, and from then on whoever uses the folder next finishes it. Each step may be
repeated, so a process that is killed anywhere leaves the old state, or a journal that leads to the new one.
"""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from pathlib import Path

from corpuscurate.core.artefact import read_sealed, write_sealed
from corpuscurate.core.digests import digest_file
from corpuscurate.core.durable import sync_tree
from corpuscurate.core.errors import OutputError
from corpuscurate.core.run_folder import AMEND, AMENDING, STATE


class Amendment:
    """A change that is being prepared; `commit` makes it. Whoever holds one holds the lock of the run folder."""

    def __init__(self, out: Path) -> None:
        self.out = out
        self._stage = out / STATE / AMENDING
        self._replaced: dict[str, str] = {}
        self._removed: list[str] = []
        self.committed = False
        self.discard()
        self._stage.mkdir(parents=True)

    def replacing(self, path: Path) -> Path:
        """Where to write the new content of `path`, a file of the output folder that may not be there yet."""
        name = path.relative_to(self.out).as_posix()
        self._replaced.setdefault(name, f"{len(self._replaced):06d}")
        return self._stage / self._replaced[name]

    def remove(self, path: Path) -> None:
        """Have a file or a folder removed, after all replacements."""
        self._removed.append(path.relative_to(self.out).as_posix())

    def staged(self, path: Path) -> Path | None:
        """The new content of `path`; None where it stays."""
        name = self._replaced.get(path.relative_to(self.out).as_posix())
        return None if name is None else self._stage / name

    @property
    def replaced(self) -> list[str]:
        """What is replaced, paths within the output folder."""
        return list(self._replaced)

    @property
    def removed(self) -> list[str]:
        """What is removed, paths within the output folder."""
        return list(self._removed)

    def commit(self) -> None:
        """Decide on the change, and make it."""
        sync_tree(self._stage)
        files = []
        for name, staged in self._replaced.items():
            path = self._stage / staged
            files.append([staged, name, path.stat().st_size, digest_file(path)])
        self.committed = True  # from here on: what was prepared is needed
        write_sealed(self.out / STATE / AMEND, {"replaced": files, "removed": self._removed})
        _sync(self.out / STATE)
        finish(self.out)

    def discard(self) -> None:
        """Leave nothing of what was prepared."""
        shutil.rmtree(self._stage, ignore_errors=True)


def finish(out: Path) -> bool:
    """Make the change that the journal of an output folder names; whether there was one. Takes the lock for granted.

    Raises OutputError where a file is neither the old one, prepared to be replaced, nor the new one.
    """
    state = out / STATE
    if not (state / AMEND).exists():
        return False
    journal = read_sealed(state / AMEND)
    if journal is None:
        raise OutputError(
            f"{state / AMEND} is damaged: what was being changed in {out} is unknown. Run the recipe again with"
            " --overwrite, and forget again."
        )
    for staged, name, size, digest in journal["replaced"]:
        _put(state / AMENDING / staged, out / name, size, digest)
    for folder in {(out / name).parent for _, name, *_ in journal["replaced"]}:
        _sync(folder)
    for name in journal["removed"]:
        _remove(out / name)
    (state / AMEND).unlink()
    shutil.rmtree(state / AMENDING, ignore_errors=True)
    return True


def _put(staged: Path, path: Path, size: int, digest: str) -> None:
    if staged.exists():
        os.replace(staged, path)  # noqa: PTH105  (a file there is replaced on every system)
    elif not path.is_file() or path.stat().st_size != size or digest_file(path) != digest:
        raise OutputError(f"{path} is missing or changed since it was written. Run again with --overwrite.")


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        with suppress(FileNotFoundError, NotADirectoryError):
            path.unlink()
