"""Which files a recipe means, and how they are opened. The only file that knows fsspec.

Local paths are used as they are; anything with a `scheme://` goes through fsspec.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import lru_cache
from glob import escape, has_magic
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO, cast

import fsspec
import pyarrow as pa
from fsspec.asyn import AsyncFileSystem
from fsspec.utils import glob_translate

from corpuscurate.core.doc_ids import POSITION_BITS
from corpuscurate.core.errors import InputError, nearest
from corpuscurate.io.base import SourceFile, input_format
from corpuscurate.io.decompress import Inflated, Truncated, decompress
from corpuscurate.io.file_names import folder_values, has_format, is_hidden, is_meant, kind_of, unknown_suffix
from corpuscurate.io.local_glob import entries, is_folder, local_glob
from corpuscurate.io.reading import Stored, is_passing, open_local, read_error, real_error, retried, why

__all__ = ["PassedOver", "Truncated", "expand", "file_state", "list_input", "open_bytes", "open_mapped", "open_read"]

_VERSION_KEYS = (
    *("ETag", "etag", "generation", "md5", "Content-MD5"),
    *("Last-Modified", "LastModified", "last_modified", "updated", "modified", "mtime"),
)
"""How fsspec's file systems call what changes with a file's content, the surest first."""
MAX_FILES = 1 << 24
MAX_FILE_BYTES = 1 << POSITION_BITS


@dataclass(frozen=True, slots=True)
class _Found:
    """A file before it is numbered. real: what two names of one file share."""

    name: str
    path: str
    real: str
    size: int
    format: str
    compression: str | None
    folders: tuple[tuple[str, str | None], ...] = ()


@dataclass(frozen=True, slots=True)
class PassedOver:
    """A file that lies where the input is, and is not read. path: as it would be opened; hidden: because its name, or
    that of a folder above it, begins with "." or "_"; otherwise its suffix tells no format, or another than `format:`.
    """

    path: str
    hidden: bool = False


def expand(patterns: Sequence[str], base: Path, format: str | None) -> list[SourceFile]:
    """The files of `list_input`."""
    return list_input(patterns, base, format)[0]


def list_input(patterns: Sequence[str], base: Path, format: str | None) -> tuple[list[SourceFile], list[PassedOver]]:
    """The input files in the order of `patterns`, each real file once, numbered from 0; and the files passed over.

    The files of one pattern are sorted bytewise by shown name; a file that is found again keeps its first place, under
    its first name. patterns: files, folders (all files below with a known suffix; names that begin with "." or "_" are
    left out), globs with `**`, or fsspec URLs; a folder that a glob matches counts as named. base: the folder that
    relative patterns start from. format: used instead of the suffix; a folder then gives every file that has no other
    format's suffix. Raises InputError, and RecipeError for an unknown format.
    """
    if format is not None:
        input_format(format)
    found: list[_Found] = []
    passed: dict[str, PassedOver] = {}
    for pattern in patterns:
        listing = _expand_url(pattern, format) if _is_url(pattern) else _expand_local(pattern, base, format)
        found.extend(sorted(listing.files, key=lambda file: os.fsencode(file.name)))
        passed.update((each.path, each) for each in listing.passed)
    first: dict[str, _Found] = {}
    for file in found:
        first.setdefault(file.real, file)
    files = list(first.values())
    if len(files) > MAX_FILES:
        raise InputError(f"{len(files)} input files are more than {MAX_FILES}: concatenate small ones.")
    read = {path for file in files for path in (file.path, file.real)}
    numbered = [
        SourceFile(number, file.name, file.path, file.size, file.format, file.compression, file.folders)
        for number, file in enumerate(files)
    ]
    return numbered, [each for path, each in sorted(passed.items()) if path not in read]


@dataclass(slots=True)
class _Listing:
    """What a pattern gives."""

    files: list[_Found]
    passed: list[PassedOver]


@dataclass(slots=True)
class _Below:
    """Paths of the files that are meant by naming a folder, and the others."""

    meant: list[str]
    passed: list[PassedOver]


def _is_url(path: str) -> bool:
    return "://" in path


def _found(
    name: str, path: str, real: str, size: int, format: str | None, below: str = "", *, inner: str = ""
) -> _Found:
    """below: the path from what the pattern names on; inner: the file's own name where `name` goes on with the archive
    that it is in."""
    try:
        name.encode()
    except UnicodeEncodeError:
        shown = os.fsencode(name).decode("utf-8", "backslashreplace")
        raise InputError(f"The name of input file {shown} is not valid UTF-8. Rename it.") from None
    known, compression = kind_of(inner or name)
    if format is None and known is None:
        raise InputError(unknown_suffix(inner or name, compression))
    kind = cast(str, format or known)
    if compression and not input_format(kind).compressible:
        raise InputError(f"{name}: a {kind} file cannot be read compressed as a whole. Decompress it first.")
    if size > MAX_FILE_BYTES:
        raise InputError(f"{name} has {size} bytes, more than {MAX_FILE_BYTES} (1 TiB). Split it.")
    return _Found(name, path, real, size, kind, compression, folder_values(below))


def _expand_local(pattern: str, base: Path, format: str | None) -> _Listing:
    full = os.path.join(os.path.abspath(base), os.path.expanduser(pattern))  # noqa: PTH111, PTH100, PTH118
    passed: list[PassedOver] = []
    if os.path.lexists(full):
        matches = [full]
        named = full if os.path.isdir(full) else os.path.dirname(full)  # noqa: PTH112, PTH120
    elif has_magic(pattern):
        below = os.path.join(escape(os.path.abspath(base)), os.path.expanduser(pattern))  # noqa: PTH111, PTH100, PTH118
        explicit = PurePosixPath(pattern).name.startswith("_")
        matches = local_glob(below, _cannot_list)
        if not explicit:
            left_out = (path for m in matches if is_hidden(m) for path in _files_below(m, format).meant)
            passed = [PassedOver(path, True) for path in left_out if _is_readable(path, format)]
            matches = [m for m in matches if not is_hidden(m)]
        named = _fixed_part(full)
    else:
        raise InputError(_no_match(pattern, full, format))
    walked = [_files_below(match, format) for match in matches]
    paths = [path for each in walked for path in each.meant]
    if not paths:
        raise InputError(_no_match(pattern, full, format))
    passed += [each for one in walked for each in one.passed]
    return _Listing([_local(path, base, format, os.path.relpath(path, named)) for path in paths], passed)


def _fixed_part(pattern: str) -> str:
    """The folder that a glob starts from."""
    parts = Path(pattern).parts
    return str(Path(*parts[: next((at for at, part in enumerate(parts) if has_magic(part)), len(parts))]))


def _is_readable(path: str, format: str | None) -> bool:
    """Whether a local file would be read, were it named."""
    return os.path.isfile(path) and has_format(path, format)  # noqa: PTH113


def _files_below(path: str, format: str | None) -> _Below:
    """The path itself, or the files of a folder that are meant by naming it.

    Hidden files, and those of folders that begin with "_", count as passed over where their suffix is one that is read:
    others, such as _SUCCESS and .DS_Store, hold no documents. Folders that begin with "." are not looked into.
    """
    if not os.path.isdir(path):  # noqa: PTH112
        return _Below([os.path.normpath(path)], [])
    found = _Below([], [])
    seen: set[str] = set()
    waiting = [(path, False)]
    while waiting:
        folder, hidden = waiting.pop()
        real = os.path.realpath(folder)
        if real in seen:  # a link to a folder above
            continue
        seen.add(real)
        told = _pass_over if hidden else _cannot_list
        folders = []
        for entry in entries(folder, told):
            hides = hidden or is_hidden(entry.name)
            whole = os.path.normpath(entry.path)
            if is_folder(entry, told):
                folders += [] if entry.name.startswith(".") else [(entry.path, hides)]
            elif hides:
                found.passed += [PassedOver(whole, True)] if _is_readable(whole, format) else []
            elif is_meant(entry.name, format):
                found.meant.append(whole)
            else:
                found.passed.append(PassedOver(whole))
        waiting += sorted(folders, reverse=True)
    return found


def _pass_over(error: OSError) -> None:
    """Take no notice of a folder that cannot be listed: one whose files would not be read."""


def _cannot_list(error: OSError) -> None:
    raise InputError(f"Cannot list the folder {error.filename}: {error.strerror}.") from error


def _local(path: str, base: Path, format: str | None, below: str) -> _Found:
    try:
        status = retried(lambda: os.stat(path))  # noqa: PTH116
    except OSError as error:
        link = " (a link to something that is not there)" if os.path.islink(path) else ""  # noqa: PTH114
        raise InputError(f"Cannot read input file {path}{link}: {error.strerror}.") from error
    if not stat.S_ISREG(status.st_mode):
        raise InputError(f"{path} is neither a file nor a folder: pipes and devices cannot be read again.")
    if not os.access(path, os.R_OK):
        raise InputError(f"Cannot read input file {path}: Permission denied.")
    above = os.path.abspath(base)  # noqa: PTH100
    name = os.path.relpath(path, above) if path.startswith(os.path.join(above, "")) else path  # noqa: PTH118
    return _found(Path(name).as_posix(), path, os.path.realpath(path), status.st_size, format, below)


def _no_match(pattern: str, full: str, format: str | None) -> str:
    """The message for a pattern without files: where it was looked for and what is there."""
    folder = Path(full)
    if not folder.is_dir():
        parts = folder.parts
        magic = next((at for at, part in enumerate(parts) if has_magic(part)), len(parts) - 1)
        folder = Path(*parts[:magic])
    shown = f"No input file matches {pattern!r}."
    if not folder.is_dir():
        there = next(parent for parent in folder.parents if parent.is_dir())
        return f"{shown} The folder {folder} does not exist. {_listing(there, folder.name)}"
    wanted = "a known suffix" if format is None else f"the format {format}"
    reason = f"It has no file of {wanted}. " if Path(full).is_dir() else ""
    return f"{shown} Looked in {folder}. {reason}{_listing(folder, Path(full).name)}"


def _listing(folder: Path, wanted: str) -> str:
    try:
        names = sorted(entry.name + ("/" if entry.is_dir() else "") for entry in folder.iterdir())
    except OSError as error:
        return f"{folder} cannot be listed: {error.strerror}."
    if not names:
        return f"{folder} is empty."
    close = nearest(wanted, names, 5)
    more = f" and {len(names) - len(close)} more" if len(names) > len(close) else ""
    return f"{folder} holds {', '.join(close)}{more}."


def _expand_url(pattern: str, format: str | None) -> _Listing:
    if pattern.startswith("file://"):
        return _expand_local(pattern.removeprefix("file://"), Path("/"), format)
    try:
        system, path, listed, named = _list_url(pattern, format)
        sizes = [(name, _size_of(retried(lambda name=name: system.info(name)), name)) for name in listed.meant]  # type: ignore[misc]
    except ImportError as error:
        raise InputError(f"Cannot open {pattern}: {error}.") from error
    except InputError:
        raise
    except Exception as error:  # file systems raise errors of any class
        raise InputError(f"Cannot list {pattern}: {why(real_error(error))}.") from error
    if not sizes:
        raise InputError(f"No input file matches {pattern!r}.")
    before, after = _around(system, pattern, path, sizes[0][0])

    def url_of(name: str) -> str:
        return f"{before}{name}{after}" if before else str(system.unstrip_protocol(name))

    files = []
    for name, size in sizes:
        url, below = url_of(name), name.removeprefix(named).lstrip("/")
        files.append(_found(url, url, url, size, format, below, inner=name if before else ""))
    return _Listing(files, [PassedOver(url_of(each.path), each.hidden) for each in listed.passed])


def _list_url(pattern: str, format: str | None) -> tuple[Any, str, _Below, str]:
    """The file system, the path in it, the files that a URL means, and the folder that it names. Raises whatever the
    file system likes."""
    system, path = cast(tuple[Any, str], retried(lambda: fsspec.core.url_to_fs(pattern)))
    kind = _kind_of_path(system, path)
    found = _Below([], [])
    if kind == "directory":
        return system, path, _below(system, path, format), path
    if kind is not None or not has_magic(path):
        found.meant += [] if kind is None else [path]
        return system, path, found, path.rpartition("/")[0]
    matches = _url_glob(system, path)
    for name in sorted(name for name, info in matches.items() if info["type"] != "directory"):
        if not is_hidden(name):
            found.meant.append(name)
        elif has_format(name, format):
            found.passed.append(PassedOver(name, True))
    for folder in sorted(name for name, info in matches.items() if info["type"] == "directory"):
        below = _below(system, folder, format)
        found.meant += below.meant
        found.passed += below.passed
    return system, path, found, _fixed_part(path)


def _below(system: Any, folder: str, format: str | None) -> _Below:
    """The files below a folder of a remote system, as `_files_below` has those of a local one."""
    found = _Below([], [])
    for name in sorted(_files_in(system, folder)):
        if _is_meant_below(name, folder, format):
            found.meant.append(name)
        elif not _is_below_dot(name, folder):
            found.passed += _passed_below(name, folder, format)
    return found


def _passed_below(name: str, folder: str, format: str | None) -> list[PassedOver]:
    """A file below a folder of a remote system that is not meant by naming the folder: see `_files_below`."""
    if not any(is_hidden(part) for part in PurePosixPath(name.removeprefix(folder)).parts):
        return [PassedOver(name)]
    return [PassedOver(name, True)] if has_format(name, format) else []


def _is_below_dot(name: str, folder: str) -> bool:
    return any(part.startswith(".") for part in PurePosixPath(name.removeprefix(folder)).parts[:-1])


def _size_of(info: Mapping[str, Any], name: str) -> int:
    """Bytes of a file as its file system tells them. Raises InputError: without a size nobody knows what is missing."""
    if info.get("size") is None:
        raise InputError(f"Cannot read input file {name}: its size is not told. Download it, and name the copy.")
    return int(info["size"])


def _kind_of_path(system: Any, path: str) -> str | None:
    """Whether a path is a "directory", a "file" or neither (None). `isdir` and `isfile` would take errors for no."""
    try:
        kind = str(retried(lambda: system.info(path))["type"])
    except Exception as error:
        if is_passing(real_error(error)) or not (isinstance(error, FileNotFoundError) or has_magic(path)):
            raise
        kind = ""
    if kind != "directory" and system.isdir(path):  # file systems whose files may be folders too, such as HTTP
        return "directory"
    return kind or None


def _walks(system: Any, find: str = "find") -> bool:
    """Whether the file system finds files by fsspec's own walk, which leaves out folders that cannot be listed."""
    own = getattr(type(system), f"_{find}", None)
    return getattr(type(system), find) is getattr(fsspec.AbstractFileSystem, find) and (
        own is None or own is getattr(AsyncFileSystem, f"_{find}")
    )


