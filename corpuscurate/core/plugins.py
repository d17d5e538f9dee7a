"""Finding what registers itself: the modules of one of our packages, and the entry points of other packages."""

from __future__ import annotations

import importlib
import pkgutil
from importlib.metadata import entry_points

_LOADED: set[tuple[str, ...]] = set()


def load_plugins(package: str, *groups: str) -> None:
    """Import every module of a package of ours, and load every entry point of some groups; once a process.

    Whoever is imported registers itself. An error of an entry point goes through with a note that names it.
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
