"""Python processes that start at once: forked from a server that has loaded the package, its stages and their kernels.

A process of its own is what many tests are about (exit codes, streams, signals, `__main__`); what Python and the
imports take to start is not, and takes some seconds. These processes have their own streams, folder, environment and
group; their workers are forked from the same server. Each kind of test keeps a case with a Python that is started.
"""

from __future__ import annotations

import io
import multiprocessing
import os
import sys
import tempfile
import traceback
import types
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from multiprocessing import forkserver, resource_tracker
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from corpuscurate import Sink, Source
from corpuscurate.core.spec import Spec
from corpuscurate.engine.runners.server import start_fork_server
from corpuscurate.engine.runners.surroundings import hidden_main
from corpuscurate.engine.runners.warm import to_text
from corpuscurate.stages.exact import Exact
from corpuscurate.stages.length import Length
from corpuscurate.stages.minhash import MinHash
from corpuscurate.stages.normalize import Normalize
from corpuscurate.stages.where import Where

SECONDS = 300.0
"""How long a process is waited for: what takes longer hangs."""


@cache
def _server() -> Any:
    stages = (Normalize(), Length(min_words=1), Where(expression="a == 1"), Exact(), MinHash())
    return start_fork_server(to_text(Spec(Source(paths=("a",), id="id"), stages, Sink(path="b")), ["jsonl"]))


@dataclass(frozen=True)
class Done:
    """How a process ended: as `subprocess.CompletedProcess` of text."""

    returncode: int
    stdout: str
    stderr: str


@dataclass
class Forked:
    """A process that runs. Its streams go to files."""

    process: BaseProcess
    folder: tempfile.TemporaryDirectory[str]

    @property
    def pid(self) -> int:
        assert self.process.pid is not None
        return self.process.pid

    def wait(self, seconds: float = SECONDS) -> Done:
        """Its end; fails for one that takes longer."""
        self.process.join(seconds)
        if self.process.exitcode is None:
            self.process.kill()
            self.process.join()
            raise AssertionError(f"it did not end in {seconds} s")
        with self.folder as folder:
            out, error = (Path(folder, name).read_text() for name in ("stdout", "stderr"))
        return Done(self.process.exitcode, out, error)


def start(
    run: Callable[..., None],
    *arguments: Any,
    cwd: Path | None = None,
    streams: Mapping[int, str | None] | None = None,
    environment: Mapping[str, str] | None = None,
) -> Forked:
    """Call a function in a new process, which then ends with 0, or as SystemExit says.

    streams: what a descriptor is opened to instead, None: it is closed. environment: variables beside those there are.
    """
    folder = tempfile.TemporaryDirectory()
    given = {0: os.devnull, 1: f"{folder.name}/stdout", 2: f"{folder.name}/stderr"} | dict(streams or {})
    for name in ("stdout", "stderr"):
        Path(folder.name, name).touch()
    server = _server()
    key = getattr(forkserver._forkserver, "_forkserver_authkey", None)
    state = _State(str(cwd or Path.cwd()), {**os.environ, **(environment or {})}, given, key)
    with hidden_main():
        process = server.Process(target=_perform, args=(state, run, arguments))
        process.start()
    return Forked(process, folder)


@dataclass(frozen=True)
class _State:
    """What a process begins with."""

    cwd: str
    environment: dict[str, str]
    streams: dict[int, str | None]
    key: bytes | None
    """What the fork server asks of who starts a process there; since Python 3.14."""


def _perform(state: _State, run: Callable[..., None], arguments: tuple[Any, ...]) -> None:
    os.setsid()
    os.chdir(state.cwd)
    os.environ.clear()
    os.environ.update(state.environment)
    for number, path in state.streams.items():
        os.close(number) if _is_open(number) else None
        if path is not None:
            opened = os.open(path, os.O_RDONLY if number == 0 else os.O_WRONLY | os.O_APPEND)
            if opened != number:
                os.dup2(opened, number)
                os.close(opened)
    sys.stdin, sys.stdout, sys.stderr = (_stream(number) for number in range(3))
    # what a process of its own would start is there: its workers come from the same server
    forkserver._forkserver.ensure_running = resource_tracker.ensure_running  # type: ignore[method-assign]
    forkserver._forkserver._forkserver_authkey = state.key  # type: ignore[attr-defined]
    multiprocessing.current_process()._config.pop("tempdir", None)  # type: ignore[attr-defined]
    try:
        run(*arguments)
        code = 0
    except SystemExit as error:
        code = error.code if isinstance(error.code, int) else 0 if error.code is None else 1
        if code == 1 and error.code != 1:
            print(error.code, file=sys.stderr)
    except BaseException:
        traceback.print_exc()
        code = 1
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError, AttributeError):
            stream.flush()
    sys.exit(code)


def _is_open(number: int) -> bool:
    try:
        os.fstat(number)
    except OSError:
        return False
    return True


def _stream(number: int) -> Any:
    """A standard stream as Python makes it when it starts."""
    if not _is_open(number):
        return None
    raw = open(number, "rb" if number == 0 else "wb", closefd=False)  # noqa: SIM115
    return io.TextIOWrapper(raw, errors="backslashreplace" if number == 2 else "strict", line_buffering=number == 2)


def command(*arguments: str) -> None:
    """`python -m corpuscurate`."""
    from corpuscurate.__main__ import main

    sys.argv = ["corpuscurate", *arguments]
    main()


def script(path: str, *arguments: str) -> None:
    """`python FILE`."""
    main = types.ModuleType("__main__")
    main.__file__, main.__cached__ = path, None  # type: ignore[attr-defined]
    main.__builtins__ = __builtins__  # type: ignore[attr-defined]
    sys.modules["__main__"], sys.argv = main, [path, *arguments]
    sys.path.insert(0, str(Path(path).resolve().parent))
    exec(compile(Path(path).read_text(), path, "exec"), main.__dict__)  # noqa: S102  what `python FILE` does
