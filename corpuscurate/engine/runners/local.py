"""Runs tasks in processes of this machine, started from a fork server.

Forked from a small server that has only imported, a worker starts in milliseconds and shares no lock or thread with the
caller (plain fork after threads started can hang; spawn pays all imports again in every worker).
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, suppress
from multiprocessing import forkserver
from multiprocessing.queues import SimpleQueue
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import psutil

from corpuscurate.core import user_code
from corpuscurate.core.errors import WorkerError
from corpuscurate.engine.progress import EVERY_SECONDS, Sink, connect
from corpuscurate.engine.runners.memory import keep_freed_memory, worker_environment
from corpuscurate.engine.runners.sending import perform_sent, to_send
from corpuscurate.engine.runners.warm import VARIABLE
from corpuscurate.engine.task import Task

if TYPE_CHECKING:
    from multiprocessing.context import ForkServerContext  # not on every system

Beats = SimpleQueue[tuple[str, int]]

ORPHAN_SECONDS = 0.5
AHEAD = 2
"""Tasks submitted per worker: enough that none waits, few enough that an error ends the run soon."""


def _start_worker(beats: Beats, caller: int, code: tuple[user_code.Source, ...]) -> None:
    import pyarrow as pa

    user_code.know(code)

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is answered by the parent, which ends the workers
    keep_freed_memory()
    pa.set_cpu_count(1)
    pa.set_io_thread_count(1)
    connect(lambda task, size: beats.put((task, size)))
    threading.Thread(target=_end_with_caller, args=(caller,), daemon=True).start()


def _end_with_caller(caller: int) -> None:
    """End this process soon after the caller is gone, even a killed one; the fork server ends after its last worker.

    A worker that outlives its run would go on writing into a folder that the next run has taken over.
    """
    with suppress(psutil.NoSuchProcess):
        process = psutil.Process(caller)
        while process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
            time.sleep(ORPHAN_SECONDS)
    os._exit(1)


@contextmanager
def _hidden_main() -> Iterator[None]:
    """Keep workers from running the caller's script again, which a script without a main guard would not survive.

    Workers don't need it: classes of the script are sent by value (`runners.sending`).
    """
    main = sys.modules["__main__"]
    spec, file = getattr(main, "__spec__", None), getattr(main, "__file__", None)
    main.__spec__ = None
    if file is not None:
        del main.__file__
    try:
        yield
    finally:
        main.__spec__ = spec
        if file is not None:
            main.__file__ = file


@contextmanager
def _environment(values: dict[str, str]) -> Iterator[None]:
    """Variables for the processes that the block starts.

    PYTHONSAFEPATH: the fork server is a `python -c`, which would look for modules in the current folder before all
    others, so that a file `queue.py` there would be loaded in every worker. Workers get the caller's own path.
    """
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _forget_server_of_parent() -> None:
    """Leave the fork server of the process that this one was forked from to it: only a parent may wait for it."""
    server: Any = forkserver._forkserver
    if server._forkserver_pid is None:
        return
    with suppress(psutil.NoSuchProcess):
        if psutil.Process(server._forkserver_pid).ppid() != os.getpid():
            os.close(server._forkserver_alive_fd)  # this process's copy
            server.__init__()


def start_fork_server(warm: str) -> ForkServerContext:
    """Start the fork server, if none runs yet; it loads ahead what `warm` names (`runners.warm`)."""
    _forget_server_of_parent()
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["corpuscurate.engine.runners.preload"])
    with _environment({VARIABLE: warm, "PYTHONSAFEPATH": "1", **worker_environment()}):
        forkserver.ensure_running()
    return context


class LocalRunner:
    """A pool of worker processes that lives as long as the runner is entered."""

    def __init__(self, workers: int, warm: str = "") -> None:
        """workers: processes. warm: what the fork server loads ahead, see `runners.warm`."""
        self.workers = workers
        self._warm = warm
        self._pool: ProcessPoolExecutor | None = None
        self._beats: Beats | None = None

    def __enter__(self) -> Self:
        context = start_fork_server(self._warm)
        self._beats = context.SimpleQueue()
        self._pool = ProcessPoolExecutor(
            self.workers,
            mp_context=context,
            initializer=_start_worker,
            initargs=(self._beats, os.getpid(), user_code.sources()),
        )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._pool is None:
            return
        if error is not None:  # don't wait for minutes of work that nobody will use
            for process in list((self._pool._processes or {}).values()):
                process.terminate()
        self._pool.shutdown(wait=True, cancel_futures=True)
        self._pool = None

    def run(self, tasks: Sequence[Task], beat: Sink) -> Iterator[tuple[int, dict[str, Any]]]:
        """Run the tasks on the pool; results in the order of finishing."""
        if self._pool is None or self._beats is None:
            raise RuntimeError("enter the runner first: with LocalRunner(2) as runner")
        places: dict[Future[dict[str, Any]], int] = {}
        waiting = iter(enumerate(tasks))
        try:
            while True:
                with _hidden_main():
                    while len(places) < self.workers * AHEAD and (item := next(waiting, None)) is not None:
                        places[self._pool.submit(perform_sent, to_send(item[1]))] = item[0]
                if not places:
                    return
                ready, _ = wait(places, timeout=EVERY_SECONDS, return_when=FIRST_COMPLETED)
                while not self._beats.empty():
                    beat(*self._beats.get())
                for future in ready:
                    yield places.pop(future), future.result()
        except BrokenProcessPool as error:
            raise WorkerError(
                f"a worker process died; most often the machine ran out of memory ({self.workers} workers). "
                "Run again to go on from the finished tasks, with fewer --workers or a lower run.memory."
            ) from error
