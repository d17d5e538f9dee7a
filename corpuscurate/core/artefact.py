"""Artefacts as handles: the files of a task are found through its marker and checked before use.

Each attempt at a task writes into a folder of its own. When all files are complete, the marker is created, only if
there is none yet: it names the folder, and the size and digest of each file. Readers trust markers alone, so a second
attempt at the same task, such as one on another node, can neither replace files in use nor be taken for the first. Each
process that did not write a file checks its digest once, before first use. All this requires of a file system is that
it can create a small file if absent.
"""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import orjson
import xxhash

from corpuscurate.core.digests import canonical, digest_file
from corpuscurate.core.durable import NO_LINKS, sync_file, sync_tree
from corpuscurate.core.errors import DamagedError
from corpuscurate.core.run_folder import attempt_folder, is_attempt_folder, marker_file, marker_of_attempt

_CHECKED: set[tuple[str, str]] = set()
"""(path, digest) of the files that this process wrote or has checked."""


@dataclass(frozen=True, slots=True)
class Artefact:
    """A finished file. uri: where it is; size: bytes; digest: xxh3-64, 16 hex digits.

    It is path-like: opening it (`numpy.load`, `os.fspath`) checks it first. A small, picklable value.
    """

    uri: str
    size: int
    digest: str

    def __fspath__(self) -> str:
        """The local path, its size checked at each use and its digest once a process. Raises DamagedError."""
        if (self.uri, self.digest) in _CHECKED:
            _check_size(self)
        else:
            check(self)
        return self.uri

    def resolve(self) -> Path:
        """The local path: numpy.memmap asks this of whatever is path-like."""
        return Path(self.__fspath__()).resolve()

    @property
    def name(self) -> str:
        """Its file name."""
        return self.uri.rsplit("/", 1)[-1]


@dataclass(frozen=True, slots=True)
class Artefacts:
    """The files of a finished task, by name. home: path of the task; its marker stands beside it."""

    home: str

    def __getitem__(self, name: str) -> Artefact:
        """A file of the task. Raises DamagedError where the task is not finished or has no such file."""
        files = self._marker()["files"]
        if name not in files:
            raise DamagedError(self.home, f"its task left no file {name!r}")
        size, digest = files[name]
        return Artefact(f"{self.folder}/{name}", size, digest)

    def __contains__(self, name: str) -> bool:
        return name in self._marker()["files"]

    @property
    def folder(self) -> str:
        """The folder of the files, for messages and for moving them; to read a file, ask for it by name."""
        return f"{os.path.dirname(self.home)}/{self._marker()['data']}"  # noqa: PTH120  (a URI)

    @property
    def name(self) -> str:
        """The task's name."""
        return self.home.rsplit("/", 1)[-1]

    def names(self) -> list[str]:
        """The names of the files, sorted."""
        return sorted(self._marker()["files"])

    def _marker(self) -> Mapping[str, Any]:
        folder, name = os.path.split(self.home)
        path = os.path.join(folder, marker_file(name))  # noqa: PTH118  (at each use of a file: a Path costs more)
        try:
            state = os.stat(path)  # noqa: PTH116
        except FileNotFoundError:
            raise DamagedError(path, "its task is not finished") from None
        found = _read_marker(path, state.st_ino, state.st_mtime_ns, state.st_size)
        if found is None:
            raise DamagedError(path, "it does not hold what was written")
        return found


def marker_path(home: Path) -> Path:
    """The marker of a task."""
    return home.with_name(marker_file(home.name))


@lru_cache(maxsize=4096)
def _read_marker(path: str, *_state: int) -> Mapping[str, Any] | None:
    value = read_sealed(Path(path))
    return value if isinstance(value, dict) else None


def check(artefact: Artefact) -> None:
    """Hold a file against its size and digest. Raises DamagedError."""
    _check_size(artefact)
    if digest_file(Path(artefact.uri)) != artefact.digest:
        raise DamagedError(artefact.uri, "its bytes are not those that were written")
    _CHECKED.add((artefact.uri, artefact.digest))


def _check_size(artefact: Artefact) -> None:
    try:
        size = os.stat(artefact.uri).st_size  # noqa: PTH116  (at each use of a file)
    except FileNotFoundError:
        raise DamagedError(artefact.uri, "it is gone") from None
    if size != artefact.size:
        raise DamagedError(artefact.uri, f"it has {size} bytes and was written with {artefact.size}")


