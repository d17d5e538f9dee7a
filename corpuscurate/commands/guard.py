"""Errors of a command as a plain message and an exit code: 1 failed, 2 recipe or arguments wrong, 130 interrupted."""

from __future__ import annotations

import functools
import os
import sys
import traceback
from collections.abc import Callable
from typing import ParamSpec

import typer

from corpuscurate.commands.show import printable
from corpuscurate.core.errors import CorpusCurateError, InputError, RecipeError

P = ParamSpec("P")

FAILED, WRONG, INTERRUPTED = 1, 2, 130


def debugging() -> bool:
    """Whether the user asked for tracebacks: `--debug` or CORPUSCURATE_DEBUG=1."""
    return os.environ.get("CORPUSCURATE_DEBUG", "") not in ("", "0")


def guarded(command: Callable[P, None]) -> Callable[P, None]:
    """A command whose errors end as a message on stderr and an exit code."""

    @functools.wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        if kwargs.get("debug"):
            os.environ["CORPUSCURATE_DEBUG"] = "1"
        try:
            command(*args, **kwargs)
        except (typer.Exit, typer.BadParameter, BrokenPipeError):
            raise
        except KeyboardInterrupt:
            _say("interrupted. What was finished is kept: run the same command again, and it goes on from there.")
            raise typer.Exit(INTERRUPTED) from None
        except Exception as error:
            raise typer.Exit(_report(error)) from None

    return run


def _report(error: Exception) -> int:
    """Tell the user and answer with the exit code."""
    if debugging():
        traceback.print_exception(error, file=sys.stderr)
    if isinstance(error, CorpusCurateError):
        _say(f"error: {error}")
        return WRONG if isinstance(error, RecipeError | InputError) else FAILED
    if isinstance(error, OSError):
        named = f"{error.filename}: " if error.filename else ""
        _say(f"error: {named}{error.strerror or error}")
    elif isinstance(error, MemoryError):
        _say("error: out of memory. Give `run: {memory: ...}` or `--workers` a smaller value.")
    else:
        _say(f"error: a defect of corpuscurate: {type(error).__name__}: {error}")
        if not debugging():
            _say("Run it again with --debug for the traceback, and please report it.")
    return FAILED


def _say(text: str) -> None:
    print(printable(text), file=sys.stderr, flush=True)
