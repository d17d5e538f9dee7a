"""Files of entries, a line each: plain, gzip or zstd; UTF-8 with or without a mark; any line ends.

Blank lines hold nothing. Comments begin with "#" and white space, or are "#" alone; in lists of URLs every line that
begins with "#" or "!" is one. Every error names the file and the line.
"""

from __future__ import annotations

import gzip
import os
import zlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import zstandard

from corpuscurate.core.errors import InputError
from corpuscurate.methods.user_files import state_of, user_digest

MOST_BYTES = 4096
"""Longest line: what has longer ones is no list."""
_MARK = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True)
class Entry:
    """Where an entry stands: the file's path, the line from 1, and the line as it is written."""

    path: str
    line: int
    text: str

    @property
    def told(self) -> str:
        """List, line and entry, for the ledger."""
        return f"{os.path.basename(self.path)}:{self.line}: {self.text}"  # noqa: PTH119  a path a hit takes 40 µs


def lines_of(path: str, what: str) -> tuple[tuple[int, str], ...]:
    """The lines of a list that hold something, without white space around them, with their numbers from 1. Raises
    InputError."""
    return _lines_of(path, what, *state_of(path, what))


def digests(paths: Sequence[str], what: str) -> list[str]:
    """The digests of lists, in their order, for a fingerprint; their names are in it, since the ledger tells them."""
    return [f"{Path(path).name}:{user_digest(path, what)}" for path in paths]


@lru_cache(16)
def _lines_of(path: str, what: str, size: int, changed: int) -> tuple[tuple[int, str], ...]:
    data = _unpacked(path, what)
    data = data.removeprefix(_MARK)
    found = []
    for number, raw in enumerate(data.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n"), 1):
        if len(raw) > MOST_BYTES:
            raise InputError(
                f"{what} {path!r}, line {number}: {len(raw):,} bytes long, where a list has an entry a line of at most"
                f" {MOST_BYTES:,}"
            )
        try:
            line = raw.decode().strip()
        except UnicodeDecodeError as error:
            raise InputError(
                f"{what} {path!r}, line {number}: not UTF-8 (byte {error.start} of the line): expected text, an entry a"
                " line"
            ) from None
        if "\0" in line:
            raise InputError(f"{what} {path!r}, line {number}: a zero byte: expected text, an entry a line")
        if line and line != "#" and not (line[0] == "#" and line[1].isspace()):
            found.append((number, line))
    return tuple(found)


def _unpacked(path: str, what: str) -> bytes:
    data = Path(path).read_bytes()
    try:
        if data[:2] == b"\x1f\x8b":
            return gzip.decompress(data)
        if data[:4] == b"\x28\xb5\x2f\xfd":
            with zstandard.ZstdDecompressor().stream_reader(data, read_across_frames=True) as reader:
                return reader.read()
    except (EOFError, OSError, zlib.error, zstandard.ZstdError) as error:
        raise InputError(f"{what} {path!r} cannot be unpacked: {error}") from error
    return data


def entries(
    paths: Sequence[str], what: str, forms: Callable[[Sequence[str]], Iterable[Sequence[bytes]]]
) -> tuple[tuple[bytes, ...], tuple[Entry, ...]]:
    """The distinct entries of lists in the form in which they are sought, and where each stands first. forms: the
    forms of each line of a file; none: it holds nothing. Raises InputError where no list holds anything."""
    found: dict[bytes, Entry] = {}
    for path in paths:
        lines = lines_of(path, what)
        for (number, line), made in zip(lines, forms([line for _, line in lines]), strict=True):
            for form in made:
                if form and form not in found:
                    found[form] = Entry(path, number, line)
    if paths and not found:
        raise InputError(f"{what} {paths[0]!r} is empty: expected text, an entry a line")
    return tuple(found), tuple(found.values())
