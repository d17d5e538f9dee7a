"""Every error a user can meet. Each says what was wrong, where, what was expected and what to do.

All inherit `CorpusCurateError` and the built-in closest in meaning, so callers may catch either.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class CorpusCurateError(Exception):
    """Root of all errors raised on purpose by corpuscurate."""


class RecipeError(CorpusCurateError, ValueError):
    """The recipe, a stage's parameters or the command's arguments are wrong (exit code 2)."""


class InputError(CorpusCurateError, ValueError):
    """The input cannot be used as the recipe says: no file, a missing column, a format (exit code 2)."""


class ReadError(InputError):
    """The input could not be read because of its surroundings (time-out, permission, disk): it may be whole (exit code
    1)."""


class OutOfMemoryError(CorpusCurateError, MemoryError):
    """The memory of a process ran out; the message says while it did what. failed: see `WorkerError`."""

    failed: tuple[tuple[int, str], ...] = ()


class OutputError(CorpusCurateError, OSError):
    """The output folder cannot be used: it holds another run, no permission, a full disk."""


class StageError(CorpusCurateError, RuntimeError):
    """A stage failed on a batch; the message names stage, shard and doc_id range."""


class BadInputError(CorpusCurateError, ValueError):
    """A record could not be read and the recipe says `on_bad_input: fail`."""


class DamagedError(CorpusCurateError, RuntimeError):
    """A file of a run folder is missing or was changed since it was written. path: of the file; why: what is wrong."""

    def __init__(self, path: str, why: str) -> None:
        super().__init__(path, why)
        self.path = path
        self.why = why

    def __str__(self) -> str:
        return f"{self.path} is damaged: {self.why}"


class BalanceError(CorpusCurateError, RuntimeError):
    """The balance input = kept + dropped + quarantined does not hold. Always a defect of corpuscurate."""


class WorkerError(CorpusCurateError, RuntimeError):
    """A worker process died; the message says by which signal or exit code, and while it did what.

    failed: (index of a task, what it did) for the tasks that were given up, all others being finished; empty otherwise.
    """

    failed: tuple[tuple[int, str], ...] = ()


class MissingExtraError(CorpusCurateError, ImportError):
    """A stage needs an optional package that is not installed."""

    def __init__(self, package: str, extra: str, wanted_by: str) -> None:
        super().__init__(
            f"{wanted_by} needs the package {package!r}, which is not installed.\n"
            f"  Install it with: pip install 'corpuscurate[{extra}]'"
        )


def nearest(name: str, known: Iterable[str], count: int = 3) -> list[str]:
    """The `count` names of `known` most like `name`, best first; the likeness has no lower bound."""
    return difflib.get_close_matches(name, sorted(known), n=count, cutoff=0.0)


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """A sentence that offers the three nearest names, or nothing when none is known."""
    close = nearest(name, known)
    return f"The nearest names are: {', '.join(close)}." if close else ""
