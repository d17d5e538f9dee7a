"""Runners: run these tasks, yield their accounts."""

from __future__ import annotations

from corpuscurate.runners.base import Runner
from corpuscurate.runners.inprocess import InProcessRunner
from corpuscurate.runners.local import LocalRunner
from corpuscurate.spec import Settings

__all__ = ["InProcessRunner", "LocalRunner", "Runner", "make_runner"]


def make_runner(settings: Settings, warm: str = "") -> Runner:
    """The runner that the settings name. One worker needs no process of its own. warm: see `LocalRunner`."""
    if settings.runner == "inprocess" or settings.workers == 1:
        return InProcessRunner()
    return LocalRunner(settings.workers, warm)
