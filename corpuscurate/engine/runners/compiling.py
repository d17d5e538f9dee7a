"""Compiles what recipes use before anything runs: in several processes, once a machine.

A *unit* is a stage with its parameters or a format (`runners.warm`). The fork server's preloading forks a child a
processor while it has one thread; the children take units one by one, and kernels that units share are compiled once
(`kernels.compile.Turn`). A stamp in the cache says that a unit was compiled, from these sources, for this processor.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numba
import orjson
import psutil
from llvmlite.binding import get_host_cpu_name

from corpuscurate.core.artefact import read_sealed, write_sealed
from corpuscurate.core.digests import fingerprint
from corpuscurate.engine.progress import Progress
from corpuscurate.kernels import compile
from corpuscurate.kernels.compile import cache_folder, module_digests

TITLE = "compiling kernels for this machine, once"
POLL_SECONDS = 0.1
_END = "end"


def unit_name(unit: str) -> str:
    """What a unit is, for people: the word of the stage, or the format."""
    value = orjson.loads(unit)
    return str(value["stages"][0][0] if value["stages"] else f"{value['formats'][0]} files")


def stamp_of(unit: str) -> Path | None:
    """The stamp of a unit; None where nothing can be cached. It names the kernel sources, Numba and the processor."""
    folder = cache_folder()
    if not folder:
        return None
    room = Path(compile.__file__).parent
    sources = sorted(module_digests(room).values())
    name = fingerprint([unit, sources, numba.__version__, get_host_cpu_name()])
    return Path(folder) / "compiled" / f"{name}.json"


def is_compiled(unit: str) -> bool:
    """Whether the kernels of a unit were compiled on this machine."""
    path = stamp_of(unit)
    return path is not None and read_sealed(path) is not None


def compile_units(units: Sequence[str], processes: int, told: Path, load: Callable[[str], None]) -> None:
    """Load the units in child processes of this one, which has a single thread. told: a folder that learns of each unit
    that has ended, and at last of the end."""
    children = []
    try:
        for _ in range(min(processes, len(units))):
            child = os.fork()
            if not child:
                _as_child(units, told, load)
            children.append(child)
        for child in children:
            with suppress(ChildProcessError):
                os.waitpid(child, 0)
    finally:
        (told / _END).touch()


def _as_child(units: Sequence[str], told: Path, load: Callable[[str], None]) -> None:
    """Take units that no other child has taken, until there is none; then end this process."""
    caller = os.getppid()
    try:
        for number, unit in enumerate(units):
            try:
                (told / f"{number}.taken").touch(exist_ok=False)
            except FileExistsError:
                continue
            with stamp(unit):
                load(unit)
            (told / f"{number}.ended").touch()
            if os.getppid() != caller:
                break
    finally:
        os._exit(0)


@contextmanager
def stamp(unit: str) -> Iterator[None]:
    """Note that the block compiled a unit, and the seconds of this process, without those of kernels of others."""
    began = time.process_time()
    yield
    path = stamp_of(unit)
    if path is not None:
        with suppress(OSError):  # a help and no more
            path.parent.mkdir(exist_ok=True)
            seconds = round(time.process_time() - began, 2)
            write_sealed(path, {"unit": unit, "cpu_seconds": seconds}, durable=False)


def compile_ahead(
    units: Sequence[str], processes: int, start: Callable[[dict[str, Any]], int | None], shown: Progress
) -> list[str]:
    """Have units compiled that are not yet, and wait for it with a bar; the names of those that were.

    start: starts the process whose `compile_units` does it, given `{"processes": ..., "told": ...}`; its number.
    """
    wanted = [unit for unit in units if not is_compiled(unit)]
    if not wanted:
        return []
    with tempfile.TemporaryDirectory(prefix="corpuscurate-") as name:
        told = Path(name)
        shown.start(TITLE, 0, len(wanted))
        try:
            server = start({"units": wanted, "processes": processes, "told": name})
            _wait(told, server, shown)
        finally:
            shown.finish()
    return [unit_name(unit) for unit in wanted]


def _is_gone(process: int) -> bool:
    """Whether a process has ended; a zombie has."""
    try:
        return bool(psutil.Process(process).status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True


def _wait(told: Path, server: int | None, shown: Progress) -> None:
    seen = 0
    while True:
        over = (told / _END).exists() or server is None or _is_gone(server)
        ended = len(list(told.glob("*.ended")))
        for _ in range(ended - seen):
            shown.task_done()
        seen = ended
        if over:
            return
        time.sleep(POLL_SECONDS)
