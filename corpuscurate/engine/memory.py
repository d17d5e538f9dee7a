"""What the processes of a run take, and how many workers fit into `run.memory`.

The sum is proportional memory (PSS): a page that processes share counts once. The parts that do not depend on the
input were measured (`scripts/bench_memory.py`); what is left of `run.memory` is for the settle steps, whose key ranges
and blocks follow from it (`Corpus.memory_bytes`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from corpuscurate.core.errors import RecipeError
from corpuscurate.core.spec import Settings, Spec
from corpuscurate.core.stage import GlobalStage, Stage

MIB = 1 << 20
ALONE = 320 * MIB
"""A run in one process: Python, Arrow, Numba, compiled kernels, the open part of the output."""
TOGETHER = 240 * MIB
"""The command and the fork server, whose pages the workers share."""
EACH = 180 * MIB
"""What a worker has of its own beside a batch: pages that it wrote, the open part of the output."""
BATCHES = 3
"""Copies of a batch's text: as it was read, as it was edited, and what kernels and writers make of it."""
LEAST_SETTLING = 64 * MIB
"""Of a worker in a settle step."""


@dataclass(frozen=True, slots=True)
class Memory:
    """Bytes of a run's processes by part. limit: `run.memory`; processes: what stands however small the input;
    models: weights and tables of stages; batches: text at once, of all workers."""

    limit: int
    workers: int
    processes: int
    models: int
    batches: int

    @property
    def settling(self) -> int:
        """Left for the settle steps, all workers together."""
        return self.limit - self.processes - self.models

    @property
    def least(self) -> int:
        """What `run.memory` must be at least for this number of workers."""
        return self.processes + self.models + max(self.batches, self.workers * LEAST_SETTLING)

    def phases(self) -> dict[str, int]:
        """The most that each kind of phase takes."""
        streaming = self.processes + self.models + self.batches
        return {"measure": streaming, "settle": self.limit, "write": streaming}


def models_bytes(stages: Sequence[Stage]) -> int:
    """What the weights and tables of stages take."""
    return sum(stage.resources.memory_bytes for stage in stages)


def memory_of(settings: Settings, models: int) -> Memory:
    """The parts for these settings. models: `models_bytes`."""
    workers = settings.workers
    alone = settings.runner == "inprocess" or (workers == 1 and settings.on_task_failure == "fail")
    processes = ALONE if alone else TOGETHER + EACH * workers
    return Memory(settings.memory, workers, processes, models, BATCHES * settings.batch_bytes * workers)


def fitted(spec: Spec) -> tuple[Spec, list[str]]:
    """The spec with as many workers as fit into `run.memory`, and a warning where these are fewer than asked for.

    A batch is made smaller before a worker is left out: one of a MiB is nearly as fast. Raises RecipeError where one
    worker does not fit.
    """
    settings, models = spec.settings, models_bytes(spec.stages)
    for workers in range(settings.workers, 0, -1):
        batch = settings.batch_bytes
        while True:
            tried = settings.model_copy(update={"workers": workers, "batch_bytes": batch})
            memory = memory_of(tried, models)
            if memory.least <= memory.limit:
                told = _fewer(settings, tried, memory_of(settings, models).least)
                return replace(spec, settings=tried), told
            if batch <= MIB:
                break
            batch = max(MIB, batch // 2)
    raise RecipeError(_too_little(memory))


def settling_bytes(spec: Spec) -> int:
    """Bytes that the settle steps may use, all workers together."""
    memory = memory_of(spec.settings, models_bytes(spec.stages))
    return max(memory.settling, spec.settings.workers * LEAST_SETTLING)


def plan_memory(spec: Spec) -> dict[str, Any]:
    """For `plan`: the parts and the sum by kind of phase, in bytes."""
    memory = memory_of(spec.settings, models_bytes(spec.stages))
    phases = memory.phases()
    if not any(isinstance(stage, GlobalStage) for stage in spec.stages):
        del phases["settle"]
    return {
        "limit": memory.limit,
        "workers": memory.workers,
        "processes": memory.processes,
        "models": memory.models,
        "batches": memory.batches,
        "by_phase": phases,
    }


def _mib(size: int) -> str:
    return f"{-(-size // MIB):,} MiB"


def _fewer(asked: Settings, got: Settings, wanted: int) -> list[str]:
    """The warning for fewer workers than asked for, if so. wanted: bytes that these take."""
    if got.workers == asked.workers:
        return []
    room = f"run.memory: {_mib(asked.memory)} has room for {got.workers} of {asked.workers} workers"
    return [f"{room}; {asked.workers} take {_mib(wanted)}"]


def _too_little(memory: Memory) -> str:
    models = f", {_mib(memory.models)} for the models of its stages" if memory.models else ""
    return (
        f"run.memory: {_mib(memory.limit)} is too little: one worker takes {_mib(memory.least)} at least:"
        f" {_mib(memory.processes)} for Python, Arrow and the compiled kernels{models}, and"
        f" {_mib(LEAST_SETTLING)} to work with. Set run.memory to {_mib(memory.least).replace(' ', '')} or more."
    )