@contextmanager
def attempt(home: Path) -> Iterator[Path]:
    """A new folder for one attempt at the task of `home`; it is deleted when the block fails."""
    home.parent.mkdir(parents=True, exist_ok=True)
    folder = home.with_name(attempt_folder(home.name, uuid.uuid4().hex[:12]))
    folder.mkdir()
    try:
        yield folder
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def commit(
    home: Path,
    folder: Path,
    value: Mapping[str, Any],
    *,
    digests: Mapping[str, str] | None = None,
    durable: bool = True,
    last: bool = False,
) -> bool:
    """Create the marker of a task for the files of an attempt in `folder`. Returns whether this attempt was the first.

    value: JSON-able, further entries of the marker. digests: of files that were digested while they were written.
    durable: the files are flushed to disk before the marker is created. last: nothing reads the files again, so they
    leave the system's cache. The files of an attempt that was not the first are deleted.
    """
    known = digests or {}
    files: dict[str, tuple[int, str]] = {
        path.name: (path.stat().st_size, known.get(path.name) or digest_file(path)) for path in sorted(folder.iterdir())
    }
    if durable:
        sync_tree(folder, forget=last)
    marker = {**value, "data": folder.name, "files": files}
    first = create_sealed(marker_path(home), marker, durable=durable)
    if first:
        _CHECKED.update((f"{folder}/{name}", digest) for name, (_, digest) in files.items())
    else:
        shutil.rmtree(folder, ignore_errors=True)
    return first


def read_commit(
    home: Path, damaged: Callable[[Mapping[str, Any], DamagedError], None] | None = None
) -> Mapping[str, Any] | None:
    """The marker of a task whose files are all there and whole; None otherwise, and then nothing is left of it.

    damaged: is told of a file that is not what was written, with the marker that names it.
    """
    path = marker_path(home)
    if not path.exists():
        return None
    value = read_sealed(path)
    if isinstance(value, dict):
        whole = Artefacts(str(home))
        try:
            for name in whole.names():
                check(whole[name])
        except DamagedError as error:
            if damaged is not None:
                damaged(value, error)
        else:
            return value
    remove_task(home)
    return None


def remove_task(home: Path) -> None:
    """Delete a task's marker, then its files."""
    value = read_sealed(marker_path(home))
    marker_path(home).unlink(missing_ok=True)
    if isinstance(value, dict):
        shutil.rmtree(home.with_name(value["data"]), ignore_errors=True)


def remove_attempts(home: Path) -> None:
    """Delete a task's marker and the files of all attempts at it, those of processes that died too."""
    remove_task(home)
    for folder in home.parent.glob(attempt_folder(home.name, "*")):
        shutil.rmtree(folder, ignore_errors=True)


def remove_abandoned(state: Path) -> None:
    """Delete the folders of attempts below `state` that no marker names."""
    for folder in state.rglob(attempt_folder("*", "*")):
        if folder.is_dir() and is_attempt_folder(folder.name):
            marker = read_sealed(folder.with_name(marker_of_attempt(folder.name)))
            if not isinstance(marker, dict) or marker["data"] != folder.name:
                shutil.rmtree(folder, ignore_errors=True)


def _sealed(value: Any) -> bytes:
    digest = xxhash.xxh3_64_hexdigest(canonical(value))
    return orjson.dumps({"value": value, "xxh3_64": digest}, option=orjson.OPT_INDENT_2 | orjson.OPT_SERIALIZE_NUMPY)


def read_sealed(path: Path) -> Any:
    """The value of a JSON file that carries its own digest; None where it is missing or damaged."""
    try:
        found = orjson.loads(path.read_bytes())
        value = found["value"]
        return value if found["xxh3_64"] == xxhash.xxh3_64_hexdigest(canonical(value)) else None
    except (FileNotFoundError, ValueError, TypeError, KeyError):
        return None


def write_sealed(path: Path, value: Any, *, durable: bool = True) -> None:
    """Write a JSON file with its own digest, whole or not at all; an old one is replaced."""
    part = _written(path, _sealed(value), durable)
    part.replace(path)


def create_sealed(path: Path, value: Any, *, durable: bool = True) -> bool:
    """Write a JSON file with its own digest only if there is none. Returns whether it was written."""
    part = _written(path, _sealed(value), durable)
    try:
        os.link(part, path)
        return True
    except FileExistsError:
        return False
    except OSError as error:
        if error.errno not in NO_LINKS:
            raise
        return _created(path, part.read_bytes())  # a file system without links
    finally:
        with suppress(FileNotFoundError):
            part.unlink()


def _created(path: Path, content: bytes) -> bool:
    try:
        with path.open("xb") as file:  # cut short by a crash, it fails its own digest
            file.write(content)
            sync_file(file)
        return True
    except FileExistsError:
        return False


def _written(path: Path, content: bytes, durable: bool) -> Path:
    part = path.with_name(f".{path.name}.{os.getpid()}.{uuid.uuid4().hex[:8]}.tmp")
    with part.open("wb") as file:
        file.write(content)
        if durable:
            sync_file(file)
    return part
