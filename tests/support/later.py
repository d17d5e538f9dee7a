"""Packages that are imported when a test first uses them, so that processes that only collect it need not."""

from __future__ import annotations

from importlib import import_module
from typing import Any


class Later:
    """A package by its name: `pd = Later("pandas")`."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, attribute: str) -> Any:
        return getattr(import_module(self._name), attribute)
