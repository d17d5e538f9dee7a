"""The fork server: a small process that has only imported and loaded kernels; every worker is forked from it.

Forked from it, a worker starts in milliseconds and shares no lock or thread with the caller (plain fork after threads
started can hang; spawn pays all imports again in every worker).
"""

from __future__ import annotations

import multiprocessing
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from multiprocessing import forkserver, util
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil

from corpuscurate.core.errors import WorkerError
from corpuscurate.engine.runners.memory import worker_environment
from corpuscurate.engine.runners.surroundings import environment
from corpuscurate.engine.runners.warm import VARIABLE

if TYPE_CHECKING:
    from multiprocessing.context import ForkServerContext  # not on every system

SOCKET_PATH_BYTES = 100
"""Longest path of a socket everywhere: 104 with its end on macOS, 108 on Linux."""
SOCKET_NAME_BYTES = len("/pymp-12345678/listener-12345678")
SHORT_FOLDER = "/tmp"  # noqa: S108


def _forget_server_of_parent() -> None:
    """Leave the fork server of the process that this one was forked from to it: only a parent may wait for it."""
    server: Any = forkserver._forkserver
    if server._forkserver_pid is None:
        return
    with suppress(psutil.NoSuchProcess):
        if psutil.Process(server._forkserver_pid).ppid() != os.getpid():
            os.close(server._forkserver_alive_fd)  # this process's copy
            server.__init__()


def start_fork_server(warm: str, *, keep: bool = True) -> ForkServerContext:
    """Start the fork server, if none runs yet; it loads ahead what `warm` names (`runners.warm`).

    keep: see `LocalRunner`.
    """
    _forget_server_of_parent()
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["corpuscurate.engine.runners.preload"])
    with starting(), environment({VARIABLE: warm, "PYTHONSAFEPATH": "1", **(worker_environment() if keep else {})}):
        _shorten_socket_folder()
        forkserver.ensure_running()
    return context


def _shorten_socket_folder() -> None:
    """Keep the sockets of this process in a short folder where TMPDIR is longer than the path of a socket may be."""
    config = multiprocessing.current_process()._config  # type: ignore[attr-defined]
    long = len(os.fsencode(tempfile.gettempdir())) + SOCKET_NAME_BYTES > SOCKET_PATH_BYTES
    if long and config.get("tempdir") is None and Path(SHORT_FOLDER).is_dir():
        folder = tempfile.mkdtemp(prefix="pymp-", dir=SHORT_FOLDER)
        util.Finalize(None, shutil.rmtree, args=(folder, True), exitpriority=-100)  # after all that uses it, as there
        config["tempdir"] = folder


@contextmanager
def starting() -> Iterator[None]:
    """Turn an OSError of starting workers into a WorkerError that says what they need."""
    try:
        yield
    except OSError as error:
        if error.errno is None and "AF_UNIX" in str(error):
            raise WorkerError(
                f"Cannot start worker processes: the folder for temporary files, {tempfile.gettempdir()}, has too"
                " long a path for their sockets. Set TMPDIR to a shorter one, or use `--workers 1`, which needs none."
            ) from error
        raise WorkerError(
            f"Cannot start worker processes: {error.strerror or error}. They need semaphores in /dev/shm (writable,"
            f" with some space), sockets in {tempfile.gettempdir()} (TMPDIR), and leave for new processes (ulimit)."
            " Or use `--workers 1`, which needs none of it."
        ) from error
