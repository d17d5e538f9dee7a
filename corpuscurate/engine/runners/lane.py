"""One worker process and the task it works on. When the process dies the next task gets a fresh one."""

from __future__ import annotations

import os
import signal
import threading
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.queues import SimpleQueue
from typing import TYPE_CHECKING, Any

from corpuscurate.core import user_code
from corpuscurate.engine.progress import Sink, connect
from corpuscurate.engine.runners.memory import keep_freed_memory
from corpuscurate.engine.runners.sending import perform_sent, to_send
from corpuscurate.engine.runners.surroundings import end_with_caller
from corpuscurate.engine.task import Task

if TYPE_CHECKING:
    from multiprocessing.context import ForkServerContext  # not on every system

Beats = SimpleQueue[tuple[str, int]]
"""Of (task, bytes read since the last one)."""


def _start_worker(beats: Beats, caller: int, code: tuple[user_code.Source, ...], keep: bool) -> None:
    import pyarrow as pa

    user_code.know(code)

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is answered by the parent, which ends the workers
    if keep:
        keep_freed_memory()
    pa.set_cpu_count(1)
    pa.set_io_thread_count(1)
    connect(lambda task, size: beats.put((task, size)))
    threading.Thread(target=end_with_caller, args=(caller,), daemon=True).start()


class Lane:
    """A pool of one process, so that its death is the end of one task, and breaks the queues of no other process."""

    def __init__(self, context: ForkServerContext, keep: bool) -> None:
        """keep: whether the process may hold freed memory for a while, see `runners.memory`."""
        self._context = context
        self._keep = keep
        self._start()

    def _start(self) -> None:
        self._beats: Beats = self._context.SimpleQueue()
        self._pool = ProcessPoolExecutor(
            1,
            mp_context=self._context,
            initializer=_start_worker,
            initargs=(self._beats, os.getpid(), user_code.sources(), self._keep),
        )
        self._process: Any = None

    def submit(self, task: Task) -> Future[dict[str, Any]]:
        """Begin a task, in a fresh process where the last one is dead."""
        data = to_send(task)
        try:
            future = self._pool.submit(perform_sent, data)
        except BrokenProcessPool:  # it died between two tasks
            self.replace()
            future = self._pool.submit(perform_sent, data)
        self._process = next(iter((self._pool._processes or {}).values()), None)
        return future

    def hear(self, beat: Sink) -> None:
        """Pass on the beats of the process."""
        while not self._beats.empty():
            beat(*self._beats.get())

    def replace(self) -> int | None:
        """Have a fresh process in the place of the one that died; the exit code of that, -n: by signal n.

        The pool's own thread waits for the process, and must have done so: of two that wait at once one reads nothing.
        """
        self.close()
        code: int | None = None if self._process is None else self._process.exitcode
        self._start()
        return code

    def close(self) -> None:
        """Let the process end after its task, and wait until it has."""
        self._pool.shutdown(wait=True, cancel_futures=True)
