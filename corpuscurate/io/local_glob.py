"""`glob.glob(pattern, recursive=True)` and the listing of folders that raise where a folder cannot be listed.

Those of the standard library pass over such a folder, and its files would be missing without a word.
"""

from __future__ import annotations

import errno
import fnmatch
import os
from collections.abc import Callable, Iterator
from glob import has_magic

from corpuscurate.io.reading import retried

Told = Callable[[OSError], None]


def local_glob(pattern: str, cannot_list: Told) -> list[str]:
    """The paths that an absolute pattern matches, sorted. cannot_list: called with the error of a folder; raises."""
    parts = [part for part in pattern.split("/") if part]
    slash = ["" for _ in range(pattern.endswith("/"))]
    return sorted(set(_below("/", [*parts, *slash], cannot_list)))


def _below(folder: str, parts: list[str], cannot_list: Told) -> Iterator[str]:
    """What `parts` match below a folder."""
    head, rest = parts[0], parts[1:]
    if head == "":  # the pattern ends in a slash: folders alone
        yield os.path.join(folder, "")  # noqa: PTH118
    elif head == "**":
        yield from _any_depth(folder, rest, cannot_list, (os.path.realpath(folder),))
    elif not has_magic(head):
        path = os.path.join(folder, head)  # noqa: PTH118
        if not rest and os.path.lexists(path):
            yield path
        elif rest and os.path.isdir(path):  # noqa: PTH112
            yield from _below(path, rest, cannot_list)
    else:
        names = (entry for entry in entries(folder, cannot_list) if not _is_hidden(entry.name) or head[0] == ".")
        for entry in [entry for entry in names if fnmatch.fnmatch(entry.name, head)]:
            if not rest:
                yield entry.path
            elif is_folder(entry, cannot_list):
                yield from _below(entry.path, rest, cannot_list)


def _any_depth(folder: str, rest: list[str], cannot_list: Told, above: tuple[str, ...]) -> Iterator[str]:
    """What `rest` matches in a folder and in all below it. above: the real folders on the way (links may loop)."""
    yield from _below(folder, rest, cannot_list) if rest else [folder]
    for entry in entries(folder, cannot_list):
        if _is_hidden(entry.name):
            continue
        real = os.path.realpath(entry.path) if is_folder(entry, cannot_list) else ""
        if real and real not in above:
            yield from _any_depth(entry.path, rest, cannot_list, (*above, real))
        elif not rest:
            yield entry.path


def entries(folder: str, cannot_list: Told) -> list[os.DirEntry[str]]:
    """The entries of a folder, by name."""

    def listed() -> list[os.DirEntry[str]]:
        with os.scandir(folder) as found:
            return sorted(found, key=lambda entry: entry.name)

    try:
        return retried(listed)
    except OSError as error:
        error.filename = error.filename or folder
        cannot_list(error)
    return []


def is_folder(entry: os.DirEntry[str], cannot_list: Told) -> bool:
    """Whether an entry is a folder, or a link to one."""
    try:
        return retried(entry.is_dir)
    except OSError as error:
        if error.errno != errno.ELOOP:  # links that lead in a circle
            error.filename = error.filename or entry.path
            cannot_list(error)
    return False


def _is_hidden(name: str) -> bool:
    return name.startswith(".")
