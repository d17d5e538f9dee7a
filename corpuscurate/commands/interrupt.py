"""Ctrl-C, SIGTERM and a closed terminal end a command soon, whatever it computes.

Python answers a signal between two of its instructions, and a kernel may take long; a worker that was just being
started may be waited for at the end of the process. A thread that the signal wakes waits a moment for the process to
end by itself; then it ends the workers and the process. That is safe at any instant, as a kill is: what is finished has
its marker, and the rest is done again.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType

GRACE_SECONDS = 0.7
"""For the command to end by itself."""
INTERRUPTED = 130
SIGNALS = tuple(found for name in ("SIGINT", "SIGTERM", "SIGHUP") if (found := getattr(signal, name, None)) is not None)


class Ended(KeyboardInterrupt):
    """The command was told to end by a signal other than Ctrl-C's. number: of it."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


def exit_code(error: KeyboardInterrupt) -> int:
    """128 + the signal, as shells say it."""
    return 128 + error.number if isinstance(error, Ended) else INTERRUPTED


_SAID = threading.Event()


def say_interrupted() -> None:
    """Tell how to go on, once."""
    if not _SAID.is_set():
        _SAID.set()
        text = "interrupted. What was finished is kept: run the same command again, and it goes on from there."
        with suppress(OSError, ValueError):  # nobody can read it: the exit code tells
            print(text, file=sys.stderr, flush=True)


@contextmanager
def ending_soon() -> Iterator[None]:
    """The block ends soon after a signal that asks for it, by KeyboardInterrupt, and the process soon after, if need be
    by force. Signals that are ignored, as under nohup, stay so."""
    if threading.current_thread() is not threading.main_thread() or os.name != "posix":
        yield
        return
    before = {number: signal.getsignal(number) for number in SIGNALS}
    heard = [number for number, handler in before.items() if handler in (signal.SIG_DFL, signal.default_int_handler)]
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    told = threading.Event()

    def end(number: int, _: FrameType | None) -> None:
        told.set()
        raise KeyboardInterrupt if number == signal.SIGINT else Ended(number)

    for number in heard:
        signal.signal(number, end)
    woken_before = signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    watch = threading.Thread(target=_watch, args=(reading, frozenset(heard)), daemon=True)
    watch.start()
    try:
        yield
    finally:
        if not told.is_set():  # else the process ends, and the thread sees to that
            signal.set_wakeup_fd(woken_before)
            for number in heard:
                signal.signal(number, before[number])
            os.close(writing)  # ends the thread, which closes the other end
            watch.join(GRACE_SECONDS)


def _watch(reading: int, heard: frozenset[int]) -> None:
    """Wait for a signal that asks to end, then a moment, and end the process if it still goes on."""
    while number := os.read(reading, 1):
        if number[0] in heard:
            time.sleep(GRACE_SECONDS)  # where the process ends by itself, this thread ends with it
            say_interrupted()
            for child in multiprocessing.active_children():
                with suppress(OSError):
                    child.kill()
            os._exit(128 + number[0])
    os.close(reading)
