"""Load modules that register themselves: those of our own packages, and entry points of other packages."""

from __future__ import annotations

import importlib
import pkgutil
from importlib.metadata import entry_points

_LOADED: set[tuple[str, ...]] = set()


def load_plugins(package: str, *groups: str) -> None:
    """Import every module of one of our packages, and load every entry point of the groups; once a process.

    Each module registers what it defines. An error of an entry point is raised with a note that names it.
    """
    key = (package, *groups)
    if key in _LOADED:
        return
    _LOADED.add(key)  # first: a module that asks for the registry while it is imported must not begin again
    try:
        for module in pkgutil.iter_modules(importlib.import_module(package).__path__):
            importlib.import_module(f"{package}.{module.name}")
        for group in groups:
            _load_entry_points(group)
    except BaseException:
        _LOADED.discard(key)
        raise


def _load_entry_points(group: str) -> None:
    for point in entry_points(group=group):
        try:
            point.load()
        except Exception as error:
            error.add_note(f"while loading the entry point {point.name} = {point.value!r} of the group {group}")
            raise