def _entries(system: Any, folder: str, depth: int | None) -> dict[str, Mapping[str, Any]]:
    """All files and folders below a folder, to a depth. A folder that cannot be listed is an error."""
    found: dict[str, Mapping[str, Any]] = {}
    for info in retried(lambda: system.ls(folder, detail=True)):
        name = info["name"].rstrip("/")
        if name == system._strip_protocol(folder).rstrip("/"):
            if info["type"] != "directory":  # an object with the name of a folder
                found[name] = info
            continue
        found[name] = info
        if info["type"] == "directory" and (depth is None or depth > 1):
            found |= _entries(system, name, None if depth is None else depth - 1)
    return found


def _files_in(system: Any, folder: str) -> list[str]:
    """The files below a folder."""
    if not _walks(system):
        return list(retried(lambda: system.find(folder)))
    return [name for name, info in _entries(system, folder, None).items() if info["type"] != "directory"]


def _url_glob(system: Any, pattern: str) -> dict[str, Mapping[str, Any]]:
    """What a pattern matches, with the file system's own glob unless that is fsspec's, see `_walks`."""
    if not (_walks(system) and _walks(system, "glob")):
        return dict(retried(lambda: system.glob(pattern, detail=True)))
    parts = pattern.split("/")
    fixed = next(at for at, part in enumerate(parts) if has_magic(part))
    depth = None if "**" in pattern else len(parts) - fixed
    root = "/".join(parts[:fixed])
    matches = re.compile(glob_translate(pattern))
    try:
        found = _entries(system, f"{root}/" if root else "", depth)
    except FileNotFoundError as error:
        if is_passing(real_error(error)):
            raise
        return {}
    folders = pattern.endswith("/**")  # then a folder matches with a slash behind it
    return {
        name: info
        for name, info in found.items()
        if matches.match(f"{name}/" if folders and info["type"] == "directory" else name)
    }


