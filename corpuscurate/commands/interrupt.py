"""Ctrl-C, SIGTERM and a closed terminal end a command within two seconds, whatever it computes.

Python answers a signal between two of its instructions, and a kernel may take long. A thread that the signal wakes
waits a moment for the command to end by itself; then it ends the worker processes and the command. That is safe at any
instant, as a kill is: what is finished has its marker, and the rest is done again.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType

import psutil

GRACE_SECONDS = 1.0
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


def _end(number: int, _: FrameType | None) -> None:
    raise Ended(number)


@contextmanager
def ending_soon(say: Callable[[], None]) -> Iterator[None]:
    """The block ends soon after a signal that asks for it: by KeyboardInterrupt, or else the process ends. say: tells
    the user in that case. Signals that are ignored, as under nohup, stay so."""
    if threading.current_thread() is not threading.main_thread() or os.name != "posix":
        yield
        return
    before = {number: signal.getsignal(number) for number in SIGNALS}
    heard = [number for number, handler in before.items() if handler in (signal.SIG_DFL, signal.default_int_handler)]
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    over = threading.Event()
    for number in heard:
        if number != signal.SIGINT:
            signal.signal(number, _end)
    woken_before = signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    watch = threading.Thread(target=_watch, args=(reading, over, frozenset(heard), say), daemon=True)
    watch.start()
    try:
        yield
    finally:
        over.set()
        signal.set_wakeup_fd(woken_before)
        for number in heard:
            signal.signal(number, before[number])
        os.close(writing)  # ends the thread, which closes the other end
        watch.join(GRACE_SECONDS)


def _watch(reading: int, over: threading.Event, heard: frozenset[int], say: Callable[[], None]) -> None:
    """Wait for a signal that asks to end, then for the command, and end what goes on."""
    while told := os.read(reading, 1):
        if told[0] in heard and not over.wait(GRACE_SECONDS):
            say()
            with suppress(psutil.Error):
                for child in psutil.Process().children(recursive=True):
                    with suppress(psutil.Error):
                        child.kill()
            os._exit(INTERRUPTED if told[0] == signal.SIGINT else 128 + told[0])
    os.close(reading)
