"""Runs tasks in processes of this machine, started from a fork server.

Forked from a small server that has only imported, a worker starts in milliseconds and shares no lock or thread with the
caller (plain fork after threads started can hang; spawn pays all imports again in every worker).
"""

from __future__ import annotations

import multiprocessing
import os
import shutil
import signal
import tempfile
import threading
from collections.abc import Iterator, MutableMapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, suppress
from multiprocessing import forkserver, util
from multiprocessing.queues import SimpleQueue
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import psutil

from corpuscurate.core import user_code
from corpuscurate.core.errors import WorkerError
from corpuscurate.engine.progress import EVERY_SECONDS, Sink, connect
from corpuscurate.engine.runners.memory import keep_freed_memory, worker_environment
from corpuscurate.engine.runners.sending import perform_sent, to_send
from corpuscurate.engine.runners.surroundings import end_with_caller, environment, hidden_main
from corpuscurate.engine.runners.warm import VARIABLE
from corpuscurate.engine.task import Task

if TYPE_CHECKING:
    from multiprocessing.context import ForkServerContext  # not on every system

Beats = SimpleQueue[tuple[str, int, int]]
"""Of (task, bytes read since the last one, process that works on it)."""
SOCKET_PATH_BYTES = 100
"""Longest path of a socket everywhere: 104 with its end on macOS, 108 on Linux."""
SOCKET_NAME_BYTES = len("/pymp-12345678/listener-12345678")

END_SECONDS = 5.0
"""How long the end of a worker is waited for, to learn its exit code."""
SHORT_FOLDER = "/tmp"  # noqa: S108
_AGAIN = "Run again to go on from the finished tasks."
AHEAD = 2
"""Tasks submitted per worker: enough that none waits, few enough that an error ends the run soon."""


def _start_worker(beats: Beats, caller: int, code: tuple[user_code.Source, ...]) -> None:
    import pyarrow as pa

    user_code.know(code)

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is answered by the parent, which ends the workers
    keep_freed_memory()
    pa.set_cpu_count(1)
    pa.set_io_thread_count(1)
    connect(lambda task, size: beats.put((task, size, os.getpid())))
    _BEATS.append(beats)
    threading.Thread(target=end_with_caller, args=(caller,), daemon=True).start()


_BEATS: list[Beats] = []
"""The queue of this worker."""


def _perform(home: str, data: bytes) -> dict[str, Any]:
    """Run a task that was sent to a worker, whose caller learns first which one: it may end the process."""
    for beats in _BEATS:
        beats.put((home, 0, os.getpid()))
    return perform_sent(data)


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
    with _starting(), environment({VARIABLE: warm, "PYTHONSAFEPATH": "1", **worker_environment()}):
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
def _starting() -> Iterator[None]:
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


class LocalRunner:
    """A pool of worker processes that lives as long as the runner is entered."""

    def __init__(self, workers: int, warm: str = "") -> None:
        """workers: processes. warm: what the fork server loads ahead, see `runners.warm`."""
        self.workers = workers
        self._warm = warm
        self._pool: ProcessPoolExecutor | None = None
        self._beats: Beats | None = None
        self._processes: MutableMapping[int, Any] | None = None

    def __enter__(self) -> Self:
        context = start_fork_server(self._warm)
        with _starting():
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
        running: dict[int, str] = {}
        waiting = iter(enumerate(tasks))
        try:
            while True:
                with hidden_main(), _starting():
                    while len(places) < self.workers * AHEAD and (item := next(waiting, None)) is not None:
                        places[self._pool.submit(_perform, str(item[1].home), to_send(item[1]))] = item[0]
                        self._processes = self._pool._processes
                if not places:
                    return
                ready, _ = wait(places, timeout=EVERY_SECONDS, return_when=FIRST_COMPLETED)
                self._hear(running, beat)
                for future in ready:
                    yield places.pop(future), future.result()
        except BrokenProcessPool as error:
            self._hear(running, beat)
            about = {str(task.home): task.about for task in tasks}
            raise WorkerError(_why_dead(self._exit_codes(), running, about, self.workers)) from error

    def _hear(self, running: dict[int, str], beat: Sink) -> None:
        """Pass on the beats of the workers, and note which task each one works on."""
        while self._beats is not None and not self._beats.empty():
            task, size, process = self._beats.get()
            running[process] = task
            if size:
                beat(task, size)

    def _exit_codes(self) -> dict[int, int]:
        """The exit codes of the workers that ended before the others were told to, by process; -n: by signal n."""
        found = {}
        for process in list((self._processes or {}).values()):
            process.join(END_SECONDS)
            if process.exitcode not in (None, -signal.SIGTERM):
                found[process.pid] = process.exitcode
        return found


def _why_dead(codes: dict[int, int], running: dict[int, str], about: dict[str, str], workers: int) -> str:
    """The message for workers that died. codes: exit code by process; running: its task; about: that one's input."""
    if not codes:
        return f"A worker process died, and nothing tells why. {_AGAIN}"
    process, code = next(iter(codes.items()))
    task = running.get(process, "")
    while_ = f" while it worked on {about[task]}" if about.get(task) else f" in the task {task}" if task else ""
    if code >= 0:
        return (
            f"A worker process ended with exit code {code}{while_}. What it said last stands above. A stage or a"
            f" library ended it. {_AGAIN}"
        )
    return f"A worker process was {_ended_by(-code, while_, workers)}"


def _ended_by(number: int, while_: str, workers: int) -> str:
    """What is said of a signal that ended a worker."""
    name = signal.Signals(number).name if number in set(signal.Signals) else f"signal {number}"
    if number == signal.SIGKILL:
        return (
            f"killed (SIGKILL){while_}: most often the machine or the container ran out of memory ({workers} workers)."
            f" {_AGAIN} Give it fewer --workers or a lower run.memory."
        )
    if number == signal.SIGBUS:
        return (
            f"ended by SIGBUS{while_}: a file was cut while it was read, its disk failed, or /dev/shm is full. {_AGAIN}"
        )
    if number in (signal.SIGABRT, signal.SIGSEGV, signal.SIGILL, signal.SIGFPE):
        return (
            f"ended by {name}{while_}: a library crashed. What it said last stands above. It is no lack of memory; a"
            f" damaged file can be the cause. {_AGAIN} Where it happens again, take that file out of the input."
        )
    return f"ended by {name}{while_}: somebody or the system sent that signal. {_AGAIN}"
