"""What surrounds processes that a run starts: their environment, the caller's script, and their end with the caller."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import psutil

ORPHAN_SECONDS = 0.5


def end_with_caller(caller: int) -> None:
    """End this process soon after the caller is gone, even a killed one; the fork server ends after its last worker.

    A worker that outlives its run would go on writing into a folder that the next run has taken over.
    """
    with suppress(psutil.NoSuchProcess):
        process = psutil.Process(caller)
        while process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
            time.sleep(ORPHAN_SECONDS)
    os._exit(1)


@contextmanager
def hidden_main() -> Iterator[None]:
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
def environment(values: dict[str, str]) -> Iterator[None]:
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
