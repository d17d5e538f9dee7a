"""Files that a user gives to a stage: their digest, and lists of words and phrases, remembered while they stay."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from corpuscurate.core.digests import digest_file
from corpuscurate.core.errors import InputError


def user_digest(path: str, what: str) -> str:
    """The digest of a file's content, to be told apart from any other. what: of the file, such as "the model". Raises
    InputError."""
    return f"xxh3-64:{_digest_of(path, *state_of(path, what))}"


def state_of(path: str, what: str) -> tuple[int, int]:
    """Size and time of change of a file. Raises InputError where it cannot be read or is no file."""
    try:
        found = Path(path).stat()
        with Path(path).open("rb"):
            pass
    except IsADirectoryError as error:
        raise InputError(f"{what} {path!r} is a folder, not a file") from error
    except OSError as error:
        raise InputError(f"{what} {path!r} cannot be read: {error.strerror or error}") from error
    return found.st_size, found.st_mtime_ns


@lru_cache(32)
def _digest_of(path: str, size: int, changed: int) -> str:
    return digest_file(Path(path))


def read_phrases(path: str, what: str) -> tuple[str, ...]:
    """The lines of a UTF-8 text file without white space at their ends, each once, blank ones left out. Raises
    InputError, also where there are none."""
    return _phrases_of(path, what, *state_of(path, what))


@lru_cache(8)
def _phrases_of(path: str, what: str, size: int, changed: int) -> tuple[str, ...]:
    try:
        lines = Path(path).read_text(encoding="utf-8-sig").split("\n")
    except UnicodeDecodeError as error:
        raise InputError(f"{what} {path!r} is not UTF-8 (byte {error.start}): expected text, a word a line") from error
    phrases = tuple(dict.fromkeys(filter(None, map(str.strip, lines))))
    if not phrases:
        raise InputError(f"{what} {path!r} is empty: expected text, a word or a phrase a line")
    return phrases
