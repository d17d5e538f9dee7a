"""Settings of all tests."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import settings
from support.forms import FULL, some

settings.register_profile("corpuscurate", deadline=None, max_examples=some(100))  # the first example compiles a kernel
settings.load_profile("corpuscurate")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "campaign(every): in the short form, each `every`-th case of the test is run")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out cases of campaigns, unless all are wanted or tests are named one by one."""
    if FULL or config.option.keyword or any("::" in argument for argument in config.args):
        return
    seen: Counter[str] = Counter()
    kept, left = [], []
    for item in items:
        mark = item.get_closest_marker("campaign")
        name = item.nodeid.partition("[")[0]
        skipped = mark is not None and seen[name] % mark.args[0]
        seen[name] += 1
        (left if skipped else kept).append(item)
    if left:
        config.hook.pytest_deselected(items=left)
        items[:] = kept
