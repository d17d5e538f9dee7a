"""Runners: run these tasks, yield their results."""

from __future__ import annotations

import multiprocessing
from multiprocessing import forkserver
from typing import Any

from corpuscurate.core.errors import WorkerError
from corpuscurate.core.spec import Settings, Spec
from corpuscurate.engine.progress import Progress
from corpuscurate.engine.runners.cards import WithCards, needs_card
from corpuscurate.engine.runners.compiling import compile_ahead
from corpuscurate.engine.runners.inprocess import InProcessRunner
from corpuscurate.engine.runners.isolating import IsolatingRunner
from corpuscurate.engine.runners.local import LocalRunner
from corpuscurate.engine.runners.server import start_fork_server
from corpuscurate.engine.runners.warm import NOTHING, units_of, with_compiling
from corpuscurate.engine.task import Runner

__all__ = [
    "InProcessRunner",
    "LocalRunner",
    "Runner",
    "WithCards",
    "compile_all",
    "load_ahead",
    "make_runner",
    "needs_card",
    "runner_warnings",
    "with_cards",
]


KEEPING_BYTES = 1 << 30
"""A worker's share of memory from which it may keep what it freed for a while."""


def make_runner(settings: Settings, warm: str = "") -> Runner:
    """The runner that the settings name. One worker needs no process of its own. warm: see `LocalRunner`."""
    if _in_process(settings):
        return InProcessRunner(settings.retries)
    keep = settings.memory // settings.workers >= KEEPING_BYTES
    runner = LocalRunner(settings.workers, warm, settings.retries, keep=keep)
    return IsolatingRunner(runner) if settings.on_task_failure == "isolate" else runner


def with_cards(spec: Spec, inner: Runner) -> Runner:
    """The runner, and with it the processes of cards where a stage of the spec needs any. Raises WorkerError where
    this process may start none."""
    wanting = [stage.label for stage in spec.stages if needs_card(stage)]
    if not wanting:
        return inner
    if multiprocessing.current_process().daemon:
        raise WorkerError(
            f"{wanting[0]}: a model on a card runs in a process of its own, and this process is a worker of a"
            " multiprocessing.Pool, which may start none. Run it from the main process, from a worker of"
            " concurrent.futures.ProcessPoolExecutor, or as a command of its own (`corpuscurate run`); or use"
            " `device: cpu`."
        )
    ahead = [work for work in (stage.ahead_on_card() for stage in spec.stages) if work is not None]
    return WithCards(inner, spec.settings.cards, ahead)


def load_ahead(settings: Settings, warm: str, shown: Progress) -> None:
    """Have what `warm` names compiled, by as many processes as there are workers, before there is a runner. Where tasks
    run in this process, it compiles what it meets, and says so."""
    if _in_process(settings):
        shown.message("compiling the kernels for this machine: once, some tens of seconds")
    else:
        compile_all(warm, settings.workers, shown)


def compile_all(warm: str, processes: int, shown: Progress, *, load: bool = True) -> list[str]:
    """Have what `warm` names compiled by children of the fork server, which this starts; the names of what was.

    load: the server loads it all afterwards, for workers to come.
    """

    def start(how: dict[str, Any]) -> int | None:
        start_fork_server(with_compiling(warm if load else NOTHING, how))
        number: int | None = forkserver._forkserver._forkserver_pid  # type: ignore[attr-defined]
        return number

    return compile_ahead(units_of(warm), processes, start, shown)


def runner_warnings(settings: Settings) -> list[str]:
    """What to tell of how tasks run."""
    if settings.runner == "inprocess" or settings.workers == 1 or not _in_process(settings):
        return []
    asked = f"{settings.workers} workers"
    return [f"this process is a worker of a pool, which may start none of its own: tasks run in it, not in {asked}"]


def _in_process(settings: Settings) -> bool:
    """Whether the tasks run in this process. A worker of a `multiprocessing.Pool` may start none of its own."""
    alone = settings.workers == 1 and settings.on_task_failure == "fail"  # a worker that may die is another process
    return settings.runner == "inprocess" or alone or multiprocessing.current_process().daemon