def _around(system: Any, pattern: str, path: str, name: str) -> tuple[str, str]:
    """What stands before and after a file's path in its URL; nothing where its system can tell the URL alone.

    It cannot where the URL holds more than protocol and path: a host, a user, the archive that the file is in.
    """
    with suppress(Exception):  # a file system that lacks its host or archive raises what it likes
        if fsspec.core.url_to_fs(system.unstrip_protocol(name)) == (system, name):
            return "", ""
    before, found, after = pattern.partition(path) if path else ("", "", "")
    return (before, after) if found else ("", "")


def _is_meant_below(name: str, folder: str, format: str | None) -> bool:
    parts = PurePosixPath(name.removeprefix(folder)).parts
    return not any(is_hidden(part) for part in parts[:-1]) and is_meant(parts[-1], format)


@lru_cache(maxsize=8)
def _system_of(url: str) -> tuple[Any, str]:
    """A file system and a path in it. Held for a while: an archive is closed with its system, its files or not."""
    return cast(tuple[Any, str], fsspec.core.url_to_fs(url))


def _open_url(url: str) -> Any:
    system, path = _system_of(url)
    return system.open(path, "rb")


def _open_raw(file: SourceFile, start: int = 0) -> BinaryIO:
    """The stored bytes from `start` on. Raises InputError, and ReadError when they cannot be read."""
    url = _is_url(file.path)
    try:
        opened = Stored(file.name, lambda: _open_url(file.path) if url else open_local(file.path), file.size, start)
    except ImportError as error:
        raise InputError(f"Cannot read input file {file.name}: {error}.") from error
    return cast(BinaryIO, opened)


