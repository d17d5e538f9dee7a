"""Lists of words in plain text files, an entry a line."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from corpuscurate.core.digests import digest_file
from corpuscurate.core.errors import InputError


def read_words(path: str) -> tuple[str, ...]:
    """The entries of a file: its lines without the white space around them, in order, each once, blank ones left out.
    Remembered while the file's size and time of change stay. Raises InputError."""
    return _words(path, *_state(path))


def words_digest(path: str) -> str:
    """The digest of the file's bytes. Raises InputError."""
    return _digest(path, *_state(path))


def _state(path: str) -> tuple[int, int]:
    try:
        found = Path(path).stat()
    except OSError as error:
        raise InputError(f"the list of words {path!r} cannot be read: {error.strerror or error}") from error
    if not Path(path).is_file():
        raise InputError(f"the list of words {path!r} is no file: expected text with an entry a line")
    return found.st_size, found.st_mtime_ns


@lru_cache(8)
def _digest(path: str, size: int, changed: int) -> str:
    return digest_file(Path(path))


@lru_cache(8)
def _words(path: str, size: int, changed: int) -> tuple[str, ...]:
    try:
        text = Path(path).read_text("utf-8-sig")
    except OSError as error:
        raise InputError(f"the list of words {path!r} cannot be read: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise InputError(f"the list of words {path!r} is not UTF-8 (byte {error.start})") from error
    words = tuple(dict.fromkeys(filter(None, map(str.strip, text.split("\n")))))
    if not words:
        raise InputError(f"the list of words {path!r} is empty: expected an entry a line")
    return words
