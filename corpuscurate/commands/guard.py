"""Errors of a command as a plain message and an exit code: 1 failed, 2 recipe or arguments wrong, 130 interrupted."""

from __future__ import annotations

import functools
import os
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import ParamSpec

import typer

from corpuscurate.commands.interrupt import exit_code, say_interrupted
from corpuscurate.commands.show import printable
from corpuscurate.core.errors import CorpusCurateError, InputError, ReadError, RecipeError

P = ParamSpec("P")

FAILED, WRONG = 1, 2


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
        except KeyboardInterrupt as error:
            say_interrupted()
            raise typer.Exit(exit_code(error)) from None
        except Exception as error:
            raise typer.Exit(_report(error)) from None

    return run


def _report(error: Exception) -> int:
    """Tell the user and answer with the exit code."""
    if debugging():
        with suppress(OSError, ValueError):
            traceback.print_exception(error, file=sys.stderr)
    if isinstance(error, CorpusCurateError):
        _say(f"error: {error}")
        wrong = isinstance(error, RecipeError | InputError) and not isinstance(error, ReadError)
        return WRONG if wrong else FAILED
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
    with suppress(OSError, ValueError):  # nobody can read it: the exit code tells
        print(printable(text), file=sys.stderr, flush=True)


def shown_at_end(show: Callable[[], None], instead: str) -> None:
    """Print the result of finished work; where that fails, say so on stderr: the work is done (exit code 0)."""
    try:
        show()
        sys.stdout.flush()
    except (OSError, ValueError, SystemExit) as error:  # rich leaves the process where a reader is gone
        why = "its reader is gone" if isinstance(error, SystemExit) else getattr(error, "strerror", None) or error
        _say(f"warning: the result could not be printed ({why}). {instead}")


@contextmanager
def standard_streams() -> Iterator[None]:
    """Give the block standard streams that are there, and end it without an error for what they could not take.

    A closed descriptor would be given to the next file that is opened, and a library's message would be written into
    it. What is left in a buffer would else make the exit code 120.
    """
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest free number: this one
    sys.stdout = sys.stdout or open(os.devnull, "w")  # noqa: SIM115, PTH123
    sys.stderr = sys.stderr or open(os.devnull, "w")  # noqa: SIM115, PTH123
    try:
        yield
    finally:
        for stream, number in ((sys.stdout, 1), (sys.stderr, 2)):
            try:
                stream.flush()
            except (OSError, ValueError):
                with suppress(OSError):
                    os.dup2(os.open(os.devnull, os.O_WRONLY), number)