@contextmanager
def open_bytes(file: SourceFile, start: int = 0) -> Iterator[BinaryIO]:
    """A reader (`read(n)`, `readinto`) of the decompressed bytes, with bounded memory.

    start: bytes to leave out, only for files that are not compressed. All members of gzip and frames of Zstandard are
    read. The reader raises `Truncated` after the last byte that could be decompressed where the stream has a bad end.
    Raises ReadError when the file cannot be opened or read.
    """
    if file.compression is None:
        with _open_raw(file, start) as raw:
            yield raw
        return
    if start:
        raise ValueError("a compressed file can only be read from its start")
    with Inflated(decompress(lambda: _open_raw(file), file.compression)) as reader:
        yield cast(BinaryIO, reader)


def open_read(file: SourceFile) -> pa.NativeFile:
    """The stored bytes for random access, read as they are asked for. Raises ReadError."""
    return pa.PythonFile(_open_raw(file), "r") if file.size else pa.BufferReader(b"")


def open_mapped(file: SourceFile) -> pa.NativeFile:
    """The stored bytes for random access: a memory map of a local file, so that a record batch larger than memory is no
    trouble. A disk that fails, or a file that is cut meanwhile, ends the process (SIGBUS). Raises ReadError."""
    if _is_url(file.path):
        return open_read(file)
    try:
        return retried(lambda: pa.memory_map(file.path)) if file.size else pa.BufferReader(b"")
    except OSError as error:
        raise read_error(file.name, _with_text(error)) from error


def _with_text(error: OSError) -> OSError:
    """An error of Arrow with the system's own words."""
    return OSError(error.errno, os.strerror(error.errno)) if error.errno else error


def file_state(file: SourceFile) -> dict[str, Any]:
    """Size and time of change, to notice input that changed while it was read. Raises ReadError when it is gone.

    mtime_ns: 0 where the file system tells no time; then `version` holds what it tells instead (ETag, generation).
    """
    try:
        if not _is_url(file.path):
            status = retried(lambda: os.stat(file.path))  # noqa: PTH116
            return {"size": status.st_size, "mtime_ns": status.st_mtime_ns}
        system, path = fsspec.core.url_to_fs(file.path)
        info = retried(lambda: system.info(path))
    except Exception as error:  # file systems raise errors of any class
        raise read_error(file.name, error) from error
    version = next((str(info[key]) for key in _VERSION_KEYS if info.get(key)), "")
    return {"size": int(info["size"] or 0), "mtime_ns": 0, "version": version}
