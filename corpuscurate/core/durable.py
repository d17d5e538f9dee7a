"""Files and folders that appear whole or not at all, and are on disk when they do."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

import orjson

NO_LINKS = (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK)
"""Errors of a file system that makes no hard link."""


def link_file(source: Path, target: Path) -> None:
    """Give a finished file a second name, so that it outlasts the first one; a copy where there are no links."""
    try:
        os.link(source, target)
    except OSError as error:
        if error.errno not in NO_LINKS:
            raise
        shutil.copyfile(source, target)


def write_json(path: Path, value: Any, *, durable: bool = True) -> None:
    """Write a JSON file as `write_whole` does."""
    content = orjson.dumps(value, option=orjson.OPT_INDENT_2 | orjson.OPT_SERIALIZE_NUMPY) + b"\n"
    write_whole(path, content, durable=durable)


def write_whole(path: Path, content: bytes, *, durable: bool = True) -> None:
    """Write a file under a temporary name, flush it to disk, rename it."""
    part = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    with part.open("wb") as file:
        file.write(content)
        if durable:
            sync_file(file)
    part.replace(path)


def read_json(path: Path) -> Any:
    """The value of a JSON file."""
    return orjson.loads(path.read_bytes())


def sync_file(file: IO[bytes]) -> None:
    """Flush an open file to disk."""
    file.flush()
    os.fsync(file.fileno())


def sync_tree(folder: Path, *, forget: bool = False) -> None:
    """Flush every file of a folder, and the folder, to disk, so that a later rename never shows empty files.

    forget: the files leave the system's cache.
    """
    for path in [*(p for p in folder.rglob("*") if p.is_file()), folder]:
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
            if forget:
                leave_cache(handle)
        finally:
            os.close(handle)


def forget_file(path: str | os.PathLike[str]) -> None:
    """Drop a file that is on disk, and that the run does not read again, from the system's page cache.

    Its memory is reused for the next writes, which would otherwise take fresh memory or evict the input from the cache.
    """
    handle = os.open(path, os.O_RDONLY)
    try:
        leave_cache(handle)
    finally:
        os.close(handle)


def leave_cache(handle: int) -> None:
    """Drop the written pages of an open file from the system's page cache, and start to write the others."""
    if hasattr(os, "posix_fadvise"):  # not on macOS
        with suppress(OSError):  # a hint, which not every file system takes
            os.posix_fadvise(handle, 0, 0, os.POSIX_FADV_DONTNEED)


@contextmanager
def whole_folder(final: Path, *, durable: bool = True, last: bool = False) -> Iterator[Path]:
    """A new folder that appears as `final` only when the block ends without an error; an old one is replaced.

    durable: flush it to disk before it appears. Otherwise a crash of the machine may leave truncated files.
    last: nothing reads it again, so it leaves the system's page cache.
    """
    final.parent.mkdir(parents=True, exist_ok=True)
    part = final.with_name(f".{final.name}.{os.getpid()}.tmp")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir()
    try:
        yield part
        if durable:
            sync_tree(part, forget=last)
        if final.exists():
            shutil.rmtree(final)
        part.rename(final)
    except BaseException:
        shutil.rmtree(part, ignore_errors=True)
        raise
